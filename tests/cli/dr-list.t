#!/bin/sh
# dr-list: the table, the JSON lines, the members.
. "${0%/*}/../lib.sh"
need dr-snap dr-seal dr-pack dr-key dr-push dr-pull minisign python3

cd "$T" || exit 1
dr-key new -o id 2>/dev/null
dr-key recipient id >to
mkdir a b tree tree/d
printf x >"tree/a b"
printf yy >"tree/new
line"
printf zzz >"$(printf 'tree/\351')"
printf zzzz >tree/ö
printf '' >'tree/back\slash'
ln tree/ö tree/hard
ln -s nowhere tree/soft
mkfifo tree/fifo
DR_SET=one
export DR_SET
dr-snap --label env=test tree | cat >s1
dr-pack <s1 | dr-seal -R to | dr-push a b
echo hello | dr-snap --stdin note | dr-pack | dr-push --plain a
dr-seal -R to -o inc.age <s1
sed -i 's/"complete":true/"complete":false/' inc.age.json
dr-push -n two --input inc.age a 2>/dev/null
unset DR_SET

lines() {
	wc -l <"$1"
}
# each NAME: of the JSON lines in out, one a line.
each() {
	python3 -c 'import json, sys
for l in open("out"):
    o = json.loads(l)
    print(eval(sys.argv[1]))' "$1"
}

# --- the table --------------------------------------------------------------------
status 0 "all sets" dr-list a
is "a head and three lines" "$(lines out)" 4
is "quiet" "$(cat err)" ""
match "the head" \
    '^SET +ID +KIND +MODE +STARTED +DURATION +RAW +STORED +PG +TLI +RESTORABLE TO +FLAGS$' \
    out
match "a line" \
    '^one +20[0-9]{6}T[0-9]{6}Z-[0-9a-f]{6} +files +full +20[0-9-]+T[0-9:]+Z +[0-9].*iB +[0-9.]+ KiB +- +- +20' \
    out
match "an incomplete one" '^two .* incomplete$' out
nomatch "no line ends with blanks" ' $' out
status 0 "one set" dr-list -n one a
is "two lines" "$(lines out)" 3
match "without the set" '^ID ' out
status 0 "two stores" dr-list -n one a b
is "their backups" "$(lines out)" 4
is "each with its store" "$(awk 'NR > 1 { print $NF }' out | tr '\n' ' ')" \
    "a a b "
status 0 "DR_SET and DR_STORE" env DR_SET=two DR_STORE=a dr-list
is "are used" "$(lines out)" 2
status 0 "a set that is not there" dr-list -n none a
is "has no table" "$(cat out)" ""
match "and is talked about" 'no backup of set "none"' err
mkdir empty
status 0 "an empty store" dr-list empty
is "says nothing" "$(cat out err)" ""

# --- JSON ------------------------------------------------------------------------
status 0 "--json" dr-list --json a
is "an object a line" "$(each 'o["set"]' | tr '\n' ' ')" "one one two "
is "with the manifest" "$(each 'o["manifest"]["kind"]' | tr '\n' ' ')" \
    "files stream files "
is "its labels" "$(each 'o["manifest"]["labels"]' | head -n 1)" \
    "{'env': 'test'}"
is "trust and pruning" "$(each 'o["trusted"], o["pruned"]' | sort -u)" \
    "(True, False)"

# --- members ----------------------------------------------------------------------
id=$(dr-list -n one --json a | head -n 1 | grep -o '"id":"[^"]*' | head -n 1 |
    cut -d'"' -f4)
status 0 "members" dr-list --members -n one -b "$id" -i id a
sed 's/^\(.\) *[0-9]* /\1 /' out >names
cat >want <<'END'
- .drtools/report.json
- tree/\351
- tree/a\ b
- tree/back\\slash
- tree/new\nline
- tree/ö
d tree
d tree/d
h tree/hard
l tree/soft
p tree/fifo
END
sed 's|/$||' names | LC_ALL=C sort | sed 's/^h tree.ö/- tree\/ö/;
    s/^- tree.hard/h tree\/hard/' | LC_ALL=C sort -u >got
is "as ls -b shows them" "$(LC_ALL=C sort -u got)" "$(LC_ALL=C sort -u want)"
is "with sizes" "$(awk '$3 == "tree/a\\" { print $2 }' out)" 1
status 0 "as JSON" dr-list --members --json -n one -b "$id" -i id a
is "types in words" "$(each 'o["type"]' | sort | uniq -c | tr -s ' \n' ' ')" \
    " 2 directory 1 fifo 6 file 1 hardlink 1 symlink "
is "a line break stays in its line" "$(each 'o["size"] if "\n" in o["path"] \
    else ""' | grep -v '^$')" 2
status 2 "members of a sealed one, without identity" \
    dr-list --members -n one -b "$id" a
match "has a hint" 'hint: .*-i' err
dr-key new -o other 2>/dev/null
status 4 "with another identity" dr-list --members -n one -b "$id" -i other a
status 0 "DR_IDENTITY" env DR_IDENTITY=id dr-list --members -n one -b "$id" a
status 0 "--identity-command" \
    dr-list --members -n one -b "$id" --identity-command "cat id" a
status 0 "of the latest, which is not sealed" dr-list --members -n one a
match "its member" 'note/00000000$' out
status 0 "of one that is not packed" dr-list --members -n two -i id a
match "its members" 'tree/a\\ b$' out
status 0 "from the second store" dr-list --members -n one -i id none b
match "with a warning" 'warning: .*none' err
status 2 "members need a set" dr-list --members a
status 2 "-b needs members" dr-list -n one -b "$id" a

# --- pruned -------------------------------------------------------------------------
cp -a b q
note_=q/one/snap/$id.pruned.json
echo "{\"drtools\":1,\"set\":\"one\",\"id\":\"$id\"}" >"$note_"
status 0 "a note of pruning that is not signed" dr-list -n one q
nomatch "does not count" pruned out
match "and is talked about" 'not signed' err
ok "one signed by minisign" minisign -S -s "$DR_STATE/sign.key" \
    -m "$note_" -t "one/snap/$id.pruned.json"
status 0 "one that is" dr-list -n one q
match "does" "^$id .* pruned$" out
status 0 "as JSON" dr-list --json -n one q
is "too" "$(each 'o["pruned"]')" True
status 1 "its members" dr-list --members -n one -b "$id" -i id q
match "are gone" 'was pruned' err
status 1 "it is not the latest" dr-pull -n one --manifest q
sed "s/$id/20200101T000000Z-000000/" "$note_" >x
cp x "$note_"
ok "one about another" minisign -S -s "$DR_STATE/sign.key" \
    -m "$note_" -t "one/snap/$id.pruned.json"
status 0 "signed all the same" dr-list -n one q
nomatch "does not count" pruned out

# --- what cannot be trusted ---------------------------------------------------------
cp -a a c
m=c/one/snap/$id.json
sed -i 's/"host":"/"host":"x/' "$m"
status 4 "a changed manifest" dr-list -n one c
match "is listed" "^$id .* untrusted$" out
is "beside the other" "$(lines out)" 3
match "says why" 'warning: ' err
match "and how many" 'error: 1 of 2 backups' err
status 4 "as JSON" dr-list --json -n one c
is "too" "$(each 'o["trusted"]' | sort | tr '\n' ' ')" "False True "
is "with the reason" "$(each '("error" in o) != o["trusted"]' | tr '\n' ' ')" "True True "
status 0 "without a look at signatures" dr-list --no-signature -n one c
nomatch "nothing shows" untrusted out
dr-key sign-new -o k >/dev/null 2>&1
status 4 "with another key" dr-list -K k.pub c
is "none is trusted" "$(grep -c untrusted out)" 3
rm -r "$DR_STATE"
status 2 "with none" dr-list c
match "a hint" 'hint: .*-K' err

# --- stores that cannot be read ------------------------------------------------------
status 3 "one store of two" dr-list --no-signature none b
is "the other is listed" "$(lines out)" 2
status 1 "a store that is not there" dr-list --no-signature none
status 2 "no store" dr-list --no-signature
status 1 "standard output full" sh -c 'dr-list --no-signature b >/dev/full'

# --- hostile names ------------------------------------------------------------------
cp -a b h
touch h/one/snap/.x.tmp "h/one/snap/no name.json" \
    h/one/snap/20261120T120000Z-zzzzzz.json
mkdir h/one/snap/20261120T120000Z-abcdef.json "h/no set" h/lost+found
ln -s /dev/zero h/one/snap/20261120T120000Z-000000.json
mkfifo h/one/snap/20261120T120000Z-000001.json
status 0 "what is no manifest" timeout 10 dr-list --no-signature h
is "is not listed" "$(lines out)" 2
done_testing
