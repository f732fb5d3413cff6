#!/bin/sh
# dr-verify and dr-list on backups and the WAL of a real server, over a
# promotion.
. "${0%/*}/../lib.sh"
need dr-wal dr-verify dr-list psql python3

cd "$T" || exit 1
store=$T/store
as_pg mkdir "$store" "$T/m"
as_pg dr-key new -o "$T/id" 2>/dev/null
as_pg dr-key recipient "$T/id" >"$T/to"
chmod 644 to
pg_new a --wal-segsize=1 || exit 1
cat >>a/postgresql.conf <<END
archive_mode = on
archive_command = 'PATH=$bin:/usr/bin:/bin dr-wal push -n main -s $store -R $T/to --state $T/state %p 2>>$T/push.log'
END
pg_start a || exit 1

push() {
	as_pg sh -c "dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' |
	    dr-push -n main '$store'"
}
wal() { # N: that many more segments, archived
	for i_ in $(seq "$1"); do
		psql_ "create table if not exists t (a int, b text)" 2>/dev/null
		psql_ "insert into t select g, md5(g::text)
		    from generate_series(1, 2000) g" >/dev/null
		last=$(psql_ 'select pg_walfile_name(pg_switch_wal())')
	done
	i_=0
	until [ -e "$store/main/wal/$sysid/$(echo "$last" | cut -c1-8)/$last.zst.age" ] ||
	    [ $i_ -ge 200 ]; do
		i_=$((i_ + 1))
		sleep 0.1
	done
}
ledger() {
	as_pg sh -c "cd '$T/a' && PGDATA='$T/a' dr-wal push --ledger -n main \
	    -s '$store'"
}
verify() { # STATUS WHAT [ARG...]
	st_=$1 w_=$2
	shift 2
	status "$st_" "$w_" as_pg dr-verify -n main "$@" "$store"
}
list() { # EXPRESSION on the JSON of each
	as_pg dr-list -n main --json "$store" | python3 -c "
import json, sys
for line in sys.stdin:
    o = json.loads(line)
    print($1)"
}
sysid=$(psql_ 'select system_identifier from pg_control_system()')

ok "a backup" push
wal 3
ok "a second backup" push
wal 3
ok "a ledger" ledger
verify 0 "all is whole"
match "backups and WAL" "$sysid +ok +WAL from .* on timeline 1, [0-9]* objects" out
verify 0 "and opens" --deep -i "$T/id"
nomatch "all of it" damaged out
verify 0 "from one backup on" -b latest
verify 0 "with a young ledger" --max-age 1h
end=$(psql_ "select pg_current_wal_lsn() - '0/0'")
is "dr-list says how far it goes" "$(list "o['wal']['to_time_from'],
    o['wal']['gaps'], o['wal']['timeline'], o['wal']['restorable']" | sort -u)" \
    "ledger [] 1 True"
is "up to the last segment" "$(list "(lambda a, b: (int(a, 16) << 32) +
    int(b, 16))(*o['wal']['to_lsn'].split('/')) // 1048576" | sort -u)" \
    $((end / 1048576))
as_pg dr-list -n main "$store" >out
match "in the table too" ' [0-9A-F]+/[0-9A-F]+00000 20[0-9TZ:-]+$' out

# A segment between the backups goes; what the second needs stays.
first=$(find "$store/main/wal" -name '*.backup.zst.age' | sort | tail -n 1)
first=${first##*/}
first=${first%%.*}
gone=$(find "$store/main/wal" -name '0000*.zst.age' ! -name '*.backup.*' |
    sort | grep -B 1 "$first.zst" | head -n 1)
mv "$gone" "$T/kept"
verify 4 "a segment between two backups gone"
match "is a gap" 'damaged +gap [0-9A-F]*/[0-9A-F]* to [0-9A-F]*/[0-9A-F]* on timeline 1' out
verify 0 "the second backup does not need it" -b latest
as_pg dr-list -n main "$store" >out
is "dr-list marks the first" "$(grep -c ' gap$' out)" 1
mv "$T/kept" "$gone"
verify 0 "put back"

# A promotion.
pg_stop a
as_pg touch a/standby.signal
pg_start a
psql_ 'select pg_promote()' >/dev/null
wal 3
ok "a ledger" ledger
verify 0 "two timelines"
match "ends on the second" "ok +WAL from .* on timeline 2" out
is "dr-list goes over to it" "$(list "o['wal']['timeline']" | sort -u)" 2
gone=$(find "$store/main/wal" -path '*/00000002/*' -name '000000020*.age' |
    sort | head -n 1)
mv "$gone" "$T/kept"
verify 4 "the first segment of the new timeline gone"
match "is a gap" 'gap .* on timeline [12]' out
mv "$T/kept" "$gone"
ok "a backup there" push
verify 0 "is whole" -b latest
verify 0 "with all others"
pg_stop a

# --- received in increments, by a receiver that is killed ------------------------------
pg_new b --wal-segsize=1 || exit 1
pg_start b || exit 1
psql_ "create table t (a int, b text)"
dr-wal receive -n inc --slot dr --create-slot --interval 50ms \
    -R "$T/to" --state "$T/state-b" "$store" >receive.log 2>&1 &
r=$!
sleep 0.5
ok "a backup" sh -c "DR_STATE='$T/state-b'; export DR_STATE
    dr-snap | dr-pack -l 1 | dr-seal -R '$T/to' | dr-push -n inc '$store'"
for round in 1 2 3; do
	for _ in 1 2 3 4 5 6; do
		psql_ "insert into t select g, md5(g::text)
		    from generate_series(1, 1500) g"
		sleep 0.1
	done
	[ $round = 3 ] || {
		kill -KILL $r
		wait $r 2>/dev/null
		dr-wal receive -n inc --slot dr --interval 50ms \
		    -R "$T/to" --state "$T/state-b" "$store" >>receive.log 2>&1 &
		r=$!
	}
done
sleep 0.5
kill -TERM $r
wait $r
status 0 "increments, with a receiver killed twice" \
    env DR_STATE="$T/state-b" dr-verify -n inc --deep -i "$T/id" "$store"
nomatch "all vouched for" 'vouched|gap|damaged' out
match "by one chain" 'ok +WAL from' out
is "dr-list: restorable to the last ledger" "$(env \
    DR_STATE="$T/state-b" dr-list -n inc --json "$store" |
    grep -c '"to_time_from":"ledger"')" 1
pg_stop b
done_testing
