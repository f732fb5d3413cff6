# shellcheck shell=sh disable=SC2154
# restore_delta.sh - dr-restore --delta over a data directory of version $v:
# what comes of it is what a plain restore makes, and little is written.
# Sourced after lib.sh.
need psql timeout

store=$T/store
as_pg mkdir "$store" "$T/ts1" "$T/ts2" "$T/r" "$T/m"
pg_version "$v"
pg_new a -k --wal-segsize=1 || exit 1
echo "wal_keep_size = 200MB
log_checkpoints = off" >>"$T/a/postgresql.conf"
pg_start a || exit 1
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'" >"$T/out"
psql_ "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) s
    FROM generate_series(1, 30000) i; CREATE INDEX ON t (i);
    CREATE TABLE u TABLESPACE one AS SELECT i, md5(i::text) s
    FROM generate_series(1, 5000) i;
    CREATE UNLOGGED TABLE w AS SELECT 1 i; CREATE EXTENSION amcheck"
digest="SELECT (SELECT md5(string_agg(t::text, ',' ORDER BY i)) FROM t) ||
    (SELECT md5(string_agg(u::text, ',' ORDER BY i)) FROM u)"
before=$(psql_ "$digest")
one=$(psql_ "SELECT oid FROM pg_tablespace WHERE spcname = 'one'")
as_pg dr-key new -o "$T/id" 2>"$T/err"
as_pg dr-key recipient "$T/id" >"$T/rcpt"
ok 'a backup' as_pg sh -c "dr-snap | dr-pack -l 1 --frame-size 256k |
    dr-seal -R '$T/rcpt' | dr-push -n main '$store'"
ok 'a bare one' as_pg sh -c "dr-snap | dr-push --plain -n bare '$store'"

# tree DIR: what lies there, but for what names paths and what is kept
tree() {
	(cd "$1" && { find -L . -name drtools.before -prune -o -type f \
	    ! -name tablespace_map ! -name backup_manifest -print |
	    LC_ALL=C sort | xargs -d '\n' sha256sum
	    find -L . -name drtools.before -prune -o -type d -print |
	    LC_ALL=C sort; })
}
same() {
	tree "$1" >"$T/tree.1"
	tree "$2" >"$T/tree.2"
	diff "$T/tree.1" "$T/tree.2" >"$T/ok.diff" || { head "$T/ok.diff"; return 1; }
}
plain() {
	as_pg dr-restore -n "$1" -i "$T/id" --immediate \
	    --tablespace "$T/ts1=$T/r/$1.1" -D "$T/r/$1" "$store"
}
delta() {
	set_=$1 dir_=$2
	shift 2
	as_pg dr-restore --delta --metrics-dir "$T/m" -n "$set_" -i "$T/id" \
	    --immediate -D "$dir_" "$@" "$store"
}
written() {
	sed -n 's/^drtools_restore_bytes{.*} //p' "$T/m/dr-restore_$1.prom" |
	    cut -d. -f1
}
sound() {
	n=0
	until [ "$(psql_ 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 100 ] || return 1
		sleep 0.1
	done
	[ "$(psql_ "$digest")" = "$before" ] &&
	[ "$(psql_ "SELECT count(*) FROM pg_class c, verify_heapam(c.oid)
	    WHERE c.relkind = 'r'")" = 0 ] &&
	psql_ "SELECT bt_index_check('t_i_idx', true)"
}
change() {
	psql_ "UPDATE t SET s = 'other' WHERE i % 3000 = 0; DROP TABLE u;
	    CREATE TABLE new AS SELECT 1 i"
	psql_ 'CHECKPOINT'
}

ok 'a plain restore to compare with' plain main
ok 'and of the bare one' plain bare
cp -a "$T/a" "$T/keep"

# --- refused -----------------------------------------------------------------
status 2 'a directory on which a server runs' delta main "$T/a"
match 'it says so' 'a server runs on .*: process [0-9]+' "$T/err"
is 'and it runs on' "$(psql_ 'SELECT 1')" 1
ok 'nothing was touched' test ! -e "$T/a/drtools.before" -a \
    ! -e "$T/a/.drtools-restore-incomplete"
pg_new b -k
status 2 'a directory of another cluster' delta main "$T/b"
match 'it says so' 'of another cluster: system identifier' "$T/err"
ok 'which is as it was' test -e "$T/b/global/pg_control" -a \
    ! -e "$T/b/drtools.before"
as_pg mkdir "$T/none" && as_pg touch "$T/none/file"
status 2 'what is no data directory' delta main "$T/none"
match 'it says so' 'no data directory' "$T/err"
as_pg rm "$T/none/file"
ok 'from standard input' as_pg sh -c "dr-pull -n main '$store' |
    dr-restore --delta -i '$T/id' -D '$T/a' - 2>'$T/err'; test \$? = 2"

# --- after changes -----------------------------------------------------------
pg_use a
change
psql_ "CREATE TABLESPACE two LOCATION '$T/ts2'"
psql_ "CREATE TABLE v TABLESPACE two AS SELECT 1 i"
psql_ "SELECT pg_create_physical_replication_slot('s', true)" >"$T/out"
pg_stop a immediate
echo 999999999 | as_pg tee "$T/a/postmaster.pid" >"$T/out"
as_pg mkdir "$T/a/mine" && as_pg touch "$T/a/mine/file" "$T/a/base/odd"
status 0 'over one that was changed, and crashed' delta main "$T/a"
is 'the pid file went aside' \
    "$(cat "$T"/a/drtools.before/*/postmaster.pid)" 999999999
ok 'it is what a plain restore makes' same "$T/a" "$T/r/main"
is 'what was written is little of it' \
    "$(($(written main) * 2 < $(du -sLb "$T/r/main" | cut -f1)))" 1
note "written $(written main) of $(du -sLb "$T/r/main" | cut -f1) bytes"
match 'of a tablespace that is no more it warns' \
    'what is in ".*/ts2" stays' "$T/err"
is 'the tablespace stays where it was' "$(readlink "$T/a/pg_tblspc/$one")" \
    "$T/ts1"
ok "what is no server's was moved aside" \
    sh -c "ls '$T'/a/drtools.before/*/mine/file && ! ls '$T/a/mine'"
ok 'and the WAL' sh -c "ls '$T'/a/drtools.before/*/pg_wal/0000*"
ok 'it starts' pg_start a && ok 'and is sound' sound
pg_stop a

# --- after damage, from a body without an index ------------------------------
rel=$(find "$T/r/bare/base" -name '*_vm' | LC_ALL=C sort | head -n 1)
rel=base/${rel#"$T"/r/bare/base/}
printf damage | dd of="$T/a/${rel%_vm}" bs=1 seek=5000 conv=notrunc 2>"$T/out"
as_pg truncate -s 0 "$T/a/$rel"
as_pg rm "$T/a/global/pg_filenode.map"
as_pg mkdir "$T/a/global/pg_filenode.map"
as_pg rm -r "$T/a/pg_xact" && as_pg ln -s /nowhere "$T/a/pg_xact"
as_pg ln "$T/a/PG_VERSION" "$T/hard"
status 0 'over one that was damaged' delta bare "$T/a"
ok 'it is what a plain restore makes' same "$T/a" "$T/r/bare"
status 0 'again, from a file' as_pg sh -c "dr-pull -n main -o '$T/file' '$store' &&
    dr-restore -v --delta --immediate -i '$T/id' -D '$T/a' '$T/file'"
match 'it says what was there' 'files were there already; .* written' "$T/err"
ok 'it is what a plain restore makes' same "$T/a" "$T/r/main"

# --- pg_wal that lies elsewhere ----------------------------------------------
as_pg mv "$T/a/pg_wal" "$T/wal" && as_pg ln -s "$T/wal" "$T/a/pg_wal"
status 0 'pg_wal is a link' delta main "$T/a"
is 'it stays one' "$(readlink "$T/a/pg_wal")" "$T/wal"
ok 'it is what a plain restore makes' same "$T/a" "$T/r/main"
ok 'it starts' pg_start a && ok 'and is sound' sound
change
pg_stop a

# --- killed ------------------------------------------------------------------
runs() {
	find "$T/a/drtools.before" -mindepth 1 -maxdepth 1 | wc -l
}
# killed: begun, and not at its end; it may be too fast for us
killed() {
	for try_ in 1 2 3 4 5 6 7 8 9 10; do
		rm -f "$T/s/pid"
		runs_=$(runs)
		as_pg sh -c "echo \$\$ >'$T/s/pid'; exec dr-restore --delta -j 1 \
		    -n main -i '$T/id' --immediate -D '$T/a' '$store'" \
		    2>"$T/err" &
		p=$!
		until [ ! -e "$T/a/global/pg_control" ] &&
		    [ "$(runs)" -gt "$runs_" ]; do
			[ -d "/proc/$p" ] || break
		done
		kill -KILL "$(cat "$T/s/pid")" 2>"$T/out"
		wait "$p" 2>"$T/out"
		[ -e "$T/a/global/pg_control" ] ||
		    [ ! -e "$T/a/.drtools-restore-incomplete" ] || return 0
	done
	return 1
}
ok 'killed in the middle' killed
status 2 'it cannot start' as_pg timeout 20 "$PGBIN/postgres" -D "$T/a"
status 2 'a plain restore does not take it' as_pg dr-restore -n main \
    -i "$T/id" --immediate -D "$T/a" "$store"
ok 'killed again' killed
status 0 'restored again' delta main "$T/a"
ok 'it is what a plain restore makes' same "$T/a" "$T/r/main"
ok 'it starts' pg_start a && ok 'and is sound' sound

# --- as a standby of what went on --------------------------------------------
pg_stop a
rm -rf "$T/b" && mv "$T/keep" "$T/b" && rm -f "$T/b/postmaster.pid"
pg_start a
psql_ "INSERT INTO t VALUES (0, 'after')"
before=$(psql_ "$digest")
as_pg rm -rf "$T/b/pg_tblspc/$one" && as_pg cp -a "$T/r/main.1" "$T/b.1" &&
    as_pg ln -s "$T/b.1" "$T/b/pg_tblspc/$one"
ok 'a backup on the new timeline' as_pg sh -c "dr-snap | dr-pack -l 1 |
    dr-seal -R '$T/rcpt' | dr-push -n main '$store'"
status 0 'another becomes a standby' as_pg dr-restore --delta -n main \
    -i "$T/id" -D "$T/b" --standby "host=$T/s port=$PGPORT user=postgres" \
    "$store"
pg_start b
n=0
until [ "$(psql_ "SELECT status FROM pg_stat_wal_receiver")" = streaming ]; do
	n=$((n + 1))
	[ "$n" -lt 100 ] || break
	sleep 0.1
done
is 'it streams' "$(psql_ "SELECT status FROM pg_stat_wal_receiver")" streaming
is 'and has what its primary has' "$(psql_ "$digest")" "$before"

done_testing
