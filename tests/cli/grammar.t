#!/bin/sh
# What all tools share: help, version, usage errors, terminals, redirections.
. "${0%/*}/../lib.sh"
need script

version=$(sed -n 's/^VERSION := //p' "$top/Makefile")
for f in "$top"/cmd/*.c; do
	t=${f##*/}
	t=${t%.c}
	status 0 "$t --help" "$t" --help
	is "$t: help is quiet on stderr" "$(cat "$T/err")" ""
	match "$t: help shows the usage" "^usage: $t " "$T/out"
	status 0 "$t --version" "$t" --version
	is "$t: its version" "$(cat "$T/out" "$T/err")" "$t (drtools) $version"
	status 1 "$t: help that cannot be written" \
	    sh -c "$t --help >/dev/full"
	usage=2
	[ "$t" != dr-wal ] || usage=255 # a server takes 2 for "absent"
	for o in --no-such-option '-~' --hel; do
		status $usage "$t $o" "$t" "$o"
		is "$t $o: nothing on stdout" "$(cat "$T/out")" ""
		sed "s/^$t: error: unknown .*/E/; s/^$t: hint: .*$t.*--help.*/H/" \
		    "$T/err" >"$T/said"
		is "$t $o: one line and a hint" "$(tr '\n' ' ' <"$T/said")" \
		    "E H "
	done
done

# --- a stream to play with ---------------------------------------------------
printf 'some bytes\n' | dr-snap --stdin note | cat >"$T/snap"
dr-pack <"$T/snap" | cat >"$T/pack"
dr-key new -o "$T/key" >"$T/out" 2>&1
rcpt=$(dr-key recipient "$T/key")
dr-seal -r "$rcpt" <"$T/pack" | cat >"$T/seal"

# tty STATUS WHAT COMMAND: both ends are terminals where not redirected.
tty() {
	script -qec "$3" /dev/null </dev/null >"$T/tty" 2>&1
	is "$2: status" "$?" "$1"
	match "$2: says why" 'terminal' "$T/tty"
	match "$2: with a hint" 'hint: ' "$T/tty"
}
file() {
	status 2 "$1 is refused" sh -c "$2 >'$T/file'"
	match "$1: says why" 'error: .*(regular file|redirect)' "$T/err"
	match "$1: with a hint" 'hint: .*-o FILE' "$T/err"
	is "$1: nothing is written" "$(cat "$T/file")" ""
}
tty 2 "dr-snap to a terminal" "dr-snap --stdin x </dev/null"
tty 2 "dr-pack to a terminal" "dr-pack <$T/snap"
tty 2 "dr-pack -d to a terminal" "dr-pack -d <$T/pack"
tty 2 "dr-seal to a terminal" "dr-seal -r $rcpt <$T/pack"
tty 2 "dr-seal -d to a terminal" "dr-seal -d -i $T/key <$T/seal"
tty 2 "dr-pack from a terminal" "dr-pack >/dev/null"
tty 2 "dr-seal from a terminal" "dr-seal -r $rcpt >/dev/null"
tty 2 "dr-push from a terminal" "dr-push -n x $T/store"
ok "that made no store" test ! -e "$T/store"
file "dr-snap to a file" "dr-snap --stdin x </dev/null"
file "dr-pack to a file" "dr-pack <'$T/snap'"
file "dr-seal to a file" "dr-seal -r $rcpt <'$T/pack'"

status 0 "--stream to a file" sh -c "dr-pack --stream <'$T/snap' >'$T/p2'"
status 0 "which is a stream" sh -c "dr-pack -d <'$T/p2' | cmp - '$T/snap'"
status 0 "--body to a file" sh -c "dr-pack --body <'$T/snap' >'$T/p3'"
status 0 "which stock tools read" sh -c "zstd -dc <'$T/p3' >'$T/p3.tar'"
status 4 "and which is no stream" sh -c "dr-pack -d <'$T/p3' | cat >'$T/p4'; \
    dr-pack -d <'$T/p3' >/dev/null"

# --- -q and -v ----------------------------------------------------------------
status 0 "a filter" sh -c "dr-pack <'$T/snap' | cat >/dev/null"
is "says nothing by itself" "$(cat "$T/err")" ""
status 0 "with -v" sh -c "dr-pack -v <'$T/snap' | cat >/dev/null"
match "it says what it did" '^dr-pack: ' "$T/err"
status 0 "with -qv" sh -c "dr-pack -qq <'$T/snap' | cat >/dev/null"
is "with -q it never does" "$(cat "$T/err")" ""
status 4 "an error" sh -c "head -c 100 '$T/snap' | dr-pack -q >/dev/null"
is "is one line, -q or not" "$(grep -c 'error: ' "$T/err")" 1

done_testing
