#!/bin/sh
# Several stores at once: one that hangs or is refused, and replies that are
# lost to whoever may not read.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
need dr-snap dr-push dr-wal python3

cd "$T" || exit 1
s3_server
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s
DR_METRICS_DIR=$T/metrics
export DR_SET DR_METRICS_DIR
mkdir metrics dir

sealed() {
	echo "$1" | dr-snap --stdin note | dr-seal -R to | cat
}
took() { # milliseconds
	began=$(date +%s%N)
	"$@"
	ms=$((($(date +%s%N) - began) / 1000000))
}
segment() {
	python3 "$top/tests/walseg.py" pg 00000001000000000000000"$1"
	status "$2" "$3" dr-wal push -n w -R to --require 1 -s "$T/dir" \
	    -s "$store" pg/pg_wal/00000001000000000000000"$1"
}

# --- whole -----------------------------------------------------------------------
store=$(s3_store)
bucket=${store#s3://}
bucket=${bucket%%/*}
sealed one >one
status 0 "a push into a directory and a bucket" dr-push dir "$store" <one
for s in dir "$store"; do
	status 0 "is whole in ${s%%:*}" dr-verify "$s"
done
is "the same in both" "$(dr-pull --manifest "$store")" "$(cat dir/s/snap/*-??????.json)"

# --- a store that says nothing -----------------------------------------------------
proxy_server s3
segment 1 0 "WAL into both"
proxy_fault drop
took segment 2 0 "WAL, while one says nothing"
ok "takes the grace: $ms ms" test "$ms" -lt 9000
match "and is told" 'warning: .*s3://' err
cat metrics/*.prom >out
match "a metric says so" 'wal_store_failed.*s3://.* 1$' out
took segment 3 0 "the next"
ok "does not wait: $ms ms" test "$ms" -lt 2000
match "and says that" 'left alone until' err
proxy_fault none
sleep 5
segment 4 0 "it is asked again"
is "and has it" "$(s3_ ls "$bucket" | grep -c 000000010000000000000004)" 1
ok "the ledger" dr-wal push -n w --ledger -s dir -s "$store"
status 4 "says what it lacks" dr-verify -n w "$store"
match "a gap" '000000010000000000000002' out
status 3 "the directory is whole, and without a backup" dr-verify -n w dir
nomatch "no damage" 'damaged' out

# --- one that is dead ----------------------------------------------------------------
sealed two >two
sealed three >three
mkdir gone
DR_STATE=$T/state2
export DR_STATE
ok "two stores" dr-push -n u gone "$store" <two
rm -r gone
status 3 "one is gone" dr-push -n u --require 1 gone "$store" <three
match "named" 'not in ".*/gone"' err
sealed four >four
status 1 "where both are needed" dr-push -n u gone "$store" <four
status 0 "nothing half is in the other" dr-verify -n u "$store"

# --- own success, of whoever may only create ---------------------------------------
mine=$(s3_store)
bucket=${mine#s3://}
bucket=${bucket%%/*}
s3_ user "c-$bucket" >keys
read -r access secret <keys
s3_ policy "$bucket" <<-END
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
  "Principal": {"AWS": ["arn:aws:iam:::user/c-$bucket"]},
  "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
  "Resource": ["arn:aws:s3:::$bucket/*"]}]}
END
DR_STATE=$T/state3
cutter_server s3
AWS_ACCESS_KEY_ID=$access
AWS_SECRET_ACCESS_KEY=$secret
status 0 "a push with the right to create alone" dr-push "$mine" <one
status 1 "which cannot list" dr-list "$mine"
cutter_rule 1 lost - 'PUT .*json([?]|$)'
status 0 "the reply to the manifest is lost" dr-push "$mine" <two
is "it was" "$(cutter_hits)" 1
cutter_clear
cutter_rule 1 lost - 'PUT .*minisig'
status 0 "that to the signature" dr-push "$mine" <three
is "it was" "$(cutter_hits)" 1
cutter_clear
id=$(tail -c 4000 four |
    grep -ao '"id":"[^"]*"' | head -n 1 | cut -d'"' -f4)
echo "not ours" >junk
where=${mine#s3://"$bucket"}
where=${where#/}
ok "somebody has the name already" \
    s3_ put "$bucket" "${where:+$where/}s/snap/$id.json" junk
status 1 "that is no success" dr-push "$mine" <four
match "and told" "$id.json.* exists already" err
sealed five >five
status 0 "the next goes on" dr-push "$mine" <five
done_testing
