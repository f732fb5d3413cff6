#!/bin/sh
# dr-prune --garbage on what dr-wal receive leaves: the increments of segments
# that are whole go, and nobody misses them.
. "${0%/*}/../lib.sh"
. "${0%/*}/wal_receive.sh"
need dr-prune dr-verify python3

pg_new main
echo "synchronous_commit = on" >>"$T/main/postgresql.conf"
pg_start main
as_pg "$PGBIN/pgbench" -i -q -s 2 >"$T/out" 2>&1
mkdir "$T/b"
receive --create-slot --interval 100ms "$T/b"
load 2
psql_ "SELECT pg_switch_wal()" >/dev/null
load 1
all_stored "what is committed is stored"
end=$(psql_ "SELECT pg_current_wal_flush_lsn() - '0/0'")
ended 0 "SIGTERM ends it well" TERM
pg_stop main

cd "$T" || exit 1
# Increments whose segment is whole, and those whose is not.
increments() {
	find b -name '*.*-*.zst.age' | sort | while read -r f; do
		[ "$1" = whole ] && want=yes || want=no
		[ -e "${f%.????????-????????.zst.age}.zst.age" ] && is=yes ||
			is=no
		[ "$is" != "$want" ] || echo "$f"
	done
}
whole=$(increments whole | wc -l)
open=$(increments open | wc -l)
ok "there are increments of whole segments ($whole)" [ "$whole" -gt 0 ]
ok "and of one that is not ($open)" [ "$open" -gt 0 ]
n=$(find b -type f | wc -l)
dr-verify -n s b 2>before.err | grep ' ok ' >before
find b -type f -exec touch -d '8 days ago' {} +
status 0 "pruned" dr-prune -n s --garbage --yes b
is "those of whole segments are gone" "$(increments whole | wc -l)" 0
is "the others are there" "$(increments open | wc -l)" "$open"
is "and all else" "$(find b -type f | wc -l)" "$((n - whole))"
status 3 "there is no backup, but WAL" dr-verify -n s b
nomatch "nothing is missing" 'damaged|missing' out
is "it reaches as far as before" \
    "$(sed -n 's/.* WAL from \(.*\) on timeline.*/\1/p' out)" \
    "$(sed -n 's/.* WAL from \(.*\) on timeline.*/\1/p' before)"
ok "what is left holds together" check s
is "without a gap" "$(wc -l <ranges)" 1
ok "up to the end" test "$(printf %d "0x$(sed 's/.*-//' ranges)")" -ge "$end"

done_testing
