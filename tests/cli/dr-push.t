#!/bin/sh
# dr-push: what gets into a store, and what does not.
. "${0%/*}/../lib.sh"
need dr-snap dr-seal dr-key minisign python3 strace sha256sum

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s
export DR_SET

files() {
	find "$@" -type f 2>/dev/null | wc -l
}
chain() {
	python3 "$top/tests/chain.py" s "$1"
}
# json FILE EXPRESSION: of the object that FILE holds.
json() {
	python3 -c 'import json, sys
m = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}
manifest() { # of the highest seq in STORE
	grep -l "\"seq\":$2," "$1"/s/snap/*.json
}
snap() {
	echo "$1" | dr-snap --stdin note | cat
}
sealed() {
	snap "$1" | dr-seal -R to | cat
}

# --- one backup in two stores --------------------------------------------------
mkdir a b
sealed one >one
status 0 "a push into two stores" dr-push a b <one
is "is silent" "$(cat out err)" ""
is "three objects in each" "$(files a) $(files b)" "3 3"
ok "the same in both" diff -r a b
m=$(manifest a 1)
ok "minisign takes the signature" \
    minisign -Vq -p "$DR_STATE/sign.key.pub" -m "$m"
minisign -V -p "$DR_STATE/sign.key.pub" -m "$m" >out
match "which names the object" "^Trusted comment: s/snap/.*\\.json$" out
is "the body's hash" "$(sha256sum <"a/$(json "$m" 'm["object"]["name"]')" |
    cut -d' ' -f1)" "$(json "$m" 'm["object"]["sha256"]')"
json "$m" 'm["object"]["name"]' >name
match "the body's name" \
    '^s/snap/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}\.tar\.zst\.age$' name
is "a chain starts and says why" \
    "$(json "$m" 'm["seq"], m["previous"], m["start"]')" "(1, None, 'first')"
is "the secret key is private" "$(stat -c %a "$DR_STATE/sign.key")" 600
is "objects follow the umask" "$(stat -c %a "$m")" 644

# --- the same again, and another one of that id --------------------------------
status 0 "the same once more" dr-push a b <one
is "adds nothing" "$(files a) $(files b)" "3 3"
status 0 "and says so with -v" dr-push -v a b <one
match "it was there" 'already in' err
status 0 "or with --json" dr-push --json a b <one
is "again" "$(json out 'm["again"]')" True
is "under the name it has" "$(json out 'm["object"]')" \
    "$(json "$m" 'm["object"]["name"]')"
snap same >plain
dr-seal -R to <plain | cat >x1
dr-seal -R to <plain | cat >x2
status 0 "one body of an id" dr-push a b <x1
status 1 "another body of it" dr-push a b <x2
match "is refused" 'another body' err
is "and leaves nothing" "$(files a) $(files b)" "6 6"
mv "$DR_STATE/sets" sets.away
status 0 "the same is known from the store too" dr-push a b <x1
status 1 "and so is another" dr-push a b <x2
is "nothing new" "$(files a) $(files b)" "6 6"
rm -rf "$DR_STATE/sets"
mv sets.away "$DR_STATE/sets"
mkdir c
status 1 "not there: another store" dr-push c <x1
match "says that it was published elsewhere" 'published before' err
is "nothing is in it" "$(files c)" 0
is "the chain" "$(chain a)" "2 manifests"

# --- not sealed ------------------------------------------------------------------
mkdir p
status 2 "an unsealed body" dr-push p <plain
match "says so" 'not sealed' err
match "with a hint" 'hint: .*--plain' err
is "leaves nothing" "$(find p | wc -l)" 1
snap plain2 >plain2
status 0 "with --plain" dr-push --plain p <plain2
ok "it is a tar" tar -tf p/s/snap/*.tar
snap plain3 | dr-pack | cat >packed
status 0 "packed" dr-push --plain p <packed
ok "it is a zstd file" zstd -qt p/s/snap/*.tar.zst
sealed aes | dr-seal -d -i id | dr-seal -R to --cipher aes-256-gcm | cat >aes
status 0 "sealed with AES" dr-push p <aes
is "and called .seal" "$(find p -name '*.tar.zst.seal' | wc -l)" 1
status 4 "an age file that is no stream" dr-push p <"$(find p -name '*.seal')"

# --- damage -----------------------------------------------------------------------
mkdir e
size=$(stat -c %s one)
for n in 0 1 63 64 100 $((size - 1)); do
	head -c "$n" one >cut
	status 4 "cut at $n" dr-push e <cut
	is "leaves no file" "$(files e)" 0
done
for at in 30 250 $((size - 40)) $((size - 2)); do
	python3 -c 'import sys
d = bytearray(open("one", "rb").read())
d[int(sys.argv[1])] ^= 1
open("flip", "wb").write(d)' "$at"
	status 4 "byte $at flipped" dr-push --plain e <flip
	is "leaves no file" "$(files e)" 0
done
snap file | dr-seal -R to -o file.age
status 0 "from a file" dr-push --input file.age --json e
match "its name says that it is not packed" '"object":"[^"]*Z-[0-9a-f]{16}\.tar\.age"' out
cp file.age bad.age
cp file.age.json bad.age.json
printf X | dd of=bad.age bs=1 seek=300 conv=notrunc 2>/dev/null
status 4 "a file that is not its manifest's" dr-push --input bad.age e
is "leaves nothing" "$(files e)" 3
snap inc >inc
dr-seal -R to -o inc.age <inc
sed -i 's/"complete":true/"complete":false/' inc.age.json
status 3 "an incomplete backup" dr-push --input inc.age e
match "says so" 'incomplete' err
is "and is published" "$(files e)" 6

# --- stores that fail ------------------------------------------------------------
mkdir g
DR_STATE=$T/state1
sealed two >two
status 1 "a store that is not there" dr-push none <two
match "says so" 'cannot open store.*No such file' err
match "with a hint" 'hint: .*mkdir' err
ok "and is not made" test ! -e none
status 1 "two, one not there" dr-push g none <two
match "where both are required" 'in 1 of 2 stores where 2 are required' err
is "the other has it" "$(files g)" 3
sealed three >three
status 3 "one of two required" dr-push --require 1 g none <three
match "names the one without" 'not in ".*/none"' err
is "the other has it too" "$(files g) $(chain g)" "6 2 manifests"

mkdir ro
chmod 555 ro
sealed ro1 >ro1
mkdir pgstate
[ "$root_" = no ] || chown postgres: pgstate
status 1 "a store that may not be written" \
    as_pg env DR_STATE="$T/pgstate" dr-push "$T/ro" <ro1
match "says so" 'Permission denied' err
is "nothing is in it" "$(find ro | wc -l)" 1

# hold FILE: its first half, then the rest once "go" is there.
hold() {
	n=$(($(stat -c %s "$1") / 2))
	head -c "$n" "$1"
	while [ ! -e go ]; do
		sleep 0.02
	done
	tail -c +"$((n + 1))" "$1"
}
head -c 300000 /dev/urandom | dr-snap --stdin noise | dr-seal -R to |
    cat >noise
mkdir v w
DR_STATE=$T/state4
rm -f go
hold noise | dr-push v w >out 2>err &
pid=$!
n=0
while [ "$(files v)" -eq 0 ] && [ $n -lt 200 ]; do
	n=$((n + 1))
	sleep 0.02
done
mv v v.away
mkdir v
: >go
wait $pid
is "a store that vanishes" "$?" 1
match "is named" 'going on without store ".*/v"' err
is "the other has it" "$(files w) $(chain w)" "3 1 manifests"
is "what came in its place stays empty" "$(find v | wc -l)" 1

if [ "$root_" = yes ] && mkdir full &&
    mount -t tmpfs -o size=200k tmpfs full 2>/dev/null; then
	dr-snap --stdin n2 <noise | dr-seal -R to | cat >noise2
	status 1 "a full disk" dr-push full <noise2
	match "says so" 'No space left' err
	is "leaves no file" "$(files full)" 0
	mount -o remount,ro full
	status 1 "a read-only file system" dr-push full <two
	match "says so" 'Read-only file system' err
	mount -o remount,rw full
	umount full
else
	skip "a full disk" "no right to mount"
fi

# --- the command line ---------------------------------------------------------------
usage() {
	w_=$1
	shift
	status 2 "$w_" "$@" <two
	is "$w_: nothing on stdout" "$(cat out)" ""
}
usage "no store" dr-push
match "has a hint" 'hint: .*DR_STORE' err
usage "no set" env -u DR_SET dr-push g
usage "a bad set" dr-push -n ../x g
usage "an unknown kind of store" dr-push ftp://x/y
usage "a store twice" dr-push g ./g
usage "too many required" dr-push --require 3 g a
usage "none required" dr-push --require 0 g
is "none of that stored anything" "$(files g)" 6
DR_STATE=$T/state1
sealed env >env
status 0 "stores from DR_STORE" env DR_STORE="g  b" dr-push <env
is "both of them" "$(files g) $(files b)" "9 9"
sealed file >f
status 0 "a store as file:PATH" dr-push "file:$T/g" <f

# --- keys, records, reports ---------------------------------------------------------
dr-key sign-new -o k >/dev/null 2>&1
sealed k1 >k1
status 0 "another key with -k" dr-push -k k g <k1
key=$(ls -t g/s/snap/*.json | head -n 1)
ok "signs" minisign -Vq -p k.pub -m "$key"
is "and starts its own chain" "$(json "$key" 'm["seq"]')" 1
sealed k2 >k2
status 0 "or with DR_SIGN_KEY" env DR_SIGN_KEY="$T/k" dr-push g <k2
is "which goes on" "$(chain g)" "6 manifests"
chmod 644 k
sealed k3 >k3
status 2 "a key that others may read" dr-push -k k g <k3
mkdir l metrics
DR_STATE=$T/state5
sealed l1 >l1
status 0 "a fresh store" dr-push --json --metrics-dir metrics --audit audit \
    l b <l1
is "--json" "$(json out 'm["set"], m["size"] > 0, m["complete"], \
    m["again"], [s["done"] for s in m["stores"]]')" \
    "('s', True, True, False, [True, True])"
match "metrics" \
    'drtools_backup_last_success_timestamp_seconds\{set="s",store=".*/l",kind="stream"\} [0-9.e+]+' \
    metrics/dr-push_s.prom
size_of() { # NAME
	sed -n "s/^drtools_$1{set=\"s\",store=\".*\/l\"} //p" metrics/dr-push-run_s.prom
}
is "how large a directory's file system is" \
    "$(python3 -c 'import os, sys
v = os.statvfs("l")
print(float(sys.argv[1]) == v.f_blocks * v.f_frsize)' "$(size_of store_size_bytes)")" True
is "and what of it is free" \
    "$(python3 -c 'import sys; a, b = map(float, sys.argv[1:])
print(0 < b < a)' "$(size_of store_size_bytes)" "$(size_of store_free_bytes)")" True
is "how old the signing key is" \
    "$(sed -n 's/^drtools_sign_key_timestamp_seconds{set="s"} //p' \
	metrics/dr-push-run_s.prom)" "$(stat -c %Y "$DR_STATE/sign.key")"
match "an audit line" '"act":"publish".*"result":"ok"' audit
# Each is told by itself, whatever becomes of the others.
mkdir "$T/dirstate" "$T/dirstate/sets" "$T/dirstate/sets/s" \
    "$T/dirstate/sets/s/published.json"
sealed l2 >l2
status 0 "nowhere to put metrics" dr-push --state "$T/dirstate" \
    --metrics-dir nowhere --audit audit2 l b <l2
match "the audit has it all the same" \
    '"act":"publish".*"result":"ok"' audit2
match "a warning of the metrics" 'warning: .*nowhere' err
match "and one of the state" 'warning: .*published\.json' err
sealed l3 >l3
status 0 "nowhere to put the audit" dr-push --metrics-dir metrics \
    --audit nowhere/audit l b <l3
match "a warning of that" 'warning: .*nowhere/audit' err
rm -rf "$DR_STATE/sets"
sealed lost >lost
status 0 "without its state" dr-push l <lost
is "the chain starts anew and says why" \
    "$(json "$(ls -t l/s/snap/*.json | head -n 1)" 'm["start"]')" "state lost"

# --- commits that fail half-way -----------------------------------------------------
# fail N: the Nth name given fails.  Two stores: 1, 2 bodies; then the
# signature in both, and the manifest in both.
fail() {
	n=$1
	shift
	# Leaks cannot be looked for under strace.
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=linkat \
	    -e inject=linkat:error=EIO:when="$n" "$@"
}
mkdir h i
DR_STATE=$T/state2
sealed h1 >h1
sealed h2 >h2
sealed h3 >h3
status 3 "a manifest that cannot be written" fail 6 dr-push --require 1 h i <h1
is "is in one store" "$(chain h); $(chain i)" "1 manifests; 0 manifests"
status 3 "nor at the next push" fail 3 dr-push --require 1 h i <h2
match "says so" 'warning: cannot publish .* as was begun earlier' err
is "so that gets no later one" "$(chain h); $(chain i)" \
    "2 manifests; 0 manifests"
status 0 "the next push makes it good" dr-push -v h i <h3
match "and says so with -v" 'published .* in ".*/i", as was begun' err
is "in both" "$(chain h); $(chain i)" "3 manifests; 3 manifests"
ok "the same" diff -r h i
sealed h4 >h4
sealed h5 >h5
sealed h6 >h6
status 3 "one that fails for long" fail 6 dr-push --require 1 h i <h4
sed -i 's/"body_time":[0-9]*/"body_time":1/' state2/sets/s/pending-*.json
status 0 "is given up" dr-push h i <h5
match "with a warning" 'warning: giving up' err
is "and named" "$(json "$(manifest h 5)" \
    'm["abandoned_count"], m["abandoned"][0]["seq"]')" "(1, 4)"
is "so there is no hole" "$(chain h); $(chain i)" "5 manifests; 4 manifests"
status 0 "once" dr-push h i <h6
nomatch "only" abandoned "$(manifest h 6)"
is "nothing is pending" "$(find state2 -name 'pending-*' | wc -l)" 0

# --- two at once ----------------------------------------------------------------------
mkdir j
DR_STATE=$T/state3
n=0
pids=
while [ $n -lt "$(count pushes)" ]; do
	n=$((n + 1))
	sealed "at once $n" >"n$n"
done
n=0
while [ $n -lt "$(count pushes)" ]; do
	n=$((n + 1))
	dr-push j <"n$n" 2>"n$n.err" &
	pids="$pids $!"
done
bad=0
for p in $pids; do
	wait "$p" || bad=$((bad + 1))
done
is "$n pushes at once, and with the first key" "$bad" 0
is "make one chain" "$(chain j)" "$n manifests"
ok "by one key" test "$(cat j/s/snap/*.json |
    grep -o '"signer":"[^"]*"' | sort -u | wc -l)" -eq 1
for m in j/s/snap/*.json; do
	minisign -Vq -p state3/sign.key.pub -m "$m" || echo "$m"
done >bad 2>&1
is "each signed" "$(cat bad)" ""
sealed same >same
dr-push j <same &
pid=$!
dr-push j <same
is "the same twice at once: one" "$?" 0
wait $pid
is "and the other" "$?" 0
is "and one more in the chain" "$(chain j)" "$((n + 1)) manifests"

# --- the state -------------------------------------------------------------------------
mkdir m
sealed st >st
dr-key sign-new -o kept >/dev/null 2>&1
status 1 "a state that cannot be kept" \
    env DR_STATE=/dev/null/x dr-push -k kept m <st
echo '{' >"state3/sets/s/pending-20261120T120000Z-000000.json"
status 1 "a state that is damaged" dr-push m <st
match "says so" 'pending-20261120T120000Z-000000.json" is damaged' err
is "and nothing was stored" "$(find m | wc -l)" 1
done_testing
