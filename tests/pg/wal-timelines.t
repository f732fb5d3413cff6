#!/bin/sh
# Ten promotions in a row on 15, past timeline 0A, archived and restored across
# all of them; one while archiving was off, whose history no server archives.
. "${0%/*}/../lib.sh"
need dr-wal dr-key dr-restore dr-list dr-verify psql

store=$T/store
as_pg mkdir "$store"
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/to"

pg_new p --wal-segsize=1
cat >>"$T/p/postgresql.conf" <<END
archive_mode = on
archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n main -s $store -R $T/to --state $T/state %p 2>>$T/push.log'
restore_command = 'false'
END
pg_start p
psql_ "CREATE TABLE t (i serial, note text)"
as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
    dr-push -n main '$store'" || exit 1

wait_ms() { # SQL: until it says t
	n=0
	until [ "$(psql_ "$1")" = t ]; do
		n=$((n + 1))
		[ "$n" -lt 400 ] || return 1
		sleep 0.05
	done
}
# Write something, close the segment, and see it archived.
write() {
	psql_ "INSERT INTO t (note) VALUES ('$1')"
	w=$(psql_ 'SELECT pg_walfile_name(pg_switch_wal())')
	[ "$2" = off ] || wait_ms "SELECT coalesce(substr(last_archived_wal, 1, 24)
	    >= '$w', false) FROM pg_stat_archiver"
}
# The same server on the next timeline; ARCHIVING then.
promote() {
	pg_stop p
	as_pg touch "$T/p/standby.signal"
	echo "archive_mode = $1" >>"$T/p/postgresql.conf"
	pg_start p
	psql_ 'SELECT pg_promote()' >"$T/out"
	wait_ms 'SELECT NOT pg_is_in_recovery()'
}
restored() { # HISTORIES' WAL: what is in it
	psql_ "SELECT string_agg(note, ' ' ORDER BY i) FROM t"
}

want=one
write one on
for i in 2 3 4 5 6 7 8 9 10 11; do
	if [ $i = 11 ]; then
		promote off
		as_pg sh -c "psql -qAtXc \"INSERT INTO t (note) VALUES ('quiet')\""
		want="$want quiet"
		pg_stop p
		echo "archive_mode = on" >>"$T/p/postgresql.conf"
		pg_start p
	else
		promote on
	fi
	write n$i on
	want="$want n$i"
done
write more on
want="$want more"
is "the server is on timeline 0B" \
    "$(psql_ 'SELECT pg_walfile_name(pg_current_wal_lsn())' | cut -c 1-8)" \
    0000000B
sysid=$(psql_ 'SELECT system_identifier FROM pg_control_system()')
wal=$store/main/wal/$sysid
ok "no history of it was archived by the server" \
    test ! -e "$T/p/pg_wal/archive_status/0000000B.history.done"
ok "it is in the store all the same" \
    test -f "$wal/0000000B/0000000B.history.zst.age"
pg_stop p

restore() {
	rm -rf "$T/r"
	as_pg dr-restore -n main -i "$T/id" -D "$T/r" "$store" >"$T/out" 2>"$T/err"
}
status 0 "all of it verifies" as_pg dr-verify -n main "$store"
status 0 "a restore from the backup on timeline 1" restore
is "warns of nothing" "$(cat "$T/err")" ""
cp "$T/p.port" "$T/r.port" && cp "$T/p.bin" "$T/r.bin"
pg_start r && wait_ms 'SELECT NOT pg_is_in_recovery()'
is "finds all ten" "$(restored)" "$want"
is "and opens the next timeline" \
    "$(psql_ 'SELECT timeline_id FROM pg_control_checkpoint()')" 12
pg_stop r

# --- without the last history ------------------------------------------------
as_pg mv "$wal/0000000B/0000000B.history.zst.age" "$T/kept"
as_pg dr-wal push -n main -s "$store" --ledger
status 4 "verify knows by a ledger that it was there" \
    as_pg dr-verify -n main "$store"
as_pg mv "$T/kept" "$wal/0000000B/0000000B.history.zst.age"

# --- what a ledger names and is gone -------------------------------------------
last=$(cd "$wal/0000000B" && find . -name '0000000B0*.zst.age' | sort |
    tail -n 1)
as_pg mv "$wal/0000000B/$last" "$T/kept"
status 0 "a restore where WAL is gone that a ledger names" restore
match "it warns of that" \
    'a ledger of .* names WAL from .* on timeline 11, and not all' "$T/err"
as_pg mv "$T/kept" "$wal/0000000B/$last"
if [ "$(id -u)" -eq 0 ]; then
	rm -rf "$T/r"
	chown -R postgres "$T/state"
	status 0 "a restore by root" \
	    dr-restore -n main -i "$T/id" -D "$T/r" "$store"
	match "with a state directory of the server's user" \
	    "restore_command.*--state $T/state" "$T/r/postgresql.auto.conf"
	rm -rf "$T/r"
	chown root "$T/state"
	status 0 "with one of its own" \
	    dr-restore -n main -i "$T/id" -K "$T/state/sign.key.pub" \
	    -D "$T/r" "$store"
	nomatch "names none" 'restore_command.*--state' \
	    "$T/r/postgresql.auto.conf"
	rm -rf "$T/r"
	chown postgres "$T/state"
else
	skip "state directories" "only root restores for others"
fi

# --- without the last history ---------------------------------------------------
as_pg mv "$wal/0000000B/0000000B.history.zst.age" "$T/kept"
as_pg find "$wal" -name 'ledger-*' -exec rm {} +
status 3 "without ledgers" as_pg dr-verify -n main --json --no-signature "$store"
match "it names the timeline" \
    'timeline 11 holds WAL .*history is missing' "$T/out"
match "and says what to do" 'store 0000000B.history' "$T/out"
status 0 "list" as_pg dr-list -n main "$store"
match "flags it" 'no-history' "$T/out"
status 0 "restore" restore
match "warns, naming timeline and file" \
    'timeline 11 holds WAL up to .*0000000B.history' "$T/err"
pg_start r && wait_ms 'SELECT NOT pg_is_in_recovery()'
is "and goes where it can" "$(restored)" "${want% quiet n11 more}"
pg_stop r

done_testing
