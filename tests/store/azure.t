#!/bin/sh
# Azure Blob Storage: who is let in and how, what is refused, and what a
# server ignores that it should not.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
need dr-snap dr-push dr-pull dr-list dr-verify python3 node

azure_server
cd "$T" || exit 1
head -c 20000000 /dev/urandom >noise # three parts
echo small >little
key=$(printf '%s' "$AZURE_STORAGE_CONNECTION_STRING" |
	sed 's/.*AccountKey=\([^;]*\);.*/\1/')
base=$(printf '%s' "$AZURE_STORAGE_CONNECTION_STRING" |
	sed 's/.*BlobEndpoint=\([^;]*\);.*/\1/')

# push FILE STORE [SET]
push() {
	sh -c 'dr-snap --stdin x <"$1" | dr-push --plain -n "$3" "$2"' \
	    sh "$1" "$2" "${3:-s}"
}

secretless() {
	nomatch "$1: and no secret is told" "$(printf '%s' "$2" | cut -c1-20)" \
	    "$T/err"
}

# --- where users have their credentials ---------------------------------------
c=$(azure_container)
ok "connection string: stored" push noise "azblob://$c/conn"
status 0 "connection string: listed" dr-list -n s "azblob://$c/conn"
match "under its name" 'azblob://|full' "$T/out"

unset AZURE_STORAGE_CONNECTION_STRING
e="endpoint=$base"
ok "account and key: stored" env AZURE_STORAGE_ACCOUNT=drtest \
    AZURE_STORAGE_KEY="$key" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n s "$1"' sh "azblob://$c/key?$e"
status 0 "a key for one of several accounts" \
    env AZURE_STORAGE_ACCOUNT=other AZURE_STORAGE_KEY=AAAA \
    AZURE_STORAGE_KEY_drtest="$key" dr-list -n s \
    "azblob://$c/key?account=drtest&$e"
status 2 "a key of another account" env AZURE_STORAGE_ACCOUNT=other \
    AZURE_STORAGE_KEY="$key" dr-list -n s "azblob://$c/key?account=drtest&$e"
match "says whose it is" 'is for account "other"' "$T/err"
match "and where this one's goes" 'AZURE_STORAGE_KEY_drtest' "$T/err"
status 2 "a SAS in the URL is refused" dr-list -n s \
    "azblob://$c/key?account=drtest&sig=abc"

bad=$(printf 'wrongwrongwrong' | base64)
status 1 "a wrong key" env AZURE_STORAGE_ACCOUNT=drtest \
    AZURE_STORAGE_KEY="$bad" dr-list -n s "azblob://$c/key?$e"
match "what may be wrong" 'hint: .*key.*account "drtest".*clock' "$T/err"
secretless "a wrong key" "$bad"

# --- a signature that can create and do nothing else -----------------------------
sas=$(az_ sas "$c" c)
export AZURE_STORAGE_SAS_TOKEN="$sas"
u="azblob://$c/sas?account=drtest&$e"
ok "create-only: a backup in one long request is stored" push noise "$u"
ok "create-only: and a small one" push little "$u"
status 1 "create-only: it cannot be listed" dr-list -n s "$u"
match "create-only: for want of a right" 'do not allow|rights' "$T/err"
secretless "create-only" "${sas##*sig=}"
name=$(az_ ls "$c" sas/s/snap/ | grep 'tar$' | head -n 1)
size=$(az_ get "$c" "$name" | cksum)

# code METHOD QUERY HEADER...: what the service answers
code() {
	python3 - "$base/$c/$name?$sas$2" "$1" <<-'END'
	import sys, urllib.request, urllib.error
	r = urllib.request.Request(sys.argv[1], method=sys.argv[2],
	    data=b"other" if sys.argv[2] == "PUT" else None,
	    headers={"x-ms-blob-type": "BlockBlob",
	        "x-ms-version": "2021-12-02"})
	try:
	    print(urllib.request.urlopen(r).status)
	except urllib.error.HTTPError as e:
	    print(e.code)
	END
}
status 1 "create-only: it cannot be read, either" dr-pull -n s \
    --object "${name#sas/}" -o x "$u"
is "create-only: it cannot be overwritten" "$(code PUT '')" 403
is "create-only: nor deleted" "$(code DELETE '')" 403
is "create-only: nor read" "$(code GET '')" 403
is "create-only: it is as it was" "$(az_ get "$c" "$name" | cksum)" "$size"
AZURE_STORAGE_SAS_TOKEN=$(az_ sas "$c" rcl -5)
status 1 "a signature that has expired" dr-list -n s "$u"
match "says that it may have" 'still valid' "$T/err"
unset AZURE_STORAGE_SAS_TOKEN
azure_env

# --- names -------------------------------------------------------------------------
u="azblob://$c/Sicherung Nürnberg/日本 a+b"
ok "spaces and UTF-8 in the prefix: stored" push noise "$u" utf8
status 0 "listed" dr-list -n utf8 "$u"
ok "fetched" dr-pull -n utf8 -o back "$u"
status 0 "verified, its name percent-encoded" dr-verify -n utf8 \
    "azblob://$c/Sicherung%20N%C3%BCrnberg/%E6%97%A5%E6%9C%AC%20a%2Bb"
is "where it belongs" "$(az_ ls "$c" 'Sicherung Nürnberg/日本 a+b/utf8/snap/' |
    wc -l)" 3

# --- what is not there, and what is ignored ------------------------------------------
status 1 "no such container" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n s azblob://t-none/x'
match "is named" 'there is no container "t-none"' "$T/err"
match "and how to make it" 'az storage container create' "$T/err"
status 1 "a lock that the server ignores" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n s --lock-days 1 "$1"' sh "azblob://$c/lock"
match "is noticed" 'not locked as was asked' "$T/err"
nomatch "before a backup was made of it" 'json$' \
    "$(az_ ls "$c" lock/ >"$T/ls"; echo "$T/ls")"
status 1 "a legal hold that it ignores" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n s --legal-hold "$1"' sh "azblob://$c/hold"
match "is noticed, too" 'not locked as was asked' "$T/err"
status 1 "an encryption scope that it ignores" sh -c 'dr-snap --stdin x \
    <little | dr-push --plain -n s --sse scope:mine "$1"' sh \
    "azblob://$c/scope"
match "is noticed as well" 'encryption scope "mine"' "$T/err"
status 2 "another kind of encryption" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n s --sse aws:kms "$1"' sh "azblob://$c/scope"
status 0 "the archive tier: stored" sh -c 'dr-snap --stdin x <little |
    dr-push --plain -n arch --storage-class archive "$1"' sh "azblob://$c/arch"
status 0 "the archive tier: listed, since manifests are not in it" \
    dr-list -n arch "azblob://$c/arch"
status 1 "the archive tier: not read" dr-pull -n arch -o a "azblob://$c/arch"
match "the archive tier: how long it takes" '15 hours' "$T/err"

# --- a reply that was lost -------------------------------------------------------------
cutter_server azure
cutter_rule 1 lost - 'PUT .*comp=blocklist'
ok "the reply to the last request was lost: it is our own" \
    push noise "azblob://$c/lost" lost
is "and it was lost" "$(cutter_hits)" 1
cutter_rule 1 lost - 'PUT .*[.]tar'
ok "the same with one that is small" push little "azblob://$c/lost" lost
cutter_rule 1 lost - 'PUT .*[.]json '
ok "the same with a manifest" push little "azblob://$c/lost" lost
cutter_clear
azure_env
status 0 "all are there" dr-verify -n lost "azblob://$c/lost"

# --- tokens -----------------------------------------------------------------------------
tls_certs
mkdir az
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
sed '/PRIVATE KEY/,/PRIVATE KEY/d' tls/good.pem >az/cert.pem
sed -n '/BEGIN .*PRIVATE KEY/,/END .*PRIVATE KEY/p' tls/good.pem >az/key.pem
(
	cd az || exit 1
	AZURITE_ACCOUNTS="drtest:$key" exec node \
	    "$TEST_SERVERS/azure/app/node_modules/azurite/dist/src/blob/main.js" \
	    --blobHost 127.0.0.1 --blobPort "$port" --oauth basic \
	    --cert "$T/az/cert.pem" --key "$T/az/key.pem" \
	    --location "$T/az" --disableTelemetry --silent >"$T/az.log" 2>&1
) &
az=$!
mkfifo hold
python3 "$top/tests/store/azidp.py" "$T/idp.log" <hold >idp.port &
exec 3>hold
until_ 300 port_open_ "$port" || note "no server: $(cat az.log)"
until_ 100 test -s idp.port
idp=http://127.0.0.1:$(cat idp.port)

u="azblob://tok/p?account=drtest&endpoint=https://127.0.0.1:$port/drtest"
ca="--ca-file $T/tls/ca.pem"
unset AZURE_STORAGE_CONNECTION_STRING
ok "a container by a token" python3 - "$port" "$idp" "$T/tls/ca.pem" <<'END'
import json, ssl, sys, urllib.request
t = json.load(urllib.request.urlopen(urllib.request.Request(
    sys.argv[2] + "/msi?resource=https://storage.azure.com/",
    headers={"X-IDENTITY-HEADER": "sesame"})))["access_token"]
urllib.request.urlopen(urllib.request.Request(
    f"https://127.0.0.1:{sys.argv[1]}/drtest/tok?restype=container",
    method="PUT", headers={"Authorization": "Bearer " + t,
    "x-ms-version": "2021-12-02"}),
    context=ssl.create_default_context(cafile=sys.argv[3]))
END
: >idp.log
tokpush='dr-snap --stdin x <noise | dr-push --plain -n s $1 "$2"'
ok "an app's identity: stored" env IDENTITY_ENDPOINT="$idp/msi" \
    IDENTITY_HEADER=sesame sh -c "$tokpush" sh "$ca" "$u"
is "with one token for all requests" "$(grep -c . idp.log)" 1
: >idp.log
ok "a token that is refused is asked for again" env \
    IDENTITY_ENDPOINT="$idp/stale" IDENTITY_HEADER=sesame \
    sh -c "$tokpush" sh "$ca" "$u"
is "once" "$(grep -c . idp.log)" 2
status 1 "no identity" env IDENTITY_ENDPOINT="$idp/msi" \
    IDENTITY_HEADER=wrong sh -c 'dr-list -n s $1 "$2"' sh "$ca" "$u"
match "says why" 'cannot get a token .* 400 the header is wrong' "$T/err"
echo assertion >jwt
status 0 "a workload's identity" env AZURE_FEDERATED_TOKEN_FILE="$T/jwt" \
    AZURE_CLIENT_ID=c1 AZURE_TENANT_ID=t1 AZURE_AUTHORITY_HOST="$idp/" \
    sh -c 'dr-list -n s $1 "$2"' sh "$ca" "$u"
status 0 "a service principal's secret" env AZURE_CLIENT_SECRET=hush \
    AZURE_CLIENT_ID=c1 AZURE_TENANT_ID=t1 AZURE_AUTHORITY_HOST="$idp/" \
    sh -c 'dr-list -n s $1 "$2"' sh "$ca" "$u"
status 1 "a wrong secret" env AZURE_CLIENT_SECRET=hushhush \
    AZURE_CLIENT_ID=c1 AZURE_TENANT_ID=t1 AZURE_AUTHORITY_HOST="$idp/" \
    sh -c 'dr-list -n s $1 "$2"' sh "$ca" "$u"
match "is told apart" 'AADSTS7000215' "$T/err"
nomatch "and not told" hushhush "$T/err"
exec 3>&-
kill "$az"
wait "$az" 2>/dev/null
done_testing
