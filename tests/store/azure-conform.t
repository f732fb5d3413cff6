#!/bin/sh
# A container of Azure's Blob Storage is what every store has to be.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need "$top/build/$V/store/conform"
azure_server

none=azblob://none-$$/p
dead="azblob://none/p?account=drtest&endpoint=http://127.0.0.1:1/drtest"
"$top/build/$V/store/conform" -a "$none" -d "$dead" -n "$(count list)" \
    -r "$(count races)" "$(azure_store)"
