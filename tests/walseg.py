#!/usr/bin/env python3
"""walseg.py DIR NAME [key=value]... - a made-up WAL segment for tests.

Writes DIR/pg_wal/NAME, whose pages have the headers that a server of version
15 would write, and, where there is none, DIR/global/pg_control.

keys: sysid, tli, addr (of the first page), seed (of what the pages hold),
segsize, len (of the file).
"""
import os
import random
import struct
import sys

top, name = sys.argv[1:3]
o = dict(a.split('=', 1) for a in sys.argv[3:])
sysid = int(o.get('sysid', 7300000000000000001))
segsize = int(o.get('segsize', 1 << 20))
tli = int(o.get('tli', int(name[:8], 16)))
addr = (int(name[8:16], 16) << 32) + int(name[16:24], 16) * segsize
addr = int(o.get('addr', addr))
rnd = random.Random(o.get('seed', name))
noise = rnd.randbytes(2048)
out = bytearray()
for at in range(0, segsize, 8192):
    page = struct.pack('<HHIQI4x', 0xD110, 0 if at else 2, tli, addr + at, 0)
    if at == 0:
        page += struct.pack('<QII', sysid, segsize, 8192)
    page += struct.pack('<Q', rnd.getrandbits(64)) + noise
    out += page.ljust(8192, b'\0')
for d in ('pg_wal/archive_status', 'global'):
    os.makedirs(os.path.join(top, d), exist_ok=True)
control = os.path.join(top, 'global/pg_control')
if not os.path.exists(control):
    with open(control, 'wb') as f:
        f.write(struct.pack('<QII', sysid, 1300, 202209061).ljust(8192, b'\0'))
with open(os.path.join(top, 'pg_wal', name), 'wb') as f:
    f.write(out[:int(o.get('len', segsize))])
