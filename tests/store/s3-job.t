#!/bin/sh
# The main job and recovery to a point in time through S3, by Ceph's gateway.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/store/job.sh"
need dr-wal dr-restore psql

s3_server
job_keys
job_files "$(s3_store)"
job_pg "$(s3_store)"
done_testing
