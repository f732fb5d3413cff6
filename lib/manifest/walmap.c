#include <stdlib.h>
#include <string.h>

#include "manifest/ledger.h"

/* The first range that ends at or after LSN; n when there is none. */
static size_t
find(const struct dr_walmap *m, uint64_t lsn)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->v[mid].to < lsn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int
dr_walmap_add(struct dr_walmap *m, uint64_t from, uint64_t to,
    struct dr_err *err)
{
	size_t i = find(m, from), end = i;
	struct dr_range *more;

	if (from >= to)
		return 0;
	for (; end < m->n && m->v[end].from <= to; end++) {
		if (m->v[end].from < from)
			from = m->v[end].from;
		if (m->v[end].to > to)
			to = m->v[end].to;
	}
	if (end == i) {
		/* It touches none; room doubles. */
		if (m->n == 0 || (m->n & (m->n - 1)) == 0) {
			more = reallocarray(m->v, m->n == 0 ? 1 : 2 * m->n,
			    sizeof(*more));
			if (more == NULL)
				return dr_err_sys(err,
				    "cannot note what WAL there is");
			m->v = more;
		}
		memmove(&m->v[i + 1], &m->v[i], (m->n - i) * sizeof(*m->v));
		m->n++;
	} else {
		memmove(&m->v[i + 1], &m->v[end], (m->n - end) * sizeof(*m->v));
		m->n -= end - i - 1;
	}
	m->v[i].from = from;
	m->v[i].to = to;
	return 0;
}

uint64_t
dr_walmap_reach(const struct dr_walmap *m, uint64_t lsn)
{
	size_t i = find(m, lsn);

	return i < m->n && m->v[i].from <= lsn ? m->v[i].to : lsn;
}

void
dr_walmap_free(struct dr_walmap *m)
{
	free(m->v);
	m->v = NULL;
	m->n = 0;
}
