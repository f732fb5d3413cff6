#!/bin/sh
# What may go wrong on the way to Azure Blob Storage, by Azurite.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
need dr-push dr-pull dr-verify dr-list

azure_server
container=$(azure_container) || exit 1
faults azure "azblob://$container/p" "$container"
done_testing
