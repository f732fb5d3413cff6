/* What one store holds of one set. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/lag_store_int.h"

#define TRIES \
	8 /* backups, from the newest, to find one that WAL leads on from */

int
dr_lag_tell(struct dr_lag_look *k, struct dr_err *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return dr_buf_fmt(&k->told, err, "%s%s", k->told.len > 0 ? "; " : "",
	    text);
}

void
dr_lag_lost(struct dr_lag_look *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(k->known.lost, sizeof(k->known.lost), fmt, ap);
	va_end(ap);
	k->known.lost_at = k->now.wall;
}

/* --- all is unknown ------------------------------------------------------------ */

static void
unknown(struct dr_lag_store *out)
{
	out->reach_time = DR_UNKNOWN;
	out->rpo_bytes = out->rpo_us = DR_UNKNOWN;
	out->rpo_bound = false;
	out->started = out->stopped = out->committed = DR_UNKNOWN;
	out->stored = out->raw = out->duration = DR_UNKNOWN;
	out->verified = out->deep_verified = out->restored = DR_UNKNOWN;
	out->size_change = out->duration_change = out->wal_change = DR_UNKNOWN;
	out->rto_us = out->fetch_us = out->replay_us = DR_UNKNOWN;
}

void
dr_lag_store_wipe(struct dr_lag_store *s)
{
	free(s->set);
	free(s->id);
	free(s->told);
	memset(s, 0, sizeof(*s));
}

/* --- WAL ------------------------------------------------------------------------- */

static uint64_t
need_of(const struct dr_lag_backup *b)
{
	return b->wal ? b->stop_lsn : b->start_lsn;
}

/*
 * Which timelines lead to the primary's; another's are newer, as those of a
 * restored copy that archives.
 */
static uint32_t
limit_of(const struct dr_lag_look *k)
{
	return k->primary == NULL ? 0 : k->primary->tli;
}

/* The newest backup that WAL leads on from, or that holds its own. */
static const struct dr_lag_backup *
start_of(struct dr_lag_look *k, struct dr_lag_reach *r, struct dr_err *err)
{
	size_t before = k->known.backups;
	const struct dr_lag_backup *b, *first = NULL;

	for (int i = 0; i < TRIES; i++) {
		if ((b = dr_lag_usable(&k->known, before)) == NULL || !b->pg)
			break;
		before = (size_t)(b - k->known.backup);
		if (b->system_id == 0 || b->tli == 0 || b->stop_lsn == 0)
			continue;
		if (dr_lag_wal(k, b, need_of(b), err) == -1)
			return NULL;
		dr_lag_reach(&k->known, b->tli, need_of(b), b->stop_lsn,
		    limit_of(k), r);
		if (r->to >= b->stop_lsn) {
			if (first != NULL &&
			    dr_lag_tell(k, err,
			        "backup %s lacks WAL up to its end: only %s "
			        "can be restored",
			        first->id, b->id) == -1)
				return NULL;
			return b;
		}
		if (first == NULL)
			first = b;
	}
	if (first != NULL)
		(void)dr_lag_tell(k, err,
		    "backup %s lacks WAL up to its end: it cannot be restored",
		    first->id);
	return NULL;
}

static int
rpo(struct dr_lag_look *k, const struct dr_lag_backup *b,
    const struct dr_lag_reach *r, struct dr_err *err)
{
	struct dr_lag_store *out = k->out;
	struct dr_lag_samples *all = malloc(sizeof(*all));
	struct dr_lag_sample s;

	if (all == NULL)
		return dr_err_sys(err, "cannot read the samples");
	out->tli = r->tli;
	out->reach = r->to;
	out->reach_time = dr_known(r->time) ? r->time : b->stopped;
	out->gaps = r->gaps;
	out->gap_from = r->gap_from;
	out->gap_to = r->gap_to;
	out->newest = r->newest;
	dr_lag_samples_read(k->o->state, b->system_id, &k->now, all);
	if (dr_lag_sample_of(k->primary, &k->now, &s))
		dr_lag_samples_add(all, &s, &k->now);
	/* Until the report is made, not until it was begun. */
	dr_lag_now(&k->now);
	dr_lag_rpo(k, all, r);
	free(all);
	return 0;
}

/* --- the predicted RTO --------------------------------------------------------------- */

static int64_t
at_speed(uint64_t bytes, double speed)
{
	if (bytes == 0)
		return 0;
	return speed > 0 ? (int64_t)((double)bytes / speed * 1e6) : DR_UNKNOWN;
}

static int64_t
sum(int64_t a, int64_t b)
{
	return dr_known(a) && dr_known(b) ? a + b : DR_UNKNOWN;
}

/*
 * A restore that was measured fetched, unpacked and wrote.  Where there was
 * none, verifying tells how fast is fetched, and how fast is unpacked.
 */
static int64_t
fetching(const struct dr_lag_look *k, const struct dr_lag_backup *b)
{
	const char *url = dr_store_url(k->store);
	uint64_t stored = dr_lag_chain_bytes(&k->known, b, false);
	uint64_t raw = dr_lag_chain_bytes(&k->known, b, true);
	int64_t t =
	    at_speed(stored, dr_rates_speed(k->rates, DR_RATE_RESTORE, url));

	if (dr_known(t))
		return t;
	return sum(at_speed(stored,
	               dr_rates_speed(k->rates, DR_RATE_VERIFY, url)),
	    at_speed(raw, dr_rates_speed(k->rates, DR_RATE_DEEP, url)));
}

static void
rto(const struct dr_lag_look *k, const struct dr_lag_backup *b, uint64_t reach)
{
	uint64_t wal = reach > b->start_lsn ? reach - b->start_lsn : 0;
	uint64_t own = b->wal && b->stop_lsn > b->start_lsn
	                   ? b->stop_lsn - b->start_lsn
	                   : 0;
	struct dr_lag_store *out = k->out;

	out->fetch_us = fetching(k, b);
	out->replay_us =
	    !b->pg ? 0
	           : sum(at_speed(wal,
	                     dr_rates_speed(k->rates, DR_RATE_REPLAY, NULL)),
	                 at_speed(wal > own ? wal - own : 0,
	                     dr_rates_speed(k->rates, DR_RATE_FETCH, NULL)));
	out->rto_us = sum(out->fetch_us, out->replay_us);
}

/* --- together ------------------------------------------------------------------------ */

static size_t
count(const struct dr_lag_known *known)
{
	size_t n = 0;

	for (size_t i = 0; i < known->backups; i++) {
		const struct dr_lag_backup *b = &known->backup[i];

		n += b->trusted && b->complete && !b->pruned && b->body;
	}
	return n;
}

static int
whose(struct dr_lag_look *k, const struct dr_pg_view *primary,
    const struct dr_lag_backup *newest, struct dr_err *err)
{
	if (primary == NULL || newest == NULL || !newest->pg)
		return 0;
	if (primary->system_id == newest->system_id) {
		k->primary = primary;
		return 0;
	}
	if (k->o->set == NULL || primary->system_id == 0)
		return 0;
	return dr_lag_tell(k, err,
	    "the newest backup is of system %" PRIu64
	    ", the primary is %" PRIu64,
	    newest->system_id, primary->system_id);
}

static int
look(struct dr_lag_look *k, const struct dr_pg_view *primary,
    struct dr_err *err)
{
	const struct dr_lag_backup *newest, *from = NULL;
	struct dr_lag_store *out = k->out;
	struct dr_lag_reach r = { .tli = 0 };

	if (dr_lag_snap(k, err) == -1)
		return -1;
	newest = dr_lag_usable(&k->known, k->known.backups);
	if (whose(k, primary, newest, err) == -1)
		return -1;
	if (newest != NULL) {
		out->system_id = newest->system_id;
		if ((out->id = dr_fmt(err, "%s", newest->id)) == NULL)
			return -1;
		dr_lag_trend(k, newest);
		if (newest->pg)
			from = start_of(k, &r, err);
		if (err->cause != DR_OK ||
		    (from != NULL && rpo(k, from, &r, err) == -1))
			return -1;
	}
	out->backups = count(&k->known);
	if (k->rates != NULL) {
		const char *url = dr_store_url(k->store);

		out->verified = dr_rates_last(k->rates, DR_RATE_VERIFY, url);
		out->deep_verified = dr_rates_last(k->rates, DR_RATE_DEEP, url);
		if (out->deep_verified > out->verified)
			out->verified = out->deep_verified;
		out->restored = dr_rates_last(k->rates, DR_RATE_RESTORE, url);
		if (newest != NULL && (from != NULL || !newest->pg))
			rto(k, from != NULL ? from : newest, r.to);
	}
	if (k->known.lost[0] != '\0' &&
	    k->now.wall - k->known.lost_at < DR_LAG_DAY)
		return dr_lag_tell(k, err, "%s", k->known.lost);
	k->known.lost[0] = '\0';
	return 0;
}

int
dr_lag_store_read(const struct dr_lag_opts *o, struct dr_store *store,
    const char *set, const struct dr_pg_view *primary,
    const struct dr_rates *rates, struct dr_lag_store *out, struct dr_err *err)
{
	struct dr_lag_look *k = calloc(1, sizeof(*k));
	struct dr_err why = { 0 }, unwritten = { 0 };
	int rc = -1;

	memset(out, 0, sizeof(*out));
	unknown(out);
	out->url = dr_store_url(store);
	if (k == NULL)
		return dr_err_sys(err, "cannot look at a store");
	k->o = o;
	k->store = store;
	k->set = set;
	k->rates = rates;
	k->out = out;
	k->told.max = 8192;
	dr_lag_now(&k->now);
	if ((out->set = dr_fmt(err, "%s", set)) == NULL ||
	    dr_lag_known_read(o, out->url, set, &k->known, err) == -1)
		goto out;
	rc = 0;
	if (look(k, primary, &why) == -1) {
		/* What is half known could pass for all there is. */
		char *kept = out->set;

		out->set = NULL;
		dr_lag_store_wipe(out);
		unknown(out);
		out->url = dr_store_url(store);
		out->set = kept;
		out->err = why;
		if (why.cause == DR_ESTOP) {
			*err = why;
			rc = -1;
		}
		goto out;
	}
	if (dr_lag_known_write(&k->known, &unwritten) == -1)
		dr_warn("%s", unwritten.msg);
	out->told = k->told.data;
	k->told.data = NULL;

out:
	dr_lag_known_free(&k->known);
	dr_buf_free(&k->told);
	free(k);
	return rc;
}
