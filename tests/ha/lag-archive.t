#!/bin/sh
# dr-lag over a primary that archives: what the store holds without a gap,
# while the archiver's own figures are green; and what servers say of it.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need python3 psql pgrep dr-wal dr-snap dr-push dr-key

cat >"$T/j.py" <<'END'
import json, sys
d = json.load(open(sys.argv[1] + "/json"))
s = d["stores"][0]
a = next((v["archiver"] for v in d["servers"] if v.get("archiver")), None)
notes = lambda what: [n["about"] or "" for n in d["notes"] if n["what"] == what]
out = eval(sys.argv[2])
print("null" if out is None else str(out).lower() if isinstance(out, bool)
      else " ".join(out) if isinstance(out, list) else out)
END
j() {
	python3 "$T/j.py" "$T" "$1"
}
look() {
	want_=$1 what_=$2
	shift 2
	status "$want_" "$what_" dr-lag --json -n m -d "$(at main)" "$@" \
	    "$T/store"
	cp "$T/out" "$T/json"
}
segment() {
	psql_ "SELECT pg_walfile_name(pg_current_wal_insert_lsn() + 1)"
}
switch() {
	psql_ "INSERT INTO t SELECT generate_series(1, 1000)"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
}
archived_() {
	[ "$(psql_ "SELECT last_archived_wal >= '$1' FROM pg_stat_archiver")" = t ]
}
archived() {
	until_ "$1 is archived" archived_ "$1"
}
set_() {
	psql_ "ALTER SYSTEM SET $1 = '$2'"
	psql_ "SELECT pg_reload_conf()" >"$T/out"
}

mkdir "$T/store" "$T/pgstate"
[ "$root_" = no ] || chown postgres: "$T/store" "$T/pgstate"
dr-key new -o "$T/id" >"$T/out" 2>&1
dr-key recipient "$T/id" >"$T/to"
chmod 644 "$T/to"
push="PATH=$bin:/usr/bin:/bin dr-wal push -n m -s $T/store -R $T/to --state $T/pgstate"
backup() {
	as_pg env DR_STATE="$T/pgstate" PATH="$PATH" sh -c "dr-snap \
	    -d 'host=$T/s port=$PGPORT user=postgres' |
	    dr-push -n m --plain '$T/store'"
}

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	archive_mode = on
	archive_command = '$push %p'
	autovacuum = off
	END
pg_start main
psql_ "CREATE TABLE t (a int)"
switch
archived 000000010000000000000001
status 0 "a backup" backup
DR_VERIFY_KEY=$T/pgstate/sign.key.pub
export DR_VERIFY_KEY
switch
w=$(segment)
switch
archived "$w"

look 0 "archived, and nothing laid down"
is "no gap" "$(j "s['gaps']")" 0
reach=$(j "s['reach_lsn']")
is "the store reaches to the end of what was archived" \
    "$(psql_ "SELECT pg_walfile_name('$reach'::pg_lsn - 1)")" "$w"
is "what is lost is what comes after" "$(j "s['rpo_bytes']")" \
    "$(psql_ "SELECT (pg_current_wal_flush_lsn() - '$reach'::pg_lsn)::bigint")"
is "for a time that is known" "$(j "s['rpo_seconds'] is not None")" true
look 0 "within an hour" --rpo 1h
look 3 "not within a millisecond" --rpo 1ms
is "which is told" "$(j "len(notes('rpo'))")" 1
status 0 "the store alone, without a server" env -u PGHOST -u PGPORT \
    -u PGDATABASE -u PGUSER dr-lag --json -n m "$T/store"
cp "$T/out" "$T/json"
is "it reaches as far" "$(j "s['reach_lsn']")" "$reach"
is "by the times in the store" "$(j "s['rpo_seconds'] is not None")" true

# --- WAL that is dropped while the archiver is green -----------------------------------
set_ archive_command /bin/true
sleep 0.3
lost=$(segment)
switch
archived "$lost"
set_ archive_command "$push %p"
sleep 0.3
w=$(segment)
switch
archived "$w"
look 3 "a segment was dropped"
is "the archiver knows of no failure" "$(j "a['failed']")" 0
is "a gap" "$(j "s['gaps']") $(j "len(notes('archive-gap'))")" "1 1"
is "from the segment that was lost" \
    "$(psql_ "SELECT pg_walfile_name('$(j "s['gap_from']")'::pg_lsn + 1)")" "$lost"
is "to the next" "$(psql_ "SELECT pg_walfile_name('$(j "s['gap_to']")'::pg_lsn + 1)")" "$w"
is "what is behind it does not count as archived" \
    "$(psql_ "SELECT pg_walfile_name('$(j "s['reach_lsn']")'::pg_lsn + 1)")" "$lost"
is "what would be lost is all since" "$(j "s['rpo_bytes']")" \
    "$(psql_ "SELECT (pg_current_wal_flush_lsn() - '$(j "s['reach_lsn']")')::bigint")"
status 2 "critical, for Nagios" dr-lag --nagios -n m -d "$(at main)" "$T/store"
match "in words" 'WAL is missing from [0-9A-F/]+ to [0-9A-F/]+' "$T/out"
match "and perfdata" "_gaps'=1;;;0" "$T/out"
status 3 "as samples" dr-lag --prometheus -n m -d "$(at main)" "$T/store"
match "of gaps" '^drtools_archive_gaps\{set="m",store="[^"]*"\} 1$' "$T/out"
match "the archiver is green" \
    '^drtools_archiver_failures_total\{.*server="main"\} 0$' "$T/out"
status 3 "in the table" dr-lag -n m -d "$(at main)" "$T/store"
match "too" '^critical: m in .*: WAL is missing' "$T/out"

status 0 "a newer backup" backup
w=$(segment)
switch
archived "$w"
look 0 "makes up for it"
is "there is no gap behind it" "$(j "s['gaps']")" 0

# --- an archiver that fails ---------------------------------------------------------------
set_ archive_command /bin/false
sleep 0.3
w=$(segment)
switch
failed_() {
	[ "$(psql_ "SELECT last_failed_wal = '$w' FROM pg_stat_archiver")" = t ]
}
until_ "the archiver fails" failed_
look 3 "an archiver that fails"
is "is told" "$(j "notes('archiver-failing')")" main
is "a file waits" "$(j "a['ready_files'] >= 1 and a['oldest_ready'] is not None")" true
look 3 "beyond the RPO" --rpo 1ms
is "that, too" "$(j "notes('archiver-behind')")" main

# --- another cluster -----------------------------------------------------------------------
pg_new other
pg_start other
status 3 "a store of another cluster" dr-lag --json -n m -d "$(at other)" "$T/store"
cp "$T/out" "$T/json"
is "is told" "$(j "len(notes('other-cluster'))")" 1

done_testing
