#!/bin/sh
# The policies that dr-stores(7) gives for S3, as far as Ceph's gateway
# understands them: each host can do its work with its own, and no more.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
. "$top/tests/store/job.sh"
need dr-push dr-verify dr-wal dr-restore dr-prune python3

s3_server
bucket=$(s3_bucket) || exit 1
store=s3://$bucket/p
for u in backup wal restore prune; do
	s3_ user "$u-$bucket" >"$T/$u.keys" || exit 1
done
as() {
	# shellcheck disable=SC2046 # two words
	s3_env $(cat "$T/$1.keys")
}

# All four as one policy of the bucket.  The condition on if-none-match means
# nothing to this server, which would refuse all writes by it; and it makes
# the uploader an object's owner, who has other rights unless they are denied.
python3 - "$top/man/dr-stores.7" "$bucket" >"$T/policy" <<'END' ||
import json, re, sys
page, bucket = open(sys.argv[1]).read(), sys.argv[2]
docs = [json.loads(d) for d in re.findall(
    r'^\.Bd [^\n]*\n(\{ "Version".*?)^\.Ed$', page, re.M | re.S)]
assert len(docs) == 4, len(docs)
out = []
for who, doc in zip(["backup", "wal", "restore", "prune"], docs):
    user = {"AWS": [f"arn:aws:iam:::user/{who}-{bucket}"]}
    may = set()
    for st in doc["Statement"]:
        if "s3:if-none-match" in json.dumps(st):
            continue
        st = json.loads(json.dumps(st).replace("BUCKET", bucket)
                        .replace("PREFIX", "p").replace("SET", "s"))
        may.update([st["Action"]] if isinstance(st["Action"], str)
                   else st["Action"])
        out.append({**st, "Principal": user})
    out.append({"Effect": "Deny", "Principal": user,
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
                "Action": [a for a in ("s3:GetObject", "s3:DeleteObject",
                                       "s3:PutObject", "s3:PutObjectAcl")
                           if a not in may]})
print(json.dumps({"Version": "2012-10-17", "Statement": out}))
END
	exit 1
ok "the page's four policies, in one" s3_ policy "$bucket" <"$T/policy"

cd "$T" || exit 1
job_keys
as backup
status 0 "a host that backs up does" publish "$store"
status 0 "in parts, too" publish 20000000 "$store"
status 0 "--check finds the rights it needs" dr-push --check -n s "$store"
match "  no reading" '^  read +no' out
match "  no list" '^  list +no' out
match "  no deleting" '^  delete +no' out
nomatch "  and nothing missing" MISSING out

as wal
seg=0000000100000000000000
for n in 01 02; do
	python3 "$top/tests/walseg.py" pg $seg$n
	status 0 "a host that ships WAL does: segment $n" \
	    dr-wal push -n s -s "$store" -R to pg/pg_wal/$seg$n
done
status 0 "a ledger" dr-wal push -n s -s "$store" --ledger
status 0 "--check finds the rights it needs" \
    dr-wal push --check -n s -s "$store"
match "  no deleting" '^  delete +no' out
nomatch "  and nothing missing" MISSING out
status 1 "it is not one that backs up" dr-push --check -n s "$store"
match "  which is told" 'create .*MISSING' out

as restore
status 0 "a host that restores verifies" dr-verify -n s "$store"
status 0 "gets WAL" dr-wal get -n s -s "$store" -i id \
    --system-id 7300000000000000001 ${seg}02 seg
ok "  the same" cmp seg pg/pg_wal/${seg}02
status 0 "--check finds the rights it needs" dr-restore --check -n s "$store"
match "  no creating" '^  create +no' out
nomatch "  and nothing missing" MISSING out

as prune
sleep 2 # what was left must be older than the grace
status 0 "a host that prunes does" \
    dr-prune -n s --garbage --grace 1s --yes "$store"
status 0 "--check finds the rights it needs" dr-prune --check -n s "$store"
nomatch "  and nothing missing" MISSING out
s3_env
is "the probe that could not be removed is gone" \
    "$(s3_ ls "$bucket" | grep -c probe-)" 0

done_testing
