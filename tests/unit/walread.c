#include "pg/walread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/num.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define PAGE 8192U
#define SEG  (1U << 20)

/* Two segments of a server's WAL, written record by record. */
static unsigned char wal[2 * SEG];
static uint64_t base = SEG; /* the LSN of wal[0] */
static uint64_t at, prev;

static void
page(uint64_t lsn, uint16_t info, uint32_t left)
{
	unsigned char *p = wal + (lsn - base);

	p[0] = 0x10;
	p[1] = 0xd1;
	p[2] = (unsigned char)(info | (lsn % SEG == 0 ? 2 : 0));
	dr_put32(p + 4, 1);
	dr_put64(p + 8, lsn);
	dr_put32(p + 16, left);
}

static uint64_t
header(uint64_t lsn)
{
	return lsn % SEG == 0 ? 40 : 24;
}

/* Put LEN bytes of record down; where it began. */
static uint64_t
put(uint8_t rmgr, uint8_t info, uint32_t xid, const void *data, uint32_t len)
{
	static unsigned char rec[3 * PAGE];
	uint32_t size = 24 + len, done = 0, n;
	uint64_t start;

	at = (at + 7) & ~7ULL;
	if (at % PAGE == 0) {
		page(at, 0, 0);
		at += header(at);
	}
	start = at;
	memset(rec, 0, sizeof(rec));
	dr_put32(rec, size);
	dr_put32(rec + 4, xid);
	dr_put64(rec + 8, prev);
	rec[16] = info;
	rec[17] = rmgr;
	memcpy(rec + 24, data, len);
	dr_put32(rec + 20, dr_crc32c(dr_crc32c(0, rec + 24, len), rec, 20));
	while (done < size) {
		if (at % PAGE == 0) {
			page(at, 1, size - done);
			at += header(at);
		}
		n = (uint32_t)(PAGE - at % PAGE);
		if (n > size - done)
			n = size - done;
		memcpy(wal + (at - base), rec + done, n);
		at += n;
		done += n;
	}
	prev = start;
	return start;
}

static void
save(uint32_t tli, uint64_t lsn)
{
	char name[DR_WAL_NAME_MAX], path[128];
	struct dr_err err = { 0 };

	dr_wal_segment_at(tli, lsn, SEG, name);
	(void)snprintf(path, sizeof(path), "%s/%s", tmp_dir, name);
	OK(dr_file_put(path, 0600, DR_FILE_REPLACE, wal + (lsn - base), SEG,
	       &err) == 0,
	    "a segment is there");
}

struct seen {
	unsigned records, commits;
	int64_t time;
	uint32_t xid;
	uint64_t end;
	bool shutdown;
	int rc;
};

static struct seen
look(const struct dr_history *h, uint64_t start)
{
	struct seen s = { .rc = -1 };
	struct dr_err err = { 0 };
	struct dr_walrec rec;
	struct dr_walread *r = dr_walread_new(tmp_dir, SEG, h, start, &err);
	int64_t time;

	while ((s.rc = dr_walread_next(r, &rec, &err)) == 1) {
		s.records++;
		s.end = rec.end;
		s.shutdown = dr_walread_shutdown(&rec);
		if (dr_walread_commit(r, &rec, &time)) {
			s.commits++;
			s.time = time;
			s.xid = rec.xid;
		}
	}
	dr_walread_free(r);
	return s;
}

int
main(void)
{
	struct dr_fork fork = { 1, 0 };
	struct dr_history one = { .tli = 1 }, two = { 2, 1, &fork };
	unsigned char commit[10] = { 255, 8 }, big[2 * PAGE];
	struct seen s;
	uint64_t start, mid, end, next;

	tmp_make();
	memset(big, 7, sizeof(big));
	big[0] = 254;
	dr_put32(big + 1, sizeof(big) - 5);
	dr_put64(commit + 2, 1000000);
	at = base;
	start = put(10, 0, 5, big, 100);
	put(1, 0, 5, commit, sizeof(commit));
	put(10, 0, 6, big, sizeof(big));
	mid = put(1, 0x80, 6, commit, sizeof(commit));
	put(0, 0x40, 0, "", 0);
	at += SEG - at % SEG;
	next = put(10, 0, 7, big, 50);
	put(1, 0x20, 7, commit, sizeof(commit));
	put(0, 0, 0, big, 90);
	end = (at + 7) & ~7ULL;
	save(1, base);
	save(1, base + SEG);

	s = look(&one, start);
	OK(s.rc == 0 && s.records == 8 && s.end == end && s.shutdown,
	    "all records, over pages and a switch, to the end");
	OK(s.commits == 2 && s.xid == 6 && s.time == 946684801000000LL,
	    "commits and when they were; an abort is none");
	s = look(&one, mid);
	OK(s.records == 5 && s.commits == 1, "from the middle");
	s = look(&one, base + SEG);
	OK(s.records == 3, "from the beginning of a segment");
	s = look(&one, base + 2 * SEG);
	OK(s.rc == 0 && s.records == 0, "there is none");

	/* The next timeline left within the second segment. */
	fork.end = next;
	OK(s.rc == 0 && look(&two, start).records == 8,
	    "an ancestor's segment, where the timeline has none");
	wal[next + 30 - base] ^= 1;
	save(2, base + SEG);
	s = look(&two, start);
	OK(s.rc == 0 && s.records == 5 && s.end == base + SEG,
	    "its own, where it has one; a bad CRC ends it");
	fork.end = base + SEG;
	s = look(&two, start);
	OK(s.records == 5, "the same where it left at its beginning");
	fork.end = base;
	OK(look(&two, start).records == 0, "not one from after it was left");
	wal[base + PAGE + 2 - base] = 0;
	save(1, base);
	s = look(&one, start);
	OK(s.rc == 0 && s.records == 2, "a page that does not go on with it");
	tmp_leave();
	return DONE();
}
