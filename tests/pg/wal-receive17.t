#!/bin/sh
# dr-wal receive of PostgreSQL 17.
export version=17
. "${0%/*}/wal_receive_newer.sh"
