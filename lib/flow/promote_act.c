/* What a run does to servers, and how it is taken back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_run.h"
#include "pg/libpq.h"

#define SLICE_MS     1000 /* of a wait, between two looks at the lock */
#define PAUSE_NS     20000000
#define RECEIVERS_MS 3000 /* they look at etcd four times a second */

/* --- who is where ----------------------------------------------------------------- */

/* HOST and PORT of "HOST:PORT", "[ADDRESS]:PORT", "DIRECTORY:PORT". */
static void
split(const char *where, char host[256], char port[8])
{
	const char *colon = strrchr(where, ':');
	size_t len = colon == NULL ? strlen(where) : (size_t)(colon - where);

	if (len > 1 && where[0] == '[' && where[len - 1] == ']') {
		where++;
		len -= 2;
	}
	(void)snprintf(host, 256, "%.*s", (int)(len < 255 ? len : 255), where);
	(void)snprintf(port, 8, "%.7s", colon == NULL ? "5432" : colon + 1);
}

int
dr_run_address(const struct dr_promote_look *l, int at, char host[256],
    char port[8], struct dr_err *err)
{
	const char *own =
	    l->node[at].facts.known ? l->node[at].facts.address : NULL;
	PQconninfoOption *opts;
	char *why = NULL;
	size_t i;

	split(l->view[at].where, host, port);
	if (own == NULL || own[0] == '\0')
		return 0;
	if ((opts = PQconninfoParse(own, &why)) == NULL) {
		PQfreemem(why);
		return dr_err_set(err, DR_EUSAGE,
		    "%s: drtools.address is no connection string",
		    l->view[at].name);
	}
	for (i = 0; opts[i].keyword != NULL; i++) {
		const char *v = opts[i].val;

		if (v == NULL)
			continue;
		if (strcmp(opts[i].keyword, "host") == 0)
			(void)snprintf(host, 256, "%.255s", v);
		else if (strcmp(opts[i].keyword, "port") == 0)
			(void)snprintf(port, 8, "%.7s", v);
	}
	PQconninfoFree(opts);
	return 0;
}

size_t
dr_run_standbys(const struct dr_run *r, bool others,
    struct dr_node *out[DR_PG_HOSTS_MAX])
{
	const struct dr_plan_node *p = dr_run_chosen(r);
	size_t i, n = 0;

	for (i = 0; i < r->look.n && n < DR_PG_HOSTS_MAX; i++)
		if (r->look.view[i].probe.state == DR_PROBE_STANDBY &&
		    r->look.node[i].ask.at == DR_ASK_IDLE &&
		    !(others && p != NULL && (size_t)p->at == i))
			out[n++] = &r->look.node[i];
	return n;
}

static const char *
name_of(const struct dr_node *n)
{
	return n->view->name;
}

/* By which it acknowledges as a standby. */
static const char *
member_of(const struct dr_run *r, const struct dr_node *n)
{
	const char *member = r->look.seen[n - r->look.node].member;

	return member[0] != '\0' ? member : name_of(n);
}

/* --- cutting off -------------------------------------------------------------------- */

/*
 * The most that a receiver of WAL has durably of the timeline that the chosen
 * one is on; 0: there is none.
 */
static uint64_t
stored(const struct dr_run *r, const struct dr_plan_node *p)
{
	uint64_t most = 0;
	size_t i;

	for (i = 0; i < r->look.reports; i++) {
		const struct dr_rec_node *n = &r->look.report[i];

		if (strcmp(n->kind, "receiver") == 0 && n->tli == p->tli &&
		    n->lsn > most)
			most = n->lsn;
	}
	return most;
}

/* Has every receiver of WAL that may acknowledge let go of the old one? */
static bool
all_let_go(const struct dr_run *r)
{
	size_t i;

	for (i = 0; i < r->look.reports; i++) {
		const struct dr_rec_node *n = &r->look.report[i];

		if (strcmp(n->kind, "receiver") == 0 &&
		    dr_syncnames_match(&r->plan.names, n->name) &&
		    n->token != r->intent.token)
			return false;
	}
	return true;
}

/* They heed the intent by themselves, and say so in etcd. */
static int
receivers(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, PAUSE_NS };
	const int64_t until = dr_run_until(RECEIVERS_MS);
	int rc;

	if (r->o->coord == NULL || !r->plan.names_known)
		return 0;
	while (!all_let_go(r) && dr_monotonic() < until) {
		(void)nanosleep(&pause, NULL);
		if (dr_run_tick(r, err) == -1 || dr_check_stop(err) == -1)
			return -1;
		r->asking = true;
		rc = dr_promote_look_coord(r->o, &r->look, err);
		r->asking = false;
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* Where all of them end, with a look at the lock now and then. */
static int
ends(struct dr_run *r, uint64_t want, struct dr_err *err)
{
	const struct timespec pause = { 0, PAUSE_NS };
	const int64_t until = dr_run_until(r->o->promote_ms);
	struct dr_node *node[DR_PG_HOSTS_MAX];
	struct dr_node_end end[DR_PG_HOSTS_MAX];
	const size_t n = dr_run_standbys(r, false, node);
	int64_t slice;
	bool late;
	size_t i;

	do {
		slice = dr_run_until(SLICE_MS);
		memset(end, 0, sizeof(end));
		if (dr_run_tick(r, err) == -1 ||
		    dr_nodes_ends(node, n, end, slice, err) == -1)
			return -1;
		/* Before its time is over it is sure; half a record may be
		 * the last that was received. */
		late = dr_monotonic() >= slice;
		for (i = 0; i < n; i++) {
			r->end[node[i] - r->look.node] = end[i];
			if (dr_run_node(r) == node[i] && end[i].known &&
			    end[i].received < want)
				late = true;
		}
		if (late)
			(void)nanosleep(&pause, NULL);
	} while (late && dr_monotonic() < until);
	return 0;
}

int
dr_run_cut(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *node[DR_PG_HOSTS_MAX];
	const size_t n = dr_run_standbys(r, false, node);
	const struct dr_plan_node *p;
	uint64_t want;
	size_t i;

	if (r->end == NULL &&
	    (r->end = calloc(r->look.n, sizeof(*r->end))) == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	r->touched = true;
	if (dr_nodes_cut(node, n, dr_run_until(r->o->timeout_ms), err) == -1)
		return -1;
	for (i = 0; i < n; i++)
		if (node[i]->err.cause != DR_OK)
			dr_warn("%s cannot be cut off: %s", name_of(node[i]),
			    node[i]->err.msg);
	if (receivers(r, err) == -1 || ends(r, 0, err) == -1 ||
	    dr_run_judge(r, err) == -1)
		return -1;
	/* What only a store has is fetched from there (restore_command). */
	if ((p = dr_run_chosen(r)) == NULL || (want = stored(r, p)) <= p->lsn)
		return 0;
	if (r->look.node[p->at].facts.restore_command[0] == '\0') {
		dr_warn("a receiver of WAL has more than %s, which has no "
		        "restore_command",
		    r->look.view[p->at].name);
		return 0;
	}
	dr_say(1, "%s fetches what a store has", r->look.view[p->at].name);
	if (ends(r, want, err) == -1)
		return -1;
	return dr_run_judge(r, err);
}

/* --- whom the new primary will wait for ----------------------------------------------- */

/* How many of NAMES would be there to acknowledge. */
static size_t
present(const struct dr_run *r, const struct dr_syncnames *names)
{
	struct dr_node *other[DR_PG_HOSTS_MAX];
	const size_t n = dr_run_standbys(r, true, other);
	size_t i, there = 0;

	for (i = 0; i < n; i++)
		if (other[i]->err.cause == DR_OK &&
		    dr_syncnames_match(names, member_of(r, other[i])))
			there++;
	for (i = 0; i < r->look.reports; i++)
		if (strcmp(r->look.report[i].kind, "receiver") == 0 &&
		    dr_syncnames_match(names, r->look.report[i].name))
			there++;
	return there;
}

/* Its name, where it is more than where it lies. */
static const char *
former_of(const struct dr_run *r)
{
	const int old = r->plan.old;

	if (old != -1 && r->look.seen[old].member[0] != '\0')
		return r->look.seen[old].member;
	return old != -1 && strcmp(r->old_name, r->look.view[old].where) == 0
	           ? ""
	           : r->old_name;
}

/* What the chosen one is to demand as a primary. */
static int
demand(struct dr_run *r, struct dr_syncnames *out, struct dr_err *err)
{
	const struct dr_node *chosen = dr_run_node(r);

	memset(out, 0, sizeof(*out));
	if (r->plan.names_known)
		return dr_syncnames_swap(&r->plan.names, member_of(r, chosen),
		    former_of(r), out, err);
	return dr_syncnames_parse(chosen->view->sync_names, out, err);
}

static int
set_names(struct dr_run *r, struct dr_err *err)
{
	struct dr_buf text = { .max = 8192 };
	struct dr_node *chosen = dr_run_node(r);
	struct dr_syncnames names;
	size_t there;
	int rc = -1;

	if (demand(r, &names, err) == -1)
		goto out;
	there = present(r, &names);
	r->ev->protected_ = names.wait > 0;
	if (names.wait > 0 && there < (size_t)names.wait) {
		if (!r->o->allow_async) {
			dr_err_set(err, DR_EPARTIAL,
			    "refused: %s would wait for %d to acknowledge, and "
			    "%zu would be there",
			    name_of(chosen), names.wait, there);
			(void)dr_err_hint(err,
			    "--allow-async: what is written until they are "
			    "back may be lost");
			goto out;
		}
		dr_warn("%s will wait for %zu instead of %d to acknowledge: "
		        "what it writes is less protected",
		    name_of(chosen), there, names.wait);
		names.wait = (int)there;
		r->ev->protected_ = false;
	}
	if (dr_syncnames_format(&names, &text, err) == -1)
		goto out;
	rc = 0;
	if (strcmp(text.data == NULL ? "" : text.data,
	        chosen->view->sync_names) != 0)
		rc = dr_node_set(chosen, "synchronous_standby_names",
		    text.data == NULL ? "" : text.data,
		    dr_run_until(r->o->timeout_ms), err);

out:
	dr_buf_free(&text);
	dr_syncnames_free(&names);
	return rc;
}

int
dr_run_gather(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *other[DR_PG_HOSTS_MAX], *chosen = dr_run_node(r);
	const size_t n = dr_run_standbys(r, true, other);
	const int64_t until = dr_run_until(r->o->timeout_ms);
	struct dr_err why;
	size_t i;

	/* Hooks take their time. */
	if (dr_run_tick(r, err) == -1)
		return -1;
	/* They stream from it while it is a standby still, and with it they
	 * go over to the new timeline at once. */
	for (i = 0; i < n; i++) {
		const char *slot = other[i]->facts.slot_name;
		const ptrdiff_t at = other[i] - r->look.node;

		if (r->end != NULL && r->end[at].known &&
		    r->end[at].received > dr_run_chosen(r)->lsn) {
			dr_warn("%s has more than %s: it needs dr-promote "
			        "rejoin",
			    name_of(other[i]), name_of(chosen));
			continue;
		}
		memset(&why, 0, sizeof(why));
		if ((slot[0] != '\0' &&
		        dr_node_slot(chosen, slot, until, &why) == -1) ||
		    dr_node_follow(other[i], r->new_host, r->new_port, slot,
		        until, &why) == -1) {
			if (why.cause == DR_ESTOP || r->lost) {
				*err = why;
				return -1;
			}
			dr_warn("%s does not follow %s: %s", name_of(other[i]),
			    name_of(chosen), why.msg);
			other[i]->err = why;
		}
	}
	return set_names(r, err);
}

/* --- promoting ------------------------------------------------------------------------- */

/* When the last transaction that it has was committed, by the old's clock. */
static int64_t
last_commit(struct dr_node *n)
{
	const char *sql =
	    "SELECT (extract(epoch FROM pg_last_xact_replay_timestamp())"
	    " * 1000000)::bigint";
	struct dr_err err = { 0 };
	int64_t us;

	if (dr_nodes_run(&n, &sql, 1, dr_run_until(SLICE_MS), &err) == -1 ||
	    n->err.cause != DR_OK || n->ask.results < 1 ||
	    PQntuples(n->ask.result[0]) != 1 ||
	    PQgetisnull(n->ask.result[0], 0, 0) ||
	    dr_parse_int(PQgetvalue(n->ask.result[0], 0, 0), 0, INT64_MAX, &us,
	        &err) == -1)
		return DR_UNKNOWN;
	return us;
}

static int
write_there(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *n = dr_run_node(r);
	const int64_t until = dr_run_until(r->o->promote_ms);
	int rc;

	while ((rc = dr_node_write(n, dr_run_until(SLICE_MS * 5), err)) == 0 &&
	       dr_monotonic() < until)
		if (dr_run_tick(r, err) == -1)
			return -1;
	if (rc == 0) {
		dr_err_set(err, DR_EFAIL,
		    "%s is promoted, and a write there is not acknowledged: %s",
		    name_of(n), n->err.msg);
		return dr_err_hint(err, "see its synchronous_standby_names");
	}
	return rc == 1 ? 0 : -1;
}

int
dr_run_promote(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *n = dr_run_node(r);
	uint32_t tli = 0;

	if (r->intent.step < DR_STEP_PROMOTED &&
	    n->view->probe.state == DR_PROBE_STANDBY) {
		r->ev->t_last_ack = last_commit(n);
		/* Nobody else acts while this is under way. */
		if (r->o->coord != NULL && !r->resumed &&
		    dr_coord_left(&r->held) < (int64_t)r->held.ttl * 500000) {
			dr_err_set(err, DR_ERETRY,
			    "too little is left of the lock's time");
			return -1;
		}
		if (dr_run_step(r, DR_STEP_PROMOTING, err) == -1)
			return -1;
		r->ev->t_promote = dr_now();
		r->touched = true;
		if (dr_node_promote(n, &tli, dr_run_until(r->o->promote_ms),
		        err) == -1)
			return -1;
		r->ev->tli = tli;
		r->ev->fork = dr_run_chosen(r)->lsn;
	} else {
		const struct dr_history *h = &n->facts.history;

		r->ev->tli = n->view->tli;
		if (n->facts.has_history && h->n > 0)
			r->ev->fork = h->v[h->n - 1].end;
	}
	if (write_there(r, err) == -1)
		return -1;
	r->ev->t_first_write = dr_now();
	return r->intent.step < DR_STEP_PROMOTED
	           ? dr_run_step(r, DR_STEP_PROMOTED, err)
	           : 0;
}

/* --- back --------------------------------------------------------------------------------- */

/* Talk again to those whose connection was left in the middle of something. */
static void
reconnect(struct dr_run *r)
{
	struct dr_err err = { 0 };
	size_t i;

	for (i = 0; i < r->look.n; i++)
		if (r->look.view[i].probe.state == DR_PROBE_STANDBY &&
		    r->look.node[i].ask.at != DR_ASK_IDLE) {
			dr_nodes_close(&r->look.node[i], 1);
			if (dr_nodes_open(&r->look.host[i], &r->look.view[i],
			        &r->look.node[i], 1,
			        dr_run_until(r->o->timeout_ms), &err) == -1)
				dr_warn_err(&err);
		}
}

void
dr_run_back(struct dr_run *r)
{
	struct dr_node *node[DR_PG_HOSTS_MAX];
	struct dr_err err = { 0 };
	bool whole = true;
	size_t i, n;

	/* Whoever has the lock now may count on those that are cut off. */
	dr_run_settle();
	if (!dr_run_relock(r)) {
		dr_warn("what was begun is left to whoever has the lock now, "
		        "or to dr-promote undo");
		return;
	}
	reconnect(r);
	n = dr_run_standbys(r, false, node);
	if (r->end != NULL || r->intent.step == DR_STEP_CHOSEN) {
		if (dr_nodes_uncut(node, n, dr_run_until(r->o->timeout_ms),
		        &err) == -1)
			whole = false;
		for (i = 0; i < n; i++)
			if (node[i]->err.cause != DR_OK) {
				dr_warn("%s stays cut off: %s",
				    name_of(node[i]), node[i]->err.msg);
				whole = false;
			}
	}
	if (r->paused && dr_run_route(r, "resume", &err) == -1)
		whole = false;
	r->paused = false;
	if (!whole) {
		dr_warn_err(&err);
		dr_warn("dr-promote undo gives back what was not");
		return;
	}
	r->touched = false;
	r->intent.step = DR_STEP_CHOSEN;
}
