#!/bin/sh
# dr-restore: a cluster comes back whole, elsewhere, from every form of its
# backup, and nothing else is taken for one.
. "${0%/*}/../lib.sh"
need tar psql pg_verifybackup pg_checksums pg_amcheck

digest='SELECT string_agg(c || md5(t), chr(10) ORDER BY c) FROM (SELECT
 c::regclass::text c, (xpath($$//t/text()$$, query_to_xml(format($$SELECT
 md5(string_agg(x::text, $a$,$a$ ORDER BY x::text)) t FROM %s x$$, c::regclass),
 false, true, $$$$)))[1]::text t FROM (SELECT oid c FROM pg_class WHERE relkind
 = $$r$$ AND relnamespace = $$public$$::regnamespace) q) r'

# Every restore is looked at; the slow looks are for the first one and soak.
full=$(count 0 1)
store=$T/store
as_pg mkdir "$store" "$T/ts1" "$T/ts  2" "$T/r"
pg_new a --data-checksums || exit 1
pg_start a || exit 1
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'" >"$T/out"
psql_ "CREATE TABLESPACE two LOCATION '$T/ts  2'" >"$T/out"
psql_ "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) s
    FROM generate_series(1, 20000) i; CREATE INDEX ON t (s);
    CREATE TABLE u TABLESPACE one AS SELECT i, md5(i::text) s
    FROM generate_series(1, 5000) i; CREATE INDEX ON u (s) TABLESPACE two;
    CREATE TABLE empty (i int); CREATE EXTENSION amcheck"
psql_ "ALTER SYSTEM SET archive_command = 'false'"
psql_ "ALTER SYSTEM SET recovery_target_xid = '7'"
psql_ "ALTER SYSTEM SET work_mem = '5MB'"
before=$(psql_ "$digest")
one=$(psql_ "SELECT oid FROM pg_tablespace WHERE spcname = 'one'")
two=$(psql_ "SELECT oid FROM pg_tablespace WHERE spcname = 'two'")

as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key new -o "$T/other" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"

ok 'a backup is sealed and published' as_pg sh -c "dr-snap |
    dr-pack -l 1 --frame-size 256k | dr-seal -R '$T/rcpt' |
    dr-push -n main '$store'"
ok 'a packed one' as_pg sh -c "dr-snap | dr-pack -l 1 |
    dr-push --plain -n packed '$store'"
ok 'a bare one' as_pg sh -c "dr-snap | dr-push --plain -n bare '$store'"
ok 'one with AES' as_pg sh -c "dr-snap | dr-pack -l 1 |
    dr-seal --cipher aes-256-gcm -R '$T/rcpt' | dr-push -n aes '$store'"
pg_stop a immediate

# restored DIR: does it hold what was there before?
restored() {
	as_pg test ! -e "$T/r/$1/.drtools-restore-incomplete" &&
	as_pg test ! -e "$T/r/$1/.drtools" &&
	as_pg pg_verifybackup -n "$T/r/$1" >"$T/verify.out" 2>&1 || {
		cat "$T/verify.out" 2>/dev/null
		return 1
	}
	ln -sfn "r/$1" "$T/$1"
	cp "$T/a.bin" "$T/$1.bin"
	pg_start "$1" || return 1
	n=0
	until [ "$(psql_ 'SELECT pg_is_in_recovery()')" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 100 ] || return 1
		sleep 0.1
	done
	[ "$(psql_ "$digest")" = "$before" ] || { echo other content; return 1; }
	[ "$1" != b ] && [ "$full" = 0 ] ||
		pg_amcheck --install-missing -a >"$T/out" 2>&1 ||
		{ cat "$T/out"; return 1; }
	psql_ 'INSERT INTO empty VALUES (1)' || return 1
	timeline=$(psql_ 'SELECT pg_walfile_name(pg_current_wal_lsn())')
	timeline=${timeline%????????????????}
	[ "$timeline" = "0000000${2:-2}" ] || { echo "timeline $timeline"; return 1; }
	[ "$1" = b ] || {
		pg_stop "$1" immediate
		return
	}
	pg_stop "$1" || return 1
	as_pg pg_checksums -c -D "$T/r/$1" >"$T/out" 2>&1 || {
		cat "$T/out"
		return 1
	}
}

# gone DIR: nothing there that a server could start on.
gone() {
	as_pg test ! -e "$T/r/$1/global/pg_control"
}

restore() {
	dir=$1
	shift
	as_pg dr-restore --tablespace "$T/ts1=$T/r/$dir.1" \
	    --tablespace "$two=$T/r/$dir.2" -D "$T/r/$dir" "$@"
}

# --- from a store ------------------------------------------------------------
status 0 'restores from a store' restore b -n main -i "$T/id" "$store"
is 'silently' "$(cat "$T/out" "$T/err")" ''
ok 'and all is there' restored b
is 'the directory is private' "$(stat -c %a "$T/r/b" "$T/r/b.1")" '700
700'
is 'tablespaces are elsewhere' \
    "$(readlink "$T/r/b/pg_tblspc/$one" "$T/r/b/pg_tblspc/$two")" \
    "$T/r/b.1
$T/r/b.2"
conf=$T/r/b/postgresql.auto.conf
match 'other settings stay' '^work_mem = .5MB' "$conf"
is 'each of ours stands once' "$(grep -c recovery_target_xid "$conf")" 1
match 'archiving is off' "^archive_command = ''" "$conf"
as_pg rm -rf "$T/r/b" "$T/r/b.1" "$T/r/b.2"

status 0 'with one thread' restore c -j 1 -n main -i "$T/id" "$store"
ok 'and all is there' restored c
status 0 'packed only, four threads' restore d -j 4 -n packed "$store"
ok 'and all is there' restored d
status 0 'neither packed nor sealed' restore e -n bare "$store"
ok 'and all is there' restored e
status 0 'sealed with AES' restore f -n aes -i "$T/id" "$store"
ok 'and all is there' restored f
as_pg rm -rf "$T/r/d" "$T/r/e" "$T/r/f"

# --- from a file and from a stream -------------------------------------------
as_pg dr-pull -n main -o "$T/file" "$store"
status 0 'from a file' restore g -i "$T/id" "$T/file"
ok 'and all is there' restored g
ok 'from a stream, tablespaces by name and by number' as_pg sh -c \
    "dr-pull -n main '$store' | dr-restore -i '$T/id' -D '$T/r/h' \
    --tablespace '$T/ts1=$T/r/h.1' --tablespace '$two=$T/r/h.2' -"
ok 'and all is there' restored h
ok 'from an opened stream' as_pg sh -c "dr-pull -n main '$store' |
    dr-seal -d -i '$T/id' | dr-pack -d | dr-restore -D '$T/r/i' \
    --tablespace '$T/ts1=$T/r/i.1' --tablespace '$two=$T/r/i.2' -"
ok 'and all is there' restored i
as_pg rm -rf "$T/r/g" "$T/r/h" "$T/r/i"

# --- configuration -----------------------------------------------------------
status 0 'on the same timeline' restore j --same-timeline -n packed "$store"
ok 'and all is there' restored j 1
status 0 'as it is' restore k --as-is -n packed "$store"
ok 'no recovery.signal' as_pg test ! -e "$T/r/k/recovery.signal"
match 'settings stay' "^recovery_target_xid = '7'" "$T/r/k/postgresql.auto.conf"
status 0 'paused at the end' restore l --target-action pause -n packed "$store"
match 'it says so' "^recovery_target_action = 'pause'" \
    "$T/r/l/postgresql.auto.conf"
status 2 '--as-is with a target is refused' \
    restore z --as-is --immediate -n packed "$store"

# --- what is refused ---------------------------------------------------------
status 2 'a directory that is not empty' restore c -n packed "$store"
match 'it says so' 'exists and is not empty' "$T/err"
status 2 'tablespaces that are in use' \
    as_pg dr-restore -n packed -D "$T/r/m" "$store"
match 'with a hint' '--tablespace [0-9]+=DIR' "$T/err"
ok 'no pg_control' gone m
status 2 'a second run' as_pg dr-restore -n packed -D "$T/r/m" "$store"
match 'it names the first' 'earlier dr-restore did not finish' "$T/err"
status 2 'an unknown tablespace' restore n --tablespace "/no=$T/r/x" \
    -n packed "$store"
match 'by name' 'no such tablespace: --tablespace /no=' "$T/err"
status 2 'two tablespaces in one place' as_pg dr-restore -n packed \
    -D "$T/r/o" --tablespace "$one=$T/r/o1" --tablespace "$two=$T/r/o1" "$store"
status 2 'no identity' restore p -n main "$store"
match 'it says what is needed' 'is sealed' "$T/err"
status 4 'a wrong identity' restore q -n main -i "$T/other" "$store"
ok 'no pg_control' gone q
status 2 'no key to verify with' as_pg env DR_STATE="$T/r/state" \
    dr-restore -n packed -D "$T/r/s" "$store"
ok 'nothing was made' as_pg test ! -e "$T/r/s"
status 0 '--no-signature goes on' as_pg env DR_STATE="$T/r/state" \
    dr-restore --no-signature -n packed -D "$T/r/s" \
    --tablespace "$one=$T/r/s1" --tablespace "$two=$T/r/s2" "$store"

# flip DIR PERCENT: one byte of the body there is another
flip() {
	body=$(ls "$1"/*.tar*)
	size=$(stat -c %s "$body")
	at=$((size * $2 / 100))
	chmod u+w "$body"
	byte=$(dd if="$body" bs=1 skip="$at" count=1 2>/dev/null |
	    od -An -tu1 | tr -d ' ')
	printf "\\$(printf %o $(((byte + 1) % 256)))" |
	    dd of="$body" bs=1 seek="$at" conv=notrunc 2>/dev/null
}
for set in main packed bare aes; do
	for at in $(count 50 '2 20 50 80 98'); do
		cp -a "$store/$set" "$T/keep"
		flip "$store/$set/snap" $at
		status 4 "$set damaged at $at %" \
		    restore "v$set$at" -n $set -i "$T/id" "$store"
		ok 'no pg_control' gone "v$set$at"
		rm -rf "$store/$set"
		mv "$T/keep" "$store/$set"
	done
done

done_testing
