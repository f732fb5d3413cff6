#!/bin/sh
# dr-watch: observers that let a standby take over, and when they do not.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/ring.sh"
need dr-promote dr-lag pgbouncer python3
PATH=$PATH:$top/scripts

end_watch() {
	for p_ in $observers_; do
		kill -TERM "$p_" 2>/dev/null
	done
	end_ours
}
trap end_watch EXIT
observers_=

# observe NAME ARG...: in the background; sets $o, its pid
observe() {
	n_=$1
	shift
	names=$(ring_names) || names=$demanded
	: >"$T/$n_.log"
	# What it says, and what it runs, goes there.
	eval "DR_STATE=\$T/\$n_.state setsid dr-watch -n main $ring --lock $etcd \
	    $hooks --name $n_ --notify $T/$n_.conf \"\$@\" -- --ttl 2s \
	    --sync-names '$names' >\"\$T/\$n_.log\" 2>&1 &"
	o=$!
	observers_="$observers_ $o"
}

# Each told as a line: ACTION SEVERITY SUMMARY
for n in w1 w2; do
	cat >"$T/$n.tell" <<-END
	#!/bin/sh
	python3 -c 'import json, sys
	m = json.load(sys.stdin)
	print(m["action"], m["severity"], m["summary"])' >>$T/$n.told
	END
	chmod 755 "$T/$n.tell"
	echo "ops command:$T/$n.tell" >"$T/$n.conf"
	: >"$T/$n.told"
done

watches() { # NAME: it holds a connection to the primary
	grep -q 'is primary' "$T/$1.log" &&
		[ -n "$(ask_ "$(ring_primary)" "SELECT 1 FROM pg_stat_activity
		    WHERE application_name = 'dr-lag'")" ]
}

fine() {
	[ "$failed_" -gt 0 ] || return 0
	for n_ in "$T"/w?.log "$T"/w?.told; do
		sed "s|^|# ${n_##*/}: |" "$n_"
	done
	done_testing
}

history() {
	etcdctl_ get --prefix /dr-history/main/ --print-value-only |
		grep -c '"verb":"failover","result":"done"'
}

ends() { # PID: at once
	kill -TERM "$1"
	n_=0
	while kill -0 "$1" 2>/dev/null && [ $n_ -lt 60 ]; do
		n_=$((n_ + 1))
		sleep 0.05
	done
	ok "it ends at SIGTERM ($((n_ * 50)) ms)" test $n_ -lt 60
	wait "$1" 2>/dev/null
}

etcd_start
ring_up || {
	fail_ "the set does not start"
	done_testing
}

# --- killed, under load ---------------------------------------------------------
observe w1 --observers 2 --max-failovers 1
w1=$o
observe w2 --observers 2 --max-failovers 1
w2=$o
until_ "one observer watches" watches w1
until_ "and the other" watches w2
load_on
until_ "clients write" more_acked 20
n=$(acked)
ring_kill
until_ "they go on" more_acked $((n + 40))
load_off
load_check "two observers"
p=$(ring_primary)
ok "a standby is primary" test "$p" = s1 -o "$p" = s2
is "one failover is recorded" "$(history)" 1
until_ "an observer says so" grep -q "took over" "$T/w1.log" "$T/w2.log"
is "one only" "$(cat "$T/w1.log" "$T/w2.log" | grep -c 'took over')" 1
until_ "and tells" grep -q "^trigger error set main: $p took over.*has to rejoin" \
    "$T/w1.told" "$T/w2.told"
note "$(grep -h 'took over' "$T/w1.log" "$T/w2.log")"

fine

# --- too many ---------------------------------------------------------------------
ok "what was primary joins again" ring_rejoin main
streams_2() {
	[ "$(ask_ "$p" "SELECT count(*) FROM pg_stat_replication
	    WHERE state = 'streaming'")" = 2 ]
}
until_ "two stream from the new primary" streams_2
until_ "the observers watch it" grep -q ":$(cat "$T/$p.port") is primary" \
    "$T/w1.log"
until_ "both" grep -q ":$(cat "$T/$p.port") is primary" "$T/w2.log"
until_ "by a connection" watches w1
ring_kill
until_ "one failover was enough: they tell" \
    grep -q 'trigger critical .*(--max-failovers 1)' "$T/w1.told" 
until_ "both" grep -q 'trigger critical .*(--max-failovers 1)' "$T/w2.told"
match "and how to do it by hand" \
    'by hand: dr-promote failover -n main .*--route .*--yes$' "$T/w1.told"
is "nothing was done" "$(history) $(ring_primary)" "1 "
ends "$w1"
ends "$w2"

fine

# --- only to advise ---------------------------------------------------------------
observe w1 --mode advise
w1=$o
until_ "one that is to advise says what to run" \
    grep -q 'to let a standby take over: dr-promote failover .*--yes$' "$T/w1.log"
is "and does nothing" "$(history) $(ring_primary)" "1 "
ends "$w1"

fine

# --- held ---------------------------------------------------------------------------
status 0 "a hold" dr-promote hold -n main --lock "$etcd" --why works
observe w1 --max-failovers 9
w1=$o
until_ "one that may act tells that it is held" \
    grep -q 'error: set main: .* holds it since .*works' "$T/w1.log"
sleep 1.5
is "once" "$(grep -c 'error: set main' "$T/w1.log")" 1
is "what was told already is not told again" \
    "$(grep -c 'trigger critical' "$T/w1.told")" 1
is "it respects that" "$(history) $(ring_primary)" "1 "
status 0 "the hold is over" dr-promote resume -n main --lock "$etcd"
until_ "and a standby takes over" grep -q "took over" "$T/w1.log"
until_ "which resolves it" grep -q '^resolve ' "$T/w1.told"
is "two failovers" "$(history)" 2
p=$(ring_primary)
load_on
until_ "clients write" more_acked "$(($(acked) + 20))"

fine

# --- one dies in the middle ------------------------------------------------------------
ok "what was primary joins again, too" ring_rejoin "$was"
until_ "two stream from the new primary" streams_2
ends "$w1"
observe w1 --max-failovers 9
w1=$o
observe w2 --max-failovers 9
w2=$o
until_ "an observer watches" watches w1
until_ "another one, too" watches w2
# Whoever acts dies as soon as that is recorded, with all it runs.
etcdctl_watch() {
	ETCDCTL_API=3 exec etcdctl --endpoints "${etcd#etcd://}" watch --prefix \
	    /dr/main/
}
etcdctl_watch >"$T/keys" 2>&1 &
e=$!
helpers_="$helpers_ $e"
python3 - "$T/keys" "$w1" "$w2" <<-'END' >"$T/killed" &
import os, signal, sys, time
end = time.time() + 20
while time.time() < end:
    with open(sys.argv[1]) as f:
        text = f.read()
    if '"step":"chosen"' in text and '"verb":"failover"' in text:
        who = text.split('"who":"')[1].split('"')[0]
        pid = int(who.rsplit(":")[-1])
        # All that the observer runs is in a session of its own.
        group = os.getpgid(pid)
        os.killpg(group, signal.SIGKILL)
        print(group)
        break
    time.sleep(0.002)
END
k=$!
sleep 0.5
n=$(acked)
ring_kill
wait $k
until_ "it was killed, and they go on" more_acked $((n + 40))
load_off
load_check "an observer dies"
is "three failovers" "$(history)" 3
note "killed: $(cat "$T/killed") of $w1 and $w2"
for n in "$w1" "$w2"; do
	[ "$n" = "$(cat "$T/killed")" ] || ends "$n"
done
is "nobody stays cut off" "$(ask_ "$(ring_primary)" \
    "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" 1
fine
done_testing
