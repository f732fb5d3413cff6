#!/bin/sh
# dr-chaos: who acts is killed at each step, and another one finishes.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/ring.sh"
. "${0%/*}/chaos.sh"

echo "chaos=allowed" >>"$T/conf"
experiments kill-coordinator:chosen kill-coordinator:promoting \
    kill-coordinator:promoted
is "nobody stays cut off" "$(ask_ "$(ring_primary)" \
    "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" 2
done_testing
