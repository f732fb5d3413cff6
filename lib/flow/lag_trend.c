/* The newest backup against those of the last seven days. */
#include <stdlib.h>

#include "flow/lag_store_int.h"

#define WEEK    (7 * DR_LAG_DAY)
#define LEAST   2 /* fewer have no median to speak of */
#define MOST    1024
#define HOUR_US 3600000000LL /* less tells nothing of a rate */

static int
rising(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Per mille of the median of V. */
static int64_t
against(int64_t now, int64_t *v, size_t n)
{
	int64_t median;

	if (n < LEAST || !dr_known(now))
		return DR_UNKNOWN;
	qsort(v, n, sizeof(*v), rising);
	median = n % 2 == 1 ? v[n / 2]
	                    : v[n / 2 - 1] + (v[n / 2] - v[n / 2 - 1]) / 2;
	if (median <= 0)
		return DR_UNKNOWN;
	return (int64_t)((double)now / (double)median * 1000.0 + 0.5);
}

static int64_t
duration(const struct dr_lag_backup *b)
{
	return dr_known(b->stopped) && dr_known(b->started) &&
	               b->stopped >= b->started
	           ? b->stopped - b->started
	           : DR_UNKNOWN;
}

static bool
counts(const struct dr_lag_backup *b, const struct dr_lag_backup *newest)
{
	return b->trusted && b->complete && b->pg == newest->pg &&
	       b->started > newest->started - WEEK &&
	       b->started <= newest->started;
}

/* Bytes of WAL an hour from the end of one backup to that of the next. */
static int64_t
wal_rate(const struct dr_lag_backup *a, const struct dr_lag_backup *b)
{
	if (a->system_id != b->system_id || !dr_known(a->stopped) ||
	    !dr_known(b->stopped) || b->stopped <= a->stopped ||
	    b->stop_lsn < a->stop_lsn || a->stop_lsn == 0)
		return DR_UNKNOWN;
	return (int64_t)((double)(b->stop_lsn - a->stop_lsn) * HOUR_US /
	                 (double)(b->stopped - a->stopped));
}

static int64_t
wal_change(const struct dr_lag_look *k, const struct dr_lag_backup *newest)
{
	const struct dr_lag_known *known = &k->known;
	const struct dr_lag_backup *last = NULL;
	struct dr_lag_backup now = *newest;
	int64_t v[MOST], rate, latest = DR_UNKNOWN;
	size_t n = 0;

	for (size_t i = 0; i < known->backups && n < MOST; i++) {
		const struct dr_lag_backup *b = &known->backup[i];

		if (!counts(b, newest))
			continue;
		rate = last == NULL ? DR_UNKNOWN : wal_rate(last, b);
		last = b;
		if (dr_known(rate))
			v[n++] = rate;
	}
	/* Since the newest, if the primary answers and that is long enough. */
	if (k->primary != NULL && k->primary->lsn > newest->stop_lsn &&
	    dr_known(newest->stopped) &&
	    k->now.wall - newest->stopped > HOUR_US) {
		now.stop_lsn = k->primary->lsn;
		now.stopped = k->now.wall;
		latest = wal_rate(newest, &now);
	} else if (n > 0)
		latest = v[--n];
	return against(latest, v, n);
}

void
dr_lag_trend(struct dr_lag_look *k, const struct dr_lag_backup *newest)
{
	const struct dr_lag_known *known = &k->known;
	struct dr_lag_store *out = k->out;
	int64_t size[MOST], took[MOST];
	size_t n = 0, m = 0;

	out->started = newest->started;
	out->stopped = newest->stopped;
	out->committed = newest->committed;
	out->stored = newest->stored;
	out->raw = newest->raw;
	out->stop_lsn = newest->stop_lsn;
	out->stop_tli = newest->tli;
	out->duration = duration(newest);
	for (size_t i = 0; i < known->backups && n < MOST && m < MOST; i++) {
		const struct dr_lag_backup *b = &known->backup[i];

		/* A full one is compared with full ones. */
		if (b == newest || !counts(b, newest) ||
		    (b->parent[0] == '\0') != (newest->parent[0] == '\0'))
			continue;
		if (dr_known(b->stored))
			size[n++] = b->stored;
		if (dr_known(duration(b)))
			took[m++] = duration(b);
	}
	out->size_change = against(out->stored, size, n);
	out->duration_change = against(out->duration, took, m);
	out->wal_change = newest->pg ? wal_change(k, newest) : DR_UNKNOWN;
}
