/*
 * The report as one line for Nagios and its kin: a word, what is worst, and
 * perfdata, "'label'=value[unit];warn;crit;min".
 */
#include <stdio.h>
#include <string.h>

#include "flow/lag_int.h"

#define TOLD 3 /* notes in words; the rest is counted */

/* Nothing that ends the text: "|" begins the perfdata, a newline more text. */
static void
harmless(char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '|')
			*s = '/';
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static int
words(const struct dr_lag *lag, struct dr_buf *out, struct dr_err *err)
{
	char text[1500];
	size_t i, told = 0, more = 0;

	for (i = 0; i < lag->notes; i++) {
		const struct dr_lag_note *n = &lag->note[i];

		if (n->level == DR_LAG_OK)
			continue;
		if (told == TOLD) {
			more++;
			continue;
		}
		(void)snprintf(text, sizeof(text), "%s%s%s", n->about,
		    n->about[0] != '\0' ? ": " : "", n->text);
		harmless(text);
		if (dr_buf_fmt(out, err, "%s%s", told > 0 ? "; " : "", text) ==
		    -1)
			return -1;
		told++;
	}
	if (more > 0)
		return dr_buf_fmt(out, err, "; %zu more", more);
	if (told > 0)
		return 0;
	return dr_buf_fmt(out, err, "%zu servers, %zu standbys, %zu stores",
	    lag->servers, lag->standbys, lag->stores);
}

/* Quoted; what would end the quotes, or the label, becomes "_". */
static int
label(const char *a, const char *b, const char *what, bool *first,
    struct dr_buf *out, struct dr_err *err)
{
	char text[600];

	(void)snprintf(text, sizeof(text), "%s%s%s_%s", a,
	    *b != '\0' ? "_" : "", b, what);
	for (char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f ||
		    strchr("'=|;", *s) != NULL)
			*s = '_';
	if (dr_buf_fmt(out, err, "%s'%s'=", *first ? " | " : " ", text) == -1)
		return -1;
	*first = false;
	return 0;
}

struct perf {
	struct dr_buf *out;
	struct dr_err *err;
	bool first, failed;
};

static void
bytes(struct perf *p, const char *a, const char *b, const char *what, int64_t v)
{
	if (p->failed)
		return;
	if (label(a, b, what, &p->first, p->out, p->err) == -1 ||
	    (dr_known(v) ? dr_buf_fmt(p->out, p->err, "%lldB;;;0", (long long)v)
	                 : dr_buf_str(p->out, "U", p->err)) == -1)
		p->failed = true;
}

static void
seconds(struct perf *p, const char *a, const char *b, const char *what,
    int64_t us, int64_t limit)
{
	if (p->failed)
		return;
	if (label(a, b, what, &p->first, p->out, p->err) == -1) {
		p->failed = true;
		return;
	}
	if (!dr_known(us)) {
		p->failed = dr_buf_str(p->out, "U", p->err) == -1;
		return;
	}
	p->failed =
	    dr_buf_fmt(p->out, p->err, "%.6fs;;", (double)us / 1e6) == -1;
	if (!p->failed && dr_known(limit))
		p->failed = dr_buf_fmt(p->out, p->err, "%.6g",
		                (double)limit / 1e6) == -1;
	if (!p->failed)
		p->failed = dr_buf_str(p->out, ";0", p->err) == -1;
}

static void
count(struct perf *p, const char *a, const char *b, const char *what,
    uint64_t v)
{
	if (p->failed)
		return;
	p->failed =
	    label(a, b, what, &p->first, p->out, p->err) == -1 ||
	    dr_buf_fmt(p->out, p->err, "%llu;;;0", (unsigned long long)v) == -1;
}

int
dr_lag_nagios(const struct dr_lag *lag, struct dr_buf *out, struct dr_err *err)
{
	static const char *const states[] = { "OK", "WARNING", "CRITICAL",
		"UNKNOWN" };
	struct perf p = { out, err, true, false };
	int64_t rpo = dr_lag_strictest(lag);
	size_t i;

	if (dr_buf_fmt(out, err, "DR_LAG %s - ", states[lag->level]) == -1 ||
	    words(lag, out, err) == -1)
		return -1;
	if (lag->servers > 0)
		count(&p, "primaries", "", "seen", lag->primaries);
	for (i = 0; i < lag->standbys; i++) {
		const struct dr_lag_standby *s = &lag->standby[i];

		if (!s->receiver) {
			bytes(&p, s->name, "", "replay_bytes", s->replay_bytes);
			seconds(&p, s->name, "", "replay_seconds", s->replay_us,
			    rpo);
		}
		bytes(&p, s->name, "", "flush_bytes", s->flush_bytes);
		if (dr_known(s->heartbeat_us))
			seconds(&p, s->name, "", "heartbeat_seconds",
			    s->heartbeat_us, rpo);
	}
	for (i = 0; i < lag->stores; i++) {
		const struct dr_lag_store *s = &lag->store[i];
		const struct dr_lag_goal *g = dr_lag_goal(lag, s->set);
		const bool has = s->err.cause == DR_OK;

		bytes(&p, s->set, s->url, "rpo_bytes",
		    has ? s->rpo_bytes : DR_UNKNOWN);
		seconds(&p, s->set, s->url, "rpo_seconds",
		    has ? s->rpo_us : DR_UNKNOWN,
		    g != NULL ? g->rpo : DR_UNKNOWN);
		seconds(&p, s->set, s->url, "rto_seconds",
		    has ? s->rto_us : DR_UNKNOWN,
		    g != NULL ? g->rto : DR_UNKNOWN);
		seconds(&p, s->set, s->url, "backup_age_seconds",
		    has && s->id != NULL ? lag->time - s->stopped : DR_UNKNOWN,
		    g != NULL ? g->backup_max_age : DR_UNKNOWN);
		if (has)
			count(&p, s->set, s->url, "gaps", s->gaps);
	}
	if (p.failed || dr_buf_str(out, "\n", err) == -1)
		return -1;
	return (int)lag->level;
}
