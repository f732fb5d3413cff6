#!/bin/sh
# Point-in-time recovery on 15: every kind of target, across promotions with
# archiving through each, every refusal, and standbys; checked by content.
. "${0%/*}/../lib.sh"
need dr-wal dr-key dr-restore psql

store=$T/store
as_pg mkdir "$store"
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/to"

archiving() {
	cat >>"$1" <<-END
	archive_mode = on
	archive_timeout = 0
	archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n main -s $store -R $T/to --state $T/state %p 2>>$T/push.log'
	END
}
backup() {
	as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
	    dr-push -n main '$store'" && newest
}
newest() {
	f=$(ls -t "$store"/main/snap/*.json | head -n 1)
	id=${f##*/}
	id=${id%.json}
}
note_() {
	psql_ "INSERT INTO t (note) VALUES ('$1')"
}
# Close the segment and wait until it is archived.
flush() {
	w=$(psql_ 'SELECT pg_walfile_name(pg_switch_wal())')
	n=0
	until [ "$(psql_ "SELECT substr(last_archived_wal, 1, 24) >= '$w'
	    FROM pg_stat_archiver")" = t ]; do
		n=$((n + 1))
		[ "$n" -lt 300 ] || {
			tail -n 5 "$T/push.log"
			return 1
		}
		sleep 0.05
	done
}
now() {
	psql_ "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',
	    'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
}
content() {
	psql_ "SELECT concat_ws(' ', string_agg(note, ' ' ORDER BY i),
	    CASE WHEN to_regclass('precious') IS NOT NULL THEN '+precious' END)
	    FROM t"
}
promoted() {
	n=0
	until [ "$(psql_ 'SELECT pg_is_in_recovery()')" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 200 ] || return 1
		sleep 0.05
	done
}
restore() {
	as_pg dr-restore -n main -i "$T/id" -D "$T/r" "$@" "$store"
}
# to WHAT CONTENT OPTION...: restored so, it holds that.
to() {
	what=$1 want=$2
	shift 2
	if ! restore "$@" >"$T/out" 2>"$T/err"; then
		fail_ "$what" "$T/err"
		return 1
	fi
	: >"$T/r.log"
	if pg_start r && promoted; then
		is "$what" "$(content)" "$want" || tail -n 15 "$T/r.log"
		is '  archiving is off' "$(psql_ 'SHOW archive_mode')" off
		pg_stop r immediate
	else
		fail_ "$what" "$T/err" "$T/r.log"
	fi
	as_pg rm -rf "$T/r"
}
# refused WHAT MESSAGE HINT OPTION...
refused() {
	what=$1 message=$2 hint=$3
	shift 3
	status 3 "$what" restore "$@"
	match '  saying why' "$message" "$T/err"
	match '  and what is possible' "hint: .*$hint" "$T/err"
	ok '  nothing was written' test ! -e "$T/r"
}

# --- timeline 1 --------------------------------------------------------------
pg_new a --wal-segsize=1 || exit 1
archiving "$T/a/postgresql.conf"
pg_start a || exit 1
psql_ 'CREATE TABLE t (i serial, note text)'
note_ zero
early=$(now)
earlylsn=$(psql_ 'SELECT pg_current_wal_lsn()')
ok 'a backup' backup
b1=$id
note_ one
ok 'WAL is archived' flush
note_ two
lsn=$(psql_ 'SELECT pg_current_wal_insert_lsn()')
note_ three
xid=$(psql_ "WITH n AS (INSERT INTO t (note) VALUES ('four') RETURNING i)
    SELECT pg_current_xact_id() FROM n")
psql_ "SELECT pg_create_restore_point('it''s here')" >"$T/out"
psql_ 'CREATE TABLE precious AS SELECT 1 AS x'
note_ five
sleep 0.1
before=$(now)
sleep 0.1
psql_ 'DROP TABLE precious'
after=$(now)
sleep 0.1
note_ six
ok 'WAL is archived' flush

to 'by default to the end of the WAL' 'zero one two three four five six'
to '--latest' 'zero one two three four five six' --latest
to '--immediate' zero --immediate
to 'a time before a table was dropped' \
    'zero one two three four five +precious' --target-time "$before"
to 'a time after' 'zero one two three four five' --target-time "$after"
to 'an LSN' 'zero one two' --target-lsn "$lsn" --exclusive
to 'a transaction' 'zero one two three four' --target-xid "$xid"
to 'just before it' 'zero one two three' --target-xid "$xid" --exclusive
to 'a restore point' 'zero one two three four' --target-name "it's here"
to 'of the backup that is named' 'zero one two three four' \
    -b "$b1" --target-name "it's here"

status 0 'what it does is told' restore -v --target-xid "$xid"
match '  the backup' "starting from backup $b1, which ended at .* timeline 1" \
    "$T/err"
match '  the timeline' 'along timeline 1$' "$T/err"
match '  the end' 'the WAL in the stores reaches 0/[0-9A-F]+ on timeline 1' \
    "$T/err"
match '  a warning, for what is not known' 'taking the newest backup' "$T/err"
conf=$T/r/postgresql.auto.conf
match '  the timeline is written out' "^recovery_target_timeline = '1'" "$conf"
match '  all paths are absolute' "^restore_command = '/.*/dr-wal get -n main \
--system-id [0-9]+ -s $store -i $T/id -K $T/state/sign.key.pub .*%f %p'" "$conf"
as_pg rm -rf "$T/r"

# It pauses, and goes on.
status 0 'to pause at an LSN' restore --target-lsn "$lsn" --exclusive \
    --target-action pause
pg_start r
n=0
until [ "$(psql_ 'SELECT pg_is_wal_replay_paused()')" = t ]; do
	n=$((n + 1))
	[ "$n" -lt 100 ] || break
	sleep 0.1
done
is '  it can be looked at' "$(content)" 'zero one two'
psql_ 'SELECT pg_wal_replay_resume()' >"$T/out"
ok '  then it promotes' promoted
pg_stop r immediate
as_pg rm -rf "$T/r"

refused 'a time before the first backup' 'before the end of the first backup' \
    "-b $b1 --immediate" --target-time "$early"
refused 'an LSN before it' 'before the end of the first backup' \
    "-b $b1 --immediate" --target-lsn "$earlylsn"
refused 'a time in the future' 'does not reach' '--latest' \
    --target-time 2100-01-01T00:00:00Z
refused 'an LSN in the future' 'does not reach' '--latest' --target-lsn 7/0
refused 'an unknown timeline' 'timeline 4' 'timeline 1' --timeline 4
status 2 'the WAL is sealed' as_pg dr-restore -n main -D "$T/r" "$store"
match '  with a hint' '-i; --immediate' "$T/err"
status 2 'an identity that comes through a pipe' as_pg sh -c \
    "cat '$T/id' | dr-restore -n main -D '$T/r' -i /dev/stdin '$store'"
status 2 'nothing to pause at' restore --target-action pause
match '  with a hint' '--immediate' "$T/err"
ok '  nothing was written' test ! -e "$T/r"

# --- timeline 2: restored to a point, while the old server goes on ------------
status 0 'a copy at the restore point' restore --target-name "it's here"
mv "$T/r" "$T/b"
archiving "$T/b/postgresql.auto.conf"
pg_start b && promoted
is 'on timeline 2' "$(psql_ "SELECT pg_walfile_name(pg_current_wal_lsn()) ~
    '^00000002'")" t
note_ b1
ok 'WAL is archived' flush
sleep 1 # ids are of seconds
ok 'a backup' backup
b2=$id
note_ b2
ok 'WAL is archived' flush
fork=$(now)
pg_use a
for i in 1 2 3 4 5 6 7 8; do
	flush
	note_ a$i
done
sleep 1
ok 'a backup of the old one' backup
old=$id
far=$(psql_ 'SELECT pg_current_wal_lsn()')
note_ a9
ok 'WAL of the old one' flush
pg_stop a

# --- timeline 3 ----------------------------------------------------------------
pg_use b
pg_stop b
status 0 'a copy of timeline 2' restore -v
match '  from its own backup' "starting from backup $b2" "$T/err"
match '  the latest timeline' "^recovery_target_timeline = 'latest'" "$conf"
mv "$T/r" "$T/c"
archiving "$T/c/postgresql.auto.conf"
pg_start c && promoted
is 'on timeline 3' "$(psql_ "SELECT pg_walfile_name(pg_current_wal_lsn()) ~
    '^00000003'")" t
note_ c1
ok 'WAL is archived' flush

base='zero one two three four'
a="$base five six a1 a2 a3 a4 a5 a6 a7 a8"
to 'to the end of the newest timeline' "$base b1 b2 c1"
to 'from the first backup, through all' "$base b1 b2 c1" -b "$b1"
to 'along timeline 2' "$base b1 b2" --timeline 2
to 'along timeline 1' "$a a9" --timeline 1
to 'an LSN before the forks' 'zero one two' --target-lsn "$lsn" --exclusive
to 'a time on timeline 2' "$base b1 b2" --target-time "$fork"
to 'a time before the drop, on timeline 1' "$base five +precious" \
    --timeline 1 --target-time "$before"
refused 'an LSN that is only on an abandoned timeline' \
    'lies on timeline 1, off the way to timeline 3' '--timeline 1' \
    --target-lsn "$far"
to 'reached when it is named' "$a" --target-lsn "$far" --timeline 1 \
    -b "$b1"
refused 'a backup on the abandoned part' 'abandoned part' '--timeline 1' \
    -b "$old"
refused 'a backup that is too late' "before the end of backup $b2" \
    'earlier backup' -b "$b2" --target-lsn "$lsn"
status 2 'the histories are sealed' as_pg dr-restore -n main -D "$T/r" "$store"
match '  with a hint' '-i; --immediate' "$T/err"
status 0 'its own end it reaches' restore -b "$old" --immediate
as_pg rm -rf "$T/r"

# --- holes ---------------------------------------------------------------------
wal=$(echo "$store"/main/wal/*)
hole=$(ls "$wal"/00000001/00000001????????????????.zst.age | tail -n 4 |
    head -n 1)
mv "$hole" "$T/hole"
refused 'a hole before the end' 'WAL is missing' '--target-lsn' \
    --timeline 1 -b "$b1"
refused 'a hole before an LSN' 'WAL is missing' '--target-lsn' \
    --timeline 1 -b "$b1" --target-lsn "$far"
mkdir -p "$T/second/main/wal/${wal##*/}/00000001"
mv "$T/hole" "$T/second/main/wal/${wal##*/}/00000001/${hole##*/}"
chmod -R a+rX "$T/second"
status 0 'which another store fills' as_pg dr-restore -n main -i "$T/id" \
    -D "$T/r" --timeline 1 -b "$b1" "$store" "$T/second"
: >"$T/r.log"
pg_start r && promoted
is '  and all is there' "$(content)" "$a a9"
pg_stop r immediate
as_pg rm -rf "$T/r"

# --- standbys ------------------------------------------------------------------
pg_use c
conninfo="host=$T/s port=$PGPORT user=postgres"
status 0 'a standby' restore --standby "$conninfo"
ok '  standby.signal' as_pg test -f "$T/r/standby.signal"
ok '  no recovery.signal' as_pg test ! -e "$T/r/recovery.signal"
match '  from the store, too' "^restore_command = '.* get .*--standby %f %p'" \
    "$conf"
mv "$T/r" "$T/sb"
note_ c2
: >"$T/sb.log"
pg_start sb
n=0
until [ "$(psql_ "SELECT count(*) FROM t WHERE note = 'c2'")" = 1 ]; do
	n=$((n + 1))
	[ "$n" -lt 200 ] || break
	sleep 0.1
done
is '  it catches up' "$(content)" "$base b1 b2 c1 c2"
is '  and streams' "$(psql_ 'SELECT status FROM pg_stat_wal_receiver')" streaming
is '  in recovery' "$(psql_ 'SELECT pg_is_in_recovery()')" t
pg_stop sb
pg_use c
status 0 'one that may archive' restore --as-is --standby "$conninfo"
match '  primary_conninfo is set' "^primary_conninfo = 'host=" "$conf"
match '  archiving is not touched' '^archive_mode = on' "$conf"
pg_stop c

done_testing
