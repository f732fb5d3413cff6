/*
 * grid.h - tables for people: columns as wide as what is in them.
 */
#ifndef DR_FLOW_GRID_H
#define DR_FLOW_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_GRID_COLUMNS 12
#define DR_GRID_CELL    72

/*
 * KEEP: 0 goes first when the terminal is too narrow; 9 never, nor where all
 * of its cells are "-".
 */
struct dr_grid_column {
	const char *head;
	bool right;
	int keep;
};

struct dr_grid { /* start with .column, .columns, .err */
	const struct dr_grid_column *column;
	size_t columns;             /* at most DR_GRID_COLUMNS */
	char (*cell)[DR_GRID_CELL]; /* rows of columns */
	size_t rows, at;
	struct dr_err *err;
	bool failed;
};

/* Begin a row, and fill the next cell of it; "" becomes "-". */
void dr_grid_row(struct dr_grid *);
void dr_grid_cell(struct dr_grid *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * An empty line, the heads and the rows, appended; nothing where there is no
 * row.  COLUMNS: as wide as the terminal is, 0 no limit.  The grid is spent.
 */
int dr_grid_print(struct dr_grid *, unsigned columns, struct dr_buf *out,
    struct dr_err *);

/* Leave nothing in S that does more to a terminal than take one column. */
void dr_grid_plain(char *s);

#endif /* !DR_FLOW_GRID_H */
