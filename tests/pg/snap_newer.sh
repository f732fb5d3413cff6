# snap_newer.sh - dr-snap of a server of version $v, of which only initdb,
# pg_ctl and postgres are at hand.  Sourced after lib.sh.
need python3 psql

pg_version "$v"
pg_new main -k
pg_start main
mkdir "$T/ts1"
[ "$root_" = no ] || chown postgres: "$T/ts1"
psql_ "CREATE TABLESPACE one LOCATION '$T/ts1'"
psql_ "CREATE TABLE still TABLESPACE one AS
    SELECT a, md5(a::text) FROM generate_series(1, 20000) a"
psql_ "CREATE INDEX ON still (a)"
psql_ "CREATE TABLE busy (a int)"
digest="SELECT md5(string_agg(t::text, ',' ORDER BY a)) FROM still t"
want=$(psql_ "$digest")

(for i in 1 2 3 4 5 6 7 8; do
	psql_ "INSERT INTO busy SELECT generate_series(1, 20000)"
done) &
load=$!
status 0 "a backup of $v under load" dr-snap --with-config -o "$T/a.tar"
wait "$load"
match "the manifest has the version" "\"version_num\": ?$v" "$T/a.tar.json"
match "and the locale's provider" '"provider": ?"(libc|builtin|icu)"' \
    "$T/a.tar.json"

as_pg mkdir -m 700 "$T/r"
as_pg tar -x -C "$T/r" <"$T/a.tar"
cat >"$T/check.py" <<-'END'
	# Every file that backup_manifest names is there with its size, and
	# its last line is right.
	import hashlib, json, os, sys
	top = sys.argv[1]
	raw = open(top + "/backup_manifest", "rb").read()
	m = json.loads(raw)
	body = raw[:raw.rindex(b'"Manifest-Checksum"')]
	assert hashlib.sha256(body).hexdigest() == m["Manifest-Checksum"]
	names = set()
	for f in m["Files"]:
	    p = f.get("Path") or bytes.fromhex(f["Encoded-Path"]).decode()
	    assert os.path.getsize(top + "/" + p) == f["Size"], p
	    names.add(p)
	for d, _, files in os.walk(top):
	    for f in files:
	        p = os.path.relpath(d + "/" + f, top)
	        if not p.startswith((".drtools/", "pg_wal/")):
	            assert p in names or p == "backup_manifest", p
	assert len(names) > 500
	END
chmod 755 "$T/check.py"
ok "backup_manifest agrees with the files" \
    python3 "$T/check.py" "$T/r"

for d in "$T"/r/pg_tblspc/*; do
	oid=${d##*/}
	as_pg mv "$d" "$T/r.$oid"
	as_pg ln -s "$T/r.$oid" "$d"
	as_pg sed -i "s|^$oid .*|$oid $T/r.$oid|" "$T/r/tablespace_map"
done
ok "it starts" pg_start r
is "tables are as they were" "$(psql_ "$digest")" "$want"
is "transactions are whole" \
    "$(psql_ "SELECT count(*) % 20000 FROM busy")" 0
psql_ "CREATE EXTENSION amcheck"
is "heaps are sound" "$(psql_ "SELECT count(*) FROM pg_class c,
    verify_heapam(c.oid) WHERE c.relkind = 'r'")" 0
ok "indexes are sound" psql_ "SELECT bt_index_check(c.oid, true)
    FROM pg_class c JOIN pg_am m ON m.oid = c.relam
    JOIN pg_index i ON i.indexrelid = c.oid
    WHERE m.amname = 'btree' AND c.relkind = 'i'
    AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid"
is "checksums are on" "$(psql_ "SHOW data_checksums")" on
pg_stop r

# A standby of it, and the standby's backup.
as_pg mkdir -m 700 "$T/sb"
as_pg tar -x -C "$T/sb" <"$T/a.tar"
for d in "$T"/sb/pg_tblspc/*; do
	oid=${d##*/}
	as_pg mv "$d" "$T/sb.$oid"
	as_pg ln -s "$T/sb.$oid" "$d"
	as_pg sed -i "s|^$oid .*|$oid $T/sb.$oid|" "$T/sb/tablespace_map"
done
as_pg touch "$T/sb/standby.signal"
echo "primary_conninfo = 'host=$T/s port=$(cat "$T/main.port") user=postgres'" \
    >>"$T/sb/postgresql.conf"
pg_start sb
status 0 "a backup of its standby" dr-snap -o "$T/s.tar"
match "which the manifest says" '"standby": ?true' "$T/s.tar.json"
tar -tf "$T/s.tar" >"$T/names"
nomatch "has no standby.signal" "signal" "$T/names"
as_pg mkdir -m 700 "$T/r2"
as_pg tar -x -C "$T/r2" <"$T/s.tar"
ok "and backup_manifest agrees with that" \
    python3 "$T/check.py" "$T/r2"

done_testing
