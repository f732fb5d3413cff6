#!/bin/sh
# dr-verify on WAL in a store: what was deleted, swapped, cut, changed or
# forged, and what happened to ledgers, is found without the private key.
. "${0%/*}/../lib.sh"
need dr-wal dr-verify dr-key dr-list minisign python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
DR_SET=s DR_RECIPIENTS=$T/to
export DR_SET DR_RECIPIENTS
sysid=7300000000000000001
wal=s/wal/$sysid/00000001
S=0000000100000000000000

push() { # NAME...
	for s_; do
		python3 "$top/tests/walseg.py" "$T/pg" "$s_" "seed=$s_" &&
			(cd pg && dr-wal push -s "$T/a" "pg_wal/$s_") || return
	done
}
ledger() {
	dr-wal push --ledger -s "$T/a"
}
verify() { # STATUS WHAT [ARG...]
	st_=$1 w_=$2
	shift 2
	status "$st_" "$w_" dr-verify "$@" a
}
# The store and what this host saw of it, as they were.
reset() {
	rm -rf a "$DR_STATE/seen"
	cp -a good a
	[ ! -d seen ] || cp -a seen "$DR_STATE/seen"
}
nth() { # N: the ledger of that number
	ls a/s/wal/$sysid/*/ledger-*-000000000"$1".json
}

# There is no backup here, which is status 3 by itself: "ok" is the line of WAL.
mkdir a
push ${S}01 ${S}02 && ledger && push ${S}03 && ledger && push ${S}04 ${S}05 &&
	ledger
verify 3 "intact WAL, no backup"
match "is ok" "^s +$sysid +ok +WAL from 0/1000000 to 0/6000000 on timeline 1, 5 objects" out
nomatch "nothing else is wrong" 'damaged|ledger' out
cp -a a good
cp -a "$DR_STATE/seen" seen

# --- objects -----------------------------------------------------------------------
rm a/$wal/${S}03.zst.age
verify 4 "an object deleted"
match "is named" "damaged .*${S}03.zst.age\": it is missing" out
match "and the gap" 'damaged +gap 0/3000000 to 0/4000000 on timeline 1( |$)' out

reset
mv a/$wal/${S}02.zst.age x && mv a/$wal/${S}03.zst.age a/$wal/${S}02.zst.age &&
	mv x a/$wal/${S}03.zst.age
verify 4 "two swapped"
is "both are named" "$(grep -c 'damaged .*ledger says' out)" 2

reset
truncate -s -1 a/$wal/${S}04.zst.age
verify 4 "one truncated by a byte"
match "is named" "damaged .*${S}04.zst.age\": it has [0-9]* bytes" out
is "and no other" "$(grep -c damaged out)" 1

reset
python3 - a/$wal/${S}05.zst.age <<'X'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[len(b) // 2] ^= 1
open(sys.argv[1], "wb").write(b)
X
verify 4 "one bit flipped"
match "is named" "damaged .*${S}05.zst.age\": it has another SHA-256" out

# --- objects that nobody vouches for ---------------------------------------------------
# Well sealed, for the same recipient, under another's key.
reset
mkdir other
dr-key sign-new -o other.key 2>/dev/null
python3 "$top/tests/walseg.py" "$T/pg" ${S}06 seed=forged
(cd pg && dr-wal push --state "$T/st2" -k "$T/other.key" -s "$T/other" \
    pg_wal/${S}06)
cp other/$wal/${S}06.zst.age a/$wal/${S}06.zst.age
verify 3 "a forgery past the last ledger, fresh"
nomatch "is not reported yet" "${S}06.*unknown|unknown.*${S}06" out
touch -d '3 hours ago' a/$wal/${S}06.zst.age
verify 3 "and after two ledgers should have come"
match "it is not vouched for" \
    "unknown .*${S}06.zst.age\": not vouched for" out
nomatch "nothing is called damaged" damaged out
verify 4 "opened, it is found out" --deep -i id
match "by its name" "damaged .*${S}06.zst.age" out
mv a/$wal/${S}06.zst.age a/$wal/${S}3F.zst.age
verify 3 "under a name far ahead"
match "the same" "unknown .*${S}3F.zst.age\": not vouched for" out
nomatch "no gap is made up" gap out
verify 4 "the same, opened" --deep -i id
reset
cp a/$wal/${S}05.zst.age a/$wal/${S}06.zst.age
touch -d '3 hours ago' a/$wal/${S}06.zst.age
verify 3 "our own content under another name"
verify 4 "opened, it is not signed for that" --deep -i id
match "says so" "damaged .*${S}06.zst.age" out
reset
verify 3 "all are signed for their names" --deep -i id
nomatch "nothing is damaged" 'damaged' out
dr-key new -o id2 2>/dev/null
verify 4 "with an identity that opens none" --deep -i id2

# --- ledgers ------------------------------------------------------------------------
reset
rm "$(nth 2)" "$(nth 2).minisig"
verify 4 "a ledger in the middle deleted"
match "is missed" 'damaged +ledger 2 of [0-9a-f]{16} is missing' out

reset
rm "$(nth 3)" "$(nth 3).minisig" a/$wal/${S}04.zst.age a/$wal/${S}05.zst.age
verify 4 "the store rolled back by one ledger"
match "the head that was seen is gone" \
    'damaged +"ledger-.*-0000000003.json", seen here earlier, is gone' out
rm -r "$DR_STATE/seen"
verify 3 "who saw nothing earlier cannot tell"
nomatch "but by age" damaged out
verify 3 "which is asked for so" --max-age 1ms
match "the newest ledger is old" 'old +the newest ledger is' out
rm -r a/s/wal
cp -a seen/. "$DR_STATE/seen/"
verify 4 "all WAL gone"
match "is missed" "$sysid +damaged +\"ledger-" out

reset
rm "$(nth 2).minisig"
verify 4 "a ledger without its signature"
match "is not signed" 'damaged .*is not signed' out
reset
sed -i 's/"gaps":\[\]/"gaps":[["","0\/9000000","0\/A000000"]]/' "$(nth 2)"
verify 4 "a ledger with a gap put in"
reset
f=$(nth 1)
mkdir -p a/s/wal/$sysid/00000002
cp "$f" "$f.minisig" a/s/wal/$sysid/00000002/
verify 4 "a ledger copied into another timeline"
reset
f=$(nth 3)
n=$(echo "$f" | sed 's/0000000003.json/0000000004.json/')
mv "$f" "$n" && mv "$f.minisig" "$n.minisig"
verify 4 "a ledger under another number"

# A stranger vouches for his own forgery.
reset
dr-wal push --ledger --state "$T/st2" -k "$T/other.key" -s "$T/other"
cp other/$wal/* a/$wal/
verify 4 "a stranger's ledger"
match "names him" 'damaged .*not among the trusted keys' out
cat "$DR_STATE/sign.key.pub" other.key.pub >both.pub
verify 3 "two writers who are both trusted" -K both.pub
match "make one log" 'ok +WAL from 0/1000000 to 0/7000000' out

# --- the state lost --------------------------------------------------------------------
reset
rm -rf "$DR_STATE/wal"
push ${S}06 && ledger
verify 3 "the state was lost, the chain goes on"
nomatch "without a fault" damaged out

# --- gaps, admitted and not ----------------------------------------------------------
two() { # NAME...: with segments of the usual size
	for s_; do
		python3 "$top/tests/walseg.py" "$T/pg16" "$s_" \
		    segsize=$((16 << 20)) &&
			(cd pg16 && dr-wal push -n g --require 1 -s "$T/c" \
			    -s "$T/d" "pg_wal/$s_") || return
	done
}
mkdir c d
two ${S}06 ${S}07
mv d away
ok "one store is away" two ${S}08 2>/dev/null
mv away d
two ${S}09
ok "a ledger for both" dr-wal push -n g --ledger -s "$T/c" -s "$T/d"
status 3 "the store that was there all the time" dr-verify -n g c
nomatch "lacks nothing" 'damaged|gap' out
status 4 "a store that missed a segment" dr-verify -n g d
match "the ledger admits it" \
    'gap 0/8000000 to 0/9000000 on timeline 1, which a ledger admits' out
cp c/g/wal/$sysid/00000001/${S}08.zst.age d/g/wal/$sysid/00000001/
status 3 "put there since" dr-verify -n g d
nomatch "it is none any more" 'damaged|gap' out

# --- several at once --------------------------------------------------------------------
mkdir e f
for i in 1 2 3 4 5 6 7 8 9; do
	python3 "$top/tests/walseg.py" "$T/pg" ${S}1$i
done
(cd pg && dr-wal push -n p -s "$T/e" -s "$T/f" pg_wal/${S}11)
par=
for i in 1 2 3 4 5 6 7 8 9; do
	for times in 1 2; do
		(cd pg && exec dr-wal push -n p -s "$T/e" -s "$T/f" \
		    "pg_wal/${S}1$i") >"par.$i.$times" 2>&1 &
		par="$par $!"
	done
	[ $((i % 3)) -ne 0 ] || {
		dr-wal push -n p --ledger -s "$T/e" -s "$T/f" >par.l.$i 2>&1 &
		par="$par $!"
	}
done
lost=0
for pid in $par; do
	wait "$pid" || lost=$((lost + 1))
done
is "21 writers at once: none failed" "$lost $(cat par.*)" "0 "
sleep 0.01
ok "the last ledger" dr-wal push -n p --ledger -s "$T/e" -s "$T/f"
touch -d '3 hours ago' e/p/wal/$sysid/00000001/0* f/p/wal/$sysid/00000001/0*
status 3 "both stores are whole" dr-verify -n p e f
nomatch "all of it vouched for, by one chain" 'damaged|vouched' out
is "nine objects in each" "$(grep -c 'ok .* 9 objects' out)" 2

# --- timelines ------------------------------------------------------------------------
reset
rm -rf "$DR_STATE/wal"
push 000000020000000000000005 000000020000000000000006 && ledger
verify 3 "a second timeline"
match "in which it ends" 'ok +WAL from 0/5000000 to 0/7000000 on timeline 2' out
done_testing
