#!/bin/sh
# A guard that is frozen, or killed: its server is stopped in time all the
# same, or goes on with another guard.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/guard.sh"

hang=2s
guards_begin
guards_pair

# --- frozen ---------------------------------------------------------------------------
freeze "$(gpid a)"
t0=$(ms)
stopped_by $((ttl * 1000)) a
match "another process has stopped it" 'nobody has said in time' "$T/a.guard"
thaw
again
# As when the whole host stands still.
# shellcheck disable=SC2046 # words
freeze "$(gpid a)" $(child a) $(all_of a)
t0=$(ms)
wait_until $((ttl * 1000 + 700))
t0=$(ms)
thaw
stopped_by 700 a

# --- a server that is frozen --------------------------------------------------------------
again
# shellcheck disable=SC2046 # words
freeze $(all_of a)
t0=$(ms)
stopped_by 4000 a
match "for its silence" 'it has not answered for more than 2000 ms' "$T/a.guard"
frozen_=
# Where the first process reaps nobody, the number of the dead lives on.
rm -f "$T/a/postmaster.pid" "$T/s/.s.PGSQL.$(cat "$T/a.port")"*

# --- killed -----------------------------------------------------------------------------
again
kill -KILL "$(gpid a)"
guard a
t0=$(ms)
wait_until $((ttl * 1000))
ok "its successor goes on with the lease" runs a
ok "which never was another's" key_is leader name a
kill -KILL "$(gpid a)"
t0=$(ms)
stopped_by $((ttl * 1000)) a
guard a
again

# --- ended --------------------------------------------------------------------------------
key sync | tr -d '\n' >"$T/sync"
kill "$(gpid a)"
until_ "a guard that is told to end ends" gone "$(gpid a)"
match "and says what that means" 'nobody guards it from now on' "$T/a.guard"
ok "nobody takes the end of its lease for a proof" no_key sync
t0=$(ms)
wait_until $((ttl * 1000))
ok "the server runs on" runs a
pg_stop a
etcdctl_ put /dr/main/sync <"$T/sync" >/dev/null
until_ "nothing is left of its guard" no_key node/a
status 0 "it may start without one" may a
ok "which proves nothing either" no_key sync
done_testing
