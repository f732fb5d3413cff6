#!/bin/sh
# --check against Swift, which says it has locked what it has not.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need dr-push python3

cd "$T" || exit 1
says() { # NAME REGEX
	match "$1: $2" "^  $1 +$2" "$T/out"
}

swift_server
w=$(swift_store)
status 1 "a store that cannot refuse to overwrite" \
    dr-push --check -n s "$w"
says create 'no  MISSING'
status 3 "a lock that is taken and not kept" dr-push --check -n s \
    --allow-no-create-only --lock-days 1 "$w"
says create yes
says lock 'no  DOES NOT HOLD'

done_testing
