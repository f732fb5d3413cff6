#!/bin/sh
# --check, on directories: what it tries, what it says, what it leaves.
. "${0%/*}/../lib.sh"
need python3

field() {
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
	o = json.loads(line)
	for k in sys.argv[2].split("."):
		o = o.get(k, "")
	print(str(o).lower() if isinstance(o, bool) else o)' "$T/out" "$1"
}

mkdir "$T/store"
status 0 "a directory can be a store" dr-push --check -n main "$T/store"
match "where objects are created" '^  create +yes$' "$T/out"
match "and not overwritten on the condition" '^  create-only +yes$' "$T/out"
match "though this user could" '^  overwrite +yes  more than is needed$' \
    "$T/out"
match "nor is it protected" '^  protection +none: ' "$T/out"
is "nothing stays behind" "$(find "$T/store" -mindepth 1)" ""

status 0 "the same as JSON" dr-push --check --json "$T/store"
is "the role" "$(field role)" backup
is "no protection" "$(field protected)" false
is "without a set the probe lies at the top" \
    "$(field probe | grep -c /)" 0

for t in "dr-pull -n main" "dr-list" "dr-verify -n main" \
    "dr-restore -n main"; do
	# shellcheck disable=SC2086 # words
	status 0 "$t --check" $t --check "$T/store"
	match "as a restore host" '\(as a restore host\)' "$T/out"
done
status 0 "dr-wal push --check" dr-wal push --check -n main -s "$T/store"
match "as a WAL host" '\(as a WAL host\)' "$T/out"
status 0 "dr-wal receive --check" dr-wal receive --check -n main "$T/store"
status 0 "dr-wal get --check" dr-wal get --check -n main -s "$T/store"
is "nothing was left by any" "$(find "$T/store" -mindepth 1)" ""
mkdir "$T/store/main"
status 0 "a set without anything in it" dr-push --check -n main "$T/store"
is "stays as it was" "$(cd "$T/store" && find . -mindepth 1)" ./main
mkdir "$T/store/main/wal"
status 0 "and a directory in it" \
    dr-wal push --check -n main -s "$T/store"
is "stays, too" "$(cd "$T/store" && find . -mindepth 1 | sort | tr '\n' ' ')" \
    "./main ./main/wal "
rm -r "$T/store/main"

status 1 "a store that is not there" dr-push --check -n main "$T/none"
match "its name" "^$T/none" "$T/out"
match "cannot be created in" '^  create +no  MISSING  .*cannot' "$T/out"
status 1 "two stores: the worse one tells" \
    dr-push --check -n main "$T/store" "$T/none"
match "both are told of" "^$T/store" "$T/out"
match "with what to do" '^  hint +is it mounted' "$T/out"

AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
closed='s3://b/p?endpoint=http://127.0.0.1:1'
status 5 "a store that does not answer" \
    dr-push --check --json --patience 1s -n main "$closed"
is "its status as JSON" "$(field status)" 5
status 5 "beside one that does" \
    dr-push --check --patience 1s -n main "$closed" "$T/store"
match "which is told of" "^$T/store" "$T/out"
match "as is what is amiss" '^  error .*[Cc]onnect' "$T/out"
status 1 "one that is not there at all is worse" \
    dr-push --check --patience 1s -n main "$closed" "$T/none"
status 1 "in whichever order" \
    dr-push --check --patience 1s -n main "$T/none" "$closed"
status 255 "dr-wal get --check of none" dr-wal get --check -n main -s "$T/none"

if [ "$(id -u)" -ne 0 ]; then
	chmod 555 "$T/store"
	status 1 "a directory that cannot be written" \
	    dr-push --check -n other "$T/store"
	status 0 "is enough to restore from" dr-list --check "$T/store"
	match "and cannot be destroyed" 'this credential cannot write' "$T/out"
	chmod 755 "$T/store"
fi
status 2 "no store" dr-push --check -n main
status 2 "a set that cannot be" dr-push --check -n ../x "$T/store"
status 2 "a lock in a directory" \
    dr-push --check -n main --lock-days 1 "$T/store"

done_testing
