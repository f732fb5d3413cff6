#!/bin/sh
# servers.sh - real servers for the tests of stores, shared by all of them.
#
# By hand:
#
#	sh tests/servers.sh start NAME...	s3, azure, sftp or swift
#	eval "$(sh tests/servers.sh env NAME)"	what its clients need
#	sh tests/servers.sh stop [NAME...]	end those that nobody else uses
#	sh tests/servers.sh status
#
# In a test, sourced after lib.sh; each skips the whole file when its server
# cannot be had (with CI=true that is a failure):
#
#	s3_server, azure_server, sftp_server, swift_server
#			start it if none runs, and set up this shell for it
#	s3_env [ACCESS SECRET], azure_env, sftp_env, swift_env
#			set AWS_*, AZURE_STORAGE_* or ~/.ssh for it (again)
#	s3_bucket [--lock|--versioned]	make a bucket of our own; its name
#	s3_store [--lock|--versioned]	the same, as a store's URL
#	s3_ VERB...	store/s3.py: look, and make users and policies
#	azure_container, azure_store, az_ VERB...	likewise
#	sftp_dir	make a directory of our own; its path, on this host too
#	sftp_store [DIR]	its URL
#	swift_bucket, swift_store	as for S3, with the environment of Swift
#
# One server of a kind runs for all who want it at the same time, whatever
# tree they belong to: each takes a bucket, container or directory of its own
# and leaves the others' alone.  Servers live in $TEST_SERVERS
# (/tmp/drtools-servers.UID), listen on 127.0.0.1 only, and end when the run
# of tests/run that used them does, or a minute after the last user has gone.
# Ports: the first lines below; each may be set from outside.

TEST_S3_PORT=${TEST_S3_PORT:-7480}
TEST_CEPH_PORT=${TEST_CEPH_PORT:-30300} # and the next one
TEST_AZURE_PORT=${TEST_AZURE_PORT:-10000}
TEST_SFTP_PORT=${TEST_SFTP_PORT:-2222}
TEST_SWIFT_PORT=${TEST_SWIFT_PORT:-8480} # and the next four
TEST_SERVERS=${TEST_SERVERS:-/tmp/drtools-servers.$(id -u)}
TEST_LINGER=${TEST_LINGER:-60} # seconds without a user
export TEST_S3_PORT TEST_CEPH_PORT TEST_AZURE_PORT TEST_SFTP_PORT \
    TEST_SWIFT_PORT TEST_SERVERS TEST_LINGER
servers_all='s3 azure sftp swift'

# Where the tree is, if we have one: the watcher runs a copy.
case ${0##*/} in
servers.sh) servers_top=$(cd "${0%/*}/.." && pwd) ;;
*) servers_top=$top ;;
esac

servers_say() {
	printf '%s\n' "servers: $*" >&2
}

# --- processes -----------------------------------------------------------------
# When PID was started, if it lives: with it a number that is used again is
# told from the one that was meant.
since_() {
	# shellcheck disable=SC2046 # two words
	set -- $(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1,20)
	[ $# -eq 2 ] && [ "$1" != Z ] && echo "$2"
}

alive_() {
	[ -n "$2" ] && [ "$(since_ "$1")" = "$2" ]
}

# spawn_ SERVER LOG COMMAND...: in the background, for longer than we live.
spawn_() {
	sv_=$1 log_=$2
	shift 2
	setsid "$@" >>"$log_" 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- \
	    9>&- &
	echo "$! $(since_ $!)" >>"$TEST_SERVERS/$sv_.pids"
}

port_open_() {
	python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1" 2>/dev/null
}

# until_ TENTHS COMMAND...
until_() {
	n_=$1
	shift
	until "$@"; do
		n_=$((n_ - 1))
		[ "$n_" -gt 0 ] || return 1
		sleep 0.1
	done
}

all_alive_() {
	[ -s "$TEST_SERVERS/$1.pids" ] || return 1
	while read -r p_ s_; do
		alive_ "$p_" "$s_" || return 1
	done <"$TEST_SERVERS/$1.pids"
}

none_alive_() {
	while read -r p_ s_; do
		! alive_ "$p_" "$s_" || return 1
	done <"$TEST_SERVERS/$1.pids"
}

signal_() {
	while read -r p_ s_; do
		! alive_ "$p_" "$s_" || kill "-$2" "$p_" 2>/dev/null
	done <"$TEST_SERVERS/$1.pids"
}

# End what runs of SERVER, and forget it.
end_() {
	if [ -s "$TEST_SERVERS/$1.pids" ]; then
		signal_ "$1" CONT
		signal_ "$1" TERM
		until_ 20 none_alive_ "$1" || signal_ "$1" KILL
		until_ 50 none_alive_ "$1" || return 1
	fi
	rm -rf "${TEST_SERVERS:?}/$1" "$TEST_SERVERS/$1.pids"
}

# --- who uses them ---------------------------------------------------------------
# A claim is a file SERVER@PID.SINCE, or SERVER@hand-TREE.
hand_() {
	printf '%s' "hand-$(printf '%s' "$servers_top" | cksum | tr ' ' -)"
}

claim_() {
	if [ -n "${2:-}" ]; then
		: >"$TEST_SERVERS/claims/$1@$2"
		return
	fi
	for p_ in $$ ${TEST_RUN:-}; do
		: >"$TEST_SERVERS/claims/$1@$p_.$(since_ "$p_")"
	done
}

# Is there a user of SERVER?  Dead ones are struck off.
used_() {
	u_=1
	for c_ in "$TEST_SERVERS/claims/$1@"*; do
		[ -e "$c_" ] || continue
		w_=${c_##*@}
		case $w_ in
		hand-*) u_=0 ;;
		*)
			if alive_ "${w_%.*}" "${w_#*.}"; then
				u_=0
			else
				rm -f "$c_"
			fi
			;;
		esac
	done
	return $u_
}

# --- the folder, and one at a time -----------------------------------------------
folder_() {
	# Others may pass through to what the user postgres needs of it.
	[ -d "$TEST_SERVERS" ] || mkdir -m 711 "$TEST_SERVERS" 2>/dev/null
	if [ ! -d "$TEST_SERVERS" ] || [ -L "$TEST_SERVERS" ] ||
	    [ "$(stat -c %u "$TEST_SERVERS")" != "$(id -u)" ]; then
		servers_say "\"$TEST_SERVERS\" is not ours"
		return 1
	fi
	mkdir -p "$TEST_SERVERS/claims"
}

# The one that ends servers whose users were killed.
watch_() {
	if cmp -s "$servers_top/tests/servers.sh" "$TEST_SERVERS/servers.sh" &&
	    all_alive_ watch; then
		return
	fi
	[ ! -e "$TEST_SERVERS/watch.pids" ] || signal_ watch TERM
	rm -f "$TEST_SERVERS/watch.pids"
	cp "$servers_top/tests/servers.sh" "$TEST_SERVERS/servers.sh.$$"
	mv "$TEST_SERVERS/servers.sh.$$" "$TEST_SERVERS/servers.sh"
	spawn_ watch "$TEST_SERVERS/watch.log" sh "$TEST_SERVERS/servers.sh" \
	    watch
}

watch_loop_() {
	cd /
	while :; do
		any_=no
		for a_ in $servers_all; do
			[ -e "$TEST_SERVERS/$a_.pids" ] || continue
			any_=yes
			(
				flock 9
				if used_ "$a_"; then
					: >"$TEST_SERVERS/$a_.used"
				elif [ -z "$(find "$TEST_SERVERS/$a_.used" \
				    -newermt "-$TEST_LINGER seconds")" ]; then
					end_ "$a_"
				fi
			) 9>"$TEST_SERVERS/$a_.lock"
		done
		[ "$any_" = yes ] || break
		sleep 3
	done
	rm -f "$TEST_SERVERS/watch.pids"
}

# server_ NAME [CLAIM]: it runs, or its start does not succeed.
server_() {
	folder_ || return 1
	(
		flock -w 240 9 || exit 1
		claim_ "$1" "${2:-}"
		: >"$TEST_SERVERS/$1.used"
		watch_
		if [ -e "$TEST_SERVERS/$1/up" ] && all_alive_ "$1"; then
			exit 0
		fi
		end_ "$1" || exit 1
		mkdir -m 711 "$TEST_SERVERS/$1" && : >"$TEST_SERVERS/$1.pids" ||
			exit 1
		if ! "$1_up_" "$TEST_SERVERS/$1" >"$TEST_SERVERS/$1.log" 2>&1
		then
			servers_say "cannot start $1:"
			tail -n 20 "$TEST_SERVERS/$1.log" >&2
			end_ "$1"
			exit 1
		fi
		: >"$TEST_SERVERS/$1/up"
	) 9>"$TEST_SERVERS/$1.lock"
}

free_() {
	! port_open_ "$1" || {
		echo "port $1 is taken by something else"
		return 1
	}
}

# have_ PROGRAM...: says the first that is missing
have_() {
	for p_; do
		command -v "$p_" >/dev/null 2>&1 || {
			echo "$p_ is not installed"
			return 1
		}
	done
}

# --- S3: Ceph's radosgw, with a monitor and an OSD ------------------------------------
s3_up_() {
	have_ ceph-mon ceph-osd radosgw ceph ceph-authtool monmaptool \
	    radosgw-admin && free_ "$TEST_S3_PORT" &&
		free_ "$TEST_CEPH_PORT" || return 1
	chmod 700 "$1"
	mkdir "$1/mon" "$1/osd" "$1/rgw" "$1/run" "$1/log" || return 1
	fsid_=$(cat /proc/sys/kernel/random/uuid)
	v1_=$((TEST_CEPH_PORT + 1))
	cat >"$1/ceph.conf" <<-END
	[global]
	fsid = $fsid_
	mon host = [v2:127.0.0.1:$TEST_CEPH_PORT,v1:127.0.0.1:$v1_]
	mon initial members = a
	public addr = 127.0.0.1
	cluster addr = 127.0.0.1
	osd pool default size = 1
	osd pool default min size = 1
	osd pool default pg num = 1
	osd pool default pgp num = 1
	osd pool default pg autoscale mode = off
	mon allow pool size one = true
	mon allow pool delete = true
	mon max pg per osd = 5000
	osd crush chooseleaf type = 0
	osd objectstore = bluestore
	bluestore block size = 34359738368
	bluestore block create = true
	bluestore cache autotune = false
	bluestore cache size = 67108864
	osd op num shards = 2
	run dir = $1/run
	log file = $1/log/\$name.log
	admin socket = $1/run/\$name.asok
	pid file = $1/run/\$name.pid
	keyring = $1/keyring
	mon data = $1/mon
	osd data = $1/osd
	rgw data = $1/rgw
	ms bind ipv6 = false
	ms bind ipv4 = true
	mon osd min down reporters = 1
	rgw enable usage log = false
	rgw gc obj min wait = 5
	rgw gc processor period = 10
	rgw bucket quota ttl = 1
	rgw user quota bucket sync interval = 1
	rgw cache expiry interval = 1
	mon warn on pool no redundancy = false
	mon data avail crit = 1
	mon data avail warn = 2
	[osd]
	keyring = $1/osd/keyring
	[client.rgw.a]
	rgw frontends = beast endpoint=127.0.0.1:$TEST_S3_PORT
	rgw thread pool size = 64
	rgw crypt require ssl = false
	rgw crypt s3 kms backend = testing
	rgw num rados handles = 1
	rgw init timeout = 60
	END
	c_=$1/ceph.conf
	ceph-authtool --create-keyring "$1/keyring" --gen-key -n mon. \
	    --cap mon 'allow *' || return 1
	for k_ in client.admin client.rgw.a; do
		ceph-authtool "$1/keyring" --gen-key -n $k_ --cap mon 'allow *' \
		    --cap osd 'allow *' --cap mgr 'allow *' || return 1
	done
	monmaptool --create --fsid "$fsid_" --addv a \
	    "[v2:127.0.0.1:$TEST_CEPH_PORT,v1:127.0.0.1:$v1_]" "$1/monmap" &&
		ceph-mon -c "$c_" --mkfs -i a --monmap "$1/monmap" \
		    --keyring "$1/keyring" || return 1
	spawn_ s3 "$1/log/mon.out" ceph-mon -c "$c_" -f -i a
	uuid_=$(cat /proc/sys/kernel/random/uuid)
	key_=$(ceph-authtool --gen-print-key)
	echo "{\"cephx_secret\": \"$key_\"}" |
		timeout 60 ceph -c "$c_" osd new "$uuid_" -i - &&
		ceph-authtool --create-keyring "$1/osd/keyring" -n osd.0 \
		    --add-key "$key_" &&
		ceph-osd -c "$c_" -i 0 --mkfs --osd-uuid "$uuid_" || return 1
	spawn_ s3 "$1/log/osd.out" ceph-osd -c "$c_" -f -i 0
	spawn_ s3 "$1/log/rgw.out" radosgw -c "$c_" -f -n client.rgw.a
	until_ 600 port_open_ "$TEST_S3_PORT" || return 1
	# The same as before: who holds them goes on after a new start.
	if [ ! -s "$TEST_SERVERS/s3.keys" ]; then
		key_=$(cat /proc/sys/kernel/random/uuid)
		(
			umask 077
			printf '%s\n' "AKTEST$(printf '%.8s' "$key_")" \
			    "SK$key_" >"$TEST_SERVERS/s3.keys"
		)
	fi
	timeout 60 radosgw-admin -c "$c_" user create --uid=t \
	    --display-name=t --max-buckets=0 --caps='users=*;buckets=*' \
	    --access-key="$(sed -n 1p "$TEST_SERVERS/s3.keys")" \
	    --secret-key="$(sed -n 2p "$TEST_SERVERS/s3.keys")" >/dev/null || return 1
	s3_ warm
}

# shellcheck disable=SC2120 # by tests
s3_env() {
	AWS_ACCESS_KEY_ID=${1:-$(sed -n 1p "$TEST_SERVERS/s3.keys")}
	AWS_SECRET_ACCESS_KEY=${2:-$(sed -n 2p "$TEST_SERVERS/s3.keys")}
	AWS_ENDPOINT_URL=http://127.0.0.1:$TEST_S3_PORT
	AWS_REGION=us-east-1
	AWS_EC2_METADATA_DISABLED=true
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL \
	    AWS_REGION AWS_EC2_METADATA_DISABLED
}

# In a subshell: with the keys of the user t, whatever is set here.
s3_() {
	(
		s3_env
		exec python3 "$servers_top/tests/store/s3.py" "$@"
	)
}

unique_() {
	od -An -N6 -tx1 /dev/urandom | tr -d ' \n'
}

s3_bucket() {
	b_=t-$(unique_)
	s3_ mb "$b_" "$@" && echo "$b_" && drop_later_ s3_ "$b_"
}

# What a test made goes when it ends (lib.sh), so that no server fills up.
drop_later_() {
	[ -z "${T:-}" ] || echo "$*" >>"$T/made"
}

drop_made_() {
	while read -r how_ b_; do
		"$how_" drop "$b_" >/dev/null 2>&1
	done <"$T/made"
}

s3_store() {
	b_=$(s3_bucket "$@") && echo "s3://$b_/p"
}

# --- Azure: Azurite ------------------------------------------------------------------
azure_up_() {
	have_ node && free_ "$TEST_AZURE_PORT" || return 1
	from_=
	for d_ in "$servers_top/build/deps/azurite" \
	    ${TEST_AZURITE:+"$TEST_AZURITE"}; do
		[ ! -d "$d_/node_modules/azurite" ] || from_=$d_
	done
	[ -n "$from_" ] || {
		echo "azurite is not installed"
		return 1
	}
	# It is to live on when the tree goes.
	mkdir "$1/app" "$1/data"
	cp -al "$from_/node_modules" "$1/app/" 2>/dev/null || {
		rm -rf "$1/app/node_modules"
		cp -a "$from_/node_modules" "$1/app/" || return 1
	}
	od -An -N64 -tx1 /dev/urandom | tr -d ' \n' >"$1/raw"
	python3 -c 'import base64, sys
print(base64.b64encode(bytes.fromhex(sys.stdin.read())).decode())' \
	    <"$1/raw" >"$1/key" || return 1
	(
		cd "$1/data" || exit 1
		AZURITE_ACCOUNTS=drtest:$(cat "$1/key")
		export AZURITE_ACCOUNTS
		spawn_ azure "$1/azurite.log" node \
		    "$1/app/node_modules/azurite/dist/src/blob/main.js" \
		    --blobHost 127.0.0.1 --blobPort "$TEST_AZURE_PORT" \
		    --location "$1/data" --disableTelemetry --silent
	)
	until_ 300 port_open_ "$TEST_AZURE_PORT" || {
		tail -n 20 "$1/azurite.log"
		return 1
	}
}

# shellcheck disable=SC2120 # by tests
azure_env() {
	url_=http://127.0.0.1:${1:-$TEST_AZURE_PORT}/drtest
	k_=$(cat "$TEST_SERVERS/azure/key")
	AZURE_STORAGE_CONNECTION_STRING="DefaultEndpointsProtocol=http;AccountName=drtest;AccountKey=$k_;BlobEndpoint=$url_;"
	export AZURE_STORAGE_CONNECTION_STRING
}

az_() {
	(
		azure_env
		exec python3 "$servers_top/tests/store/az.py" "$@"
	)
}

azure_container() {
	b_=t-$(unique_)
	az_ mk "$b_" && echo "$b_" && drop_later_ az_ "$b_"
}

azure_store() {
	b_=$(azure_container) && echo "azblob://$b_/p"
}

# --- SFTP: OpenSSH's sshd, as an ordinary user -----------------------------------------
sftp_user_() {
	if [ "$(id -u)" -ne 0 ]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

sftp_up_() {
	PATH=$PATH:/usr/sbin
	have_ sshd ssh-keygen && free_ "$TEST_SFTP_PORT" || return 1
	u_=$(sftp_user_)
	mkdir -m 755 "$1/data"
	for k_ in host user other; do
		ssh-keygen -q -t ed25519 -N '' -C "$k_" -f "$1/$k_" || return 1
	done
	cat "$1/user.pub" >"$1/authorized"
	chmod 644 "$1/authorized"
	cat >"$1/sshd_config" <<-END
	Port $TEST_SFTP_PORT
	ListenAddress 127.0.0.1
	HostKey $1/host
	PidFile none
	AuthorizedKeysFile $1/authorized
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	UsePAM no
	StrictModes no
	MaxStartups 200
	MaxSessions 100
	Subsystem sftp internal-sftp
	ForceCommand internal-sftp
	AllowTcpForwarding no
	END
	as_=
	if [ "$(id -u)" -eq 0 ]; then
		chown "$u_" "$1/host" "$1/data"
		as_="setpriv --reuid=$u_ --regid=$(id -g "$u_") --init-groups --"
	fi
	# shellcheck disable=SC2086 # words
	spawn_ sftp "$1/sshd.log" $as_ "$(command -v sshd)" -D -e \
	    -f "$1/sshd_config"
	until_ 100 port_open_ "$TEST_SFTP_PORT" || {
		cat "$1/sshd.log"
		return 1
	}
}

# Keys and known hosts in ~/.ssh, which is the test's own.
sftp_env() {
	p_=${1:-$TEST_SFTP_PORT}
	(
		umask 077
		mkdir -p "$HOME/.ssh"
		cp "$TEST_SERVERS/sftp/user" "$HOME/.ssh/id_ed25519"
		cp "$TEST_SERVERS/sftp/user.pub" "$HOME/.ssh/id_ed25519.pub"
		printf '[127.0.0.1]:%s %s\n' "$p_" \
		    "$(cut -d' ' -f1,2 "$TEST_SERVERS/sftp/host.pub")" \
		    >"$HOME/.ssh/known_hosts"
	)
	# Tests run servers, and so tools, as this user.
	[ "$(id -u)" -ne 0 ] || chown -R "$(sftp_user_)" "$HOME/.ssh"
}

sftp_dir() {
	b_=$TEST_SERVERS/sftp/data/t-$(unique_)
	mkdir -m 755 "$b_" || return 1
	[ "$(id -u)" -ne 0 ] || chown "$(sftp_user_)" "$b_"
	echo "$b_"
	drop_later_ sftp_ "$b_"
}

# sftp_ drop DIR
sftp_() {
	chmod -R u+rwx "$2"
	rm -rf "$2"
}

sftp_store() {
	b_=${1:-$(sftp_dir)} && [ -n "$b_" ] &&
		echo "sftp://$(sftp_user_)@127.0.0.1:$TEST_SFTP_PORT$b_"
}

# --- Swift, whose S3 interface ignores object lock --------------------------------------
# swift_conf_ DIR KIND PORT PIPELINE: the top of a server's configuration.
swift_conf_() {
	cat <<-END
	[DEFAULT]
	bind_ip = 127.0.0.1
	bind_port = $3
	workers = 0
	user = $(id -un)
	swift_dir = $1/etc
	devices = $1/srv
	mount_check = false
	log_level = WARNING
	fallocate_reserve = 0
	disable_fallocate = true
	[pipeline:main]
	pipeline = $4
	[app:$2-server]
	use = egg:swift#$2
	recon_cache_path = $1/cache
	END
}

swift_up_() {
	have_ memcached swift-ring-builder swift-proxy-server \
	    swift-account-server swift-container-server swift-object-server &&
		free_ "$TEST_SWIFT_PORT" || return 1
	mkdir "$1/etc" "$1/srv" "$1/srv/d1" "$1/cache"
	chmod 700 "$1"
	n_=1
	for k_ in account container object; do
		swift_conf_ "$1" $k_ $((TEST_SWIFT_PORT + n_)) $k_-server \
		    >"$1/$k_.conf"
		(
			cd "$1/etc" &&
				swift-ring-builder $k_.builder create 4 1 0 &&
				swift-ring-builder $k_.builder add \
				    "r1z1-127.0.0.1:$((TEST_SWIFT_PORT + n_))/d1" 1 &&
				swift-ring-builder $k_.builder rebalance
		) || return 1
		spawn_ swift "$1/$k_.log" swift-$k_-server "$1/$k_.conf"
		n_=$((n_ + 1))
	done
	spawn_ swift "$1/memcached.log" memcached -l 127.0.0.1 \
	    -p $((TEST_SWIFT_PORT + n_)) -m 16 -u "$(id -un)"
	{
		swift_conf_ "$1" proxy "$TEST_SWIFT_PORT" "catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server"
		echo account_autocreate = true
		for k_ in catch_errors gatekeeper bulk slo dlo copy symlink \
		    listing_formats versioned_writes tempauth s3api; do
			printf '%s\n' "[filter:$k_]" "use = egg:swift#$k_"
			case $k_ in
			versioned_writes)
				echo allow_versioned_writes = true
				echo allow_object_versioning = true
				;;
			tempauth)
				echo user_test_tester = testing .admin \
				    .reseller_admin
				;;
			s3api)
				echo location = us-east-1
				echo s3_acl = false
				echo dns_compliant_bucket_names = false
				;;
			esac
		done
		printf '%s\n' '[filter:cache]' 'use = egg:swift#memcache' \
		    "memcache_servers = 127.0.0.1:$((TEST_SWIFT_PORT + n_))"
	} >"$1/proxy.conf"
	spawn_ swift "$1/proxy.log" swift-proxy-server "$1/proxy.conf"
	until_ 300 port_open_ "$TEST_SWIFT_PORT" || {
		tail -n 5 "$1"/*.log
		return 1
	}
	swift_ warm
}

swift_env() {
	AWS_ACCESS_KEY_ID=test:tester
	AWS_SECRET_ACCESS_KEY=testing
	AWS_ENDPOINT_URL=http://127.0.0.1:$TEST_SWIFT_PORT
	AWS_REGION=us-east-1
	AWS_EC2_METADATA_DISABLED=true
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL \
	    AWS_REGION AWS_EC2_METADATA_DISABLED
}

swift_() {
	(
		swift_env
		exec python3 "$servers_top/tests/store/s3.py" "$@"
	)
}

swift_bucket() {
	b_=t-$(unique_)
	swift_ mb "$b_" "$@" && echo "$b_" && drop_later_ swift_ "$b_"
}

swift_store() {
	b_=$(swift_bucket "$@") && echo "s3://$b_/p"
}

# --- for tests -------------------------------------------------------------------------
use_() {
	server_ "$1" 2>"$T/server.err" || {
		sed 's/^/# /' "$T/server.err"
		skip_all "there is no $1 server"
	}
	"$1_env"
}

s3_server() {
	use_ s3
}

azure_server() {
	use_ azure
}

sftp_server() {
	use_ sftp
}

swift_server() {
	use_ swift
}

# --- by hand ---------------------------------------------------------------------------
servers_env_() {
	case $1 in
	s3 | swift)
		"$1_env"
		for v_ in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY \
		    AWS_ENDPOINT_URL AWS_REGION AWS_EC2_METADATA_DISABLED; do
			eval "echo \"export $v_='\$$v_'\""
		done
		;;
	azure)
		azure_env
		v_=$AZURE_STORAGE_CONNECTION_STRING
		echo "export AZURE_STORAGE_CONNECTION_STRING='$v_'"
		;;
	sftp)
		d_=$TEST_SERVERS/sftp
		echo "# user $(sftp_user_), key $d_/user, a key that is not" \
		    "known there $d_/other, host key $d_/host.pub"
		echo "# sftp://$(sftp_user_)@127.0.0.1:$TEST_SFTP_PORT$d_/data/"
		;;
	esac
}

# End each that nobody else uses.
servers_release_() {
	for a_; do
		[ -e "$TEST_SERVERS/$a_.pids" ] || continue
		(
			flock 9
			used_ "$a_" || end_ "$a_"
		) 9>"$TEST_SERVERS/$a_.lock"
	done
}

servers_main_() {
	verb_=${1:-}
	[ $# -eq 0 ] || shift
	case $verb_ in
	start)
		for a_; do
			server_ "$a_" "$(hand_)" || exit 1
		done
		;;
	stop)
		[ $# -gt 0 ] || set -- $servers_all
		for a_; do
			rm -f "$TEST_SERVERS/claims/$a_@$(hand_)"
		done
		servers_release_ "$@"
		;;
	end) # of the run TEST_RUN
		for a_ in "$TEST_SERVERS/claims/"*"@${TEST_RUN:?}."*; do
			rm -f "$a_"
		done
		servers_release_ $servers_all
		;;
	env)
		for a_; do
			servers_env_ "$a_"
		done
		;;
	status)
		for a_ in $servers_all; do
			if all_alive_ "$a_"; then
				echo "$a_: runs, pids" \
				    "$(cut -d' ' -f1 "$TEST_SERVERS/$a_.pids" |
					tr '\n' ' ')"
			else
				echo "$a_: does not run"
			fi
		done
		;;
	watch) watch_loop_ ;;
	*)
		sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
		exit 2
		;;
	esac
}

if [ "${0##*/}" = servers.sh ]; then
	set -u
	umask 022
	servers_main_ "$@"
fi
