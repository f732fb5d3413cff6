#!/bin/sh
# What is locked in a bucket survives its owner, by Ceph's gateway; and a store
# that only says it locks is found out, by Swift.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
need dr-push dr-pull dr-verify dr-list dr-wal

s3_server
bucket=$(s3_bucket --lock) && plain=$(s3_bucket) || exit 1
store=s3://$bucket/p

# Delete each version there is; say which went.
delete_all() {
	s3_ versions "$bucket" | while read -r kind name version _; do
		[ "$kind" = Version ] || continue
		s3_ raw DELETE "/$bucket/$name" "versionId=$version" "$@" \
		    >/dev/null 2>"$T/rm.err" && echo "$name"
	done
}

status 0 "a backup, locked for a day" publish --lock-days 1 "$store"
status 0 "a larger one" publish 20000000 --lock-days 1 "$store"
is "six objects" "$(s3_ ls "$bucket" | wc -l)" 6
is "the owner can delete none" "$(delete_all)" ""
match "  it is refused" '403' "$T/rm.err"
is "nor by a header" \
    "$(delete_all x-amz-bypass-governance-retention:true)" ""
body=$(s3_ ls "$bucket" | grep 'tar$' | tail -n 1)
version=$(s3_ versions "$bucket" "$body" | cut -d' ' -f3)
cat >"$T/short.xml" <<'END'
<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate></Retention>
END
soon=$(date -u -d '+5 minutes' +%Y-%m-%dT%H:%M:%SZ)
sed -i "s/2027[^<]*/$soon/" "$T/short.xml"
status 1 "nor shorten the lock" s3_ raw PUT "/$bucket/$body" retention= \
    "versionId=$version" "@$T/short.xml"
match "  it is refused" '403' "$T/err"
for n in $(s3_ ls "$bucket"); do
	echo forged >"$T/forged"
	s3_ put "$bucket" "$n" "$T/forged" || echo "$n"
done >"$T/over"
is "all are overwritten" "$(cat "$T/over")" ""
ok "what was pushed comes back" same_back "$store"
status 3 "which dr-verify tells of" dr-verify -n s "$store"
is "both are listed" "$(backups "$store" 2>"$T/err")" 2
for n in $(s3_ ls "$bucket"); do
	s3_ rm "$bucket" "$n" || echo "$n"
done >"$T/over"
is "all are deleted" "$(cat "$T/over"; s3_ ls "$bucket")" ""
status 3 "whoever saw them finds them" dr-verify -n s "$store"
# Anybody else does when the markers are gone.
s3_ versions "$bucket" | while read -r kind name version _; do
	[ "$kind" = Version ] || s3_ rm "$bucket" "$name" "$version"
done
is "both are listed again" "$(backups "$store" 2>"$T/err")" 2
ok "and come back" same_back "$store"

bucket=$(s3_bucket --lock)
store=s3://$bucket/p
status 0 "a lock that a privileged user may lift" \
    publish --lock-days 1 --lock-mode governance "$store"
is "is kept to" "$(delete_all)" ""
is "and lifted" "$(delete_all x-amz-bypass-governance-retention:true | wc -l)" 3
bucket=$(s3_bucket --lock)
store=s3://$bucket/p
status 0 "a legal hold" publish --legal-hold "$store"
is "is kept to" "$(delete_all x-amz-bypass-governance-retention:true)" ""

status 1 "a bucket without locks" publish --lock-days 1 "s3://$plain/p"
match "  is asked about" 'does the bucket lock objects' "$T/err"
is "nothing is published there" "$(s3_ ls "$plain" | grep -c 'json$')" 0

# --- one that lies -----------------------------------------------------------------
swift_server
bucket=$(swift_bucket) || exit 1
store=s3://$bucket/p
status 1 "a store that overwrites" publish "$store"
match "  is not written to" 'only where there is none' "$T/err"
match "  unless that is wanted" 'hint:.*--allow-no-create-only' "$T/err"
status 1 "a store that ignores locks" \
    publish --lock-days 1 --allow-no-create-only "$store"
match "  is found out" 'lock' "$T/err"
note "$(head -n 1 "$T/err")"
is "nothing is published there" "$(swift_ ls "$bucket" | grep -c 'json$')" 0
status 0 "without a lock it will do" \
    publish --allow-no-create-only "$store"
ok "  the same comes back" same_back "$store"
done_testing
