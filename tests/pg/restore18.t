#!/bin/sh
# dr-restore of PostgreSQL 18.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # restore_newer.sh reads it
v=18
. "$top/tests/pg/restore_newer.sh"
