/* What a guard says: to systemd, to Prometheus, to people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/guard_int.h"

#define SECOND INT64_C(1000000)

/* The state of things in one line. */
static void
line(const struct dr_guard *g, char *out, size_t size)
{
	const char *role = dr_guard_role(&g->server);
	char lead[128] = "";

	switch (g->act) {
	case DR_GUARD_GO_ON:
	case DR_GUARD_TAKE:
		(void)snprintf(lead, sizeof(lead),
		    g->leader == DR_LEADER_OURS ? ", leads epoch %" PRId64
		                                : ", not yet leader of epoch "
		                                  "%" PRId64,
		    g->state.epoch);
		break;
	case DR_GUARD_WAIT:
		(void)snprintf(lead, sizeof(lead),
		    ", leads epoch %" PRId64 " once the lease of %.40s is over",
		    g->state.epoch, g->other);
		break;
	case DR_GUARD_STAY:
		(void)snprintf(lead, sizeof(lead),
		    g->state.glass != 0 ? ", without a lease: epoch %" PRId64
		                          " by your word"
		                        : ", failsafe in epoch %" PRId64,
		    g->state.epoch);
		break;
	case DR_GUARD_LOOSE:
		(void)snprintf(lead, sizeof(lead), ", not guarded yet");
		break;
	case DR_GUARD_STOP:
		(void)snprintf(lead, sizeof(lead), ", stopped");
		break;
	case DR_GUARD_REST:
	case DR_GUARD_RELEASE:
		break;
	}
	(void)snprintf(out, size, "%s: %s%s%s%s%s", g->who.name, role, lead,
	    g->asked ? "" : "; etcd is away",
	    g->asked && g->held.until == 0
	        ? "; another guard has the name of this node"
	        : "",
	    g->server.alive != 0 && !g->server.open ? "; it does not answer"
	                                            : "");
}

static int
metrics(const struct dr_guard *g, struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 4096 }, file = { .max = 4096 };
	const struct {
		const char *name, *type, *help;
		double value;
	} all[] = {
		{ "drtools_guard_leader", "gauge",
		    "1: this node has the lease of the leader",
		    g->asked && g->leader == DR_LEADER_OURS },
		{ "drtools_guard_primary", "gauge",
		    "1: the server answers, and is a primary",
		    dr_guard_primary(&g->server) },
		{ "drtools_guard_failsafe", "gauge",
		    "1: a primary goes on without etcd",
		    g->act == DR_GUARD_STAY },
		{ "drtools_guard_lock_up", "gauge", "1: etcd has answered",
		    g->asked },
		{ "drtools_guard_epoch", "gauge",
		    "The newest epoch that is known", (double)g->state.epoch },
		{ "drtools_guard_stops_total", "counter",
		    "How often this process has stopped the server",
		    (double)g->stops },
		{ "drtools_guard_last_run_timestamp_seconds", "gauge",
		    "When the server was last looked at",
		    (double)dr_now() / (double)SECOND },
	};
	int rc = -1;

	if (dr_metric_label(&l, "set", g->o->set, err) == -1 ||
	    dr_metric_label(&l, "node", g->who.name, err) == -1 ||
	    dr_buf_fmt(&file, err, "dr-promote-guard_%s_%s", g->o->set,
	        g->who.name) == -1)
		goto out;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (dr_metric(&m, all[i].name, all[i].type, all[i].help, l.data,
		        all[i].value, err) == -1)
			goto out;
	rc = dr_metrics_write(&m, file.data, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	dr_buf_free(&file);
	return rc;
}

static void
measure(struct dr_guard *g)
{
	const int64_t now = dr_boottime();
	const uint64_t lsn = g->server.lsn;

	if (g->rate_at != 0 && now - g->rate_at < SECOND)
		return;
	if (g->rate_at != 0 && lsn >= g->rate_lsn && g->rate_lsn != 0)
		g->rate =
		    (int64_t)((double)(lsn - g->rate_lsn) * (double)SECOND /
		              (double)(now - g->rate_at));
	g->rate_at = now;
	g->rate_lsn = lsn;
}

int
dr_guard_tell(struct dr_guard *g, struct dr_err *err)
{
	const char *called = g->server.cluster_name;
	struct dr_err why = { 0 };
	int64_t fired = dr_deadman_fired(g->deadman);
	char now[sizeof(g->told)];

	(void)err;
	measure(g);
	if (fired != g->fired) {
		g->fired = fired;
		g->stops++;
		g->last_stop = dr_now();
		dr_guard_audit("guard-stop", g->o, &g->who, g->state.epoch,
		    "the guard itself was late", "ok");
	}
	line(g, now, sizeof(now));
	if (!g->ready && g->server.alive > 0 && g->server.known != 0 &&
	    *called != '\0' && strcmp(called, g->who.name) != 0)
		dr_warn("the server calls itself %s, and not %s: others will "
		        "not know it by that name",
		    called, g->who.name);
	if (strcmp(now, g->told) != 0) {
		/* What nobody should overlook. */
		if (!g->asked || g->act == DR_GUARD_STAY ||
		    g->act == DR_GUARD_LOOSE || g->held.until == 0)
			dr_warn("%s%s%s", now, g->asked ? "" : ": ",
			    g->asked ? "" : g->away.msg);
		else
			dr_say(1, "%s", now);
		memcpy(g->told, now, sizeof(now));
		dr_notify("STATUS=%s", now);
	}
	if (!g->ready) {
		g->ready = true;
		dr_notify("READY=1");
	}
	if (dr_notify_watchdog() != 0)
		dr_notify("WATCHDOG=1");
	if (metrics(g, &why) == -1)
		dr_warn_err(&why);
	return 0;
}
