/* promote_judge_int.h - what the parts of dr_promote_judge share. */
#ifndef DR_FLOW_PROMOTE_JUDGE_INT_H
#define DR_FLOW_PROMOTE_JUDGE_INT_H

#include "base/num.h"
#include "flow/promote.h"

/* Of WAL that is on its way while a server streams. */
#define DR_JUDGE_UNDERWAY (INT64_C(16) << 20)

struct dr_judging {
	const struct dr_promote_opts *o;
	enum dr_promote_verb verb;
	const struct dr_promote_look *l;
	const struct dr_node_end *ends; /* NULL: not cut off yet */
	struct dr_plan *p;
	size_t primaries;
	uint64_t system_id; /* of this cluster; 0 unknown */
	int major;          /* of the old primary's version; 0 unknown */
	const char *region; /* of the old primary; NULL unknown */
	const struct dr_rec_node *report; /* of its guard, or NULL */
	bool resumes; /* an intent past its point of no return goes on */
	/* The line of WAL that counts, and the furthest that is known of it. */
	uint32_t tli;
	uint64_t lsn;
	const struct dr_history *history; /* NULL: TLI's is not known */
	bool unfollowed;   /* nobody has a byte of the epoch's timeline */
	bool quorum;       /* R + W > N */
	char missing[160]; /* of the synchronous set, with commas */
	const char *twice; /* a name in it that two servers have, or NULL */
};

void dr_judge_say(struct dr_plan_says *v, size_t *n, const char *word,
    const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#define dr_judge_refuse(j, ...) \
	dr_judge_say((j)->p->refusal, &(j)->p->refusals, __VA_ARGS__)
#define dr_judge_warn(j, ...) \
	dr_judge_say((j)->p->warning, &(j)->p->warnings, __VA_ARGS__)

/* The view, the facts of plan node N. */
static inline const struct dr_pg_view *
dr_judge_view(const struct dr_judging *j, const struct dr_plan_node *n)
{
	return &j->l->view[n->at];
}

static inline const struct dr_node_facts *
dr_judge_facts(const struct dr_judging *j, const struct dr_plan_node *n)
{
	return &j->l->node[n->at].facts;
}

bool dr_judge_answers(const struct dr_judging *, int at);
/* It stands before it in the list already, under another address. */
bool dr_judge_alias(const struct dr_judging *, int at);
/* A standby that answers, once. */
bool dr_judge_standby(const struct dr_judging *, int at);
/* Is WORD among TAGS? */
bool dr_judge_tag(const char *tags, const char *word);
/* What may be lost without another word: 0, --max-loss; INT64_MAX: all. */
int64_t dr_judge_allowed(const struct dr_judging *);
/* "the old primary", or its name. */
const char *dr_judge_old(const struct dr_judging *);
/* An intent that is not done, or NULL. */
const struct dr_rec_intent *dr_judge_intent(const struct dr_judging *);

/* Positions, the line, who is on it (promote_judge_line.c). */
void dr_judge_line(struct dr_judging *);
/* What speaks against N (promote_judge_node.c). */
void dr_judge_node(struct dr_judging *, struct dr_plan_node *);
/* The synchronous set: names, members, how many of them are cut off. */
int dr_judge_names(struct dr_judging *, struct dr_err *);
/* What would be lost, and by what the old primary is fenced. */
void dr_judge_loss(struct dr_judging *);
/* Refusals and warnings of the whole, of both verbs and of each. */
void dr_judge_both(struct dr_judging *);
void dr_judge_failover(struct dr_judging *);
void dr_judge_switchover(struct dr_judging *);

#endif /* !DR_FLOW_PROMOTE_JUDGE_INT_H */
