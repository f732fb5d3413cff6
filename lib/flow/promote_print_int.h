/* promote_print_int.h - what the writers of a plan share. */
#ifndef DR_FLOW_PROMOTE_PRINT_INT_H
#define DR_FLOW_PROMOTE_PRINT_INT_H

#include "base/json.h"
#include "flow/promote.h"

#define DR_PLAN_STEPS 20

struct dr_plan_steps {
	char text[DR_PLAN_STEPS][512];
	size_t n;
};

/* What would be done, in order; none where nobody is chosen. */
int
dr_plan_steps(const struct dr_promote_opts *, const struct dr_promote_look *,
    const struct dr_plan *, struct dr_plan_steps *, struct dr_err *);

/* The name of server AT. */
static inline const char *
dr_plan_name(const struct dr_promote_look *l, int at)
{
	return at == -1 ? "" : l->view[at].name;
}

/* Of the old primary; "the old primary". */
const char *dr_plan_old(const struct dr_plan *);

#endif /* !DR_FLOW_PROMOTE_PRINT_INT_H */
