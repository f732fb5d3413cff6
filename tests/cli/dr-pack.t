#!/bin/sh
# dr-pack beside stock zstd and tar, and what it refuses.
. "${0%/*}/../lib.sh"
need zstd tar sha256sum od

# beside FILE [FACTS]: a manifest for FILE, which is packed unless FACTS say.
beside() {
	printf '{"drtools":1,"id":"20261120T120000Z-3f9a1c","kind":"stream","mode":"full","complete":true,"started":"2026-11-20T12:00:00Z","host":"h","labels":{},%s"object":{"name":"x","size":%s,"sha256":"%s"}}\n' \
	    "${2-\"pack\":{\"codec\":\"zstd-seekable\"\},}" \
	    "$(stat -c %s "$1")" "$(sha256sum "$1" | cut -d' ' -f1)" >"$1.json"
}
# u32 FILE AT: the little-endian number AT bytes before FILE's end.
u32() {
	tail -c "$2" "$1" | head -c 4 | od -An -tu4 --endian=little | tr -d ' '
}
# members FILE: its member index, a record a line.
members() {
	n_=$(u32 "$1" 9)
	size_=$(u32 "$1" 21)
	tail -c $((n_ * 12 + 17 + size_)) "$1" | head -c "$size_" |
	    tail -c +9 | zstd -dcq | tr '\0' '\n'
}
# same WHAT A B: two files are the same.
same() {
	ok "$1" cmp "$2" "$3"
}

# --- vectors -----------------------------------------------------------------
v=$top/tests/vectors/pack
while read -r sum f; do
	cp "$v/$f" "$T/v.zst"
	beside "$T/v.zst"
	for j in 1 3; do
		status 0 "$f -j $j" \
		    dr-pack -d -j $j --body -f -o "$T/v.out" "$T/v.zst"
		is "$f -j $j: its bytes" \
		    "$(sha256sum <"$T/v.out" | cut -d' ' -f1)" "$sum"
	done
	is "$f by zstd" "$(zstd -dcq <"$v/$f" | sha256sum | cut -d' ' -f1)" \
	    "$sum"
done <"$v/SHA256SUMS"
for f in "$v"/invalid-*; do
	cp "$f" "$T/v.zst"
	beside "$T/v.zst"
	for j in 1 3; do
		status 4 "${f##*/} -j $j" \
		    dr-pack -d -j $j -o "$T/none" "$T/v.zst"
	done
	is "${f##*/}: one line" "$(grep -c ' error: ' "$T/err")" 1
done
ok "none of them wrote anything" test ! -e "$T/none" -a ! -e "$T/none.json"

# --- tars of several makers --------------------------------------------------
mkdir -p "$T/tree/sub" || exit 1
echo one >"$T/tree/one"
echo two >"$T/tree/sub/two with a space"
: >"$T/tree/empty"
ln -s one "$T/tree/link"
ln "$T/tree/one" "$T/tree/sub/hard"
head -c 3000000 /dev/urandom >"$T/tree/random"
seq 1 400000 >"$T/tree/numbers"
truncate -s 1M "$T/tree/sparse"
echo end >>"$T/tree/sparse"
long=$(printf '%0150d' 7)
echo long >"$T/tree/$long"
mkdir -p "$T/tree/$long.d/$long"
echo longer >"$T/tree/$long.d/$long/x"

for format in pax gnu ustar v7; do
	case $format in
	pax | gnu) what=-S ;; # sparse
	*) what="--exclude=*$long*" ;;
	esac
	tar -C "$T" --format=$format "$what" -cf "$T/$format.tar" tree \
	    2>"$T/err" || exit 1
	status 0 "pack a $format tar" dr-pack --foreign --frame-size 1M \
	    -o "$T/$format.tar.zst" "$T/$format.tar"
	status 0 "zstd reads it" \
	    sh -c "zstd -dcq '$T/$format.tar.zst' | cmp - '$T/$format.tar'"
	members "$T/$format.tar.zst" >"$T/records"
	cut -d' ' -f5- "$T/records" >"$T/a"
	tar -tf "$T/$format.tar" --quoting-style=literal >"$T/b"
	same "the index names its members" "$T/a" "$T/b"
	status 0 "dr-pack reads it" \
	    dr-pack -d -o "$T/back.tar" -f "$T/$format.tar.zst"
	same "the same" "$T/back.tar" "$T/$format.tar"
	match "its facts" '"pack":\{"codec":"zstd-seekable","level":3,"frame_size":1048576,"frames":[67],"members":true\}' \
	    "$T/$format.tar.zst.json"
	match "and its size" "\"raw_size\":$(stat -c %s "$T/$format.tar")," \
	    "$T/$format.tar.zst.json"
	nomatch "which are taken out again" '"pack"' "$T/back.tar.json"
done
while read -r type size offset crc path; do
	[ "$type $path" = "0 tree/numbers" ] || continue
	is "a record's size" "$size" "$(stat -c %s "$T/tree/numbers")"
	tail -c +$((offset + 513)) "$T/v7.tar" | head -c "$size" >"$T/a"
	same "and offset" "$T/a" "$T/tree/numbers"
	is "and a CRC" "$(printf %s "$crc" | tr -d 0-9a-f | wc -c)" 0
done <"$T/records"
is "the table has no room for more" "$(u32 "$T/v7.tar.zst" 4)" 2408770225

# --- independent of threads, not of level and frame size ---------------------
tar=$T/pax.tar
for j in 1 2 5; do
	status 0 "-j $j" \
	    dr-pack --foreign -j $j --frame-size 64k -o "$T/j$j" "$tar"
done
same "-j 2 makes the same bytes" "$T/j1" "$T/j2"
same "so does -j 5" "$T/j1" "$T/j5"
dr-pack --foreign -l 1 -o "$T/l1" "$tar"
dr-pack --foreign -l 12 -o "$T/l12" "$tar"
ok "a higher level is smaller" \
    test "$(stat -c %s "$T/l12")" -lt "$(stat -c %s "$T/l1")"
dr-pack --foreign --frame-size 16M -o "$T/16m" "$tar"
match "one large frame" '"frame_size":16777216,"frames":1,' "$T/16m.json"
status 0 "is read with threads" dr-pack -d -j 3 -f -o "$T/back.tar" "$T/16m"
same "and is the same" "$T/back.tar" "$tar"

# --- streams -----------------------------------------------------------------
status 0 "a stream" sh -c "dr-pack --foreign '$tar' | cat >'$T/packed'"
status 0 "unpacked" sh -c "dr-pack -d <'$T/packed' | cat >'$T/snap'"
status 0 "packed again, with threads" \
    sh -c "dr-pack -j 3 <'$T/snap' | cat >'$T/packed2'"
same "gives the same stream" "$T/packed" "$T/packed2"
status 0 "--body" sh -c "dr-pack --body <'$T/snap' | zstd -dcq | cmp - '$tar'"
status 0 "with a trailer zstd reads it too" \
    sh -c "zstd -dcq <'$T/packed' | cmp - '$tar'"
status 4 "a body is no stream" sh -c "dr-pack -d <'$T/16m' >/dev/null"
match "with a hint" 'hint: .*--foreign' "$T/err"
size=$(stat -c %s "$T/packed")
for n in 0 1 100 $((size / 2)) $((size - 40)) $((size - 1)); do
	status 4 "packed, cut after $n" \
	    sh -c "head -c $n '$T/packed' | dr-pack -d -o '$T/none'"
done
size=$(stat -c %s "$T/snap")
for n in 0 1 511 512 700 $((size / 2)) $((size - 40)) $((size - 1)); do
	status 4 "a snapshot, cut after $n" \
	    sh -c "head -c $n '$T/snap' | dr-pack -o '$T/none'"
done
ok "nothing was written" test ! -e "$T/none" -a ! -e "$T/none.json"
status 0 "empty bytes" sh -c ": | dr-pack --foreign | dr-pack -d --foreign \
    --body | wc -c | grep -qx 0"

# --- foreign -----------------------------------------------------------------
zstd -q -19 -T2 -B1M <"$tar" >"$T/f1"
zstd -q --long=27 --no-check <"$tar" >"$T/f2"
(zstd -cq "$T/tree/one"; zstd -cq "$T/tree/empty"; zstd -cq "$T/tree/one") >"$T/f3"
for f in f1 f2 j1; do
	status 0 "zstd frames of another maker: $f" sh -c \
	    "dr-pack -d --foreign --body '$T/$f' | cmp - '$tar'"
done
is "several in a row" "$(dr-pack -d --foreign --body <"$T/f3" | tr '\n' ,)" \
    one,one,
head -c -1 "$T/f1" >"$T/f4"
status 4 "the last cut short" dr-pack -d --foreign -o "$T/none" "$T/f4"
(cat "$T/f1"; echo x) >"$T/f4"
status 4 "something behind it" dr-pack -d --foreign -o "$T/none" "$T/f4"
status 4 "nothing at all" dr-pack -d --foreign -o "$T/none" "$T/tree/empty"
status 4 "no zstd" dr-pack -d --foreign -o "$T/none" "$T/tree/numbers"
match "says so" 'is not packed' "$T/err"
head -c -2000 "$T/ustar.tar" | head -c 1000000 >"$T/short.tar"
status 4 "a tar cut short" dr-pack --foreign -o "$T/none" "$T/short.tar"
status 0 "no tar" dr-pack --foreign -o "$T/n.zst" "$T/tree/numbers"
match "has no members" '"members":false' "$T/n.zst.json"
status 4 "and is no snapshot" dr-pack -o "$T/none" "$T/tree/numbers"
match "without a manifest" 'numbers.json' "$T/err"
beside "$T/tree/numbers" ''
status 4 "nor with one" dr-pack -o "$T/none" "$T/tree/numbers"
match "which is said" 'no snapshot' "$T/err"

# --- what does not belong together -------------------------------------------
status 2 "packed twice" sh -c "dr-pack --body <'$T/packed' >'$T/out2'"
match "is refused with a hint" 'hint: dr-pack -d' "$T/err"
(echo age-encryption.org/v1; cat "$T/tree/numbers") >"$T/sealed"
beside "$T/sealed" '"seal":{},'
status 2 "sealed first" dr-pack -o "$T/none" "$T/sealed"
match "is refused with a hint" 'hint: .*dr-seal -d' "$T/err"
status 2 "sealed, unpacked" dr-pack -d -o "$T/none" "$T/sealed"
match "too" 'hint: .*dr-seal -d' "$T/err"
cp "$T/16m" "$T/odd"
beside "$T/odd" '"raw_size":5,"pack":{},'
status 4 "a manifest of other bytes" dr-pack -d -o "$T/none" "$T/odd"
match "says so" 'its manifest says 5' "$T/err"
beside "$T/odd" ''
status 4 "one that knows of no packing" dr-pack -d -o "$T/none" "$T/odd"
cp "$tar" "$T/odd"
beside "$T/odd" '"raw_size":5,'
status 4 "a snapshot of another size" dr-pack -o "$T/none" "$T/odd"
sum=$(sha256sum <"$T/16m")
status 2 "an output that exists" dr-pack --foreign -o "$T/16m" "$tar"
is "is left alone" "$(sha256sum <"$T/16m")" "$sum"

for o in '-l 0' '-l 20' '-j 0' '-j 65' '-j x' '--frame-size 65535' \
    '--frame-size 16777217' '--frame-size 0' '-d -l 3' '-d --frame-size 1M' \
    'a b'; do
	# shellcheck disable=SC2086 # words
	status 2 "dr-pack $o" dr-pack --foreign -o "$T/none" $o
done
ok "nothing was written at all" test ! -e "$T/none" -a ! -e "$T/none.json"

# --- ends --------------------------------------------------------------------
status 1 "a full disk" sh -c "dr-pack --foreign --body '$tar' >/dev/full"
mkfifo "$T/fifo"
(exec 3>"$T/fifo"; head -c 1000000 "$T/snap" >&3; sleep 20) &
feeder=$!
dr-pack -o "$T/none" <"$T/fifo" 2>"$T/err" &
pid=$!
sleep 0.3
kill -TERM $pid
wait $pid
is "SIGTERM ends it" $? 143
kill $feeder 2>/dev/null
wait $feeder 2>/dev/null
ok "and nothing is left" test -z "$(find "$T" -name '*none*')"
status 141 "a reader that leaves" sh -c \
    "{ dr-pack --foreign --frame-size 64k --body '$T/tree/random'; \
    echo \$? >'$T/st'; } | head -c 10 >/dev/null; exit \$(cat '$T/st')"

done_testing
