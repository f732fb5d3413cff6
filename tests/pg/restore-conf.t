#!/bin/sh
# dr-restore: a cluster whose configuration lies outside its data directory,
# as in Debian; and one of a standby, which must not go back to its primary.
. "${0%/*}/../lib.sh"
need psql pg_verifybackup

store=$T/store
as_pg mkdir "$store" "$T/etc" "$T/etc/conf.d" "$T/r"
pg_new a || exit 1
for f in postgresql.conf pg_hba.conf pg_ident.conf; do
	as_pg mv "$T/a/$f" "$T/etc/$f"
done
cat >>"$T/etc/postgresql.conf" <<END
data_directory = '$T/a'
hba_file = '$T/etc/pg_hba.conf'
ident_file = '$T/etc/pg_ident.conf'
external_pid_file = '$T/a.pid'
include_dir = 'conf.d'
include 'more.conf'
log_directory = '/nowhere'
END
echo "work_mem = '7MB'" >"$T/etc/conf.d/a.conf"
echo "work_mem = '9MB'" >"$T/etc/conf.d/b.conf"
echo "maintenance_work_mem = '11MB'" >"$T/etc/more.conf"
chmod -R a+rX "$T/etc"
start_a() {
	as_pg "$PGBIN/pg_ctl" -D "$T/etc" -l "$T/s/a.log" -w -s start \
	    >"$T/ctl.out" 2>&1 </dev/null || return 1
	pids_="$pids_ $(head -n 1 "$T/a/postmaster.pid")"
}
ok 'a cluster of which the configuration lies elsewhere' start_a || {
	cat "$T/ctl.out"
	exit 1
}
pg_use a
psql_ 'CREATE TABLE t AS SELECT 42 AS i'
ok 'with its configuration' as_pg sh -c "dr-snap --with-config | dr-pack |
    dr-push --plain -n with '$store'"
ok 'without' as_pg sh -c "dr-snap | dr-pack |
    dr-push --plain -n without '$store'"
as_pg "$PGBIN/pg_ctl" -D "$T/etc" -w -s -m fast stop

status 0 'restores with' as_pg dr-restore -n with -D "$T/r/b" "$store"
is 'and has nothing to say' "$(cat "$T/err")" ''
as_pg mv "$T/etc" "$T/etc.gone"
as_pg mv "$T/a" "$T/a.gone"
ok 'it is what its manifest says' as_pg pg_verifybackup -n "$T/r/b"
for s in data_directory hba_file ident_file external_pid_file include_dir \
    log_directory; do
	match "$s is out" "^# dr-restore: $s" "$T/r/b/postgresql.conf"
done
ln -s r/b "$T/b"
cp "$T/a.bin" "$T/b.bin"
ok 'the server starts on it alone' pg_start b
is 'with the data' "$(psql_ 'SELECT i FROM t')" 42
is 'and the settings, in their order' \
    "$(psql_ 'SHOW work_mem')$(psql_ 'SHOW maintenance_work_mem')" 9MB11MB
is 'from the new place' "$(psql_ 'SHOW data_directory')" "$T/b"
pg_stop b

status 0 'restores without' as_pg dr-restore -n without -D "$T/r/c" "$store"
match 'and says what is missing' 'postgresql.conf was ".*not in the backup' \
    "$T/err"
ok 'none is made up' test ! -e "$T/r/c/postgresql.conf"
status 0 'as it is' as_pg dr-restore --as-is -n with -D "$T/r/d" "$store"
ok 'none is made' test ! -e "$T/r/d/postgresql.conf"

done_testing
