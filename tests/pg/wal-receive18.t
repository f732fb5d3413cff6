#!/bin/sh
# dr-wal receive of PostgreSQL 18.
export version=18
. "${0%/*}/wal_receive_newer.sh"
