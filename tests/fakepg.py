#!/usr/bin/env python3
"""fakepg.py - a small backup of kind "pg", right or wrong in one way.

usage: fakepg.py OUT [ALGORITHM [WRONG]]

Writes OUT, a tar with the files of a cluster as far as dr-verify and
dr-restore look at them, and OUT.json, its manifest.
"""
import hashlib
import io
import json
import struct
import sys
import tarfile

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = c >> 8 ^ TABLE[(c ^ b) & 255]
    return struct.pack("<I", c ^ 0xFFFFFFFF)


def checksum(algo, data):
    if algo == "CRC32C":
        return crc32c(data).hex()
    return hashlib.new(algo.lower(), data).hexdigest()


out = sys.argv[1]
algo = sys.argv[2] if len(sys.argv) > 2 else "CRC32C"
wrong = sys.argv[3] if len(sys.argv) > 3 else ""

files = {
    "backup_label": b"START WAL LOCATION: 0/2000028\n",
    "PG_VERSION": b"15\n",
    "base/1/1259": bytes(range(256)) * 100,
    "base/1/empty": b"",
    "base/1/2000": b"x" * 5000,
    "postgresql.conf": b"port = 5433\ndata_directory = '/elsewhere'\n",
    "postgresql.auto.conf": b"# none\n",
    "global/pg_control": b"c" * 8192,
    "pg_wal/000000010000000000000002": b"w" * 70000,
    "pg_wal/archive_status/000000010000000000000002.done": b"",
}
if wrong == "spaces":
    files["pg_tblspc/16384/PG_15_1/5/1"] = b"t" * 3000
    files["tablespace_map"] = b"16384 /nowhere/a\\\\b\n"
order = sorted(files)
if wrong == "oddly":
    order = order[::-1]

# --- backup_manifest
entries = []
for path in order:
    data = files[path]
    if path.startswith("pg_wal/0"):
        continue
    if wrong == "unlisted" and path == "base/1/2000":
        continue
    if wrong == "sum" and path == "base/1/1259":
        data = data[:-1] + b"!"
    size = len(data) + (wrong == "size" and path == "base/1/1259")
    e = {"Path": path, "Size": size,
         "Last-Modified": "2026-11-20 12:00:00 GMT"}
    if wrong == "encoded":
        del e["Path"]
        e = {"Encoded-Path": path.encode().hex(), **e}
    if algo != "NONE":
        e["Checksum-Algorithm"] = algo
        e["Checksum"] = checksum(algo, data)
    entries.append("{ " + json.dumps(e)[1:-1] + " }")
if wrong == "missing":
    entries.append('{ "Path": "base/1/3000", "Size": 1, "Last-Modified": '
                   '"2026-11-20 12:00:00 GMT", "Checksum-Algorithm": '
                   '"CRC32C", "Checksum": "00000000" }')
if wrong == "walmissing":
    entries.append('{ "Path": "pg_wal/00000002.history", "Size": 1, '
                   '"Last-Modified": "2026-11-20 12:00:00 GMT", '
                   '"Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }')
if wrong == "twice":
    entries.append(entries[0])
text = ('{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n' +
        ",\n".join(entries) + '\n],\n"WAL-Ranges": [\n'
        '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n'
        '],\n').encode()
digest = hashlib.sha256(text).hexdigest()
if wrong == "selfsum":
    digest = "0" * 64
text += ('"Manifest-Checksum": "%s"}\n' % digest).encode()
if wrong == "cut":
    text = text[:-10]

# --- the tar
body = io.BytesIO()
tar = tarfile.open(fileobj=body, mode="w", format=tarfile.PAX_FORMAT)


def member(path, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(path)
    info.type = kind
    info.mode = 0o600
    info.linkname = link
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


hostile = {
    "dotdot": lambda: member("../escaped", b"x"),
    "deepdotdot": lambda: member("base/../../escaped", b"x"),
    "absolute": lambda: member("/tmp/escaped", b"x"),
    "dot": lambda: member("global/./pg_control", b"x"),
    "symlink": lambda: member("base/link", b"", tarfile.SYMTYPE, "/tmp"),
    "hardlink": lambda: member("base/link", b"", tarfile.LNKTYPE,
                               "PG_VERSION"),
    "device": lambda: member("base/null", b"", tarfile.CHRTYPE),
    "fifo": lambda: member("base/fifo", b"", tarfile.FIFOTYPE),
    "same": lambda: member("PG_VERSION", b"16\n"),
    "samecontrol": lambda: member("global/pg_control", b"x"),
    "below": lambda: member("PG_VERSION/x", b"x"),
    "over": lambda: member("base/1", b"x"),
    "marker": lambda: member(".drtools-restore-incomplete", b"x"),
}

for path in order:
    if wrong == "no" + path.replace("/", ""):
        continue
    member(path, files[path])
    if path == "postgresql.auto.conf" and wrong in hostile:
        hostile[wrong]()
member("pg_notify/", b"", tarfile.DIRTYPE)
member(".drtools/report.json", b'{"drtools": 1}\n')
if wrong != "nomanifest":
    member("backup_manifest", text)
tar.close()
data = body.getvalue()
if wrong == "tarcut":
    data = data[:-10240]
with open(out, "wb") as f:
    f.write(data)
manifest = {
    "drtools": 1, "id": "20261120T120000Z-3f9a1c", "kind": "pg",
    "mode": "incremental" if wrong == "incremental" else "full",
    "complete": True,
    "started": "2026-11-20T12:00:00Z", "host": "h", "labels": {},
    "pg": {"version": "15.0", "system_id": "7000000000000000000",
           "wal": wrong != "nowal", "group_access": wrong == "group"},
    "object": {"name": out.rsplit("/", 1)[-1], "size": len(data),
               "sha256": hashlib.sha256(data).hexdigest()},
}
with open(out + ".json", "w") as f:
    f.write(json.dumps(manifest, separators=(",", ":")) + "\n")
