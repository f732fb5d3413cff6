#!/bin/sh
# Servers of version 18, and what they say: failover slots, why one is lost.
version=18
. "${0%/*}/lag_newer.sh"
