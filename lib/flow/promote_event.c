/* What became of a run: written down wherever somebody may look for it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/fd.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/json_known.h"
#include "flow/promote_event.h"

#define P        "drtools_failover_"
#define LINE_MAX (16U << 10)

int
dr_promote_event_json(const struct dr_promote_event *e, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "v", 1);
	dr_json_str(&j, "verb", e->verb);
	dr_json_str(&j, "result", e->result);
	dr_json_text(&j, "why", e->why);
	dr_json_text(&j, "candidate", e->candidate);
	dr_json_text(&j, "former", e->former);
	dr_json_when(&j, "began", e->t_began);
	dr_json_when(&j, "last_ack", e->t_last_ack);
	dr_json_when(&j, "detected", e->t_detect);
	dr_json_when(&j, "locked", e->t_lock);
	dr_json_when(&j, "fenced", e->t_fenced);
	dr_json_when(&j, "promoted", e->t_promote);
	dr_json_when(&j, "first_write", e->t_first_write);
	dr_json_when(&j, "routed", e->t_routed);
	dr_json_when(&j, "ended", e->t_ended);
	dr_json_text(&j, "fenced_by", e->fenced_by);
	if (dr_known(e->t_first_write))
		dr_json_bool(&j, "protected", e->protected_);
	else
		dr_json_null(&j, "protected");
	dr_json_sec(&j, "rto_seconds", e->rto_us);
	dr_json_num(&j, "rpo_bytes", e->rpo_bytes);
	dr_json_num(&j, "token", e->token != 0 ? e->token : DR_UNKNOWN);
	dr_json_num(&j, "epoch", e->epoch != 0 ? e->epoch : DR_UNKNOWN);
	dr_json_tli(&j, "timeline", e->tli);
	dr_json_lsn(&j, "fork_lsn", e->fork);
	dr_json_text(&j, "gave_up", e->gave_up);
	dr_json_close(&j, '}');
	return dr_json_end(&j, err);
}

/* --- the file ------------------------------------------------------------------ */

char *
dr_promote_history_path(const struct dr_promote_opts *o, struct dr_err *err)
{
	return dr_fmt(err, "%s/promote/%s/history.jsonl", o->state, o->set);
}

/* A line that a crash cut short must not spoil the next one. */
static int
torn(int fd, const char *path, bool *is, struct dr_err *err)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';

	if (end == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", path);
	if (end > 0 && pread(fd, &last, 1, end - 1) != 1)
		return dr_err_sys(err, "cannot read \"%s\"", path);
	*is = last != '\n';
	return 0;
}

static int
append(const struct dr_promote_opts *o, const struct dr_buf *json,
    struct dr_err *err)
{
	struct dr_buf line = { .max = LINE_MAX + 2 };
	char *dir = dr_fmt(err, "%s/promote/%s", o->state, o->set);
	char *path = dr_promote_history_path(o, err);
	bool is;
	int fd = -1, rc = -1;

	if (dir == NULL || path == NULL || dr_mkdirs(dir, 0755, err) == -1)
		goto out;
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd == -1) {
		dr_err_sys(err, "cannot open \"%s\"", path);
		goto out;
	}
	if (torn(fd, path, &is, err) == -1 ||
	    dr_buf_fmt(&line, err, "%s%s\n", is ? "\n" : "", json->data) ==
	        -1 ||
	    dr_fd_write(fd, line.data, line.len, path, err) == -1)
		goto out;
	if (fsync(fd) == -1) {
		dr_err_sys(err, "cannot sync \"%s\"", path);
		goto out;
	}
	rc = dr_sync_parent(path, err);

out:
	if (fd != -1)
		(void)close(fd);
	dr_buf_free(&line);
	free(path);
	free(dir);
	return rc;
}

/* --- metrics ------------------------------------------------------------------- */

static int
gauge(struct dr_metrics *m, const char *name, const char *help,
    const char *labels, int64_t v, double unit, struct dr_err *err)
{
	if (!dr_known(v))
		return 0;
	return dr_metric(m, name, "gauge", help, labels, (double)v / unit, err);
}

static int
of_success(const struct dr_promote_event *e, const char *set, const char *verb,
    struct dr_metrics *m, struct dr_err *err)
{
	if (gauge(m, P "last_success_timestamp_seconds",
	        "When a server was last made primary.", verb, e->t_ended, 1e6,
	        err) == -1 ||
	    gauge(m, P "rto_seconds",
	        "From the last acknowledged write to the first that counts.",
	        set, e->rto_us, 1e6, err) == -1 ||
	    gauge(m, P "rpo_bytes", "WAL that was lost, at most.", set,
	        e->rpo_bytes, 1, err) == -1 ||
	    gauge(m, P "epoch", "The epoch that it led to.", set,
	        e->epoch != 0 ? e->epoch : DR_UNKNOWN, 1, err) == -1 ||
	    gauge(m, P "timeline", "The new primary's timeline.", set,
	        e->tli != 0 ? (int64_t)e->tli : DR_UNKNOWN, 1, err) == -1)
		return -1;
	return gauge(m, P "protected",
	    "1: the first write was acknowledged by the synchronous set.", set,
	    dr_known(e->t_first_write) ? (int64_t)e->protected_ : DR_UNKNOWN, 1,
	    err);
}

static int
metrics(const struct dr_promote_opts *o, const struct dr_promote_event *e,
    struct dr_err *err)
{
	struct dr_buf set = { .max = 256 }, verb = { .max = 512 };
	struct dr_metrics m = DR_METRICS_INIT;
	bool done = strcmp(e->result, "done") == 0;
	char *file;
	int rc = -1;

	file = dr_fmt(err, "%s_%s", done ? "dr-promote" : "dr-promote-failed",
	    o->set);
	if (file == NULL || dr_metric_label(&set, "set", o->set, err) == -1 ||
	    dr_metric_label(&verb, "set", o->set, err) == -1 ||
	    dr_metric_label(&verb, "verb", e->verb, err) == -1)
		goto out;
	if (done)
		rc = of_success(e, set.data, verb.data, &m, err);
	else
		rc = gauge(&m, P "last_failure_timestamp_seconds",
		    "When one was last refused, or failed.", verb.data,
		    e->t_ended, 1e6, err);
	if (rc == 0)
		rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&set);
	dr_buf_free(&verb);
	free(file);
	return rc;
}

/* --- all of it ------------------------------------------------------------------- */

static int
in_etcd(const struct dr_promote_opts *o, const char *json, struct dr_err *err)
{
	const struct dr_coord_op op = { .value = json, .history = true };

	if (o->coord == NULL)
		return 0;
	if (dr_coord_put(o->coord, &op, 1, NULL, err) == -1)
		return dr_err_wrap(err, "the history in etcd");
	return 0;
}

/* What fails does not keep the others from being told. */
static void
one(int rc, struct dr_err *err, struct dr_err *first)
{
	if (rc != -1)
		return;
	if (first->cause == DR_OK)
		*first = *err;
	else
		dr_warn("%s", err->msg);
	dr_err_clear(err);
}

int
dr_promote_event_keep(const struct dr_promote_opts *o,
    const struct dr_promote_event *e, struct dr_err *err)
{
	struct dr_buf bare = { .max = LINE_MAX }, json = { .max = LINE_MAX };
	struct dr_err why = { 0 }, first = { 0 };
	int rc;

	rc = dr_promote_event_json(e, &bare, err);
	/* The name of a set needs no escapes. */
	if (rc == 0)
		rc = dr_buf_fmt(&json, err, "{\"set\":\"%s\",%s", o->set,
		    bare.data + 1);
	dr_buf_free(&bare);
	if (rc == -1) {
		dr_buf_free(&json);
		return -1;
	}
	one(append(o, &json, &why), &why, &first);
	one(in_etcd(o, json.data, &why), &why, &first);
	one(metrics(o, e, &why), &why, &first);
	one(dr_audit(e->verb, json.data,
	        strcmp(e->result, "done") == 0 ? "ok"
	        : e->why[0] != '\0'            ? e->why
	                                       : e->result,
	        &why),
	    &why, &first);
	dr_buf_free(&json);
	if (first.cause == DR_OK)
		return 0;
	*err = first;
	return -1;
}
