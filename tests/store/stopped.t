#!/bin/sh
# Servers that are stopped (SIGSTOP), and a disk there that is full: tools
# give up in time, say which store and why, and leave nothing half; then all
# goes on.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/own.sh"
. "$top/tests/store/faults.sh"
need dr-push dr-pull dr-verify dr-list dr-prune dr-mirror

# took MOST COMMAND...: in so many seconds.
took() {
	most=$1
	shift
	began=$(date +%s)
	"$@"
	secs=$(($(date +%s) - began))
	ok "  after $secs s, of $most at most" test "$secs" -le "$most"
}

# A body of 24 MB, the server being stopped after the first half.  With an
# argument, for so many seconds.
halves() {
	head -c 12000000 "$T/data"
	sleep 0.3
	own_stop
	if [ $# -gt 0 ]; then
		(
			sleep "$1"
			own_cont
		) >/dev/null 2>&1 &
	fi
	tail -c +12000001 "$T/data"
}

cleared() {
	dr-prune -n s --garbage --grace 0s --yes "$store" >"$T/out" \
	    2>"$T/err" && dr-prune -n t --no-signature --garbage --grace 0s \
	    --yes "$store" >"$T/out" 2>"$T/err" && sleep 0.5 &&
		[ -z "$(begun_in "$kind" "$bucket")" ]
}

# What is left of an upload by a server that could not be told to drop it, and
# that learns only now that it was asked to begin it.
tidy() {
	ok "  what is left is found" until_ 10 cleared
}

# Like publish, in a chain and a set of its own.
elsewhere() {
	head -c "$1" /dev/urandom >"$T/data"
	shift
	dr-snap --stdin data <"$T/data" |
		DR_STATE=$T/t.$kind dr-push -n t --plain "$@"
}

# N backups are there, and nothing else.
whole() {
	unharmed "$kind" "$store" "$bucket" "$n"
}

stopped() {
	kind=$1 store=$2 bucket=$3 n=1
	DR_STATE=$T/state.$kind
	status 0 "$kind: a backup" publish "$store"

	own_stop
	took 9 status 5 "$kind: stopped: a small body" \
	    publish --patience 1s "$store"
	match "  the store is named, with the reason" \
	    "${store%/p}.*no answer from 127.0.0.1" "$T/err"
	took 15 status 5 "$kind: stopped: one in parts" \
	    publish 20000000 --patience 1s "$store"
	match "  the store is named, with the reason" \
	    "${store%/p}.*no answer from 127.0.0.1" "$T/err"
	other=$T/$kind
	mkdir "$other"
	took 15 status 3 "$kind: stopped: another store is enough" \
	    elsewhere 20000000 --require 1 --patience 1s "$other" "$store"
	match "  it is named" "not in \"$store" "$T/err"
	own_cont
	status 0 "  the other has it" dr-verify -n t -K "$T/t.$kind/sign.key.pub" \
	    "$other"
	tidy
	whole

	head -c 24000000 /dev/urandom >"$T/data"
	halves | dr-snap --stdin data >"$T/fifo" &
	took 15 status 5 "$kind: stopped midway" \
	    dr-push -n s --plain --patience 1s "$store" <"$T/fifo"
	match "  the store is named, with the reason" \
	    "${store%/p}.*no answer from 127.0.0.1" "$T/err"
	own_cont
	wait "$!"
	tidy
	whole

	for secs in $(count pause); do
		halves "$secs" | dr-snap --stdin data >"$T/fifo" &
		status 0 "$kind: stopped midway for $secs s" \
		    dr-push -n s --plain "$store" <"$T/fifo"
		wait "$!"
		n=$((n + 1))
		ok "  the same comes back" same_back "$store"
	done
	own_stop
	(
		sleep "$(count pause)"
		own_cont
	) &
	ok "$kind: stopped while it is read" same_back "$store"
	wait "$!"
	whole
}

# What has no --patience takes its full time.
long() {
	own_stop
	took 130 status 5 "$kind: stopped: a list" dr-list -n s "$store"
	match "  is told" "${store%/p}.*no answer from 127.0.0.1" "$T/err"
	took 130 status 5 "$kind: stopped: dr-verify" dr-verify -n s "$store"
	took 40 status 3 "$kind: stopped: it can be spared" \
	    elsewhere 3000 --require 1 "$other" "$store"
	took 50 status 3 "$kind: stopped: a large body" \
	    elsewhere 60000000 --require 1 "$other" "$store"
	took 300 status 5 "$kind: stopped: dr-mirror" dr-mirror -n t \
	    -K "$T/t.$kind/sign.key.pub" "$other" "$store"
	own_cont
	tidy
	status 0 "$kind: then dr-mirror makes it whole" dr-mirror -n t \
	    -K "$T/t.$kind/sign.key.pub" "$other" "$store"
	status 0 "  it is" dr-verify -n t -K "$T/t.$kind/sign.key.pub" "$store"
}

mkfifo "$T/fifo"
s3_server
azure_server

bucket=$(s3_bucket) || exit 1
own_s3
stopped s3 "s3://$bucket/p" "$bucket"
[ "$(count long)" = 0 ] || long

own_azure
bucket=$(azure_container) || exit 1
stopped azure "azblob://$bucket/p" "$bucket"
[ "$(count long)" = 0 ] || long

# --- a disk that is full: Azurite does not answer then ------------------------------
if own_azure 12m; then
	bucket=$(azure_container) || exit 1
	kind=azure store=azblob://$bucket/p n=2
	DR_STATE=$T/state.full
	status 0 "a small disk takes a small backup" publish "$store"
	took 15 status 5 "and none that is larger than it is" \
	    publish 30000000 --patience 3s "$store"
	match "  that is told" "${store%/p}.*(no answer|answers 500)" "$T/err"
	status 0 "  another small one is taken" publish "$store"
	whole
else
	skip "a disk that is full" "no file system of our own"
fi
done_testing
