# shellcheck shell=sh disable=SC2154
# node_newer.sh - servers of $version in a switchover and a failover; sourced.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need "$top/build/$V/ha/node" "$top/build/$V/ha/view" psql
pg_version "$version"

node() {
	"$top/build/$V/ha/node" 10000 "$@" >"$T/view" 2>"$T/view.err" ||
		{ sed 's/^/# /' "$T/view.err" && return 1; }
}
on() {
	(PGPORT=$(cat "$T/$1.port") && psql_ "$2")
}

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	wal_level = logical
	synchronized_standby_slots = 's1'
END
for s in s1 s2; do
	standby $s main "primary_slot_name = '$s'" "hot_standby_feedback = on" \
	    "sync_replication_slots = on" \
	    "primary_conninfo = 'host=$T/s port=$(cat "$T/main.port") user=postgres application_name=$s dbname=postgres'"
	sed -i /wal_retrieve_retry_interval/d "$T/$s/postgresql.conf"
done
pg_start main
for s in s1 s2; do
	psql_ "SELECT pg_create_physical_replication_slot('$s', true)" \
	    >"$T/out"
done
pg_start s1
pg_start s2
until_sql main 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
pg_use main
node facts "$(at main)" "$(at s1)"
says "$version: all is known" 0.known 1
says "of a standby, too" 1.known 1
says "slots that subscribers wait for" 0.standby_slots s1
says "whether slots are copied" 1.sync_slots 1
says "settings may be changed" 0.alter_system 1

node cut "$(at s1)" "$(at s2)"
nomatch "cut off" error "$T/view"
node ends "$(at s1)" "$(at s2)"
says "one end" 0.known 1
says "and the other" 1.replayed "$(get 1.received)"
node uncut "$(at s1)"
nomatch "back" error "$T/view"
until_sql main 1 "SELECT count(*) FROM pg_stat_replication
    WHERE application_name = 's1' AND state = 'streaming'"

s1=$(cat "$T/s1.port")
ok "a slot on a standby" node slot s2 "$(at s1)"
ok "to follow it" node follow "$T/s" "$s1" s2 "$(at s2)"
is "with a database, as it was" "$(on s2 "SHOW primary_conninfo")" \
    "host='$T/s' port='$s1' user='postgres' application_name='s2' dbname='postgres'"
until_sql s1 streaming "SELECT state FROM pg_stat_replication"
pg_use main
ok "a primary that is to step down" \
    node demote "$(on s2 "SHOW primary_conninfo")" "$T/s" "$s1" "" "$(at main)"
node shutdown "$(at s1)"
says "it has not stopped" 0.seen 0
pg_stop main
until_seen() {
	node shutdown "$(at $1)" && [ "$(get 0.seen)" = 1 ]
}
until_ "it has stopped: seen on a standby" until_seen s1
until_ "and on one behind that" until_seen s2
ok "promoted" node promote "$(at s1)"
says "to the next timeline" 0.tli 2
ok "it takes a write" node write "$(at s1)"
pg_start main
until_sql s1 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"

kill -KILL "$(pm s1)"
ok "killed: another is promoted" node promote "$(at s2)"
below "at once (ms)" 0.took 2000
says "to the timeline after that" 0.tli 3
node facts "$(at s2)"
says "it knows those before" 0.has_history 1

echo "allow_alter_system = off" >>"$T/s2/postgresql.conf"
kill -HUP "$(pm s2)"
until_sql s2 off "SHOW allow_alter_system"
pg_use s2
node facts "$(at s2)"
says "settings may not be changed" 0.alter_system 0
"$top/build/$V/ha/node" 5000 set work_mem 1MB "$(at s2)" >"$T/out" 2>"$T/err"
match "which is said" "cannot set work_mem: ALTER SYSTEM is not allowed" \
    "$T/err"

done_testing
