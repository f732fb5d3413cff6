"""dr-metrics(7) held against what writes, and what uses, metrics.

    metrics.py TOP [DIRECTORY OF TEXTFILES]

Prints a line for each thing that does not fit, and on standard error how
much was looked at.
"""
import glob
import os
import re
import sys

top = sys.argv[1]
lag = os.path.exists(top + "/lib/flow/lag_prom.c")


def read(path):
    with open(os.path.join(top, path)) as f:
        return f.read()


def rel(pattern):
    return [os.path.relpath(f, top)
            for f in glob.glob(os.path.join(top, pattern), recursive=True)]


# --- what is written: name -> [(file, HELP or None)] -------------------------
written = {}
string = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
for f in rel("lib/**/*.c") + rel("cmd/*.c"):
    text = read(f)
    helps = {}
    prefix = re.search(r'#define\s+P\s+"(drtools_\w*)"', text)
    formats = re.findall(r'"(drtools_\w*)%s"', text)
    for p, name, s in re.findall(
            r'(\bP\s+)?"([a-z0-9_]+)",\s*(?:"(?:gauge|counter)",\s*)?' +
            string, text):
        full = prefix[1] + name if p and prefix else name
        for full in [full] + [q + name for q in formats]:
            helps.setdefault(full, "".join(re.findall(r'"([^"]*)"', s)))
    names = set(re.findall(r'"(drtools_[a-z0-9_]+)"', text))
    if prefix:
        names.discard(prefix[1])
        names |= {prefix[1] + n
                  for n in re.findall(r'\bP\s+"([a-z0-9_]+)"', text)
                  if not n.startswith("drtools_")}
    for q in formats:
        names |= {q + n for n in re.findall(
            r'"([a-z0-9_]+)",\s*"(?:gauge|counter)"', text)}
    for n in names:
        written.setdefault(n, []).append((f, helps.get(n)))
for f in rel("scripts/dr-*"):
    text = read(f)
    for n in set(re.findall(r'\b(drtools_[a-z0-9_]+)\b', text)):
        h = re.search(n + r'\s+(?:\\\s+)?"([^"]*)"', text)
        written.setdefault(n, []).append((f, h[1] if h else None))

# --- the page: name -> (section, labels, type, alerts) ------------------------
page, section, here = {}, None, None
text = read("man/dr-metrics.7")
metrics, others = text.split(".Sh OTHER NAMES")
for line in metrics.split(".Sh METRICS")[1].splitlines():
    if line.startswith(".Ss "):
        section = line[4:]
    m = re.match(r"\.It Sy (drtools_\w+)(?: Brq (.*))?$", line)
    if m:
        here = m[1]
        if here in page:
            print(here, "stands there twice")
        page[here] = [section, set(re.findall(r"\w+", m[2] or "")), None, []]
    elif here and line in ("Gauge.", "Counter."):
        page[here][2] = line[:-1].lower()
    elif here and line.startswith(".Em "):
        page[here][3].append(line.split()[1])
others, rules_part = others.split(".Sh RULES")

for n in sorted(set(written) - set(page)):
    print(n, "is written by", written[n][0][0], "and not in the page")
for n in sorted(set(page) - set(written)):
    if page[n][0] != "dr-lag" or lag:
        print(n, "is in the page and written by nothing")
for n, by in sorted(written.items()):
    # Two files with the same name and another HELP: one of them is lost.
    if len(by) > 1 and (len({h for _, h in by}) > 1 or by[0][1] is None):
        print(n, "has more than one HELP:", by)
for n, (_, _, kind, _) in sorted(page.items()):
    if kind != ("counter" if n.endswith("_total") else "gauge"):
        print(n, "is called a", kind)
for n in sorted(set(re.findall(r"^\.Sy (drtools_\w+)", others, re.M)) -
                set(page)):
    print(n, "is in the table of names, and not in the page")
for n in ("backup_last_success_timestamp", "backup_job_failures_total",
          "backup_success{type}", "pg_stat_replication_lag_seconds",
          "disaster_recovery_rto_seconds", "disaster_recovery_rpo_seconds",
          "rto_achieved_seconds", "cross_region_replication_lag_seconds",
          "backup_integrity_check_success"):
    if "\n.It " + n + "\n" not in others:
        print(n, "has no place in the table of names")

# --- rules: what each rests on --------------------------------------------------
rules = {}  # alert or record -> [expression, ...]
for f in ("scripts/monitoring/recording.yml", "scripts/monitoring/alerts.yml"):
    for _, name, rest in re.findall(
            r"^  - (alert|record): (\S+)\n((?:    .*\n|  +#.*\n)+)",
            read(f), re.M):
        block = re.search(r"^    expr: \|\n((?:      .*\n)+)", rest, re.M)
        line = re.search(r"^    expr: (.+)$", rest, re.M)
        rules.setdefault(name, []).append(block[1] if block else line[1])
alerts = {n for n in rules if not n.startswith("drtools:")}


def rests_on(expr):
    found = set(re.findall(r"\bdrtools_\w+", expr))
    for r in set(re.findall(r"\bdrtools:\w+(?::\w+)*", expr)):
        if r not in rules:
            print(r, "is used and recorded by no rule")
        for e in rules.get(r, []):
            found |= rests_on(e)
    return found


listed = set(re.findall(r"^\.It Em (Postgres\w+)", rules_part, re.M))
for a in sorted(alerts ^ listed):
    print(a, "is in", "alerts.yml" if a in alerts else "the page", "alone")
for a in sorted(alerts):
    used = set().union(*(rests_on(e) for e in rules[a]))
    says = {n for n in page if a in page[n][3]}
    for n in sorted(used - says):
        print(a, "rests on", n + (", whose entry does not say so" if n in page
                                  else ", which nothing writes"))
    for n in sorted(says - used):
        print(n, "names", a + ", which does not look at it")
for n in page:
    for a in set(page[n][3]) - alerts:
        print(n, "names", a + ", which there is not")
for r in set(rules) - alerts:
    for e in rules[r]:
        for n in rests_on(e) - set(page):
            print(r, "rests on", n + ", which nothing writes")
tested = "".join(read(f) for f in rel("tests/cli/rules/*.yml"))
for r in sorted(rules):
    if r + '"' not in tested and not re.search(re.escape(r) + r"\b(?!:)",
                                               tested):
        print(r, "has no unit test")
board = read("scripts/monitoring/dashboard.json")
for n in sorted(set(re.findall(r"\bdrtools_[a-z]\w*", board)) - set(page)):
    print("the dashboard shows", n + ", which nothing writes")
for n in sorted(set(re.findall(r"\bdrtools:\w+(?::\w+)*", board)) -
                set(rules)):
    print("the dashboard shows", n + ", which no rule records")

# --- textfiles, as they came ------------------------------------------------------
samples = 0
for d in sys.argv[2:]:
    for f in glob.glob(d + "/*.prom"):
        with open(f) as file:
            text = file.read()
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        for name, labels in re.findall(
                r'^(drtools_\w+)(?:\{((?:[^"\n]|"(?:[^"\\\n]|\\.)*")*)\})? ',
                text, re.M):
            samples += 1
            if name not in page:
                print(f, "has", name + ", which is not in the page")
                continue
            has = set(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', labels))
            if has != page[name][1] and not (
                    name == "drtools_backup_last_success_timestamp_seconds"
                    and has == {"set"}):
                print(f, name, "has labels", sorted(has))
            if types.get(name) != page[name][2]:
                print(f, name, "is a", types.get(name))
print(len(written), "names written,", len(page), "in the page,", len(alerts),
      "alerts,", samples, "samples looked at", file=sys.stderr)
