#include "store/dir_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

static void
forget(struct dr_dir_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	names->n = 0;
	names->more = false;
}

void
dr_dir_names_free(struct dr_dir_names *names)
{
	forget(names);
	free(names->v);
	memset(names, 0, sizeof(*names));
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Let V[I] sink to its place in a heap of N whose greatest is first. */
static void
sink(char **v, size_t n, size_t i)
{
	char *name = v[i];
	size_t k;

	while ((k = 2 * i + 1) < n) {
		if (k + 1 < n && strcmp(v[k + 1], v[k]) > 0)
			k++;
		if (strcmp(v[k], name) <= 0)
			break;
		v[i] = v[k];
		i = k;
	}
	v[i] = name;
}

/* Full: NAME takes the place of the greatest, if it comes before that. */
static int
replace(struct dr_dir_names *names, const char *name)
{
	char *copy;

	if (!names->more)
		for (size_t i = names->n / 2; i-- > 0;)
			sink(names->v, names->n, i);
	names->more = true;
	if (strcmp(name, names->v[0]) >= 0)
		return 0;
	if ((copy = strdup(name)) == NULL)
		return -1;
	free(names->v[0]);
	names->v[0] = copy;
	sink(names->v, names->n, 0);
	return 0;
}

static int
add(struct dr_dir_names *names, const char *name)
{
	char **v;
	size_t cap;

	if (names->n == DR_DIR_NAMES)
		return replace(names, name);
	if (names->n == names->cap) {
		cap = names->cap == 0 ? 64 : 2 * names->cap;
		if ((v = reallocarray(names->v, cap, sizeof(*v))) == NULL)
			return -1;
		names->v = v;
		names->cap = cap;
	}
	if ((names->v[names->n] = strdup(name)) == NULL)
		return -1;
	names->n++;
	return 0;
}

/* Does NAME, or else "NAME/", come after FROM, or begin it? */
static bool
is_wanted(const char *name, const char *from)
{
	size_t len;

	if (strcmp(name, from) > 0)
		return true;
	len = strlen(name);
	return strncmp(name, from, len) == 0 && from[len] != '\0' &&
	       from[len] <= '/';
}

int
dr_dir_names(struct dr_dir_names *names, int fd, const char *after,
    const char *from, const char *path, struct dr_err *err)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *last = NULL;
	struct dirent *e;
	DIR *dir = NULL;
	int rc = -1;

	if (again == -1 || (dir = fdopendir(again)) == NULL ||
	    (after != NULL && (last = strdup(after)) == NULL)) {
		dr_err_sys(err, "cannot read \"%s\"", path);
		goto out;
	}
	again = -1;    /* dir's now */
	forget(names); /* AFTER may have been one of them */
	for (;;) {
		errno = 0;
		if ((e = readdir(dir)) == NULL)
			break;
		/* Most often all but a few come before. */
		if ((from != NULL && !is_wanted(e->d_name, from)) ||
		    (last != NULL && strcmp(e->d_name, last) <= 0) ||
		    !dr_object_name_ok(e->d_name))
			continue;
		if (add(names, e->d_name) == -1)
			break;
	}
	if (errno != 0) {
		dr_err_sys(err, "cannot read \"%s\"", path);
		goto out;
	}
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	rc = 0;

out:
	if (dir != NULL)
		closedir(dir);
	else if (again != -1)
		close(again);
	free(last);
	return rc;
}
