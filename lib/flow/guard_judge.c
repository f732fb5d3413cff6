#include "flow/guard.h"

#include <stddef.h>

enum dr_guard_act
dr_guard_judge(const struct dr_guard_facts *f, const char **why)
{
	const bool late = f->stop_at != 0 && f->now >= f->stop_at;
	/* Whoever made this node the leader has seen to the former one. */
	const bool heir = f->fresh && f->epoch != 0 && !f->twin;

	*why = NULL;
	if (!f->writable)
		return f->asked && f->leader == DR_LEADER_OURS
		           ? DR_GUARD_RELEASE
		           : DR_GUARD_REST;
	/*
	 * What is known of these does not become untrue while etcd is away,
	 * except of one that was promoted just now.
	 */
	if (f->epoch != 0 && !f->names_us && (f->asked || !f->fresh))
		*why = "epoch";
	else if (f->older && (f->asked || !f->fresh))
		*why = "timeline";
	else if (f->hung)
		*why = "hung";
	/* Somebody may have begun to act on it: the key is not asked for. */
	else if (late && !f->fresh && !f->failsafe && !f->glass)
		*why = "late";
	else if (f->asked && f->leader == DR_LEADER_OTHER && !heir)
		*why = "leader";
	else if (f->asked && late && !f->lease && !f->failsafe && !f->glass)
		*why = "name";
	if (*why != NULL)
		return DR_GUARD_STOP;
	if (f->asked)
		return f->leader == DR_LEADER_OURS    ? DR_GUARD_GO_ON
		       : f->leader == DR_LEADER_OTHER ? DR_GUARD_WAIT
		                                      : DR_GUARD_TAKE;
	if (f->stop_at == 0 && f->epoch == 0)
		return DR_GUARD_LOOSE;
	if (f->stop_at != 0 && !late && !f->failsafe)
		return DR_GUARD_GO_ON;
	if (f->failsafe || f->glass)
		return DR_GUARD_STAY;
	*why = "late";
	return DR_GUARD_STOP;
}
