#!/bin/sh
# A store in a directory is what every store has to be.
. "${0%/*}/../lib.sh"
need "$top/build/$V/store/conform"

mkdir "$T/store"
"$top/build/$V/store/conform" -x -a "$T/none" -n "$(count list)" \
    -r "$(count races)" "$T/store"
