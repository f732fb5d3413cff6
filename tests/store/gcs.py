#!/usr/bin/env python3
"""The XML API of Google Cloud Storage, as its documentation has it.

    gcs.py [PARTIAL]

No test runs against Google; this holds our side to what is documented, and to
what others have measured there: signatures (GOOG4-HMAC-SHA256, recomputed
here) or a bearer's token; no x-amz- beside x-goog-; create-only by
x-goog-if-generation-match, which uploads in parts do not take; resumable
uploads, of whose pieces every PARTIALth arrives in part only; generations,
retention, lists.  Buckets are made at first use, but for those of the name
"none..."; in "locked..." versions are kept, in "whole..." pieces arrive whole.
GOOG1CREATOR's keys create, and do nothing else.  Prints its port, then serves
on 127.0.0.1 until its standard input ends.
"""
import base64
import hashlib
import hmac
import http.server
import re
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

SECRETS = {"GOOG1EXAMPLE": "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ",
           "GOOG1CREATOR": "V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJbGoa+"}
TOKENS = ("ya29.token",)
SMALL, BIG = 256 << 10, 9 << 20  # to sum more takes too long here
partial = int(sys.argv[1]) if len(sys.argv) > 1 else 0

lock = threading.Lock()
buckets = {}  # name: {key: [versions, oldest first]}
sessions = {}
parts = {}
count = 0

TABLE = []
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    TABLE.append(c)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


def number():
    global count
    count += 1
    return count


class Object:
    def __init__(self, data, lock_mode=None, until=None):
        self.data = data
        self.generation = str(int(time.time() * 1e6) * 1000 + number())
        self.time = time.time()
        self.mode, self.until = lock_mode, until
        self.live = True
        self.crc, self.pieces = None, False

    def held(self):
        return self.mode is not None and self.until > time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def hash(self):
        if len(self.data) > (BIG if self.pieces else SMALL):
            return None
        if self.crc is None:
            self.crc = base64.b64encode(
                crc32c(self.data).to_bytes(4, "big")).decode()
        return self.crc


class Refused(Exception):
    def __init__(self, status, code, message=""):
        self.status, self.code, self.message = status, code, message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body=b"", headers=()):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        names = [n for n, _ in headers]
        for n, v in headers:
            self.send_header(n, v)
        if "Content-Length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # --- who asks
    def authorized(self, body):
        h = self.headers
        names = [n.lower() for n in h.keys()]
        if any(n.startswith("x-amz-") for n in names):
            raise Refused(400, "ExcessHeaderValues")
        auth = h.get("Authorization", "")
        if auth.startswith("Bearer "):
            if auth[7:] not in TOKENS:
                raise Refused(401, "AuthenticationRequired")
            return
        m = re.fullmatch(
            r"GOOG4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/storage/"
            r"goog4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)",
            auth)
        if m is None or m[1] not in SECRETS:
            raise Refused(403, "InvalidSecurity")
        signed = m[4].split(";")
        if signed != sorted(signed) or "host" not in signed or any(
                n.startswith("x-goog-") and n not in signed for n in names):
            raise Refused(403, "SignatureDoesNotMatch", "unsigned headers")
        digest = h.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
        if digest != "UNSIGNED-PAYLOAD" and \
                digest != hashlib.sha256(body).hexdigest():
            raise Refused(400, "BadDigest")
        path, _, query = self.path.partition("?")
        pairs = sorted(p if "=" in p else p + "="
                       for p in query.split("&")) if query else []
        canonical = "\n".join(
            [self.command, path, "&".join(pairs)]
            + ["%s:%s" % (n, " ".join(h[n].split())) for n in signed]
            + ["", m[4], digest])
        scope = "/".join([m[2], m[3], "storage", "goog4_request"])
        text = "\n".join(["GOOG4-HMAC-SHA256", h["x-goog-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("GOOG4" + SECRETS[m[1]]).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != m[5]:
            raise Refused(403, "SignatureDoesNotMatch")
        if m[1] == "GOOG1CREATOR" and self.command not in ("PUT", "POST"):
            raise Refused(403, "AccessDenied")

    # --- objects
    def live(self, bucket, key):
        versions = buckets[bucket].get(key, [])
        return versions[-1] if versions and versions[-1].live else None

    def find(self, bucket, key, q):
        if "generation" in q:
            for o in buckets[bucket].get(key, []):
                if o.generation == q["generation"]:
                    return o
            raise Refused(404, "NoSuchKey")
        o = self.live(bucket, key)
        if o is None:
            raise Refused(404, "NoSuchKey")
        return o

    def condition(self, bucket, key, once):
        if once is not None and (once != "0" or self.live(bucket, key)):
            raise Refused(412, "PreconditionFailed")

    def store(self, bucket, key, data, once, mode, until):
        self.condition(bucket, key, once)
        if mode is not None and not bucket.startswith("locked"):
            raise Refused(400, "InvalidRequest", "no retention here")
        old = self.live(bucket, key)
        o = Object(data, mode, until)
        if old is not None and not bucket.startswith("locked"):
            buckets[bucket][key] = [o]
        else:
            if old is not None:
                old.live = False
            buckets[bucket].setdefault(key, []).append(o)
        return o

    def described(self, o):
        md5 = hashlib.md5(o.data)
        out = [("x-goog-generation", o.generation),
               ("ETag", '"%s"' % md5.hexdigest()),
               ("Last-Modified", self.date_time_string(o.time)),
               ("x-goog-hash", "md5=" +
                base64.b64encode(md5.digest()).decode())]
        if o.hash() is not None:
            out.insert(3, ("x-goog-hash", "crc32c=" + o.hash()))
        return out

    def how(self):
        h = self.headers
        return (h.get("x-goog-if-generation-match"),
                h.get("x-goog-object-lock-mode"),
                h.get("x-goog-object-lock-retain-until-date"))

    # --- uploads
    def resumable(self, body, q):
        s = sessions.get(q["upload_id"])
        if s is None:
            raise Refused(404, "NoSuchUpload")
        if self.command == "DELETE":
            del sessions[q["upload_id"]]
            return self.reply(499)
        m = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)",
                         self.headers.get("Content-Range", ""))
        if m is None:
            raise Refused(400, "InvalidArgument")
        have = len(s["data"])
        if m[1] is not None:
            start, end = int(m[1]), int(m[2]) + 1
            if end - start != len(body) or start > have or (
                    m[3] == "*" and (end % (256 << 10)) != 0):
                raise Refused(503, "BackendError")
            new = body[have - start:] if have > start else body
            if partial and not s["bucket"].startswith("whole") and \
                    number() % partial == 0 and len(new) > 256 << 10:
                # A part of it arrives, or nothing.
                new = new[:(len(new) // 2) >> 18 << 18]
                s["data"] += new
            else:
                s["data"] += new
        have = len(s["data"])
        if m[3] != "*" and have == int(m[3]):
            if s["done"] is None:
                try:
                    s["done"] = self.store(s["bucket"], s["key"],
                                           bytes(s["data"]), *s["how"])
                except Refused:
                    del sessions[q["upload_id"]]
                    raise
                s["done"].pieces = True
            return self.reply(200, headers=self.described(s["done"]))
        headers = [("Range", "bytes=0-%d" % (have - 1))] if have else []
        self.reply(308, headers=headers)

    def post(self, bucket, key, body, q):
        if self.headers.get("x-goog-resumable") == "start":
            u = "u%d" % number()
            # The condition is looked at when the object is made.
            sessions[u] = {"bucket": bucket, "key": key, "how": self.how(),
                           "data": bytearray(), "done": None}
            return self.reply(201, headers=[
                ("Location", "http://%s%s?upload_id=%s" % (
                    self.headers["Host"], self.path.split("?")[0], u))])
        if "uploads" in q:
            if self.how()[0] is not None:
                raise Refused(400, "NotImplemented")
            u = "p%d" % number()
            parts[u] = {"key": key, "part": {}}
            return self.reply(
                200, "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
                "</InitiateMultipartUploadResult>" % u)
        if q.get("uploadId") not in parts:
            raise Refused(404, "NoSuchUpload")
        p = parts.pop(q["uploadId"])["part"]
        data = b"".join(p[n] for n in sorted(p))
        self.store(bucket, key, data, None, None, None)
        self.reply(200, "<CompleteMultipartUploadResult/>")

    def put(self, bucket, key, body, q):
        md5 = self.headers.get("Content-MD5")
        if md5 is not None and \
                base64.b64decode(md5) != hashlib.md5(body).digest():
            raise Refused(400, "BadDigest")
        if "partNumber" in q:
            if q.get("uploadId") not in parts:
                raise Refused(404, "NoSuchUpload")
            parts[q["uploadId"]]["part"][int(q["partNumber"])] = body
            return self.reply(200, headers=[
                ("ETag", '"%s"' % hashlib.md5(body).hexdigest())])
        self.reply(200, headers=self.described(
            self.store(bucket, key, body, *self.how())))

    # --- looking
    def get(self, bucket, key, q):
        o = self.find(bucket, key, q)
        if "retention" in q:
            if o.mode is None:
                raise Refused(404, "NoSuchObjectLockConfiguration")
            return self.reply(
                200, "<Retention><Mode>%s</Mode><RetainUntilDate>%s"
                "</RetainUntilDate></Retention>" % (o.mode, o.until))
        headers, data, status = self.described(o), o.data, 200
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if m is not None:
            start = int(m[1])
            if start >= len(data):
                raise Refused(416, "InvalidRange")
            end = min(int(m[2]) + 1 if m[2] else len(data), len(data))
            headers.append(("Content-Range", "bytes %d-%d/%d" % (
                start, end - 1, len(data))))
            data, status = data[start:end], 206
        headers.append(("Content-Length", str(len(data))))
        self.reply(status, data, headers)

    def listing(self, bucket, q):
        def moment(o):
            return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(o.time)) \
                + "%03dZ" % (o.time % 1 * 1000)

        if "uploads" in q:
            return self.reply(200, "<ListMultipartUploadsResult>"
                "<IsTruncated>false</IsTruncated>" + "".join(
                    "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>"
                    "%s</Initiated></Upload>" % (
                        escape(p["key"]), u, moment(Object(b"")))
                    for u, p in parts.items()
                    if p["key"].startswith(q.get("prefix", "")))
                + "</ListMultipartUploadsResult>")
        prefix, delim = q.get("prefix", ""), q.get("delimiter")
        after = q.get("continuation-token", q.get("start-after", ""))
        size, out, seen = 100, [], None
        versions = "versions" in q
        after = q.get("marker", after)
        name = (lambda s: urllib.parse.quote(s, safe="")) \
            if q.get("encoding-type") == "url" else escape
        more = last = None
        for key in sorted(buckets[bucket]):
            if not key.startswith(prefix) or key <= after:
                continue
            if seen is not None and key.startswith(seen):
                last = key
                continue
            all_ = buckets[bucket][key]
            if not versions and not all_[-1].live:
                continue
            if len(out) >= size:
                more = last
                break
            last = key
            cut = key.find(delim, len(prefix)) if delim else -1
            if cut != -1:
                seen = key[:cut + 1]
                out.append("<CommonPrefixes><Prefix>%s</Prefix>"
                           "</CommonPrefixes>" % name(seen))
                continue
            for o in (reversed(all_) if versions else all_[-1:]):
                out.append(
                    "<{0}><Key>{1}</Key><Generation>{2}</Generation>"
                    "<MetaGeneration>1</MetaGeneration>{3}<LastModified>{4}"
                    "</LastModified><ETag>x</ETag><Size>{5}</Size></{0}>"
                    .format("Version" if versions else "Contents", name(key),
                            o.generation,
                            "<IsLatest>%s</IsLatest>" % str(o.live).lower()
                            if versions else "", moment(o), len(o.data)))
        token = ""
        if more is not None and versions:
            token = "<NextMarker>%s</NextMarker><NextGenerationMarker>1" \
                "</NextGenerationMarker>" % escape(more)
        elif more is not None:
            token = "<NextContinuationToken>%s</NextContinuationToken>" % \
                escape(more)
        self.reply(200, "<?xml version='1.0' encoding='UTF-8'?>"
                   "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/"
                   "2006-03-01'><IsTruncated>%s</IsTruncated>%s%s%s"
                   "</ListBucketResult>" % (
                       str(more is not None).lower(), token,
                       "<EncodingType>url</EncodingType>"
                       if q.get("encoding-type") else "", "".join(out)))

    def delete(self, bucket, key, q):
        if "uploadId" in q:
            if parts.pop(q["uploadId"], None) is None:
                raise Refused(404, "NoSuchUpload")
            return self.reply(204)
        o = self.find(bucket, key, q)
        if o.held():
            raise Refused(403, "AccessDenied", "retention")
        if "generation" in q or not bucket.startswith("locked"):
            buckets[bucket][key].remove(o)
            if not buckets[bucket][key]:
                del buckets[bucket][key]
        else:
            o.live = False
        self.reply(204)

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        q = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(url.path)[1:].partition("/")
        try:
            # Who knows a session's URL needs nothing else.
            if "upload_id" not in q:
                self.authorized(body)
            with lock:
                if bucket.startswith("none"):
                    raise Refused(404, "NoSuchBucket")
                buckets.setdefault(bucket, {})
                if "upload_id" in q:
                    self.resumable(body, q)
                elif key == "":
                    self.listing(bucket, q)
                elif self.command == "POST":
                    self.post(bucket, key, body, q)
                elif self.command == "PUT":
                    self.put(bucket, key, body, q)
                elif self.command == "DELETE":
                    self.delete(bucket, key, q)
                else:
                    self.get(bucket, key, q)
        except Refused as r:
            self.reply(r.status, "<?xml version='1.0'?><Error><Code>%s</Code>"
                       "<Message>%s</Message></Error>" % (
                           r.code, escape(r.message)))
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(("127.0.0.1", 0), Handler)
sys.stdout.write("%d\n" % server.server_port)
sys.stdout.flush()
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
