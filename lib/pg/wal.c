#include "pg/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#define HEX            "0123456789ABCDEF"
#define LONG_HEADER    0x0002U /* XLP_LONG_HEADER in xlp_info */
#define LONG_SIZE      40U
#define CONTROL_MIN    288U
#define CONTROL_FIRST  1000U
#define CONTROL_LAST   9999U
#define HISTORY_DEPTH  4096U
#define SEGSIZE_MIN    (1U << 20)
#define SEGSIZE_MAX    (1U << 30)
#define SUFFIX_PARTIAL ".partial"
#define SUFFIX_BACKUP  ".backup"
#define SUFFIX_HISTORY ".history"

/* --- names ----------------------------------------------------------------- */

/* 8 hex digits, as PostgreSQL writes them. */
static uint32_t
hex8(const char *s)
{
	uint32_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 4 | (uint32_t)(strchr(HEX, s[i]) - HEX);
	return v;
}

int
dr_wal_name(const char *name, struct dr_wal_file *f, struct dr_err *err)
{
	size_t digits = strspn(name, HEX);
	const char *rest = name + digits;

	memset(f, 0, sizeof(*f));
	if (digits == 8 && strcmp(rest, SUFFIX_HISTORY) == 0) {
		f->kind = DR_WAL_HISTORY;
	} else if (digits == 24) {
		f->log = hex8(name + 8);
		f->seg = hex8(name + 16);
		if (*rest == '\0')
			f->kind = DR_WAL_SEGMENT;
		else if (strcmp(rest, SUFFIX_PARTIAL) == 0)
			f->kind = DR_WAL_PARTIAL;
		else if (*rest == '.' && strspn(rest + 1, HEX) == 8 &&
		         strcmp(rest + 9, SUFFIX_BACKUP) == 0) {
			f->kind = DR_WAL_BACKUP;
			f->offset = hex8(rest + 1);
		} else
			goto bad;
	} else
		goto bad;
	if ((f->tli = hex8(name)) == 0)
		goto bad;
	return 0;

bad:
	return dr_err_set(err, DR_EUSAGE, "\"%.80s\" is no name of a WAL file",
	    name);
}

bool
dr_wal_segsize_ok(uint64_t n)
{
	return n >= SEGSIZE_MIN && n <= SEGSIZE_MAX && (n & (n - 1)) == 0;
}

bool
dr_wal_start(const struct dr_wal_file *f, uint32_t segsize, uint64_t *lsn)
{
	if (f->kind == DR_WAL_HISTORY || !dr_wal_segsize_ok(segsize) ||
	    f->seg >= (UINT64_C(1) << 32) / segsize)
		return false;
	*lsn = ((uint64_t)f->log << 32) + (uint64_t)f->seg * segsize;
	return true;
}

char *
dr_wal_segment_at(uint32_t tli, uint64_t lsn, uint32_t segsize,
    char out[DR_WAL_NAME_MAX])
{
	uint32_t in_log = (uint32_t)(lsn & UINT32_MAX);

	snprintf(out, DR_WAL_NAME_MAX, "%08X%08X%08X", tli,
	    (uint32_t)(lsn >> 32), in_log / segsize);
	return out;
}

/* --- pages ----------------------------------------------------------------- */

static uint64_t
get(const unsigned char *p, unsigned n, bool big)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * (big ? n - 1 - i : i);
	return v;
}

/* XLOG_PAGE_MAGIC of each release. */
static unsigned
version_of(uint16_t magic)
{
	static const struct {
		uint16_t magic;
		unsigned version;
	} known[] = {
		{ 0xD106, 13 },
		{ 0xD10D, 14 },
		{ 0xD110, 15 },
		{ 0xD113, 16 },
		{ 0xD116, 17 },
		{ 0xD118, 18 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].magic == magic)
			return known[i].version;
	return 0;
}

int
dr_wal_page(const void *page, size_t len, struct dr_wal_page *w,
    struct dr_err *err)
{
	const unsigned char *p = page;
	bool big;

	memset(w, 0, sizeof(*w));
	if (len < LONG_SIZE)
		return dr_err_set(err, DR_EDATA,
		    "not the start of a WAL segment: only %zu bytes", len);
	/* All magic numbers so far are 0xD0xx or 0xD1xx. */
	big = (p[0] & 0xfe) == 0xd0 && (p[1] & 0xfe) != 0xd0;
	w->magic = (uint16_t)get(p, 2, big);
	if ((w->magic & 0xfe00) != 0xd000)
		return dr_err_set(err, DR_EDATA,
		    "not the start of a WAL segment: its magic number is "
		    "%04X",
		    (unsigned)w->magic);
	w->version = version_of(w->magic);
	if ((get(p + 2, 2, big) & LONG_HEADER) == 0)
		return dr_err_set(err, DR_EDATA,
		    "not the start of a WAL segment: its first page has no "
		    "long header");
	w->tli = (uint32_t)get(p + 4, 4, big);
	w->addr = get(p + 8, 8, big);
	w->system_id = get(p + 24, 8, big);
	w->segsize = (uint32_t)get(p + 32, 4, big);
	w->blcksz = (uint32_t)get(p + 36, 4, big);
	if (!dr_wal_segsize_ok(w->segsize) || w->blcksz < 1024 ||
	    w->blcksz > 65536 || (w->blcksz & (w->blcksz - 1)) != 0 ||
	    w->tli == 0)
		return dr_err_set(err, DR_EDATA,
		    "not the start of a WAL segment: its header makes no "
		    "sense");
	return 0;
}

int
dr_wal_control(const void *control, size_t len, uint64_t *system_id,
    struct dr_err *err)
{
	const unsigned char *p = control;
	uint64_t version;
	bool big = false;

	/* The identifier, then the file's version: 1300, 1800 and so on. */
	if (len >= CONTROL_MIN)
		for (int i = 0; i < 2; i++, big = true) {
			version = get(p + 8, 4, big);
			if (version < CONTROL_FIRST || version > CONTROL_LAST)
				continue;
			*system_id = get(p, 8, big);
			if (*system_id != 0)
				return 0;
		}
	return dr_err_set(err, DR_EDATA, "not a control file of PostgreSQL");
}

static int
check_timeline(const struct dr_wal_file *file, const struct dr_wal_page *w,
    const struct dr_history *h, struct dr_err *err)
{
	uint64_t end;

	if (w->tli == file->tli)
		return 0;
	if (w->tli > file->tli)
		return dr_err_set(err, DR_EDATA,
		    "its first page is of timeline %u, later than its name's, "
		    "%u",
		    w->tli, file->tli);
	if (h == NULL)
		return 0;
	end = dr_history_end(h, w->tli);
	if (end == 0)
		return dr_err_set(err, DR_EDATA,
		    "its first page is of timeline %u, which is no ancestor "
		    "of timeline %u",
		    w->tli, file->tli);
	/* A page that an ancestor began after it was left. */
	if (w->addr > end)
		return dr_err_set(err, DR_EDATA,
		    "its first page is of timeline %u, which timeline %u had "
		    "left before",
		    w->tli, file->tli);
	return 0;
}

int
dr_wal_check(const struct dr_wal_file *file, const struct dr_wal_page *w,
    uint64_t system_id, const struct dr_history *h, struct dr_err *err)
{
	char got[DR_LSN_LEN], want[DR_LSN_LEN];
	uint64_t start;

	if (!dr_wal_start(file, w->segsize, &start))
		return dr_err_set(err, DR_EDATA,
		    "there is no segment of that name with segments of %u "
		    "bytes",
		    w->segsize);
	if (system_id != 0 && w->system_id != system_id)
		return dr_err_set(err, DR_EDATA,
		    "it is of another cluster: system identifier %llu, not "
		    "%llu",
		    (unsigned long long)w->system_id,
		    (unsigned long long)system_id);
	if (w->addr != start)
		return dr_err_set(err, DR_EDATA,
		    "its first page is that of %s, by its name it begins at "
		    "%s",
		    dr_format_lsn(w->addr, got), dr_format_lsn(start, want));
	return check_timeline(file, w, h, err);
}

/* --- histories ------------------------------------------------------------- */

void
dr_history_free(struct dr_history *h)
{
	free(h->v);
	memset(h, 0, sizeof(*h));
}

/* At most DIGITS digits of base 10 or 16 from *S on; false: none, or more. */
static bool
number(const char **s, const char *end, unsigned base, unsigned digits,
    uint64_t *out)
{
	unsigned n = 0, d;
	uint64_t v = 0;

	for (; *s < end; ++*s, n++) {
		if (**s >= '0' && **s <= '9')
			d = (unsigned)(**s - '0');
		else if (base == 16 && **s >= 'A' && **s <= 'F')
			d = (unsigned)(**s - 'A') + 10;
		else if (base == 16 && **s >= 'a' && **s <= 'f')
			d = (unsigned)(**s - 'a') + 10;
		else
			break;
		if (n == digits)
			return false;
		v = v * base + d;
	}
	*out = v;
	return n > 0;
}

static void
blanks(const char **s, const char *end)
{
	while (*s < end && (**s == ' ' || **s == '\t' || **s == '\r'))
		++*s;
}

/* "TLI<tab>X/Y<tab>reason": 1 and *F, 0 for a comment or blank line, -1. */
static int
history_line(const char *s, const char *end, struct dr_fork *f)
{
	uint64_t tli, hi, lo;

	blanks(&s, end);
	if (s == end || *s == '#')
		return 0;
	if (!number(&s, end, 10, 10, &tli) || tli == 0 || tli > UINT32_MAX ||
	    s == end || (*s != ' ' && *s != '\t'))
		return -1;
	blanks(&s, end);
	if (!number(&s, end, 16, 8, &hi) || s == end || *s++ != '/' ||
	    !number(&s, end, 16, 8, &lo))
		return -1;
	if (s < end && *s != ' ' && *s != '\t' && *s != '\r')
		return -1;
	f->tli = (uint32_t)tli;
	f->end = hi << 32 | lo;
	return 1;
}

int
dr_history_parse(const char *text, size_t len, uint32_t tli,
    struct dr_history *h, struct dr_err *err)
{
	const char *at = text, *end = text + len, *nl;
	struct dr_fork f = { 0, 0 }, *more;
	size_t cap = 0;
	unsigned n = 0;
	int rc;

	*h = (struct dr_history){ .tli = tli };
	for (; at < end; at = nl < end ? nl + 1 : end) {
		n++;
		if ((nl = memchr(at, '\n', (size_t)(end - at))) == NULL)
			nl = end;
		if ((rc = history_line(at, nl, &f)) == 0)
			continue;
		if (rc == -1 || f.end == 0 || h->n == HISTORY_DEPTH ||
		    (h->n > 0 && (f.tli <= h->v[h->n - 1].tli ||
		                     f.end < h->v[h->n - 1].end)))
			goto bad;
		if (h->n == cap) {
			cap = cap == 0 ? 8 : 2 * cap;
			more = reallocarray(h->v, cap, sizeof(*h->v));
			if (more == NULL) {
				dr_err_sys(err, "cannot allocate a history");
				goto fail;
			}
			h->v = more;
		}
		h->v[h->n++] = f;
	}
	if (h->n == 0 || h->v[h->n - 1].tli >= tli)
		goto bad;
	return 0;

bad:
	dr_err_set(err, DR_EDATA,
	    "the history of timeline %u is damaged in line %u", tli, n);
fail:
	dr_history_free(h);
	return -1;
}

uint32_t
dr_history_at(const struct dr_history *h, uint64_t lsn)
{
	for (size_t i = 0; i < h->n; i++)
		if (lsn < h->v[i].end)
			return h->v[i].tli;
	return h->tli;
}

uint64_t
dr_history_end(const struct dr_history *h, uint32_t tli)
{
	if (tli == h->tli)
		return UINT64_MAX;
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].tli == tli)
			return h->v[i].end;
	return 0;
}
