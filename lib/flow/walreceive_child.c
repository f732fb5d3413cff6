/*
 * The child: puts what it is told to into the stores, however long that
 * takes, and keeps count of how far each store got.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/state.h"
#include "flow/walcat.h"
#include "flow/walreceive_int.h"

#define LEDGER_MS     60000
#define RETRY_MIN_MS  200
#define RETRY_MAX_MS  15000
#define SAVE_US       1000000 /* how stale the state may be */
#define LOOK_AGAIN_US 60000000
#define HISTORY_MAX   (128U << 10)

struct kid {
	int fd;
	const struct dr_recv_setup *setup;
	const struct dr_wal_receive_opts *o;
	struct dr_ship *ship;
	char *url[DR_SHIP_STORES];
	char *path; /* of the state */
	size_t n, require;
	struct dr_recv_pos cursor[DR_SHIP_STORES];
	unsigned behind;
	bool conflict; /* there is other content under a name of ours */
	bool unsaved;
	int64_t saved, looked, due_known;
	uint64_t due; /* of a ledger, as it was then */
	char *text;   /* of a history */
};

/* The N-th best cursor: what the required number of stores hold. */
static struct dr_recv_pos
durable(const struct kid *k)
{
	struct dr_recv_pos best = { 0, 0 }, c;
	size_t i, j, as_good;

	for (i = 0; i < k->n; i++) {
		c = k->cursor[i];
		as_good = 0;
		for (j = 0; j < k->n; j++)
			as_good += !dr_recv_before(k->cursor[j], c);
		if (as_good >= k->require && dr_recv_before(best, c))
			best = c;
	}
	return best;
}

static int
report(struct kid *k, enum dr_recv_report_kind kind, const struct dr_err *err)
{
	struct dr_recv_report rep;
	ssize_t n;

	memset(&rep, 0, sizeof(rep));
	rep.kind = kind;
	rep.durable = durable(k);
	memcpy(rep.cursor, k->cursor, sizeof(rep.cursor));
	rep.behind = k->behind;
	if (err != NULL)
		rep.err = *err;
	do
		n = send(k->fd, &rep, sizeof(rep), MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(rep) ? 0 : -1;
}

/* Our own public key, to read ledgers with. */
static struct dr_verify_keys *
own_keys(const struct kid *k, struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	struct dr_verify_keys *keys = NULL;
	struct dr_sign_key *key;
	bool made;

	key = dr_state_sign_key(k->o->state, k->o->sign_key, &made, err);
	if (key != NULL && dr_sign_key_public(key, &text, err) == 0)
		keys = dr_verify_keys_parse(text.data, text.len,
		    "the signing key", err);
	dr_buf_free(&text);
	dr_sign_key_free(key);
	return keys;
}

/* Where WAL that our ledgers vouch for ends, on TLI. */
static bool
vouched_end(const struct dr_walcat *cat, uint32_t tli, uint64_t base,
    struct dr_recv_pos *pos)
{
	const struct dr_walmap *m = NULL;
	uint64_t reach, last;
	size_t i;

	for (i = 0; i < cat->timelines; i++)
		if (cat->timeline[i].tli == tli)
			m = &cat->timeline[i].vouched;
	if (m == NULL || m->n == 0)
		return false;
	pos->tli = tli;
	reach = dr_walmap_reach(m, base);
	last = m->v[m->n - 1].to;
	pos->lsn = reach > base ? reach : last <= base ? last : base;
	return true;
}

/* What store I holds, by its ledgers.  1, 0 nothing, -1. */
static int
look(const struct kid *k, size_t i, uint64_t base, struct dr_recv_pos *pos,
    struct dr_err *err)
{
	const struct dr_history *h = k->setup->history;
	struct dr_verify_keys *keys = NULL;
	struct dr_store *store = NULL;
	struct dr_walcat cat;
	size_t a;
	int rc = -1;

	if ((keys = own_keys(k, err)) == NULL ||
	    (store = dr_store_open(k->o->stores[i], k->o->how, err)) == NULL)
		goto out;
	memset(&cat, 0, sizeof(cat));
	if (dr_walcat_read(store, k->o->set, k->setup->system_id,
	        k->setup->segsize, keys, NULL, NULL, &cat, err) == -1)
		goto out;
	rc = vouched_end(&cat, h->tli, base, pos);
	for (a = h->n; rc == 0 && a > 0; a--)
		rc = vouched_end(&cat, h->v[a - 1].tli, base, pos);
	dr_walcat_free(&cat);

out:
	dr_store_free(store);
	dr_verify_keys_free(keys);
	return rc;
}

static int
set_up_store(struct kid *k, size_t i, struct dr_err *err)
{
	struct dr_store *store = dr_store_open(k->o->stores[i], k->o->how, err);

	if (store == NULL)
		return -1;
	k->url[i] = dr_fmt(err, "%s", dr_store_url(store));
	dr_store_free(store);
	if (k->url[i] == NULL)
		return -1;
	switch (dr_recv_state_get(k->path, k->url[i], &k->cursor[i], err)) {
	case -1:
		return -1;
	case 1:
		return 0;
	default:
		return look(k, i, k->setup->slot_lsn, &k->cursor[i], err) == -1
		           ? -1
		           : 0;
	}
}

static int
set_up(struct kid *k, struct dr_err *err)
{
	const struct dr_wal_receive_opts *o = k->o;
	struct dr_ship_opts so = { .set = o->set,
		.state = o->state,
		.stores = o->stores,
		.nstores = o->nstores,
		.require = o->require,
		.how = o->how,
		.lock_days = o->lock_days,
		.sign_key = o->sign_key,
		.recipients = o->recipients,
		.cipher = o->cipher,
		.system_id = k->setup->system_id,
		.segsize = k->setup->segsize,
		.ledger_ms = LEDGER_MS };
	char *dir = NULL;
	int rc = -1;
	size_t i;

	k->n = o->nstores;
	k->require = o->require != 0 ? o->require : o->nstores;
	if ((k->text = malloc(HISTORY_MAX)) == NULL)
		return dr_err_sys(err, "cannot allocate room for a history");
	if ((k->path = dr_recv_state_path(o, k->setup->system_id, err)) ==
	        NULL ||
	    (dir = dr_fmt(err, "%s/sets/%s", o->state, o->set)) == NULL ||
	    dr_mkdirs(dir, 0755, err) == -1)
		goto out;
	for (i = 0; i < k->n; i++)
		if (set_up_store(k, i, err) == -1)
			goto out;
	if ((k->ship = dr_ship_open(&so, err)) != NULL)
		rc = 0;

out:
	free(dir);
	return rc;
}

static int
save(struct kid *k, bool now, struct dr_err *err)
{
	const char *urls[DR_SHIP_STORES];
	size_t i;

	if (!k->unsaved || (!now && dr_monotonic() - k->saved < SAVE_US))
		return 0;
	for (i = 0; i < k->n; i++)
		urls[i] = k->url[i];
	if (dr_recv_state_put(k->path, urls, k->cursor, k->n, err) == -1)
		return -1;
	k->unsaved = false;
	k->saved = dr_monotonic();
	return 0;
}

/* Store I holds FROM to TO of TLI now. */
static void
advance(struct kid *k, size_t i, uint32_t tli, uint64_t from, uint64_t to)
{
	struct dr_recv_pos *c = &k->cursor[i];

	/* A store with nothing begins here; what is before is not ours. */
	if (c->tli != 0 && from > c->lsn) {
		k->behind |= 1U << i;
		return;
	}
	if (c->tli == tli && to <= c->lsn)
		return;
	if (c->tli > tli)
		return;
	c->tli = tli;
	c->lsn = to;
	k->behind &= ~(1U << i);
	k->unsaved = true;
}

/* Somebody may have copied what a store lacked. */
static void
look_again(struct kid *k)
{
	struct dr_recv_pos pos;
	struct dr_err err = { 0 };
	size_t i;

	if (k->behind == 0 || dr_monotonic() - k->looked < LOOK_AGAIN_US)
		return;
	k->looked = dr_monotonic();
	for (i = 0; i < k->n; i++)
		if ((k->behind & 1U << i) != 0 &&
		    look(k, i, k->cursor[i].lsn, &pos, &err) == 1 &&
		    dr_recv_before(k->cursor[i], pos)) {
			k->cursor[i] = pos;
			k->behind &= ~(1U << i);
			k->unsaved = true;
		}
}

static int
put(struct kid *k, const struct dr_recv_order *o, struct dr_err *err)
{
	const unsigned char *data = k->setup->buf[o->buf] + o->from;
	struct dr_recv_pos want = { o->tli, o->start + o->to };
	struct dr_wal_id id = { .set = k->o->set,
		.system_id = k->setup->system_id,
		.increment = !o->whole,
		.from = o->from,
		.to = o->to };
	struct dr_ship_result res;
	size_t i;

	(void)dr_wal_segment_at(o->tli, o->start, k->setup->segsize, id.name);
	if (dr_wal_name(id.name, &id.file, err) == -1)
		return -1;
	memset(&res, 0, sizeof(res));
	if (dr_ship_put(k->ship, &id, data, o->to - o->from, &res, err) == -1) {
		k->conflict = res.conflict;
		return -1;
	}
	for (i = 0; i < k->n; i++)
		if (res.store[i].done)
			advance(k, i, o->tli, o->start + o->from, want.lsn);
		else if (k->cursor[i].tli != 0)
			k->behind |= 1U << i;
	look_again(k);
	if (dr_recv_before(durable(k), want))
		return dr_err_set(err, DR_ERETRY,
		    "the WAL is without a gap in fewer than the %zu "
		    "store%s required",
		    k->require, dr_plural(k->require));
	return save(k, o->whole, err);
}

static int
put_history(struct kid *k, const struct dr_recv_order *o, const char *text,
    size_t len, struct dr_err *err)
{
	struct dr_wal_id id = { .set = k->o->set,
		.system_id = k->setup->system_id };
	struct dr_ship_result res;

	id.file.kind = DR_WAL_HISTORY;
	id.file.tli = o->tli;
	id.to = (uint32_t)len;
	(void)snprintf(id.name, sizeof(id.name), "%08X.history", o->tli);
	memset(&res, 0, sizeof(res));
	if (dr_ship_put(k->ship, &id, text, len, &res, err) == 0)
		return 0;
	k->conflict = res.conflict;
	return -1;
}

/* START to END is missing: in one store, or it can be had no more. */
static int
record_gap(struct kid *k, const struct dr_recv_order *o, struct dr_err *err)
{
	const struct dr_recv_pos after = { o->tli, o->end };
	size_t i;

	if (dr_ship_gap(k->ship, o->store == -1 ? "" : k->o->stores[o->store],
	        o->tli, o->start, o->end, err) == -1)
		return -1;
	if (o->store != -1) {
		k->behind |= 1U << o->store;
		return 0;
	}
	for (i = 0; i < k->n; i++)
		if (dr_recv_before(k->cursor[i], after))
			k->cursor[i] = after;
	k->unsaved = true;
	if (save(k, true, err) == -1)
		return -1;
	return dr_ship_ledger(k->ship, true, err);
}

static int
do_order(struct kid *k, const struct dr_recv_order *o, size_t len,
    struct dr_err *err)
{
	switch (o->kind) {
	case DR_RECV_PUT:
		return put(k, o, err);
	case DR_RECV_HISTORY:
		return put_history(k, o, k->text, len, err);
	case DR_RECV_GAP:
		return record_gap(k, o, err);
	case DR_RECV_LEDGER:
		if (save(k, true, err) == -1)
			return -1;
		return dr_ship_ledger(k->ship, true, err);
	}
	return 0;
}

/* Wait MS for word from the parent: 1 there is, 0 none. */
static int
word(const struct kid *k, uint64_t ms)
{
	struct pollfd p = { .fd = k->fd, .events = POLLIN };

	return poll(&p, 1, ms > 60000 ? 60000 : (int)ms) > 0;
}

/* Do it, and again until it is done.  -1: the parent wants no more. */
static int
insist(struct kid *k, const struct dr_recv_order *o, size_t len)
{
	uint64_t pause = RETRY_MIN_MS, jitter = 0;
	struct dr_err err = { 0 }, odd = { 0 };

	for (;;) {
		dr_err_clear(&err);
		if (do_order(k, o, len, &err) == 0)
			return report(k, DR_RECV_DONE, NULL);
		if (k->conflict || err.cause == DR_EUSAGE) {
			(void)report(k, DR_RECV_FATAL, &err);
			return -1;
		}
		if (report(k, DR_RECV_TROUBLE, &err) == -1)
			return -1;
		/* One order at a time: any word now means the end. */
		(void)dr_random(&jitter, sizeof(jitter), &odd);
		if (word(k, pause + jitter % (pause / 2)))
			return -1;
		pause = pause * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause * 2;
	}
}

static void
ledger(struct kid *k)
{
	struct dr_err err = { 0 };

	k->due_known = 0;
	if (dr_ship_ledger(k->ship, false, &err) == -1)
		(void)report(k, DR_RECV_TROUBLE, &err);
	else if (save(k, false, &err) == -1)
		(void)report(k, DR_RECV_TROUBLE, &err);
}

/* Milliseconds; not asked for more than once a second. */
static uint64_t
ledger_due(struct kid *k)
{
	int64_t now = dr_monotonic(), left;

	if (k->due_known == 0 || now - k->due_known >= 1000000) {
		k->due = dr_ship_due(k->ship);
		k->due_known = now;
	}
	left = (int64_t)(k->due < 3600000 ? k->due : 3600000) -
	       (now - k->due_known) / 1000;
	return left > 0 ? (uint64_t)left : 0;
}

static void
serve(struct kid *k)
{
	struct dr_recv_order o;
	struct iovec v[2];
	struct msghdr m;
	uint64_t due;
	ssize_t n;

	for (;;) {
		dr_ship_prepare(k->ship);
		/* To look takes time; and what failed is due at once. */
		due = ledger_due(k);
		if (due < 1000)
			due = 1000;
		if (k->unsaved && due > SAVE_US / 1000)
			due = SAVE_US / 1000;
		if (word(k, due) == 0) {
			ledger(k);
			continue;
		}
		v[0] = (struct iovec){ &o, sizeof(o) };
		v[1] = (struct iovec){ k->text, HISTORY_MAX };
		m = (struct msghdr){ .msg_iov = v, .msg_iovlen = 2 };
		if ((n = recvmsg(k->fd, &m, 0)) == -1 && errno == EINTR)
			continue;
		if (n < (ssize_t)sizeof(o) ||
		    insist(k, &o, (size_t)n - sizeof(o)) == -1)
			return;
		/* With orders coming at once it would never be idle. */
		if (ledger_due(k) == 0)
			ledger(k);
	}
}

_Noreturn void
dr_recv_child_main(int fd, const struct dr_recv_setup *setup)
{
	struct kid k = { .fd = fd, .setup = setup, .o = setup->opts };
	struct dr_err err = { 0 };
	size_t i;

	/* No orphan may go on beside the next receiver. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < sizeof(setup->close_fds) / sizeof(int); i++)
		if (setup->close_fds[i] != -1)
			close(setup->close_fds[i]);
	if (set_up(&k, &err) == -1)
		(void)report(&k, DR_RECV_FATAL, &err);
	else if (report(&k, DR_RECV_READY, NULL) == 0)
		serve(&k);
	dr_ship_free(k.ship);
	_exit(0);
}
