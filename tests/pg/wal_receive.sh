# shellcheck shell=sh disable=SC2154
# wal_receive.sh - what the tests of dr-wal receive share; after lib.sh.

dr-key new -o "$T/id" 2>"$T/err"
dr-key recipient "$T/id" >"$T/rcpt"
export DR_RECIPIENTS="$T/rcpt" DR_AUDIT="$T/audit"

r=''
end_ours() {
	for p in $r $(pgrep -f "pg_receivewal -D $T/ref"); do
		kill -KILL "$p" 2>/dev/null
	done
	cleanup_
}
trap end_ours EXIT

# receive ARG...: in the background, messages in $T/r.err; its pid is $r
receive() {
	dr-wal receive --state "$T/state" -n s --slot dr "$@" 2>>"$T/r.err" &
	r=$!
}

# ended N WHAT [SIGNAL]: it ends with status N when told to
ended() {
	[ -z "${3-}" ] || kill "-$3" "$r"
	wait "$r"
	got=$?
	is "$2" "$got" "$1" || sed 's/^/#   /' "$T/r.err"
	r=
}

# until_ WHAT COMMAND...: within 15 s
until_() {
	w=$1 n=0
	shift
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		if [ "$n" -ge 150 ]; then
			fail_ "$w" "$T/r.err"
			return 1
		fi
		sleep 0.1
	done
	pass_ "$w"
}

answers() {
	[ "$(psql_ "$2")" = "$1" ]
}

# until_sql WHAT WANT SQL
until_sql() {
	until_ "$1" answers "$2" "$3"
}

now_() {
	psql_ "SELECT pg_current_wal_flush_lsn()"
}

# durable LSN: the slot says that the stores hold everything up to there
durable() {
	[ "$(psql_ "SELECT restart_lsn >= '$1' FROM pg_replication_slots
	    WHERE slot_name = 'dr'")" = t ]
}

all_stored() {
	until_ "$1" durable "$(now_)"
}

# check SET [ARG...]: what is in $T/b holds together; ranges into $T/ranges
check() {
	set_=$1
	shift
	python3 "$top/tests/pg/wal_check.py" "$T/b/$set_/wal" "$T/id" "$@" \
	    >"$T/ranges" && return
	sed 's/^/#   /' "$T/ranges"
	return 1
}

load() {
	as_pg "$PGBIN/pgbench" -n -N -c 2 -T "$1" >"$T/bench.out" 2>&1
}
