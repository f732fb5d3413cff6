# pitr_newer.sh - point-in-time recovery of a newer major version, which is
# $version; sourced after lib.sh.
need dr-wal dr-restore psql
pg_version "$version"

store=$T/store
as_pg mkdir "$store"
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/to"
pg_new a --wal-segsize=1 || exit 1
cat >>"$T/a/postgresql.conf" <<-END
archive_mode = on
archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n main -s $store -R $T/to --state $T/state %p'
END
pg_start a || exit 1
psql_ 'CREATE TABLE t (i int)'
ok 'a backup' as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
    dr-push -n main '$store'"
psql_ 'INSERT INTO t VALUES (1)'
sleep 0.1
time=$(psql_ "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',
    'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
sleep 0.1
psql_ 'INSERT INTO t VALUES (2)'
psql_ "SELECT pg_create_restore_point('here')" >"$T/out"
psql_ 'INSERT INTO t VALUES (3)'
psql_ 'SELECT pg_switch_wal()' >"$T/out"
# A fast shutdown waits for the archive.
ok 'the server stops' pg_stop a

promoted() {
	n=0
	until [ "$(psql_ 'SELECT pg_is_in_recovery()')" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 200 ] || return 1
		sleep 0.05
	done
}
# to WHAT CONTENT OPTION...
to() {
	what=$1 want=$2
	shift 2
	as_pg dr-restore -n main -i "$T/id" -D "$T/r" "$@" "$store" \
	    >"$T/out" 2>"$T/err"
	: >"$T/r.log"
	if pg_start r && promoted; then
		is "$what" "$(psql_ 'SELECT coalesce(string_agg(i::text, $$ $$
		    ORDER BY i), $$$$) FROM t')" "$want"
		pg_stop r immediate
	else
		fail_ "$what" "$T/err" "$T/r.log"
	fi
	as_pg rm -rf "$T/r"
}

to 'the end of the WAL' '1 2 3'
to 'the end of the backup' '' --immediate
to 'a time' 1 --target-time "$time"
to 'a restore point' '1 2' --target-name here

done_testing
