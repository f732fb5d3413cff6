/*
 * stores.h - the set and the stores a command line names.
 */
#ifndef DR_FLOW_STORES_H
#define DR_FLOW_STORES_H

#include "base/buf.h"
#include "base/err.h"

/*
 * The operands ARGV (N of them), else the words of DR_STORE, into *OUT,
 * which the caller frees; words of the environment live until the process
 * ends.  None: DR_EUSAGE and a hint.
 */
int dr_stores_named(int n, char *const argv[], struct dr_strs *out,
    struct dr_err *);

/* SET, where one must be given: DR_EUSAGE when it is NULL or no set's name. */
int dr_set_named(const char *set, struct dr_err *);

#endif /* !DR_FLOW_STORES_H */
