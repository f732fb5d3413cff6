#!/bin/sh
# Where a set may go, as /etc/dr/SET.conf says, is kept to by all that write.
. "${0%/*}/../lib.sh"
need dr-snap dr-push dr-mirror dr-wal python3

cd "$T" || exit 1
mkdir conf east west
DR_CONF_DIR=$T/conf
export DR_CONF_DIR
dr-key new -o id 2>/dev/null
dr-key recipient id >to
sealed() {
	echo "$1" | dr-snap --stdin note | dr-seal -R to | cat
}
echo "regions='$T/east eu-central-1'" >conf/s.conf
empty() {
	is "  nothing is there" "$(find west)" west
}

sealed one >one
status 0 "a push into a place that is allowed" dr-push -n s east <one
status 2 "into another" dr-push -n s west <one
match "  is refused" 'may not go into ".*/west"' err
match "  with what is allowed" "hint:.*$T/east eu-central-1" err
empty
status 2 "into both, with one required" dr-push -n s --require 1 east west <one
empty
status 2 "into a region that is not" env AWS_REGION=us-east-1 \
    AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b dr-push -n s \
    's3://b/p?endpoint=http://127.0.0.1:1' <one
match "  which is named" 'region us-east-1' err
status 2 "a mirror into another" dr-mirror -n s east west
match "  is refused" 'may not go into ".*/west"' err
empty
python3 "$top/tests/walseg.py" pg 000000010000000000000001
status 2 "WAL into another" dr-wal push -n s -s west -R to \
    pg/pg_wal/000000010000000000000001
match "  is refused" 'may not go into ".*/west"' err
status 2 "or into both" dr-wal push -n s -s east -s west --require 1 -R to \
    pg/pg_wal/000000010000000000000001
empty
status 0 "where it may" dr-wal push -n s -s east -R to \
    pg/pg_wal/000000010000000000000001
status 2 "a ledger" dr-wal push -n s -s west --ledger
empty
status 2 "a receiver, before it asks any server" dr-wal receive -n s \
    -d "host=$T/none" --slot dr -R to west
match "  is refused" 'may not go into ".*/west"' err
empty
status 0 "another set goes anywhere" dr-push -n t west <one
status 0 "and is mirrored" dr-mirror -n t west east
done_testing
