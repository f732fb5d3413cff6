#!/bin/sh
# Whatever call fails, the tool says so once, leaves nothing that looks
# finished and is not, and the next run goes through.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/lib.sh"
need dr-key dr-snap dr-pack dr-seal dr-push dr-pull dr-list dr-restore dr-verify \
    dr-wal zstd age minisign python3
. "${0%/*}/scenarios.sh"

for name in ${FAULTS:-$scenarios}; do
	every "$name"
done
done_testing
