#!/bin/sh
# The main job and recovery through Azure Blob Storage, by Azurite.
# (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/store/job.sh"
need dr-wal dr-restore psql

azure_server
job_keys
job_files "$(azure_store)"
job_pg "$(azure_store)"
done_testing
