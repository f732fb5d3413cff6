/* WAL as runs without a hole. */
#include <stdlib.h>
#include <string.h>

#include "flow/lag_store_int.h"

/* The first run that ends at LSN or later. */
static size_t
find(const struct dr_lag_runs *r, uint64_t lsn)
{
	size_t low = 0, high = r->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (r->v[mid].to < lsn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What reaches further says when; of two that reach as far the earlier. */
static int64_t
when(const struct dr_lag_run *a, const struct dr_lag_run *b)
{
	if (a->to != b->to)
		return a->to > b->to ? a->time : b->time;
	return a->time < b->time ? a->time : b->time;
}

int
dr_lag_runs_add(struct dr_lag_runs *r, const struct dr_lag_run *run,
    struct dr_err *err)
{
	struct dr_lag_run one = *run, *more;
	size_t i = find(r, one.from), end = i, cap;

	if (one.from >= one.to)
		return 0;
	for (; end < r->n && r->v[end].from <= one.to; end++) {
		one.time = when(&one, &r->v[end]);
		if (r->v[end].from < one.from)
			one.from = r->v[end].from;
		if (r->v[end].to > one.to)
			one.to = r->v[end].to;
	}
	if (end == i && r->n == r->cap) {
		cap = r->cap == 0 ? 4 : 2 * r->cap;
		if ((more = reallocarray(r->v, cap, sizeof(*more))) == NULL)
			return dr_err_sys(err, "cannot note what WAL there is");
		r->v = more;
		r->cap = cap;
	}
	if (r->n > end || end == i)
		memmove(&r->v[i + 1], &r->v[end], (r->n - end) * sizeof(*r->v));
	r->n -= end - i;
	r->n++;
	r->v[i] = one;
	return 0;
}

const struct dr_lag_run *
dr_lag_runs_at(const struct dr_lag_runs *r, uint64_t lsn)
{
	size_t i = find(r, lsn);

	/* Where one ends and the next begins they would have been joined. */
	return i < r->n && r->v[i].from <= lsn ? &r->v[i] : NULL;
}

void
dr_lag_runs_free(struct dr_lag_runs *r)
{
	free(r->v);
	memset(r, 0, sizeof(*r));
}
