#!/bin/sh
# dr-promote failover: from a primary that is gone to a standby that has all
# that was acknowledged; what it refuses, and that nothing is changed then.
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
. "$top/tests/ha/etcd.sh"
. "$top/tests/ha/promote.sh"
need psql python3 etcd etcdctl dr-promote

etcd_start
trio_made || exit 1
names='ANY 1 (b, c)'
cat >"$T/dead" <<-END
	# Is main dead?  (The test froze it, or killed it.)
	case \$(ps -o stat= -p \$(head -n 1 $T/main/postmaster.pid)) in
	'' | Z*) exit 0 ;;
	esac
	echo "it runs"
	exit 3
END
failover() { # ARG...
	# shellcheck disable=SC2046 # words
	env HOME="$T/home" dr-promote failover -n main $(all_d) --lock "$etcd" \
	    --sync-names "$names" --timeout 2s "$@"
}
keys() {
	etcdctl_ get --prefix /dr/main/ | grep -v '^$'
}
dies() {
	# shellcheck disable=SC2046 # words
	kill -KILL $(all_of main)
}
winner() {
	sed -n 's/.*"candidate":"\([bc]\)".*/\1/p' "$T/out"
}
other() {
	[ "$1" = b ] && echo c || echo b
}

# --- a primary dies under load ------------------------------------------------------
trio || exit 1
load "port=$(cat "$T/main.port")"
dies
status 3 "nothing is done without --yes" failover --fence "sh $T/dead"
match "which it says" 'nothing was done without --yes' "$T/err"
is "nobody was promoted" "$(rights b) $(rights c)" "f f"
is "and nothing is recorded" "$(keys)" ""
status 0 "with it" failover --fence "sh $T/dead" --yes --json
new=$(winner)
note "$(acked) were acknowledged, $new is the new primary"
is "the new one is primary" "$(rights "$new")" t
is "nothing that was acknowledged is lost" "$(lost "$new")" 0
follows "$new" "$(other "$new")"
match "by its epoch" '"epoch":2' "$T/out"
match "fenced by the hook" '"fenced_by":"hook"' "$T/out"
match "as well protected as before" '"protected":true' "$T/out"
is "it waits for the others from now on" \
    "$(PGPORT=$(cat "$T/$new.port") psql_ 'SHOW synchronous_standby_names')" \
    "ANY 1 ($(other "$new"))"
keys >"$T/keys"
match "etcd knows who leads" "\"leader\":\"$new\"" "$T/keys"
nomatch "nobody acts any more, and nothing is intended" '/(run|intent)$' \
    "$T/keys"
is "it is part of the history" \
    "$(etcdctl_ get --prefix /dr-history/main/ | grep -c '"candidate"')" 1

status 3 "once more: there is a primary" failover --fence true --yes
match "which it names" "$new" "$T/err"
is "it still is" "$(rights "$new")" t

# --- the fence says no -----------------------------------------------------------------
trio || exit 1
etcdctl_ del --prefix /dr/main/ >/dev/null
# shellcheck disable=SC2046 # words
freeze $(all_of main)
status 3 "the old primary lives" failover --fence "sh $T/dead" --yes
match "the hook's word is told" 'lives: it runs' "$T/err"
is "nobody was promoted" "$(rights b) $(rights c)" "f f"
status 3 "no proof that it is dead" failover --fence 'exit 1' --yes
match "is told, with what would be one" 'hint: --fence' "$T/err"
status 3 "no hook at all" failover --yes
is "nobody was promoted" "$(rights b) $(rights c)" "f f"
is "nothing is intended" "$(keys)" ""
thaw
follows main b c
is "they wait for nobody else" "$(for n in b c; do
	PGPORT=$(cat "$T/$n.port") psql_ 'SHOW synchronous_standby_names'
done)" ""

# --- held, locked, no etcd ---------------------------------------------------------------
dies
status 0 "a hold" dr-promote hold -n main --lock "$etcd" --why maintenance
status 3 "is respected" failover --fence true --yes
match "and told" maintenance "$T/err"
status 0 "resumed" dr-promote resume -n main --lock "$etcd"
etcd_freeze 1
status 5 "no etcd" failover --fence true --yes
is "nobody was promoted" "$(rights b) $(rights c)" "f f"
etcd_thaw 1

# --- too few are left ----------------------------------------------------------------------
pg_stop c immediate
status 3 "one of two that may have acknowledged" failover --fence true --yes
match "what was acknowledged may be lost" 'allow-data-loss' "$T/err"
is "nobody was promoted" "$(rights b)" f
status 3 "it would wait for nobody" failover --fence true --yes \
    --allow-data-loss
match "which is told" 'allow-async' "$T/err"
is "it streams from where it did" \
    "$(PGPORT=$(cat "$T/b.port") psql_ 'SHOW primary_conninfo' |
        grep -c "port=$(cat "$T/main.port")")" 1
status 0 "both allowed" failover --fence true --yes --allow-data-loss \
    --allow-async --json
is "it is primary" "$(rights b)" t
match "less protected" '"protected":false' "$T/out"
match "what was given up is recorded" '"gave_up":"[^"]' "$T/out"

# --- without etcd ------------------------------------------------------------------------------
trio || exit 1
etcd=none
dies
status 3 "without etcd there has to be a proof" failover --yes
status 0 "there is one" failover --fence "sh $T/dead" --yes --json
new=$(winner)
is "it is primary" "$(rights "$new")" t
follows "$new" "$(other "$new")"
done_testing
