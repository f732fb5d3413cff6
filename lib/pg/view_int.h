/*
 * view_int.h - what is asked of a server, and what its answers mean; not for
 * others.
 */
#ifndef DR_PG_VIEW_INT_H
#define DR_PG_VIEW_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/ask.h"
#include "pg/view.h"

#define DR_VIEW_OLDEST 130000

/* The statements for a server of VERSION, in one string. */
int
dr_view_sql(int version, int timeout_ms, struct dr_buf *out, struct dr_err *);

/*
 * Fill V from the answers that A holds.  1 done; 0 the server is not one that
 * answers (A has ended and says why), or changed its role meanwhile: then A
 * is idle, and it may be asked again.
 */
int dr_view_read(struct dr_ask *a, struct dr_pg_view *v, struct dr_err *);

#endif /* !DR_PG_VIEW_INT_H */
