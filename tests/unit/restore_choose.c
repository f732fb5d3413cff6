/* Which backup and which timelines a recovery takes, and what is refused. */
#include "flow/restore_choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

#define MIB  (UINT64_C(1) << 20)
#define SEG  (16 * MIB)
#define HOUR INT64_C(3600000000)

static struct dr_err err;
static struct dr_choice c;

/*
 * Timeline 1, left for 2 in the middle of segment 5, which was left for 3 in
 * segment 8.  Timeline 1 went on to segment 7.
 */
static const struct dr_candidate all[] = {
	{ "a", 1, 1 * SEG, 1 * SEG + 100, 1 * HOUR, true },
	{ "b", 1, 3 * SEG, 3 * SEG + 100, 3 * HOUR, true },
	{ "abandoned", 1, 6 * SEG, 6 * SEG + 100, 6 * HOUR, true },
	{ "c", 2, 7 * SEG, 7 * SEG + 100, 7 * HOUR, true },
};

static void
segments(struct dr_lines *l, uint32_t tli, uint64_t from, uint64_t to)
{
	struct dr_line *line = dr_lines_get(l, tli, &err);

	for (; from <= to; from++)
		if (line == NULL ||
		    dr_line_add(line, from * SEG, (from + 1) * SEG, from * SEG,
		        (int64_t)from * HOUR, &err) == -1)
			abort();
}

static void
history(struct dr_lines *l, uint32_t tli, const char *text)
{
	struct dr_line *line = dr_lines_get(l, tli, &err);

	if (line == NULL ||
	    dr_history_parse(text, strlen(text), tli, &line->h, &err) == -1)
		abort();
	line->known = true;
}

/* 5 * SEG + 8 MiB, 8 * SEG + 1 MiB */
#define TWO   "1\t0/5800000\tx\n"
#define THREE TWO "2\t0/8100000\tx\n"

static struct dr_lines
world(void)
{
	struct dr_lines l = { .segsize = SEG };

	segments(&l, 2, 5, 8);
	segments(&l, 1, 1, 7);
	segments(&l, 3, 8, 10);
	history(&l, 3, THREE);
	history(&l, 2, TWO);
	return l;
}

static int
choose(const struct dr_lines *l, enum dr_target_kind kind, uint64_t at,
    uint32_t timeline, long fixed)
{
	struct dr_target t = { .kind = kind,
		.time = (int64_t)at,
		.lsn = at,
		.timeline = timeline };

	dr_err_clear(&err);
	return dr_restore_choose(all, sizeof(all) / sizeof(all[0]), fixed, l,
	    &t, &c, &err);
}

static bool
takes(int rc, const char *id, uint32_t tli)
{
	if (rc == -1)
		printf("# %s\n", err.msg);
	else if (strcmp(all[c.backup].id, id) != 0 || c.tli != tli)
		printf("# %s on %u\n", all[c.backup].id, c.tli);
	return rc == 0 && strcmp(all[c.backup].id, id) == 0 && c.tli == tli;
}

static bool
refuses(int rc, const char *msg, const char *hint)
{
	if (rc == 0 || strstr(err.msg, msg) == NULL ||
	    strstr(err.hint, hint) == NULL)
		printf("# %d: %s (%s)\n", rc, err.msg, err.hint);
	return rc == -1 && err.cause == DR_EPARTIAL &&
	       strstr(err.msg, msg) != NULL && strstr(err.hint, hint) != NULL;
}

static void
targets(void)
{
	struct dr_lines l = world();

	OK(takes(choose(&l, DR_TARGET_LATEST, 0, 0, -1), "c", 3),
	    "the latest: the newest backup on the way");
	OK(c.archive && c.end == 11 * SEG && c.end_tli == 3 &&
	        c.end_time == 10 * HOUR && c.hole == 0,
	    "and the end of all WAL");
	OK(takes(choose(&l, DR_TARGET_LATEST, 0, 2, -1), "c", 2),
	    "an earlier timeline");
	OK(c.end == 9 * SEG && c.end_tli == 2, "ends where it ends");
	OK(takes(choose(&l, DR_TARGET_LATEST, 0, 1, -1), "abandoned", 1),
	    "an abandoned one, when asked for");
	OK(takes(choose(&l, DR_TARGET_XID, 0, 0, -1), "c", 3),
	    "a transaction: the newest");
	OK(takes(choose(&l, DR_TARGET_NAME, 0, 0, 0), "a", 3),
	    "a name, and the backup that was asked for");
	OK(takes(choose(&l, DR_TARGET_LSN, 4 * SEG, 0, -1), "b", 3),
	    "an LSN on the first timeline");
	OK(c.other == 0, "which is nowhere else");
	OK(takes(choose(&l, DR_TARGET_LSN, 3 * SEG + 100, 0, -1), "b", 3),
	    "just where a backup ended");
	OK(takes(choose(&l, DR_TARGET_LSN, 3 * SEG + 99, 0, -1), "a", 3),
	    "just before");
	OK(takes(choose(&l, DR_TARGET_LSN, 6 * SEG + 200, 0, -1), "b", 3) &&
	        c.other == 1,
	    "past a fork: no abandoned backup, and it tells of the other");
	OK(takes(choose(&l, DR_TARGET_LSN, 6 * SEG + 200, 1, -1), "abandoned",
	       1),
	    "unless its timeline is asked for");
	OK(takes(choose(&l, DR_TARGET_LSN, 10 * SEG, 0, -1), "c", 3),
	    "on the last timeline");
	OK(takes(choose(&l, DR_TARGET_TIME, 3 * HOUR, 0, -1), "b", 3),
	    "a time at which a backup stopped");
	OK(takes(choose(&l, DR_TARGET_TIME, 3 * HOUR - 1, 0, -1), "a", 3),
	    "just before");
	OK(takes(choose(&l, DR_TARGET_TIME, 6 * HOUR + 5, 0, -1), "b", 3),
	    "not the abandoned backup");
	OK(takes(choose(&l, DR_TARGET_TIME, 10 * HOUR, 0, -1), "c", 3),
	    "the last time there is");
	OK(takes(choose(&l, DR_TARGET_IMMEDIATE, 0, 0, 2), "abandoned", 1) &&
	        !c.archive,
	    "the end of a backup needs no WAL, and keeps its timeline");
	dr_lines_free(&l);
}

static void
refusals(void)
{
	struct dr_lines l = world();

	OK(refuses(choose(&l, DR_TARGET_LSN, 1 * SEG, 0, -1),
	       "before the end of the first backup", "-b a --immediate"),
	    "an LSN before the first backup");
	OK(refuses(choose(&l, DR_TARGET_TIME, HOUR - 1, 0, -1),
	       "before the end of the first backup", "-b a --immediate"),
	    "a time before it");
	OK(refuses(choose(&l, DR_TARGET_TIME, 2 * HOUR, 0, 1),
	       "before the end of backup b", "without -b an earlier"),
	    "a backup that is too late");
	OK(refuses(choose(&l, DR_TARGET_LSN, SEG, 0, 0),
	       "before the end of backup a", "--immediate"),
	    "and none is earlier");
	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 0, 2), "abandoned part",
	       "--timeline 1"),
	    "a backup on the abandoned part of a timeline");
	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 1, 3), "no ancestor",
	       "--timeline 2"),
	    "a backup of a later timeline");
	OK(refuses(choose(&l, DR_TARGET_LSN, 11 * SEG, 0, -1),
	       "does not reach LSN 0/B000000: it ends at 0/B000000 on "
	       "timeline 3",
	       "--latest"),
	    "an LSN at the end of the WAL");
	OK(refuses(choose(&l, DR_TARGET_TIME, 10 * HOUR + DR_TARGET_SLACK + 1,
	               0, -1),
	       "does not reach", "--latest"),
	    "a time after it");
	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 9, -1), "timeline 9",
	       "1, 2, 3"),
	    "an unknown timeline");
	dr_lines_free(&l);

	segments(&l, 1, 1, 9);
	segments(&l, 2, 5, 6);
	history(&l, 2, TWO);
	OK(refuses(choose(&l, DR_TARGET_LSN, 9 * SEG, 0, -1),
	       "lies on timeline 1, off the way to timeline 2", "--timeline 1"),
	    "an LSN on an abandoned timeline");
	dr_lines_free(&l);

	segments(&l, 1, 1, 7);
	history(&l, 2, TWO);
	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 0, 1),
	       "first segment of timeline 2", "--timeline 1"),
	    "nothing after a fork, and WAL that was abandoned");
	OK(takes(choose(&l, DR_TARGET_LSN, 5 * SEG, 0, -1), "b", 2),
	    "before the fork it does not matter");
	dr_lines_free(&l);
}

static void
holes(void)
{
	struct dr_lines l = { .segsize = SEG };
	struct dr_line *one;

	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 1, -1), "no WAL",
	       "--immediate"),
	    "no WAL at all");
	segments(&l, 1, 1, 3);
	segments(&l, 1, 5, 9);
	OK(refuses(choose(&l, DR_TARGET_LATEST, 0, 1, 1),
	       "from 0/4000000 to 0/5000000", "--target-lsn 0/3FFFFFF"),
	    "a hole before the end");
	OK(refuses(choose(&l, DR_TARGET_LSN, 5 * SEG + 5, 1, 1),
	       "from 0/4000000 to 0/5000000", "--target-lsn"),
	    "a hole before an LSN");
	OK(refuses(choose(&l, DR_TARGET_LSN, 4 * SEG + 5, 1, 1),
	       "from 0/4000000", "--target-lsn"),
	    "an LSN in the hole");
	OK(refuses(choose(&l, DR_TARGET_TIME, 5 * HOUR, 1, 1),
	       "from 0/4000000 to 0/5000000", "--target-lsn"),
	    "a hole before a time");
	OK(takes(choose(&l, DR_TARGET_LSN, 3 * SEG + 500, 1, -1), "b", 1),
	    "before the hole");
	OK(takes(choose(&l, DR_TARGET_LATEST, 0, 1, -1), "abandoned", 1),
	    "behind it");
	OK(takes(choose(&l, DR_TARGET_XID, 0, 1, 1), "b", 1) &&
	        c.hole == 5 * SEG,
	    "told of, where the target may be before it");
	one = dr_lines_get(&l, 1, &err);
	OK(one != NULL &&
	        dr_line_add(one, 4 * SEG, 4 * SEG + MIB, 4 * SEG, 0, &err) ==
	            0 &&
	        dr_line_add(one, 4 * SEG + MIB / 2, 5 * SEG, 4 * SEG, 0,
	            &err) == 0 &&
	        takes(choose(&l, DR_TARGET_LATEST, 0, 1, 1), "b", 1),
	    "increments close it");
	dr_lines_free(&l);

	/* A standby was promoted; its primary's last segment is a .partial. */
	segments(&l, 1, 1, 4);
	history(&l, 2, TWO);
	one = dr_lines_get(&l, 1, &err);
	OK(one != NULL && dr_line_partial(one, 5 * SEG, 8 * HOUR, &err) == 0 &&
	        dr_lines_partials(&l, &err) == 0 &&
	        takes(choose(&l, DR_TARGET_LATEST, 0, 0, 1), "b", 2) &&
	        c.end == 5 * SEG + 8 * MIB && c.end_tli == 1 &&
	        c.end_time == 8 * HOUR,
	    "a .partial counts up to the fork");
	dr_lines_free(&l);
}

static void
without_wal(void)
{
	struct dr_candidate b = { "n", 1, 2 * SEG, 2 * SEG + 100, HOUR, false };
	struct dr_target t = { .kind = DR_TARGET_IMMEDIATE };
	struct dr_lines l = { .segsize = SEG };

	segments(&l, 1, 1, 1);
	dr_err_clear(&err);
	OK(refuses(dr_restore_choose(&b, 1, 0, &l, &t, &c, &err),
	       "without its WAL", ""),
	    "a backup without WAL, and it is not in the store");
	segments(&l, 1, 2, 2);
	dr_err_clear(&err);
	OK(dr_restore_choose(&b, 1, 0, &l, &t, &c, &err) == 0 && c.archive,
	    "or it is");
	dr_lines_free(&l);
}

static void
latest(void)
{
	struct dr_lines l = world();

	OK(dr_lines_latest(&l, 1) == 3 && dr_lines_latest(&l, 3) == 3,
	    "the latest timeline");
	history(&l, 5, THREE);
	OK(dr_lines_latest(&l, 1) == 3, "a server stops at a missing one");
	OK(takes(choose(&l, DR_TARGET_LSN, 4 * SEG, 0, -1), "b", 5),
	    "and we do not");
	dr_lines_free(&l);
}

int
main(void)
{
	targets();
	refusals();
	holes();
	without_wal();
	latest();
	return DONE();
}
