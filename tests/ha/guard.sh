# shellcheck shell=sh disable=SC2154
# guard.sh - guards beside servers; after lib.sh, ha.sh and etcd.sh.
#
#	guards_begin		etcd, and $T/a, the cluster of a primary, not
#				started; $T/main is a copy
#	guard NAME OPTION...	guard --run beside it; its words in $T/NAME.guard
#	gpid NAME, child NAME	the guard, and who keeps the deadline for it
#	may NAME OPTION...	may it start?
#	key NAME, key_is NAME FIELD VALUE, no_key NAME	what etcd holds
#	put_epoch N LEADER TLI	as a failover would
#	leads NAME N		it does, and N standbys have to acknowledge
#	stopped_by MS NAME	it stops within MS of $t0, which ms gives
#	sql NAME SQL

ttl=3 # a server is stopped 3 - 0.3 - 0.6 s after the last renewal

ms() {
	date +%s%3N
}

key() {
	etcdctl_ get --print-value-only "/dr/main/$1" 2>/dev/null
}

key_is() {
	key "$1" | grep -Eq "\"$2\": ?\"?$3\"?[,}]"
}

no_key() {
	[ -z "$(key "$1")" ]
}

put_epoch() {
	key epoch | sed -E "s/(\"epoch\": ?)[0-9]+/\1$1/
	    s/(\"leader\": ?\")[^\"]*/\1$2/; s/(\"tli\": ?)[0-9]+/\1$3/" |
		tr -d '\n' >"$T/epoch"
	etcdctl_ put /dr/main/epoch <"$T/epoch" >/dev/null
}

runs() {
	[ -e "$T/$1/postmaster.pid" ] && ours_ "$(pm "$1")"
}

stopped_by() {
	while runs "$2" 2>/dev/null && [ $(($(ms) - t0)) -lt 15000 ]; do
		sleep 0.02
	done
	took=$(($(ms) - t0))
	ok "it is stopped within $1 ms ($took)" test "$took" -lt "$1"
}

# wait_until MS: since $t0
wait_until() {
	while [ $(($(ms) - t0)) -lt "$1" ]; do
		sleep 0.05
	done
}

gpid() {
	cat "$T/m/$1.pid"
}

child() {
	pgrep -P "$(gpid "$1")" -x dr-deadman
}

guard() {
	g_=$1
	shift
	rm -f "$T/m/$g_.pid"
	: >>"$T/$g_.guard"
	[ "$root_" = no ] || chown postgres: "$T/$g_.guard"
	as_pg env DR_STATE="$T/state/$g_" DR_METRICS_DIR="$T/m" \
	    DR_AUDIT="$T/m/audit" sh -c 'echo $$ >"$0"; exec "$@"' \
	    "$T/m/$g_.pid" dr-promote guard --run -D "$T/$g_" \
	    -d "host=$T/s $(at "$g_") user=postgres dbname=postgres" \
	    --ttl ${ttl}s ${hang:+--hang "$hang"} --stop \
	    'echo "$DR_HOOK $DR_MODE $DR_PGDATA" >>"$DR_METRICS_DIR/hooks"' \
	    "$@" >>"$T/$g_.guard" 2>&1 3>&- &
	until_ "a guard beside $g_" test -s "$T/m/$g_.pid"
	pids_="$pids_ $(gpid "$g_")"
}

gone() {
	! ours_ "$1"
}

may() {
	m_=$1
	shift
	as_pg env DR_STATE="$T/state/$m_" DR_AUDIT="$T/m/audit" dr-promote \
	    guard -D "$T/$m_" "$@"
}

leads() {
	until_ "$1 leads" key_is leader name "$1"
	until_ "and what it demands of standbys is published" key_is sync wait "$2"
}

sql() {
	(
		pg_use "$1"
		timeout 10 psql -qAtX -v ON_ERROR_STOP=1 -c "$2"
	)
}

guards_begin() {
	etcd_start
	DR_LOCK=$etcd
	DR_SET=main
	export DR_LOCK DR_SET
	mkdir "$T/m"
	[ "$root_" = no ] || chown postgres: "$T/m"
	pg_new main
	pg_port_ a
	cp -a "$T/main" "$T/a"
	cat >>"$T/a/postgresql.conf" <<-END
	cluster_name = 'a'
	port = $(cat "$T/a.port")
	END
}

# The primary a, and b, its synchronous standby, each with a guard.
guards_pair() {
	standby b a
	echo "synchronous_standby_names = 'b'" >>"$T/a/postgresql.conf"
	[ "$root_" = no ] || chown -R postgres: "$T/b"
	status 0 "the first primary may start" may a
	pg_start a
	pg_start b
	guard a
	guard b
	until_sql a 1 "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
	leads a 1
}

# The leader again, after it was stopped.
again() {
	status 0 "the leader may start again" may a
	pg_start a
	until_ "it leads" key_is node/a role primary
	until_sql a 1 "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
	leads a 1
}
