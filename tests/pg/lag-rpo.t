#!/bin/sh
# The RPO that dr-lag reports, against the truth: under load everything is
# killed, the server is wiped and restored from the store, and no commit that
# was acknowledged before the time that a report says is missing.  (release only)
. "${0%/*}/../lib.sh"
need psql pgbench python3 dr-lag

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

# When each commit was acknowledged, and its number.
heartbeat() {
	while echo "INSERT INTO beat DEFAULT VALUES RETURNING n;"; do
		sleep 0.002
	done 2>/dev/null | psql -qAtX 2>/dev/null | python3 -c '
import sys, time
for l in iter(sys.stdin.readline, ""):
    print(time.time(), l, end="", flush=True)' >"$T/acked"
}

reports() {
	while [ -e "$T/going" ]; do
		date +%s.%N | tr '\n' ' '
		as_pg dr-lag --json -n main -d "host=$T/s port=$PGPORT" \
		    "$store" 2>>"$T/lag.err"
		sleep "$1"
	done >"$T/reports"
}

check() { # DIED
	python3 - "$T/acked" "$T/kept" "$T/reports" "$1" <<-'END'
	import json, sys
	acked = [l.split() for l in open(sys.argv[1]) if l.count(" ") == 1]
	kept = set(open(sys.argv[2]).read().split())
	died = float(sys.argv[4])
	gone = sorted(float(t) for t, n in acked if n not in kept)
	bounds, wrong, loose, last = 0, 0, [], 0
	for line in open(sys.argv[3]):
	    begun, _, text = line.partition(" ")
	    if not text.startswith("{") or not text.endswith("}\n"):
	        continue
	    s = json.loads(text)["stores"][0]
	    if not s.get("rpo_is_bound") or float(begun) > died:
	        continue
	    bounds += 1
	    last = s["rpo_seconds"]
	    loose.append(last)
	    # What was acknowledged before that is in the store for good.
	    if gone and gone[0] < float(begun) - last:
	        wrong += 1
	        print("# wrong by %.3f s: %s" %
	              (float(begun) - last - gone[0], json.dumps(s)))
	loose.sort()
	print(len(acked), len(gone), bounds, wrong,
	      int(1000 * (died - gone[0])) if gone else 0,
	      int(1000 * last),
	      int(1000 * loose[len(loose) // 2]) if loose else -1)
	END
}

template() {
	pg_new a --wal-segsize=1 || return 1
	cat >>"$T/a/postgresql.conf" <<-END
	archive_mode = on
	archive_command = 'false'
	END
	pg_start a || return 1
	pgbench -i -q -s 1 >"$T/out" 2>&1
	psql_ "CREATE TABLE beat (n bigserial, at timestamptz
	    DEFAULT clock_timestamp())"
	pg_stop a
	as_pg mv "$T/a" "$T/template"
}

receive() {
	# shellcheck disable=SC2016
	as_pg sh -c 'echo $$ >"$1/recv.pid"; exec dr-wal receive -n main \
	    --slot s --create-slot --interval '$interval'ms -R "$1/to" "$1/store"' \
	    - "$T" >"$T/recv.log" 2>&1 &
	recv=$!
	until_ "SELECT active FROM pg_replication_slots"
}

begin() { # async|sync|archive
	as_pg rm -rf "$T/a" "$T/b" "$store" "$T/state"
	rm -f "$T/acked" "$T/recv.pid" "$T/recv.log"
	as_pg mkdir "$store" "$T/state"
	as_pg cp -R "$T/template" "$T/a"
	if [ "$1" = archive ]; then
		cat >>"$T/a/postgresql.conf" <<-END
		archive_timeout = 1
		archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push --batch -n main -s $store -R $T/to --state $T/state %p'
		END
	else
		echo "archive_mode = off" >>"$T/a/postgresql.conf"
	fi
	recv=
	pg_start a || return 1
	[ "$1" = archive ] || receive || return 1
	as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
	    dr-push -n main '$store'" || return 1
	[ "$1" = sync ] || return 0
	psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
	psql_ "SELECT pg_reload_conf()" >"$T/out"
	until_ "SELECT coalesce(bool_or(sync_state = 'sync'), false)
	    FROM pg_stat_replication"
}

lose() { # ROUND async|sync|archive
	begin "$2" || return 1
	: >"$T/going"
	reports 0."$(($1 % 5))" &
	lags=$!
	heartbeat &
	beats=$!
	pgbench -n -N -c 2 -R 200 -T 60 >"$T/bench.out" 2>&1 &
	load=$!
	sleep 3."$(($$ % 10))$1"
	# All at once, the receiver too: only what lies in the store is left.
	pm=$(head -n 1 "$T/a/postmaster.pid")
	kids="$(pgrep -P "$pm")"
	if [ -n "$recv" ]; then
		r=$(cat "$T/recv.pid")
		kids="$kids $r $(pgrep -P "$r")"
	fi
	# shellcheck disable=SC2086 # several
	kill -9 "$pm" $kids 2>/dev/null
	died=$(date +%s.%N)
	rm -f "$T/going" "$T/s/.s.PGSQL."*
	as_pg rm -rf "$T/a"
	# shellcheck disable=SC2086 # or none
	wait $beats $load $lags $recv

	as_pg dr-restore -n main -i "$T/id" -D "$T/b" --latest "$store" \
	    >"$T/out" 2>"$T/err" || return 1
	cp "$T/a.port" "$T/b.port" && cp "$T/a.bin" "$T/b.bin"
	pg_start b || return 1
	until_ "SELECT NOT pg_is_in_recovery()" || return 1
	psql_ "SELECT n FROM beat" >"$T/kept"
	# It is a primary now, on another timeline.
	as_pg dr-lag --json -n main -d "host=$T/s port=$PGPORT" "$store" \
	    >"$T/after" 2>>"$T/lag.err"
	pg_stop b immediate
	check "$died" >"$T/lost"
}

template || exit 1
round=0
while [ "$round" -lt "$(count lagrpo)" ]; do
	round=$((round + 1))
	case $((round % 3)) in
	0) how=archive ;;
	1) how=async ;;
	2) how=sync ;;
	esac
	: >"$T/lag.err"
	if ! lose "$round" $how; then
		fail_ "round $round, $how" "$T/err" "$T/recv.log" "$T/out" \
		    "$T/lag.err"
		continue
	fi
	grep '^#' "$T/lost"
	read -r acked gone bounds wrong ms last median <<-END
	$(grep -v '^#' "$T/lost")
	END
	note "round $round, $how: $acked acknowledged, $gone of them lost," \
	    "the oldest ${ms} ms before the end; $bounds bounds," \
	    "the last ${last} ms, the median ${median} ms"
	ok "round $round, $how: there was load" test "$acked" -gt 10
	ok "round $round, $how: there were bounds" test "$bounds" -gt 1
	is "round $round, $how: each held" "$wrong" 0
	if [ $how != archive ]; then
		ok "round $round, $how: and was close" \
		    test "$median" -le $((interval + 5000))
	fi
	[ $how != sync ] || is "round $round: nothing is lost" "$gone" 0
	match "round $round, $how: its next timeline is not in the store" \
	    '"timeline":1,.*"rpo_is_bound":false' "$T/after"
	is "round $round, $how: no warning" "$(cat "$T/lag.err")" ""
done

done_testing
