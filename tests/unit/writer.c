#include "flow/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define SIZE (1U << 20)

static unsigned char bytes[SIZE];

struct share {
	struct dr_wfile *file;
	unsigned from, step;
	int rc;
	struct dr_err err;
};

/* Every STEPth piece of 4096 bytes, the last first. */
static void *
pieces(void *arg)
{
	struct share *s = arg;

	for (unsigned i = SIZE / 4096; i-- > 0;)
		if (i % s->step == s->from && s->rc == 0)
			s->rc = dr_wfile_put(s->file, bytes + i * 4096U, 4096,
			    i * 4096U, &s->err);
	return NULL;
}

static bool
together(struct dr_place *p, const char *path, uint32_t crc, int *rc)
{
	struct dr_err err = { 0 };
	struct dr_writer *w = dr_writer_new(p, false, &err);
	struct dr_writer_member m = { '0', path, SIZE, true, crc };
	struct share s[3];
	pthread_t t[3];
	char *got;
	size_t len = 0;
	bool same = false;

	memset(s, 0, sizeof(s));
	*rc = 0;
	if (w == NULL || dr_writer_member(w, &m, &s[0].file, &err) == -1)
		return false;
	for (unsigned i = 0; i < 3; i++) {
		s[i].file = s[0].file;
		s[i].from = i;
		s[i].step = 3;
		pthread_create(&t[i], NULL, pieces, &s[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		if (s[i].rc == -1)
			*rc = (int)s[i].err.cause;
	}
	if (dr_writer_complete(w, &err) == -1)
		*rc = 1;
	got = dr_place_get(p, path, SIZE, &len, &err);
	same = got != NULL && len == SIZE && memcmp(got, bytes, SIZE) == 0;
	free(got);
	dr_writer_free(w);
	return same;
}

static int
refused(const char *path, char type)
{
	struct dr_writer_member m = { type, path, 0, false, 0 };
	struct dr_err err = { 0 };

	return dr_writer_allows(&m, &err) == -1 && err.cause == DR_EDATA;
}

static void
names(void)
{
	OK(refused("../x", '0') && refused("/x", '0') && refused("", '0') &&
	        refused("a/../b", '0') && refused("a//b", '0') &&
	        refused("a/./b", '0') && refused("./../x", '0'),
	    "paths that may not be written");
	OK(refused("a", '1') && refused("a", '2') && refused("a", '3') &&
	        refused("a", '6'),
	    "types that may not be");
	OK(!refused("a/b", '0') && !refused("./a", '0') &&
	        !refused("./", '5') && !refused("a/", '5') &&
	        !refused("a..b", '0'),
	    "and those that may");
}

static void
members(struct dr_place *p)
{
	struct dr_err err = { 0 };
	struct dr_writer *w = dr_writer_new(p, false, &err);
	struct dr_writer_member m = { '0', "global/pg_control", 3, false, 0 };
	struct dr_wfile *f;
	const void *kept;
	size_t len;
	char *got;

	OK(dr_writer_member(w, &m, &f, &err) == 0 && f != NULL &&
	        dr_wfile_put(f, "ab", 2, 0, &err) == 0,
	    "pg_control begins");
	OK(dr_writer_complete(w, &err) == -1 && err.cause == DR_EDATA,
	    "what has begun is not complete");
	dr_err_clear(&err);
	OK(dr_wfile_put(f, "c", 1, 2, &err) == 0 &&
	        dr_writer_complete(w, &err) == 0,
	    "pg_control ends");
	kept = dr_writer_kept(w, m.path, &len);
	OK(kept != NULL && len == 3 && memcmp(kept, "abc", 3) == 0,
	    "it is kept in memory");
	got = dr_place_get(p, m.path, 64, &len, &err);
	OK(got == NULL && errno == ENOENT, "and not written");
	dr_err_clear(&err);
	m.path = ".drtools/anything";
	OK(dr_writer_member(w, &m, &f, &err) == 0 && f == NULL,
	    ".drtools is left out");
	m.path = "standby.signal";
	OK(dr_writer_member(w, &m, &f, &err) == 0 && f == NULL,
	    "signal files too");
	m.path = "base/1/empty";
	m.size = 0;
	OK(dr_writer_member(w, &m, &f, &err) == 0 &&
	        dr_wfile_put(f, "", 0, 0, &err) == 0 &&
	        faccessat(p->fd, m.path, F_OK, 0) == 0,
	    "an empty file");
	m.size = 1;
	OK(dr_writer_member(w, &m, &f, &err) == 0 &&
	        dr_wfile_put(f, "x", 1, 0, &err) == -1 && err.cause == DR_EDATA,
	    "a file that is there already");
	dr_err_clear(&err);
	m.path = "base/1/more";
	OK(dr_writer_member(w, &m, &f, &err) == 0 &&
	        dr_wfile_put(f, "xy", 2, 0, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "more bytes than it has");
	dr_writer_free(w);
}

int
main(void)
{
	struct dr_place p = DR_PLACE_INIT;
	struct dr_err err = { 0 };
	char dir[4096];
	int rc;

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 2654435761U >> 13);
	tmp_make();
	snprintf(dir, sizeof(dir), "%s/d", tmp_dir);
	OK(dr_place_open(&p, dir, false, NULL, &err) == 0, "a place");
	OK(together(&p, "base/a", dr_crc32c(0, bytes, SIZE), &rc) && rc == 0,
	    "three threads write one file, backwards");
	OK(together(&p, "base/b", dr_crc32c(0, bytes, SIZE) ^ 1, &rc) &&
	        rc == DR_EDATA,
	    "a wrong CRC shows");
	names();
	members(&p);
	dr_place_close(&p);
	tmp_leave();
	return DONE();
}
