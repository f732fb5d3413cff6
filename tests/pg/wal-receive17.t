#!/bin/sh
# dr-wal receive of PostgreSQL 17.
version=17
. "${0%/*}/wal_receive_newer.sh"
