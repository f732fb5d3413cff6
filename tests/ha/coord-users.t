#!/bin/sh
# Whom etcd lets in: users, and certificates; and which addresses are none.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/coord.sh"
need python3 openssl curl mkfifo

etcd_start 1
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
etcd_kill 1
etcd_again 1
n_=0
until curl -s -m 2 -o "$T/etcd.out" "http://127.0.0.1:$(cat "$T/etcd1.port")/health" &&
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
