#!/bin/sh
# Google Cloud Storage, as its documentation has it (gcs.py): held to what
# every store has to be, and the main job through it.  Nothing of this runs
# against Google.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
. "$top/tests/proxy.sh"
. "$top/tests/store/job.sh"
need python3 "$top/build/$V/store/conform"

# Every third piece arrives in part only.
mkfifo "$T/in"
python3 "$top/tests/store/gcs.py" 3 <"$T/in" >"$T/port" 2>"$T/gcs.err" &
helpers_="$helpers_ $!"
exec 7>"$T/in"
n=0
until [ -s "$T/port" ] || [ "$n" -ge 200 ]; do
	sleep 0.05
	n=$((n + 1))
done
gs_port=$(cat "$T/port")
at=http://127.0.0.1:$gs_port

unset GOOGLE_OAUTH_ACCESS_TOKEN BOTO_CONFIG GOOGLE_APPLICATION_CREDENTIALS \
    GS_ACCESS_KEY_ID GS_SECRET_ACCESS_KEY
NO_GCE_CHECK=true
GS_ACCESS_KEY_ID=GOOG1EXAMPLE
GS_SECRET_ACCESS_KEY=bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ
export NO_GCE_CHECK GS_ACCESS_KEY_ID GS_SECRET_ACCESS_KEY

"$top/build/$V/store/conform" -g -n "$(count list)" -r "$(count 4 100)" \
    -a "gs://none/p?endpoint=$at" -d "gs://dead/p?endpoint=http://127.0.0.1:9" \
    -l "gs://locked/p?endpoint=$at" \
    "gs://conform/pre%20fix?endpoint=$at" >"$T/conform" 2>"$T/err"
is "it is what every store has to be" "$? $(grep '^not ok' "$T/conform")" "0 "
[ ! -s "$T/err" ] || sed 's/^/# /' "$T/err"

job_keys
job_files "gs://job/a?endpoint=$at"

gs_env() {
	: # it is the same through the proxy
}

# --- replies lost, bodies cut short, a server that is busy
cutter_server gs
spoilt() { # NAME WHAT COUNT ACTION ARG REGEX
	name_=$1 what_=$2
	shift 2
	cutter_clear
	cutter_rule "$@"
	status 0 "$what_: backed up" as_pg sh -c 'dr-snap tree |
	    dr-seal -R to | dr-push -n "$@"' sh "$name_" \
	    "gs://job/b?endpoint=http://127.0.0.1:$proxy_port"
	ok "$what_: it happened" test "$(cutter_hits)" -ge 1
	status 0 "$what_: and whole" as_pg dr-verify -n "$name_" \
	    "gs://job/b?endpoint=$at"
}
spoilt reply "a reply is lost" 1 lost - 'PUT .*upload_id'
spoilt replies "each reply is lost once or twice" 3 lost - 'PUT '
spoilt body "a body is cut short" 2 cut-request 5000000 'PUT .*upload_id'
spoilt answer "an answer is cut short" 1 cut-reply 0 'POST '
spoilt busy "the server is busy" 3 status 503 '(PUT|POST) '
cutter_clear
cutter_rule 1 status 403 'PUT .*upload_id'
status 1 "a piece is refused" as_pg sh -c 'dr-snap tree |
    dr-seal -R to | dr-push -n refused "$1"' sh \
    "gs://job/b?endpoint=http://127.0.0.1:$proxy_port"
status 0 "then there is nothing" as_pg dr-list -n refused \
    "gs://job/b?endpoint=$at"
is "of it" "$(cat "$T/out")" ""
cutter_clear

# --- replies lost to who may not read
# hidden STATUS WHAT FILE RULE...; a rule is COUNT, ACTION, ARG and REGEX
hidden() {
	want_=$1 what_=$2 from_=$3
	shift 3
	name_=h$((${name_#h} + 1))
	cutter_clear
	for r_; do
		printf '%b|^x%s\n' "$r_" "$name_" >>"$T/rules.$proxy_port"
	done
	status "$want_" "$what_" env GS_ACCESS_KEY_ID=GOOG1CREATOR \
	    GS_SECRET_ACCESS_KEY=V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJbGoa+ \
	    sh -c 'dr-snap --stdin noise <"$1" | dr-push --plain -n "$2" "$3"' \
	    sh "$from_" "$name_" "gs://whole/c?endpoint=http://127.0.0.1:$proxy_port"
	is "$what_: it happened" "$(cutter_hits)" $#
	if [ "$want_" = 0 ]; then
		status 0 "$what_: it is there" dr-verify -n "$name_" \
		    "gs://whole/c?endpoint=$at"
	else
		status 3 "$what_: there is none" dr-verify -n "$name_" \
		    "gs://whole/c?endpoint=$at"
	fi
}
name_=h0
head -c 9000000 /dev/urandom >"$T/large"
head -c 3000000 "$T/large" >"$T/small"
tar='PUT .*[.]tar([?]|$)'
hidden 0 "hidden, small: the reply is lost" "$T/small" "1\tlost\t-\t$tar"
hidden 0 "hidden, large: the session goes on" "$T/large" \
    '1\tlost\t-\tPUT .*upload_id'
hidden 0 "hidden, large: or it says that the name is taken" "$T/large" \
    '1\tslow\t900000000\tPUT .*upload_id' \
    '1\tlost\t-\tPUT .*upload_id' '1\tforget\t412\tPUT .*upload_id'
hidden 1 "hidden, large: it has ended, which says nothing" "$T/large" \
    '1\tslow\t900000000\tPUT .*upload_id' \
    '1\tlost\t-\tPUT .*upload_id' '1\tforget\t410\tPUT .*upload_id'
hidden 0 "hidden: the manifest's reply" "$T/small" \
    '1\tlost\t-\tPUT .*[.]json([?]|$)'
hidden 1 "hidden: the name is taken, no reply was lost" "$T/small" \
    "1\tforget\t412\t$tar"
cutter_clear

GS_SECRET_ACCESS_KEY=wrong status 1 "the wrong secret" \
    dr-list -n files "gs://job/a?endpoint=$at"
match "says so" "error: .*secret key is wrong" "$T/err"

unset GS_ACCESS_KEY_ID GS_SECRET_ACCESS_KEY
status 1 "no credentials" dr-list -n files "gs://job/a?endpoint=$at"
match "says so" "error: .*no Google credentials are found" "$T/err"
match "and where they were looked for" \
    "hint: looked at: GOOGLE_OAUTH_ACCESS_TOKEN" "$T/err"

GOOGLE_OAUTH_ACCESS_TOKEN=ya29.token
export GOOGLE_OAUTH_ACCESS_TOKEN
status 0 "a token does" dr-list -n files "gs://job/a?endpoint=$at"
is "and lists what is there" "$(grep -c full "$T/out")" 1
GOOGLE_OAUTH_ACCESS_TOKEN=ya29.old
status 1 "a token that has expired" dr-list -n files "gs://job/a?endpoint=$at"
match "says so" "error: .*the token is not valid, or has expired" "$T/err"
nomatch "without it" "ya29" "$T/err"

done_testing
