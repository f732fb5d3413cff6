#!/bin/sh
# dr-promote failover, whose lock runs out while it is held up; and two at once.
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
. "$top/tests/ha/etcd.sh"
. "$top/tests/ha/promote.sh"
need psql python3 etcd etcdctl dr-promote

etcd_start
trio_made || exit 1
failover() { # ARG...
	# shellcheck disable=SC2046 # words
	dr-promote failover -n main $(all_d) --lock "$etcd" --ttl 2s \
	    --sync-names 'ANY 1 (b, c)' --yes "$@"
}
primaries() {
	echo "$(rights b) $(rights c)" | tr ' ' '\n' | grep -c t
}
upstream() { # NAME
	PGPORT=$(cat "$T/$1.port") psql_ 'SHOW primary_conninfo' |
		grep -o 'port=[0-9]*'
}
# Held up until its lock has run out; COMMAND meanwhile.
late() { # COMMAND
	cat >"$T/late" <<-END
	kill -STOP \$PPID
	n=0
	while ETCDCTL_API=3 etcdctl --endpoints "http://${etcd#*//}" \
	    get /dr/main/run | grep -q . && [ "\$n" -lt 100 ]; do
		n=\$((n + 1))
		sleep 0.1
	done
	$1
	kill -CONT \$PPID
	END
	echo "exec sh $T/late"
}

# --- nobody else acts ---------------------------------------------------------------
trio || exit 1
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
status 5 "the lock has run out" failover --fence "$(late :)"
match "which is told" 'lock on set "main" is lost' "$T/err"
is "nobody was promoted" "$(primaries)" 0
is "standbys stream from where they did" "$(upstream b) $(upstream c)" \
    "port=$(cat "$T/main.port") port=$(cat "$T/main.port")"
is "nothing is intended" "$(etcdctl_ get /dr/main/intent)" ""
is "and no epoch has begun" "$(etcdctl_ get /dr/main/epoch)" ""

# --- told to end ------------------------------------------------------------------------
failover --fence "touch $T/fencing; sleep 20" >"$T/out" 2>"$T/err" &
run=$!
until_ "it fences" test -e "$T/fencing"
pkill -TERM -P "$run" -x dr-promote || kill "$run"
wait "$run"
is "it ends by the signal" "$?" 143
is "nobody was promoted" "$(primaries)" 0
is "standbys stream from where they did" "$(upstream b) $(upstream c)" \
    "port=$(cat "$T/main.port") port=$(cat "$T/main.port")"
is "nothing is intended, and nobody acts" \
    "$(etcdctl_ get /dr/main/intent)$(etcdctl_ get /dr/main/run)" ""

# --- somebody else does ---------------------------------------------------------------
# shellcheck disable=SC2046 # words
late "dr-promote failover -n main $(all_d | sed "s/^port=.*/'&'/" |
	tr '\n' ' ') --lock $etcd --ttl 2s --sync-names 'ANY 1 (b, c)' --yes \
	--fence true --json >$T/other.out 2>$T/other.err" >"$T/cmd"
status 5 "the lock has run out, and is another's" failover \
    --fence "$(cat "$T/cmd")"
match "who has done it" '"result":"done"' "$T/other.out"
is "there is one primary" "$(primaries)" 1
new=b old=c
[ "$(rights b)" = t ] || new=c old=b
follows "$new" "$old"
is "one epoch has begun" \
    "$(etcdctl_ get /dr/main/epoch | sed -n 's/.*"epoch":\([0-9]*\).*/\1/p')" 2

# --- two at once ------------------------------------------------------------------------
trio || exit 1
etcdctl_ del --prefix /dr >/dev/null
load "port=$(cat "$T/main.port")"
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
failover --fence true >"$T/one" 2>&1 &
one=$!
failover --fence true >"$T/two" 2>&1 &
two=$!
wait "$one"
first=$?
wait "$two"
second=$?
case "$first $second" in
"0 5" | "5 0" | "0 3" | "3 0") pass_ "one of two does it ($first, $second)" ;;
*) fail_ "one of two does it ($first, $second)" "$T/one" "$T/two" ;;
esac
acked >/dev/null
is "there is one primary" "$(primaries)" 1
new=b old=c
[ "$(rights b)" = t ] || new=c old=b
is "nothing that was acknowledged is lost" "$(lost "$new")" 0
follows "$new" "$old"
done_testing
