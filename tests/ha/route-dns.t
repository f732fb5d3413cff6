#!/bin/sh
# The hook that changes a name in DNS, on BIND: with its epoch, and never when
# somebody else came between.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
need psql named nsupdate dig tsig-keygen python3

hook=$top/scripts/hooks/route-dns
now_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}
# shellcheck disable=SC2046 # words
set -- $(python3 -c 'import socket
p = []
while len(p) < 2:
	a = socket.socket()
	b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	a.bind(("127.0.0.1", 0))
	try:
		b.bind(a.getsockname())
		p.append((a, b))
	except OSError:
		pass
a, b = socket.socket(), socket.socket()
a.bind(("127.0.0.1", 0))
b.bind(("127.0.0.2", a.getsockname()[1]))
print(*(x[0].getsockname()[1] for x in p), a.getsockname()[1])')
one=$1 two=$2 pg=$3

# --- a primary server of names and a secondary --------------------------------------
mkdir "$T/n1" "$T/n2"
(umask 077 && tsig-keygen -a hmac-sha256 fo >"$T/key" &&
	tsig-keygen -a hmac-sha256 fo >"$T/wrong.key" &&
	tsig-keygen -a hmac-sha256 other >"$T/other.key")
# conf DIRECTORY PORT ZONE
conf() {
	cat <<-END
	include "$T/key";
	include "$T/other.key";
	options {
		directory "$T/$1";
		listen-on port $2 { 127.0.0.1; };
		listen-on-v6 { none; };
		pid-file "$T/$1/pid";
		session-keyfile "$T/$1/session.key";
		recursion no;
		notify explicit;
		notify-delay 0;
		dnssec-validation no;
		allow-transfer { any; };
	};
	controls { };
	zone "db.test" {
		$3
	};
	END
}
conf n1 "$one" 'file "zone"; type primary; also-notify { 127.0.0.1 port '"$two"'; };
		update-policy {
			grant fo name primary.db.test. A AAAA CNAME;
			grant fo name _dr-epoch.primary.db.test. TXT;
		};' >"$T/n1/conf"
conf n2 "$two" "file \"zone\"; type secondary; primaries { 127.0.0.1 port $one; };
		allow-notify { 127.0.0.1; };" >"$T/n2/conf"
cat >"$T/n1/zone" <<'END'
$TTL 5
@	SOA	ns.db.test. root.db.test. 1 60 60 3600 5
	NS	ns
ns	A	127.0.0.1
a	A	127.0.0.1
b	A	127.0.0.2
END
if [ "$root_" = yes ]; then
	chown -R postgres: "$T/n1" "$T/n2" "$T"/*key
fi
for n in n1 n2; do
	as_pg named -g -c "$T/$n/conf" >"$T/$n.log" 2>&1 </dev/null &
	helpers_="$helpers_ $!"
done
serves() { # PORT
	dig @127.0.0.1 -p "$1" +time=1 +tries=1 +short ns.db.test A | grep -qx 127.0.0.1
}
for p in "$one" "$two"; do
	until_ "a server of names runs" serves "$p" || {
		sed 's/^/# /' "$T/n1.log" | tail -n 20
		exit 1
	}
done
# answer [TYPE [PORT]]
answer() {
	dig @127.0.0.1 -p "${2:-$one}" +time=2 +tries=1 +short primary.db.test "${1:-CNAME}"
}
epoch() {
	dig @127.0.0.1 -p "${1:-$one}" +time=2 +tries=1 +short _dr-epoch.primary.db.test TXT
}
# route ACTION [VARIABLE=VALUE]...
opts=
route() {
	a_=$1
	shift
	# shellcheck disable=SC2086 # words
	env DR_ACTION="$a_" DR_PORT="$pg" "$@" timeout 30 sh "$hook" -s "127.0.0.1:$one" \
	    -k "${key:-$T/key}" $opts primary.db.test
}

# --- what it is told --------------------------------------------------------------------
status 2 "without a name" env DR_ACTION=switch sh "$hook" -s x -k x
status 2 "without an action" env DR_ACTION= sh "$hook" -s x -k x y
status 2 "without an epoch" route switch DR_HOST=a.db.test
status 2 "with a host that is none" route switch DR_HOST='a b' DR_EPOCH=1
opts="--check"
status 3 "nothing is set up" route check
match "there is no name yet" 'primary.db.test. is not there' "$T/err"
opts="-n"
status 0 "a dry run" route switch DR_HOST=a.db.test DR_EPOCH=1
match "prints the update" '^update add primary.db.test. 5 CNAME a.db.test.$' "$T/out"
is "and sends none" "$(answer)$(epoch)" ""
opts=
chmod o+r "$T/key"
status 1 "a key that others may read" route switch DR_HOST=a.db.test DR_EPOCH=1
match "is not taken" 'chmod o=' "$T/err"
chmod o= "$T/key"
key=$T/wrong.key status 1 "a wrong key" route switch DR_HOST=a.db.test DR_EPOCH=1
match "says what is wrong" 'cannot update primary.db.test.: .*BADSIG' "$T/err"
key=$T/other.key status 1 "a key that may not" route switch DR_HOST=a.db.test DR_EPOCH=1
match "is refused by the server" 'REFUSED' "$T/err"
status 5 "no server of names" env DR_ACTION=resume timeout 30 sh "$hook" \
    -s 127.0.0.1:1 -k "$T/key" primary.db.test
status 5 "one that does not know" env DR_ACTION=resume timeout 30 sh "$hook" \
    -s "127.0.0.1:$one" -k "$T/key" primary.else.test
match "is no answer" 'it says REFUSED' "$T/err"

# --- the name changes ---------------------------------------------------------------------
status 0 "the first time" route switch DR_HOST=a.db.test DR_EPOCH=3
match "it says what there is now" '^primary.db.test.: CNAME a.db.test., epoch 3' "$T/out"
is "the name leads there" "$(answer)" a.db.test.
is "the epoch stands beside it" "$(epoch)" "\"3 a.db.test $pg\""
opts="--check --see 127.0.0.1:$two"
all_well() {
	route check
}
until_ "all is set up well" all_well
opts="--check"
key=$T/other.key status 3 "but for a key that may not" route check
match "which is seen" 'takes no update' "$T/err"
opts="--see 127.0.0.1:$two"
t=$(now_ms)
status 0 "another host" route switch DR_HOST=b.db.test DR_EPOCH=4
note "a switch, with the secondary, took $(($(now_ms) - t)) ms"
is "the name leads there" "$(answer)" b.db.test.
is "at the secondary, too" "$(answer CNAME "$two") $(epoch "$two")" \
    "b.db.test. \"4 b.db.test $pg\""
opts=
for a in pause resume; do
	status 0 "$a does nothing" route $a DR_EPOCH=4
done
for a in pause resume switch; do
	status 3 "$a: a lower epoch" route $a DR_HOST=a.db.test DR_EPOCH=3
	match "is refused" 'refused: .* is of epoch 4 already, and this is 3' "$T/err"
done
status 3 "the same epoch, but elsewhere" route switch DR_HOST=a.db.test DR_EPOCH=4
is "nothing has changed" "$(answer) $(epoch)" "b.db.test. \"4 b.db.test $pg\""
status 0 "the same once more" route switch DR_HOST=b.db.test DR_EPOCH=4

# --- who came between -----------------------------------------------------------------------
# Both read epoch 4 and want to write; the slow one is the lower one.
mkdir "$T/bin"
real=$(command -v nsupdate)
cat >"$T/bin/nsupdate" <<END
#!/bin/sh
touch "$T/waits"
until [ -e "$T/go" ]; do sleep 0.05; done
exec "$real" "\$@"
END
chmod 755 "$T/bin/nsupdate"
PATH=$T/bin:$PATH route switch DR_HOST=a.db.test DR_EPOCH=5 >"$T/slow.out" 2>"$T/slow.err" &
slow=$!
until_ "one is about to send" test -e "$T/waits"
status 0 "another is faster" route switch DR_HOST=c.db.test DR_EPOCH=6
touch "$T/go"
wait "$slow"
is "then the slow one is refused" "$?" 3
match "and says so" 'refused: .* is of epoch 6 already, and this is 5' "$T/slow.err"
is "the newer one stays" "$(answer) $(epoch)" "c.db.test. \"6 c.db.test $pg\""

# --- many at once: the highest epoch is there in the end ---------------------------------------
n=$(count 6 40)
for i in $(seq "$n"); do
	route switch DR_HOST="h$i.db.test" DR_EPOCH=$((6 + i)) >/dev/null 2>"$T/r.$i" &
	eval "p$i=$!"
done
for i in $(seq "$n"); do
	eval "wait \$p$i" || echo "$i: $?"
done >"$T/ends"
is "of many at once, none fails but those that are late" \
    "$(grep -v ': 3$' "$T/ends")" ""
is "and the last is there" "$(answer) $(epoch)" \
    "h$n.db.test. \"$((6 + n)) h$n.db.test $pg\""

# --- addresses, and the servers that have them ---------------------------------------------------
for n in main b; do
	echo "$pg" >"$T/$n.port"
	echo "$PGBIN" >"$T/$n.bin"
done
mkdir "$T/s2"
[ "$root_" = no ] || chown postgres: "$T/s2"
# tcp_start NAME ADDRESS SOCKETS
tcp_start() {
	: >>"$T/$1.log"
	[ "$root_" = no ] || chown postgres: "$T/$1.log"
	as_pg "$PGBIN/pg_ctl" -D "$T/$1" -l "$T/$1.log" -w -s -t 60 \
	    -o "-p $pg -k $3 -c listen_addresses=$2" start >"$T/ctl.out" 2>&1 </dev/null || {
		sed 's/^/# /' "$T/ctl.out" "$T/$1.log"
		exit 1
	}
	pids_="$pids_ $(head -n 1 "$T/$1/postmaster.pid")"
}
pg_new main || exit 1
echo "cluster_name = 'main'" >>"$T/main/postgresql.conf"
standby b main
tcp_start main 127.0.0.1 "$T/s"
tcp_start b 127.0.0.2 "$T/s2"
until_sql main streaming "SELECT state FROM pg_stat_replication"
by_name() {
	timeout 10 psql -XqAt "host=primary.db.test hostaddr=$(answer A | tail -n 1) port=$pg
	    user=postgres dbname=postgres connect_timeout=3" -c "$1"
}
status 0 "an address in place of a name" route switch DR_HOST=127.0.0.1 DR_EPOCH=900
is "the CNAME is gone" "$(answer CNAME)" ""
is "a client gets there" "$(by_name "SELECT current_setting('cluster_name')")" main
pg_stop main immediate
PGHOST=$T/s2 psql_ "SELECT pg_promote()" >/dev/null
t=$(now_ms)
status 0 "the primary is dead" route switch DR_HOST=127.0.0.2 DR_EPOCH=901
note "a switch took $(($(now_ms) - t)) ms"
is "a client gets to the new one" \
    "$(by_name "CREATE TABLE t (); SELECT current_setting('cluster_name')")" b
is "and there is no other address" "$(answer A)" 127.0.0.2
status 0 "an address of IPv6" route switch DR_HOST=::1 DR_EPOCH=902
is "takes the place of the other" "$(answer A)$(answer AAAA)" ::1

# --- killed in the middle --------------------------------------------------------------------------
e=902
while [ $e -lt $((902 + $(count 5 60))) ]; do
	e=$((e + 1))
	env DR_ACTION=switch DR_HOST="k$e.db.test" DR_EPOCH=$e timeout -s KILL \
	    "0.0$(((e * 3) % 10))5" sh "$hook" -s "127.0.0.1:$one" -k "$T/key" \
	    primary.db.test >>"$T/ok.out"
	x=$(epoch)
	x=${x#\"}
	set -- $x
	case $1 in
	902) [ "$(answer AAAA)" = ::1 ] || echo "$e: $x" ;;
	*) [ "$(answer).\"" = "k$1.db.test..\"" ] || echo "$e: $x: $(answer)" ;;
	esac
done >"$T/torn" 2>&1
is "killed at any moment, name and epoch agree" "$(grep -v Killed "$T/torn")" ""
status 0 "and the next one goes on" route switch DR_HOST=a.db.test DR_EPOCH=$((e + 1))
is "to where it is told" "$(answer)" a.db.test.

done_testing
