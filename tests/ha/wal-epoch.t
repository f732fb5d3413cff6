#!/bin/sh
# dr-wal receive heeds a failover: it lets go of the old primary, and says so.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/epoch.sh"
. "${0%/*}/../pg/wal_receive.sh"
need python3 age zstd

etcd_start
mkdir "$T/b"
# we FIELD...: what the receiver's record says
we() {
	etcdctl_ get --print-value-only /dr/s/node/dr_wal | python3 -c '
import json, sys
r = json.loads(sys.stdin.read() or "{}")
print(" ".join(str(r.get(f, 0)) for f in sys.argv[1:]))' "$@"
}
is_so() {
	[ "$(we role epoch token)" = "$1" ]
}
# say WANT WHAT: its role, the epoch and the intent that it heeds, soon
say() {
	until_ "$2" is_so "$1"
}
commits() {
	timeout "$1" psql -qAtXc "INSERT INTO t VALUES ('x')" >"$T/out" 2>&1
}
hangs() {
	commits 1
	is "$1" "$?" 124
}
walsenders() {
	psql_ "SELECT count(*) FROM pg_stat_replication
	    WHERE application_name = 'dr_wal'"
}
# let_go WHAT: its connection is gone: in a second, and what a slow machine adds
let_go() {
	began=$(date +%s%3N)
	n=0
	until [ "$(walsenders)" = 0 ] || [ "$n" -ge 300 ]; do
		n=$((n + 1))
	done
	took=$(($(date +%s%3N) - began))
	ok "$1 ($took ms)" test "$took" -lt 2000
}
listen() {
	receive --create-slot --interval 1h --lock "$etcd" "$@" "$T/b"
}
# The end of WAL in the store, and in the record.
ends() {
	check s || return
	stored=$(tail -n 1 "$T/ranges" | sed 's/.*-//')
	lsn=$(we lsn)
	recorded=$(python3 -c 'import sys
h, l = sys.argv[1].split("/")
print("%X" % (int(h, 16) << 32 | int(l, 16)))' "$lsn")
}

pg_new main
echo "cluster_name = 'a'" >>"$T/main/postgresql.conf"
standby sb main
pg_start main
pg_start sb
pg_use main
psql_ "CREATE TABLE t (x text)"
listen
say "connected 0 0" "a receiver is recorded in etcd"
psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
until_sql "commits wait for it" sync "SELECT sync_state
    FROM pg_stat_replication WHERE application_name = 'dr_wal'"
ok "and are acknowledged" commits 15
lsn_acked=$(now_)

intent 76 1 a switchover
sleep 0.6
ok "a switchover is waited for" commits 15
say "connected 0 0" "and it stays"
intent 77 1 a
let_go "a failover: it lets go of the old primary"
say "cut 0 77" "which it says"
hangs "no commit is acknowledged there"
ends
is "its record has the end of what is stored" "$recorded" "$stored"
is "where everything is that was acknowledged" \
    "$(psql_ "SELECT '$lsn' >= '$lsn_acked'")" t
is "it is told once" "$(grep -c "is under way" "$T/r.err")" 1
ended 0 "it ends well" TERM
say "stopped 0 77" "and says so"
listen
say "cut 0 77" "another in its place heeds the same"
undo
say "connected 0 0" "the intent undone, it goes on"
ok "and commits do" commits 15

# --- etcd away ---------------------------------------------------------------------
etcd_kill 1
until_ "etcd dies: it is told" grep -q "no failover can count on" "$T/r.err"
ok "commits go on" commits 15
etcd_again 1
etcd_up_
until_ "etcd is back" grep -q "etcd answers again" "$T/r.err"
say "connected 0 0" "and so is the record"
intent 78 1 a
say "cut 0 78" "what was heard of an intent"
ended 0 "is known" TERM
say "stopped 0 78" "of that"
etcd_kill 1
listen
sleep 2
is "to the next receiver, etcd being away: it does not connect" \
    "$(walsenders)" 0
etcd_again 1
etcd_up_
undo
say "connected 0 0" "before it hears better"

# --- the primary dies ----------------------------------------------------------------
pg_stop main immediate
say "cut 0 0" "the primary dies: it says where WAL ends"
ends
is "which is where it is stored" "$recorded" "$stored"
pg_start main
say "connected 0 0" "it is back, and received from"
ended 0 "it ends well" TERM

# --- another leads ------------------------------------------------------------------
both="port=$(cat "$T/main.port"),$(cat "$T/sb.port") host=$T/s,$T/s"
listen -d "$both"
say "connected 0 0" "two hosts: one is received from"
PGPORT=$(cat "$T/sb.port") until_sql "the other has the slot" 1 \
    "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'dr'"
is "from the primary" "$(walsenders)" 1
intent 79 1 a
say "cut 0 79" "cut off"
pg_use sb
psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
psql_ "SELECT pg_promote()" >"$T/out"
epoch 1 sb a 2 "$(sed -n 's/^1\t\([^\t]*\)\t.*/\1/p' "$T/sb/pg_wal/00000002.history")"
undo
say "connected 1 0" "it receives from the new leader"
is "and is there" "$(walsenders)" 1
ok "whose commits it acknowledges" commits 15
pg_use main
is "not from the old one, that lives" "$(walsenders)" 0
hangs "whose commits it does not"
pg_use sb
epoch 2 a sb 3 0/0
let_go "that is none in the next epoch"
ended 0 "it ends well" TERM
ok "all that was stored agrees" check s
done_testing
