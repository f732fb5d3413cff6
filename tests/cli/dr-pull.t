#!/bin/sh
# dr-pull: a backup out of a store, proved, or nothing.
. "${0%/*}/../lib.sh"
need dr-snap dr-seal dr-pack dr-key dr-push minisign age script

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
mkdir st
DR_SET=s DR_STORE=$T/st
export DR_SET DR_STORE
for i in 1 2; do
	echo "number $i" | dr-snap --stdin note | dr-pack | dr-seal -R to |
	    dr-push
done
set -- st/s/snap/*[0-9a-f].json
# In order of commit.
m1=$(grep -l '"seq":1,' "$@")
m2=$(grep -l '"seq":2,' "$@")
id1=$(basename "$m1" .json)
id2=$(basename "$m2" .json)
body() {
	echo "st/$(grep -o '"name":"s/[^"]*' "$1" | cut -d'"' -f4)"
}
b1=$(body "$m1")
b2=$(body "$m2")

# --- streams and files ------------------------------------------------------------
status 0 "the latest" sh -c 'dr-pull | dr-seal -d -i id | dr-pack -d --body |
    tar -xOf -'
match "is the second" '^number 2$' out
status 0 "an earlier one" sh -c "dr-pull -b $id1 | dr-seal -d -i id |
    dr-pack -d --body | tar -xOf -"
match "is the first" '^number 1$' out
status 0 "by a prefix" dr-pull -b "${id1%?}" --manifest
ok "its manifest, byte for byte" cmp out "$m1"
status 0 "into a file" dr-pull -b "$id1" -o f.age
is "is silent" "$(cat out err)" ""
ok "the body" cmp f.age "$b1"
ok "the manifest" cmp f.age.json "$m1"
ok "the signature" cmp f.age.json.minisig "$m1.minisig"
ok "which minisign takes" \
    minisign -Vq -p "$DR_STATE/sign.key.pub" -m f.age.json
is "all of them private" "$(stat -c %a f.age f.age.json \
    f.age.json.minisig | sort -u)" 600
ok "age opens the body" sh -c 'age -d -i id f.age | zstd -dc |
    tar -xOf - | grep -q "number 1"'
status 2 "not over a file" dr-pull -o f.age
match "with a hint" 'hint: -f' err
ok "which stays" cmp f.age "$b1"
rm f.age f.age.json
status 2 "nor over its signature" dr-pull -b "$id1" -o f.age
is "nor was anything written" "$(ls f.age*)" f.age.json.minisig
status 0 "with -f" dr-pull -f -b "$id2" -o f.age
ok "it is another" cmp f.age "$b2"
ok "manifest and signature too" sh -c "cmp f.age.json '$m2' &&
    cmp f.age.json.minisig '$m2.minisig'"
status 0 "the stream to a file" sh -c 'dr-pull --stream >x'
status 0 "which is a stream" sh -c 'dr-seal -d -i id <x | cat >y'
status 0 "the body to a file" sh -c 'dr-pull --body >x'
ok "which is the body" cmp x "$b2"
status 0 "the body into a pipe" sh -c 'dr-pull --body | cmp - "$0"' "$b2"
status 2 "neither, to a file" sh -c 'dr-pull >x'
status 0 "any object" dr-pull --object "${b1#st/}" -o obj
ok "as it is" sh -c "cmp obj '$b1' && test ! -e obj.json"
status 2 "not over a file" dr-pull --object "${b1#st/}" -o obj
status 0 "the manifest into a file" dr-pull --manifest -o man
ok "and nothing beside it" sh -c "cmp man '$m2' && test ! -e man.json"

# --- what is not there -------------------------------------------------------------
status 1 "no such backup" dr-pull -b 19990101 --manifest
match "says so" 'no backup "19990101"' err
status 2 "a prefix of two" dr-pull -b 2 --manifest
match "names both" "$id1 or $id2|$id2 or $id1" err
status 1 "a set that is not there" dr-pull -n none --manifest
status 1 "a store that is not there" dr-pull --manifest none
status 0 "another after it" dr-pull --manifest none st
match "with a warning" 'warning: .*none' err
status 4 "an object that is not there" dr-pull --object s/none -o none
ok "leaves nothing" test ! -e none
status 1 "a name that leaves the store" dr-pull --object ../to

# --- the command line ----------------------------------------------------------------
status 2 "no set" env -u DR_SET dr-pull --manifest
status 2 "no store" env -u DR_STORE dr-pull --manifest
status 2 "--object with -b" dr-pull --object x -b y
status 2 "--object with --manifest" dr-pull --object x --manifest
status 2 "--manifest with --body" dr-pull --manifest --body
script -qec "dr-pull" /dev/null </dev/null >tty 2>&1
is "a terminal" "$?" 2
match "is refused" 'terminal' tty

# --- keys -------------------------------------------------------------------------
mv "$DR_STATE/sign.key.pub" k.pub
status 2 "no key to verify with" dr-pull --manifest
match "has a hint" 'hint: .*-K.*--no-signature' err
status 0 "-K" dr-pull -K k.pub --manifest
status 0 "DR_VERIFY_KEY" env DR_VERIFY_KEY="$T/k.pub" dr-pull --manifest
status 0 "--no-signature" dr-pull --no-signature --manifest
dr-key sign-new -o other >/dev/null 2>&1
status 1 "another key trusts none of them" dr-pull -K other.pub --manifest
match "and says so" 'no backup that can be trusted' err
status 4 "nor one by name" dr-pull -K other.pub -b "$id1" --manifest
match "whose signer is named" "$(grep -o '"signer":"[^"]*' "$m1" |
    cut -d'"' -f4)" err
cat other.pub k.pub >both.pub
status 0 "a file of several keys" dr-pull -K both.pub --manifest
mv k.pub "$DR_STATE/sign.key.pub"

# --- damage ------------------------------------------------------------------------
# each CASE STATUS COMMAND: after changes to a copy of the store.
fresh() {
	rm -rf bad out1*
	cp -a st bad
	DR_STORE=$T/bad
}
in_bad() {
	echo "bad${1#st}"
}
fresh
printf X | dd of="$(in_bad "$b2")" bs=1 seek=400 conv=notrunc 2>/dev/null
status 4 "a changed body" dr-pull --body
sh -c 'dr-pull 2>/dev/null' | cat >out1
status 4 "has no end mark" dr-seal -d -i id --stream <out1
status 4 "and no name" dr-pull -o out1f
is "none at all" "$(find . -maxdepth 1 -name '*out1f*')" ""
status 4 "also without a look at signatures" dr-pull --no-signature -o out1f
fresh
: >"$(in_bad "$b2")"
status 4 "a body cut off" dr-pull -o out1
match "says so" 'has 0 bytes, its manifest says' err
fresh
rm "$(in_bad "$b2")"
status 4 "a body that is gone" dr-pull -o out1
match "says so" 'is missing' err
fresh
sed -i 's/"host":"/"host":"x/' "$(in_bad "$m2")"
status 4 "a changed manifest" dr-pull -b "$id2" -o out1
status 0 "another is the latest then" dr-pull --manifest
match "with a warning" "warning: passing over backup $id2" err
fresh
rm "$(in_bad "$m2.minisig")"
status 4 "one not signed" dr-pull -b "$id2" -o out1
match "says so" 'is not signed' err
fresh
cp "$m1" "$(in_bad "$m2")"
cp "$m1.minisig" "$(in_bad "$m2.minisig")"
status 4 "one of another id, with its signature" dr-pull -b "$id2" -o out1
fresh
cp -r bad/s bad/t
status 4 "one of another set" dr-pull -n t -b "$id2" -o out1
status 4 "even without signatures" \
    dr-pull -n t --no-signature -b "$id2" -o out1
match "says so" 'is a manifest of set "s"' err
fresh
sed 's/"drtools":1/"drtools":2/' "$m2" >"$(in_bad "$m2")"
status 4 "one of a later version" dr-pull --no-signature -b "$id2" -o out1
match "says so" 'is of version 2' err
fresh
tr -d '\n' <"$m2" >"$(in_bad "$m2")"
status 4 "one without its newline" dr-pull --no-signature -b "$id2" -o out1
fresh
sed 's|"name":"s/snap/|"name":"s/../../|' "$m2" >"$(in_bad "$m2")"
status 4 "one that points elsewhere" dr-pull --no-signature -b "$id2" -o out1
is "none of that left a file" "$(find . -maxdepth 1 -name '*out1*')" ""

# --- whoever reads may leave -----------------------------------------------------
DR_STORE=$T/st
head -c 5000000 /dev/urandom | dr-snap --stdin big | dr-seal -R to | dr-push
(
	dr-pull 2>err
	echo $? >st.exit
) | head -c 100 >out
is "a reader that leaves" "$(cat st.exit)" 141
is "is not talked about" "$(cat err)" ""
done_testing
