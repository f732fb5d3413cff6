"""sink.py - somewhere for alerts to go: keeps what is posted to it.

    sink.py PORT DIRECTORY

Each POST is a file in DIRECTORY, NUMBER.json: {"path", "headers", "body"}.
How it answers stands in DIRECTORY/answers, one for each request until there
are no more: a status, "slow SECONDS", or "cut" (it hangs up).  Then 200.
DIRECTORY/port holds the port (0 asks for any) when it listens.
"""
import http.server
import json
import os
import sys
import threading
import time

port, folder = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
count = 0


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global count
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            count += 1
            n = count
            how = "200"
            answers = os.path.join(folder, "answers")
            if os.path.exists(answers):
                with open(answers) as f:
                    lines = f.read().splitlines()
                if lines:
                    how = lines.pop(0)
                    with open(answers, "w") as f:
                        f.write("".join(s + "\n" for s in lines))
            name = os.path.join(folder, "%03d.json" % n)
            with open(name + ".tmp", "w") as f:
                json.dump({"path": self.path, "answer": how,
                           "headers": dict(self.headers),
                           "body": body.decode("utf-8", "backslashreplace")},
                          f)
            os.rename(name + ".tmp", name)
        words = how.split()
        if words[0] == "slow":
            time.sleep(float(words[1]))
        if words[0] == "cut":
            self.close_connection = True
            return
        status = int(words[0]) if words[0].isdigit() else 200
        text = b"ok" if status < 300 else b"no: " + how.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            pass

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Sink)
with open(os.path.join(folder, "port.tmp"), "w") as f:
    f.write(str(server.server_address[1]))
os.rename(os.path.join(folder, "port.tmp"), os.path.join(folder, "port"))
server.serve_forever()
