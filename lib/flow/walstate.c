#include "flow/walstate.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/walstate_int.h"

#define JOURNAL_MAX  (256U << 20)
#define LINE_LEN_MAX 65536U

/* --- the directory, and who is alive ------------------------------------------- */

static int
set_lock(int fd, int how, uint64_t byte, struct flock *l)
{
	memset(l, 0, sizeof(*l));
	l->l_type = F_WRLCK;
	l->l_whence = SEEK_SET;
	l->l_start = (off_t)byte;
	l->l_len = 1;
	return fcntl(fd, how, l);
}

struct dr_walstate *
dr_walstate_open(const char *state, const char *set, uint64_t system_id,
    struct dr_err *err)
{
	struct dr_walstate *s;
	struct flock l;
	char *path = NULL;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot open the state of WAL");
		return NULL;
	}
	s->writers = s->journal = -1;
	if ((s->sync = dr_walsync_new()) == NULL) {
		dr_err_sys(err, "cannot open the state of WAL");
		goto fail;
	}
	if ((s->dir = dr_fmt(err, "%s/wal/%s/%llu", state, set,
	         (unsigned long long)system_id)) == NULL ||
	    (path = dr_fmt(err, "%s/writers", s->dir)) == NULL ||
	    dr_mkdirs(s->dir, 0755, err) == -1 ||
	    dr_random(&s->writer, sizeof(s->writer), err) == -1)
		goto fail;
	s->writer &= INT64_MAX - 1;
	s->writers = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->writers == -1 ||
	    set_lock(s->writers, F_OFD_SETLK, s->writer, &l) == -1) {
		dr_err_sys(err, "cannot lock \"%s\"", path);
		goto fail;
	}
	free(path);
	return s;

fail:
	free(path);
	dr_walstate_free(s);
	return NULL;
}

void
dr_walstate_free(struct dr_walstate *s)
{
	if (s == NULL)
		return;
	dr_walsync_free(s->sync);
	if (s->writers != -1)
		close(s->writers);
	if (s->journal != -1)
		close(s->journal);
	free(s->dir);
	free(s);
}

uint64_t
dr_walstate_writer(const struct dr_walstate *s)
{
	return s->writer;
}

bool
dr_walstate_alive(const struct dr_walstate *s, uint64_t writer)
{
	struct flock l;

	/* If it cannot be told, it is not for us to decide what he did. */
	return set_lock(s->writers, F_OFD_GETLK, writer, &l) == -1 ||
	       l.l_type != F_UNLCK;
}

char *
dr_walstate_path(const struct dr_walstate *s, const char *name,
    struct dr_err *err)
{
	return dr_fmt(err, "%s/%s", s->dir, name);
}

/* --- lines ------------------------------------------------------------------------ */

/* LINE, its check sum and a newline, to OUT. */
static int
add_line(struct dr_buf *out, const struct dr_buf *line, struct dr_err *err)
{
	return dr_buf_fmt(out, err, "%s\t%08x\n", line->data,
	    dr_crc32c(0, line->data, line->len));
}

static void
put_lsn(struct dr_json *j, uint64_t lsn)
{
	char text[DR_LSN_LEN];

	dr_json_str(j, NULL, dr_format_lsn(lsn, text));
}

static void
line_begin(struct dr_json *j, struct dr_buf *line, const char *kind)
{
	dr_json_init(j, line);
	dr_json_array(j, NULL);
	dr_json_str(j, NULL, kind);
}

/* The line goes to the end of OUT. */
static int
line_end(struct dr_json *j, struct dr_buf *line, struct dr_buf *out,
    struct dr_err *err)
{
	int rc;

	dr_json_close(j, ']');
	if ((rc = dr_json_end(j, err)) == 0)
		rc = add_line(out, line, err);
	dr_buf_free(line);
	return rc;
}

static int
intent_line(const struct dr_intent *in, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf line = { .max = LINE_LEN_MAX };
	struct dr_json j;

	line_begin(&j, &line, "intent");
	dr_json_int(&j, NULL, in->time);
	dr_json_uint(&j, NULL, in->writer);
	dr_json_uint(&j, NULL, in->tli);
	dr_json_str(&j, NULL, in->name);
	dr_json_uint(&j, NULL, in->size);
	dr_json_str(&j, NULL, in->sha256);
	put_lsn(&j, in->from);
	put_lsn(&j, in->to);
	for (size_t i = 0; i < in->n; i++)
		dr_json_str(&j, NULL, in->store[i].url);
	return line_end(&j, &line, out, err);
}

static int
closed_line(const struct dr_intent *in, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf line = { .max = LINE_LEN_MAX };
	struct dr_json j;

	line_begin(&j, &line, "closed");
	dr_json_str(&j, NULL, in->name);
	dr_json_str(&j, NULL, in->sha256);
	for (size_t i = 0; i < in->n; i++) {
		dr_json_str(&j, NULL, in->store[i].url);
		dr_json_bool(&j, NULL, in->store[i].done);
	}
	return line_end(&j, &line, out, err);
}

static int
gap_line(const struct dr_wal_gap *g, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf line = { .max = LINE_LEN_MAX };
	struct dr_json j;

	line_begin(&j, &line, "gap");
	dr_json_int(&j, NULL, g->time);
	dr_json_uint(&j, NULL, g->tli);
	dr_json_str(&j, NULL, g->url);
	put_lsn(&j, g->from);
	put_lsn(&j, g->to);
	return line_end(&j, &line, out, err);
}

/* --- the journal in memory ------------------------------------------------------- */

static void
intent_wipe(struct dr_intent *in)
{
	for (size_t i = 0; i < in->n; i++)
		free(in->store[i].url);
	free(in->name);
	memset(in, 0, sizeof(*in));
}

void
dr_journal_wipe(struct dr_journal *j)
{
	for (size_t i = 0; i < j->n; i++)
		intent_wipe(&j->v[i]);
	for (size_t i = 0; i < j->gaps; i++)
		free(j->gap[i].url);
	free(j->v);
	free(j->gap);
	memset(j, 0, sizeof(*j));
}

static const char *
text_at(const json_t *a, size_t i)
{
	return json_string_value(json_array_get(a, i));
}

static bool
lsn_at(const json_t *a, size_t i, uint64_t *lsn)
{
	const char *s = text_at(a, i);
	struct dr_err ignored = { 0 };

	return s != NULL && dr_parse_lsn(s, lsn, &ignored) == 0;
}

/* 1, 0 malformed, -1. */
static int
read_intent(const json_t *a, struct dr_journal *j, struct dr_err *err)
{
	struct dr_intent in = { .n = 0 }, *more;
	const char *name = text_at(a, 4), *sha = text_at(a, 6), *url;

	in.time = json_integer_value(json_array_get(a, 1));
	in.writer = (uint64_t)json_integer_value(json_array_get(a, 2));
	in.tli = (uint32_t)json_integer_value(json_array_get(a, 3));
	in.size = (uint64_t)json_integer_value(json_array_get(a, 5));
	if (name == NULL || sha == NULL || strlen(sha) != DR_SHA256_HEX - 1 ||
	    !lsn_at(a, 7, &in.from) || !lsn_at(a, 8, &in.to))
		return 0;
	memcpy(in.sha256, sha, DR_SHA256_HEX);
	if ((in.name = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	for (size_t i = 9;
	     (url = text_at(a, i)) != NULL && in.n < DR_INTENT_STORES; i++) {
		in.store[in.n].url = dr_fmt(err, "%s", url);
		if (in.store[in.n].url == NULL)
			goto fail;
		in.n++;
	}
	more = j->v;
	if ((j->n & (j->n - 1)) == 0)
		more =
		    reallocarray(j->v, j->n == 0 ? 1 : 2 * j->n, sizeof(*more));
	if (more == NULL) {
		dr_err_sys(err, "cannot read the journal of WAL");
		goto fail;
	}
	j->v = more;
	j->v[j->n++] = in;
	return 1;

fail:
	intent_wipe(&in);
	return -1;
}

static int
read_closed(const json_t *a, struct dr_journal *j, struct dr_err *err)
{
	const char *name = text_at(a, 1), *sha = text_at(a, 2), *url;
	struct dr_intent *in = NULL;
	size_t i;

	if (name == NULL || sha == NULL)
		return 0;
	for (i = j->n; i-- > 0 && in == NULL;)
		if (strcmp(j->v[i].name, name) == 0 &&
		    strcmp(j->v[i].sha256, sha) == 0)
			in = &j->v[i];
	if (in == NULL)
		return 1; /* a ledger has it */
	for (i = 0; i < in->n; i++)
		free(in->store[i].url);
	in->n = 0;
	in->closed = true;
	for (i = 3; (url = text_at(a, i)) != NULL && in->n < DR_INTENT_STORES;
	     i += 2) {
		in->store[in->n].url = dr_fmt(err, "%s", url);
		if (in->store[in->n].url == NULL)
			return -1;
		in->store[in->n++].done =
		    json_is_true(json_array_get(a, i + 1));
	}
	return 1;
}

static int
read_gap(const json_t *a, struct dr_journal *j, struct dr_err *err)
{
	struct dr_wal_gap g = { .url = NULL }, *more;
	const char *url = text_at(a, 3);

	g.time = json_integer_value(json_array_get(a, 1));
	g.tli = (uint32_t)json_integer_value(json_array_get(a, 2));
	if (url == NULL || !lsn_at(a, 4, &g.from) || !lsn_at(a, 5, &g.to))
		return 0;
	if ((g.url = dr_fmt(err, "%s", url)) == NULL)
		return -1;
	if ((more = reallocarray(j->gap, j->gaps + 1, sizeof(*more))) == NULL) {
		free(g.url);
		return dr_err_sys(err, "cannot read the journal of WAL");
	}
	j->gap = more;
	j->gap[j->gaps++] = g;
	return 1;
}

static int
read_line(const char *line, size_t len, struct dr_journal *j,
    struct dr_err *err)
{
	const char *kind;
	char sum[9];
	json_t *a;
	int rc = 0;

	if (len < 10 || line[len - 9] != '\t')
		return 0;
	(void)snprintf(sum, sizeof(sum), "%08x", dr_crc32c(0, line, len - 9));
	if (memcmp(sum, line + len - 8, 8) != 0)
		return 0;
	a = json_loadb(line, len - 9, JSON_REJECT_DUPLICATES, NULL);
	kind = text_at(a, 0);
	if (kind == NULL)
		rc = 0;
	else if (strcmp(kind, "intent") == 0)
		rc = read_intent(a, j, err);
	else if (strcmp(kind, "closed") == 0)
		rc = read_closed(a, j, err);
	else if (strcmp(kind, "gap") == 0)
		rc = read_gap(a, j, err);
	json_decref(a);
	return rc;
}

/* The lock is held. */
static int
read_all(struct dr_walstate *s, struct dr_journal *j, struct dr_err *err)
{
	char *path = dr_walstate_path(s, "journal", err), *text = NULL;
	struct dr_err why = { 0 };
	size_t len = 0;
	int rc = -1;

	memset(j, 0, sizeof(*j));
	if (path == NULL)
		return -1;
	text = dr_file_get(path, JOURNAL_MAX, &len, &why);
	if (text == NULL && errno != ENOENT) {
		*err = why;
		goto out;
	}
	for (const char *at = text, *end; at != NULL && at < text + len;
	     at = end + 1) {
		int got;

		/* Zeros: room for more. */
		while (at < text + len && *at == '\0')
			at++;
		if (at == text + len)
			break;
		end = memchr(at, '\n', (size_t)(text + len - at));
		if (end == NULL)
			end = text + len;
		got = read_line(at, (size_t)(end - at), j, err);
		if (got == -1)
			goto out;
		/* An empty one ended a torn line. */
		if (got == 0 && end > at)
			j->damaged++;
	}
	rc = 0;

out:
	if (rc == -1)
		dr_journal_wipe(j);
	free(text);
	free(path);
	return rc;
}

int
dr_walstate_read(struct dr_walstate *s, struct dr_journal *j,
    struct dr_err *err)
{
	int held = dr_walstate_lock(s, err), rc;

	if (held == -1)
		return -1;
	rc = read_all(s, j, err);
	close(held);
	return rc;
}

int
dr_journal_has(const struct dr_journal *j, const char *name, const char *url,
    const char **sha256)
{
	for (size_t i = j->n; i-- > 0;)
		for (size_t k = 0; k < j->v[i].n; k++)
			if (j->v[i].store[k].done &&
			    strcmp(j->v[i].name, name) == 0 &&
			    strcmp(j->v[i].store[k].url, url) == 0) {
				*sha256 = j->v[i].sha256;
				return 1;
			}
	return 0;
}

/* --- appending ---------------------------------------------------------------------- */

int
dr_walstate_intending(struct dr_walstate *s, struct dr_intent *in,
    struct dr_err *err)
{
	struct dr_buf text = { .max = 2 * LINE_LEN_MAX };
	int rc;

	in->time = dr_now();
	in->writer = s->writer;
	if ((rc = intent_line(in, &text, err)) == 0)
		rc = dr_walstate_append(s, &text, false, err);
	dr_buf_free(&text);
	if (rc == 0)
		dr_walsync_ask(s->sync, s->journal);
	return rc;
}

int
dr_walstate_intended(struct dr_walstate *s, struct dr_err *err)
{
	if (dr_walsync_wait(s->sync) == -1)
		return dr_err_sys(err, "cannot write \"%s/journal\"", s->dir);
	return 0;
}

int
dr_walstate_intend(struct dr_walstate *s, struct dr_intent *in,
    struct dr_err *err)
{
	if (dr_walstate_intending(s, in, err) == -1)
		return -1;
	return dr_walstate_intended(s, err);
}

int
dr_walstate_close(struct dr_walstate *s, const struct dr_intent *in,
    struct dr_err *err)
{
	struct dr_buf text = { .max = 2 * LINE_LEN_MAX };
	int rc;

	if ((rc = closed_line(in, &text, err)) == 0)
		rc = dr_walstate_append(s, &text, false, err);
	dr_buf_free(&text);
	return rc;
}

int
dr_walstate_gap(struct dr_walstate *s, const struct dr_wal_gap *g,
    struct dr_err *err)
{
	struct dr_buf text = { .max = 2 * LINE_LEN_MAX };
	int rc;

	if ((rc = gap_line(g, &text, err)) == 0)
		rc = dr_walstate_append(s, &text, true, err);
	dr_buf_free(&text);
	return rc;
}

int
dr_walstate_compact(struct dr_walstate *s,
    bool (*drop)(void *, const struct dr_intent *),
    bool (*drop_gap)(void *, const struct dr_wal_gap *), void *arg,
    struct dr_err *err)
{
	struct dr_buf text = { .max = JOURNAL_MAX };
	struct dr_journal j = { .n = 0 };
	char *path = NULL;
	int held, rc = -1;

	if ((held = dr_walstate_lock(s, err)) == -1)
		return -1;
	if ((path = dr_walstate_path(s, "journal", err)) == NULL ||
	    read_all(s, &j, err) == -1)
		goto out;
	for (size_t i = 0; i < j.n; i++) {
		if (drop(arg, &j.v[i]))
			continue;
		if (intent_line(&j.v[i], &text, err) == -1 ||
		    (j.v[i].closed && closed_line(&j.v[i], &text, err) == -1))
			goto out;
	}
	for (size_t i = 0; i < j.gaps; i++)
		if (!drop_gap(arg, &j.gap[i]) &&
		    gap_line(&j.gap[i], &text, err) == -1)
			goto out;
	if (j.damaged > 0)
		dr_warn("\"%s\": %zu damaged line%s left out", path, j.damaged,
		    j.damaged == 1 ? " is" : "s are");
	rc = dr_file_put(path, 0600, DR_FILE_REPLACE,
	    text.data == NULL ? "" : text.data, text.len, err);

out:
	close(held);
	dr_journal_wipe(&j);
	dr_buf_free(&text);
	free(path);
	return rc;
}
