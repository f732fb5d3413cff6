/*
 * row.h - one row of an answer, read column by column; not for others.
 */
#ifndef DR_PG_ROW_H
#define DR_PG_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

struct dr_row {
	const PGresult *res;
	int row, column;
	bool failed; /* no memory */
};

/* Each reads the next column.  NULL is NULL. */
const char *dr_row_next(struct dr_row *);
/* NULL is "".  Owned by the caller. */
char *dr_row_text(struct dr_row *);
bool dr_row_bool(struct dr_row *);
/* NULL is DR_UNKNOWN. */
int64_t dr_row_int(struct dr_row *);
/* Seconds with a fraction, as microseconds; infinity is DR_UNKNOWN. */
int64_t dr_row_us(struct dr_row *);
/* NULL is 0. */
uint32_t dr_row_tli(struct dr_row *);
uint64_t dr_row_lsn(struct dr_row *);

#endif /* !DR_PG_ROW_H */
