#!/bin/sh
# What is agreed upon in a real etcd: who holds a key, for how long, and what
# of its writes is done, while replies are lost and members of etcd die, are
# frozen and come back.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/coord.sh"
need python3 pgrep mkfifo

# --- one member ----------------------------------------------------------------
etcd_start 1

by "$etcd" 'take run me 5 epoch=1@0 !=one' 'write intent=a !=two' \
    'write intent=b@999' 'write intent=-' 'history 1' 'put hold=h' release look
first=$(token "$T/out")
ok "it is taken (token ${first:-none})" test "${first:-0}" -gt 1
said 2 "a write" "done $((first + 1))"
said 3 "not over what is not as it was" not
said 4 "a key is deleted" "done $((first + 2))"
said 5 "the latest event" "1 keys"
match "  is the second" '^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16} two$' "$T/out"
said 8 "it is let go of" released
said 9 "what stays" "2 keys"
is "  is what hangs on no lease" "$(tail -n 2 "$T/out" | tr '\n' ' ')" \
    "epoch 1 hold h "

by "$etcd" 'take run me 5 epoch=2@0'
said 1 "not taken, where a key is not as it was" not
is "nor is anything written" "$(value epoch)$(value run)" 1

i=0
while [ "$i" -lt 12 ]; do
	i=$((i + 1))
	printf '%s\n' "take run t$i 5" 'sleep 300' | timeout 60 "$coord" \
	    "$etcd" main >"$T/taker.$i" 2>&1 &
	takers="${takers:-} $!"
done
# shellcheck disable=SC2086 # words
wait $takers
cat "$T"/taker.* >"$T/takers"
is "of twelve at once one takes it" "$(grep -c ' taken ' "$T/takers")" 1
is "and the others are told who" "$(grep -c ' held t' "$T/takers")" 11
is "  which it is" "$(grep ' held ' "$T/takers" | cut -d ' ' -f 3 | sort -u)" \
    "$(value run)"
second=$(token "$T/takers")
ok "its token is greater ($second)" test "$second" -gt "$first"
etcdctl_ del /dr/main/run >"$T/etcd.out"

# Leases of three seconds.
open_ "$etcd"
told "taken for three seconds" 'taken *' 'take run me 3'
told "  a little later" ok 'sleep 1600'
told "  renewed" renewed renew
told "  and a little later" ok 'sleep 1600'
told "  it is held still" 'done *' 'write intent=x'
tell left
ok "  for no longer than it is ($said)" test "$said" -le 1400
sleep 2.5
told "not renewed in time, it is lost" lost renew
told "no write is done after that" lost 'write intent=y'
is "  none at all" "$(value intent)" x
told "taken anew" 'taken *' 'take run me 5 epoch=1'
etcdctl_ del /dr/main/run >"$T/etcd.out"
told "deleted by hand, it is lost" lost 'write intent=y'
told "  whatever its lease says" lost renew
told "taken anew" 'taken *' 'take run me 20'
# Another process goes on with it, as if it were the next of the same host.
told "  and written" 'done *' 'write intent=old'
by "$etcd" 'adopt run 20' 'write intent=new' 'write intent=newer'
said 1 "adopted by another" adopted
match "  which writes" '^[0-9]+ done ' "$T/out"
told "so it is no longer ours" lost 'write intent=older'
is "  and the last word is the other's" "$(value intent)" newer
etcdctl_ del /dr/main/run >"$T/etcd.out"
told "taken anew" 'taken *' 'take run me 20'
tell 'cost 100'
note "a write takes $said"

# A restart.
etcd_kill 1
tell 'patience 600'
told "etcd is away" 'error 5 *Connection refused' 'write intent=z'
in_time 600
told "  so it is not renewed" 'error 5 *' renew
tell left
ok "  and held all the same ($said)" test "$said" -gt 5000
etcd_again 1
etcd_up_
tell 'patience 2000'
told "it is back: held still" renewed renew
told "  and written" 'done *' 'write intent=z'
pid=$(pgrep -P "$session" | head -n 1)
kill -TERM "$pid"
told "told to stop, it does" 'error 130 *' 'write intent=last'
told "  but lets go of it" released release
close_
is "  so that it is free" "$(value run)" ""

# --- lost replies ----------------------------------------------------------------
port=$(free_ports_ 1)
: >"$T/rules"
: >"$T/hits"
python3 "$top/tests/store/cutter.py" "$port" "$(cat "$T/etcd1.port")" \
    "$T/rules" "$T/hits" >"$T/cutter.out" 2>&1 &
helpers_="$helpers_ $!"
n_=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" \
    2>/dev/null || [ "$n_" -ge 100 ]; do
	n_=$((n_ + 1))
	sleep 0.1
done

# rule ACTION ARG URL: befalls the next request to it. Rules are told apart by
# their text.
rules=0
rule() {
	: >"$T/hits"
	rules=$((rules + 1))
	printf '1\t%s\t%s\t%s|#%s\n' "$@" "$rules" >"$T/rules"
}

hits() {
	wc -l <"$T/hits"
}

etcdctl_ del --prefix /dr >"$T/etcd.out"
open_ "etcd://127.0.0.1:$port"
rule lost - kv/txn
told "taken, and the reply is lost" 'taken *' 'take run me 20 !=t'
is "  it was" "$(hits)" 1
is "  once" "$(events t)" 1
rule lost - kv/txn
told "a write, and the reply is lost" 'done *' 'write intent=a !=a'
is "  it was" "$(hits)" 1
is "  once" "$(events a)" 1
rule cut-reply 20 kv/txn
told "the reply breaks off" 'done *' 'write intent=b@-1 !=b'
is "  once" "$(events b)" 1
rule lost - kv/txn
told "without a holder" 'done *' 'put hold=h !=h'
is "  once" "$(events h)" 1
rule lost - lease/keepalive
told "renewed, and the reply is lost" renewed renew
rule status '503 x' kv/txn
told "an answer that is none of etcd's" 'done *' 'write intent=c'
rule after200 x kv/txn
told "one that makes no sense" 'error 4 *makes no sense*' 'write intent=d !=d'
told "  it was done" 'done *' 'write intent=e'
is "  once" "$(events d)" 1
rule mute - kv/txn
tell 'patience 400'
told "silence" 'error 5 *' 'write intent=f !=f'
in_time 400
tell 'patience 2000'
told "  it was done" 'done *' 'write intent=g@-1'
is "  once" "$(events f)" 1
told "let go of" released release
rule mute - kv/txn
tell 'patience 400'
told "taken, and silence" 'error 5 *' 'take run one 20'
tell 'patience 2000'
told "the next try is not in its own way" 'taken *' 'take run two 20'
is "  but the second" "$(value run)" two
close_

# --- three members -----------------------------------------------------------------
etcd_start 3 # 2, 3 and 4
open_ "$etcd"
told "taken, of three members" 'taken *' 'take run me 30'
etcd_kill 2
told "one is dead" 'done *' 'write intent=a'
in_time 2000
told "renewed" renewed renew
etcd_again 2
etcd_up_ || fail_ "it does not come back"
close_

# Whom we asked last is frozen, with our request in its buffer.
late() {
	open_ "$etcd"
	tell 'patience 3000'
	told "taken ($1)" 'taken *' "take late me 60"
	etcd_freeze 2
	told "  a write, and it is frozen" 'done *' 'write intent=one !=one'
	in_time 3000
	told "  the next one" 'done *' 'write intent=two'
	in_time 1000
	etcd_thaw 2
	etcd_up_
	sleep 0.3
	is "  what arrives late does nothing" "$(value intent)" two
	is "  nor the event" "$(events one)" 1
	told "  and is in nobody's way" 'done *' 'write intent=three'
	told "  let go of" released release
	close_
	etcdctl_ del --prefix /dr-history >"$T/etcd.out"
}
etcdctl_ del --prefix /dr >"$T/etcd.out"
leader=$(etcd_leads)
note "$leader leads"
late "by a member that $([ "$leader" = 2 ] && echo leads || echo follows)"
if [ "$leader" != 2 ]; then
	# Move it there, and see it frozen too.
	id=$(etcdctl_ endpoint status 2>/dev/null |
		sed -n "s/^[^,]*:$(cat "$T/etcd2.port"), \([0-9a-f]*\),.*/\1/p")
	all=$etcd
	etcd=$(etcd_only "$leader")
	ok "another leads" etcdctl_ move-leader "$id"
	etcd=$all
	late "by the member that leads"
fi

open_ "$etcd"
told "taken" 'taken *' 'take run me 60'
etcd_freeze 3
etcd_freeze 4
tell 'patience 700'
told "two of three are frozen" 'error 5 *' 'write intent=x'
in_time 700
ok "  and not before that" test "$ms" -ge 690
told "  likewise" 'error 5 *' renew
in_time 700
told "  and to look" 'error 5 *' look
in_time 700
etcd_thaw 3
etcd_thaw 4
etcd_up_
tell 'patience 5000'
told "they thaw: held still" renewed renew
told "  and written" 'done *' 'write intent=y'
is "  the last one" "$(value intent)" y
close_

done_testing
