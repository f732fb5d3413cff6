#include "pg/bbmanifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "tests/tap.h"

#define HEAD "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": ["
#define TAIL                                                          \
	"\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": " \
	"\"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n"
#define FILE_LINE(path) "{ \"Path\": \"" path "\", \"Size\": 3 }"

static const char *const leave_out[] = { "standby.signal", "recovery.signal",
	".drtools/", NULL };

static struct dr_err e;

/* TEXT and the line with its checksum; the caller frees it. */
static char *
sealed(const char *text)
{
	char hex[DR_SHA256_HEX];

	if (dr_sha256_hex(text, strlen(text), hex, &e) == -1)
		abort();
	return dr_fmt(&e, "%s\"Manifest-Checksum\": \"%s\"}\n", text, hex);
}

static int
keep(void *arg, const void *p, size_t n, struct dr_err *err)
{
	return dr_buf_add(arg, p, n, err);
}

/* What comes out of IN in pieces of STEP; NULL when it is refused. */
static char *
filter(const char *in, size_t len, size_t step)
{
	struct dr_buf out = { .max = 1 << 20 };
	struct dr_bbmanifest *m;
	size_t at, n;
	bool good = true;

	memset(&e, 0, sizeof(e));
	if ((m = dr_bbmanifest_new(leave_out, keep, &out, &e)) == NULL)
		abort();
	for (at = 0; at < len && good; at += n) {
		n = len - at < step ? len - at : step;
		good = dr_bbmanifest_add(m, in + at, n, &e) == 0;
	}
	good = good && dr_bbmanifest_end(m, &e) == 0;
	dr_bbmanifest_free(m);
	if (!good) {
		dr_buf_free(&out);
		return NULL;
	}
	return out.data;
}

/* IN becomes WANT, in pieces of any size. */
static bool
becomes(const char *in, const char *want)
{
	char *i = sealed(in), *w = sealed(want), *got;
	size_t step;
	bool same = true;

	for (step = 1; step <= strlen(i) && same; step++) {
		got = filter(i, strlen(i), step);
		same = got != NULL && strcmp(got, w) == 0;
		free(got);
	}
	free(w);
	free(i);
	return same;
}

static bool
refused(const char *in, size_t len)
{
	char *got = filter(in, len, 7);
	bool is = got == NULL && e.cause == DR_EDATA;

	free(got);
	return is;
}

int
main(void)
{
	static char longer[2 * DR_BBMANIFEST_LINE];
	char *whole;
	size_t i, n;
	int bad;

#define A FILE_LINE("PG_VERSION")
#define B FILE_LINE("base/1/standby.signal")
#define S FILE_LINE("standby.signal")
#define R FILE_LINE("recovery.signal")
#define H "{ \"Encoded-Path\": \"2e6472746f6f6c732fff\", \"Size\": 3 }"
#define X "{ \"Encoded-Path\": \"ff\", \"Size\": 3 }"
	OK(becomes(HEAD "\n" A ",\n" B ",\n" X TAIL,
	       HEAD "\n" A ",\n" B ",\n" X TAIL),
	    "without such a file it passes unchanged");
	OK(becomes(HEAD "\n" S ",\n" A ",\n" B TAIL, HEAD "\n" A ",\n" B TAIL),
	    "the first file goes");
	OK(becomes(HEAD "\n" A ",\n" S ",\n" B TAIL, HEAD "\n" A ",\n" B TAIL),
	    "one in the middle goes");
	OK(becomes(HEAD "\n" A ",\n" B ",\n" S TAIL, HEAD "\n" A ",\n" B TAIL),
	    "the last goes, and the comma before it");
	OK(becomes(HEAD "\n" A ",\n" R ",\n" S TAIL, HEAD "\n" A TAIL),
	    "two at the end go");
	OK(becomes(HEAD "\n" S ",\n" X TAIL, HEAD "\n" X TAIL),
	    "a path in hexadecimal stays");
	OK(becomes(HEAD "\n" A ",\n" FILE_LINE(".drtools/report.json") TAIL,
	       HEAD "\n" A TAIL),
	    "so does all below a directory");
	OK(becomes(HEAD "\n" A ",\n" FILE_LINE(".drtools") TAIL,
	       HEAD "\n" A ",\n" FILE_LINE(".drtools") TAIL),
	    "but not a file of its name");
	OK(becomes(HEAD "\n" H ",\n" A TAIL, HEAD "\n" A TAIL),
	    "in hexadecimal, too");
	OK(becomes(HEAD TAIL, HEAD TAIL), "no files at all");

	whole = sealed(HEAD "\n" A ",\n" S ",\n" B TAIL);
	n = strlen(whole);
	for (bad = 0, i = 0; i < n; i++)
		bad += !refused(whole, i);
	OK(bad == 0, "no prefix is taken for a manifest");
	for (bad = 0, i = 0; i < n; i++) {
		whole[i] ^= 1;
		bad += !refused(whole, n);
		whole[i] ^= 1;
	}
	OK(bad == 0, "no flipped bit goes unseen");
	free(whole);

	whole = sealed(HEAD "\n" A TAIL);
	n = strlen(whole);
	whole = realloc(whole, n + 3);
	if (whole == NULL)
		abort();
	memcpy(whole + n, "x\n", 3);
	OK(refused(whole, n + 2), "nothing may follow the checksum");
	free(whole);
	memset(longer, 'x', sizeof(longer));
	OK(refused(longer, sizeof(longer)), "a line without end is refused");
	return DONE();
}
