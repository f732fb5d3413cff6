#!/bin/sh
# dr-seal: with age on either side, and what it refuses.
. "${0%/*}/../lib.sh"
need age age-keygen minisign cmp

cd "$T" || exit 1
umask 077
age-keygen -o key 2>/dev/null
age-keygen -o other 2>/dev/null
age-keygen -y key >rec
age-keygen -y other >rec2

# opens KEY FILE WANT: age opens it to what WANT holds.
opens() {
	age -d -i "$1" "$2" >aged 2>aged.err && cmp aged "$3"
}

# --- age opens what we seal --------------------------------------------------
head -c 300000 /dev/urandom >noise
# A body at rest, with its manifest, of any length.
body() {
	head -c "$2" noise | age -R rec >"$1.age" &&
		dr-seal -q -d -f --foreign -i key -o "$1" "$1.age"
}

for n in 0 1 65535 65536 65537 131072 200000; do
	ok "a body of $n bytes" body "b$n" "$n"
	head -c "$n" noise >want
	ok "is what age had sealed" cmp "b$n" want
	ok "is sealed" dr-seal --no-signature -R rec -o "s$n.age" "b$n"
	ok "age opens it" opens key "s$n.age" want
	rm -f "o$n" "o$n.json"
	ok "so do we" dr-seal -d --no-signature -i key -o "o$n" "s$n.age"
	ok "to the same" cmp "o$n" want
done
is "the manifest says how it was sealed" \
    "$(grep -o '"seal":{"format":"age","recipient_count":1,' s1.age.json)" \
    '"seal":{"format":"age","recipient_count":1,'
nomatch "and no more once it is open" '"seal"' o1.json
is "with the recipient's fingerprint" \
    "$(grep -o '"recipients":\["[0-9a-f]*"\]' s1.age.json)" \
    "\"recipients\":[\"$(dr-key recipient --json key |
	sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/')\"]"
is "outputs are for their owner alone" "$(stat -c %a s1.age s1.age.json)" "600
600"

ok "to two, one by file, one by option" dr-seal --no-signature -R rec \
    -r "$(cat rec2)" -r "$(cat rec2)" -o two.age b200000
head -c 200000 noise >want
ok "the one opens it" opens key two.age want
ok "the other too" opens other two.age want
match "both are in the manifest" '"recipient_count":2' two.age.json

dr-snap --stdin x <noise | dr-seal -R rec --body | age -d -i key |
	tar -xO x >got
ok "--body pipes straight into age" cmp got noise

# --- we open what age sealed -------------------------------------------------
age -R rec -R rec2 -o many.age noise
ok "several recipients" dr-seal -d --foreign -i key -o many many.age
ok "open to the same" cmp many noise
dr-seal -d --foreign -i other --body <many.age >got
ok "from a pipe, with another's key" cmp got noise
dr-seal -d --foreign -i "$top/tests/vectors/keys/identity.txt" -q --body \
    -i key <many.age >got
ok "the right one of several identities" cmp got noise
v=$top/tests/vectors/keys
age -r "$(age-keygen -y "$v/identity.txt")" -o prot.age noise
dr-seal -d --foreign -i "$v/identity-passphrase.age" \
    --passphrase-file "$v/passphrase.txt" --body prot.age >got
ok "an identity that age -p protects" cmp got noise
age -a -R rec -o armored.age noise
status 4 "armor is refused" dr-seal -d --foreign -i key --body armored.age
match "with a hint" 'hint: .*age -d' err

# --- AES, and the way through a pipe -----------------------------------------
for c in age aes-256-gcm; do
	dr-snap --stdin x <noise | dr-seal --cipher "$c" -R rec |
		dr-seal -d -i key | dr-seal -d -i key -o bad 2>err
	is "$c: opening twice fails" "$?" 4
	dr-snap --stdin x <noise | dr-seal --cipher "$c" -R rec |
		dr-seal -d -i key -o "pipe.$c"
	is "$c: sealed and opened in a pipe" "$?" 0
	ok "$c: the tar is the same" sh -c "tar -xOf 'pipe.$c' x | cmp - noise"
	dr-snap --stdin x <noise | dr-seal --cipher "$c" -R rec -o "rest.$c"
	match "$c: the format is in the manifest" "\"format\":\"$c\"" \
	    "rest.$c.json"
	status 2 "$c: what is sealed is not sealed again" dr-seal \
	    --no-signature -R rec -o again "rest.$c"
	match "$c: and said to be" 'sealed already' err
	ok "$c: nothing is left" test ! -e again
done
is "the AES format names itself" "$(head -n 1 rest.aes-256-gcm)" \
    "drtools-seal/v1 aes-256-gcm"
status 1 "age does not take it for its own" age -d -i key rest.aes-256-gcm

# --- the environment ---------------------------------------------------------
ok "DR_RECIPIENTS, DR_CIPHER" env DR_RECIPIENTS="$T/rec $T/rec2" \
    DR_CIPHER=aes-256-gcm dr-seal --no-signature -o env.seal b1
match "hold" '"format":"aes-256-gcm","recipient_count":2' env.seal.json
ok "DR_IDENTITY; -R's variable is no option with -d" env \
    DR_RECIPIENTS="$T/rec" DR_CIPHER=aes-256-gcm DR_IDENTITY="$T/other" \
    dr-seal -d --no-signature -o env.out env.seal
ok "DR_IDENTITY_COMMAND" env DR_IDENTITY_COMMAND="cat '$T/key'" \
    dr-seal -d -f --no-signature -o env.out env.seal
ok "--identity-command" dr-seal -d -f --no-signature \
    --identity-command "cat '$T/key'" -o env.out env.seal
ok "an identity on standard input" sh -c \
    'dr-seal -d -f --no-signature -i - -o env.out env.seal <key'
status 1 "a command that fails" dr-seal -d -f --no-signature \
    --identity-command "cat '$T/key'; exit 7" -o env.out env.seal
match "is said to" 'ended with status 7' err

# --- what is refused ---------------------------------------------------------
status 2 "no recipient" dr-seal -o x b1
match "gets a hint" 'hint: .*-R FILE' err
cat rec key >mixed
status 2 "a private key among the recipients" dr-seal -R mixed -o x b1
match "is said to be one" 'private key' err
nomatch "and not shown" 'AGE-SECRET' err
status 2 "as an operand too" dr-seal -r "$(tail -n 1 key)" -o x b1
nomatch "and not shown either" 'AGE-SECRET' err
status 2 "a recipient that is none" dr-seal -r age1xyz -o x b1
status 1 "a file that is not there" dr-seal -R nothing -o x b1
status 2 "-r with -d" dr-seal -d -r "$(cat rec)" -i key -o x s1.age
status 2 "-R with -d" dr-seal -d -R rec -i key -o x s1.age
status 2 "--cipher with -d" dr-seal -d --cipher aes-256-gcm -i key -o x s1.age
status 2 "-i without -d" dr-seal -R rec -i key -o x b1
status 2 "--foreign without -d" dr-seal -R rec --foreign -o x noise
status 2 "no identity" dr-seal -d -o x s1.age
match "gets a hint too" 'hint: .*-i FILE' err
status 2 "a recipient as identity" dr-seal -d -i rec -o x s1.age
status 2 "-i - with the stream on standard input" dr-seal -d -i - -o x
status 2 "two operands" dr-seal -R rec -o x b1 b0
ok "none of these left a file" test ! -e x -a ! -e x.json

status 4 "the wrong key" dr-seal -d --no-signature -i other -o x s1.age
match "is said to be" 'no identity matches the recipients of' err
match "with a hint" 'hint: .*fingerprint' err
status 4 "the wrong passphrase" dr-seal -d --foreign \
    -i "$v/identity-passphrase.age" --passphrase-file "$v/minisign.data" \
    -o x prot.age
match "is said to be" 'passphrase is wrong' err
status 2 "an existing file" dr-seal --no-signature -R rec -o b0 b1
chmod 644 key
dr-seal -d -f --no-signature -i key -o env.out env.seal 2>err
match "an identity open to others gets a warning" 'warning: .*open to other' \
    err
chmod 600 key

dr-seal -d -f --no-signature --audit log -i key -o env.out env.seal
dr-seal -d -f --no-signature --audit log -i other -o x s1.age 2>err
is "opening is an act, failing to as well" \
    "$(grep -c '"act":"open".*"result":"ok"' log) $(grep -c \
    '"result":"cannot open' log)" "1 1"

# --- damage ------------------------------------------------------------------
through() {
	dr-seal -d -i key -o y <"$1"
}
dr-snap --stdin x <noise | dr-seal -R rec --stream >str
size=$(stat -c %s str)
ok "a stream in a file" through str
rm -f y y.json
bad=0 n=0
for at in 0 1 21 22 100 199 200 216 217 65736 65752 65753 $((size - 300)) \
    $((size - 36)) $((size - 1)); do
	head -c "$at" str >part
	n=$((n + 1))
	through part >/dev/null 2>err
	[ $? -eq 4 ] && [ ! -e y ] && [ ! -e y.json ] && continue
	note "cut at $at: $(cat err)"
	bad=$((bad + 1))
done
is "streams cut at $n places" "$bad" 0
status 4 "a stream of age's, which has no end mark" through many.age
match "gets a hint" 'hint: .*--foreign' err
bad=0
size=$(stat -c %s many.age)
for at in 0 30 150 300 400 420 500 66000 131500 299999 $((size - 1)); do
	cp many.age flip
	printf '%b' "$(printf '\\%03o' $((($(od -An -tu1 -j "$at" -N 1 \
	    many.age) + 1) % 256)))" |
		dd of=flip bs=1 seek="$at" conv=notrunc 2>/dev/null
	dr-seal -d --foreign -i key -o y flip 2>err
	[ $? -eq 4 ] && [ ! -e y ] && continue
	note "changed at $at: $(cat err)"
	bad=$((bad + 1))
done
is "changed bytes are refused" "$bad" 0
cat many.age noise >after
status 4 "bytes after the end" dr-seal -d --foreign -i key -o y after
ok "leave nothing either" test ! -e y
printf 'x' >>s200000.age
status 4 "a file that is not its manifest's" dr-seal -d --no-signature -i key \
    -o y s200000.age

# --- signed files ------------------------------------------------------------
minisign -G -W -p sign.pub -s sign.key >/dev/null 2>&1
minisign -S -s sign.key -m s65537.age.json -x s65537.age.json.minisig \
    -t s65537.age.json >/dev/null 2>&1
status 0 "a signed manifest" dr-seal -d -f -i key -K sign.pub -o y s65537.age
sed -i 's/"kind":"stream"/"kind":"files"/' s65537.age.json
status 4 "a changed one" dr-seal -d -f -i key -K sign.pub -o z s65537.age
ok "leaves nothing" test ! -e z

done_testing
