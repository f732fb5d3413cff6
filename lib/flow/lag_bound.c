/*
 * Delays between bounds: earlier reports have noted where the primary's WAL
 * ended when.  Where a standby has come further than it was then, it is behind
 * by no more than that is long ago; where it has not, by no less.
 */
#include <stdlib.h>

#include "flow/lag_int.h"
#include "flow/lag_store_int.h"

void
dr_lag_bounds(const struct dr_lag_samples *all, const struct dr_lag_now *now,
    uint32_t tli, uint64_t lsn, int64_t *low, int64_t *high)
{
	*low = *high = DR_UNKNOWN;
	for (size_t i = 0; i < all->n; i++) {
		const struct dr_lag_sample *s = &all->v[i];
		int64_t age = dr_lag_sample_age(s, now);

		if (s->tli != tli || !dr_known(age))
			continue;
		if (s->lsn <= lsn && (!dr_known(*high) || age < *high))
			*high = age;
		if (s->lsn > lsn && (!dr_known(*low) || age > *low))
			*low = age;
	}
}

static void
bound(const struct dr_lag_samples *all, const struct dr_lag_now *now,
    const struct dr_pg_view *primary, int64_t bytes, int64_t *us)
{
	int64_t low, high;

	if (!dr_known(bytes) || bytes == 0 || (uint64_t)bytes > primary->lsn)
		return;
	dr_lag_bounds(all, now, primary->tli, primary->lsn - (uint64_t)bytes,
	    &low, &high);
	if (dr_known(high) && (!dr_known(*us) || *us > high))
		*us = high;
	if (dr_known(low) && dr_known(*us) && *us < low)
		*us = low;
}

void
dr_lag_bound(struct dr_lag *lag, const char *state)
{
	const struct dr_pg_view *p = lag->primary;
	struct dr_lag_samples *all;
	struct dr_lag_now now;

	if (p == NULL || p->system_id == 0 || lag->standbys == 0 ||
	    (all = calloc(1, sizeof(*all))) == NULL)
		return;
	dr_lag_now(&now);
	dr_lag_samples_read(state, p->system_id, &now, all);
	for (size_t i = 0; i < lag->standbys; i++) {
		struct dr_lag_standby *s = &lag->standby[i];

		bound(all, &now, p, s->write_bytes, &s->write_us);
		bound(all, &now, p, s->flush_bytes, &s->flush_us);
		if (!s->receiver)
			bound(all, &now, p, s->replay_bytes, &s->replay_us);
	}
	free(all);
}
