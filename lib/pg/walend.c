/*
 * The last record of some WAL.  Records are found forwards only, from where
 * the header of a page says that the first one begins.
 *
 * Sources: src/include/access/xlogrecord.h, xlog_internal.h and
 * src/backend/access/transam/xlogreader.c of PostgreSQL 13 to 18.
 */
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "pg/node.h"

#define SHORT_HEADER  24U /* of a page */
#define LONG_HEADER   40U
#define CONTINUES     0x0001U /* XLP_FIRST_IS_CONTRECORD */
#define IS_LONG       0x0002U /* XLP_LONG_HEADER */
#define RECORD_HEADER 24U
#define CRC_AT        20U
#define INFO_AT       16U
#define RMID_AT       17U
#define LAST_MAX      1024U /* a shutdown checkpoint takes about 120 */

struct wal {
	const unsigned char *p;
	uint64_t start, end; /* LSNs of the bytes */
	uint32_t segsize, blcksz;
	bool big; /* the other byte order */
};

static uint32_t
get32(const struct wal *w, const unsigned char *p)
{
	if (w->big)
		return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		       (uint32_t)p[2] << 8 | p[3];
	return dr_get32(p);
}

static uint64_t
get64(const struct wal *w, const unsigned char *p)
{
	uint64_t a = get32(w, p), b = get32(w, p + 4);

	return w->big ? a << 32 | b : b << 32 | a;
}

static uint64_t
align(uint64_t v)
{
	return (v + 7) & ~UINT64_C(7);
}

static const unsigned char *
at(const struct wal *w, uint64_t lsn)
{
	return w->p + (lsn - w->start);
}

/*
 * The header of the page at LSN.  Its length, and how much of a record that
 * began before follows it; 0: that is no page.
 */
static uint32_t
page(struct wal *w, uint64_t lsn, uint32_t *rest)
{
	const unsigned char *p;
	uint32_t size = lsn % w->segsize == 0 ? LONG_HEADER : SHORT_HEADER;
	unsigned info;

	if (lsn + size > w->end)
		return 0;
	p = at(w, lsn);
	/* All magic numbers so far are 0xD1xx. */
	w->big = p[0] == 0xd1 && p[1] != 0xd1;
	if ((w->big ? p[0] : p[1]) != 0xd1 || get64(w, p + 8) != lsn)
		return 0;
	info = w->big ? p[3] : p[2];
	if (((info & IS_LONG) != 0) != (size == LONG_HEADER))
		return 0;
	*rest = (info & CONTINUES) != 0 ? get32(w, p + 16) : 0;
	return size;
}

/*
 * Take N bytes of a record from *LSN on into OUT (NULL: only pass over them),
 * leaving out the headers of pages.  False: they are not all there.
 */
static bool
take(struct wal *w, uint64_t *lsn, uint64_t n, unsigned char *out)
{
	uint64_t left, size;
	uint32_t rest;

	while (n > 0) {
		if (*lsn % w->blcksz == 0) {
			/* What is left of it has to be what is said there. */
			size = page(w, *lsn, &rest);
			if (size == 0 || rest != n)
				return false;
			*lsn += size;
		}
		left = w->blcksz - *lsn % w->blcksz;
		if (left > n)
			left = n;
		if (*lsn + left > w->end)
			return false;
		if (out != NULL) {
			memcpy(out, at(w, *lsn), left);
			out += left;
		}
		*lsn += left;
		n -= left;
	}
	return true;
}

/* A record of LEN bytes: is it that of a shutdown checkpoint? */
static bool
is_shutdown(const struct wal *w, const unsigned char *r, uint32_t len)
{
	uint32_t crc = dr_crc32c(0, r + RECORD_HEADER, len - RECORD_HEADER);

	/* RM_XLOG_ID, XLOG_CHECKPOINT_SHUTDOWN. */
	return dr_crc32c(crc, r, CRC_AT) == get32(w, r + CRC_AT) &&
	       r[RMID_AT] == 0 && (r[INFO_AT] & 0xf0) == 0;
}

/* Follow the records from LSN on to the one that ends with the WAL. */
static bool
follow(struct wal *w, uint64_t lsn)
{
	unsigned char record[LAST_MAX];
	uint32_t len, rest;

	while (lsn < w->end) {
		if (lsn % w->blcksz == 0) {
			len = page(w, lsn, &rest);
			if (len == 0 || rest != 0)
				return false;
			lsn += len;
		}
		/* Its length is never divided. */
		if (lsn + 4 > w->end)
			return false;
		len = get32(w, at(w, lsn));
		if (len < RECORD_HEADER ||
		    !take(w, &lsn, len, len <= LAST_MAX ? record : NULL))
			return false;
		lsn = align(lsn);
		if (lsn == align(w->end))
			return len <= LAST_MAX && is_shutdown(w, record, len);
	}
	return false;
}

bool
dr_wal_ends_in_shutdown(const void *buf, size_t len, uint64_t end,
    uint32_t segsize, uint32_t blcksz)
{
	struct wal w = { buf, end - len, end, segsize, blcksz, false };
	uint64_t lsn;
	uint32_t rest, size;

	if (len == 0 || len > end || blcksz < 1024 || blcksz > 65536 ||
	    (blcksz & (blcksz - 1)) != 0 || !dr_wal_segsize_ok(segsize) ||
	    w.start % blcksz != 0)
		return false;
	/* From the last page back to one where a record begins. */
	for (lsn = (end - 1) / blcksz * blcksz;; lsn -= blcksz) {
		if ((size = page(&w, lsn, &rest)) == 0)
			return false;
		if (align(lsn + size + rest) < end)
			return follow(&w, align(lsn + size + rest));
		if (lsn == w.start)
			return false;
	}
}
