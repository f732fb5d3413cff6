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
head -c 20000000 /dev/urandom >"$T/large"
head -c 3000000 "$T/large" >"$T/small"
body=large more=

# try WHAT STATUS COUNT ACTION ARG REGEX; $more: rules that come after it
try() {
	: >"$T/hits"
	n=$((n + 1))
	# A rule that was used up stays so: each is to be another.
	printf '%s\t%s\t%s\t%s\n%b' "$3" "$4" "$5" "$6" "$more" |
	    sed "s/\$/|^x$n/" >"$T/rules"
	dr-snap --stdin noise --stream -o "$T/stream" -f <"$T/$body"
	status "$2" "$1" dr-push --plain -n "s$n" "$url" <"$T/stream"
	is "$1: it happened" "$(grep -c -e "$6" "$T/hits")" \
	    "$(($3 + $(printf '%b' "$more" | grep -c -F "$6")))"
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

r=CompleteMultipartUploadResult
printf '1\tafter200\t%s\tPOST .*uploadId=|^y\n' "<$r><ETag>&quot;$(
    echo x | md5sum | cut -c 1-32)-2&quot;</ETag></$r>" >"$T/rules"
status 4 "a body of fewer parts is no success" \
    dr-push --plain -n fewer "$url" <"$T/stream"
match "which it says" 'sent in 3 parts, and the store made an object of 2' \
    "$T/err"

# What the keys may not read.
hidden='9\tstatus\t403 AccessDenied\t(GET|HEAD) .*[.]tar\n'
more="1\tforget\t412\tPOST .*uploadId=\n$hidden"
try "it is there, and cannot be read" 0 1 lost - 'POST .*uploadId='
ok "and was asked for" grep -q 'HEAD .*[.]tar' "$T/hits"

body=small more=
try "a small body's reply is lost" 0 1 lost - 'PUT .*[.]tar'
more="1\tforget\t412\tPUT .*[.]tar\n$hidden"
try "it cannot be read" 0 1 lost - 'PUT .*[.]tar'
more='1\tforget\t412\tPUT .*[.]tar\n'
try "the name is taken, and not by us" 1 1 status '500 InternalError' \
    'PUT .*[.]tar'
kill "$cutter"
done_testing
