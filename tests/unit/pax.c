/* pax.c - headers, and the small tables of the archive code. */
#include "archive/pax.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/attrs.h"
#include "archive/ids.h"
#include "archive/links.h"
#include "archive/spool.h"
#include "tests/tap.h"

static void
test_record(void)
{
	struct dr_buf b = { .max = 1 << 20 };
	struct dr_err e = { 0 };
	char value[1000];
	size_t n, at, len, bad = 0;
	char *end;

	memset(value, 'v', sizeof(value));
	for (n = 0; n < sizeof(value); n++) {
		at = b.len;
		if (dr_pax_record(&b, "k", value, n, &e) == -1)
			bad++;
		len = strtoul(b.data + at, &end, 10);
		if (at + len != b.len || strncmp(end, " k=", 3) != 0 ||
		    b.data[b.len - 1] != '\n' ||
		    len != (size_t)(end - b.data) - at + 4 + n)
			bad++;
	}
	OK(bad == 0, "a record's length counts itself, for each length");
	dr_buf_free(&b);
}

static size_t made; /* bytes of the last header */

/* Read one header back by libarchive. */
static struct archive_entry *
back(const struct dr_pax *m, struct archive **a)
{
	struct dr_buf b = { .max = 4 << 20 };
	static char zeros[DR_TAR_END];
	struct archive_entry *entry = NULL, *copy = NULL;
	struct dr_err e = { 0 };

	*a = archive_read_new();
	if (dr_pax_header(&b, m, &e) == 0 && (made = b.len) > 0 &&
	    dr_buf_add(&b, zeros, sizeof(zeros), &e) == 0 &&
	    archive_read_support_format_tar(*a) == ARCHIVE_OK &&
	    archive_read_open_memory(*a, b.data, b.len) == ARCHIVE_OK &&
	    archive_read_next_header(*a, &entry) == ARCHIVE_OK)
		copy = archive_entry_clone(entry);
	else
		printf("# %s\n", archive_error_string(*a));
	dr_buf_free(&b);
	return copy;
}

static void
test_header(void)
{
	char path[300], link[200], name[64];
	struct dr_pax m = { .type = '2',
		.path = path,
		.link = link,
		.mode = 0777,
		.uid = UINT64_C(4000000000),
		.gid = 2097152,
		.uname = name,
		.gname = "g",
		.mtime = UINT64_C(9000000000),
		.mtime_nsec = 120000000 };
	struct archive_entry *entry;
	struct archive *a;

	memset(path, 'p', sizeof(path));
	path[299] = '\0';
	memset(link, 'l', sizeof(link));
	link[199] = '\0';
	memset(name, 'u', sizeof(name));
	name[40] = '\0';
	entry = back(&m, &a);
	OK(entry != NULL && strcmp(archive_entry_pathname(entry), path) == 0 &&
	        strcmp(archive_entry_symlink(entry), link) == 0,
	    "long names");
	OK(entry != NULL && archive_entry_uid(entry) == 4000000000 &&
	        archive_entry_gid(entry) == 2097152,
	    "large numbers");
	OK(entry != NULL && strcmp(archive_entry_uname(entry), name) == 0 &&
	        strcmp(archive_entry_gname(entry), "g") == 0,
	    "owners' names");
	OK(entry != NULL && archive_entry_mtime(entry) == 9000000000 &&
	        archive_entry_mtime_nsec(entry) == 120000000,
	    "a late time with a fraction");
	archive_entry_free(entry);
	archive_read_free(a);

	path[100] = link[100] = name[31] = '\0';
	m.uid = m.gid = 2097151;
	m.mtime = 0;
	m.mtime_nsec = 0;
	entry = back(&m, &a);
	OK(entry != NULL && strcmp(archive_entry_pathname(entry), path) == 0 &&
	        strcmp(archive_entry_symlink(entry), link) == 0 &&
	        strcmp(archive_entry_uname(entry), name) == 0 &&
	        archive_entry_uid(entry) == 2097151 && made == 512,
	    "what just fits");
	archive_entry_free(entry);
	archive_read_free(a);

	m.type = '0';
	m.link = NULL;
	m.mtime = -10;
	m.size = UINT64_C(8589934592);
	entry = back(&m, &a);
	OK(entry != NULL && archive_entry_mtime(entry) == -10 &&
	        archive_entry_size(entry) == 8589934592,
	    "an early time, and 8 GiB");
	archive_entry_free(entry);
	archive_read_free(a);
}

static void
test_spool(void)
{
	struct dr_err e = { 0 };
	struct dr_spool *s = dr_spool_new(&e);
	unsigned char b[5000];
	uint64_t i, n = 100000, bad = 0, v;

	for (i = 0; i < n; i++)
		if (dr_spool_add(s, &i, sizeof(i), &e) == -1)
			bad++;
	OK(bad == 0 && dr_spool_size(s) == n * sizeof(i), "bytes put aside");
	for (i = 0; i < n; i += 7)
		if (dr_spool_read(s, i * sizeof(v), &v, sizeof(v), &e) == -1 ||
		    v != i)
			bad++;
	for (i = 0; i + sizeof(b) <= n * sizeof(v); i += 4999)
		if (dr_spool_read(s, i, b, sizeof(b), &e) == -1 ||
		    b[i % 8 == 0 ? 0 : 8 - i % 8] !=
		        (unsigned char)((i + 7) / 8))
			bad++;
	OK(bad == 0, "are read again, wherever they lie");
	OK(dr_spool_read(s, n * sizeof(v) - 4, &v, sizeof(v), &e) == -1 &&
	        e.cause == DR_EFAIL,
	    "but not beyond their end");
	dr_spool_reset(s);
	v = 42;
	i = 0;
	OK(dr_spool_add(s, &v, sizeof(v), &e) == 0 &&
	        dr_spool_size(s) == sizeof(v) &&
	        dr_spool_read(s, 0, &i, sizeof(i), &e) == 0 && i == 42,
	    "and forgotten");
	dr_spool_free(s);
}

static void
test_links(void)
{
	struct dr_err e = { 0 };
	struct dr_links *t = dr_links_new(&e);
	const uint64_t n = 20000;
	const char *path;
	char name[32];
	uint64_t i, bad = 0;

	/* Inode i has 2 + i % 3 names; each third is complete at once. */
	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "n%llu",
		    (unsigned long long)i);
		if (dr_links_find(t, i % 5, i, &path, &e) != 0 ||
		    dr_links_add(t, i % 5, i, 2 + i % 3, name, &e) == -1)
			bad++;
		if (i % 3 == 0 && (dr_links_find(t, i % 5, i, &path, &e) != 1 ||
		                      strcmp(path, name) != 0))
			bad++;
	}
	OK(bad == 0, "files with several names are remembered");
	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "n%llu",
		    (unsigned long long)i);
		if (dr_links_find(t, i % 5, i, &path, &e) != (i % 3 != 0) ||
		    (i % 3 != 0 && strcmp(path, name) != 0))
			bad++;
		if (dr_links_find(t, 7, i, &path, &e) != 0)
			bad++;
	}
	OK(bad == 0, "until the last name was seen");
	for (i = 0; i < n; i++)
		if (dr_links_find(t, i % 5, i, &path, &e) != (i % 3 != 0))
			bad++;
	for (i = 0; i < n; i++)
		if (dr_links_find(t, i % 5, i, &path, &e) != (i % 3 == 2))
			bad++;
	OK(bad == 0, "each for itself");
	dr_links_free(t);
}

static void
test_acl(void)
{
	/* user::rwx, group:0:r-x, mask::-w- */
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255,
		255, 255, 8, 0, 5, 0, 1, 2, 3, 4, 16, 0, 2, 0, 255, 255, 255,
		255 };
	struct dr_buf b = { .max = 4096 };
	struct dr_err e = { 0 };
	struct dr_ids *ids = dr_ids_new(&e);
	unsigned char bad[sizeof(acl)];

	OK(dr_acl_text(acl, sizeof(acl), ids, &b, &e) == 0 &&
	        strcmp(b.data,
	            "user::rwx,group:67305985:r-x:67305985,mask::-w-") == 0,
	    "an ACL as text");
	OK(dr_acl_text(acl, sizeof(acl) - 1, ids, &b, &e) == -1,
	    "cut, it is none");
	memcpy(bad, acl, sizeof(acl));
	bad[0] = 3;
	OK(dr_acl_text(bad, sizeof(bad), ids, &b, &e) == -1,
	    "nor of another version");
	memcpy(bad, acl, sizeof(acl));
	bad[4] = 3;
	OK(dr_acl_text(bad, sizeof(bad), ids, &b, &e) == -1,
	    "nor with an unknown tag");
	dr_buf_free(&b);

	OK(dr_ids_user(ids, 0) != NULL &&
	        strcmp(dr_ids_user(ids, 0), "root") == 0 &&
	        strcmp(dr_ids_group(ids, 0), "root") == 0,
	    "names of numbers");
	OK(dr_ids_user(ids, 4000000) == NULL &&
	        strcmp(dr_ids_user(ids, 0), "root") == 0,
	    "that there may not be");
	OK(dr_ids_uid(ids, "root", 5) == 0 && dr_ids_gid(ids, "root", 5) == 0,
	    "numbers of names");
	OK(dr_ids_uid(ids, "no such user", 5) == 5 &&
	        dr_ids_gid(ids, NULL, 6) == 6,
	    "or the number given");
	dr_ids_free(ids);
}

int
main(void)
{
	test_record();
	test_header();
	test_spool();
	test_links();
	test_acl();
	return DONE();
}
