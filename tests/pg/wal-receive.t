#!/bin/sh
# dr-wal receive: nothing lost and nothing altered, whatever is killed,
# restarted, promoted, or away.
. "${0%/*}/../lib.sh"
. "${0%/*}/wal_receive.sh"
need python3 age zstd

# --- the command line -----------------------------------------------------
status 2 "a slot must be named" dr-wal receive -n s "$T/b"
status 2 "by a name that can be one" dr-wal receive -n s --slot A-b "$T/b"
status 2 "stores must be" dr-wal receive -n s --slot dr
status 2 "more cannot be required than there are" \
    dr-wal receive -n s --slot dr --require 2 "$T/b"
status 2 "recipients must be" env DR_RECIPIENTS= \
    dr-wal receive -n s --slot dr "$T/b"

# --- beside pg_receivewal -------------------------------------------------
pg_new main
echo "synchronous_commit = on" >>"$T/main/postgresql.conf"
pg_start main
as_pg "$PGBIN/pgbench" -i -q -s 2 >"$T/out" 2>&1
mkdir "$T/b" "$T/metrics"
status 1 "the slot must exist" dr-wal receive --state "$T/state" -n s \
    --slot dr "$T/b"
match "a hint tells how to make it" "hint: --create-slot" "$T/err"

as_pg mkdir "$T/ref"
as_pg "$PGBIN/pg_receivewal" -D "$T/ref" -S ref --create-slot
as_pg "$PGBIN/pg_receivewal" -D "$T/ref" -S ref >"$T/out" 2>&1 &
export ref=$! # wal_receive.sh ends it
export DR_METRICS_DIR="$T/metrics"
receive --create-slot "$T/b"
load 3
psql_ "SELECT pg_switch_wal()" >/dev/null
load 1
all_stored "what is committed is stored, and the slot moves on"
is "as an asynchronous standby" \
    "$(psql_ "SELECT sync_state, replay_lsn IS NULL FROM pg_stat_replication
    WHERE application_name = 'dr_wal'")" "async|t"
end=$(psql_ "SELECT pg_current_wal_flush_lsn() - '0/0'")
ended 0 "SIGTERM ends it well" TERM
ok "what is stored is what pg_receivewal got" check s "$T/ref"
is "without a gap" "$(wc -l <"$T/ranges")" 1
ok "up to the end" test "$(printf %d "0x$(sed 's/.*-//' "$T/ranges")")" -ge \
    "$end"
ok "a ledger was written" ls "$T"/b/s/wal/*/00000001/ledger-*.json
match "the metrics say how far it got" \
    "^drtools_wal_receive_durable_lsn_bytes.*store=\"$T/b\"} $end\$" \
    "$T/metrics/dr-wal-receive_s_dr.prom"
match "begin and end are in the audit" '"act":"receive"' "$T/audit"
match "both" '"act":"stop"' "$T/audit"

# --- killed ------------------------------------------------------------------
load 6 &
bench=$!
for i in $(seq "$(count 4 30)"); do
	receive --interval 100ms "$T/b"
	sleep "$(awk "BEGIN { srand($$ + $i); print 0.3 + rand() }")"
	kill -KILL "$r"
	wait "$r" 2>"$T/out"
done
receive --interval 100ms "$T/b"
wait "$bench"
all_stored "killed under load, it goes on"
ended 0 "and ends well" TERM
ok "overlaps agree, and with pg_receivewal" check s "$T/ref"
is "there is no gap" "$(wc -l <"$T/ranges")" 1

# --- the server goes and comes -----------------------------------------------
: >"$T/r.err"
receive "$T/b"
load 1
pg_stop main fast
pg_start main
load 1
all_stored "a restart of the server is lived through"
pg_stop main immediate
pg_start main
load 1
all_stored "a crash, too"

# --- the store goes and comes ------------------------------------------------
mv "$T/b" "$T/away"
: >"$T/b" # so that it cannot be made either
load 2
sleep 1
match "a store that is away is told" "trying again, .* of WAL waits" "$T/r.err"
is "the server hears of nothing stored" \
    "$(psql_ "SELECT pg_current_wal_flush_lsn() > restart_lsn
    FROM pg_replication_slots WHERE slot_name = 'dr'")" t
# shellcheck disable=SC2086 # words
kill -0 "$r" && pass_ "and it waits" || fail_ "and it waits" "$T/r.err"
rm "$T/b"
mv "$T/away" "$T/b"
all_stored "when it is back all is stored"
match "which is told" "WAL is being stored again" "$T/r.err"

# A fast shutdown waits for what is not stored, but not for ever.
mv "$T/b" "$T/away"
: >"$T/b"
load 1
kill -TERM "$r"
wait "$r"
is "told to end with the store away it does in time" "$?" 3
match "and says what is not durable" "WAL after .* is not durable" "$T/r.err"
receive --shutdown-timeout 2s "$T/b" 2>/dev/null
sleep 1
rm "$T/b"
mv "$T/away" "$T/b"
kill -KILL "$r" 2>/dev/null
wait "$r" 2>"$T/out"
receive --shutdown-timeout 2s "$T/b"
all_stored "later it catches up"
mv "$T/b" "$T/away"
: >"$T/b"
load 1
s=$(date +%s)
pg_stop main fast
ok "a server that shuts down does not hang on a store that is away" \
    test "$(($(date +%s) - s))" -lt 20
match "what is not durable is said" "is not durable in the stores" "$T/r.err"
rm "$T/b"
mv "$T/away" "$T/b"
pg_start main
all_stored "and is stored later"
ended 0 "it ends well" TERM
check s "$T/ref"
is "without a gap" "$(grep -vc '^#' "$T/ranges")" 1

done_testing
