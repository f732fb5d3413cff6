# shellcheck shell=sh disable=SC2154
# etcd.sh - etcd, of one member or several; after lib.sh and ha.sh.
#
#	etcd_start [N]	N members (1) in $T/etcd1, $T/etcd2, ...; sets
#			$etcd to their address for --lock. Elections take 0.5 to
#			1 s; leases last 1 s at least, and end at most 0.5 s late.
#			Called again, it is another etcd, beside the first.
#	etcd_kill I	member I (from 1) dies
#	etcd_again I	and comes back
#	etcd_freeze I, etcd_thaw I
#	etcd_only I...	an address of those members alone
#	etcd_leads	the number of the one that leads
#	etcd_tls NAME...	$T/tls/ca.pem, and of each NAME a certificate of
#			its in $T/tls/NAME.crt (for 127.0.0.1) and .key; "-NAME":
#			of another authority. Before etcd_start: its members show
#			"server", demand a certificate, and $etcd begins with etcds.
#	etcd_auth USER PASSWORD	who gives no password is refused from now on;
#			USER may do anything below /dr/ and /dr-history/
#	etcdctl_ ARG...	etcdctl, sent there
#
# They end with the test.

etcd_n=0 # of members, over all
etcd_scheme=etcd
etcd_args=''

free_ports_() {
	python3 - "$1" <<-'END'
	import socket, sys
	held = [socket.socket() for i in range(int(sys.argv[1]))]
	for s in held:
	    s.bind(("127.0.0.1", 0))
	    print(s.getsockname()[1])
	END
}

etcdctl_() {
	case $etcd in
	etcds:*)
		set -- --cacert "$T/tls/ca.pem" --cert "$T/tls/server.crt" \
		    --key "$T/tls/server.key" "$@"
		;;
	esac
	ETCDCTL_API=3 timeout 20 etcdctl --dial-timeout 3s --command-timeout 5s \
	    --endpoints "$(echo "${etcd#*://}" |
		sed "s|[^,]*|http${etcd_scheme#etcd}://&|g")" "$@"
}

# etcd_again I: also how it starts at first, with what $T/etcdI.args says.
etcd_again() {
	# shellcheck disable=SC2046 # words
	etcd --name "m$1" --data-dir "$T/etcd$1" --unsafe-no-fsync \
	    --heartbeat-interval 50 --election-timeout 500 \
	    --logger zap --log-outputs stderr $(cat "$T/etcd$1.args") \
	    >>"$T/etcd$1.log" 2>&1 3>&- &
	echo $! >"$T/etcd$1.pid"
	pids_="$pids_ $!"
}

etcd_up_() {
	n_=0
	until etcdctl_ endpoint health >"$T/etcd.out" 2>&1; do
		n_=$((n_ + 1))
		[ "$n_" -lt 60 ] || {
			sed 's/^/# /' "$T/etcd.out"
			return 1
		}
		sleep 0.1
	done
}

etcd_start() {
	need etcd etcdctl python3
	http_=http${etcd_scheme#etcd}
	etcd='' all_='' i_=$etcd_n
	# shellcheck disable=SC2046 # words
	set -- $(free_ports_ $((${1:-1} * 2)))
	while [ $# -gt 0 ]; do
		i_=$((i_ + 1))
		echo "--listen-client-urls $http_://127.0.0.1:$1
		    --advertise-client-urls $http_://127.0.0.1:$1
		    --listen-peer-urls http://127.0.0.1:$2
		    --initial-advertise-peer-urls http://127.0.0.1:$2
		    $etcd_args" >"$T/etcd$i_.args"
		echo "$1" >"$T/etcd$i_.port"
		etcd=$etcd${etcd:+,}127.0.0.1:$1
		all_=$all_${all_:+,}m$i_=http://127.0.0.1:$2
		shift 2
	done
	etcd=$etcd_scheme://$etcd
	while [ "$etcd_n" -lt "$i_" ]; do
		etcd_n=$((etcd_n + 1))
		echo "--initial-cluster $all_ --initial-cluster-state new" \
		    >>"$T/etcd$etcd_n.args"
		etcd_again "$etcd_n"
	done
	etcd_up_ || {
		tail -n 5 "$T"/etcd?.log | sed 's/^/# /'
		skip_all "etcd does not start"
	}
}

etcd_pid_() {
	cat "$T/etcd$1.pid"
}

etcd_kill() {
	kill -KILL "$(etcd_pid_ "$1")"
	wait "$(etcd_pid_ "$1")" 2>/dev/null
}

etcd_freeze() {
	freeze "$(etcd_pid_ "$1")"
}

etcd_thaw() {
	kill -CONT "$(etcd_pid_ "$1")"
}

etcd_only() {
	o_=''
	for i_; do
		o_=$o_${o_:+,}127.0.0.1:$(cat "$T/etcd$i_.port")
	done
	echo "$etcd_scheme://$o_"
}

etcd_leads() {
	p_=$(etcdctl_ endpoint status 2>/dev/null |
		sed -n 's/^[^,]*:\([0-9]*\), .*, true, .*/\1/p' | head -n 1)
	[ -n "$p_" ] && for f_ in "$T"/etcd*.port; do
		[ "$(cat "$f_")" != "$p_" ] || echo "${f_##*/etcd}"
	done | sed 's/\..*//'
}

etcd_cert_() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" &&
		echo 'subjectAltName=IP:127.0.0.1' >"$1.ext" &&
		openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
		    -CAcreateserial -extfile "$1.ext" -out "$1.crt" -days 7
}

etcd_tls() {
	need openssl
	mkdir -p "$T/tls"
	(
		cd "$T/tls" || exit 1
		for c_ in ca stranger; do
			openssl req -x509 -newkey ec -pkeyopt \
			    ec_paramgen_curve:prime256v1 -nodes -days 30 \
			    -keyout $c_.key -out $c_.pem -subj "/CN=$c_" ||
				exit 1
		done
		for c_; do
			case $c_ in
			-*) etcd_cert_ "${c_#-}" stranger || exit 1 ;;
			*) etcd_cert_ "$c_" ca || exit 1 ;;
			esac
		done
	) >"$T/tls.log" 2>&1 || {
		sed 's/^/# /' "$T/tls.log"
		return 1
	}
	etcd_scheme=etcds
	etcd_args="--cert-file $T/tls/server.crt --key-file $T/tls/server.key
	    --client-cert-auth --trusted-ca-file $T/tls/ca.pem"
}

etcd_auth() {
	{
		etcdctl_ user add root:none &&
			etcdctl_ user grant-role root root &&
			etcdctl_ role add below &&
			etcdctl_ role grant-permission below readwrite \
			    /dr/ /dr0 &&
			etcdctl_ role grant-permission below readwrite \
			    /dr-history/ /dr-history0 &&
			etcdctl_ user add "$1:$2" &&
			etcdctl_ user grant-role "$1" below &&
			etcdctl_ auth enable
	} >"$T/etcd.out" 2>&1 || {
		sed 's/^/# /' "$T/etcd.out"
		return 1
	}
}
