#include "pg/row.h"

#include <stdlib.h>
#include <string.h>

#include "base/known.h"
#include "base/num.h"

const char *
dr_row_next(struct dr_row *r)
{
	int c = r->column++;

	if (c >= PQnfields(r->res) || PQgetisnull(r->res, r->row, c))
		return NULL;
	return PQgetvalue(r->res, r->row, c);
}

char *
dr_row_text(struct dr_row *r)
{
	const char *v = dr_row_next(r);
	char *copy = strdup(v != NULL ? v : "");

	if (copy == NULL)
		r->failed = true;
	return copy;
}

bool
dr_row_bool(struct dr_row *r)
{
	const char *v = dr_row_next(r);

	return v != NULL && *v == 't';
}

int64_t
dr_row_int(struct dr_row *r)
{
	const char *v = dr_row_next(r);
	struct dr_err no = { 0 };
	int64_t n;

	if (v == NULL ||
	    dr_parse_int(v, INT64_MIN + 1, INT64_MAX, &n, &no) == -1)
		return DR_UNKNOWN;
	return n;
}

uint32_t
dr_row_tli(struct dr_row *r)
{
	int64_t n = dr_row_int(r);

	return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

/* Seconds, with a fraction; a timestamp may be infinite. */
int64_t
dr_row_us(struct dr_row *r)
{
	const char *v = dr_row_next(r);
	double us;

	if (v == NULL)
		return DR_UNKNOWN;
	us = strtod(v, NULL) * 1e6;
	if (!(us > -9e18 && us < 9e18))
		return DR_UNKNOWN;
	return (int64_t)(us < 0 ? us - 0.5 : us + 0.5);
}

uint64_t
dr_row_lsn(struct dr_row *r)
{
	const char *v = dr_row_next(r);
	struct dr_err no = { 0 };
	uint64_t lsn;

	return v != NULL && dr_parse_lsn(v, &lsn, &no) == 0 ? lsn : 0;
}
