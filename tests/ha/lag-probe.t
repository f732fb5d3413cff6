#!/bin/sh
# dr-lag --probe: each state that a server can be in, by its name and by the
# exit status: 0 healthy, 3 answers but cannot serve, 5 no answer.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need dr-lag psql python3 pgrep unshare

small=
end_probe() {
	thaw
	[ -z "$small" ] || umount -l "$small"
	cleanup_
}
trap end_probe EXIT

# state N STATE WHAT ARG...
state() {
	n_=$1 s_=$2 w_=$3
	shift 3
	status "$n_" "$w_" dr-lag --probe --timeout 600ms "$@"
	match "$w_: $s_" "^[^ ]+ $s_( |:|\$)" "$T/out"
}

pg_new main --wal-segsize=1
echo "superuser_reserved_connections = 97" >>"$T/main/postgresql.conf"
standby s1 main
standby cold main "hot_standby = off"
pg_start main
pg_start s1
pg_use main

# --- healthy -----------------------------------------------------------------
state 0 primary "a primary" -d "$(at main)"
nomatch "nothing is wrong with it" "ms: " "$T/out"
state 0 standby "a standby" -d "$(at s1)"
state 0 primary "the environment"
state 0 primary "a primary that takes writes" --heartbeat -d "$(at main)"
is "its row is there" "$(psql_ "SELECT count(*) FROM drtools.heartbeat")" 1
state 0 standby "nothing is written on a standby" --heartbeat -d "$(at s1)"
status 0 "as JSON" dr-lag --probe --json -d "$(at main)" -d "$(at s1)"
is "which says so" "$(python3 -c '
import json, sys
v = json.load(open(sys.argv[1]))["servers"]
print(*(s["state"] for s in v), *(s["healthy"] for s in v),
    all(0 < s["connect_seconds"] < 9 for s in v))' "$T/out")" \
    "primary standby True True True"

# --- answers, and cannot serve --------------------------------------------------
psql_ "ALTER SYSTEM SET default_transaction_read_only = on"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main on "SHOW default_transaction_read_only"
pg_use main
state 3 read-only "a primary that only reads" -d "$(at main)"
psql_ "ALTER SYSTEM RESET default_transaction_read_only"
psql_ "ALTER SYSTEM SET synchronous_standby_names = 'absent'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main absent "SHOW synchronous_standby_names"
pg_use main
state 0 primary "commits hang, without a write" -d "$(at main)"
state 3 no-write "commits hang, with one" --heartbeat -d "$(at main)"
psql_ "ALTER SYSTEM RESET synchronous_standby_names"
psql_ "SELECT pg_reload_conf()" >"$T/out"

psql_ "CREATE ROLE nobody LOGIN"
# The commit that hung has let go of its connection.
until_sql main 1 "SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend'"
pg_use main
sleepers=
for i in 1 2 3; do
	psql -qAtX -U nobody -c "SELECT pg_sleep(600)" >"$T/sleep.out" 2>&1 &
	sleepers="$sleepers $!"
done
helpers_="$helpers_ $sleepers"
until_sql main 3 "SELECT count(*) FROM pg_stat_activity
    WHERE usename = 'nobody'"
pg_use main
state 3 too-many-connections "its connections are taken" \
    -d "$(at main) user=nobody"
psql_ "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'nobody'" >"$T/out"
# shellcheck disable=SC2086 # words
wait $sleepers 2>"$T/ok.out"

sed -i '1i local all asks scram-sha-256\nlocal all never reject' \
    "$T/main/pg_hba.conf"
psql_ "CREATE ROLE asks LOGIN PASSWORD 'x'; CREATE ROLE never LOGIN"
psql_ "SELECT pg_reload_conf()" >"$T/out"
sleep 0.3
state 3 denied "a password that it does not have" -d "$(at main) user=asks"
state 3 denied "one that is wrong" -d "$(at main) user=asks password=y"
nomatch "which is not shown" "password=" "$T/out"
state 3 denied "a line of pg_hba.conf" -d "$(at main) user=never"
state 3 denied "no such database" -d "$(at main) dbname=none"

# Not in a hurry: such a standby never gets as far as to be waited for.
as_pg "$PGBIN/pg_ctl" -D "$T/cold" -l "$T/cold.log" -W -s \
    -o "-p $(cat "$T/cold.port") -k $T/s -c listen_addresses=" start
n=0
until [ -S "$T/s/.s.PGSQL.$(cat "$T/cold.port")" ] || [ "$n" -ge 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
pids_="$pids_ $(pm cold)"
state 3 starting "a standby that takes no queries" -d "$(at cold)"

psql -qAtX -c "SELECT pg_sleep(600)" >"$T/sleep.out" 2>&1 &
sleeper=$!
helpers_="$helpers_ $sleeper"
until_sql main 1 "SELECT count(*) FROM pg_stat_activity
    WHERE query = 'SELECT pg_sleep(600)'"
pg_use main
freeze "$(psql_ "SELECT pid FROM pg_stat_activity
    WHERE query = 'SELECT pg_sleep(600)'")"
as_pg "$PGBIN/pg_ctl" -D "$T/main" -m fast -W -s stop
state 3 stopping "it shuts down" -d "$(at main)"
thaw
wait "$sleeper" 2>"$T/ok.out"
until_ "it has" test ! -e "$T/main/postmaster.pid"

# --- no answer ----------------------------------------------------------------
state 5 refused "it is down" -d "$(at main)"
state 5 refused "nobody listens at a port" -d "host=127.0.0.1 port=1"
state 3 refused "one of two" -d "$(at main)" -d "$(at s1)"
match "the other is named, too" "standby" "$T/out"
state 5 refused "all hosts of a list" -d "host=127.0.0.1,127.0.0.1 port=1"
is "a line each" "$(wc -l <"$T/out")" 2

freeze "$(pm s1)"
state 5 hung "its postmaster is frozen" -d "$(at s1)"
# shellcheck disable=SC2046 # words
freeze $(all_of s1)
began=$(date +%s%3N)
state 5 hung "all of it is" -d "$(at s1)"
took=$(($(date +%s%3N) - began))
ok "in its time ($took ms)" test "$took" -ge 600 -a "$took" -lt 3000
thaw
state 0 standby "thawed" -d "$(at s1)"

# mute PATH|PORT: takes connections into its queue, and no more
mute() {
	python3 - "$1" "$T/mute.at" <<-'END' &
	import os, socket, sys, time
	where, at = sys.argv[1:]
	unix = where.startswith("/")
	s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
	s.bind(where if unix else ("127.0.0.1", int(where)))
	if unix:
	    os.chmod(where, 0o777)
	s.listen(0)
	full = []
	while unix:
	    c = socket.socket(socket.AF_UNIX)
	    c.setblocking(False)
	    try:
	        c.connect(where)
	    except BlockingIOError:
	        break
	    full.append(c)
	with open(at + ".new", "w") as f:
	    f.write(str(where if unix else s.getsockname()[1]))
	os.rename(at + ".new", at)
	time.sleep(600)
	END
	helpers_="$helpers_ $!"
	n=0
	until [ -e "$T/mute.at" ] || [ "$n" -ge 200 ]; do
		n=$((n + 1))
		sleep 0.05
	done
	where=$(cat "$T/mute.at")
	rm -f "$T/mute.at"
}
mute 0
state 5 hung "a port that says nothing" -d "host=127.0.0.1 port=$where"
mute "$T/s/.s.PGSQL.5998"
state 5 hung "a queue that is full" -d "port=5998"
match "which is said" "queue of new connections is full" "$T/out"

if unshare -rn true 2>"$T/ok.out"; then
	status 5 "no way there" unshare -rn "$bin/dr-lag" --probe \
	    -d "host=192.0.2.1"
	match "no way there: unreachable" " unreachable" "$T/out"
	status 5 "no such name" unshare -rn "$bin/dr-lag" --probe \
	    -d "host=none.invalid"
	match "no such name: unreachable" " unreachable" "$T/out"
else
	skip "no way there" "no network namespaces here"
fi

# A resolver that says nothing would keep libpq for many times the timeout.
echo "nameserver 127.0.0.1" >"$T/resolv.conf"
cat >"$T/mute_dns.py" <<-'END'
	import os, socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("127.0.0.1", 53))
	os.set_inheritable(s.fileno(), True)
	os.execv(sys.argv[1], sys.argv[1:])
	END
if unshare -rmn sh -c "ip link set lo up && mount --bind '$T/resolv.conf' \
    /etc/resolv.conf" >"$T/ok.out" 2>&1; then
	began=$(date +%s%3N)
	status 3 "a resolver that says nothing" unshare -rmn sh -c '
		ip link set lo up
		mount --bind "$1/resolv.conf" /etc/resolv.conf
		t=$1
		shift
		exec python3 "$t/mute_dns.py" "$@"' sh "$T" "$bin/dr-lag" \
	    --probe --timeout 1s -d host=db.example -d "$(at s1)"
	took=$(($(date +%s%3N) - began))
	match "it is unreachable" "unreachable: cannot look up the host" \
	    "$T/out"
	match "and in nobody's way" " standby" "$T/out"
	ok "in time ($took ms)" test "$took" -lt 3500
else
	skip "a resolver that says nothing" "no namespaces here"
fi

# --- a full disk ----------------------------------------------------------------
pg_stop s1
if [ "$root_" = yes ] && mkdir "$T/small" &&
    mount -t tmpfs -o size=96m,mode=777 tmpfs "$T/small" 2>"$T/ok.out"; then
	small=$T/small
	as_pg cp -a "$T/main" "$T/small/full"
	ln -s small/full "$T/full"
	pg_start full
	state 0 primary "room enough" --heartbeat
	psql_ "CHECKPOINT"
	dd if=/dev/zero of="$T/small/zeros" bs=64k >"$T/ok.out" 2>&1
	state 0 primary "a full disk, without a write" -d ""
	state 3 disk-full "with one" --heartbeat
	match "which is said" "No space left on device" "$T/out"
	rm "$T/small/zeros"
	state 0 primary "room again" --heartbeat
	pg_stop full
else
	skip "a full disk" "only root can make a small one"
fi

# --- mistakes -----------------------------------------------------------------
status 2 "a string that cannot be used" dr-lag --probe -d "hoost=a"
status 2 "--failures without --wait-down" dr-lag --probe --failures 3
status 2 "a store" dr-lag --probe "$T/store"

done_testing
