#!/usr/bin/env python3
"""chain.py SET STORE... - an independent look at a set in directory stores.

Every manifest must name a body that is there, with its size and hash, have a
signature beside it, and follow another one, whole.  Prints "N manifests" or
what is wrong, a line for each store."""
import glob
import hashlib
import json
import os
import sys


def sha(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def look(store, name):
    found, wrong, dropped = {}, [], {}
    for path in glob.glob(os.path.join(store, name, "snap", "*.json")):
        with open(path, "rb") as f:
            m = json.loads(f.read())
        m["hash"] = sha(path)
        found[m["id"]] = m
        body = os.path.join(store, m["object"]["name"])
        if m["set"] != name or os.path.basename(path) != m["id"] + ".json":
            wrong.append("%s lies at the wrong place" % path)
        if not os.path.exists(body):
            wrong.append("%s: no body" % m["id"])
        elif (os.path.getsize(body) != m["object"]["size"]
              or sha(body) != m["object"]["sha256"]):
            wrong.append("%s: another body" % m["id"])
        if not os.path.exists(path + ".minisig"):
            wrong.append("%s: no signature" % m["id"])
        for a in m.get("abandoned", []):
            dropped[a["id"]] = a["sha256"]
    followed = {}
    for m in sorted(found.values(), key=lambda m: m["seq"]):
        p = m["previous"]
        if p is None:
            if m["seq"] != 1 or not m["start"]:
                wrong.append("%s: a bad start" % m["id"])
            continue
        if p["id"] in followed:
            wrong.append("a fork after %s" % p["id"])
        followed[p["id"]] = m["id"]
        if p["id"] not in found:
            if dropped.get(p["id"]) != p["sha256"]:
                wrong.append("%s: %s is missing" % (m["id"], p["id"]))
            continue
        if p["sha256"] != found[p["id"]]["hash"]:
            wrong.append("%s: not the hash of %s" % (m["id"], p["id"]))
        if m["seq"] != found[p["id"]]["seq"] + 1:
            wrong.append("%s: seq %d" % (m["id"], m["seq"]))
    return "; ".join(wrong) if wrong else "%d manifests" % len(found)


for s in sys.argv[2:]:
    print(look(s, sys.argv[1]))
