#!/usr/bin/env python3
"""S3 seen without the tools under test: signed requests by the standard
library, to make buckets, users and policies, and to look at what is there.

    s3.py mb BUCKET [--lock] [--versioned]
    s3.py ls BUCKET [PREFIX]            names
    s3.py versions BUCKET [PREFIX]      KIND NAME VERSION LATEST
    s3.py uploads BUCKET                NAME ID
    s3.py put BUCKET NAME FILE [HEADER:VALUE...]
    s3.py get BUCKET NAME [VERSION]     the bytes
    s3.py rm BUCKET NAME [VERSION]
    s3.py drop BUCKET                   with all that is in it, locks allowing
    s3.py policy BUCKET                 JSON on standard input
    s3.py raw METHOD PATH [QUERY=VALUE|HEADER:VALUE|@FILE]...
    s3.py user UID [ACCESS SECRET]      made, with keys (radosgw)
    s3.py quota UID BYTES               -1 for none (radosgw)
    s3.py suspend UID | resume UID      (radosgw)
    s3.py warm                          what makes first requests slow

The endpoint and the keys are AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY.  Exit status 0 when the answer was 2xx; 1 otherwise,
and then the status and the code are on standard error.
"""
import base64
import datetime
import hashlib
import hmac
import http.client
import os
import re
import sys
import urllib.parse as U
from html import unescape

ENDPOINT = U.urlsplit(os.environ.get("AWS_ENDPOINT_URL",
                                     "http://127.0.0.1:7480"))
REGION = os.environ.get("AWS_REGION", "us-east-1")
NS = "http://s3.amazonaws.com/doc/2006-03-01/"


def mac(key, msg):
    return hmac.new(key, msg.encode(), hashlib.sha256).digest()


def request(method, path, query=None, headers=None, body=b""):
    """One signed request: status, headers in lower case, body."""
    access = os.environ["AWS_ACCESS_KEY_ID"]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    head = {k.lower(): v for k, v in (headers or {}).items()}
    head["host"] = ENDPOINT.netloc
    head["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    head["x-amz-date"] = now
    signed = ";".join(sorted(head))
    q = "&".join(f"{U.quote(k, safe='')}={U.quote(str(v), safe='')}"
                 for k, v in sorted((query or {}).items()))
    where = U.quote(path, safe="/~")
    canon = "\n".join([method, where, q] +
                      [f"{k}:{head[k].strip()}" for k in sorted(head)] +
                      ["", signed, head["x-amz-content-sha256"]])
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                      hashlib.sha256(canon.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    head["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, "
        f"SignedHeaders={signed}, "
        f"Signature={hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}")
    if body or method in ("PUT", "POST"):
        head["content-length"] = str(len(body))
    c = http.client.HTTPConnection(ENDPOINT.hostname, ENDPOINT.port or 80,
                                   timeout=60)
    c.putrequest(method, where + ("?" + q if q else ""), skip_host=True,
                 skip_accept_encoding=True)
    for k, v in head.items():
        c.putheader(k, v)
    c.endheaders(body or None)
    r = c.getresponse()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def must(method, path, query=None, headers=None, body=b""):
    status, head, data = request(method, path, query, headers, body)
    if status // 100 != 2:
        code = re.search(rb"<Code>([^<]*)|\"Code\":\"([^\"]*)", data)
        code = (code.group(1) or code.group(2)).decode() if code else ""
        sys.exit(f"{method} {path}: {status} {code}")
    return head, data


def field(xml, tag):
    m = re.search(rf"<{tag}>([^<]*)</{tag}>", xml)
    return unescape(m.group(1)) if m else ""


def pages(bucket, query, token, want):
    """Every page of a listing."""
    while True:
        xml = must("GET", "/" + bucket, query)[1].decode()
        yield xml
        if "<IsTruncated>true" not in xml:
            return
        for k, v in token.items():
            query[k] = field(xml, v)
        if not any(query[k] for k in want):
            sys.exit("a listing without an end")


def mb(bucket, *how):
    must("PUT", "/" + bucket, headers={
        "x-amz-bucket-object-lock-enabled": "true"} if "--lock" in how else {})
    if "--versioned" in how:
        must("PUT", "/" + bucket, {"versioning": ""}, body=(
            f'<VersioningConfiguration xmlns="{NS}"><Status>Enabled'
            "</Status></VersioningConfiguration>").encode())


def ls(bucket, prefix=""):
    for xml in pages(bucket, {"list-type": 2, "prefix": prefix},
                     {"continuation-token": "NextContinuationToken"},
                     ["continuation-token"]):
        for key in re.findall(r"<Key>([^<]*)</Key>", xml):
            print(unescape(key))


def versions(bucket, prefix=""):
    for xml in pages(bucket, {"versions": "", "prefix": prefix},
                     {"key-marker": "NextKeyMarker",
                      "version-id-marker": "NextVersionIdMarker"},
                     ["key-marker"]):
        for kind, v in re.findall(r"<(Version|DeleteMarker)>(.*?)</\1>", xml,
                                  re.S):
            print(kind, field(v, "Key"), field(v, "VersionId"),
                  field(v, "IsLatest"))


def uploads(bucket):
    for xml in pages(bucket, {"uploads": ""},
                     {"key-marker": "NextKeyMarker",
                      "upload-id-marker": "NextUploadIdMarker"},
                     ["key-marker"]):
        for v in re.findall(r"<Upload>(.*?)</Upload>", xml, re.S):
            print(field(v, "Key"), field(v, "UploadId"))


def put(bucket, name, path, *headers):
    must("PUT", f"/{bucket}/{name}", body=open(path, "rb").read(),
         headers=dict(h.split(":", 1) for h in headers))


def get(bucket, name, version=None):
    q = {"versionId": version} if version else {}
    sys.stdout.buffer.write(must("GET", f"/{bucket}/{name}", q)[1])


def rm(bucket, name, version=None):
    q = {"versionId": version} if version else {}
    must("DELETE", f"/{bucket}/{name}", q)


def drop(bucket):
    for xml in pages(bucket, {"versions": ""},
                     {"key-marker": "NextKeyMarker",
                      "version-id-marker": "NextVersionIdMarker"},
                     ["key-marker"]):
        which = "".join(
            f"<Object><Key>{field(v, 'Key')}</Key>"
            f"<VersionId>{field(v, 'VersionId') or 'null'}</VersionId></Object>"
            for _, v in re.findall(r"<(Version|DeleteMarker)>(.*?)</\1>", xml,
                                   re.S))
        body = f"<Delete>{which}<Quiet>true</Quiet></Delete>".encode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        if which:
            must("POST", "/" + bucket, {"delete": ""}, {
                "content-md5": md5,
                "x-amz-bypass-governance-retention": "true"}, body)
    xml = must("GET", "/" + bucket, {"uploads": ""})[1].decode()
    for v in re.findall(r"<Upload>(.*?)</Upload>", xml, re.S):
        must("DELETE", f"/{bucket}/{field(v, 'Key')}",
             {"uploadId": field(v, "UploadId")})
    must("DELETE", "/" + bucket)


def policy(bucket):
    must("PUT", "/" + bucket, {"policy": ""}, body=sys.stdin.buffer.read())


def raw(method, path, *more):
    query, headers, body = {}, {}, b""
    for m in more:
        if m.startswith("@"):
            body = open(m[1:], "rb").read()
        elif re.match(r"[A-Za-z0-9-]+:", m):
            k, v = m.split(":", 1)
            headers[k] = v
        else:
            k, _, v = m.partition("=")
            query[k] = v
    head, data = must(method, path, query, headers, body)
    for k, v in head.items():
        print(f"{k}: {v}", file=sys.stderr)
    sys.stdout.buffer.write(data)


def user(uid, access=None, secret=None):
    access = access or "AK" + os.urandom(9).hex().upper()
    secret = secret or os.urandom(20).hex()
    must("PUT", "/admin/user", {"uid": uid, "display-name": uid,
                                "access-key": access, "secret-key": secret,
                                "format": "json"})
    print(access, secret)


def quota(uid, size):
    must("PUT", "/admin/user", {
        "uid": uid, "quota": "", "quota-type": "user",
        "enabled": "true" if int(size) >= 0 else "false",
        "max-size-kb": max(int(size) // 1024, 0)})


def suspend(uid, how="true"):
    must("POST", "/admin/user", {"uid": uid, "suspended": how,
                                 "format": "json"})


def resume(uid):
    suspend(uid, "false")


def warm():
    b = "/warm" + os.urandom(4).hex()
    must("PUT", b)
    must("PUT", b + "/x", body=b"x")
    up = field(must("POST", b + "/y", {"uploads": ""})[1].decode(), "UploadId")
    must("PUT", b + "/y", {"partNumber": 1, "uploadId": up}, body=b"y")
    must("DELETE", b + "/y", {"uploadId": up})
    must("DELETE", b + "/x")
    must("DELETE", b)


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (mb, ls, versions, uploads, put, get, rm,
                                     drop, policy, raw, user, quota, suspend,
                                     resume, warm)}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
