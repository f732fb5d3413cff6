/* What --check found, judged by what a host of that kind needs. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "flow/check_int.h"

static const struct role {
	const char *name;
	bool create, read, list, del; /* what it needs */
} roles[] = {
	[DR_ROLE_BACKUP] = { "backup", true, false, false, false },
	[DR_ROLE_WAL] = { "WAL", true, true, true, false },
	[DR_ROLE_RESTORE] = { "restore", false, true, true, false },
	[DR_ROLE_MIRROR] = { "mirror", true, true, true, false },
	[DR_ROLE_PRUNE] = { "prune", true, true, true, true },
};

static bool
yes(const struct dr_tried *t)
{
	return t->answer == DR_ANSWER_YES;
}

enum dr_cause
dr_check_judge(const struct dr_probe *p)
{
	const struct role *r = &roles[p->o->role];

	if (p->failed.cause != DR_OK)
		return p->failed.cause == DR_ERETRY ? DR_ERETRY : DR_EFAIL;
	if ((r->create && !yes(&p->create)) || (r->list && !yes(&p->list)) ||
	    (r->read && p->read.answer == DR_ANSWER_NO) ||
	    (r->del && p->del.answer == DR_ANSWER_NO))
		return DR_EFAIL;
	if (p->create_only.answer == DR_ANSWER_NO ||
	    p->lock.answer == DR_ANSWER_NO)
		return DR_EPARTIAL;
	return DR_OK;
}

/*
 * Could whoever takes over this host destroy with its credential what it has
 * stored?
 */
static const char *
protection(const struct dr_probe *p)
{
	bool over = yes(&p->overwrite) || yes(&p->overwrite_parts) ||
	            p->create_only.answer == DR_ANSWER_NO;

	if (!yes(&p->create))
		return yes(&p->del) ? "this credential can delete"
		                    : "this credential cannot write";
	if (yes(&p->lock))
		return "what is locked cannot be deleted before its time, by "
		       "anybody with this credential";
	if (!over && p->del.answer == DR_ANSWER_NO)
		return "this credential can create, and neither overwrite nor "
		       "delete";
	if (p->versions_left > 0)
		return "what is overwritten or deleted stays as a version, "
		       "for whoever may not delete versions";
	if (over && yes(&p->del))
		return "none: this credential can overwrite and delete what "
		       "was stored";
	if (yes(&p->del))
		return "none: this credential can delete what was stored";
	if (over)
		return p->versions > 1
		           ? "what is overwritten stays as a version; this "
		             "credential cannot delete"
		           : "none: this credential can overwrite what was "
		             "stored";
	return "unknown: not everything could be tried";
}

static bool
protects(const struct dr_probe *p)
{
	const char *s = protection(p);

	return p->failed.cause == DR_OK && yes(&p->create) &&
	       strncmp(s, "none", 4) != 0 && strncmp(s, "unknown", 7) != 0;
}

struct line {
	const char *name;
	const struct dr_tried *t;
	const char *remark;
};

#define LINES 8

static const char *
remark(const struct dr_probe *p, bool needed, const struct dr_tried *t,
    const char *what)
{
	(void)p;
	if (needed)
		return yes(t) || t->answer == DR_ANSWER_NOT_TRIED ? "" : what;
	return yes(t) ? "more than is needed" : "";
}

static size_t
lines(const struct dr_probe *p, struct line l[LINES])
{
	const struct role *r = &roles[p->o->role];
	static const char missing[] = "MISSING";
	size_t n = 0;

	l[n++] = (struct line){ "create", &p->create,
		remark(p, r->create, &p->create, missing) };
	l[n++] = (struct line){ "create-only", &p->create_only,
		p->create_only.answer == DR_ANSWER_NO ? "NOT HONOURED" : "" };
	l[n++] = (struct line){ "overwrite", &p->overwrite,
		yes(&p->overwrite) ? "more than is needed" : "" };
	l[n++] = (struct line){ "overwrite-parts", &p->overwrite_parts,
		yes(&p->overwrite_parts) ? "more than is needed" : "" };
	l[n++] = (struct line){ "read", &p->read,
		remark(p, r->read, &p->read, missing) };
	l[n++] = (struct line){ "list", &p->list,
		remark(p, r->list, &p->list, missing) };
	l[n++] = (struct line){ "delete", &p->del,
		remark(p, r->del, &p->del, missing) };
	l[n++] = (struct line){ "lock", &p->lock,
		p->lock.answer == DR_ANSWER_NO ? "DOES NOT HOLD" : "" };
	return n;
}

/* What to try, where the host cannot do what it needs to. */
static const char *
hint(const struct dr_probe *p)
{
	const struct role *r = &roles[p->o->role];

	if (p->failed.cause != DR_OK)
		return p->failed.hint;
	if (r->create && !yes(&p->create))
		return p->create.hint;
	if (r->list && !yes(&p->list))
		return p->list.hint;
	if (r->read && p->read.answer == DR_ANSWER_NO)
		return p->read.hint;
	return r->del && p->del.answer == DR_ANSWER_NO ? p->del.hint : "";
}

static const char *const words[] = { "not tried", "no", "yes", "unknown" };

static int
describe_json(const struct dr_probe *p, enum dr_cause cause, struct dr_buf *out,
    struct dr_err *err)
{
	struct line l[LINES];
	size_t n = lines(p, l);
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "store", dr_store_url(p->store));
	dr_json_str(&j, "role", roles[p->o->role].name);
	dr_json_str(&j, "probe", p->name);
	for (size_t i = 0; i < n; i++)
		dr_json_str(&j, l[i].name, words[l[i].t->answer]);
	dr_json_object(&j, "reasons");
	for (size_t i = 0; i < n; i++)
		if (l[i].t->why[0] != '\0')
			dr_json_str(&j, l[i].name, l[i].t->why);
	dr_json_close(&j, '}');
	dr_json_uint(&j, "versions", p->versions);
	dr_json_uint(&j, "versions_left", p->versions_left);
	dr_json_bool(&j, "protected", p->failed.cause == DR_OK && protects(p));
	if (p->failed.cause == DR_OK)
		dr_json_str(&j, "protection", protection(p));
	else
		dr_json_str(&j, "error", p->failed.msg);
	if (*hint(p) != '\0')
		dr_json_str(&j, "hint", hint(p));
	dr_json_int(&j, "status", (int)cause);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

static int
describe_hint(const struct dr_probe *p, struct dr_buf *out, struct dr_err *err)
{
	if (*hint(p) == '\0')
		return 0;
	return dr_buf_fmt(out, err, "  %-16s %s\n", "hint", hint(p));
}

static int
describe_text(const struct dr_probe *p, struct dr_buf *out, struct dr_err *err)
{
	struct line l[LINES];
	size_t n = lines(p, l);

	if (dr_buf_fmt(out, err, "%s (as a %s host)\n", dr_store_url(p->store),
	        roles[p->o->role].name) == -1)
		return -1;
	if (p->failed.cause != DR_OK) {
		if (dr_buf_fmt(out, err, "  %-16s %s\n", "error",
		        p->failed.msg) == -1)
			return -1;
		return describe_hint(p, out, err);
	}
	for (size_t i = 0; i < n; i++) {
		const struct dr_tried *t = l[i].t;

		if (t->answer == DR_ANSWER_NOT_TRIED)
			continue;
		if (dr_buf_fmt(out, err, "  %-16s %s%s%s%s%s\n", l[i].name,
		        words[t->answer], *l[i].remark != '\0' ? "  " : "",
		        l[i].remark, t->why[0] != '\0' ? "  " : "",
		        t->why) == -1)
			return -1;
	}
	if (p->versions > 0 &&
	    dr_buf_fmt(out, err, "  %-16s kept\n", "versions") == -1)
		return -1;
	if (yes(&p->create) && !yes(&p->del) &&
	    dr_buf_fmt(out, err, "  %-16s \"%s\" stays behind\n", "probe",
	        p->name) == -1)
		return -1;
	if (dr_buf_fmt(out, err, "  %-16s %s\n", "protection", protection(p)) ==
	    -1)
		return -1;
	return describe_hint(p, out, err);
}

int
dr_check_describe(const struct dr_probe *p, enum dr_cause cause,
    struct dr_buf *out, struct dr_err *err)
{
	return p->o->json ? describe_json(p, cause, out, err)
	                  : describe_text(p, out, err);
}
