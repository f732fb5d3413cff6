/* ledger.c - ledgers: written, read, refused; and maps of WAL. */
#include "manifest/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tests/tap.h"

#define SIGNER "0123456789abcdef"
#define SHA    SIGNER SIGNER SIGNER SIGNER
#define NAME   "ledger-" SIGNER "-20261120T120000Z-0000000002.json"
#define PREV   "ledger-" SIGNER "-20261120T115900Z-0000000001.json"

static struct dr_err err;

static void
example(struct dr_ledger *l)
{
	memset(l, 0, sizeof(*l));
	(void)snprintf(l->set, sizeof(l->set), "main");
	memcpy(l->signer, SIGNER, sizeof(l->signer));
	l->system_id = 18446744073709551615U;
	l->tli = 10;
	l->n = 2;
	(void)dr_parse_time("2026-11-20T12:00:00.25Z", &l->time, &err);
	l->prev_name = strdup(PREV);
	memcpy(l->prev_sha256, SHA, sizeof(l->prev_sha256));
	(void)dr_ledger_add(l, "0000000A0000000000000003.zst.age", 42, SHA,
	    &err);
	(void)dr_ledger_add(l, "0000000A.history.zst.age", 7, SHA, &err);
	(void)dr_ledger_add_gap(l, "/back up/\"x\"", 0x3000000, 0xF04000000,
	    &err);
	(void)dr_ledger_add_gap(l, "", 1, 2, &err);
}

static bool
same(const struct dr_ledger *a, const struct dr_ledger *b)
{
	if (strcmp(a->set, b->set) != 0 || strcmp(a->signer, b->signer) != 0 ||
	    a->system_id != b->system_id || a->tli != b->tli || a->n != b->n ||
	    a->time != b->time || strcmp(a->prev_name, b->prev_name) != 0 ||
	    strcmp(a->prev_sha256, b->prev_sha256) != 0 ||
	    a->objects != b->objects || a->gaps != b->gaps)
		return false;
	for (size_t i = 0; i < a->objects; i++)
		if (strcmp(a->object[i].name, b->object[i].name) != 0 ||
		    a->object[i].size != b->object[i].size ||
		    strcmp(a->object[i].sha256, b->object[i].sha256) != 0)
			return false;
	for (size_t i = 0; i < a->gaps; i++)
		if (strcmp(a->gap[i].store, b->gap[i].store) != 0 ||
		    a->gap[i].from != b->gap[i].from ||
		    a->gap[i].to != b->gap[i].to || b->gap[i].tli != a->tli)
			return false;
	return true;
}

static void
test_write(struct dr_buf *out)
{
	struct dr_ledger l, back;
	char *name;

	example(&l);
	name = dr_ledger_name(&l, &err);
	OK(name != NULL && strcmp(name, NAME) == 0, "its name");
	memset(&back, 0, sizeof(back));
	OK(dr_ledger_name_parse(name, &back) == 1 && back.n == 2 &&
	        strcmp(back.signer, SIGNER) == 0 &&
	        back.time == l.time / 1000000 * 1000000,
	    "and back");
	OK(dr_ledger_write(&l, out, &err) == 0 && out->len > 0 &&
	        out->data[out->len - 1] == '\n' &&
	        memchr(out->data, '\n', out->len - 1) == NULL,
	    "it is one line");
	OK(dr_ledger_parse(out->data, out->len, NAME, &back, &err) == 0 &&
	        same(&l, &back),
	    "what is written is read");
	OK(strstr(out->data, "\"gaps\":[[\"/back up/\\\"x\\\"\",\"0/3000000\","
	                     "\"F/4000000\"]") != NULL,
	    "locations as PostgreSQL writes them");
	dr_ledger_wipe(&back);
	dr_ledger_wipe(&l);
	free(name);
	OK(dr_ledger_add(&l, "../x", 1, SHA, &err) == -1 &&
	        dr_ledger_add(&l, "x", 1, "abc", &err) == -1 &&
	        dr_ledger_add_gap(&l, "", 2, 2, &err) == -1 && l.objects == 0 &&
	        l.gaps == 0,
	    "what cannot stand in one is refused");
	dr_err_clear(&err);
}

static void
test_names(void)
{
	static const char *const bad[] = {
		"ledger-" SIGNER "-20261120T120000Z-0000000000.json",
		"ledger-" SIGNER "-20261120T120000Z-000000001.json",
		"ledger-" SIGNER "-20261120T120000Z-00000000011.json",
		"ledger-" SIGNER "-20261320T120000Z-0000000001.json",
		"ledger-" SIGNER "-20261120T12000aZ-0000000001.json",
		"ledger-" SIGNER "-20261120T120000Z-0000000001.jsox",
		"ledger-0123456789ABCDEF-20261120T120000Z-0000000001.json",
		"ledger-" SIGNER "-20261120T120000Z-+000000001.json",
		"ledger-" SIGNER "-20261120 120000Z-0000000001.json",
		"ledger-",
		"",
	};
	struct dr_ledger l = { .n = 77 };
	int n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		n += dr_ledger_name_parse(bad[i], &l) != 0;
	OK(n == 0 && l.n == 77, "names that are none");
}

/* TEXT with FROM replaced by TO must be refused as damaged. */
static void
refuse(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	struct dr_err why = { 0 };
	struct dr_ledger l;
	char *bad = NULL;
	int rc = 0;

	if (at != NULL)
		bad = dr_fmt(&why, "%.*s%s%s", (int)(at - text), text, to,
		    at + strlen(from));
	if (bad != NULL)
		rc = dr_ledger_parse(bad, strlen(bad), "x", &l, &why);
	OK(bad != NULL && rc == -1 && why.cause == DR_EDATA, to);
	free(bad);
}

static void
test_refused(const struct dr_buf *good)
{
	const char *t = good->data;
	struct dr_err why = { 0 };
	struct dr_ledger l;

	OK(dr_ledger_parse(t, good->len - 1, "x", &l, &why) == -1 &&
	        why.cause == DR_EDATA,
	    "cut off before the newline");
	refuse(t, "\"drtools\":1", "\"drtools\":2");
	refuse(t, "\"drtools\":1", "\"drtools\":\"1\"");
	refuse(t, "\"drtools\":1,", "\"drtools\":1,\"drtools\":1,");
	refuse(t, "\"set\":\"main\"", "\"set\":\"../main\"");
	refuse(t, "\"set\":\"main\"", "\"set\":null");
	refuse(t, "\"signer\":\"0", "\"signer\":\"A");
	refuse(t, "\"18446744073709551615\"", "\"18446744073709551616\"");
	refuse(t, "\"18446744073709551615\"", "\"018\"");
	refuse(t, "\"18446744073709551615\"", "18");
	refuse(t, "\"timeline\":10", "\"timeline\":0");
	refuse(t, "\"timeline\":10", "\"timeline\":4294967296");
	refuse(t, "\"n\":2", "\"n\":3");
	refuse(t, "\"n\":2", "\"n\":-2");
	refuse(t, "\"n\":2", "\"n\":2.0");
	refuse(t, "2026-11-20T12:00:00.25", "2026-11-20T12:00:00.2500000");
	refuse(t, "\"previous\":{", "\"previous\":null,\"x\":{");
	refuse(t, PREV, NAME);
	refuse(t, ",42,", ",-1,");
	refuse(t, ",42,", ",\"42\",");
	refuse(t, ",42,", ",42,1,");
	refuse(t, "\"0000000A00", "\"/000000A00");
	refuse(t, "\"0/3000000\"", "\"0/03000000\"");
	refuse(t, "\"0/3000000\"", "\"F/4000000\"");
	refuse(t, "\"objects\":[[", "\"objects\":[[[");
	refuse(t, "\"gaps\":", "\"gap\":");
}

static bool
map_is(const struct dr_walmap *m, const uint64_t *want, size_t n)
{
	if (m->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (m->v[i].from != want[2 * i] ||
		    m->v[i].to != want[2 * i + 1])
			return false;
	return true;
}

static void
test_map(void)
{
	const uint64_t three[] = { 10, 20, 30, 40, 50, 60 };
	const uint64_t two[] = { 10, 45, 50, 60 }, one[] = { 5, 70 };
	struct dr_walmap m = { NULL, 0 };
	bool seen[64], good = true;
	unsigned r = 1;

	OK(dr_walmap_reach(&m, 7) == 7, "nothing reaches nowhere");
	(void)dr_walmap_add(&m, 50, 60, &err);
	(void)dr_walmap_add(&m, 10, 20, &err);
	(void)dr_walmap_add(&m, 30, 40, &err);
	(void)dr_walmap_add(&m, 33, 33, &err);
	OK(map_is(&m, three, 3), "three ranges, in order");
	OK(dr_walmap_reach(&m, 9) == 9 && dr_walmap_reach(&m, 10) == 20 &&
	        dr_walmap_reach(&m, 20) == 20 &&
	        dr_walmap_reach(&m, 25) == 25 &&
	        dr_walmap_reach(&m, 31) == 40 && dr_walmap_reach(&m, 99) == 99,
	    "how far each reaches");
	(void)dr_walmap_add(&m, 20, 45, &err);
	OK(map_is(&m, two, 2), "what touches is joined");
	(void)dr_walmap_add(&m, 5, 70, &err);
	OK(map_is(&m, one, 1), "and what covers");
	dr_walmap_free(&m);

	/* Against the same on a bitmap. */
	for (int round = 0; round < 200 && good; round++) {
		memset(seen, 0, sizeof(seen));
		for (int k = 0; k < 12; k++) {
			uint64_t from = (r = r * 1103515245 + 12345) >> 16 & 63;
			uint64_t to = (r = r * 1103515245 + 12345) >> 16 & 63;

			(void)dr_walmap_add(&m, from, to, &err);
			for (uint64_t i = from; i < to; i++)
				seen[i] = true;
		}
		for (uint64_t i = 0; i < 64; i++) {
			uint64_t end = i;

			while (end < 64 && seen[end])
				end++;
			good &= dr_walmap_reach(&m, i) == end;
		}
		for (size_t i = 1; i < m.n; i++)
			good &= m.v[i - 1].to < m.v[i].from;
		dr_walmap_free(&m);
	}
	OK(good, "ranges in any order");
}

int
main(void)
{
	struct dr_buf out = { .max = DR_LEDGER_MAX };

	test_write(&out);
	test_names();
	test_refused(&out);
	test_map();
	dr_buf_free(&out);
	return DONE();
}
