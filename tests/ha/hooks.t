#!/bin/sh
# The hooks that fence, stop and start: on real servers, alive, dead, half dead,
# frozen and nameless.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need psql perl setpriv python3

hooks=$top/scripts/hooks
fence() {
	timeout 30 sh "$hooks/fence-local" -D "$T/main" "$@"
}
node() {
	timeout 60 sh "$hooks/node-local" -D "$T/main" "$@"
}
# what runs there by our own account
left() {
	for p_ in /proc/[0-9]*; do
		[ "$(readlink "$p_/cwd" 2>/dev/null)" != "$T/main" ] || echo "${p_##*/}"
	done
}

# --- what all of them are told ----------------------------------------------------------
for h in "$hooks"/*; do
	n=${h##*/}
	status 0 "$n --help" sh "$h" --help
	match "says how it is used" "^usage: $n " "$T/out"
	status 0 "$n --version" sh "$h" --version
	match "says its name" "^$n " "$T/out"
	status 2 "$n with an unknown option" env DR_PGDATA=/x DR_ACTION=pause sh "$h" \
	    --frobnicate
	match "names it" "^$n: error: unknown option \"--frobnicate\"\$" "$T/err"
	status 2 "$n without anything" env -u DR_PGDATA sh "$h"
	sh "$h" --help | awk 'length($0) > 90' >"$T/wide"
	is "its help is not too wide" "$(cat "$T/wide")" ""
done

# --- alive --------------------------------------------------------------------------------
pg_new main || exit 1
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
pg_start main || exit 1
pg_new other || exit 1
pg_start other || exit 1
pg_use main
status 3 "it lives" fence
match "which is said" 'fence-local: error: it lives: .*postgres [0-9]+' "$T/err"
status 1 "a directory that is none" sh "$hooks/fence-local" -D "$T"
status 1 "a host that is not this one" env DR_HOST=192.0.2.1 sh "$hooks/fence-local" \
    -D "$T/main"
match "nothing is known of it" '192.0.2.1 is not this host' "$T/err"
status 3 "by an address of this host" env DR_HOST=127.0.0.1 sh "$hooks/fence-local" \
    -D "$T/main"
if [ "$root_" = yes ]; then
	status 1 "who may not see enough" setpriv --reuid=nobody --regid=nogroup \
	    --clear-groups sh "$hooks/fence-local" -D "$T/main"
	status 3 "the owner sees enough" as_pg sh "$hooks/fence-local" -D "$T/main"
fi
cp -p "$T/main/postmaster.pid" "$T/pidfile"
rm "$T/main/postmaster.pid"
status 3 "without its pid file it lives as well" fence
cp -p "$T/pidfile" "$T/main/postmaster.pid"
status 3 "a dry run" fence --kill -n
match "says whom it would kill" '^would kill: .*postgres [0-9]+' "$T/out"
is "and does not" "$(psql_ "SELECT 1")" 1

# --- half dead ------------------------------------------------------------------------------
# The postmaster is gone, one backend is stopped and so does not notice.
psql_ "SELECT pg_sleep(60)" >"$T/sleep" 2>&1 &
helpers_="$helpers_ $!"
until_sql main 1 "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
backend=$(psql_ "SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
kill -STOP "$backend"
kill -KILL "$(pm main)"
alone() {
	[ "$(left)" = "$backend" ]
}
until_ "one backend is left" alone
status 3 "it lives by that one" fence
rm "$T/main/postmaster.pid"
status 3 "and without the pid file" fence
cp -p "$T/pidfile" "$T/main/postmaster.pid"
kill -KILL "$backend"
nobody() {
	[ -z "$(left)" ]
}
until_ "that is gone, too" nobody
status 0 "now it is dead" fence
match "and that is said" "^dead: no process works in \"$T/main\", none has its shared memory, port [0-9]+ refuses\$" "$T/out"

# again: what was killed may be a zombie, which the server takes for alive
again() {
	rm -f "$T/main/postmaster.pid" "$T/s/.s.PGSQL.$PGPORT.lock"
	pg_start main
}

# --- killed by us ----------------------------------------------------------------------------
again || exit 1
status 0 "killed" fence --kill
match "all of it is proved" "none has its shared memory, port [0-9]+ refuses" "$T/out"
ok "nobody is left" nobody
is "the other one lives" "$(PGPORT=$(cat "$T/other.port") psql_ "SELECT 1")" 1
status 0 "and again" fence --kill
again || exit 1
# shellcheck disable=SC2046 # words
kill -STOP $(all_of main)
status 3 "frozen, it lives" fence
status 0 "frozen, it is killed" fence --kill
ok "nobody is left" nobody
# What an archive command started, which nobody ends.
cat >>"$T/main/postgresql.conf" <<END
archive_mode = on
archive_command = 'sleep 300'
END
again || exit 1
psql_ "CREATE TABLE t (); SELECT pg_switch_wal()" >/dev/null
archiving() {
	pgrep -f '^sleep 300$' >"$T/archiver" && grep -qx "$(cat "$T/archiver")" \
	    <<-END
	$(left)
	END
}
until_ "an archive command runs" archiving
# shellcheck disable=SC2046 # words
kill -KILL $(all_of main)
until_ "it is what is left" test "$(left | wc -l)" -le 2
status 3 "that counts, too" fence
match "by name" 'sleep [0-9]+' "$T/err"
status 0 "and is killed" fence --kill
ok "nobody is left" nobody
sed -i '/^archive/d' "$T/main/postgresql.conf"
# Somebody has its shared memory, but works elsewhere.
again || exit 1
shm=$(sed -n 7p "$T/main/postmaster.pid")
cat >"$T/attach.py" <<'END'
import ctypes, sys, time
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_void_p
if c.shmat(int(sys.argv[1]), None, 0) in (None, ctypes.c_void_p(-1).value):
    sys.exit("cannot attach")
print("attached", flush=True)
time.sleep(60)
END
# The one that comes with the system, which any user can run.
as_pg /usr/bin/python3 - "${shm##* }" <"$T/attach.py" >"$T/attached" 2>&1 &
helpers_="$helpers_ $!"
until_ "somebody is attached" grep -q attached "$T/attached"
all=$(all_of main)
# shellcheck disable=SC2086 # words
kill -KILL $all
until_ "the rest is gone" nobody
status 3 "whoever has its shared memory" fence
match "is enough" 'attached to its shared memory' "$T/err"
status 0 "is killed as well" fence --kill
status 0 "and then it is dead" fence

# A process that listens where it did.
again || exit 1
pg_stop main immediate
cp -p "$T/pidfile" "$T/main/postmaster.pid"
rm -f "$T/s/.s.PGSQL.$PGPORT"
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
time.sleep(60)' "$T/s/.s.PGSQL.$PGPORT" &
listener=$!
helpers_="$helpers_ $listener"
until_ "somebody listens" test -S "$T/s/.s.PGSQL.$PGPORT"
status 3 "somebody listens where it did" fence
match "which is said" "something else where it was: $T/s/.s.PGSQL.$PGPORT" "$T/err"
kill "$listener"
wait "$listener" 2>/dev/null
rm -f "$T/s/.s.PGSQL.$PGPORT" "$T/main/postmaster.pid"
status 0 "no pid file, and nobody there" fence

# --- systemd, as far as it is asked -------------------------------------------------------------
mkdir "$T/bin"
cat >"$T/bin/systemctl" <<END
#!/bin/sh
echo "\$*" >>"$T/systemctl.log"
case "\$*" in
*ControlGroup*) echo "\$CG" ;;
*ActiveState*) echo "\${STATE:-inactive}" ;;
start*) exec setpriv --reuid=$(stat -c %u "$T/main") --regid=$(stat -c %g "$T/main") --init-groups \
    "$PGBIN/pg_ctl" -D "$T/main" -l "$T/main.log" -w -s start >/dev/null 2>&1 ;;
stop*) exec setpriv --reuid=$(stat -c %u "$T/main") --regid=$(stat -c %g "$T/main") --init-groups \
    "$PGBIN/pg_ctl" -D "$T/main" -w -s -m fast stop >/dev/null 2>&1 ;;
esac
END
chmod 755 "$T/bin/systemctl"
was=$PATH PATH=$T/bin:$PATH
status 0 "a unit without processes" fence --unit x@y
match "is named" 'unit x@y is empty$' "$T/out"
STATE=activating status 3 "a unit that is being started" fence --unit x@y
: >"$T/systemctl.log"
status 0 "a unit to kill" fence --kill --unit x@y
is "is masked first" "$(head -n 1 "$T/systemctl.log")" "mask --runtime -- x@y"
if [ "$root_" = yes ]; then
	rm -f "$T/main/postmaster.pid" "$T/s/.s.PGSQL.$PGPORT.lock"
	status 0 "started as a unit" env DR_ROLE=primary sh "$hooks/node-local" \
	    -D "$T/main" --unit x@y start
	match "is unmasked before" '^unmask --runtime -- x@y$' "$T/systemctl.log"
	pids_="$pids_ $(pm main)"
	status 0 "stopped as a unit" env DR_HOOK=stop sh "$hooks/node-local" \
	    -D "$T/main" --unit x@y
fi
PATH=$was

# --- stop and start -------------------------------------------------------------------------------
status 2 "start without a role" node start
status 1 "on another host" env DR_HOST=192.0.2.1 sh "$hooks/node-local" -D "$T/main" stop
# The harness's own socket directory.
sed -i "s/^port = .*/port = $PGPORT/" "$T/main/postgresql.conf"
starts() { # ROLE
	[ -n "$(left)" ] || rm -f "$T/main/postmaster.pid" "$T/s/.s.PGSQL.$PGPORT.lock"
	DR_HOOK=start DR_ROLE=$1 DR_TIMEOUT_MS=40000 node --bindir "$PGBIN" || return
	pids_="$pids_ $(pm main)"
}
stops() { # MODE
	DR_HOOK=stop DR_MODE=$1 DR_TIMEOUT_MS=${2:-40000} node --bindir "$PGBIN"
}
touch "$T/main/standby.signal"
status 0 "a dry run of a start" env DR_ROLE=primary sh "$hooks/node-local" -n \
    -D "$T/main" start
match "says that the signal goes" '^rm -f -- .*standby.signal$' "$T/out"
ok "and leaves it" test -e "$T/main/standby.signal"
status 0 "started as primary" starts primary
match "which is said" '^started as primary$' "$T/out"
is "it is one" "$(psql_ "SELECT pg_is_in_recovery()")" f
ok "the signal is gone" test ! -e "$T/main/standby.signal"
status 0 "once more" starts primary
match "it runs already" '^it runs already, as primary$' "$T/out"
status 3 "in the other role" starts standby
match "is refused" 'refused: it runs already, as primary' "$T/err"
status 0 "stopped" stops fast
match "which is said" '^stopped \(fast\)$' "$T/out"
status 0 "once more" stops fast
match "it does not run" '^it does not run$' "$T/out"
status 0 "dead, says the fence" fence
echo "primary_conninfo = 'host=$T/nowhere'" >>"$T/main/postgresql.conf"
status 0 "started as standby" starts standby
is "it is one" "$(psql_ "SELECT pg_is_in_recovery()")" t
is "and its signal is its own" "$(stat -c %u "$T/main/standby.signal")" \
    "$(stat -c %u "$T/main")"
status 3 "as primary" starts primary
match "it is refused" 'refused: it runs already, as standby' "$T/err"
status 0 "stopped at once" stops immediate
status 0 "started as primary" starts primary
# shellcheck disable=SC2046 # words
freeze $(pm main)
status 1 "one that hangs does not stop" stops fast 2500
match "which is said" 'it still runs, after 1 s' "$T/err"
thaw
until_ "it ends in the end" nobody

# --- on another host ----------------------------------------------------------------------------------
# As ssh would: a shell gets one string.
cat >"$T/bin/ssh" <<END
#!/bin/sh
while [ "\$1" != -- ]; do echo "\$1" >>"$T/ssh.opts"; shift; done
case \$2 in
away) echo "ssh: connect to host away: no route" >&2; exit 255 ;;
hangs) exec sleep 60 ;;
esac
echo "\$2" >>"$T/ssh.hosts"
exec env -i PATH="\$PATH" HOST_IS="\$2" sh -c "\$3"
END
cat >"$T/bin/hook" <<'END'
#!/bin/sh
echo "$HOST_IS: $DR_NODE $DR_PGDATA $1"
case $HOST_IS in
no) exit 3 ;;
bad) exit 1 ;;
esac
END
chmod 755 "$T/bin/ssh" "$T/bin/hook"
PATH=$T/bin:$PATH
on() {
	DR_NODE="it's" DR_PGDATA='/a b$HOME' timeout 30 sh "$hooks/by-ssh" "$@"
}
status 0 "a host" on -o User=u one -- hook 'two words'
is "gets what we were told" "$(cat "$T/out")" 'one: it'"'"'s /a b$HOME two words'
ok "and the options" grep -qx User=u "$T/ssh.opts"
status 0 "several" on one two -- hook x
is "all run" "$(sort "$T/ssh.hosts" | uniq | tr '\n' ' ')" "one two "
status 3 "one refuses" on one no bad -- hook x
status 1 "one fails" on one bad -- hook x
status 1 "one is away" on away -- hook x
match "which is said" 'no answer from away' "$T/err"
status 1 "one hangs" env DR_TIMEOUT_MS=500 sh "$hooks/by-ssh" hangs -- hook x
status 2 "a host that is an option" on -- hook
status 2 "a host with a blank" on 'a b' -- hook
status 0 "a dry run" on -n one -- hook x
match "prints what it would run" "^one: exec timeout 60 env .*DR_NODE='it'" "$T/out"
status 0 "fenced through it" env DR_PGDATA="$T/main" sh "$hooks/by-ssh" one -- \
    sh "$hooks/fence-local"
match "as if here" '^dead: ' "$T/out"

done_testing
