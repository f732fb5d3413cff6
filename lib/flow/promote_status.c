/* What is: servers, what etcd says of them, and who looks after them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "flow/grid.h"
#include "flow/json_known.h"
#include "flow/lag_int.h"
#include "flow/promote.h"

#define STALE_US  30000000 /* a report that is older is no guard's that runs */
#define NOTES_MAX (64U << 10)

/* The guard's report of server AT; NULL: there is none. */
static const struct dr_rec_node *
guard(const struct dr_promote_look *l, size_t at)
{
	size_t i;

	for (i = 0; i < l->reports; i++)
		if (strcmp(l->report[i].kind, "guard") == 0 &&
		    strcmp(l->report[i].name, l->view[at].name) == 0)
			return &l->report[i];
	return NULL;
}

static bool
primary(const struct dr_promote_look *l, size_t i)
{
	return dr_lag_answers(&l->view[i]) && !l->view[i].in_recovery;
}

static uint64_t
end(const struct dr_pg_view *v)
{
	if (!v->in_recovery)
		return v->lsn;
	return v->received > v->replayed ? v->received : v->replayed;
}

/* --- what is not as it should be ------------------------------------------------- */

typedef int say_fn(void *, struct dr_err *, const char *text);

struct notes {
	say_fn *say;
	void *arg;
	struct dr_err *err;
	bool failed;
};

static void note(struct notes *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(struct notes *n, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!n->failed && n->say(n->arg, n->err, text) == -1)
		n->failed = true;
}

static void
guards(const struct dr_promote_look *l, struct notes *n)
{
	const struct dr_rec_node *r;
	char text[DR_SIZE_LEN];
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct dr_pg_view *v = &l->view[i];

		if ((r = guard(l, i)) == NULL) {
			if (dr_lag_answers(v))
				note(n, "no guard runs beside %s", v->name);
			continue;
		}
		if (dr_known(r->time) && l->now - r->time > STALE_US)
			note(n, "the guard of %s has said nothing for %s",
			    v->name, dr_lag_seconds(l->now - r->time, text));
		if (l->has_epoch && r->epoch < l->epoch.epoch)
			note(n,
			    "the guard of %s knows of epoch %" PRId64
			    ", not of %" PRId64,
			    v->name, r->epoch, l->epoch.epoch);
		if (dr_lag_answers(v) &&
		    primary(l, i) != (strcmp(r->role, "primary") == 0))
			note(n, "the guard of %s takes it for a %s", v->name,
			    r->role);
	}
}

static void
leadership(const struct dr_promote_look *l, struct notes *n)
{
	size_t i, primaries = 0;

	for (i = 0; i < l->n; i++) {
		if (!primary(l, i))
			continue;
		primaries++;
		if (l->has_epoch &&
		    strcmp(l->epoch.leader, l->view[i].name) != 0)
			note(n, "%s is primary, and epoch %" PRId64 " is %s's",
			    l->view[i].name, l->epoch.epoch, l->epoch.leader);
		if (l->coord && !l->has_leader)
			note(n, "%s is primary without the lease of leadership",
			    l->view[i].name);
		else if (l->coord && strcmp(l->leader, l->view[i].name) != 0)
			note(n, "%s is primary, and %s has the leadership",
			    l->view[i].name, l->leader);
		if (l->coord && l->has_sync &&
		    strcmp(l->sync.names, l->view[i].sync_names) != 0)
			note(n,
			    "the recorded synchronous set is not that of %s "
			    "(\"%.100s\")",
			    l->view[i].name, l->view[i].sync_names);
	}
	if (primaries == 0)
		note(n, "no server answers as the primary");
	else if (primaries > 1)
		note(n, "%zu servers answer as primaries", primaries);
}

static int
notes(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    say_fn *say, void *arg, struct dr_err *err)
{
	struct notes n = { .say = say, .arg = arg, .err = err };

	if (l->away.cause != DR_OK)
		note(&n, "etcd cannot be asked: %s", l->away.msg);
	else if (o->coord == NULL)
		note(&n, "etcd is not asked (--lock none)");
	leadership(l, &n);
	if (l->coord)
		guards(l, &n);
	return n.failed ? -1 : 0;
}

/* --- for people ------------------------------------------------------------------- */

static const char *
or_none(const char *s)
{
	return *s != '\0' ? s : "nobody";
}

static int
records(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    struct dr_buf *out, struct dr_err *err)
{
	const struct dr_rec_intent *t = &l->intent;
	char time[DR_TIME_LEN], until[DR_TIME_LEN];

	if (l->has_epoch) {
		if (dr_buf_fmt(out, err,
		        "%s: epoch %" PRId64 ", led by %s on timeline %" PRIu32
		        " since %s\n",
		        o->set, l->epoch.epoch, or_none(l->epoch.leader),
		        l->epoch.tli,
		        dr_format_time(l->epoch.time, time)) == -1)
			return -1;
	} else if (dr_buf_fmt(out, err, "%s: no epoch is recorded\n", o->set) ==
	           -1)
		return -1;
	if (l->coord &&
	    dr_buf_fmt(out, err, "leadership: %s\n", or_none(l->leader)) == -1)
		return -1;
	if (l->has_run &&
	    dr_buf_fmt(out, err, "lock: %s, for a %s, since %s\n", l->run.who,
	        l->run.verb, dr_format_time(l->run.since, time)) == -1)
		return -1;
	if (l->has_intent && t->step != DR_STEP_DONE &&
	    dr_buf_fmt(out, err,
	        "unfinished: %s from %s to %s, begun at %s, at \"%s\"\n",
	        t->verb, or_none(t->former), t->candidate,
	        dr_format_time(t->began, time), dr_step_word(t->step)) == -1)
		return -1;
	if (l->has_hold &&
	    dr_buf_fmt(out, err, "hold: by %s since %s%s%s: %s\n", l->hold.who,
	        dr_format_time(l->hold.since, time),
	        l->hold.until == 0 ? "" : ", until ",
	        l->hold.until == 0 ? "" : dr_format_time(l->hold.until, until),
	        l->hold.why) == -1)
		return -1;
	if (l->has_sync)
		return dr_buf_fmt(out, err, "synchronous: %s%s\n",
		    l->sync.wait == 0 ? "none" : l->sync.names,
		    l->sync.restart ? ", restart_after_crash is on" : "");
	if (l->coord)
		return dr_buf_str(out, "synchronous: not recorded\n", err);
	return 0;
}

static void
age(struct dr_grid *g, const struct dr_promote_look *l, int64_t then)
{
	char text[DR_SIZE_LEN];

	if (dr_known(then) && then != 0)
		dr_grid_cell(g, "%s", dr_lag_seconds(l->now - then, text));
	else
		dr_grid_cell(g, "?");
}

static int
nodes(const struct dr_promote_look *l, struct dr_buf *out, struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "NAME", false, 9 },
		{ "STATE", false, 9 }, { "TLI", true, 9 }, { "LSN", true, 9 },
		{ "FOLLOWS", false, 5 }, { "TAGS", false, 3 },
		{ "REGION", false, 3 }, { "GUARD", false, 7 },
		{ "EPOCH", true, 7 }, { "HEARD", true, 7 } };
	struct dr_grid g = { .column = heads, .columns = 10, .err = err };
	const struct dr_rec_node *r;
	char lsn[DR_LSN_LEN];
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct dr_pg_view *v = &l->view[i];
		const struct dr_node_facts *f = &l->node[i].facts;

		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", v->name);
		dr_grid_cell(&g, "%s", dr_probe_word(v->probe.state));
		if (!dr_lag_answers(v)) {
			dr_grid_cell(&g, "?");
			dr_grid_cell(&g, "?");
			dr_grid_cell(&g, "-");
			dr_grid_cell(&g, "-");
			dr_grid_cell(&g, "-");
		} else {
			dr_grid_cell(&g, "%" PRIu32, v->tli);
			dr_grid_cell(&g, "%s",
			    end(v) != 0 ? dr_format_lsn(end(v), lsn) : "?");
			dr_grid_cell(&g, "%s",
			    v->in_recovery && v->sender[0] == '\0' ? "nobody"
			                                           : v->sender);
			dr_grid_cell(&g, "%s", f->known ? f->tags : "?");
			dr_grid_cell(&g, "%s", f->known ? f->region : "?");
		}
		if ((r = guard(l, i)) == NULL) {
			dr_grid_cell(&g, "%s", l->coord ? "none" : "-");
			continue;
		}
		dr_grid_cell(&g, "%s", r->role);
		dr_grid_cell(&g, "%" PRId64, r->epoch);
		age(&g, l, r->time);
	}
	for (i = 0; i < l->reports; i++) {
		r = &l->report[i];
		if (strcmp(r->kind, "receiver") != 0)
			continue;
		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", r->name);
		dr_grid_cell(&g, "receiver, %s", r->role);
		dr_grid_cell(&g, "%" PRIu32, r->tli);
		dr_grid_cell(&g, "%s",
		    r->lsn != 0 ? dr_format_lsn(r->lsn, lsn) : "?");
		dr_grid_cell(&g, "%s", r->where);
		dr_grid_cell(&g, "-");
		dr_grid_cell(&g, "-");
		dr_grid_cell(&g, "-");
		dr_grid_cell(&g, "%" PRId64, r->epoch);
		age(&g, l, r->time);
	}
	return dr_grid_print(&g, 0, out, err);
}

static int
votes(const struct dr_promote_look *l, struct dr_buf *out, struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "OBSERVER", false, 9 },
		{ "OF", false, 9 }, { "SAYS", false, 9 },
		{ "SINCE", false, 9 } };
	struct dr_grid g = { .column = heads, .columns = 4, .err = err };
	char time[DR_TIME_LEN];
	size_t i;

	for (i = 0; i < l->votes; i++) {
		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", l->vote[i].name);
		dr_grid_cell(&g, "%s", l->vote[i].where);
		dr_grid_cell(&g, "%s", l->vote[i].down ? "down" : "up");
		dr_grid_cell(&g, "%s", dr_format_time(l->vote[i].since, time));
	}
	return dr_grid_print(&g, 0, out, err);
}

static int
say_line(void *arg, struct dr_err *err, const char *text)
{
	return dr_buf_fmt(arg, err, "  - %s\n", text);
}

static int
text(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf b = { .max = NOTES_MAX };
	int rc = -1;

	if (records(o, l, out, err) == 0 && nodes(l, out, err) == 0 &&
	    votes(l, out, err) == 0 && notes(o, l, say_line, &b, err) == 0)
		rc = b.len == 0 ? 0
		                : dr_buf_fmt(out, err, "\nNotes:\n%s", b.data);
	dr_buf_free(&b);
	return rc;
}

/* --- for programs ------------------------------------------------------------------- */

static void
node(struct dr_json *j, const struct dr_promote_look *l, size_t i)
{
	const struct dr_pg_view *v = &l->view[i];
	const struct dr_node_facts *f = &l->node[i].facts;
	const struct dr_rec_node *r = guard(l, i);
	bool up = dr_lag_answers(v);

	dr_json_object(j, NULL);
	dr_json_str(j, "name", v->name);
	dr_json_str(j, "where", v->where);
	dr_json_str(j, "state", dr_probe_word(v->probe.state));
	dr_json_text(j, "error", v->probe.err.msg);
	if (up)
		dr_json_bool(j, "in_recovery", v->in_recovery);
	else
		dr_json_null(j, "in_recovery");
	dr_json_tli(j, "timeline", up ? v->tli : 0);
	dr_json_lsn(j, "lsn", up ? end(v) : 0);
	dr_json_text(j, "follows", v->sender);
	dr_json_text(j, "tags", f->tags);
	dr_json_text(j, "region", f->region);
	dr_json_num(j, "priority", f->known ? f->priority : DR_UNKNOWN);
	if (r == NULL)
		dr_json_null(j, "guard");
	else {
		dr_json_object(j, "guard");
		dr_json_str(j, "role", r->role);
		dr_json_tli(j, "timeline", r->tli);
		dr_json_lsn(j, "lsn", r->lsn);
		dr_json_num(j, "bytes_per_second", r->rate);
		dr_json_num(j, "epoch", r->epoch);
		dr_json_when(j, "time", r->time);
		dr_json_close(j, '}');
	}
	dr_json_close(j, '}');
}

static void
etcd(struct dr_json *j, const struct dr_promote_look *l)
{
	if (l->has_epoch) {
		dr_json_object(j, "epoch");
		dr_json_num(j, "epoch", l->epoch.epoch);
		dr_json_text(j, "leader", l->epoch.leader);
		dr_json_text(j, "former", l->epoch.former);
		dr_json_tli(j, "timeline", l->epoch.tli);
		dr_json_lsn(j, "fork_lsn", l->epoch.fork);
		dr_json_when(j, "time", l->epoch.time);
		dr_json_close(j, '}');
	} else
		dr_json_null(j, "epoch");
	dr_json_text(j, "leader", l->leader);
	if (l->has_run) {
		dr_json_object(j, "lock");
		dr_json_text(j, "who", l->run.who);
		dr_json_text(j, "verb", l->run.verb);
		dr_json_when(j, "since", l->run.since);
		dr_json_close(j, '}');
	} else
		dr_json_null(j, "lock");
	if (l->has_intent) {
		dr_json_object(j, "intent");
		dr_json_text(j, "verb", l->intent.verb);
		dr_json_text(j, "candidate", l->intent.candidate);
		dr_json_text(j, "former", l->intent.former);
		dr_json_str(j, "step", dr_step_word(l->intent.step));
		dr_json_num(j, "epoch", l->intent.epoch);
		dr_json_num(j, "token", l->intent.token);
		dr_json_when(j, "began", l->intent.began);
		dr_json_when(j, "time", l->intent.time);
		dr_json_close(j, '}');
	} else
		dr_json_null(j, "intent");
	if (l->has_hold) {
		dr_json_object(j, "hold");
		dr_json_text(j, "who", l->hold.who);
		dr_json_text(j, "why", l->hold.why);
		dr_json_when(j, "since", l->hold.since);
		dr_json_when(j, "until",
		    l->hold.until != 0 ? l->hold.until : DR_UNKNOWN);
		dr_json_close(j, '}');
	} else
		dr_json_null(j, "hold");
	if (l->has_sync) {
		dr_json_object(j, "synchronous");
		dr_json_str(j, "names", l->sync.names);
		dr_json_int(j, "wait", l->sync.wait);
		dr_json_bool(j, "restart_after_crash", l->sync.restart);
		dr_json_text(j, "leader", l->sync.leader);
		dr_json_close(j, '}');
	} else
		dr_json_null(j, "synchronous");
}

static int
say_json(void *arg, struct dr_err *err, const char *s)
{
	(void)err;
	dr_json_str(arg, NULL, s);
	return 0;
}

static int
json(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    struct dr_buf *out, struct dr_err *err)
{
	const struct dr_rec_node *r;
	struct dr_json j;
	size_t i;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "v", 1);
	dr_json_str(&j, "set", o->set);
	dr_json_when(&j, "time", l->now);
	dr_json_str(&j, "etcd",
	    o->coord == NULL ? "none"
	    : l->coord       ? "answers"
	                     : "away");
	etcd(&j, l);
	dr_json_array(&j, "nodes");
	for (i = 0; i < l->n; i++)
		node(&j, l, i);
	dr_json_close(&j, ']');
	dr_json_array(&j, "receivers");
	for (i = 0; i < l->reports; i++) {
		r = &l->report[i];
		if (strcmp(r->kind, "receiver") != 0)
			continue;
		dr_json_object(&j, NULL);
		dr_json_str(&j, "name", r->name);
		dr_json_str(&j, "role", r->role);
		dr_json_text(&j, "where", r->where);
		dr_json_tli(&j, "timeline", r->tli);
		dr_json_lsn(&j, "lsn", r->lsn);
		dr_json_num(&j, "epoch", r->epoch);
		dr_json_when(&j, "time", r->time);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_array(&j, "votes");
	for (i = 0; i < l->votes; i++) {
		dr_json_object(&j, NULL);
		dr_json_str(&j, "observer", l->vote[i].name);
		dr_json_str(&j, "where", l->vote[i].where);
		dr_json_bool(&j, "down", l->vote[i].down);
		dr_json_when(&j, "since", l->vote[i].since);
		dr_json_when(&j, "time", l->vote[i].time);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_array(&j, "notes");
	if (notes(o, l, say_json, &j, err) == -1)
		return -1;
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

int
dr_promote_status(const struct dr_promote_opts *o,
    const struct dr_promote_look *l, struct dr_buf *out, struct dr_err *err)
{
	return o->json ? json(o, l, out, err) : text(o, l, out, err);
}
