#!/bin/sh
# The hook that leads HAProxy's clients: in good order, away from a primary
# that hangs, and so that a restart of HAProxy remembers.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need psql haproxy perl flock getent python3

hook=$top/scripts/hooks/route-haproxy
now_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}
# shellcheck disable=SC2046 # words
set -- $(python3 -c 'import socket
s = [socket.socket() for _ in range(6)]
for x in s:
	x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
for n in main b c; do
	echo "$1" >"$T/$n.port"
	echo "$PGBIN" >"$T/$n.bin"
	shift
done
wport=$1 rport=$2 hold=$3
main_port=$(cat "$T/main.port") b_port=$(cat "$T/b.port") c_port=$(cat "$T/c.port")

# tcp_start NAME: HAProxy wants an address
tcp_start() {
	: >>"$T/$1.log"
	[ "$root_" = no ] || chown postgres: "$T/$1.log"
	as_pg "$PGBIN/pg_ctl" -D "$T/$1" -l "$T/$1.log" -w -s -t 60 \
	    -o "-p $(cat "$T/$1.port") -k $T/s -c listen_addresses=127.0.0.1" \
	    start >"$T/ctl.out" 2>&1 </dev/null || {
		sed 's/^/# /' "$T/ctl.out" "$T/$1.log"
		exit 1
	}
	pids_="$pids_ $(head -n 1 "$T/$1/postmaster.pid")"
}
pg_new main || exit 1
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
standby b main
standby c main
for n in main b c; do
	tcp_start $n
done
until_sql main 2 "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
PGPORT=$main_port psql_ "CREATE TABLE t (id bigserial, at text)"

# --- HAProxy -------------------------------------------------------------------
mkdir "$T/ha"
cat >"$T/ha.cfg" <<END
global
	stats socket $T/ha/sock mode 600 level admin
	stats socket $T/ha/user mode 600 level user
	server-state-file $T/ha/state
defaults
	mode tcp
	timeout connect 1s
	retries 30
	timeout client 1h
	timeout server 1h
	load-server-state-from-file global
	default-server on-marked-down shutdown-sessions
frontend write
	bind 127.0.0.1:$wport
	default_backend pg_write
frontend read
	bind 127.0.0.1:$rport
	default_backend pg_read
backend pg_write
	option redispatch 1
	server hold 127.0.0.1:$hold backup
	server n1 localhost:$main_port disabled
	server n2 127.0.0.1:$b_port disabled
	server n3 127.0.0.1:$c_port disabled
backend pg_read
	server n1 localhost:$main_port disabled
	server n2 127.0.0.1:$b_port
	server n3 127.0.0.1:$c_port
END
ha_start() {
	haproxy -W -db -f "$T/ha.cfg" >>"$T/ha.log" 2>&1 </dev/null &
	ha=$!
	helpers_="$helpers_ $ha"
	until_ "HAProxy runs" api "show info" || exit 1
}
api() { # COMMAND
	perl -MIO::Socket::UNIX -e 'alarm 5;
	$s = IO::Socket::UNIX->new(Peer => shift) or exit 1;
	print $s shift, "\n"; $s->flush; print while <$s>' "$T/ha/sock" "$1"
}
# route ACTION [VARIABLE=VALUE]... [-- OPTION...]
route() {
	a_=$1
	shift
	n_=$#
	while [ "$n_" -gt 0 ] && [ "$1" != -- ]; do
		set -- "$@" "$1"
		shift
		n_=$((n_ - 1))
	done
	o_=
	if [ "$n_" -gt 0 ]; then
		shift
		n_=$((n_ - 1))
		while [ "$n_" -gt 0 ]; do
			o_="$o_ $1"
			shift
			n_=$((n_ - 1))
		done
	fi
	# shellcheck disable=SC2086 # words
	env DR_ACTION="$a_" "$@" timeout 30 sh "$hook" -S "$T/ha/sock" \
	    -s "$T/ha/state" -b pg_write -r pg_read $o_
}
# via PORT SQL
via() {
	PGCONNECT_TIMEOUT=${limit:-5} timeout "${limit:-10}" psql -XqAt -v ON_ERROR_STOP=1 \
	    "host=127.0.0.1 port=$1 user=postgres dbname=postgres" -c "$2"
}
is_at="SELECT current_setting('cluster_name')"
ready() { # BACKEND: its servers that are ready
	api "show stat" | awk -F , -v b="$1" '
	$1 == b && $2 != "BACKEND" && $2 != "hold" && $18 !~ /MAINT|DRAIN/ { printf "%s ", $2 }'
}
ha_start

# --- what it is told -------------------------------------------------------------
status 2 "without a socket" env DR_ACTION=resume sh "$hook" -s x -b x
status 2 "without an action" env DR_ACTION= sh "$hook" -S x -s x -b x
status 2 "without an epoch" route switch DR_HOST=x DR_PORT=1
status 1 "no HAProxy there" env DR_ACTION=resume sh "$hook" -S "$T/nowhere" \
    -s "$T/ha/state" -b pg_write
match "is said" 'cannot ask HAProxy at' "$T/err"
status 1 "a backend that is not there" env DR_ACTION=resume sh "$hook" \
    -S "$T/ha/sock" -s "$T/ha/state" -b nowhere
status 1 "a server that is not there" route switch DR_HOST=127.0.0.1 DR_PORT=1 DR_EPOCH=1
match "is said, too" 'no server of backend pg_write is at 127.0.0.1, port 1' "$T/err"
status 3 "nothing is set up" route check -- --check
match "nobody is ready" 'has 0 servers that are ready, not one' "$T/err"
status 0 "a dry run" route switch DR_HOST=localhost DR_PORT="$main_port" DR_EPOCH=1 \
    DR_REPLICAS="127.0.0.1:$b_port 127.0.0.1:$c_port" -- -n
match "prints orders" '^set server pg_write/n1 state ready$' "$T/out"
is "and gives none" "$(ready pg_write)" ""
ok "or leaves anything" test ! -e "$T/ha/state.epoch"

# --- the first time ----------------------------------------------------------------
status 0 "led to main" route switch DR_HOST=localhost DR_PORT="$main_port" DR_EPOCH=3 \
    DR_REPLICAS="127.0.0.1:$b_port 127.0.0.1:$c_port"
match "which is said" '^pg_write: n1 \(localhost, port [0-9]*\), epoch 3; pg_read: n2 n3$' "$T/out"
is "clients write there" "$(via "$wport" "INSERT INTO t (at) VALUES ('main') RETURNING at")" main
is "and read elsewhere" "$(ready pg_read)" "n2 n3 "
is "really" "$(via "$rport" "SELECT pg_is_in_recovery()")" t
status 0 "all is set up well" route check -- --check
status 3 "but for a socket that takes no orders" sh "$hook" --check -S "$T/ha/user" \
    -s "$T/ha/state" -b pg_write
match "which is seen" 'takes no orders' "$T/err"
status 0 "a laggard" route switch DR_HOST=localhost DR_PORT="$main_port" DR_EPOCH=3 \
    DR_REPLICAS="127.0.0.1:$b_port 127.0.0.1:$c_port" -- -l "127.0.0.1:$b_port"
is "gets no readers" "$(ready pg_read)" "n3 "
status 0 "all lag" route switch DR_HOST=localhost DR_PORT="$main_port" DR_EPOCH=3 \
    DR_REPLICAS="127.0.0.1:$b_port 127.0.0.1:$c_port" -- -l n2 -l n3
is "then the primary has them" "$(ready pg_read)" "n1 "

# --- a planned switch ------------------------------------------------------------------
# Clients that connect anew for each write: they wait, and none fails.
clients=4
for i in $(seq $clients); do
	(
		until [ -e "$T/stop" ]; do
			limit=25 via "$wport" "INSERT INTO t (at)
			    VALUES (current_setting('cluster_name'))" 2>&1 ||
				echo "failed: $?"
		done
	) >"$T/client.$i" 2>&1 &
	helpers_="$helpers_ $!"
	eval "c$i=$!"
done
# And one that stays connected all the time.
via "$wport" "SELECT pg_sleep(20)" >"$T/stays" 2>&1 &
stays=$!
until_sql main t "SELECT count(*) > 5 FROM t"
until_sql main 1 "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
status 0 "paused" route pause DR_EPOCH=3
status 0 "and once more" route pause DR_EPOCH=3
status 3 "which is seen" route check -- --check
match "as it is" 'it is paused' "$T/err"
none() {
	[ "$(PGPORT=$main_port psql_ "SELECT count(*) FROM pg_stat_activity
	    WHERE query ~ '^INSERT'")" = 0 ]
}
until_ "those at work end, and no others come" none
n=$(PGPORT=$main_port psql_ "SELECT count(*) FROM t")
sleep 0.5
is "really none" "$(PGPORT=$main_port psql_ "SELECT count(*) FROM t")" "$n"
status 0 "resumed" route resume DR_EPOCH=3
until_sql main t "SELECT count(*) > $n FROM t"
status 0 "paused again" route pause DR_EPOCH=3
until_ "those at work end" none
pg_stop main
wait "$stays"
ok "the one that stayed was cut off" grep -q 'terminating connection\|closed the connection' "$T/stays"
PGPORT=$b_port psql_ "SELECT pg_promote()" >/dev/null
until_sql b f "SELECT pg_is_in_recovery()"
t=$(now_ms)
status 0 "switched" route switch DR_HOST=127.0.0.1 DR_PORT="$b_port" DR_EPOCH=4 \
    DR_REPLICAS="127.0.0.1:$c_port"
note "a planned switch took $(($(now_ms) - t)) ms"
until_sql b t "SELECT count(*) > 3 FROM t WHERE at = 'b'"
touch "$T/stop"
for i in $(seq $clients); do
	eval "wait \$c$i"
done
is "no client that came meanwhile had an error" "$(cat "$T"/client.*)" ""
is "writes go to one server alone" "$(ready pg_write)" "n2 "
is "reads to the standby" "$(ready pg_read)" "n3 "
ok "nothing is left of the pause" test ! -e "$T/ha/state.paused"

# --- who is late -----------------------------------------------------------------------
for a in pause resume switch; do
	status 3 "$a: a lower epoch" route $a DR_HOST=localhost DR_PORT="$main_port" \
	    DR_EPOCH=3
	match "is refused" 'refused: .* is of epoch 4 already, and this is 3' "$T/err"
done
status 3 "the same epoch, but elsewhere" route switch DR_HOST=localhost \
    DR_PORT="$main_port" DR_EPOCH=4
is "is refused, too" "$(ready pg_write)" "n2 "

# --- HAProxy is started anew ---------------------------------------------------------------
kill "$ha"
wait "$ha"
ha_start
is "it remembers where writes go" "$(ready pg_write)" "n2 "
is "and reads" "$(ready pg_read)" "n3 "
is "clients find it so" "$(via "$wport" "$is_at") $(via "$rport" "$is_at")" "b c"

# --- the primary hangs -----------------------------------------------------------------------
PGPORT=$c_port psql_ "ALTER SYSTEM SET primary_conninfo = 'host=$T/s port=$b_port user=postgres'"
PGPORT=$c_port psql_ "SELECT pg_reload_conf()" >/dev/null
until_sql b 1 "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
limit=60 via "$wport" "SELECT pg_sleep(50)" >"$T/hangs" 2>&1 &
hangs=$!
until_sql b 1 "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
# shellcheck disable=SC2046 # words
freeze $(all_of b)
PGPORT=$c_port psql_ "SELECT pg_promote()" >/dev/null
until_sql c f "SELECT pg_is_in_recovery()"
t=$(now_ms)
status 0 "switched away from one that hangs" route switch DR_HOST=127.0.0.1 \
    DR_PORT="$c_port" DR_EPOCH=5 DR_REPLICAS=
note "an emergency switch took $(($(now_ms) - t)) ms"
is "a client can write" \
    "$(limit=5 via "$wport" "INSERT INTO t (at) VALUES ('c') RETURNING at")" c
w=$(($(now_ms) - t))
ok "soon ($w ms)" test "$w" -lt 5000
wait "$hangs"
ok "one that hung is free" test "$(($(now_ms) - t))" -lt 8000
is "and knows it" "$(grep -c 'closed the connection' "$T/hangs")" 1
is "readers have the primary, where there is nobody else" "$(via "$rport" "$is_at")" c
thaw

# --- killed while it writes ------------------------------------------------------------------
e=5
while [ $e -lt $((5 + $(count 6 100))) ]; do
	e=$((e + 1))
	if [ $((e % 2)) -eq 0 ]; then p=$b_port; else p=$c_port; fi
	env DR_ACTION=switch DR_HOST=127.0.0.1 DR_PORT="$p" DR_EPOCH=$e DR_REPLICAS= \
	    timeout -s KILL "0.0$(((e * 3) % 10))$((e % 10))" sh "$hook" -S "$T/ha/sock" \
	    -s "$T/ha/state" -b pg_write -r pg_read >>"$T/ok.out"
	read -r n _ <"$T/ha/state.epoch"
	[ "$n" -ge 5 ] || echo "$e: $n"
	awk 'NR == 1 && $0 != "1" || NR == 9 { n++ }
	    END { exit !(n == 1 && NR == 9) }' "$T/ha/state" || echo "$e: torn"
done >"$T/torn" 2>&1
is "killed at any moment, it leaves whole files" "$(grep -v Killed "$T/torn")" ""
e=$((e + 1))
status 0 "and the next one goes on" route switch DR_HOST=127.0.0.1 DR_PORT="$c_port" \
    DR_EPOCH=$e DR_REPLICAS=
is "nothing else lies there" "$(ls "$T/ha")" "sock
state
state.epoch
user"
is "clients go on" "$(via "$wport" "$is_at")" c

done_testing
