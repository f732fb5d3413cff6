#!/bin/sh
# --check against Azurite, which ignores locks.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-push python3 node

cd "$T" || exit 1
says() { # NAME REGEX
	match "$1: $2" "^  $1 +$2" "$T/out"
}

azure_server
c=$(azure_container)
status 3 "Azurite, which ignores locks" dr-push --check -n s \
    --lock-days 1 "azblob://$c/p"
says create-only yes
says lock 'no  DOES NOT HOLD'
base=$(printf '%s' "$AZURE_STORAGE_CONNECTION_STRING" |
	sed 's/.*BlobEndpoint=\([^;]*\);.*/\1/')
AZURE_STORAGE_SAS_TOKEN=$(az_ sas "$c" c)
unset AZURE_STORAGE_CONNECTION_STRING
export AZURE_STORAGE_SAS_TOKEN
status 0 "a signature that can create alone" dr-push --check -n s \
    "azblob://$c/sas?account=drtest&endpoint=$base"
says overwrite no
says delete no
says protection 'this credential can create, and neither'

done_testing
