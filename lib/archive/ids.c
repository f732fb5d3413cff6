/* ids.c - see ids.h. */
#include "archive/ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS       64U
#define NAME_LEN    64U
#define SCRATCH_MAX (1U << 20)

struct slot {
	enum { FREE, UNKNOWN, KNOWN } state;
	uint32_t id;
	char name[NAME_LEN];
};

struct dr_ids {
	struct slot by_id[2][SLOTS]; /* users, groups */
	struct slot by_name[2][SLOTS];
	char *scratch;
	size_t scratch_len;
};

struct dr_ids *
dr_ids_new(struct dr_err *e)
{
	struct dr_ids *t = calloc(1, sizeof(*t));

	if (t != NULL && (t->scratch = malloc(4096)) == NULL) {
		free(t);
		t = NULL;
	}
	if (t == NULL) {
		dr_err_sys(e, "cannot allocate memory");
		return NULL;
	}
	t->scratch_len = 4096;
	return t;
}

/*
 * Look one up, by NAME or, with NULL, by *ID.  A failure is the same as an
 * unknown one: numbers always do.
 */
static bool
look_up(struct dr_ids *t, bool group, const char *name, uint32_t *id,
    char out[NAME_LEN])
{
	struct passwd pw, *pwp = NULL;
	struct group gr, *grp = NULL;
	const char *found = NULL;
	char *p;
	int r;

	for (;;) {
		if (group && name != NULL)
			r = getgrnam_r(name, &gr, t->scratch, t->scratch_len,
			    &grp);
		else if (group)
			r = getgrgid_r(*id, &gr, t->scratch, t->scratch_len,
			    &grp);
		else if (name != NULL)
			r = getpwnam_r(name, &pw, t->scratch, t->scratch_len,
			    &pwp);
		else
			r = getpwuid_r(*id, &pw, t->scratch, t->scratch_len,
			    &pwp);
		if (r != ERANGE || t->scratch_len >= SCRATCH_MAX)
			break;
		p = realloc(t->scratch, t->scratch_len * 2);
		if (p == NULL)
			return false;
		t->scratch = p;
		t->scratch_len *= 2;
	}
	if (r != 0)
		return false;
	if (pwp != NULL) {
		found = pwp->pw_name;
		*id = pwp->pw_uid;
	} else if (grp != NULL) {
		found = grp->gr_name;
		*id = grp->gr_gid;
	}
	if (found == NULL || strlen(found) >= NAME_LEN)
		return false;
	(void)snprintf(out, NAME_LEN, "%s", found);
	return true;
}

static const char *
name_of(struct dr_ids *t, bool group, uint32_t id)
{
	struct slot *s = &t->by_id[group][id % SLOTS];

	if (s->state == FREE || s->id != id) {
		s->id = id;
		s->state =
		    look_up(t, group, NULL, &id, s->name) ? KNOWN : UNKNOWN;
	}
	return s->state == KNOWN ? s->name : NULL;
}

static uint32_t
id_of(struct dr_ids *t, bool group, const char *name, uint32_t fallback)
{
	struct slot *s;
	const char *p;
	char found[NAME_LEN];
	uint32_t h = 0;

	if (name == NULL || *name == '\0' || strlen(name) >= NAME_LEN)
		return fallback;
	for (p = name; *p != '\0'; p++)
		h = h * 31 + (unsigned char)*p;
	s = &t->by_name[group][h % SLOTS];
	if (s->state == FREE || strcmp(s->name, name) != 0) {
		(void)snprintf(s->name, sizeof(s->name), "%s", name);
		s->state =
		    look_up(t, group, name, &s->id, found) ? KNOWN : UNKNOWN;
	}
	return s->state == KNOWN ? s->id : fallback;
}

const char *
dr_ids_user(struct dr_ids *t, uid_t id)
{
	return name_of(t, false, id);
}

const char *
dr_ids_group(struct dr_ids *t, gid_t id)
{
	return name_of(t, true, id);
}

uid_t
dr_ids_uid(struct dr_ids *t, const char *name, uid_t fallback)
{
	return id_of(t, false, name, fallback);
}

gid_t
dr_ids_gid(struct dr_ids *t, const char *name, gid_t fallback)
{
	return id_of(t, true, name, fallback);
}

void
dr_ids_free(struct dr_ids *t)
{
	if (t == NULL)
		return;
	free(t->scratch);
	free(t);
}
