#!/bin/sh
# The options that say how to treat stores, in every tool that takes one.
. "${0%/*}/../lib.sh"
need dr-snap dr-push dr-wal python3

cd "$T" || exit 1
DR_SET=s
export DR_SET
mkdir a
echo x | dr-snap --stdin note | cat >one
push() {
	dr-push --plain "$@" a <one
}
nothing() {
	is "$1: nothing is stored" "$(find a -type f | wc -l)" 0
}

# --- locks that make no sense ----------------------------------------------------
status 2 "two ends of a lock" push --lock-days 3 --lock-until 2999-01-01T00:00:00Z
match "are named" 'lock-days and --lock-until' err
status 2 "an end that has passed" push --lock-until 2001-01-01T00:00:00Z
match "is told" 'has passed' err
status 2 "a mode without an end" push --lock-mode governance
match "locks nothing" 'locks nothing' err
status 2 "a mode that is none" push --lock-mode strict
status 2 "no days" push --lock-days 0
status 2 "an end without its zone" push --lock-until 2999-01-01T00:00:00
nothing "refused"

# --- what a directory has not ----------------------------------------------------
for o in --lock-days=3 --lock-until=2999-01-01T00:00:00Z --legal-hold \
    --storage-class=COLD --sse=AES256; do
	status 2 "a directory refuses $o" push "$o"
	match "and says why" 'is a directory: it has no locks' err
done
nothing "a directory"
dr-key new -o id 2>/dev/null
dr-key recipient id >to
w=000000010000000000000001
python3 "$top/tests/walseg.py" pg $w
status 2 "so it does WAL" dr-wal push --lock-days 3 -R to -s a pg/pg_wal/$w
match "and says why" 'is a directory: it has no locks' err
nothing "WAL"

# --- authorities -----------------------------------------------------------------
: >ca
status 0 "authorities that are not needed" push --ca-file ca \
    --allow-no-create-only --limit-rate 1G
for t in "dr-push --plain" dr-pull dr-list dr-verify "dr-restore -D new"; do
	# shellcheck disable=SC2086
	status 2 "$t: authorities that are not there" $t --ca-file none a <one
	match "are named" 'cannot read "none"' err
done
status 2 "dr-wal push: the same" dr-wal push --ca-file none -R to -s a x
status 255 "dr-wal get: the same" \
    dr-wal get --ca-file none -s a 000000010000000000000001 x
status 0 "dr-list with the options" dr-list --ca-file ca --allow-no-create-only a
status 0 "dr-verify" dr-verify --ca-file ca --allow-no-create-only a
ok "dr-pull" sh -c 'dr-pull --ca-file ca --allow-no-create-only a | cat >two'
status 0 "dr-restore" dr-restore --ca-file ca --allow-no-create-only -D new a

# --- how fast ----------------------------------------------------------------------
head -c 6000000 /dev/urandom | dr-snap --stdin note | cat >big
began=$(date +%s%N)
status 0 "a push at a limited rate" dr-push --plain --limit-rate 4M -n r a <big
took=$((($(date +%s%N) - began) / 1000000))
ok "takes its time: $took ms" test $took -ge 1200 -a $took -lt 10000

# --- how each store fares --------------------------------------------------------
mkdir m
DR_METRICS_DIR=$T/m
export DR_METRICS_DIR
mkdir c d
echo y | dr-snap --stdin note | cat >two
echo z | dr-snap --stdin note | cat >three
status 0 "a push into two stores" dr-push --plain -n m c d <two
at=$(grep "last_success.*/d\"" m/dr-push_m.prom)
rm -r d
status 3 "one of which goes away" dr-push --plain -n m --require 1 c d <three
match "its status is a metric" 'push_status\{set="m"\} 3$' m/dr-push-run_m.prom
match "by store" 'store_status\{set="m",store=".*/c"\} 0$' m/dr-push-run_m.prom
match "with the cause" 'store_status\{set="m",store=".*/d"\} 1$' \
    m/dr-push-run_m.prom
is "when it got its last backup is still said" \
    "$(grep "last_success.*/d\"" m/dr-push_m.prom)" "$at"
status 1 "both are away" dr-push --plain -n m d e <three
match "which is a metric too" 'push_status\{set="m"\} 1$' m/dr-push-run_m.prom
unset DR_METRICS_DIR

# --- where a set may go ------------------------------------------------------------
DR_CONF_DIR=$T/conf
export DR_CONF_DIR
mkdir conf b
echo "rpo=1h
regions='eu-west-1 $T/a'" >conf/s.conf
status 2 "a set does not go where it may not" dr-push --plain "$T/a" "$T/b" <one
match "which is named" "set \"s\" may not go into \"$T/b\"" err
match "with what is allowed" 'allows: eu-west-1' err
is "nothing is stored" "$(find b -type f | wc -l)" 0
status 2 "nor does its WAL" \
    dr-wal push -R to -s "$T/a" -s "$T/b" pg/pg_wal/$w
status 2 "which is not received either" dr-wal receive -R to --slot x \
    -d "host=$T port=1" "$T/b"
is "nothing is stored" "$(find a/s/wal b -type f 2>/dev/null | wc -l)" 0
status 0 "it goes where it may" push
status 0 "and so does its WAL" dr-wal push -R to -s a pg/pg_wal/$w
status 0 "another set goes anywhere" dr-push -n t --plain b <one
status 0 "and all can be read" dr-list -n s a b
echo 'regions=$(id)' >conf/s.conf
status 2 "a file that needs a shell is refused" push
match "with its line" 's.conf", line 1: ' err
rm conf/s.conf
mkdir conf/s.conf
status 1 "a file that cannot be read allows nothing" push

done_testing
