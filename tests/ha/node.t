#!/bin/sh
# What is done to servers in a failover: cut off, pointed elsewhere, promoted.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need "$top/build/$V/ha/node" "$top/build/$V/ha/view" psql "$PGBIN/pg_waldump"

# node ARG...: what it says goes to $T/view, see get
node() {
	"$top/build/$V/ha/node" 10000 "$@" >"$T/view" 2>"$T/view.err" ||
		{ sed 's/^/# /' "$T/view.err" && return 1; }
}

# refuses WHAT REGEX ARG...: the first server does
refuses() {
	w_=$1 re_=$2
	shift 2
	if "$top/build/$V/ha/node" 10000 "$@" >"$T/view" 2>"$T/view.err"; then
		fail_ "$w_" "$T/view"
	else
		match "$w_" "$re_" "$T/view.err"
	fi
}

# on NAME SQL
on() {
	(PGPORT=$(cat "$T/$1.port") && psql_ "$2")
}

# --- the last record of WAL -----------------------------------------------------
pg_new main --wal-segsize=1
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	log_statement = all
	autovacuum = off
END
# Up to 56 bytes before the end of a page: the record of a stop is longer.
fill() {
	psql_ "SELECT pg_logical_emit_message(false, 'x', '')" >"$T/out"
	psql_ "WITH a AS (SELECT pg_current_wal_insert_lsn() - '0/0' AS at)
	    SELECT pg_logical_emit_message(false, 'x', repeat('x', (8192 -
	    (at + 56 + 64) % 8192)::int)) FROM a" >"$T/out"
}
for i in 1 2 3; do
	pg_start main
	[ $i -gt 1 ] || psql_ "CREATE TABLE t (a int)"
	fill
	if [ $i -eq 2 ]; then
		pg_stop main immediate # its recovery ends with one, too
	else
		pg_stop main
	fi
done
seg=$(cd "$T/main/pg_wal" && find . -name '0000*' | sort | head -n 1)
seg=${seg#./}
as_pg "$PGBIN/pg_waldump" "$T/main/pg_wal/$seg" 2>"$T/err" |
	sed -nE 's/^rmgr: ([^ ]*) .*lsn: ([0-9A-F]*)\/([0-9A-F]*), .*desc: ([A-Z_]*).*/\3 \1-\4/p' >"$T/records"
# A record ends where the next begins, or before the header of its page.
python3 - "$T" <<'END'
import sys
t = sys.argv[1]
r = [l.split() for l in open(t + '/records')]
ends, want, crossing = [], [], 0
for a, b in zip(r, r[1:]):
    at, nxt = int(a[0], 16), int(b[0], 16)
    end = nxt - nxt % 8192 if nxt % 8192 <= 40 else nxt
    ends += [end, end - 8]
    stop = a[1] == 'XLOG-CHECKPOINT_SHUTDOWN'
    want += [int(stop), 0]
    crossing += stop and at // 8192 != (end - 1) // 8192
open(t + '/ends', 'w').writelines('0/%X\n' % e for e in ends)
open(t + '/want', 'w').writelines('%d\n' % w for w in want)
open(t + '/crossing', 'w').write('%d %d' % (crossing, sum(want)))
END
first=$(printf '0/%X' $((0x$(echo "$seg" | cut -c 17-24) * 1048576)))
"$top/build/$V/ha/node" 0 tail "$T/main/pg_wal/$seg" "$first" 1048576 \
    <"$T/ends" >"$T/got"
ok "the end of each record, $(wc -l <"$T/want"): which a stop wrote" \
    cmp "$T/got" "$T/want"
note "shutdown checkpoints that cross a page, and all: $(cat "$T/crossing")"
ok "some are there, one crosses a page" \
    grep -Eq '^[1-9][0-9]* ([2-9]|[1-9][0-9]+)$' "$T/crossing"

# --- what is known ------------------------------------------------------------
mkdir "$T/arch" && chmod 777 "$T/arch"
cat >>"$T/main/postgresql.conf" <<-END
	archive_mode = on
	archive_command = 'cp %p $T/arch/%f'
	drtools.tags = 'nofailover nosync'
	drtools.region = 'eu'
	drtools.priority = 7
END
standby s1 main "primary_slot_name = 's1'" "drtools.priority = 'x'"
standby s2 main "restore_command = 'cp $T/arch/%f %p'"
# A password with all that has to be quoted: geh'eim\ "x
cat >>"$T/s2/postgresql.conf" <<-END
	primary_conninfo = 'host=$T/s port=$(cat "$T/main.port") user=postgres application_name=s2 password=\'geh\\\\\'eim\\\\\\\\ "x\''
END
standby s3 s2
sed -i /wal_retrieve_retry_interval/d "$T/s2/postgresql.conf" \
    "$T/s3/postgresql.conf"
pg_start main
psql_ "SELECT pg_create_physical_replication_slot('s1', true)" >"$T/out"
psql_ "CREATE ROLE nobody LOGIN"
for s in s1 s2 s3; do
	pg_start $s
done
until_sql main 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
until_sql s2 1 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
pg_use main
node facts "$(at main)" "$(at s1)" "$(at s2)" "port=1"
says "all is known" 0.known 1
says "of a standby, too" 1.known 1
says "not of one that is down" 3.known 0
match "which says why" "3.error cannot connect" "$T/view"
says "a superuser asked" 0.superuser 1
says "where it lies" 0.data_directory "$T/main"
says "its tags" 0.tags "nofailover nosync"
says "its region" 0.region eu
says "its priority" 0.priority 7
says "what is no priority: never" 1.priority 0
match "which is said" '1.error drtools.priority is "x"' "$T/view"
says "where a standby streams from" 1.conninfo \
    "host=$T/s port=$(cat "$T/main.port") user=postgres application_name=s1"
says "by which slot" 1.slot_name s1
says "what it fetches WAL with" 2.restore_command "cp $T/arch/%f %p"
says "how long it may sleep" 2.retry_us 5000000
says "who streams" 0.senders_used 2
says "of how many" 0.senders 10
says "whether it starts again after a crash" 0.restart_after_crash 1
says "no transaction is prepared" 0.prepared 0
says "a standby cannot tell" 1.prepared -
says "nothing is saved" 1.saved ""
says "its timeline" 1.tli 1
says "has no history" 1.has_history 1
says "the last checkpoint" 0.control_lsn \
    "$(psql_ "SELECT checkpoint_lsn FROM pg_control_checkpoint()")"
(
	echo "BEGIN; SELECT pg_current_xact_id();"
	until [ -e "$T/seen" ]; do sleep 0.05; done
) | psql -qAtX >"$T/out" 2>&1 &
until_sql main 1 "SELECT count(*) FROM pg_stat_activity
    WHERE state = 'idle in transaction'"
pg_use main
node facts "$(at main)"
ok "a transaction that writes is as old as it is ($(get 0.oldest_us) us)" \
    test "$(get 0.oldest_us)" -gt 0
touch "$T/seen"
wait
node facts "$(at main) user=nobody"
says "who is no superuser may ask" 0.known 1
says "which is said" 0.superuser 0
says "and sees what he may" 0.priority 7
refuses "but do nothing" "cannot set work_mem: permission denied|must be super" \
    set work_mem 1MB "$(at main) user=nobody"
match "and why" "must be a superuser" "$T/view.err"
node cut "$(at s1) user=nobody"
match "cut nothing off, either" "0.error cannot look at the server: perm" \
    "$T/view"

# --- settings and slots -----------------------------------------------------------
ok "a setting" node set synchronous_standby_names 'ANY 1 (s1, "x ''y")' \
    "$(at main)"
is "is effective" "$(psql_ "SHOW synchronous_standby_names")" \
    'ANY 1 (s1, "x ''y")'
ok "and reset" node set synchronous_standby_names - "$(at main)"
is "is not" "$(psql_ "SHOW synchronous_standby_names")" ""
refuses "one that makes no sense" "cannot set synchronous_standby_names: inv" \
    set synchronous_standby_names 'ANY x' "$(at main)"
refuses "a name that is none" "is no setting" set 'a = 1; --' 1 "$(at main)"
ok "a slot that is there" node slot s1 "$(at main)"
ok "one that is not" node slot s2 "$(at main)"
ok "on a standby, too" node slot s3 "$(at s2)"
is "it reserves WAL" "$(on s2 "SELECT restart_lsn IS NOT NULL
    FROM pg_replication_slots WHERE slot_name = 's3'")" t
refuses "a name that no slot may have" "cannot create a slot" slot 'S"' \
    "$(at main)"

# PostgreSQL decides which lists of names are good.
cat >"$T/names" <<-'END'
	a
	a, b
	2 (a, b)
	FIRST 1 (a)
	any 2 (*, "x y")
	"a""b", c$1
	1, 2
	1, a
	2 (1, 2)
	first
	"first"
	a b
	a-b
	1a
	2 (a
	(a)
	0 (a)
	any (a)
	"a
	a,
	,
	any 1 a
	2 ()
	ä
END
while read -r names; do
	printf "ALTER SYSTEM SET synchronous_standby_names = '%s';\n" "$names"
	printf '%s\n' '\echo :ERROR'
done <"$T/names" | psql -qAtX >"$T/theirs" 2>"$T/err"
while read -r names; do
	if "$top/build/$V/ha/node" 0 names "$names" >"$T/out" 2>&1; then
		echo false
	else
		echo true
	fi
done <"$T/names" >"$T/ours"
ok "names of standbys are read as the server does" cmp "$T/ours" "$T/theirs"
is "all of them" "$(grep -c . "$T/theirs")" "$(grep -c . "$T/names")"
psql_ "ALTER SYSTEM RESET synchronous_standby_names"

# --- cut off ----------------------------------------------------------------------
was=$(on s2 "SHOW primary_conninfo")
ok "the password is one that has to be quoted" \
    test "$was" != "${was#*geh\\\'eim\\\\}"
node ends "$(at s1)" "$(at main)"
match "where one ends is not known while it streams" \
    "0.error it is not cut off" "$T/view"
match "nor where a primary does" "1.error it is not a standby" "$T/view"
node cut "$(at s1)" "$(at s2)" "$(at main)"
is "two are cut off" "$(grep -c '^[01].error' "$T/view")" 0
match "a primary cannot be" "2.error it is not a standby" "$T/view"
below "at once (ms)" 0.took 2000
for s in s1 s2; do
	is "$s: nobody receives" "$(on $s "SELECT count(*)
	    FROM pg_stat_activity WHERE backend_type = 'walreceiver'")" 0
	is "$s: from nobody" "$(on $s "SHOW primary_conninfo")" ""
done
node facts "$(at s2)"
says "what it was is saved as it was" 0.saved "$was"
node cut "$(at s1)" "$(at s2)"
nomatch "once more" error "$T/view"
node facts "$(at s2)"
says "keeps what is saved" 0.saved "$was"

end=$(psql_ "INSERT INTO t SELECT generate_series(1, 1000);
    SELECT pg_switch_wal()")
until_ "it is archived" ls "$T/arch/$(psql_ "SELECT pg_walfile_name('$end')")"
node ends "$(at s1)" "$(at s2)"
says "its end is known" 0.known 1
says "on its timeline" 0.tli 1
says "all is replayed" 0.replayed "$(get 0.received)"
is "it is not where the primary is" "$(on s1 "SELECT count(*) FROM t")" 0
# reached FIELD NAME LSN
reached() {
	[ "$(on "$2" "SELECT '$(get "$1")'::pg_lsn >= '$3'")" = t ]
}
until_ends() {
	on s2 "SELECT pg_reload_conf()"
	node ends "$(at s2)" && reached 0.replayed s2 "$end"
}
until_ "one that fetches what was archived has it" until_ends

node uncut "$(at s1)" "$(at s2)"
nomatch "back" error "$T/view"
is "as it was" "$(on s2 "SHOW primary_conninfo")" "$was"
is "without a trace of it in its files" \
    "$(grep -c primary_conninfo "$T/s2/postgresql.auto.conf")" 0
until_sql main 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
pg_use main
node uncut "$(at s1)" "$(at s2)"
nomatch "once more: nothing to do" error "$T/view"

# Killed wherever it is, the next run finds what it needs.
on s2 "ALTER SYSTEM SET primary_conninfo = ''"
node cut "$(at s2)"
node facts "$(at s2)"
says "killed before the reload: saved" 0.saved "$was"
node uncut "$(at s2)"
on s2 "ALTER SYSTEM SET primary_conninfo = ''"
node uncut "$(at s2)"
is "and taken back" "$(grep -c primary_conninfo \
    "$T/s2/postgresql.auto.conf")" 0
good=0
for i in 8 12 16 20 24 28 32 36; do
	"$top/build/$V/ha/node" 10000 cut "$(at s2)" >"$T/out" 2>&1 &
	sleep "$(printf '0.%03d' $i)"
	kill -KILL $! 2>"$T/out"
	wait $! 2>"$T/out"
	node cut "$(at s2)"
	node facts "$(at s2)"
	[ "$(get 0.saved),$(get 0.conninfo)" = "$was," ] || break
	node uncut "$(at s2)"
	[ "$(on s2 "SHOW primary_conninfo")" = "$was" ] || break
	good=$((good + 1))
done
is "killed at any time" "$good" 8

on s1 "SELECT pg_wal_replay_pause()" >"$T/out"
psql_ "INSERT INTO t SELECT generate_series(1, 1000)"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
until_sql s1 t "SELECT pg_last_wal_receive_lsn() >= '$end'"
pg_use main
node cut "$(at s1)"
nomatch "one whose replay is paused is cut off" error "$T/view"
below "at once (ms)" 0.took 5000
node ends "$(at s1)"
below "and not waited for (ms)" 0.took 5000
ok "it has all" reached 0.received s1 "$end"
ok "and has not replayed it" test "$(get 0.replayed)" != "$(get 0.received)"
on s1 "SELECT pg_wal_replay_resume()" >"$T/out"
node ends "$(at s1)"
ok "now it has" reached 0.replayed s1 "$end"

# --- pointed elsewhere ---------------------------------------------------------------
s2=$(cat "$T/s2.port")
ok "a slot to stream from" node slot s1 "$(at s2)"
ok "to follow another, while cut off" node follow "$T/s" "$s2" s1 "$(at s1)"
is "all but the place is kept" "$(on s1 "SHOW primary_conninfo")" \
    "host='$T/s' port='$s2' user='postgres' application_name='s1'"
until_sql s2 s1 "SELECT application_name FROM pg_stat_replication
    WHERE application_name = 's1' AND state = 'streaming'"
pg_use main
is "by a slot" "$(on s2 "SELECT active FROM pg_replication_slots
    WHERE slot_name = 's1'")" t
node uncut "$(at s1)"
is "which no uncut undoes" "$(on s1 "SHOW primary_conninfo")" \
    "host='$T/s' port='$s2' user='postgres' application_name='s1'"
on s1 "ALTER SYSTEM SET primary_conninfo =
    'postgresql://postgres:a%27b@nowhere:1,elsewhere:2/?application_name=s1&passfile=%2Fx&target_session_attrs=primary'"
on s1 "SELECT pg_reload_conf()" >"$T/out"
until_sql s1 t "SELECT current_setting('primary_conninfo') LIKE 'postgresql%'"
pg_use main
ok "from a list of hosts" node follow "$T/s" "$s2" s1 "$(at s1)"
is "as an URI" "$(on s1 "SHOW primary_conninfo")" \
    "host='$T/s' port='$s2' user='postgres' password='a\\'b' application_name='s1' passfile='/x'"
until_sql s2 1 "SELECT count(*) FROM pg_stat_replication
    WHERE application_name = 's1' AND state = 'streaming'"
pg_use main
refuses "a primary follows nobody" "it is not a standby" \
    follow "$T/s" "$s2" "" "$(at main)"
nomatch "no statement with a password is logged" "STATEMENT:.*(geh|a.b)" \
    "$T/s1.log"
nomatch "nor by log_statement" "statement:.*(a%27b@|a\\\\*''b)" "$T/s2.log"
grep 'statement: ALTER SYSTEM SET primary_conninfo = E' "$T/s1.log" >"$T/logged"
is "not even where all are" "$(cat "$T/logged")" ""
ok "others are" grep -q "statement: SELECT" "$T/s1.log"

# --- a switchover ------------------------------------------------------------------
like=$(on s2 "SHOW primary_conninfo")
refuses "a standby does not step down" "it is not a primary" \
    demote "" "$T/s" "$s2" "" "$(at s2)"
ok "a primary that is to step down" \
    node demote "$like" "$T/s" "$s2" "" "$(at main)"
ok "its next start is that of a standby" test -e "$T/main/standby.signal"
ok "or not" node undemote "$(at main)"
ok "then it is not" test ! -e "$T/main/standby.signal"
ok "again" node demote "$like" "$T/s" "$s2" "" "$(at main)"
ok "a checkpoint" node checkpoint "$(at main)"
node shutdown "$(at s2)"
says "it has not stopped" 0.seen 0
psql_ "INSERT INTO t VALUES (1)"
before=$(psql_ "SELECT pg_current_wal_flush_lsn()")
pg_stop main
until_seen() {
	node shutdown "$(at s2)" && [ "$(get 0.seen)" = 1 ]
}
until_ "it has stopped: seen on a standby" until_seen
end=$(get 0.end)
is "beyond where it was" "$(on s2 "SELECT '$end'::pg_lsn > '$before'")" t
is "and there it ends" "$(as_pg "$PGBIN/pg_controldata" "$T/main" |
	sed -n 's/^Database cluster state: *//p')" "shut down"
ok "the standby is promoted" node promote "$(at s2)"
says "to the next timeline" 0.tli 2
ok "it was already" node promote "$(at s2)"
says "which is the same" 0.tli 2
ok "it takes a write" node write "$(at s2)"
node set synchronous_standby_names none "$(at s2)"
"$top/build/$V/ha/node" 20000 writes "$(at s2)" >"$T/view.w" 2>&1 &
w=$!
until_sql s2 t "SELECT count(*) > 1 FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' OR wait_event_type = 'Lock'"
node set synchronous_standby_names - "$(at s2)"
wait "$w"
is "one that waits in vain is made again" "$?" 0
match "until it is acknowledged" "^0.tries ([2-9]|[1-3][0-9])" "$T/view.w"
pg_start main
until_sql s2 main "SELECT application_name FROM pg_stat_replication
    WHERE application_name = 'main' AND state = 'streaming'"
is "as itself, not by another's name" "$(on main "SHOW primary_conninfo" |
	grep -c application_name)" 0
until_sql s1 t "SELECT received_tli = 2 FROM pg_stat_wal_receiver"
pg_use s2
psql_ "INSERT INTO t VALUES (2)"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
until_sql s1 t "SELECT pg_last_wal_receive_lsn() >= '$end'"
pg_use s2
node cut "$(at s1)"
node ends "$(at s1)"
says "on a timeline that no checkpoint knows yet" 0.tli 2
node facts "$(at s1)" "$(at s2)"
says "its history" 0.has_history 1
says "is there" 0.ancestor 1
node uncut "$(at s1)"
refuses "who is a standby takes no write" "read-only" write "$(at s1)"

# --- no five seconds -----------------------------------------------------------------
# s3 and main follow s2 and have the default.  What s2 is asked, it does not hear.
psql_ "SELECT pid FROM pg_stat_replication" >"$T/senders"
until_sql main 1 "SELECT count(*) FROM pg_stat_wal_receiver"
freeze "$(pm s2)"
# shellcheck disable=SC2046 # words
kill $(cat "$T/senders")
startups=
for s in s3 main; do
	until_sql $s LibPQWalReceiverConnect "SELECT wait_event
	    FROM pg_stat_activity WHERE backend_type = 'walreceiver'"
	p=$(on $s "SELECT pid FROM pg_stat_activity
	    WHERE backend_type = 'startup'")
	startups="$startups $p"
	freeze "$p"
	kill "$(on $s "SELECT pid FROM pg_stat_activity
	    WHERE backend_type = 'walreceiver'")"
	until_sql $s 0 "SELECT count(*) FROM pg_stat_activity
	    WHERE backend_type = 'walreceiver'"
done
on main "SELECT pg_promote(false)" >"$T/out"
"$top/build/$V/ha/node" 20000 promote "$(at s3)" >"$T/view" 2>&1 &
p=$!
sleep 0.3
# shellcheck disable=SC2086 # words
kill -CONT $startups
wait "$p"
is "promoted when the walreceiver is just gone" "$?" 0
below "without the pause of 5 s (ms)" 0.took 2000
is "which the order alone does not end" "$(on main "SELECT wait_event
    FROM pg_stat_activity WHERE backend_type = 'startup'")" \
    RecoveryRetrieveRetryInterval
thaw

done_testing
