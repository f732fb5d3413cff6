#!/bin/sh
# --check against real servers: what a credential may do, which protection
# follows, and which promises are broken.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-push dr-list dr-wal dr-prune python3

cd "$T" || exit 1
says() { # NAME REGEX
	match "$1: $2" "^  $1 +$2" "$T/out"
}

# --- S3 --------------------------------------------------------------------------
s3_server
b=$(s3_bucket)
status 0 "a bucket's owner" dr-push --check -n s "s3://$b/p"
says create yes
says create-only yes
says overwrite 'yes  more than'
says overwrite-parts 'yes  more than'
says delete 'yes  more than'
says protection 'none: '
is "nothing stays behind" "$(s3_ ls "$b")" ""

v=$(s3_bucket --versioned)
status 0 "a bucket with versions" dr-push --check -n s "s3://$v/p"
says versions kept
says delete yes # and all its versions

writer=w$$ reader=r$$
# shellcheck disable=SC2046 # two words
set -- $(s3_ user $writer) $(s3_ user $reader)
python3 - "$b" $writer $reader <<-'END' | s3_ policy "$b"
	import json, sys
	b, writer, reader = sys.argv[1:]
	allow = lambda uid, act, what: {"Effect": "Allow", "Principal":
	    {"AWS": ["arn:aws:iam:::user/" + uid]}, "Action": act,
	    "Resource": ["arn:aws:s3:::" + b + what]}
	print(json.dumps({"Version": "2012-10-17", "Statement": [
	    allow(writer, ["s3:PutObject", "s3:AbortMultipartUpload"], "/*"),
	    allow(reader, ["s3:GetObject"], "/*"),
	    allow(reader, ["s3:ListBucket"], "")]}))
END
owner=$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY
s3_env "$1" "$2"
status 0 "the right to create alone" dr-push --check -n s "s3://$b/p"
says list no
says delete no
match "the probe stays behind, and is named" \
    '^  probe +"s/snap/probe-' "$T/out"
status 1 "is too little for WAL" dr-wal push --check -n s -s "s3://$b/p"
says list 'no  MISSING'
s3_env "$3" "$4"
status 1 "no right to create" dr-push --check -n s "s3://$b/p"
says create 'no  MISSING'
status 0 "is right for a restore" dr-list --check -n s "s3://$b/p"
says create 'no  '
says protection 'this credential cannot write'
s3_env "${owner%%:*}" "${owner#*:}"
status 0 "dr-prune finds the probes" dr-prune -n s --garbage --grace 1ms \
    --no-signature "s3://$b/p"
is "two of them" "$(grep -c '^probe' out)" 2

l=$(s3_bucket --lock)
status 0 "a bucket with locks" dr-push --check -n s --lock-days 1 "s3://$l/p"
says lock 'yes$'
says protection 'what is locked cannot be deleted'
status 3 "locks in a bucket without" \
    dr-push --check -n s --lock-days 1 "s3://$b/p"
says lock 'no  DOES NOT HOLD'

status 1 "a wrong key" \
    env AWS_SECRET_ACCESS_KEY=wrong dr-push --check -n s "s3://$b/p"
says create 'no  MISSING'

# --- sftp --------------------------------------------------------------------------
sftp_server
d=$(sftp_dir)
status 0 "a directory by sftp" dr-wal push --check -n s -s "$(sftp_store "$d")"
says create-only yes
is "nothing stays behind" "$(find "$d" -mindepth 1)" ""
status 0 "a set's" dr-list --check -n s "$(sftp_store "$d")"
is "nothing either" "$(find "$d" -mindepth 1)" ""
mkdir -m 777 "$d/s"
status 0 "a set that is there" dr-push --check -n s "$(sftp_store "$d")"
is "stays" "$(cd "$d" && find . -mindepth 1)" ./s

done_testing
