#!/bin/sh
# dr-lag --listen: what it answers to scrapes, and to the health checks of a
# real HAProxy, while servers and stores are well, frozen, gone, or two.
. "${0%/*}/../lib.sh"
. "${0%/*}/../servers.sh"
. "${0%/*}/../proxy.sh"
. "${0%/*}/ha.sh"
need curl haproxy python3 psql pgrep promtool

on() {
	(pg_use "$1" && psql_ "$2")
}

# get_ PATH: the status; the body in $T/body
get_() {
	curl -s -o "$T/body" -w '%{http_code}' -m 5 "http://127.0.0.1:$port$1"
}

says_() {
	[ "$(get_ "$1")" = "$2" ]
}

# answer STATUS PATH WHAT
answer() {
	is "$3" "$(get_ "$2")" "$1"
}

# soon STATUS PATH WHAT: within 15 s
soon() {
	until_ "$3" says_ "$2" "$1"
}

# serve ARG...: in the background, its pid in $lag
serve() {
	dr-lag --listen "127.0.0.1:$port" --interval 300ms "$@" >"$T/lag.out" \
	    2>"$T/lag.err" &
	lag=$!
	helpers_="$helpers_ $lag"
}

end_lag() {
	kill "$lag"
	wait "$lag" 2>/dev/null
	is "it ends of the signal" "$?" 143
}

pg_new main
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
standby b main
pg_start main
pg_start b
until_sql main streaming "SELECT state FROM pg_stat_replication"
pg_use main
psql_ "CREATE TABLE t (a int)"
take_port_ || skip_all "no port"
port=$port_

# --- what there is to ask for --------------------------------------------------------
mkdir "$T/store"
status 2 "an address that is none" dr-lag -d "$(at main)" --listen nowhere
match "is told" 'no address to listen on' "$T/err"
status 2 "two forms at once" dr-lag --json --listen :1
serve -d "$(at main)" -d "$(at b)" --no-signature "$T/store"
soon 200 /health "it has looked"
status 1 "a second one on that port" \
    dr-lag -d "$(at main)" --listen "127.0.0.1:$port"
match "is told why" 'Address already in use' "$T/err"
answer 200 /primary "the first server is the primary"
match "it says which" '^main: primary$' "$T/body"
answer 200 /read-write "and takes writes"
answer 503 /replica "it is no replica"
answer 503 '/primary?server=b' "the other is no primary"
answer 503 '/read-write?server=b' "nor takes it writes"
answer 200 '/replica?server=b' "but is a replica"
answer 200 '/replica?server=b&lag=0' "that lacks nothing"
answer 200 '/replica?lag=16MB&server=b' "in any order"
answer 200 '/health?server=b' "and well"
answer 400 '/replica?server=b&lag=much' "a size that is none"
answer 404 '/primary?server=x' "a server that is none"
answer 404 /x "a page that is none"
answer 200 / "the front page"
answer 200 /status "the report"
ok "is JSON" python3 -c "import json; d = json.load(open('$T/body'))
assert d['primary'] == 'main' and d['standbys'][0]['replay_lag_bytes'] == 0"
answer 200 /metrics "samples"
ok "which promtool takes" sh -c "promtool check metrics <'$T/body'"
match "they say how old they are" \
    '^drtools_listen_report_age_seconds [0-9.]+$' "$T/body"
match "that is not too old" '^drtools_listen_stale 0$' "$T/body"
match "and what servers are" '^drtools_server_up\{server="b"\} 1$' "$T/body"
is "HEAD has no body" "$(curl -s -I -o "$T/body" -w '%{http_code}' \
    "http://127.0.0.1:$port/primary")" 200
is "POST is refused" "$(curl -s -d x=y -o "$T/body" -w '%{http_code}' \
    "http://127.0.0.1:$port/primary")" 413
is "so is DELETE" "$(curl -s -X DELETE -o "$T/body" -w '%{http_code}' \
    "http://127.0.0.1:$port/primary")" 405

cat >"$T/crowd.py" <<'END'
"""Clients that are many, slow, rude or busy."""
import http.client, socket, sys, time
port, pid = int(sys.argv[1]), sys.argv[2]
rss = lambda: int(next(l for l in open(f"/proc/{pid}/status")
                       if l.startswith("VmRSS")).split()[1])
# Its end of those that are open; its descriptors are for root to see.
held = lambda: sum(l.split()[1].endswith(f":{port:04X}") and
                   l.split()[3] == "01" for l in open("/proc/net/tcp"))
def get(path="/metrics"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    t = time.monotonic()
    c.request("GET", path)
    r = c.getresponse()
    n = len(r.read())
    c.close()
    return r.status, n, time.monotonic() - t
idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
assert get()[0] == 200, "served beside 100 that say nothing"
for i, s in enumerate(idle[50:]):
    try:
        s.sendall(b"GET /metr" if i % 2 else b"\0\xff" * 2000)
    except OSError:
        pass
status, n, took = get()
assert status == 200 and n > 500, "beside 50 that send half of one"
assert took < 1, f"at once: {took}"
assert 0 < held() <= 64, f"{held()} connections"
for s in idle:
    s.close()
keep = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
def many(n):
    for _ in range(n):
        keep.request("GET", "/metrics")
        r = keep.getresponse()
        assert r.status == 200
        r.read()
many(200)
before = rss()
many(int(sys.argv[3]))
assert rss() - before < 1024, f"from {before} to {rss()} KiB"
# All at once, on one connection.
s = socket.create_connection(("127.0.0.1", port), timeout=3)
s.sendall(b"GET /health HTTP/1.1\r\n\r\n" * 50 +
          b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
got = b""
while True:
    part = s.recv(65536)
    if not part:
        break
    got += part
assert got.count(b"HTTP/1.1 200 OK") == 51, got.count(b"HTTP/1.1 200 OK")
# A client that does not read what it asked for.
lazy = socket.create_connection(("127.0.0.1", port))
lazy.setblocking(False)
try:
    for _ in range(2000):
        lazy.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
except BlockingIOError:
    pass
assert get("/health")[2] < 1
END
ok "many clients, slow ones, rude ones; its memory stays" \
    python3 "$T/crowd.py" "$port" "$lag" "$(count 1000 50000)"

# --- HAProxy -----------------------------------------------------------------------
mkdir "$T/ha"
[ "$root_" = no ] || chown postgres: "$T/ha"
cat >"$T/haproxy.conf" <<-END
global
    stats socket $T/ha/stats mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 2s
    option httpchk
    default-server inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
frontend writes
    bind unix@$T/ha/.s.PGSQL.5600
    default_backend writes
frontend reads
    bind unix@$T/ha/.s.PGSQL.5601
    default_backend reads
backend writes
    http-check send meth GET uri-lf /read-write?server=%[srv_name]
    server main unix@$T/s/.s.PGSQL.$(cat "$T/main.port") check addr 127.0.0.1 port $port
    server b unix@$T/s/.s.PGSQL.$(cat "$T/b.port") check addr 127.0.0.1 port $port
backend reads
    http-check send meth OPTIONS uri-lf /replica?server=%[srv_name]&lag=1M
    server main unix@$T/s/.s.PGSQL.$(cat "$T/main.port") check addr 127.0.0.1 port $port
    server b unix@$T/s/.s.PGSQL.$(cat "$T/b.port") check addr 127.0.0.1 port $port
END
haproxy -db -f "$T/haproxy.conf" >"$T/haproxy.log" 2>&1 &
helpers_="$helpers_ $!"

# by PORT SQL: through HAProxy
by() {
	PGCONNECT_TIMEOUT=3 psql -qAtX -h "$T/ha" -p "$1" -U postgres \
	    -d postgres -c "$2" 2>/dev/null
}

by_is() {
	[ "$(by "$1" "$2")" = "$3" ]
}

until_ "writes go to the primary" by_is 5600 "SHOW cluster_name" main
until_ "reads go to the standby" by_is 5601 "SHOW cluster_name" b
is "a write" "$(by 5600 "INSERT INTO t VALUES (1) RETURNING a")" 1

# A standby whose replay stands still is behind, and gets no reads.
on b "SELECT pg_wal_replay_pause()" >"$T/out"
soon 503 '/replica?server=b' "replay is paused"
until_ "reads go nowhere" by_is 5601 "SELECT 1" ""
on b "SELECT pg_wal_replay_resume()" >"$T/out"
soon 200 '/replica?server=b&lag=1M' "it goes on"
until_ "reads are back" by_is 5601 "SHOW cluster_name" b

# --- a frozen primary ----------------------------------------------------------------
# shellcheck disable=SC2046
freeze $(all_of main)
n=0 slow=0
while [ $n -lt 15 ]; do
	t=$(curl -s -o "$T/body" -w '%{time_total}' -m 5 \
	    "http://127.0.0.1:$port/metrics")
	[ "$(echo "$t" | tr -d .)" -lt 500000 ] || slow=$((slow + 1))
	n=$((n + 1))
	sleep 0.1
done
is "a scrape does not wait for it" "$slow" 0
soon 503 /primary "it is no primary then"
thaw
soon 200 /primary "when it is back, it is"

# --- the child that looks ------------------------------------------------------------
end_lag
serve -d "$(at main)" -d "$(at b)"
soon 200 /primary "servers alone"
worker=$(pgrep -P "$lag" | head -n 1)
freeze "$worker"
soon 503 /primary "what nobody looks at is not healthy"
match "it says why" 'too old' "$T/body"
answer 503 /status "nor is the report"
answer 200 /metrics "samples are still served"
match "which say that they are too old" '^drtools_listen_stale 1$' "$T/body"
nomatch "and nothing else" '^drtools_(server|primaries)' "$T/body"
thaw
soon 200 /primary "it looks again"
kill -KILL "$worker"
sleep 1
soon 200 /primary "another takes its place"

# --- two primaries, of which one is of yesterday --------------------------------------
pg_stop main immediate
soon 503 /primary "the primary is gone"
on b "SELECT pg_promote()" >"$T/out"
soon 200 '/read-write?server=b' "the other was promoted"
until_ "writes go there" by_is 5600 "SHOW cluster_name" b
pg_start main
soon 503 /read-write "the old one is back, and gets no writes"
until_ "it is seen" says_ /health 200
answer 503 /primary "it is no primary beside a newer one"
match "it says why" 'main: primary, and so is b on timeline 2' "$T/body"
answer 200 '/primary?server=b' "the newer one is"
is "writes go there still" "$(by 5600 "SHOW cluster_name")" b
end_lag
is "no child is left" "$(pgrep -f "listen 127.0.0.1:$port" | wc -l)" 0

# --- a store that hangs ------------------------------------------------------------------
cat >"$T/hang.py" <<'END'
import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
held = []
while True:
    held.append(s.accept())
END
python3 "$T/hang.py" >"$T/hang.port" &
helpers_="$helpers_ $!"
until_ "something that never answers" test -s "$T/hang.port"
AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
serve -d "$(at b)" --no-signature --timeout 60s -n x \
    "s3://b/p?endpoint=http://127.0.0.1:$(cat "$T/hang.port")&region=r"
soon 200 /primary "a store that hangs"
sleep 2
soon 200 /primary "does not make the server look ill"
answer 503 /status "there is no report yet"
pg_stop b immediate
soon 503 /primary "and it is still looked at"
end_lag

# --- a socket ----------------------------------------------------------------------------
dr-lag --listen "$T/ha/lag" --interval 300ms -d "$(at main)" 2>"$T/lag.err" &
lag=$!
helpers_="$helpers_ $lag"
by_path() {
	curl -s -m 5 --unix-socket "$T/ha/lag" http://x/primary | grep -q primary
}
until_ "on a path" by_path
end_lag
ok "which goes with it" test ! -e "$T/ha/lag"

done_testing
