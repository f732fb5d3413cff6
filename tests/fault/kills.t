#!/bin/sh
# Killed in the middle of any write, or before any name is given: nothing that
# looks finished and is not, and the next run goes through.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/lib.sh"
need dr-key dr-snap dr-pack dr-seal dr-push dr-pull zstd
. "${0%/*}/scenarios.sh"

for name in ${FAULTS:-snap pack seal push pull key sign_key}; do
	killed "$name"
done
done_testing
