#!/bin/sh
# The end mark: no prefix of any kind of stream is taken for a whole one, by
# any tool, and nothing of it is published.
. "${0%/*}/../lib.sh"
need age-keygen dr-snap dr-pack dr-seal dr-push dr-verify dr-restore

cd "$T" || exit 1
seed=${DR_SEED:-$$}
note "DR_SEED=$seed"

dr-key new -o id 2>/dev/null
dr-key recipient id >to
mkdir store
DR_SET=t DR_STORE=$T/store DR_IDENTITY=$T/id
export DR_SET DR_STORE DR_IDENTITY

# A file that is itself full of whole streams, then some noise.
i=0
while [ $i -lt 20 ]; do
	echo "inner $i" | dr-snap --stdin inner | cat
	i=$((i + 1))
done >marks
mkdir tree
cp marks tree/marks
head -c 150000 /dev/urandom >tree/noise
dr-snap tree | cat >snapshot
dr-pack <snapshot | cat >packed
dr-seal -R to <packed | cat >age
dr-seal -R to --cipher aes-256-gcm <packed | cat >aes

# lengths SIZE FILE: where to cut.  Each byte near the ends, the borders of
# chunks and of what a reader holds back, behind inner end marks, and some
# by chance.
lengths() {
	n=$(($1 - 1))
	{
		echo "0 1 7 35 36 37 511 512 513 1024 65535 65536 65572 65573"
		echo "$((n)) $((n - 1)) $((n - 7)) $((n - 8)) $((n - 12))"
		echo "$((n - 16)) $((n - 20)) $((n - 28)) $((n - 36)) $((n - 65571))"
		grep -abo DRSTREAM "$2" | cut -d: -f1 |
			awk -v n="$n" '{ if ($1 + 8 < n && NR % 5 == 1) print $1 + 8 }'
		awk -v n="$n" -v s="$seed" -v c="$(count prefixes)" 'BEGIN {
			srand(s)
			while (c-- > 0)
				print int(rand() * n)
		}'
	} | tr ' ' '\n' | awk -v n="$n" '$1 >= 0 && $1 <= n' | sort -nu
}

# try KIND COMMAND...: each prefix of KIND into COMMAND.
try() {
	kind=$1
	shift
	bad=0 runs=0
	for len in $(lengths "$(stat -c %s "$kind")" "$kind"); do
		rm -rf out out.json dir
		head -c "$len" "$kind" | "$@" >/dev/null 2>err
		got=$?
		runs=$((runs + 1))
		if [ $got -ne 4 ] || [ "$(wc -l <err)" -gt 2 ] ||
		    [ -e out ] || [ -e out.json ] || [ -e dir/marks ] ||
		    [ -e dir/tree/marks ] ||
		    [ -n "$(find store -type f)" ]; then
			bad=$((bad + 1))
			note "$kind cut at $len: status $got: $(cat err)"
			find store -type f | sed 's/^/# /'
			find store -type f -exec rm {} +
		fi
	done
	is "$runs prefixes of $kind: $* exits 4 and leaves nothing" "$bad" 0
}

try snapshot dr-pack -o out
try snapshot dr-seal -R to -o out
try snapshot dr-push --plain store
try packed dr-pack -d -o out
try packed dr-seal -R to -o out
try packed dr-push --plain store
try packed dr-restore -D dir -
for kind in age aes; do
	try $kind dr-seal -d -o out
	try $kind dr-push store
	try $kind dr-verify -
	try $kind dr-restore -D dir -
done

# The same tools take the whole of it.
for kind in age aes; do
	status 0 "the whole of $kind is verified" \
	    sh -c "dr-verify - <$kind"
	rm -rf dir
	status 0 "and restored" sh -c "dr-restore -D dir - <$kind"
	ok "byte for byte" cmp marks "$(find dir -name marks)"
	status 0 "and published" sh -c "dr-push store <$kind"
	find store -type f -exec rm {} +
	rm -rf "$DR_STATE/sets"
done
done_testing
