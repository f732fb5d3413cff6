#!/bin/sh
# dr-restore --delta of PostgreSQL 15.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # restore_delta.sh reads it
v=15
. "$top/tests/pg/restore_delta.sh"
