#!/bin/sh
# dr-watch: its command line.  (release only)
. "${0%/*}/../lib.sh"
need dr-promote dr-lag
PATH=$PATH:$top/scripts

status 0 "--help" dr-watch --help
match "shows the usage" '^usage: dr-watch ' "$T/out"
status 0 "--version" dr-watch --version
is "its version" "$(cat "$T/out")" "$(dr-push --version | sed s/dr-push/dr-watch/)"
all="-n main -d host=a -d host=b --lock none"
for args in "" "-n main" "-n main -d host=a" "-n main -d host=a -d host=b" \
    "$all -n -x" "$all operand" "$all --nothing" "$all --mode sometimes" \
    "$all --failures 0" "$all --max-failovers x" "$all --per often" \
    "$all --observers 2" "$all --name a/b" "$all --once=yes" "$all --fence"; do
	# shellcheck disable=SC2086 # words
	status 2 "usage: $args" timeout 10 dr-watch $args
done
match "with a hint" "hint: try 'dr-watch --help'" "$T/err"
status 1 "a configuration that is not there" \
    dr-watch $all --notify "$T/none"
match "says so" 'cannot read' "$T/err"
# Nobody is primary, and nobody ever was: it does nothing, and says so once.
timeout 4 dr-watch -n main -d "host=$T port=1" -d "host=$T port=2" \
    --lock none --fence "touch $T/fenced" --interval 50ms >"$T/out" 2>"$T/err"
is "one that knows of no primary waits" "$?" 124
is "and says so once" "$(grep -c 'knows of none that was' "$T/err")" 1
is "nothing was fenced" "$(ls "$T/fenced" 2>"$T/ok.out")" ""
done_testing
