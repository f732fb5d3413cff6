#!/bin/sh
# No second primary: what may start, what is stopped, and when; with a real
# etcd and real servers.  (release only)
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"

etcd_start
DR_LOCK=$etcd
DR_SET=main
export DR_LOCK DR_SET

ms() {
	date +%s%3N
}

# What is in etcd: key NAME [FIELD]
key() {
	etcdctl_ get --print-value-only "/dr/main/$1" >"$T/key" 2>/dev/null
	if [ $# -eq 1 ]; then
		cat "$T/key"
	else
		python3 - "$T/key" "$2" <<-'END'
		import json, sys
		t = open(sys.argv[1]).read()
		print(json.loads(t).get(sys.argv[2], "") if t.strip() else "")
		END
	fi
}

key_is() {
	[ "$(key "$1" "$2")" = "$3" ]
}

no_key() {
	[ -z "$(key "$1")" ]
}

# put_epoch N LEADER TLI
put_epoch() {
	etcdctl_ put /dr/main/epoch "{\"v\":1,\"epoch\":$1,\"leader\":\"$2\",\"former\":\"\",\"tli\":$3,\"fork\":\"0/0\",\"time\":1}" >/dev/null
}

runs() {
	[ -e "$T/$1/postmaster.pid" ] && ours_ "$(pm "$1")"
}

down() {
	! runs "$1"
}

# guard NAME OPTION...: beside the server NAME; its words in $T/NAME.guard
guard() {
	g_=$1
	shift
	: >>"$T/$g_.guard"
	[ "$root_" = no ] || chown postgres: "$T/$g_.guard"
	as_pg env DR_STATE="$T/state/$g_" dr-promote guard --run -D "$T/$g_" \
	    -d "host=$T/s $(at "$g_") user=postgres dbname=postgres" "$@" \
	    >>"$T/$g_.guard" 2>&1 3>&- &
	gpid=$!
	helpers_="$helpers_ $gpid"
	echo "$gpid" >"$T/$g_.gpid"
}

# start_ NAME OPTION...: may it start?
may() {
	m_=$1
	shift
	as_pg env DR_STATE="$T/state/$m_" dr-promote guard -D "$T/$m_" "$@"
}

end_guard() {
	kill "$(cat "$T/$1.gpid")" 2>/dev/null
	wait "$(cat "$T/$1.gpid")" 2>/dev/null
}

# --- the first primary --------------------------------------------------------
pg_new main
echo "cluster_name = 'a'" >>"$T/main/postgresql.conf"
mv "$T/main" "$T/a"
mv "$T/main.port" "$T/a.port"
mv "$T/main.bin" "$T/a.bin"
cp -a "$T/a" "$T/main"

status 0 "a server may start where there is no epoch yet" may a -v
match "it says so" 'may start as a primary' "$T/err"
is "and has the key meanwhile" "$(key leader name)" a

pg_start a
guard a --ttl 2s
until_ "the guard makes the first epoch" key_is epoch leader a
is "of number 1" "$(key epoch epoch)" 1
until_ "it says what the node is" key_is node/a role primary
until_ "and publishes that no standby counts" key_is sync wait 0

done_testing
