#!/bin/sh
# A former primary of PostgreSQL 17 becomes a standby: its slots, and no
# pg_rewind.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need psql

# shellcheck disable=SC2154 # lib.sh sets it
rejoin=$top/build/$V/ha/rejoin
store=$T/store
as_pg mkdir "$store"
pg_version 17
pg_new main --wal-segsize=1 || exit 1
cat >>"$T/main/postgresql.conf" <<END
wal_keep_size = 100MB
wal_level = logical
checkpoint_timeout = 1h
END
standby a main 'hot_standby_feedback = on' 'sync_replication_slots = on' \
    "primary_slot_name = 'p'"
sed -i "s/user=postgres/& dbname=postgres/" "$T/a/postgresql.conf"
echo 'sync_replication_slots = on
hot_standby_feedback = on' >>"$T/main/postgresql.conf"
pg_start main || exit 1
psql_ 'CREATE TABLE t (i int)'
psql_ "SELECT pg_create_physical_replication_slot('p', true)" >"$T/out"
psql_ "SELECT pg_create_logical_replication_slot('plain', 'pgoutput')" >"$T/out"
psql_ "SELECT pg_create_logical_replication_slot('fo', 'pgoutput', false, false,
    true)" >"$T/out"
pg_start a

conn() {
	echo "host=$T/s port=$(cat "$T/$1.port") user=postgres dbname=postgres"
}
field() {
	sed -n "s/^$1  *//p" "$T/out"
}
streams() {
	until_sql "$1" streaming "SELECT status FROM pg_stat_wal_receiver"
	pg_use "$primary"
	n_=$(psql_ 'SELECT count(*), sum(i) FROM t')
	until_sql "$1" "$n_" 'SELECT count(*), sum(i) FROM t'
}

primary=main
streams a
until_sql a t "SELECT synced FROM pg_replication_slots WHERE slot_name = 'fo'"
pg_use main
pg_stop main
pg_use a
psql_ 'SELECT pg_promote()' >"$T/out"
psql_ 'INSERT INTO t VALUES (1)'
primary=a
status 0 'after a clean stop' as_pg "$rejoin" -S q "$T/main" "$(conn a)"
is 'there is nothing to undo' "$(field way)" follow
is 'the failover slot, which nobody synced, goes' \
    "$(field 'slots moved aside')" fo
is 'others are named' "$(field 'slots still there' | tr ' ' '\n' | sort |
    tr '\n' ' ')" 'p plain '
ok 'it is kept' sh -c "ls '$T'/main/drtools.before/*/pg_replslot/fo/state"
pg_start main
streams main
until_sql main t \
    "SELECT synced FROM pg_replication_slots WHERE slot_name = 'fo'"

# --- no checksums, and so no pg_rewind ---------------------------------------
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"
ok 'a backup goes into the store' as_pg sh -c "dr-snap -d '$(conn a)' |
    dr-pack -l 1 | dr-seal -R '$T/rcpt' | dr-push -n main '$store'"
pg_use main
psql_ 'SELECT pg_promote()' >"$T/out"
psql_ 'INSERT INTO t VALUES (2)'
primary=main
pg_use a
psql_ 'INSERT INTO t VALUES (3)'
pg_stop a immediate
status 3 'one that went on' as_pg "$rejoin" "$T/a" "$(conn main)"
match 'cannot be rewound' 'needs checksums or wal_log_hints' "$T/err"
ok 'nothing was changed' sh -c "! ls -d '$T'/a.diverged-* '$T/a/standby.signal'"
status 0 'but restored' as_pg "$rejoin" -s "$store" -i "$T/id" "$T/a" \
    "$(conn main)"
is 'it was' "$(field way)" delta
match 'its commit is listed' '^[0-9A-F/]+ [0-9]+ 20' "$(field 'kept in')/commits"
pg_start a
streams a

done_testing
