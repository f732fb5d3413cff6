#!/bin/sh
# dr-wal push killed before any of the system calls that make something
# durable or give it a name: no ledger names what is not there, and at the end
# everything that is there is in a ledger of one chain.
. "${0%/*}/../lib.sh"
need dr-wal dr-verify dr-key strace python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
python3 "$top/tests/walseg.py" "$T/pg" 000000010000000000000001
n=0
# Two of three times there is a new segment to put.
next_segment() {
	n=$((n + 1))
	name=$(printf '0000000100000000%08X' $n)
	python3 "$top/tests/walseg.py" "$T/pg" "$name" segsize=1048576
}
# What is damaged, in the stores as they are.
wrong() {
	rm -rf "$DR_STATE/seen"
	dr-verify -K "$DR_STATE/sign.key.pub" "$a" "$b" >found 2>&1
	grep -E "damaged|$1" found
}

# crash CALL: kill at its 1st, 2nd, ... invocation, of a push and of writing a
# ledger in turn, until both pass; at a quick count at some of them.
crash() {
	call=$1 kills=0 passed=0
	DR_STATE=$T/state-$call
	a=$T/$call-a b=$T/$call-b
	mkdir "$a" "$b"
	bad=0 at=$((seed % stride + 1 - stride)) turn=0
	while [ $passed -lt 2 ]; do
		turn=$((turn + 1))
		[ $((turn % 2)) -eq 0 ] || at=$((at + stride))
		next_segment
		# A push, and with every second one the ledger.
		set -- "$T/pg/pg_wal/$name"
		if [ $((turn % 2)) -eq 0 ]; then
			dr-wal push -s "$a" -s "$b" "$1" 2>err || cat err
			set -- --ledger
		fi
		strace -f -qq -o trace -e trace="$call" \
		    -e inject="$call:signal=KILL:when=$at" \
		    dr-wal push -s "$a" -s "$b" "$@" >out 2>err
		st=$?
		if wrong damaged >w; then
			bad=$((bad + 1))
			note "$call $at: $(cat w)"
		fi
		if [ $st -eq 0 ]; then
			passed=$((passed + 1))
		elif [ $st -eq 137 ]; then
			passed=0 kills=$((kills + 1))
		else
			bad=$((bad + 1))
			note "$call $at: status $st: $(cat err)"
		fi
		# As archive_command would.
		dr-wal push -s "$a" -s "$b" "$T/pg/pg_wal/$name" >out 2>err ||
			note "$call $at: again: $(cat err)"
		sleep 0.01
		dr-wal push --ledger -s "$a" -s "$b" >out 2>>err ||
			bad=$((bad + 1))
		if [ -s err ] || wrong 'not vouched' >w; then
			bad=$((bad + 1))
			note "$call $at: then: $(cat w err)"
		fi
	done
	is "$kills crashes at $call" "$bad" 0
	is "then both stores hold the same" \
	    "$(cd "$a" && find . -name 'ledger-*' -exec sha256sum {} + | sort)" \
	    "$(cd "$b" && find . -name 'ledger-*' -exec sha256sum {} + | sort)"
	is "nothing is pending" \
	    "$(find "$DR_STATE/wal" -name 'ledger-*.json' | wc -l)" 0
}

stride=$(count 5 1)
seed=${DR_SEED:-$$} all=0
note "DR_SEED=$seed"
for call in fsync fdatasync linkat rename; do
	crash $call
	all=$((all + kills))
done
ok "some did happen" test $all -ge 3
[ "${DR_SOAK:-0}" = 0 ] || for call in write openat mkdir mkdirat unlinkat \
    unlink close flock; do
	crash $call
done
done_testing
