/*
 * walstate_int.h - the state of WAL writers, shared by its parts.
 */
#ifndef DR_FLOW_WALSTATE_INT_H
#define DR_FLOW_WALSTATE_INT_H

#include "flow/walstate.h"

struct dr_walstate {
	char *dir;
	int writers;
	uint64_t writer;
};

/* NAME in the directory, on the heap. */
char *
dr_walstate_path(const struct dr_walstate *, const char *name, struct dr_err *);

#endif /* !DR_FLOW_WALSTATE_INT_H */
