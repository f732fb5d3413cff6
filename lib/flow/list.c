#include "flow/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/walwindow.h"
#include "manifest/manifest.h"
#include "store/store.h"

enum column {
	C_SET,
	C_ID,
	C_KIND,
	C_MODE,
	C_STARTED,
	C_TIME,
	C_RAW,
	C_STORED,
	C_PG,
	C_TLI,
	C_TO,
	C_FLAGS,
	C_STORE,
	C_COUNT,
};

static const char *const heads[C_COUNT] = { "SET", "ID", "KIND", "MODE",
	"STARTED", "DURATION", "RAW", "STORED", "PG", "TLI", "RESTORABLE TO",
	"FLAGS", "STORE" };

#define CELL 64

struct row {
	char cell[C_STORE][CELL];
	const char *store; /* borrowed */
};

struct list {
	const struct dr_list_opts *o;
	const struct dr_verify_keys *keys;
	struct dr_sink *out;
	struct row *rows;
	size_t n, cap;
	size_t bad, unread, total; /* backups */
};

/* --- what is known of one ------------------------------------------------- */

static bool
usec_of(const json_t *m, const char *field, int64_t *usec)
{
	const char *s = dr_manifest_str(m, field);
	struct dr_err ignored = { 0 };

	return s != NULL && dr_parse_time(s, usec, &ignored) == 0;
}

/* To the second: the rest is for machines. */
static char *
short_time(int64_t usec, char out[DR_TIME_LEN])
{
	return dr_format_time(usec - usec % 1000000, out);
}

static void
size_cell(char *cell, int64_t bytes)
{
	char text[DR_SIZE_LEN];

	(void)snprintf(cell, CELL, "%s",
	    bytes < 0 ? "-" : dr_format_size((uint64_t)bytes, text));
}

/* How far it can be brought: by its own WAL, or by the set's. */
static void
window_cell(char *cell, const struct dr_window *w)
{
	char lsn[DR_LSN_LEN], when[DR_TIME_LEN];

	(void)snprintf(cell, CELL, "-");
	if (w->whole)
		(void)snprintf(cell, CELL, "%s %s%s", dr_format_lsn(w->to, lsn),
		    w->by_store ? "~" : "",
		    w->time == 0 ? "-" : short_time(w->time, when));
}

static void
pg_cells(struct row *r, const json_t *m)
{
	const char *version = dr_manifest_str(m, "pg.version");
	const char *lsn = dr_manifest_str(m, "pg.stop_lsn");
	int64_t tli = dr_manifest_int(m, "pg.timeline", -1), usec;
	char when[DR_TIME_LEN] = "-";

	if (usec_of(m, "stopped", &usec))
		(void)short_time(usec, when);
	(void)snprintf(r->cell[C_PG], CELL, "%s",
	    version == NULL ? "-" : version);
	(void)snprintf(r->cell[C_TLI], CELL, "-");
	if (tli >= 0)
		(void)snprintf(r->cell[C_TLI], CELL, "%" PRId64, tli);
	(void)snprintf(r->cell[C_TO], CELL, "%s%s%s", lsn == NULL ? "" : lsn,
	    lsn == NULL ? "" : " ", when);
}

static void
add_flag(char *cell, const char *flag)
{
	size_t n = strlen(cell);

	(void)snprintf(cell + n, CELL - n, "%s%s", n > 0 ? "," : "", flag);
}

static void
fill(struct row *r, const char *set, const struct dr_backup *b,
    const struct dr_window *w)
{
	const json_t *m = b->manifest;
	char text[DR_TIME_LEN], took[DR_SIZE_LEN];
	int64_t from, to;
	size_t i;

	for (i = 0; i < C_STORE; i++)
		(void)snprintf(r->cell[i], CELL, "-");
	(void)snprintf(r->cell[C_SET], CELL, "%s", set);
	(void)snprintf(r->cell[C_ID], CELL, "%s", b->id);
	(void)snprintf(r->cell[C_STARTED], CELL, "%s",
	    short_time(dr_backup_started(b), text));
	if (m == NULL) {
		(void)snprintf(r->cell[C_FLAGS], CELL, "%s",
		    b->bad.cause == DR_EDATA ? "untrusted" : "unread");
		return;
	}
	(void)snprintf(r->cell[C_KIND], CELL, "%s", dr_manifest_str(m, "kind"));
	(void)snprintf(r->cell[C_MODE], CELL, "%s", dr_manifest_str(m, "mode"));
	if (usec_of(m, "started", &from) && usec_of(m, "stopped", &to) &&
	    to >= from)
		(void)snprintf(r->cell[C_TIME], CELL, "%s",
		    dr_format_msec((uint64_t)(to - from) / 1000, took));
	size_cell(r->cell[C_RAW], dr_manifest_int(m, "raw_size", -1));
	size_cell(r->cell[C_STORED], dr_manifest_int(m, "object.size", -1));
	pg_cells(r, m);
	r->cell[C_FLAGS][0] = '\0';
	if (!dr_manifest_bool(m, "complete", true))
		add_flag(r->cell[C_FLAGS], "incomplete");
	if (b->pruned)
		add_flag(r->cell[C_FLAGS], "pruned");
	if (w == NULL)
		return;
	window_cell(r->cell[C_TO], w);
	if (w->tli != (uint32_t)dr_manifest_int(m, "pg.timeline", 0))
		(void)snprintf(r->cell[C_TLI], CELL, "%" PRId64 ">%" PRIu32,
		    dr_manifest_int(m, "pg.timeline", 0), w->tli);
	if (!w->whole)
		add_flag(r->cell[C_FLAGS], "needs-wal");
	if (w->gaps > 0)
		add_flag(r->cell[C_FLAGS], "gap");
	if (w->lost != 0)
		add_flag(r->cell[C_FLAGS], "no-history");
}

static void
json_part(struct dr_json *j, const char *key, const json_t *value)
{
	/* Control characters beyond ASCII must not reach a terminal. */
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (text != NULL)
		dr_json_raw(j, key, text);
	free(text);
}

static void
json_window(struct dr_json *j, const struct dr_window *w)
{
	char text[DR_TIME_LEN];

	dr_json_object(j, "wal");
	dr_json_bool(j, "restorable", w->whole);
	dr_json_str(j, "to_lsn", dr_format_lsn(w->to, text));
	if (w->time != 0) {
		dr_json_str(j, "to_time", dr_format_time(w->time, text));
		dr_json_str(j, "to_time_from",
		    !w->wal       ? "backup"
		    : w->by_store ? "store"
		                  : "ledger");
	}
	dr_json_uint(j, "timeline", w->tli);
	if (w->lost != 0)
		dr_json_uint(j, "no_history", w->lost);
	dr_json_array(j, "gaps");
	for (size_t i = 0; i < w->gaps; i++) {
		dr_json_object(j, NULL);
		dr_json_uint(j, "timeline", w->gap[i].tli);
		dr_json_str(j, "from_lsn", dr_format_lsn(w->gap[i].from, text));
		dr_json_str(j, "to_lsn", dr_format_lsn(w->gap[i].to, text));
		dr_json_close(j, '}');
	}
	dr_json_close(j, ']');
	dr_json_close(j, '}');
}

static int
json_line(struct list *l, const char *url, const char *set,
    const struct dr_backup *b, const struct dr_window *w, struct dr_err *err)
{
	struct dr_buf line = { .max = 1U << 20 };
	int64_t from, to;
	struct dr_json j;
	int rc;

	dr_json_init(&j, &line);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "store", url);
	dr_json_str(&j, "set", set);
	dr_json_str(&j, "id", b->id);
	dr_json_bool(&j, "trusted", b->manifest != NULL);
	dr_json_bool(&j, "pruned", b->pruned);
	if (b->manifest == NULL)
		dr_json_str(&j, "error", b->bad.msg);
	else {
		if (usec_of(b->manifest, "started", &from) &&
		    usec_of(b->manifest, "stopped", &to) && to >= from)
			dr_json_real(&j, "duration_seconds",
			    (double)(to - from) / 1e6);
		if (w != NULL)
			json_window(&j, w);
		json_part(&j, "manifest", b->manifest);
	}
	dr_json_close(&j, '}');
	rc = dr_json_end(&j, err);
	if (rc == 0)
		rc = dr_buf_str(&line, "\n", err);
	if (rc == 0)
		rc = dr_sink_write(l->out, line.data, line.len, err);
	dr_buf_free(&line);
	return rc;
}

/* --- sets and stores -------------------------------------------------------- */

static int
row_add(struct list *l, const char *url, const char *set,
    const struct dr_backup *b, const struct dr_window *w, struct dr_err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 32 : 2 * l->cap;
		struct row *more = reallocarray(l->rows, cap, sizeof(*more));

		if (more == NULL)
			return dr_err_sys(err, "cannot list the backups");
		l->rows = more;
		l->cap = cap;
	}
	fill(&l->rows[l->n], set, b, w);
	l->rows[l->n++].store = url;
	return 0;
}

static int
list_set(struct list *l, struct dr_store *store, const char *url,
    const char *set, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = l->keys };
	struct dr_windows windows = { store, set, l->keys, NULL, 0 };
	struct dr_backups all = { NULL, 0 };
	struct dr_window w;
	int rc = -1, known;
	size_t i;

	if (dr_catalogue_read(store, set, &co, &all, err) == -1)
		return -1;
	if (all.n == 0 && l->o->set != NULL)
		dr_say(0, "no backup of set \"%s\" in \"%s\"", set, url);
	for (i = 0; i < all.n; i++) {
		const struct dr_backup *b = &all.v[i];

		l->total++;
		if (b->manifest == NULL) {
			if (b->bad.cause == DR_EDATA)
				l->bad++;
			else
				l->unread++;
			dr_warn("%s", b->bad.msg);
		}
		known = 0;
		if (b->manifest != NULL && !b->pruned)
			known = dr_window_of(&windows, b->manifest, &w, err);
		if (known == -1 ||
		    (l->o->json
		            ? json_line(l, url, set, b, known ? &w : NULL, err)
		            : row_add(l, url, set, b, known ? &w : NULL,
		                  err)) == -1)
			goto out;
	}
	for (i = 0; i < windows.n; i++)
		if (windows.cat[i].faults > 0)
			dr_warn("of the WAL of set \"%s\": %s", set,
			    windows.cat[i].bad.msg);
	rc = 0;

out:
	dr_windows_free(&windows);
	dr_backups_free(&all);
	return rc;
}

struct sets {
	char (*v)[65];
	size_t n;
};

static int
note_set(void *arg, const char *name, struct dr_err *err)
{
	struct sets *sets = arg;
	char(*more)[65];

	if (!dr_set_name_ok(name))
		return 0;
	more = reallocarray(sets->v, sets->n + 1, sizeof(*more));
	if (more == NULL)
		return dr_err_sys(err, "cannot list the sets");
	sets->v = more;
	(void)snprintf(more[sets->n++], sizeof(*more), "%s", name);
	return 0;
}

static int
list_store(struct list *l, const char *url, struct dr_err *err)
{
	struct dr_store *store = dr_store_open(url, l->o->how, err);
	struct sets sets = { NULL, 0 };
	int rc = -1;
	size_t i;

	if (store == NULL)
		return -1;
	if (l->o->set != NULL)
		rc = list_set(l, store, url, l->o->set, err);
	else if (dr_store_dirs(store, "", note_set, &sets, err) == 0) {
		rc = 0;
		for (i = 0; rc == 0 && i < sets.n; i++)
			rc = list_set(l, store, url, sets.v[i], err);
	}
	free(sets.v);
	dr_store_free(store);
	return rc;
}

/* --- the table --------------------------------------------------------------- */

static const char *
cell(const struct row *r, size_t column)
{
	return column == C_STORE ? r->store : r->cell[column];
}

/* What would say the same in every row is left out. */
static bool
shown(const struct list *l, size_t column)
{
	if (column == C_SET)
		return l->o->set == NULL;
	return column != C_STORE || l->o->nstores > 1;
}

static bool
to_the_right(size_t column)
{
	return column == C_TIME || column == C_RAW || column == C_STORED ||
	       column == C_TLI;
}

static int
print_row(const struct list *l, const size_t width[C_COUNT],
    const struct row *r, struct dr_err *err)
{
	struct dr_buf line = { .max = 1U << 16 };
	int rc = -1;
	size_t i;

	for (i = 0; i < C_COUNT; i++) {
		const char *s = r == NULL ? heads[i] : cell(r, i);
		int w = (int)width[i];

		if (shown(l, i) &&
		    dr_buf_fmt(&line, err, "%s%*s", line.len > 0 ? "  " : "",
		        to_the_right(i) ? w : -w, s) == -1)
			goto out;
	}
	while (line.len > 0 && line.data[line.len - 1] == ' ')
		line.len--;
	if (dr_buf_str(&line, "\n", err) == 0)
		rc = dr_sink_write(l->out, line.data, line.len, err);

out:
	dr_buf_free(&line);
	return rc;
}

static int
print_table(const struct list *l, struct dr_err *err)
{
	size_t width[C_COUNT], i, k;

	if (l->n == 0)
		return 0;
	for (k = 0; k < C_COUNT; k++) {
		width[k] = strlen(heads[k]);
		for (i = 0; i < l->n; i++) {
			size_t len = strlen(cell(&l->rows[i], k));

			width[k] = len > width[k] ? len : width[k];
		}
	}
	if (print_row(l, width, NULL, err) == -1)
		return -1;
	for (i = 0; i < l->n; i++)
		if (print_row(l, width, &l->rows[i], err) == -1)
			return -1;
	return 0;
}

int
dr_list(const struct dr_list_opts *o, struct dr_sink *out, struct dr_err *err)
{
	struct list l = { .o = o, .out = out };
	struct dr_verify_keys *keys = NULL;
	struct dr_err first = { 0 };
	size_t i, failed = 0;
	int rc = -1;

	if (!o->no_signature &&
	    (keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		return -1;
	l.keys = keys;
	for (i = 0; i < o->nstores; i++) {
		struct dr_err why = { 0 };

		if (list_store(&l, o->stores[i], &why) == 0)
			continue;
		if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE ||
		    why.cause == DR_EPIPE) {
			*err = why;
			goto out;
		}
		if (o->nstores > 1)
			dr_warn("%s", why.msg);
		if (failed++ == 0)
			first = why;
	}
	if (print_table(&l, err) == -1)
		goto out;
	if (l.bad > 0)
		dr_err_set(err, DR_EDATA,
		    "%zu of %zu backup%s cannot be trusted", l.bad, l.total,
		    dr_plural(l.total));
	else if (l.unread > 0)
		dr_err_set(err, DR_EFAIL, "%zu of %zu backup%s cannot be read",
		    l.unread, l.total, dr_plural(l.total));
	else if (failed > 0) {
		*err = first;
		if (failed < o->nstores)
			err->cause = DR_EPARTIAL;
	} else
		rc = 0;

out:
	free(l.rows);
	dr_verify_keys_free(keys);
	return rc;
}
