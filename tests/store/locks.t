#!/bin/sh
# --lock-days and its kin through the tools, on Ceph's gateway.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-snap dr-push dr-wal python3

cd "$T" || exit 1
s3_server
store=$(s3_store --lock)
bucket=${store#s3://}
bucket=${bucket%%/*}
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s
export DR_SET

sealed() {
	echo "$1" | dr-snap --stdin note | dr-seal -R to | cat
}
# locks WORD SET: how many of SET's objects have WORD in their retention.
locks() {
	s3_ ls "$bucket" | grep "/$2/" | while read -r name; do
		s3_ raw GET "/$bucket/$name" retention= 2>/dev/null |
		    grep -o "$1" | head -n 1
	done | wc -l
}
holds() {
	s3_ ls "$bucket" | grep "/$1/" | while read -r name; do
		s3_ raw GET "/$bucket/$name" legal-hold= 2>/dev/null |
		    grep -o '>ON<'
	done | wc -l
}

sealed one >one
status 0 "a push with a lock" dr-push --lock-days 1 "$store" <one
is "all three objects are locked, for good" "$(locks COMPLIANCE s)" 3
until=$(date -u -d '+1 day' +%Y-%m-%d)
is "for a day" "$(locks "$until" s)" 3
body=$(s3_ ls "$bucket" | grep '/s/.*age$')
version=$(s3_ versions "$bucket" "$body" | head -n 1 | cut -d' ' -f3)
status 1 "none can delete it" s3_ rm "$bucket" "$body" "$version"
match "it is refused" 'AccessDenied' err
status 0 "it is whole" dr-verify "$store"
sealed two >two
status 0 "until a time, in the weaker mode" dr-push -n g \
    --lock-until 2031-01-02T03:04:05Z --lock-mode governance "$store" <two
is "which the store has" "$(locks GOVERNANCE g) $(locks 2031-01-02T03:04:05 g)" "3 3"
sealed three >three
status 0 "a legal hold" dr-push -n h --legal-hold "$store" <three
is "on all" "$(holds h)" 3
w=000000010000000000000001
python3 "$top/tests/walseg.py" pg $w
status 0 "WAL with a lock" dr-wal push -n w --lock-days 1 -R to -s "$store" \
    pg/pg_wal/$w
ok "and its ledger" dr-wal push -n w --lock-days 1 --ledger -s "$store"
is "all is locked" "$(locks COMPLIANCE w)" "$(s3_ ls "$bucket" | grep -c /w/)"

# --- a store that has none -------------------------------------------------------
plain=$(s3_store)
sealed two >two
status 1 "a bucket without locks" dr-push --lock-days 1 "$plain" <one
bucket=${plain#s3://}
bucket=${bucket%%/*}
is "gets no manifest" "$(s3_ ls "$bucket" | grep -c 'json$')" 0

# --- classes that cannot be read at once -----------------------------------------
# The gateway here has no such class, and refuses what asks for it.
plain=$(s3_store)
sealed two >two
status 0 "small objects never go into an archive" \
    dr-push --storage-class GLACIER "$plain" <two
head -c 9000000 /dev/urandom | dr-snap --stdin x | dr-seal -R to |
	cat >big.sealed
status 1 "large bodies do" dr-push --storage-class GLACIER "$plain" <big.sealed

done_testing
