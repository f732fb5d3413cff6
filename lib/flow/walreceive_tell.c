/* What the receiver tells: metrics, the audit, and messages. */
#include <stdio.h>
#include <string.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/walreceive_int.h"

#define TELL_US 60000000 /* the same trouble is told so often */

/* Bytes of WAL that the server has and the stores do not. */
uint64_t
dr_recv_lag(const struct dr_recv *r)
{
	uint64_t end = r->server_end > r->at.lsn ? r->server_end : r->at.lsn;
	uint64_t have = r->last.durable.lsn;

	if (r->last.durable.tli != r->at.tli)
		have = r->at.lsn > 0 ? r->at.lsn - r->at.lsn % r->segsize : 0;
	return end > have ? end - have : 0;
}

/* Since when the oldest byte waits that is not durable; 0: none does. */
static int64_t
waiting_since(const struct dr_recv *r)
{
	int64_t t = 0, s;
	int i;

	if (r->child.busy && r->order.kind == DR_RECV_PUT)
		t = r->ordered;
	for (i = 0; i < r->nbufs; i++) {
		s = r->buf[r->order_of[i]].since;
		if (s != 0 && (t == 0 || s < t))
			t = s;
	}
	if (r->trouble_since != 0 && (t == 0 || r->trouble_since < t))
		t = r->trouble_since;
	return t;
}

static int
one(struct dr_metrics *m, const char *name, const char *type, const char *help,
    const struct dr_buf *labels, double v, struct dr_err *err)
{
	char full[96];

	(void)snprintf(full, sizeof(full), "drtools_wal_receive_%s", name);
	return dr_metric(m, full, type, help, labels->data, v, err);
}

static int
by_store(const struct dr_recv *r, struct dr_metrics *m, struct dr_err *err)
{
	struct dr_buf l = { .max = 8192 };
	const struct dr_recv_pos *c;
	int rc = 0, pass;
	size_t i;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; rc == 0 && i < r->o->nstores; i++) {
			c = &r->last.cursor[i];
			l.len = 0;
			if (dr_metric_label(&l, "set", r->o->set, err) == -1 ||
			    dr_metric_label(&l, "store", r->url[i], err) == -1)
				rc = -1;
			else if (pass == 0)
				rc = one(m, "durable_lsn_bytes", "gauge",
				    "Up to where the store holds WAL without a "
				    "gap.",
				    &l, (double)c->lsn, err);
			else
				rc = one(m, "store_behind", "gauge",
				    "1 when the store lacks WAL that others "
				    "hold.",
				    &l, (r->last.behind & 1U << i) != 0 ? 1 : 0,
				    err);
		}
	dr_buf_free(&l);
	return rc;
}

static int
all(const struct dr_recv *r, struct dr_metrics *m, struct dr_err *err)
{
	const int64_t since = waiting_since(r);
	const struct {
		const char *name, *type, *help;
		double v;
	} list[] = {
		{ "received_lsn_bytes", "gauge",
		    "Up to where WAL was received.", (double)r->at.lsn },
		{ "server_lsn_bytes", "gauge",
		    "End of WAL on the server, as it last said.",
		    (double)r->server_end },
		{ "timeline", "gauge", "Timeline that is received.",
		    (double)r->at.tli },
		{ "lag_bytes", "gauge",
		    "WAL of the server that is not durable in the stores.",
		    (double)dr_recv_lag(r) },
		{ "lag_seconds", "gauge",
		    "How long the oldest received byte waits to be durable.",
		    since != 0 ? (double)(dr_monotonic() - since) / 1e6 : 0 },
		{ "last_message_timestamp_seconds", "gauge",
		    "When the server was last heard.",
		    (double)r->message_at / 1e6 },
		{ "connected", "gauge", "1 while WAL is streamed.",
		    r->stream != NULL ? 1 : 0 },
		{ "synchronous", "gauge",
		    "1 while commits wait for the stores.",
		    r->slot.sync ? 1 : 0 },
		{ "slot_retained_bytes", "gauge",
		    "WAL that the slot holds back on the server.",
		    (double)r->slot.retained },
		{ "puts_total", "counter", "Objects that were stored.",
		    (double)r->puts },
		{ "gaps_total", "counter",
		    "Times that WAL was removed before it was stored.",
		    (double)r->gaps },
		{ "gap_bytes_total", "counter",
		    "WAL that was removed before it was stored.",
		    (double)r->gap_bytes },
		{ "divergent_bytes_total", "counter",
		    "Received WAL that is not in the server's past.",
		    (double)r->divergent },
		{ "reconnects_total", "counter", "Connections that were lost.",
		    (double)r->reconnects },
		{ "safe_wal_size_bytes", "gauge",
		    "WAL that may be written before the slot is lost.",
		    (double)r->slot.safe },
	};
	const struct dr_recv_watch *w = &r->watch;
	struct dr_buf l = { .max = 1024 };
	size_t i, n = sizeof(list) / sizeof(list[0]);
	int rc = dr_metric_label(&l, "set", r->o->set, err);

	if (rc == 0)
		rc = dr_metric_label(&l, "slot", r->o->slot, err);
	/* The last is left out where there is no limit. */
	if (r->slot.safe < 0)
		n--;
	for (i = 0; rc == 0 && i < n; i++)
		rc = one(m, list[i].name, list[i].type, list[i].help, &l,
		    list[i].v, err);
	if (rc == 0 && w->pid != 0 &&
	    (one(m, "epoch", "gauge", "Epoch of the set, as far as known.", &l,
	         (double)w->epoch.epoch.epoch, err) == -1 ||
	        one(m, "barred", "gauge",
	            "1 while the server that was found must not be received "
	            "from.",
	            &l, w->barred, err) == -1 ||
	        one(m, "lock_away", "gauge",
	            "1 while etcd cannot be asked or told.", &l, w->away,
	            err) == -1))
		rc = -1;
	dr_buf_free(&l);
	return rc;
}

void
dr_recv_metrics(struct dr_recv *r)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_err err = { 0 };
	char file[160];

	if (r->segsize == 0)
		return;
	(void)snprintf(file, sizeof(file), "dr-wal-receive_%s_%s", r->o->set,
	    r->o->slot);
	if (by_store(r, &m, &err) == -1 || all(r, &m, &err) == -1 ||
	    dr_metrics_write(&m, file, &err) == -1)
		dr_say(1, "%s", err.msg);
	dr_buf_free(&m.text);
}

void
dr_recv_audit(struct dr_recv *r, const char *act, const char *result)
{
	struct dr_buf what = { .max = 65536 };
	struct dr_err err = { 0 };
	char lsn[DR_LSN_LEN], id[24];
	struct dr_json j;
	size_t i;

	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r->sys.id);
	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "set", r->o->set);
	dr_json_str(&j, "slot", r->o->slot);
	dr_json_str(&j, "system_id", id);
	dr_json_uint(&j, "timeline", r->at.tli);
	dr_json_str(&j, "received", dr_format_lsn(r->at.lsn, lsn));
	dr_json_str(&j, "durable", dr_format_lsn(r->last.durable.lsn, lsn));
	dr_json_array(&j, "stores");
	for (i = 0; i < r->o->nstores; i++)
		dr_json_str(&j, NULL, r->url[i]);
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if (dr_json_end(&j, &err) == -1 ||
	    dr_audit(act, what.data, result, &err) == -1)
		dr_warn("%s", err.msg);
	dr_buf_free(&what);
}

void
dr_recv_trouble(struct dr_recv *r, const struct dr_err *why)
{
	char lag[DR_SIZE_LEN], safe[DR_SIZE_LEN], took[DR_SIZE_LEN];
	const int64_t now = dr_monotonic();
	const char *limit = "";
	char room[64];

	if (r->trouble_since == 0)
		r->trouble_since = r->ordered != 0 ? r->ordered : now;
	if (r->trouble_told != 0 && now - r->trouble_told < TELL_US)
		return;
	r->trouble_told = now;
	if (r->slot.safe >= 0) {
		(void)snprintf(room, sizeof(room), ", and %s more may be",
		    dr_format_size((uint64_t)r->slot.safe, safe));
		limit = room;
	}
	(void)dr_format_size(dr_recv_lag(r), lag);
	if (why != NULL)
		dr_warn("%s; trying again, %s of WAL waits on the server%s",
		    why->msg, lag, limit);
	else
		dr_warn("an upload has taken %s; %s of WAL waits on the "
		        "server%s",
		    dr_format_msec((uint64_t)(now - r->ordered) / 1000, took),
		    lag, limit);
	if (why != NULL && why->hint[0] != '\0')
		dr_say(0, "hint: %s", why->hint);
	dr_notify("STATUS=%s", why != NULL ? why->msg : "an upload hangs");
	dr_recv_metrics(r);
}

void
dr_recv_well(struct dr_recv *r)
{
	char took[DR_SIZE_LEN];

	if (r->trouble_since == 0)
		return;
	dr_say(0, "WAL is being stored again, after %s",
	    dr_format_msec((uint64_t)(dr_monotonic() - r->trouble_since) / 1000,
	        took));
	dr_notify("STATUS=receiving timeline %u", r->at.tli);
	r->trouble_since = r->trouble_told = 0;
}
