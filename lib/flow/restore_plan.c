#include "flow/restore_plan.h"

#include <sys/stat.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/restore_command.h"
#include "flow/restore_wal.h"
#include "manifest/manifest.h"
#include "store/store.h"

#define COMMAND_MAX 65536U
#define SEGSIZE     (16U << 20) /* where the manifest does not say */

/* All stores together. */
struct view {
	const struct dr_plan_opts *o;
	struct dr_verify_keys *keys; /* NULL with --no-signature */
	struct dr_store **store;
	struct dr_backups *all; /* of each store */
	size_t n;
	struct dr_candidate *candidate;
	size_t candidates;
	struct dr_lines lines;
};

static void
view_wipe(struct view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		dr_backups_free(&v->all[i]);
		dr_store_free(v->store[i]);
	}
	free(v->all);
	free(v->store);
	free(v->candidate);
	dr_lines_free(&v->lines);
	dr_verify_keys_free(v->keys);
}

/* Stores that cannot be read are left out; -1 when all are. */
static int
view_open(struct view *v, const struct dr_plan_opts *o, struct dr_err *err)
{
	const struct dr_strs *urls = &o->from->stores;
	struct dr_err first = { 0 };

	memset(v, 0, sizeof(*v));
	v->o = o;
	if (dr_from_keys(o->from, &v->keys, err) == -1)
		return -1;
	v->store = calloc(urls->n, sizeof(struct dr_store *));
	v->all = calloc(urls->n, sizeof(*v->all));
	if (v->store == NULL || v->all == NULL)
		return dr_err_sys(err, "cannot look into the stores");
	for (size_t i = 0; i < urls->n; i++) {
		struct dr_catalogue_opts co = { .keys = v->keys };
		struct dr_err why = { 0 };
		struct dr_store *s =
		    dr_store_open(urls->v[i], o->from->how, &why);

		if (s != NULL && dr_catalogue_read(s, o->from->set, &co,
		                     &v->all[v->n], &why) == 0) {
			v->store[v->n++] = s;
			continue;
		}
		dr_store_free(s);
		if (first.cause == DR_OK)
			first = why;
		if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE)
			goto fail;
		if (urls->n > 1)
			dr_warn("store \"%s\": %s", urls->v[i], why.msg);
	}
	if (v->n > 0)
		return 0;

fail:
	*err = first;
	return -1;
}

/* The backup that -b names, or the newest, in the first store that has one. */
static const struct dr_backup *
named(const struct view *v, struct dr_err *err)
{
	struct dr_err first = { 0 };

	for (size_t i = 0; i < v->n; i++) {
		const struct dr_backup *b;
		struct dr_err why = { 0 };

		b = dr_backups_find(&v->all[i], v->o->from->id, &why);
		if (b != NULL)
			return b;
		if (first.cause == DR_OK)
			first = why;
	}
	*err = first;
	return NULL;
}

static bool
is_pg(const struct dr_backup *b)
{
	return strcmp(dr_manifest_str(b->manifest, "kind"), "pg") == 0;
}

static const char *
system_of(const struct dr_backup *b)
{
	const char *s = dr_manifest_str(b->manifest, "pg.system_id");

	return s != NULL ? s : "";
}

static int64_t
stopped(const struct dr_backup *b)
{
	const char *s = dr_manifest_str(b->manifest, "stopped");
	struct dr_err none = { 0 };
	int64_t t;

	if (s != NULL && dr_parse_time(s, &t, &none) == 0)
		return t;
	return dr_backup_started(b);
}

/* False: it is nothing that a recovery could start from. */
static bool
candidate(const struct dr_backup *b, struct dr_candidate *c)
{
	const json_t *m = b->manifest;
	const char *start, *stop;
	struct dr_err none = { 0 };

	if (m == NULL || b->pruned || !is_pg(b) ||
	    !dr_manifest_bool(m, "complete", true) ||
	    strcmp(dr_manifest_str(m, "mode"), "full") != 0)
		return false;
	start = dr_manifest_str(m, "pg.start_lsn");
	stop = dr_manifest_str(m, "pg.stop_lsn");
	c->id = b->id;
	c->tli = (uint32_t)dr_manifest_int(m, "pg.timeline", 0);
	c->stopped = stopped(b);
	c->wal = dr_manifest_bool(m, "pg.wal", true);
	return c->tli != 0 && start != NULL && stop != NULL &&
	       dr_parse_lsn(start, &c->start, &none) == 0 &&
	       dr_parse_lsn(stop, &c->stop, &none) == 0 && c->stop > 0;
}

/*
 * The newest backup that could do, and so the cluster that is meant: a set
 * may have seen several.
 */
static const struct dr_backup *
newest(const struct view *v)
{
	const struct dr_target *t = &v->o->target;
	const struct dr_backup *best = NULL;
	int64_t rank, most = 0;
	struct dr_candidate c;

	for (size_t i = 0; i < v->n; i++) {
		for (size_t k = 0; k < v->all[i].n; k++) {
			if (!candidate(&v->all[i].v[k], &c))
				continue;
			rank = c.stopped;
			if (t->kind == DR_TARGET_TIME && c.stopped > t->time)
				rank = -c.stopped;
			if (best != NULL && rank <= most)
				continue;
			best = &v->all[i].v[k];
			most = rank;
		}
	}
	return best;
}

/* All backups of a cluster, each once; *FIXED becomes the index of ID. */
static int
candidates(struct view *v, const char *system, const char *id, long *fixed,
    struct dr_err *err)
{
	struct dr_candidate c;
	size_t total = 0, k;

	for (size_t i = 0; i < v->n; i++)
		total += v->all[i].n;
	if ((v->candidate = calloc(total + 1, sizeof(*v->candidate))) == NULL)
		return dr_err_sys(err, "cannot note the backups");
	*fixed = -1;
	for (size_t i = 0; i < v->n; i++) {
		for (size_t j = 0; j < v->all[i].n; j++) {
			const struct dr_backup *b = &v->all[i].v[j];

			if (!candidate(b, &c) ||
			    strcmp(system_of(b), system) != 0)
				continue;
			for (k = 0; k < v->candidates; k++)
				if (strcmp(v->candidate[k].id, c.id) == 0)
					break;
			if (k < v->candidates)
				continue;
			if (id != NULL && strcmp(c.id, id) == 0)
				*fixed = (long)k;
			v->candidate[v->candidates++] = c;
		}
	}
	return 0;
}

static int
look_for_wal(struct view *v, const struct dr_backup *b, bool *any,
    struct dr_err *err)
{
	struct dr_restore_wal_opts w = { .set = v->o->from->set,
		.stores = v->store,
		.nstores = v->n,
		.ids = v->o->ids,
		.keys = v->keys };
	int64_t size;

	w.system_id = strtoull(system_of(b), NULL, 10);
	size = dr_manifest_int(b->manifest, "pg.wal_segment_size", SEGSIZE);
	if (!dr_wal_segsize_ok((uint64_t)size))
		return dr_err_set(err, DR_EDATA,
		    "backup %s: no WAL segment has %lld bytes", b->id,
		    (long long)size);
	v->lines.segsize = (uint32_t)size;
	if (dr_restore_wal(&w, &v->lines, err) == -1)
		return -1;
	for (size_t i = 0; i < v->lines.n; i++)
		*any |= v->lines.v[i].map.n > 0 || v->lines.v[i].partials > 0;
	return 0;
}

/* --- what comes of it ------------------------------------------------------ */

/* An absolute path of one that may not exist yet. */
static char *
absolute(const char *path, struct dr_err *err)
{
	char cwd[PATH_MAX];

	if (*path == '/')
		return dr_fmt(err, "%s", path);
	if (getcwd(cwd, sizeof(cwd)) == NULL) {
		dr_err_sys(err, "cannot tell the current directory");
		return NULL;
	}
	return dr_fmt(err, "%s/%s", cwd, path);
}

/* Does it lie there, and belong to somebody who is not root? */
static bool
is_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid != 0;
}

static int
command(const struct view *v, const struct dr_backup *b, struct dr_plan *plan,
    struct dr_err *err)
{
	const struct dr_from_opts *from = v->o->from;
	struct dr_buf text = { .max = COMMAND_MAX };
	struct dr_command_opts c = { .set = from->set,
		.stores = v->store,
		.nstores = v->n,
		.identities = v->o->identities,
		.identity_command = v->o->identity_command,
		.passphrase_file = v->o->passphrase_file,
		.ca_file = from->how != NULL ? from->how->ca_file : NULL,
		.standby = v->o->standby != NULL };
	char *state = NULL, *key = NULL;
	int rc = -1;

	c.system_id = strtoull(system_of(b), NULL, 10);
	/* The server does not run as root, whose state it could not use. */
	if ((geteuid() != 0 || is_others(from->state)) &&
	    (c.state = state = absolute(from->state, err)) == NULL)
		return -1;
	if (from->no_signature)
		c.verify_key = NULL;
	else if (from->verify_key != NULL)
		c.verify_key = from->verify_key;
	else if ((c.verify_key = key =
	                 dr_fmt(err, "%s/sign.key.pub", from->state)) == NULL)
		goto out;
	if (dr_restore_command(&c, &text, err) == -1)
		goto out;
	plan->recovery.command = plan->command = text.data;
	text.data = NULL;
	rc = 0;

out:
	dr_buf_free(&text);
	free(state);
	free(key);
	return rc;
}

/* "1 to 0/3000000, then 2" */
static void
say_way(const struct dr_lines *lines, const struct dr_candidate *b,
    uint32_t tli)
{
	const struct dr_line *l = dr_lines_find(lines, tli);
	char text[256] = "", lsn[DR_LSN_LEN];
	size_t len = 0;

	for (size_t i = 0; l != NULL && i < l->h.n; i++)
		if (l->h.v[i].tli >= b->tli && len < sizeof(text) - 64)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    "%u to %s, then ", l->h.v[i].tli,
			    dr_format_lsn(l->h.v[i].end, lsn));
	dr_say(1, "along timeline %s%u", text, tli);
}

static void
say(const struct view *v, const struct dr_target *t, const struct dr_choice *c)
{
	const struct dr_candidate *b = &v->candidate[c->backup];
	char lsn[DR_LSN_LEN], time[DR_TIME_LEN];

	dr_say(1,
	    "starting from backup %s, which ended at %s on timeline %u, "
	    "%s",
	    b->id, dr_format_lsn(b->stop, lsn), b->tli,
	    dr_format_time(b->stopped, time));
	if (!c->archive) {
		dr_say(1, "recovery ends where the backup ended");
		return;
	}
	say_way(&v->lines, b, c->tli);
	if (c->end_time != 0)
		dr_say(1,
		    "the WAL in the stores reaches %s on timeline %u, "
		    "stored at %s",
		    dr_format_lsn(c->end, lsn), c->end_tli,
		    dr_format_time(c->end_time, time));
	if (t->kind == DR_TARGET_TIME)
		dr_say(1, "a target time is compared with the times of "
		          "commits: recovery that meets no later one fails");
	if (t->kind == DR_TARGET_TIME && t->time > c->end_time)
		dr_warn("the newest WAL was stored before %s: if no later "
		        "commit is in it, recovery fails at its end (--latest "
		        "does not)",
		    dr_format_time(t->time, time));
	if ((t->kind == DR_TARGET_XID || t->kind == DR_TARGET_NAME) &&
	    v->o->from->id == NULL)
		dr_warn("it is not known where the target lies: taking the "
		        "newest backup, %s (-b names an earlier one)",
		    b->id);
	if (c->hole != 0 && t->kind != DR_TARGET_LSN &&
	    t->kind != DR_TARGET_TIME)
		dr_warn("WAL is missing from %s on: recovery fails there",
		    dr_format_lsn(c->end, lsn));
	if (c->other != 0)
		dr_warn("%s is on timeline %u, too; this is the way to "
		        "timeline %u (--timeline)",
		    dr_format_lsn(t->lsn, lsn), c->other, c->tli);
}

/* WAL of later timelines, to which no history leads. */
static void
warn_lost(const struct view *v, const struct dr_target *t,
    const struct dr_choice *c)
{
	char lsn[DR_LSN_LEN];

	if (t->timeline != 0 || t->kind == DR_TARGET_IMMEDIATE)
		return;
	for (size_t i = 0; i < v->lines.n; i++) {
		const struct dr_line *l = &v->lines.v[i];

		if (!l->known && l->tli > c->tli && l->map.n > 0)
			dr_warn("timeline %u holds WAL up to %s, and no store "
			        "holds its history: nothing of it is "
			        "recovered.  To recover it, store %08X.history "
			        "from pg_wal of a server on it with dr-wal "
			        "push, and begin again",
			    l->tli,
			    dr_format_lsn(l->map.v[l->map.n - 1].to, lsn),
			    l->tli);
	}
}

/* What recovery_target_timeline becomes. */
static void
timeline(const struct view *v, const struct dr_target *t,
    const struct dr_choice *c, struct dr_plan *plan)
{
	uint32_t from = v->candidate[c->backup].tli;
	const struct dr_line *l = dr_lines_find(&v->lines, c->tli);
	const char *word = NULL;

	if (t->kind == DR_TARGET_LATEST && t->timeline == 0 &&
	    dr_lines_latest(&v->lines, from) == c->tli)
		word = "latest";
	else if (!c->archive || (c->tli == from && (l == NULL || !l->known)))
		word = "current";
	if (word != NULL)
		(void)snprintf(plan->timeline, sizeof(plan->timeline), "%s",
		    word);
	else
		(void)snprintf(plan->timeline, sizeof(plan->timeline), "%u",
		    c->tli);
	plan->recovery.timeline = plan->timeline;
}

/* The end of the backup, which needs nothing else. */
static int
its_end(const struct dr_backup *b, struct dr_plan *plan, struct dr_err *err)
{
	plan->id = dr_fmt(err, "%s", b->id);
	return plan->id == NULL ? -1 : 0;
}

static int
settle(struct view *v, const struct dr_backup *b, struct dr_plan *plan,
    struct dr_err *err)
{
	const struct dr_plan_opts *o = v->o;
	bool whole = dr_manifest_bool(b->manifest, "pg.wal", true);
	bool any = false, standby = o->standby != NULL;
	struct dr_target *t = &plan->recovery.target;
	struct dr_choice c;
	long fixed;

	if (t->kind == DR_TARGET_IMMEDIATE && whole)
		return its_end(b, plan, err);
	if (candidates(v, system_of(b), b->id, &fixed, err) == -1 ||
	    look_for_wal(v, b, &any, err) == -1)
		return -1;
	if (t->kind == DR_TARGET_NONE)
		t->kind = any ? DR_TARGET_LATEST : DR_TARGET_IMMEDIATE;
	if (t->kind == DR_TARGET_IMMEDIATE && (whole || !any))
		return its_end(b, plan, err);
	if (t->kind == DR_TARGET_LATEST && !standby &&
	    o->action != DR_ACT_PROMOTE) {
		dr_err_set(err, DR_EUSAGE,
		    "--target-action needs a target: at the end of the WAL a "
		    "server promotes");
		return dr_err_hint(err,
		    "name a target, as --immediate or --target-lsn");
	}
	if (fixed == -1 && o->from->id != NULL)
		return dr_err_set(err, DR_EPARTIAL,
		    "backup %s is not full and complete: no recovery starts "
		    "from it alone",
		    b->id);
	if (o->from->id == NULL && t->kind != DR_TARGET_IMMEDIATE)
		fixed = -1;
	if (standby && !any) {
		dr_say(1, "the stores hold no WAL: the standby gets it from "
		          "its primary alone");
		return 0;
	}
	/* Without it the histories could not be read either. */
	if (o->ids == NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "the WAL in the stores is sealed, and its identity is "
		    "not given");
		return dr_err_hint(err,
		    "give it with -i; --immediate recovers without that WAL");
	}
	if (dr_restore_choose(v->candidate, v->candidates, fixed, &v->lines, t,
	        &c, err) == -1)
		return -1;
	if (c.archive && command(v, b, plan, err) == -1)
		return -1;
	if ((plan->id = dr_fmt(err, "%s", v->candidate[c.backup].id)) == NULL)
		return -1;
	timeline(v, t, &c, plan);
	say(v, t, &c);
	warn_lost(v, t, &c);
	return 0;
}

/* Of what is no store's, and where nothing is asked of the WAL. */
static int
alone(const struct dr_plan_opts *o, struct dr_plan *plan, struct dr_err *err)
{
	struct dr_target *t = &plan->recovery.target;

	if (t->kind != DR_TARGET_NONE && t->kind != DR_TARGET_IMMEDIATE) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" comes without WAL, so it can only recover to its "
		    "own end",
		    o->from->file);
		return dr_err_hint(err,
		    "for a target name the store: -n SET ... STORE");
	}
	t->kind = DR_TARGET_IMMEDIATE;
	return 0;
}

int
dr_restore_plan(const struct dr_plan_opts *o, struct dr_plan *plan,
    struct dr_err *err)
{
	const struct dr_backup *b;
	struct view v;
	int rc = -1;

	memset(plan, 0, sizeof(*plan));
	plan->recovery.target = o->target;
	plan->recovery.standby = o->standby;
	plan->recovery.timeline = o->standby != NULL ? "latest" : "current";
	if (o->standby != NULL)
		plan->recovery.target.kind = DR_TARGET_LATEST;
	if (o->from->file != NULL && o->standby != NULL)
		return 0;
	if (o->from->file != NULL)
		return alone(o, plan, err);
	if ((o->as_is && o->standby == NULL) || o->same_timeline) {
		plan->recovery.target.kind = DR_TARGET_IMMEDIATE;
		return 0;
	}
	if (view_open(&v, o, err) == -1)
		goto out;
	if ((b = named(&v, err)) == NULL)
		goto out;
	if (!is_pg(b)) {
		plan->recovery.target.kind = DR_TARGET_IMMEDIATE;
		if (o->target.kind == DR_TARGET_NONE && o->standby == NULL)
			rc = 0;
		else
			dr_err_set(err, DR_EUSAGE,
			    "backup %s is of no cluster: there is nothing to "
			    "recover to",
			    b->id);
		goto out;
	}
	if (o->from->id == NULL) {
		const struct dr_backup *other = newest(&v);

		if (other != NULL)
			b = other;
	}
	rc = settle(&v, b, plan, err);

out:
	view_wipe(&v);
	if (rc == -1)
		dr_plan_wipe(plan);
	return rc;
}

void
dr_plan_wipe(struct dr_plan *plan)
{
	free(plan->id);
	free(plan->command);
	memset(plan, 0, sizeof(*plan));
}
