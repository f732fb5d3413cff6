#!/bin/sh
# dr-wal receive: several stores of which some are required, its state lost, and
# what it tells systemd.
. "${0%/*}/../lib.sh"
. "${0%/*}/wal_receive.sh"
need python3 age zstd

pg_new main
pg_start main
as_pg "$PGBIN/pgbench" -i -q -s 1 >"$T/out" 2>&1
mkdir "$T/b" "$T/c" "$T/metrics"
export DR_METRICS_DIR="$T/metrics"

# --- several stores, one of which suffices ----------------------------------
receive --create-slot --interval 200ms --require 1 "$T/b" "$T/c"
load 1
all_stored "both stores are there"
mv "$T/c" "$T/away"
load 1
all_stored "one goes away: the other suffices"
until_ "the metrics say which is behind" grep \
    "^drtools_wal_receive_store_behind.*store=\"$T/c\"} 1\$" \
    "$T/metrics/dr-wal-receive_s_dr.prom"
ended 3 "at the end that is said" TERM
match "naming the store" "store \"$T/c\" lacks WAL" "$T/r.err"
mv "$T/away" "$T/c"
ok "the one that stayed has no gap" check s
is "in one run" "$(wc -l <"$T/ranges")" 1
receive --interval 200ms --require 2 "$T/b" "$T/c"
load 1
all_stored "where both are required, the one that was away catches up"
ended 0 "and that is a good end" TERM
python3 "$top/tests/pg/wal_check.py" "$T/c/s/wal" "$T/id" >"$T/ranges"
is "it has no gap either" "$(wc -l <"$T/ranges")" 1

# --- the state is lost -------------------------------------------------------
rm -r "$T/c"
psql_ "SELECT pg_drop_replication_slot('dr')" >"$T/out" 2>&1
rm -r "$T/b" "$T/state"
mkdir "$T/b"
dr-key sign-new -o "$T/sign.key" 2>"$T/err"
export DR_SIGN_KEY="$T/sign.key"
until_sql "the slot is free" 0 "SELECT count(*) FROM pg_replication_slots"
receive --create-slot --interval 100ms "$T/b"
load 1
all_stored "from the beginning, with a key of its own"
rm -r "$T/state"
load 1
sleep 1
kill -0 "$r" && kill -TERM "$r"
wait "$r" 2>"$T/out"
: >"$T/r.err"
receive --interval 100ms "$T/b"
load 1
all_stored "the state was removed while it ran: the next one goes on"
ended 0 "and ends well" TERM
ok "overlaps agree" check s
is "there is no gap" "$(wc -l <"$T/ranges")" 1
rm -r "$T/state"
receive --interval 100ms "$T/b"
load 1
all_stored "removed between two runs, too"
ended 0 "and ends well" TERM
ok "overlaps agree" check s
is "there is no gap" "$(wc -l <"$T/ranges")" 1
status 0 "what was stored is vouched for, or said not to be" \
    sh -c "dr-verify --no-signature -n s '$T/b'; test \$? -ne 4"

# --- systemd -------------------------------------------------------------------
cat >"$T/notified.py" <<'END'
"""Binds the socket that systemd would, and writes down what arrives."""
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], "wb", buffering=0) as f:
    while True:
        f.write(s.recv(4096) + b"\n")
END
python3 "$T/notified.py" "$T/notify" "$T/heard" &
ear=$!
until_ "a socket for systemd" test -S "$T/notify"
NOTIFY_SOCKET=$T/notify WATCHDOG_USEC=1000000 dr-wal receive \
    --state "$T/state" -n s --slot dr "$T/b" 2>>"$T/r.err" &
r=$!
until_ "it says that it is ready" grep -q '^READY=1$' "$T/heard"
until_ "and then that it is alive" grep -q '^WATCHDOG=1$' "$T/heard"
match "with a line on how it is" '^STATUS=' "$T/heard"
ended 0 "it ends" TERM
until_ "and has said that it does" grep -q '^STOPPING=1$' "$T/heard"
kill "$ear"
if command -v systemd-analyze >/dev/null 2>&1; then
	mkdir "$T/units"
	for u in "$top"/scripts/systemd/*; do
		sed "s|=dr-backup|=$top/scripts/dr-backup|; s|=dr-wal|=$bin/dr-wal|" \
		    "$u" >"$T/units/${u##*/}"
	done
	for u in dr-wal-receive@ dr-wal-ledger@ dr-backup@; do
		status 0 "$u.service is well-formed" systemd-analyze verify \
		    --man=no "$T/units/$u.service"
		is "and nothing is said of it" "$(cat "$T/err")" ""
	done
else
	skip "the units are well-formed" "there is no systemd-analyze"
fi

done_testing
