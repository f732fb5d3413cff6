#!/bin/sh
# dr-wal heeds a failover: the receiver lets go of the old primary and says
# so, and nothing that the old primary wrote since is archived.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/../pg/wal_receive.sh"
need python3 age zstd

etcd_start
mkdir "$T/b"
set_=s
at='"2026-11-21T08:00:00Z"'
# intent TOKEN EPOCH FORMER [VERB]
intent() {
	etcdctl_ put "/dr/$set_/intent" "{\"v\":1,\"verb\":\"${4:-failover}\",
	    \"token\":$1,\"epoch\":$2,\"candidate\":\"sb\",\"former\":\"$3\",
	    \"tli\":1,\"target\":\"0/0\",\"step\":\"chosen\",\"began\":$at,
	    \"time\":$at}" >"$T/out"
}
# epoch EPOCH LEADER FORMER TLI FORK
epoch() {
	etcdctl_ put "/dr/$set_/epoch" "{\"v\":1,\"epoch\":$1,\"leader\":\"$2\",
	    \"former\":\"$3\",\"tli\":$4,\"fork\":\"$5\",\"time\":$at}" \
	    >"$T/out"
}
undo() {
	etcdctl_ del "/dr/$set_/intent" >"$T/out"
}
not() {
	! "$@"
}

# --- who may archive ------------------------------------------------------------
old=0000000100000000000000
new=0000000200000000000000
set_=p
(
	cd "$T" || exit
	for f in ${old}02 ${old}03 ${old}04 ${new}03; do
		python3 "$top/tests/walseg.py" pg $f segsize=16777216
	done
	cp pg/pg_wal/${old}04 pg/pg_wal/${old}04.partial
	printf '1\t0/3000000\tno recovery target specified\n' \
	    >pg/pg_wal/00000002.history
	for n in 2 3; do
		printf 'START WAL LOCATION: 0/%s000028 \050file %s)\n' $n \
		    ${old}0$n >pg/pg_wal/${old}0$n.00000028.backup
	done
)
echo "cluster_name = 'a' # ours" >"$T/pg/postgresql.conf"
# push STATUS WHAT FILE [ARG...]
push() {
	n_=$1 w_=$2 f_=$3
	shift 3
	status "$n_" "$w_" sh -c 'cd "$0" && exec "$@"' "$T/pg" \
	    dr-wal push -n p -s "$T/b" --lock "$etcd" "$@" "pg_wal/$f_"
}
archived() {
	ls "$T"/b/p/wal/*/*/"$1".*age >"$T/out" 2>&1
}
refused() {
	push 3 "$1" "$2"
	match "$1, it says" "timeline 1 ended at 0/3000000: since then \"sb\"" \
	    "$T/err"
	ok "$1, and it is not stored" not archived "$2"
}
push 0 "without an epoch all is archived" ${old}02
epoch 4 sb a 2 0/3000000
push 0 "what is from before the fork is" ${old}02.00000028.backup
refused "a segment of after it is refused" ${old}03
refused "so is a backup's beginning" ${old}03.00000028.backup
refused "so is a .partial" ${old}04.partial
push 0 "the new timeline is archived" ${new}03
push 0 "and its history" 00000002.history
push 0 "a .partial of who may be the leader is" ${old}04.partial --name sb
status 0 "without --lock nothing is asked" sh -c 'cd "$0" && exec "$@"' \
    "$T/pg" dr-wal push -n p -s "$T/b" pg_wal/${old}03
echo "cluster_name = 'sb'" >"$T/pg/postgresql.auto.conf"
push 0 "the leader, known by its files, archives its own" ${old}04
epoch 5 a sb 3 0/3000000
push 0 "and is none in a later epoch: before the fork" ${old}02
push 3 "but not of after it" ${new}03
etcdctl_ put /dr/p/epoch '{"v":9}' >"$T/out"
push 0 "a record of later tools: archived" ${old}02
match "with a warning" "warning: .*later version.*without having asked" "$T/err"
saved=$etcd
etcd=etcd://127.0.0.1:1
rm "$T"/b/p/wal/*/00000001/${old}03*
push 0 "etcd is away: archived" ${old}03
match "with a warning" "warning: .*without having asked who leads" "$T/err"
etcd=$saved
epoch 1 a '' 1 0/0
cost() {
	python3 - "$T/pg" "$T/b" "$@" <<-'END'
	import statistics, subprocess, sys, time
	def run(more):
	    began = time.monotonic()
	    subprocess.run(["dr-wal", "push", "-n", "p", "-s", sys.argv[2]] +
	        more + ["pg_wal/000000010000000000000002"], cwd=sys.argv[1],
	        check=True)
	    return (time.monotonic() - began) * 1000
	with_, without = [], []
	for i in range(9):
	    without.append(run([]))
	    with_.append(run(sys.argv[3:]))
	print("%.1f" % (statistics.median(with_) - statistics.median(without)))
	END
}
note "a push with --lock takes $(cost --lock "$etcd") ms more"

# --- who is received from ---------------------------------------------------------
set_=s
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
etcd_kill 1
ended 0 "is known to the next receiver" TERM
listen
sleep 3
is "which does not connect, etcd being away" "$(walsenders)" 0
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
