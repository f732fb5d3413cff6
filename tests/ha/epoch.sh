# shellcheck shell=sh disable=SC2154
# epoch.sh - what a failover writes into etcd, by hand; after etcd.sh.
#
#	intent TOKEN EPOCH FORMER [VERB]	of $set_, to "sb"
#	epoch EPOCH LEADER FORMER TLI FORK
#	undo			the intent is gone

set_=s
at='"2026-11-21T08:00:00Z"'
intent() {
	etcdctl_ put "/dr/$set_/intent" "{\"v\":1,\"verb\":\"${4:-failover}\",
	    \"token\":$1,\"epoch\":$2,\"candidate\":\"sb\",\"former\":\"$3\",
	    \"tli\":1,\"target\":\"0/0\",\"step\":\"chosen\",\"began\":$at,
	    \"time\":$at}" >"$T/out"
}
epoch() {
	etcdctl_ put "/dr/$set_/epoch" "{\"v\":1,\"epoch\":$1,\"leader\":\"$2\",
	    \"former\":\"$3\",\"tli\":$4,\"fork\":\"$5\",\"time\":$at}" \
	    >"$T/out"
}
undo() {
	etcdctl_ del "/dr/$set_/intent" >"$T/out"
}

