#!/bin/sh
# A restore from a mirror alone: WAL and backups went to one store, and what
# dr-mirror made of it in another brings the cluster back to any moment.
. "${0%/*}/../lib.sh"
. "$top/tests/store/job.sh"
need dr-mirror dr-wal dr-key dr-restore psql

a=$T/first b=$T/second
as_pg mkdir "$a" "$b"
job_keys
mirror() {
	as_pg dr-mirror -n pg "$a" "$b"
}

job_cluster "$a" || {
	fail_ "a cluster" "$T/a.log"
	done_testing
}
ok "a backup" job_backup "$a"
job_note one
ok "WAL is archived" job_flush
as_pg dr-wal push --ledger -n pg -s "$a" --state "$T/state"
status 0 "mirrored" mirror
status 0 "the mirror is intact" as_pg dr-verify -n pg "$b"
job_note two
sleep 0.1
at=$(job_now)
sleep 0.1
job_note three
ok "WAL is archived" job_flush
status 0 "what has come since" mirror

# --- a new timeline, of which the mirror learns, too --------------------------------
pg_stop a
status 0 "back to that moment, from the first" as_pg dr-restore -n pg \
    -i "$T/id" -D "$T/next" --target-time "$at" --target-action promote "$a"
cat >>"$T/next/postgresql.conf" <<END2
archive_mode = on
archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n pg -s "$a" -R $T/to --state $T/state %p 2>>$T/push.log'
END2
pg_start next || exit 1
n=0
until [ "$(psql_ 'SELECT pg_is_in_recovery()')" = f ] || [ $n -gt 200 ]; do
	n=$((n + 1))
	sleep 0.05
done
psql_ "ALTER SYSTEM RESET ALL"
psql_ "ALTER SYSTEM SET archive_mode = on"
pg_stop next
pg_start next || exit 1
job_note four
ok "WAL of another timeline is archived" job_flush
as_pg dr-wal push --ledger -n pg -s "$a" --state "$T/state"
status 0 "mirrored" mirror
ok "its history, too" test -e "$b"/pg/wal/*/00000002/00000002.history.zst.age
status 0 "the mirror is intact" as_pg dr-verify -n pg "$b"
status 0 "both are the same" diff -r "$a" "$b"
pg_stop next

# --- the first is gone ----------------------------------------------------------------
as_pg mv "$a" "$T/gone"
pg_use a
pg_start a >"$T/out"
lost=$(find "$b/pg/wal" -name '00000001000000*.zst.age' | sort | head -n 1)
seg=${lost##*/}
seg=${seg%.zst.age}
status 0 "dr-wal get from the mirror" as_pg dr-wal get -n pg -s "$b" \
    -i "$T/id" "$seg" "$T/seg"
is "gives a segment" "$(wc -c <"$T/seg")" 1048576
job_restore "to its end" "zero one two four" "$b"
job_restore "to a moment" "zero one two" "$b" --target-time "$at" --timeline 1
job_restore "along the first timeline" "zero one two three" "$b" --timeline 1
pg_stop a
done_testing
