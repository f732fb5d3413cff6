#!/bin/sh
# dr-snap when something is wrong: the right status, one clear line, and
# nothing under a final name.
. "${0%/*}/../lib.sh"
need python3

# gone WHAT FILE: neither the file nor its manifest nor a temporary
gone() {
	is "$1" "$(find "${2%/*}" -maxdepth 1 -name "*${2##*/}*")" ""
}

# during RATE FILE COMMAND...: run dr-snap, and COMMAND while it runs
during() {
	rate=$1 file=$2
	shift 2
	dr-snap --max-rate "$rate" -o "$file" >"$T/out" 2>"$T/err" &
	p=$!
	# The first byte makes the temporary file.
	n=0
	while [ -z "$(find "$T" -maxdepth 1 -name ".${file##*/}.*tmp")" ]; do
		n=$((n + 1))
		[ "$n" -lt 200 ] || break
		sleep 0.05
	done
	"$@"
	wait "$p"
}

term() {
	kill -TERM "$p"
}

# one_line WHAT REGEX: one error line, and no more than a hint after it
one_line() {
	match "$1" "^dr-snap: error: $2" "$T/err"
	is "$1: in one line" "$(grep -vc '^dr-snap: hint: ' "$T/err")" 1
}

# --- the command line -----------------------------------------------------
for args in "--exec a --stdin b" "--stdin a /etc" "--exec a" "-d x=y /etc" \
    "--no-wal /etc" "--exclude a" "--one-file-system --stdin a" \
    "--max-rate 1k" "--max-rate 2G" "--max-rate x" "--checkpoint now" \
    "--no-wal --max-wal-retained 1G" "--label X" "--label A=b" \
    "--body --stream" "-d nonsense" "--exec a/b -- true" "-x"; do
	# shellcheck disable=SC2086 # words
	dr-snap -o "$T/u.tar" $args </dev/null >"$T/out" 2>"$T/err"
	is "status 2: $args" "$?" 2
	gone "nothing is written: $args" "$T/u.tar"
done

# --- no server ---------------------------------------------------------------
PGHOST=$T/s PGPORT=5599 PGUSER=postgres
export PGHOST PGPORT PGUSER
status 5 "no server" dr-snap -o "$T/x.tar"
one_line "it is said" "cannot connect: .*5599"
gone "nothing is written" "$T/x.tar"
status 1 "a setting with a value that is none" \
    dr-snap -d "sslmode=nonsense password=geheim" -o "$T/x.tar"
nomatch "no password shows" geheim "$T/err"

# --- rights --------------------------------------------------------------------
pg_new main -k
cat >"$T/hba" <<-END
	local all pw scram-sha-256
	local replication pw scram-sha-256
	local replication nobody reject
	local all all trust
	local replication postgres trust
	local replication plain trust
	local replication repl trust
	END
cat "$T/hba" >"$T/main/pg_hba.conf"
pg_start main
psql_ "CREATE ROLE pw LOGIN REPLICATION PASSWORD 'geheim'"
psql_ "CREATE ROLE plain LOGIN"
psql_ "CREATE ROLE nobody LOGIN REPLICATION"
psql_ "CREATE ROLE repl LOGIN REPLICATION"
psql_ "CREATE TABLE t AS SELECT a, md5(a::text) FROM generate_series(1, 200000) a"
psql_ "CHECKPOINT"

status 1 "a wrong password" dr-snap -d "user=pw password=falsch" -o "$T/x.tar"
one_line "it is said" "cannot connect: .*password authentication failed"
nomatch "but not which" "falsch" "$T/err"
nomatch "nor with codes or places" "28P01|LOCATION" "$T/err"
status 1 "no password, and none is asked for" \
    dr-snap -d user=pw -o "$T/x.tar"
status 0 "the right password" dr-snap -d "user=pw password=geheim" -o "$T/p.tar"
status 1 "pg_hba.conf says no" dr-snap -d user=nobody -o "$T/x.tar"
match "a hint tells why" "hint: .*pg_hba.conf" "$T/err"
status 1 "a role without REPLICATION" dr-snap -d user=plain -o "$T/x.tar"
one_line "it is said" ".*replication"
status 0 "a role with nothing but REPLICATION" \
    dr-snap -d user=repl -o "$T/repl.tar"
status 1 "which may not read configuration" \
    dr-snap -d user=repl --with-config -o "$T/x.tar"
match "a hint tells what it takes" "hint: .*pg_read_server_files" "$T/err"
gone "nothing is written" "$T/x.tar"
status 1 "a database that is not there, where one is needed" \
    dr-snap -d dbname=nix --max-wal-retained 1G -o "$T/x.tar"
status 0 "and where none is" dr-snap -d dbname=nix -o "$T/other"

# --- in the midst -----------------------------------------------------------
during 1M "$T/x.tar" term
is "SIGTERM ends it by that signal" "$?" 143
gone "nothing is left" "$T/x.tar"
is "no slot is left" "$(sleep 0.3
    psql_ "SELECT count(*) FROM pg_replication_slots")" 0

{
	dr-snap 2>"$T/err"
	echo $? >"$T/rc"
} | head -c 1000 >"$T/out"
is "its reader left: it dies of SIGPIPE" "$(cat "$T/rc")" 141
is "and says nothing" "$(cat "$T/err")" ""
status 1 "no room for the output" sh -c "dr-snap --body >/dev/full"
one_line "it is said" "cannot write .*No space left"

during 1M "$T/x.tar" psql_ "SELECT pg_terminate_backend(pid)
    FROM pg_stat_replication" >/dev/null
is "its connection is ended: try later" "$?" 5
gone "nothing is left" "$T/x.tar"

dr-snap --max-rate 1M --max-wal-retained 1M -o "$T/x.tar" 2>"$T/err" &
p=$!
psql_ "CREATE TABLE w AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)"
wait "$p"
is "too much WAL is retained" "$?" 1
one_line "it is said" "the backup holds back"
gone "nothing is left" "$T/x.tar"
psql_ "DROP TABLE w"

# The reader stalls: the limit is watched all the same.
mkfifo "$T/stall"
dr-snap --max-wal-retained 1M >"$T/stall" 2>"$T/err" &
p=$!
exec 9<"$T/stall"
psql_ "SELECT pg_switch_wal(); CREATE TABLE w AS SELECT 1; SELECT pg_switch_wal()" >/dev/null
wait "$p"
is "while the reader stalls, too" "$?" 1
nomatch "there is no end mark" DRSTREAM - <&9
exec 9<&-

# --- a damaged page ------------------------------------------------------------
f=$(psql_ "SELECT pg_relation_filepath('t')")
pg_stop main
printf 'damage' | as_pg dd of="$T/main/$f" bs=1 seek=50000 conv=notrunc \
    2>"$T/ok.out"
pg_start main
status 4 "a damaged page fails the backup" dr-snap -o "$T/x.tar"
match "it is said" "error: .*checksum" "$T/err"
match "with a hint" "hint: .*--allow-checksum-failures" "$T/err"
match "the server's warning shows" "warning: the server says: checksum" "$T/err"
gone "nothing is left" "$T/x.tar"
status 4 "no end mark either" sh -c \
    "dr-snap --stream >'$T/y.stream' 2>'$T/y.err'"
nomatch "in the stream" DRSTREAM "$T/y.stream"
status 0 "--allow-checksum-failures" \
    dr-snap --allow-checksum-failures -o "$T/z.tar"
match "the manifest tells" '"checksums_verified": ?false' "$T/z.tar.json"

# --- a standby is promoted ---------------------------------------------------
as_pg mkdir -m 700 "$T/sb"
as_pg tar -x -C "$T/sb" <"$T/repl.tar"
as_pg touch "$T/sb/standby.signal"
cat >>"$T/sb/postgresql.conf" <<-END
	primary_conninfo = 'host=$T/s port=$PGPORT user=postgres'
	END
pg_start sb
during 1M "$T/x.tar" psql_ "SELECT pg_promote()" >/dev/null
is "a standby promoted meanwhile" "$?" 1
match "it is said" "error: .*promoted" "$T/err"
gone "nothing is left" "$T/x.tar"
pg_stop sb

# --- a server that starts up, and one that dies ----------------------------------
as_pg touch "$T/sb/standby.signal"
echo "hot_standby = off" >>"$T/sb/postgresql.conf"
pg_start sb
status 5 "a server that does not accept connections yet" dr-snap -o "$T/x.tar"
nomatch "the code does not show" "57P03|LOCATION" "$T/err"
pg_stop sb
pg_use main
during 1M "$T/x.tar" pg_stop main immediate
is "the server dies" "$?" 5
gone "nothing is left" "$T/x.tar"

done_testing
