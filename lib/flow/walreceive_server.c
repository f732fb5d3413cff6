/* The server: connections, the slot, and where the stream must begin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/walreceive_int.h"
#include "pg/basebackup.h"

#define APP           "dr_wal" /* needs no quotes in a configuration */
#define OLDEST_SERVER 130000
#define STATUS_US     10000000 /* between status messages, at most */
#define STATUS_MIN_US 100000
#define TRIES         4

static uint64_t
segment_start(const struct dr_recv *r, uint64_t lsn)
{
	return lsn - lsn % r->segsize;
}

/* SHOW's way to write a time ("1min", "500ms"), in milliseconds. */
static uint64_t
shown_ms(const char *text)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 },
		{ "h", 3600000 }, { "d", 86400000 } };
	char *unit;
	uint64_t n = strtoull(text, &unit, 10);
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].unit) == 0)
			return n * units[i].ms;
	return n;
}

static int
identify(PGconn *conn, struct dr_recv_system *sys, struct dr_err *err)
{
	char id[21];

	if (dr_pg_identify(conn, id, &sys->tli, &sys->lsn, err) == -1)
		return -1;
	sys->id = strtoull(id, NULL, 10);
	return 0;
}

/* What stays the same while the server runs. */
static int
learn(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_system sys;
	uint64_t size, ms;
	char text[64];
	int n;

	if (PQserverVersion(r->wal) < OLDEST_SERVER)
		return dr_err_set(err, DR_EFAIL,
		    "the server is older than PostgreSQL 13");
	if (identify(r->wal, &sys, err) == -1)
		return -1;
	if (r->sys.id != 0 && sys.id != r->sys.id)
		return dr_err_set(err, DR_ERETRY,
		    "the server is of another cluster now (system id %llu, "
		    "not %llu)",
		    (unsigned long long)sys.id, (unsigned long long)r->sys.id);
	r->sys = sys;
	if ((n = dr_pg_show(r->wal, "wal_segment_size", text, sizeof(text),
	         err)) == -1)
		return -1;
	if (n == 0 || dr_parse_size(text, &size, err) == -1 ||
	    !dr_wal_segsize_ok(size) || (r->segsize != 0 && size != r->segsize))
		return dr_err_set(err, DR_EFAIL,
		    "the server's wal_segment_size makes no sense");
	r->segsize = (uint32_t)size;
	r->status_every = STATUS_US;
	if ((n = dr_pg_show(r->wal, "wal_sender_timeout", text, sizeof(text),
	         err)) == -1)
		return -1;
	if (n == 1 && (ms = shown_ms(text)) > 0 &&
	    ms * 1000 / 4 < r->status_every)
		r->status_every = ms * 1000 / 4;
	if (r->status_every < STATUS_MIN_US)
		r->status_every = STATUS_MIN_US;
	return 0;
}

/* The history of the server's timeline. */
static int
learn_history(struct dr_recv *r, struct dr_err *err)
{
	struct dr_buf text = { .max = 1U << 20 };
	struct dr_history h = { .tli = r->sys.tli };
	int rc = 0;

	if (r->sys.tli > 1 &&
	    (dr_pg_history(r->wal, r->sys.tli, &text, err) == -1 ||
	        dr_history_parse(text.data != NULL ? text.data : "", text.len,
	            r->sys.tli, &h, err) == -1))
		rc = -1;
	dr_buf_free(&text);
	if (rc == 0) {
		dr_history_free(&r->history);
		r->history = h;
	}
	return rc;
}

/* --- where to begin ------------------------------------------------------ */

/* The first segment after FROM that the server still has. */
static uint64_t
oldest_wal(struct dr_recv *r, uint64_t from)
{
	static const char query[] =
	    "SELECT min(substr(name, 9)) FROM pg_ls_waldir() "
	    "WHERE name ~ '^[0-9A-F]{24}$' AND substr(name, 9) > $1";
	char name[DR_WAL_NAME_MAX], first[DR_WAL_NAME_MAX];
	const char *const params[] = { name + 8 };
	struct dr_wal_file file;
	struct dr_err odd = { 0 };
	PGresult *res = NULL;
	uint64_t lsn = 0;

	(void)dr_wal_segment_at(1, from, r->segsize, name);
	if (r->sql != NULL)
		res = dr_pg_query_params(r->sql, query, 1, params, "list WAL",
		    &odd);
	if (res != NULL && PQntuples(res) == 1 && !PQgetisnull(res, 0, 0)) {
		(void)snprintf(first, sizeof(first), "00000001%.16s",
		    PQgetvalue(res, 0, 0));
		if (dr_wal_name(first, &file, &odd) == -1 ||
		    !dr_wal_start(&file, r->segsize, &lsn))
			lsn = 0;
	}
	PQclear(res);
	if (lsn == 0 && r->slot.restart > from)
		lsn = segment_start(r, r->slot.restart);
	if (lsn <= from || lsn > r->sys.lsn)
		lsn = segment_start(r, r->sys.lsn);
	return lsn;
}

static void
queue_gap(struct dr_recv *r, int store, struct dr_recv_pos from, uint64_t to)
{
	struct dr_recv_order *g = &r->gap[r->ngaps];

	if (r->ngaps == sizeof(r->gap) / sizeof(r->gap[0])) {
		/* Two that touch or not: the last grows over both. */
		g--;
		g->end = to > g->end ? to : g->end;
		return;
	}
	*g = (struct dr_recv_order){ .kind = DR_RECV_GAP,
		.store = store,
		.tli = from.tli,
		.start = from.lsn,
		.end = to };
	r->ngaps++;
}

/* What was next is no longer there: say so, and go on behind it. */
static struct dr_recv_pos
skip_removed(struct dr_recv *r, struct dr_recv_pos from)
{
	struct dr_recv_pos to;
	char a[DR_LSN_LEN], b[DR_LSN_LEN], text[160];

	if (from.tli != 0 && r->last.durable.tli == from.tli &&
	    r->last.durable.lsn > from.lsn)
		from.lsn = r->last.durable.lsn;
	to.lsn = oldest_wal(r, from.lsn);
	to.tli =
	    r->history.n > 0 ? dr_history_at(&r->history, to.lsn) : r->sys.tli;
	if (to.tli == 0)
		to.tli = r->sys.tli;
	r->removed = false;
	dr_recv_close_bufs(r);
	if (from.tli == 0 || from.lsn >= to.lsn)
		return to;
	(void)snprintf(text, sizeof(text),
	    "WAL from %s to %s was removed on the server before it was stored",
	    dr_format_lsn(from.lsn, a), dr_format_lsn(to.lsn, b));
	dr_warn("%s: recovery cannot cross this gap", text);
	r->gaps++;
	r->gap_bytes += to.lsn - from.lsn;
	queue_gap(r, -1, from, to.lsn);
	dr_recv_audit(r, "gap", text);
	return to;
}

/* The server left TLI, on which we are at LSN; its history is known. */
static int
follow(struct dr_recv *r, struct dr_recv_pos *pos, struct dr_err *err)
{
	const struct dr_history *h = &r->history;
	uint64_t end = dr_history_end(h, pos->tli);
	char a[DR_LSN_LEN], b[DR_LSN_LEN], text[256];
	size_t i;

	if (pos->tli > r->sys.tli)
		return dr_err_set(err, DR_ERETRY,
		    "the server is on timeline %u, and the stores hold WAL of "
		    "timeline %u already: it is not the newest of its cluster",
		    r->sys.tli, pos->tli);
	if (end != 0 && pos->lsn < end)
		return 0;
	if (end == 0) {
		/* Neither is of the other's past. */
		end = h->n > 0 ? h->v[h->n - 1].end : r->sys.lsn;
		(void)snprintf(text, sizeof(text),
		    "timeline %u, which the stores hold up to %s, is not in "
		    "the past of the server's timeline %u",
		    pos->tli, dr_format_lsn(pos->lsn, a), r->sys.tli);
		dr_warn("%s; going on from %s", text, dr_format_lsn(end, b));
		dr_recv_audit(r, "diverged", text);
		pos->tli = r->sys.tli;
	} else {
		if (pos->lsn > end) {
			r->divergent += pos->lsn - end;
			(void)snprintf(text, sizeof(text),
			    "%llu bytes of WAL after %s were received on "
			    "timeline %u and are not in the server's past",
			    (unsigned long long)(pos->lsn - end),
			    dr_format_lsn(end, a), pos->tli);
			dr_warn("%s; they stay under that timeline", text);
			dr_recv_audit(r, "diverged", text);
		}
		for (i = 0; i < h->n && h->v[i].tli != pos->tli; i++)
			continue;
		pos->tli = i + 1 < h->n ? h->v[i + 1].tli : h->tli;
	}
	pos->lsn = segment_start(r, end);
	dr_recv_close_bufs(r);
	return 0;
}

/* The history of the timeline that comes goes up before its WAL. */
static int
queue_history(struct dr_recv *r, uint32_t tli, struct dr_err *err)
{
	if (tli <= 1 || tli == r->history_shipped || tli == r->history_tli)
		return 0;
	while (r->history_tli != 0)
		if (dr_check_stop(err) == -1 ||
		    dr_recv_turn(r, dr_monotonic() + 1000000, err) == -1)
			return -1;
	r->history_text.len = 0;
	r->history_text.max = 64U << 10;
	if (dr_pg_history(r->wal, tli, &r->history_text, err) == -1)
		return -1;
	r->history_tli = tli;
	return 0;
}

/* From POS, which may be amended: what is before it stands in stores. */
static int
begin_at(struct dr_recv *r, struct dr_recv_pos pos, struct dr_err *err)
{
	const struct dr_recv_pos *d = &r->last.durable;
	struct dr_recv_pos end = dr_recv_end_of(r);
	uint64_t start = segment_start(r, pos.lsn);
	uint32_t shipped = 0;

	if (r->nbufs == 0 || end.tli != pos.tli || end.lsn != pos.lsn ||
	    dr_recv_is_closed(r))
		pos.lsn = start;
	if (d->tli == pos.tli && d->lsn > start)
		shipped = d->lsn - start < r->segsize
		              ? (uint32_t)(d->lsn - start)
		              : r->segsize;
	if (queue_history(r, pos.tli, err) == -1)
		return -1;
	return dr_recv_place(r, pos, shipped, err);
}

static int
start(struct dr_recv *r, struct dr_err *err)
{
	enum dr_walstream_why why;
	char lsn[DR_LSN_LEN];

	r->stream = dr_walstream_start(r->wal, r->o->slot, r->at.tli, r->at.lsn,
	    &why, err);
	if (r->stream == NULL) {
		if (why == DR_WALSTREAM_REMOVED) {
			r->removed = true;
			err->cause = DR_ERETRY;
		}
		return -1;
	}
	r->reported = 0;
	r->status_at = 0;
	r->going = false;
	r->watch.told = false;
	dr_recv_state(r, "connected");
	dr_say(1, "receiving timeline %u from %s", r->at.tli,
	    dr_format_lsn(r->at.lsn, lsn));
	dr_notify("READY=1\nSTATUS=receiving timeline %u from %s", r->at.tli,
	    lsn);
	return 0;
}

/* A standby may lag; a primary must not have lost what stores hold. */
static bool
is_behind(const struct dr_recv *r, struct dr_err *err)
{
	const struct dr_recv_pos *d = &r->last.durable;
	char a[DR_LSN_LEN], b[DR_LSN_LEN];

	if (d->tli != r->sys.tli || d->lsn <= r->sys.lsn)
		return false;
	dr_err_set(err, DR_ERETRY,
	    "the server's WAL on timeline %u ends at %s, before %s, up to "
	    "which the stores hold it",
	    d->tli, dr_format_lsn(r->sys.lsn, a), dr_format_lsn(d->lsn, b));
	return true;
}

static int
begin(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_pos pos = dr_recv_end_of(r);
	uint64_t from;

	if (pos.tli == 0) {
		from = r->slot.restart != 0 ? r->slot.restart : r->sys.lsn;
		pos.lsn = segment_start(r, from);
		pos.tli = r->history.n > 0 ? dr_history_at(&r->history, from)
		                           : r->sys.tli;
		if (r->removed)
			pos =
			    skip_removed(r, (struct dr_recv_pos){ 0, pos.lsn });
	} else {
		if (r->removed)
			pos = skip_removed(r, pos);
		if (pos.tli != r->sys.tli && follow(r, &pos, err) == -1)
			return -1;
		if (is_behind(r, err))
			return -1;
	}
	if (begin_at(r, pos, err) == -1)
		return -1;
	return start(r, err);
}

int
dr_recv_next_timeline(struct dr_recv *r, struct dr_err *err)
{
	enum dr_walstream_why why;
	uint32_t tli = 0;
	uint64_t lsn = 0;
	int n = dr_walstream_end(r->stream, &tli, &lsn, &why, err);

	dr_walstream_free(r->stream);
	r->stream = NULL;
	if (n == -1 && why == DR_WALSTREAM_REMOVED) {
		r->removed = true;
		err->cause = DR_ERETRY;
	}
	if (n != 1)
		return n;
	if (identify(r->wal, &r->sys, err) == -1 ||
	    learn_history(r, err) == -1 || dr_recv_meet(r, err) == -1)
		return -1;
	return begin(r, err) == -1 ? -1 : 1;
}

/* --- the whole ------------------------------------------------------------ */

/* Stores that hold less than the required number of them do. */
static void
note_stores(struct dr_recv *r)
{
	const struct dr_recv_pos *d = &r->last.durable, *c;
	uint64_t to = segment_start(r, d->lsn);
	size_t i;

	if (d->tli == 0)
		return;
	for (i = 0; i < r->o->nstores; i++) {
		c = &r->last.cursor[i];
		if (c->tli != 0 && dr_recv_before(*c, *d) && c->lsn < to) {
			dr_warn("\"%s\" lacks WAL that other stores hold",
			    r->url[i]);
			queue_gap(r, (int)i, *c, to);
		}
	}
}

/* The first time: room for segments, and the child. */
static int
set_up(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_setup s = { .opts = r->o,
		.system_id = r->sys.id,
		.segsize = r->segsize,
		.history = &r->history,
		.close_fds = { PQsocket(r->wal), -1, -1 } };
	int i;

	if (r->sql != NULL)
		s.close_fds[1] = PQsocket(r->sql);
	if (r->watch.pid != 0)
		s.close_fds[2] = r->watch.fd;
	if (dr_recv_map(r, err) == -1)
		return -1;
	for (i = 0; i < DR_RECV_BUFS; i++)
		s.buf[i] = r->buf[i].data;
	if (r->slot.restart != 0)
		s.slot_lsn = segment_start(r, r->slot.restart);
	if (dr_recv_fork(&r->child, &s, err) == -1)
		return -1;
	while (!r->ready) {
		if (dr_check_stop(err) == -1 ||
		    dr_recv_turn(r, dr_monotonic() + 1000000, err) == -1)
			return -1;
	}
	r->at = r->last.durable;
	note_stores(r);
	return dr_recv_hosts(r, err);
}

int
dr_recv_connect(struct dr_recv *r, struct dr_err *err)
{
	struct dr_err no = { 0 };

	if ((r->wal = dr_recv_pick(r, APP, err)) == NULL ||
	    learn(r, err) == -1 || learn_history(r, err) == -1)
		return -1;
	r->sql = dr_pg_connect(r->o->conninfo, false, APP, r->wal, &no);
	if (r->sql == NULL) {
		if (no.cause == DR_ESTOP) {
			*err = no;
			return -1;
		}
		dr_say(1, "the slot is not watched: %s", no.msg);
	}
	if (dr_recv_need_slot(r, err) == -1)
		return -1;
	if (r->child.pid == 0 && set_up(r, err) == -1)
		return -1;
	return dr_recv_meet(r, err) == -1 ? -1 : begin(r, err);
}

void
dr_recv_disconnect(struct dr_recv *r)
{
	dr_walstream_free(r->stream);
	r->stream = NULL;
	memset(&r->held, 0, sizeof(r->held));
	PQfinish(r->sql);
	PQfinish(r->wal);
	r->sql = r->wal = NULL;
	r->asked = r->going = r->answer = false;
	r->slot.sync = false;
	*r->watch.server = '\0';
	dr_recv_state(r, "cut");
}
