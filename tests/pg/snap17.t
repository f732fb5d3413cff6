#!/bin/sh
# dr-snap of a server of version 17.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # snap_newer.sh reads it
v=17
. "$top/tests/pg/snap_newer.sh"
