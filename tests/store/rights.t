#!/bin/sh
# What hosts need no right to, they cannot do: users of Ceph's gateway under a
# policy, and one that a proxy lets create alone.  (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
. "$top/tests/store/job.sh"
need dr-push dr-pull dr-verify dr-list dr-wal python3

s3_server
bucket=$(s3_bucket) || exit 1
store=s3://$bucket/p
for u in backup wal restore; do
	s3_ user "$u-$bucket" >"$T/$u.keys" || exit 1
done
as() {
	# shellcheck disable=SC2046 # two words
	s3_env $(cat "$T/$1.keys")
}
# This server makes the uploader an object's owner, who may read it unless that
# is denied.
cat >"$T/policy" <<END
{ "Version": "2012-10-17", "Statement": [
  { "Effect": "Allow",
    "Principal": { "AWS": ["arn:aws:iam:::user/backup-$bucket"] },
    "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
    "Resource": ["arn:aws:s3:::$bucket/p/s/snap/*"] },
  { "Effect": "Deny",
    "Principal": { "AWS": ["arn:aws:iam:::user/backup-$bucket"] },
    "Action": ["s3:GetObject", "s3:DeleteObject", "s3:PutObjectAcl"],
    "Resource": ["arn:aws:s3:::$bucket/*"] },
  { "Effect": "Allow",
    "Principal": { "AWS": ["arn:aws:iam:::user/wal-$bucket"] },
    "Action": ["s3:PutObject", "s3:GetObject"],
    "Resource": ["arn:aws:s3:::$bucket/p/s/wal/*"] },
  { "Effect": "Allow",
    "Principal": { "AWS": ["arn:aws:iam:::user/wal-$bucket"] },
    "Action": ["s3:ListBucket"],
    "Resource": ["arn:aws:s3:::$bucket"],
    "Condition": { "StringLike": { "s3:prefix": ["p/s/wal/*"] } } },
  { "Effect": "Allow",
    "Principal": { "AWS": ["arn:aws:iam:::user/restore-$bucket"] },
    "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::$bucket/*"] },
  { "Effect": "Allow",
    "Principal": { "AWS": ["arn:aws:iam:::user/restore-$bucket"] },
    "Action": ["s3:ListBucket"],
    "Resource": ["arn:aws:s3:::$bucket"] }
] }
END
ok "a policy" s3_ policy "$bucket" <"$T/policy"
# With the keys that are set, unlike s3_.
me() {
	python3 "$top/tests/store/s3.py" "$@"
}
echo other >"$T/file"

# --- backups: create -----------------------------------------------------------------
as backup
status 0 "who may only create can back up" publish "$store"
status 0 "in parts, too" publish 20000000 "$store"
one=$(s3_ ls "$bucket" | grep 'json$' | head -n 1)
is "both are there" "$(s3_ ls "$bucket" | wc -l)" 6
status 1 "but not list them" dr-list -n s "$store"
match "  is told" 'access is denied' "$T/err"
status 1 "nor read them" dr-pull -n s --body "$store"
status 1 "by whatever means" me get "$bucket" "$one"
status 1 "nor delete one" me rm "$bucket" "$one"
match "  it is refused" 403 "$T/err"
status 1 "nor one under its condition replace" me put "$bucket" "$one" \
    "$T/file" "If-None-Match:*"
match "  it is refused" 412 "$T/err"
cp "$T/data" "$T/kept"
status 1 "nor write elsewhere" publish "s3://$bucket/q"
match "  it is told" 'access is denied' "$T/err"
nomatch "no secret is in any message" "$AWS_SECRET_ACCESS_KEY" "$T/err"
mv "$T/kept" "$T/data"

# --- reading: get and list -------------------------------------------------------------
as restore
is "who may read lists both" "$(backups "$store")" 2
status 0 "verifies them" dr-verify -n s "$store"
ok "and gets them" same_back "$store"
status 1 "but cannot push" publish 20000000 "$store"
status 1 "nor delete" me rm "$bucket" "$one"
is "nothing was added" "$(s3_ ls "$bucket" | wc -l)" 6
is "nor begun" "$(s3_ uploads "$bucket")" ""

# --- WAL: create, get and list of its own ------------------------------------------------
as wal
job_keys
cd "$T" || exit 1
seg=0000000100000000000000
for n in 01 02 03; do
	python3 "$top/tests/walseg.py" pg $seg$n
	status 0 "who may create, get and list in wal/ ships segment $n" \
	    dr-wal push -n s -s "$store" -R to pg/pg_wal/$seg$n
done
status 0 "the same again" dr-wal push -n s -s "$store" -R to pg/pg_wal/${seg}02
status 0 "a ledger" dr-wal push -n s -s "$store" --ledger
python3 "$top/tests/walseg.py" pg ${seg}02 seed=other
status 1 "other content under a name that is taken" \
    dr-wal push -n s -s "$store" -R to pg/pg_wal/${seg}02
python3 "$top/tests/walseg.py" pg ${seg}02
status 0 "a segment is fetched" dr-wal get -n s -s "$store" -i id \
    --system-id 7300000000000000001 ${seg}02 seg
ok "  the same" cmp seg pg/pg_wal/${seg}02
status 1 "what is not there is absent" dr-wal get -n s -s "$store" -i id \
    --system-id 7300000000000000001 ${seg}09 seg9
w=$(s3_ ls "$bucket" p/s/wal/ | head -n 1)
status 1 "none can be deleted" me rm "$bucket" "$w"
status 1 "nor replaced under its condition" me put "$bucket" "$w" file \
    "If-None-Match:*"
status 1 "nor a backup read" me get "$bucket" "$one"
status 1 "nor pushed" publish "$store"
as restore
status 0 "all of it is whole" dr-verify -n s "$store"

# --- no condition, no object: what a policy of AWS can demand --------------------------
bucket=$(s3_bucket) || exit 1
store=s3://$bucket/p
proxy_server s3
proxy_fault bare
status 0 "create alone: a backup" publish "$store"
status 0 "in parts" publish 20000000 "$store"
one=$(s3_ ls "$bucket" | grep 'json$' | head -n 1)
status 1 "what is there cannot be replaced" me put "$bucket" "$one" file
match "  it is refused" 403 err
status 1 "nor under the condition" me put "$bucket" "$one" file \
    "If-None-Match:*"
match "  it is refused" 412 err
status 0 "dr-push --check finds that it holds" dr-push --check -n s "$store"
match "  nothing can be overwritten" '^  overwrite +no' out
match "  nor by an upload in parts" '^  overwrite-parts +no' out
match "  but there are rights to spare" '^  delete +yes +more than' out
match "  so it is no protection" 'protection +none: .* delete' out
is "  and nothing is left of it" "$(s3_ uploads "$bucket")" ""
proxy_stop
s3_env
status 0 "without it" dr-push --check -n s "$store"
match "  it tells that objects can be overwritten" \
    '^  overwrite +yes +more than' out
match "  so it is no protection" 'protection +none: .* overwrite' out
done_testing
