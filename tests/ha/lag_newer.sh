# shellcheck shell=sh disable=SC2154
# lag_newer.sh - servers of $version: what they say beyond what 15 does; sourced.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need dr-lag "$top/build/$V/ha/view" psql python3
pg_version "$version"

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	wal_level = logical
	END
standby s1 main "primary_slot_name = 's1'" "hot_standby_feedback = on" \
    "sync_replication_slots = on" \
    "primary_conninfo = 'host=$T/s port=$(cat "$T/main.port") user=postgres application_name=s1 dbname=postgres'"
pg_start main
psql_ "SELECT pg_create_physical_replication_slot('s1', true)" >"$T/out"
psql_ "SELECT pg_create_logical_replication_slot('moves', 'test_decoding',
    failover => true)" >"$T/out"
psql_ "SELECT pg_create_logical_replication_slot('stays', 'test_decoding')" \
    >"$T/out"
pg_start s1
until_sql main streaming "SELECT state FROM pg_stat_replication"
until_sql s1 t "SELECT synced AND NOT temporary FROM pg_replication_slots"
pg_use main

views "$(at main)" "$(at s1)"
says "$version: a primary" 0.state primary
is "of that version" "$(get 0.version | cut -c1-2)" "$version"
says "a standby streams from it" 0.standby.s1.slot s1
says "a slot that is copied to standbys" 0.slot.moves.failover 1
says "one that is not" 0.slot.stays.failover 0
below "since when nobody uses it" 0.slot.stays.inactive_since \
    "$(($(date +%s) + 60))000000"
says "nothing is wrong with it" 0.slot.stays.invalid ""
says "on the standby: copied" 1.slot.moves.synced 1
says "and only that" 1.slot.stays.type ""
says "the standby has all" 1.replayed "$(get 0.lsn)"

psql_ "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
for i in 1 2 3; do
	psql_ "SELECT pg_logical_emit_message(false, 'x', '$i')" >"$T/out"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
done
psql_ "CHECKPOINT"
views "$(at main)"
says "a slot that lost its WAL" 0.slot.stays.wal_status lost
says "why" 0.slot.stays.invalid wal_removed
says "what is left to it is not known" 0.slot.stays.safe_wal_size -

views -b "$(at main)" "$(at s1)"
below "a heartbeat arrives" 1.beat 3000000
status 0 "a probe of both" dr-lag --probe -d "$(at main)" -d "$(at s1)"
match "one is a primary" ":$(cat "$T/main.port") primary" "$T/out"
match "one is a standby" ":$(cat "$T/s1.port") standby" "$T/out"

dr-lag -v --wait-down --json -d "$(at main)" --interval 60s \
    >"$T/w.out" 2>"$T/w.err" &
w=$!
helpers_="$helpers_ $w"
until_ "it holds a connection" grep -q holding "$T/w.err"
began=$(date +%s%3N)
kill -KILL "$(pm main)"
wait "$w"
is "killed: it is down" "$?" 0
took=$(($(date +%s%3N) - began))
ok "at once ($took ms)" test "$took" -lt 5000
match "by refusals" '"quick":true' "$T/w.out"

done_testing
