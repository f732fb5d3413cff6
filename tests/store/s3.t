#!/bin/sh
# What goes wrong with S3, by Ceph's gateway.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
need dr-push dr-pull dr-verify dr-list faketime

s3_server
bucket=$(s3_bucket) || exit 1
store=s3://$bucket/p
faults s3 "$store" "$bucket"
n=$(backups "$store")

# --- who asks ------------------------------------------------------------------
secret=$AWS_SECRET_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=${secret}x
status 1 "a wrong secret" publish "$store"
match "  is told" 'secret key is wrong' "$T/err"
nomatch "  and not shown" "$secret" "$T/err"
status 1 "a wrong secret, reading" dr-list -n s "$store"
match "  is told" 'secret key is wrong' "$T/err"
AWS_ACCESS_KEY_ID=AKNOSUCHKEY
status 1 "an unknown key" publish "$store"
match "  is told" 'does not know the access key' "$T/err"
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
status 1 "no credentials" publish "$store"
match "  is told with the places they are looked for" \
    'AWS_ACCESS_KEY_ID.*\.aws/credentials' "$T/err"
s3_env
options=$ASAN_OPTIONS:verify_asan_link_order=0
status 1 "a clock an hour off" env ASAN_OPTIONS="$options" \
    faketime -f +1h dr-list -n s "$store"
match "  is told" 'clock' "$T/err"

# --- where it goes ---------------------------------------------------------------
status 1 "a bucket that is missing" publish "s3://t-missing/p"
match "  is told" 'bucket does not exist' "$T/err"
status 1 "reading from it" dr-list -n s "s3://t-missing/p"
status 1 "verifying it" dr-verify -n s "s3://t-missing/p"
match "  is told, too, with a hint" 'hint: buckets are made by hand' "$T/err"
status 1 "checking it" dr-push --check -n s "s3://t-missing/p"
match "  tells the same" '^  hint +buckets are made by hand' "$T/out"
status 5 "a host that does not exist" \
    publish "$store?endpoint=http://none.invalid"
match "  is told" 'resolve none.invalid' "$T/err"
cutter_server s3
cutter_rule status "400 AuthorizationHeaderMalformed" .
status 1 "another region" dr-list -n s "$store"
match "  is told" 'region' "$T/err"
cutter_rule status "400 ExpiredToken" .
status 1 "a token that has expired" dr-list -n s "$store"
match "  is told" 'expired' "$T/err"
cutter_clear
s3_env

# --- a quota ---------------------------------------------------------------------
user=u-$bucket
# shellcheck disable=SC2046 # two words
set -- $(s3_ user "$user")
s3_env "$1" "$2"
own=t-$bucket-own
python3 "$top/tests/store/s3.py" mb "$own"
s3_ quota "$user" 1000000
status 0 "a quota that is kept" publish "s3://$own/p"
status 1 "a quota that is not" publish 9000000 "s3://$own/p"
match "  is told" 'quota' "$T/err"
is "  nothing is there" \
    "$(python3 "$top/tests/store/s3.py" ls "$own" | wc -l)" 3
is "  no upload is left" "$(python3 "$top/tests/store/s3.py" uploads "$own")" ""
s3_ suspend "$user"
status 1 "a user who is suspended" publish "s3://$own/p"
s3_ resume "$user"
s3_env
is "all is as it was" "$(backups "$store")" "$n"
done_testing
