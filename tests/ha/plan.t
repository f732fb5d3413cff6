#!/bin/sh
# dr-promote plan, status and history: what they say of real servers, that
# nothing is changed by them, and that no more is lost than was told.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/promote.sh"
need psql python3 etcd etcdctl

etcd_start
ttl=3
trio_made || exit 1

plan() { # ARG...
	# shellcheck disable=SC2046 # words
	dr-promote plan -n main $(all_d) --lock "$etcd" --timeout 2s "$@"
}
# j EXPRESSION: of the JSON in $T/out, which is J
j() {
	python3 - "$T/out" "$1" <<-'END'
	import json, sys
	J = json.load(open(sys.argv[1]))
	N = {n["name"]: n for n in J["nodes"]}
	def R(what):
	    return " ".join(x["reason"] for x in what)
	v = eval(sys.argv[2])
	print({True: "yes", False: "no", None: "null"}.get(v, v)
	      if isinstance(v, (bool, type(None))) else v)
	END
}
# All that a plan might change.
everything() {
	for n_ in main b c; do
		echo "$n_"
		(cd "$T/$n_" && find . -path ./pg_wal -prune -o -path ./pg_stat -prune -o -path ./pg_stat_tmp -prune \
		    -o -path ./base -prune -o -path ./global -prune -o -print | sort
		cat postgresql.conf postgresql.auto.conf)
		[ ! -s "$T/$n_/postmaster.pid" ] || PGPORT=$(cat "$T/$n_.port") psql_ "
		    SELECT name, setting, source, pending_restart FROM pg_settings ORDER BY 1;
		    SELECT slot_name, restart_lsn FROM pg_replication_slots;
		    SELECT status, slot_name, conninfo FROM pg_stat_wal_receiver;
		    SELECT pg_is_in_recovery()"
	done 2>/dev/null
	etcdctl_ get '' --prefix -w json | python3 -c '
import json, sys
print([k for k in json.load(sys.stdin).items() if k[0] != "header"])'
	etcdctl_ get nothing -w json | sed 's/.*\("revision":[0-9]*\).*/\1/'
}
set_on() { # NAME SETTING VALUE
	PGPORT=$(cat "$T/$1.port") psql_ "ALTER SYSTEM SET $2 = '$3'" >"$T/ok.out" &&
		PGPORT=$(cat "$T/$1.port") psql_ "SELECT pg_reload_conf()" >"$T/ok.out"
	until_sql "$1" "$3" "SHOW $2"
}
reset_on() { # NAME SETTING
	PGPORT=$(cat "$T/$1.port") psql_ "ALTER SYSTEM RESET $2" >"$T/ok.out" &&
		PGPORT=$(cat "$T/$1.port") psql_ "SELECT pg_reload_conf()" >"$T/ok.out"
}

# --- with a primary: nothing is changed ---------------------------------------------
trio || exit 1
status 0 "once, to know the names" plan --stop x --start y
everything >"$T/before"
status 0 "a switchover is possible" plan --stop x --start y --json
is "to b" "$(j 'J["verb"], J["candidate"], J["former"], J["loss_bytes"]')" \
    "('switchover', 'b', 'main', 0)"
is "of the synchronous set" "$(j 'N["b"]["synchronous"] and N["c"]["synchronous"]')" yes
status 3 "a failover is not" plan --failover --fence true --json
is "as there is a primary" "$(j 'R(J["refusals"])')" primary_answers
status 3 "nor a switchover without hooks" plan
match "which it says, and how" '^ *--stop CMD' "$T/out"
status 0 "and status" dr-promote status -n main -d "$(at main)" -d "$(at b)" --lock "$etcd"
match "says who has no guard" 'no guard runs beside main' "$T/out"
everything >"$T/after"
ok "nothing was changed by any of it" cmp "$T/before" "$T/after"

# --- the primary is gone --------------------------------------------------------------
names='ANY 1 (b, c)'
load "$(at main)"
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
note "$(acked) rows were acknowledged"
everything >"$T/before"
status 0 "a failover" plan --sync-names "$names" --fence true --json
is "loses nothing" "$(j 'J["verb"], J["held"], J["loss_bytes"], J["fence"]')" \
    "('failover', True, 0, 'hook')"
is "in place of main" "$(j 'J["former"], N["main"]["state"], N["main"]["lsn"]')" \
    "('main', 'refused', None)"
everything >"$T/after"
ok "nothing was changed by it" cmp "$T/before" "$T/after"
status 3 "no proof that main is dead" plan --sync-names "$names" --json
is "is told" "$(j 'R(J["refusals"])')" no_fence
status 3 "nobody says who had to acknowledge" plan --fence true --json
is "is told, and no bound" "$(j 'R(J["refusals"]), J["loss_bytes"]')" "('sync_unknown', None)"
status 0 "--allow-data-loss overrides it" plan --fence true --allow-data-loss --json
is "and there still is no bound" "$(j 'J["loss_bytes"]')" null
status 3 "one more that may have acknowledged" plan --fence true --sync-names 'ANY 1 (b, c, d)'
match "is missing by its name" 'not d' "$T/out"

told() { # WHAT REASON: said of b; c takes over, which may lack a little
	status 0 "b $1" plan --sync-names "$names" --fence true --max-loss 1M --json
	is "c takes over" "$(j 'J["candidate"], R(N["b"]["reasons"])')" "('c', '$2')"
}
PGPORT=$(cat "$T/b.port") psql_ "SELECT pg_wal_replay_pause()" >"$T/ok.out"
told "paused" paused
status 3 "b and no other" plan --sync-names "$names" --fence true --candidate b
match "is refused, with the way out" 'pg_wal_replay_resume' "$T/out"
PGPORT=$(cat "$T/b.port") psql_ "SELECT pg_wal_replay_resume()" >"$T/ok.out"
set_on b recovery_min_apply_delay 1h
told "delayed" delayed
reset_on b recovery_min_apply_delay
echo "drtools.tags = 'nofailover'" >>"$T/b/postgresql.conf"
PGPORT=$(cat "$T/b.port") psql_ "SELECT pg_reload_conf()" >"$T/ok.out"
until_sql b nofailover "SHOW drtools.tags"
told "tagged" nofailover
echo "drtools.tags = ''" >>"$T/b/postgresql.conf"
PGPORT=$(cat "$T/b.port") psql_ "SELECT pg_reload_conf()" >"$T/ok.out"
until_sql b "" "SHOW drtools.tags"

status 0 "a hold" dr-promote hold -n main --lock "$etcd" --why 'new kernels'
status 3 "keeps it from happening" plan --sync-names "$names" --fence true --json
is "as is told" "$(j 'R(J["refusals"])')" held
status 0 "until it is over" dr-promote resume -n main --lock "$etcd"
etcdctl_ put /dr/main/epoch '{"v":1,"epoch":"two"}' >"$T/ok.out"
status 4 "a damaged record" plan --sync-names "$names" --fence true
match "is named" 'the key "epoch" of main' "$T/err"
etcdctl_ del /dr/main/epoch >"$T/ok.out"

# b went its own way: promoted by hand, and made a standby again.
etcdctl_ put /dr/main/epoch '{"v":1,"epoch":1,"leader":"main","former":"",
    "tli":1,"fork":"0/0","time":"2026-11-21T08:00:00Z"}' >"$T/ok.out"
PGPORT=$(cat "$T/b.port") psql_ "SELECT pg_promote()" >"$T/ok.out"
PGPORT=$(cat "$T/b.port") psql_ "INSERT INTO t DEFAULT VALUES; CHECKPOINT" >"$T/ok.out"
pg_stop b
as_pg touch "$T/b/standby.signal"
pg_start b
status 3 "a line that nobody recorded" plan --sync-names "$names" --fence true --json
is "is told" "$(j 'R(J["refusals"])')" unrecorded
status 0 "somebody decides" plan --sync-names "$names" --fence true \
    --candidate c --allow-data-loss --json
is "b has diverged" "$(j 'R(N["b"]["reasons"]), N["b"]["on_line"]')" "('diverged', False)"
pg_stop b immediate
status 3 "b is missing" plan --sync-names "$names" --fence true --allow-async --json
is "and so is the quorum" "$(j 'R(J["refusals"]), R(N["b"]["reasons"])')" \
    "('no_quorum', 'not_answering')"

# --- frozen, and not to be reached: it may live --------------------------------------
etcdctl_ del --prefix /dr/main/ >"$T/ok.out"
trio || exit 1
load "$(at main)"
# shellcheck disable=SC2046 # words
status 3 "a primary that only we cannot reach" dr-promote plan -n main \
    -d "port=1" $(all_d b c) --lock "$etcd" --sync-names "$names" --fence true --json
match "is told by those that it sends to" '"reason":"advances"' "$T/out"
acked >"$T/ok.out"
# shellcheck disable=SC2046 # words
freeze $(all_of main)
t0=$(date +%s%3N)
status 0 "a frozen one" plan --sync-names "$names" --fence true --json --timeout 20s
took=$(($(date +%s%3N) - t0))
ok "holds nobody up ($took ms)" test "$took" -lt 8000
is "and is told so" "$(j 'N["main"]["state"], J["former"]')" "('hung', 'main')"
thaw

# --- asynchronous: the bound holds ---------------------------------------------------
set_on main synchronous_standby_names ""
as_pg env DR_STATE="$T/state/main" dr-promote guard --run -n main -D "$T/main" \
    -d "host=$T/s $(at main) user=postgres dbname=postgres" --lock "$etcd" \
    --ttl ${ttl}s >"$T/guard" 2>&1 3>&- &
helpers_="$helpers_ $!"
recorded() {
	etcdctl_ get --prefix /dr/main/ >"$T/keys"
	grep -q '"rate":[1-9]' "$T/keys" && grep -q '/dr/main/sync' "$T/keys"
}
load "$(at main)"
until_ "its guard says how fast it writes" recorded
# Its standbys stop hearing of it a while before it dies.
for n_ in b c; do
	for p_ in $(pgrep -P "$(pm "$n_")"); do
		tr '\0' ' ' <"/proc/$p_/cmdline" | grep -q walreceiver && freeze "$p_"
	done
done
sleep 0.5
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
rows=$(acked)
thaw
status 3 "an asynchronous one" plan --json
is "may lose what its guard saw" "$(j 'R(J["refusals"]), J["loss_bytes"] > 0')" \
    "('asynchronous', True)"
bound=$(j 'J["loss_bytes"]') to=$(j 'J["candidate"]') at=$(j 'N[J["candidate"]]["lsn"]')
match "with what that costs" "max-loss $bound, or --allow-data-loss" "$T/out"
status 0 "--max-loss lets it" plan --max-loss "$((bound * 100))" --json
status 3 "a byte less does not" plan --max-loss 1 --json
# What it had: it is started again, alone.
pg_start main
end=$(sed -n 's/.*redo done at \([0-9A-F/]*\) .*/\1/p' "$T/main.log" | tail -n 1)
[ -n "$end" ] || end=$(PGPORT=$(cat "$T/main.port") psql_ "SELECT pg_current_wal_lsn()")
gone=$(PGPORT=$(cat "$T/$to.port") psql_ "SELECT greatest(0, '$end'::pg_lsn - '$at'::pg_lsn)")
note "$rows rows; $to ends at $at, main at $end: $gone bytes, bound $bound"
ok "no more is lost than that" test "$bound" -ge "$gone"

# --- etcd is away, or there is none --------------------------------------------------
etcd_kill 1
status 5 "etcd is away" plan --json
is "which is part of the plan" "$(j 'J["lock"], "etcd_away" in R(J["refusals"]), N["b"]["state"]')" \
    "('away', True, 'standby')"
# shellcheck disable=SC2046 # words
status 0 "status without one" dr-promote status -n main $(all_d) --lock none --json
is "says so" "$(j 'J["etcd"], J["epoch"]')" "('none', None)"
status 0 "a history of nothing" dr-promote history -n main --lock none
is "is empty" "$(cat "$T/out")" ""
done_testing
