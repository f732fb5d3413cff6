#include "flow/spill.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

static struct dr_err e;

/* Byte I of the pattern. */
static unsigned char
at(uint64_t i)
{
	return (unsigned char)(i * 31 + (i >> 11));
}

struct seen {
	uint64_t n;
	bool same;
};

static int
look(void *arg, const void *p, size_t n, struct dr_err *err)
{
	const unsigned char *b = p;
	struct seen *s = arg;
	size_t i;

	(void)err;
	for (i = 0; i < n; i++)
		if (b[i] != at(s->n + i))
			s->same = false;
	s->n += n;
	return 0;
}

/* TOTAL bytes in pieces of STEP come back, and lie in a file or not. */
static bool
round_trip(uint64_t total, size_t step, bool file)
{
	struct dr_spill s = DR_SPILL_INIT;
	struct seen seen = { 0, true };
	unsigned char *piece = malloc(step);
	uint64_t done = 0;
	size_t i, n;
	bool good = piece != NULL;

	while (good && done < total) {
		n = total - done < step ? (size_t)(total - done) : step;
		for (i = 0; i < n; i++)
			piece[i] = at(done + i);
		good = dr_spill_add(&s, piece, n, &e) == 0;
		done += n;
	}
	good = good && s.size == total && (s.fd != -1) == file &&
	       dr_spill_read(&s, look, &seen, &e) == 0 && seen.n == total &&
	       seen.same;
	dr_spill_free(&s);
	free(piece);
	return good;
}

int
main(void)
{
	const size_t mem = DR_SPILL_MEMORY;

	OK(round_trip(0, 1, false), "nothing");
	OK(round_trip(1000, 7, false), "a little stays in memory");
	OK(round_trip(mem, 4096, false), "as does all that fits");
	OK(round_trip(mem + 1, 4096, true), "one byte more does not");
	OK(round_trip(5 * mem + 123, 32768, true), "much");
	OK(round_trip(3 * mem, 3 * mem, true), "much at once");
	setenv("TMPDIR", "/nonexistent/dir", 1);
	OK(!round_trip(mem + 1, 4096, true) && e.cause == DR_EFAIL &&
	        strstr(e.msg, "/nonexistent/dir") != NULL,
	    "where no file can be made, it says where");
	return DONE();
}
