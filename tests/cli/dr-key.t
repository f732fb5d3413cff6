#!/bin/sh
# dr-key: keys that age and minisign use, and theirs.
. "${0%/*}/../lib.sh"
need age age-keygen minisign cmp python3

cd "$T" || exit 1
umask 022
v=$top/tests/vectors/keys

# typed LINE COMMAND...: run it on a terminal and type LINE at each prompt.
cat >typed.py <<'END'
import os, pty, sys

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
while True:
    try:
        more = os.read(fd, 1000)
    except OSError:
        break
    if not more:
        break
    os.write(1, more)
    said += more
    if said.rstrip().endswith(b":"):
        os.write(fd, sys.argv[1].encode() + b"\n")
        said = b""
sys.exit(os.waitpid(pid, 0)[1] != 0)
END
typed() {
	python3 typed.py "$@"
}

# --- identities --------------------------------------------------------------
status 0 "a new identity" dr-key new -o key
is "is for its owner alone" "$(stat -c %a key)" 600
is "nothing on standard output" "$(cat out)" ""
is "its public key is told" "$(sed 's/.*: //' err)" "$(age-keygen -y key)"
match "it says when" '^# created: 20[0-9T:-]*Z$' key
match "and what it is" '^# public key: age1' key
is "dr-key recipient prints it too" "$(dr-key recipient key)" \
    "$(age-keygen -y key)"
is "from standard input" "$(dr-key recipient <key)" "$(age-keygen -y key)"
echo hello >f
age -r "$(dr-key recipient key)" -o f.age f
is "age opens with it" "$(age -d -i key f.age)" hello
status 2 "it is not overwritten" dr-key new -o key
match "but for -f" 'hint: -f' err
cp key key.was
status 0 "with -f it is" dr-key new -f -o key
ok "by another" sh -c '! cmp -s key key.was'
status 0 "to standard output" dr-key new
match "an identity" '^AGE-SECRET-KEY-1[0-9A-Z]{58}$' out
match "its public key on standard error" '^Public key: age1' err
status 0 "and with -q" dr-key new -q
is "not that" "$(cat err)" ""

printf 'pass words\n' >pw
status 0 "a protected one" dr-key new --passphrase-file pw -o prot
is "is for its owner alone" "$(stat -c %a prot)" 600
nomatch "hides the key" 'AGE-SECRET|public key' prot
rec=$(dr-key recipient --passphrase-file pw prot)
is "and tells its recipient" "$rec" "$(sed 's/.*: //' err)"
age -r "$rec" -o f2.age f
typed 'pass words' age -d -i prot -o f2 f2.age >screen 2>&1
ok "age opens with it, asking for the passphrase" cmp f f2
printf 'other\n' >pw2
status 4 "a wrong passphrase" dr-key recipient --passphrase-file pw2 prot
: >empty
status 1 "an empty one" dr-key new --passphrase-file empty -o prot2
ok "makes no file" test ! -e prot2
typed 'typed words' dr-key new -p -o prot3 >screen 2>&1
printf 'typed words\n' >pw3
ok "a passphrase typed twice" dr-key recipient --passphrase-file pw3 prot3
nomatch "is not echoed" 'typed words' screen
is "an identity that age-keygen made" \
    "$(dr-key recipient "$v/identity.txt" 2>/dev/null)" \
    "$(age-keygen -y "$v/identity.txt")"
is "one that age -p protected, armored or not" \
    "$(dr-key recipient --passphrase-file "$v/passphrase.txt" \
	"$v/identity-passphrase.age" "$v/identity-passphrase-armored.age" |
	sort -u)" "$(age-keygen -y "$v/identity.txt")"

# --- signing keys ------------------------------------------------------------
status 0 "a new signing key" dr-key sign-new -o sign
is "its modes" "$(stat -c %a sign sign.pub)" "600
644"
match "its id is told" '^Key id: [0-9a-f]{16}$' err
is "its public half" "$(dr-key sign-public sign)" "$(cat sign.pub)"
ok "minisign signs with it" minisign -S -s sign -m f
ok "and verifies with it" minisign -V -p sign.pub -m f
status 2 "no place to put it" dr-key sign-new
status 2 "it is not overwritten" dr-key sign-new -o sign
status 0 "but for -f" dr-key sign-new -f -o sign
ok "both halves" sh -c 'minisign -S -s sign -m f && minisign -Vm f -p sign.pub'
touch other.pub
status 1 "nor is a public key alone" dr-key sign-new -o other
ok "and the secret one not made" test ! -e other
status 0 "as JSON" dr-key sign-new --json -o json
match "with id and key" '"public_key":"RW.*","key_id":"[0-9a-f]{16}"}$' out
chmod 640 sign
status 2 "a key open to others is refused" dr-key sign-public sign
match "with a hint" 'hint: chmod 600' err

minisign -G -W -p m.pub -s m.key >/dev/null 2>&1
chmod 600 m.key
is "minisign's unencrypted key" "$(dr-key sign-public m.key | tail -n 1)" \
    "$(tail -n 1 m.pub)"
cp "$v/minisign-passphrase.key" e.key
chmod 600 e.key
is "an encrypted one" \
    "$(dr-key sign-public --passphrase-file "$v/passphrase.txt" e.key |
	tail -n 1)" "$(tail -n 1 "$v/minisign.pub")"
status 4 "a wrong passphrase" dr-key sign-public --passphrase-file pw e.key
status 2 "a public key is no secret one" dr-key sign-public m.pub

# --- audit -------------------------------------------------------------------
dr-key new -q --audit log -o audited
match "making a key is an act" '"act":"make key".*"public":"age1' log
nomatch "without the secret" 'AGE-SECRET' log

# --- show --------------------------------------------------------------------
dr-key recipient key >rec
status 0 "show" dr-key show key prot rec sign.pub m.key e.key f.minisig
cat >want <<END
key: identity
prot: identity, protected by a passphrase
rec: recipient
sign.pub: verify key
m.key: signing key
e.key: signing key, protected by a passphrase
f.minisig: signature
END
is "says what each is" "$(grep -v '^ ' out)" "$(cat want)"
nomatch "and no secret" 'AGE-SECRET' out
is "an identity and its recipient have one fingerprint" \
    "$(dr-key show key | grep finger)" "$(dr-key show rec | grep finger)"
is "a key and its signature one id" "$(dr-key show sign.pub | grep 'key id')" \
    "$(dr-key show f.minisig | grep 'key id')"
match "a protected one, opened" 'recipient +age1' - <<END
$(dr-key show --passphrase-file pw prot)
END
dr-key show --json key rec sign.pub >out
is "as JSON, a line each" "$(wc -l <out)" 3
ok "which parses" python3 -c 'import json, sys
[json.loads(x) for x in open("out")]'
status 2 "what is no key" dr-key show f
status 1 "what is not there" dr-key show nothing
status 2 "show of nothing" dr-key show
status 2 "no verb" dr-key
status 2 "a verb that is none" dr-key frobnicate
status 2 "an operand too many" dr-key new x
status 2 "sign-public of two" dr-key sign-public sign sign

done_testing
