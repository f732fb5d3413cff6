#include "flow/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
dr_grid_plain(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
}

void
dr_grid_row(struct dr_grid *g)
{
	char(*more)[DR_GRID_CELL];

	if (g->failed)
		return;
	more = reallocarray(g->cell, (g->rows + 1) * g->columns, DR_GRID_CELL);
	if (more == NULL) {
		g->failed = true;
		(void)dr_err_sys(g->err, "cannot write the report");
		return;
	}
	g->cell = more;
	memset(more[g->rows * g->columns], 0, g->columns * DR_GRID_CELL);
	g->rows++;
	g->at = 0;
}

void
dr_grid_cell(struct dr_grid *g, const char *fmt, ...)
{
	char *to;
	va_list ap;

	if (g->failed || g->at == g->columns)
		return;
	to = g->cell[(g->rows - 1) * g->columns + g->at++];
	va_start(ap, fmt);
	(void)vsnprintf(to, DR_GRID_CELL, fmt, ap);
	va_end(ap);
	dr_grid_plain(to);
	if (*to == '\0')
		(void)snprintf(to, DR_GRID_CELL, "-");
}

static size_t
total(const struct dr_grid *g, const size_t *width)
{
	size_t sum = 0;

	for (size_t i = 0; i < g->columns; i++)
		if (width[i] > 0)
			sum += width[i] + (sum > 0 ? 2 : 0);
	return sum;
}

/* Leave out what matters least, until the rest fits. */
static void
fit(const struct dr_grid *g, size_t *width, unsigned columns)
{
	size_t drop;

	while (columns > 0 && total(g, width) > columns) {
		drop = g->columns;
		for (size_t i = 0; i < g->columns; i++)
			if (width[i] > 0 && g->column[i].keep < 9 &&
			    (drop == g->columns ||
			        g->column[i].keep < g->column[drop].keep))
				drop = i;
		if (drop == g->columns)
			return;
		width[drop] = 0;
	}
}

static int
line(const struct dr_grid *g, const size_t *width,
    const char (*cells)[DR_GRID_CELL], struct dr_buf *out, struct dr_err *err)
{
	const size_t start = out->len;

	for (size_t i = 0; i < g->columns; i++) {
		const char *s = cells == NULL ? g->column[i].head : cells[i];
		int w = (int)width[i];

		if (w > 0 &&
		    dr_buf_fmt(out, err, "%s%*s", out->len > start ? "  " : "",
		        g->column[i].right ? w : -w, s) == -1)
			return -1;
	}
	while (out->len > start && out->data[out->len - 1] == ' ')
		out->len--;
	return dr_buf_str(out, "\n", err);
}

int
dr_grid_print(struct dr_grid *g, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	size_t width[DR_GRID_COLUMNS], len;
	int rc = g->failed ? -1 : 0;

	if (rc == 0 && g->rows > 0) {
		for (size_t i = 0; i < g->columns; i++) {
			bool any = false;

			width[i] = strlen(g->column[i].head);
			for (size_t k = 0; k < g->rows; k++) {
				const char *s = g->cell[k * g->columns + i];

				len = strlen(s);
				any = any || strcmp(s, "-") != 0;
				width[i] = len > width[i] ? len : width[i];
			}
			/* What none of them has tells nothing. */
			if (!any && g->column[i].keep < 9)
				width[i] = 0;
		}
		fit(g, width, columns);
		rc = dr_buf_str(out, "\n", err);
		if (rc == 0)
			rc = line(g, width, NULL, out, err);
		for (size_t k = 0; rc == 0 && k < g->rows; k++)
			rc = line(g, width,
			    (const char(*)[DR_GRID_CELL]) &
			        g->cell[k * g->columns],
			    out, err);
	}
	free(g->cell);
	g->cell = NULL;
	return rc;
}
