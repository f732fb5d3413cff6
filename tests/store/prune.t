#!/bin/sh
# dr-prune --garbage through servers: what a push that was killed leaves there
# is found and removed, and backups stay.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-prune dr-push dr-snap dr-verify pgrep

cd "$T" || exit 1
export DR_SET # a set for each store
# clears KIND URL
clears() {
	kind=$1 url=$2 DR_SET=$1
	echo one | dr-snap --stdin note --stream >one || return
	status 0 "$kind: a backup" dr-push --plain "$url" <one
	rm -f pipe
	mkfifo pipe
	# More than is sent in one request.
	{
		head -c 60000000 /dev/zero
		: >sent
		exec sleep 60
	} | dr-snap --stdin x >pipe &
	snap=$!
	rm -f sent
	dr-push --plain "$url" <pipe 2>err &
	push=$!
	n=0
	while [ ! -e sent ] && [ "$n" -lt 400 ]; do
		n=$((n + 1))
		sleep 0.05
	done
	sleep 0.5
	kill -KILL "$push"
	wait "$push" 2>/dev/null
	for p in $(pgrep -x -P $$ sleep) $(pgrep -P $$ -f 'sleep 60'); do
		kill "$p" 2>/dev/null
	done
	wait "$snap" 2>/dev/null
	status 0 "$kind: a plan" dr-prune --garbage "$url"
	is "$kind: what is young is none of it" "$(grep -c planned out)" 0
	status 0 "$kind: a plan without a grace" \
	    dr-prune --garbage --grace 1ms --json "$url"
	is "$kind: it has the upload" \
	    "$(grep -c '"what":"upload","status":"planned"' out)" 1
	status 0 "$kind: done" dr-prune --garbage --grace 1ms --yes "$url"
	match "$kind: it is removed" '^upload +deleted' out
	status 0 "$kind: again" dr-prune --garbage --grace 1ms --yes "$url"
	is "$kind: nothing is left to do" "$(cat out)" ""
	status 0 "$kind: the backup is whole" dr-verify "$url"
}

# Each where its server can be had; with CI=true it must.
for kind in sftp azure s3; do
	if ! (server_ "$kind") >server.out 2>&1; then
		[ "${CI:-}" != true ] || fail_ "a server of $kind" server.out
		skip "$kind" "there is no server"
		continue
	fi
	"${kind}_env"
	clears "$kind" "$("${kind}_store")"
done

# Where versions are kept, a manifest still names what it named before it was
# overwritten.
if (server_ s3) >server.out 2>&1; then
	s3_env
	DR_SET=v
	store=$(s3_store --versioned)
	echo two | dr-snap --stdin note --stream >two
	status 0 "versions: a backup" dr-push --plain "$store" <two
	bucket=${store#s3://}
	bucket=${bucket%%/*}
	manifest=$(s3_ ls "$bucket" | grep '/v/snap/.*Z-[0-9a-f]*\.json$')
	echo '{"object":{"name":"v/snap/20260101T000000Z-0123456789abcdef.tar"}}' \
	    >forged
	s3_ put "$bucket" "$manifest" forged
	status 0 "versions: its manifest is overwritten" \
	    dr-prune --garbage --grace 1ms --yes "$store"
	nomatch "versions: its body stays" '^body' out
	is "versions: it is there" "$(s3_ ls "$bucket" | grep -c '\.tar$')" 1
fi

done_testing
