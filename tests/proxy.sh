# proxy.sh - proxies of a test's own before a store's server, that spoil what
# passes as the test says.  Sourced after servers.sh.
#
#	proxy_server KIND [PEM]	HAProxy before s3, azure or swift; with PEM (see
#			tls_certs) it speaks TLS.  Sets the environment of KIND to
#			go through it, and $proxy_port.
#	proxy_fault NAME [PERCENT [REGEX]]
#			what befalls requests whose "METHOD URL" REGEX matches:
#			503, 429, reject (closed unanswered), drop (silence),
#			lost502 (done, and answered 502), bare (403 for what would
#			make an object without If-None-Match, as a policy of AWS
#			can have it); none
#	proxy_stop	end it: connections are refused
#	cutter_server KIND	the same place, taken by store/cutter.py
#	cutter_rule [COUNT] ACTION ARG REGEX, cutter_clear, cutter_hits
#			see there
#	tls_certs	make $T/tls/{ca,good,expired,other,stranger}.pem
#
# Ports 5000 to 5009, each taken by one test at a time.

TEST_PROXY_PORT=${TEST_PROXY_PORT:-5000} # and the next nine
proxy_pid_=
proxies_=0

# take_port_: $port_ is ours until we end.
take_port_() {
	folder_ || return 1
	mkdir -p "$TEST_SERVERS/ports"
	tries_=600
	while :; do
		port_=$(
			flock 9
			n_=0
			while [ "$n_" -lt 10 ]; do
				f_=$TEST_SERVERS/ports/$((TEST_PROXY_PORT + n_))
				w_=$(cat "$f_" 2>/dev/null)
				if [ -z "$w_" ] ||
				    ! alive_ "${w_% *}" "${w_#* }"; then
					echo "$$ $(since_ $$)" >"$f_"
					if ! port_open_ "${f_##*/}"; then
						echo "${f_##*/}"
						break
					fi
				fi
				n_=$((n_ + 1))
			done
		) 9>"$TEST_SERVERS/ports.lock"
		[ -z "$port_" ] || return 0
		tries_=$((tries_ - 1))
		[ "$tries_" -gt 0 ] || return 1
		sleep 0.2
	done
}

upstream_() {
	case $1 in
	s3) echo "$TEST_S3_PORT" ;;
	azure) echo "$TEST_AZURE_PORT" ;;
	swift) echo "$TEST_SWIFT_PORT" ;;
	gs) echo "$gs_port" ;;
	esac
}

# The environment of KIND, by way of $proxy_port.
through_() {
	case $1 in
	azure)
		azure_env "$proxy_port"
		[ -z "$2" ] || AZURE_STORAGE_CONNECTION_STRING=$(
			printf '%s' "$AZURE_STORAGE_CONNECTION_STRING" |
				sed 's/=http:/=https:/; s/=http;/=https;/'
		)
		;;
	*)
		"$1_env"
		AWS_ENDPOINT_URL=http${2:+s}://127.0.0.1:$proxy_port
		;;
	esac
}

proxy_conf_() {
	cat <<-END
	global
	    stats socket $proxy_dir/sock mode 600 level admin
	    maxconn 1000
	    ssl-default-bind-options ssl-min-ver TLSv1.2
	defaults
	    mode http
	    timeout connect 5s
	    timeout client 300s
	    timeout server 300s
    timeout tarpit 300s
	    option http-keep-alive
	    option splice-auto
	frontend f
	    bind 127.0.0.1:$proxy_port${1:+ ssl crt $1}
	    http-request set-var(txn.url) url
	    http-request set-var(txn.pct) str(pct),map_str_int($proxy_dir/pct,0)
	    acl hit rand(100),sub(txn.pct) lt 0
	    http-request set-var(txn.fault) str(none)
	    http-request set-var(txn.fault) method,concat(" ",txn.url),map_reg($proxy_dir/map,none) if hit
	    http-request return status 503 content-type application/xml string "<Error><Code>SlowDown</Code><Message>later</Message></Error>" if { var(txn.fault) -m str 503 }
	    http-request return status 429 if { var(txn.fault) -m str 429 }
	    http-request reject if { var(txn.fault) -m str reject }
	    http-request tarpit if { var(txn.fault) -m str drop }
	    acl conditional req.hdr(if-none-match) -m found
    acl makes method PUT
    acl part url_sub partNumber=
    acl ends method POST
    acl upload url_sub uploadId=
    http-request set-var(txn.bare) bool(true) if makes !part !conditional
    http-request set-var(txn.bare) bool(true) if ends upload !conditional
    http-request return status 403 content-type application/xml string "<Error><Code>AccessDenied</Code><Message>no</Message></Error>" if { var(txn.fault) -m str bare } { var(txn.bare) -m bool }
    http-response deny deny_status 502 if { var(txn.fault) -m str lost502 }
	    default_backend b
	backend b
	    server s 127.0.0.1:$2
	END
}

# proxy_cli_ COMMAND: to HAProxy's socket; says what it answers.
proxy_cli_() {
	python3 - "$proxy_dir/sock" "$1" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.sendall(sys.argv[2].encode() + b"\n")
	out = b""
	while True:
	    got = s.recv(65536)
	    if not got:
	        break
	    out += got
	sys.exit(out.decode().strip() or 0)
	END
}

proxy_start_() {
	proxy_conf_ "${2:-}" "$(upstream_ "$1")" >"$proxy_dir/conf"
	haproxy -db -f "$proxy_dir/conf" >"$proxy_dir/log" 2>&1 &
	proxy_pid_=$!
	helpers_="$helpers_ $proxy_pid_"
	until_ 100 port_open_ "$proxy_port" || {
		sed 's/^/# /' "$proxy_dir/log"
		return 1
	}
}

proxy_server() {
	PATH=$PATH:/usr/sbin
	need haproxy
	take_port_ || skip_all "no port for a proxy"
	proxy_port=$port_
	proxies_=$((proxies_ + 1))
	proxy_dir=$T/proxy$proxies_
	mkdir "$proxy_dir"
	echo "pct 0" >"$proxy_dir/pct"
	echo ". none" >"$proxy_dir/map"
	proxy_start_ "$1" "${2:-}" || skip_all "HAProxy does not start"
	through_ "$1" "${2:-}"
}

proxy_fault() {
	case $1 in
	none) set -- none 0 ;;
	esac
	proxy_cli_ "clear map $proxy_dir/map" &&
		proxy_cli_ "add map $proxy_dir/map ${3:-.} $1" &&
		proxy_cli_ "set map $proxy_dir/pct pct ${2:-100}"
}

proxy_stop() {
	kill -KILL "$proxy_pid_"
	wait "$proxy_pid_" 2>/dev/null
	proxy_pid_=
}

cutter_server() {
	take_port_ || skip_all "no port for a proxy"
	proxy_port=$port_
	: >"$T/rules.$proxy_port"
	: >"$T/hits.$proxy_port"
	python3 "$top/tests/store/cutter.py" "$proxy_port" "$(upstream_ "$1")" \
	    "$T/rules.$proxy_port" "$T/hits.$proxy_port" \
	    >"$T/cutter.$proxy_port" 2>&1 &
	proxy_pid_=$!
	helpers_="$helpers_ $proxy_pid_"
	until_ 100 port_open_ "$proxy_port" || skip_all "cutter.py does not start"
	through_ "$1" ""
}

cutter_rule() {
	case $1 in
	*[!0-9]*) set -- 1000000 "$@" ;;
	esac
	printf '%s\t%s\t%s\t%s\n' "$@" >"$T/rules.$proxy_port"
}

cutter_clear() {
	: >"$T/rules.$proxy_port"
	: >"$T/hits.$proxy_port"
}

# How often the rule has struck.
cutter_hits() {
	wc -l <"$T/hits.$proxy_port"
}

# --- certificates ----------------------------------------------------------------
# cert_ NAME SUBJECT-ALT-NAME CA [ARG...]
cert_() {
	n_=$1 san_=$2 ca_=$3
	shift 3
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -keyout "$n_.key" -out "$n_.csr" -subj "/CN=$n_" &&
		printf 'subjectAltName=%s\n' "$san_" >"$n_.ext" &&
		openssl x509 -req -in "$n_.csr" -CA "$ca_.pem" \
		    -CAkey "$ca_.key" -CAcreateserial -extfile "$n_.ext" \
		    -out "$n_.crt" "$@" && cat "$n_.crt" "$n_.key" >"$n_.pem"
}

# An expired one is written with a clock that is two days behind.
tls_certs() {
	need openssl faketime
	mkdir "$T/tls"
	(
		cd "$T/tls" || exit 1
		for c_ in ca stranger; do
			openssl req -x509 -newkey ec -pkeyopt \
			    ec_paramgen_curve:prime256v1 -nodes -days 30 \
			    -keyout $c_.key -out $c_.pem -subj "/CN=$c_" ||
				exit 1
		done
		cert_ good IP:127.0.0.1,DNS:localhost ca -days 7 &&
			cert_ other DNS:other.invalid ca -days 7 &&
			cert_ strange IP:127.0.0.1 stranger -days 7 || exit 1
		# Its authority is older still.
		faketime -f -10d openssl x509 -in ca.pem -signkey ca.key \
		    -days 60 -out ca.new && mv ca.new ca.pem &&
			faketime -f -3d openssl version >/dev/null &&
			openssl req -new -newkey ec -pkeyopt \
			    ec_paramgen_curve:prime256v1 -nodes \
			    -keyout expired.key -out expired.csr \
			    -subj /CN=expired &&
			printf 'subjectAltName=IP:127.0.0.1\n' >expired.ext &&
			faketime -f -3d openssl x509 -req -in expired.csr \
			    -CA ca.pem -CAkey ca.key -CAcreateserial \
			    -extfile expired.ext -out expired.crt -days 1 &&
			cat expired.crt expired.key >expired.pem
	) >"$T/tls.log" 2>&1 || {
		sed 's/^/# /' "$T/tls.log"
		skip_all "no certificates"
	}
}
