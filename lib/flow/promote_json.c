/* A plan, for programs. */
#include <string.h>

#include "flow/json_known.h"
#include "flow/lag_int.h"
#include "flow/promote_print_int.h"

static const char *
verb(enum dr_promote_verb v)
{
	static const char *const words[] = { "failover", "switchover", "follow",
		"undo" };

	return words[v];
}

static void
says(struct dr_json *j, const char *key, const struct dr_plan_says *v, size_t n)
{
	size_t i;

	dr_json_array(j, key);
	for (i = 0; i < n; i++) {
		dr_json_object(j, NULL);
		dr_json_str(j, "reason", v[i].word);
		dr_json_str(j, "text", v[i].text);
		dr_json_text(j, "hint", v[i].hint);
		dr_json_close(j, '}');
	}
	dr_json_close(j, ']');
}

static void
node(struct dr_json *j, const struct dr_promote_look *l,
    const struct dr_plan *p, size_t i)
{
	const struct dr_plan_node *n = &p->node[i];
	const struct dr_pg_view *v = &l->view[n->at];
	const struct dr_node_facts *f = &l->node[n->at].facts;

	dr_json_object(j, NULL);
	dr_json_str(j, "name", v->name);
	dr_json_str(j, "where", v->where);
	dr_json_str(j, "state", dr_probe_word(v->probe.state));
	if (dr_lag_answers(v))
		dr_json_bool(j, "in_recovery", v->in_recovery);
	else
		dr_json_null(j, "in_recovery");
	dr_json_tli(j, "timeline", n->tli);
	dr_json_lsn(j, "lsn", n->lsn);
	dr_json_bool(j, "on_line", n->ancestor_ok);
	dr_json_num(j, "behind_bytes", n->behind);
	dr_json_num(j, "to_replay_bytes", n->to_replay);
	dr_json_text(j, "application_name", l->seen[n->at].member);
	dr_json_bool(j, "synchronous", n->synchronous);
	dr_json_bool(j, "advances", l->seen[n->at].advances);
	dr_json_num(j, "priority", f->known ? f->priority : DR_UNKNOWN);
	dr_json_text(j, "region", f->region);
	dr_json_text(j, "tags", f->tags);
	dr_json_text(j, "restore_command", f->restore_command);
	dr_json_bool(j, "eligible", n->eligible);
	dr_json_num(j, "rank", n->rank != 0 ? n->rank : DR_UNKNOWN);
	says(j, "reasons", n->say, n->says);
	dr_json_close(j, '}');
}

static int
sync_set(struct dr_json *j, const struct dr_plan *p, struct dr_err *err)
{
	struct dr_buf text = { .max = 64U << 10 };

	if (!p->names_known) {
		dr_json_null(j, "synchronous");
		return 0;
	}
	if (dr_syncnames_format(&p->names, &text, err) == -1) {
		dr_buf_free(&text);
		return -1;
	}
	dr_json_object(j, "synchronous");
	dr_json_str(j, "names", text.data);
	dr_json_int(j, "wait", p->names.wait);
	dr_json_num(j, "members",
	    p->names.everyone ? DR_UNKNOWN : (int64_t)p->names.n);
	dr_json_uint(j, "here", p->cut);
	dr_json_close(j, '}');
	dr_buf_free(&text);
	return 0;
}

int
dr_plan_json(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_buf *out, struct dr_err *err)
{
	struct dr_plan_steps s = { .n = 0 };
	struct dr_json j;
	size_t i;

	if (dr_plan_steps(o, l, p, &s, err) == -1)
		return -1;
	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "v", 1);
	dr_json_str(&j, "set", o->set);
	dr_json_str(&j, "verb", verb(p->verb));
	dr_json_when(&j, "time", l->now);
	dr_json_bool(&j, "allowed", p->refusals == 0 && p->chosen != -1);
	dr_json_text(&j, "candidate",
	    p->chosen != -1 ? dr_plan_name(l, p->node[p->chosen].at) : "");
	dr_json_text(&j, "primary", dr_plan_name(l, p->primary));
	dr_json_text(&j, "former", p->old_name);
	dr_json_str(&j, "lock",
	    o->coord == NULL ? "none"
	    : l->coord       ? "etcd"
	                     : "away");
	dr_json_num(&j, "epoch", l->has_epoch ? l->epoch.epoch : DR_UNKNOWN);
	if (sync_set(&j, p, err) == -1)
		return -1;
	dr_json_bool(&j, "held", p->held);
	dr_json_num(&j, "loss_bytes", p->loss_bytes);
	dr_json_sec(&j, "loss_seconds", p->loss_us);
	dr_json_sec(&j, "rto_seconds", p->rto_us);
	dr_json_text(&j, "fence", p->fence);
	dr_json_array(&j, "nodes");
	for (i = 0; i < p->n; i++)
		node(&j, l, p, i);
	dr_json_close(&j, ']');
	says(&j, "refusals", p->refusal, p->refusals);
	says(&j, "warnings", p->warning, p->warnings);
	dr_json_array(&j, "steps");
	for (i = 0; i < s.n; i++)
		dr_json_str(&j, NULL, s.text[i]);
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}
