#!/bin/sh
# dr-wal push heeds a failover: nothing that the old primary wrote since is
# archived.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/epoch.sh"
need python3 age zstd

dr-key new -o "$T/id" 2>"$T/err"
dr-key recipient "$T/id" >"$T/rcpt"
export DR_RECIPIENTS="$T/rcpt"
etcd_start
mkdir "$T/b"
not() {
	! "$@"
}

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
	for i in range(3):
	    without.append(run([]))
	    with_.append(run(sys.argv[3:]))
	print("%.1f" % (statistics.median(with_) - statistics.median(without)))
	END
}
note "a push with --lock takes $(cost --lock "$etcd") ms more"
done_testing
