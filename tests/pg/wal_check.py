#!/usr/bin/env python3
"""wal_check.py STORE-WAL-DIR KEY [REFERENCE-DIR]

Decode with stock tools (age, zstd) every WAL object below STORE-WAL-DIR, which
is SET/wal/SYSTEMID of a store.  Print, for each timeline, its ranges of LSN
("TLI FROM-TO", hexadecimal), one a line; complain, and exit 1, where objects
disagree with each other, or with the segments in REFERENCE-DIR.
With --grep TEXT... say which of the texts are in none of it.
"""
import os
import re
import subprocess
import sys

NAME = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})"
                  r"(?:\.([0-9A-F]{8})-([0-9A-F]{8}))?\.zst\.age$")


def decode(path, key):
    a = subprocess.Popen(["age", "-d", "-i", key, path],
                         stdout=subprocess.PIPE)
    z = subprocess.run(["zstd", "-dcq"], stdin=a.stdout, check=True,
                       stdout=subprocess.PIPE)
    if a.wait() != 0:
        sys.exit("cannot open " + path)
    return z.stdout


def main(argv):
    texts = []
    if "--grep" in argv:
        at = argv.index("--grep")
        texts = [t.encode() for t in argv[at + 1:]]
        argv = argv[:at]
    top, key = argv[1:3]
    ref = argv[3] if len(argv) > 3 else None
    segsize = int(os.environ.get("SEGSIZE", 16 << 20))
    bad = 0
    segs = {}
    for d, _, files in sorted(os.walk(top)):
        for f in sorted(files):
            m = NAME.match(f)
            if not m:
                continue
            data = decode(os.path.join(d, f), key)
            name = f[:24]
            at = int(m.group(4), 16) if m.group(4) else 0
            if m.group(4) and at + len(data) != int(m.group(5), 16):
                print("# %s has %d bytes" % (f, len(data)))
                bad = 1
            if not m.group(4) and len(data) != segsize:
                print("# %s has %d bytes" % (f, len(data)))
                bad = 1
            seg, have = segs.setdefault(name, (bytearray(segsize), []))
            for lo, hi in have:
                lo, hi = max(lo, at), min(hi, at + len(data))
                if lo < hi and seg[lo:hi] != data[lo - at:hi - at]:
                    print("# %s disagrees at %x-%x" % (f, lo, hi))
                    bad = 1
            seg[at:at + len(data)] = data
            have.append((at, at + len(data)))
    ranges = {}
    compared = 0
    for name, (seg, have) in sorted(segs.items()):
        tli, log, no = (int(name[i:i + 8], 16) for i in (0, 8, 16))
        start = (log << 32) + no * segsize
        r = ranges.setdefault(tli, [])
        for lo, hi in sorted(have):
            lo, hi = start + lo, start + hi
            if r and lo <= r[-1][1]:
                r[-1][1] = max(r[-1][1], hi)
            else:
                r.append([lo, hi])
        if ref and os.path.exists(os.path.join(ref, name)):
            compared += 1
            with open(os.path.join(ref, name), "rb") as f:
                want = f.read()
            for lo, hi in have:
                if want[lo:hi] != seg[lo:hi]:
                    print("# %s is not what the server sent" % name)
                    bad = 1
    for tli, r in sorted(ranges.items()):
        for lo, hi in r:
            print("%X %X-%X" % (tli, lo, hi))
    if ref and compared == 0:
        print("# nothing could be compared")
        bad = 1
    lacking = [t.decode() for t in texts
               if not any(t in seg for seg, _ in segs.values())]
    if lacking:
        print("# lacking: %d, %s" % (len(lacking), " ".join(lacking[:5])))
        bad = 1
    return bad


sys.exit(main(sys.argv))
