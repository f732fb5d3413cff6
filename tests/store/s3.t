#!/bin/sh
# What goes wrong with S3, by Ceph's gateway.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
need dr-push dr-pull dr-verify dr-list

s3_server
bucket=$(s3_bucket) || exit 1
faults s3 "s3://$bucket/p" "$bucket"
done_testing
