#!/bin/sh
# dr-promote switchover: there and back under load through PgBouncer, without
# an error at the client and without a rewind; and what happens when the old
# primary does not stop.
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
. "$top/tests/ha/etcd.sh"
. "$top/tests/ha/promote.sh"
need psql python3 etcd etcdctl pgbouncer dr-promote

etcd_start
trio_made || exit 1
trio || exit 1
PATH=$top/scripts/hooks:$PATH

# --- PgBouncer before them --------------------------------------------------------
cat >"$T/pb.ini" <<-END
	[databases]
	app = host=$T/s port=$(cat "$T/main.port") dbname=postgres user=postgres
	[pgbouncer]
	listen_addr =
	listen_port = 6432
	unix_socket_dir = $T/s
	auth_type = any
	admin_users = admin
	pool_mode = transaction
	server_login_retry = 0.1
	logfile = $T/pb.log
	pidfile = $T/s/pb.pid
END
chown "$(stat -c %u "$T/main")" "$T/pb.ini"
: >"$T/pb.log" && chmod 666 "$T/pb.log"
as_pg pgbouncer -q -d "$T/pb.ini" >"$T/pb.out" 2>&1
until_ "PgBouncer runs" test -s "$T/s/pb.pid" -a -S "$T/s/.s.PGSQL.6432"
helpers_="$helpers_ $(cat "$T/s/pb.pid")"
app="host=$T/s port=6432 user=postgres dbname=app"
route="route-pgbouncer -f $T/pb.ini -b app -d 'host=$T/s port=6432 user=admin dbname=pgbouncer'"

# What stops and starts the one that is about to step down.
cat >"$T/stop" <<-END
	[ ! -e "$T/slow" ] || [ "\$DR_MODE" != fast ] || { sleep 30; exit 1; }
	d=$T/\$DR_NODE
	exec setpriv --reuid=postgres --regid=postgres --init-groups \
	    "\$(cat "\$d.bin")/pg_ctl" -D "\$d" -m "\$DR_MODE" -w -t 20 stop >&2
END
cat >"$T/start" <<-END
	d=$T/\$DR_NODE
	if [ "\$DR_ROLE" = primary ]; then
		rm -f "\$d/standby.signal"
	elif [ ! -e "\$d/standby.signal" ]; then
		exit 1
	fi
	exec setpriv --reuid=postgres --regid=postgres --init-groups \
	    "\$(cat "\$d.bin")/pg_ctl" -D "\$d" -w -t 20 \
	    -o "-p \$(cat "\$d.port") -k $T/s" -l "\$d.log" start >&2
END
[ "$(id -u)" -eq 0 ] ||
	sed -i 's/setpriv .*--init-groups//' "$T/stop" "$T/start"
switchover() { # ARG...
	# shellcheck disable=SC2046 # words
	dr-promote switchover -n main $(all_d) --lock "$etcd" \
	    --sync-names "$names" --stop "sh $T/stop" --start "sh $T/start" \
	    --route "$route" --through "$app" "$@"
}

# Rows through PgBouncer, one at a time; the longest gap, and every error.
through() {
	python3 - "$app" "$T/through" <<-'END' &
	import os, subprocess, sys, time
	p = subprocess.Popen(["psql", "-qAtX", "-d", sys.argv[1]],
	                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
	                     stderr=subprocess.STDOUT, text=True, bufsize=1)
	last, gap, n, bad = time.monotonic(), 0, 0, []
	while True:
	    p.stdin.write("INSERT INTO t DEFAULT VALUES RETURNING n;\n")
	    line = p.stdout.readline()
	    if not line.strip().isdigit():
	        bad.append(line)
	        if not line:
	            break
	    now = time.monotonic()
	    gap, last, n = max(gap, now - last), now, n + 1
	    with open(sys.argv[2] + ".new", "w") as f:
	        print(n, int(gap * 1000), len(bad), *bad[:3], file=f)
	    os.rename(sys.argv[2] + ".new", sys.argv[2])
	    time.sleep(0.002)
	END
	helpers_="$helpers_ $!"
	until_ "rows go through PgBouncer" test -s "$T/through"
}
sees() { # FIELD
	cut -d ' ' -f "$1" "$T/through"
}

through
names='ANY 1 (b, c)'
status 3 "without --yes nothing is done" switchover
is "main is primary" "$(rights main)" t
from=main n=0
while [ "$n" -lt "$(count 2 10)" ]; do
	n=$((n + 1))
	case $from in
	main) to=b names='ANY 1 (b, c)' ;;
	*) to=main names='ANY 1 (main, c)' ;;
	esac
	before=$(sees 1)
	status 0 "from $from to $to" switchover --candidate "$to" --yes --json
	[ "$n" -ne 1 ] || cp "$T/out" "$T/first"
	is "$to is primary" "$(rights "$to")" t
	follows "$to" c "$from"
	until_ "rows go on" sh -c '[ "$(cut -d " " -f 1 "$0")" -gt '$((before + 5))' ]' \
	    "$T/through"
	from=$to
done
is "no error at the client" "$(sees 3)" 0
note "$(sees 1) rows, the longest gap $(sees 2) ms"
nomatch "no rewind was needed" 'requested timeline|forked off' "$T/main.log"
match "fenced by its stop" '"fenced_by":"stop"' "$T/first"

# --- one that does not stop in time -----------------------------------------------------
case $from in
main) to=b names='ANY 1 (b, c)' ;;
*) to=main names='ANY 1 (main, c)' ;;
esac
before=$(sees 1)
touch "$T/slow"
status 3 "$from does not stop in time" switchover --candidate "$to" --yes \
    --stop-timeout 2s
match "which is told" 'did not stop' "$T/err"
rm "$T/slow"
is "it is primary again" "$(rights "$from")" t
is "and nobody else is" "$(rights "$to")" f
until_ "rows go on" sh -c '[ "$(cut -d " " -f 1 "$0")" -gt '$((before + 5))' ]' \
    "$T/through"
ok "no file makes it a standby" test ! -e "$T/$from/standby.signal"
is "nothing is intended" "$(etcdctl_ get /dr/main/intent)" ""
done_testing
