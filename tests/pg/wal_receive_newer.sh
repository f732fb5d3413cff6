# shellcheck shell=sh disable=SC2154
# wal_receive_newer.sh - dr-wal receive of a server of $version; sourced.
. "${0%/*}/../lib.sh"
. "${0%/*}/wal_receive.sh"
need python3 age zstd
pg_version "$version"

rows() {
	psql_ "INSERT INTO t SELECT 'row-' || n || '-', repeat(md5(n::text), 20)
	    FROM generate_series($1, $2) n"
}

mkdir "$T/b"
pg_new main
pg_start main
psql_ "CREATE TABLE t (x text, y text)"
receive -n s --create-slot --interval 200ms "$T/b"
rows 1 20000
all_stored "$version: what is committed is stored"
rows 20001 40000
kill -KILL "$r"
wait "$r" 2>"$T/out"
rows 40001 60000
receive -n s "$T/b"
rows 60001 60010
pg_stop main fast
pg_start main
rows 60011 60020
all_stored "killed, and over a restart of the server"
ended 0 "it ends well" TERM
ok "all of it is there" check s --grep row-1- row-19999- row-39999- row-59999- \
    row-60020-
is "without a gap" "$(wc -l <"$T/ranges")" 1

psql_ "ALTER SYSTEM SET synchronous_standby_names = 'dr_wal'"
psql_ "SELECT pg_reload_conf()" >"$T/out"
receive -n s --interval 1h "$T/b"
ok "a commit that waits is acknowledged" timeout 20 psql -qAtXc \
    "INSERT INTO t VALUES ('acked-1-')"
kill -KILL "$r" "$(head -n 1 "$T/main/postmaster.pid")"
wait "$r" 2>"$T/out"
r=
ok "and then is in the store" check s --grep acked-1-

done_testing
