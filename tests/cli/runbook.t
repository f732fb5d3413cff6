#!/bin/sh
# dr-runbook(7) names only commands and options that there are.  (release only)
. "${0%/*}/../lib.sh"
need mandoc python3 dr-promote
PATH=$PATH:$top/scripts

mandoc -Tutf8 -Owidth=200 "$top/man/dr-runbook.7" | sed 's/.\x08//g' >"$T/page"
cat >"$T/check.py" <<'END'
"""Commands of the page, as "$ dr-..." and in quotes, held against --help."""
import re, subprocess, sys
text = open(sys.argv[1]).read()
text = re.sub(r"\\\n\s*", "", text)
found = re.findall(r"^\s*\$ (?:[A-Z_]+=\S+ )*(dr-[a-z]+ .*)$", text, re.M)
found += re.findall(r"‘(dr-[a-z]+ [^’]*)’", text)
helps, bad = {}, 0
for line in found:
    words = line.split()
    tool = words[:2] if words[0] in ("dr-promote", "dr-key", "dr-wal") \
        else words[:1]
    key = " ".join(tool)
    if key not in helps:
        r = subprocess.run(tool + ["--help"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        helps[key] = r.stdout if r.returncode == 0 else None
    if helps[key] is None:
        print("there is no", key)
        continue
    for o in re.findall(r"(?<=\s)(--?[a-zA-Z][a-z-]*)", line):
        if not re.search(r"(^|[\s,|\[(])" + re.escape(o) + r"($|[\s,=\]|])",
                         helps[key], re.M):
            print(key, "has no", o)
print("commands", len(found) > 30, file=sys.stderr)
END
python3 "$T/check.py" "$T/page" >"$T/bad" 2>"$T/err"
is "every command exists, with its options" "$(cat "$T/bad")" ""
is "many were looked at" "$(cat "$T/err")" "commands True"
for s in "SERVICE FAILURE" CORRUPTION "SERVER LOSS" "REGION LOSS" \
    "BREACH OR RANSOMWARE"; do
	sed -n "/^\.Sh $s/,/^\.Sh [A-Z]*$/p" "$top/man/dr-runbook.7" >"$T/part"
	for k in Detection Decision Commands Rollback; do
		grep -qx "\.Ss $k" "$T/part" || echo "$s: $k"
	done
done >"$T/missing"
is "each has detection, decision, commands and rollback" \
    "$(cat "$T/missing")" ""
done_testing
