#!/bin/sh
# dr-restore: its options, hostile backups, file trees and streams.
. "${0%/*}/../lib.sh"
need python3 tar

fake() {
	rm -f "$T/b" "$T/b.json" "$T/p" "$T/p.json"
	python3 "$top/tests/fakepg.py" "$T/b" "$@" &&
		dr-pack -l 1 --frame-size 64k -o "$T/p" "$T/b"
}
restore() {
	rm -rf "$T/r"
	dr-restore -q -D "$T/r" "$@"
}
untouched() {
	test ! -e "$T/escaped" && test ! -e /tmp/escaped &&
		test ! -e "$T/r/global/pg_control"
}

# --- command line ------------------------------------------------------------
status 0 '--help' dr-restore --help
match 'shows an example' '^ *dr-restore -n main' "$T/out"
status 2 'no directory' dr-restore -n x "$T"
match 'says which option' 'give one with -D' "$T/err"
status 2 'no set' dr-restore -D "$T/r" "$T"
status 2 'no store' dr-restore -n x -D "$T/r"
status 2 'a file and a store' dr-restore -n x -D "$T/r" /dev/null "$T"
status 2 '-b with a stream' dr-restore -b x -D "$T/r" -
status 2 '--as-is and --same-timeline' \
    dr-restore --as-is --same-timeline -D "$T/r" -
status 2 '--same-timeline and --immediate' \
    dr-restore --immediate --same-timeline -D "$T/r" -
status 2 '--same-timeline and an action' \
    dr-restore --target-action pause --same-timeline -D "$T/r" -
status 2 'an unknown action' dr-restore --target-action x -D "$T/r" -
for a in --immediate --latest --target-lsn=0/1 --target-xid=7 --target-name=x \
    --target-time=2026-11-20T12:00:00Z --timeline=1 --target-action=pause; do
	status 2 "--standby and $a" \
	    dr-restore --standby host=x "$a" -D "$T/r" -
	status 2 "--as-is and $a" dr-restore --as-is "$a" -D "$T/r" -
	status 2 "--same-timeline and $a" \
	    dr-restore --same-timeline "$a" -D "$T/r" -
	case $a in
	--imm* | --target-action*) continue ;;
	esac
	status 2 "$a and --immediate" \
	    dr-restore --immediate "$a" -D "$T/r" -
	case $a in
	--timeline*) continue ;;
	esac
	status 2 "$a of a stream" dr-restore "$a" -D "$T/r" -
	match '  with a hint' 'name the store' "$T/err"
done
status 2 'a time without a zone' \
    dr-restore --target-time '2026-11-20 12:00:00' -D "$T/r" -
status 2 'an LSN that is none' dr-restore --target-lsn 7 -D "$T/r" -
status 2 'a transaction that is none' dr-restore --target-xid 2 -D "$T/r" -
status 2 'no name' dr-restore --target-name '' -D "$T/r" -
status 2 'a long name' dr-restore -D "$T/r" --target-name \
    1234567890123456789012345678901234567890123456789012345678901234 -
match 'says how long' '1 to 63' "$T/err"
status 2 '--exclusive without a target' dr-restore --exclusive -D "$T/r" -
status 2 '--exclusive with --latest' \
    dr-restore --exclusive --latest -D "$T/r" -
status 2 'no connection string' dr-restore --standby 'a b' -D "$T/r" -
status 2 'a password in it' \
    dr-restore --standby 'host=x password=geheim' -D "$T/r" -
nomatch 'is not repeated' geheim "$T/err"
status 2 '--standby and --same-timeline' \
    dr-restore --standby host=x --same-timeline -D "$T/r" -
status 2 'no workers' dr-restore -j 0 -D "$T/r" -
ok 'nothing was made' test ! -e "$T/r"

# --- a small cluster ---------------------------------------------------------
fake
for f in b p; do
	status 0 "restores ($f)" restore "$T/$f"
	is "  files are private ($f)" \
	    "$(stat -c %a "$T/r" "$T/r/base" "$T/r/base/1/1259" | tr '\n' ' ')" \
	    '700 700 600 '
	is "  data are right ($f)" "$(cksum <"$T/r/base/1/1259")" \
	    "$(tar xOf "$T/b" base/1/1259 | cksum)"
	ok "  empty files too ($f)" test -f "$T/r/base/1/empty"
	ok "  and pg_control ($f)" test -s "$T/r/global/pg_control"
	ok "  no marker is left ($f)" \
	    test ! -e "$T/r/.drtools-restore-incomplete"
	ok "  nor .drtools ($f)" test ! -e "$T/r/.drtools"
	ok "  empty directories are there ($f)" test -d "$T/r/pg_replslot"
	ok "  recovery.signal ($f)" test -f "$T/r/recovery.signal"
	match "  data_directory is out ($f)" '^# dr-restore: data_directory' \
	    "$T/r/postgresql.conf"
	match "  port stays ($f)" '^port = 5433' "$T/r/postgresql.conf"
	nomatch "  no standby ($f)" 'standby.signal' "$T/err"
done
status 0 'verbose' dr-restore -v -D "$T/v" "$T/p"
match 'sums up' 'restored [0-9]+ files' "$T/err"
status 0 'audit and metrics' dr-restore -D "$T/v2" --audit "$T/audit" \
    --metrics-dir "$T" "$T/p"
match 'an audit line' '"act":"restore".*"result":"ok"' "$T/audit"
match 'a metric' '^drtools_restore_bytes.* [1-9]' "$T/dr-restore_none.prom"

fake CRC32C group
for f in b p; do
	status 0 "with group access ($f)" restore "$T/$f"
	is "  the group may read ($f)" \
	    "$(stat -c %a "$T/r" "$T/r/base" "$T/r/base/1/1259" | tr '\n' ' ')" \
	    '750 750 640 '
done

fake CRC32C spaces
status 2 'a tablespace whose place is in use' \
    restore --tablespace "16384=$T/home/.." "$T/p"
status 2 'a relative place' restore --tablespace "16384=x" "$T/p"
for f in b p; do
	rm -rf "$T/ts"
	status 0 "a tablespace moves ($f)" \
	    restore --tablespace "16384=$T/ts" "$T/$f"
	ok "  its files too ($f)" test -s "$T/ts/PG_15_1/5/1"
	is "  the link ($f)" "$(readlink "$T/r/pg_tblspc/16384")" "$T/ts"
	is "  the map ($f)" "$(cat "$T/r/tablespace_map")" "16384 $T/ts"
	rm -rf "$T/ts"
	status 0 "by its path ($f)" \
	    restore --tablespace "/nowhere/a\\b=$T/ts" "$T/$f"
done
mkdir "$T/back\\slash" && rmdir "$T/back\\slash"
status 0 'a place with a backslash' \
    restore --tablespace "16384=$T/back\\slash" "$T/p"
is 'the map escapes it' "$(cat "$T/r/tablespace_map")" \
    "16384 $T/back\\\\slash"

# --- hostile and damaged -----------------------------------------------------
for how in dotdot deepdotdot absolute dot symlink hardlink device fifo same \
    samecontrol below over marker tarcut noPG_VERSION nobackup_label \
    noglobalpg_control; do
	fake CRC32C $how 2>"$T/err"
	status 4 "$how" restore "$T/b"
	ok '  nothing escapes' untouched
	[ -e "$T/p" ] || continue
	status 4 "$how, packed" restore -j 2 "$T/p"
	ok '  nothing escapes' untouched
done
fake CRC32C incremental
status 1 'an incremental' restore "$T/b"
ok 'touches nothing' test ! -e "$T/r"
fake CRC32C nowal
status 1 'no WAL in it' restore "$T/b"
match 'with a hint' '--as-is' "$T/err"
status 0 'as it is' restore --as-is "$T/b"
ok 'no recovery.signal' test ! -e "$T/r/recovery.signal"

fake
printf x >>"$T/p"
status 4 'a byte too many' restore "$T/p"
ok 'no pg_control' untouched
match 'the marker stays' 'What lies here is not whole' \
    "$T/r/.drtools-restore-incomplete"
status 2 'and is known again' dr-restore -D "$T/r" "$T/p"
match 'by a hint' 'remove it and restore again' "$T/err"
fake
rm "$T/p.json"
status 4 'a file without its manifest' restore "$T/p"
mkdir "$T/full" && : >"$T/full/x"
status 2 'a directory in use' dr-restore -D "$T/full" "$T/b"
is 'is left alone' "$(ls -A "$T/full")" x

fake CRC32C oddly
rm -rf "$T/r"
sh -c "dr-pack -d --stream '$T/p' | dr-restore -D '$T/r' -" 2>"$T/err"
is 'a stream that begins oddly' $? 4
match 'is no cluster before it says so' 'looked like a backup of kind files' \
    "$T/err"
ok 'and the marker stays' test -e "$T/r/.drtools-restore-incomplete"

# --- trees and streams -------------------------------------------------------
mkdir -p "$T/src/d"
echo hello >"$T/src/d/f"
ln -s f "$T/src/d/l"
(cd "$T" && dr-snap -o tree src && dr-pack -o tree.zst tree)
for f in tree tree.zst; do
	status 0 "a tree ($f)" restore "$T/$f"
	ok "  is the same ($f)" diff -r "$T/src" "$T/r/src"
done
seq 1 300000 >"$T/seq"
rm -rf "$T/r"
ok 'a stream' sh -c "dr-snap --stdin seq <'$T/seq' | dr-pack |
    dr-restore -D '$T/r' -"
ok 'is the same' cmp "$T/seq" "$T/r/seq"
rm -rf "$T/r"
sh -c "dr-snap --stdin seq <'$T/seq' | dr-pack | head -c 100000 |
    dr-restore -D '$T/r' -" 2>"$T/err"
is 'cut short' $? 4
ok 'it has no name' test ! -e "$T/r/seq"

done_testing
