#!/bin/sh
# dr-wal push, step by step: the intent is durable before the object has its
# name, and the object's bytes, too; both are written out at the same time.
. "${0%/*}/../lib.sh"
need dr-wal dr-key strace python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
n=0
# push STORES STRACE-OPTIONS...: the next segment, traced.
push() {
	stores=$1
	shift
	n=$((n + 1))
	name=$(printf '0000000100000000%08X' $n)
	python3 "$top/tests/walseg.py" "$T/pg" "$name" segsize=1048576
	rm -rf a b
	mkdir a b
	# shellcheck disable=SC2086 # the stores, with their options
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace \
	    -e trace=fdatasync,fsync,linkat,renameat2 "$@" \
	    dr-wal push $stores "$T/pg/pg_wal/$name" >out 2>err
}
# What begins and what ends, in order, as far as it is about the object.  Of a
# process that holds keys only root can read the names.
steps() {
	awk -v name="$name" '
	/ fdatasync\(/ { print "intent begins" }
	/ fdatasync.* = 0/ || / <\.\.\. fdatasync resumed/ { print "intent ends" }
	/ fsync\(/ { fsync = 1 }
	/ (linkat|renameat2)\(/ && !/ = -1 / && (!/"/ ||
	    /"[^".]*\.zst\.age"/ && index($0, name)) {
		print fsync ? "bytes" : "no bytes"; print "name"; fsync = 0
		named = 1
	}
	END { print fsync && named ? "directory" : "no directory" }' trace
}
# Names of objects, temporaries too.
left() {
	find a b -type f ! -name 'ledger-*'
}

push "-s a"
is "a push" "$?" 0
# The journal itself is new then.
push "-s a"
is "the next one" "$?" 0
is "intent, bytes, name, directory" \
    "$(steps | grep -v 'intent begins' | LC_ALL=C sort -u | wc -l)" 4
is "the name comes after the intent and the bytes" \
    "$(steps | tail -n 2 | tr '\n' ' ')" "name directory "

# However long the journal takes.
push "-s a -s b" -e inject=fdatasync:delay_enter=300000
is "a push whose journal is slow" "$?" 0
is "the names wait for it" "$(steps | tr '\n' ' ')" \
    "intent begins intent ends bytes name bytes name directory "
is "both stores have it" "$(left | grep -c "$name")" 2
ok "the bytes do not" awk '
    / fdatasync\(/ { begun = NR }
    / fdatasync.* = 0/ || /fdatasync resumed/ { ended = NR }
    / fsync\(/ && begun && !ended { during = 1 }
    END { exit !during }' trace

# If it fails there is no name.
push "-s a -s b" -e inject=fdatasync:error=EIO
is "a push whose intent cannot be made durable fails" "$?" 1
is "once" "$(grep -c '^dr-wal: error: ' err)" 1
match "and says so" 'cannot write ".*/journal": Input/output error' err
is "there is no object, nor a temporary" "$(left)" ""

# --- file systems that lack something ---------------------------------------
push "-s a" -e inject=linkat:error=EPERM:when=1
is "where a file without a name cannot get one" "$?" 0
is "the object is there" "$(left | sed 's|.*/||')" "$name.zst.age"
push "-s a" -e inject=linkat:error=EPERM
is "where there are no hard links" "$?" 0
is "it is there, too" "$(left | sed 's|.*/||')" "$name.zst.age"
is "in the same order" "$(steps | tail -n 3 | tr '\n' ' ')" \
    "bytes name directory "
push "-s a" -e inject=linkat:error=ENOSPC
is "where there is no room for a name" "$?" 1
is "nothing is left" "$(left)" ""

# --- a batch, in two processes ----------------------------------------------
if [ "$(nproc)" -lt 2 ]; then
	skip "a batch in two processes" "there is one processor"
	done_testing
	exit
fi
rm -rf pg a state/wal
mkdir a
for i in 1 2 3 4 5 6 7; do
	python3 "$top/tests/walseg.py" "$T/pg" "00000001000000000000000$i" \
	    segsize=1048576
	: >"pg/pg_wal/archive_status/00000001000000000000000$i.ready"
done
batch() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace "$@" \
	    dr-wal push --batch -s a pg/pg_wal/000000010000000000000001 \
	    >out 2>err
}
stored() {
	find a -name '*.age' | sed -nE 's/.*0([0-9])\.zst\.age$/\1/p' | sort |
	    tr -d '\n'
}
batch -e trace=getppid -e inject=getppid:signal=KILL:when=2
is "a batch whose second process is killed" "$?" 0
match "says so" 'warning: storing what waits .*: .*killed' err
is "its half is not there" "$(stored)" 1246
batch -e trace=getppid
is "the next" "$?" 0
is "stores it" "$(stored)" 1234567
ok "there were two processes" test "$(grep -c getppid trace)" -gt 1
is "in silence" "$(cat err)" ""
mv a away
for i in 2 3 4 5 6 7; do
	dr-wal push --batch -s a "pg/pg_wal/00000001000000000000000$i" 2>&1
done >out
is "in their turn they are known, whoever stored them" "$(cat out)" ""
done_testing
