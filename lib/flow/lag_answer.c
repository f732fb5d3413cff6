/* What dr_lag_serve answers, from what its children last said. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow/lag_serve.h"
#include "http/request.h"

#define STALE 3 /* intervals */

void
dr_health_of(const struct dr_lag *lag, size_t i, struct dr_health *h)
{
	const struct dr_pg_view *v = &lag->server[i];

	memset(h, 0, sizeof(*h));
	(void)snprintf(h->name, sizeof(h->name), "%s", v->name);
	(void)snprintf(h->cluster, sizeof(h->cluster), "%s",
	    dr_lag_text(v->cluster_name));
	(void)snprintf(h->where, sizeof(h->where), "%s", dr_lag_text(v->where));
	h->state = v->probe.state;
	h->answers = dr_lag_answers(v);
	h->in_recovery = v->in_recovery;
	h->system_id = v->system_id;
	h->tli = v->tli;
	h->replay_bytes = DR_UNKNOWN;
	for (size_t k = 0; k < lag->standbys; k++) {
		const struct dr_lag_standby *s = &lag->standby[k];

		if (s->self != v)
			continue;
		h->streaming = s->streaming;
		h->paused = s->paused;
		h->diverged = s->diverged;
		h->replay_bytes = s->replay_bytes;
	}
	/* Named twice: what holds for it holds for its other name. */
	for (size_t k = 0; k < i; k++)
		if (dr_lag_same(&lag->server[k], v)) {
			struct dr_health first;

			dr_health_of(lag, k, &first);
			h->streaming = first.streaming;
			h->paused = first.paused;
			h->diverged = first.diverged;
			h->replay_bytes = first.replay_bytes;
			h->system_id = 0; /* and it is no second primary */
			break;
		}
}

static bool
fresh(const struct dr_served *v, int64_t then)
{
	return dr_monotonic() - then <= STALE * v->interval;
}

static int
say(struct dr_answer *a, int status, struct dr_err *err, const char *name,
    const char *text)
{
	a->status = status;
	return dr_buf_fmt(&a->body, err, "%s%s%s\n", name,
	    *name != '\0' ? ": " : "", text);
}

/* --- health ------------------------------------------------------------------------- */

/* Another that claims to be primary, and may be right. */
static const struct dr_health *
rival(const struct dr_health *h, size_t n, const struct dr_health *me)
{
	for (size_t i = 0; i < n; i++)
		if (&h[i] != me && h[i].answers && !h[i].in_recovery &&
		    h[i].system_id != 0 && h[i].system_id == me->system_id &&
		    h[i].tli >= me->tli)
			return &h[i];
	return NULL;
}

static int
primary(const struct dr_health *h, size_t n, const struct dr_health *me,
    bool writes, struct dr_answer *a, struct dr_err *err)
{
	const struct dr_health *other;
	char text[320];

	if (!me->answers || me->in_recovery ||
	    (writes && me->state != DR_PROBE_PRIMARY))
		return say(a, 503, err, me->name, dr_probe_word(me->state));
	if ((other = rival(h, n, me)) != NULL) {
		(void)snprintf(text, sizeof(text),
		    "primary, and so is %s on timeline %" PRIu32, other->name,
		    other->tli);
		return say(a, 503, err, me->name, text);
	}
	return say(a, 200, err, me->name, dr_probe_word(me->state));
}

static int
replica(const struct dr_health *me, const char *query, struct dr_answer *a,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	char lag[32], size[DR_SIZE_LEN], text[64];
	uint64_t limit = UINT64_MAX;
	int given = dr_query_get(query, "lag", lag, sizeof(lag));

	if (given == -1 ||
	    (given == 1 && dr_parse_size(lag, &limit, &why) == -1))
		return say(a, 400, err, "", "lag is a size, such as 16M");
	if (!me->answers || !me->in_recovery)
		return say(a, 503, err, me->name, dr_probe_word(me->state));
	if (me->diverged || me->paused || !me->streaming)
		return say(a, 503, err, me->name,
		    me->diverged ? "diverged"
		    : me->paused ? "replay is paused"
		                 : "does not stream");
	if (given == 1 && !dr_known(me->replay_bytes))
		return say(a, 503, err, me->name, "unknown lag");
	(void)snprintf(text, sizeof(text), "standby, %s behind",
	    dr_lag_bytes(me->replay_bytes, size));
	return say(a,
	    given == 1 && (uint64_t)me->replay_bytes > limit ? 503 : 200, err,
	    me->name, text);
}

static const struct dr_health *
meant(const struct dr_health *h, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(h[i].name, name) == 0 ||
		    strcmp(h[i].where, name) == 0)
			return &h[i];
	return NULL;
}

static int
health(const struct dr_served *v, const char *path, const char *query,
    struct dr_answer *a, struct dr_err *err)
{
	const struct dr_health *h = (const void *)v->health.data, *me;
	const size_t n = v->health.len / sizeof(*h);
	char name[256];
	int named = dr_query_get(query, "server", name, sizeof(name));

	if (h == NULL)
		return say(a, 503, err, "", "nothing is known yet");
	if (!fresh(v, v->health.began))
		return say(a, 503, err, "", "what is known is too old");
	if (named == -1)
		return say(a, 400, err, "", "server is no name");
	me = named == 1 ? meant(h, n, name) : n > 0 ? h : NULL;
	if (me == NULL)
		return say(a, named == 1 ? 404 : 503, err, "",
		    "no such server");
	if (strcmp(path, "/health") == 0)
		return say(a, me->answers ? 200 : 503, err, me->name,
		    dr_probe_word(me->state));
	if (strcmp(path, "/replica") == 0)
		return replica(me, query, a, err);
	return primary(h, n, me, strcmp(path, "/read-write") == 0, a, err);
}

/* --- documents ----------------------------------------------------------------------- */

static int
own(const struct dr_served *v, struct dr_metrics *m, struct dr_err *err)
{
	const struct dr_served_body *b = &v->prom;
	const bool stale = b->data == NULL || !fresh(v, b->came);

	if (b->data != NULL &&
	    dr_metric(m, "drtools_listen_report_age_seconds", "gauge",
	        "How long ago the report that is served was begun.", "",
	        (double)(dr_monotonic() - b->began) / 1e6, err) == -1)
		return -1;
	if (dr_metric(m, "drtools_listen_stale", "gauge",
	        "1 when there is no report that is recent enough to serve.", "",
	        stale, err) == -1 ||
	    dr_metric(m, "drtools_listen_reports_total", "counter",
	        "Reports that were made.", "", (double)v->reports, err) == -1 ||
	    dr_metric(m, "drtools_listen_failures_total", "counter",
	        "Reports that could not be made.", "", (double)v->failures,
	        err) == -1)
		return -1;
	return dr_metric(m, "drtools_listen_requests_total", "counter",
	    "Requests that were answered.", "",
	    (double)dr_listen_count(v->listen), err);
}

/* An old report would pass for what is so now: only its age is told. */
static int
metrics(const struct dr_served *v, struct dr_answer *a, struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	int rc = own(v, &m, err);

	a->status = 200;
	a->type = "text/plain; version=0.0.4; charset=utf-8";
	if (rc == 0 && v->prom.data != NULL && fresh(v, v->prom.came))
		rc = dr_buf_add(&a->body, v->prom.data, v->prom.len, err);
	if (rc == 0)
		rc = dr_buf_add(&a->body, m.text.data, m.text.len, err);
	dr_buf_free(&m.text);
	return rc;
}

static int
status(const struct dr_served *v, struct dr_answer *a, struct dr_err *err)
{
	a->type = "application/json";
	if (v->json.data == NULL) {
		a->status = 503;
		return dr_buf_str(&a->body, "{}\n", err);
	}
	a->status = fresh(v, v->json.came) ? 200 : 503;
	return dr_buf_add(&a->body, v->json.data, v->json.len, err);
}

int
dr_served_answer(void *arg, const char *path, const char *query,
    struct dr_answer *a, struct dr_err *err)
{
	static const char *const checks[] = { "/primary", "/replica",
		"/read-write", "/health" };
	const struct dr_served *v = arg;

	if (strcmp(path, "/metrics") == 0)
		return metrics(v, a, err);
	if (strcmp(path, "/status") == 0)
		return status(v, a, err);
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		if (strcmp(path, checks[i]) == 0)
			return health(v, path, query, a, err);
	return say(a, strcmp(path, "/") == 0 ? 200 : 404, err, "",
	    "/metrics /status /primary /replica?lag=SIZE /read-write /health");
}
