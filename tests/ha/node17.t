#!/bin/sh
# What is done to servers of version 17 in a failover.
version=17
. "${0%/*}/node_newer.sh"
