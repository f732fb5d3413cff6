/* What is wrong, and how badly, in a report that is filled in. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/lag_int.h"

#define ODD_SIZE     2000 /* per mille; and its inverse */
#define ODD_DURATION 3000
#define ODD_WAL      5000

static int
note_add(struct dr_lag *lag, enum dr_lag_level level, const char *what,
    const char *about, const char *text, struct dr_err *err)
{
	struct dr_lag_note *more =
	    reallocarray(lag->note, lag->notes + 1, sizeof(*more));
	struct dr_lag_note *n;

	if (more == NULL)
		return dr_err_sys(err, "cannot judge");
	lag->note = more;
	n = &more[lag->notes];
	n->level = level;
	n->what = what;
	n->about = dr_fmt(err, "%s", about);
	n->text = n->about == NULL ? NULL : dr_fmt(err, "%s", text);
	if (n->text == NULL) {
		free(n->about);
		return -1;
	}
	lag->notes++;
	return 0;
}

int
dr_lag_note(struct dr_lag *lag, enum dr_lag_level level, const char *what,
    const char *about, struct dr_err *err, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return note_add(lag, level, what, about, text, err);
}

void
dr_lag_say(struct dr_lag_judging *j, enum dr_lag_level level, const char *what,
    const char *about, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!j->failed &&
	    note_add(j->lag, level, what, about, text, j->err) == -1)
		j->failed = true;
}

char *
dr_lag_seconds(int64_t us, char out[DR_SIZE_LEN])
{
	if (!dr_known(us))
		(void)snprintf(out, DR_SIZE_LEN, "?");
	else if (us <= 0)
		(void)snprintf(out, DR_SIZE_LEN, "0s");
	else if (us < 1000000)
		(void)snprintf(out, DR_SIZE_LEN, "%" PRId64 "ms",
		    us < 1000 ? 1 : us / 1000);
	else
		(void)dr_format_msec((uint64_t)us / 1000, out);
	return out;
}

char *
dr_lag_bytes(int64_t bytes, char out[DR_SIZE_LEN])
{
	char text[DR_SIZE_LEN];

	if (!dr_known(bytes))
		(void)snprintf(out, DR_SIZE_LEN, "?");
	else if (bytes < 0)
		(void)snprintf(out, DR_SIZE_LEN, "-%.14s",
		    dr_format_size((uint64_t)-bytes, text));
	else
		(void)dr_format_size((uint64_t)bytes, out);
	return out;
}

const char *
dr_lag_word(enum dr_lag_level level)
{
	static const char *const words[] = { "ok", "warning", "critical",
		"unknown" };

	return words[level];
}

const struct dr_lag_goal *
dr_lag_goal(const struct dr_lag *lag, const char *set)
{
	for (size_t i = 0; i < lag->goals; i++)
		if (strcmp(lag->goal[i].set, set) == 0)
			return &lag->goal[i];
	for (size_t i = 0; i < lag->goals; i++)
		if (lag->goal[i].set[0] == '\0')
			return &lag->goal[i];
	return NULL;
}

int64_t
dr_lag_strictest(const struct dr_lag *lag)
{
	int64_t rpo = DR_UNKNOWN;

	for (size_t i = 0; i < lag->goals; i++)
		if (dr_known(lag->goal[i].rpo) &&
		    (!dr_known(rpo) || lag->goal[i].rpo < rpo))
			rpo = lag->goal[i].rpo;
	return rpo;
}

/* --- roles -------------------------------------------------------------------- */

static void
roles(struct dr_lag_judging *j)
{
	const struct dr_lag *lag = j->lag;
	char list[512] = "";
	uint64_t id = 0;
	size_t n = 0;

	for (size_t i = 0; i < lag->servers; i++) {
		const struct dr_pg_view *v = &lag->server[i];

		if (!dr_lag_answers(v))
			continue;
		if (id != 0 && v->system_id != 0 && v->system_id != id)
			dr_lag_say(j, DR_LAG_BAD, "other-cluster", v->name,
			    "belongs to another cluster than the servers "
			    "before it");
		if (id == 0)
			id = v->system_id;
		if (v->in_recovery)
			continue;
		n = strlen(list);
		(void)snprintf(list + n, sizeof(list) - n,
		    "%s%s (timeline %" PRIu32 ")", n > 0 ? ", " : "", v->name,
		    v->tli);
	}
	if (lag->primaries > 1)
		dr_lag_say(j, DR_LAG_BAD, "two-primaries", "",
		    "%zu servers are primary: %s", lag->primaries, list);
	/* Who asks one standby alone may want just that. */
	if (lag->primaries == 0 && lag->servers > 1)
		dr_lag_say(j, DR_LAG_BAD, "no-primary", "",
		    "none of %zu servers is primary", lag->servers);
}

/* --- stores ----------------------------------------------------------------------- */

static void
odd(struct dr_lag_judging *j, const char *about, const char *what,
    int64_t per_mille, int64_t limit, bool both)
{
	if (!dr_known(per_mille) ||
	    (per_mille <= limit && (!both || per_mille >= 1000000 / limit)))
		return;
	dr_lag_say(j, DR_LAG_WARN, "backup-odd", about,
	    "%s is %" PRId64 ".%02" PRId64
	    " times the median of the last seven days",
	    what, per_mille / 1000, per_mille % 1000 / 10);
}

static void
backups(struct dr_lag_judging *j, const struct dr_lag_store *s,
    const char *about, const struct dr_lag_goal *g)
{
	char age[DR_SIZE_LEN], goal[DR_SIZE_LEN];
	const int64_t now = j->lag->time;
	int64_t verified = s->verified;

	if (s->id == NULL) {
		dr_lag_say(j, DR_LAG_BAD, "no-backup", about,
		    "there is no complete backup");
		return;
	}
	if (g != NULL && dr_known(g->backup_max_age) &&
	    now - s->stopped > g->backup_max_age)
		dr_lag_say(j, DR_LAG_BAD, "backup-late", about,
		    "the newest backup is %s old: more than %s",
		    dr_lag_seconds(now - s->stopped, age),
		    dr_lag_seconds(g->backup_max_age, goal));
	if (dr_known(s->deep_verified) &&
	    (!dr_known(verified) || s->deep_verified > verified))
		verified = s->deep_verified;
	if (g != NULL && dr_known(g->verify_max_age) && !dr_known(verified))
		dr_lag_say(j, DR_LAG_BAD, "verify-late", about,
		    "no backup was ever verified from this host");
	else if (g != NULL && dr_known(g->verify_max_age) &&
	         now - verified > g->verify_max_age)
		dr_lag_say(j, DR_LAG_BAD, "verify-late", about,
		    "backups were last verified %s ago: more than %s",
		    dr_lag_seconds(now - verified, age),
		    dr_lag_seconds(g->verify_max_age, goal));
	odd(j, about, "the newest backup's size", s->size_change, ODD_SIZE,
	    true);
	odd(j, about, "the newest backup's duration", s->duration_change,
	    ODD_DURATION, false);
	odd(j, about, "the WAL written since", s->wal_change, ODD_WAL, false);
}

static void
objectives(struct dr_lag_judging *j, const struct dr_lag_store *s,
    const char *about, const struct dr_lag_goal *g)
{
	const int64_t rpo = g != NULL ? g->rpo : DR_UNKNOWN;
	const int64_t rto = g != NULL ? g->rto : DR_UNKNOWN;
	char is[DR_SIZE_LEN], goal[DR_SIZE_LEN], bytes[DR_SIZE_LEN];

	if (!dr_known(s->rpo_us))
		dr_lag_say(j, DR_LAG_UNKNOWN, "rpo-unknown", about,
		    "how much would be lost now is not known");
	else if (dr_known(rpo) && s->rpo_us > rpo)
		dr_lag_say(j, DR_LAG_BAD, "rpo", about,
		    "%s%s would be lost now (%s of WAL): more than %s",
		    s->rpo_bound ? "up to " : "about ",
		    dr_lag_seconds(s->rpo_us, is),
		    dr_lag_bytes(s->rpo_bytes, bytes),
		    dr_lag_seconds(rpo, goal));
	if (!dr_known(rto) || s->id == NULL)
		return;
	if (!dr_known(s->rto_us))
		dr_lag_say(j, DR_LAG_UNKNOWN, "rto-unknown", about,
		    "how long a restore takes is not known: none was measured "
		    "on this host");
	else if (s->rto_us > rto)
		dr_lag_say(j, DR_LAG_BAD, "rto", about,
		    "a restore would take %s: more than %s",
		    dr_lag_seconds(s->rto_us, is), dr_lag_seconds(rto, goal));
}

static void
store(struct dr_lag_judging *j, const struct dr_lag_store *s)
{
	const struct dr_lag_goal *g = dr_lag_goal(j->lag, s->set);
	const struct dr_pg_view *p = j->lag->primary;
	char from[DR_LSN_LEN], to[DR_LSN_LEN], about[400];

	(void)snprintf(about, sizeof(about), "%s%s%.256s", s->set,
	    s->set[0] != '\0' ? " in " : "", s->url);
	if (s->err.cause != DR_OK) {
		dr_lag_say(j, DR_LAG_UNKNOWN, "store-unreadable", about, "%s",
		    s->err.msg);
		return;
	}
	if (j->o->set != NULL && p != NULL && s->system_id != 0 &&
	    p->system_id != 0 && s->system_id != p->system_id)
		dr_lag_say(j, DR_LAG_BAD, "other-cluster", about,
		    "it holds backups of another cluster than %s", p->name);
	if (s->gaps > 0)
		dr_lag_say(j, DR_LAG_BAD, "archive-gap", about,
		    "WAL is missing from %s to %s%s: nothing after it can be "
		    "restored without a newer backup",
		    dr_format_lsn(s->gap_from, from),
		    dr_format_lsn(s->gap_to, to),
		    s->gaps > 1 ? " and later" : "");
	if (s->told != NULL && s->told[0] != '\0')
		dr_lag_say(j, DR_LAG_BAD, "store-fault", about, "%s", s->told);
	backups(j, s, about, g);
	objectives(j, s, about, g);
}

/* --- all of it -------------------------------------------------------------------- */

/* What is known to be wrong comes before what is not known. */
static int
rank(enum dr_lag_level level)
{
	switch (level) {
	case DR_LAG_BAD:
		return 0;
	case DR_LAG_UNKNOWN:
		return 1;
	case DR_LAG_WARN:
		return 2;
	case DR_LAG_OK:
		break;
	}
	return 3;
}

/* Stable, and there are few. */
static void
sort(struct dr_lag *lag)
{
	for (size_t i = 1; i < lag->notes; i++)
		for (size_t k = i; k > 0 && rank(lag->note[k].level) <
		                                rank(lag->note[k - 1].level);
		     k--) {
			struct dr_lag_note n = lag->note[k];

			lag->note[k] = lag->note[k - 1];
			lag->note[k - 1] = n;
		}
}

int
dr_lag_judge(struct dr_lag *lag, const struct dr_lag_opts *o,
    struct dr_err *err)
{
	struct dr_lag_judging j = { lag, o, err, false };

	roles(&j);
	for (size_t i = 0; i < lag->servers; i++) {
		bool twice = false;

		for (size_t k = 0; k < i; k++)
			twice = twice ||
			        dr_lag_same(&lag->server[k], &lag->server[i]);
		if (!twice)
			dr_lag_judge_server(&j, &lag->server[i]);
	}
	for (size_t i = 0; i < lag->standbys; i++)
		dr_lag_judge_standby(&j, &lag->standby[i]);
	for (size_t i = 0; i < lag->stores; i++)
		store(&j, &lag->store[i]);
	if (j.failed)
		return -1;
	sort(lag);
	lag->level = lag->notes > 0 ? lag->note[0].level : DR_LAG_OK;
	return 0;
}

int
dr_lag_status(const struct dr_lag *lag)
{
	bool any = lag->servers == 0;

	for (size_t i = 0; i < lag->servers; i++)
		any = any || dr_lag_answers(&lag->server[i]);
	if (!any)
		return DR_ERETRY;
	return lag->level == DR_LAG_BAD || lag->level == DR_LAG_UNKNOWN
	           ? DR_EPARTIAL
	           : DR_OK;
}
