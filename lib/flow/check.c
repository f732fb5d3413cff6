#include "flow/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "flow/check_int.h"
#include "flow/stores.h"

#define LOCK_SECONDS 60

/* --- trying ------------------------------------------------------------------ */

static void
set(struct dr_tried *t, enum dr_answer answer, const struct dr_err *why)
{
	t->answer = answer;
	snprintf(t->why, sizeof(t->why), "%s", why != NULL ? why->msg : "");
	snprintf(t->hint, sizeof(t->hint), "%s", why != NULL ? why->hint : "");
}

/* Where the store itself is out of reach, nothing is learned. */
static bool
fatal(const struct dr_err *why)
{
	return why->cause == DR_ESTOP || why->cause == DR_ERETRY;
}

static int
name_probe(struct dr_probe *p, const char *kind, char **name,
    struct dr_err *err)
{
	static const char *const where[] = { "snap/", "wal/", "", "", "" };
	char stamp[DR_TIME_LEN], hex[17];
	unsigned char rnd[8];

	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return -1;
	*name = dr_fmt(err, "%s%s%s%s-%s-%s", p->o->set ? p->o->set : "",
	    p->o->set ? "/" : "", p->o->set ? where[p->o->role] : "", kind,
	    dr_format_stamp(dr_now(), stamp), dr_hex(rnd, sizeof(rnd), hex));
	return *name == NULL ? -1 : 0;
}

/* Its first bytes under the name, and others on top, on a condition. */
static int
try_create(struct dr_probe *p, struct dr_err *err)
{
	static const char first[] = "first", second[] = "second";
	struct dr_err why = { 0 };

	switch (dr_store_put_small(p->store, p->name, first, strlen(first),
	    NULL, &why)) {
	case DR_PUT_OK:
		set(&p->create, DR_ANSWER_YES, NULL);
		break;
	case DR_PUT_EXISTS:
	case DR_PUT_FAILED:
		if (fatal(&why)) {
			*err = why;
			return -1;
		}
		set(&p->create, DR_ANSWER_NO, &why);
		return 0;
	}
	dr_err_clear(&why);
	switch (dr_store_put_small(p->store, p->name, second, strlen(second),
	    NULL, &why)) {
	case DR_PUT_OK:
		set(&p->create_only, DR_ANSWER_NO, NULL);
		break;
	case DR_PUT_EXISTS:
		set(&p->create_only, DR_ANSWER_YES, NULL);
		break;
	case DR_PUT_FAILED:
		if (fatal(&why)) {
			*err = why;
			return -1;
		}
		/* Refused, if not for the reason we hoped for. */
		set(&p->create_only, DR_ANSWER_YES, &why);
		break;
	}
	return 0;
}

static int
try_overwrite(struct dr_probe *p, bool parts, struct dr_tried *t,
    struct dr_err *err)
{
	static const char other[] = "another";
	struct dr_err why = { 0 };

	switch (dr_store_try_replace(p->store, p->name, parts, other,
	    strlen(other), &why)) {
	case 1:
		set(t, DR_ANSWER_YES, NULL);
		return 0;
	case 0:
		set(t, DR_ANSWER_NO, NULL);
		return 0;
	default:
		if (fatal(&why)) {
			*err = why;
			return -1;
		}
		set(t, DR_ANSWER_UNKNOWN, &why);
		return 0;
	}
}

static int
first_found(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	char **name = arg;

	if (*name == NULL && (*name = strdup(obj->name)) == NULL)
		return dr_err_sys(err, "cannot list");
	return -1;
}

static int
try_list(struct dr_probe *p, char **found, struct dr_err *err)
{
	struct dr_err why = { 0 };
	const char *slash = strrchr(p->name, '/');
	char *prefix = dr_fmt(err, "%.*s",
	    slash == NULL ? 0 : (int)(slash + 1 - p->name), p->name);

	*found = NULL;
	if (prefix == NULL)
		return -1;
	if (dr_store_list(p->store, prefix, NULL, first_found, found, &why) ==
	        0 ||
	    *found != NULL)
		set(&p->list, DR_ANSWER_YES, NULL);
	else if (fatal(&why))
		*err = why;
	else
		set(&p->list, DR_ANSWER_NO, &why);
	free(prefix);
	return err->cause == DR_OK ? 0 : -1;
}

/* The probe, else whatever the list showed. */
static int
try_read(struct dr_probe *p, const char *found, struct dr_err *err)
{
	const char *name = p->create.answer == DR_ANSWER_YES ? p->name : found;
	struct dr_err why = { 0 };
	struct dr_blob *blob;
	char byte;

	if (name == NULL)
		return 0;
	blob = dr_store_get(p->store, name, &why);
	if (blob != NULL &&
	    (blob->size == 0 || dr_blob_pread(blob, &byte, 1, 0, &why) == 0))
		set(&p->read, DR_ANSWER_YES, NULL);
	else if (fatal(&why))
		*err = why;
	else
		set(&p->read, DR_ANSWER_NO, &why);
	dr_blob_free(blob);
	return err->cause == DR_OK ? 0 : -1;
}

static int
count(void *arg, const struct dr_version *v, struct dr_err *err)
{
	size_t *n = arg;

	(void)err;
	*n += !v->marker;
	return 0;
}

static int
try_delete(struct dr_probe *p, struct dr_err *err)
{
	struct dr_err why = { 0 };

	if (p->create.answer != DR_ANSWER_YES)
		return 0;
	switch (dr_store_delete(p->store, p->name, &why)) {
	case 1:
		set(&p->del, DR_ANSWER_YES, NULL);
		break;
	case 0:
		set(&p->del, DR_ANSWER_UNKNOWN, NULL);
		break;
	default:
		if (fatal(&why)) {
			*err = why;
			return -1;
		}
		set(&p->del, DR_ANSWER_NO, &why);
	}
	return 0;
}

/* A probe of its own, locked for as short a time as will show. */
static int
try_lock(struct dr_probe *p, struct dr_err *err)
{
	struct dr_store_opts how = *p->o->how;
	struct dr_store *store;
	struct dr_err why = { 0 };
	struct dr_lock lock;
	char *name = NULL;
	int rc = -1;

	if (how.lock.mode == DR_LOCK_NONE || p->create.answer != DR_ANSWER_YES)
		return 0;
	/* A legal hold could not be lifted again. */
	how.lock.hold = false;
	how.lock.until = (dr_now() / 1000000 + LOCK_SECONDS) * (int64_t)1000000;
	if ((store = dr_store_open(p->url, &how, err)) == NULL)
		return -1;
	if (name_probe(p, "probe-lock", &name, err) == -1)
		goto out;
	rc = 0;
	if (dr_store_put_small(store, name, "locked", 6, NULL, &why) !=
	    DR_PUT_OK)
		set(&p->lock, DR_ANSWER_NO, &why);
	else if (dr_store_locked(store, name, &lock, &why) != 1 ||
	         lock.mode != how.lock.mode || lock.until < how.lock.until) {
		set(&p->lock, DR_ANSWER_NO, &why);
		if (p->lock.why[0] == '\0')
			snprintf(p->lock.why, sizeof(p->lock.why),
			    "the store took the lock and did not keep it");
	} else {
		/* With every version of it, as drivers delete. */
		dr_err_clear(&why);
		if (dr_store_delete(store, name, &why) == -1)
			set(&p->lock, DR_ANSWER_YES, NULL);
		else {
			dr_err_set(&why, DR_EFAIL,
			    "a locked object could be deleted");
			set(&p->lock, DR_ANSWER_NO, &why);
		}
	}
	if (fatal(&why)) {
		*err = why;
		rc = -1;
	}

out:
	free(name);
	dr_store_free(store);
	return rc;
}

/* --- what the probe lies in --------------------------------------------------- */

struct part {
	const char *at;
	size_t len;
	bool there;
};

static int
is_part(void *arg, const char *name, struct dr_err *err)
{
	struct part *part = arg;

	(void)err;
	part->there |=
	    strlen(name) == part->len && memcmp(name, part->at, part->len) == 0;
	return 0;
}

/* How much of its directory is there?  What is not known counts as there. */
static void
look_around(struct dr_probe *p)
{
	struct dr_err ignored = { 0 };
	char *slash, *up;

	p->way = strlen(p->name);
	if (!dr_store_has_dirs(p->store) ||
	    (up = dr_fmt(&ignored, "%s", p->name)) == NULL)
		return;
	for (size_t len = 0; (slash = strchr(p->name + len, '/')) != NULL;) {
		struct part part = { p->name + len,
			(size_t)(slash - p->name) - len, false };

		memcpy(up, p->name, len);
		up[len] = '\0';
		if (dr_store_dirs(p->store, up, is_part, &part, &ignored) == -1)
			break;
		if (!part.there) {
			p->way = len;
			break;
		}
		len += part.len + 1;
	}
	free(up);
}

/* Remove what was made for it, unless somebody else uses it now. */
static void
clear_away(struct dr_probe *p)
{
	struct dr_err ignored = { 0 };
	char *dir = dr_fmt(&ignored, "%s", p->name), *slash;

	while (dir != NULL && (slash = strrchr(dir, '/')) != NULL &&
	       (size_t)(slash - dir) > p->way) {
		*slash = '\0';
		if (dr_store_rmdir(p->store, dir, &ignored) != 1)
			break;
	}
	free(dir);
}

/* --- all of it ---------------------------------------------------------------- */

static int
try_all(struct dr_probe *p, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	char *found = NULL;
	int rc = -1;

	if (name_probe(p, "probe", &p->name, err) == -1)
		return -1;
	look_around(p);
	if (try_create(p, err) == -1)
		return -1;
	if (p->create.answer == DR_ANSWER_YES &&
	    (try_overwrite(p, false, &p->overwrite, err) == -1 ||
	        try_overwrite(p, true, &p->overwrite_parts, err) == -1))
		return -1;
	if (try_list(p, &found, err) == -1 || try_read(p, found, err) == -1)
		goto out;
	if (p->create.answer == DR_ANSWER_YES)
		(void)dr_store_versions(p->store, p->name, count, &p->versions,
		    &ignored);
	if (try_lock(p, err) == -1 || try_delete(p, err) == -1)
		goto out;
	if (p->del.answer == DR_ANSWER_YES) {
		p->versions_left = 0;
		(void)dr_store_versions(p->store, p->name, count,
		    &p->versions_left, &ignored);
	}
	if (p->del.answer == DR_ANSWER_YES || p->create.answer == DR_ANSWER_NO)
		clear_away(p);
	rc = 0;

out:
	free(found);
	return rc;
}

/* --- all stores --------------------------------------------------------------- */

/*
 * Of several stores: what trying again will not mend, such as a needed right
 * that is missing; then that not all is known; then a promise not kept.
 */
static int
weight(enum dr_cause cause)
{
	return cause == DR_EFAIL    ? 3
	       : cause == DR_ERETRY ? 2
	       : cause == DR_OK     ? 0
	                            : 1;
}

static int
one_store(const struct dr_check_opts *o, const char *url, struct dr_sink *out,
    enum dr_cause *worst, struct dr_err *err)
{
	struct dr_probe p = { .o = o, .url = url };
	/* The lock asked for would outlast the trial. */
	struct dr_store_opts how = *o->how;
	struct dr_buf text = { .max = 65536 };
	struct dr_err why = { 0 };
	enum dr_cause cause;
	int rc = -1;

	how.lock = (struct dr_lock){ .mode = DR_LOCK_NONE };
	if (o->how->lock.mode != DR_LOCK_NONE || o->how->lock.hold) {
		/* Does this kind of store know locks at all? */
		if ((p.store = dr_store_open(url, o->how, err)) == NULL)
			return -1;
		dr_store_free(p.store);
	}
	if ((p.store = dr_store_open(url, &how, err)) == NULL)
		return -1;
	if (try_all(&p, &why) == -1 && why.cause == DR_ESTOP) {
		*err = why;
		goto out;
	}
	p.failed = why;
	cause = dr_check_judge(&p);
	if (weight(cause) > weight(*worst))
		*worst = cause;
	rc = dr_check_describe(&p, cause, &text, err);
	if (rc == 0)
		rc = dr_sink_write(out, text.data, text.len, err);

out:
	dr_buf_free(&text);
	free(p.name);
	dr_store_free(p.store);
	return rc;
}

int
dr_check(const struct dr_check_opts *o, struct dr_sink *out, struct dr_err *err)
{
	const struct dr_store_opts from = dr_stores_reading(o->how);
	struct dr_check_opts source = *o;
	enum dr_cause worst = DR_OK;

	source.role = DR_ROLE_RESTORE;
	source.how = &from;
	for (size_t i = 0; i < o->nstores; i++) {
		/* A mirror writes to the second alone. */
		bool reads =
		    o->role == DR_ROLE_MIRROR && o->nstores == 2 && i == 0;

		if (one_store(reads ? &source : o, o->stores[i], out, &worst,
		        err) == -1)
			return -1;
	}
	if (dr_sink_finish(out, err) == -1)
		return -1;
	if (worst == DR_OK)
		return 0;
	return dr_err_set(err, worst,
	    worst == DR_EPARTIAL ? "not all that was asked of the stores holds"
	    : worst == DR_ERETRY ? "a store cannot be reached now"
	                         : "a store cannot be used so");
}
