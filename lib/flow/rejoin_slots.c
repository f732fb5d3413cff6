/*
 * Replication slots of a former primary.  Source:
 * src/include/replication/slot.h and slot.c of PostgreSQL 13 to 18.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "flow/delta.h"
#include "flow/rejoin_int.h"

#define STATE_MAX 65536U
#define MAGIC     0x1051CA1U
#define WORDS_MAX (1U << 20)

/* In pg_replslot/NAME/state. */
enum {
	AT_NAME = 16,
	AT_DATABASE = 80, /* 0: physical */
	AT_PERSISTENCY = 84,
	AT_SYNCED = 193, /* from 17 on */
	AT_FAILOVER = 194,
};

enum kind { GONE, LEFT, NOT_SYNCED };

static enum kind
kind_of(const struct dr_rejoin_run *run, const char *dir, struct dr_err *err)
{
	struct dr_err none = { 0 };
	enum kind kind = GONE;
	char *path, *p;
	size_t len = 0;

	if ((path = dr_fmt(err, "%s/state", dir)) == NULL)
		return GONE;
	p = dr_file_get(path, STATE_MAX, &len, &none);
	free(path);
	/* Others do not outlive a restart. */
	if (p != NULL && len > AT_PERSISTENCY + 4 && dr_get32(p) == MAGIC &&
	    dr_get32(p + AT_PERSISTENCY) == 0) {
		kind = LEFT;
		if (run->version >= 17 && len > AT_FAILOVER &&
		    dr_get32(p + AT_DATABASE) != 0 && p[AT_FAILOVER] != 0 &&
		    p[AT_SYNCED] == 0)
			kind = NOT_SYNCED;
	}
	free(p);
	return kind;
}

static int
word(struct dr_buf *out, const char *name, struct dr_err *err)
{
	return dr_buf_fmt(out, err, "%s%s", out->len > 0 ? " " : "", name);
}

/*
 * A standby refuses to sync a slot that it has already and did not sync, for
 * ever; without its directory there is no slot.
 */
static int
aside(struct dr_rejoin_run *run, const char *dir, const char *name,
    struct dr_err *err)
{
	char *to = dr_fmt(err, "%s/" DR_BEFORE "/%s/pg_replslot", run->pgdata,
	    run->stamp);
	char *path = NULL;
	int rc = -1;

	if (to != NULL && dr_mkdirs(to, 0700, err) == 0 &&
	    (path = dr_fmt(err, "%s/%s", to, name)) != NULL)
		rc = dr_rejoin_move(run, dir, path, err);
	free(path);
	free(to);
	return rc;
}

int
dr_rejoin_slots(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_buf gone = { .max = WORDS_MAX }, left = { .max = WORDS_MAX };
	char *top = dr_fmt(err, "%s/pg_replslot", run->pgdata), *path;
	const struct dirent *e;
	DIR *dir = NULL;
	int rc = -1;

	if (top == NULL)
		return -1;
	if ((dir = opendir(top)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", top);
		goto out;
	}
	rc = 0;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		enum kind kind;

		if (*e->d_name == '.')
			continue;
		if ((path = dr_fmt(err, "%s/%s", top, e->d_name)) == NULL) {
			rc = -1;
			break;
		}
		kind = kind_of(run, path, err);
		if (kind == NOT_SYNCED && !run->o->dry_run)
			rc = aside(run, path, e->d_name, err);
		if (rc == 0 && kind != GONE)
			rc = word(kind == LEFT ? &left : &gone, e->d_name, err);
		free(path);
	}
	run->r->slots_aside = gone.data;
	run->r->slots_left = left.data;

out:
	if (dir != NULL)
		closedir(dir);
	free(top);
	return rc;
}
