#!/bin/sh
# Any stage of a pipeline killed at any moment: nothing is published, or a
# whole backup is, and the next push goes through.
. "${0%/*}/../lib.sh"
need dr-key dr-snap dr-pack dr-seal dr-push dr-verify

cd "$T" || exit 1
seed=${DR_SEED:-$$}
note "DR_SEED=$seed"

dr-key new -o id 2>/dev/null
dr-key recipient id >to
mkdir store tree
head -c 12000000 /dev/urandom >tree/noise
DR_SET=t DR_STORE=$T/store
export DR_SET DR_STORE

# pipeline: start the four stages; their parent is $job, and dr-push's status
# comes into the file st.
pipeline() {
	rm -f st
	{
		dr-snap tree 2>e1 | dr-pack -j 2 2>e2 | dr-seal -R to 2>e3 |
			dr-push store >o4 2>e4
		echo $? >st
	} &
	job=$!
}

# ended: wait for it; its status.
ended() {
	wait $job
	return "$(cat st)"
}

manifests() {
	find store -name '*.json' | wc -l
}

began=$(date +%s%N)
pipeline
ended
is "the pipeline works" "$?" 0
ms=$((($(date +%s%N) - began) * 12 / 10000000)) # a little more than it takes
published=$(manifests)
is "and publishes one backup" "$published" 1

runs=$(count kills) run=0 broken=0 whole=0
while [ $run -lt "$runs" ]; do
	run=$((run + 1))
	set -- $(awk -v s="$seed$run" -v ms=$ms 'BEGIN {
		srand(s)
		split("KILL KILL TERM HUP", sig)
		split("snap pack seal push", stage)
		print stage[int(rand() * 4) + 1], rand() * ms / 1000,
		    sig[int(rand() * 4) + 1]
	}')
	before=$(manifests)
	pipeline
	sleep "$2"
	pkill -"$3" -P $job -x "dr-$1"
	ended
	st=$?
	after=$(manifests)
	case $st:$((after - before)) in
	# With one that an earlier kill had kept from being published.
	0:1 | 0:2) whole=$((whole + after - before)) ;;
	[1-9]*:0) ;;
	# Killed between the commit and the end: the backup is whole.
	129:[12] | 137:[12] | 143:[12]) whole=$((whole + after - before)) ;;
	*)
		broken=$((broken + 1))
		note "run $run: $3 to dr-$1 after $2 s: dr-push $st," \
		    "$before manifests before, $after after: $(cat e4)"
		;;
	esac
	if [ "$after" -gt 0 ] && ! dr-verify store >vout 2>verr; then
		broken=$((broken + 1))
		note "run $run: $3 to dr-$1 after $2 s: $(cat vout verr)"
	fi
	# Proving a long chain again and again would take up all the time.
	if [ "$after" -ge 20 ]; then
		rm -rf store "$DR_STATE/sets" "$DR_STATE/seen"
		mkdir store
	fi
done
note "$whole of $runs runs published"
is "$runs kills publish nothing or a whole backup" "$broken" 0

pipeline
ended
is "and the next push goes through" "$?" 0
status 0 "the whole store is intact" dr-verify store
status 0 "down to every member" dr-verify --deep -i id store
done_testing
