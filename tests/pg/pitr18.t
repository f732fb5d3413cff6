#!/bin/sh
# Point-in-time recovery on PostgreSQL 18.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2034 # pitr_newer.sh reads it
version=18
. "$top/tests/pg/pitr_newer.sh"
