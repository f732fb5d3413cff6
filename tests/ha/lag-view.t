#!/bin/sh
# What servers say of themselves, many asked at once: in each state that they
# can be in, with numbers that are right, and "unknown" where they are not.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need "$top/build/$V/ha/view" psql pgrep

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	archive_mode = on
	archive_command = 'false'
	END
standby s1 main
standby s2 main "primary_slot_name = 'two'"
standby c1 s1
pg_start main
psql_ "SELECT pg_create_physical_replication_slot('two', true)" >"$T/out"
pg_start s1
pg_start s2
pg_start c1
until_sql main 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
until_sql s1 streaming "SELECT state FROM pg_stat_replication"

# --- all is well -------------------------------------------------------------
pg_use main
psql_ "CREATE TABLE t AS SELECT 1 AS a"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
until_sql c1 t "SELECT pg_last_wal_replay_lsn() >= '$end'"
pg_use main
before=$(date +%s)
views "$(at main)" "$(at s1)" "$(at s2)" "$(at c1)"
says "a primary says so" 0.state primary
says "its name is that of its cluster" 0.name main
says "where it is" 0.where "$T/s:$PGPORT"
says "its timeline" 0.tli 1
says "its system identifier" 0.system_id \
    "$(psql_ "SELECT system_identifier FROM pg_control_system()")"
says "its segment size" 0.segsize 16777216
says "its end of WAL" 0.lsn "$(psql_ "SELECT pg_current_wal_flush_lsn()")"
says "it has nothing of a standby's" "0.received" 0/0
says "nor a time" "0.replayed_time" -
says "two standbys stream from it" "0.standby.s1.state" streaming
says "by their names" "0.standby.s2.state" streaming
says "one through a slot" "0.standby.s2.slot" two
says "the other not" "0.standby.s1.slot" ""
says "they have all" "0.standby.s1.replay" "$(get 0.lsn)"
says "which a slot says, too" "0.slot.two.restart" "$(get 0.lsn)"
says "no limit is set for it: unknown, not 0" 0.slot.two.safe_wal_size -
says "a cascade is not its own" "0.standby.c1.state" ""
says "a standby says so" 1.state standby
says "that its receiver streams" 1.receiver streaming
says "from whom" 1.sender "$T/s:$PGPORT"
says "on which timeline" 1.received_tli 1
says "its own timeline" 1.tli 1
says "what it has replayed" 1.replayed "$(get 0.lsn)"
says "the cascade streams from it" "1.standby.c1.state" streaming
says "and says so" 3.sender "$T/s:$(cat "$T/s1.port")"
says "the server may show it all" 0.hidden 0
now=$(get 0.now)
ok "the clock is that of now" test "$((now / 1000000 - before))" -lt 30
now=$((now - $(get 0.asked)))
ok "ours beside it is the same ($now us off)" test "${now#-}" -lt 1000000

# --- archiving fails -----------------------------------------------------------
psql_ "SELECT pg_switch_wal()" >"$T/out"
until_sql main t "SELECT failed_count > 0 FROM pg_stat_archiver"
views "$(at main)" "$(at s1)"
says "a primary archives" 0.archiving 1
says "a standby does not" 1.archiving 0
says "nothing was archived: no time" 0.last_time -
says "what failed" 0.failed_wal 000000010000000000000001
ok "files wait" test "$(get 0.ready)" -ge 1
below "the oldest for how long" 0.oldest_ready $((before + 30))000000
age=$(($(get 0.now) - $(get 0.oldest_ready)))
ok "by the server's clock ($age us)" test "$age" -lt 60000000

# --- who may not see -------------------------------------------------------
psql_ "CREATE ROLE nobody LOGIN"
until_sql s1 1 "SELECT count(*) FROM pg_roles WHERE rolname = 'nobody'"
pg_use main
views "$(at main) user=nobody" "$(at s1) user=nobody"
says "without pg_monitor: it is said" 0.hidden 1
says "the state of a standby is not known" 0.standby.s1.state ""
says "nor is its lag" 0.standby.s1.replay_lag -
says "nor files that wait" 0.ready -
says "the end of WAL is" 0.lsn "$(psql_ "SELECT pg_current_wal_flush_lsn()")"
says "a receiver's state is hidden, not absent" 1.receiver hidden
psql_ "GRANT pg_monitor TO nobody"
views "$(at main) user=nobody"
says "with it: all is seen" 0.hidden 0
says "the state" 0.standby.s1.state streaming
psql_ "REVOKE pg_monitor FROM nobody"

# --- a false zero ------------------------------------------------------------
# A receiver that is dead leaves what was received equal to what was replayed.
echo "primary_conninfo = 'host=$T/none port=1'" >>"$T/s1/postgresql.conf"
kill -HUP "$(pm s1)"
until_sql s1 0 "SELECT count(*) FROM pg_stat_wal_receiver"
PGPORT=$(cat "$T/c1.port") psql_ "SELECT pg_wal_replay_pause()" >"$T/out"
pg_use main
psql_ "INSERT INTO t SELECT generate_series(1, 20000)"
until_sql s2 20001 "SELECT count(*) FROM t"
pg_use main
views "$(at main)" "$(at s1)" "$(at s2)" "$(at c1)"
says "a receiver that is dead is not there" 1.receiver ""
says "though all that was received was replayed" 1.received "$(get 1.replayed)"
ok "which is not where the primary is" test "$(get 1.replayed)" != "$(get 0.lsn)"
says "its row is gone from the primary" 0.standby.s1.state ""
says "the other is where the primary is" 2.replayed "$(get 0.lsn)"
says "replay is paused" 3.paused 1
says "elsewhere it is not" 2.paused 0

# --- slots -------------------------------------------------------------------
psql_ "SELECT pg_create_physical_replication_slot('old', true)" >"$T/out"
psql_ "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main t "SELECT safe_wal_size IS NOT NULL FROM pg_replication_slots
    WHERE slot_name = 'old'"
pg_use main
views "$(at main)"
below "a limit is set: what is left" 0.slot.old.safe_wal_size 48000000
for i in 1 2 3 4; do
	psql_ "INSERT INTO t VALUES ($i)"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
done
psql_ "CHECKPOINT"
psql_ "CHECKPOINT"
views "$(at main)"
says "a slot that is lost" 0.slot.old.wal_status lost
says "has no number" 0.slot.old.safe_wal_size -

# --- two primaries -------------------------------------------------------------
as_pg "$PGBIN/pg_ctl" -D "$T/s2" -w -s promote >"$T/out"
views "$(at main)" "$(at s2)"
says "promoted: a primary" 1.state primary
says "on a timeline of its own, before any checkpoint" 1.tli 2
says "with an end of WAL" 1.replayed 0/0
says "the other is one, too" 0.state primary
ok "the heartbeat is written on neither" views -b "$(at main)" "$(at s2)"
match "which it says" "0.error there is more than one primary" "$T/view"
is "nor made" "$(psql_ "SELECT to_regclass('drtools.heartbeat')")" ""
pg_stop s2

# --- many, and some of them away ------------------------------------------------
freeze "$(pm c1)"
began=$(date +%s%3N)
"$top/build/$V/ha/view" 700 \
    "host=$T/s,$T/s port=$PGPORT,$(cat "$T/s2.port")" \
    "$(at c1)" "$(at s1)" "host=127.0.0.1 port=1" >"$T/view"
took=$(($(date +%s%3N) - began))
says "hosts of a list are servers each" 1.where "$T/s:$(cat "$T/s2.port")"
says "one that answers" 0.state primary
says "one that is down" 1.state refused
says "one that is frozen" 2.state hung
says "one that answers after it" 3.state standby
says "one where nobody listens" 4.state refused
ok "all in the time of one ($took ms)" test "$took" -lt 1200
thaw

printf '[one]\nhost=%s\nport=%s\nuser=postgres\n' "$T/s" "$PGPORT" \
    >"$T/service"
PGSERVICEFILE=$T/service PGHOST=/none PGPORT=1 \
    "$top/build/$V/ha/view" 2000 service=one >"$T/view"
says "a service names a server" 0.where "$T/s:$PGPORT"
says "which is asked" 0.state primary
"$top/build/$V/ha/view" 2000 "" >"$T/view"
says "no string at all: the environment" 0.state primary
status 2 "a string that makes no sense" "$top/build/$V/ha/view" 2000 \
    "password=secret foo=bar"
nomatch "is not quoted" secret "$T/err"
status 2 "a service that is not there" "$top/build/$V/ha/view" 2000 service=none

sed -i '1i local all asks scram-sha-256' "$T/main/pg_hba.conf"
psql_ "CREATE ROLE asks LOGIN PASSWORD 'x'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
sleep 0.3
began=$(date +%s%3N)
views "$(at main) user=asks dbname=postgres" "$(at main) dbname=none" \
    "$(at main) user=absent"
took=$(($(date +%s%3N) - began))
says "a password is wanted: denied" 0.state denied
match "which is said" "0.error .*no password supplied" "$T/view"
ok "and nobody is asked ($took ms)" test "$took" -lt 2000
says "no such database: denied" 1.state denied
says "no such role: denied" 2.state denied

psql_ "ALTER SYSTEM SET default_transaction_read_only = on"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main on "SHOW default_transaction_read_only"
pg_use main
views "$(at main)"
says "a primary whose transactions only read" 0.state read-only

done_testing
