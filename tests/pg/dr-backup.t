#!/bin/sh
# dr-backup: the whole job, and each way in which it can fail.
. "${0%/*}/../lib.sh"
need psql flock python3 curl

cp "$top/scripts/dr-backup" "$T/dr-backup" && chmod 755 "$T/dr-backup"
as_pg mkdir "$T/one" "$T/two" "$T/metrics" "$T/tmp"
pg_new a --data-checksums || exit 1
pg_start a || exit 1
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"
DR_METRICS_DIR=$T/metrics TMPDIR=$T/tmp
export DR_METRICS_DIR TMPDIR

job() {
	as_pg "$T/dr-backup" -n main -R "$T/rcpt" "$@"
}
backups() {
	find "$1/${2:-main}/snap" -name '*Z-??????.json' 2>/dev/null | grep -c .
}
metric() { # FILE NAME
	sed -n "s/^drtools_backup_$2{set=\"main\"} //p" "$T/metrics/$1_main.prom"
}
is_new() { # SECONDS
	[ "$1" -ge "$begun" ] && [ "$1" -le "$(date +%s)" ]
}

# --- success -------------------------------------------------------------------
begun=$(date +%s)
status 0 "a backup into two stores" job "$T/one" "$T/two"
is "nothing is said" "$(cat "$T/out" "$T/err")" ""
is "it is in the first" "$(backups "$T/one")" 1
is "and in the second" "$(backups "$T/two")" 1
status 0 "and restorable" as_pg dr-verify -n main --deep -i "$T/id" "$T/two"
is "metrics: the status" "$(metric dr-backup-run status)" 0
ok "when it succeeded" is_new \
    "$(metric dr-backup last_success_timestamp_seconds)"
is "how old the recipients are" \
    "$(sed -n 's/^drtools_recipients_timestamp_seconds{set="main"} //p' \
	"$T/metrics/dr-backup-run_main.prom")" "$(stat -c %Y "$T/rcpt")"
ok "and no failure yet" test ! -e "$T/metrics/dr-backup-failure_main.prom"
is "one HELP and one TYPE a metric" \
    "$(grep -c '^# TYPE' "$T/metrics/dr-backup_main.prom")" 2
is "nothing is left for the time being" "$(ls -A "$T/tmp")" ""
is "nor beside the metrics" \
    "$(find "$T/metrics" -type f ! -name '*.prom')" ""
status 0 "stores and set from the environment, long options" as_pg env \
    DR_STORE="$T/one $T/two" DR_SET=main DR_RECIPIENTS="$T/rcpt" \
    "$T/dr-backup" --conninfo="host=$T/s port=$PGPORT" --verbose
match "-v names the backup" "dr-backup: set main: backup 2.*Z-" "$T/err"
is "a second one in each" "$(backups "$T/one") $(backups "$T/two")" "2 2"

as_pg dr-key sign-new -o "$T/key's" 2>"$T/err"
as_pg cp "$T/rcpt" "$T/it's"
status 0 "a key of one's own, names with quotes, without state of old" \
    as_pg env DR_STATE="$T/home/state" "$T/dr-backup" -n own -R "$T/it's" \
    -k "$T/key's" "$T/one"
is "nothing is said" "$(cat "$T/err")" ""

# --- stages that fail ------------------------------------------------------------
last=$(metric dr-backup last_success_timestamp_seconds)
begun=$(date +%s)
status 5 "no server" job -d "host=$T/s port=5999" "$T/one"
match "the stage says why" '^dr-snap: error: ' "$T/err"
is "the last line names it" "$(tail -n 1 "$T/err")" \
    "dr-backup: error: set main is not backed up: dr-snap failed"
is "metrics: the status" "$(metric dr-backup-run status)" 5
ok "when it failed" is_new \
    "$(metric dr-backup-failure last_failure_timestamp_seconds)"
is "the success of old stands" \
    "$(metric dr-backup last_success_timestamp_seconds)" "$last"
status 1 "no recipients in their place" \
    as_pg "$T/dr-backup" -n main -R "$T/nobody" "$T/one"
match "dr-seal failed" 'not backed up: dr-seal failed' "$T/err"
status 1 "a store that is missing" job -n gone "$T/one" "$T/none"
match "dr-push failed" 'not backed up: dr-push failed' "$T/err"
match "and says which" "dr-push: .*$T/none" "$T/err"

# Each stage once in place of the real one: killed, failing, silent.
as_pg mkdir "$T/bad"
before="$(backups "$T/one") $(backups "$T/two")"
for stage in dr-snap dr-pack dr-seal dr-push; do
	for how in 'kill -9 $$' 'cat >/dev/null & exit 7' 'exec cat'; do
		case $stage:$how in
		dr-pack:*cat | dr-push:*cat) continue ;; # that is allowed
		esac
		printf '#!/bin/sh\n[ %s != dr-snap ] || exec </dev/null\n%s\n' \
		    $stage "$how" >"$T/bad/$stage"
		chmod 755 "$T/bad/$stage"
		as_pg env PATH="$T/bad:$PATH" "$T/dr-backup" -n main \
		    -R "$T/rcpt" "$T/one" "$T/two" >"$T/out" 2>"$T/err"
		rc=$?
		case $stage:$how:$rc in
		*kill*:1 | *exit*:7) match "$stage: $how" "$stage failed\$" "$T/err" ;;
		dr-snap:*cat:4 | dr-seal:*cat:2) match "$stage: $how" 'failed$' "$T/err" ;;
		*) is "$stage: $how: status" "$rc" "another" ;;
		esac
		rm "$T/bad/$stage"
	done
done
is "none of them published" "$(backups "$T/one") $(backups "$T/two")" "$before"

# --- what is dr-push's ---------------------------------------------------------------
# Two in the manner "--x=y", the others as two words.
printf '#!/bin/sh\nprintf "%%s\\n" "$@" >%s/argv\ncat >/dev/null\nexit 7\n' \
    "$T/home" >"$T/bad/dr-push"
chmod 755 "$T/bad/dr-push"
status 7 "options for dr-push" as_pg env PATH="$T/bad:$PATH" "$T/dr-backup" \
    -n main -R "$T/rcpt" --lock-days 3 --lock-until 2999-01-01T00:00:00Z \
    --lock-mode=governance --legal-hold --storage-class "it's COLD" \
    --sse aws:kms:k --limit-rate=1M --patience 5m --allow-no-create-only \
    --ca-file "$T/a ca" --require 1 "$T/one" "$T/two"
rm "$T/bad/dr-push"
is "reach it as they are" "$(tr '\n' ' ' <"$T/home/argv")" "--json \
--lock-days 3 --lock-until 2999-01-01T00:00:00Z --lock-mode governance \
--legal-hold --storage-class it's COLD --sse aws:kms:k --limit-rate 1M \
--patience 5m --allow-no-create-only --ca-file $T/a ca -n main --require 1 \
$T/one $T/two "
for o in "--lock-until 2999-01-01T00:00:00Z" "--lock-days 1" --legal-hold \
    "--storage-class COLD" "--sse AES256"; do
	# shellcheck disable=SC2086 # words
	status 2 "$o, which a directory has not" job $o "$T/one"
	match "is refused by dr-push" 'dr-push: error: .* is a directory' \
	    "$T/err"
done
as_pg sh -c "cat /etc/ssl/certs/*.pem 2>/dev/null | head -c 1 >'$T/home/ca'"
status 0 "those that do not matter to a directory" job -n options \
    --limit-rate 1G --patience 1s --allow-no-create-only \
    --ca-file "$T/home/ca" "$T/one"
is "are no hindrance" "$(backups "$T/one" options)" 1
status 2 "authorities that are not there" job --ca-file "$T/none" "$T/one"
match "are missed" 'none' "$T/err"
status 2 "no patience without a duration" job --patience
status 2 "a flag takes no value" job --legal-hold=yes "$T/one"

# --- in part -----------------------------------------------------------------------
as_pg mkdir "$T/three"
status 3 "a quorum without one store" job -n part --require 1 "$T/one" "$T/none"
match "a warning" 'warning: set part: backup .* in part' "$T/err"
is "the other has it" "$(backups "$T/one" part)" 1

# --- verification --------------------------------------------------------------------
printf '#!/bin/sh\nfor f in %s/snap/*.age; do printf x >>"$f"; done\nexec %s "$@"\n' \
    "$T/three/main" "$(command -v dr-verify)" >"$T/bad/dr-verify"
chmod 755 "$T/bad/dr-verify"
status 4 "damaged before it was verified" as_pg env PATH="$T/bad:$PATH" \
    DR_STATE="$T/home/three" "$T/dr-backup" -n main -R "$T/rcpt" "$T/three"
match "what is wrong" 'damaged' "$T/err"
match "it is published, but" 'error: set main: backup .* found fault' "$T/err"
status 0 "--no-verify does not look" as_pg env PATH="$T/bad:$PATH" \
    DR_STATE="$T/home/three" "$T/dr-backup" -n main -R "$T/rcpt" \
    --no-verify "$T/three"
rm "$T/bad/dr-verify"
echo 'backup_max_age=1ms rpo=15m' >"$T/main.conf"
status 3 "older than the objectives say" job -n aged --config "$T/main.conf" "$T/two"
match "says so" ' old ' "$T/err"
echo 'backup_max_age=26h set_=other' >"$T/main.conf"
status 0 "younger, and nothing else counts" \
    job -n aged --config "$T/main.conf" "$T/two"
status 1 "no such file" job --config "$T/none.conf" "$T/two"

# --- one at a time ---------------------------------------------------------------------
printf '#!/bin/sh\necho $$ >%s/held\nexec sleep 60\n' "$T/home" >"$T/bad/dr-snap"
chmod 755 "$T/bad/dr-snap"
before=$(backups "$T/one")
as_pg env PATH="$T/bad:$PATH" sh -c 'echo $$ >"$0/job"; exec "$@"' "$T/home" \
    "$T/dr-backup" -n main -R "$T/rcpt" "$T/one" "$T/two" >"$T/held.out" 2>&1 &
held=$!
n=0
while [ ! -s "$T/home/held" ] && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
status 5 "a second one while it runs" job "$T/one"
is "says so in one line" "$(cat "$T/err")" \
    "dr-backup: error: a backup of set main is running already"
status 0 "another set is free" as_pg "$T/dr-backup" -n other -R "$T/rcpt" "$T/one"
kill -TERM "$(cat "$T/home/job")"
wait $held
is "SIGTERM ends it by that signal" "$?" 143
ok "and its stages" sh -c "! kill -0 $(cat "$T/home/held")"
is "its directory is gone" "$(ls -A "$T/tmp")" ""
is "it published nothing" "$(backups "$T/one")" "$before"
is "metrics: the status" "$(metric dr-backup-run status)" 143
status 0 "the lock is free" job "$T/one" "$T/two"

# --- who hears of it -----------------------------------------------------------------------
as_pg mkdir "$T/with"
cp "$top/scripts/dr-notify" "$T/with/" && chmod 755 "$T/with/dr-notify"
printf '#!/bin/sh\ncat >>%s/heard\n' "$T/home" >"$T/with/page"
chmod 755 "$T/with/page"
echo "pager command:$T/with/page" >"$T/notify.conf"
telling() {
	as_pg env PATH="$T/with:$PATH" "$T/dr-backup" -n told -R "$T/rcpt" "$@"
}
heard() { # FIELD...
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
	m = json.loads(line)
	print(*(m[k] for k in sys.argv[2:]))' "$T/home/heard" "$@"
	rm -f "$T/home/heard"
}
status 0 "a success that nobody waits for" telling --notify "$T/notify.conf" "$T/one"
ok "is not told" test ! -e "$T/home/heard"
status 5 "no server" telling --notify "$T/notify.conf" -d "host=$T/s port=5999" "$T/one"
match "what the stage said is told" 'dr-snap\[[0-9]*\]: error: .*5999.*dr-snap failed' \
    "$T/home/heard"
is "in a message" "$(heard action severity key summary)" \
    "trigger critical backup/told set told is not backed up (status 5)"
status 5 "still none" telling --notify "$T/notify.conf" -d "host=$T/s port=5999" "$T/one"
ok "is not told again" test ! -e "$T/home/heard"
echo "notify=$T/notify.conf" >"$T/told.conf"
status 0 "a success, by the set's file" telling --config "$T/told.conf" "$T/one"
is "is the recovery" "$(heard action key summary)" \
    "resolve backup/told set told is backed up"
echo "pager command:$T/with/none" >"$T/notify.conf"
as_pg env PATH="$T/with:$PATH" DR_LOG="$T/home/log" "$T/dr-backup" -n told \
    -R "$T/rcpt" --notify "$T/notify.conf" "$T/none" >"$T/out" 2>"$T/err"
is "who cannot be told changes nothing" "$?" 1
match "but a warning" 'warning: not all could be told' "$T/err"
match "and the log is where it was to be" none "$T/home/log"
status 1 "no such file" telling --notify "$T/nothing" "$T/one"
is "nothing is left for the time being" "$(ls -A "$T/tmp")" ""

# --- usage -------------------------------------------------------------------------------
status 0 "--help" "$T/dr-backup" -n x --help
match "shows the usage" '^usage: dr-backup ' "$T/out"
status 0 "--version" "$T/dr-backup" --version
is "its version" "$(cat "$T/out")" "$(dr-push --version | sed s/dr-push/dr-backup/)"
status 2 "no set" "$T/dr-backup" -R "$T/rcpt" "$T/one"
match "a hint" "^dr-backup: hint: try 'dr-backup --help'" "$T/err"
status 2 "no recipients" "$T/dr-backup" -n main "$T/one"
status 2 "no store" "$T/dr-backup" -n main -R "$T/rcpt"
status 2 "a set's name that is none" "$T/dr-backup" -n a/b -R "$T/rcpt" "$T/one"
status 2 "an option of nobody's" "$T/dr-backup" --nothing "$T/one"
status 2 "one without its value" "$T/dr-backup" -n
status 2 "one with a value too many" "$T/dr-backup" --no-verify=1 "$T/one"
status 2 "a number that is none" "$T/dr-backup" --require all "$T/one"

done_testing
