#!/usr/bin/env python3
"""Services that hand out credentials, as far as tests need them.

    credfake.py LOG PUBLIC_KEY

Prints its port on 127.0.0.1, then serves until its standard input ends.  The
first part of a path says how the service behaves, the second which one it is:

    /HOW/imds/...  instance metadata of EC2, version 2
    /HOW/ecs       a container's endpoint
    /HOW/sts/      AssumeRole (its signature is checked) and web identity
    /HOW/gce/...   metadata server of Google
    /HOW/oauth     a token endpoint of Google
    (HOW: ok, soon, past, missing, slow, broken, norole, fail, busy, away,
    denied; for ecs, listed, too)

Each set of keys has another number; where they are listed, they stand in
LOG.keys, a line for each time they are asked for: ACCESS SECRET SECONDS.  LOG gets a line for every request; PUBLIC_KEY
is that of a service account.
"""
import datetime
import hashlib
import hmac
import http.server
import json
import base64
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

lock = threading.Lock()
count = 0
busy = {}
SECRETS = {"AKIDSOURCE": "secret/of+source", "ASIA1": "secret1"}


def number():
    global count
    with lock:
        count += 1
        return count


def expiry(how, seconds=3600):
    seconds = {"soon": 301, "past": -60}.get(how, seconds)
    now = datetime.datetime.now(datetime.timezone.utc)
    when = now + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(h, path, body):
    """Whether the request has AWS's signature, version 4."""
    try:
        auth = dict(p.strip().split("=", 1)
                    for p in h["Authorization"].split(" ", 1)[1].split(","))
        access, date, region, service, end = auth["Credential"].split("/")
        names = auth["SignedHeaders"].split(";")
        canonical = "\n".join(
            ["POST", path, ""] + ["%s:%s" % (n, h[n]) for n in names]
            + ["", ";".join(names), hashlib.sha256(body).hexdigest()])
        text = "\n".join(
            ["AWS4-HMAC-SHA256", h["X-Amz-Date"],
             "/".join([date, region, service, end]),
             hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + SECRETS[access]).encode()
        for part in (date, region, service, end):
            key = mac(key, part)
        return (service == "sts" and "host" in names and
                "x-amz-date" in names and
                mac(key, text).hex() == auth["Signature"])
    except (KeyError, ValueError, AttributeError):
        return False


def jwt_good(token, audience):
    """Whether an assertion is signed by the key of the test's account."""
    try:
        head, claims, sig = token.split(".")
        pad = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
        c = json.loads(pad(claims))
        if json.loads(pad(head))["alg"] != "RS256" or c["aud"] != audience:
            return None
        if not c["iat"] - 5 <= time.time() <= c["exp"] <= c["iat"] + 3600:
            return None
        with tempfile.NamedTemporaryFile() as s, \
                tempfile.NamedTemporaryFile() as t:
            s.write(pad(sig))
            s.flush()
            t.write((head + "." + claims).encode())
            t.flush()
            rc = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", sys.argv[2],
                 "-signature", s.name, t.name], stdout=subprocess.DEVNULL)
        return c["iss"] if rc.returncode == 0 else None
    except (KeyError, ValueError):
        return None


STS = """<%sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<%sResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>
<SecretAccessKey>secret%d</SecretAccessKey><SessionToken>token%d</SessionToken>
<Expiration>%s</Expiration></Credentials><AssumedRoleUser>
<Arn>arn:aws:sts::1:assumed-role/x</Arn></AssumedRoleUser></%sResult>
</%sResponse>"""
STS_ERROR = """<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code>
<Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, text=b"", **headers):
        if isinstance(text, str):
            text = text.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            for k, v in headers.items():
                self.send_header(k.replace("_", "-"), v)
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            self.close_connection = True

    def keys(self, how, token="Token"):
        n = number()
        if how == "broken":
            return self.answer(200, '{"AccessKeyId": "ASIA')
        if how == "listed":
            lines = open(sys.argv[1] + ".keys").read().splitlines()
            access, secret, left = lines[min(n, len(lines)) - 1].split()
            return self.answer(200, json.dumps({
                "AccessKeyId": access, "SecretAccessKey": secret,
                token: "", "Expiration": expiry(how, int(left))}))
        if how == "fail":
            return self.answer(200, '{"Code": "AssumeRoleUnauthorizedAccess"}')
        self.answer(200, json.dumps({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIA%d" % n,
            "SecretAccessKey": "secret%d" % n, token: "token%d" % n,
            "Expiration": expiry(how)}))

    def imds(self, how, rest):
        if rest == "latest/api/token":
            if self.command != "PUT" or self.headers.get(
                    "X-aws-ec2-metadata-token-ttl-seconds") is None:
                return self.answer(400)
            return self.answer(200, "v2token")
        if self.headers.get("X-aws-ec2-metadata-token") != "v2token":
            return self.answer(401)
        roles = "latest/meta-data/iam/security-credentials/"
        if how == "norole":
            return self.answer(404)
        if rest == roles:
            return self.answer(200, "the-role\n")
        if rest == roles + "the-role":
            return self.keys(how)
        self.answer(404)

    def sts(self, how, rest, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        action = form.get("Action")
        if how == "denied":
            return self.answer(403, STS_ERROR % (
                "AccessDenied", "not for you\n\x7f"))
        if how == "away":
            return self.answer(400, STS_ERROR % (
                "IDPCommunicationError", "try again"))
        if form.get("Version") != "2011-06-15" or \
                not form.get("RoleArn", "").startswith("arn:") or \
                not form.get("RoleSessionName"):
            return self.answer(400, STS_ERROR % ("ValidationError", "form"))
        if action == "AssumeRoleWithWebIdentity":
            if form.get("WebIdentityToken") != "web.identity-token+/=":
                return self.answer(400, STS_ERROR % (
                    "InvalidIdentityToken", "no"))
        elif action != "AssumeRole" or \
                not signed(self.headers, self.path, body):
            return self.answer(403, STS_ERROR % (
                "SignatureDoesNotMatch", "no"))
        if how == "broken":
            return self.answer(200, "<a><b></a>")
        n = number()
        self.answer(200, STS % (action, action, n, n, n, expiry(how), action,
                                action))

    def gce(self, how, rest):
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.answer(403)
        if rest != "computeMetadata/v1/instance/service-accounts/default/token":
            return self.answer(404)
        self.token(how)

    def token(self, how):
        seconds = {"soon": 301, "past": 0}.get(how, 3600)
        if how == "broken":
            return self.answer(200, "[]")
        self.answer(200, json.dumps({
            "access_token": "ya29.%d" % number(), "expires_in": seconds,
            "token_type": "Bearer"}), Metadata_Flavor="Google")

    def oauth(self, how, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if how == "denied":
            return self.answer(400, '{"error": "invalid_grant", '
                               '"error_description": "Token has been revoked."}')
        if form.get("grant_type") == "refresh_token":
            if (form.get("client_id"), form.get("client_secret"),
                    form.get("refresh_token")) != ("id", "s&t", "1//refresh"):
                return self.answer(401, '{"error": "invalid_client"}')
        elif form.get("grant_type") == \
                "urn:ietf:params:oauth:grant-type:jwt-bearer":
            who = jwt_good(form.get("assertion", ""), "http://%s%s" % (
                self.headers["Host"], self.path))
            if who != "backup@project.iam.gserviceaccount.com":
                return self.answer(400, '{"error": "invalid_grant"}')
        else:
            return self.answer(400, '{"error": "unsupported_grant_type"}')
        self.token(how)

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        _, how, what, rest = (path + "///").split("/", 3)
        rest = rest.rstrip("/") + ("/" if path.endswith("/") and rest else "")
        rest = rest if rest != "/" else ""
        with lock, open(sys.argv[1], "a") as f:
            f.write("%s %s %s\n" % (self.command, self.path,
                                    self.headers.get("Authorization", "-")))
        if how == "missing":
            return self.answer(404, "<html>no</html>")
        if how == "slow":
            time.sleep(3)
        if how == "busy":
            with lock:
                busy[path] = busy.get(path, 0) + 1
            if busy[path] % 2 == 1:
                return self.answer(503)
        if what == "imds":
            return self.imds(how, rest)
        if what == "ecs":
            if self.headers.get("Authorization") == "refused":
                return self.answer(403)
            return self.keys(how)
        if what == "sts":
            return self.sts(how, rest, body)
        if what == "gce":
            return self.gce(how, rest)
        if what == "oauth":
            return self.oauth(how, body)
        self.answer(404)

    do_GET = do_POST = do_PUT = do_any


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
