#!/bin/sh
# What was overwritten or deleted in a store that keeps versions is seen
# through, by Ceph's gateway.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-snap dr-push dr-wal python3

cd "$T" || exit 1
s3_server
store=$(s3_store --versioned)
bucket=${store#s3://}
bucket=${bucket%%[/?]*}
within=${store#s3://"$bucket"}
within=${within%%\?*}
within=${within#/}
[ -z "$within" ] || within=$within/
DR_SET=s
DR_STORE=$store
export DR_SET DR_STORE
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_IDENTITY=$T/id
export DR_IDENTITY

push() {
	echo "$1" >data
	tar cf - data >"$1.tar"
	dr-snap --stdin note <data | dr-seal -R to | cat >"$1.sealed"
	dr-push <"$1.sealed" 2>&1
}
names() { # names that end so, the newest last
	s3_ ls "$bucket" "${within}s/$1" | grep "$2\$" | sort
}
overwrite() {
	echo "nonsense" >junk
	s3_ put "$bucket" "$1" junk
}

ok "a backup" push one
sleep 1 # ids are in order of time
ok "and another" push two
status 0 "they verify" dr-verify
first=$(names snap/ '\.age' | head -n 1)
m1=$(names snap/ 'Z-......\.json' | head -n 1)
m2=$(names snap/ 'Z-......\.json' | tail -n 1)
id1=$(basename "$m1" .json)
id2=$(basename "$m2" .json)

# --- a body --------------------------------------------------------------------
ok "a body is overwritten" overwrite "$first"
status 3 "it is seen through" dr-verify
match "and reported" "$id1 +covered .*was overwritten" out
status 3 "with --deep, too" dr-verify --deep
match "which opens it" "$id1 +covered" out
ok "it is pulled" sh -c "dr-pull -b $id1 2>err | cat >pulled"
match "with a warning" 'warning: .*was overwritten' err
status 0 "and restored" dr-restore -b "$id1" -D r1
is "whole" "$(cat r1/note)" one
ok "it is deleted as well" s3_ rm "$bucket" "$first"
status 3 "which is the same" dr-verify
match "and told" "$id1 +covered .*was deleted" out
status 0 "it is restored" dr-restore -b "$id1" -D r2
is "whole" "$(cat r2/note)" one

# --- manifests -----------------------------------------------------------------
ok "a manifest is overwritten" overwrite "$m2"
status 3 "it is seen through" dr-verify
match "and reported" "$id2 +covered .*$id2.json.* was overwritten" out
status 0 "it is listed" dr-list
match "as it was" "$id2" out
ok "a signature is deleted" s3_ rm "$bucket" "$m2.minisig"
status 0 "the newest is restored all the same" dr-restore -D r3
is "whole" "$(cat r3/note)" two
ok "a manifest is deleted" s3_ rm "$bucket" "$m1"
status 0 "it is listed, by the one that names it" dr-list
match "both are" "$id1" out
status 0 "and restored" dr-restore -b "$id1" -D r4
ok "the newest is deleted" s3_ rm "$bucket" "$m2"
status 3 "whoever saw it finds it" dr-verify
match "and the one before it" "$id1 +covered" out
match "itself" "$id2 +covered" out

# --- without the right to see versions -----------------------------------------
ok "a backup in a set of its own" dr-push -n t <two.sealed
body=$(s3_ ls "$bucket" "${within}t/snap/" | grep '\.age$')
ok "whose body is deleted" s3_ rm "$bucket" "$body"
status 3 "is seen through" dr-verify -n t

# --- WAL -----------------------------------------------------------------------
for n in 1 2 3; do
	python3 "$top/tests/walseg.py" pg 00000001000000000000000$n
	ok "segment $n" dr-wal push -n w -R to pg/pg_wal/00000001000000000000000$n
done
ok "a ledger" dr-wal push -n w --ledger
get() {
	rm -f seg
	dr-wal get -n w -K "$DR_STATE/sign.key.pub" --state "$T/other" \
	    --system-id 7300000000000000001 \
	    00000001000000000000000$1 "$T/seg"
}
s2=$(s3_ ls "$bucket" "${within}w/" | grep 000000010000000000000002)
s3=$(s3_ ls "$bucket" "${within}w/" | grep 000000010000000000000003)
ok "a segment is overwritten" overwrite "$s2"
status 0 "it is fetched" get 2
match "with a warning" 'warning: .*was overwritten' err
ok "whole" cmp seg pg/pg_wal/000000010000000000000002
ok "one is deleted" s3_ rm "$bucket" "$s3"
status 0 "it is fetched" get 3
ok "whole" cmp seg pg/pg_wal/000000010000000000000003
status 1 "what never was is absent" get 4
l=$(s3_ ls "$bucket" "${within}w/" | grep 'ledger-.*json$')
ok "the ledger is overwritten" overwrite "$l"
status 3 "all is seen through" dr-verify -n w
match "the segment" 'covered .*000000010000000000000002.* was overwritten' out
match "the one that is not listed" \
    'covered .*000000010000000000000003.* was deleted' out
match "the ledger" 'covered .*ledger-.* was overwritten' out

done_testing
