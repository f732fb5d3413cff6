#!/bin/sh
# From a standby that dies to a message on the pager, and back: dr-lag,
# node_exporter, Prometheus with our rules, Alertmanager with our routes, and a
# sink in the place of Slack, PagerDuty and a mail server.  (release only)
. "${0%/*}/../lib.sh"
. "$top/tests/ha/ha.sh"
need psql python3 prometheus prometheus-alertmanager prometheus-node-exporter \
    promtool amtool curl

# 9791 to 9793 are theirs, or whatever is free.
set -- $(python3 -c 'import socket
s = [socket.socket() for _ in range(4)]
for i, x in enumerate(s):
	try:
		x.bind(("127.0.0.1", 9791 + i if i < 3 else 0))
	except OSError:
		x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
node=127.0.0.1:$1 prom=127.0.0.1:$2 manager=127.0.0.1:$3 mail=$4

# daemon NAME COMMAND...: ends with the test
daemon() {
	log_=$T/$1.log
	shift
	"$@" >"$log_" 2>&1 </dev/null &
	helpers_="$helpers_ $!"
}
mkdir "$T/sink" "$T/m" "$T/tsdb" "$T/am"
daemon sink python3 "$top/tests/cli/sink.py" 0 "$T/sink"
# As much of SMTP as one sender needs.
daemon mail python3 -c 'import socketserver, sys
class Mail(socketserver.StreamRequestHandler):
	def handle(self):
		say = lambda s: self.wfile.write(s.encode() + b"\r\n")
		say("220 sink")
		data = False
		for line in self.rfile:
			if data:
				open(sys.argv[2], "ab").write(line)
				if line == b".\r\n":
					data = False
					say("250 taken")
				continue
			word = line[:4].upper()
			data = word == b"DATA"
			say("354 go on" if data else "221 bye" if word == b"QUIT"
			    else "250 ok")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])),
    Mail).serve_forever()' "$mail" "$T/mail"
until_ "the sink listens" test -s "$T/sink/port"
sink=http://127.0.0.1:$(cat "$T/sink/port")

# The examples as they are, but for what is awaited: in seconds, not minutes.
cd "$top/scripts/monitoring" || exit 1
sed 's/^    for: 1m$/    for: 3s/; s/^    for: [^3].*/    for: 1s/
    s/^  interval: .*/  interval: 1s/' alerts.yml >"$T/alerts.yml"
sed 's/^  interval: .*/  interval: 1s/' recording.yml >"$T/recording.yml"
# Of dr-lag it hears by the textfiles alone.
sed "s/15s/1s/; s/127.0.0.1:9093/$manager/; s/127.0.0.1:9100/$node/
    /^# Where dr-lag/,\$d" prometheus.yml >"$T/prometheus.yml"
(umask 077 && echo "$sink/services/T/B/x" >"$T/slack.url" &&
	echo 0123456789abcdef0123456789abcdef >"$T/pagerduty.key")
sed "s|/etc/prometheus/|$T/|; s/localhost:25$/127.0.0.1:$mail/
    s/group_wait: .*/group_wait: 0s/; s/group_interval: .*/group_interval: 1s/
    s|^global:|global:\n  pagerduty_url: $sink/v2/enqueue|" alertmanager.yml \
    >"$T/alertmanager.yml"
daemon node prometheus-node-exporter --collector.disable-defaults \
    --collector.textfile --collector.textfile.directory="$T/m" \
    --web.listen-address="$node"
daemon manager prometheus-alertmanager --config.file="$T/alertmanager.yml" \
    --storage.path="$T/am" --cluster.listen-address= \
    --web.listen-address="$manager"
daemon prom prometheus --config.file="$T/prometheus.yml" \
    --storage.tsdb.path="$T/tsdb" --web.listen-address="$prom"

# --- a primary and its standby, all well ----------------------------------------------
pg_new main || exit 1
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
standby b main
pg_start main || exit 1
pg_start b || exit 1
until_sql main streaming "SELECT state FROM pg_stat_replication"
DR_METRICS_DIR=$T/m DR_CONF_DIR=$T
export DR_METRICS_DIR DR_CONF_DIR
echo 'tier=2' >"$T/main.conf"
# What cron would do, more often.
daemon lag sh -c 'trap "exit 0" TERM
while :; do
	dr-lag -n main -d "$0" -d "$1" --expect b >"$2"
	sleep 0.5
done' "$(at main)" "$(at b)" "$T/report"

api() { # PATH [QUERY]
	curl -sS -G --data-urlencode "query=${2:-}" "http://$prom/api/v1/$1"
}
# ask QUERY: its values, sorted
ask() {
	api query "$1" | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(*sorted(r["value"][1] for r in d["data"]["result"]))'
}
asks() { # WANT QUERY
	[ "$(ask "$2")" = "$1" ]
}
until_ "Prometheus sees the standby" asks 1 'drtools_replication_standby_up'
until_ "and that writes are possible" asks 1 'drtools:available:bool{set="main"}'
until_ "as its tier asks" asks 0.9995 'drtools:availability_objective:ratio'
# Not about backups: there are none here.
about='alertname=~"Postgres(Primary|NoPr|Two|Server|Repl|Stand|Slot|Monit|Text).*"'
is "nothing is wrong with the servers" "$(ask "ALERTS{$about}")" ""
is "every rule could be evaluated" "$(api rules | python3 -c 'import json, sys
rules = [r for g in json.load(sys.stdin)["data"]["groups"] for r in g["rules"]]
print(len(rules) > 60, [r["lastError"] for r in rules if r.get("lastError")])')" \
    "True []"

# --- the dashboard asks what Prometheus understands -----------------------------------
python3 - "$prom" >"$T/strange" 2>"$T/seen" <<'END'
import json, subprocess, sys, urllib.error, urllib.parse, urllib.request

asked = full = 0
lines = subprocess.run([sys.executable, "dashboard.py", "--queries"], text=True,
                       check=True, stdout=subprocess.PIPE).stdout.splitlines()
for q in lines:
    url = "http://%s/api/v1/query?query=%s" % (
        sys.argv[1], urllib.parse.quote(q.replace("$set", ".*")))
    try:
        d = json.load(urllib.request.urlopen(url))
        full += len(d["data"]["result"]) > 0
    except urllib.error.HTTPError as e:
        print(q, json.load(e)["error"])
    asked += 1
print(asked, full, file=sys.stderr)
END
is "the comparison ends well" "$?" 0
note "$(cat "$T/seen") queries asked, answered"
is "all of its queries are valid" "$(cat "$T/strange")" ""
is "and were asked; those on servers have answers" \
    "$(awk '{ print ($1 > 40 && $2 >= 12) }' "$T/seen")" 1

# --- the standby dies --------------------------------------------------------------------
told() { # PATH EXPRESSION: is there a message to PATH of which that holds?
	python3 -c 'import glob, json, sys
for f in sorted(glob.glob(sys.argv[1] + "/*.json")):
	d = json.load(open(f))
	if d["path"] == sys.argv[2]:
		m = json.loads(d["body"])
		if eval("(" + sys.argv[3] + ")"):
			sys.exit(0)
sys.exit(1)' "$T/sink" "$1" "$2"
}
# shellcheck disable=SC2046 # words
kill -KILL $(pm b) 2>/dev/null
until_ "the pager is told" told /v2/enqueue 'm["event_action"] == "trigger" and
    m["payload"]["class"] == "PostgresStandbyMissing" and
    m["payload"]["severity"] == "critical" and
    m["payload"]["group"] == "main" and
    m["payload"]["summary"] == "b does not stream"'
until_ "the channel, too" told /services/T/B/x \
    '"PostgresStandbyMissing" in m["attachments"][0]["title"] and
    "b does not stream" in m["attachments"][0]["text"]'
until_ "and the mailbox" grep -q 'PostgresStandbyMissing' "$T/mail"
is "PagerDuty would take it" \
    "$(python3 "$top/tests/cli/schema.py" $(grep -l /v2/ "$T"/sink/*.json) || echo it failed)" ""

# --- and comes back -----------------------------------------------------------------------
pg_start b || exit 1
until_ "the pager is told" told /v2/enqueue 'm["event_action"] == "resolve" and
    "PostgresStandbyMissing" in json.dumps(m)'
until_ "the channel, too" told /services/T/B/x \
    '"[RESOLVED] PostgresStandbyMissing" == m["attachments"][0]["title"]'

# --- the primary dies ------------------------------------------------------------------------
# shellcheck disable=SC2046 # words
kill -KILL $(pm main)
until_ "it was the primary, and is known by its name" asks 1 \
    'ALERTS{alertname="PostgresPrimaryDown", alertstate="firing", server="main"}'
until_ "the pager hears of it" told /v2/enqueue \
    'm["payload"]["class"] == "PostgresPrimaryDown"'
until_ "there is none, then" asks 1 \
    'ALERTS{alertname="PostgresNoPrimary", alertstate="firing"}'
inhibited() {
	curl -sS "http://$manager/api/v2/alerts?filter=alertname%3DPostgresNoPrimary" |
		grep -q '"inhibitedBy":\["[0-9a-f]'
}
until_ "of which nobody has to be told twice" inhibited
ok "and nobody is" sh -c '! grep -q "class.*PostgresNoPrimary" "$0"/*.json' "$T/sink"

# --- dr-notify and the real Alertmanager -----------------------------------------------------
PATH=$top/scripts:$PATH
alerts() {
	curl -sS "http://$manager/api/v2/alerts?filter=alertname%3DDrNotify" |
		python3 -c 'import json, sys
print(*(a["labels"]["severity"] + ":" + a["annotations"]["summary"]
    for a in json.load(sys.stdin)))'
}
alerts_are() {
	[ "$(alerts)" = "$1" ]
}
status 0 "dr-notify tells it" dr-notify --to "alertmanager:http://$manager" \
    -s warning -k disk/main 'the disk fills up'
is "it knows" "$(alerts)" "warning:the disk fills up"
status 0 "it gets worse" dr-notify --to "alertmanager:http://$manager" \
    -s critical -k disk/main 'the disk is full'
until_ "the former is over" alerts_are "critical:the disk is full"
status 0 "it is over" dr-notify --resolve -k disk/main
until_ "it knows that, too" alerts_are ""
done_testing
