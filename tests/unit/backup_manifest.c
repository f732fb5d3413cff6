#include "pg/backup_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "stream/pump.h"
#include "tests/tap.h"

/* A manifest with the files in ENTRIES, and its own checksum. */
static char *
make(const char *entries)
{
	struct dr_buf b = { .max = 1U << 20 };
	struct dr_err err = { 0 };
	char hex[DR_SHA256_HEX];

	dr_buf_fmt(&b, &err,
	    "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
	    "\"System-Identifier\": 7123456789012345678,\n"
	    "\"Files\": [%s],\n"
	    "\"WAL-Ranges\": [\n"
	    "{ \"Timeline\": 1, \"Start-LSN\": \"0/28\", \"End-LSN\": "
	    "\"0/100\" }\n],\n",
	    entries);
	dr_sha256_hex(b.data, b.len, hex, &err);
	dr_buf_fmt(&b, &err, "\"Manifest-Checksum\": \"%s\"}\n", hex);
	return b.data;
}

struct got {
	struct dr_buf paths;
	struct dr_bm_file last;
	unsigned n;
};

static int
take(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	struct got *g = arg;

	g->last = *f;
	g->n++;
	return dr_buf_fmt(&g->paths, err, "%s|", f->path);
}

/* Read TEXT in pieces of STEP bytes. */
static int
parse(const char *text, size_t len, size_t step, struct got *g,
    struct dr_bm_facts *facts, struct dr_err *err)
{
	struct dr_bm *bm;
	int rc = 0;

	memset(g, 0, sizeof(*g));
	g->paths.max = 1U << 20;
	memset(err, 0, sizeof(*err));
	if ((bm = dr_bm_new(take, g, err)) == NULL)
		return -1;
	for (size_t at = 0; at < len && rc == 0; at += step)
		rc = dr_bm_add(bm, text + at, len - at < step ? len - at : step,
		    err);
	if (rc == 0)
		rc = dr_bm_end(bm, facts, err);
	dr_bm_free(bm);
	return rc;
}

static const char two[] =
    "\n{ \"Path\": \"base/1/2\", \"Size\": 8192, \"Last-Modified\": "
    "\"2026-11-20 12:00:00 GMT\", \"Checksum-Algorithm\": \"CRC32C\", "
    "\"Checksum\": \"0a0b0c0d\" },\n"
    "{ \"Encoded-Path\": \"62ff\", \"Size\": 0, \"Last-Modified\": \"\" }\n";

static void
good(void)
{
	char *text = make(two);
	size_t len = strlen(text), step;
	struct dr_bm_facts facts;
	struct dr_err err;
	struct got g;
	bool same = true;

	OK(parse(text, len, len, &g, &facts, &err) == 0, "read whole");
	OK(facts.version == 2 && facts.files == 2 &&
	        facts.system_id == 7123456789012345678ULL,
	    "its facts");
	OK(strcmp(g.paths.data, "base/1/2|b\xff|") == 0, "its paths");
	OK(g.last.algo == DR_BM_NONE && g.last.sum_len == 0 &&
	        text[g.last.at] == '{' && text[g.last.end - 1] == '}',
	    "the last entry, and where it lies");
	dr_buf_free(&g.paths);
	for (step = 1; step < 70; step++) {
		if (parse(text, len, step, &g, &facts, &err) != 0 || g.n != 2)
			same = false;
		dr_buf_free(&g.paths);
	}
	OK(same, "read in pieces of 1 to 69 bytes");

	/* Every prefix is too short. */
	same = true;
	for (step = 0; step < len; step++) {
		if (parse(text, step, 4096, &g, &facts, &err) != -1 ||
		    err.cause != DR_EDATA)
			same = false;
		dr_buf_free(&g.paths);
	}
	OK(same, "no prefix is taken");
	/* And every changed byte shows. */
	same = true;
	for (step = 0; step < len; step++) {
		text[step] ^= 1;
		if (parse(text, len, 4096, &g, &facts, &err) != -1 ||
		    err.cause != DR_EDATA)
			same = false;
		text[step] ^= 1;
		dr_buf_free(&g.paths);
	}
	OK(same, "no flipped bit is taken");
	free(text);
}

static void
one(const char *entries, const char *message, const char *what)
{
	char *text = make(entries);
	struct dr_bm_facts facts;
	struct dr_err err;
	struct got g;

	OK(parse(text, strlen(text), 4096, &g, &facts, &err) == -1 &&
	        err.cause == DR_EDATA && strstr(err.msg, message) != NULL,
	    what);
	if (strstr(err.msg, message) == NULL)
		printf("# %s\n", err.msg);
	dr_buf_free(&g.paths);
	free(text);
}

#define E(rest) "{ \"Path\": \"x\", \"Size\": 1" rest " }"

static void
bad(void)
{
	one("{ \"Path\": \"x\" }", "lacks its path or size", "no size");
	one("{ \"Size\": 1 }", "lacks its path or size", "no path");
	one(E(", \"Size\": 2"), "stands twice", "a field twice");
	one(E(", \"Encoded-Path\": \"78\""), "stands twice", "two paths");
	one(E(", \"Colour\": \"red\""), "unknown field", "an unknown field");
	one(E(", \"Checksum-Algorithm\": \"MD5\""), "unknown checksum",
	    "an unknown algorithm");
	one(E(", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"0a\""),
	    "does not fit", "a short checksum");
	one(E(", \"Checksum\": \"0a0b0c0d\""), "does not fit",
	    "a checksum without algorithm");
	one("{ \"Path\": \"\", \"Size\": 1 }", "empty", "an empty path");
	one("{ \"Path\": \"a\\u0000b\", \"Size\": 1 }", "NUL", "a NUL");
	one("{ \"Path\": \"\\ud800x\", \"Size\": 1 }", "surrogate",
	    "half a surrogate pair");
	one("{ \"Path\": \"x\", \"Size\": 18446744073709551616 }", "too large",
	    "a huge size");
	one("{ \"Path\": \"x\", \"Size\": -1 }", "not the JSON",
	    "a negative size");
	one("{ \"Path\": \"x\", \"Size\": \"1\" }", "wrong kind",
	    "a size in quotes");
	one("{ \"Encoded-Path\": \"7\", \"Size\": 1 }", "not hex", "odd hex");
	one("[]", "array where none", "an array of arrays");
	one("{}, ", "lacks", "an empty entry");
	one(E() ",", "bracket where none", "a comma too many");
}

static void
rewrite(void)
{
	static const char map[] = "16384 /new\n", conf[] = "port = 1\n";
	const struct dr_bm_edit edit[] = { { "conf", conf, sizeof(conf) - 1 },
		{ "base/1/2", map, sizeof(map) - 1 } };
	char *text = make(two);
	struct dr_buf out = { .max = 1U << 20 };
	struct dr_bm_facts facts;
	struct dr_err err = { 0 };
	struct dr_sink *sink = dr_sink_buf(&out, &err);
	struct dr_blob *blob = dr_blob_mem(text, strlen(text), &err);
	struct got g;

	OK(dr_bm_rewrite(blob, edit, 2, sink, &err) == 0, "rewrite");
	OK(parse(out.data, out.len, 4096, &g, &facts, &err) == 0,
	    "what comes out is a manifest");
	OK(strcmp(g.paths.data, "base/1/2|b\xff|conf|") == 0,
	    "one replaced, one added");
	OK(g.last.algo == DR_BM_CRC32C && g.last.size == sizeof(conf) - 1,
	    "with the first one's algorithm");
	OK(strstr(out.data, "\"base/1/2\", \"Size\": 11,") != NULL,
	    "the new size");
	OK(facts.system_id == 7123456789012345678ULL, "the rest stays");
	dr_buf_free(&g.paths);
	dr_sink_free(sink);
	dr_buf_free(&out);
	sink = dr_sink_buf(&out, &err);
	OK(dr_bm_rewrite(blob, NULL, 0, sink, &err) == 0 &&
	        out.len == strlen(text) && memcmp(out.data, text, out.len) == 0,
	    "without edits nothing changes");
	dr_sink_free(sink);
	dr_buf_free(&out);
	dr_blob_free(blob);
	text[strlen(text) - 10] ^= 1;
	blob = dr_blob_mem(text, strlen(text), &err);
	sink = dr_sink_buf(&out, &err);
	OK(dr_bm_rewrite(blob, edit, 1, sink, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a damaged one is not rewritten");
	dr_sink_free(sink);
	dr_buf_free(&out);
	dr_blob_free(blob);
	free(text);
}

static void
sums(void)
{
	static const struct {
		enum dr_bm_algo algo;
		size_t len;
		unsigned char first;
	} want[] = { { DR_BM_NONE, 0, 0 }, { DR_BM_CRC32C, 4, 0x83 },
		{ DR_BM_SHA224, 28, 0x9b }, { DR_BM_SHA256, 32, 0x15 },
		{ DR_BM_SHA384, 48, 0xeb }, { DR_BM_SHA512, 64, 0xd9 } };
	unsigned char sum[DR_BM_SUM_MAX];
	struct dr_err err = { 0 };
	size_t len;

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct dr_bm_sum *s = dr_bm_sum_new(want[i].algo, &err);
		bool good = true;

		for (int twice = 0; twice < 2; twice++) {
			dr_bm_sum_add(s, "12345", 5, &err);
			dr_bm_sum_add(s, "6789", 4, &err);
			dr_bm_sum_end(s, sum, &len, &err);
			good = good && len == want[i].len &&
			       (len == 0 || sum[0] == want[i].first);
		}
		OK(good, "a checksum of 123456789, twice");
		dr_bm_sum_free(s);
	}
}

int
main(void)
{
	good();
	bad();
	rewrite();
	sums();
	return DONE();
}
