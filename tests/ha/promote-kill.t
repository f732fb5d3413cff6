#!/bin/sh
# dr-promote failover, killed at each of its words to servers and etcd, and run
# again: it goes on, with the same candidate, and nobody is left behind.
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
. "$top/tests/ha/etcd.sh"
. "$top/tests/ha/promote.sh"
need psql python3 etcd etcdctl strace dr-promote

etcd_start
trio_made || exit 1
names='ANY 1 (b, c)'
failover() { # ARG...
	# shellcheck disable=SC2046 # words
	dr-promote failover -n main $(all_d) --lock "$etcd" --ttl 2s \
	    --sync-names "$names" --fence true --yes "$@"
}
primaries() {
	echo "$(rights b) $(rights c)" | tr ' ' '\n' | grep -c t
}
# The lock of one that was killed lasts for its time.
again() {
	n_=0
	until failover "$@" >"$T/again.out" 2>"$T/again.err"; do
		st_=$?
		[ "$st_" -ne 3 ] || [ "$(primaries)" -ne 1 ] || return 0
		n_=$((n_ + 1))
		[ "$n_" -lt 50 ] || return 1
		sleep 0.2
	done
}

# How many words there are.
trio || exit 1
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
strace -f -qq -e trace=sendto,sendmsg -o "$T/words" \
    env PATH="$PATH" dr-promote failover -n main $(all_d) --lock "$etcd" \
    --ttl 2s --sync-names "$names" --fence true --yes >"$T/out" 2>"$T/err"
is "a whole run" "$?" 0
words=$(grep -c . "$T/words")
note "$words words"
etcdctl_ del --prefix /dr >/dev/null

k=0 rounds=$(count 4 60)
while [ "$k" -lt "$rounds" ]; do
	k=$((k + 1))
	at=$((1 + (words - 2) * k / rounds))
	trio || exit 1
	load "port=$(cat "$T/main.port")"
	# shellcheck disable=SC2046 # words
	kill -KILL $(all_of main)
	strace -f -qq -o "$T/trace" -e trace=sendto,sendmsg \
	    -e inject=sendto,sendmsg:signal=KILL:when="$at" \
	    dr-promote failover -n main $(all_d) --lock "$etcd" --ttl 2s \
	    --sync-names "$names" --fence true --yes >"$T/out" 2>"$T/err"
	note "killed at word $at of $words: status $?," \
	    "intent $(etcdctl_ get /dr/main/intent | sed -n 's/.*"step":"\([a-z]*\)".*/\1/p')"
	ok "killed at word $at: the next run goes on" again
	is "killed at word $at: there is one primary" "$(primaries)" 1
	new=b old=c
	[ "$(rights b)" = t ] || new=c old=b
	acked >/dev/null
	is "killed at word $at: nothing that was acknowledged is lost" \
	    "$(lost "$new")" 0
	# shellcheck disable=SC2046 # words
	[ "$(PGPORT=$(cat "$T/$old.port") psql_ "SHOW primary_conninfo" |
		grep -c "port=$(cat "$T/$new.port")")" = 1 ] ||
		dr-promote follow -n main $(all_d b c) --lock "$etcd" --yes \
		    >"$T/out" 2>"$T/err"
	follows "$new" "$old"
	is "killed at word $at: nothing is intended any more" \
	    "$(etcdctl_ get /dr/main/intent)" ""
	etcdctl_ del --prefix /dr >/dev/null
done
done_testing
