#!/bin/sh
# dr-restore --delta of PostgreSQL 17.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # restore_delta.sh reads it
v=17
. "$top/tests/pg/restore_delta.sh"
