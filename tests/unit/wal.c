/* Names, pages and histories of WAL. */
#include "pg/wal.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/walfile.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_err err;

static int
name(const char *s, struct dr_wal_file *f)
{
	dr_err_clear(&err);
	return dr_wal_name(s, f, &err);
}

static void
names(void)
{
	static const char *const bad[] = { "", "x", "00000001",
		"00000001000000000000000", "0000000100000000000000010",
		"00000001000000000000000a", "000000000000000000000001",
		"00000000.history", "0000000a.history", "00000001.histor",
		"00000001.history ", "000000010000000000000001.partia",
		"000000010000000000000001.partial.gz",
		"000000010000000000000001.0000002.backup",
		"000000010000000000000001.000000280.backup",
		"000000010000000000000001.0000002g.backup",
		"000000010000000000000001.00000028.backup.",
		"000000010000000000000001.", "../00000002.history" };
	struct dr_wal_file f;
	char out[DR_WAL_NAME_MAX];
	bool all = true;
	uint64_t lsn;

	OK(name("0000000A00000001000000FE", &f) == 0 &&
	        f.kind == DR_WAL_SEGMENT && f.tli == 10 && f.log == 1 &&
	        f.seg == 0xFE,
	    "a segment");
	OK(dr_wal_start(&f, 16U << 20, &lsn) && lsn == 0x1FE000000,
	    "where it begins");
	OK(strcmp(dr_wal_segment_at(10, 0x1FE000000, 16U << 20, out),
	       "0000000A00000001000000FE") == 0 &&
	        strcmp(dr_wal_segment_at(10, 0x1FEFFFFFF, 16U << 20, out),
	            "0000000A00000001000000FE") == 0 &&
	        strcmp(dr_wal_segment_at(10, 0x1FF000000, 16U << 20, out),
	            "0000000A00000001000000FF") == 0,
	    "and the reverse");
	OK(!dr_wal_start(&f, 64U << 20, &lsn),
	    "no such segment where they have 64 MiB");
	OK(strcmp(dr_wal_segment_at(1, 0x1FE000000, 1U << 20, out),
	       "000000010000000100000FE0") == 0 &&
	        name(out, &f) == 0 && dr_wal_start(&f, 1U << 20, &lsn) &&
	        lsn == 0x1FE000000,
	    "segments of 1 MiB");
	OK(strcmp(dr_wal_segment_at(1, 0x1FE000000, 1U << 30, out),
	       "000000010000000100000003") == 0 &&
	        name("000000010000000100000004", &f) == 0 &&
	        !dr_wal_start(&f, 1U << 30, &lsn),
	    "segments of 1 GiB: four of them to a log");
	OK(name("00000001FFFFFFFF000000FF.partial", &f) == 0 &&
	        f.kind == DR_WAL_PARTIAL && f.log == UINT32_MAX,
	    "a partial");
	OK(name("000000010000000000000002.00000028.backup", &f) == 0 &&
	        f.kind == DR_WAL_BACKUP && f.offset == 0x28,
	    "a backup's label");
	OK(name("0000001F.history", &f) == 0 && f.kind == DR_WAL_HISTORY &&
	        f.tli == 31 && !dr_wal_start(&f, 16U << 20, &lsn),
	    "a history");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (name(bad[i], &f) == 0 || err.cause != DR_EUSAGE) {
			printf("# taken: \"%s\"\n", bad[i]);
			all = false;
		}
	OK(all, "others are refused");
	OK(dr_wal_segsize_ok(1U << 20) && dr_wal_segsize_ok(1U << 30) &&
	        !dr_wal_segsize_ok(1U << 19) &&
	        !dr_wal_segsize_ok(UINT64_C(1) << 31) &&
	        !dr_wal_segsize_ok(3U << 20) && !dr_wal_segsize_ok(0),
	    "sizes of segments");
}

static void
put(unsigned char *p, uint64_t v, unsigned n, bool big)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * (big ? n - 1 - i : i));
}

static void
make_page(unsigned char p[40], bool big, uint16_t magic, uint32_t tli,
    uint64_t addr)
{
	memset(p, 0, 40);
	put(p, magic, 2, big);
	put(p + 2, 7, 2, big);
	put(p + 4, tli, 4, big);
	put(p + 8, addr, 8, big);
	put(p + 24, 7300000000000000001, 8, big);
	put(p + 32, 16U << 20, 4, big);
	put(p + 36, 8192, 4, big);
}

static void
pages(void)
{
	static const uint16_t magic[] = { 0xD106, 0xD10D, 0xD110, 0xD113,
		0xD116, 0xD118 };
	struct dr_wal_page w;
	struct dr_wal_file f;
	unsigned char p[40];
	bool good = true;

	for (unsigned i = 0; i < 12; i++) {
		make_page(p, i >= 6, magic[i % 6], 10, 0x1FE000000);
		dr_err_clear(&err);
		good = good && dr_wal_page(p, sizeof(p), &w, &err) == 0 &&
		       w.version == 13 + i % 6 && w.tli == 10 &&
		       w.addr == 0x1FE000000 && w.segsize == 16U << 20 &&
		       w.blcksz == 8192 && w.system_id == 7300000000000000001;
	}
	OK(good, "versions 13 to 18, in both byte orders");
	make_page(p, false, 0xD199, 10, 0x1FE000000);
	OK(dr_wal_page(p, sizeof(p), &w, &err) == 0 && w.version == 0,
	    "a version that is not known yet");
	OK(name("0000000A00000001000000FE", &f) == 0 &&
	        dr_wal_check(&f, &w, 7300000000000000001, NULL, &err) == 0 &&
	        dr_wal_check(&f, &w, 0, NULL, &err) == 0,
	    "fits its name");
	OK(dr_wal_check(&f, &w, 7, NULL, &err) == -1 && err.cause == DR_EDATA,
	    "not another cluster");
	OK(name("0000000A00000001000000FF", &f) == 0 &&
	        dr_wal_check(&f, &w, 0, NULL, &err) == -1,
	    "not another address");
	OK(name("0000000900000001000000FE", &f) == 0 &&
	        dr_wal_check(&f, &w, 0, NULL, &err) == -1,
	    "not a later timeline");
	OK(name("0000000B00000001000000FE", &f) == 0 &&
	        dr_wal_check(&f, &w, 0, NULL, &err) == 0,
	    "an earlier timeline, where no history is known");
	OK(dr_wal_page(p, 39, &w, &err) == -1, "39 bytes");
	p[2] = 5;
	OK(dr_wal_page(p, sizeof(p), &w, &err) == -1, "no long header");
	p[2] = 7;
	p[1] = 0;
	OK(dr_wal_page(p, sizeof(p), &w, &err) == -1, "no magic number");
	p[1] = 0xD1;
	put(p + 32, 3U << 20, 4, false);
	OK(dr_wal_page(p, sizeof(p), &w, &err) == -1, "an odd segment size");
}

static int
parse(const char *text, uint32_t tli, struct dr_history *h)
{
	dr_err_clear(&err);
	return dr_history_parse(text, strlen(text), tli, h, &err);
}

static void
histories(void)
{
	static const char *const bad[] = { "", "# only a comment\n", "x\n",
		"1\n", "1\t0/\n", "1\t0/1G\n", "1\t/1\n", "0\t0/1\n",
		"4294967296\t0/1\n", "1\t123456789/0\n", "1 0/0\n",
		"1\t0/5000\n1\t0/6000\n", "2\t0/5000\n1\t0/6000\n",
		"1\t0/5000\n2\t0/4000\n", "12\t0/5000\n", "13\t0/5000\n",
		"1:0/5000\n" };
	struct dr_history h;
	struct dr_wal_page w;
	struct dr_wal_file f;
	unsigned char p[40];
	bool all = true;

	OK(parse("1\t0/3000060\tno recovery target specified\n\n"
	         "2\t0/3000090\tbefore 2026-11-20 12:00:00+00\r\n"
	         "# and a comment\n"
	         "  9\t1/A0000000",
	       12, &h) == 0 &&
	        h.n == 3 && h.tli == 12,
	    "a history");
	OK(dr_history_at(&h, 0) == 1 && dr_history_at(&h, 0x300005F) == 1 &&
	        dr_history_at(&h, 0x3000060) == 2 &&
	        dr_history_at(&h, 0x3000090) == 9 &&
	        dr_history_at(&h, 0x19FFFFFFF) == 9 &&
	        dr_history_at(&h, 0x1A0000000) == 12,
	    "which timeline holds what");
	OK(dr_history_end(&h, 1) == 0x3000060 &&
	        dr_history_end(&h, 9) == 0x1A0000000 &&
	        dr_history_end(&h, 12) == UINT64_MAX &&
	        dr_history_end(&h, 3) == 0,
	    "where each ends");
	if (name("0000000C0000000000000003", &f) == -1)
		abort();
	make_page(p, false, 0xD110, 1, 0x3000000);
	OK(dr_wal_page(p, sizeof(p), &w, &err) == 0 &&
	        dr_wal_check(&f, &w, 0, &h, &err) == 0,
	    "the first segment begins with pages of an ancestor");
	make_page(p, false, 0xD110, 3, 0x3000000);
	OK(dr_wal_page(p, sizeof(p), &w, &err) == 0 &&
	        dr_wal_check(&f, &w, 0, &h, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "but not of another timeline");
	dr_err_clear(&err);
	if (name("0000000C0000000000000004", &f) == -1)
		abort();
	make_page(p, false, 0xD110, 1, 0x4000000);
	OK(dr_wal_page(p, sizeof(p), &w, &err) == 0 &&
	        dr_wal_check(&f, &w, 0, &h, &err) == -1,
	    "nor of an ancestor that had ended before");
	dr_history_free(&h);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i], 12, &h) == 0 || err.cause != DR_EDATA) {
			printf("# taken: \"%s\"\n", bad[i]);
			all = false;
			dr_history_free(&h);
		}
	OK(all, "others are refused");
}

static void
write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0)
		abort();
}

static int
open_file(const char *path, struct dr_walfile *w)
{
	dr_err_clear(&err);
	return dr_walfile_open(w, path, "main", 1, &err);
}

static void
files(void)
{
	unsigned char control[8192] = { 0 }, *seg = calloc(1, 16U << 20);
	static const char *const path = "pg_wal/0000000A0000000000000003";
	char absolute[64];
	struct dr_walfile w;
	uint64_t id = 0;

	tmp_enter();
	if (seg == NULL || mkdir("pg_wal", 0700) == -1 ||
	    mkdir("global", 0700) == -1)
		abort();
	make_page(seg, false, 0xD110, 10, 0x3000000);
	write_file(path, seg, 16U << 20);
	OK(dr_walfile_system(path, &id, &err) == 0, "no control file");
	OK(open_file(path, &w) == 0 && w.len == 16U << 20 &&
	        w.segsize == 16U << 20 &&
	        w.id.system_id == 7300000000000000001 &&
	        memcmp(w.data, seg, w.len) == 0,
	    "a segment is of the cluster that it names");
	dr_walfile_close(&w);
	write_file("pg_wal/0000000A.history", "9\t0/3000060\tx\n", 14);
	OK(open_file("pg_wal/0000000A.history", &w) == -1 &&
	        err.cause == DR_EFAIL,
	    "a history names none");
	put(control, 7300000000000000001, 8, false);
	put(control + 8, 1300, 4, false);
	write_file("global/pg_control", control, sizeof(control));
	OK(dr_walfile_system(path, &id, &err) == 1 && id == 7300000000000000001,
	    "the control file tells");
	OK(open_file("pg_wal/0000000A.history", &w) == 0 &&
	        w.id.system_id == id && w.segsize == 0,
	    "of a history, too");
	dr_walfile_close(&w);
	(void)snprintf(absolute, sizeof(absolute), "%s/%s", tmp_dir, path);
	OK(open_file(absolute, &w) == 0, "by an absolute path");
	dr_walfile_close(&w);
	if (chdir("pg_wal") == -1)
		abort();
	OK(open_file("0000000A0000000000000003", &w) == 0 &&
	        dr_walfile_system("0000000A0000000000000003", &id, &err) == 1,
	    "from within pg_wal");
	dr_walfile_close(&w);
	if (chdir("..") == -1)
		abort();
	put(control, 8, 8, false);
	write_file("global/pg_control", control, sizeof(control));
	OK(open_file(path, &w) == -1 && err.cause == DR_EDATA &&
	        strstr(err.msg, "another cluster") != NULL,
	    "a segment of another cluster");
	put(control + 8, 0, 4, false);
	write_file("global/pg_control", control, sizeof(control));
	OK(open_file(path, &w) == -1 && err.cause == DR_EDATA,
	    "a damaged control file");
	if (unlink("global/pg_control") == -1 ||
	    truncate(path, (16 << 20) - 1) == -1)
		abort();
	OK(open_file(path, &w) == -1 && err.cause == DR_EDATA, "truncated");
	OK(open_file("pg_wal/0000000A0000000000000004", &w) == -1 &&
	        err.cause == DR_EFAIL,
	    "absent");
	make_page(seg, false, 0xD110, 8, 0x3000000);
	write_file(path, seg, 16U << 20);
	OK(open_file(path, &w) == -1 && err.cause == DR_EDATA,
	    "of a timeline that its history does not know");
	make_page(seg, false, 0xD110, 9, 0x3000000);
	write_file(path, seg, 16U << 20);
	OK(open_file(path, &w) == 0, "of one that it does");
	dr_walfile_close(&w);
	tmp_leave();
	free(seg);
}

int
main(void)
{
	names();
	pages();
	histories();
	files();
	return DONE();
}
