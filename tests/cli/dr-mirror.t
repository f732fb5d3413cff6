#!/bin/sh
# dr-mirror between directories: what it copies, in which order, what it
# refuses, and how it goes on.
. "${0%/*}/../lib.sh"
need dr-mirror dr-snap dr-pack dr-seal dr-push dr-wal dr-key python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
sysid=7300000000000000001
wal=s/wal/$sysid/00000001
S=0000000100000000000000

backup() { # STORE: with a body that goes up in one piece, or in several
	head -c "${bytes:-100000}" /dev/urandom >content
	dr-snap --stdin x <content | dr-pack | dr-seal | dr-push "$1"
}
push() { # NAME...
	for s_; do
		python3 "$top/tests/walseg.py" "$T/pg" "$s_" "seed=$s_" &&
			(cd pg && dr-wal push -s "$T/a" "pg_wal/$s_") || return
	done
}
same() {
	diff -r a "$1" >/dev/null
}
files() {
	find "$@" -type f | wc -l
}
mkdir a b
ok "a backup" backup a
bytes=9000000
ok "a large one" backup a
bytes=
ok "WAL" push ${S}01 ${S}02 ${S}03
mkdir -p pg/pg_wal
printf '1\t0/3000000\tno recovery target specified\n' \
    >pg/pg_wal/00000002.history
ok "a history" sh -c 'cd pg && dr-wal push -s "$1" pg_wal/00000002.history' \
    - "$T/a"
ok "a ledger" dr-wal push --ledger -s "$T/a"
ok "more WAL" push ${S}04
ok "its ledger" dr-wal push --ledger -s "$T/a"

# --- all of it -------------------------------------------------------------------
status 0 "what would be copied" dr-mirror --dry-run a b
is "each object once" "$(grep -c ' s/' out)" \
    "$(find a -type f ! -name '*.minisig' | wc -l)"
match "and how much" 'objects to copy' err
is "nothing was" "$(files b)" 0
status 0 "copying" dr-mirror a b
is "is silent" "$(cat out err)" ""
ok "all is there" same b
status 0 "the copy is intact" dr-verify b
status 0 "once more" dr-mirror --json a b
is "there is nothing to do" \
    "$(python3 -c 'import json; o = json.load(open("out"))
print(o["lacking"], o["copied"], o["failed"], o["damaged"])')" "0 0 0 0"
push ${S}05
status 0 "what one more would be" dr-mirror --dry-run a b
match "is one" '1 object to copy' err
backup a
dr-wal push --ledger -s "$T/a"
status 0 "what has come since, one by one" dr-mirror -v -j 1 a b
is "and only that" "$(grep -c 'copied "' err)" 4
ok "and all is there again" same b

# --- the order -------------------------------------------------------------------
mkdir c
status 0 "the order" dr-mirror -v -j 1 a c
order=$(sed -n 's/.*copied "\([^"]*\)".*/\1/p' err |
	sed 's|.*/ledger.*|ledger|; s|.*/snap/.*json|manifest|; s|.*/snap/.*|body|
	s|.*history.*|history|; s|.*/wal/.*|wal|' | uniq | tr '\n' ' ')
case $order in
"wal history ledger body manifest body manifest body manifest ") o=right ;;
*) o=$order ;;
esac
is "names come after what they name" "$o" right

# --- killed, and away ------------------------------------------------------------
rm -rf c
mkdir c
n=0
while [ $n -lt "$(count 8 100)" ]; do
	n=$((n + 1))
	dr-mirror -q a c 2>/dev/null &
	pid=$!
	sleep "0.0$((n % 8))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	for m in c/s/snap/*.json c/s/wal/*/*/ledger-*.json; do
		[ ! -e "$m" ] || [ -e "$m.minisig" ] || echo "$m"
	done
	[ $((n % 4)) -ne 0 ] || rm -rf c/s
done >"$T/unsigned"
is "killed at any moment: nothing named is unsigned" "$(cat unsigned)" ""
sleep 1 # what was killed leaves its processes a moment
status 0 "and the next run completes it" dr-mirror a c
find c -name '.*.tmp' -delete
ok "byte for byte" same c
status 0 "which verifies" dr-verify c

status 1 "a target that is not there" dr-mirror a none
match "is named" 'none' err
status 1 "a source that is not there" dr-mirror none b
if [ "$(id -u)" -ne 0 ]; then
	mkdir ro
	chmod 555 ro
	status 1 "a target that cannot be written" dr-mirror a ro
	chmod 755 ro
fi

# --- damage, and what is not signed -----------------------------------------------
rm -rf d bad
cp -a a bad
body=$(ls bad/s/snap/*.age | head -n 1)
printf x | dd of="$body" bs=1 seek=5000 conv=notrunc 2>/dev/null
mkdir d
status 4 "a body that is damaged" dr-mirror bad d
match "is named" "error: .*$(basename "$body").*not what was signed" err
ok "it was not copied" test ! -e "d/${body#bad/}"
is "nor was its manifest" "$(ls d/s/snap/*.json | wc -l)" \
    $(($(ls a/s/snap/*.json | wc -l) - 1))
status 0 "from a good source it is" dr-mirror a d
ok "then all is there" same d

rm -rf d bad
cp -a a bad
printf x | dd of="bad/$wal/${S}02.zst.age" bs=1 seek=3000 conv=notrunc \
    2>/dev/null
mkdir d
status 4 "WAL that is not what its ledger says" dr-mirror bad d
ok "was not copied" test ! -e "d/$wal/${S}02.zst.age"
ok "the rest was" test -e "d/$wal/${S}03.zst.age"
cp -a a/$wal/${S}02.zst.age bad/$wal/
status 0 "once it is mended, the ledgers there name it" dr-mirror bad d
ok "and all is there" same d

rm -rf d bad
cp -a a bad
man=$(ls bad/s/snap/*.json | head -n 1)
sed -i 's/"kind"/"kinD"/' "$man"
led=$(ls bad/$wal/ledger-*.json | head -n 1)
sed -i 's/"n":1/"n":9/' "$led"
mkdir d
status 4 "a manifest and a ledger that were changed" dr-mirror bad d
ok "the manifest was not copied" test ! -e "d/${man#bad/}"
ok "nor was the ledger" test ! -e "d/${led#bad/}"

dr-key sign-new -o other 2>/dev/null
rm -rf d
mkdir d
status 4 "a key that did not sign" dr-mirror -K other.pub a d
is "nothing that it should have signed" \
    "$(find d -name '*.json' -o -path '*/snap/*' -type f | wc -l)" 0
status 0 "without a key, at the user's word" dr-mirror --no-signature a d
ok "all is there" same d

rm -rf d
cp -a a d
echo other >"d/$wal/${S}03.zst.age"
status 4 "other content in the target" dr-mirror a d
match "is told of" 'already, with other content' err
is "and left as it is" "$(cat "d/$wal/${S}03.zst.age")" other

# --- what is nobody's --------------------------------------------------------------
rm -rf d
mkdir d
echo x >a/s/mine
echo x >a/$wal/mine
status 0 "what is not understood" dr-mirror --json a d
match "is counted" '"unknown":1' out
ok "and left" test ! -e "d/$wal/mine" -a ! -e d/s/mine
rm a/s/mine a/$wal/mine

# --- several sets, and where they may go --------------------------------------------
head -c 1000 /dev/urandom | dr-snap --stdin x | dr-seal | dr-push -n t a
rm -rf d
mkdir d conf
status 0 "all sets" env -u DR_SET dr-mirror a d
ok "are copied" same d
rm -rf d
mkdir d
echo "regions='eu-central-1 $T/b'" >conf/s.conf
status 2 "a set that may not go there" env DR_CONF_DIR="$T/conf" \
    dr-mirror -n s a d
is "does not" "$(files d)" 0
status 0 "where it may" env DR_CONF_DIR="$T/conf" dr-mirror -n s a b

# --- usage ------------------------------------------------------------------------
status 2 "one store" dr-mirror a
status 2 "three" dr-mirror a b c
status 2 "the same twice" dr-mirror a "$T/a"
status 2 "a lock in a directory" dr-mirror --lock-days 1 a b
status 0 "--check" dr-mirror --check -n s a b
match "  what is read from needs fewer rights" '/a \(as a restore host' out
match "  than what is written to" '/b \(as a mirror host' out

done_testing
