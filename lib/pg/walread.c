#include "pg/walread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/num.h"

#define PAGE         8192U /* XLOG_BLCKSZ of every package there is */
#define SHORT_HEADER 24U
#define LONG_HEADER  40U
#define RECORD       24U /* SizeOfXLogRecord */
#define AT_CRC       20U
#define RECORD_MAX   (1020U << 20)

/* In xlp_info. */
#define IS_CONTRECORD 0x0001U
#define OVERWRITES    0x0008U

#define RM_XLOG          0U
#define RM_XACT          1U
#define XLOG_SHUTDOWN    0x00U
#define XLOG_SWITCH      0x40U
#define XACT_MASK        0x70U
#define XACT_COMMIT      0x00U
#define XACT_COMMIT_PREP 0x30U

#define EPOCH_2000 946684800000000LL

struct dr_walread {
	const struct dr_history *line;
	char *dir;
	uint32_t segsize;
	uint64_t at;      /* here the next record begins */
	uint64_t prev;    /* here the last one did; 0: none was read */
	uint64_t segment; /* that is open, by where it begins; UINT64_MAX */
	int fd;
	uint64_t page; /* that is in buf; UINT64_MAX */
	unsigned char buf[PAGE];
	unsigned char *rec;
	size_t cap;
};

struct dr_walread *
dr_walread_new(const char *dir, uint32_t segsize, const struct dr_history *line,
    uint64_t start, struct dr_err *err)
{
	struct dr_walread *r;

	if (!dr_wal_segsize_ok(segsize)) {
		dr_err_set(err, DR_EDATA, "no WAL segment has %u bytes",
		    segsize);
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		dr_err_sys(err, "cannot read WAL");
		return NULL;
	}
	r->fd = -1;
	r->segment = r->page = UINT64_MAX;
	r->line = line;
	r->segsize = segsize;
	r->at = start;
	if ((r->dir = dr_fmt(err, "%s", dir)) == NULL) {
		dr_walread_free(r);
		return NULL;
	}
	return r;
}

void
dr_walread_free(struct dr_walread *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		close(r->fd);
	free(r->dir);
	free(r->rec);
	free(r);
}

/* --- pages ----------------------------------------------------------------- */

static int
try_open(struct dr_walread *r, uint32_t tli, uint64_t lsn, struct dr_err *err)
{
	char name[DR_WAL_NAME_MAX], *path;

	dr_wal_segment_at(tli, lsn, r->segsize, name);
	if ((path = dr_fmt(err, "%s/%s", r->dir, name)) == NULL)
		return -1;
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (r->fd == -1 && errno != ENOENT)
		dr_err_sys(err, "cannot open \"%s\"", path);
	free(path);
	return err->cause == DR_OK ? r->fd != -1 : -1;
}

/* 1: the segment that holds LSN is open; 0: there is none; -1. */
static int
segment(struct dr_walread *r, uint64_t lsn, struct dr_err *err)
{
	uint64_t start = lsn - lsn % r->segsize, end = start + r->segsize;
	int rc;

	if (r->segment == start)
		return 1;
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	r->segment = UINT64_MAX;
	for (size_t i = r->line->n + 1; i-- > 0;) {
		uint32_t tli =
		    i == r->line->n ? r->line->tli : r->line->v[i].tli;

		/* It began after this segment, or ended before it. */
		if (i > 0 && r->line->v[i - 1].end >= end)
			continue;
		if (i < r->line->n && r->line->v[i].end <= start)
			break;
		if ((rc = try_open(r, tli, lsn, err)) == -1)
			return -1;
		if (rc == 1) {
			r->segment = start;
			return 1;
		}
	}
	return 0;
}

/* 1: the page that begins at LSN is in r->buf; 0: there is no such page. */
static int
page(struct dr_walread *r, uint64_t lsn, struct dr_err *err)
{
	ssize_t n;
	int rc;

	if (r->page == lsn)
		return 1;
	r->page = UINT64_MAX;
	if ((rc = segment(r, lsn, err)) != 1)
		return rc;
	do
		n = pread(r->fd, r->buf, PAGE, (off_t)(lsn % r->segsize));
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return dr_err_sys(err, "cannot read WAL");
	/* Of a segment that was used before the address is another. */
	if (n != PAGE || dr_get32(r->buf) == 0 || dr_get64(r->buf + 8) != lsn)
		return 0;
	r->page = lsn;
	return 1;
}

static unsigned
header(const struct dr_walread *r, uint64_t lsn)
{
	return lsn % r->segsize == 0 ? LONG_HEADER : SHORT_HEADER;
}

/* --- records --------------------------------------------------------------- */

static int
room(struct dr_walread *r, size_t n, struct dr_err *err)
{
	unsigned char *p;

	if (n <= r->cap)
		return 0;
	n = n < PAGE ? PAGE : n + n / 2;
	if ((p = realloc(r->rec, n)) == NULL)
		return dr_err_sys(err, "cannot read a record of WAL");
	r->rec = p;
	r->cap = n;
	return 0;
}

/*
 * The bytes of the record at r->at, *NEXT where they end.  1; 0: they are
 * not all there; 2: the record was given up, and another one begins at *NEXT.
 */
static int
gather(struct dr_walread *r, uint32_t *size, uint64_t *next, struct dr_err *err)
{
	uint64_t at = r->at;
	size_t have = 0, n;
	uint32_t total = 0;
	int rc;

	for (;;) {
		uint64_t start = at - at % PAGE;

		if ((rc = page(r, start, err)) != 1)
			return rc;
		if (have > 0) {
			if ((r->buf[2] & OVERWRITES) != 0) {
				*next = start;
				return 2;
			}
			if ((r->buf[2] & IS_CONTRECORD) == 0 ||
			    dr_get32(r->buf + 16) != total - have)
				return 0;
			at += header(r, start);
		} else {
			total = dr_get32(r->buf + at % PAGE);
			if (total < RECORD || total > RECORD_MAX)
				return 0;
			/* No larger than what is proved to be there. */
		}
		n = PAGE - at % PAGE;
		if (n > total - have)
			n = total - have;
		if (room(r, have + n, err) == -1)
			return -1;
		memcpy(r->rec + have, r->buf + at % PAGE, n);
		have += n;
		at += n;
		if (have == total)
			break;
	}
	*size = total;
	*next = (at + 7) & ~(uint64_t)7;
	return 1;
}

static bool
sound(const struct dr_walread *r, uint32_t size)
{
	uint32_t crc = dr_crc32c(0, r->rec + RECORD, size - RECORD);
	uint64_t prev = dr_get64(r->rec + 8);

	crc = dr_crc32c(crc, r->rec, AT_CRC);
	if (crc != dr_get32(r->rec + AT_CRC))
		return false;
	return r->prev == 0 ? prev < r->at : prev == r->prev;
}

int
dr_walread_next(struct dr_walread *r, struct dr_walrec *rec, struct dr_err *err)
{
	uint64_t next;
	uint32_t size;
	int rc;

	for (;;) {
		r->at = (r->at + 7) & ~(uint64_t)7;
		if (r->at % PAGE == 0)
			r->at += header(r, r->at);
		if ((rc = gather(r, &size, &next, err)) < 1)
			return rc;
		if (rc == 1)
			break;
		/* What follows names a record that nobody has any more. */
		r->at = next;
		r->prev = 0;
	}
	if (!sound(r, size))
		return 0;
	rec->at = r->prev = r->at;
	rec->size = size;
	rec->xid = dr_get32(r->rec + 4);
	rec->info = r->rec[16];
	rec->rmgr = r->rec[17];
	if (rec->rmgr == RM_XLOG && (rec->info & 0xf0) == XLOG_SWITCH &&
	    next % r->segsize != 0)
		next += r->segsize - next % r->segsize;
	rec->end = r->at = next;
	return 1;
}

/* The record's own data, which come last; NULL where there are none. */
static const unsigned char *
data(const struct dr_walread *r, uint32_t size, uint32_t *len)
{
	size_t at = RECORD;

	while (at + 2 <= size) {
		unsigned id = r->rec[at++];

		if (id == 255)
			*len = r->rec[at];
		else if (id == 254 && at + 4 <= size)
			*len = dr_get32(r->rec + at);
		else if (id == 253 || id == 252) {
			at += id == 253 ? 2 : 4;
			continue;
		} else
			break;
		return *len > size - at ? NULL : r->rec + size - *len;
	}
	return NULL;
}

bool
dr_walread_commit(const struct dr_walread *r, const struct dr_walrec *rec,
    int64_t *time)
{
	const unsigned char *p;
	unsigned op = rec->info & XACT_MASK;
	uint32_t len = 0;

	if (rec->rmgr != RM_XACT ||
	    (op != XACT_COMMIT && op != XACT_COMMIT_PREP))
		return false;
	p = data(r, rec->size, &len);
	*time = p == NULL || len < 8 ? 0 : (int64_t)dr_get64(p) + EPOCH_2000;
	return true;
}

bool
dr_walread_shutdown(const struct dr_walrec *rec)
{
	return rec->rmgr == RM_XLOG && (rec->info & 0xf0) == XLOG_SHUTDOWN;
}

const char *
dr_walread_rmgr(uint8_t rmgr)
{
	static const char *const names[] = { "XLOG", "Transaction", "Storage",
		"CLOG", "Database", "Tablespace", "MultiXact", "RelMap",
		"Standby", "Heap2", "Heap", "Btree", "Hash", "Gin", "Gist",
		"Sequence", "SPGist", "BRIN", "CommitTs", "ReplicationOrigin",
		"Generic", "LogicalMessage" };

	return rmgr < sizeof(names) / sizeof(names[0]) ? names[rmgr] : "custom";
}
