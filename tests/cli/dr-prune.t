#!/bin/sh
# dr-prune --garbage: what goes, and above all what stays.
. "${0%/*}/../lib.sh"
need dr-prune dr-snap dr-push dr-verify dr-list dr-wal dr-key python3

cd "$T" || exit 1
DR_SET=s
export DR_SET
S=0000000100000000000000
sysid=7300000000000000001
wal=s/wal/$sysid/00000001

prune() {
	dr-prune --garbage "$@"
}
push() { # WHAT: a backup
	echo "$1" | dr-snap --stdin note | dr-push --plain a
}
age() { # DAYS FILE...
	d_=$1
	shift
	touch -d "$d_ days ago" "$@"
}
files() {
	(cd "${1:-a}" && find . -type f | sort)
}
reset() {
	rm -rf a
	cp -a good a
}

# --- the command line ---------------------------------------------------------
mkdir a
status 2 "without --garbage" dr-prune -n s a
match "nothing says what" 'nothing says what to remove' err
status 2 "without a set" env -u DR_SET dr-prune --garbage a
status 2 "a set that can be none" dr-prune -n ../x --garbage a
status 2 "without a key" dr-prune --garbage a
match "which is told" 'no key to verify with' err
push one
status 2 "without a store" dr-prune --garbage
status 1 "a store that is not there" prune none
status 0 "nothing is garbage" prune --yes a
is "and nothing is said" "$(cat out err)" ""

# --- a store with everything in it ------------------------------------------------
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_RECIPIENTS=$T/to
export DR_RECIPIENTS
for s in ${S}01 ${S}02 ${S}03; do
	python3 "$top/tests/walseg.py" "$T/pg" "$s" "seed=$s"
	(cd pg && dr-wal push -s "$T/a" "pg_wal/$s")
done
dr-wal push --ledger -s "$T/a"
push two
body=s/snap/20260101T000000Z-0123456789abcdef.tar.zst.age
young=s/snap/20260102T000000Z-0123456789abcdef.tar.age
tmp=s/snap/.20260103T000000Z-0123456789abcdef.tar.00112233445566ff.tmp
waltmp=$wal/.${S}04.zst.age.00112233445566ff.tmp
fresh=$wal/.${S}05.zst.age.00112233445566ff.tmp
inc=$wal/${S}02.00000000-00010000.zst.age
inc2=$wal/${S}02.00010000-00200000.zst.age
tail=$wal/${S}04.00000000-00010000.zst.age
odd="s/snap/notes.txt s/readme s/wal/x/y $wal/${S}02.old s/snap/deep/x.json"
mkdir -p a/s/wal/x a/s/snap/deep
echo '{}' >x.json
for f in $body $young $tmp $waltmp $fresh $inc $inc2 $tail $odd; do
	head -c 1000 /dev/zero >"a/$f"
done
rm a/s/snap/deep/x.json
mkdir a/other
cp -a a/s/snap a/other/snap
# All of it is old, but what is not.
find a -type f -exec touch -d '8 days ago' {} +
age 6 "a/$young" "a/$fresh"
cp -a a good

status 0 "a plan" prune a
is "tells of everything that is garbage" \
    "$(awk '$1 != "unknown" { print $1, $2 }' out | sort | uniq -c |
        awk '{ print $1, $2, $3 }' | tr '\n' ',')" \
    "1 body planned,2 increment planned,2 upload planned,"
match "with size, age and reason" \
    "^body +planned +1000 B +8d[^/]*$body  no manifest names it" out
is "and of what is not understood" "$(grep -c '^unknown  *kept' out)" 4
match "and how to go on" '5 objects, .*: --yes deletes them' err
is "but removes nothing" "$(files)" "$(files good)"
status 0 "as JSON" prune --json a
ok "which is JSON" python3 -c '
import json, sys
l = [json.loads(x) for x in open("out")]
assert len(l) == 9, len(l)
b = [x for x in l if x["what"] == "body"]
assert b[0]["size"] == 1000 and b[0]["status"] == "planned", b
assert len([x for x in l if "upload" in x]) == 2
'

age 9 "a/$tmp"
status 0 "a grace that leaves one" prune --grace 204h a
match "is told of one" '1 object, .*: --yes deletes it$' err
status 0 "done" prune --yes --audit "$T/audit" --metrics-dir "$T" a
files good | grep -vxF -e "./$body" -e "./$tmp" -e "./$waltmp" -e "./$inc" \
    -e "./$inc2" >want
is "what is garbage is gone, and nothing else" "$(files)" "$(cat want)"
is "all five are told" "$(grep -c ' deleted ' out)" 5
match "the audit names them" "\"act\":\"prune\".*\"deleted\":\[.*$body" audit
match "the metrics count them" \
    '^drtools_prune_deleted_objects{set="s"} 5$' dr-prune_s.prom
status 0 "again" prune --yes a
is "nothing is left to do" "$(grep -vc '^unknown' out)" 0
rm "a/$tail" # of which no ledger knows
status 0 "backups are whole, WAL is whole" dr-verify a
match "without its increments" "ok +WAL from 0/1000000 to 0/4000000" out

# --- the grace -----------------------------------------------------------------------
reset
status 0 "a longer grace" prune --yes --grace 9d a
is "keeps all" "$(files)" "$(files good)"
status 0 "a shorter one" prune --grace 5d a
match "takes the younger, too" "^body .*$young" out
nomatch "without a warning where nothing is done" warning err
status 0 "in earnest" prune --yes --grace 5d a
match "comes with a warning" 'warning: .*may lose its body' err

# --- what a manifest names -------------------------------------------------------------
# named WHAT: a damaged manifest protects what it names.
id=20260101T000000Z-abcdef
named() {
	age 8 a/s/snap/$id.json
	status 0 "$1" prune --yes a
	ok "$1 protects what it names" test -e "a/$body"
	nomatch "which is no garbage" '^body' out
}
reset
printf '{"object":{"name":"%s"}}\n' "$body" >a/s/snap/$id.json
named "a manifest without a signature"
reset
printf 'xx"name":"%s",' "$body" >a/s/snap/$id.json
named "half a manifest"
reset
printf '{"object":{"name":"%s"}}\n' \
    "s/snap/20260101T000000\\u005a-0123456789abcdef.tar" >a/s/snap/$id.json
named "a manifest with escapes"
reset
echo '{}' >a/s/snap/$id.json
status 3 "a manifest that names nothing" prune --yes a
match "is told" "$id.json\" in .* does not tell which body" err
ok "no body is removed then" test -e "a/$body"
ok "but other garbage is" test ! -e "a/$tmp"
reset
head -c 3000000 /dev/zero >a/s/snap/$id.json
status 3 "a manifest that is too large" prune --yes a
ok "the same" test -e "a/$body"

# --- increments ----------------------------------------------------------------------------
kept() { # STATUS WHAT [ARG...]
	st_=$1 w_=$2
	shift 2
	status "$st_" "$w_" prune --yes "$@" a
	ok "$w_: its increments stay" test -e "a/$inc" -a -e "a/$inc2"
}
reset
rm a/$wal/${S}02.zst.age
kept 0 "a segment that is not whole"
reset
dd if=/dev/zero of="a/$wal/${S}02.zst.age" bs=1 seek=500 count=8 \
    conv=notrunc 2>/dev/null
age 8 "a/$wal/${S}02.zst.age"
kept 3 "a segment that is damaged"
match "is told" "${S}02.zst.age\" in .* is not what its ledger says" err
reset
cp "a/$wal/${S}01.zst.age" "a/$wal/${S}02.zst.age"
age 8 "a/$wal/${S}02.zst.age"
kept 3 "a segment that is another"
reset
rm a/$wal/ledger-*
kept 0 "a segment that no ledger vouches for"
reset
sed -i 's/"n":1/"n":2/' a/$wal/ledger-*.json
age 8 a/$wal/ledger-*
kept 0 "a ledger that was changed"
reset
age 6 "a/$wal/${S}02.zst.age"
kept 0 "a segment that was stored just now"
reset
kept 0 "nothing to verify with" --no-signature
reset
dr-key sign-new -o other.key 2>/dev/null
kept 0 "a signer who is not trusted" -K other.key.pub
reset
cp "a/$wal/${S}01.zst.age" "a/$wal/${S}04.zst.age"
age 8 "a/$wal/${S}04.zst.age"
status 0 "a forged segment" prune --yes a
ok "a forged segment: its increments stay" test -e "a/$tail"

# --- what cannot be -----------------------------------------------------------------------
reset
cp -a good b
if [ "$root_" = yes ] && chattr +i "a/$body" 2>ok.out; then
	status 3 "one that cannot be removed" prune --yes a b
	chattr -i "a/$body"
	match "is named" "^body +failed .*$body .*: cannot remove" out
	ok "the rest is" test ! -e "a/$tmp" -a ! -e "b/$body"
elif [ "$root_" = no ]; then
	chmod 555 a/s/snap
	status 3 "one that cannot be removed" prune --yes a b
	chmod 755 a/s/snap
	match "is named" "^body +failed .*$body .*: cannot remove" out
	ok "the rest is" test ! -e "b/$body"
else
	skip "one that cannot be removed" "no attributes on this file system"
fi
reset
rm -rf b
cp -a good b
status 3 "one of two stores is away" prune --yes none b
ok "the other is cleared up" test ! -e "b/$body"
match "which is told" 'cannot open store .*none' err
is "another set is left alone" "$(files a/other)" "$(files good/other)"

# --- a push that is killed ------------------------------------------------------------------
rm -rf a
mkdir a
mkfifo pipe
{
	head -c 20000000 /dev/zero
	sleep 60
} | dr-snap --stdin x >pipe &
dr-push --plain a <pipe 2>err &
push=$!
n=0
while [ -z "$(find a -name '.*.tmp' -size +1000k)" ] && [ "$n" -lt 200 ]; do
	n=$((n + 1))
	sleep 0.05
done
kill -KILL "$push"
wait "$push" 2>/dev/null
sleep_=$(pgrep -x -P $$ sleep)
[ -z "$sleep_" ] || kill "$sleep_"
is "it leaves its temporary" "$(files | wc -l)" 1
status 0 "which is too young" prune --yes a
is "at first" "$(files | wc -l)" 1
status 0 "and goes when it is old" prune --yes --grace 1ms a
is "with nothing left" "$(files | wc -l)" 0

mkdir -p "$T/probes/main/snap" "$T/probes/main/wal"
for p in snap/probe-20260101T000000Z-0123456789abcdef \
    wal/probe-20260101T000000Z-0123456789abcdef \
    probe-lock-20260101T000000Z-0123456789abcdef; do
	echo first >"$T/probes/main/$p"
	touch -d '9 days ago' "$T/probes/main/$p"
done
echo mine >"$T/probes/main/probe-x"
touch -d '9 days ago' "$T/probes/main/probe-x"
status 0 "what --check left is garbage" \
    dr-prune -n main --garbage --no-signature "$T/probes"
is "all of it" "$(grep -c '^probe ' "$T/out")" 3
status 0 "and is removed" \
    dr-prune -n main --garbage --yes --no-signature "$T/probes"
is "but for what only looks like it" \
    "$(cd "$T/probes" && find . -type f)" ./main/probe-x

done_testing
