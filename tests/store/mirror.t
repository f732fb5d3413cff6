#!/bin/sh
# dr-mirror from store to store, of every kind: byte for byte, whole after
# anything that ended it, and never what was not signed.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
need dr-mirror dr-wal dr-verify python3

s3_server
azure_server
sftp_server
cd "$T" || exit 1
dr-key new -o id 2>"$T/err"
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
wal=s/wal/7300000000000000001/00000001
S=0000000100000000000000

segments() { # NAME... -- STORE OPTION...
	names=
	while [ "$1" != -- ]; do
		names="$names $1"
		shift
	done
	shift
	for n in $names; do
		python3 "$top/tests/walseg.py" pg "$S$n" "seed=$n" &&
			(cd pg && dr-wal push "$@" "pg_wal/$S$n") ||
			rc_=$?
	done
	return "${rc_:-0}"
}
# Objects of a bucket or container below "p", without it.
held() {
	case $1 in
	s3) s3_ ls "$2" | sed 's|^p/||' ;;
	az) az_ ls "$2" | sed 's|^p/||' ;;
	esac | sort
}
listed() {
	(cd "$1" && find . -type f | sed 's|^\./||' | sort)
}
verified() {
	status 0 "$1" dr-verify "$2"
}

# --- from one kind to the next ------------------------------------------------------
mkdir a
ok "a backup" publish 100 a
ok "one in parts" publish 20000000 a
ok "WAL" segments 01 02 03 -- -s "$T/a"
ok "its ledger" dr-wal push --ledger -s "$T/a"
ok "more WAL" segments 04 -- -s "$T/a"
ok "its ledger" dr-wal push --ledger -s "$T/a"
bucket=$(s3_bucket) && container=$(azure_container) && dir=$(sftp_dir) ||
	exit 1
s3=s3://$bucket/p az=azblob://$container/p sftp=$(sftp_store "$dir")
mkdir b
from=a
for to in "$s3" "$az" "$sftp" b; do
	what="${from%%:*} to ${to%%:*}"
	status 0 "$what" dr-mirror "$from" "$to"
	is "  silently" "$(cat "$T/out" "$T/err")" ""
	verified "  it is intact" "$to"
	status 0 "  again" dr-mirror --json "$from" "$to"
	match "  there is nothing to do" '"lacking":0,' "$T/out"
	from=$to
done
is "the bucket holds the same" "$(held s3 "$bucket")" "$(listed a)"
is "the container, too" "$(held az "$container")" "$(listed a)"
ok "by SFTP byte for byte the same" diff -r a "$dir"
ok "and in the last, after all of them" diff -r a b

# --- a store that was left out, and one that was killed ------------------------------
dead="s3://$bucket/p?endpoint=http://127.0.0.1:1"
status 3 "a backup that one store did not get" \
    publish --require 2 --patience 1s "$dead" "$az" "$sftp"
segments 05 06 -- --require 2 -s "$dead" -s "$az" -s "$sftp" 2>"$T/err"
ok "WAL that all got" segments 07 -- -s "$s3" -s "$az" -s "$sftp"
ok "and its ledger" dr-wal push --ledger -s "$s3" -s "$az" -s "$sftp"
cutter_server s3
cutter_rule slow-request 2000000 '^PUT .*partNumber='
head -c 40000000 /dev/urandom >data
dr-snap --stdin data <data | dr-push -n s --plain --require 2 --patience 2s \
    "$s3" "$az" "$sftp" >"$T/out" 2>"$T/err" &
pid=$!
until_ 100 test -s "$T/hits.$proxy_port"
kill -KILL "$proxy_pid_"
wait $pid
is "a store is killed in the middle" "$?" 3
s3_env
ok "a backup that all got" publish "$s3" "$az" "$sftp"
status 4 "the store has holes" dr-verify "$s3"
match "  in its WAL" "$S(05|06)|gap|miss" "$T/out"
status 0 "what it lacks" dr-mirror --dry-run --json "$az" "$s3"
match "  is known" '"lacking":[1-9]' "$T/out"
status 0 "it is made whole" dr-mirror "$az" "$s3"
verified "  and verifies" "$s3"
is "  with what the others have" "$(held s3 "$bucket")" "$(listed "$dir")"
status 0 "what has come" dr-mirror "$s3" a
ok "  is the same in a directory" diff -r a "$dir"

# --- interrupted ---------------------------------------------------------------------
for sig in TERM KILL; do
	b2=$(s3_bucket) && c2=$(azure_container) && d2=$(sftp_dir) || exit 1
	for to in "s3://$b2/p" "azblob://$c2/p" "$(sftp_store "$d2")"; do
		what="${to%%:*}, SIG$sig"
		n=0
		for at in 0.05 0.1 0.2 0.4; do
			dr-mirror --limit-rate 40M a "$to" 2>"$T/err" &
			pid=$!
			sleep $at
			kill -$sig $pid 2>/dev/null
			wait $pid
			case $? in
			0 | 137 | 143) ;;
			*) n=$((n + 1)) && sed 's/^/# /' "$T/err" ;;
			esac
			[ $sig = TERM ] || sleep 0.3
		done
		is "$what: it ends by it" "$n" 0
		if [ $sig = TERM ]; then
			is "  no upload is left in the bucket" \
			    "$(s3_ uploads "$b2")" ""
			is "  nor in the container" "$(az_ uploads "$c2")" ""
			is "  nor a temporary" \
			    "$(find "$d2" -name '.*.tmp')" ""
		fi
		status 0 "  the next run goes on" dr-mirror a "$to"
		verified "  and all is there" "$to"
	done
	is "the bucket holds it all" "$(held s3 "$b2")" "$(listed a)"
	find "$d2" -name '.*.tmp' -delete
	ok "and the directory" diff -r a "$d2"
done

# --- overwritten in the source --------------------------------------------------------
b3=$(s3_bucket --versioned) || exit 1
status 0 "into a bucket that keeps versions" dr-mirror a "s3://$b3/p"
echo forged >forged
for n in $(s3_ ls "$b3" | grep -v minisig); do
	s3_ put "$b3" "$n" forged || echo "$n"
done >over
is "all of it is overwritten" "$(cat over)" ""
mkdir seen
status 0 "it is seen through" dr-mirror "s3://$b3/p" seen
match "  and told of" 'overwritten' "$T/err"
ok "  what was signed has come" diff -r a seen
b3=$(s3_bucket --versioned) || exit 1
status 0 "into another such bucket" dr-mirror a "s3://$b3/p"
ok "  WAL is deleted there" s3_ rm "$b3" "p/$wal/${S}02.zst.age"
mkdir back
status 0 "it is found" dr-mirror "s3://$b3/p" back
match "  and told of" 'deleted' "$T/err"
ok "  all has come" diff -r a back
# Without versions what is not signed for stays where it is.
b3=$(s3_bucket) || exit 1
status 0 "into one that keeps none" dr-mirror a "s3://$b3/p"
s3_ put "$b3" "p/$wal/${S}02.zst.age" forged
mkdir unseen
status 4 "what is forged there" dr-mirror "s3://$b3/p" unseen
ok "  is not copied" test ! -e "unseen/$wal/${S}02.zst.age"
ok "  and the rest is" test -e "unseen/$wal/${S}03.zst.age"

# --- locked --------------------------------------------------------------------------
b4=$(s3_bucket --lock) || exit 1
status 0 "locked in the target" dr-mirror --lock-days 1 a "s3://$b4/p"
s3_ versions "$b4" | while read -r kind name version _; do
	[ "$kind" = Version ] || continue
	s3_ raw DELETE "/$b4/$name" "versionId=$version" >/dev/null \
	    2>"$T/rm.err" && echo "$name"
done >gone
is "  its owner can delete none" "$(cat gone)" ""
is "  of all that there is" "$(held s3 "$b4")" "$(listed a)"
b4=$(s3_bucket) || exit 1
status 1 "where nothing is locked" dr-mirror --lock-days 1 a "s3://$b4/p"
match "  it is asked about" 'does the bucket lock objects' "$T/err"
is "  and nothing is named there" "$(s3_ ls "$b4" | grep -c 'json$')" 0
is "  nor an upload left" "$(s3_ uploads "$b4")" ""

# --- away, and refused ------------------------------------------------------------------
here() {
	timeout 120 dr-mirror "$@"
}
status 0 "--help" dr-mirror --help
if grep -q -e --patience "$T/out"; then
	patience='--patience 1s'
else
	patience=
fi
# shellcheck disable=SC2086 # two words
status 5 "a target that is away" here $patience a \
    "sftp://nobody@127.0.0.1:1/x"
match "  is named" '127.0.0.1:1' "$T/err"
b5=$(s3_bucket) || exit 1
status 1 "a wrong key" env AWS_SECRET_ACCESS_KEY=wrong \
    dr-mirror a "s3://$b5/p"
match "  is told of" 'the secret key is wrong' "$T/err"
status 1 "no such bucket" dr-mirror a "s3://t-none-$$/p"
mkdir empty
status 1 "a source without a set" env -u DR_SET dr-mirror "s3://$b5/p" empty

# The target goes away in the middle: it ends, and not after hours.
proxy_server s3
proxy_fault 503 100 '^PUT .*partNumber='
(
	sleep 2
	proxy_fault none
) &
status 0 "503 for a while" dr-mirror a "s3://$b5/p"
wait $!
verified "  it is whole" "s3://$b5/p"
proxy_stop
s3_env
is "  and nothing is left" "$(s3_ uploads "$b5")" ""

# --- no faster than was asked --------------------------------------------------------
rm -rf slow
mkdir slow
bytes=$(find a -type f -exec cat {} + | wc -c)
start=$(date +%s%N)
status 0 "--limit-rate" dr-mirror --limit-rate $((bytes / 3)) a slow
ms=$((($(date +%s%N) - start) / 1000000))
note "$bytes bytes, meant for 3000 ms, took $ms ms"
ok "is kept to" test "$ms" -ge 2000
ok "and made use of" test "$ms" -le 6000
ok "all has come" diff -r a slow

done_testing
