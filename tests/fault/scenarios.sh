# scenarios.sh - small runs of each tool, for lib.sh.
# shellcheck shell=sh disable=SC2046,SC2015,SC2154 # nothing, or -f

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
rm -rf "$DR_STATE"
DR_STATE=$T/w/state
export DR_STATE

tool_of() {
	case $1 in
	key | sign_key) echo dr-key ;;
	un*) echo "dr-${1#un}" ;;
	*) echo "dr-$1" ;;
	esac
}

force() {
	[ -z "$again" ] || [ ! -e "$1" ] || echo -f
}

# The same files as in tree, where a tar comes on standard input.
same_tree() {
	rm -rf x && mkdir x && tar -xf - -C x && rm -rf x/.drtools &&
		diff -r --no-dereference "$fix/tree" x/tree && rm -rf x
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
	for f in store/t/snap/*.json; do
		[ -e "$f" ] || return 0
	done
	dr-pull -n t -K "$fix/sign.key.pub" --body store | cmp - "$fix/s.age"
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
