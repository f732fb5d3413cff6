#!/bin/sh
# Three stores of three kinds at once, and one of them killed in the middle.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/faults.sh"
. "$top/tests/store/job.sh"
need dr-wal dr-restore psql

azure_server
sftp_server
s3_server
bucket=$(s3_bucket) && container=$(azure_container) && dir=$(sftp_dir) || exit 1
s3=s3://$bucket/p azure=azblob://$container/p sftp=$(sftp_store "$dir")
job_keys
job_files "$s3" "$azure" "$sftp"

# The next part may run as root.
DR_STATE=$T/other

status 0 "a backup in all three" publish "$s3" "$azure" "$sftp"

# --- one is dead from the start ----------------------------------------------------
dead="s3://$bucket/p?endpoint=http://127.0.0.1:1"
status 3 "one refuses connections: two are enough" \
    publish --require 2 --patience 1s "$dead" "$azure" "$sftp"
match "  it is named" '127.0.0.1:1' "$T/err"

# --- one is killed in the middle ------------------------------------------------------
cutter_server s3
cutter_rule slow-request 2000000 '^PUT .*partNumber='
head -c 60000000 /dev/urandom >"$T/data"
dr-snap --stdin data <"$T/data" | dr-push -n s --plain --require 2 --json \
    --patience 2s "$s3" "$azure" "$sftp" >"$T/out" 2>"$T/err" &
pid=$!
until_ 100 test -s "$T/hits.$proxy_port"
kill -KILL "$proxy_pid_"
wait $pid
is "one is killed midway: two are enough" "$?" 3
match "  it is named, with the reason" "$s3.*onne" "$T/err"
match "  and so in the report" '"done":false' "$T/out"
s3_env
is "  the first is without it" "$(backups "$s3")" 1
for store in "$azure" "$sftp"; do
	is "  the others have it" "$(backups "$store")" 3
	status 0 "  whole" dr-verify -n s "$store"
	ok "  as it was" same_back "$store"
done
is "  nothing is left in a directory" "$(find "$dir" -name '.*.tmp')" ""
is "  nor in a container" "$(az_ uploads "$container")" ""

# --- two of three do not do ------------------------------------------------------------
az2="azblob://$container/p?endpoint=http://127.0.0.1:1/drtest"
status 1 "two are dead, and one is not enough" \
    publish --require 2 --patience 1s "$dead" "$az2" "$sftp"

DR_STATE=$T/state

# --- WAL in all three, read from any ---------------------------------------------------
pg_new a --wal-segsize=1 || exit 1
cat >>"$T/a/postgresql.conf" <<END2
archive_mode = on
archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n pg -s "$s3" -s "$azure" -s "$sftp" -R $T/to --state $T/state %p 2>>$T/push.log'
END2
pg_start a || exit 1
psql_ 'CREATE TABLE t (i serial, note text)'
job_note zero
ok "pg: backed up" job_backup "$s3" "$azure" "$sftp"
job_note one
ok "pg: WAL is archived" job_flush
for store in "$s3" "$azure" "$sftp"; do
	status 0 "pg: ${store%%:*} is whole" as_pg dr-verify -n pg "$store"
	job_restore "from ${store%%:*}" "zero one" "$store"
done
pg_stop a
done_testing
