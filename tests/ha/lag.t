#!/bin/sh
# dr-lag on real servers, in each state that it must tell: numbers, words and
# exit status, in all four forms.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need python3 psql pgrep promtool faketime

cat >"$T/j.py" <<'END'
import json, sys
d = json.load(open(sys.argv[1] + "/json"))
by = lambda kind, name: next((x for x in d[kind] if x["name"] == name), None)
sb = lambda name: by("standbys", name)
sv = lambda name: by("servers", name)
st = lambda n=0: d["stores"][n]
slot = lambda s, name: next(x for x in sv(s)["slots"] if x["name"] == name)
notes = lambda what: [n["about"] or "" for n in d["notes"] if n["what"] == what]
level = lambda what: " ".join(n["level"] for n in d["notes"] if n["what"] == what)
out = eval(sys.argv[2])
print("null" if out is None else str(out).lower() if out in (True, False) and
      isinstance(out, bool) else " ".join(out) if isinstance(out, list) else out)
END

# j EXPRESSION: of the report as JSON
j() {
	python3 "$T/j.py" "$T" "$1"
}

# report STATUS NAGIOS WHAT ARG...: all four forms, in $T/{json,prom,nagios,table}
report() {
	want_st=$1 want_na=$2 what_=$3
	shift 3
	status "$want_st" "$what_: the exit status" dr-lag --json "$@"
	cp "$T/out" "$T/json"
	is "$what_: nothing on stderr" "$(cat "$T/err")" ""
	status "$want_st" "$what_: the same with --prometheus" \
	    dr-lag --prometheus "$@"
	cp "$T/out" "$T/prom"
	ok "$what_: promtool reads it" sh -c "promtool check metrics <'$T/prom'"
	status "$want_na" "$what_: for Nagios" dr-lag --nagios "$@"
	cp "$T/out" "$T/nagios"
	case $want_na in
	0) word_=OK ;;
	1) word_=WARNING ;;
	2) word_=CRITICAL ;;
	*) word_=UNKNOWN ;;
	esac
	match "$what_: and its word" "^DR_LAG $word_ - [^|]+( \| '[^|]*)?\$" \
	    "$T/nagios"
	is "$what_: on one line" "$(wc -l <"$T/nagios")" 1
	status "$want_st" "$what_: and the table" dr-lag "$@"
	cp "$T/out" "$T/table"
	match "$what_: with its headline" "^$word_  20" "$T/table"
}

# bytes FROM TO: between two positions
bytes() {
	psql_ "SELECT ('$2'::pg_lsn - '$1'::pg_lsn)::bigint"
}

on() {
	(pg_use "$1" && psql_ "$2")
}

# all NAME...: they have replayed what main has flushed
all() {
	end_=$(on main "SELECT pg_current_wal_flush_lsn()")
	for n_; do
		until_sql "$n_" t "SELECT pg_last_wal_replay_lsn() >= '$end_'"
	done
}

pg_new main
cat >>"$T/main/postgresql.conf" <<-END
	cluster_name = 'main'
	min_wal_size = 32MB
	max_wal_size = 32MB
	autovacuum = off
	checkpoint_timeout = 1h
	bgwriter_lru_maxpages = 0
	END
standby b main "primary_slot_name = 'b'"
standby c b
pg_start main
psql_ "SELECT pg_create_physical_replication_slot('b', true);
    CREATE TABLE t (a int); CREATE ROLE nobody LOGIN" >"$T/out"
pg_start b
pg_start c
until_sql main streaming "SELECT state FROM pg_stat_replication"
until_sql b streaming "SELECT state FROM pg_stat_replication"
pg_use main
d="-d $(at main) -d $(at b) -d $(at c)"
# shellcheck disable=SC2086 # words
set -- $d --expect b --expect c

# --- an idle primary -------------------------------------------------------------
psql_ "INSERT INTO t VALUES (1)"
all b c
sleep 1.2
report 0 0 "idle" "$@"
is "idle: the usual query says something else" "$(on b \
    "SELECT now() - pg_last_xact_replay_timestamp() > '1s'")" t
for s in b c; do
	is "idle: $s is 0 behind" "$(j "sb('$s')['replay_lag_seconds']") $(j \
	    "sb('$s')['replay_lag_bytes']") $(j "sb('$s')['flush_lag_bytes']")" \
	    "0 0 0"
	match "idle: $s, a sample" \
	    "^drtools_replication_replay_lag_seconds\{standby=\"$s\"\} 0\$" \
	    "$T/prom"
	match "idle: $s, perfdata" "'${s}_replay_seconds'=0.000000s;;;0" \
	    "$T/nagios"
	match "idle: $s, a row" "^$s +(main|b) +streaming +async +1 +0 B" \
	    "$T/table"
done
is "idle: nothing to tell" "$(j "d['notes']")" ""
is "idle: b follows main, c follows b" \
    "$(j "sb('b')['sender']") $(j "sb('c')['sender']")" "main b"
is "idle: a timeline" "$(j "sb('c')['timeline']")" 1
is "idle: the primary" "$(j "d['primary']") $(j "d['primaries']")" "main 1"
is "idle: its end of WAL" "$(j "sv('main')['lsn']")" \
    "$(psql_ "SELECT pg_current_wal_flush_lsn()")"
match "idle: and as a sample" '^drtools_primaries 1$' "$T/prom"

status 0 "a standby alone" dr-lag --json -d "$(at b)"
cp "$T/out" "$T/json"
is "it is 0 behind what its sender told it" "$(j "sb('b')['replay_lag_bytes']")" 0

status 0 "a heartbeat" dr-lag --json --heartbeat "$@"
cp "$T/out" "$T/json"
for s in b c; do
	is "it arrives at $s" "$(j "0 < sb('$s')['heartbeat_lag_seconds'] < 5")" true
done
status 0 "as samples" dr-lag --prometheus --heartbeat "$@"
match "of the delay" \
    '^drtools_replication_heartbeat_lag_seconds\{standby="c"\} [0-9.e-]+$' "$T/out"

# --- one that is not there ---------------------------------------------------------
report 3 2 "missing" "$@" --expect d
is "missing: told" "$(j "notes('standby-missing')")" d
is "missing: how far behind is not known" "$(j "sb('d')['replay_lag_bytes']") \
$(j "sb('d')['replay_lag_seconds']") $(j "sb('d')['streaming']")" "null null false"
match "missing: it is down" \
    '^drtools_replication_standby_up\{standby="d"\} 0$' "$T/prom"
nomatch "missing: no number for it" \
    '^drtools_replication_[a-z]*_lag_[a-z]*\{standby="d"' "$T/prom"
match "missing: as a note" \
    '^drtools_note\{what="standby-missing",about="d",level="critical"\} 1$' \
    "$T/prom"
match "missing: U in perfdata" "'d_replay_bytes'=U 'd_replay_seconds'=U" \
    "$T/nagios"
match "missing: a row" '^d +- +missing .* \? +\? ' "$T/table"
match "missing: a sentence" '^critical: d: is expected' "$T/table"

# --- paused ------------------------------------------------------------------------
on b "SELECT pg_wal_replay_pause()" >"$T/out"
until_sql b paused "SELECT pg_get_wal_replay_pause_state()"
psql_ "INSERT INTO t SELECT generate_series(1, 5000)"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
until_sql b t "SELECT pg_last_wal_receive_lsn() >= '$end'"
sleep 0.3
report 3 2 "paused" "$@"
want=$(bytes "$(on b "SELECT pg_last_wal_replay_lsn()")" "$end")
is "paused: by so many bytes" "$(j "sb('b')['replay_lag_bytes']")" "$want"
is "paused: of which all are there" "$(j "sb('b')['flush_lag_bytes']")" 0
is "paused: for as long" "$(j "sb('b')['replay_lag_seconds'] > 0.2")" true
is "paused: it streams, and says so" "$(j "sb('b')['streaming']") \
$(j "sb('b')['replay_paused']") $(j "notes('replay-paused')")" "true true b"
match "paused: a sample" \
    "^drtools_replication_replay_lag_bytes\{standby=\"b\"\} $want\$" "$T/prom"
match "paused: another" \
    '^drtools_replication_replay_paused\{standby="b"\} 1$' "$T/prom"
match "paused: perfdata" "'b_replay_bytes'=${want}B;;;0" "$T/nagios"
match "paused: a row" '^b +main +paused ' "$T/table"
is "paused: the cascade is its own" "$(j "sb('c')['replay_paused']")" false
status 3 "a heartbeat" dr-lag --json --heartbeat --timeout 1s "$@"
cp "$T/out" "$T/json"
is "does not arrive where replay is paused" "$(j "notes('heartbeat-unseen')") \
$(j "sb('b')['heartbeat_lag_seconds']")" "b null"
on b "SELECT pg_wal_replay_resume()" >"$T/out"
all b c

# --- a dead receiver ---------------------------------------------------------------
follow=$(on b "SHOW primary_conninfo")
on b "ALTER SYSTEM SET primary_conninfo = 'host=$T/s port=1 user=postgres'"
on b "SELECT pg_reload_conf()" >"$T/out"
until_sql b 0 "SELECT count(*) FROM pg_stat_wal_receiver"
psql_ "INSERT INTO t SELECT generate_series(1, 5000)"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
report 3 2 "dead receiver" "$@"
is "dead receiver: receive = replay, as is often asked for" "$(on b \
    "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")" t
want=$(bytes "$(on b "SELECT pg_last_wal_replay_lsn()")" "$end")
is "dead receiver: by so many bytes" "$(j "sb('b')['replay_lag_bytes']")" "$want"
is "dead receiver: and for a while" "$(j "sb('b')['replay_lag_seconds'] > 0")" true
is "dead receiver: it does not stream" "$(j "sb('b')['streaming']")" false
is "dead receiver: told" "$(j "notes('standby-not-streaming')")" b
match "dead receiver: it is down" \
    '^drtools_replication_standby_up\{standby="b"\} 0$' "$T/prom"
match "dead receiver: a sample" \
    "^drtools_replication_replay_lag_bytes\{standby=\"b\"\} $want\$" "$T/prom"
match "dead receiver: in words" 'b: has no WAL receiver' "$T/nagios"
match "dead receiver: a row" '^b +- +no receiver ' "$T/table"
is "dead receiver: its cascade is as far behind" \
    "$(j "sb('c')['replay_lag_bytes']") $(j "sb('c')['streaming']")" "$want true"
is "dead receiver: an inactive slot is a warning" \
    "$(j "notes('slot-inactive')") $(j "level('slot-inactive')")" "main/b warning"
on b "ALTER SYSTEM SET primary_conninfo = '$follow'"
on b "SELECT pg_reload_conf()" >"$T/out"
all b c

# --- a clock that is ahead ----------------------------------------------------------
fake=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
[ -n "$fake" ] || skip_all "libfaketime is not installed"
pg_stop b
mkdir "$T/fake"
cat >"$T/fake/pg_ctl" <<END
#!/bin/sh
LD_PRELOAD=$fake FAKETIME=+90s FAKETIME_DONT_FAKE_MONOTONIC=1
export LD_PRELOAD FAKETIME FAKETIME_DONT_FAKE_MONOTONIC
exec $PGBIN/pg_ctl "\$@"
END
chmod 755 "$T/fake/pg_ctl"
echo "$T/fake" >"$T/b.bin"
pg_start b
echo "$PGBIN" >"$T/b.bin"
pg_use main
psql_ "INSERT INTO t VALUES (3)"
all b c
until_sql b streaming "SELECT state FROM pg_stat_replication"
report 0 1 "clock" "$@"
is "clock: told" "$(j "notes('clock')")" b
is "clock: how far it is ahead" \
    "$(j "85 < sv('b')['clock_ahead_seconds'] < 95")" true
on b "SELECT pg_wal_replay_pause()" >"$T/out"
psql_ "INSERT INTO t VALUES (3)"
end=$(psql_ "SELECT pg_current_wal_flush_lsn()")
until_sql b t "SELECT pg_last_wal_receive_lsn() >= '$end'"
report 3 2 "clock, and behind" "$@"
is "clock, and behind: not by the difference" \
    "$(j "0 < sb('b')['replay_lag_seconds'] < 60")" true
on b "SELECT pg_wal_replay_resume()" >"$T/out"
pg_stop b
pg_start b
pg_use main
all b c
until_sql b streaming "SELECT state FROM pg_stat_replication"

# --- a role that may not see it -----------------------------------------------------
# shellcheck disable=SC2086
report 3 3 "no permission" -d "$(at main) user=nobody" --expect b
is "no permission: told" "$(j "notes('no-permission')")" main
match "no permission: with what to do" 'pg_monitor' "$T/table"
is "no permission: b is not called missing" "$(j "notes('standby-missing')")" ""
is "no permission: nor 0 behind" "$(j "sb('b')['replay_lag_bytes']")" null
nomatch "no permission: no number" '_lag_bytes\{' "$T/prom"

# --- WAL that is dropped -----------------------------------------------------------
psql_ "SELECT pg_create_physical_replication_slot('gone', true)" >"$T/out"
psql_ "ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
report 0 1 "a slot that nobody uses" "$@"
is "it is told of" "$(j "notes('slot-inactive')")" main/gone
is "how much is left for it" "$(j "slot('main', 'gone')['safe_wal_bytes'] > 0")" true
match "and as a sample" '^drtools_slot_safe_wal_bytes\{slot="gone",server="main"\} [1-9]' \
    "$T/prom"
for i in 1 2 3 4 5; do
	psql_ "INSERT INTO t VALUES (1)"
	psql_ "SELECT pg_switch_wal()" >"$T/out"
done
psql_ "CHECKPOINT"
all b c
report 3 2 "a lost slot" "$@"
is "it is lost" "$(j "slot('main', 'gone')['wal_status']")" lost
is "it is told of" "$(j "notes('slot-lost')")" main/gone
is "what is left is not 0, but nothing that is known" \
    "$(j "slot('main', 'gone')['safe_wal_bytes']")" null
match "as a sample" '^drtools_slot_lost\{slot="gone",server="main"\} 1$' "$T/prom"
nomatch "and none for what is left" \
    '^drtools_slot_safe_wal_bytes\{slot="gone"' "$T/prom"
match "a row" '^gone +main +physical +lost ' "$T/table"
psql_ "SELECT pg_drop_replication_slot('gone')" >"$T/out"
psql_ "ALTER SYSTEM RESET max_slot_wal_keep_size"
psql_ "SELECT pg_reload_conf()" >"$T/out"
all b c
report 0 0 "all is well again" "$@"

# --- the primary is down ------------------------------------------------------------
pg_stop main immediate
report 3 2 "primary down" "$@"
is "primary down: told" "$(j "notes('server-down')") $(j "notes('no-primary')")" \
    "main "
is "primary down: how far b is behind is not known" \
    "$(j "sb('b')['replay_lag_bytes']")" null
match "primary down: a sample, by the name that it had" \
    '^drtools_server_up\{server="main"\} 0$' "$T/prom"
match "primary down: none is seen" '^drtools_primaries 0$' "$T/prom"
report 5 2 "nobody answers" -d "$(at main)"
match "nobody answers: a row" 'refused' "$T/table"

# --- two primaries, and one that stayed behind ---------------------------------------
pg_start main
all b c
on c "SELECT pg_promote()" >"$T/out"
on c "INSERT INTO t VALUES (2)"
report 3 2 "two primaries" "$@"
is "two primaries: told" "$(j "len(notes('two-primaries'))") $(j "d['primaries']") \
$(j "d['primary']")" "1 2 null"
match "two primaries: a sample" '^drtools_primaries 2$' "$T/prom"
match "two primaries: with timelines" 'main \(timeline 1\), c \(timeline 2\)' \
    "$T/nagios"
is "two primaries: b is measured against neither" \
    "$(j "sb('b')['replay_lag_bytes']")" null
pg_stop main immediate
until_sql b 0 "SELECT count(*) FROM pg_stat_wal_receiver"
report 3 2 "diverged" -d "$(at b)" -d "$(at c)" --expect b
is "diverged: told" "$(j "notes('diverged')")" b
is "diverged: how far behind has no meaning" "$(j "sb('b')['replay_lag_bytes']") \
$(j "sb('b')['replay_lag_seconds']") $(j "sb('b')['diverged']")" "null null true"
match "diverged: a sample" '^drtools_replication_diverged\{standby="b"\} 1$' \
    "$T/prom"
nomatch "diverged: no number" '^drtools_replication_replay_lag_bytes\{standby="b"' \
    "$T/prom"
match "diverged: a row" '^b +.*diverged ' "$T/table"
match "diverged: with timelines" 'timeline 1, the primary on 2' "$T/nagios"

done_testing
