/* walend.c - the last record of WAL, wherever it lies among pages. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "pg/node.h"
#include "tests/tap.h"

#define PAGE    8192U
#define SEGSIZE (1U << 20)
#define PAGES   4U

static unsigned char wal[PAGES * PAGE];
static uint64_t start; /* LSN of its first byte */
static uint64_t next;  /* where the next byte goes */

static uint32_t
header(uint64_t lsn)
{
	return lsn % SEGSIZE == 0 ? 40 : 24;
}

/* The header of the page at NEXT, of which REST bytes are an earlier record. */
static void
begin_page(uint32_t rest)
{
	unsigned char *p = wal + (next - start);

	memset(p, 0, 40);
	p[0] = 0x10;
	p[1] = 0xd1;
	p[2] =
	    (unsigned char)((rest > 0 ? 1 : 0) | (header(next) == 40 ? 2 : 0));
	dr_put32(p + 4, 1);
	dr_put64(p + 8, next);
	dr_put32(p + 16, rest);
	next += header(next);
}

/* A record of LEN bytes; INFO and RMID say of what. */
static void
put(uint32_t len, unsigned info, unsigned rmid)
{
	unsigned char record[2 * PAGE] = { 0 };
	uint32_t i, crc;

	if (next % PAGE == 0)
		begin_page(0);
	dr_put32(record, len);
	dr_put64(record + 8, next);
	record[16] = (unsigned char)info;
	record[17] = (unsigned char)rmid;
	for (i = 24; i < len; i++)
		record[i] = (unsigned char)(i * 7);
	crc = dr_crc32c(0, record + 24, len - 24);
	dr_put32(record + 20, dr_crc32c(crc, record, 20));
	for (i = 0; i < len; i++) {
		if (next % PAGE == 0)
			begin_page(len - i);
		wal[next++ - start] = record[i];
	}
	while (next % 8 != 0)
		wal[next++ - start] = 0;
}

/* Records up to GAP bytes before the end of the second page, then one. */
static void
fill(uint64_t from, uint32_t gap, uint32_t len, unsigned info, unsigned rmid)
{
	uint32_t left;

	start = next = from;
	memset(wal, 0, sizeof(wal));
	put(5000, 0x20, 10);
	put(4000, 0x20, 10); /* into the second */
	left = (uint32_t)(start + 2 * PAGE - gap - next);
	put(left, 0x20, 10);
	put(len, info, rmid);
}

static bool
seen(void)
{
	return dr_wal_ends_in_shutdown(wal, (size_t)(next - start), next,
	    SEGSIZE, PAGE);
}

/* The same with only the last two pages. */
static bool
seen_of_two(void)
{
	uint64_t from = (next - 1) / PAGE * PAGE - PAGE;

	return dr_wal_ends_in_shutdown(wal + (from - start),
	    (size_t)(next - from), next, SEGSIZE, PAGE);
}

static void
everywhere(uint64_t from, const char *where)
{
	bool all = true, two = true, other = false, online = false;
	bool less = false, more = false;
	uint32_t gap;
	char what[128];

	for (gap = 8; gap <= 240; gap += 8) {
		fill(from, gap, 114, 0, 0);
		all = all && seen();
		two = two && seen_of_two();
		next -= 8;
		less = less || seen();
		next += 16;
		more = more || seen();
		fill(from, gap, 114, 0x10, 0);
		online = online || seen();
		fill(from, gap, 114, 0, 10);
		other = other || seen();
		put(114, 0, 0);
		put(64, 0x20, 10);
		other = other || seen() || seen_of_two();
	}
	(void)snprintf(what, sizeof(what), "%s: seen", where);
	OK(all, what);
	(void)snprintf(what, sizeof(what), "%s: in its last two pages", where);
	OK(two, what);
	(void)snprintf(what, sizeof(what), "%s: not if it is cut short", where);
	OK(!less, what);
	(void)snprintf(what, sizeof(what), "%s: nor with more after it", where);
	OK(!more, what);
	(void)snprintf(what, sizeof(what), "%s: no other checkpoint", where);
	OK(!online, what);
	(void)snprintf(what, sizeof(what), "%s: no other record", where);
	OK(!other, what);
}

static void
damaged(uint32_t gap)
{
	uint64_t at;
	unsigned missed = 0;
	char what[80];

	fill(7 * SEGSIZE + 2 * PAGE, gap, 114, 0, 0);
	for (at = start + 2 * PAGE - gap; at < start + 2 * PAGE - gap + 114;
	     at++) {
		/* The header of a page is no part of it. */
		if (at >= start + 2 * PAGE)
			break;
		wal[at - start] ^= 0x40;
		missed += seen() ? 1 : 0;
		wal[at - start] ^= 0x40;
	}
	(void)snprintf(what, sizeof(what), "damage is seen, %u before", gap);
	OK(missed == 0 && seen(), what);
}

static void
nonsense(void)
{
	unsigned char junk[3 * PAGE];
	size_t i;
	bool any = false;
	uint64_t lsn = 5 * SEGSIZE;

	memset(junk, 0xff, sizeof(junk));
	for (i = 0; i < sizeof(junk); i += 777)
		any = any ||
		      dr_wal_ends_in_shutdown(junk, i, lsn + i, SEGSIZE, PAGE);
	OK(!any, "bytes that are no pages");
	memset(junk, 0, sizeof(junk));
	OK(!dr_wal_ends_in_shutdown(junk, 2 * PAGE, lsn + 2 * PAGE, SEGSIZE,
	       PAGE),
	    "zeros");
	OK(!dr_wal_ends_in_shutdown(junk, 0, lsn, SEGSIZE, PAGE), "nothing");
	OK(!dr_wal_ends_in_shutdown(junk, PAGE, 8, SEGSIZE, PAGE),
	    "more than there can be");
	fill(7 * SEGSIZE, 64, 114, 0, 0);
	OK(!dr_wal_ends_in_shutdown(wal, (size_t)(next - start), next + SEGSIZE,
	       SEGSIZE, PAGE),
	    "pages of another place");
	OK(!dr_wal_ends_in_shutdown(wal, (size_t)(next - start), next, SEGSIZE,
	       1000),
	    "a size that no page has");
}

int
main(void)
{
	everywhere(7 * SEGSIZE, "a segment's start");
	everywhere(7 * SEGSIZE + 2 * PAGE, "in its middle");
	everywhere(7 * SEGSIZE - 2 * PAGE, "at its end");
	damaged(200);
	damaged(64);
	damaged(8);
	nonsense();
	return DONE();
}
