#!/bin/sh
# dr-promote with the hooks that are shipped, and clients behind PgBouncer: a
# switch in good order, and a failover from one that hangs.
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
. "$top/tests/ha/promote.sh"
need psql pgbouncer pgbench python3 dr-promote

hooks=$top/scripts/hooks
trio_made || exit 1
trio || exit 1
cat >"$T/databases.ini" <<END
app = host=$T/s port=$(cat "$T/main.port") dbname=postgres user=postgres
END
cat >"$T/pb.ini" <<END
[databases]
%include $T/databases.ini
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $T/s
auth_type = any
admin_users = admin
pool_mode = transaction
server_login_retry = 0.2
logfile = $T/pb.log
pidfile = $T/s/pb.pid
END
: >"$T/pb.log"
chmod 666 "$T/pb.log"
as_pg pgbouncer -q -d "$T/pb.ini" >"$T/pb.out" 2>&1
until_ "PgBouncer runs" test -s "$T/s/pb.pid" -a -S "$T/s/.s.PGSQL.6432" || exit 1
helpers_="$helpers_ $(cat "$T/s/pb.pid")"
through="host=$T/s port=6432 user=postgres dbname=app"

# The names of the servers are those of their directories here.
node="sh $hooks/node-local --bindir $PGBIN -D \"$T/\$DR_NODE\" --log $T/start.log \
    --options \"-p \$DR_PORT -k $T/s -c listen_addresses=\""
route="sh $hooks/route-pgbouncer -f $T/databases.ini -b app \
    -d 'host=$T/s port=6432 user=admin'"
names='ANY 1 (b, c)'
promote() { # VERB ARG...
	v_=$1
	shift
	# shellcheck disable=SC2046 # words
	set -- $(all_d) "$@"
	env HOME="$T/home" timeout 120 dr-promote "$v_" -n main --lock none \
	    --sync-names "$names" --timeout 5s --yes --json \
	    --stop "$node" --start "$node" --route "$route" --through "$through" "$@"
	rc_=$?
	for n_ in main b c; do # started by a hook, perhaps
		[ ! -s "$T/$n_/postmaster.pid" ] || pids_="$pids_ $(pm $n_)"
	done
	return $rc_
}
echo "INSERT INTO t DEFAULT VALUES;" >"$T/load.sql"
bench() { # SECONDS
	(cd "$T" && exec timeout 120 pgbench -n -c 6 -j 2 -T "$1" -f "$T/load.sql" \
	    "$through") >"$T/load.out" 2>&1 &
	bench=$!
}

# --- a switch, under load -----------------------------------------------------------
bench 5
until_sql main t "SELECT count(*) > 50 FROM t"
status 0 "main steps down for b" promote switchover --candidate b 
wait "$bench"
is "no client had an error" "$?" 0
match "none at all" '^number of failed transactions: 0 ' "$T/load.out"
n=$(sed -n 's/^number of transactions actually processed: //p' "$T/load.out")
is "every row is there" "$(PGPORT=$(cat "$T/b.port") psql_ "SELECT count(*) FROM t")" "$n"
is "clients are led to b" "$(psql -qAtX "$through" -c "SHOW cluster_name")" b
until_sql b 2 "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
match "the file has the epoch" "^; route-pgbouncer: epoch [0-9]+, host $T/s, port $(cat "$T/b.port")\$" \
    "$T/databases.ini"
e=$(sed -n 's/^; route-pgbouncer: epoch \([0-9]*\),.*/\1/p' "$T/databases.ini")

# --- the primary hangs ------------------------------------------------------------------
fence="sh $hooks/fence-local --kill -D \"$T/\$DR_NODE\""
bench 60
until_sql b t "SELECT count(*) > $n + 50 FROM t"
# shellcheck disable=SC2046 # words
freeze $(all_of b)
names='ANY 1 (main, c)'
status 0 "b hangs: failover" promote failover --fence "$fence"
match "by the proof of the hook" '"fenced_by":"hook"' "$T/out"
frozen_=
is "b is dead" "$(for p in /proc/[0-9]*; do readlink "$p/cwd"; done 2>/dev/null | grep -cx "$T/b")" 0
new=$(sed -n 's/.*"candidate":"\([a-z]*\)".*/\1/p' "$T/out")
is "clients are led to the new one" \
    "$(timeout 20 psql -qAtX "$through" -c "SHOW cluster_name")" "$new"
ok "and write" timeout 20 psql -qAtX "$through" -c "INSERT INTO t DEFAULT VALUES"
kill "$bench" 2>/dev/null
wait "$bench"
e2=$(sed -n 's/^; route-pgbouncer: epoch \([0-9]*\),.*/\1/p' "$T/databases.ini")
ok "by a higher epoch" test "$e2" -gt "$e"

done_testing
