# restore_newer.sh - a cluster of version $v, and its standby, backed up under
# load, verified and restored.  Of $v only initdb, pg_ctl and postgres are at
# hand: what pg_checksums and pg_amcheck would do is done by SQL.  Sourced
# after lib.sh.
need psql

store=$T/store
as_pg mkdir "$store" "$T/ts1" "$T/r"
pg_version "$v"
pg_new main -k || exit 1
pg_start main || exit 1
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'"
psql_ "CREATE TABLE still TABLESPACE one AS
    SELECT a, md5(a::text) FROM generate_series(1, 20000) a"
psql_ "CREATE INDEX ON still (a)"
psql_ "CREATE TABLE busy (a int)"
psql_ "CREATE EXTENSION amcheck"
digest="SELECT md5(string_agg(t::text, ',' ORDER BY a)) FROM still t"
want=$(psql_ "$digest")
oid=$(psql_ "SELECT oid FROM pg_tablespace WHERE spcname = 'one'")
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"

push() {
	as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/rcpt' |
	    dr-push -n '$1' '$store'"
}
restore() {
	as_pg dr-restore -n "$1" -i "$T/id" --tablespace "$oid=$T/r/$1.ts" \
	    -D "$T/r/$1" "$store" || return 1
	ln -s "r/$1" "$T/$1"
	cp "$T/main.bin" "$T/$1.bin"
}
# sound TIMELINE: every page, index and row of the server in use.
sound() {
	n=0
	until [ "$(psql_ 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 100 ] || return 1
		sleep 0.1
	done
	is "  tables are as they were" "$(psql_ "$digest")" "$want"
	is "  transactions are whole" \
	    "$(psql_ "SELECT count(*) % 20000 FROM busy")" 0
	is "  heaps are sound, all pages read with checksums on" \
	    "$(psql_ "SELECT count(*) FROM pg_class c, verify_heapam(c.oid)
	    WHERE c.relkind = 'r'")$(psql_ 'SHOW data_checksums')" 0on
	ok "  indexes are sound" psql_ "SELECT bt_index_check(c.oid, true)
	    FROM pg_class c JOIN pg_am m ON m.oid = c.relam
	    JOIN pg_index i ON i.indexrelid = c.oid
	    WHERE m.amname = 'btree' AND c.relkind = 'i'
	    AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid"
	psql_ 'CHECKPOINT'
	is "  on a timeline of its own" \
	    "$(psql_ 'SELECT timeline_id FROM pg_control_checkpoint()')" "$1"
	is "  it asks nobody for WAL" "$(psql_ 'SHOW primary_conninfo')" ''
}

(for i in 1 2 3 4 5 6; do
	psql_ "INSERT INTO busy SELECT generate_series(1, 20000)"
done) &
load=$!
ok "a backup of $v under load" push b
wait "$load"
status 0 'every file in it is right' \
    as_pg dr-verify --deep -i "$T/id" -n b "$store"
status 0 'restored' restore b
ok 'it starts' pg_start b && sound 2

# A standby of the first, made by a restore too.
as_pg dr-restore --as-is -n b -i "$T/id" --tablespace "$oid=$T/r/sb.ts" \
    -D "$T/r/sb" "$store"
ln -s r/sb "$T/sb"
cp "$T/main.bin" "$T/sb.bin"
as_pg touch "$T/sb/standby.signal"
echo "primary_conninfo = 'host=$T/s port=$(cat "$T/main.port") user=postgres'" \
    >>"$T/sb/postgresql.conf"
ok 'a standby starts' pg_start sb
ok 'a backup of it' push again
pg_stop sb immediate
ok 'is restored' restore again
ok 'and starts' pg_start again && sound 2
pg_use main
is 'the primary saw nobody' \
    "$(psql_ 'SELECT count(*) FROM pg_stat_replication')" 0

done_testing
