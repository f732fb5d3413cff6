#!/bin/sh
# The examples for Prometheus, Alertmanager and Grafana: they are valid, each
# rule does what it is for, and messages go to whom they should.
# (release only)
. "${0%/*}/../lib.sh"
need promtool amtool python3

cd "$top/scripts/monitoring" || exit 1
ok "Prometheus takes its configuration and the rules" \
    promtool check config prometheus.yml
for f in recording alerts alerts-days; do
	ok "unit tests of rules: $f.yml" \
	    promtool test rules "$top/tests/cli/rules/$f.yml"
done
# A test that cannot fail would say nothing.
awk '/^- name:/ { other = !/PostgresTwoPrimaries/ } !other' \
    "$top/tests/cli/rules/alerts.yml" |
	sed "s|\.\./\.\./\.\./scripts|$top/scripts|g; s/1x5 2x10/1x15/" \
	    >"$T/changed.yml"
match "it has two primaries" "values: '1x15'" "$T/changed.yml"
status 1 "with one primary the test for two fails" \
    promtool test rules "$T/changed.yml"

ok "Alertmanager takes its configuration" amtool check-config alertmanager.yml
to() { # LABEL=VALUE...
	amtool config routes test --config.file=alertmanager.yml "$@"
}
is "what is critical goes to all" \
    "$(to severity=critical alertname=PostgresPrimaryDown)" pager,channel,mail
is "a warning lets people sleep" "$(to severity=warning)" channel,mail
is "anything else is mailed" "$(to severity=info)" mail

python3 dashboard.py >"$T/dashboard.json"
ok "the dashboard is what its source makes" cmp "$T/dashboard.json" dashboard.json
python3 - dashboard.json >"$T/out" <<'END'
import json, sys

d = json.load(open(sys.argv[1]))
seen, ids = {}, set()
for p in d["panels"]:
    if p["id"] in ids:
        print("id", p["id"], "twice")
    ids.add(p["id"])
    g = p["gridPos"]
    if g["x"] + g["w"] > 24:
        print(p["title"], "is too wide")
    for x in range(g["x"], g["x"] + g["w"]):
        for y in range(g["y"], g["y"] + g["h"]):
            if (x, y) in seen:
                print(p["title"], "lies upon", seen[x, y])
            seen[x, y] = p["title"]
    if p["type"] != "row" and not all(t["expr"] for t in p["targets"]):
        print(p["title"], "asks nothing")
rows = [p["title"] for p in d["panels"] if p["type"] == "row"]
if rows != ["Operations", "Executive", "Security", "Performance"]:
    print(rows)
END
is "its panels lie side by side, in four rows" "$(cat "$T/out")" ""

sed -n 's/^ARGS=/args=/p' node-exporter.default >"$T/args"
ok "node_exporter's options are words of the shell" sh -n "$T/args"
match "and name the folder" 'textfile.directory=/' "$T/args"
done_testing
