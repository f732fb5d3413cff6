#!/bin/sh
# dr-wal receive: synchronous commits, promotions, gaps, segments of other
# sizes, and servers that do not belong together.
. "${0%/*}/../lib.sh"
. "${0%/*}/wal_receive.sh"
need python3 age zstd

mkdir "$T/b"

# port NAME: a connection string
port() {
	echo "port=$(cat "$T/$1.port")"
}

# copy_of NAME NEW: a standby of NAME
copy_of() {
	pg_use "$1"
	as_pg "$PGBIN/pg_basebackup" -D "$T/$2" -R -X stream -c fast \
	    >"$T/out" 2>&1
	pg_start "$2"
	until_sql "$2 follows $1" streaming \
	    "SELECT status FROM pg_stat_wal_receiver"
}

# range TLI FIELD LINE: beginning (1) or end (2) of its LINEth range
range() {
	grep "^$1 " "$T/ranges" | sed -n "$3p" | cut -d' ' -f2 | cut -d- -f"$2"
}

hex() {
	psql_ "SELECT upper(to_hex(('$1'::pg_lsn - '0/0')::bigint))"
}

# --- a synchronous standby ------------------------------------------------------
pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	max_wal_size = 64MB
	min_wal_size = 32MB
	END
pg_start main
as_pg "$PGBIN/pgbench" -i -q -s 1 >"$T/out" 2>&1
psql_ "CREATE TABLE t (x text)"
receive -n sync --create-slot --interval 1h "$T/b"
until_sql "it streams" streaming "SELECT state FROM pg_stat_replication"
psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql "it becomes synchronous" sync \
    "SELECT sync_state FROM pg_stat_replication"
sleep 1.2
rm -f "$T/acked"
for w in 1 2 3; do
	(
		n=0
		while psql_ "INSERT INTO t VALUES ('acked-$w-$n-')" 2>"$T/out.$w"; do
			echo "acked-$w-$n-" >>"$T/acked"
			n=$((n + 1))
		done
	) &
	writers="${writers-} $!"
done
sleep 2
kill -KILL "$(head -n 1 "$T/main/postmaster.pid")"
# shellcheck disable=SC2086 # words
wait $writers
kill -KILL "$r"
wait "$r" 2>"$T/out"
n=$(wc -l <"$T/acked")
ok "commits went through ($n)" test "$n" -gt 20
# shellcheck disable=SC2046 # words
ok "the server killed: what was acknowledged is in the store" \
    check sync --grep $(cat "$T/acked")
is "without a gap" "$(grep -vc '^#' "$T/ranges")" 1
sleep 1 # its other processes notice by themselves
rm -f "$T/main/postmaster.pid" # its number may still be a zombie's
pg_start main
receive -n sync --interval 1h "$T/b"
ok "commits go on" timeout 20 psql -qAtXc "INSERT INTO t VALUES ('a')"
mv "$T/b" "$T/away"
: >"$T/b"
timeout 2 psql -qAtXc "INSERT INTO t VALUES ('b')" >"$T/out" 2>&1
is "and wait while the store is away" "$?" 124
rm "$T/b"
mv "$T/away" "$T/b"
until_ "until it is back" timeout 5 psql -qAtXc "INSERT INTO t VALUES ('c')"
psql_ "ALTER SYSTEM SET synchronous_commit = remote_apply"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_ "remote_apply is warned of" grep -q remote_apply "$T/r.err"
psql_ "ALTER SYSTEM RESET ALL"
psql_ "SELECT pg_reload_conf()" >"$T/out"
ended 0 "it ends well" TERM
psql_ "SELECT pg_drop_replication_slot('dr')" >"$T/out"

# --- promotion of the server that is received from ----------------------------
copy_of main sb
receive -n h -d "$(port sb)" --create-slot "$T/b"
pg_use main
load 1
pg_use sb
psql_ "SELECT pg_promote()" >"$T/out"
fork=$(sed -n 's/^1\t\([^\t]*\)\t.*/\1/p' "$T/sb/pg_wal/00000002.history")
load 1
all_stored "a promotion is followed"
ended 0 "it ends well" TERM
ok "all agrees" check h
is "the old timeline ends where the new one left it" "$(range 1 2 1)" \
    "$(hex "$fork")"
is "the new one begins with its segment" "$(range 2 1 1)" \
    "$(hex "$(psql_ "SELECT '0/0'::pg_lsn +
    div('$fork'::pg_lsn - '0/0', 16777216) * 16777216")")"
is "without a gap" "$(grep -c '^2' "$T/ranges")" 1
ok "the history is there" ls "$T"/b/h/wal/*/00000002/00000002.history.zst.age
ok "and was before any WAL" test \
    "$(cd "$T"/b/h/wal/*/00000002 && ls -tr | head -n 1)" = \
    00000002.history.zst.age

# --- a slot on each host -----------------------------------------------------------
copy_of main sd
pg_use main
receive -n m -d "port=$(cat "$T/main.port"),$(cat "$T/sd.port") host=$T/s,$T/s" \
    --create-slot "$T/b"
load 1
all_stored "a primary and its standby: the one is received from"
pg_use sd
until_sql "and the other has the slot, too" f \
    "SELECT active FROM pg_replication_slots WHERE slot_name = 'dr'"
pg_use main
psql_ "SELECT pg_switch_wal()" >"$T/out"
load 1
lsn=$(now_)
pg_use sd
w=150
while [ "$w" -gt 0 ] && ! durable "$lsn"; do
	w=$((w - 1))
	sleep 0.1
done
ok "which moves on" durable "$lsn"
until_sql "all is replayed" t "SELECT pg_last_wal_replay_lsn() >= '$lsn'"
pg_use main
psql_ "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE NOT active" >"$T/out"
pg_stop main immediate
pg_use sd
psql_ "SELECT pg_promote()" >"$T/out"
load 1
all_stored "and when it is promoted it is received from"
ended 0 "without a gap: it ends well" TERM
check m
is "one range on the new timeline" "$(grep -c '^2' "$T/ranges")" 1
pg_stop sd
pg_start main

# --- a receiver ahead of the fork ----------------------------------------------
copy_of main sc
pg_stop sc
pg_use main
receive -n f -d "port=$(cat "$T/main.port"),$(cat "$T/sc.port") host=$T/s,$T/s" \
    --create-slot "$T/b"
load 1
all_stored "the old primary's WAL is stored"
old=$(hex "$(now_)")
pg_stop main immediate
pg_start sc
psql_ "SELECT pg_promote()" >"$T/out"
load 1
all_stored "another server's, promoted earlier, is then"
match "how much diverged is told" "bytes of WAL after .* not in the server's past" \
    "$T/r.err"
fork=$(sed -n 's/^1\t\([^\t]*\)\t.*/\1/p' "$T/sc/pg_wal/00000002.history")
ended 0 "it ends well" TERM
ok "all agrees" check f
is "the old tail stays" "$(range 1 2 1)" "$old"
is "the new timeline is whole" "$(grep -c '^2' "$T/ranges")" 1
ok "from before the fork" test "$(printf %d "0x$(range 2 1 1)")" -le \
    "$(printf %d "0x$(hex "$fork")")"

# --- WAL that is removed before it is stored ------------------------------------
psql_ "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
before=$(range 2 2 1)
for _ in 1 2 3 4 5 6; do
	psql_ "INSERT INTO t VALUES ('x')"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
	psql_ "CHECKPOINT"
done
is "the slot is lost" "$(psql_ "SELECT wal_status FROM pg_replication_slots
    WHERE slot_name = 'dr'")" lost
status 1 "that is an error" dr-wal receive --state "$T/state" -n f --slot dr \
    -d "$(port sc)" "$T/b"
match "which says so" "was invalidated" "$T/err"
: >"$T/r.err"
receive -n f -d "$(port sc)" --create-slot "$T/b"
load 1
all_stored "with --create-slot it goes on"
match "the gap is told" "WAL from .* was removed on the server" "$T/r.err"
ended 3 "and in the exit status" TERM
check f
is "it is where the stores' WAL ended" "$(range 2 2 1)" "$before"
is "after it there is no other" "$(grep -c '^2' "$T/ranges")" 2
ok "a signed ledger says so" grep -rlE '"gaps":\[\[' "$T/b/f/wal"
match "and the audit" '"act":"gap"' "$T/audit"

# --- a slot in use, and other content ---------------------------------------------
receive -n f -d "$(port sc)" "$T/b"
until_sql "one receives" t \
    "SELECT active FROM pg_replication_slots WHERE slot_name = 'dr'"
timeout -s TERM 4 dr-wal receive --state "$T/other" -n g --slot dr \
    -d "$(port sc)" "$T/b" 2>"$T/err"
match "another at the same slot waits, and says so" "is active for PID" "$T/err"
status 5 "two at once with one state: the second is refused" \
    dr-wal receive --state "$T/state" -n f --slot dr -d "$(port sc)" "$T/b"
ended 0 "it ends well" TERM

# --- an upload that hangs -----------------------------------------------------------
psql_ "ALTER SYSTEM SET wal_sender_timeout = '1s'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
receive -n f -d "$(port sc)" "$T/b"
until_sql "one receives" t \
    "SELECT active FROM pg_replication_slots WHERE slot_name = 'dr'"
child=$(pgrep -P "$r")
kill -STOP "$child"
walsender=$(psql_ "SELECT active_pid FROM pg_replication_slots")
load 3
sleep 1
is "the server is answered all the while" \
    "$(psql_ "SELECT active_pid FROM pg_replication_slots")" "$walsender"
mem=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$r/status")
ok "memory stays bounded ($mem kB)" test "$mem" -lt 65536
kill -CONT "$child"
all_stored "later all is stored"

# A whole segment of ours under the name that comes next.
psql_ "SELECT pg_switch_wal()" >"$T/out"
psql_ "INSERT INTO t VALUES ('y')"
all_stored "a segment is complete"
d=$(echo "$T"/b/f/wal/*/00000002)
seg=$(psql_ "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
other=$(cd "$d" && find . -name '????????????????????????.zst.age' | sort | head -n 1)
cp "$d/$other" "$d/$seg.zst.age"
psql_ "INSERT INTO t VALUES ('y')"
psql_ "SELECT pg_switch_wal()" >"$T/out"
gone() {
	! kill -0 "$r" || grep -q "State:.Z" "/proc/$r/status"
}
until_ "other content under a name ends it" gone
wait "$r"
is "by status 1" "$?" 1
match "loudly" "error: .* already, with other content" "$T/r.err"
ok "and nothing was overwritten" cmp "$d/$other" "$d/$seg.zst.age"
r=

# --- other sizes of segments -----------------------------------------------------
for size in 1 64; do
	pg_new "seg$size" --wal-segsize=$size
	pg_start "seg$size"
	as_pg "$PGBIN/pgbench" -i -q -s 5 >"$T/out" 2>&1
	receive -n "z$size" --create-slot "$T/b"
	load 1
	all_stored "segments of $size MB"
	peak=0
	for p in "$r" $(pgrep -P "$r"); do
		m=$(sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$p/status")
		peak=$((peak + m))
	done
	note "private memory: $peak kB"
	ended 0 "it ends well" TERM
	ok "all agrees" env SEGSIZE=$((size * 1048576)) \
	    python3 "$top/tests/pg/wal_check.py" "$T/b/z$size/wal" "$T/id"
done

done_testing
