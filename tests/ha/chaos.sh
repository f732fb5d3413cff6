# shellcheck shell=sh disable=SC2154
# chaos.sh - a set with guards and two observers, as dr-chaos wants it; after
# ring.sh.
#
#	$T/conf			for dr-chaos -f, all but chaos=allowed
#	experiments NAME...	each one, so often as counts.sh says

need dr-promote dr-lag pgbouncer etcdctl setsid
PATH=$PATH:$top/scripts

# What experiments have started again is not known otherwise.
end_chaos() {
	guards_off
	"$T/observers" stop
	thaw
	for n_ in main s1 s2; do
		p_=$(pm "$n_" 2>/dev/null) && pids_="$pids_ $p_"
	done
	kill "$(cat "$T/s/pb.pid")" 2>/dev/null
	kill -KILL "$(cat "$T/etcd1.pid")" 2>/dev/null
	end_ours
}
trap end_chaos EXIT

guards_off() {
	for n_ in main s1 s2; do
		"$T/guard" $n_ stop
	done
}

etcd_start
printf '#!/bin/sh\n' >"$T/observers"
chmod 755 "$T/observers"
ring_up "restart_after_crash = off" || {
	fail_ "the set does not start"
	done_testing
}
# Beside each server, a guard: it publishes who has to acknowledge.
cat >"$T/guard" <<END
#!/bin/sh
# NODE start|stop
p=\$(cat "$T/\$1.guarded" 2>/dev/null)
if [ \$2 = stop ]; then
	[ -z "\$p" ] || kill -TERM \$p 2>/dev/null
	i=0
	while [ -n "\$p" ] && kill -0 \$p 2>/dev/null && [ \$i -lt 100 ]; do
		i=\$((i + 1))
		sleep 0.05
	done
	exit 0
fi
DR_STATE=$T/\$1.state dr-promote guard --run -n main -D "$T/\$1" \
    -d "host=$T/s port=\$(cat "$T/\$1.port") user=postgres" --lock "$etcd" \
    --ttl 2s --name "\$1" >>"$T/\$1.guard" 2>&1 &
echo \$! >"$T/\$1.guarded"
END
chmod 755 "$T/guard"
for n in main s1 s2; do
	"$T/guard" $n start
done
synced() {
	etcdctl_ get /dr/main/sync --print-value-only | grep -q '"leader":"main"'
}
until_ "the guards are there" synced

# One that knows whether what is frozen still exists, and does not kill it.
cat >"$T/fence" <<END
#!/bin/sh
for n in main s1 s2; do
	[ "\$(cat "$T/\$n.port")" != "\$DR_PORT" ] || d=$T/\$n
done
[ -n "\${d:-}" ] || exit 1
i=0
while [ \$i -lt 20 ]; do
	i=\$((i + 1)) left=no
	for p in /proc/[0-9]*; do
		[ ! "\$p/cwd" -ef "\$d" ] || left=yes
	done
	[ \$left = yes ] || exit 0
	sleep 0.02
done
echo "processes are left"
exit 1
END
cat >"$T/observers" <<END
#!/bin/sh
# start, unless they run; or stop
for n in w1 w2; do
	p=\$(cat "$T/\$n.pid" 2>/dev/null)
	if [ "\${1:-start}" = stop ]; then
		[ -z "\$p" ] || kill -TERM "\$p" 2>/dev/null
		i=0
		while [ -n "\$p" ] && kill -0 "\$p" 2>/dev/null &&
		    [ \$i -lt 100 ]; do
			i=\$((i + 1))
			sleep 0.05
		done
	elif [ -z "\$p" ] || ! kill -0 "\$p" 2>/dev/null; then
		DR_STATE=$T/\$n.state setsid dr-watch -v -n main $ring \
		    --lock $etcd $hooks --name \$n --max-failovers 999 \
		    -- --ttl 2s >>"$T/\$n.log" 2>&1 9>&- &
		echo \$! >"$T/\$n.pid"
	fi
done
END
"$T/observers" start

# Once more, by rewinding it.
cat >"$T/rejoin" <<END
#!/bin/sh
d=$T/\$NODE
# It would end the server that replays for pg_rewind.
"$T/guard" \$NODE stop
p=\$(head -n 1 "\$d/postmaster.pid" 2>/dev/null)
[ -z "\$p" ] || kill -QUIT "\$p" 2>/dev/null
i=0
while [ -n "\$p" ] && kill -0 "\$p" 2>/dev/null && [ \$i -lt 100 ]; do
	i=\$((i + 1))
	sleep 0.05
done
rm -f "\$d/postmaster.pid" "$T/s/.s.PGSQL.\$(cat "$T/\$NODE.port").lock"
port=\$(cat "$T/\$PRIMARY.port")
to="host=$T/s port=\$port user=postgres"
$psql15 -qXd "\$to dbname=postgres" -c CHECKPOINT
cp "\$d/postgresql.conf" "$T/\$NODE.conf"
setpriv() {
	[ "$root_" = yes ] || shift 4
	command "\$@"
}
run="${root_#no}"
as="\${run:+setpriv --reuid=postgres --regid=postgres --init-groups}"
[ -e "\$d/standby.signal" ] ||
	\$as $PGBIN/pg_rewind -D "\$d" --source-server "\$to dbname=postgres" ||
	exit 1
cat "$T/\$NODE.conf" >"\$d/postgresql.conf"
sed -i '/^primary_conninfo/d' "\$d/postgresql.auto.conf"
echo "primary_conninfo = '\$to application_name=\$NODE'" \
    >>"\$d/postgresql.auto.conf"
\$as touch "\$d/standby.signal"
cd "$T" && \$as $PGBIN/pg_ctl -D "\$d" -l "$T/\$NODE.log" -w -s -t 60 \
    -o "-p \$(cat "$T/\$NODE.port") -k $T/s -c listen_addresses=" start \
    </dev/null >"$T/rejoin.out" 2>&1 || exit
"$T/guard" \$NODE start </dev/null >"$T/rejoin.out" 2>&1
END
sed -i '/^setpriv() {/,/^}/d; s/\${root_#no}/x/' "$T/rejoin"
[ "$root_" = yes ] || sed -i 's/^run=.*/run=/' "$T/rejoin"
[ "$root_" = no ] || sed -i 's/^run=.*/run=yes/' "$T/rejoin"
chmod 755 "$T/rejoin"

cat >"$T/router" <<END
#!/bin/sh
if [ "\$1" = kill ]; then
	kill -KILL \$(cat "$T/s/pb.pid")
else
	rm -f "$T/s/pb.pid" "$T/s/.s.PGSQL.6432"
	cd "$T" && ${root_#no}pgbouncer -q -d "$T/pb.ini"
fi
END
[ "$root_" = no ] || sed -i 's/yespgbouncer/setpriv --reuid=postgres --regid=postgres --init-groups pgbouncer/' "$T/router"
chmod 755 "$T/router"

cat >"$T/member" <<END
#!/bin/sh
if [ "\$1" = kill ]; then
	kill -KILL \$(cat "$T/etcd1.pid")
else
	setsid etcd --name m1 --data-dir "$T/etcd1" --unsafe-no-fsync \
	    --heartbeat-interval 50 --election-timeout 500 \
	    --logger zap --log-outputs stderr $(tr '\n' ' ' <"$T/etcd1.args") \
	    >>"$T/etcd1.log" 2>&1 </dev/null &
	echo \$! >"$T/etcd1.pid"
fi
END
chmod 755 "$T/member"

{
	echo "set=main through='$through' rto=30s nodes='main s1 s2'"
	echo "system=$(psql_ 'SELECT system_identifier FROM pg_control_system()')"
	for n in main s1 s2; do
		echo "conninfo_$n='$(at $n) host=$T/s user=postgres dbname=postgres'"
		echo "pgdata_$n=$T/$n"
	done
	echo "rejoin=$T/rejoin lock=$etcd"
	echo "router_kill='$T/router kill' router_start='$T/router start'"
	echo "etcd_kill='$T/member kill' etcd_start='$T/member start'"
	echo "coordinator_start='$T/observers start'"
	echo "coordinator_stop='$T/observers stop'"
} >"$T/conf"

experiments() {
	for e_; do
		status 0 "$e_" timeout 600 dr-chaos -v -f "$T/conf" --i-know main \
		    --report "$T/report" --runs "$(count chaos)" "$e_" || {
			for f_ in "$T"/w?.log "$T"/*.guard "$T/out"; do
				tail -n 15 "$f_" | sed "s|^|# ${f_##*/}: |"
			done
			return 1
		}
		note "$(cat "$T/out")"
	done
}
