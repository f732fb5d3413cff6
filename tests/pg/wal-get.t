#!/bin/sh
# dr-wal get as restore_command of real servers: 15, briefly 17 and 18.
. "${0%/*}/../lib.sh"
need dr-wal dr-key age zstd

cd "$T" || exit 1
as_pg dr-key new -o "$T/id" 2>/dev/null
dr-key recipient id >to
chmod 644 to
mkdir store
: >get.log
chmod 666 get.log
[ "$root_" = no ] || chown postgres: id to store get.log state

archiving() { # CLUSTER
	cat >>"$T/$1/postgresql.conf" <<-END
	archive_mode = on
	archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push --batch -n $2 -s $T/store -R $T/to --state $T/state %p'
	END
}
archived() { # wait until all is, or for 30 s
	i=0
	s_=$(psql_ 'select pg_walfile_name(pg_switch_wal())')
	while [ "$(psql_ "select last_archived_wal >= '$s_'
	    from pg_stat_archiver")" != t ] && [ $i -lt 300 ]; do
		i=$((i + 1))
		sleep 0.1
	done
}
churn() { # N segments
	for i in $(seq "$1"); do
		psql_ "insert into t select $i, md5(g::text)
		    from generate_series(1, 2000) g;
		    select pg_switch_wal()" >/dev/null
	done
}
# A copy of CLUSTER's backup BASE that recovers from SET, with OPTIONS.
recovering() { # NAME BASE SET [OPTION...]
	n_=$1 b_=$2 s_=$3
	shift 3
	as_pg cp -R "$T/$b_" "$T/$n_"
	as_pg touch "$T/$n_/recovery.signal"
	cat >>"$T/$n_/postgresql.conf" <<-END
	archive_mode = ${mode:-off}
	recovery_target_timeline = 'latest'
	restore_command = 'PATH=$bin:/usr/bin:/bin dr-wal get -v -n $s_ -s $T/store -i $T/id --state $T/state $* %f %p 2>>$T/get.log'
	END
	: >"$T/get.log"
}
promoted() { # wait until it is, or for 60 s
	i=0
	while [ "$(psql_ 'select pg_is_in_recovery()' 2>/dev/null)" != f ] &&
	    [ $i -lt 600 ]; do
		i=$((i + 1))
		sleep 0.1
	done
	[ $i -lt 600 ]
}
sum() {
	psql_ "select count(*), sum(hashtext(t::text)) from t"
}

# --- 15 ---------------------------------------------------------------------------
pg_new one --wal-segsize=1
archiving one main
pg_start one || exit 1
psql_ "create table t (a int, b text)"
as_pg pg_basebackup -D "$T/base" -c fast -X none 2>"$T/err" || exit 1
churn 30
archived
want=$(sum)
sysid=$(psql_ 'select system_identifier from pg_control_system()')
pg_stop one
wal=store/main/wal/$sysid/00000001
n=$(find "$wal" -name '*.zst.age' | wc -l)
ok "more than 25 segments are in the store ($n)" test "$n" -gt 25

mode=on
recovering two base main
mode=off
ok "recovery" pg_start two
ok "ends" promoted
is "and everything is there" "$(sum)" "$want"
ahead=$(grep -c 'fetched ahead' get.log)
ok "most segments had been fetched ahead ($ahead)" test "$ahead" -gt 15
nomatch "no error" 'error|warning' get.log
is "no temporary is left" "$(find two -name '.*.tmp' | wc -l)" 0
match "how fast it was is noted" \
    '"fetch":.*"bytes":[1-9].*"replay":.*"bytes":[1-9]' state/rates/main.json
is "on a new timeline" \
    "$(psql_ 'select timeline_id from pg_control_checkpoint()')" 2

# It archives its own timeline into the set, as after a failover.
churn 3
archived
want2=$(sum)
pg_stop two
recovering three base main
ok "recovery over two timelines" pg_start three
ok "ends" promoted
is "and everything is there" "$(sum)" "$want2"
nomatch "no error" 'error|warning' get.log
pg_stop three

# What must not be replayed stops the server.
stops() { # WHAT NAME REGEX
	pg_start "$2" >"$T/ok.out" 2>&1
	i=0
	while [ $i -lt 200 ] &&
	    ! grep -q 'database system is shut down' "$T/$2.log"; do
		i=$((i + 1))
		sleep 0.1
	done
	match "$1: recovery stops" 'FATAL: .*restore' "$T/$2.log"
	match "$1: the reason" "$3" get.log
	nomatch "$1: it does not open" 'ready to accept connections' \
	    "$T/$2.log"
}
mid=$(find "$wal" -name '????????????????????????.zst.age' | sort |
    sed -n 12p)
name=${mid##*/}
name=${name%.zst.age}
as_pg mv "$T/$mid" "$T/aside"
recovering four base main
stops "a hole" four "\"$name\" is missing, and .* exists"
recovering five base main -K "$T/state/sign.key.pub"
after=$(find "$wal" -name '????????????????????????.zst.age' | sort |
    sed -n 12p)
as_pg cp "$T/$after" "$T/$mid"
stops "another segment in its place" five "\"$name\": .*signature"
age -d -i id aside | zstd -dcq | zstd -qc | age -R to >"$T/forged"
as_pg rm -f "$T/$mid"
as_pg cp "$T/forged" "$T/$mid"
recovering six base main
stops "sealed and not signed" six "\"$name\": .*signature"
as_pg rm -f "$T/$mid"
as_pg mv "$T/aside" "$T/$mid"

# A standby: it follows what is archived.
pg_start two || exit 1
recovering seven base main --standby
as_pg rm "$T/seven/recovery.signal"
as_pg touch "$T/seven/standby.signal"
echo "wal_retrieve_retry_interval = 200ms" >>seven/postgresql.conf
ok "a standby" pg_start seven
pg_use two
churn 2
archived
want3=$(sum)
pg_use seven
i=0
while [ "$(sum 2>/dev/null)" != "$want3" ] && [ $i -lt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
is "follows" "$(sum)" "$want3"
is "and stays one" "$(psql_ 'select pg_is_in_recovery()')" t
mv store store.away
pg_use two
psql_ "insert into t values (0, 'away')"
sleep 0.5
pg_use seven
is "with the store away it serves on" "$(sum)" "$want3"
mv store.away store
pg_use two
archived
want3=$(sum)
pg_use seven
i=0
while [ "$(sum 2>/dev/null)" != "$want3" ] && [ $i -lt 150 ]; do
	i=$((i + 1))
	sleep 0.1
done
is "and goes on when it is back" "$(sum)" "$want3"
pg_stop seven
pg_stop two

# --- 17, 18 -----------------------------------------------------------------------
for v in 17 18; do
	pg_version $v
	pg_new "s$v" --wal-segsize=1
	archiving "s$v" "v$v"
	pg_start "s$v" || exit 1
	psql_ "create table t (a int, b text)"
	pg_stop "s$v" # pg_basebackup takes no newer server
	as_pg cp -R "$T/s$v" "$T/base$v"
	pg_start "s$v" || exit 1
	churn 5
	archived
	want=$(sum)
	pg_stop "s$v"
	recovering "r$v" "base$v" "v$v"
	ok "$v: recovery" pg_start "r$v"
	ok "$v: ends" promoted
	is "$v: and everything is there" "$(sum)" "$want"
	nomatch "$v: no error" 'error|warning' get.log
	pg_stop "r$v"
done
rm -f "$T"/state/spool/*/asked
done_testing
