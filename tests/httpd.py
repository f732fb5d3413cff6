#!/usr/bin/env python3
"""httpd.py - a server over HTTP that errs on demand, for tests.

usage: httpd.py DIR [tls]

Listens on free ports of 127.0.0.1 and says which on standard output, one
"NAME PORT" a line and then "ready".  Ends at the end of its standard input.

A path is /KEY/DO[,DO...]: the n-th request with that KEY gets the n-th of
them, and all later ones the last.  A DO may have arguments after colons:

  ok[:N]        200 and N bytes
  say           200 and METHOD, LENGTH and SHA-256 of the body, a number for
                the connection and one for the request on it
  N[:H=V...]    status N with "no" for a body, and headers
  fat:STATUS:N  that status and N bytes
  cut:N:M       200, Content-Length N, and M bytes only
  early:N       status N after the head; the body is not read
  rst, close    read it, then reset or close the connection
  rsthead       reset it after the head
  okclose       as ok, then close without having said so
  silent        read it, and never answer
  deaf          read the head, and nothing more
  half:N:M      as cut, then silent
  drip:N:MS     N bytes, one every MS
  slow:MS       200 after MS
  nagle         200, its body sent after the head by Nagle's algorithm
  endless       200 and bytes without end
  heads         headers without end
  garbage       nothing that HTTP knows

"/KEY/count" says how many requests with KEY there were before.

Port "rst" resets its first two connections at once.  With tls (it needs the
cryptography package), DIR/ca.pem is made, and good, expired, early, other (a
name), stranger (an authority) and old (TLS 1.1) are ports that speak TLS.
"""
import datetime
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import warnings

LOCK = threading.Lock()
SEEN = {}
CONNS = [0]


def reset(conn):
    if isinstance(conn, ssl.SSLSocket):
        conn = socket.socket(fileno=conn.detach())
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    conn.close()


def pattern(n):
    return (bytes(range(251)) * (n // 251 + 1))[:n]


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.buf = b""
        self.nth = 0
        with LOCK:
            CONNS[0] += 1
            self.number = CONNS[0]

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buf += data

    def head(self):
        while b"\r\n\r\n" not in self.buf:
            self.more()
            if self.buf[:1] == b"\x16":  # TLS, where none is spoken
                self.answer(400, b"")
                raise EOFError
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields[name.lower()] = value.strip()
        return lines[0].split(" "), fields

    def body(self, n):
        digest = hashlib.sha256()
        left = n
        while left > 0:
            if not self.buf:
                self.more()
            piece, self.buf = self.buf[:left], self.buf[left:]
            left -= len(piece)
            digest.update(piece)
        return digest.hexdigest()

    def answer(self, status, data, fields=(), length=None, head=False):
        length = len(data) if length is None else length
        text = "HTTP/1.1 %d Some\r\nContent-Length: %d\r\n" % (status, length)
        text += "".join("%s: %s\r\n" % f for f in fields) + "\r\n"
        self.sock.sendall(text.encode() + (b"" if head else data))

    def wait(self):
        try:
            while self.sock.recv(1):
                pass
        except OSError:
            pass

    def ask(self, words, fields):
        path = urllib.parse.unquote(words[1].split("?")[0])
        if path.startswith("http://"):  # we are a proxy
            path = path[path.index("/", 7):]
        path = path.split("/")
        key, dos = path[1], path[2].split(",")
        with LOCK:
            n = SEEN.get(key, 0)
            if dos != ["count"]:
                SEEN[key] = n + 1
        do, *args = dos[min(n, len(dos) - 1)].split(":")
        size = int(fields.get("content-length", "0"))
        if fields.get("transfer-encoding") or \
                (words[0] in ("PUT", "POST") and "content-length" not in fields):
            self.answer(411, b"no length")
            return True
        self.nth += 1
        ishead = words[0] == "HEAD"
        if do == "count":
            self.answer(200, b"%d" % n)
            return True
        if do == "rsthead":
            reset(self.sock)
            return False
        if do == "deaf":
            time.sleep(20)
            return False
        if do == "early":
            self.answer(int(args[0]), b"early", [("Connection", "close")])
            self.sock.shutdown(socket.SHUT_WR)
            self.wait()
            return False
        digest = self.body(size)
        if do == "ok":
            self.answer(200, pattern(int(args[0]) if args else 0), head=ishead)
        elif do == "okclose":
            self.answer(200, b"")
            return False
        elif do == "say":
            got = "%s %d %s %d %d %s" % (words[0], size, digest, self.number,
                                         self.nth, fields.get("x-test", "-"))
            self.answer(200, got.encode(), [("X-Seen", got)], head=ishead)
        elif do.isdigit():
            self.answer(int(do), b"no", [tuple(a.split("=", 1)) for a in args],
                        head=ishead)
        elif do == "fat":
            self.answer(int(args[0]), pattern(int(args[1])))
        elif do in ("cut", "half"):
            self.answer(200, pattern(int(args[1])), length=int(args[0]))
            if do == "half":
                self.wait()
            return False
        elif do == "rst":
            reset(self.sock)
            return False
        elif do == "close":
            return False
        elif do == "silent":
            self.wait()
            return False
        elif do == "drip":
            self.answer(200, b"", length=int(args[0]))
            for _ in range(int(args[0])):
                self.sock.sendall(b"x")
                time.sleep(int(args[1]) / 1000)
        elif do == "slow":
            time.sleep(int(args[0]) / 1000)
            self.answer(200, b"slow")
        elif do == "nagle":
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            self.answer(200, b"", length=4)
            self.sock.sendall(b"late")
        elif do == "endless":
            self.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                self.sock.sendall(pattern(65536))
        elif do == "heads":
            self.sock.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.sock.sendall(b"X-Y: " + b"z" * 1000 + b"\r\n")
        elif do == "garbage":
            self.sock.sendall(b"\x00\x01 what?\r\n\r\n")
            return False
        else:
            self.answer(404, b"no such thing to do")
        return True


def serve(sock, ctx):
    try:
        if ctx is not None:
            sock = ctx.wrap_socket(sock, server_side=True)
        conn = Conn(sock)
        while conn.ask(*conn.head()):
            pass
    except (OSError, EOFError, ValueError):
        pass
    try:
        sock.close()
    except OSError:
        pass


def listen(name, ctx=None, resets=0):
    srv = socket.socket()
    srv.bind(("127.0.0.1", 0))
    srv.listen(64)

    def run(resets):
        while True:
            sock, _ = srv.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if resets > 0:
                resets -= 1
                reset(sock)
                continue
            threading.Thread(target=serve, args=(sock, ctx),
                             daemon=True).start()

    threading.Thread(target=run, args=(resets,), daemon=True).start()
    print(name, srv.getsockname()[1], flush=True)


def certificates(folder):
    import ipaddress
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.utcnow()
    day = datetime.timedelta(days=1)

    def make(name, issuer, san, begins, ends, ca=False):
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        b = x509.CertificateBuilder().subject_name(who)
        b = b.issuer_name(issuer[0].subject if issuer else who)
        b = b.public_key(key.public_key())
        b = b.serial_number(x509.random_serial_number())
        b = b.not_valid_before(begins).not_valid_after(ends)
        b = b.add_extension(x509.BasicConstraints(ca, None), True)
        if san:
            b = b.add_extension(x509.SubjectAlternativeName(san), False)
        cert = b.sign(issuer[1] if issuer else key, hashes.SHA256())
        with open(os.path.join(folder, name + ".pem"), "wb") as f:
            f.write(cert.public_bytes(serialization.Encoding.PEM))
            if not ca:
                f.write(key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption()))
        return cert, key

    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    there = [x509.DNSName("elsewhere.test")]
    ca = make("ca", None, None, now - day, now + day, True)
    stranger = make("nobody", None, None, now - day, now + day, True)
    make("good", ca, here, now - day, now + day)
    make("old", ca, here, now - day, now + day)
    make("expired", ca, here, now - 3 * day, now - day)
    make("early", ca, here, now + day, now + 3 * day)
    make("other", ca, there, now - day, now + day)
    make("stranger", stranger, here, now - day, now + day)


def main():
    folder = sys.argv[1]
    warnings.simplefilter("ignore")  # of TLS 1.1 being old
    listen("plain")
    listen("rst", resets=2)
    if sys.argv[2:] == ["tls"]:
        certificates(folder)
        for name in ("good", "expired", "early", "other", "stranger", "old"):
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if name == "old":
                ctx.set_ciphers("DEFAULT@SECLEVEL=0")
                ctx.minimum_version = ssl.TLSVersion.TLSv1_1
                ctx.maximum_version = ssl.TLSVersion.TLSv1_1
            ctx.load_cert_chain(os.path.join(folder, name + ".pem"))
            listen(name, ctx)
    print("ready", flush=True)
    sys.stdin.read()


main()
