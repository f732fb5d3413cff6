# shellcheck shell=sh
# lib.sh - what the tests with injected faults share.
#
# A scenario NAME is three functions, run in $T/w, which is new each time:
#
#	run_NAME	the tool, once; -f may be used where $again is set
#	whole_NAME	fails unless all that stands under a final name is whole
#	done_NAME	fails unless the result is there, and whole
#
# faults NAME KIND ERRNO lets the 1st, 2nd, 3rd ... call of the KIND fail (see
# shim.c), each in a run of its own: all of them at soak; at a quick count every
# other kind, and of that one call, which the seed picks.

shim=$top/build/$V/fault/shim.so
[ -e "$shim" ] || skip_all "$shim is not built"
quick=${FAULT_RUNS:-$(count faults)}
share=2 # of the kinds, one in so many at a quick count
seed=${DR_SEED:-$$} turn=0
note "DR_SEED=$seed"

# with_fault AT KIND ERRNO COMMAND...
with_fault() {
	FAULT_AT=$1 FAULT_CALL=$2 FAULT_ERRNO=$3
	export FAULT_AT FAULT_CALL FAULT_ERRNO
	shift 3
	(
		FAULT_HIT=$T/hit FAULT_COUNT=$T/n LD_PRELOAD=$shim
		export FAULT_HIT FAULT_COUNT LD_PRELOAD
		"$@"
	) >"$T/out" 2>"$T/err" </dev/null
}

fresh() {
	cd "$T" && rm -rf w hit n && mkdir w && cd w || exit 1
	again=
	! command -v "set_$1" >/dev/null || "set_$1"
}

# One line of trouble, with the place in the source where it began.
trouble() {
	bad=$((bad + 1))
	[ $bad -le 20 ] || return 0
	note "$1, $2 $n ($3): $4"
	if [ -e "$T/hit" ]; then
		# shellcheck disable=SC2046 # the call and its address
		set -- $(cat "$T/hit")
		note "  $1, $(addr2line -se "$bin/$tool" "$2" 2>/dev/null)"
	fi
	head -n 20 "$T/err" | sed 's/^/#   /'
}

# judge NAME KIND ERRNO STATUS: what the run with the fault left.
judge() {
	if [ "$3" = kill ] && [ "$4" -eq 0 ] &&
	    grep -q "a process of it was killed" "$T/err"; then
		# Not the one that was waited for.
		"done_$1" >>"$T/err" 2>&1 ||
			trouble "$1" "$2" "$3" "status 0, and nothing is there"
	elif [ "$3" = kill ]; then
		[ "$4" -eq 137 ] || trouble "$1" "$2" "$3" "status $4"
	elif [ "$4" -gt 125 ]; then
		trouble "$1" "$2" "$3" "died, status $4"
	elif [ "$4" -eq 2 ] || [ "$4" -eq 4 ]; then
		# Neither the command line nor the data is at fault.
		trouble "$1" "$2" "$3" "status $4"
	elif [ "$4" -ne 0 ]; then
		[ "$(grep -c "^$tool: error: " "$T/err")" -eq 1 ] ||
			trouble "$1" "$2" "$3" "not one error line"
	elif { [ "$2" = write ] || [ "$2" = sync ]; } &&
	    ! grep -q '^sync_file_range' "$T/hit" && # is advice
	    ! grep -q "^$tool: warning: " "$T/err"; then
		trouble "$1" "$2" "$3" "the failure was not told"
	elif ! "done_$1" >"$T/why" 2>&1; then
		cat "$T/why" >>"$T/err"
		trouble "$1" "$2" "$3" "status 0, but the result is not there"
		return
	fi
	if ! "whole_$1" >"$T/why" 2>&1; then
		cat "$T/why" >>"$T/err"
		trouble "$1" "$2" "$3" "left something broken"
	fi
	# A failed unlink cannot be helped, nor can a kill.
	if [ "$2" != name ] && [ "$3" != kill ] &&
	    [ "$(find . -name '.*.tmp')" != "" ]; then
		find . -name '.*.tmp' >>"$T/err"
		trouble "$1" "$2" "$3" "left a temporary"
	fi
	[ "$4" -ne 0 ] || return 0
	# shellcheck disable=SC2034 # for scenarios.sh
	again=yes
	if ! with_fault 0 "$2" "$3" "run_$1"; then
		trouble "$1" "$2" "$3" "the next run fails"
	elif ! "done_$1" >"$T/why" 2>&1; then
		cat "$T/why" >>"$T/err"
		trouble "$1" "$2" "$3" "the next run does not mend it"
	fi
}

# counted NAME: how many calls of each kind it makes, in $T/counts.
counted() {
	tool=$(tool_of "$1")
	fresh "$1"
	if ! with_fault 0 alloc 0 "run_$1" ||
	    ! "done_$1" >>"$T/err" 2>&1; then
		fail_ "$1 without faults" "$T/err"
		return 1
	fi
	mv "$T/n" "$T/counts"
}

faults() {
	bad=0 runs=0
	total=$(sed -n "s/^$2 //p" "$T/counts")
	[ "$total" -gt 0 ] || return 0
	turn=$((turn + 1))
	[ "$quick" -gt 1 ] || [ $(((turn + seed) % share)) -eq 0 ] || return 0
	step=$(((total + quick - 1) / quick))
	[ "$step" -ge 1 ] || step=1
	n=$((1 + seed % step))
	while :; do
		fresh "$1"
		with_fault "$n" "$2" "$3" "run_$1"
		st=$?
		# Threads do not make the same calls each time.
		[ -e "$T/hit" ] || break
		runs=$((runs + 1))
		judge "$1" "$2" "$3" "$st"
		n=$((n + step))
	done
	is "$1: $2 fails ($3), $runs of $total" "$bad" 0
}

# every NAME: each kind of call with what it may well fail with.
every() {
	counted "$1" || return
	faults "$1" alloc 12 # ENOMEM
	faults "$1" open 24 # EMFILE
	faults "$1" read 5 # EIO
	faults "$1" write 28 # ENOSPC
	faults "$1" sync 5
	faults "$1" name 30 # EROFS
	faults "$1" close 5
	faults "$1" stat 13 # EACCES
	faults "$1" thread 11 # EAGAIN
}

# killed NAME: no more than half of the Nth write, no Nth link.
killed() {
	counted "$1" || return
	for kind in open write sync name close; do
		faults "$1" $kind kill
	done
}
