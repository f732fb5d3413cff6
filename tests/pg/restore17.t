#!/bin/sh
# dr-restore of PostgreSQL 17.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # restore_newer.sh reads it
v=17
. "$top/tests/pg/restore_newer.sh"
