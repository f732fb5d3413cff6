#!/bin/sh
# A primary when etcd is away: it goes on only while every synchronous standby
# confirms it, and else stops before its lease is over.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/guard.sh"

guards_begin
guards_pair

# --- much longer than the lease ----------------------------------------------------
etcd_freeze 1
t0=$(ms)
until_ "it goes on without etcd" grep -q 'failsafe' "$T/a.guard"
until_ "the metrics tell" grep -Eq '^drtools_guard_failsafe.*"a".* 1$' \
    "$T/m/dr-promote-guard_main_a.prom"
wait_until $((ttl * 1000 + 2000))
ok "after the lease is over, too" runs a
ok "and takes writes" sql a 'CREATE TABLE t AS SELECT 1 AS n'
# shellcheck disable=SC2046 # words
freeze $(all_of b)
t0=$(ms)
stopped_by 1900 a
match "and is stopped once the standby is gone" 'cannot be shown' "$T/a.guard"
thaw

# --- etcd and the standby at once -----------------------------------------------------
again
# shellcheck disable=SC2046 # words
freeze $(all_of b)
etcd_freeze 1
t0=$(ms)
stopped_by $((ttl * 1000)) a
thaw

# --- alone ----------------------------------------------------------------------------
status 0 "the leader may start again" may a
echo "synchronous_standby_names = ''" >>"$T/a/postgresql.conf"
pg_start a
until_ "a leads" key_is leader name a
until_ "and demands nothing of standbys" key_is sync wait 0
etcd_freeze 1
t0=$(ms)
stopped_by $((ttl * 1000)) a
status 5 "it may not start again without etcd" may a
match "it says how it could" 'break-glass EPOCH, where the last epoch known here is 1$' \
    "$T/err"
status 3 "not by a wrong epoch" may a --break-glass 2
status 0 "but by the right one" may a --break-glass 1
match "with a warning" 'warning: etcd cannot be asked' "$T/err"
match "which is kept" '"act":"break-glass"' "$T/m/audit"
pg_start a
t0=$(ms)
wait_until $((ttl * 1000))
ok "its guard leaves it alone" runs a
thaw
until_ "and takes the lease when etcd is back" key_is leader name a
done_testing
