#!/bin/sh
# Azure Blob Storage, by Azurite, held to what every store has to be.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need "$top/build/$V/store/conform"

azure_server
store=$(azure_store) || exit 1
"$top/build/$V/store/conform" -b -n "$(count azpages)" -r "$(count races)" \
    -a azblob://t-none/p \
    -d "azblob://t-none/p?endpoint=http://127.0.0.1:1/drtest" "$store"
