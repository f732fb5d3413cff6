# shellcheck shell=sh disable=SC2154
# report_newer.sh - dr-lag on what only newer servers have: failover slots, and
# since when a slot is inactive.  Sourced with the version set.
. "${0%/*}/ha.sh"
need python3 psql pgrep

cat >"$T/j.py" <<'END'
import json, sys
d = json.load(open(sys.argv[1] + "/json"))
sv = lambda name: next(x for x in d["servers"] if x["name"] == name)
slot = lambda s, name: next(x for x in sv(s)["slots"] if x["name"] == name)
sb = lambda name: next(x for x in d["standbys"] if x["name"] == name)
notes = lambda what: [n["about"] or "" for n in d["notes"] if n["what"] == what]
out = eval(sys.argv[2])
print("null" if out is None else str(out).lower() if isinstance(out, bool)
      else " ".join(out) if isinstance(out, list) else out)
END
j() {
	python3 "$T/j.py" "$T" "$1"
}

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	wal_level = logical
	END
standby b main "primary_slot_name = 'b'" "hot_standby_feedback = on" \
    "sync_replication_slots = off" \
    "primary_conninfo = 'host=$T/s port=$PGPORT user=postgres dbname=postgres'"
pg_start main
psql_ "SELECT pg_create_physical_replication_slot('b', true);
    SELECT pg_create_logical_replication_slot('f', 'pgoutput', false, false, true)" \
    >"$T/out"
pg_start b
until_sql main streaming "SELECT state FROM pg_stat_replication"

look() {
	status "$1" "$2" dr-lag --json -d "$(at main)" -d "$(at b)" --expect b
	cp "$T/out" "$T/json"
}
look 0 "a failover slot without a copy is a warning"
is "it is told of" "$(j "notes('slot-unsynced')")" main/f
is "what it is" "$(j "slot('main', 'f')['type']") \
$(j "slot('main', 'f')['failover']") $(j "slot('main', 'f')['synced']")" \
    "logical true false"
is "nobody uses it" "$(j "'main/f' in notes('slot-inactive')")" true
is "since when" "$(j "slot('main', 'f')['inactive_since'] is not None")" true
is "the standby is found by its cluster_name" "$(j "sb('b')['sender']")" main
status 1 "Nagios warns" dr-lag --nagios -d "$(at main)" -d "$(at b)"

echo "sync_replication_slots = on" >>"$T/b/postgresql.conf"
pg_use b
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql b t "SELECT synced AND NOT temporary FROM pg_replication_slots
    WHERE slot_name = 'f'"
look 0 "a copy of it"
is "is seen" "$(j "slot('b', 'f')['synced']")" true
is "and no copy is missed" "$(j "notes('slot-unsynced')")" ""
is "a copy is not called inactive" "$(j "notes('slot-inactive')")" main/f
status 0 "as samples" dr-lag --prometheus -d "$(at main)" -d "$(at b)"
match "of a copy" '^drtools_slot_synced\{slot="f",server="b"\} 1$' "$T/out"

done_testing
