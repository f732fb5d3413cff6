#!/bin/sh
# The hook that leads PgBouncer's clients: from a primary that is stopped in
# good order, and from one that hangs or died, to a standby that takes over.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need psql pgbouncer pgbench timeout flock python3

hook=$top/scripts/hooks/route-pgbouncer
now_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}

# --- a primary, its standby, and a PgBouncer before them ----------------------
pg_new main || exit 1
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
standby b main
pg_start main || exit 1
pg_start b || exit 1
until_sql main streaming "SELECT state FROM pg_stat_replication"
main_port=$(cat "$T/main.port") b_port=$(cat "$T/b.port")
PGPORT=$main_port psql_ "CREATE TABLE t (id bigserial, at text)"

cat >"$T/databases.ini" <<END
; the applications'
app = host=$T/s port=$main_port dbname=postgres user=postgres
  a-b.c= user=postgres dbname='postgres' port = $main_port  host='$T/s'
other = host=$T/s port=$main_port dbname=postgres
END
# pool LINE...: a PgBouncer that reads them
pool() {
	cat >"$T/pb.ini" <<-END
	[databases]
	%include $T/databases.ini
	[pgbouncer]
	listen_addr =
	listen_port = 6432
	unix_socket_dir = $T/s
	auth_type = any
	admin_users = admin
	stats_users = stats
	pool_mode = transaction
	default_pool_size = 10
	logfile = $T/pb.log
	pidfile = $T/s/pb.pid
	END
	for l_; do
		echo "$l_" >>"$T/pb.ini"
	done
	: >"$T/pb.log"
	chmod 666 "$T/pb.log"
	as_pg pgbouncer -q -d "$T/pb.ini" >"$T/pb.out" 2>&1
	until_ "PgBouncer runs" test -s "$T/s/pb.pid" -a -S "$T/s/.s.PGSQL.6432" || {
		sed 's/^/# /' "$T/pb.log" "$T/pb.out"
		exit 1
	}
	pb=$(cat "$T/s/pb.pid")
	helpers_="$helpers_ $pb"
}
pool_ends() {
	kill "$pb"
	until_ "PgBouncer ends" test ! -e "$T/s/pb.pid"
	rm -f "$T/s/.s.PGSQL.6432"
}
pool "server_login_retry = 0.2"
admin="host=$T/s port=6432 user=admin"
console() {
	timeout 10 psql -XqAt -d "$admin dbname=pgbouncer" -c "$1"
}
# through SQL: as a client of PgBouncer's
through() {
	PGCONNECT_TIMEOUT=3 timeout "${limit:-10}" psql -XqAt -v ON_ERROR_STOP=1 \
	    "host=$T/s port=6432 user=postgres dbname=app" -c "$1"
}
# route ACTION [VARIABLE=VALUE]... [-- OPTION...]
route() {
	a_=$1
	shift
	v_="DR_ACTION=$a_"
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		v_="$v_ $1"
		shift
	done
	[ $# -eq 0 ] || shift
	# shellcheck disable=SC2086 # words
	env $v_ timeout 30 sh "$hook" -f "$T/databases.ini" -b app \
	    -b a-b.c -d "$admin" "$@"
}

# --- what it is told ------------------------------------------------------------
status 2 "without an action" env DR_ACTION= sh "$hook" -f "$T/databases.ini" \
    -b app -d "$admin"
status 2 "without an epoch" route switch DR_HOST=x DR_PORT=1
status 2 "without a host" route switch DR_EPOCH=1 DR_PORT=1
status 2 "an unknown option" route switch DR_EPOCH=1 -- --frobnicate
match "is named" 'unknown option "--frobnicate"' "$T/err"
status 1 "a file that is not there" env DR_ACTION=resume sh "$hook" \
    -f "$T/nowhere" -b app -d "$admin"
status 1 "a database that is not there" route resume -- -b nothere
match "is named, too" '"nothere" stands in none of the files' "$T/err"

cp "$T/databases.ini" "$T/was.ini"
status 0 "a dry run" route switch DR_HOST="$T/s" DR_PORT="$b_port" DR_EPOCH=4 -- -n
match "shows the change" "^\+app = host=$T/s port=$b_port dbname=postgres" "$T/out"
nomatch "and leaves others alone" '^[-+]other' "$T/out"
ok "and changes nothing" cmp "$T/databases.ini" "$T/was.ini"

# A whole ini, with all that may stand in one.
cat >"$T/whole.ini" <<'END'
;; databases
[databases]
; app = host=commented out
app=dbname=x host=old.example.net   port=1 password='it''s \ "x" host=no' pool_size=3
	app-2 = port=2
[users]
app = pool_mode=session host=none
[pgbouncer]
app = host=none
%include /nowhere.ini
END
status 0 "a whole ini" env DR_ACTION=switch DR_HOST=2001:db8::1 DR_PORT=5 DR_EPOCH=1 \
    sh "$hook" -n -f "$T/whole.ini" -b app -b app-2 -d "$admin"
is "has its databases changed, and nothing else" \
    "$(grep '^[-+][^-+]' "$T/out" | sed 's/[[:space:]]/_/g')" \
    "+;_route-pgbouncer:_epoch_1,_host_2001:db8::1,_port_5
-app=dbname=x_host=old.example.net___port=1_password='it''s_\\_\"x\"_host=no'_pool_size=3
-_app-2_=_port=2
+app=host=2001:db8::1_port=5_dbname=x_password='it''s_\\_\"x\"_host=no'_pool_size=3
+_app-2_=_host=2001:db8::1_port=5"
echo "app = host='open" >"$T/whole.ini"
status 1 "one that is not understood" env DR_ACTION=resume sh "$hook" \
    -f "$T/whole.ini" -b app -d "$admin"
match "is said to be so" 'cannot understand .*database "app"' "$T/err"

# --- is all well? -----------------------------------------------------------------
status 0 "all is set up well" route check -- --check
is "and nothing said" "$(cat "$T/out" "$T/err")" ""
console "SET server_login_retry = 15" >"$T/ok.out" 2>&1
status 3 "a long server_login_retry" route check -- --check
match "is a warning" 'warning: .*server_login_retry is 15 s' "$T/err"
console "SET server_login_retry = 0.2" >"$T/ok.out" 2>&1
status 3 "who may not give orders" env DR_ACTION=resume sh "$hook" --check \
    -f "$T/databases.ini" -b app -d "host=$T/s port=6432 user=stats"
match "is told" 'warning: .*may not give orders' "$T/err"
status 5 "no PgBouncer there" sh "$hook" --check -f "$T/databases.ini" \
    -b app -d "host=$T/s port=6433 user=admin"
sed "s/port=$main_port/port=1/" "$T/databases.ini" >"$T/astray.ini"
status 3 "another file than it reads" sh "$hook" --check -f "$T/astray.ini" \
    -b app -d "$admin"
match "is seen" 'warning: .*not what the file says' "$T/err"

# --- a pause, given up -----------------------------------------------------------
PGPORT=6432 psql -XqAt "host=$T/s user=postgres dbname=app" \
    -c "SELECT pg_sleep(3)" >"$T/sleep.out" 2>&1 &
sleeper=$!
in_flight() {
	console "SHOW SERVERS" | grep -q '|active|'
}
until_ "a transaction runs" in_flight
t=$(now_ms)
status 3 "a pause that would take too long" route pause -- --pause-timeout 300ms
ok "is given up in time" test $(($(now_ms) - t)) -lt 2500
match "which is said" 'not paused, clients go on: .*longer than 0.300 s' "$T/err"
is "clients go on" "$(through 'SELECT 1')" 1
t=$(now_ms)
status 3 "the caller's limit counts, too" route pause DR_TIMEOUT_MS=1300
ok "that soon" test $(($(now_ms) - t)) -lt 2500
wait "$sleeper"
is "and the one that took so long went well" "$?" 0

# killed in the middle
PGPORT=6432 psql -XqAt "host=$T/s user=postgres dbname=app" \
    -c "SELECT pg_sleep(2)" >"$T/sleep.out" 2>&1 &
sleeper=$!
until_ "a transaction runs" in_flight
DR_ACTION=pause sh "$hook" -f "$T/databases.ini" -b app -b a-b.c \
    -d "$admin" >"$T/out" 2>"$T/err" &
p=$!
paused() {
	console "SHOW DATABASES" | grep '^app|' | grep -Eq '\|1\|[01]$'
}
until_ "a pause begins" paused
kill -TERM "$p"
wait "$p"
is "it is told to stop" "$?" 143
ok "and clients go on" test "$(through 'SELECT 1')" = 1
wait "$sleeper"

# --- a planned switch, under load -------------------------------------------------
echo "INSERT INTO t (at) VALUES (current_setting('port'));" >"$T/load.sql"
load() { # SECONDS
	cd "$T" && exec timeout 60 pgbench -n -c 8 -j 2 -T "$1" -f "$T/load.sql" \
	    "host=$T/s port=6432 user=postgres dbname=app"
}
(load 4) >"$T/load.out" 2>&1 &
load=$!
until_sql main t "SELECT count(*) > 100 FROM t"
status 0 "paused" route pause DR_EPOCH=4
is "no transaction runs any more" "$(console "SHOW SERVERS" | grep -c '|postgres|app|')" 0
PGPORT=$main_port psql_ "ALTER SYSTEM SET default_transaction_read_only = off"
pg_stop main
end=$(as_pg "$PGBIN/pg_controldata" "$T/main" |
    sed -n 's/^Latest checkpoint location: *//p')
until_sql b t "SELECT pg_last_wal_receive_lsn() > '$end'"
PGPORT=$b_port psql_ "SELECT pg_promote()" >/dev/null
until_sql b f "SELECT pg_is_in_recovery()"
t=$(now_ms)
status 0 "switched" route switch DR_HOST="$T/s" DR_PORT="$b_port" DR_EPOCH=5
note "a planned switch took $(($(now_ms) - t)) ms"
match "and it says where to" "^app, a-b.c: $T/s, port $b_port, epoch 5$" "$T/out"
wait "$load"
is "no client of the load had an error" "$?" 0
match "at all" '^number of failed transactions: 0 ' "$T/load.out"
n=$(sed -n 's/^number of transactions actually processed: //p' "$T/load.out")
is "every transaction is there" "$(PGPORT=$b_port psql_ "SELECT count(*) FROM t")" "$n"
is "on both sides of the switch" \
    "$(PGPORT=$b_port psql_ "SELECT string_agg(DISTINCT at, ' ' ORDER BY at) FROM t")" \
    "$main_port $b_port"
is "all other lines are as they were" \
    "$(grep -E '^(other|; the)' "$T/databases.ini")" \
    "$(grep -E '^(other|; the)' "$T/was.ini")"
is "the one with the odd name as well" \
    "$(console "SHOW DATABASES" | grep '^a-b' | cut -d '|' -f 1-4)" \
    "a-b.c|$T/s|$b_port|postgres"
is "the file is as private as before" "$(stat -c %a "$T/databases.ini")" \
    "$(stat -c %a "$T/was.ini")"

# --- who is late ------------------------------------------------------------------
cp "$T/databases.ini" "$T/five.ini"
for a in pause resume switch; do
	status 3 "$a: a lower epoch" route $a DR_HOST="$T/s" DR_PORT="$main_port" \
	    DR_EPOCH=4
	match "is refused" 'refused: .* is of epoch 5 already, and this is 4' "$T/err"
done
status 3 "the same epoch, but elsewhere" route switch DR_HOST="$T/s" \
    DR_PORT="$main_port" DR_EPOCH=5
match "is refused, too" 'in epoch 5 .* leads to .* already' "$T/err"
status 0 "the same once more" route switch DR_HOST="$T/s" DR_PORT="$b_port" DR_EPOCH=5
ok "the file is as it was" cmp "$T/databases.ini" "$T/five.ini"

# --- two of them, which read one file ------------------------------------------------
sed "s/6432/6433/; s/pb.log/pb2.log/; s/pb.pid/pb2.pid/" "$T/pb.ini" >"$T/pb2.ini"
: >"$T/pb2.log"
chmod 666 "$T/pb2.log"
status 1 "one of two is not there" route switch DR_HOST="$T/s" DR_PORT="$b_port" \
    DR_EPOCH=5 -- -d "host=$T/s port=6433 user=admin"
match "and is named" 'cannot switch: "host=.* port=6433 user=admin": ' "$T/err"
as_pg pgbouncer -q -d "$T/pb2.ini" >"$T/pb.out" 2>&1
until_ "a second PgBouncer runs" test -s "$T/s/pb2.pid" -a -S "$T/s/.s.PGSQL.6433"
pb2=$(cat "$T/s/pb2.pid")
helpers_="$helpers_ $pb2"
status 0 "two are paused" env DR_ACTION=pause timeout 30 sh "$hook" \
    -f "$T/databases.ini" -b app -d "$admin" -d "host=$T/s port=6433 user=admin"
paused_at() {
	timeout 10 psql -XqAt -d "host=$T/s port=$1 user=admin dbname=pgbouncer" \
	    -c "SHOW DATABASES" | grep '^app|' | grep -Eq '\|1\|[01]$'
}
ok "one of them" paused_at 6432
ok "and the other" paused_at 6433
status 0 "both go on" env DR_ACTION=switch DR_HOST="$T/s" DR_PORT="$b_port" DR_EPOCH=5 \
    timeout 30 sh "$hook" -f "$T/databases.ini" -b app -d "$admin" \
    -d "host=$T/s port=6433 user=admin"
for p in 6432 6433; do
	is "at $p" "$(PGCONNECT_TIMEOUT=3 timeout 10 psql -XqAt -c 'SHOW port' \
	    "host=$T/s port=$p user=postgres dbname=app")" "$b_port"
done
kill "$pb2"

# --- the primary hangs --------------------------------------------------------------
# main, which b was made from, follows now.
cat >>"$T/main/postgresql.conf" <<END
primary_conninfo = 'host=$T/s port=$b_port user=postgres application_name=main'
wal_retrieve_retry_interval = 100ms
END
as_pg touch "$T/main/standby.signal"
pg_start main || exit 1
until_sql b streaming "SELECT state FROM pg_stat_replication"
(load 30) >"$T/load.out" 2>&1 &
load=$!
until_ "transactions run" in_flight
# shellcheck disable=SC2046 # words
freeze $(all_of b)
PGPORT=$main_port psql_ "SELECT pg_promote()" >/dev/null
until_sql main f "SELECT pg_is_in_recovery()"
# One tries all the time.
try() {
	until [ -e "$T/written" ]; do
		limit=1 through "INSERT INTO t (at) VALUES ('try')" \
		    >/dev/null 2>&1 && now_ms >"$T/written.tmp" &&
			mv "$T/written.tmp" "$T/written"
	done
}
try &
try=$!
t=$(now_ms)
status 0 "switched away from one that hangs" route switch DR_HOST="$T/s" \
    DR_PORT="$main_port" DR_EPOCH=6
note "an emergency switch took $(($(now_ms) - t)) ms"
match "those that hung with it are free" 'clients that hung were dropped' "$T/out"
until_ "and a client can write" test -e "$T/written"
kill "$try" 2>/dev/null
wait "$try" 2>/dev/null
w=$(($(cat "$T/written") - t))
ok "soon ($w ms)" test "$w" -lt 5000
kill "$load" 2>/dev/null
wait "$load"
is "nothing of it went to the one that hangs" \
    "$(console "SHOW SERVERS" | grep '|app|' | grep -c "|$b_port|")" 0
thaw

# --- the primary dies, and nobody hangs ------------------------------------------------
# b was promoted by itself then: it is no standby of main's.
pg_stop b immediate
rm -rf "$T/b"
PGPORT=$main_port as_pg "$PGBIN/pg_basebackup" -h "$T/s" -p "$main_port" -U postgres \
    -D "$T/b" -c fast --no-sync >"$T/ok.out" 2>&1
sed -i "s/^port = .*/port = $b_port/; s/^cluster_name.*/cluster_name = 'b'/
    s/^primary_conninfo.*/primary_conninfo = 'host=\/nowhere'/" \
    "$T/b/postgresql.conf"
as_pg touch "$T/b/standby.signal"
pg_start b || exit 1
(
	cd "$T" || exit
	exec timeout 60 python3 - "$T/s/.s.PGSQL.6432" <<-'END'
	# A client that keeps its connection: it notices nothing.
	import os, socket, struct, sys, time
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.settimeout(30)
	m = b"\0\3\0\0user\0postgres\0database\0app\0\0"
	s.sendall(struct.pack("!I", len(m) + 4) + m)
	f = s.makefile("rb")
	def answer():
	    while True:
	        t = f.read(1)
	        n, = struct.unpack("!I", f.read(4))
	        b = f.read(n - 4)
	        if t == b"E":
	            print("error", b, flush=True)
	        if t == b"D":
	            print(b[6:].decode(), flush=True)
	        if t == b"Z":
	            return
	answer()
	q = b"SELECT current_setting('port')\0"
	for i in range(2):
	    s.sendall(b"Q" + struct.pack("!I", len(q) + 4) + q)
	    answer()
	    while i == 0 and not os.path.exists("go"):
	        time.sleep(0.05)
	END
) >"$T/kept" 2>&1 &
kept=$!
until_ "a client is connected" grep -qx "$main_port" "$T/kept"
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main) 2>/dev/null
PGPORT=$b_port psql_ "SELECT pg_promote()" >/dev/null
until_sql b f "SELECT pg_is_in_recovery()"
status 0 "switched away from one that died" route switch DR_HOST="$T/s" \
    DR_PORT="$b_port" DR_EPOCH=7
nomatch "nobody hung" 'dropped' "$T/out"
echo >"$T/go"
wait "$kept"
is "one that was idle has noticed nothing" "$(tr '\n' ' ' <"$T/kept")" \
    "$main_port $b_port "

# --- killed while it writes --------------------------------------------------------------
lines=$(wc -l <"$T/databases.ini")
e=7
while [ $e -lt $((7 + $(count 8 100))) ]; do
	e=$((e + 1))
	env DR_ACTION=switch DR_HOST="$T/s" DR_PORT="$b_port" DR_EPOCH=$e \
	    timeout -s KILL "0.0$(((e * 7) % 10))$((e % 10))" sh "$hook" \
	    -f "$T/databases.ini" -b app -b a-b.c -d "$admin" >>"$T/ok.out"
	[ "$(wc -l <"$T/databases.ini")" -eq "$lines" ] || echo "$e"
done >"$T/torn" 2>&1
is "killed at any moment, it leaves a whole file" "$(grep -v Killed "$T/torn")" ""
e=$((e + 1))
status 0 "and the next one goes on" route switch DR_HOST="$T/s" DR_PORT="$b_port" \
    DR_EPOCH=$e
is "of the others nothing is left" "$(find "$T" -maxdepth 1 -name '*.dr-tmp')" ""
is "clients write" "$(through "INSERT INTO t (at) VALUES ('end') RETURNING at")" end

# --- a pool that waits for server_login_retry ---------------------------------------------
pool_ends
pool "server_login_retry = 15"
pg_stop b immediate
limit=1 through "SELECT 1" >"$T/ok.out" 2>&1
pg_start b
t=$(now_ms)
status 0 "a pool that could not log in" route switch DR_HOST="$T/s" \
    DR_PORT="$b_port" DR_EPOCH=$((e + 1))
is "is made anew, and serves" "$(through "SELECT 1")" 1
ok "before its time ($(($(now_ms) - t)) ms)" test $(($(now_ms) - t)) -lt 8000
pool_ends

done_testing
