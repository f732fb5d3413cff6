#!/bin/sh
# What dr-lag says of stores, by real backups and WAL: in a directory and over
# S3, with few requests; what is dropped, cut off, away or slow; two timelines.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/job.sh"
need dr-lag dr-wal dr-restore psql python3

s3_server
bucket=$(s3_bucket) || exit 1
cutter_server s3
hits=$T/hits.$proxy_port
job_keys
chmod 755 "$T"

# report STORE [OPTION...]: into $T/lag
report() {
	s_=$1
	shift
	as_pg dr-lag --json -n pg -d "host=$T/s port=$PGPORT" "$@" "$s_" \
	    >"$T/lag" 2>"$T/err"
}
# says WHAT EXPRESSION: of the store's part s of the report r
says() {
	w_=$1
	shift
	python3 - "$T/lag" "$*" <<-'END' >"$T/says" 2>&1
	import json, sys
	r = json.load(open(sys.argv[1]))
	s = r["stores"][0]
	def lsn(t):
	    a, b = t.split("/")
	    return (int(a, 16) << 32) + int(b, 16)
	note = [n["what"] for n in r["notes"]]
	if not eval("(" + sys.argv[2] + ")"):
	    print(json.dumps(s), note)
	    sys.exit(1)
	END
	if [ -s "$T/says" ]; then
		fail_ "$w_" "$T/says" "$T/err"
	else
		pass_ "$w_"
	fi
}
wal_of() {
	find "$T/dir/pg/wal" -name "$1" | sort
}

# --- a directory -----------------------------------------------------------------
as_pg mkdir "$T/dir"
job_cluster "$T/dir" || exit 1
report "$T/dir" --no-signature
says "an empty store: nothing is known" 's["readable"] and s["newest"] is None
    and s["rpo_seconds"] is None and s["rto_seconds"] is None and
    s["reach_lsn"] is None and s["backups"] == 0'
ok "a backup" job_backup "$T/dir"
report "$T/dir"
says "before any WAL: the backup's end" 's["backups"] == 1 and
    s["gaps"] == 0 and lsn(s["reach_lsn"]) >= lsn(s["newest"]["stop_lsn"]) and
    s["rto_seconds"] is None and s["verified"] is None and
    s["restored"] is None and s["newest"]["stored_bytes"] > 0'
job_note one
ok "WAL" job_flush
report "$T/dir"
says "all of it: a bound" 's["rpo_is_bound"] and s["gaps"] == 0 and
    s["rpo_bytes"] < 1 << 20 and s["rpo_seconds"] < 60'
is "no warning" "$(cat "$T/err")" ""

# What is idle loses nothing, however long it is so.
sleep 1.2
report "$T/dir"
says "idle: no older" 's["rpo_is_bound"] and s["rpo_seconds"] < 1 or
    s["rpo_bytes"] > 0'

# Measured, and predicted by that.
status 0 "verified" as_pg dr-verify -n pg "$T/dir"
status 0 "verified, deep" as_pg dr-verify -n pg --deep -i "$T/id" "$T/dir"
report "$T/dir"
says "when it was verified is known" 's["verified"] and s["deep_verified"]
    and s["rto_fetch_seconds"] > 0 and s["restored"] is None'
for i in 1 2 3 4 5 6 7 8; do
	job_note "w$i"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
done
ok "more WAL" job_flush
job_restore "to the end of the WAL" "zero one w1 w2 w3 w4 w5 w6 w7 w8" \
    "$T/dir"
report "$T/dir"
says "the time of a restore is predicted by one" 's["restored"] and
    s["rto_seconds"] is not None and s["rto_replay_seconds"] > 0 and
    s["rto_seconds"] < 600'

# Dropped WAL.
mid=$(wal_of '0*1????????????????.zst.age' | tail -n 3 | head -n 1)
as_pg mv "$mid" "$T/mid"
report "$T/dir"
says "dropped behind: not seen at once" 's["gaps"] == 0'
as_pg rm -rf "$T/state/lag"
report "$T/dir"
says "dropped WAL: a gap" 's["gaps"] == 1 and "archive-gap" in note and
    lsn(s["gap_to"]) - lsn(s["gap_from"]) == 1 << 20 and
    lsn(s["newest_lsn"]) > lsn(s["gap_to"]) and s["rpo_bytes"] > 1 << 20'
as_pg mv "$T/mid" "$mid"
report "$T/dir"
says "brought back: none" 's["gaps"] == 0 and s["rpo_bytes"] < 2 << 20'

# A store that was put back to an earlier day.
as_pg cp -R "$T/dir" "$T/kept"
job_note later
ok "WAL" job_flush
ok "a later backup" job_backup "$T/dir"
report "$T/dir"
says "two backups" 's["backups"] == 2 and s["told"] is None'
as_pg sh -c 'rm -rf dir/pg && mv kept/pg dir/pg'
report "$T/dir"
says "put back: told" '"gone" in s["told"] and s["backups"] == 1 and
    "store-fault" in note'
report "$T/dir"
says "  and told again" '"gone" in s["told"]'
as_pg mv "$T/dir" "$T/away"
report "$T/dir"
says "the store is away" 'not s["readable"] and s.get("rpo_seconds") is None
    and "store-unreadable" in note'
as_pg mv "$T/away" "$T/dir"
as_pg rm -rf "$T/state/lag"

# --- two timelines ---------------------------------------------------------------
pg_stop a
as_pg touch "$T/a/standby.signal"
pg_start a
as_pg "$PGBIN/pg_ctl" -D "$T/a" -w promote >"$T/out" 2>&1
job_note promoted
ok "promoted" job_flush
ok "a backup, since the store was put back" job_backup "$T/dir"
job_note more
ok "WAL of the new timeline" job_flush
report "$T/dir"
says "on the new timeline" 's["timeline"] == 2 and s["gaps"] == 0 and
    s["rpo_is_bound"] and s["rpo_bytes"] < 1 << 20'
pg_stop a
as_pg touch "$T/a/standby.signal"
pg_start a
as_pg "$PGBIN/pg_ctl" -D "$T/a" -w promote >"$T/out" 2>&1
report "$T/dir"
says "promoted again, not archived yet or just now" 's["timeline"] in (2, 3)'
job_note third
ok "archived" job_flush
report "$T/dir"
says "the third is reached from a backup of the second" '
    s["newest"]["timeline"] == 2 and s["timeline"] == 3 and s["gaps"] == 0 and
    s["rpo_bytes"] < 1 << 20'

# --- over S3 ------------------------------------------------------------------------
store=s3://$bucket/lag
sed -i "s|-s \"[^\"]*\"|-s \"$store\"|" "$T/a/postgresql.conf"
pg_stop a
pg_start a # with the environment of the store
ok "S3: a backup" job_backup "$store"
job_note s3
ok "S3: WAL" job_flush
report "$store"
says "S3: a bound" 's["readable"] and s["rpo_is_bound"] and s["gaps"] == 0
    and s["timeline"] == 3'
for i in 1 2 3; do
	job_note "s3 $i"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
done
ok "S3: more" job_flush
cutter_clear
cutter_rule none - .
report "$store"
says "S3: the next report" 's["gaps"] == 0 and s["rpo_bytes"] < 1 << 20'
ok "  in $(cutter_hits) requests" test "$(cutter_hits)" -le 3
ok "S3: another backup" job_backup "$store"
cutter_clear
cutter_rule none - .
report "$store"
says "  is seen" 's["backups"] == 2'
ok "  in $(cutter_hits) requests" test "$(cutter_hits)" -le 5
name=$(s3_ ls "$bucket" lag/pg/wal/ | grep -E '/[0-9A-F]{24}\.zst' |
    tail -n 1)
s3_ get "$bucket" "$name" >"$T/object"
s3_ rm "$bucket" "$name"
report "$store"
says "S3: the last is gone" '"now ends at" in s["told"]'
s3_ put "$bucket" "$name" "$T/object"

# A store that is slow, and one that answers nothing.
cutter_clear
cutter_rule slow 2000 "^GET .*list-type"
report "$store" --timeout 20s
says "S3: slow" 's["readable"] and s["gaps"] == 0'
cutter_clear
cutter_rule mute - .
began=$(date +%s%N)
report "$store" --timeout 2s
ms=$((($(date +%s%N) - began) / 1000000))
says "S3: silent" 'not s["readable"] and s.get("rpo_seconds") is None'
ok "  and given up on in time: $ms ms" test "$ms" -lt 30000
cutter_clear
pg_stop a

done_testing
