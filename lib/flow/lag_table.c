/* The report for people: a headline, tables, and what is wrong. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/grid.h"
#include "flow/lag_int.h"

/* --- what is in them ---------------------------------------------------------------- */

static const char *
since(const struct dr_lag *lag, int64_t then, char out[DR_SIZE_LEN])
{
	if (!dr_known(then))
		(void)snprintf(out, DR_SIZE_LEN, "never");
	else
		(void)dr_lag_seconds(lag->time - then, out);
	return out;
}

static void
bytes(struct dr_grid *g, int64_t v)
{
	char text[DR_SIZE_LEN];

	dr_grid_cell(g, "%s", dr_lag_bytes(v, text));
}

static void
seconds(struct dr_grid *g, int64_t v)
{
	char text[DR_SIZE_LEN];

	dr_grid_cell(g, "%s", dr_lag_seconds(v, text));
}

static void
timeline(struct dr_grid *g, uint32_t v)
{
	if (v == 0)
		dr_grid_cell(g, "?");
	else
		dr_grid_cell(g, "%" PRIu32, v);
}

static int
servers(const struct dr_lag *lag, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "SERVER", false, 9 },
		{ "STATE", false, 9 }, { "TLI", true, 4 }, { "WAL", false, 8 },
		{ "PG", true, 1 }, { "UP", true, 2 },
		{ "ANSWERED IN", true, 3 }, { "CLOCK", true, 0 } };
	struct dr_grid g = { .column = heads, .columns = 8, .err = err };
	char text[DR_SIZE_LEN], lsn[DR_LSN_LEN];
	int64_t skew;

	for (size_t i = 0; i < lag->servers; i++) {
		const struct dr_pg_view *v = &lag->server[i];
		const uint64_t end = v->in_recovery ? v->replayed : v->lsn;

		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", v->name);
		dr_grid_cell(&g, "%s", dr_probe_word(v->probe.state));
		if (!dr_lag_answers(v)) {
			for (size_t k = 2; k < g.columns; k++)
				dr_grid_cell(&g, "-");
			continue;
		}
		timeline(&g, v->tli);
		dr_grid_cell(&g, "%s",
		    end != 0 ? dr_format_lsn(end, lsn) : "?");
		dr_grid_cell(&g, "%d.%d", v->version / 10000,
		    v->version % 10000);
		dr_grid_cell(&g, "%s",
		    dr_known(v->started) ? since(lag, v->started, text) : "?");
		seconds(&g, v->probe.answer_us);
		skew = dr_known(v->now) && dr_known(v->asked)
		           ? v->now - v->asked
		           : DR_UNKNOWN;
		if (!dr_known(skew))
			dr_grid_cell(&g, "?");
		else if (skew > -50000 && skew < 50000)
			dr_grid_cell(&g, "0.0s");
		else
			dr_grid_cell(&g, "%+.1fs", (double)skew / 1e6);
	}
	return dr_grid_print(&g, columns, out, err);
}

static const char *
standing(const struct dr_lag_standby *s)
{
	const bool asked = s->self != NULL && dr_lag_answers(s->self);

	if (s->row == NULL && !asked)
		return "missing";
	if (s->diverged)
		return "diverged";
	if (s->streaming)
		return s->paused ? "paused" : "streaming";
	if (s->row != NULL && strcmp(dr_lag_text(s->row->state), "streaming"))
		return *dr_lag_text(s->row->state) != '\0' ? s->row->state
		                                           : "hidden";
	if (asked && s->self->hidden)
		return "hidden";
	return asked && *dr_lag_text(s->self->receiver) == '\0' ? "no receiver"
	                                                        : "silent";
}

static int
standbys(const struct dr_lag *lag, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "STANDBY", false, 9 },
		{ "FROM", false, 3 }, { "STATE", false, 9 },
		{ "SYNC", false, 4 }, { "TLI", true, 1 }, { "WRITE", true, 2 },
		{ "FLUSH", true, 5 }, { "REPLAY", true, 8 },
		{ "DELAY", true, 7 }, { "HEARTBEAT", true, 6 },
		{ "HEARD", true, 2 }, { "KIND", false, 0 } };
	struct dr_grid g = { .column = heads, .columns = 12, .err = err };
	char text[DR_SIZE_LEN];

	for (size_t i = 0; i < lag->standbys; i++) {
		const struct dr_lag_standby *s = &lag->standby[i];

		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", s->name);
		dr_grid_cell(&g, "%s",
		    s->sender != NULL ? s->sender->name
		    : s->self != NULL ? dr_lag_text(s->self->sender)
		                      : "");
		dr_grid_cell(&g, "%s", standing(s));
		dr_grid_cell(&g, "%s",
		    s->row != NULL ? dr_lag_text(s->row->sync_state) : "");
		timeline(&g, s->tli);
		bytes(&g, s->write_bytes);
		bytes(&g, s->flush_bytes);
		if (s->receiver)
			dr_grid_cell(&g, "-");
		else
			bytes(&g, s->replay_bytes);
		if (s->receiver)
			seconds(&g, s->flush_us);
		else
			seconds(&g, s->replay_us);
		dr_grid_cell(&g, "%s",
		    dr_known(s->heartbeat_us)
		        ? dr_lag_seconds(s->heartbeat_us, text)
		        : "");
		dr_grid_cell(&g, "%s%s", dr_lag_seconds(s->last_msg_us, text),
		    dr_known(s->last_msg_us) ? " ago" : "");
		dr_grid_cell(&g, "%s",
		    s->logical    ? "logical"
		    : s->receiver ? "receiver"
		                  : "");
	}
	return dr_grid_print(&g, columns, out, err);
}

static int
slots(const struct dr_lag *lag, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "SLOT", false, 9 },
		{ "ON", false, 7 }, { "TYPE", false, 2 },
		{ "STATUS", false, 9 }, { "KEPT", true, 6 },
		{ "LEFT", true, 5 }, { "USED", false, 4 },
		{ "FAILOVER", false, 1 } };
	struct dr_grid g = { .column = heads, .columns = 8, .err = err };
	char text[DR_SIZE_LEN];

	for (size_t i = 0; i < lag->servers; i++) {
		const struct dr_pg_view *v = &lag->server[i];
		const uint64_t end = v->in_recovery ? v->replayed : v->lsn;

		for (size_t k = 0; k < v->slots; k++) {
			const struct dr_pg_slot *s = &v->slot[k];

			dr_grid_row(&g);
			dr_grid_cell(&g, "%s", s->name);
			dr_grid_cell(&g, "%s", v->name);
			dr_grid_cell(&g, "%s", dr_lag_text(s->type));
			dr_grid_cell(&g, "%s",
			    *dr_lag_text(s->invalid) != '\0'
			        ? s->invalid
			        : dr_lag_text(s->wal_status));
			bytes(&g, s->restart != 0 && end >= s->restart
			              ? (int64_t)(end - s->restart)
			              : DR_UNKNOWN);
			dr_grid_cell(&g, "%s",
			    dr_known(s->safe_wal_size)
			        ? dr_lag_bytes(s->safe_wal_size, text)
			        : "");
			if (s->active)
				dr_grid_cell(&g, "now");
			else if (dr_known(s->inactive_since))
				dr_grid_cell(&g, "%s ago",
				    since(lag, s->inactive_since, text));
			else
				dr_grid_cell(&g, "no");
			dr_grid_cell(&g, "%s",
			    s->synced     ? "synced"
			    : s->failover ? "yes"
			                  : "");
		}
	}
	return dr_grid_print(&g, columns, out, err);
}

static int
stores(const struct dr_lag *lag, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "SET", false, 9 },
		{ "NEWEST BACKUP", false, 6 }, { "AGE", true, 5 },
		{ "STORED", true, 2 }, { "WAL TO", false, 3 },
		{ "GAPS", true, 4 }, { "LOST NOW", true, 7 },
		{ "RPO", true, 8 }, { "RTO", true, 8 }, { "VERIFIED", true, 1 },
		{ "RESTORED", true, 0 }, { "STORE", false, 9 } };
	struct dr_grid g = { .column = heads, .columns = 12, .err = err };
	char text[DR_SIZE_LEN], lsn[DR_LSN_LEN];

	for (size_t i = 0; i < lag->stores; i++) {
		const struct dr_lag_store *s = &lag->store[i];
		const int64_t v = dr_known(s->deep_verified) &&
		                          (!dr_known(s->verified) ||
		                              s->deep_verified > s->verified)
		                      ? s->deep_verified
		                      : s->verified;

		dr_grid_row(&g);
		dr_grid_cell(&g, "%s", s->set);
		if (s->err.cause != DR_OK) {
			dr_grid_cell(&g, "unreadable");
			for (size_t k = 2; k < g.columns - 1; k++)
				dr_grid_cell(&g, "?");
			dr_grid_cell(&g, "%s", s->url);
			continue;
		}
		dr_grid_cell(&g, "%s", s->id != NULL ? s->id : "none");
		dr_grid_cell(&g, "%s",
		    s->id != NULL ? since(lag, s->stopped, text) : "");
		if (s->id != NULL)
			bytes(&g, s->stored);
		else
			dr_grid_cell(&g, "-");
		dr_grid_cell(&g, "%s",
		    s->reach != 0 ? dr_format_lsn(s->reach, lsn) : "");
		dr_grid_cell(&g, "%zu", s->gaps);
		bytes(&g, s->rpo_bytes);
		dr_grid_cell(&g, "%s%s",
		    dr_known(s->rpo_us) && !s->rpo_bound ? "~" : "",
		    dr_lag_seconds(s->rpo_us, text));
		seconds(&g, s->rto_us);
		dr_grid_cell(&g, "%s", since(lag, v, text));
		dr_grid_cell(&g, "%s", since(lag, s->restored, text));
		dr_grid_cell(&g, "%s", s->url);
	}
	return dr_grid_print(&g, columns, out, err);
}

/* --- around them -------------------------------------------------------------------- */

static const char *
colour(enum dr_lag_level level)
{
	static const char *const codes[] = { "\033[32m", "\033[33m", "\033[31m",
		"\033[35m" };

	return codes[level];
}

static int
headline(const struct dr_lag *lag, bool color, struct dr_buf *out,
    struct dr_err *err)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL",
		"UNKNOWN" };
	char when[DR_TIME_LEN], text[DR_SIZE_LEN];

	if (dr_buf_fmt(out, err, "%s%s%s  %s", color ? colour(lag->level) : "",
	        words[lag->level], color ? "\033[0m" : "",
	        dr_format_time(lag->time - lag->time % 1000000, when)) == -1)
		return -1;
	for (size_t i = 0; i < lag->goals; i++) {
		const struct dr_lag_goal *g = &lag->goal[i];

		if (g->set[0] != '\0' &&
		    dr_buf_fmt(out, err, "  %s%s%s%s", g->set,
		        *dr_lag_text(g->tier) != '\0' ? " (" : "",
		        dr_lag_text(g->tier),
		        *dr_lag_text(g->tier) != '\0' ? ")" : "") == -1)
			return -1;
		if (dr_known(g->rpo) && dr_buf_fmt(out, err, "  RPO %s",
		                            dr_lag_seconds(g->rpo, text)) == -1)
			return -1;
		if (dr_known(g->rto) && dr_buf_fmt(out, err, "  RTO %s",
		                            dr_lag_seconds(g->rto, text)) == -1)
			return -1;
	}
	return dr_buf_str(out, "\n", err);
}

/* TEXT from column AT on, in lines of at most COLUMNS. */
static int
wrap(const char *text, size_t at, unsigned columns, struct dr_buf *out,
    struct dr_err *err)
{
	const size_t room = columns > at + 20 ? columns - at : 0;
	size_t n, cut;

	for (;;) {
		n = strlen(text);
		if (room == 0 || n <= room)
			return dr_buf_fmt(out, err, "%s\n", text);
		for (cut = room; cut > room / 2 && text[cut] != ' ';)
			cut--;
		if (text[cut] != ' ')
			cut = room;
		if (dr_buf_fmt(out, err, "%.*s\n%*s", (int)cut, text, (int)at,
		        "") == -1)
			return -1;
		text += cut;
		while (*text == ' ')
			text++;
	}
}

static int
notes(const struct dr_lag *lag, bool color, unsigned columns,
    struct dr_buf *out, struct dr_err *err)
{
	static const char *const words[] = { "note", "warning", "critical",
		"unknown" };

	for (size_t i = 0; i < lag->notes; i++) {
		const struct dr_lag_note *n = &lag->note[i];
		char text[1500];

		(void)snprintf(text, sizeof(text), "%s%s%s", n->about,
		    n->about[0] != '\0' ? ": " : "", n->text);
		dr_grid_plain(text);
		if (dr_buf_fmt(out, err, "%s%s%s%s: ", i == 0 ? "\n" : "",
		        color ? colour(n->level) : "", words[n->level],
		        color ? "\033[0m" : "") == -1 ||
		    wrap(text, strlen(words[n->level]) + 2, columns, out,
		        err) == -1)
			return -1;
	}
	return 0;
}

int
dr_lag_table(const struct dr_lag *lag, bool color, unsigned columns,
    struct dr_buf *out, struct dr_err *err)
{
	if (headline(lag, color, out, err) == -1 ||
	    servers(lag, columns, out, err) == -1 ||
	    standbys(lag, columns, out, err) == -1 ||
	    slots(lag, columns, out, err) == -1 ||
	    stores(lag, columns, out, err) == -1)
		return -1;
	return notes(lag, color, columns, out, err);
}
