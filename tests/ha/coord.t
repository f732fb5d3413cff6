#!/bin/sh
# What is agreed upon in a real etcd: who holds a key, for how long, and what
# of its writes is done, while replies are lost and members of etcd die, are
# frozen and come back.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
need python3 openssl mkfifo

coord=$top/build/$V/ha/coord

# by ADDRESS LINE...: what the lines do, in $T/out
by() {
	a_=$1
	shift
	# shellcheck disable=SC2086 # words
	printf '%s\n' "$@" | timeout 60 "$coord" ${opts:-} "$a_" main \
	    >"$T/out" 2>"$T/err"
}

# said N WHAT WANT: the answer to line N, without its time
said() {
	is "$2" "$(sed -n "$1p" "$T/out" | cut -d ' ' -f 2-)" "$3"
}

took() {
	sed -n "$1p" "$T/out" | cut -d ' ' -f 1
}

token() {
	sed -n "s/^[0-9]* taken //p" "$1"
}

# A session: one process that is told line by line.
open_() {
	rm -f "$T/in"
	mkfifo "$T/in"
	: >"$T/session"
	# shellcheck disable=SC2086 # words
	timeout 120 "$coord" ${opts:-} "$1" main <"$T/in" >"$T/session" 2>&1 &
	session=$!
	helpers_="$helpers_ $session"
	exec 3>"$T/in"
}

# tell LINE: what came of it, in $said; how long it took, in $ms
tell() {
	lines_=$(wc -l <"$T/session")
	printf '%s\n' "$1" >&3
	n_=0
	while [ "$(wc -l <"$T/session")" -le "$lines_" ]; do
		n_=$((n_ + 1))
		[ "$n_" -lt 600 ] || break
		sleep 0.05
	done
	said=$(tail -n 1 "$T/session")
	ms=${said%% *}
	said=${said#* }
}

# told WHAT WANT LINE
told() {
	tell "$3"
	# shellcheck disable=SC2254 # a pattern
	case $said in
	$2) pass_ "$1" ;;
	*)
		fail_ "$1"
		note "got \"$said\", not \"$2\""
		;;
	esac
}

# in_time LIMIT: of the last line
in_time() {
	ok "  within $1 ms ($ms)" test "$ms" -le "$1"
}

close_() {
	exec 3>&-
	wait "$session"
}

value() {
	etcdctl_ get --print-value-only "/dr/main/$1"
}

events() {
	etcdctl_ get --prefix --print-value-only /dr-history/main/ |
		grep -c "^$1\$"
}

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

# Leases of two seconds.
open_ "$etcd"
told "taken for two seconds" 'taken *' 'take run me 2'
told "  a second later" ok 'sleep 1200'
told "  renewed" renewed renew
told "  and a second later" ok 'sleep 1200'
told "  it is held still" 'done *' 'write intent=x'
tell left
ok "  with a second left, and no more ($said)" test "$said" -lt 1000
sleep 3
told "not renewed in time, it is lost" lost renew
told "no write is done after that" lost 'write intent=y'
is "  none at all" "$(value intent)" x
told "taken anew" 'taken *' 'take run me 5 epoch=1'
etcdctl_ del /dr/main/run >"$T/etcd.out"
told "deleted by hand, it is lost" lost 'write intent=y'
told "  whatever its lease says" lost renew
told "taken anew" 'taken *' 'take run me 20'
tell 'cost 100'
note "a write takes $said"

# A restart.
etcd_kill 1
tell 'patience 600'
told "etcd is away" 'error 5 *Connection refused' 'write intent=z'
in_time 660
told "  so it is not renewed" 'error 5 *' renew
tell left
ok "  and held all the same ($said)" test "$said" -gt 5000
etcd_again 1
etcd_up_
tell 'patience 2000'
told "it is back: held still" renewed renew
told "  and written" 'done *' 'write intent=z'
told "let go of" released release
close_

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
in_time 460
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
	in_time 2900
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
in_time 760
ok "  and not before that" test "$ms" -ge 690
told "  likewise" 'error 5 *' renew
in_time 760
told "  and to look" 'error 5 *' look
in_time 760
etcd_thaw 3
etcd_thaw 4
etcd_up_
tell 'patience 5000'
told "they thaw: held still" renewed renew
told "  and written" 'done *' 'write intent=y'
is "  the last one" "$(value intent)" y
close_

# --- who asks ----------------------------------------------------------------------
etcd_start 1 # 5
ok "authentication is enabled" etcd_auth dr "se cret"
by "$etcd" 'take run me 5'
match "without a user: refused" 'error 1 etcd at .* says: user name is empty' \
    "$T/out"
echo wrong >"$T/wrong"
opts="-u dr -w $T/wrong" by "$etcd" 'take run me 5'
match "a wrong password: refused" 'error 1 .*invalid user ID or password' \
    "$T/out"
nomatch "  which nobody reads" wrong "$T/out"
printf 'se cret\n' >"$T/right"
opts="-u dr -w $T/right"
open_ "$etcd"
told "the right one" 'taken *' 'take run me 20'
told "  and a write" 'done *' 'write intent=a'
etcd_kill 5
etcd_again 5
n_=0
until curl -s -m 2 -o "$T/etcd.out" "http://127.0.0.1:$(cat "$T/etcd5.port")/health" &&
    grep -q true "$T/etcd.out" || [ "$n_" -ge 100 ]; do
	n_=$((n_ + 1))
	sleep 0.1
done
told "the token did not outlive a restart" 'done *' 'write intent=b'
told "  renewed" renewed renew
told "  let go of" released release
close_
opts=
ETCDCTL_USER='dr:se cret'
export ETCDCTL_USER
by "$etcd" 'take run me 5' release
match "as etcdctl is told, in one variable" ' taken ' "$T/out"
ETCDCTL_USER=dr ETCDCTL_PASSWORD='se cret'
export ETCDCTL_PASSWORD
by "$etcd" 'take run me 5' release
match "  or in two" ' taken ' "$T/out"
unset ETCDCTL_USER ETCDCTL_PASSWORD

etcd_tls server client -strange
etcd_start 1
opts="-c $T/tls/ca.pem -e $T/tls/client.crt -k $T/tls/client.key"
by "$etcd" 'take run me 5' 'cost 20' 'write intent=a' release
match "TLS and a certificate of ours: taken" ' taken ' "$T/out"
note "a write takes $(sed -n 2p "$T/out" | cut -d ' ' -f 2-)"
match "  and written" ' done ' "$T/out"
opts="-c $T/tls/ca.pem"
by "$etcd" 'patience 1000' 'take run me 5'
match "no certificate: refused" \
    ' error (1 .* wants a certificate|5 .* broke off)' "$T/out"
opts="-c $T/tls/ca.pem -e $T/tls/strange.crt -k $T/tls/strange.key"
by "$etcd" 'patience 1000' 'take run me 5'
# The connection may end before the reason is read.
match "a stranger's: refused" \
    ' error (1 .* does not take the certificate|5 .* broke off)' "$T/out"
opts="-c $T/tls/stranger.pem -e $T/tls/client.crt -k $T/tls/client.key"
by "$etcd" 'take run me 5'
match "an etcd of a stranger's: not trusted" ' error 1 .* is not trusted' \
    "$T/out"
opts="-c $T/tls/ca.pem -e $T/tls/client.crt -k $T/tls/strange.key"
by "$etcd" 'take run me 5'
match "a key that is not the certificate's" ' error 1 .*cannot use the cert' \
    "$T/out"
opts=
by "etcd${etcd#etcds}" 'patience 500' 'take run me 5'
match "without TLS where there is TLS" ' error 5 ' "$T/out"

opts=
for spec in http://a etcd: etcd:// etcd://a:0 etcd://a:b etcd://a/b 'etcd://a b' \
    etcd://a,,b 'etcd://[::1' etcd://::1; do
	by "$spec" look
	match "no address: $spec" 'error: .*an address of etcd' "$T/err"
done
by etcd://u:secret@a look
nomatch "what may be a password is not repeated" secret "$T/err"

done_testing
