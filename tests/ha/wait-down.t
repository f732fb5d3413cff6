#!/bin/sh
# dr-lag --wait-down: killed, frozen, stopped, it is down; restarted, crowded,
# with a full queue or a frozen postmaster, it is not.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need dr-lag psql python3 pgrep

us() {
	date +%s%6N
}

# watch ARG...: in the background; returns when it holds a connection
watch() {
	: >"$T/w.err"
	dr-lag -vv --wait-down --json "$@" >"$T/w.out" 2>"$T/w.err" &
	w=$!
	helpers_="$helpers_ $w"
	n=0
	until grep -q holding "$T/w.err" || [ "$n" -ge 200 ]; do
		n=$((n + 1))
		sleep 0.05
	done
	sleep 0.2
}

# judged WHAT LOW HIGH: down, that many ms after $t
judged() {
	wait "$w"
	is "$1: it is down" "$?" 0 || sed 's/^/#   /' "$T/w.err"
	python3 -c '
import datetime, json, sys
v = json.load(open(sys.argv[1]))
at = datetime.datetime.fromisoformat(v["judged"].replace("Z", "+00:00"))
print("ms", int((at.timestamp() * 1e6 - int(sys.argv[2])) / 1000))
for k in "down quick held new failures since_good_seconds".split():
    print(k, v.get(k))' "$T/w.out" "$t" >"$T/judged"
	ms=$(sed -n 's/^ms //p' "$T/judged")
	ok "$1: after $ms ms" test "${ms:--1}" -ge "$2" -a "${ms:--1}" -le "$3"
	match "$1: it says so" '^down True$' "$T/judged"
}

# seen FIELD VALUE
seen() {
	is "$1" "$(sed -n "s/^$1 //p" "$T/judged")" "$2"
}

# waits WHAT: it still does, and ends when it is told to
waits() {
	ok "$1: it waits" kill -0 "$w" || sed 's/^/#   /' "$T/w.err" "$T/w.out"
	kill "$w"
	wait "$w" 2>"$T/ok.out"
	is "$1: until it is told to end" "$?" 143
	is "$1: with nothing to say" "$(cat "$T/w.out")" ""
}

# again NAME: started after it was killed; its number may be a zombie's
again() {
	rm -f "$T/$1/postmaster.pid" \
	    "$T/s/.s.PGSQL.$(cat "$T/$1.port").lock"
	pg_start "$1"
}

pg_new main
standby s1 main
pg_start main

# --- killed ------------------------------------------------------------------
# By refusals alone, or it would take minutes.
for i in $(seq "$(count 2 30)"); do
	watch -d "$(at main)" --failures 3 --interval 60s
	t=$(us)
	kill -KILL "$(pm main)"
	judged "killed" 0 5000
	seen quick True
	seen held broken
	seen new refused
	sleep 0.3
	again main
done
watch -d "$(at main)" --interval 60s
# shellcheck disable=SC2046 # words
set -- $(all_of main)
t=$(us)
kill -KILL "$@"
judged "killed, with all its children" 0 5000
seen quick True
sleep 0.3
again main

# --- frozen --------------------------------------------------------------------
watch -d "$(at main)" --failures 3 --interval 200ms
# shellcheck disable=SC2046 # words
set -- $(all_of main)
t=$(us)
freeze "$@"
judged "frozen" 550 2500
seen quick False
seen held silent
seen new hung
thaw
watch -d "$(at main)" --failures 1 --interval 500ms
# shellcheck disable=SC2046 # words
set -- $(all_of main)
t=$(us)
freeze "$@"
judged "one failure is enough" 450 2500
thaw

# --- stopped ---------------------------------------------------------------------
watch -d "$(at main)" --failures 3 --interval 200ms
t=$(us)
pg_stop main
judged "stopped" 550 3000
seen quick False
t=$(us)
status 0 "down to begin with" dr-lag --wait-down -d "$(at main)" \
    --failures 2 --interval 200ms
match "one line says so" "is down: there was no connection to hold, .*refused.*no sign of life" \
    "$T/out"
is "one line" "$(wc -l <"$T/out")" 1
pg_start main

# --- not down ----------------------------------------------------------------------
watch -d "$(at main)" --failures 3 --interval 300ms
freeze "$(pm main)"
python3 - "$T/s/.s.PGSQL.$PGPORT" <<'END' &
import socket, sys, time
held = []
while True:
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(sys.argv[1])
    except BlockingIOError:
        break
    held.append(s)
time.sleep(600)
END
filler=$!
helpers_="$helpers_ $filler"
sleep 1.3
waits "its postmaster is frozen, and its queue full"
match "which is told" "takes no new connections .*, and serves the one that is held" \
    "$T/w.err"
kill "$filler"
thaw
until_ "it works its queue off" psql_ "SELECT 1"

psql_ "CREATE ROLE nobody LOGIN"
psql -qAtX -U nobody -c "SELECT pg_sleep(600)" >"$T/sleep.out" 2>&1 &
helpers_="$helpers_ $!"
watch -d "$(at main) user=nobody" --failures 3 --interval 200ms
psql_ "ALTER ROLE nobody CONNECTION LIMIT 1"
psql_ "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'nobody' AND application_name = 'dr-lag'" >"$T/out"
sleep 1.5
match "its connection is gone" "the held connection broke" "$T/w.err"
match "and it gets no other" "too-many-connections" "$T/w.err"
waits "its connections are taken"

watch -d "$(at main)" --failures 3 --interval 5s
pg_stop main
pg_start main
until_ "a restart: it holds another connection" \
    sh -c "[ \$(grep -c holding '$T/w.err') -ge 2 ]"
psql -qAtX -c "SELECT pg_sleep(600)" >"$T/sleep.out" 2>&1 &
helpers_="$helpers_ $!"
until_sql main 1 "SELECT count(*) FROM pg_stat_activity
    WHERE query = 'SELECT pg_sleep(600)'"
pg_use main
kill -KILL "$(psql_ "SELECT pid FROM pg_stat_activity
    WHERE query = 'SELECT pg_sleep(600)'")"
until_ "a backend dies, all start over: and another" \
    sh -c "[ \$(grep -c holding '$T/w.err') -ge 3 ]"
kill -STOP "$w"
sleep 1
kill -CONT "$w"
sleep 0.3
pg_stop main immediate
pg_start main
until_ "an immediate stop, and a start: and another" \
    sh -c "[ \$(grep -c holding '$T/w.err') -ge 4 ]"
waits "restarted, crashed, restarted"

watch -d "$(at main)" --failures 2 --interval 150ms
kill -STOP "$w"
sleep 1
kill -CONT "$w"
sleep 0.5
waits "frozen itself for a while"

# --- nothing to wait for ------------------------------------------------------
pg_start s1
status 3 "a standby" dr-lag --wait-down -d "$(at s1)" --interval 200ms
match "which is said" "is a standby, not a primary" "$T/err"
status 1 "a role that it does not know" dr-lag --wait-down \
    -d "$(at s1) user=absent"
status 2 "two hosts" dr-lag --wait-down -d "host=a,b"
status 2 "two servers" dr-lag --wait-down -d "$(at s1)" -d "$(at main)"
status 2 "no failure at all" dr-lag --wait-down --failures 0

# A primary that comes back as a standby is one no more.
pg_stop s1
watch -d "$(at main)" --failures 3 --interval 1s
t=$(us)
pg_stop main
as_pg touch "$T/main/standby.signal"
pg_start main
judged "it came back as a standby" 2500 9000
seen new standby

done_testing
