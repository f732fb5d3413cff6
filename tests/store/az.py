#!/usr/bin/env python3
"""Azure Blob seen without the tools under test.

    az.py mk CONTAINER
    az.py ls CONTAINER [PREFIX]         names
    az.py uploads CONTAINER             names with uncommitted blocks alone
    az.py put CONTAINER NAME FILE
    az.py get CONTAINER NAME            the bytes
    az.py rm CONTAINER NAME
    az.py drop CONTAINER                with all that is in it
    az.py sas CONTAINER RIGHTS [MINUTES]    a SAS for it ("cw", "rcwl", ...)

The account is that of AZURE_STORAGE_CONNECTION_STRING.  Exit status 0 when
the answer was 2xx; 1 otherwise, with the code on standard error.
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

CONN = dict(p.split("=", 1) for p in
            os.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if p)
ACCOUNT, KEY = CONN["AccountName"], base64.b64decode(CONN["AccountKey"])
URL = U.urlsplit(CONN["BlobEndpoint"])
VERSION = "2021-12-02"


def sign(text):
    return base64.b64encode(hmac.new(KEY, text.encode(),
                                     hashlib.sha256).digest()).decode()


def request(method, path, query=None, headers=None, body=b""):
    query = query or {}
    now = datetime.datetime.utcnow()
    head = {"x-ms-date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": VERSION}
    head.update({k.lower(): v for k, v in (headers or {}).items()})
    base = URL.path.rstrip("/")
    text = "\n".join(
        [method, "", "", str(len(body)) if body else "", "",
         head.get("content-type", ""), "", "", "",
         head.get("if-none-match", ""), "", head.get("range", "")] +
        [f"{k}:{v}" for k, v in sorted(head.items())
         if k.startswith("x-ms-")] +
        [f"/{ACCOUNT}{base}" + U.quote(path) +
         "".join(f"\n{k.lower()}:{v}" for k, v in sorted(query.items()))])
    head["authorization"] = f"SharedKey {ACCOUNT}:{sign(text)}"
    if method in ("PUT", "POST"):
        head["content-length"] = str(len(body))
    c = http.client.HTTPConnection(URL.hostname, URL.port or 80, timeout=60)
    c.request(method, base + U.quote(path) +
              ("?" + U.urlencode(query) if query else ""), body or None, head)
    r = c.getresponse()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def must(method, path, query=None, headers=None, body=b""):
    status, head, data = request(method, path, query, headers, body)
    if status // 100 != 2:
        sys.exit(f"{method} {path}: {status} {head.get('x-ms-error-code', '')}")
    return head, data


def mk(container):
    must("PUT", "/" + container, {"restype": "container"})


def names(container, more):
    marker = ""
    while True:
        q = {"restype": "container", "comp": "list", **more}
        if marker:
            q["marker"] = marker
        xml = must("GET", "/" + container, q)[1].decode()
        for blob in re.findall(r"<Blob>(.*?)</Blob>", xml, re.S):
            yield unescape(re.search(r"<Name>([^<]*)", blob).group(1))
        m = re.search(r"<NextMarker>([^<]+)", xml)
        if not m:
            return
        marker = unescape(m.group(1))


def ls(container, prefix=""):
    for n in names(container, {"prefix": prefix}):
        print(n)


def uploads(container):
    whole = set(names(container, {}))
    for n in names(container, {"include": "uncommittedblobs"}):
        if n not in whole:
            print(n)


def put(container, name, path):
    must("PUT", f"/{container}/{name}", headers={
        "x-ms-blob-type": "BlockBlob",
        "content-type": "application/octet-stream"},
        body=open(path, "rb").read())


def get(container, name):
    sys.stdout.buffer.write(must("GET", f"/{container}/{name}")[1])


def rm(container, name):
    must("DELETE", f"/{container}/{name}")


def drop(container):
    must("DELETE", "/" + container, {"restype": "container"})


def sas(container, rights, minutes="60"):
    end = (datetime.datetime.utcnow() +
           datetime.timedelta(minutes=float(minutes))).strftime(
               "%Y-%m-%dT%H:%M:%SZ")
    f = [rights, "", end, f"/blob/{ACCOUNT}/{container}", "", "", "",
         "2020-12-06", "c", "", "", "", "", "", "", ""]
    print(U.urlencode({"sp": rights, "se": end, "sv": "2020-12-06", "sr": "c",
                       "sig": sign("\n".join(f))}))


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (mk, ls, uploads, put, get, rm, drop, sas)}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
