/* A plan, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "flow/grid.h"
#include "flow/lag_int.h"
#include "flow/promote_print_int.h"

static const char *
verdict(const struct dr_plan *p, size_t i)
{
	const struct dr_plan_node *n = &p->node[i];

	if (n->at == p->primary)
		return "primary";
	if (p->verb == DR_VERB_FOLLOW || p->verb == DR_VERB_UNDO)
		return "-";
	if ((int)i == p->chosen)
		return "takes over";
	if (n->eligible)
		return "could";
	return n->says > 0 ? n->say[0].word : "-";
}

static int
table(const struct dr_promote_look *l, const struct dr_plan *p,
    struct dr_buf *out, struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "NAME", false, 9 },
		{ "ROLE", false, 9 }, { "TLI", true, 9 }, { "LSN", true, 9 },
		{ "BEHIND", true, 9 }, { "TO REPLAY", true, 5 },
		{ "SYNC", false, 6 }, { "PRIORITY", true, 4 },
		{ "REGION", false, 3 }, { "VERDICT", false, 9 } };
	struct dr_grid g = { .column = heads, .columns = 10, .err = err };
	char text[DR_SIZE_LEN], lsn[DR_LSN_LEN];
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct dr_plan_node *n = &p->node[i];
		const struct dr_pg_view *v = &l->view[n->at];
		const struct dr_node_facts *f = &l->node[n->at].facts;
		bool up = dr_lag_answers(v);

		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", v->name);
		dr_grid_cell(&g, "%s", dr_probe_word(v->probe.state));
		if (n->tli != 0)
			dr_grid_cell(&g, "%" PRIu32, n->tli);
		else
			dr_grid_cell(&g, "?");
		dr_grid_cell(&g, "%s",
		    n->lsn != 0 ? dr_format_lsn(n->lsn, lsn) : "?");
		dr_grid_cell(&g, "%s",
		    up && v->in_recovery ? dr_lag_bytes(n->behind, text) : "");
		dr_grid_cell(&g, "%s",
		    up && v->in_recovery ? dr_lag_bytes(n->to_replay, text)
		                         : "");
		dr_grid_cell(&g, "%s",
		    n->synchronous           ? "yes"
		    : !up || !v->in_recovery ? ""
		    : p->names_known         ? "no"
		                             : "?");
		if (f->known)
			dr_grid_cell(&g, "%d", f->priority);
		else
			dr_grid_cell(&g, "?");
		dr_grid_cell(&g, "%s", f->known ? f->region : "?");
		dr_grid_cell(&g, "%s", verdict(p, i));
	}
	return dr_grid_print(&g, 0, out, err);
}

/* What speaks against each of them. */
static int
reasons(const struct dr_promote_look *l, const struct dr_plan *p,
    struct dr_buf *out, struct dr_err *err)
{
	bool begun = false;
	size_t i, k;

	for (i = 0; i < p->n; i++) {
		const struct dr_plan_node *n = &p->node[i];

		/* The table says of it what there is to say. */
		if (n->at == p->primary)
			continue;
		for (k = 0; k < n->says; k++) {
			if (dr_buf_fmt(out, err, "%s%s: %s%s%s%s\n",
			        begun ? "" : "\n", l->view[n->at].name,
			        n->say[k].text,
			        n->say[k].hint[0] != '\0' ? " (" : "",
			        n->say[k].hint,
			        n->say[k].hint[0] != '\0' ? ")" : "") == -1)
				return -1;
			begun = true;
		}
	}
	return 0;
}

static int
head(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_buf *out, struct dr_err *err)
{
	const char *verb =
	    p->verb == DR_VERB_SWITCHOVER ? "switchover" : "failover";

	if (p->verb == DR_VERB_UNDO)
		return dr_buf_fmt(out, err,
		    "Of %s, what an unfinished run did would be taken back.\n",
		    o->set);
	if (p->verb == DR_VERB_FOLLOW)
		return dr_buf_fmt(out, err,
		    "Of %s, all standbys would follow the primary%s.\n", o->set,
		    p->chosen == -1 ? ", and there is none" : "");
	if (p->chosen == -1)
		return dr_buf_fmt(out, err,
		    "A %s of %s is not possible: nobody can take over from "
		    "%s.\n",
		    verb, o->set, dr_plan_old(p));
	return dr_buf_fmt(out, err,
	    "A %s of %s %s %s primary in place of %s.\n", verb, o->set,
	    p->refusals == 0 ? "would make" : "is refused; it would make",
	    dr_plan_name(l, p->node[p->chosen].at), dr_plan_old(p));
}

static int
loss(const struct dr_promote_look *l, const struct dr_plan *p,
    struct dr_buf *out, struct dr_err *err)
{
	const char *who = dr_plan_name(l, p->node[p->chosen].at);
	char bytes[DR_SIZE_LEN], time[DR_SIZE_LEN];

	if (p->verb == DR_VERB_SWITCHOVER)
		return dr_buf_fmt(out, err,
		    "Loss: none; %s opens with all that %s wrote.\n", who,
		    dr_plan_old(p));
	if (p->held)
		return dr_buf_fmt(out, err,
		    "Loss: no commit that was acknowledged: %d of %zu had to "
		    "acknowledge it, and of these %zu are here.\n",
		    p->names.wait, p->names.n, p->cut);
	if (dr_buf_str(out, "Loss: ", err) == -1)
		return -1;
	if (dr_known(p->loss_bytes)) {
		if (dr_buf_fmt(out, err,
		        "at most %s (%" PRId64 " bytes) of WAL",
		        dr_lag_bytes(p->loss_bytes, bytes),
		        p->loss_bytes) == -1)
			return -1;
	} else if (dr_buf_str(out, "how much cannot be told", err) == -1)
		return -1;
	if (dr_known(p->loss_us) &&
	    dr_buf_fmt(out, err, ", written no longer than %s ago",
	        dr_lag_seconds(p->loss_us, time)) == -1)
		return -1;
	return dr_buf_str(out, ".\n", err);
}

static int
says(const char *title, const struct dr_plan_says *v, size_t n,
    struct dr_buf *out, struct dr_err *err)
{
	size_t i;

	if (n > 0 && dr_buf_fmt(out, err, "\n%s:\n", title) == -1)
		return -1;
	for (i = 0; i < n; i++)
		if (dr_buf_fmt(out, err, "  - %s\n", v[i].text) == -1 ||
		    (v[i].hint[0] != '\0' &&
		        dr_buf_fmt(out, err, "      %s\n", v[i].hint) == -1))
			return -1;
	return 0;
}

int
dr_plan_text(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_buf *out, struct dr_err *err)
{
	struct dr_plan_steps s = { .n = 0 };
	char text[DR_SIZE_LEN];
	size_t i;

	if (head(o, l, p, out, err) == -1 || table(l, p, out, err) == -1 ||
	    reasons(l, p, out, err) == -1 ||
	    says("Refused", p->refusal, p->refusals, out, err) == -1 ||
	    says("Warnings", p->warning, p->warnings, out, err) == -1)
		return -1;
	if (dr_plan_steps(o, l, p, &s, err) == -1)
		return -1;
	if (s.n == 0)
		return 0;
	if (dr_buf_str(out, "\nIt would, in this order:\n", err) == -1)
		return -1;
	for (i = 0; i < s.n; i++)
		if (dr_buf_fmt(out, err, "%3zu. %s\n", i + 1, s.text[i]) == -1)
			return -1;
	if (p->verb == DR_VERB_FOLLOW || p->verb == DR_VERB_UNDO)
		return 0;
	if (dr_buf_str(out, "\n", err) == -1 || loss(l, p, out, err) == -1)
		return -1;
	if (dr_known(p->rto_us))
		return dr_buf_fmt(out, err,
		    "Time: about %s without writes, the median of the last "
		    "runs.\n",
		    dr_lag_seconds(p->rto_us, text));
	return dr_buf_str(out,
	    "Time: not known, as no run has been recorded yet.\n", err);
}
