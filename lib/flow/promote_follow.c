/* Standbys that are to follow the primary there is; and what is taken back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_run.h"

#define POLL_NS 20000000

/* --- follow -------------------------------------------------------------------------- */

/* Does the primary say that this one streams from it? */
static bool
streams(const struct dr_pg_view *primary, const struct dr_pg_view *v)
{
	size_t i;

	for (i = 0; i < primary->standbys; i++)
		if (strcmp(primary->standby[i].name, v->name) == 0 &&
		    strcmp(primary->standby[i].state, "streaming") == 0)
			return v->tli == primary->tli ||
			       v->received_tli == primary->tli;
	return false;
}

/* Ask all of them anew.  1 all of NODE stream from it, 0, -1. */
static int
all_stream(struct dr_run *r, struct dr_node *const *node, size_t n,
    struct dr_err *err)
{
	struct dr_pg_view *v;
	size_t i, count, late = 0;

	if (dr_pg_views(r->o->conninfo, r->o->conninfos, (int)r->o->timeout_ms,
	        &v, &count, err) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		const ptrdiff_t at = node[i] - r->look.node;

		if (node[i]->err.cause == DR_OK &&
		    !streams(&v[r->plan.primary], &v[at]))
			late++;
	}
	dr_pg_views_free(v, count);
	return late == 0;
}

/* What is done to one of them. */
static void
repoint(struct dr_run *r, struct dr_node *n)
{
	const char *slot = n->facts.slot_name;
	const int64_t until = dr_run_until(r->o->timeout_ms);
	struct dr_err why = { 0 };

	if ((slot[0] != '\0' &&
	        dr_node_slot(dr_run_node(r), slot, until, &why) == -1) ||
	    dr_node_follow(n, r->new_host, r->new_port, slot, until, &why) ==
	        -1) {
		dr_warn("%s cannot be pointed at %s: %s", n->view->name,
		    dr_run_node(r)->view->name, why.msg);
		n->err = why;
	}
}

/*
 * The slots that logical ones wait for (17): those of them that are there, so
 * that no subscriber waits for a standby that will never come.
 */
static int
standby_slots(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *p = dr_run_node(r);
	struct dr_buf kept = { .max = 8192 };
	char *list, *word, *at = NULL;
	bool changed = false;
	size_t i;
	int rc = -1;

	if (p->facts.standby_slots[0] == '\0')
		return 0;
	if ((list = strdup(p->facts.standby_slots)) == NULL)
		return dr_err_sys(err, "cannot allocate a list of slots");
	for (word = strtok_r(list, ", \t", &at); word != NULL;
	     word = strtok_r(NULL, ", \t", &at)) {
		for (i = 0; i < p->view->slots; i++)
			if (strcmp(p->view->slot[i].name, word) == 0)
				break;
		if (i == p->view->slots) {
			dr_warn("no logical slot of %s waits for slot \"%s\" "
			        "any more: there is none",
			    p->view->name, word);
			changed = true;
		} else if (dr_buf_fmt(&kept, err, "%s%s",
		               kept.len > 0 ? ", " : "", word) == -1)
			goto out;
	}
	rc = changed ? dr_node_set(p, "synchronized_standby_slots",
	                   kept.len > 0 ? kept.data : "",
	                   dr_run_until(r->o->timeout_ms), err)
	             : 0;

out:
	dr_buf_free(&kept);
	free(list);
	return rc;
}

/*
 * Names that demand more than what is effective: a record that says so is
 * true only after the server does; the guard beside it writes it then.
 */
static int
new_names(struct dr_run *r, struct dr_err *err)
{
	const struct dr_coord_op op = { "sync", NULL, false, false, -1 };
	struct dr_syncnames names;
	int rc;

	if (r->o->sync_names == NULL)
		return 0;
	if (dr_syncnames_parse(r->o->sync_names, &names, err) == -1)
		rc = -1;
	else if (r->o->coord != NULL &&
	         dr_coord_write(r->o->coord, &r->held, &op, 1, NULL, err) != 1)
		rc = -1;
	else
		rc = dr_node_set(dr_run_node(r), "synchronous_standby_names",
		    r->o->sync_names, dr_run_until(r->o->timeout_ms), err);
	dr_syncnames_free(&names);
	return rc;
}

static int
follow(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	const int64_t until = dr_run_until(r->o->promote_ms);
	struct dr_node *node[DR_PG_HOSTS_MAX];
	size_t i, n, bad = 0;
	int there = 0;

	if (dr_run_lock(r, err) == -1)
		return -1;
	n = dr_run_standbys(r, true, node);
	for (i = 0; i < n; i++)
		if (!streams(dr_run_node(r)->view, node[i]->view)) {
			r->touched = true;
			repoint(r, node[i]);
		}
	while (there == 0 && dr_monotonic() < until) {
		if (dr_run_tick(r, err) == -1 ||
		    (there = all_stream(r, node, n, err)) == -1)
			return -1;
		if (there == 0)
			(void)nanosleep(&pause, NULL);
	}
	for (i = 0; i < n; i++)
		bad += node[i]->err.cause != DR_OK;
	if (new_names(r, err) == -1 || standby_slots(r, err) == -1)
		return -1;
	if (there == 0 || bad > 0) {
		dr_err_set(err, DR_EFAIL, "not all standbys stream from %s",
		    dr_run_node(r)->view->name);
		return dr_err_hint(err,
		    "one whose WAL went another way needs dr-promote rejoin");
	}
	return 0;
}

/* The plan's entry of the primary becomes the chosen one. */
static int
choose_primary(struct dr_run *r, struct dr_err *err)
{
	size_t i;

	for (i = 0; r->plan.primary != -1 && i < r->plan.n; i++)
		if (r->plan.node[i].at == r->plan.primary) {
			r->plan.chosen = (int)i;
			return dr_run_address(&r->look, r->plan.primary,
			    r->new_host, r->new_port, err);
		}
	return dr_err_set(err, DR_EPARTIAL,
	    "refused: there is no primary to follow");
}

int
dr_promote_follow(const struct dr_promote_opts *o, struct dr_promote_event *ev,
    struct dr_err *err)
{
	struct dr_run r;

	if (dr_run_begin(&r, o, DR_VERB_FOLLOW, ev, err) == 0 &&
	    choose_primary(&r, err) == 0 && dr_run_allowed(&r, err) == 0)
		(void)follow(&r, err);
	return dr_run_end(&r, err);
}

/* --- undo ------------------------------------------------------------------------------ */

/* Whoever was being promoted writes no more: proved by the hook alone. */
static int
dead(struct dr_run *r, struct dr_err *err)
{
	enum dr_hook_said said;
	struct dr_err why = { 0 };

	(void)snprintf(r->old_name, sizeof(r->old_name), "%s",
	    r->look.intent.candidate);
	if (r->o->fence == NULL) {
		dr_err_set(err, DR_EPARTIAL, "refused: %s may be promoted",
		    r->old_name);
		return dr_err_hint(err,
		    "run the same command again, which goes on with it; or "
		    "prove it dead with --fence CMD");
	}
	if (dr_run_hook(r, "fence", r->o->fence, NULL, NULL, r->o->stop_ms,
	        &said, &why, err) == -1)
		return -1;
	if (said != DR_HOOK_DONE)
		return dr_err_set(err, DR_EPARTIAL,
		    "refused: the fence hook about %s: %s: %s", r->old_name,
		    dr_hook_word(said), why.msg);
	return 0;
}

static int
undo(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *node[DR_PG_HOSTS_MAX], *cut[DR_PG_HOSTS_MAX];
	const size_t n = dr_run_standbys(r, false, node);
	size_t i, cuts = 0, bad = 0;

	if (!r->o->yes) {
		dr_err_set(err, DR_EPARTIAL, "nothing was done without --yes");
		return -1;
	}
	if (dr_run_lock(r, err) == -1 ||
	    (dr_run_left_behind(&r->look) && dead(r, err) == -1))
		return -1;
	for (i = 0; i < n; i++)
		if (node[i]->facts.saved[0] != '\0' &&
		    node[i]->facts.conninfo[0] == '\0')
			cut[cuts++] = node[i];
	r->touched = cuts > 0;
	if (dr_nodes_uncut(cut, cuts, dr_run_until(r->o->timeout_ms), err) ==
	    -1)
		return -1;
	for (i = 0; i < cuts; i++)
		if (cut[i]->err.cause != DR_OK) {
			dr_warn("%s stays cut off: %s", cut[i]->view->name,
			    cut[i]->err.msg);
			bad++;
		} else
			dr_say(0, "%s streams from where it did",
			    cut[i]->view->name);
	if (r->plan.primary != -1) {
		struct dr_node *p = &r->look.node[r->plan.primary];

		if (dr_node_undemote(p, dr_run_until(r->o->timeout_ms), err) ==
		        -1 ||
		    choose_primary(r, err) == -1 ||
		    (r->o->route != NULL &&
		        dr_run_route(r, "resume", err) == -1))
			return -1;
	}
	if (bad > 0)
		return dr_err_set(err, DR_EFAIL,
		    "not everything could be given back");
	/* The end takes it away. */
	r->intended = r->look.has_intent;
	return 0;
}

int
dr_promote_undo(const struct dr_promote_opts *o, struct dr_promote_event *ev,
    struct dr_err *err)
{
	struct dr_run r;

	if (dr_run_begin(&r, o, DR_VERB_UNDO, ev, err) == 0 &&
	    undo(&r, err) == 0)
		(void)snprintf(ev->result, sizeof(ev->result), "undone");
	return dr_run_end(&r, err);
}
