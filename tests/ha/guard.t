#!/bin/sh
# No second primary: what may start, and what is stopped when another leads;
# with a real etcd and real servers.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/guard.sh"

# --- the first of all -------------------------------------------------------------
guards_begin
status 2 "a node without a name" may main
status 2 "a name that is none" may a --name 15/main
status 0 "a server may start where there is no epoch yet" may a -v
match "it says so" 'may start as a primary' "$T/err"
ok "and has the key meanwhile" key_is leader name a
guards_pair
ok "the guard has made the first epoch" key_is epoch epoch 1
ok "which is its own" key_is epoch leader a
until_ "the standby's guard tells of it" key_is node/b role standby
status 5 "a second guard is not wanted" as_pg env DR_STATE="$T/state/a" \
    timeout 20 dr-promote guard --run -D "$T/a"
status 0 "a standby may start, and nobody is asked" may b -v \
    --lock etcd://127.0.0.1:1
match "it says so" 'is a standby' "$T/err"

# --- a stop, and a start --------------------------------------------------------------
pg_stop a
until_ "the key goes as soon as the server is down" no_key leader
again

# --- what it demands of standbys changes -----------------------------------------------
sql a "ALTER SYSTEM SET synchronous_standby_names = ''" >"$T/out"
sql a "SELECT pg_reload_conf()" >"$T/out"
until_ "a changed set is published" key_is sync wait 0

# --- another epoch -----------------------------------------------------------------------
sql b "SELECT pg_promote(false)" >"$T/out"
put_epoch 2 b 2
t0=$(ms)
stopped_by 3000 a
match "it is stopped for another's epoch" 'in epoch 2 b leads' "$T/a.guard"
match "after the stop hook was asked to do it" "^stop immediate $T/a\$" "$T/m/hooks"
leads b 0
ok "whose guard has waited for that" ours_ "$(pm b)"
status 3 "the former one may not start again" may a
match "it says who leads" 'in epoch 2 of main the primary is b' "$T/err"
match "and what to do" 'dr-promote rejoin -n main -D' "$T/err"
match "which is kept" '"act":"guard",.*"result":"refused"' "$T/m/audit"
status 3 "not even by breaking glass" may a --break-glass 2 \
    --lock etcd://127.0.0.1:1
as_pg chmod 701 "$T/a"
status 3 "nor may one that is not whole" may a
match "it says so" 'rejoined or restored it did not finish' "$T/err"
as_pg chmod 700 "$T/a"
status 3 "the leader is not rejoined" as_pg dr-promote rejoin -D "$T/b" \
    -d "host=$T/s $(at b) user=postgres" --dry-run
match "it says so" 'epoch 2 of main the primary is b, this node' "$T/err"
# Somebody starts it all the same.
pg_start a
t0=$(ms)
stopped_by 3000 a
ok "which leaves the other alone" runs b

# --- an old copy of the leader ------------------------------------------------------------
put_epoch 3 a 2
# Before the guard of b stops it for that.
status 3 "none is rejoined to another than the leader" as_pg dr-promote rejoin \
    -D "$T/a" --name x -d "host=$T/s $(at b) user=postgres" --dry-run
match "it says so" "is b, and in epoch 3 of main the primary is a" "$T/err"
status 3 "a server of an older timeline" may a
match "is told so" 'of timeline 1, older than that of epoch 3, 2$' "$T/err"

# --- units ------------------------------------------------------------------------------------
if command -v systemd-analyze >/dev/null 2>&1; then
	mkdir "$T/units"
	sed "s|=dr-promote|=$bin/dr-promote|" \
	    "$top/scripts/systemd/dr-guard@.service" >"$T/units/dr-guard@.service"
	status 0 "the guard's unit is well-formed" systemd-analyze verify \
	    --man=no "$T/units/dr-guard@15-main.service"
	is "and nothing is said of it" "$(cat "$T/err")" ""
else
	skip "the units are well-formed" "there is no systemd-analyze"
fi

# --- held ------------------------------------------------------------------------------------
status 0 "hold" dr-promote hold --why 'new switches' --for 2h
match "who, and why" '^main is held by .*@.* since .* until .*: new switches$' \
    "$T/out"
status 0 "again" dr-promote hold --json
match "it stays" '"held":true,"changed":false,.*"why":"new switches"' "$T/out"
status 0 "resume" dr-promote resume
is "is told" "$(cat "$T/out")" "main is no longer held"
status 0 "again" dr-promote resume
is "nothing to do" "$(cat "$T/out")" "main is not held"
status 5 "without etcd" dr-promote hold --lock etcd://127.0.0.1:1
done_testing
