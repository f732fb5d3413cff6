/* The sealed files under tests/vectors/seal: valid-WHAT-LENGTH.* open to the
 * text below, invalid-WHY.* are refused as damaged, streamed and as blobs. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "crypt/seal.h"
#include "tests/tap.h"

#define DIR_ "tests/vectors/seal"
#define MAX  (1U << 20)

static struct dr_identities *ids;
static unsigned char got[MAX];

/* Byte I of the text of every vector. */
static unsigned char
text(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8) + (i >> 16));
}

static ssize_t
stream(const char *data, size_t len, struct dr_err *err)
{
	struct dr_source *mem, *s;
	ssize_t n;

	if ((mem = dr_source_mem(data, len, 0, err)) == NULL)
		abort();
	if ((s = dr_unseal_new(mem, ids, err)) == NULL) {
		dr_source_free(mem);
		return -1;
	}
	n = dr_source_fill(s, got, MAX, err);
	dr_source_free(s);
	return n;
}

static ssize_t
blob(const char *data, size_t len, struct dr_err *err)
{
	struct dr_blob *mem, *b;
	ssize_t n = -1;

	if ((mem = dr_blob_mem(data, len, err)) == NULL)
		abort();
	if ((b = dr_unseal_blob(mem, ids, err)) == NULL) {
		dr_blob_free(mem);
		return -1;
	}
	if (b->size <= MAX &&
	    dr_blob_pread(b, got, (size_t)b->size, 0, err) == 0)
		n = (ssize_t)b->size;
	dr_blob_free(b);
	return n;
}

static bool
right(ssize_t n, const char *name)
{
	const char *dash = strrchr(name, '-');

	if (dash == NULL || n != (ssize_t)strtol(dash + 1, NULL, 10))
		return false;
	for (size_t i = 0; i < (size_t)n; i++)
		if (got[i] != text(i))
			return false;
	return true;
}

static void
file(const char *name)
{
	struct dr_err err = { 0 }, err2 = { 0 };
	char *path, *data;
	size_t len;

	if (name[0] == '.')
		return;
	if ((path = dr_fmt(&err, DIR_ "/%s", name)) == NULL)
		abort();
	if ((data = dr_file_get(path, MAX, &len, &err)) == NULL)
		OK(false, path);
	else if (strncmp(name, "valid-", 6) == 0) {
		OK(right(stream(data, len, &err), name), name);
		OK(right(blob(data, len, &err), name), name);
	} else if (strncmp(name, "invalid-", 8) == 0) {
		OK(stream(data, len, &err) == -1 && err.cause == DR_EDATA,
		    name);
		OK(blob(data, len, &err2) == -1 && err2.cause == DR_EDATA,
		    name);
	}
	free(data);
	free(path);
}

int
main(void)
{
	struct dr_err err = { 0 };
	struct dirent *e;
	DIR *d;

	if ((ids = dr_identities_new(&err)) == NULL ||
	    (d = opendir(DIR_)) == NULL) {
		OK(false, "the vectors are there");
		return DONE();
	}
	OK(dr_identities_file(ids, DIR_ "/identity.txt", NULL, &err) == 0,
	    "their identity");
	while ((e = readdir(d)) != NULL)
		file(e->d_name);
	closedir(d);
	OK(tap_ran > 150, "all of them");
	dr_identities_free(ids);
	return DONE();
}
