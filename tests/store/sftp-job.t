#!/bin/sh
# The main job and recovery to a point in time through OpenSSH's SFTP server.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/store/job.sh"
need dr-wal dr-restore psql

sftp_server
job_keys
job_files "$(sftp_store)"
job_pg "$(sftp_store)"
done_testing
