#!/bin/sh
# dr-lag, the report, on PostgreSQL 18.
. "${0%/*}/../lib.sh"
pg_version 18
. "${0%/*}/report_newer.sh"
