#!/bin/sh
# dr-verify: what is intact, what is not, and what is in it.
. "${0%/*}/../lib.sh"
need tar psql

store=$T/store
as_pg mkdir "$store" "$T/ts1"
pg_new a --data-checksums || exit 1
pg_start a || exit 1
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'" >"$T/out"
psql_ "CREATE TABLE t TABLESPACE one AS SELECT i, repeat(md5(i::text), 20) s
    FROM generate_series(1, 20000) i"
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key new -o "$T/other" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"

push() {
	as_pg sh -c "dr-snap | dr-pack -l 1 --frame-size 256k |
	    dr-seal -R '$T/rcpt' | dr-push -n ${1:-main} '$store'"
}
verify() {
	as_pg dr-verify "$@"
}
ok 'a backup' push
ok 'and a second one' push
ok 'and a third' push
ok 'an open one' as_pg sh -c "dr-snap | dr-pack -l 1 |
    dr-push --plain -n packed '$store'"
ok 'and a bare one' as_pg sh -c "dr-snap | dr-push --plain -n bare '$store'"
psql_ "SELECT 1" >/dev/null
pg_stop a

status 0 'all is intact' verify "$store"
is 'five lines' "$(grep -c ' ok ' "$T/out")" 5
is 'nothing on standard error' "$(cat "$T/err")" ''
status 0 'as JSON' verify --json "$store"
ok 'one object a line' python3 -c '
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
backups = [r for r in rows if r["what"] == "backup"]
assert len(backups) == 5 and all(r["status"] == "ok" for r in backups)' \
    "$T/out"
status 0 'one set' verify -n main "$store"
is 'three lines' "$(grep -c ' ok ' "$T/out")" 3
status 0 'one backup' verify -n main -b latest "$store"
is 'one line' "$(grep -c ' ok ' "$T/out")" 1
status 0 'with the key, what is in it' verify --deep -i "$T/id" "$store"
status 2 'without the key' verify --deep -n main "$store"
match 'it says so' 'is sealed' "$T/err"
status 4 'with a wrong key' verify --deep -i "$T/other" -n main "$store"
status 2 'without a key to verify with' \
    as_pg env DR_STATE="$T/none" dr-verify "$store"
status 0 'unless told' \
    as_pg env DR_STATE="$T/none" dr-verify --no-signature "$store"

status 0 'young enough' verify --max-age 1h "$store"
sleep 1.1
status 3 'too old' verify --max-age 1s "$store"
match 'it says so' 'old +the newest intact' "$T/out"
status 3 'a set that is not there' verify -n nobody "$store"
status 1 'a store that is not there' verify "$T/nowhere"
match 'what to do about it' 'hint: is it mounted' "$T/err"
status 1 'even beside one that is' verify "$T/nowhere" "$store"
is 'which was looked at' "$(grep -c ' ok ' "$T/out")" 5

# --- files and streams -------------------------------------------------------
as_pg dr-pull -n main -o "$T/file" "$store"
status 0 'a file' verify "$T/file"
status 0 'and what is in it' verify --deep -i "$T/id" "$T/file"
ok 'a stream' as_pg sh -c "dr-pull -n main '$store' | dr-verify -"
ok 'and what is in it' as_pg sh -c "dr-pull -n main '$store' |
    dr-verify --deep -i '$T/id' -"
ok 'an opened stream' as_pg sh -c "dr-pull -n main '$store' |
    dr-seal -d -i '$T/id' | dr-pack -d | dr-verify --deep -"
as_pg sh -c "dr-pull -n main '$store' | head -c 300000 | dr-verify -" \
    >"$T/out" 2>&1
is 'a stream cut short' $? 4
printf x | as_pg dd of="$T/file" bs=1 seek=100000 conv=notrunc 2>/dev/null
status 4 'a damaged file' verify "$T/file"

# --- damage ------------------------------------------------------------------
# broken WHAT STATUS REGEX COMMAND...: in a copy of the store
broken() {
	what=$1 want=$2 regex=$3
	shift 3
	rm -rf "$T/copy" "$T/st"
	cp -a "$store" "$T/copy"
	cp -a "$T/state" "$T/st"
	"$@"
	status "$want" "$what" \
	    as_pg env DR_STATE="$T/st" dr-verify "$T/copy"
	cat "$T/out" "$T/err" >"$T/both"
	match '  and says why' "$regex" "$T/both"
}
# json SET N, body SET N: of the Nth in the chain
json() {
	grep -l "\"seq\":$2," "$T/copy/$1/snap"/*Z-??????.json
}
body() {
	echo "$T/copy/$(sed 's/.*"name":"\([^"]*\)".*/\1/' "$(json "$1" "$2")")"
}
flip() {
	printf '\377\000\377' |
	    dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
a_flip() { flip "$(body main 2)" 70000; }
a_cut() { truncate -s -1 "$(body main 1)"; }
a_loss() { rm -f "$(body main 3)"; }
a_lie() { sed -i 's/"complete":true/"complete":false/' "$(json main 1)"; }
no_sig() { rm -f "$(json main 1).minisig"; }
a_swap() {
	one=$(json main 1) two=$(json main 2)
	cp "$one" "$two"
	cp "$one.minisig" "$two.minisig"
}
a_hole() { rm -f "$(json main 2)" "$(json main 2).minisig"; }
broken 'a byte of a body' 4 'SHA-256' a_flip
broken 'a body cut short' 4 'bytes, its manifest says' a_cut
broken 'a body gone' 4 'damaged' a_loss
broken 'a manifest changed' 4 'damaged' a_lie
broken 'a signature gone' 4 'damaged' no_sig
broken "another's manifest" 4 'damaged' a_swap
broken 'a manifest gone' 4 'is missing' a_hole

# The loss of the newest shows to who saw it.
rm -rf "$T/copy"
cp -a "$store" "$T/copy"
status 0 'all is well' verify "$T/copy"
newest=$(json main 3)
rm -f "$newest" "$newest.minisig"
status 4 'a rollback' verify "$T/copy"
match 'it says so' 'vanished' "$T/out"
status 4 'and again' verify "$T/copy"
status 0 'who never saw it cannot tell' \
    as_pg env DR_STATE="$T/none" dr-verify -K "$T/state/sign.key.pub" "$T/copy"
rm -rf "$T/copy/main"
status 4 'a set gone' verify "$T/copy"

status 4 'a stranger as signer' sh -c "cd '$T' && dr-key sign-new -o '$T/k2' &&
    dr-verify --state '$T/none' -K '$T/k2.pub' '$store'"

done_testing
