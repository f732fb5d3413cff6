#!/bin/sh
# What is done to servers of version 18 in a failover.
version=18
. "${0%/*}/node_newer.sh"
