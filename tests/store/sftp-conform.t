#!/bin/sh
# OpenSSH's SFTP server, held to what every store has to be.
. "${0%/*}/../lib.sh"
. "$top/tests/servers.sh"
need "$top/build/$V/store/conform"

sftp_server
store=$(sftp_store) || exit 1
"$top/build/$V/store/conform" -x -n "$(count list)" -r "$(count races)" \
    -a "$(sftp_store "${store#*"$TEST_SFTP_PORT"}-none")" \
    -d "sftp://nobody@127.0.0.1:1/nowhere" "$store"
