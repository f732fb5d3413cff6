/* delta_int.h - what delta.c and delta_sweep.c share. */
#ifndef DR_FLOW_DELTA_INT_H
#define DR_FLOW_DELTA_INT_H

#include "flow/delta.h"

/* Move NAME of the data directory to what is kept, AS this. */
int dr_delta_aside(const struct dr_place *, const char *name, const char *as,
    struct dr_err *);
/* Remove the directory REST below FD with all in it. */
int dr_delta_rmtree(const struct dr_place *, int fd, const char *rest,
    struct dr_err *);

#endif /* !DR_FLOW_DELTA_INT_H */
