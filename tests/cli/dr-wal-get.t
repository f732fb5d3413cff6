#!/bin/sh
# dr-wal get: what it delivers, and above all what it says when it does not.
. "${0%/*}/../lib.sh"
need dr-wal dr-key age zstd python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to DR_IDENTITY=$T/id
export DR_SET DR_RECIPIENTS DR_IDENTITY
sysid=7300000000000000001
wal=s/wal/$sysid/00000001

seg() { # NAME [KEY=VALUE...]
	python3 "$top/tests/walseg.py" "$T/pg" "$@"
}
push() {
	(cd "$T/pg" && exec dr-wal push "$@")
}
get() { # OPTION... NAME: into the data directory
	for n_; do :; done
	(cd "$T/pg" && exec dr-wal get "$@" "${D:-pg_wal/RECOVERYXLOG}")
}
# Segment N of timeline 1.
S() {
	printf '0000000100000000000000%02X' "$1"
}
D=pg_wal/RECOVERYXLOG
got=pg/$D
leftovers() {
	find "$T/pg" -name '.*.tmp' | wc -l
}
# Fetchers end when nothing is asked for; they would in a few seconds.
idle() {
	n_=0
	rm -f "$T"/*/spool/*/asked
	while pgrep -f "^dr-wal get .*$T" >/dev/null 2>&1 && [ $n_ -lt 150 ]; do
		n_=$((n_ + 1))
		sleep 0.1
	done
}

mkdir a b
for i in 1 2 3 5; do
	seg "$(S $i)"
	push -s "$T/a" -s "$T/b" "pg_wal/$(S $i)" || exit 1
done
printf '1\t0/600060\tno recovery target specified\n' >pg/pg_wal/00000002.history
push -s "$T/a" -s "$T/b" pg_wal/00000002.history
printf 'START WAL LOCATION: 0/1000028 \050file %s)\n' "$(S 1)" \
    >"pg/pg_wal/$(S 1).00000028.backup"
push -s "$T/a" "pg_wal/$(S 1).00000028.backup"

# --- delivered --------------------------------------------------------------------
status 0 "a segment" get -s "$T/a" "$(S 1)"
is "is silent" "$(cat out err)" ""
ok "it is that segment" cmp "pg/pg_wal/$(S 1)" $got
status 0 "the next, in place of the file that is there" \
    get -s "$T/a" "$(S 2)"
ok "it is that segment" cmp "pg/pg_wal/$(S 2)" $got
status 0 "a .history" get -s "$T/a" 00000002.history
ok "it is that file" cmp pg/pg_wal/00000002.history $got
status 0 "a .backup" get -s "$T/a" "$(S 1).00000028.backup"
ok "it is that file" cmp "pg/pg_wal/$(S 1).00000028.backup" $got
D=$T/out.seg
status 0 "an absolute destination, the only cluster of the set" \
    get -s "$T/a" "$(S 3)"
ok "it is that segment" cmp "pg/pg_wal/$(S 3)" out.seg
D=pg_wal/RECOVERYXLOG
status 0 "a system identifier that is said" \
    get --system-id $sysid -s "$T/a" "$(S 1)"
status 0 "without a key to verify with" \
    get --no-signature --state "$T/none" -s "$T/a" "$(S 1)"
is "no temporary is left" "$(leftovers)" 0

# --- absent: 1 ---------------------------------------------------------------------
rm -f $got
status 1 "a segment after the last" get -s "$T/a" "$(S 6)"
is "is silent" "$(cat out err)" ""
status 1 "in two stores" get -s "$T/a" -s "$T/b" "$(S 6)"
status 1 "a .history" get -s "$T/a" 00000003.history
status 1 "a segment of the next timeline" \
    get -s "$T/a" 000000020000000000000006
status 1 "a .partial" get -s "$T/a" "$(S 3).partial"
status 1 "another cluster's" get --system-id 42 -s "$T/a" "$(S 6)"
match "is told" 'warning: .*no WAL of this cluster' err
ok "nothing is delivered" test ! -e $got

# --- what a killed one left behind -------------------------------------------------
for f in .x.0123456789abcdef.tmp .x.0123456789abcde.tmp .y.0123456789abcdef.tmp \
    .x.0123456789ABCDEF.tmp; do
	: >"$T/pg/pg_wal/$f"
done
(cd "$T/pg" && exec dr-wal get -s "$T/a" "$(S 1)" pg_wal/x) >"$T/out" 2>&1
is "goes with the next, and nothing else does" \
    "$(cd "$T/pg/pg_wal" && echo .[xy].*)" \
    ".x.0123456789ABCDEF.tmp .x.0123456789abcde.tmp .y.0123456789abcdef.tmp"
rm "$T/pg/pg_wal"/.[xy].*

# --- everything else: 255 ----------------------------------------------------------
status 255 "a hole" get -s "$T/a" "$(S 4)"
match "is told" "error: \"$(S 4)\" is missing, and \"$(S 5)\" of its" err
status 255 "a hole, in two stores" get -s "$T/a" -s "$T/b" "$(S 4)"
status 255 "no store there" get -s "$T/nowhere" "$(S 6)"
status 255 "one store absent, one in error" \
    get -s "$T/a" -s "$T/nowhere" "$(S 6)"
status 255 "the other way round" get -s "$T/nowhere" -s "$T/a" "$(S 6)"
status 255 "for a .history too" \
    get -s "$T/a" -s "$T/nowhere" 00000003.history
status 0 "one store in error, one that has it" \
    get -s "$T/nowhere" -s "$T/b" "$(S 1)"
match "is a warning" 'warning: store ".*nowhere"' err
status 255 "no such name" get -s "$T/a" x
status 255 "a lower-case name" get -s "$T/a" 00000001000000000000000a
status 255 "a mistyped verb" dr-wal gte -s "$T/a" "$(S 1)" x
match "is named" 'unknown command "gte"' "$T/err"
status 255 "an option before the verb" dr-wal -q get -s "$T/a" "$(S 1)" x
status 255 "no verb" dr-wal
status 255 "no operand" dr-wal get -s "$T/a"
status 255 "three operands" dr-wal get -s "$T/a" a b c
status 255 "no such option" dr-wal get --nonsense -s "$T/a" a b
status 255 "no set" env -u DR_SET dr-wal get -s "$T/a" "$(S 1)" x
status 255 "no store" dr-wal get "$(S 1)" x
status 255 "no identity" env -u DR_IDENTITY dr-wal get -s "$T/a" "$(S 1)" x
status 255 "no key to verify with" get --state "$T/none" -s "$T/a" "$(S 1)"
match "has a hint" 'hint: .*-K FILE' err
status 255 "no such system identifier" get --system-id 0x -s "$T/a" "$(S 1)"
D=nowhere/x
status 255 "no such destination" get --system-id $sysid -s "$T/a" "$(S 1)"
D=pg_wal/RECOVERYXLOG
cp pg/global/pg_control control
printf 'garbage, and more garbage' >pg/global/pg_control
status 255 "a control file that is none" get -s "$T/a" "$(S 1)"
mv control pg/global/pg_control
mkdir -p "a/s/wal/42/00000001"
cp "a/$wal/$(S 1).zst.age" a/s/wal/42/00000001
status 255 "several clusters, and no telling which" \
    dr-wal get -s "$T/a" "$(S 1)" "$T/x"
match "has a hint" 'hint: .*--system-id' err
status 255 "an object of another cluster" \
    get --system-id 42 -s "$T/a" "$(S 1)"
rm -r a/s/wal/42
ok "nothing is delivered" test ! -e nowhere -a ! -e x
is "no temporary is left" "$(leftovers)" 0

# --- objects that are not to be trusted --------------------------------------------
rm -f $got
o=a/$wal/$(S 2).zst.age
cp "$o" good
refused() { # WHAT
	status 255 "$1" get -s "$T/a" "$(S 2)"
	ok "nothing is delivered" test ! -e $got
}
damage() { # NAME: put in place of the object, which may be a spooled one's
	idle
	rm -f "$o"
	cp "$1" "$o"
}
head -c 1000 good >bad
damage bad
refused "truncated"
: >bad
damage bad
refused "empty"
cp good bad
printf X | dd of=bad bs=1 seek=2000 conv=notrunc 2>/dev/null
damage bad
refused "a byte changed"
damage "a/$wal/$(S 3).zst.age"
refused "another segment's in its place"
match "is told" "signature" err
zstd -qc "pg/pg_wal/$(S 2)" | age -R to >bad
damage bad
refused "sealed well, and not signed"
dr-key sign-new -o other 2>/dev/null
mkdir c
push -k "$T/other" -s "$T/c" --state "$T/st2" "pg_wal/$(S 2)"
damage "c/$wal/$(S 2).zst.age"
refused "signed by another key"
match "is told" "error: .*$(S 2)" err
status 0 "that key may be trusted" \
    get -K "$T/other.pub" -s "$T/a" "$(S 2)"
rm -f $got
status 0 "or none be looked at" get --no-signature -s "$T/a" "$(S 2)"
rm -f $got
status 0 "a good one in the next store" \
    get -s "$T/a" -s "$T/b" "$(S 2)"
match "with a warning" "warning: store \"$T/a\": .*$(S 2)" err
ok "it is that segment" cmp "pg/pg_wal/$(S 2)" $got
damage good

# Two servers that chose the same timeline.
mkdir d
printf '1\t0/400060\tanother\n' >pg/pg_wal/00000002.history
push -s "$T/d" --state "$T/st3" -k "$DR_STATE/sign.key" \
    pg_wal/00000002.history
status 255 "stores with different histories" \
    get -s "$T/a" -s "$T/d" 00000002.history
match "are told apart" 'is another than in a store before' err

# --- a ledger knows more ------------------------------------------------------------
idle
seg "$(S 6)"
push -s "$T/a" "pg_wal/$(S 6)"
(cd pg && dr-wal push --ledger -s "$T/a")
rm -f "a/$wal/$(S 6).zst.age"
status 255 "the last segment was taken away" get -s "$T/a" "$(S 6)"
match "a ledger names it" "is missing" err
status 1 "the one after it is absent" get -s "$T/a" "$(S 7)"

# --- a standby -----------------------------------------------------------------------
mkdir m
status 0 "--standby" get --standby -s "$T/a" "$(S 1)"
status 1 "a hole" get --standby -s "$T/a" "$(S 4)"
match "is told all the same" "error: \"$(S 4)\" is missing" err
status 1 "a store away" get --standby --metrics-dir "$T/m" \
    -s "$T/nowhere" "$(S 4)"
match "is in the metrics" \
    'drtools_wal_get_failure\{set="s",cause=".*nowhere' m/dr-wal-get_s.prom
match "as failing" 'drtools_wal_get_failing\{set="s"\} 1' m/dr-wal-get_s.prom
status 255 "a usage error is none to try again" get --standby -s "$T/a" x
status 0 "and after it" get --standby --metrics-dir "$T/m" -s "$T/b" "$(S 5)"
match "it is over" 'drtools_wal_get_failing\{set="s"\} 0' m/dr-wal-get_s.prom

# --- stores that hang, signals -------------------------------------------------------
# What prints identities is slow; asking for them is within the deadline.
status 255 "the deadline" get -s "$T/a" --timeout 300ms \
    --identity-command 'sleep 5' "$(S 2)"
status 1 "of a standby" get --standby -s "$T/a" --timeout 300ms \
    --identity-command 'sleep 5' "$(S 2)"
# A store that never answers, as a dead NFS server's does.
cat >hang.c <<'END'
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int hang(const char *path, int flags, int mode)
{
	size_t n = strlen(path);
	while (n >= 5 && strcmp(path + n - 5, "/hang") == 0)
		sleep(1);
	return (int)syscall(SYS_openat, -100 /* AT_FDCWD */, path, flags, mode);
}
int open(const char *path, int flags, int mode)
{ return hang(path, flags, mode); }
int open64(const char *path, int flags, int mode)
{ return hang(path, flags, mode); }
int __open64_2(const char *path, int flags) { return hang(path, flags, 0); }
END
mkdir hang
if cc -w -U_FORTIFY_SOURCE -shared -fPIC -o hang.so hang.c 2>cc.err &&
    [ "$V" = release ]; then
	hanging() {
		(cd pg && LD_PRELOAD=$T/hang.so exec dr-wal get "$@" $D)
	}
	status 255 "a store that hangs" hanging -s "$T/hang" --timeout 500ms \
	    "$(S 2)"
	match "is told" 'error: no answer within 500 ms' err
	status 0 "the next one is asked in time" hanging -s "$T/hang" \
	    -s "$T/a" --timeout 1s "$(S 2)"
	match "with a warning" "warning: store .*/hang\" does not answer" err
	status 255 "absent in that says nothing" hanging -s "$T/hang" \
	    -s "$T/a" --timeout 1s "$(S 9)"
	sleep 0.1
	is "none is left of those who asked" \
	    "$(pgrep -f "^dr-wal get .*$T/hang .*$(S 9)" | wc -l)" 0
else
	skip "a store that hangs" "no shim"
fi
idle
rm -f $got
status 143 "SIGTERM is passed on" timeout -s TERM --preserve-status 0.5 \
    sh -c "cd pg && exec dr-wal get -s '$T/a' --identity-command 'sleep 5' \
    $(S 2) $D"
ok "nothing is delivered" test ! -e $got
is "no temporary is left" "$(leftovers)" 0

# --- ahead ---------------------------------------------------------------------------
spool() {
	find "$DR_STATE/spool" -type f -name '0000*' | sort | sed 's,.*/,,'
}
idle
is "the spool is left empty" "$(spool)" ""
for i in 16 17 18 19 20; do
	seg "$(S $i)"
	push -s "$T/b" "pg_wal/$(S $i)"
done
status 0 "a segment" get -s "$T/b" "$(S 16)"
n=0
while [ "$(spool | wc -l)" -lt 4 ] && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
is "and those after it are fetched" "$(spool | tr '\n' ' ')" \
    "$(S 17) $(S 18) $(S 19) $(S 20) "
is "nobody else may read them" \
    "$(find "$DR_STATE/spool" -perm /077 | wc -l)" "$(
    find "$DR_STATE/spool" -maxdepth 0 -perm /077 | wc -l)"
mv "b/$wal/$(S 17).zst.age" aside
status 0 "the next is taken from there" get -s "$T/b" "$(S 17)"
ok "it is that segment" cmp "pg/pg_wal/$(S 17)" $got
is "which has gone from it" "$(spool | grep "$(S 17)")" ""
mv aside "b/$wal/$(S 17).zst.age"
mv "b/$wal/$(S 18).zst.age" aside
status 255 "other keys to trust do not take from it" \
    get -K "$T/other.pub" -s "$T/b" "$(S 18)"
status 255 "nor does another data directory" sh -c "mkdir -p pg2/pg_wal &&
    cp -r pg/global pg2 && cd pg2 && exec dr-wal get -s '$T/b' $(S 18) $D"
status 255 "nor other stores" get -s "$T/b" -s "$T/a" "$(S 18)"
mv aside "b/$wal/$(S 18).zst.age"
status 0 "one that skips some" get -s "$T/b" "$(S 19)"
n=0
while spool | grep -q "$(S 18)" && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
is "removes these" "$(spool | tr '\n' ' ')" "$(S 20) "

# kill -9 at any moment: DEST is there whole, or not at all.
bad=0
for i in 1 2 3 4 5 6 7 8; do
	rm -f $got
	(cd pg && timeout -s KILL "0.00$i" dr-wal get -s "$T/a" \
	    --state "$T/fresh$i" -K "$DR_STATE/sign.key.pub" "$(S 3)" $D
	true) 2>/dev/null
	[ ! -e $got ] || cmp -s "pg/pg_wal/$(S 3)" $got || bad=1
done
is "killed: never a part of it" $bad 0
idle
is "the fetchers end, and leave nothing" "$(spool)" ""
done_testing
