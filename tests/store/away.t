#!/bin/sh
# Stores over HTTP whose server is away, stays silent or is not the one that
# it should be.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
need dr-snap dr-push dr-list dr-verify python3 haproxy openssl

s3_server
azure_server
tls_certs
DR_SET=s
export DR_SET
cd "$T" || exit 1
head -c 10000000 /dev/urandom >data
i=0
# Streams of their own each time: one that is there already is not sent again.
small() {
	i=$((i + 1))
	echo "$i" | dr-snap --stdin note --stream >small || exit 1
}
names() {
	case $1 in
	s3) s3_ ls "$2" ;;
	azure) az_ ls "$2" ;;
	esac
}
uploads() {
	case $1 in
	s3) s3_ uploads "$2" ;;
	azure) az_ uploads "$2" ;;
	esac
}
# tls KIND NAME: from now on the store speaks TLS with that certificate.
tls() {
	proxy_stop
	proxy_start_ "$1" "$T/tls/$2.pem" || skip_all "HAProxy does not start"
	through_ "$1" tls
}

away() {
	kind=$1 bucket=$2 part=$4
	DR_STORE=$3
	export DR_STORE
	dr-snap --stdin data --stream <data >big || exit 1
	proxy_server "$kind"
	small
	status 0 "$kind: a push" dr-push --plain <small
	proxy_stop
	small
	dr-push --plain <small 2>err &
	pid=$!
	sleep 2
	proxy_start_ "$kind"
	wait "$pid"
	is "nobody listens for two seconds" "$?" 0
	before=$(names "$kind" "$bucket")
	is "both are there" "$(echo "$before" | grep -c '\.json$')" 2

	tls "$kind" good
	status 0 "an authority of our own" dr-list --ca-file tls/ca.pem
	status 1 "one that the system does not know" dr-list
	match "is told of" 'certificate of 127.0.0.1:[0-9]+ is not trusted' err
	match "with what to do" 'name it with --ca-file' err
	tls "$kind" expired
	status 1 "an expired certificate" dr-list --ca-file tls/ca.pem
	match "is told of" 'has expired' err
	tls "$kind" other
	status 1 "one of another host" dr-list --ca-file tls/ca.pem
	match "is told of" 'is for another host' err
	small
	status 1 "and nothing is pushed to that" \
	    dr-push --plain --ca-file tls/ca.pem <small
	is "not a thing" "$(names "$kind" "$bucket")" "$before"
	proxy_stop

	# Parts have arrived, and that is not heard of.
	cutter_server "$kind"
	cutter_rule mute - "$part"
	dr-push --plain <big 2>err &
	pid=$!
	until_ 100 test -s "$T/hits.$proxy_port"
	sleep 1
	kill -TERM "$pid"
	start=$(date +%s)
	wait "$pid"
	is "a push that is stopped dies of the signal" "$?" 143
	ok "soon" test "$(($(date +%s) - start))" -le 8
	is "nothing of it is published" "$(names "$kind" "$bucket")" "$before"
	is "and nothing is left of it" "$(uploads "$kind" "$bucket")" ""
	proxy_stop
	[ "$kind $(count 0 1)" = "s3 1" ] || return 0

	# Longer than our patience, two minutes for a request: all at once.
	proxy_server "$kind"
	proxy_fault 503
	small
	dr-push --plain <small 2>err.push &
	p1=$!
	dr-list >out.list 2>err.list &
	p2=$!
	dr-verify "$DR_STORE" >out.verify 2>err.verify &
	p3=$!
	for p in "$p1" "$p2" "$p3"; do
		wait "$p"
		is "given up: try again later" "$?" 5
	done
	for f in err.push err.list out.verify; do
		match "$f says why" '503' "$f"
	done
	proxy_stop
	is "nothing was published" "$(names "$kind" "$bucket")" "$before"
}

b=$(s3_bucket) || exit 1
away s3 "$b" "s3://$b/p" '^PUT .*partNumber='
b=$(azure_container) || exit 1
away azure "$b" "azblob://$b/p" '^PUT .*comp=block&'
done_testing
