#!/bin/sh
# What is asked of a store, and how: how many requests, at what rate, through
# which proxy, with which keys; and what becomes of a part that is lost.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
. "$top/tests/store/job.sh"
need dr-push dr-pull dr-restore dr-wal python3

s3_server
azure_server
bucket=$(s3_bucket) && container=$(azure_container) || exit 1
store=s3://$bucket/p
cd "$T" || exit 1
job_keys
cutter_server s3
hits=$T/hits.$proxy_port

# --- how many --------------------------------------------------------------------
# push_wal WHAT MOST STORE NAME
push_wal() {
	python3 "$top/tests/walseg.py" pg "$4"
	cutter_clear
	cutter_rule none - .
	status 0 "$1" dr-wal push -n w -s "$3" -R to "pg/pg_wal/$4"
	ok "  in $(cutter_hits) requests" test "$(cutter_hits)" -le "$2"
	is "  of which one stores" "$(grep -c ^PUT "$hits")" 1
}
push_wal "the first segment" 2 "$store" 000000010000000000000001
push_wal "another" 2 "$store" 000000010000000000000002
cutter_clear
head -c 30000000 /dev/urandom >data
dr-snap --stdin data <data | dr-pack | dr-seal -R to |
	dr-push -n r "$store" || exit 1
cutter_rule none - '^GET .*\.age'
status 0 "a restore" dr-restore -n r -i id -D back "$store"
ok "  of ranges, $(cutter_hits) in all" test "$(cutter_hits)" -gt 1
ok "  is the same" cmp data back/data

# --- at what rate -------------------------------------------------------------------
cutter_clear
began=$(date +%s%N)
status 0 "4 MB a second" publish 9000000 --limit-rate 4M "$store"
ms=$((($(date +%s%N) - began) / 1000000))
ok "  takes two seconds: $ms ms" test "$ms" -ge 1900
ok "  the same comes back" same_back "$store"

# --- a part that is lost ---------------------------------------------------------------
before=$(s3_ ls "$bucket")
for n in 1 2; do
	cutter_clear
	cutter_rule forget 200 "^PUT .*partNumber=$n&"
	status 1 "part $n of an upload is lost" publish 12000000 "$store"
	is "  it was" "$(cutter_hits)" 1
	match "  is told with the store" "${store%%\?*}.*[Pp]art" err
	is "  nothing is there" "$(s3_ ls "$bucket")" "$before"
	is "  no upload is left" "$(s3_ uploads "$bucket")" ""
done

# --- through which proxy -------------------------------------------------------------
cutter_clear
cutter_rule none - '^[A-Z]+ http://127'
s3_env
http_proxy=http://127.0.0.1:$proxy_port
export http_proxy
status 0 "through a proxy" publish 9000000 "$store"
ok "  it is asked" test "$(cutter_hits)" -ge 5
ok "  the same comes back" same_back "$store"
unset http_proxy
proxy_stop

# --- with which keys --------------------------------------------------------------------
# Two pairs of one user.  The first is said to last until a few seconds from
# now, and is gone before the upload has ended.
cutter_server s3
hits=$T/hits.$proxy_port
user=u-$bucket
s3_ user "$user" >"$T/one"
s3_ raw PUT /admin/user key= uid="$user" access-key="K2$user" \
    secret-key="secret-$user" format=json >out 2>&1
keys() { # SECONDS: how long the first pair is said to be good for
	read -r a s <one
	{
		echo "$a $s $1"
		echo "K2$user secret-$user 3600"
	} >cred.keys
	: >cred
	mkfifo hold
	python3 "$top/tests/credfake.py" cred x <hold >port &
	cred=$!
	exec 7>hold
	rm hold
	until_ 100 test -s port
	AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$(cat port)/listed/ecs
	export AWS_CONTAINER_CREDENTIALS_FULL_URI
}
own=t-$bucket-own
(
	read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <one
	python3 "$top/tests/store/s3.py" mb "$own"
) || exit 1
mine=s3://$own/p
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
keys 302
cutter_rule slow-request 1500000 '^PUT .*partNumber='
head -c 20000000 /dev/urandom >data
dr-snap --stdin data <data | dr-push -n s --plain "$mine" 2>err &
pid=$!
until_ 100 test -s "$hits"
sleep 4
(
	s3_env
	read -r a s <one
	s3_ raw DELETE /admin/user key= uid="$user" access-key="$a" >out 2>&1
)
wait "$pid"
is "keys that run out in an upload are fetched anew" "$?" 0
is "  once" "$(wc -l <cred)" 2
cutter_clear
ok "  the same comes back" same_back "$mine"
exec 7>&-
wait "$cred"

# The store knows better than what was said.
read -r a s <one
(
	s3_env
	s3_ raw PUT /admin/user key= uid="$user" access-key="$a" \
	    secret-key="$s" format=json >out 2>&1
)
keys 3600
cutter_rule 1 status "400 ExpiredToken" '^PUT .*partNumber=2'
status 0 "keys that a store calls expired are fetched anew" \
    publish 20000000 "$mine"
is "  it did" "$(cutter_hits)" 1
is "  they were" "$(wc -l <cred)" 2
ok "  the same comes back" same_back "$mine"
cutter_clear
cutter_rule status "400 ExpiredToken" '^PUT .*partNumber=2'
status 1 "when those are, too" publish 20000000 "$mine"
match "  it is told" 'expired' err
nomatch "  without a secret" "secret-$user|$s" err
exec 7>&-
proxy_stop

# --- Azure -------------------------------------------------------------------------------
store=azblob://$container/p
cutter_server azure
before=$(az_ ls "$container")
cutter_rule 1 forget 201 '^PUT .*comp=block&'
status 1 "Azure: a block is lost" publish 20000000 "$store"
is "  it was" "$(cutter_hits)" 1
match "  is told with the store" "$store" err
is "  nothing is there" "$(az_ ls "$container")" "$before"
is "  no upload is left" "$(az_ uploads "$container")" ""
done_testing
