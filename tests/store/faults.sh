# faults.sh - what may go wrong between a tool and a store over HTTP, for each
# kind of such a store.  Sourced after lib.sh, servers.sh and proxy.sh.
#
#	faults KIND STORE BUCKET	all of them; KIND is s3 or azure
#	publish [BYTES] [OPTION...] STORE	something new; pushed so
#	holds_up STORE	what it lists is verified, and nothing is half there

# publish_ BYTES ARG...
publish_() {
	b_=$1
	shift
	head -c "$b_" /dev/urandom >"$T/data"
	dr-snap --stdin data <"$T/data" | dr-push -n s --plain "$@"
}

publish() {
	case $1 in
	*[!0-9]*) publish_ 3000 "$@" ;;
	*) publish_ "$@" ;;
	esac
}

# The last that was pushed, as it comes back.
same_back() {
	dr-pull -n s --body "$1" | tar -xOf - --wildcards 'data/*' |
		cmp - "$T/data"
}

backups() {
	dr-list -n s "$1" | grep -c ' full '
}

# Names in the bucket, and uploads begun there, asked of the server.
names_in() {
	case $1 in
	s3) s3_ ls "$2" ;;
	azure) az_ ls "$2" ;;
	esac
}

begun_in() {
	case $1 in
	s3) s3_ uploads "$2" ;;
	azure) az_ uploads "$2" ;;
	esac
}

# unharmed KIND STORE BUCKET BACKUPS: that many, all whole, and nothing else.
unharmed() {
	is "  $4 are listed" "$(backups "$2")" "$4"
	status 0 "  and whole" dr-verify -n s "$2"
	is "  three objects for each" "$(names_in "$1" "$3" | wc -l)" \
	    $((3 * $4))
	is "  no upload is left" "$(begun_in "$1" "$3")" ""
}

faults() {
	kind=$1 store=$2 bucket=$3
	case $kind in
	s3)
		part='^PUT .*partNumber=2'
		complete='^POST .*uploadId='
		;;
	azure)
		part='^PUT .*comp=block&'
		complete='^PUT .*comp=blocklist'
		;;
	esac
	status 0 "a backup in parts" publish 9000000 "$store"
	status 0 "a small one" publish "$store"
	unharmed "$kind" "$store" "$bucket" 2

	# --- answers that are none --------------------------------------------
	proxy_server "$kind"
	for f in 503 429 reject; do
		proxy_fault $f 20
		status 0 "$f for some requests" publish 9000000 "$store"
		ok "  the same comes back" same_back "$store"
		proxy_fault none
	done
	unharmed "$kind" "$store" "$bucket" 5
	proxy_fault 503
	n=$(count outage)
	(
		sleep "$n"
		proxy_fault none
	) &
	status 0 "503 for $n seconds" publish 9000000 "$store"
	wait $!
	proxy_fault 503
	(
		sleep "$n"
		proxy_fault none
	) &
	status 0 "reading while it answers 503" same_back "$store"
	wait $!
	unharmed "$kind" "$store" "$bucket" 6
	proxy_fault lost502 100 '\.json$'
	(
		sleep 1
		proxy_fault none
	) &
	status 0 "a manifest that is stored, and answered with 502" \
	    publish "$store"
	wait $!
	unharmed "$kind" "$store" "$bucket" 7
	proxy_stop

	# --- bytes that do not come ----------------------------------------------
	cutter_server "$kind"
	cutter_rule 2 cut-request 100000 "$part"
	status 0 "a part is cut short on its way" publish 9000000 "$store"
	is "  it was" "$(cutter_hits)" 2
	ok "  the same comes back" same_back "$store"
	cutter_clear
	cutter_rule 1 lost - "$part"
	status 0 "the reply to a part is lost" publish 9000000 "$store"
	is "  it was" "$(cutter_hits)" 1
	cutter_clear
	cutter_rule 1 lost - "$complete"
	status 0 "the reply to the last request is lost" \
	    publish 9000000 "$store"
	is "  it was" "$(cutter_hits)" 1
	ok "  the same comes back" same_back "$store"
	cutter_clear
	cutter_rule 1 lost - '^PUT .*\.json(\?.*)?$'
	status 0 "the reply to a manifest is lost" publish "$store"
	is "  it was" "$(cutter_hits)" 1
	cutter_clear
	cutter_rule 1 lost - '^PUT .*\.minisig(\?.*)?$'
	status 0 "the reply to a signature is lost" publish "$store"
	is "  it was" "$(cutter_hits)" 1
	cutter_clear
	unharmed "$kind" "$store" "$bucket" 12
	status 0 "one to read" publish 9000000 "$store"
	for what in "cut-reply 100000" "short-reply 100000" "lost -"; do
		cutter_clear
		# shellcheck disable=SC2086 # two words
		cutter_rule 2 $what '^GET .*\.tar(\?.*)?$'
		ok "a reply: $what" same_back "$store"
		is "  it was so" "$(cutter_hits)" 2
	done
	cutter_clear
	cutter_rule flip 90000 '^GET .*\.tar(\?.*)?$'
	status 4 "a reply in which a byte is another" dr-verify -n s "$store"
	match "  is told" 'SHA-256' "$T/out"
	cutter_clear
	if [ "$kind" = s3 ]; then
		cutter_rule 1 error200 InternalError "$complete"
		status 0 "200 with an error inside, not done" \
		    publish 9000000 "$store"
		is "  it was so" "$(cutter_hits)" 1
		cutter_clear
		cutter_rule 1 after200 InternalError "$complete"
		status 0 "200 with an error inside, and done" \
		    publish 9000000 "$store"
		is "  it was so" "$(cutter_hits)" 1
		ok "  the same comes back" same_back "$store"
		cutter_clear
		unharmed "$kind" "$store" "$bucket" 15
	else
		unharmed "$kind" "$store" "$bucket" 13
	fi
	before=$(names_in "$kind" "$bucket")

	# --- ends in the middle ------------------------------------------------------
	cutter_rule status "403 AccessDenied" "$part"
	status 1 "a part that is refused" publish 9000000 "$store"
	match "  is told with the store" "${store%%\?*}" "$T/err"
	is "  nothing is there" "$(names_in "$kind" "$bucket")" "$before"
	is "  no upload is left" "$(begun_in "$kind" "$bucket")" ""
	cutter_clear
	cutter_rule status "403 AccessDenied" "$complete"
	status 1 "an end that is refused" publish 9000000 "$store"
	is "  nothing is there" "$(names_in "$kind" "$bucket")" "$before"
	is "  no upload is left" "$(begun_in "$kind" "$bucket")" ""
	cutter_clear
	# Whole parts: what fits into a buffer on the way arrives after its end.
	head -c 60000000 /dev/urandom >"$T/data"
	for s in TERM HUP; do
		cutter_rule slow-request 1000000 "$part"
		dr-snap --stdin data <"$T/data" |
			exec dr-push -n s --plain "$store" 2>"$T/err" &
		pid=$!
		until_ 100 test -s "$T/hits.$proxy_port"
		kill -$s $pid
		wait $pid
		is "SIG$s in the middle" "$(kill -l $?)" $s
		is "  nothing is there" "$(names_in "$kind" "$bucket")" \
		    "$before"
		is "  no upload is left" "$(begun_in "$kind" "$bucket")" ""
		cutter_clear
	done
	status 0 "then all is as ever" publish "$store"
	"${kind}_env"
}
