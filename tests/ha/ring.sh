# shellcheck shell=sh disable=SC2154
# ring.sh - a set of three servers, main, s1 and s2, each commit acknowledged
# by one of the other two; PgBouncer before them; clients that write through
# it, and remember what was acknowledged.  After lib.sh, ha.sh and etcd.sh.
#
#	ring_up [LINE...]	all of it runs, main is primary; LINEs go into
#				all configurations. Sets $ring (-d ... of each),
#				$through, $hooks (--fence, --route, --through)
#	ring_names		what the primary demands now, for --sync-names
#	ring_kill		kill -9 of the primary's postmaster; sets $was, and
#				$demanded, what ring_names was
#	ring_primary		its name: who answers as one
#	ring_rejoin NAME	NAME, which was primary, follows whoever is
#	load_on [N], load_off	N writers (2)
#	acked			how many writes were acknowledged so far
#	load_check WHAT		none of them is missing; sets $lost, $doubt, $gap

psql15=$PGBIN/psql
through="host=$T/s port=6432 user=postgres dbname=app"

ring_up() {
	pg_new main -k
	{
		cat <<-'END'
		cluster_name = 'main'
		wal_log_hints = on
		wal_keep_size = 256MB
		synchronous_standby_names = 'ANY 1 (s1, s2)'
		END
		for l_; do
			echo "$l_"
		done
	} >>"$T/main/postgresql.conf"
	standby s1 main
	standby s2 main
	pg_start main
	pg_start s1 || return 1
	pg_start s2 || return 1
	pg_use main
	timeout 20 "$psql15" -qX -c "CREATE TABLE acks(id text PRIMARY KEY, at timestamptz
	    DEFAULT clock_timestamp())" || return 1
	ring="-d 'host=$T/s port=$(cat "$T/main.port") user=postgres'"
	ring="$ring -d 'host=$T/s port=$(cat "$T/s1.port") user=postgres'"
	ring="$ring -d 'host=$T/s port=$(cat "$T/s2.port") user=postgres'"
	ring_router
	# The proof: nobody is left whose directory is that of the server.
	cat >"$T/fence" <<-END
	#!/bin/sh
	for n in main s1 s2; do
		[ "\$(cat "$T/\$n.port")" != "\$DR_PORT" ] || d=$T/\$n
	done
	[ -n "\${d:-}" ] || exit 1
	i=0
	while [ \$i -lt 100 ]; do
		i=\$((i + 1)) left=no
		for p in /proc/[0-9]*; do
			[ ! "\$p/cwd" -ef "\$d" ] || left=yes
		done
		[ \$left = yes ] || exit 0
		sleep 0.02
	done
	echo "processes are left"
	exit 3
	END
	cat >"$T/route" <<-END
	#!/bin/sh
	exec "$top/scripts/hooks/route-pgbouncer" -q -f "$T/pb.ini" -b app \
	    -d "host=$T/s port=6432 user=admin"
	END
	chmod 755 "$T/fence" "$T/route"
	hooks="--fence '$T/fence' --route '$T/route' --through '$through'"
}

ring_router() {
	cat >"$T/pb.ini" <<-END
	[databases]
	app = host=$T/s port=$(cat "$T/main.port") dbname=postgres user=postgres
	[pgbouncer]
	listen_addr =
	listen_port = 6432
	unix_socket_dir = $T/s
	auth_type = any
	admin_users = admin
	pool_mode = transaction
	server_login_retry = 0.05
	logfile = $T/pb.log
	pidfile = $T/s/pb.pid
	END
	: >"$T/pb.log"
	chmod 666 "$T/pb.log"
	[ "$root_" = no ] || chown postgres: "$T/pb.ini"
	router_start
}

router_start() {
	rm -f "$T/s/pb.pid" "$T/s/.s.PGSQL.6432"
	as_pg pgbouncer -q -d "$T/pb.ini" >"$T/pb.out" 2>&1
	n_=0
	until [ -s "$T/s/pb.pid" ] && [ -S "$T/s/.s.PGSQL.6432" ]; do
		n_=$((n_ + 1))
		[ $n_ -lt 100 ] || return 1
		sleep 0.05
	done
	helpers_="$helpers_ $(cat "$T/s/pb.pid")"
}

ask_() { # NAME SQL
	PGCONNECT_TIMEOUT=2 timeout 10 "$psql15" -qAtX -d "$(at "$1") \
host=$T/s user=postgres dbname=postgres" -c "$2" 2>/dev/null
}

ring_primary() {
	for n_ in main s1 s2; do
		[ "$(ask_ "$n_" "SELECT pg_is_in_recovery()")" != f ] || {
			echo "$n_"
			return
		}
	done
	return 1
}

ring_names() {
	p_=$(ring_primary) && ask_ "$p_" "SHOW synchronous_standby_names"
}

ring_kill() {
	was=$(ring_primary) && demanded=$(ring_names) || return 1
	kill -KILL "$(pm "$was")"
}

ring_rejoin() {
	from_=$(ring_primary) || return 1
	rm -f "$T/$1/postmaster.pid" "$T/s/.s.PGSQL.$(cat "$T/$1.port").lock"
	ask_ "$from_" CHECKPOINT
	cp "$T/$1/postgresql.conf" "$T/$1.conf"
	as_pg "$PGBIN/pg_rewind" -D "$T/$1" --source-server \
	    "$(at "$from_") host=$T/s user=postgres dbname=postgres" \
	    >"$T/rewind.out" 2>&1 || {
		sed 's/^/# /' "$T/rewind.out"
		return 1
	}
	cat "$T/$1.conf" >"$T/$1/postgresql.conf"
	# Nothing of what the other one said of itself.
	sed -i '/^primary_conninfo/d' "$T/$1/postgresql.auto.conf"
	echo "primary_conninfo = 'host=$T/s port=$(cat "$T/$from_.port") \
user=postgres application_name=$1'" >>"$T/$1/postgresql.auto.conf"
	as_pg touch "$T/$1/standby.signal"
	pg_start "$1"
}

# --- clients --------------------------------------------------------------------
# writer NAME: a connection for each write, as a client that knows nothing
writer() {
	i=0
	while [ ! -e "$T/load.off" ]; do
		i=$((i + 1))
		if PGCONNECT_TIMEOUT=5 timeout 8 "$psql15" -qAtX -d "$through" \
		    -c "INSERT INTO acks(id) VALUES ('$1-$i')" \
		    >>"$T/load.$1.out" 2>&1; then
			echo "$1-$i $(date +%s%3N)" >>"$T/acked.$1"
		else
			echo "$1-$i" >>"$T/doubt.$1"
		fi
	done
}

load_n=0

load_on() {
	rm -f "$T/load.off"
	load_='' w_=0
	while [ $w_ -lt "${1:-2}" ]; do
		w_=$((w_ + 1)) load_n=$((load_n + 1))
		writer "w$load_n" &
		load_="$load_ $!"
	done
	helpers_="$helpers_ $load_"
}

load_off() {
	: >"$T/load.off"
	# shellcheck disable=SC2086 # words
	wait $load_
}

acked() {
	cat "$T"/acked.w* 2>/dev/null | wc -l
}

more_acked() { # THAN
	[ "$(acked)" -gt "$1" ]
}

load_check() {
	lost=$(ask_ "$(ring_primary)" "SELECT id FROM acks" | sort >"$T/there"
	    cut -d ' ' -f 1 "$T"/acked.w* | sort | comm -23 - "$T/there" | wc -l)
	is "$1: no acknowledged write is lost" "$lost" 0
	doubt=$(cat "$T"/doubt.w* 2>/dev/null | sort | comm -12 - "$T/there" | wc -l)
	gap=$(cut -d ' ' -f 2 "$T"/acked.w* | sort -n | awk '
	NR > 1 && $1 - l > m { m = $1 - l }
	{ l = $1 }
	END { print m }')
	note "$1: $(acked) acknowledged, $doubt written without a word," \
	    "longest silence $gap ms"
}
