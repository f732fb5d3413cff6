#!/bin/sh
# Through PgBouncer, whatever its mode: the same views, writes and probes; or
# a clear word why not.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need "$top/build/$V/ha/view" psql pgbouncer

pg_new main
pg_start main
psql_ "CREATE ROLE u LOGIN SUPERUSER"

# pool MODE
pool() {
	cat >"$T/pb.ini" <<-END
	[databases]
	app = host=$T/s port=$PGPORT dbname=postgres user=postgres
	[pgbouncer]
	listen_addr =
	listen_port = 6432
	unix_socket_dir = $T/s
	auth_type = any
	admin_users = admin
	pool_mode = $1
	logfile = $T/pb.log
	pidfile = $T/s/pb.pid
	END
	: >"$T/pb.log"
	chmod 666 "$T/pb.log"
	as_pg pgbouncer -q -d "$T/pb.ini" >"$T/pb.out" 2>&1
	until_ "PgBouncer runs" test -s "$T/s/pb.pid" -a -S "$T/s/.s.PGSQL.6432"
	pb=$(cat "$T/s/pb.pid")
	helpers_="$helpers_ $pb"
}

through="host=$T/s port=6432 user=u dbname=app"
for mode in session transaction statement; do
	pool "$mode"
	views "$through"
	says "pooled by $mode: a view" 0.state primary
	says "with the end of WAL" 0.lsn \
	    "$(psql_ "SELECT pg_current_wal_flush_lsn()")"
	says "with its timeline" 0.tli 1
	views -b "$through"
	says "pooled by $mode: a heartbeat" 0.state primary
	below "in its time" 0.beat 3000000
	if [ "$mode" = transaction ]; then
		is "nothing that was set stays behind" \
		    "$(psql -qAtX "$through" -c 'SHOW statement_timeout')" 0
	fi
	if [ "$mode" = statement ]; then
		views "$through options='-c geqo=off'"
		says "a parameter that it refuses: denied" 0.state denied
		match "which is said" "0.error .*unsupported startup parameter" \
		    "$T/view"
		views "host=$T/s port=6432 user=admin dbname=pgbouncer"
		says "its console is no server" 0.state failed
		pg_stop main
		"$top/build/$V/ha/view" 500 "$through" >"$T/view"
		ok "the server behind it is down: no answer" \
		    test "$(get 0.state)" != primary
		note "$(get 0.state): $(get 0.error)"
	fi
	kill "$pb"
	until_ "it ends" test ! -e "$T/s/pb.pid"
	rm -f "$T/s/.s.PGSQL.6432"
done

done_testing
