#include "flow/tally.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

static struct dr_tally_entry
entry(const char *path, uint64_t size, const unsigned char *sum)
{
	struct dr_tally_entry e = { path, size, 1, sum, 4 };

	return e;
}

/* Both lists, one backwards, all but SKIP of the second. */
static int
run(int n, int skip, int other)
{
	struct dr_err err = { 0 };
	struct dr_tally *t = dr_tally_new(&err);
	unsigned char sum[4] = { 1, 2, 3, 4 }, wrong[4] = { 1, 2, 3, 5 };
	char path[32];
	int where;

	for (int i = 0; i < n; i++) {
		struct dr_tally_entry e;

		snprintf(path, sizeof(path), "base/%d", i);
		e = entry(path, (uint64_t)i, sum);
		dr_tally_add(t, DR_TALLY_HAVE, &e);
	}
	for (int i = n; i-- > 0;) {
		struct dr_tally_entry e;

		snprintf(path, sizeof(path), "base/%d", i);
		e = entry(path, (uint64_t)i, i == other ? wrong : sum);
		if (i != skip)
			dr_tally_add(t, DR_TALLY_WANT, &e);
	}
	where = dr_tally_differs(t);
	if (skip != -1 || other != -1) {
		snprintf(path, sizeof(path), "base/%d",
		    skip != -1 ? skip : other);
		if (where != (int)dr_tally_bucket(t, path))
			where = -2;
	}
	dr_tally_free(t);
	return where;
}

int
main(void)
{
	static const unsigned char a[4] = { 1 }, b[4] = { 2 };
	struct dr_err err = { 0 };
	struct dr_tally *t;
	struct dr_tally_entry e;
	bool good = true;
	char path[32];

	OK(run(0, -1, -1) == -1, "nothing is the same as nothing");
	OK(run(5000, -1, -1) == -1, "the same list backwards");
	OK(run(5000, 17, -1) >= 0, "one missing shows, in its bucket");
	OK(run(5000, -1, 4999) >= 0, "a checksum shows, in its bucket");

	t = dr_tally_new(&err);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "pg_wal/%d", i);
		e = entry(path, 16, a);
		good = good && dr_tally_maybe(t, &e, &err) == 0;
	}
	OK(good, "what may be wanted");
	e = entry("pg_wal/999", 16, a);
	OK(dr_tally_wanted(t, &e), "is there");
	e = entry("pg_wal/999", 16, b);
	OK(!dr_tally_wanted(t, &e), "with its checksum");
	e = entry("pg_wal/1000", 16, a);
	OK(!dr_tally_wanted(t, &e), "and no other");
	OK(dr_tally_differs(t) == -1, "and changes no sum");
	dr_tally_free(t);
	return DONE();
}
