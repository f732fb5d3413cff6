#!/bin/sh
# Stores by sftp: who is let in and who is believed, and what happens when the
# server goes away, stops, is full, or cannot do what is asked of it.
. "${0%/*}/../lib.sh"
PATH=$PATH:/usr/sbin
need dr-wal dr-key dr-snap dr-push dr-pull dr-list dr-verify sshd ssh-keygen ssh-agent \
    ssh-add python3 pgrep

# A server of our own, as the user that PostgreSQL runs as.
cd "$T" || exit 1
mkdir -m 700 "$HOME/.ssh" keys
mkdir d full
for k in host user other; do
	ssh-keygen -q -t ed25519 -N '' -C "$k" -f "keys/$k"
done
cp keys/user "$HOME/.ssh/id_ed25519"
cp keys/user.pub authorized
if [ "$root_" = yes ]; then
	chown postgres keys keys/host d full authorized
	user=postgres
else
	user=$(id -un)
fi

# sshd_up PORT: with the lines of the file "more".
: >more
log=$T/sshd.log
: >"$log"
sshd_up() {
	port=$1
	cat >sshd_config - more <<-END2
	Port $port
	ListenAddress 127.0.0.1
	HostKey $T/keys/host
	PidFile none
	AuthorizedKeysFile $T/authorized
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	UsePAM no
	StrictModes no
	Subsystem sftp internal-sftp
	END2
	if [ "$root_" = yes ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups -- \
		    "$(command -v sshd)" -D -e -f "$T/sshd_config" \
		    >>"$log" 2>&1 &
	else
		"$(command -v sshd)" -D -e -f "$T/sshd_config" >>"$log" 2>&1 &
	fi
	sshd=$!
	pids_="$pids_ $sshd"
	n=0
	while ! grep -q "listening on 127.0.0.1 port $port" "$log"; do
		n=$((n + 1))
		kill -0 "$sshd" 2>/dev/null && [ "$n" -lt 100 ] || return 1
		sleep 0.05
	done
	url=sftp://$user@127.0.0.1:$port$T/d
}

# sshd_start [PORT]: by default on one that is free.
sshd_start() {
	if [ $# -gt 0 ]; then
		sshd_up "$1"
		return
	fi
	# Others may take it before it is ours.
	for p in $(python3 -c 'import random
print(*random.sample(range(2223, 2300), 10))'); do
		sshd_up "$p" && return
	done
	sed 's/^/# /' "$log"
	return 1
}

# Its sessions, and itself.
sessions() {
	for p in $(pgrep -P "$sshd"); do
		for q in $(pgrep -P "$p"); do
			kill "-$1" "$q" 2>/dev/null
		done
		kill "-$1" "$p" 2>/dev/null
	done
}
sshd_stop() {
	kill -TERM "$sshd" 2>/dev/null
	sessions KILL
	wait "$sshd" 2>/dev/null
	: >"$log"
}
known() {
	printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "keys/$1.pub")"
}

sshd_start || skip_all "sshd does not start"
known host >"$HOME/.ssh/known_hosts"
DR_SET=s
export DR_SET
head -c 30000000 /dev/urandom >data
# Streams of their own each time: one that is there already is not sent again.
big() {
	dr-snap --stdin data --stream <data >big || exit 1
}
small() {
	echo hello | dr-snap --stdin note --stream >small || exit 1
}
big
small
push() {
	dr-push --plain "$@"
}
leftovers() {
	find d full -name '.*.tmp' | wc -l
}

# --- the main job -------------------------------------------------------------------
status 0 "a push" push "$url" <big
id=$(ls d/s/snap | sed -n 's/\(.*\)\.json$/\1/p')
status 0 "a small one" push --metrics-dir "$T" "$url" <small
match "the server tells how much is free" \
    '^drtools_store_free_bytes\{set="s",store="sftp://[^"]*"\} [1-9]' \
    "$T/dr-push-run_s.prom"
is "both are listed" "$(dr-list "$url" | grep -c ' full ')" 2
status 0 "and verified" dr-verify "$url"
dr-pull -b "$id" --body "$url" | tar -xOf - --wildcards 'data/*' >back
ok "what comes back is what went there" cmp data back
is "no temporary is left" "$(leftovers)" 0
status 0 "a path in the home" \
    dr-list "sftp://$user@127.0.0.1:$port/~/../../../../../../$T/d"

# --- whom we believe -------------------------------------------------------------------
hosts=$T/hosts
: >hosts
status 1 "a host that is not known" dr-list "$url?known_hosts=$hosts"
match "is told with its fingerprint" 'not known: its key is SHA256:' err
match "and what to do" 'ssh-keyscan -p [0-9]+ 127.0.0.1' err
is "which is ssh's own" "$(sed -n 's/.*key is \(SHA256:[^ ]*\).*/\1/p' err)" \
    "$(ssh-keygen -lf keys/host.pub | cut -d' ' -f2)"
known other >hosts
status 1 "a host with another key" dr-list "$url?known_hosts=$hosts"
match "is refused loudly" 'HAS CHANGED' err
known host >>hosts
status 0 "one of two keys" dr-list "$url?known_hosts=$hosts"
{
	known host
	printf '@revoked * %s\n' "$(cut -d' ' -f1,2 keys/host.pub)"
} >hosts
status 1 "a key that is revoked" dr-list "$url?known_hosts=$hosts"
match "is refused" 'REVOKED' err
known host >hosts
ssh-keygen -q -H -f hosts >ok.out 2>&1
nomatch "hashed names do not tell" 127.0.0.1 hosts
status 0 "but are known" dr-list "$url?known_hosts=$hosts"
known host | sed 's/^\[127[^]]*/[127.0.0.?/' >hosts
status 0 "a pattern" dr-list "$url?known_hosts=$hosts"
known host | sed 's/^[^ ]*/127.0.0.1/' >hosts
status 1 "the key of another port" dr-list "$url?known_hosts=$hosts"
status 1 "a file of hosts that is missing" dr-list "$url?known_hosts=$T/none"
ssh-keygen -q -t rsa -b 2048 -N '' -f keys/rsa
known rsa >hosts
status 1 "only a kind of key that the host does not have" \
    dr-list "$url?known_hosts=$hosts"
match "says how to learn the others" 'by ssh-rsa alone' err

# --- who is let in ------------------------------------------------------------------------
status 1 "a wrong key" dr-list "$url?identity=$T/keys/other"
match "is named" "does not let \"$user\" in; tried: \"$T/keys/other\"" err
ssh-keygen -q -t ed25519 -N secret -f keys/locked
cat keys/locked.pub >>authorized
status 1 "a key with a passphrase" dr-list "$url?identity=$T/keys/locked"
match "needs the agent" 'ssh-agent alone' err
status 1 "a public key" dr-list "$url?identity=$T/keys/user.pub"
match "is not private" 'no private key' err
status 1 "no such key" dr-list "$url?identity=$T/keys/none"
mv "$HOME/.ssh/id_ed25519" "$HOME/.ssh/elsewhere"
status 1 "no key at all" dr-list "$url"
match "tells where they are looked for" 'id_ed25519, id_ecdsa' err
eval "$(ssh-agent -a "$T/s/agent")" >/dev/null
printf '#!/bin/sh\necho secret\n' >askpass
chmod 700 askpass
SSH_ASKPASS=$T/askpass SSH_ASKPASS_REQUIRE=force ssh-add -q keys/locked \
    2>ok.out </dev/null
status 0 "by the agent" dr-list "$url"
status 0 "the agent has the key that is named" \
    dr-list "$url?identity=$T/keys/locked"
kill -STOP "$SSH_AGENT_PID"
status 1 "an agent that hangs" dr-list "$url"
match "is told, too" 'the agent, which does not answer' err
kill -CONT "$SSH_AGENT_PID"
ssh-add -q -D 2>ok.out
status 1 "an empty agent" dr-list "$url"
kill "$SSH_AGENT_PID"
status 1 "an agent that is gone" dr-list "$url"
match "is told" 'the agent, which does not answer' err
unset SSH_AUTH_SOCK SSH_AGENT_PID
mv "$HOME/.ssh/elsewhere" "$HOME/.ssh/id_ed25519"

# Whoever opens it again, from anywhere, has all that is needed for it.
known host >hosts
small
cd keys || exit 1
status 0 "files named from where one is" dr-push --plain --json \
    "$url?identity=user&known_hosts=../hosts&fsync=yes" <../small
cd ..
match "are part of the store's name" \
    "\"$url\?identity=$T/keys/user&known_hosts=$T/keys/../hosts\"" out

# --- what cannot be ---------------------------------------------------------------------------
status 2 "a parameter that is not known" dr-list "$url?colour=red"
status 2 "a password in the URL" dr-list "sftp://me:secret@127.0.0.1/x"
nomatch "is not repeated" me:secret err
status 2 "locks" dr-push --lock-days 3 "$url" <small
status 1 "a directory that is missing" push "$url/none" <small
match "is not made" 'no such directory' err
is "and was not" "$(ls d)" s
chmod 555 d/s/snap
small
status 1 "a directory that cannot be written to" push "$url" <small
match "permission denied" 'permission denied' err
chmod 755 d/s/snap
status 5 "nobody listens" dr-list "sftp://$user@127.0.0.1:1/x"
match "connection refused" 'onnection refused' err
status 1 "a host that does not exist" dr-list "sftp://none.invalid/x"
match "is named" 'cannot find host "none.invalid"' err
if [ "$root_" = yes ] && mount -t tmpfs -o size=4m tmpfs full 2>/dev/null; then
	chown postgres full
	big
	status 1 "a full disk" push "${url%/d}/full" <big
	match "is told" 'no space left' err
	is "and nothing is left on it" "$(find full -type f | wc -l)" 0
	umount full
else
	skip "a full disk" "nothing can be mounted here"
fi

# --- sessions that end ------------------------------------------------------------------------
# slowly N: the stream, with a pause after N bytes; "go" ends it.
slowly() {
	head -c "$1" big
	: >waiting
	while [ ! -e go ]; do
		sleep 0.05
	done
	tail -c "+$(($1 + 1))" big
}
# begin N: a push that has sent so much.
begin() {
	rm -f go waiting
	big
	slowly "$1" | push "$url" 2>err &
	push=$!
	while [ ! -e waiting ]; do
		sleep 0.05
	done
	sleep 0.2
}
for n in 1000000 20000000; do
	before=$(dr-list "$url" | wc -l)
	begin "$n"
	sessions KILL
	: >go
	wait "$push"
	is "a session killed after $n bytes: the push goes on" "$?" 0
	is "and is listed" "$(dr-list "$url" | wc -l)" "$((before + 1))"
done
status 0 "all is whole" dr-verify "$url"
is "nothing else is left" "$(leftovers)" 0

before=$(dr-list "$url" | wc -l)
begin 20000000
sshd_stop
(
	sleep 1
	: >go
) &
sleep 2
sshd_start "$port"
wait "$push"
is "a server that is away for two seconds" "$?" 0
is "the push is listed" "$(dr-list "$url" | wc -l)" "$((before + 1))"
is "and nothing else is left" "$(leftovers)" 0

# What had arrived may be lost in a crash of the server's host.
begin 20000000
sessions KILL
tmp=$(find d -name '.*.tar.*.tmp')
dd if=/dev/zero of="$tmp" bs=4096 seek=100 count=1 conv=notrunc status=none
: >go
wait "$push"
is "what arrived is not what was sent" "$?" 4
match "that is told" 'not what was sent' err
is "nothing is left of it" "$(leftovers)" 0

# A push that is told to stop clears up.
begin 20000000
is "what is sent lies under a temporary name" "$(leftovers)" 1
kill -TERM "$(pgrep -f -- "dr-push --plain $url")"
: >go
wait "$push"
is "a push that is told to stop ends by the signal" "$?" 143
is "with nothing left" "$(leftovers)" 0

# A session that is stopped, and a push that is told to.
begin 20000000
sessions STOP
: >go
sleep 0.5
p=$(pgrep -f -- "dr-push --plain $url")
# shellcheck disable=SC2086 # words
kill -TERM $p
n=0
while kill -0 $p 2>/dev/null && [ "$n" -lt 200 ]; do
	n=$((n + 1))
	sleep 0.05
done
ok "a server that is stopped keeps no push from ending" [ "$n" -lt 200 ]
wait "$push" 2>/dev/null
is "by the signal" "$?" 143
sessions KILL
is "its listing is as before" "$(dr-list "$url" | wc -l)" "$((before + 1))"
find d -name '.*.tmp' -delete
if [ "${DR_SOAK:-0}" != 0 ]; then
	begin 20000000
	sessions STOP
	: >go
	wait "$push"
	is "a session that stalls is given up, and the push goes on" "$?" 0
	sessions KILL
else
	skip "a session that stalls" "it takes half a minute"
fi

# --- WAL to two stores, of which this one hangs -------------------------------------------------
dr-key new -o id 2>ok.out
dr-key recipient id >to
for n in 1 2; do
	python3 "$top/tests/walseg.py" "$T/pg" "00000001000000000000000$n" "seed=$n"
done
wal() { # N
	(cd pg && dr-wal push -n w -R "$T/to" --require 1 -s "$T/full" \
	    -s "$url" "pg_wal/00000001000000000000000$1")
}
status 0 "a segment to two stores" wal 1
is "is in both" "$(find d full -path '*/wal/*' -name '*1.zst.age' | wc -l)" 2
kill -STOP "$sshd"
from=$(date +%s)
status 0 "one of them hangs" wal 2
took=$(($(date +%s) - from))
ok "which costs the other little ($took s)" [ "$took" -le 15 ]
match "it is named" "$url" err
kill -CONT "$sshd"

# --- a server without fsync -------------------------------------------------------------------
sshd_stop
echo 'ForceCommand internal-sftp -P fsync' >more
sshd_start "$port"
small
status 1 "a server that cannot fsync" push "$url" <small
match "is told" 'fsync@openssh.com' err
match "with the way round" 'fsync=no' err
is "nothing is left" "$(leftovers)" 0
status 0 "which goes without" push "$url?fsync=no" <small
sshd_stop

done_testing
