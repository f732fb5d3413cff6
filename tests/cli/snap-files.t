#!/bin/sh
# File trees: what dr-snap stores, tar and dr-restore bring back; and what
# becomes of files that change, vanish or cannot be read.
. "${0%/*}/../lib.sh"
need dr-snap dr-restore tar setfattr getfattr setfacl getfacl

cd "$T" || exit 1
root=$(id -u)
long=$(printf 'n%.0s' $(seq 200))

mkdir -p t/empty t/shut "t/$long/$long"
printf hello >t/plain
ln t/plain t/plain2
: >t/zero
printf x >"t/$(printf 'caf\303\251')"
printf x >"t/$(printf 'odd \377\n')"
printf long >"t/$long/$long/$long"
ln -s "$long/$long/$long" t/link
ln -s nowhere t/dangling
mkfifo t/fifo
truncate -s 40M t/holes
printf data | dd of=t/holes bs=1 seek=10000000 conv=notrunc 2>/dev/null
truncate -s 3M t/hole
head -c 3000000 /dev/urandom >t/noise
setfattr -n user.one -v 'a=b%' t/plain
setfattr -n user.two%3D -v 'c' t/empty
setfacl -m u:33:r t/plain
setfacl -d -m g:10:rx t/empty
chmod 4751 t/zero
[ "$root" -ne 0 ] || {
	mknod t/device c 7 300
	chown 1234567:7654321 t/noise
	chown -h 33:33 t/dangling
}
touch -d '1999-12-31 23:59:58.5' t/zero
touch -h -d '2001-02-03 04:05:06.123456789' t/link
chmod 1755 t/shut
touch -d '2002-02-03 04:05:06.000000001' t/shut t

# describe DIR: all there is to know of each file, in order.
describe() (
	cd "$1" || exit 1
	find . ! -type d -printf '%p %y %m %U %G %T@ %s %n %l\n' \
	    -o -printf '%p %y %m %U %G %T@\n' | LC_ALL=C sort
	find . -type f -exec sha256sum {} + | LC_ALL=C sort
	find . -type f -links +1 -printf '%i %p\n' | sort | awk '{ print $2 }'
	find . ! -type l -print0 | LC_ALL=C sort -z | xargs -0 getfacl -n
	find . ! -type l -print0 | LC_ALL=C sort -z |
		xargs -0 getfattr -d -m '^user'
)
describe t >want 2>&1

status 0 "a tree into a file" dr-snap -o t.tar t
is "without a word" "$(cat err out)" ""
mkdir x
status 0 "tar unpacks it" tar --xattrs --acls -C x -xpf t.tar
is "without a complaint" "$(cat err)" ""
describe x/t >got 2>&1
ok "all comes back by tar" cmp want got
tar tf t.tar | tail -n 1 >last
is "the report comes last" "$(cat last)" .drtools/report.json
ok "a file with holes takes little room" test "$(stat -c %s t.tar)" -lt 4000000

if [ "$root" -eq 0 ]; then
	status 4 "dr-restore makes no device nodes" dr-restore -D y t.tar
	match "and says which" 'device node: "t/device"' err
	rm -rf y
	rm t/device
	touch -d '2002-02-03 04:05:06.000000001' t
	describe t >want 2>&1
	dr-snap -f -o t.tar t
fi
status 0 "dr-restore takes it" dr-restore -D y t.tar
describe y/t >got 2>&1
if [ "$root" -eq 0 ]; then
	ok "all comes back by dr-restore" cmp want got
else
	# Without rights over owners, set-ID bits are not given.
	sed 's/ 4751 / 751 /; /^# flags: s/d' want >want2
	sed 's/ 4751 / 751 /; /^# flags: s/d' got >got2
	ok "all comes back by dr-restore" cmp want2 got2
fi
ok "holes stay holes" test "$(du -k y/t/holes | cut -f1)" -lt 1000
ok "nothing of ours is left" test ! -e y/.drtools

# --- tars of others -------------------------------------------------------------
for how in "--format=gnu -S" --format=ustar "--format=posix --xattrs --acls" \
    "--format=gnu -V label" --format=v7; do
	# shellcheck disable=SC2086 # words
	tar $how -cf - t/plain t/plain2 t/empty t/link t/fifo 2>/dev/null |
		dr-pack --foreign | cat >foreign
	rm -rf f
	status 0 "a tar made with $how" sh -c 'dr-restore -D f - <foreign'
	ok "is restored" sh -c 'cmp f/t/plain t/plain && test -d f/t/empty &&
	    test f/t/plain -ef f/t/plain2 && test -L f/t/link'
done
tar cf - t/plain | dr-pack --foreign -o foreign.zst
rm -rf f
status 0 "a tar of others in a file" dr-restore -D f foreign.zst
ok "is restored" cmp f/t/plain t/plain

# --- operands and patterns ----------------------------------------------------
status 0 "an absolute path" sh -c "dr-snap --body '$T/t/plain' | tar tf -"
is "is stored without the first slash" "$(head -n 1 out)" "${T#/}/t/plain"
status 0 "the working directory" sh -c "cd t && dr-snap --body . | tar tf -"
match "is stored as ./" '^\./$' out
match "its files by their names" '^plain$' out
status 0 "--exclude by path" \
    sh -c "dr-snap --body --exclude 't/n*' t | tar tf -"
nomatch "leaves out what matches" '^t/n' out
match "and nothing else" '^t/plain' out
status 0 "--exclude by name" \
    sh -c "dr-snap --body --exclude 'plain?' --exclude empty t | tar tf -"
nomatch "leaves out files" plain2 out
nomatch "and directories" empty out
match "and nothing else" '^t/plain$' out
# /proc and names below it that begin with p; others are excluded.
sh -c "dr-snap --body --exclude '[!p]*' / | tar tf - 2>/dev/null" >out 2>/dev/null
match "other file systems are stored" '^proc/partitions$' out
sh -c "dr-snap --body --one-file-system --exclude '[!p]*' / | tar tf -" \
    >out 2>/dev/null
match "with --one-file-system only where they begin" '^proc/$' out
nomatch "and not what they hold" '^proc/.' out
status 2 "\"..\" in an operand" dr-snap -o bad.tar t/../t
match "says so" '"t/../t" has "\.\."' err
status 1 "an operand that is missing" dr-snap -o bad.tar t nosuch
match "says which" 'error: .*"nosuch": No such file' err
status 2 "--exclude without a path" dr-snap --exclude x -o bad.tar
ok "none of these left a file" sh -c '! ls bad.tar* .bad.tar* 2>/dev/null'
mkdir u
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("u/sock")'
status 0 "a socket is no failure" dr-snap -v -o u.tar u
match "-v says that it is left out" '"u/sock" is left out: a socket' err

# --- files that change ----------------------------------------------------------
# meddle COMMAND: stop dr-snap in the middle of big by not reading what it
# writes, run COMMAND, and read on.
head -c 16777216 /dev/urandom >big.orig
mkfifo pipe
meddle() {
	cp big.orig big
	echo gone >gone
	dr-snap big gone >pipe 2>err &
	pid=$!
	exec 9<pipe
	dd bs=1 count=1 of=stream <&9 2>/dev/null
	"$@"
	cat <&9 >>stream
	exec 9<&-
	wait $pid
	rc=$?
	grep -a -o '"files":{.*' stream >facts
	tar xOf stream .drtools/report.json >report
}

meddle truncate -s 100 big
is "a file that shrinks: status 3" $rc 3
match "named on stderr" 'warning: "big": became shorter' err
match "counted in the manifest" '"changed":{"count":1}' facts
match "which says that it is not complete" '"complete":false' stream
match "named in the report" '"event":"changed","path":"big"' report
is "the stream is whole" "$(tar xOf stream big | wc -c)" 16777216
ok "the next file too" test "$(tar xOf stream gone)" = gone
status 0 "and is restored" sh -c 'dr-restore -D z - <stream'
is "with its size" "$(stat -c %s z/big)" 16777216

meddle sh -c 'echo more >>big'
is "a file that grows: status 3" $rc 3
match "named" '"big": grew' err
ok "its first part is stored" sh -c 'tar xOf stream big | cmp - big.orig'
meddle touch big
is "a file that is touched: status 3" $rc 3
match "named" '"big": changed' err
meddle rm gone
is "a file that vanishes: status 3" $rc 3
match "named" '"gone": vanished' err
match "counted" '"vanished":{"count":1}' facts
meddle rm big
is "a file that loses its last name: status 3" $rc 3
ok "is whole" sh -c 'tar xOf stream big | cmp - big.orig'
meddle :
is "none of that: status 0" $rc 0
match "complete" '"complete":true' stream

echo secret >t/secret
chmod 0 t/secret
if [ "$root" -eq 0 ]; then
	cat >as_other <<EOF
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups \
    --bounding-set=-all env DR_STATE= "\$@"
EOF
	chmod 755 as_other
	set -- ./as_other
else
	set --
fi
status 3 "a file that cannot be read: status 3" \
    sh -c "$* '$(command -v dr-snap)' t | cat >stream; \
    $* '$(command -v dr-snap)' t >/dev/null"
match "named" '"t/secret": Permission denied' err
tar tf stream >names
nomatch "not stored" secret names
match "counted" '"unreadable":{"count":[1-9]' stream

done_testing
