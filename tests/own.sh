# own.sh - servers that are a test's own, to be stopped (SIGSTOP) or filled.
# Sourced after servers.sh and proxy.sh.
#
#	own_s3		another radosgw, beside that of s3_server: the same buckets
#	own_azure [SIZE]	an Azurite of its own; with SIZE on a disk so small
#			(status 1 where a test may not have one)
#	own_stop, own_cont	the one that was started last
#
# The environment of that kind goes to it from then on, and so does az_.

own_pid=

own_() {
	own_pid=$!
	helpers_="$helpers_ $own_pid"
	until_ 300 port_open_ "$port_" || {
		sed 's/^/# /' "$T/own.log"
		skip_all "a server of our own does not start"
	}
	proxy_port=$port_
}

# What a stopped one does not acknowledge makes others wait: so it neither
# caches nor watches what they do.
own_s3() {
	take_port_ || skip_all "no port for a server"
	d_=$T/rgw.$port_
	mkdir "$d_"
	radosgw -c "$TEST_SERVERS/s3/ceph.conf" -f -n client.rgw.a \
	    --rgw-frontends="beast endpoint=127.0.0.1:$port_" \
	    --rgw-cache-enabled=false --rgw-num-control-oids=0 \
	    --rgw-enable-gc-threads=false --rgw-enable-lc-threads=false \
	    --rgw-enable-quota-threads=false --rgw-run-sync-thread=false \
	    --rgw-thread-pool-size=16 --rgw-data="$d_" \
	    --admin-socket="$d_/asok" --pid-file="$d_/pid" \
	    --log-file="$d_/log" >"$T/own.log" 2>&1 </dev/null &
	own_
	through_ s3 ""
}

own_azure() {
	d_=$T/azurite$#
	mkdir "$d_"
	set -- "${1:-}" node \
	    "$TEST_SERVERS/azure/app/node_modules/azurite/dist/src/blob/main.js" \
	    --blobHost 127.0.0.1 --location "$d_" --disableTelemetry --silent
	if [ -n "$1" ]; then
		# shellcheck disable=SC2016 # for that shell
		small_='mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$2"'
		unshare -rm sh -c "$small_" sh "$1" "$d_" 2>/dev/null ||
			return 1
		small_="$small_ && shift 2 && exec \"\$@\""
		size_=$1
		shift
		set -- unshare -rm sh -c "$small_" sh "$size_" "$d_" "$@"
	else
		shift
	fi
	take_port_ || skip_all "no port for a server"
	(
		cd "$d_" || exit 1
		AZURITE_ACCOUNTS=drtest:$(cat "$TEST_SERVERS/azure/key")
		export AZURITE_ACCOUNTS
		exec "$@" --blobPort "$port_"
	) >"$T/own.log" 2>&1 </dev/null &
	own_
	TEST_AZURE_PORT=$port_
	azure_env
}

own_stop() {
	kill -STOP "$own_pid"
}

own_cont() {
	kill -CONT "$own_pid"
}
