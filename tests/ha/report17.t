#!/bin/sh
# dr-lag, the report, on PostgreSQL 17.
. "${0%/*}/../lib.sh"
pg_version 17
. "${0%/*}/report_newer.sh"
