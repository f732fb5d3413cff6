#!/bin/sh
# Replies of Azure that are lost, to who may create there and not read: a body
# is stored once, and the backup is done.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
need dr-push dr-snap dr-verify python3

azure_server
c=$(azure_container) || exit 1
cutter_server azure
azure_env
conn=$AZURE_STORAGE_CONNECTION_STRING
url="azblob://$c/p?account=drtest&endpoint=http://127.0.0.1:$proxy_port/drtest"
head -c 20000000 /dev/urandom >"$T/large"
head -c 3000000 "$T/large" >"$T/small"
n=0 more=

# try STATUS RIGHTS BODY WHAT COUNT ACTION ARG REGEX
try() {
	want=$1 rights=$2 body=$3 what="$2, $3: $4"
	shift 4
	n=$((n + 1))
	cutter_clear
	# A rule that was used up stays so: each is to be another.
	cutter_rule "$1" "$2" "$3" "$4|^x$n"
	[ -z "$more" ] || printf '1\tstatus\t%s\t%s\n' "$more" "$4|^y$n" \
	    >>"$T/rules.$proxy_port"
	dr-snap --stdin noise --stream -o "$T/stream" -f <"$T/$body"
	AZURE_STORAGE_SAS_TOKEN=$(az_ sas "$c" "$rights")
	unset AZURE_STORAGE_CONNECTION_STRING
	export AZURE_STORAGE_SAS_TOKEN
	status "$want" "$what" dr-push --plain -n "s$n" "$url" <"$T/stream"
	unset AZURE_STORAGE_SAS_TOKEN
	AZURE_STORAGE_CONNECTION_STRING=$conn
	export AZURE_STORAGE_CONNECTION_STRING
	is "$what: it happened" "$(cutter_hits)" \
	    "$(grep -c . "$T/rules.$proxy_port")"
	[ "$want" -ne 0 ] ||
		ok "$what: it is there" dr-verify -n "s$n" "azblob://$c/p"
	is "$what: no upload is left" "$(az_ uploads "$c")" ""
}

list='^PUT .*comp=blocklist'
tar='^PUT .*[.]tar([?]|$)'
# In blocks where there is the right to write, which Azurite takes for that to
# replace, too; else in one request.  There, Azurite's answer to the second
# request leaves open what is missing: Azure's does not.
for rights in cw c; do
	end=$list
	[ $rights = cw ] || {
		end=$tar
		more='403 UnauthorizedBlobOverwrite'
	}
	try 0 "$rights" large "the last reply is lost" 1 lost - "$end"
	try 0 "$rights" small "the reply is lost" 1 lost - "$tar"
	try 0 "$rights" small "a signature's is" 1 lost - '^PUT .*[.]minisig'
	try 0 "$rights" small "the manifest's is" 1 lost - '^PUT .*[.]json([?]|$)'
done
more=
try 1 c small "a right may be missing" 1 lost - "$tar"
# Who may read finds out whose it is.
try 0 cwr large "the last reply is lost" 1 lost - "$list"
try 1 cwr small "the name is taken, and not by us" 1 \
    status '409 BlobAlreadyExists' "$tar"
# No reply was lost: it is another's.
try 1 cw small "the name is taken" 1 status '409 BlobAlreadyExists' "$tar"
match "which it says" 'it exists' "$T/err"
cutter_clear
done_testing
