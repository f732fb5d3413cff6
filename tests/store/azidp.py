#!/usr/bin/env python3
"""What hands out tokens for Azure, as far as tests need it.

    azidp.py LOG

Prints its port on 127.0.0.1, then serves until its standard input ends.

    GET /msi?resource=...       managed identity of an app service; the header
                                X-IDENTITY-HEADER must be "sesame"
    POST /TENANT/oauth2/v2.0/token      a federated token, "assertion", or the
                                secret "hush", traded in
    GET /stale?...              as /msi, but the first token is no good

Tokens are unsigned; Azurite looks at what they say alone.  LOG gets a line
for every request.
"""
import base64
import http.server
import json
import sys
import threading
import time
import urllib.parse

given = 0


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(begins):
    now = int(time.time())
    return ".".join([
        b64(b'{"alg":"RS256","typ":"JWT"}'),
        b64(json.dumps({"aud": "https://storage.azure.com",
                        "iss": "https://sts.windows.net/00000000/",
                        "iat": now, "nbf": now + begins,
                        "exp": now + 3600 + begins}).encode()),
        b64(b"none")])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, what):
        body = json.dumps(what).encode()
        with open(sys.argv[1], "a") as f:
            f.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def grant(self, begins=-5):
        self.answer(200, {"access_token": token(begins),
                          "token_type": "Bearer",
                          "expires_on": str(int(time.time()) + 3600)})

    def refuse(self, why):
        self.answer(400, {"error": "invalid_request",
                          "error_description": why})

    def do_GET(self):
        global given
        url = urllib.parse.urlsplit(self.path)
        q = dict(urllib.parse.parse_qsl(url.query))
        if self.headers.get("X-IDENTITY-HEADER") != "sesame":
            self.refuse("the header is wrong")
        elif q.get("resource") != "https://storage.azure.com/":
            self.refuse("what for?")
        else:
            given += url.path == "/stale"
            self.grant(600 if url.path == "/stale" and given == 1 else -5)

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        q = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
        good = (q.get("client_assertion") == "assertion" and
                q.get("client_assertion_type", "").endswith("jwt-bearer")) or \
            q.get("client_secret") == "hush"
        if (self.path == "/t1/oauth2/v2.0/token" and good and
                q.get("client_id") == "c1" and
                q.get("scope") == "https://storage.azure.com/.default" and
                q.get("grant_type") == "client_credentials"):
            self.grant()
        else:
            self.refuse("AADSTS7000215: Invalid client secret provided.")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
