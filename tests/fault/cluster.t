#!/bin/sh
# A cluster's backup and its restore, failing or killed anywhere.  (release only)
. "${0%/*}/../lib.sh"
FAULT_RUNS=${FAULT_RUNS:-$(count clusters)} # of some 10,000 calls
. "${0%/*}/lib.sh"
need dr-snap dr-pack dr-restore pg_verifybackup tar

# As small as a cluster can be.
pg_new a --data-checksums --wal-segsize=1 || exit 1
pg_start a || exit 1
export PGDATABASE=template1
psql_ 'UPDATE pg_database SET datistemplate = false' &&
	psql_ 'DROP DATABASE template0' &&
	psql_ 'DROP DATABASE postgres' || exit 1
export DR_STATE="$T/w/state"
fix=$T/fix
mkdir "$fix" || exit 1
as_pg dr-snap -o "$T/a.tar" &&
	dr-pack -l 1 -o "$fix/p.zst" "$T/a.tar" || exit 1

tool_of() {
	echo "dr-$1"
}

# shellcheck disable=SC2046,SC2154 # nothing or -f; lib.sh sets again
run_snap() {
	dr-snap $([ -z "$again" ] || [ ! -e out ] || echo -f) -o out
}
whole_snap() {
	[ ! -e out ] && [ ! -e out.json ] && return
	rm -rf x && mkdir x && tar -xf out -C x && rm -rf x/.drtools &&
		pg_verifybackup -n -q x
}
done_snap() {
	[ -e out.json ] && whole_snap
}
export share=4
every snap
killed snap
is 'nobody is left connected' "$(psql_ "SELECT count(*) FROM pg_stat_replication
    UNION ALL SELECT count(*) FROM pg_replication_slots")" '0
0'
pg_stop a
rm -rf "$T/a" "$T/a.tar" "$T/a.tar.json"

# No pg_control until all else is there, and again into an empty directory it
# goes through.
run_restore() {
	[ -z "$again" ] || rm -rf R
	dr-restore -j 2 -D R "$fix/p.zst"
}
whole_restore() {
	[ -e R/.drtools-restore-incomplete ] || [ ! -e R/PG_VERSION ] ||
		done_restore
}
done_restore() {
	[ -e R/global/pg_control ] && pg_verifybackup -n -q R
}

every restore
killed restore
done_testing
