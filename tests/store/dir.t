#!/bin/sh
# A store in a directory, seen from outside: the order in which things become
# durable, what a killed push leaves, and odd directories.
. "${0%/*}/../lib.sh"
need dr-snap dr-push dr-pull dr-list strace

cd "$T" || exit 1
DR_SET=s
export DR_SET
snap() {
	dr-snap --stdin note | cat
}
head -c 20000000 /dev/zero | snap >big
echo x | snap >small

# --- order ----------------------------------------------------------------------
mkdir a
# Leaks cannot be looked for under strace.
ASAN_OPTIONS=detect_leaks=0 strace -f -qq -y -o trace -s 300 \
    -e trace=openat,fsync,linkat,unlinkat,rename,sync_file_range \
    dr-push --plain a <big 2>err
is "a push under strace" "$?" 0
# The calls on files of the store, by what they are for.
sed -nE '
s/.*fsync\([0-9]+<.*\/a\/s\/snap\/\.[^>]*\.tar\.[0-9a-f]{16}\.tmp>.*/fsync body/p
s/.*fsync\([0-9]+<.*\/a\/s\/snap\/(#[0-9]+>|\.[^>]*\.json(\.minisig)?\.[0-9a-f]{16}\.tmp>).*/fsync small/p
s/.*fsync\([0-9]+<.*\/a\/s\/snap>.*/fsync dir/p
s/^([0-9]+ +)?linkat\(.*"\.[^"]*\.tar\.[0-9a-f]*\.tmp".*/link body/p
s/^([0-9]+ +)?linkat\(.*"[^".][^"]*\.minisig", .*/link sig/p
s/^([0-9]+ +)?linkat\(.*"[^".][^"]*\.json", .*/link manifest/p
s/.*rename\(.*"[^"]*\/pending-[^"]*\.json"\).*/pending/p
s/.*rename\(.*"[^"]*\/head-[^"]*\.json"\).*/head/p
s/.*rename\(.*"[^"]*\/done-[^"]*\.json"\).*/done/p
' trace >calls
cat >want <<'END'
fsync body
link body
fsync dir
pending
head
fsync small
link sig
fsync dir
fsync small
link manifest
fsync dir
done
END
# Tools that hold keys hide their descriptors from all but root.
if [ "$(id -u)" -ne 0 ]; then
	skip "each step is durable before the next" "strace needs root for it"
	skip "parents of new directories are durable" "the same"
else
	is "each step is durable before the next" "$(cat calls)" "$(cat want)"
	is "parents of new directories are durable" \
	    "$(grep -cE 'fsync\([0-9]+<[^>]*/a(/s)?>' trace)" 2
fi
match "a large body is on its way to the disk before the end" \
    'sync_file_range' trace
nomatch "a body is opened for writing once" \
    'openat\(.*/a/s/snap.*O_TRUNC' trace

first=$DR_STATE
DR_STATE=$T/other

# --- killed -----------------------------------------------------------------------
mkdir b
# (SIGINT is ignored in what a shell starts in the background.)
for sig in TERM HUP KILL; do
	mkfifo p
	dr-push --plain b <p 2>err &
	pid=$!
	exec 3>p
	head -c 3000000 big >&3
	n=0
	while [ "$(find b -name '.*.tmp' -size +0 | wc -l)" -eq 0 ] &&
	    [ $n -lt 200 ]; do
		n=$((n + 1))
		sleep 0.02
	done
	ok "SIG$sig: it was in the middle" test $n -lt 200
	kill -$sig $pid
	wait $pid
	st=$?
	exec 3>&-
	rm p
	is "SIG$sig: it ends by that signal" "$(kill -l $st)" $sig
	is "SIG$sig: and no object is there" \
	    "$(find b -type f ! -name '.*.tmp' | wc -l)" 0
	[ $sig = KILL ] ||
		is "SIG$sig: nor a temporary" "$(find b -type f | wc -l)" 0
done
is "a temporary of a killed one is there" "$(find b -type f | wc -l)" 1
status 0 "it is in nobody's way" dr-push --plain b <small
status 0 "nor is it listed" dr-list b
is "one backup" "$(wc -l <out)" 2

# --- odd directories ----------------------------------------------------------------
mkdir c elsewhere
ln -s ../elsewhere c/s
echo y | snap >y
status 0 "a set that is a link to a directory" dr-push --plain c <y
is "lies where it leads" "$(find elsewhere -type f | wc -l)" 3
status 0 "and is read there" sh -c 'dr-pull c | cat >out1'
echo z | snap >z
ln -s c d
status 0 "a store that is a link" dr-push --plain d <z
status 0 "is the same store" dr-push --plain c <z
is "with two backups" "$(dr-list c | wc -l)" 3
mkdir f
: >f/s
echo f | snap >f1
status 1 "a file where the set should be" dr-push --plain f <f1
match "says so" 'Not a directory' err
status 1 "a file for a store" dr-push --plain big <f1
match "says so" 'cannot open store ".*/big": Not a directory' err
mkdir g
echo g | snap >g1
(
	umask 077
	dr-push --plain g <g1
)
is "the umask is kept to" "$(find g -type f -perm /077 | wc -l)" 0
is "directories too" "$(find g/s -type d -perm /077 | wc -l)" 0
mkdir "with space"
echo h | snap >h1
status 0 "a store with a space in its path" dr-push --plain "with space" <h1
status 0 "and as file:" dr-list "file:with space"
cd "$T/g" || exit 1
DR_STATE=$first
echo i | snap >../i1
status 0 "a relative path" dr-push --plain ../a <../i1
status 0 "goes on where an absolute one left" dr-push --plain "$T/a" <../big
is "the same chain" "$(python3 "$top/tests/chain.py" s "$T/a")" \
    "$(dr-list "$T/a" | wc -l | awk '{ print $1 - 1 }') manifests"
done_testing
