#include "flow/walepoch.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

int
dr_walepoch_get(const struct dr_coord_look *look, struct dr_walepoch *e,
    struct dr_err *err)
{
	const struct dr_coord_key_ *k;

	memset(e, 0, sizeof(*e));
	if ((k = dr_coord_find(look, "epoch")) != NULL) {
		if (dr_rec_epoch_get(k->value, &e->epoch, err) == -1)
			return -1;
		e->has_epoch = true;
	}
	if ((k = dr_coord_find(look, "intent")) != NULL) {
		if (dr_rec_intent_get(k->value, &e->intent, err) == -1)
			return -1;
		e->has_intent = true;
	}
	return 0;
}

bool
dr_walepoch_same(const struct dr_walepoch *a, const struct dr_walepoch *b)
{
	const struct dr_rec_epoch *p = &a->epoch, *q = &b->epoch;
	const struct dr_rec_intent *i = &a->intent, *j = &b->intent;

	return a->has_epoch == b->has_epoch && a->has_intent == b->has_intent &&
	       p->epoch == q->epoch && strcmp(p->leader, q->leader) == 0 &&
	       strcmp(p->former, q->former) == 0 && p->tli == q->tli &&
	       p->fork == q->fork && strcmp(i->verb, j->verb) == 0 &&
	       i->token == j->token && i->epoch == j->epoch &&
	       strcmp(i->former, j->former) == 0 &&
	       strcmp(i->candidate, j->candidate) == 0 && i->step == j->step;
}

const struct dr_rec_intent *
dr_walepoch_failover(const struct dr_walepoch *e)
{
	const struct dr_rec_intent *i = &e->intent;

	if (!e->has_intent || strcmp(i->verb, "switchover") == 0 ||
	    (e->has_epoch && i->epoch <= e->epoch.epoch))
		return NULL;
	return i;
}

bool
dr_walepoch_bars(const struct dr_walepoch *e, const char *name, bool standby,
    char why[DR_WALEPOCH_WHY])
{
	const struct dr_rec_intent *i = dr_walepoch_failover(e);

	if (i != NULL && strcmp(i->former, name) == 0) {
		(void)snprintf(why, DR_WALEPOCH_WHY,
		    "a failover from \"%s\" to \"%s\" is under way", name,
		    i->candidate);
		return true;
	}
	if (standby || !e->has_epoch || strcmp(e->epoch.leader, name) == 0)
		return false;
	(void)snprintf(why, DR_WALEPOCH_WHY,
	    "\"%s\" is not the primary of epoch %lld, which is \"%s\"", name,
	    (long long)e->epoch.epoch, e->epoch.leader);
	return true;
}

bool
dr_walepoch_refuses(const struct dr_walepoch *e, const char *name,
    const struct dr_wal_file *f, uint64_t end, char why[DR_WALEPOCH_WHY])
{
	const struct dr_rec_epoch *p = &e->epoch;
	char fork[DR_LSN_LEN];

	if (!e->has_epoch || strcmp(p->leader, name) == 0 ||
	    f->kind == DR_WAL_HISTORY || f->tli >= p->tli || p->fork == 0 ||
	    end <= p->fork || (*name == '\0' && f->kind == DR_WAL_PARTIAL))
		return false;
	(void)snprintf(why, DR_WALEPOCH_WHY,
	    "timeline %u ended at %s: since then \"%s\" is the primary, on "
	    "timeline %u, in epoch %lld",
	    f->tli, dr_format_lsn(p->fork, fork), p->leader, p->tli,
	    (long long)p->epoch);
	return true;
}
