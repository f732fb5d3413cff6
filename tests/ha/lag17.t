#!/bin/sh
# Servers of version 17, and what they say: failover slots, why one is lost.
version=17
. "${0%/*}/lag_newer.sh"
