#!/bin/sh
# dr-chaos: what is broken, and that no acknowledged write is lost by it.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
. "${0%/*}/ring.sh"
. "${0%/*}/chaos.sh"

# --- the catch ------------------------------------------------------------------
status 2 "a set that does not allow it" dr-chaos -f "$T/conf" --i-know main \
    kill-primary
match "is left alone" 'does not say chaos=allowed' "$T/err"
echo "chaos=allowed" >>"$T/conf"
status 2 "a set that was not named" dr-chaos -f "$T/conf" kill-primary
match "is left alone, too" 'say --i-know main' "$T/err"
sed 's/^system=.*/system=1/' "$T/conf" >"$T/other"
status 2 "another system" dr-chaos -f "$T/other" --i-know main kill-primary
match "as well" 'is system [0-9]*, not 1$' "$T/err"
is "nobody was killed" "$(ring_primary)" main
status 0 "a look" dr-chaos -f "$T/conf" --check
match "says who leads" 'main leads, all is well' "$T/err"
status 0 "--list" dr-chaos --list
status 2 "no such experiment" dr-chaos -f "$T/conf" --i-know main kill-people

# --- experiments -------------------------------------------------------------------
experiments ${EXPERIMENTS:-kill-primary kill-backend kill-router freeze-primary}
for f in "$T"/report/*.json; do
	[ -s "${f%.json}.txt" ] || echo "$f"
done >"$T/without"
is "each run has its report" "$(cat "$T/without")" ""
is "in JSON" "$(python3 -c 'import json, sys
print(*{json.load(open(f))["verdict"] for f in sys.argv[1:]})' \
    "$T"/report/*.json)" held
done_testing
