#!/bin/sh
# What we write is opened by stock tools, as dr-formats(5) says it is, and we
# open what they write.
. "${0%/*}/../lib.sh"
need age age-keygen zstd tar minisign sha256sum python3
cd "$T" || exit 1
page=$top/man/dr-formats.5

mkdir -p tree/sub store
head -c 3000000 /dev/urandom >tree/noise
seq 200000 >tree/sub/numbers
ln -s sub/numbers tree/link
ok "a key" dr-key new -o dr.key
dr-key recipient dr.key >to
is "age sees the same recipient" "$(age-keygen -y dr.key)" "$(cat to)"

# opened WHAT FILTER: unpacked by tar, it is the tree.
opened() {
	rm -rf dir
	mkdir dir
	ok "$1" sh -c "$2 | tar xp -C dir"
	ok "$1: the same files" diff -r tree dir/tree
	is "$1: the link" "$(readlink dir/tree/link)" sub/numbers
}

dr-snap tree | dr-pack | dr-seal -R to -o x.tar.zst.age
ok "sealed to a file" test -s x.tar.zst.age
opened "age, zstd, tar" "age -d -i dr.key x.tar.zst.age | zstd -d"
dr-snap tree | dr-pack -o x.tar.zst
opened "zstd, tar" "zstd -dc x.tar.zst"
ok "zstd finds its checksums right" zstd -tq x.tar.zst
dr-snap -o x.tar tree
opened "tar" "cat x.tar"
opened "tar, through an end mark" "dr-snap tree | cat"
opened "zstd, through an end mark" "dr-snap tree | dr-pack | zstd -dc"
opened "age from a pipe, with --body" \
    "dr-snap tree | dr-pack | dr-seal -R to --body | age -d -i dr.key | zstd -d"

# --- the recipe for AES ----------------------------------------------------------
sed -n '/^import base64/,/^\.Ed/p' "$page" | sed '$d; s/\\e/\\/g' >unseal.py
ok "the page has a recipe" test "$(grep -c . unseal.py)" -gt 30
if python3 -c 'import cryptography' 2>/dev/null; then
	other=$(age-keygen 2>/dev/null | age-keygen -y)
	for file in x.tar.zst empty chunk large; do
		case $file in
		empty) : >empty ;;
		chunk) head -c 131072 /dev/urandom >chunk ;;
		large) head -c 131073 /dev/urandom >large ;;
		esac
		dr-snap --stdin x <"$file" |
		    dr-seal -r "$other" -R to --cipher aes-256-gcm \
		    -o "$file.seal" -f
		python3 unseal.py dr.key <"$file.seal" | tar xO x >got
		ok "the recipe opens what AES sealed: $file" cmp got "$file"
	done
	head -c 100000 large.seal >part
	status 1 "and nothing cut short" python3 unseal.py dr.key <part
else
	skip "the recipe for AES" "python3-cryptography is not installed"
	[ "${CI:-}" != true ] || ok "python3-cryptography is there" false
fi

# --- a store ----------------------------------------------------------------------
dr-snap tree | dr-pack | dr-seal -R to | dr-push -n main store
json=$(cd store && ls main/snap/*.json)
ok "a manifest" test -s "store/$json"
status 0 "minisign verifies it" minisign -V -p "$DR_STATE/sign.key.pub" \
    -m "store/$json" -x "store/$json.minisig"
match "the trusted comment is its path" "^Trusted comment: $json\$" "$T/out"
get() {
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["object"][sys.argv[2]])' "store/$json" "$1"
}
name=$(get name)
ok "sha256sum finds the body as the manifest says" sh -c \
    "cd store/main/snap && echo '$(get sha256)  ${name##*/}' | sha256sum -c"
is "and so its size" "$(stat -c %s "store/main/snap/${name##*/}")" "$(get size)"
opened "age, zstd, tar from a store" \
    "age -d -i dr.key store/main/snap/*.tar.zst.age | zstd -d"

# --- the other way round -----------------------------------------------------------
tar c tree | zstd -q | age -R to >theirs
ok "what age, zstd and tar wrote is opened" sh -c \
    "dr-seal -d --foreign -i dr.key <theirs | dr-pack -d --foreign --body | tar x -C dir"
is "as a whole" "$(diff -r tree dir/tree)" ""
head -c 1000000 theirs >part
status 4 "or not at all" sh -c \
    "dr-seal -d --foreign -i dr.key <part >/dev/null"

done_testing
