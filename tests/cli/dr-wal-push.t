#!/bin/sh
# dr-wal push: what of pg_wal gets into a store, and what does not.
. "${0%/*}/../lib.sh"
need dr-wal dr-key age zstd minisign python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
sysid=7300000000000000001

seg() { # NAME [KEY=VALUE...]
	python3 "$top/tests/walseg.py" "$T/pg" "$@"
}
push() {
	(cd "$T/pg" && exec dr-wal push "$@")
}
files() {
	find "$@" -type f ! -name 'ledger-*' | wc -l
}
plain() { # OBJECT: what stock tools make of it
	age -d -i id "$1" | zstd -dcq
}
S=000000010000000000000001
wal=s/wal/$sysid/00000001

# --- one segment -----------------------------------------------------------------
mkdir a b
seg $S
status 0 "a segment" push -s "$T/a" pg_wal/$S
is "is silent" "$(cat out err)" ""
ok "it has its name" test -f "a/$wal/$S.zst.age"
plain "a/$wal/$S.zst.age" >plain
ok "age and zstd give it back" cmp plain pg/pg_wal/$S
match "the stanza names the key" "^-> drtools-content $(sed -n \
    's/.*public key //p' "$DR_STATE/sign.key.pub") [A-Za-z0-9+/]{43}\$" \
    "a/$wal/$S.zst.age"
ok "it is smaller" test "$(stat -c %s "a/$wal/$S.zst.age")" -lt 1000000

status 0 "the same again" push -v -s "$T/a" pg_wal/$S
match "says so with -v" 'was stored before' err
is "and stores nothing" "$(files a)" 1
cp "a/$wal/$S.zst.age" before
seg $S seed=other
status 1 "other content under the name" push -s "$T/a" pg_wal/$S
match "is an error" 'error: .*other content' err
match "with a hint" 'hint: .*(another server|went back)' err
ok "nothing was overwritten" cmp before "a/$wal/$S.zst.age"
seg $S
dr-key sign-new -o other 2>/dev/null
status 1 "the same content, another key" push -k "$T/other" -s "$T/a" \
    pg_wal/$S
rm -r "$DR_STATE/wal"
status 0 "the state is lost, the key is not" push -s "$T/a" pg_wal/$S
status 0 "by its absolute path" dr-wal push -s "$T/a" "$T/pg/pg_wal/$S"

# --- other files -----------------------------------------------------------------
seg 0000000A000000000000000F
status 0 "timeline 10" push -s "$T/a" pg_wal/0000000A000000000000000F
ok "has a folder of its own" \
    test -f "a/s/wal/$sysid/0000000A/0000000A000000000000000F.zst.age"
mv pg/pg_wal/0000000A000000000000000F pg/pg_wal/$S.partial
status 4 "a .partial of another place" push -s "$T/a" pg_wal/$S.partial
cp pg/pg_wal/$S pg/pg_wal/$S.partial
status 0 "a .partial" push -s "$T/a" pg_wal/$S.partial
printf '9\t0/F000060\tno recovery target specified\n' \
    >pg/pg_wal/0000000A.history
status 0 "a .history" push -s "$T/a" pg_wal/0000000A.history
plain "a/s/wal/$sysid/0000000A/0000000A.history.zst.age" >plain
ok "comes back" cmp plain pg/pg_wal/0000000A.history
printf 'START WAL LOCATION: 0/1000028 \050file %s)\n' $S \
    >"pg/pg_wal/$S.00000028.backup"
status 0 "a .backup" push -s "$T/a" "pg_wal/$S.00000028.backup"
printf 'nothing\n' >"pg/pg_wal/$S.00000030.backup"
status 4 "a .backup that is none" push -s "$T/a" "pg_wal/$S.00000030.backup"
printf '12\t0/F000060\tx\n' >pg/pg_wal/0000000C.history
status 4 "a .history that is none" push -s "$T/a" pg_wal/0000000C.history
seg 0000000A00000000000000FF tli=9
status 4 "pages of an ancestor after it was left" push -s "$T/a" \
    pg_wal/0000000A00000000000000FF
seg 0000000A000000000000000E tli=9
status 0 "and before" push -s "$T/a" pg_wal/0000000A000000000000000E
seg 0000000A000000000000000D tli=8
status 4 "pages of no ancestor" push -s "$T/a" pg_wal/0000000A000000000000000D
match "say so" 'no ancestor' err
DR_CIPHER=aes-256-gcm
export DR_CIPHER
seg 000000010000000000000009
status 0 "AES" push -s "$T/a" pg_wal/000000010000000000000009
unset DR_CIPHER
o=a/$wal/000000010000000000000009.zst.seal
ok "by its name" test -f "$o"
if python3 -c 'import cryptography' 2>/dev/null; then
	sed -n '/^import base64/,/^\.Ed/p' "$top/man/dr-formats.5" |
	    sed '$d; s/\\e/\\/g' >unseal.py
	python3 unseal.py id <"$o" | zstd -dcq >plain
	ok "the page's recipe opens it" \
	    cmp plain pg/pg_wal/000000010000000000000009
else
	skip "the recipe for AES" "python3-cryptography is not installed"
fi
seg 00000001000000000000000A segsize=67108864
status 0 "segments of 64 MiB" push -s "$T/a" pg_wal/00000001000000000000000A
plain "a/$wal/00000001000000000000000A.zst.age" >plain
ok "come back" cmp plain pg/pg_wal/00000001000000000000000A
rm plain pg/pg_wal/00000001000000000000000A

# --- what is refused --------------------------------------------------------------
n=$(files a)
refused() { # STATUS WHAT NAME MESSAGE
	status "$1" "$2" push -s "$T/a" "pg_wal/$3"
	match "$2: says why" "error: .*$4" err
}
N=000000010000000000000005
seg $N len=1048575
refused 4 "a truncated segment" $N '1048575 bytes'
seg $N len=0
refused 4 "an empty one" $N 'only 0 bytes'
seg $N addr=1048576
refused 4 "one of another place" $N 'it begins at'
seg $N sysid=7
refused 4 "one of another cluster" $N 'another cluster'
seg $N tli=2
refused 4 "one of a later timeline" $N 'later than'
head -c 1048576 /dev/zero >pg/pg_wal/$N
refused 4 "one of zeros" $N 'magic'
rm pg/pg_wal/$N
refused 1 "one that is not there" $N 'No such file'
cp pg/pg_wal/$S pg/pg_wal/x
refused 2 "another name" x 'no name of a WAL file'
mkdir "pg/pg_wal/$N"
refused 4 "a directory" $N "not a regular file"
rmdir "pg/pg_wal/$N"
mv pg/global/pg_control control
refused 1 "a history of no cluster" 0000000A.history 'not known'
mv control pg/global/pg_control
is "nothing of this was stored" "$(files a)" "$n"
status 2 "no file" push -s "$T/a"
status 2 "two files" push -s "$T/a" pg_wal/$S pg_wal/$S
status 2 "no store" push pg_wal/$S
status 2 "no recipient" env -u DR_RECIPIENTS dr-wal push -s a pg/pg_wal/$S
status 2 "no set" env -u DR_SET dr-wal push -s a pg/pg_wal/$S
status 255 "no verb" dr-wal
status 255 "another verb" dr-wal pull
status 2 "more stores than there are" push -s "$T/a" --require 2 pg_wal/$S

# --- several stores ---------------------------------------------------------------
mkdir m
N=000000010000000000000006
seg $N
status 0 "two stores" push -s "$T/a" -s "$T/b" pg_wal/$N
ok "have the same bytes" cmp "a/$wal/$N.zst.age" "b/$wal/$N.zst.age"
N=000000010000000000000007
seg $N
status 1 "one is not there" push -s "$T/a" -s "$T/none" pg_wal/$N
status 0 "that suffices" push --metrics-dir "$T/m" -s "$T/a" \
    -s "$T/none" --require 1 pg_wal/$N
match "with a warning" 'warning: .*not in .*none' err
match "and a metric" \
    '^drtools_wal_push_store_failed.set="s",store=".*/none". 1$' \
    m/dr-wal-push_s.prom
match "the other is well" \
    '^drtools_wal_push_store_failed.set="s",store=".*/a". 0$' \
    m/dr-wal-push_s.prom
N=000000010000000000000008
seg $N
status 0 "a store by another name" push --metrics-dir "$T/m" \
    --audit "$T/named" -s ../a/../a/. pg_wal/$N
match "has the same in metrics" \
    "^drtools_wal_push_store_failed.set=\"s\",store=\"$T/a\". 0\$" \
    m/dr-wal-push_s.prom
match "and in the audit" "\"store\":\"$T/a\"" named
match "status" '^drtools_wal_push_status.* 0$' m/dr-wal-push-run_s.prom
cp m/dr-wal-push_s.prom before
status 1 "none is there" push --metrics-dir "$T/m" --audit "$T/audit" \
    -s "$T/none" pg_wal/$N
match "status" '^drtools_wal_push_status.* 1$' m/dr-wal-push-run_s.prom
ok "the last success is not forgotten" cmp before m/dr-wal-push_s.prom
match "audit" '"act":"archive".*"file":"'$N'".*none.*"result":"' audit
nomatch "is not ok" '"result":"ok"' audit

# --- what waits behind it ---------------------------------------------------------
for i in 10 11 12 13; do
	seg "0000000100000000000000$i"
	: >"pg/pg_wal/archive_status/0000000100000000000000$i.ready"
done
printf '1\t0/F000060\tx\n' >pg/pg_wal/00000002.history
: >pg/pg_wal/archive_status/00000002.history.ready
: >pg/pg_wal/archive_status/x.ready
: >pg/pg_wal/archive_status/000000010000000000000014.done
B=0000000100000000000000
find pg/pg_wal/archive_status | sort >before
status 0 "a batch" push --metrics-dir "$T/m" --batch -s "$T/a" pg_wal/${B}10
is "is silent" "$(cat out err)" ""
for i in 10 11 12 13; do
	test -f "a/$wal/$B$i.zst.age" || echo $i
done >missing
ok "all that waited is stored" test ! -s missing
ok "the history, too" \
    test -f "a/s/wal/$sysid/00000002/00000002.history.zst.age"
find pg/pg_wal/archive_status | sort >after
ok "archive_status is as it was" cmp before after
match "how many" '^drtools_wal_push_ahead_files.* 4$' m/dr-wal-push_s.prom
match "how many waited" '^drtools_wal_push_waiting_files.* 5$' \
    m/dr-wal-push-run_s.prom
match "how much" '^drtools_wal_push_waiting_bytes.* 4194304$' \
    m/dr-wal-push-run_s.prom
# A history goes before WAL of its timeline, ready or not.
printf '1\t0/F000060\tx\n' >pg/pg_wal/00000003.history
seg 000000030000000000000010
mkdir d
status 0 "WAL of a later timeline" push -s "$T/d" pg_wal/000000030000000000000010
ok "takes its history along" \
    test -f "d/s/wal/$sysid/00000003/00000003.history.zst.age"
find d -type f >before
seg 000000030000000000000011
status 0 "the next of it" push -s "$T/d" pg_wal/000000030000000000000011
is "takes nothing else" "$(find d -type f | sort - before | uniq -u |
    grep -c .)" 1
printf '1\t0/E000060\tx\n' >pg/pg_wal/00000003.history
seg 000000030000000000000012
rm -r state/wal/s/*/histories.json
status 1 "with another history than is there" push -s "$T/d" \
    pg_wal/000000030000000000000012
match "it says so" 'history of timeline 3.*other content' err
ok "nothing of it is stored" \
    test ! -e "d/s/wal/$sysid/00000003/000000030000000000000012.zst.age"
mv a away
status 0 "its turn: answered without the store" push --batch -s "$T/a" \
    pg_wal/${B}11
status 1 "not for a store that has not got it" push --batch -s "$T/b" \
    -s "$T/a" pg_wal/${B}11
touch "pg/pg_wal/${B}12"
status 1 "nor when it was touched" push --batch -s "$T/a" pg_wal/${B}12
mv away a
status 0 "then it is read again" push -v -s "$T/a" pg_wal/${B}12
match "and was there" 'was stored before' err
seg ${B}13 seed=changed
status 1 "changed, it is another" push --batch -s "$T/a" pg_wal/${B}13
rm pg/pg_wal/archive_status/*
seg ${B}16
seg ${B}17 sysid=5
: >pg/pg_wal/archive_status/${B}17.ready
status 0 "what is wrong behind it is not its failure" push --batch \
    -s "$T/a" pg_wal/${B}16
match "but told" 'warning: .*17' err
rm pg/pg_wal/archive_status/*

for i in 20 21 22; do
	: >"pg/pg_wal/archive_status/$B$i.ready"
done
seg ${B}20
status 0 "three wait" push --metrics-dir "$T/m" --queue-max 2M -s "$T/a" \
    pg_wal/${B}20
match "which is too much" 'warning: .*3.0 MiB .*queue-max' err
match "a metric" '^drtools_wal_push_waiting_over_limit.* 1$' \
    m/dr-wal-push-run_s.prom
status 0 "which is not too much" push --queue-max 3M -s "$T/a" pg_wal/${B}20
is "silence" "$(cat err)" ""
status 1 "nothing is claimed for it" push --queue-max 1M -s "$T/a" \
    pg_wal/${B}21

# --- ledgers ----------------------------------------------------------------------
status 0 "a ledger" push --ledger -s "$T/a"
is "is silent" "$(cat out err)" ""
find a -name 'ledger-*.json' >ledgers
ok "there is one" test -s ledgers
bad=0
while read -r l; do
	minisign -Vq -p "$DR_STATE/sign.key.pub" -m "$l" || bad=1
done <ledgers
is "minisign takes each" "$bad" 0
xargs cat <ledgers >all
h=$(sha256sum <"a/$wal/${B}20.zst.age" | cut -d' ' -f1)
match "it vouches for what was put" "\"${B}20.zst.age\",[0-9]+,\"$h\"" all
n=$(wc -l <ledgers)
status 0 "again" push --ledger -s "$T/a"
is "nothing new, within the hour" "$(find a -name 'ledger-*.json' | wc -l)" "$n"
status 2 "--ledger with a file" push --ledger -s "$T/a" pg_wal/$S
status 1 "--ledger where nothing was put" push --ledger -n t -s "$T/a"

done_testing
