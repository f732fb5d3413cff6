/*
 * clustername.h - the cluster_name of a server, from its files alone.
 */
#ifndef DR_FLOW_CLUSTERNAME_H
#define DR_FLOW_CLUSTERNAME_H

#include <stddef.h>

#include "base/err.h"

/*
 * What the data directory DIR sets cluster_name to: by the last command line
 * (postmaster.opts), else postgresql.auto.conf, else postgresql.conf, which
 * the command line may name elsewhere; "" where none of them does, or it does
 * not fit.  Files that those include are not looked at.  -1: a file that
 * exists cannot be read.
 */
int dr_cluster_name(const char *dir, char *out, size_t size, struct dr_err *);

#endif /* !DR_FLOW_CLUSTERNAME_H */
