# shellcheck shell=sh disable=SC2154
# promote.sh - a primary, its standbys and etcd, to fail over; after lib.sh,
# ha.sh and etcd.sh.
#
#	trio_made		templates of main, b and c, once
#	trio [LINE...]		a new main, b and c that stream; b and c are of
#				main's synchronous set, LINEs of all's settings
#	all_d			-d for each of them
#	load, acked		rows are inserted from now on; end of that: those
#				which were acknowledged, in $T/acked
#	lost NAME		how many of those NAME lacks
#	follows NAME...		wait until they stream from one primary
#	rights NAME		may it be written to?

trio_made() {
	pg_new main || return 1
	cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	wal_log_hints = on
	wal_keep_size = 64MB
	restart_after_crash = off
	synchronous_standby_names = 'ANY 1 (b, c)'
	END
	pg_start main || return 1
	psql_ "SET synchronous_commit = local; CREATE TABLE t (n bigserial PRIMARY KEY, at timestamptz
	    DEFAULT clock_timestamp())" >"$T/out" || return 1
	pg_stop main
	mkdir "$T/made_" && cp -a "$T/main" "$T/made_/main"
}

trio() {
	for n_ in main b c; do
		[ ! -s "$T/$n_/postmaster.pid" ] || pg_stop "$n_" immediate
		rm -rf "${T:?}/$n_"
	done
	cp -a "$T/made_/main" "$T/main" || return 1
	for l_; do
		echo "$l_" >>"$T/main/postgresql.conf"
	done
	standby b main "synchronous_standby_names = ''" &&
		standby c main "synchronous_standby_names = ''" &&
		pg_start main && pg_start b && pg_start c || return 1
	PGPORT=$(cat "$T/main.port")
	until_sql main t "SELECT count(*) = 2 FROM pg_stat_replication
	    WHERE state = 'streaming' AND sync_state = 'quorum'"
}

all_d() {
	for n_ in ${*:-main b c}; do
		printf -- '-d\nport=%s\n' "$(cat "$T/$n_.port")"
	done
}

# Each row in a transaction of its own; its number once that is acknowledged.
load() { # CONNINFO
	: >"$T/acked"
	python3 - "$1" "$T/acked" <<-'END' &
	import subprocess, sys
	with open(sys.argv[2], "w") as out:
	    p = subprocess.Popen(["psql", "-qAtX", "-d", sys.argv[1]],
	                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
	                         stderr=subprocess.DEVNULL, text=True, bufsize=1)
	    try:
	        while True:
	            p.stdin.write("INSERT INTO t DEFAULT VALUES RETURNING n;\n")
	            p.stdin.flush()
	            n = p.stdout.readline()
	            if not n:
	                break
	            out.write(n)
	            out.flush()
	    except BrokenPipeError:
	        pass
	    p.kill()
	END
	load_=$!
	n_=0
	until [ "$(wc -l <"$T/acked")" -ge 20 ] || [ "$n_" -ge 300 ]; do
		n_=$((n_ + 1))
		sleep 0.05
	done
}

acked() {
	kill "$load_" 2>/dev/null
	wait "$load_" 2>/dev/null
	wc -l <"$T/acked"
}

lost() {
	PGPORT=$(cat "$T/$1.port") psql_ "SELECT n FROM t" >"$T/kept" || return 1
	sort "$T/kept" >"$T/kept.s"
	sort "$T/acked" | comm -23 - "$T/kept.s" | grep -c .
}

follows() { # PRIMARY STANDBY...
	p_=$1
	shift
	for s_; do
		until_sql "$p_" streaming "SELECT state FROM pg_stat_replication
		    WHERE application_name = '$s_'"
	done
}

rights() {
	PGPORT=$(cat "$T/$1.port") psql_ "SELECT NOT pg_is_in_recovery()" 2>&1
}
