#!/bin/sh
# Each tool's --help, held against its manual page, both ways.  (release only)
. "${0%/*}/../lib.sh"
need mandoc

# --help of a tool, of all its verbs where it has some.
help_of() {
	"$1" --help
	"$1" --help | sed -n '/^Commands:/,/^$/s/^  dr-[a-z]* \([a-z-]*\) .*/\1/p' |
	while read -r verb; do
		"$1" "$verb" --help
	done
}

options_of_help() {
	sed -n '/^Options:/,/^$/p' |
	    sed -nE 's/^  (-([A-Za-z]), |    )--([a-z0-9-]+).*/\2 -\3/p' |
	    tr ' ' '\n' | grep . | sort -u
}

options_of_page() {
	grep '^\.It Fl ' "$1" | grep -oE 'Fl -?[A-Za-z0-9][a-z0-9-]*' |
	    sed 's/^Fl //' | sort -u
}

common='-audit -help -log -metrics-dir -progress -quiet -state -verbose -version q v'
n=0
PATH=$PATH:$top/scripts
for f in "$top"/cmd/*.c "$top"/scripts/dr-*; do
	tool=${f##*/}
	tool=${tool%.c}
	page=$top/man/$tool.1
	n=$((n + 1))
	ok "$tool has a page" test -s "$page" || continue
	help_of "$tool" >"$T/help"
	options_of_help <"$T/help" >"$T/a"
	# Those that all tools share need no place in each page.
	options_of_page "$page" | grep -vxF -e "$(echo "$common" | tr ' ' '\n')" \
	    >"$T/b"
	is "$tool: the page has every option" "$(comm -23 "$T/a" "$T/b")" ""
	is "$tool: the page has no other" "$(comm -13 "$T/a" "$T/b")" ""
	sed -n '/^Options:/,/^$/p' "$T/help" | grep -oE '\[DR_[A-Z_]+\]' |
	    tr -d '[]' | sort -u >"$T/a"
	grep -oE '^\.(It )?Ev DR_[A-Z_]+' "$page" | grep -o 'DR_.*' | sort -u >"$T/b"
	is "$tool: the page has every variable" "$(comm -23 "$T/a" "$T/b")" ""
	for s in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		grep -qxE "\\.Sh \"?$s\"?" "$page" || echo "$s"
	done >"$T/a"
	is "$tool: the page has its sections" "$(cat "$T/a")" ""
done
is "there are tools" "$((n > 0))" 1

mandoc -Tlint -Wwarning "$top"/man/*.[157] >"$T/lint" 2>&1
is "every page is clean mdoc" "$(cat "$T/lint")" ""

sed -nE 's/^\.Xr (dr-[a-z]+) ([0-9]).*/\1.\2/p' "$top"/man/*.[157] | sort -u |
while read -r x; do
	[ -e "$top/man/$x" ] || echo "$x"
done >"$T/a"
is "pages refer to pages that exist" "$(cat "$T/a")" ""
for x in dr-tools.7 dr-formats.5 dr-manifest.5 dr-changes.7; do
	ok "$x is there" test -s "$top/man/$x"
done

done_testing
