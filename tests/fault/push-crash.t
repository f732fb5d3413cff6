#!/bin/sh
# dr-push killed before any of the system calls that make something durable
# or give it a name, or refused by any of them: nothing is half published, the
# next push goes through, and the chain is whole.
. "${0%/*}/../lib.sh"
need dr-snap dr-push dr-pull strace minisign python3

cd "$T" || exit 1
DR_SET=s
export DR_SET
n=0
snap() {
	n=$((n + 1))
	echo "backup $n" | dr-snap --stdin note | cat >"$1"
}
chain() {
	python3 "$top/tests/chain.py" s "$@"
}

# crash CALL: kill at its 1st, 2nd, ... invocation until a run passes.
crash() {
	call=$1
	DR_STATE=$T/state-$call
	a=$T/$call-a b=$T/$call-b
	mkdir "$a" "$b"
	bad=0 at=0
	while [ $at -lt 200 ]; do
		at=$((at + 1))
		snap stream
		ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace="$call" \
		    -e inject="$call:signal=KILL:when=$at" \
		    dr-push --plain "$a" "$b" <stream >out 2>err
		st=$?
		if chain "$a" "$b" | grep -v '^[0-9]* manifests$' >wrong; then
			bad=$((bad + 1))
			note "$call $at: $(cat wrong)"
		fi
		[ $st -ne 0 ] || break
		if [ $st -ne 137 ]; then
			bad=$((bad + 1))
			note "$call $at: status $st: $(cat err)"
		fi
		# The same again: published now, unless it was already.
		if [ $((at % 2)) -eq 0 ]; then
			dr-push --plain "$a" "$b" <stream >out 2>err ||
				bad=$((bad + 1))
			last=$(ls "$a"/s/snap/*.json | wc -l)
			dr-push --plain "$a" "$b" <stream >out 2>>err ||
				bad=$((bad + 1))
			if [ "$(ls "$a"/s/snap/*.json | wc -l)" -ne "$last" ]
			then
				bad=$((bad + 1))
				note "$call $at: published twice"
			fi
		else
			snap stream
			dr-push --plain "$a" "$b" <stream >out 2>err ||
				bad=$((bad + 1))
		fi
		chain "$a" "$b" >both
		if [ "$(uniq both | grep -c '^[0-9]* manifests$')" -ne 1 ] ||
		    [ "$(uniq both | wc -l)" -ne 1 ] || [ -s err ]; then
			bad=$((bad + 1))
			note "$call $at: then: $(cat both err)"
		fi
	done
	is "$((at - 1)) crashes at $call" "$bad" 0
	ok "which did happen" test "$at" -gt 1
	is "then both stores hold the same" "$(cd "$a/s/snap" &&
	    sha256sum -- *.json *.minisig)" "$(cd "$b/s/snap" &&
	    sha256sum -- *.json *.minisig)"
	for m in "$a"/s/snap/*.json; do
		minisign -Vq -p "$DR_STATE/sign.key.pub" -m "$m" || echo "$m"
	done >sigs 2>&1
	is "all signed" "$(cat sigs)" ""
	is "nothing is pending" \
	    "$(find "$DR_STATE" -name 'pending-*' | wc -l)" 0
	dr-pull --body "$b" | tar -xOf - note/00000000 >newest
	is "the newest can be read" "$(cat newest)" "backup $n"
	if command -v dr-verify >/dev/null; then
		ok "dr-verify finds no fault" dr-verify "$a" "$b"
	fi
}

# refuse CALL ERROR: let the 1st, 2nd, ... fail.
refuse() {
	call=$1 error=$2
	DR_STATE=$T/state-$call-$error
	a=$T/$call-$error
	mkdir "$a"
	bad=0 at=0
	while [ $at -lt 200 ]; do
		at=$((at + 1))
		snap stream
		ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace \
		    -e trace="$call" -e inject="$call:error=$error:when=$at" \
		    dr-push --plain "$a" <stream >out 2>err
		st=$?
		grep -q INJECTED trace || break
		# What only metrics are made of is warned of, and the backup
		# is there.
		if [ $st -eq 0 ] && grep -qE 'warning: .*/(sets/s(/published.json)?|rates(/s.(json|lock))?)"' err
		then
			:
		# Standard error may be what could not be written to.
		elif [ $st -ne 1 ] || [ "$(grep -c 'error: ' err)" -ne 1 ] &&
		    ! grep -q 'write(2,.*INJECTED' trace; then
			bad=$((bad + 1))
			note "$call $at: status $st: $(cat err)"
		fi
		if [ -n "$(find "$a" -name '.*.tmp')" ] &&
		    [ "$call" != unlinkat ]; then
			bad=$((bad + 1))
			note "$call $at: left $(find "$a" -name '.*.tmp')"
			find "$a" -name '.*.tmp' -exec rm {} +
		fi
		snap stream
		dr-push --plain "$a" <stream >out 2>err || bad=$((bad + 1))
		if ! chain "$a" | grep -q '^[0-9]* manifests$' || [ -s err ]
		then
			bad=$((bad + 1))
			note "$call $at: then: $(chain "$a") $(cat err)"
		fi
	done
	is "$((at - 1)) times $error at $call" "$bad" 0
	ok "which did happen" test "$at" -gt 1
	is "nothing is pending" \
	    "$(find "$DR_STATE" -name 'pending-*' | wc -l)" 0
}

refuse linkat EIO
refuse write ENOSPC
refuse fsync EIO
for call in fsync linkat unlinkat rename unlink; do
	crash $call
done
[ "${DR_SOAK:-0}" = 0 ] || for call in write openat mkdir mkdirat link close; do
	crash $call
done
done_testing
