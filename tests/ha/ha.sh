# shellcheck shell=sh disable=SC2154
# ha.sh - primaries, standbys and what they say of themselves; after lib.sh.
#
#	standby NEW FROM LINE...	$T/NEW is to follow FROM; a copy of
#				$T/main, which was not started yet or is
#				stopped; LINEs go into its configuration
#	at NAME			a connection string
#	pm NAME			the postmaster's pid
#	all_of NAME		and those of its children
#	until_ WHAT COMMAND...	within 15 s
#	until_sql NAME WANT SQL
#	views [-b] CONNINFO...	tests/ha/view.c, into $T/view
#	get FIELD		what it says; "" when it says nothing
#	freeze PID..., thaw	thawed at the end in any case

# What is frozen would not hear that it is to end.
frozen_=
thaw() {
	# shellcheck disable=SC2086 # words
	[ -z "$frozen_" ] || kill -CONT $frozen_ 2>/dev/null
	frozen_=
}
end_ours() {
	thaw
	cleanup_
}
trap end_ours EXIT

freeze() {
	frozen_="$frozen_ $*"
	kill -STOP "$@"
}

standby() {
	new_=$1 from_=$2
	shift 2
	pg_port_ "$from_"
	pg_port_ "$new_"
	cp -a "$T/main" "$T/$new_" || return 1
	rm -f "$T/$new_/postmaster.pid"
	cat >>"$T/$new_/postgresql.conf" <<-END
	cluster_name = '$new_'
	primary_conninfo = 'host=$T/s port=$(cat "$T/$from_.port") user=postgres application_name=$new_'
	wal_retrieve_retry_interval = 100ms
	END
	for l_; do
		echo "$l_" >>"$T/$new_/postgresql.conf"
	done
	as_pg touch "$T/$new_/standby.signal"
}

at() {
	echo "port=$(cat "$T/$1.port")"
}

pm() {
	head -n 1 "$T/$1/postmaster.pid"
}

all_of() {
	p_=$(pm "$1")
	echo "$p_"
	pgrep -P "$p_"
}

until_() {
	w_=$1 n_=0
	shift
	until "$@" >"$T/until.out" 2>&1; do
		n_=$((n_ + 1))
		if [ "$n_" -ge 150 ]; then
			fail_ "$w_" "$T/until.out"
			return 1
		fi
		sleep 0.1
	done
	pass_ "$w_"
}

answers_() {
	[ "$(PGPORT=$(cat "$T/$1.port") psql_ "$3")" = "$2" ]
}

until_sql() {
	until_ "$1: $(echo "$3" | tr -s '[:space:]' ' ') is $2" \
	    answers_ "$1" "$2" "$3"
}

views() {
	if [ "$1" = -b ]; then
		shift
		set -- -b 5000 "$@"
	else
		set -- 5000 "$@"
	fi
	"$top/build/$V/ha/view" "$@" >"$T/view" 2>"$T/view.err" || {
		sed 's/^/# /' "$T/view.err"
		return 1
	}
}

get() {
	sed -n "s/^$1 //p" "$T/view"
}

# says WHAT FIELD WANT
says() {
	is "$1" "$(get "$2")" "$3"
}

# below WHAT FIELD LIMIT: a number, known, from 0 to below LIMIT
below() {
	g_=$(get "$2")
	case $g_ in
	'' | - | -* | *[!0-9]*) fail_ "$1: $2 is \"$g_\"" ;;
	*) ok "$1 ($g_)" test "$g_" -lt "$3" ;;
	esac
}
