#!/bin/sh
# S3, by Ceph's gateway, held to what every store has to be.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need "$top/build/$V/store/conform"

s3_server
store=$(s3_store) && locked=$(s3_store --lock) || exit 1
# -m: radosgw heeds no condition where two uploads in parts race.
"$top/build/$V/store/conform" -m -n "$(count pages)" -r "$(count races)" \
    -a "s3://no-such-bucket-$$/p" \
    -d "s3://dead/p?endpoint=http://127.0.0.1:9" -l "$locked" \
    "$store/pre fix"
