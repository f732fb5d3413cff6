# scenarios.sh - small runs of each tool, for lib.sh.
# shellcheck shell=sh disable=SC2046,SC2015,SC2154 # nothing, or -f

# shellcheck disable=SC2034 # for the .t files
scenarios='snap pack unpack seal unseal push pull list verify deep restore cluster
    key sign_key pack_pipe seal_pipe unseal_pipe push_pipe pull_pipe
    exec stdin push_two audited wal_push wal_batch wal_ledger'

fix=$T/fix
mkdir "$fix" "$fix/tree" "$fix/tree/sub" || exit 1
cd "$fix" || exit 1
head -c 150000 /dev/urandom >tree/noise
seq 30000 >tree/sub/num
ln -s noise tree/link
: >tree/empty
dr-snap -o in.tar tree &&
	dr-pack -o p.zst in.tar &&
	dr-key new -o id 2>/dev/null &&
	dr-key sign-new -o sign.key 2>/dev/null &&
	dr-key recipient id >to &&
	dr-seal -R to -o s.age p.zst &&
	mkdir store &&
	dr-push -n t -k sign.key --no-signature --input s.age store || exit 1
for i in 1 2 3; do
	python3 "$top/tests/walseg.py" data 00000001000000000000000$i \
	    segsize=2097152 && : >data/pg_wal/archive_status/00000001000000000000000$i.ready ||
		exit 1
done
rm -rf "$DR_STATE" || exit 1
dr-pack -o p.zst -f --stream in.tar && mv p.zst p.stream &&
	dr-pack -o p.zst -f in.tar && dr-seal -R to --stream -o s.stream p.zst &&
	dr-list -n t -K sign.key.pub store >list &&
	dr-verify -n t -K sign.key.pub store >verified &&
	dr-verify --deep -n t -i id -K sign.key.pub store >deep &&
	python3 "$top/tests/fakepg.py" pg CRC32C spaces &&
	dr-pack -l 1 --frame-size 64k -o pg.zst pg || exit 1
DR_STATE=$T/w/state
export DR_STATE

tool_of() {
	case $1 in
	key | sign_key) echo dr-key ;;
	wal_*) echo dr-wal ;;
	deep) echo dr-verify ;;
	exec | stdin) echo dr-snap ;;
	push_two | audited) echo dr-push ;;
	un*) tool_of "${1#un}" ;;
	*_pipe) tool_of "${1%_pipe}" ;;
	cluster) echo dr-restore ;;
	*) echo "dr-$1" ;;
	esac
}

force() {
	[ -z "$again" ] || [ ! -e "$1" ] || echo -f
}

# The same files as in tree, where a tar comes on standard input.
same_tree() {
	rm -rf x && mkdir x && tar -xf - -C x && rm -rf x/.drtools &&
		diff -qr --no-dereference "$fix/tree" x/tree && rm -rf x
}

# A FILE without its FILE.json is taken for a body without end mark, and must
# have all of it.
run_snap() {
	(cd "$fix" && exec dr-snap $(cd "$T/w" && force out) -o "$T/w/out" tree)
}
whole_snap() {
	[ ! -e out ] && [ ! -e out.json ] && return
	if [ -e out.json ] && grep -Eq '"complete": ?false' out.json; then
		tar -tf out >/dev/null # it says itself that it has not all
	else
		same_tree <out
	fi
}
done_snap() {
	[ -e out.json ] && same_tree <out
}

run_pack() {
	dr-pack -j 2 --frame-size 64k $(force out) -o out "$fix/in.tar"
}
whole_pack() {
	if [ -e out.json ]; then
		dr-pack -d --body out | cmp - "$fix/in.tar"
	elif [ -e out ]; then
		zstd -dqc out | cmp - "$fix/in.tar"
	fi
}
done_pack() {
	[ -e out.json ] && whole_pack
}

run_unpack() {
	dr-pack -d -j 2 $(force out) -o out "$fix/p.zst"
}
whole_unpack() {
	[ ! -e out ] && [ ! -e out.json ] || cmp out "$fix/in.tar"
}
done_unpack() {
	[ -e out.json ] && whole_unpack
}

run_seal() {
	dr-seal -R "$fix/to" $(force out) -o out "$fix/p.zst"
}
whole_seal() {
	if [ -e out.json ]; then
		dr-seal -d -i "$fix/id" --body out | cmp - "$fix/p.zst"
	elif [ -e out ]; then
		dr-seal -d -i "$fix/id" --foreign --body out |
			cmp - "$fix/p.zst"
	fi
}
done_seal() {
	[ -e out.json ] && whole_seal
}

run_unseal() {
	dr-seal -d -i "$fix/id" $(force out) -o out "$fix/s.age"
}
whole_unseal() {
	[ ! -e out ] && [ ! -e out.json ] || cmp out "$fix/p.zst"
}
done_unseal() {
	[ -e out.json ] && whole_unseal
}

set_push() {
	mkdir store
}
run_push() {
	dr-push -n t -k "$fix/sign.key" --no-signature --input "$fix/s.age" \
	    store
}
whole_push() {
	[ -d store ] || return 0
	for f in store/t/snap/*.json; do
		[ -e "$f" ] || return 0
	done
	dr-pull -n t -K "$fix/sign.key.pub" --stream store |
		dr-seal -d -i "$fix/id" --body | cmp - "$fix/p.zst"
}
done_push() {
	for f in store/t/snap/*.json; do
		[ -e "$f" ] || return 1
	done
	whole_push
}

run_pull() {
	dr-pull -n t -K "$fix/sign.key.pub" $(force out) -o out "$fix/store"
}
whole_pull() {
	[ ! -e out ] && [ ! -e out.json ] || cmp out "$fix/s.age" || return 1
	# The manifest comes last.
	[ ! -e out.json ] ||
		dr-seal -d -i "$fix/id" -K "$fix/sign.key.pub" --body out |
		cmp - "$fix/p.zst"
}
done_pull() {
	[ -e out.json ] && [ -e out.json.minisig ] && whole_pull
}

run_key() {
	dr-key new $(force id) -o id
}
whole_key() {
	[ ! -e id ] || dr-key recipient id | grep -q '^age1'
}
done_key() {
	[ -e id ] && whole_key
}

run_sign_key() {
	dr-key sign-new $(force key) -o key
}
whole_sign_key() {
	[ ! -e key ] || [ "$(dr-key sign-public key | tail -n 1)" != "" ]
}
done_sign_key() {
	[ -e key ] && [ -e key.pub ] && whole_sign_key &&
		[ "$(dr-key sign-public key | tail -n 1)" = \
		    "$(tail -n 1 key.pub)" ]
}

# Down a pipe, what is not whole must not have an end that says so.
run_pack_pipe() {
	dr-pack -j 2 --frame-size 64k --stream "$fix/in.tar" >out
}
whole_pack_pipe() {
	! dr-pack -d --body <out >x 2>>why || cmp x "$fix/in.tar"
}
done_pack_pipe() {
	dr-pack -d --body <out | cmp - "$fix/in.tar"
}

run_seal_pipe() {
	dr-seal -R "$fix/to" --stream <"$fix/p.stream" >out
}
whole_seal_pipe() {
	! dr-seal -d -i "$fix/id" --body <out >x 2>>why || cmp x "$fix/p.zst"
}
done_seal_pipe() {
	dr-seal -d -i "$fix/id" --body <out | cmp - "$fix/p.zst"
}

run_unseal_pipe() {
	dr-seal -d -i "$fix/id" --stream <"$fix/s.stream" >out
}
whole_unseal_pipe() {
	! dr-pack -d --body <out >x 2>>why || cmp x "$fix/in.tar"
}
done_unseal_pipe() {
	dr-pack -d --body <out | cmp - "$fix/in.tar"
}

set_push_pipe() {
	mkdir store
}
run_push_pipe() {
	dr-push -n t -k "$fix/sign.key" store <"$fix/s.stream"
}
whole_push_pipe() {
	whole_push
}
done_push_pipe() {
	done_push
}

run_pull_pipe() {
	dr-pull -n t -K "$fix/sign.key.pub" --stream "$fix/store" >out
}
whole_pull_pipe() {
	whole_seal_pipe
}
done_pull_pipe() {
	done_seal_pipe
}

run_list() {
	dr-list -n t -K "$fix/sign.key.pub" "$fix/store" >out
}
whole_list() {
	:
}
done_list() {
	cmp out "$fix/list"
}

run_verify() {
	dr-verify -n t -K "$fix/sign.key.pub" "$fix/store" >out
}
whole_verify() {
	:
}
done_verify() {
	cmp out "$fix/verified"
}

run_deep() {
	dr-verify --deep -n t -i "$fix/id" -K "$fix/sign.key.pub" \
	    "$fix/store" >out
}
whole_deep() {
	:
}
done_deep() {
	cmp out "$fix/deep"
}

# What a command gives.
run_exec() {
	dr-snap $(force out) -o out --exec num -- cat "$fix/tree/sub/num"
}
whole_exec() {
	[ ! -e out ] && [ ! -e out.json ] ||
		[ "$(tar -xOf out num/00000000 | cksum)" = \
		    "$(cksum <"$fix/tree/sub/num")" ]
}
done_exec() {
	[ -e out.json ] && whole_exec
}

run_stdin() {
	dr-snap $(force out) -o out --stdin num <"$fix/tree/sub/num"
}
whole_stdin() {
	whole_exec
}
done_stdin() {
	done_exec
}

# One store is enough; what is in one is whole.  The same backup once more
# goes only where it was before: that is 3, and another tool's to mend.
set_push_two() {
	mkdir store two
}
run_push_two() {
	dr-push -n t -k "$fix/sign.key" --require 1 --no-signature \
	    --input "$fix/s.age" store two
	st=$?
	[ -z "$again" ] || [ $st -ne 3 ] || st=0
	return $st
}
whole_push_two() {
	for f in two/t/snap/*.json; do
		[ ! -e "$f" ] ||
			dr-pull -n t -K "$fix/sign.key.pub" --stream two |
			dr-seal -d -i "$fix/id" --body |
			cmp - "$fix/p.zst" || return 1
	done
	whole_push
}
done_push_two() {
	n_=0
	for f in store/t/snap/*.json two/t/snap/*.json; do
		[ ! -e "$f" ] || n_=$((n_ + 1))
	done
	[ $n_ -eq 2 ] || { [ $n_ -eq 1 ] && [ "$again" != "" ]; } || return 1
	whole_push_two
}

# Acts are written down, and counted; where that fails a warning says so.
set_audited() {
	mkdir store metrics
}
run_audited() {
	DR_AUDIT=audit DR_METRICS_DIR=metrics run_push
}
whole_audited() {
	whole_push
}
done_audited() {
	grep -q '^dr-push: warning: ' "$T/err" || {
		grep -q '"result":"ok"' audit &&
			[ "$(find metrics -name '*.prom')" != "" ]
	} && done_push
}

# A tree that is not whole has a mark.
run_restore() {
	[ -z "$again" ] || rm -rf R
	dr-restore -n t -i "$fix/id" -K "$fix/sign.key.pub" -D R "$fix/store"
}
whole_restore() {
	[ ! -e R/tree ] || [ -e R/.drtools-restore-incomplete ] ||
		diff -qr --no-dereference "$fix/tree" R/tree
}
done_restore() {
	[ ! -e R/.drtools-restore-incomplete ] &&
		diff -qr --no-dereference "$fix/tree" R/tree
}

# WAL: what is in the store is whole.
set_wal_push() {
	mkdir store
}
wal_push() {
	dr-wal push -n t -k "$fix/sign.key" -R "$fix/to" -s store "$@"
}
wal_object() {
	echo "store/t/wal/7300000000000000001/00000001/00000001000000000000000$1.zst.age"
}
run_wal_push() {
	wal_push "$fix/data/pg_wal/000000010000000000000001"
}
whole_wal_push() {
	for i in 1 2 3; do
		o=$(wal_object $i)
		[ ! -e "$o" ] || age -d -i "$fix/id" "$o" | zstd -dcq |
			cmp - "$fix/data/pg_wal/00000001000000000000000$i" ||
			return 1
	done
	for l in store/t/wal/*/*/ledger-*.json; do
		[ ! -e "$l" ] || minisign -Vq -p "$fix/sign.key.pub" \
		    -m "$l" || return 1
	done
}
done_wal_push() {
	[ -e "$(wal_object 1)" ] && whole_wal_push
}

set_wal_batch() {
	mkdir store
}
run_wal_batch() {
	wal_push --batch "$fix/data/pg_wal/000000010000000000000001"
}
whole_wal_batch() {
	whole_wal_push
}
done_wal_batch() {
	done_wal_push
}

set_wal_ledger() {
	mkdir store
	run_wal_push
}
run_wal_ledger() {
	dr-wal push --ledger -n t -k "$fix/sign.key" -s store
}
whole_wal_ledger() {
	whole_wal_push
}
done_wal_ledger() {
	whole_wal_push && ls store/t/wal/*/*/ledger-*.json &&
		grep -q 000000010000000000000001.zst.age store/t/wal/*/*/ledger-*.json
}

# A cluster that is not whole has the mark, and no pg_control until the rest
# is there.
run_cluster() {
	[ -z "$again" ] || rm -rf R ts
	dr-restore -j 2 --tablespace "16384=$PWD/ts" -D R "$fix/pg.zst"
}
whole_cluster() {
	[ -e R/global/pg_control ] || return 0
	tar -xOf "$fix/pg" base/1/1259 | cmp - R/base/1/1259 &&
		[ -e R/recovery.signal ] && [ -L R/pg_tblspc/16384 ] &&
		[ -s ts/PG_15_1/5/1 ]
}
done_cluster() {
	[ ! -e R/.drtools-restore-incomplete ] && [ -e R/global/pg_control ] &&
		whole_cluster
}
