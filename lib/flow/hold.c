#include "flow/hold.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/num.h"
#include "coord/records.h"

#define TRIES 5 /* others may write at the same time */

/* user@host */
static void
who(char *out, size_t size)
{
	char host[65] = "";
	struct passwd *pw = getpwuid(geteuid());

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(out, size, "%s@%s", pw != NULL ? pw->pw_name : "?",
	    host);
}

/* The hold that lasts: 1 and *H, 0 there is none, -1.  *WAS is for a write. */
static int
look(struct dr_coord *c, struct dr_rec_hold *h, int64_t *was,
    struct dr_err *err)
{
	struct dr_coord_look l = { 0 };
	const struct dr_coord_key_ *k;
	int rc = -1;

	*was = 0;
	if (dr_coord_look(c, &l, err) == -1)
		return -1;
	if ((k = dr_coord_find(&l, "hold")) == NULL)
		rc = 0;
	else {
		*was = k->modified;
		if (dr_rec_hold_get(k->value, h, err) == 0)
			rc = h->until == 0 || h->until > dr_now();
	}
	dr_coord_look_wipe(&l);
	return rc;
}

static int
tell(const struct dr_hold_opts *o, const struct dr_rec_hold *h, bool changed,
    struct dr_buf *out, struct dr_err *err)
{
	char since[DR_TIME_LEN], until[DR_TIME_LEN];
	struct dr_json j;

	if (h != NULL) {
		(void)dr_format_time(h->since, since);
		(void)dr_format_time(h->until, until);
	}
	if (o->json) {
		dr_json_init(&j, out);
		dr_json_object(&j, NULL);
		dr_json_str(&j, "set", o->set);
		dr_json_bool(&j, "held", h != NULL);
		dr_json_bool(&j, "changed", changed);
		if (h != NULL) {
			dr_json_str(&j, "who", h->who);
			dr_json_str(&j, "why", h->why);
			dr_json_str(&j, "since", since);
			if (h->until != 0)
				dr_json_str(&j, "until", until);
			else
				dr_json_null(&j, "until");
		}
		dr_json_close(&j, '}');
		if (dr_json_end(&j, err) == -1)
			return -1;
		return dr_buf_str(out, "\n", err);
	}
	if (h == NULL)
		return dr_buf_fmt(out, err, "%s is %s\n", o->set,
		    changed ? "no longer held" : "not held");
	return dr_buf_fmt(out, err, "%s is held by %s since %s%s%s%s%s\n",
	    o->set, h->who, since, h->until != 0 ? " until " : "",
	    h->until != 0 ? until : "", *h->why != '\0' ? ": " : "", h->why);
}

static int
note(const char *act, const struct dr_hold_opts *o, const char *why,
    struct dr_err *err)
{
	struct dr_buf what = { .max = 4096 };
	struct dr_json j;
	int rc = -1;

	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "set", o->set);
	if (why != NULL && *why != '\0')
		dr_json_str(&j, "why", why);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = dr_audit(act, what.data, "ok", err);
	dr_buf_free(&what);
	return rc;
}

/* One attempt: 1 it is as it should be, 0 somebody else was faster. */
static int
hold_once(const struct dr_hold_opts *o, struct dr_rec_hold *h, bool *changed,
    struct dr_err *err)
{
	struct dr_buf value = { .max = 4096 };
	struct dr_coord_op op = { .name = "hold" };
	int n = look(o->coord, h, &op.was, err);

	*changed = n == 0 || (n == 1 && (o->why != NULL || o->for_ms != 0));
	if (n == -1 || !*changed)
		return n;
	memset(h, 0, sizeof(*h));
	who(h->who, sizeof(h->who));
	(void)snprintf(h->why, sizeof(h->why), "%s",
	    o->why != NULL ? o->why : "");
	h->since = dr_now();
	if (o->for_ms != 0)
		h->until = h->since + (int64_t)o->for_ms * 1000;
	if ((n = dr_rec_hold_put(h, &value, err)) == 0) {
		op.value = value.data;
		n = dr_coord_put(o->coord, &op, 1, NULL, err);
	}
	dr_buf_free(&value);
	return n;
}

static int
resume_once(const struct dr_hold_opts *o, bool *changed, struct dr_err *err)
{
	struct dr_coord_op op = { .name = "hold" };
	struct dr_rec_hold h;
	int n = look(o->coord, &h, &op.was, err);

	/* One that is damaged goes, too. */
	if (n == -1 && op.was != 0) {
		dr_err_clear(err);
		n = 1;
	}
	*changed = n == 1;
	if (n == -1)
		return -1;
	return op.was == 0 ? 1 : dr_coord_put(o->coord, &op, 1, NULL, err);
}

static int
run(const struct dr_hold_opts *o, bool hold, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_rec_hold h = { 0 };
	bool changed = false;
	int n = 0;

	if (o->why != NULL && strlen(o->why) >= sizeof(h.why))
		return dr_err_set(err, DR_EUSAGE,
		    "the reason is longer than %zu bytes", sizeof(h.why) - 1);
	if (o->for_ms > (uint64_t)INT64_MAX / 4000)
		return dr_err_set(err, DR_EUSAGE, "the time is too long");
	for (int i = 0; i < TRIES && n == 0; i++)
		n = hold ? hold_once(o, &h, &changed, err)
		         : resume_once(o, &changed, err);
	if (n == 0)
		return dr_err_set(err, DR_ERETRY,
		    "others keep changing the hold");
	if (n == -1 || (changed && note(hold ? "hold" : "resume", o,
	                               hold ? h.why : NULL, err) == -1))
		return -1;
	return tell(o, hold ? &h : NULL, changed, out, err);
}

int
dr_hold(const struct dr_hold_opts *o, struct dr_buf *out, struct dr_err *err)
{
	return run(o, true, out, err);
}

int
dr_resume(const struct dr_hold_opts *o, struct dr_buf *out, struct dr_err *err)
{
	return run(o, false, out, err);
}
