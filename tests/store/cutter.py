#!/usr/bin/env python3
"""An HTTP proxy before one server that breaks things at an exact byte.

    cutter.py PORT SERVER-PORT RULES HITS

RULES is read again for every request; a line is COUNT, ACTION, ARG and REGEX
with tabs between them.  The first whose REGEX is found in "METHOD URL" acts,
COUNT times at most, and each time a line goes to HITS:

    cut-reply N     the reply's body ends after N bytes
    cut-request N   N bytes of the request's body go on, then both sides end
    short-reply N   the server is asked, and N bytes of the reply's body come,
                    as if they were all (its length says so)
    flip N          byte N of the reply's body is another
    stall N         N bytes of the reply's body, then nothing for 300 s
    slow N          N bytes a second of the reply's body
    slow-request N  likewise of the request's body
    lost -          the request is carried out; no reply
    mute -          likewise, and the connection stays
    error200 CODE   not carried out; 200 and an S3 error of that code
    after200 CODE   carried out; 200 and an S3 error of that code, or XML
    forget STATUS   not carried out; that status, as if it had been
    status N CODE   not carried out; that status and an S3 error
    none -

Whoever asks for a whole URL takes it for a proxy, which it is, too.
"""
import hashlib
import re
import socket
import sys
import threading
import time

port, upstream, rules, hits = (int(sys.argv[1]), int(sys.argv[2]),
                               sys.argv[3], sys.argv[4])
lock = threading.Lock()
used = {}


def rule_for(what):
    with lock:
        for line in open(rules):
            count, action, arg, regex = line.rstrip("\n").split("\t")
            if re.search(regex, what):
                if used.get(line, 0) >= int(count):
                    continue
                used[line] = used.get(line, 0) + 1
                with open(hits, "a") as f:
                    f.write(what + "\n")
                return action, arg
    return "none", ""


class Side:
    """A connection that is read line by line and in blocks."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.file = sock, sock.makefile("rb", 1 << 16)

    def head(self):
        lines = []
        while True:
            line = self.file.readline(65536)
            if not line:
                return None
            if line in (b"\r\n", b"\n"):
                if lines:
                    return lines
                continue
            lines.append(line)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.file.close()
        self.sock.close()


class Ended(Exception):
    pass


def field(head, name):
    for line in head[1:]:
        k, _, v = line.decode("latin-1").partition(":")
        if k.strip().lower() == name:
            return v.strip()
    return None


def blocks(side, head, bodiless=False):
    """The body as it stands on the wire, chunks decoded."""
    if bodiless:
        return
    if (field(head, "transfer-encoding") or "").lower() == "chunked":
        while True:
            size = int(side.file.readline().split(b";")[0], 16)
            data = side.file.read(size)
            side.file.readline()
            if size == 0:
                return
            yield data
    left = int(field(head, "content-length") or 0)
    while left > 0:
        data = side.file.read1(min(left, 1 << 16))
        if not data:
            raise Ended
        left -= len(data)
        yield data


def reset(side):
    side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")


def shaped(data, action, arg, side):
    """Send blocks on as the rule says; True: the connection is to end."""
    limit = int(arg) if arg.isdigit() else 0
    done = 0
    for block in data:
        if action.startswith("cut") or action == "stall":
            block = block[:max(0, limit - done)]
        elif action == "flip" and done <= limit < done + len(block):
            i = limit - done
            block = block[:i] + bytes([block[i] ^ 1]) + block[i + 1:]
        while block:
            piece = block
            if action.startswith("slow"):
                piece = block[:max(1, limit // 10)]
                time.sleep(len(piece) / limit)
            side.sock.sendall(piece)
            done += len(piece)
            block = block[len(piece):]
        if done >= limit and action == "stall":
            time.sleep(300)
            return True
        if done >= limit and action.startswith("cut"):
            return True
    return False


def answer(client, method, status, text, body):
    client.sock.sendall(
        (f"HTTP/1.1 {status} {text}\r\nContent-Type: application/xml\r\n"
         f"Content-Length: {len(body)}\r\n\r\n").encode() +
        (b"" if method == "HEAD" else body))


def error(code):
    if code.startswith("<"):
        return code.encode()
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}'
            "</Code><Message>spoilt</Message>" +
            ("<Region>eu-test-1</Region>" if "Header" in code else "") +
            "</Error>").encode()


def one(client, server):
    """One request and its reply."""
    head = client.head()
    if head is None:
        raise Ended
    method, url = head[0].decode("latin-1").split()[:2]
    whole = re.match(rb"http://[^/ ]*", url.encode("latin-1"))
    if whole:
        head[0] = head[0].replace(whole[0], b"", 1)
    action, arg = rule_for(method + " " + url)
    if (field(head, "expect") or "").lower() == "100-continue":
        client.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = [h for h in head if not h.lower().startswith(b"expect:")]
    if action in ("error200", "status"):
        for _ in blocks(client, head):
            pass
        if action == "status":
            number, _, code = arg.partition(" ")
            answer(client, method, int(number), "Spoilt", error(code or "Spoilt"))
        else:
            answer(client, method, 200, "OK", error(arg))
        return
    if action == "forget":
        got = hashlib.md5()
        for data in blocks(client, head):
            got.update(data)
        client.sock.sendall(
            (f"HTTP/1.1 {arg} Done\r\nETag: \"{got.hexdigest()}\"\r\n"
             "Content-Length: 0\r\n\r\n").encode())
        return
    server.sock.sendall(b"".join(head) + b"\r\n")
    asked = action if action in ("cut-request", "slow-request") else ""
    if shaped(blocks(client, head), asked, arg, server):
        reset(server)
        reset(client)
        raise Ended
    while True:
        back = server.head()
        if back is None:
            raise Ended
        status = int(back[0].split()[1])
        if status != 100:
            break
    bodiless = method == "HEAD" or status in (204, 304)
    if action in ("lost", "mute", "after200", "short-reply"):
        body = b"".join(blocks(server, back, bodiless))
        if action == "mute":
            time.sleep(300)
            raise Ended
        if action == "lost":
            reset(client)
            raise Ended
        if action == "after200":
            answer(client, method, 200, "OK", error(arg))
            return
        body = body[:int(arg)]
        back = [h for h in back
                if not h.lower().startswith((b"content-length:",
                                             b"transfer-encoding:"))]
        client.sock.sendall(b"".join(back) + b"Content-Length: %d\r\n\r\n"
                            % len(body) + body)
        return
    chunked = (field(back, "transfer-encoding") or "").lower() == "chunked"
    if chunked:
        body = b"".join(blocks(server, back, bodiless))
        back = [h for h in back
                if not h.lower().startswith(b"transfer-encoding:")]
        client.sock.sendall(b"".join(back) + b"Content-Length: %d\r\n\r\n"
                            % len(body))
        data = iter([body])
    else:
        client.sock.sendall(b"".join(back) + b"\r\n")
        data = blocks(server, back, bodiless)
    if shaped(data, "" if asked else action, arg, client):
        raise Ended
    if (field(back, "connection") or "").lower() == "close":
        raise Ended


def serve(sock):
    client = server = None
    try:
        client = Side(sock)
        server = Side(socket.create_connection(("127.0.0.1", upstream), 10))
        server.sock.settimeout(None)
        while True:
            one(client, server)
    except (Ended, OSError, ValueError):
        pass
    finally:
        for s in (client, server):
            if s is not None:
                s.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
# What a client has sent and then given up on is not to arrive much later.
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
listener.bind(("127.0.0.1", port))
listener.listen(128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],),
                     daemon=True).start()
