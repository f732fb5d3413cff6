/* What speaks against a switchover: that it might lose, wait, or hang. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "flow/promote_judge_int.h"

#define LONG_US  60000000 /* a transaction that takes longer is long */
#define READY    10       /* segments that wait for the archiver */
#define RETRY_US 1000000

static void
hooks(struct dr_judging *j)
{
	if (j->o->stop == NULL)
		dr_judge_refuse(j, "no_stop", "--stop CMD",
		    "there is no hook that stops the old primary");
	if (j->o->start == NULL)
		dr_judge_refuse(j, "no_start", "--start CMD",
		    "there is no hook that starts it again, as a standby");
	if (j->o->route == NULL)
		dr_judge_warn(j, "no_route", "",
		    "without --route clients meet errors while it lasts, and "
		    "have to find the new primary by themselves");
}

/* --- the old primary ---------------------------------------------------------------- */

static void
archiver(struct dr_judging *j, const struct dr_pg_view *v)
{
	if (!v->archiving)
		return;
	if (dr_known(v->archiver.failed_time) &&
	    (!dr_known(v->archiver.last_time) ||
	        v->archiver.failed_time > v->archiver.last_time))
		dr_judge_refuse(j, "archive_failing",
		    "see what archive_command says in its log",
		    "%s cannot archive (%s failed last): it will not stop "
		    "before it has",
		    v->name, v->archiver.failed_wal);
	else if (!dr_known(v->archiver.ready))
		dr_judge_warn(j, "archive_unknown", "",
		    "how much WAL %s has to archive is not known", v->name);
	else if (v->archiver.ready > READY)
		dr_judge_refuse(j, "archive_backlog", "wait until it is less",
		    "%s has %" PRId64 " segments to archive before it stops",
		    v->name, v->archiver.ready);
}

static void
sessions(struct dr_judging *j, const struct dr_pg_view *v,
    const struct dr_node_facts *f)
{
	char text[DR_SIZE_LEN];

	if (!f->known) {
		dr_judge_refuse(j, "facts_unknown", "",
		    "what goes on at %s could not be asked%s%s", v->name,
		    j->l->node[j->p->primary].err.msg[0] != '\0' ? ": " : "",
		    j->l->node[j->p->primary].err.msg);
		return;
	}
	if (!f->superuser)
		dr_judge_refuse(j, "not_superuser", "name a superuser with -d",
		    "the role that connects is no superuser at %s", v->name);
	if (dr_known(f->prepared) && f->prepared > 0)
		dr_judge_refuse(j, "prepared",
		    "COMMIT PREPARED or ROLLBACK PREPARED",
		    "%s has %" PRId64 " prepared transaction%s", v->name,
		    f->prepared, dr_plural((uint64_t)f->prepared));
	if (!dr_known(f->oldest_us))
		dr_judge_warn(j, "transactions_unknown", "",
		    "how long transactions at %s have been running is not "
		    "known",
		    v->name);
	else if (f->oldest_us > LONG_US)
		dr_judge_refuse(j, "long_transaction",
		    "wait for it, or pg_terminate_backend()",
		    "a transaction that writes has been running at %s for %s: "
		    "it would be lost",
		    v->name,
		    dr_format_msec((uint64_t)f->oldest_us / 1000, text));
	if (dr_known(f->backups) && f->backups > 0)
		dr_judge_refuse(j, "backup_running", "wait for its end",
		    "%" PRId64 " base backup%s made from %s: it would fail",
		    f->backups, f->backups == 1 ? " is" : "s are", v->name);
	if (!f->checksums && !f->log_hints)
		dr_judge_warn(j, "no_rewind", "",
		    "without checksums and wal_log_hints %s cannot be "
		    "rewound, should it ever have to",
		    v->name);
	if (!f->full_page_writes)
		dr_judge_warn(j, "no_full_page_writes", "",
		    "full_page_writes is off on %s", v->name);
}

/* --- the standbys ------------------------------------------------------------------ */

static void
senders(struct dr_judging *j, const struct dr_pg_view *v,
    const struct dr_plan_node *c)
{
	const char *member = j->l->seen[c->at].member;
	const struct dr_pg_standby *s;
	const char *name = dr_judge_view(j, c)->name;
	char text[DR_SIZE_LEN];
	bool there = false;
	size_t i;

	for (i = 0; i < v->standbys; i++) {
		s = &v->standby[i];
		if (strcmp(s->state, "backup") == 0)
			continue;
		if (strcmp(s->state, "streaming") != 0) {
			dr_judge_refuse(j, "not_streaming",
			    "wait until it has caught up",
			    "%s does not stream from %s: it is in \"%s\"",
			    s->name, v->name,
			    s->state[0] != '\0' ? s->state : "?");
			continue;
		}
		/* It stops only when all have what there is. */
		if (s->flush != 0 && v->lsn > s->flush &&
		    v->lsn - s->flush > DR_JUDGE_UNDERWAY)
			dr_judge_refuse(j, "lag", "wait until it has caught up",
			    "%s is %s behind %s, which does not stop before "
			    "all have everything",
			    s->name, dr_format_size(v->lsn - s->flush, text),
			    v->name);
		there = there || strcasecmp(s->name, member) == 0;
	}
	if (!there)
		dr_judge_refuse(j, "not_streaming",
		    "SELECT * FROM pg_stat_wal_receiver there; after a run "
		    "that was interrupted: dr-promote undo",
		    "%s does not stream from %s", name, v->name);
}

static void
slots(struct dr_judging *j, const struct dr_pg_view *v,
    const struct dr_plan_node *c)
{
	const struct dr_pg_view *w = dr_judge_view(j, c);
	const struct dr_pg_slot *s, *t;
	bool failover = false;
	size_t i, k;

	for (i = 0; i < v->slots; i++) {
		s = &v->slot[i];
		if (strcmp(s->type, "logical") != 0 || s->temporary)
			continue;
		if (!s->failover) {
			dr_judge_warn(j, "slot_lost", "",
			    "logical slot \"%s\" is not made for failover: "
			    "its subscriber loses its place",
			    s->name);
			continue;
		}
		failover = true;
		for (k = 0, t = NULL; k < w->slots && t == NULL; k++)
			if (strcmp(w->slot[k].name, s->name) == 0)
				t = &w->slot[k];
		if (t == NULL || !t->synced || t->temporary ||
		    t->invalid[0] != '\0')
			dr_judge_refuse(j, "slot_not_synced",
			    "sync_replication_slots = on, "
			    "hot_standby_feedback = on, a dbname in "
			    "primary_conninfo; SELECT "
			    "pg_sync_replication_slots()",
			    "failover slot \"%s\" is not %s on %s", s->name,
			    t == NULL               ? "there"
			    : t->invalid[0] != '\0' ? "valid"
			                            : "synchronized",
			    w->name);
	}
	if (failover && dr_judge_facts(j, c)->standby_slots != NULL &&
	    j->l->node[j->p->primary].facts.standby_slots[0] == '\0')
		dr_judge_warn(j, "standby_slots", "",
		    "synchronized_standby_slots is empty on %s: subscribers "
		    "may be ahead of the new primary",
		    v->name);
}

static void
settings(struct dr_judging *j, const struct dr_pg_view *v,
    const struct dr_plan_node *c)
{
	const struct dr_pg_view *w = dr_judge_view(j, c);
	const struct dr_node_facts *f = dr_judge_facts(j, c);

	if (!f->known)
		return;
	if (dr_known(f->retry_us) && f->retry_us > RETRY_US)
		dr_judge_warn(j, "retry_interval", "",
		    "wal_retrieve_retry_interval is %" PRId64
		    " s on %s: 1 s or less lets standbys follow sooner",
		    f->retry_us / 1000000, w->name);
	if (dr_known(f->senders) && f->senders < (int64_t)v->standbys)
		dr_judge_warn(j, "few_senders", "",
		    "max_wal_senders is %" PRId64
		    " on %s, which is to serve %zu",
		    f->senders, w->name, v->standbys);
	if (v->sync_names[0] != '\0' && w->sync_names[0] == '\0')
		dr_judge_warn(j, "sync_names", "",
		    "synchronous_standby_names, which is empty on %s, will be "
		    "set there",
		    w->name);
}

void
dr_judge_switchover(struct dr_judging *j)
{
	const struct dr_pg_view *v;
	const struct dr_plan_node *c;

	dr_judge_both(j);
	if (j->resumes)
		return;
	hooks(j);
	if (j->p->primary == -1) {
		if (j->primaries == 0)
			dr_judge_refuse(j, "no_primary", "dr-promote failover",
			    "no server answers as the primary");
		return;
	}
	v = &j->l->view[j->p->primary];
	if (v->read_only)
		dr_judge_warn(j, "read_only", "",
		    "transactions on %s only read (default_transaction_"
		    "read_only): it cannot be tried whether it writes",
		    v->name);
	archiver(j, v);
	sessions(j, v, &j->l->node[j->p->primary].facts);
	if (j->p->chosen == -1)
		return;
	c = &j->p->node[j->p->chosen];
	senders(j, v, c);
	slots(j, v, c);
	settings(j, v, c);
}
