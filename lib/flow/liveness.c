#include "flow/liveness.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "pg/ask.h"
#include "pg/beat.h"
#include "pg/hosts.h"

void
dr_look_free(struct dr_look *v, size_t n)
{
	size_t i;

	for (i = 0; v != NULL && i < n; i++)
		free(v[i].where);
	free(v);
}

static int
probe_all(struct dr_ask *ask, size_t n, int64_t until, struct dr_err *err)
{
	struct dr_ask **wait = calloc(n, sizeof(struct dr_ask *));
	size_t i, left = 1;
	int rc = 0;

	if (wait == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	while (left > 0 && rc == 0) {
		for (i = left = 0; i < n; i++)
			if (!dr_ask_probed(&ask[i]))
				wait[left++] = &ask[i];
		if (left > 0)
			rc = dr_ask_turn(wait, left, until, err);
	}
	free(wait);
	return rc;
}

static int
try_write(struct dr_ask *a, int64_t until, struct dr_err *err)
{
	int64_t beat;
	int n;

	if (a->at != DR_ASK_IDLE || a->probe.state != DR_PROBE_PRIMARY)
		return 0;
	if ((n = dr_beat_write(a, until, &beat, err)) == 1)
		n = dr_beat_room(a, until, err);
	return n == -1 ? -1 : 0;
}

int
dr_look(const char *const *conninfo, size_t n, int timeout_ms, bool write,
    struct dr_look **out, size_t *count, struct dr_err *err)
{
	struct dr_pg_host *host = NULL;
	struct dr_look *v = NULL;
	struct dr_ask *ask = NULL;
	size_t i, hosts = 0;
	int64_t half, until;
	int rc = -1;

	*out = NULL;
	*count = 0;
	if (dr_pg_hosts(conninfo, n, &host, &hosts, err) == -1)
		return -1;
	if ((v = calloc(hosts + 1, sizeof(*v))) == NULL ||
	    (ask = calloc(hosts + 1, sizeof(*ask))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of servers");
		goto out;
	}
	/* A name that cannot be looked up leaves time for the others. */
	half = dr_monotonic() + (int64_t)timeout_ms * 500;
	until = half + (int64_t)timeout_ms * 500;
	if (dr_pg_hosts_find(host, hosts, half, err) == -1)
		goto out;
	for (i = 0; i < hosts; i++)
		dr_ask_open(&ask[i], &host[i], until);
	if (probe_all(ask, hosts, until, err) == -1)
		goto out;
	for (i = 0; i < hosts; i++) {
		if (write && try_write(&ask[i], until, err) == -1)
			goto out;
		v[i].probe = ask[i].probe;
		if ((v[i].where = strdup(host[i].where)) == NULL) {
			dr_err_sys(err, "cannot allocate a name");
			goto out;
		}
	}
	rc = 0;

out:
	for (i = 0; ask != NULL && i < hosts; i++)
		dr_ask_close(&ask[i]);
	free(ask);
	dr_pg_hosts_free(host, hosts);
	if (rc == -1) {
		dr_look_free(v, hosts);
		return -1;
	}
	*out = v;
	*count = hosts;
	return 0;
}

int
dr_look_text(const struct dr_look *v, size_t n, struct dr_buf *out,
    struct dr_err *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct dr_probe *p = &v[i].probe;

		if (dr_buf_fmt(out, err, "%s %s", v[i].where,
		        dr_probe_word(p->state)) == -1 ||
		    (dr_known(p->connect_us) &&
		        dr_buf_fmt(out, err, " %.1f ms",
		            (double)p->connect_us / 1000) == -1) ||
		    (p->err.msg[0] != '\0' &&
		        dr_buf_fmt(out, err, ": %s", p->err.msg) == -1) ||
		    dr_buf_str(out, "\n", err) == -1)
			return -1;
	}
	return 0;
}

static void
json_us(struct dr_json *j, const char *key, int64_t us)
{
	if (dr_known(us))
		dr_json_real(j, key, (double)us / 1e6);
	else
		dr_json_null(j, key);
}

static bool
healthy(const struct dr_look *v)
{
	return v->probe.state == DR_PROBE_PRIMARY ||
	       v->probe.state == DR_PROBE_STANDBY;
}

int
dr_look_json(const struct dr_look *v, size_t n, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;
	size_t i;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_array(&j, "servers");
	for (i = 0; i < n; i++) {
		const struct dr_probe *p = &v[i].probe;

		dr_json_object(&j, NULL);
		dr_json_str(&j, "server", v[i].where);
		dr_json_str(&j, "state", dr_probe_word(p->state));
		dr_json_bool(&j, "healthy", healthy(&v[i]));
		json_us(&j, "connect_seconds", p->connect_us);
		json_us(&j, "answer_seconds", p->answer_us);
		if (p->err.msg[0] != '\0')
			dr_json_str(&j, "error", p->err.msg);
		if (p->err.hint[0] != '\0')
			dr_json_str(&j, "hint", p->err.hint);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

/* Somebody there said something. */
static bool
answered(enum dr_probe_state s)
{
	return dr_probe_answers(s) || s == DR_PROBE_STARTING ||
	       s == DR_PROBE_STOPPING || s == DR_PROBE_CROWDED ||
	       s == DR_PROBE_DENIED;
}

int
dr_look_status(const struct dr_look *v, size_t n)
{
	size_t i, good = 0, some = 0;

	for (i = 0; i < n; i++) {
		good += healthy(&v[i]);
		some += answered(v[i].probe.state);
	}
	return good == n ? 0 : some == 0 ? 5 : 3;
}
