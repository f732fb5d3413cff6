#include "coord/records.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/json.h"
#include "base/known.h"
#include "base/num.h"

#define VERSION 1

/* --- writing ------------------------------------------------------------------ */

static void
begin(struct dr_json *j, struct dr_buf *out)
{
	dr_json_init(j, out);
	dr_json_object(j, NULL);
	dr_json_int(j, "v", VERSION);
}

static int
end(struct dr_json *j, struct dr_err *err)
{
	dr_json_close(j, '}');
	return dr_json_end(j, err);
}

static void
put_time(struct dr_json *j, const char *name, int64_t usec)
{
	char s[DR_TIME_LEN];

	dr_json_str(j, name, dr_format_time(usec, s));
}

static void
put_lsn(struct dr_json *j, const char *name, uint64_t lsn)
{
	char s[DR_LSN_LEN];

	dr_json_str(j, name, dr_format_lsn(lsn, s));
}

/* Readers refuse control characters. */
static void
put_str(struct dr_json *j, const char *name, const char *s)
{
	char clean[512];
	size_t n = 0;

	for (; *s != '\0' && n < sizeof(clean) - 1; s++)
		clean[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
	clean[n] = '\0';
	dr_json_str(j, name, clean);
}

/* --- reading ------------------------------------------------------------------ */

struct rec {
	json_t *j;
	const char *what;
	const char *bad; /* the first field that is not as it should be */
};

static int
load(struct rec *r, const char *what, const char *json, struct dr_err *err)
{
	const json_t *v;

	r->what = what;
	r->bad = NULL;
	r->j = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	v = json_object_get(r->j, "v");
	if (json_is_integer(v) && json_integer_value(v) >= VERSION) {
		if (json_integer_value(v) == VERSION)
			return 0;
		dr_err_set(err, DR_EDATA,
		    "etcd's record \"%s\" is of a later version", what);
		dr_err_hint(err, "use newer tools on this host");
	} else
		dr_err_set(err, DR_EDATA, "etcd's record \"%s\" is damaged",
		    what);
	json_decref(r->j);
	return -1;
}

static int
done(struct rec *r, struct dr_err *err)
{
	json_decref(r->j);
	if (r->bad == NULL)
		return 0;
	return dr_err_set(err, DR_EDATA,
	    "etcd's record \"%s\" is damaged (\"%s\")", r->what, r->bad);
}

static const json_t *
field(struct rec *r, const char *name, bool good)
{
	if (!good && r->bad == NULL)
		r->bad = name;
	return json_object_get(r->j, name);
}

static void
copy(struct rec *r, const char *name, const json_t *v, char *out, size_t size)
{
	const char *s = json_string_value(v);
	bool good = s != NULL && strlen(s) < size;

	/* It goes into messages, and some of it into commands. */
	for (const char *p = s; good && *p != '\0'; p++)
		good = (unsigned char)*p >= 0x20 && *p != 0x7f;
	(void)field(r, name, good);
	(void)snprintf(out, size, "%s", good ? s : "");
}

static void
get_str(struct rec *r, const char *name, char *out, size_t size)
{
	copy(r, name, field(r, name, true), out, size);
}

#define GET_STR(r, name, out) get_str(r, name, out, sizeof(out))

static int64_t
get_int(struct rec *r, const char *name, int64_t min, int64_t max)
{
	const json_t *v = field(r, name, true);
	int64_t n = json_integer_value(v);

	(void)field(r, name, json_is_integer(v) && n >= min && n <= max);
	return n < min || n > max ? min : n;
}

static bool
get_bool(struct rec *r, const char *name)
{
	const json_t *v = field(r, name, true);

	(void)field(r, name, json_is_boolean(v));
	return json_is_true(v);
}

static int64_t
get_time(struct rec *r, const char *name)
{
	const char *s = json_string_value(field(r, name, true));
	struct dr_err odd = { 0 };
	int64_t t = 0;

	(void)field(r, name, s != NULL && dr_parse_time(s, &t, &odd) == 0);
	return t;
}

static uint64_t
get_lsn(struct rec *r, const char *name)
{
	const char *s = json_string_value(field(r, name, true));
	struct dr_err odd = { 0 };
	uint64_t lsn = 0;

	(void)field(r, name, s != NULL && dr_parse_lsn(s, &lsn, &odd) == 0);
	return lsn;
}

static uint32_t
get_tli(struct rec *r)
{
	return (uint32_t)get_int(r, "tli", 0, UINT32_MAX);
}

/* --- the records --------------------------------------------------------------- */

int
dr_rec_epoch_put(const struct dr_rec_epoch *e, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	dr_json_int(&j, "epoch", e->epoch);
	put_str(&j, "leader", e->leader);
	put_str(&j, "former", e->former);
	dr_json_uint(&j, "tli", e->tli);
	put_lsn(&j, "fork", e->fork);
	put_time(&j, "time", e->time);
	return end(&j, err);
}

int
dr_rec_epoch_get(const char *json, struct dr_rec_epoch *e, struct dr_err *err)
{
	struct rec r;

	memset(e, 0, sizeof(*e));
	if (load(&r, "epoch", json, err) == -1)
		return -1;
	e->epoch = get_int(&r, "epoch", 1, INT64_MAX);
	GET_STR(&r, "leader", e->leader);
	GET_STR(&r, "former", e->former);
	e->tli = get_tli(&r);
	e->fork = get_lsn(&r, "fork");
	e->time = get_time(&r, "time");
	return done(&r, err);
}

static const char *const steps[] = {
	[DR_STEP_CHOSEN] = "chosen",
	[DR_STEP_STOPPING] = "stopping",
	[DR_STEP_PROMOTING] = "promoting",
	[DR_STEP_PROMOTED] = "promoted",
	[DR_STEP_ROUTED] = "routed",
	[DR_STEP_DONE] = "done",
};

const char *
dr_step_word(enum dr_step step)
{
	return steps[step];
}

static enum dr_step
get_step(struct rec *r)
{
	const char *s = json_string_value(field(r, "step", true));

	for (size_t i = 0; s != NULL && i < sizeof(steps) / sizeof(*steps); i++)
		if (strcmp(s, steps[i]) == 0)
			return (enum dr_step)i;
	(void)field(r, "step", false);
	return DR_STEP_CHOSEN;
}

int
dr_rec_intent_put(const struct dr_rec_intent *i, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	put_str(&j, "verb", i->verb);
	dr_json_int(&j, "token", i->token);
	dr_json_int(&j, "epoch", i->epoch);
	put_str(&j, "candidate", i->candidate);
	put_str(&j, "former", i->former);
	dr_json_uint(&j, "tli", i->tli);
	put_lsn(&j, "target", i->target);
	put_str(&j, "step", dr_step_word(i->step));
	put_time(&j, "began", i->began);
	put_time(&j, "time", i->time);
	return end(&j, err);
}

int
dr_rec_intent_get(const char *json, struct dr_rec_intent *i, struct dr_err *err)
{
	struct rec r;

	memset(i, 0, sizeof(*i));
	if (load(&r, "intent", json, err) == -1)
		return -1;
	GET_STR(&r, "verb", i->verb);
	i->token = get_int(&r, "token", 0, INT64_MAX);
	i->epoch = get_int(&r, "epoch", 1, INT64_MAX);
	GET_STR(&r, "candidate", i->candidate);
	GET_STR(&r, "former", i->former);
	i->tli = get_tli(&r);
	i->target = get_lsn(&r, "target");
	i->step = get_step(&r);
	i->began = get_time(&r, "began");
	i->time = get_time(&r, "time");
	return done(&r, err);
}

int
dr_rec_sync_put(const struct dr_rec_sync *s, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	if (s->members > DR_MEMBERS)
		return dr_err_set(err, DR_EFAIL,
		    "a synchronous set of %zu members is too large",
		    s->members);
	begin(&j, out);
	put_str(&j, "names", s->names);
	dr_json_int(&j, "wait", s->wait);
	dr_json_bool(&j, "any", s->any);
	dr_json_bool(&j, "restart_after_crash", s->restart);
	dr_json_array(&j, "members");
	for (size_t i = 0; i < s->members; i++)
		put_str(&j, NULL, s->member[i]);
	dr_json_close(&j, ']');
	dr_json_uint(&j, "tli", s->tli);
	put_str(&j, "leader", s->leader);
	return end(&j, err);
}

int
dr_rec_sync_get(const char *json, struct dr_rec_sync *s, struct dr_err *err)
{
	const json_t *all;
	struct rec r;
	size_t n;

	memset(s, 0, sizeof(*s));
	if (load(&r, "sync", json, err) == -1)
		return -1;
	GET_STR(&r, "names", s->names);
	s->wait = (int)get_int(&r, "wait", 0, 1000000);
	s->any = get_bool(&r, "any");
	s->restart = get_bool(&r, "restart_after_crash");
	all = field(&r, "members", true);
	n = json_array_size(all);
	(void)field(&r, "members", json_is_array(all) && n <= DR_MEMBERS);
	for (; s->members < n && s->members < DR_MEMBERS; s->members++)
		copy(&r, "members", json_array_get(all, s->members),
		    s->member[s->members], sizeof(s->member[0]));
	s->tli = get_tli(&r);
	GET_STR(&r, "leader", s->leader);
	return done(&r, err);
}

int
dr_rec_node_put(const struct dr_rec_node *n, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	put_str(&j, "name", n->name);
	put_str(&j, "kind", n->kind);
	put_str(&j, "role", n->role);
	put_str(&j, "where", n->where);
	if (n->region[0] != '\0')
		put_str(&j, "region", n->region);
	dr_json_uint(&j, "tli", n->tli);
	put_lsn(&j, "lsn", n->lsn);
	if (n->lsn_time != 0)
		put_time(&j, "lsn_time", n->lsn_time);
	if (dr_known(n->rate))
		dr_json_int(&j, "rate", n->rate);
	dr_json_int(&j, "epoch", n->epoch);
	if (n->token != 0)
		dr_json_int(&j, "token", n->token);
	put_time(&j, "time", n->time);
	return end(&j, err);
}

int
dr_rec_node_get(const char *json, struct dr_rec_node *n, struct dr_err *err)
{
	struct rec r;

	memset(n, 0, sizeof(*n));
	n->rate = DR_UNKNOWN;
	if (load(&r, "node", json, err) == -1)
		return -1;
	GET_STR(&r, "name", n->name);
	GET_STR(&r, "kind", n->kind);
	GET_STR(&r, "role", n->role);
	GET_STR(&r, "where", n->where);
	if (field(&r, "region", true) != NULL)
		GET_STR(&r, "region", n->region);
	n->tli = get_tli(&r);
	n->lsn = get_lsn(&r, "lsn");
	if (field(&r, "lsn_time", true) != NULL)
		n->lsn_time = get_time(&r, "lsn_time");
	if (field(&r, "rate", true) != NULL)
		n->rate = get_int(&r, "rate", 0, INT64_MAX);
	n->epoch = get_int(&r, "epoch", 0, INT64_MAX);
	if (field(&r, "token", true) != NULL)
		n->token = get_int(&r, "token", 0, INT64_MAX);
	n->time = get_time(&r, "time");
	return done(&r, err);
}

int
dr_rec_vote_put(const struct dr_rec_vote *v, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	put_str(&j, "name", v->name);
	put_str(&j, "where", v->where);
	dr_json_bool(&j, "down", v->down);
	put_time(&j, "since", v->since);
	put_time(&j, "time", v->time);
	return end(&j, err);
}

int
dr_rec_vote_get(const char *json, struct dr_rec_vote *v, struct dr_err *err)
{
	struct rec r;

	memset(v, 0, sizeof(*v));
	if (load(&r, "observer", json, err) == -1)
		return -1;
	GET_STR(&r, "name", v->name);
	GET_STR(&r, "where", v->where);
	v->down = get_bool(&r, "down");
	v->since = get_time(&r, "since");
	v->time = get_time(&r, "time");
	return done(&r, err);
}

int
dr_rec_hold_put(const struct dr_rec_hold *h, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	put_str(&j, "who", h->who);
	put_str(&j, "why", h->why);
	put_time(&j, "since", h->since);
	if (h->until != 0)
		put_time(&j, "until", h->until);
	return end(&j, err);
}

int
dr_rec_hold_get(const char *json, struct dr_rec_hold *h, struct dr_err *err)
{
	struct rec r;

	memset(h, 0, sizeof(*h));
	if (load(&r, "hold", json, err) == -1)
		return -1;
	GET_STR(&r, "who", h->who);
	GET_STR(&r, "why", h->why);
	h->since = get_time(&r, "since");
	if (field(&r, "until", true) != NULL)
		h->until = get_time(&r, "until");
	return done(&r, err);
}

int
dr_rec_run_put(const struct dr_rec_run *u, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	begin(&j, out);
	put_str(&j, "who", u->who);
	put_str(&j, "verb", u->verb);
	put_str(&j, "nonce", u->nonce);
	put_time(&j, "since", u->since);
	return end(&j, err);
}

int
dr_rec_run_get(const char *json, struct dr_rec_run *u, struct dr_err *err)
{
	struct rec r;

	memset(u, 0, sizeof(*u));
	if (load(&r, "run", json, err) == -1)
		return -1;
	GET_STR(&r, "who", u->who);
	GET_STR(&r, "verb", u->verb);
	GET_STR(&r, "nonce", u->nonce);
	u->since = get_time(&r, "since");
	return done(&r, err);
}
