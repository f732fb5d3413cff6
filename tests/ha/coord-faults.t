#!/bin/sh
# Three who take turns at one key, each writing events while it believes to
# hold it, while members of etcd die, freeze and come back, and so do they:
# what they were told is what happened, once each, and nobody writes after
# whoever took the key after him.
. "${0%/*}/../lib.sh"
. "${0%/*}/ha.sh"
. "${0%/*}/etcd.sh"
need python3 pgrep

coord=$top/build/$V/ha/coord
seconds=$(count 14 120)
seed=${DR_SEED:-$(date +%s)}
note "$seconds seconds, DR_SEED=$seed"

etcd_start 3
toilers=
for who in a b c; do
	# Each asks them in another order.
	case $who in
	a) order=$(etcd_only 1 2 3) ;;
	b) order=$(etcd_only 2 3 1) ;;
	c) order=$(etcd_only 3 1 2) ;;
	esac
	echo "toil $who $seconds" | timeout $((seconds + 60)) "$coord" "$order" \
	    main >"$T/toil.$who" 2>&1 &
	toilers="$toilers $!"
	helpers_="$helpers_ $!"
done

# 1 to N, by chance; not within $(), where it would forget.
dice() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	echo $((seed / 65536 % $1 + 1))
}

now() {
	date +%s
}

till=$(($(now) + seconds - 3)) faults=0
while [ "$(now)" -lt "$till" ]; do
	dice 3 >"$T/dice"
	i=$(cat "$T/dice")
	j=$((i % 3 + 1))
	dice 4 >"$T/dice"
	faults=$((faults + 1))
	case $(cat "$T/dice") in
	1)
		etcd_kill "$i"
		sleep 0.6
		etcd_again "$i"
		;;
	2)
		etcd_freeze "$i"
		sleep 1.2
		etcd_thaw "$i"
		;;
	3)
		etcd_freeze "$i"
		etcd_freeze "$j"
		sleep 1.2
		etcd_thaw "$i"
		etcd_thaw "$j"
		;;
	*)
		# One of those who hold it, for longer than it does.
		# shellcheck disable=SC2086 # words
		set -- $toilers
		shift $((i - 1))
		pid=$(pgrep -P "$1" | head -n 1)
		if [ -n "$pid" ]; then
			freeze "$pid"
			sleep 2.6
			kill -CONT "$pid"
		fi
		;;
	esac
	sleep 0.3
done
thaw
# shellcheck disable=SC2086 # words
wait $toilers
etcd_up_ || fail_ "etcd does not come back"

printf '%s\n' 'history 0' | timeout 60 "$coord" "$etcd" main >"$T/history"
cat >"$T/judge.py" <<'END'
import collections, re, sys

told = collections.OrderedDict()
for f in sys.argv[2:]:
    for line in open(f):
        w = line.split()
        if len(w) == 2 and w[0] in ("done", "not", "error"):
            told[w[1]] = w[0]
        elif len(w) != 2 or w[1] != "ok":
            print("what is this:", line.strip())
there = [l.split()[1] for l in open(sys.argv[1]) if re.match(r"\d{8}T", l)]
counts = collections.Counter(there)
for e, said in told.items():
    if counts[e] > 1 or (said == "done") > counts[e] or \
       (said == "not" and counts[e]):
        print("told", said, e, "which is there", counts[e], "times")
for e in there:
    if e not in told:
        print("nobody wrote", e)
last, number = 0, {}
for e in there:
    who, token, n = e.split(":")
    if int(token) < last:
        print(e, "came after token", last)
    last = max(last, int(token))
    if int(n) <= number.get(who, 0):
        print(e, "came after number", number[who])
    number[who] = int(n)
all_ = collections.Counter(told.values())
print("%d events, %d tokens, of %s" % (len(there), len({e.split(":")[1]
      for e in there}), ", ".join("%d %s" % (n, k) for k, n in
      sorted(all_.items()))), file=sys.stderr)
if len(there) < 30 or len(number) < 2:
    print("hardly anything happened")
END
python3 "$T/judge.py" "$T/history" "$T"/toil.? >"$T/wrong" 2>"$T/sum"
is "it can be judged" $? 0
note "$faults faults; $(cat "$T/sum")"
is "what was done is there once, what was not is not, and in order" \
    "$(head -n 20 "$T/wrong")" ""

done_testing
