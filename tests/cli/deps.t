#!/bin/sh
# Every program that the tests and scripts call comes from a package that
# scripts/deps names, or from what every Debian has.  (release only)
. "${0%/*}/../lib.sh"
need dpkg-query python3

status 2 "a set that is not there" sh "$top/scripts/deps" nothing
match "is called so" 'error: usage' "$T/err"
status 0 "everything is there already" sh "$top/scripts/deps" build test
is "and nothing is said about it" "$(cat "$T/out" "$T/err")" ""
nomatch "no registry is named" '(https?:|registry\.|[a-z]\.(org|com|net)\b)' \
    "$top/scripts/deps"

sh "$top/scripts/deps" --list build test bench lint >"$T/listed"
cat >"$T/scan.py" <<'END'
"""Programs called by the tree's shell files, held against packages."""
import glob, os, re, shutil, subprocess, sys

top, listed = sys.argv[1], open(sys.argv[2]).read().split()
fmt = "${Package}\t${db:Status-Status}\t${Essential}\t${Priority}\t" \
      "${Provides}\t${Pre-Depends}, ${Depends}\n"
out = subprocess.run(["dpkg-query", "-W", "-f", fmt], text=True,
                     stdout=subprocess.PIPE, check=True).stdout
names = lambda s: re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", s)
deps, provided, start = {}, {}, set(listed)
for line in out.splitlines():
    name, state, essential, priority, provides, needs = line.split("\t")
    if state != "installed":
        continue
    deps[name] = names(needs)
    for p in names(provides):
        provided.setdefault(p, []).append(name)
    if essential == "yes" or priority == "required":
        start.add(name)
start |= {"apt", "git", "make"}  # README's first line
have, todo = set(), sorted(start)
while todo:
    p = todo.pop()
    for q in [p] if p in deps else provided.get(p, []):
        if q not in have:
            have.add(q)
            todo += deps[q]

def owner(path):
    for p in {path, os.path.realpath(path)}:
        for q in {p, p[4:] if p.startswith("/usr/") else p}:
            r = subprocess.run(["dpkg-query", "-S", q], text=True,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
            for line in r.stdout.splitlines():
                if not line.startswith("diversion"):
                    return line.split(":")[0].split(",")[0]
    return None

words = {}
lead = re.compile(
    r"(?:^|[|;&(`]|\$\(|\b(?:then|do|else|if|while|until|exec|as_pg|need|!)\s|"
    r"\b(?:ok|status\s+\d+)\s+(?:\"[^\"]*\"|'[^']*')\s)\s*"
    r"(?:[A-Z_]+=\S*\s+)*([a-z][A-Za-z0-9_.+-]*)(?=$|[\s;|&)])", re.M)
files = glob.glob(top + "/tests/**/*.t", recursive=True) + \
    glob.glob(top + "/tests/*.sh") + [top + "/tests/run", top + "/Makefile"]
for d in ("scripts", "scripts/hooks", "tests/bench", "tests/fault",
          "tests/ha", "tests/pg"):
    files += [f for f in glob.glob(top + "/" + d + "/*")
              if os.path.isfile(f) and open(f, "rb").read(2) == b"#!"]
for f in set(files):
    text = open(f, errors="replace").read()
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    text = text.replace("\\\n", " ")
    text = re.sub(r"^\s*[^\s()]+( \| [^\s()]+)*\)", "", text, flags=re.M)
    for line in re.findall(r"^\s*need (.*)$", text, re.M):
        for w in line.split():
            words.setdefault(w, f)
    own = set(re.findall(r"^\s*([a-z_]+)\(\)", text, re.M))
    for w in set(lead.findall(text)) - own - {"sudo"}:
        words.setdefault(w, f)
seen = 0
for w, f in sorted(words.items()):
    path = shutil.which(w, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                        "/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin")
    if path is None:
        continue  # a function, a variable's name, a tool of ours
    seen += 1
    p = owner(path)
    if p is None or p not in have:
        print(w, p, os.path.relpath(f, top))
print(seen, "programs looked at", file=sys.stderr)
END
python3 "$T/scan.py" "$top" "$T/listed" >"$T/strange" 2>"$T/seen"
is "the scan ends well" "$?" 0
note "$(cat "$T/seen")"
is "it found programs" "$(awk '{ print ($1 > 30) }' "$T/seen")" 1
is "each comes from a listed package" "$(cat "$T/strange")" ""

done_testing
