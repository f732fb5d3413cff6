#!/bin/sh
# dr-notify, against a sink that answers as it is told.  (release only)
. "${0%/*}/../lib.sh"
need python3 curl

PATH=$top/scripts:$PATH
cd "$T" || exit 1
mkdir sink seen m bin tmp
TMPDIR=$T/tmp # one is killed
export TMPDIR
python3 "$top/tests/cli/sink.py" 0 sink &
helpers_="$helpers_ $!"
n=0
while [ ! -s sink/port ] && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
at=http://127.0.0.1:$(cat sink/port)

# What curl's command line held, whenever it ran.
cat >bin/curl <<END
#!/bin/sh
printf '%s\n' "\$*" >>$T/argv
exec $(command -v curl) "\$@"
END
chmod 755 bin/curl
PATH=$T/bin:$PATH
umask 077
echo "$at/services/T0/B0/SeCrEt" >slack.url
echo SeCrEt7890123456789012345678901f >pd.key
echo "$at/hook?token=SeCrEt" >hook.url
echo "Authorization: Bearer SeCrEt" >hook.headers
cat >conf <<END
# who hears of it
ops	slack:$T/slack.url
pd	pagerduty:$T/pd.key	url=$at/v2/enqueue min=critical

am alertmanager:$at
END
DR_NOTIFY=$T/conf DR_METRICS_DIR=$T/m
export DR_NOTIFY DR_METRICS_DIR

told() { # since the last time: path of each, in order
	cat sink/*.json 2>/dev/null | grep -o '{"path": "[^"]*"' | cut -d'"' -f4
	mv sink/*.json seen/ 2>/dev/null
}
paths() {
	told | tr '\n' ' '
}
body() { # EXPRESSION [WHICH]: of the body of the last, or the WHICHth last
	python3 -c 'import glob, json, sys
f = sorted(glob.glob("sink/*.json"))[-int(sys.argv[2])]
d = json.load(open(f))
m = json.loads(d["body"])
print(eval(sys.argv[1]))' "$1" "${2:-1}"
}
answers() {
	printf '%s\n' "$@" >sink/answers
}
metric() {
	sed -n "s/^drtools_notify_$1 //p" m/dr-notify.prom
}

# --- what is sent, and to whom ---------------------------------------------------------
printf 'a "b" \\ &<c>\n\ttab \001\033 \377\300\257\355\240\200 \303\251 \360\237\230\200 \000 end' >details
status 0 "a message" dr-notify -s critical -k backup/main --details details \
    'the "backup" of main <failed> & more é'
is "nothing is said" "$(cat out err)" ""
is "details came byte for byte, what is no UTF-8 as U+FFFD" \
    "$(body 'm[0]["annotations"]["description"] == "a \"b\" \\ &<c>\n\ttab \x01\x1b " + "\ufffd" * 6 + " \xe9 \U0001f600 \ufffd end"')" True
is "the same at PagerDuty" "$(body 'm["payload"]["summary"], m["payload"]["severity"], m["event_action"], m["dedup_key"]' 2)" \
    "('the \"backup\" of main <failed> & more é', 'critical', 'trigger', 'backup/main')"
is "and at Slack as it wants it" "$(body 'm["text"]' 3)" \
    '[critical] the "backup" of main &lt;failed&gt; &amp; more é'
is "each got one" "$(paths)" \
    "/services/T0/B0/SeCrEt /v2/enqueue /api/v2/alerts "
is "metrics: one is open" "$(metric open) $(metric unacknowledged) $(metric undelivered)" "1 1 0"
status 0 "the same again" dr-notify -s critical -k backup/main 'again'
is "is not told again" "$(paths)" ""
status 0 "another, not so bad" dr-notify -s warning -k disk/main 'disk fills'
is "does not go to the pager" "$(paths)" "/services/T0/B0/SeCrEt /api/v2/alerts "
status 0 "it gets worse" dr-notify -s critical -k disk/main 'disk is full'
is "to Alertmanager that is another alert, and the former ends" \
    "$(body '[(a["labels"]["severity"], a["endsAt"] > a["startsAt"][:4] and a["endsAt"][:10] > a["startsAt"][:10]) for a in m]')" \
    "[('critical', True), ('warning', False)]"
is "all hear of it" "$(paths)" \
    "/services/T0/B0/SeCrEt /v2/enqueue /api/v2/alerts "
dr-notify --list >out
is "--list shows both" "$(cut -f2-4 out | sort | tr '\t\n' ' ;')" \
    "critical open backup/main;critical open disk/main;"

# --- right again --------------------------------------------------------------------------
status 0 "resolved" dr-notify --resolve -k backup/main 'main is backed up'
is "PagerDuty resolves it" "$(body 'm["event_action"], m["dedup_key"]' 2)" \
    "('resolve', 'backup/main')"
is "Slack says so" "$(body 'm["text"]' 3)" '[resolved] main is backed up'
is "those who were told hear of it" "$(paths)" \
    "/services/T0/B0/SeCrEt /v2/enqueue /api/v2/alerts "
status 0 "resolved again" dr-notify --resolve -k backup/main
is "is not told" "$(paths)" ""
status 0 "it fails again" dr-notify -s error -k backup/main 'failed again'
is "and is told anew" "$(paths)" "/services/T0/B0/SeCrEt /api/v2/alerts "
dr-notify --resolve -k backup/main
told >/dev/null

# --- servers that fail ---------------------------------------------------------------------
only="--to slack:$T/slack.url --backoff 50ms"
answers 503 429 cut
status 0 "fails three times" dr-notify $only -k retry 'three times'
is "is tried four times" "$(paths | wc -w)" 4
answers 500 500
status 5 "fails more often" dr-notify $only -k often --retries 2 'twice'
match "says why" '^dr-notify: error: cannot tell slack:.*: HTTP 500: no: 500' err
is "metrics: undelivered" "$(metric undelivered)" 1
match "--list says so" 'not told: slack:' /dev/stdin <<END
$(dr-notify --list)
END
status 0 "--due tries again" dr-notify --due
is "and it is told" "$(paths | wc -w) $(metric undelivered)" "3 0"
answers 403
status 1 "is refused" dr-notify $only -k refused 'no'
is "is tried once" "$(paths | wc -w)" 1
answers 'slow 1'
status 0 "is slow" dr-notify $only --timeout 300ms -k slow 'slow'
is "is tried again after the timeout" "$(paths | wc -w)" 2
answers 500
status 3 "one of two fails" dr-notify --retries 1 -s error -k part 'in part'
is "the other was told" "$(paths)" "/services/T0/B0/SeCrEt /api/v2/alerts "
status 0 "resolved before the other knew" dr-notify --resolve -k part
is "it hears nothing of it" "$(paths)" "/api/v2/alerts "
status 5 "nobody listens" dr-notify --to alertmanager:http://127.0.0.1:1 \
    --retries 1 -k away 'away'
answers 500
dr-notify $only -k lost 'x' 2>/dev/null
told >/dev/null
answers 500 500
status 5 "resolution that does not arrive" dr-notify --resolve --retries 2 \
    --backoff 50ms -k lost
told >/dev/null
dr-notify --due --retries 1 2>/dev/null
is "is told later" "$(dr-notify --list | grep -c lost)" 0
for k in retry often refused slow away disk/main; do
	dr-notify --resolve -k $k --retries 1 2>/dev/null
done
is "everything is resolved" "$(dr-notify --list; metric open)" "0"
told >/dev/null

# --- repetition, escalation, acknowledgement -------------------------------------------------
cat >conf2 <<END
ops slack:$T/slack.url repeat=1s
boss webhook:$T/hook.url header=$T/hook.headers after=60s
END
# As if it had been SECONDS ago.
ago() { # SECONDS
	for f in "$DR_STATE"/notify/*; do
		case $f in *lock*) continue ;; esac
		awk -F '\t' -v OFS='\t' -v s="$1" '
		/^(since|last)=/ { split($0, a, "="); print a[1] "=" a[2] - s; next }
		$1 == "target" && $3 > 0 { $3 -= s }
		{ print }' "$f" >f2 && cat f2 >"$f"
	done
}
two="--config $T/conf2"
status 0 "with a repetition" dr-notify $two -k rep 'again and again'
is "the first time" "$(paths)" "/services/T0/B0/SeCrEt "
ago 1
status 0 "a second later" dr-notify --due
is "it is said again" "$(paths)" "/services/T0/B0/SeCrEt "
dr-notify --due
ago 60
status 0 "nobody answers" dr-notify --due
is "the generic webhook has its header" \
    "$(body 'd["headers"]["Authorization"], m["action"], m["key"], m["summary"]')" \
    "('Bearer SeCrEt', 'trigger', 'rep', 'again and again')"
match "the next one up is told, too" '/hook' /dev/stdin <<END
$(paths)
END
status 0 "somebody answers" dr-notify --ack -k rep
is "all who were told hear of it" "$(paths)" "/services/T0/B0/SeCrEt /hook?token=SeCrEt "
is "metrics: acknowledged" "$(metric open) $(metric unacknowledged)" "1 0"
ago 100
status 0 "it is not repeated any more" dr-notify --due
is "by nobody" "$(paths)" ""
status 0 "but when it gets worse" dr-notify $two -s critical -k rep 'worse'
is "it is told, and has to be answered anew" \
    "$(paths) $(metric unacknowledged)" "/services/T0/B0/SeCrEt /hook?token=SeCrEt  1"
dr-notify --resolve -k rep
told >/dev/null
status 0 "--repeat" dr-notify --to "slack:$T/slack.url" --repeat 1s -k r2 x
ago 1
dr-notify --due
is "does so" "$(paths | wc -w)" 2
dr-notify --resolve -k r2
told >/dev/null

# --- other targets -----------------------------------------------------------------------------
cat >page.sh <<END
#!/bin/sh
cat >$T/paged
END
chmod 755 page.sh
status 0 "a command" dr-notify --to "command:$T/page.sh" -k cmd 'by command'
is "gets JSON" "$(python3 -c 'import json
m = json.load(open("paged"))
print(m["version"], m["action"], m["summary"])')" "1 trigger by command"
printf '#!/bin/sh\nexit 7\n' >page.sh
status 5 "a command that fails" dr-notify --to "command:$T/page.sh" --retries 1 \
    -k cmd2 'by command'
match "says how" 'exited with status 7' err
dr-notify --resolve -k cmd2
python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("log.sock")
open("log.up", "w").close()
s.settimeout(10)
open("logged", "wb").write(s.recv(65536))' &
log=$!
while [ ! -e log.up ]; do sleep 0.05; done
status 0 "the system's log" dr-notify --to "syslog:local3 socket=$T/log.sock" \
    -s warning -k log 'to the log'
wait $log
match "facility, severity and text" '^<156>.*dr-notify.*: trigger log: to the log' logged

# --- limits -------------------------------------------------------------------------------------
long=$(head -c 4000 /dev/zero | tr '\0' 'é' | sed 's/./\&/g')
python3 -c 'print("é&" * 20000)' >long
status 0 "more than anybody takes" dr-notify -s critical -k "$long" \
    --details long "$long"
is "the end is cut off" "$(body 'len(m["payload"]["summary"]), m["payload"]["summary"][-1]' 2)" "(1024, '…')"
told >/dev/null
status 0 "at the limit nothing is" dr-notify -s critical -k limit \
    "$(head -c 1024 /dev/zero | tr '\0' x)"
is "not one" "$(body 'len(m["payload"]["summary"]), m["payload"]["summary"][-1]' 2)" "(1024, 'x')"
told >/dev/null
is "every message is as is published" \
    "$(python3 "$top/tests/cli/schema.py" seen/*.json || echo it failed)" ""
is "they were many" "$(($(ls seen | wc -l) > 40))" 1

# --- any bytes ------------------------------------------------------------------------------------
cat >any.py <<'END'
import json, os, random, subprocess, sys
seed = int(os.environ.get("DR_SEED") or random.randrange(1 << 30))
print("# seed", seed)
r = random.Random(seed)
for i in range(int(sys.argv[1])):
    # Bytes that begin and go on characters, more often than chance has them.
    b = bytes(r.choice((r.randrange(256), 0xe0, 0xed, 0xf0, 0xf4, 0x9f, 0x80,
                        0xbf, 34, 92, 10)) for _ in range(r.randrange(600)))
    out = subprocess.run(["dr-notify", "--dry-run", "--to", "command:/bin/true",
                          "-k", "any", "--details", "-", "x"], input=b,
                         stdout=subprocess.PIPE, check=True).stdout
    got = json.loads(out.split(b"\n")[1])["details"]
    if got != b.replace(b"\0", b"\xff").decode(errors="replace"):
        print("not ok", b)
END
python3 any.py "$(count 12 400)" >out
is "come as they are, or as U+FFFD" "$(grep -v '^#' out)" ""
note "$(cat out)"

# --- several at once, and one that dies --------------------------------------------------------
told >/dev/null
for i in 1 2 3 4; do
	dr-notify $only -k many "$i" &
	eval "p$i=\$!"
done
wait $p1 $p2 $p3 $p4
is "of four at once one tells" "$(paths | wc -w)" 1
dr-notify --resolve -k many
told >/dev/null
answers 'slow 2'
dr-notify $only -k dies 'x' &
p=$!
n=0
while ! ls sink/*.json >out 2>&1 && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
kill -KILL $p
wait $p 2>out
told >/dev/null
status 0 "one was killed" dr-notify --due
is "its message is sent by the next" "$(paths | wc -w)" 1
is "once" "$(dr-notify --due; paths | wc -w)" 0
dr-notify --resolve -k dies
told >/dev/null

# --- secrets ------------------------------------------------------------------------------------
is "none was on a command line" "$(grep -c SeCrEt argv)" 0
is "which were kept" "$(($(grep -c . argv) > 30))" 1
is "none is in the state" "$(grep -rl SeCrEt "$DR_STATE")" ""
status 0 "--dry-run" dr-notify --dry-run -s critical -k dry 'what if'
nomatch "shows none" SeCrEt out
match "but the payload" '^\{"routing_key":"\*\*\*",' out
match "and where to" '^slack trigger http://127.0.0.1:[0-9]*/\*\*\*$' out
is "and sends nothing" "$(paths)" ""
is "nor remembers it" "$(dr-notify --list | grep -c dry)" 0
chmod 644 slack.url
status 1 "a secret that all may read" dr-notify --to "slack:$T/slack.url" -k s x
match "is not used" 'others may read it' err
echo http://192.0.2.1/services/SeCrEt >plain.url
status 1 "a secret over plain HTTP" dr-notify --to "slack:$T/plain.url" -k s x
match "is not sent" 'neither https:// nor of this host' err
nomatch "nor said" SeCrEt err
printf 'https://x/"\nurl = "http://y' >odd.url
status 1 "a secret with a quote" dr-notify --to "slack:$T/odd.url" -k s x

# --- usage --------------------------------------------------------------------------------------
unset DR_NOTIFY
status 0 "--help" dr-notify -k x --help
match "shows the usage" '^usage: dr-notify ' out
status 0 "--version" dr-notify --version
is "its version" "$(cat out)" "$(dr-push --version | sed s/dr-push/dr-notify/)"
for args in "" "--nothing x" "-k" "--list x" "--resolve" "--resolve --ack -k x" \
    "-s bad x" "--repeat often x" "--retries 0 x" "one two" "--due=1" \
    "--to fax:/x y" "--to nobody y" "--to slack:relative y" \
    "--to slack:/x\ min=bad y"; do
	eval "status 2 'usage: $args' dr-notify $args"
done
status 1 "no such configuration" dr-notify --config "$T/none" x
echo 'a slack:/x colour=red' >bad
status 2 "a configuration that makes no sense" dr-notify --config "$T/bad" x
match "says where" 'bad", a: "colour=red"' err
done_testing
