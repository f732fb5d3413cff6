#!/bin/sh
# dr-lag without a server: options, stores alone, objectives, the terminal.
. "${0%/*}/../lib.sh"
need dr-lag dr-snap dr-push script python3
DR_CONF_DIR=$T/conf
export DR_CONF_DIR
mkdir "$T/conf" "$T/data" "$T/store"
echo some >"$T/data/file"

# --- what makes no sense -----------------------------------------------------------
bad() {
	what_=$1
	shift
	status 2 "$what_" dr-lag "$@"
	match "$what_: with a hint" 'hint: ' "$T/err"
	is "$what_: nothing on stdout" "$(cat "$T/out")" ""
}
bad "two forms" --json --prometheus
bad "two forms, one a server" --json --listen :0
bad "two questions" --probe --wait-down
bad "a probe for Prometheus" --probe --prometheus
bad "a probe of a store" --probe /store
bad "a probe that expects" --probe --expect b
bad "--failures alone" --failures 2
bad "--interval alone" --interval 2s
bad "two to wait for" --wait-down -d a -d b
bad "no time at all" --timeout 0s
bad "standbys without a server" --expect b --no-signature "$T/data"
status 2 "a set that can be none" dr-lag -n ../x /store
status 2 "a store without a key" dr-lag /store
match "it says what is missing" 'hint: ' "$T/err"
status 2 "--watch into a pipe" dr-lag --watch -d "host=$T/none"
match "wants a terminal" 'terminal' "$T/err"

# --- no server ---------------------------------------------------------------------
status 5 "nobody answers" dr-lag -d "host=$T/none"
match "in the table" "^$T/none:5432 +refused" "$T/out"
is "nothing on stderr" "$(cat "$T/err")" ""
status 5 "the environment's neither" env PGHOST="$T/none" dr-lag --json
match "in JSON" '"primaries":0' "$T/out"
status 2 "critical, for Nagios" dr-lag --nagios -d "host=$T/none"
match "in words" '^DR_LAG CRITICAL - .*refused' "$T/out"
status 3 "a mistake is unknown to Nagios" dr-lag --nagios -d "nonsense"
match "on stdout too" '^DR_LAG UNKNOWN - ' "$T/out"
status 3 "whatever the mistake" dr-lag --nagios --interval 1s
status 5 "no probe answers" dr-lag --probe -d "host=$T/none"
match "and says so" ' refused' "$T/out"

# --- stores alone --------------------------------------------------------------------
status 0 "a backup" sh -c "dr-snap '$T/data' | dr-push -n m --plain '$T/store'"
status 0 "of which there is a report" dr-lag "$T/store"
match "with the set" '^m +20[0-9TZ]+-[0-9a-f]{6} ' "$T/out"
match "and all is well" '^OK ' "$T/out"
status 0 "for one set" dr-lag -n m --json "$T/store"
ok "in JSON" python3 -c "import json; d = json.load(open('$T/out'))
s = d['stores'][0]
assert s['set'] == 'm' and s['backups'] == 1 and s['gaps'] == 0
assert 0 < s['rpo_seconds'] < 600 and s['rto_seconds'] is None
assert d['servers'] == [] and d['level'] == 'ok'"
status 3 "of a set that is not there" dr-lag -n other "$T/store"
match "it says so" 'critical: other in .*no complete backup' "$T/out"
status 3 "a store that cannot be read" dr-lag -n m "$T/data/file"
match "is unknown" '^UNKNOWN ' "$T/out"
match "and why" 'unknown: m in ' "$T/out"
status 3 "for Nagios, too" dr-lag -n m --nagios "$T/data/file"
match "in words" "^DR_LAG UNKNOWN - .*_rpo_seconds'=U" "$T/out"
status 3 "also without a set" dr-lag "$T/data/file"
status 0 "by the environment" env DR_STORE="$T/store" DR_SET=m dr-lag

# --- objectives ----------------------------------------------------------------------
status 0 "within them" dr-lag -n m --rpo 1h "$T/store"
match "which are shown" '^OK .* m  RPO 1h 00m$' "$T/out"
sleep 0.1
status 3 "beyond them" dr-lag -n m --rpo 10ms "$T/store"
match "which is told" '^critical: m in .* would be lost now .*: more than 10ms$' \
    "$T/out"
status 3 "an RTO that nobody knows" dr-lag -n m --rto 1h "$T/store"
match "is not within it" '^unknown: m in .*how long a restore takes' "$T/out"
printf 'tier=gold\nrpo=1h\nbackup_max_age=10ms\n' >"$T/conf/m.conf"
status 3 "from the set's file" dr-lag -n m "$T/store"
match "with its tier" '^CRITICAL .* m \(gold\)  RPO 1h 00m$' "$T/out"
match "a late backup" '^critical: m in .*newest backup is .* old' "$T/out"
status 3 "the same without -n" dr-lag "$T/store"
echo 'rpo=10ms' >"$T/conf/m.conf"
status 0 "an option goes first" dr-lag -n m --rpo 1h "$T/store"
echo 'rpo=soon' >"$T/conf/m.conf"
status 2 "a file with a mistake" dr-lag -n m "$T/store"
match "is named" "rpo in \"$T/conf/m.conf\"" "$T/err"
rm "$T/conf/m.conf"

# --- textfiles -----------------------------------------------------------------------
mkdir "$T/prom"
status 0 "a textfile" dr-lag -n m --metrics-dir "$T/prom" "$T/store"
match "of the set" '^drtools_backups\{set="m",store="[^"]*"\} 1$' \
    "$T/prom/dr-lag_m.prom"
status 0 "the same on stdout" dr-lag -n m --prometheus "$T/store"
is "but for the times" "$(cut -d' ' -f1 "$T/out")" \
    "$(cut -d' ' -f1 "$T/prom/dr-lag_m.prom")"
nomatch "nothing for what is not known" '^drtools_rto_seconds' "$T/out"
status 0 "of all sets" dr-lag --metrics-dir "$T/prom" "$T/store"
ok "another file" test -s "$T/prom/dr-lag.prom"

# --- the terminal --------------------------------------------------------------------
cat >"$T/watch.py" <<'END'
"""dr-lag --watch on a terminal of 60 x 12 until it has drawn twice."""
import fcntl, os, pty, select, signal, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    time.sleep(0.2)
    os.execvp("dr-lag", ["dr-lag", "--watch", "--interval", "200ms"] +
              sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
got, sent, end = b"", False, time.monotonic() + 20
while time.monotonic() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        got += part
    if not sent and got.count(b"\033[H") >= 2:
        os.kill(pid, signal.SIGINT)
        sent = True
st = os.waitpid(pid, 0)[1]
assert os.WIFSIGNALED(st) and os.WTERMSIG(st) == signal.SIGINT, st
enter, leave = b"\033[?1049h\033[?25l", b"\033[?25h\033[?1049l"
assert got.startswith(enter), got[:80]
assert got.rstrip().endswith(leave), got[-80:]
frames = got[len(enter):got.rindex(leave)].split(b"\033[H")[1:]
for f in frames:
    lines = f.replace(b"\033[J", b"").split(b"\r\n")
    assert len(lines) <= 12, len(lines)
    for l in lines:
        l = l.replace(b"\033[K", b"")
        l = l.rstrip(b"\r")  # the terminal's
        for c in (b"\033[32m", b"\033[31m", b"\033[35m", b"\033[0m"):
            l = l.replace(c, b"")
        assert b"\033" not in l and len(l) <= 60, l
assert b"STORE" in frames[0] and b"RESTORED" not in frames[0], "too wide"
END
ok "--watch draws, and leaves the terminal as it was" \
    python3 "$T/watch.py" -n m "$T/store"
script -qec "dr-lag -n m '$T/store'" /dev/null </dev/null >"$T/tty" 2>&1
match "a terminal gets colours" "$(printf '\033')\\[32mOK" "$T/tty"
NO_COLOR=1 script -qec "dr-lag -n m '$T/store'" /dev/null </dev/null \
    >"$T/tty" 2>&1
nomatch "unless it does not want them" "$(printf '\033')" "$T/tty"

done_testing
