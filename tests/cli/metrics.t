#!/bin/sh
# dr-metrics(7), what the tools write, and what rules and the dashboard use:
# each is held against the others.  (release only)
. "${0%/*}/../lib.sh"
need python3 promtool

# Textfiles as they come.
cd "$T" || exit 1
mkdir a b m
DR_METRICS_DIR=$T/m DR_SET=main
export DR_METRICS_DIR DR_SET
status 0 "a push" sh -c 'echo x | dr-snap --stdin note | dr-push --plain a'
status 0 "a mirror" dr-mirror a b
status 0 "a verification" dr-verify b
status 0 "a restore" dr-restore -D to b
status 0 "a look at the garbage" dr-prune --garbage b
status 1 "a push that fails" sh -c 'dr-snap --stdin y </dev/null |
	dr-push --plain none'
promtool check metrics <<END >"$T/lint" 2>&1
$(cat m/*.prom)
END
is "promtool finds them clean" "$(cat "$T/lint")" ""

python3 "$top/tests/cli/metrics.py" "$top" "$T/m" >"$T/strange" 2>"$T/seen"
is "the comparison ends well" "$?" 0
note "$(cat "$T/seen")"
is "it found names, alerts and samples" \
    "$(awk '{ print ($1 > 50 && $4 > 100 && $8 > 40 && $10 > 20) }' "$T/seen")" 1
is "page, sources, rules and dashboard agree" "$(cat "$T/strange")" ""
done_testing
