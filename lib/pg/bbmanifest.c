#include "pg/bbmanifest.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"

static const char file_head[] = "{ \"Path\": \"";
static const char hex_head[] = "{ \"Encoded-Path\": \"";
static const char sum_head[] = "\"Manifest-Checksum\": \"";
static const char sum_tail[] = "\"}";

struct dr_bbmanifest {
	const char *const *leave_out;
	int (*emit)(void *, const void *, size_t, struct dr_err *);
	void *arg;
	struct dr_sha256 *in, *out;
	bool owed; /* a file's line was given out but for ",\n" or "\n" */
	bool done;
	size_t len;
	char line[DR_BBMANIFEST_LINE]; /* the one being gathered */
};

struct dr_bbmanifest *
dr_bbmanifest_new(const char *const *leave_out,
    int (*emit)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct dr_bbmanifest *m;

	if ((m = calloc(1, sizeof(*m))) == NULL) {
		dr_err_sys(err, "cannot allocate a manifest filter");
		return NULL;
	}
	m->leave_out = leave_out;
	m->emit = emit;
	m->arg = arg;
	if ((m->in = dr_sha256_new(err)) == NULL ||
	    (m->out = dr_sha256_new(err)) == NULL) {
		dr_bbmanifest_free(m);
		return NULL;
	}
	return m;
}

/* Give out bytes that the new checksum covers. */
static int
give(struct dr_bbmanifest *m, const void *p, size_t n, struct dr_err *err)
{
	if (n == 0)
		return 0;
	if (dr_sha256_add(m->out, p, n, err) == -1)
		return -1;
	return m->emit(m->arg, p, n, err);
}

/* Give out the end of the file's line before this one. */
static int
settle(struct dr_bbmanifest *m, bool more, struct dr_err *err)
{
	if (!m->owed)
		return 0;
	m->owed = false;
	return more ? give(m, ",\n", 2, err) : give(m, "\n", 1, err);
}

/*
 * Is the path that begins at PATH, in hexadecimal or not, one to leave out?
 * Nothing in those needs an escape.
 */
static bool
left_out(const struct dr_bbmanifest *m, const char *path, size_t n, bool hex)
{
	const char *const *p;
	char form[2 * DR_BBMANIFEST_NAME + 1];
	size_t len;
	bool dir;

	for (p = m->leave_out; *p != NULL; p++) {
		len = strlen(*p);
		if (len == 0 || len > DR_BBMANIFEST_NAME)
			continue;
		dir = (*p)[len - 1] == '/';
		if (hex)
			(void)dr_hex(*p, len, form);
		else
			memcpy(form, *p, len + 1);
		len = strlen(form);
		if (len < n && memcmp(form, path, len) == 0 &&
		    (dir || path[len] == '"'))
			return true;
	}
	return false;
}

static int
damaged(struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "the server's backup_manifest is damaged");
}

/* The last line: check the checksum of all before, and write the new one. */
static int
last_line(struct dr_bbmanifest *m, struct dr_err *err)
{
	const size_t head = sizeof(sum_head) - 1, tail = sizeof(sum_tail) - 1;
	unsigned char sum[DR_SHA256_LEN];
	char hex[DR_SHA256_HEX];

	if (m->len != head + DR_SHA256_HEX - 1 + tail + 1 ||
	    memcmp(m->line + head + DR_SHA256_HEX - 1, sum_tail, tail) != 0)
		return damaged(err);
	if (dr_sha256_end(m->in, sum, err) == -1)
		return -1;
	if (memcmp(m->line + head, dr_hex(sum, sizeof(sum), hex),
	        DR_SHA256_HEX - 1) != 0)
		return damaged(err);
	if (settle(m, false, err) == -1 ||
	    dr_sha256_end(m->out, sum, err) == -1)
		return -1;
	memcpy(m->line + head, dr_hex(sum, sizeof(sum), hex),
	    DR_SHA256_HEX - 1);
	m->done = true;
	return m->emit(m->arg, m->line, m->len, err);
}

static bool
begins(const struct dr_bbmanifest *m, const char *head)
{
	size_t n = strlen(head);

	return m->len > n && memcmp(m->line, head, n) == 0;
}

/* A whole line with its newline. */
static int
line(struct dr_bbmanifest *m, struct dr_err *err)
{
	const char *path;
	size_t n;
	bool hex;

	if (m->done)
		return damaged(err);
	if (begins(m, sum_head))
		return last_line(m, err);
	if (dr_sha256_add(m->in, m->line, m->len, err) == -1)
		return -1;
	hex = begins(m, hex_head);
	if (!hex && !begins(m, file_head)) {
		if (settle(m, false, err) == -1)
			return -1;
		return give(m, m->line, m->len, err);
	}
	n = m->len - 1;
	if (m->line[n - 1] == ',')
		n--;
	if (m->line[n - 1] != '}')
		return damaged(err);
	path = m->line + strlen(hex ? hex_head : file_head);
	if (left_out(m, path, m->len - (size_t)(path - m->line), hex))
		return 0;
	if (settle(m, true, err) == -1)
		return -1;
	m->owed = true;
	return give(m, m->line, n, err);
}

int
dr_bbmanifest_add(struct dr_bbmanifest *m, const void *buf, size_t len,
    struct dr_err *err)
{
	const char *p = buf, *end;
	size_t n;

	while (len > 0) {
		end = memchr(p, '\n', len);
		n = end != NULL ? (size_t)(end - p) + 1 : len;
		if (n > sizeof(m->line) - m->len)
			return damaged(err);
		memcpy(m->line + m->len, p, n);
		m->len += n;
		p += n;
		len -= n;
		if (end == NULL)
			break;
		if (line(m, err) == -1)
			return -1;
		m->len = 0;
	}
	return 0;
}

int
dr_bbmanifest_end(struct dr_bbmanifest *m, struct dr_err *err)
{
	return m->done && m->len == 0 ? 0 : damaged(err);
}

void
dr_bbmanifest_free(struct dr_bbmanifest *m)
{
	if (m == NULL)
		return;
	dr_sha256_free(m->in);
	dr_sha256_free(m->out);
	free(m);
}
