#!/bin/sh
# What a command or standard input gives, in pieces, and joined again.
. "${0%/*}/../lib.sh"
need dr-snap dr-restore tar

cd "$T" || exit 1
head -c 10000000 /dev/urandom >data

status 0 "a command" dr-snap -o a.tar --exec db.sql -- cat data
is "without a word" "$(cat out err)" ""
tar tvf a.tar | awk '{ print $1, $3, $NF }' >list
printf '%s\n' '-rw------- 4194304 db.sql/00000000' \
    '-rw------- 4194304 db.sql/00000001' \
    '-rw------- 1611392 db.sql/00000002' >want
ok "is stored in pieces" sh -c 'head -n 3 list | cmp - want'
is "and a report" "$(tar tf a.tar | tail -n 1)" .drtools/report.json
tar xOf a.tar .drtools/report.json >report
match "which names the command" '"argv":\["cat","data"\]' report
ok "tar joins them" sh -c 'tar xOf a.tar db.sql | cmp - data'
status 0 "dr-restore takes it" dr-restore -D x a.tar
ok "and joins them" cmp x/db.sql data
is "privately" "$(stat -c %a x/db.sql)" 600
match "the manifest has sizes" '"stream":{"members":3,"bytes":10000000}' \
    a.tar.json
nomatch "and no name" 'db\.sql|cat' a.tar.json

status 0 "standard input" sh -c 'head -c 8388608 data |
    dr-snap -o b.tar --stdin in'
is "a whole number of pieces" "$(tar tf b.tar | tr '\n' ' ')" \
    "in/00000000 in/00000001 .drtools/report.json "
ok "comes back" sh -c 'head -c 8388608 data >want; tar xOf b.tar in | cmp - want'
status 0 "an empty one" dr-snap -o c.tar --stdin in </dev/null
is "is a piece of 0 bytes" "$(tar tvf c.tar | awk 'NR == 1 { print $3, $NF }')" \
    "0 in/00000000"
status 0 "and comes back" dr-restore -D y c.tar
ok "empty" test -f y/in -a ! -s y/in
status 0 "a slow writer" sh -c '(printf a; sleep 0.2; printf b) |
    dr-snap --body --stdin in | tar xOf - in'
is "is awaited" "$(cat out)" ab
status 0 "a command that closes its output early" \
    dr-snap -o d.tar --exec x -- sh -c 'echo one; exec >&-; sleep 0.3'
status 0 "a command has no input" \
    sh -c 'echo in | dr-snap --body --exec x -- cat | tar xOf - x'
is "of ours" "$(cat out)" ""
status 0 "its stderr is ours" \
    dr-snap -o e.tar --exec x -- sh -c 'echo to stderr >&2'
is "as it is" "$(cat err)" "to stderr"
status 0 "a command that ignores a closed pipe" \
    dr-snap -o f.tar --exec x -- sh -c 'yes | head -n 1'

# --- failures: no end mark, no file ------------------------------------------
status 1 "a command that fails" dr-snap -o bad.tar --exec x -- \
    sh -c 'echo half; exit 3'
match "its status is said" '"sh" ended with status 3' err
status 1 "a command that dies of a signal" dr-snap -o bad.tar --exec x -- \
    sh -c 'echo half; kill -KILL $$'
match "which is said" 'died of signal 9' err
status 1 "a command that is not found" \
    dr-snap -o bad.tar --exec x -- nosuchcommand
match "is named" 'cannot run "nosuchcommand"' err
status 2 "a name with a slash" dr-snap -o bad.tar --exec a/b -- true
status 2 "no command" dr-snap -o bad.tar --exec x
status 2 "operands beside --stdin" dr-snap -o bad.tar --stdin x y </dev/null
ok "none of these left a file" sh -c '! ls bad.tar* .bad.tar* 2>/dev/null'
dr-snap --exec x -- sh -c 'echo half; exit 3' 2>err | cat >stream
ok "a stream of a failed command has no end mark" \
    sh -c '! grep -q DRSTREAM stream'
status 4 "and nobody takes it" sh -c 'dr-pack <stream | cat >/dev/null;
    dr-pack <stream >/dev/null'

# --- stopped --------------------------------------------------------------------
dr-snap -o bad.tar --exec x -- sh -c 'echo $$ >pid; exec sleep 60' 2>err &
snap=$!
n=0
while [ ! -s pid ] && [ $n -lt 100 ]; do
	sleep 0.05
	n=$((n + 1))
done
child=$(cat pid)
kill -TERM $snap
wait $snap 2>/dev/null
is "a stopped dr-snap dies of the signal" $? 143
ok "its command with it" sh -c "! kill -0 $child 2>/dev/null"
ok "and no file is left" sh -c '! ls bad.tar* .bad.tar* 2>/dev/null'

done_testing
