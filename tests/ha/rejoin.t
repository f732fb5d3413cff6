#!/bin/sh
# A former primary becomes a standby of the new one: as it is, without WAL that
# it never replayed, by pg_rewind, from the store, by a copy; and killed.
. "${0%/*}/../lib.sh"
# shellcheck disable=SC2154 # lib.sh sets it
. "$top/tests/ha/ha.sh"
need psql pg_rewind pg_basebackup pg_controldata timeout

rejoin=$top/build/$V/ha/rejoin
store=$T/store
as_pg mkdir "$store" "$T/bin" "$T/k" "$T/ts"
pg_new main -k --wal-segsize=1 || exit 1
cat >>"$T/main/postgresql.conf" <<END
wal_keep_size = 100MB
max_wal_size = 100MB
checkpoint_timeout = 1h
END
pg_start main || exit 1
psql_ "CREATE TABLESPACE ts LOCATION '$T/ts'"
psql_ "CREATE TABLE t (i int, s text) TABLESPACE ts; INSERT INTO t
    SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 20000) i"
oid=$(psql_ "SELECT oid FROM pg_tablespace WHERE spcname = 'ts'")
pg_stop main
# Each has its tablespace elsewhere: they are on one host.
for n in a b; do
	standby $n main "work_mem = 5MB"
	as_pg cp -a "$T/ts" "$T/ts.$n"
	as_pg ln -sfn "$T/ts.$n" "$T/$n/pg_tblspc/$oid"
done
echo 'cluster_name = main' >>"$T/main/postgresql.conf"
pg_start main

conn() {
	echo "host=$T/s port=$(cat "$T/$1.port") user=postgres"
}
# it NAME OPTION...: the node NAME is to follow $primary
it() {
	node_=$1
	shift
	as_pg "$rejoin" "$@" "$T/$node_" "$(conn "$primary")"
}
# verb NAME OPTION...: the same by dr-promote
verb() {
	node_=$1
	shift
	as_pg dr-promote rejoin -n main -D "$T/$node_" -d "$(conn "$primary")" \
	    --lock none "$@"
}
primary=main
digest="SELECT count(*) || md5(string_agg(t::text, ',' ORDER BY i)) FROM t"
# streams NAME: it does, and has what $primary has
streams() {
	until_sql "$1" streaming "SELECT status FROM pg_stat_wal_receiver"
	pg_use "$primary"
	n_=$(psql_ "$digest")
	until_sql "$1" "$n_" "$digest"
}
# promote NAME: it is the primary from now on
promote() {
	pg_use "$1"
	psql_ 'SELECT pg_promote()' >"$T/out"
	primary=$1
}
# killed NAME: the server, as kill -9 of all of it
killed() {
	# shellcheck disable=SC2046 # words
	kill -KILL $(all_of "$1")
	until_ "$1 is gone" sh -c "! readlink /proc/$(pm "$1")/exe"
}
add() {
	pg_use "$1"
	psql_ "INSERT INTO t VALUES ($2, 'on $1')"
}
tree() {
	(cd "$T/$1" && find . -type f ! -path './log/*' -print0 |
	    LC_ALL=C sort -z | xargs -0 sha256sum && stat -c %a .)
}
field() {
	sed -n "s/^$1  *//p" "$T/out"
}

# --- nothing to undo ---------------------------------------------------------
pg_start a
pg_start b
streams a
streams b
status 3 'a node that runs is refused' it a
match 'and it says so' 'a server runs on' "$T/err"
pg_stop main
promote a
add a -1
status 3 'a standby is no primary to follow' as_pg "$rejoin" "$T/main" \
    "$(conn b)"
match 'and it says so' 'is no primary' "$T/err"
tree main >"$T/before"
status 0 'after a clean stop, a dry run' it main -n
is 'there is nothing to undo' "$(field way)" follow
tree main >"$T/after"
ok 'nothing was changed' cmp "$T/before" "$T/after"
status 0 'and in earnest' it main -j
match 'in JSON' '"way":"follow",.*"done":true' "$T/out"
pg_start main
streams main
ok 'nothing was kept aside' sh -c "! ls -d '$T'/main.diverged-*"

# --- by pg_rewind ------------------------------------------------------------
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"
ok 'a backup goes into the store' as_pg sh -c "dr-snap -d '$(conn a)' |
    dr-pack -l 1 | dr-seal -R '$T/rcpt' | dr-push -n main '$store'"
pg_use main
psql_ "ALTER SYSTEM SET maintenance_work_mem = '17MB'"
promote main
for i in -101 -102 -103; do
	add a $i
done
pg_use a
psql_ "UPDATE t SET s = 'lost' WHERE i < 500"
xid=$(psql_ "INSERT INTO t VALUES (-104, 'last') RETURNING xmin")
psql_ "SELECT pg_create_physical_replication_slot('old', true)" >"$T/out"
add main -201
as_pg touch "$T/main/theirs"
as_pg mkdir "$T/a/log" "$T/a/conf.d" && echo mine | as_pg tee "$T/a/log/x" \
    "$T/a/note" >"$T/out"
as_pg touch "$T/a/conf.d/z.conf"
end=$(pg_use a && psql_ 'SELECT pg_current_wal_flush_lsn()')
killed a
cp "$T/a/postgresql.conf" "$T/conf.a"
tree a >"$T/before"
status 0 'one that went on, and crashed: a dry run' it a -n
is 'it would be rewound' "$(field way)" rewind
match 'its commits are counted' '^only here .* 5 commits, 20' "$T/out"
match 'where they end is known' "to $end" "$T/out"
status 3 'without --yes nothing is done' verb a
match 'and it says so' 'nothing was done without --yes' "$T/err"
status 2 'a lock has to be named' as_pg dr-promote rejoin -n main \
    -D "$T/a" -d "$(conn main)" --yes
status 0 'the verb says the same as JSON' verb a --dry-run --json
match 'the way' '"way":"rewind",.*"done":false.*"commits":5' "$T/out"
if [ "$(id -u)" = 0 ]; then
	status 3 'root does not touch it' dr-promote rejoin -n main \
	    -D "$T/a" -d "$(conn main)" --lock none --yes
	match 'and says who may' 'run this as postgres' "$T/err"
fi
tree a >"$T/after"
ok 'nothing was changed' cmp "$T/before" "$T/after"
status 0 'and in earnest' verb a --yes --audit "$T/k/audit"
is 'it was rewound' "$(field way)" rewind
match 'that is in the audit trail' '"act":"rejoin",.*"way":"rewind",.*"result":"ok"' \
    "$T/k/audit"
kept=$(field 'kept in')
ok 'what it alone had is kept beside it' test -d "$kept/pg_wal" -a \
    "${kept%-*}" = "$T/a.diverged"
match 'with a summary' '^commits  *5$' "$kept/summary"
is 'and a list' "$(wc -l <"$kept/commits")" 5
match 'the last transaction is in it' "^[0-9A-F/]+ $xid 20.*Z$" \
    "$kept/commits"
set -- $(sed -n 's/^  pg_waldump //p' "$kept/summary")
ok 'the WAL can be read' as_pg sh -c "cd '$kept' && pg_waldump -q $*"
is 'pg_waldump sees the same commits' "$(as_pg sh -c \
    "cd '$kept' && pg_waldump -r Transaction $*" | grep -c 'desc: COMMIT')" 5
is 'its configuration is its own' "$(cat "$T/a/postgresql.conf")" \
    "$(cat "$T/conf.a")"
is 'and its log, and what else was there' \
    "$(cat "$T/a/log/x" "$T/a/note"; ls "$T/a/conf.d")" 'mine
mine
z.conf'
ok 'and nothing of the other node' test ! -e "$T/a/theirs"
is 'its tablespace is where it was' "$(readlink "$T/a/pg_tblspc/$oid")" \
    "$T/ts.a"
is 'the mode is right' "$(stat -c %a "$T/a")" 700
ok 'nothing is left to do' test ! -e "$kept/config" -a \
    ! -e "$T/a/.drtools-restore-incomplete" -a ! -e "$T/state/rejoin/main/service"
pg_start a
streams a
is 'what it alone had is gone' \
    "$(pg_use a; psql_ "SELECT count(*) FROM t WHERE i BETWEEN -104 AND -101")" 0

# --- WAL that was never replayed ---------------------------------------------
pg_stop b
status 0 'another standby is led to the new primary' it b
is 'it has nothing to undo' "$(field way)" follow
pg_start b
streams b
pg_stop a
pg_use b
psql_ 'SELECT pg_wal_replay_pause()'
until_sql b paused 'SELECT pg_get_wal_replay_pause_state()'
add main -301
pg_use main
psql_ "INSERT INTO t SELECT i, 'more' FROM generate_series(1000, 9000) i"
last=$(psql_ 'SELECT pg_current_wal_flush_lsn()')
until_sql b t "SELECT pg_last_wal_receive_lsn() >= '$last'"
pg_stop b immediate
killed main
pg_start a
promote a
add a -302
status 0 'a standby that received more than it replayed' it b
is 'leaves it out' "$(field way)" trim
ok 'and it is kept' test -s "$(field 'kept in')/commits"
pg_start b
streams b

# --- from the store ----------------------------------------------------------
status 0 'a diverged one, from the store' it main -w 3 -s "$store" -i "$T/id"
is 'it was restored' "$(field way)" delta
ok 'what it alone had is kept, too' test -s "$(field 'kept in')/commits"
match 'its settings are its own' "maintenance_work_mem = '17MB'" \
    "$T/main/postgresql.auto.conf"
pg_start main
streams main

# --- killed in the middle ----------------------------------------------------
promote b
add a -401
add b -402
pg_stop a
cat >"$T/bin/pg_rewind" <<END
#!/bin/sh
case "\$*" in
*--dry-run*) exec pg_rewind "\$@" ;;
esac
rm -f '$T/a/global/pg_filenode.map'
echo "\$* \$PGPASSWORD" >'$T/s/args'
cp -p "\$PGSERVICEFILE" '$T/s/service'
touch '$T/s/there'
sleep 60 & echo \$! >'$T/s/sleep'
wait
END
chmod 755 "$T/bin/pg_rewind"
for p in postgres pg_basebackup; do
	ln -s "$PGBIN/$p" "$T/bin/$p"
done
as_pg sh -c "echo \$\$ >'$T/s/pid'; exec '$rejoin' -b '$T/bin' '$T/a' \
    '$(conn b) password=geheim'" >"$T/out" 2>&1 &
p=$!
until_ 'it rewinds' test -e "$T/s/there"
kill -KILL "$(cat "$T/s/pid")"
wait "$p"
kill "$(cat "$T/s/sleep")"
match 'the password comes by the environment' \
    '=service=dr-rejoin .* geheim$' "$T/s/args"
is 'all else in a file of its own' \
    "$(stat -c %a "$T/s/service") $(grep -c geheim "$T/s/service")" '600 0'
match 'no time is set to it' '^options=.*statement_timeout=0$' "$T/s/service"
is 'the directory has another mode' "$(stat -c %a "$T/a")" 701
status 1 'no server starts on it' as_pg timeout 20 "$PGBIN/postgres" -D "$T/a"
match 'since its mode is wrong' 'has invalid permissions' "$T/err"
status 3 'again, with no store and no copy' it a
match 'it says what can be done' 'hint: name a store' "$T/err"
status 0 'again, with a store' it a -s "$store" -i "$T/id"
is 'it was restored' "$(field way)" delta
is 'its configuration is its own' "$(cat "$T/a/postgresql.conf")" \
    "$(cat "$T/conf.a")"
is 'and its log, and what else was there' "$(cat "$T/a/log/x" "$T/a/note")" \
    'mine
mine'
pg_start a
streams a

# --- by a copy ---------------------------------------------------------------
pg_stop a
tree a >"$T/before"
status 1 'the tablespace cannot be copied to where it is in use' it a -a -w 4
match 'and it says so' 'cannot be copied.* exists but is not empty' "$T/err"
is 'its directory is back' "$(readlink "$T/a/pg_tblspc/$oid")" "$T/ts.a"
status 0 'the old one still can follow' it a
pg_start a
streams a
pg_stop a
pg_use b
psql_ 'CREATE TABLE u AS SELECT * FROM t; DROP TABLE t; ALTER TABLE u RENAME
    TO t'
psql_ 'DROP TABLESPACE ts'
psql_ "SELECT pg_create_physical_replication_slot('s', true)" >"$T/out"
status 0 'a fresh copy, by a slot' it a -a -w 4 -S s
old=$(field 'old directory')
ok 'the old directory was renamed' test -e "$old/PG_VERSION"
is 'its tablespace, too' "$(readlink "$old/pg_tblspc/$oid" | sed 's/-.*//')" \
    "$T/ts.a.before"
is 'its configuration is its own' "$(cat "$T/a/postgresql.conf")" \
    "$(cat "$T/conf.a")"
pg_start a
streams a
is 'it uses the slot' "$(pg_use b; psql_ \
    "SELECT active FROM pg_replication_slots WHERE slot_name = 's'")" t

done_testing
