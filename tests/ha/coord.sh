# shellcheck shell=sh disable=SC2154
# coord.sh - talking to tests/ha/coord.c; after etcd.sh.
#
#	by ADDRESS LINE...	what it says to them, in $T/out
#	said N WHAT WANT	its answer to line N, without the time
#	token FILE		the one that was taken there
#	open_ ADDRESS, close_	a session: a process that is told line by line
#	tell LINE		what came of it, in $said; how long it took, in $ms
#	told WHAT WANT LINE	WANT is a pattern
#	in_time LIMIT		of the last line, in ms; half a second more is given
#	value NAME		of a key of the set "main"
#	events TEXT		how many there are
#
# $opts are options for it.

coord=$top/build/$V/ha/coord

by() {
	a_=$1
	shift
	# shellcheck disable=SC2086 # words
	printf '%s\n' "$@" | timeout 60 "$coord" ${opts:-} "$a_" main \
	    >"$T/out" 2>"$T/err"
}

said() {
	is "$2" "$(sed -n "$1p" "$T/out" | cut -d ' ' -f 2-)" "$3"
}

token() {
	sed -n "s/^[0-9]* taken //p" "$1"
}

open_() {
	rm -f "$T/in"
	mkfifo "$T/in"
	: >"$T/session"
	# shellcheck disable=SC2086 # words
	timeout 120 "$coord" ${opts:-} "$1" main <"$T/in" >"$T/session" 2>&1 &
	session=$!
	helpers_="$helpers_ $session"
	exec 3>"$T/in"
}

tell() {
	lines_=$(wc -l <"$T/session")
	printf '%s\n' "$1" >&3
	n_=0
	while [ "$(wc -l <"$T/session")" -le "$lines_" ]; do
		n_=$((n_ + 1))
		[ "$n_" -lt 600 ] || break
		sleep 0.05
	done
	said=$(tail -n 1 "$T/session")
	ms=${said%% *}
	said=${said#* }
}

told() {
	tell "$3"
	# shellcheck disable=SC2254 # a pattern
	case $said in
	$2) pass_ "$1" ;;
	*)
		fail_ "$1"
		note "got \"$said\", not \"$2\""
		;;
	esac
}

in_time() {
	ok "  within $1 ms ($ms)" test "$ms" -le $(($1 + 500))
}

close_() {
	exec 3>&-
	wait "$session"
}

value() {
	etcdctl_ get --print-value-only "/dr/main/$1"
}

events() {
	etcdctl_ get --prefix --print-value-only /dr-history/main/ |
		grep -c "^$1\$"
}
