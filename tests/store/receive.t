#!/bin/sh
# dr-wal receive into a bucket that locks, and readers without the right to
# list it.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-wal python3

cd "$T" || exit 1
s3_server
bucket=$(s3_bucket --lock) || exit 1
plain=$(s3_bucket) || exit 1
store=s3://$bucket/p
# After the servers: both have an until_ of their own.
. "$top/tests/pg/wal_receive.sh"
pg_new main --wal-segsize=1 || exit 1
pg_start main || exit 1
psql_ 'CREATE TABLE t (i int)'

# --- locked as it is written ---------------------------------------------------------
receive --create-slot --interval 100ms --lock-days 1 "$store"
for i in 1 2 3; do
	psql_ "INSERT INTO t VALUES ($i)"
	psql_ 'SELECT pg_switch_wal()' >out
done
psql_ "INSERT INTO t VALUES (4)"
all_stored "WAL is stored in a bucket that locks"
ended 0 "and its end" TERM
n=$(s3_ ls "$bucket" p/s/wal/ | wc -l)
ok "$n objects" test "$n" -ge 5
s3_ ls "$bucket" p/s/wal/ | while read -r name; do
	s3_ raw GET "/$bucket/$name" retention= 2>err | grep -c COMPLIANCE
done >locked
is "  all locked" "$(grep -c 1 locked)" "$n"
s3_ versions "$bucket" p/s/wal/ | while read -r _ name version _; do
	s3_ rm "$bucket" "$name" "$version" 2>err && echo "$name"
done >gone
is "  none can be deleted" "$(cat gone)" ""
receive --interval 100ms --lock-days 1 -n x "s3://$plain/p"
psql_ "INSERT INTO t VALUES (5)"
until_ "a bucket without locks is told of" grep -q 'hint: does the bucket lock' r.err
is "  and no WAL is acknowledged for it" \
    "$(durable "$(now_)" && echo yes)" ""
kill -KILL "$r"
wait "$r" 2>out
r=

# --- 403 for what is absent ---------------------------------------------------------------
user=r-$bucket
s3_ user "$user" >keys
s3_ policy "$bucket" <<END
{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow",
  "Principal": { "AWS": ["arn:aws:iam:::user/$user"] },
  "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::$bucket/*"] } ] }
END
system=$(s3_ ls "$bucket" p/s/wal/ | head -n 1 | cut -d/ -f4)
seg=$(s3_ ls "$bucket" p/s/wal/ | grep -o '0000000100000000000000[0-9A-F]*\.zst' |
	head -n 1)
seg=${seg%.zst}
get() {
	dr-wal get -n s --state "$T/state" -s "$store" -i "$T/id" \
	    --system-id "$system" "$1" "$T/got"
}
s3_env
status 0 "whoever may list gets it" get "$seg"
status 1 "and knows what is absent" get 0000000200000000000000AA
read -r a s <keys
s3_env "$a" "$s"
rm -f got
status 0 "who may only read gets a whole segment" get "$seg"
rm -f got
status 255 "but cannot know what is absent" get 0000000200000000000000AA
match "  which is told" 'denied' err
ok "  and nothing is made up" test ! -e got
status 1 "nor what there is" dr-list -n s --state "$T/state" "$store"
match "  which is told" 'denied' err
pg_stop main
done_testing
