#!/bin/sh
# The tree keeps its own rules.  (release only)
. "${0%/*}/../lib.sh"
need make clang-format shellcheck

ok "modules include only what they may" make -s -C "$top" check-layers
ok "every header compiles by itself" make -s -C "$top" check-headers

(cd "$top" && ls -A) | grep -vxE '(.git|build|config\.mk)' >"$T/top"
is "nothing else lies at the top" "$(tr '\n' ' ' <"$T/top")" \
    ".ci .clang-format .gitignore LICENSE Makefile README.md cmd lib man scripts tests "

for f in "$top"/cmd/*.c "$top"/cmd/*/*.c; do
	[ -e "$f" ] || continue
	n=$(wc -l <"$f")
	[ "$n" -lt 300 ] || echo "$f: $n lines"
done >"$T/long"
for f in "$top"/lib/*/*.c; do
	n=$(wc -l <"$f")
	[ "$n" -le 600 ] || echo "$f: $n lines"
done >>"$T/long"
is "no file is longer than agreed" "$(cat "$T/long")" ""

ok "the code is formatted" sh "$top/scripts/lint" format
ok "no banned function is called" sh "$top/scripts/lint" banned
ok "the scripts are clean" sh "$top/scripts/lint" shell

(cd "$top" && grep -rnE '\b(TO''DO|FIX''ME|XX''X)\b' cmd lib man scripts tests \
    --include='*.[ch157t]' --include='*.sh') >"$T/todo"
is "nothing is left for later" "$(cat "$T/todo")" ""

done_testing
