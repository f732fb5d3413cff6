#!/bin/sh
# dr-snap of a server of version 18.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # snap_newer.sh reads it
v=18
. "$top/tests/pg/snap_newer.sh"
