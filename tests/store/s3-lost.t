#!/bin/sh
# Replies of S3 that are lost, and errors inside of a success: a body is
# stored once or not at all, and no part of it is left.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need python3

s3_server
b=$(s3_bucket) || exit 1
port=5006
: >"$T/rules"
python3 "$top/tests/store/cutter.py" "$port" "$TEST_S3_PORT" "$T/rules" \
    "$T/hits" 2>"$T/cutter" &
cutter=$!
n=0
until curl -s -o /dev/null "http://127.0.0.1:$port/" || [ "$n" -ge 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
url="s3://$b/p?endpoint=http://127.0.0.1:$port"
head -c 20000000 /dev/urandom >"$T/noise"

# try WHAT STATUS COUNT ACTION ARG REGEX
try() {
	: >"$T/hits"
	n=$((n + 1))
	printf '%s\t%s\t%s\t%s\n' "$3" "$4" "$5" "$6" >"$T/rules"
	dr-snap --stdin noise --stream -o "$T/stream" -f <"$T/noise"
	status "$2" "$1" dr-push --plain -n "s$n" "$url" <"$T/stream"
	is "$1: it happened" "$(wc -l <"$T/hits")" "$3"
	: >"$T/rules"
	if [ "$2" -eq 0 ]; then
		ok "$1: the body is there" dr-verify -n "s$n" "s3://$b/p"
	else
		is "$1: nothing is there" "$(s3_ ls "$b" "p/s$n/")" ""
	fi
	is "$1: no upload is left" "$(s3_ uploads "$b")" ""
}

try "the last reply is lost" 0 1 lost - 'POST .*uploadId='
try "an error in a success" 0 1 error200 InternalError 'POST .*uploadId='
try "an error after a success" 0 1 after200 InternalError 'POST .*uploadId='
try "a refusal in a success" 1 1 error200 InvalidPart 'POST .*uploadId='
try "the first reply is lost" 0 1 lost - 'POST .*uploads='
try "a part's reply is lost" 0 1 lost - 'PUT .*partNumber=2'
try "parts are cut off" 0 2 cut-request 100000 'PUT .*partNumber=2'
kill "$cutter"
done_testing
