#!/bin/sh
# make install and make uninstall, into a folder.  (release only)
. "${0%/*}/../lib.sh"
need make mandoc

ok "make install" make -s -C "$top" install DESTDIR="$T/dest" PREFIX=/usr
(cd "$top" && ls cmd/*.c scripts/dr-* | sed 's|.*/||; s/\.c$//' | sort) \
    >"$T/want"
is "every tool is there" "$(ls "$T/dest/usr/bin")" "$(cat "$T/want")"
while read -r t; do
	"$T/dest/usr/bin/$t" --version >/dev/null || echo "$t"
done <"$T/want" >"$T/bad"
is "and runs from there" "$(cat "$T/bad")" ""
is "so are the examples" "$(cd "$T/dest/usr/share/drtools" && ls */* | sort)" \
    "$(cd "$top/scripts" && ls cron/* hooks/* monitoring/* systemd/* | sort)"
ok "and the hooks can be run" "$T/dest/usr/share/drtools/hooks/by-ssh" --help
is "every page is there" \
    "$(cd "$T/dest/usr/share/man" && ls man*/* | sed 's|.*/||' | sort)" \
    "$(cd "$top/man" && ls | sort)"
ok "a page reads" mandoc "$T/dest/usr/share/man/man7/dr-tools.7"
ok "make uninstall" make -s -C "$top" uninstall DESTDIR="$T/dest" PREFIX=/usr
is "nothing is left" "$(find "$T/dest" -type f)" ""
status 0 "make help" make -s -C "$top" help
match "lists the targets" '^demo ' "$T/out"
make -n -s -C "$top" >"$T/plain" 2>/dev/null
nomatch "plain make builds, and runs nothing" 'run-(demo|check)' "$T/plain"

done_testing
