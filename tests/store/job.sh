# job.sh - the whole of the main job and recovery to a point in time, through
# one store: what is backed up comes back.  Sourced after lib.sh.
#
#	job_keys	$T/id and $T/to, to seal with
#	job_files STORE...	a tree of files, in all of them
#	job_pg STORE	a small cluster, its WAL, and restores of it

job_keys() {
	as_pg dr-key new -o "$T/id" 2>"$T/err" &&
		as_pg dr-key recipient "$T/id" >"$T/to"
}

job_tree() {
	[ ! -d "$T/tree" ] || return 0
	as_pg mkdir -p "$T/tree/sub" || return 1
	as_pg sh -c 'head -c 20000000 /dev/urandom >tree/noise
	    seq 300000 >tree/sub/numbers
	    ln -s sub/numbers tree/link'
}

job_files() {
	job_tree
	ok "files: backed up" as_pg sh -c 'dr-snap tree | dr-pack -l 1 |
	    dr-seal -R to | dr-push -n files "$@"' sh "$@"
	for j_; do
		status 0 "files: listed in ${j_%%:*}" as_pg dr-list -n files \
		    "$j_"
		is "files: there is one" "$(grep -c full "$T/out")" 1
		status 0 "files: verified without a key" \
		    as_pg dr-verify -n files "$j_"
		status 0 "files: verified by their content" \
		    as_pg dr-verify -n files --deep -i "$T/id" "$j_"
		ok "files: restored" as_pg dr-restore -n files -i "$T/id" \
		    -D "$T/back" "$j_"
		ok "files: the same" diff -r "$T/tree" "$T/back/tree"
		as_pg rm -rf "$T/back"
	done
}

# The cluster a, with its WAL archived to STORE.
job_cluster() {
	pg_new a --wal-segsize=1 || return 1
	cat >>"$T/a/postgresql.conf" <<-END2
	archive_mode = on
	archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n pg -s "$1" -R $T/to --state $T/state %p 2>>$T/push.log'
	END2
	pg_start a || return 1
	psql_ 'CREATE TABLE t (i serial, note text)'
	job_note zero
}

job_note() {
	psql_ "INSERT INTO t (note) VALUES ('$1')"
}

# Close the segment and wait until it is archived.
job_flush() {
	w=$(psql_ 'SELECT pg_walfile_name(pg_switch_wal())')
	n=0
	until [ "$(psql_ "SELECT substr(last_archived_wal, 1, 24) >= '$w'
	    FROM pg_stat_archiver")" = t ]; do
		n=$((n + 1))
		[ "$n" -lt 600 ] || {
			tail -n 5 "$T/push.log"
			return 1
		}
		sleep 0.05
	done
}

job_backup() {
	as_pg sh -c 'dr-snap | dr-pack -l 1 | dr-seal -R to |
	    dr-push -n pg "$@"' sh "$@"
}

job_now() {
	psql_ "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',
	    'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
}

# job_restore WHAT CONTENT STORE OPTION...
job_restore() {
	w=$1 c=$2 j=$3
	shift 3
	status 0 "pg: restored $w" as_pg dr-restore -n pg -i "$T/id" \
	    -D "$T/r" "$@" "$j" || return
	: >"$T/r.log"
	if pg_start r && n=0 &&
	    until [ "$(psql_ 'SELECT pg_is_in_recovery()')" = f ]; do
		n=$((n + 1))
		[ "$n" -lt 200 ] || break
		sleep 0.05
	done; then
		is "pg: $w" "$(psql_ \
		    "SELECT string_agg(note, ' ' ORDER BY i) FROM t")" "$c" ||
			tail -n 20 "$T/r.log"
		pg_stop r immediate
	else
		fail_ "pg: $w" "$T/r.log"
	fi
	as_pg rm -rf "$T/r"
	pg_use a
}

job_pg() {
	job_cluster "$1" || {
		fail_ "a cluster" "$T/a.log"
		return
	}
	ok "pg: backed up" job_backup "$1"
	job_note one
	sleep 0.1
	at_=$(job_now)
	sleep 0.1
	job_note two
	ok "pg: WAL is archived" job_flush
	status 0 "pg: listed" as_pg dr-list -n pg "$1"
	status 0 "pg: verified" as_pg dr-verify -n pg "$1"
	job_restore "to the end of the WAL" "zero one two" "$1"
	job_restore "to a time" "zero one" "$1" --target-time "$at_"
	pg_stop a
}
