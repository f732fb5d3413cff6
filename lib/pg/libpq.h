/*
 * libpq.h - libpq, which is loaded when it is first needed.
 */
#ifndef DR_PG_LIBPQ_H
#define DR_PG_LIBPQ_H

#include "base/err.h"

/* Load it, before any of its functions is called.  DR_EFAIL. */
int dr_libpq(struct dr_err *);

#endif /* !DR_PG_LIBPQ_H */
