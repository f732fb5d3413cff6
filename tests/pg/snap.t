#!/bin/sh
# dr-snap of a cluster: what it holds, that it starts, and under load.
. "${0%/*}/../lib.sh"
need python3 pgbench pg_verifybackup pg_amcheck pg_checksums

# field FILE.json PATH: one value of a manifest or a report
field() {
	python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."):
    v = v[int(k)] if isinstance(v, list) else v[k]
print(json.dumps(v) if isinstance(v, (dict, list, bool)) else v)' "$1" "$2"
}

# unpack TAR NAME: into $T/NAME, as the server's user
unpack() {
	as_pg mkdir -m 700 "$T/$2" && as_pg tar -x -C "$T/$2" <"$1"
}

# place NAME: the steps that tablespaces need by hand
place() {
	for d in "$T/$1"/pg_tblspc/*; do
		[ -d "$d" ] || continue
		oid=${d##*/}
		as_pg mv "$d" "$T/$1.$oid"
		as_pg ln -s "$T/$1.$oid" "$d"
		as_pg sed -i "s|^$oid .*|$oid $T/$1.$oid|" \
		    "$T/$1/tablespace_map"
	done
}

digest="SELECT md5(string_agg(t::text, ',' ORDER BY a)) FROM still t"
balance="SELECT (SELECT sum(abalance) FROM pgbench_accounts) =
    (SELECT sum(tbalance) FROM pgbench_tellers) AND
    (SELECT sum(bbalance) FROM pgbench_branches) =
    (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"

pg_new main -k
mkdir "$T/ts1" "$T/ts 2" "$T/wal"
[ "$root_" = no ] || chown postgres: "$T/ts1" "$T/ts 2" "$T/wal"
cat >>"$T/main/postgresql.conf" <<-END
	archive_mode = on
	archive_command = 'cp %p $T/wal/%f'
	END
pg_start main
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'"
psql_ "CREATE TABLESPACE two LOCATION '$T/ts 2'"
psql_ "CREATE TABLE still TABLESPACE one AS
    SELECT a, md5(a::text) FROM generate_series(1, 20000) a"
psql_ "CREATE INDEX ON still (a) TABLESPACE two"
pgbench -i -q -s 2 --tablespace one >"$T/ok.out" 2>&1
want=$(psql_ "$digest")

# --- under a write load --------------------------------------------------
pgbench -n -c 2 -T 60 >"$T/bench.out" 2>&1 &
load=$!
sleep 1
status 0 "a backup under load" dr-snap -o "$T/a.tar" --label site=east
status 0 "and one into a pipe" sh -c "dr-snap >'$T/b.stream' --stream"
kill "$load"
wait "$load" 2>/dev/null
is "it says nothing" "$(cat "$T/out" "$T/err")" ""

m=$T/a.tar.json
is "manifest: kind" "$(field "$m" kind)" pg
is "manifest: complete" "$(field "$m" complete)" true
is "manifest: label" "$(field "$m" labels.site)" east
is "manifest: system_id" "$(field "$m" pg.system_id)" \
    "$(psql_ "SELECT system_identifier FROM pg_control_system()")"
is "manifest: version" "$(field "$m" pg.version)" "$(psql_ 'SHOW server_version')"
is "manifest: tablespaces" "$(field "$m" pg.tablespaces)" 2
is "manifest: wal" "$(field "$m" pg.wal)" true
is "manifest: page checksums" "$(field "$m" pg.page_checksums)" true
is "manifest: verified" "$(field "$m" pg.checksums_verified)" true
is "manifest: max_wal_senders" "$(field "$m" pg.settings.max_wal_senders)" 10
is "manifest: encoding" "$(field "$m" pg.locale.encoding)" UTF8
is "manifest: a primary" "$(field "$m" pg.standby)" false
is "manifest: raw_size" "$(field "$m" raw_size)" "$(wc -c <"$T/a.tar")"
ok "start_lsn lies before stop_lsn" test \
    "$(psql_ "SELECT '$(field "$m" pg.start_lsn)'::pg_lsn <
	'$(field "$m" pg.stop_lsn)'")" = t
nomatch "manifest: no path, no table" "ts1|still|/tmp" "$m"
is "the stream has its end mark" "$(tail -c 8 "$T/b.stream")" DRSTREAM

tar -tvf "$T/a.tar" >"$T/list"
tar -tf "$T/a.tar" >"$T/names"
is "backup_manifest is last" "$(tail -n 1 "$T/names")" backup_manifest
is "the report is last but one" "$(tail -n 2 "$T/names" | head -n 1)" \
    .drtools/report.json
nomatch "no links" "^[lh]" "$T/list"
is "no name comes twice" "$(sort "$T/names" | uniq -d)" ""
match "WAL is in it" "^pg_wal/[0-9A-F]{24}$" "$T/names"
match "the directory of links stays" "^pg_tblspc/$" "$T/names"
is "it ends with two zero blocks" \
    "$(tail -c 1024 "$T/a.tar" | tr -d '\0' | wc -c)" 0

unpack "$T/a.tar" r
ok "pg_verifybackup" as_pg pg_verifybackup -q -i .drtools "$T/r"
r=$T/r/.drtools/report.json
cp "$r" "$T/report.json"
is "report: tablespaces" "$(field "$T/report.json" tablespaces |
    python3 -c 'import json, sys
print(sorted(t["path"] for t in json.load(sys.stdin)))')" \
    "['$T/ts 2', '$T/ts1']"
match "report: extensions" plpgsql "$T/report.json"
place r
ok "it starts" pg_start r
is "tables are as they were" "$(psql_ "$digest")" "$want"
is "transactions are whole" "$(psql_ "$balance")" t
is "its tablespaces are its own" \
    "$(psql_ "SELECT count(*) FROM pg_tablespace
	WHERE pg_tablespace_location(oid) LIKE '$T/r.%'")" 2
ok "pg_amcheck" pg_amcheck --install-missing --heapallindexed -a
pg_stop r
ok "pg_checksums" as_pg pg_checksums -c -D "$T/r"
rm -rf "$T/r" "$T"/r.*
pg_use main

# --- forms and options ---------------------------------------------------
status 0 "--body" sh -c "dr-snap --body | cat >'$T/c.tar'"
ok "is the bare tar" tar -tf "$T/c.tar"
is "without an end mark" \
    "$(tail -c 1024 "$T/c.tar" | tr -d '\0' | wc -c)" 0
status 2 "a regular file as standard output is refused" \
    sh -c "dr-snap >'$T/d.tar'"
ok "and stays empty" test ! -s "$T/d.tar"
status 2 "so is a file that exists" dr-snap -o "$T/a.tar"
status 0 "-f replaces it" dr-snap -f -o "$T/a.tar"
status 0 "--checkpoint spread, on a quiet server" \
    dr-snap --checkpoint spread -o "$T/e.tar"

status 0 "--no-wal" dr-snap --no-wal -o "$T/n.tar"
tar -tf "$T/n.tar" >"$T/names"
nomatch "has no WAL" "^pg_wal/[0-9A-F]{24}" "$T/names"
is "and says so" "$(field "$T/n.tar.json" pg.wal)" false
seg=$(psql_ "SELECT pg_walfile_name('$(field "$T/n.tar.json" pg.stop_lsn)')")
ok "which the archive has" test -s "$T/wal/$seg"

t0=$(date +%s)
status 0 "--max-rate" dr-snap --no-wal --max-rate 24M -o "$T/m.tar"
t1=$(date +%s)
s=$(($(wc -c <"$T/m.tar") / (24 * 1024 * 1024)))
ok "holds the server back" test $((t1 - t0 + 1)) -ge "$s"
is "no slot is left behind" \
    "$(psql_ "SELECT count(*) FROM pg_replication_slots")" 0

# --- a standby -------------------------------------------------------------
unpack "$T/a.tar" sb
place sb
main=$PGPORT
as_pg touch "$T/sb/standby.signal"
cat >>"$T/sb/postgresql.conf" <<-END
	primary_conninfo = 'host=$T/s port=$main user=postgres'
	archive_mode = off
	END
pg_start sb
is "the backup makes a standby" "$(psql_ "SELECT pg_is_in_recovery()")" t
status 0 "a backup of the standby" dr-snap -o "$T/s.tar"
is "manifest: a standby" "$(field "$T/s.tar.json" pg.standby)" true
tar -tf "$T/s.tar" >"$T/names"
nomatch "without standby.signal" "signal" "$T/names"
tar -xOf "$T/s.tar" backup_manifest >"$T/bm"
nomatch "not in backup_manifest either" '"standby.signal"' "$T/bm"
pg_stop sb
unpack "$T/s.tar" r
ok "pg_verifybackup of it" as_pg pg_verifybackup -q -i .drtools "$T/r"
place r
as_pg sed -i "s/^primary_conninfo/#&/" "$T/r/postgresql.conf"
ok "it starts" pg_start r
is "as no standby" "$(psql_ "SELECT pg_is_in_recovery()")" f
is "with the same tables" "$(psql_ "$digest")" "$want"
pg_stop r

# --- configuration elsewhere -------------------------------------------------
pg_new deb
as_pg mkdir -p "$T/etc/conf.d"
for f in postgresql.conf pg_hba.conf pg_ident.conf; do
	as_pg mv "$T/deb/$f" "$T/etc/$f"
done
cat >>"$T/etc/postgresql.conf" <<-END
	data_directory = '$T/deb'
	hba_file = '$T/etc/pg_hba.conf'
	ident_file = '$T/etc/pg_ident.conf'
	include_dir = 'conf.d'
	END
echo "work_mem = 5MB" >"$T/etc/conf.d/10.conf"
as_pg pg_ctl -D "$T/etc" -l "$T/etc/log" -w -s -o "-p $PGPORT -k $T/s" \
    start >"$T/ctl.out" 2>&1 </dev/null
pids_="$pids_ $(head -n 1 "$T/deb/postmaster.pid")"
status 0 "--with-config" dr-snap --with-config -o "$T/deb.tar"
tar -tf "$T/deb.tar" >"$T/names"
for f in postgresql.conf pg_hba.conf pg_ident.conf conf.d/10.conf; do
	tar -xOf "$T/deb.tar" ".drtools/config$T/etc/$f" >"$T/f"
	ok "$f is in it" cmp "$T/f" "$T/etc/$f"
done
is "before the report and the manifest" "$(tail -n 3 "$T/names" |
    cut -d / -f 1,2 | tr '\n' ' ')" \
    ".drtools/config .drtools/report.json backup_manifest "
tar -xOf "$T/deb.tar" .drtools/report.json >"$T/report.json"
match "the report names them" "$T/etc/conf.d/10.conf" "$T/report.json"
unpack "$T/deb.tar" r2
ok "pg_verifybackup with them" as_pg pg_verifybackup -q -i .drtools "$T/r2"

done_testing
