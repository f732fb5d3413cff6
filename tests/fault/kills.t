#!/bin/sh
# Killed in the middle of any write, or before any name is given: nothing that
# looks finished and is not, and the next run goes through.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/lib.sh"
need dr-key dr-snap dr-pack dr-seal dr-push dr-pull dr-list dr-restore dr-verify \
    dr-wal zstd age minisign python3
. "${0%/*}/scenarios.sh"

for name in ${FAULTS:-$scenarios}; do
	killed "$name"
done
done_testing
