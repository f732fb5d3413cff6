#!/bin/sh
# The heartbeat: true delays by one clock, and whether the primary takes
# writes, told from whether it answers.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need "$top/build/$V/ha/view" psql

pg_new main
standby s1 main
standby slow main "recovery_min_apply_delay = 700ms"
pg_start main
pg_start s1
pg_start slow
until_sql main 2 "SELECT count(*) FROM pg_stat_replication
    WHERE state = 'streaming'"
pg_use main

# between WHAT FIELD LOW HIGH
between() {
	g_=$(get "$2")
	ok "$1 ($g_ us)" test "${g_:-0}" -ge "$3" -a "${g_:-0}" -le "$4"
}

# --- delays ------------------------------------------------------------------
views -b "$(at main)" "$(at s1)" "$(at slow)"
says "the first time it makes its table" 0.state primary
views -b "$(at main)" "$(at s1)" "$(at slow)"
between "writing takes its time" 0.beat 1 1000000
between "a standby has it soon" 1.beat 1 400000
between "a slow one has it late" 2.beat 700000 1500000
is "one row in all" "$(psql_ "SELECT count(*) FROM drtools.heartbeat")" 1

# The clock of the writer may be set back: what is waited for is newer still.
psql_ "UPDATE drtools.heartbeat SET beat = beat + 3600000000"
views -b "$(at main)" "$(at s1)"
between "a clock that was set back misleads nobody" 1.beat 1 400000

PGPORT=$(cat "$T/s1.port") psql_ "SELECT pg_wal_replay_pause()" >"$T/out"
"$top/build/$V/ha/view" -b 500 "$(at main)" "$(at s1)" "$(at slow)" \
    >"$T/view"
says "replay is paused: the delay is not known" 1.beat -
match "which is said" "1.error it has not shown the heartbeat within" "$T/view"
PGPORT=$(cat "$T/s1.port") psql_ "SELECT pg_wal_replay_resume()" >"$T/out"
pg_stop slow
views -b "$(at main)" "$(at s1)" "$(at slow)"
between "one that is down keeps nobody else waiting" 1.beat 1 400000
says "and has no delay" 2.beat -
says "one primary, written" 0.state primary
views -b "$(at s1)"
match "no primary: nothing is written" "0.error there is no primary" "$T/view"

# --- rights ------------------------------------------------------------------
psql_ "CREATE ROLE watcher LOGIN"
views -b "$(at main) user=watcher"
says "a role that may not: no write" 0.state no-write
match "which is said" "0.error .*permission denied for schema drtools" "$T/view"
psql_ "GRANT USAGE ON SCHEMA drtools TO watcher;
    GRANT SELECT, INSERT, UPDATE ON drtools.heartbeat TO watcher"
views -b "$(at main) user=watcher"
says "what the page says to grant is enough" 0.state primary
psql_ "DROP TABLE drtools.heartbeat; DROP SCHEMA drtools;"
views -b "$(at main) user=watcher"
says "it cannot make the table" 0.state no-write
psql_ "GRANT CREATE ON DATABASE postgres TO watcher"
views -b "$(at main) user=watcher"
says "now it can" 0.state primary

# --- writes that fail -----------------------------------------------------------
psql_ "ALTER ROLE watcher SET default_transaction_read_only = on"
views -b "$(at main) user=watcher"
says "read-only" 0.state read-only
psql_ "ALTER ROLE watcher RESET default_transaction_read_only"

psql_ "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main nobody "SHOW synchronous_standby_names"
pg_use main
for i in 1 2 3; do
	"$top/build/$V/ha/view" -b 300 "$(at main)" >"$T/view"
	says "commits wait for ever: no write ($i)" 0.state no-write
done
match "which is said" "0.error .*synchronous standby|.*timeout" "$T/view"
n=$(psql_ "SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'dr-lag'")
ok "what waits there does not grow ($n)" test "$n" -le 1
psql_ "ALTER SYSTEM RESET synchronous_standby_names"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql main "" "SHOW synchronous_standby_names"
views -b "$(at main)"
says "it goes on when they do" 0.state primary

done_testing
