#!/bin/sh
# What is lost with the server: it and its receiver are killed under load, it
# is wiped, and restored from the store alone; what it had acknowledged and is
# missing is counted.  (release only)
. "${0%/*}/../lib.sh"
need psql pgbench python3

store=$T/store interval=300
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/to"

until_() { # SQL: until it says t
	tries=0
	until [ "$(psql_ "$1" 2>/dev/null)" = t ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || return 1
		sleep 0.05
	done
}

# Each row's number and time, once its commit is acknowledged.
heartbeat() {
	sql='INSERT INTO beat DEFAULT VALUES RETURNING n, extract(epoch FROM at);'
	while echo "$sql"; do
		sleep 0.002
	done 2>/dev/null | psql -qAtX -F ' ' >"$T/acked" 2>/dev/null
}

lose() { # ROUND async|sync
	as_pg rm -rf "$T/a" "$T/b" "$store"
	as_pg rm -rf "$T/state"
	rm -f "$T/acked" "$T/recv.pid"
	as_pg mkdir "$store" "$T/state"
	pg_new a || return 1
	echo "max_wal_size = 256MB" >>"$T/a/postgresql.conf"
	pg_start a || return 1
	pgbench -i -q -s 1 >"$T/out" 2>&1
	psql_ "CREATE TABLE beat (n bigserial, at timestamptz
	    DEFAULT clock_timestamp())"
	# shellcheck disable=SC2016
	as_pg sh -c 'echo $$ >"$1/recv.pid"; exec dr-wal receive -n main \
	    --slot s --create-slot --interval '$interval'ms -R "$1/to" "$1/store"' \
	    - "$T" >"$T/recv.log" 2>&1 &
	recv=$!
	until_ "SELECT active FROM pg_replication_slots" || return 1
	as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
	    dr-push -n main '$store'" || return 1
	if [ "$2" = sync ]; then
		psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
		psql_ "SELECT pg_reload_conf()" >"$T/out"
		until_ "SELECT coalesce(bool_or(sync_state = 'sync'), false) FROM pg_stat_replication" ||
			{ psql_ "TABLE pg_stat_replication" >"$T/out"; return 1; }
	fi
	heartbeat &
	beats=$!
	pgbench -n -N -c 2 -R 300 -T 60 >"$T/bench.out" 2>&1 &
	load=$!
	sleep 2."$(($$ % 10))$1"
	# All at once, the receiver too: only what lies in the store is left.
	pm=$(head -n 1 "$T/a/postmaster.pid")
	r=$(cat "$T/recv.pid")
	kids="$(pgrep -P "$pm") $r $(pgrep -P "$r")"
	died=$(date +%s.%N)
	# shellcheck disable=SC2086 # several
	kill -9 "$pm" $kids 2>/dev/null
	as_pg rm -rf "$T/a"
	rm -f "$T/s/.s.PGSQL."*
	wait $beats $load $recv

	as_pg dr-restore -n main -i "$T/id" -D "$T/b" --latest "$store" \
	    >"$T/out" 2>"$T/err" || return 1
	cp "$T/a.port" "$T/b.port" && cp "$T/a.bin" "$T/b.bin"
	pg_start b || return 1
	until_ "SELECT NOT pg_is_in_recovery()" || return 1
	psql_ "SELECT n FROM beat" >"$T/kept"
	pg_stop b immediate
	python3 - "$T/acked" "$T/kept" "$died" >"$T/lost" <<-'END'
	import sys
	acked = [l.split() for l in open(sys.argv[1]) if l.count(" ") == 1]
	kept = set(open(sys.argv[2]).read().split())
	gone = [float(t) for n, t in acked if n not in kept]
	ms = (float(sys.argv[3]) - min(gone)) * 1000 if gone else 0
	print(len(acked), len(gone), int(ms))
	END
}

round=0
while [ "$round" -lt "$(count rpo)" ]; do
	round=$((round + 1))
	for how in async sync; do
		if ! lose "$round" $how; then
			fail_ "round $round, $how" "$T/err" "$T/recv.log" "$T/out"
			continue
		fi
		read -r acked gone ms <"$T/lost"
		note "round $round, $how: $acked acknowledged, $gone of them lost," \
		    "the oldest ${ms} ms before the end"
		# A commit waits for the store: on a busy machine there are few.
		ok "round $round, $how: there was load" test "$acked" -gt 10
		if [ $how = sync ]; then
			is "round $round: nothing is lost" "$gone" 0
		else
			ok "round $round: at most --interval and a second" \
			    test "$ms" -le $((interval + 1000))
		fi
	done
done

done_testing
