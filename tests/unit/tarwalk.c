#include "archive/tarwalk.h"

#include <stdlib.h>
#include <string.h>

#include "archive/tarhead.h"
#include "tests/tap.h"

/* What the walk said, as text: one line a member, its data's length last. */
struct log {
	struct dr_buf text;
	size_t data;
	bool fail;
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct log *l = arg;

	l->data = 0;
	if (l->fail)
		return dr_err_set(err, DR_EFAIL, "no more");
	return dr_buf_fmt(&l->text, err,
	    "%c %llu @%llu %o %lld %llu:%llu %s>%s", m->type,
	    (unsigned long long)m->size, (unsigned long long)m->offset, m->mode,
	    (long long)m->mtime, (unsigned long long)m->uid,
	    (unsigned long long)m->gid, m->path, m->link);
}

static int
on_data(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct log *l = arg;

	(void)p;
	l->data += len;
	return len > 0 ? 0 : dr_err_set(err, DR_EFAIL, "empty data");
}

static int
on_end(void *arg, struct dr_err *err)
{
	struct log *l = arg;

	return dr_buf_fmt(&l->text, err, " =%zu\n", l->data);
}

static const struct dr_tarwalk_ops ops = { on_member, on_data, on_end };

/* Walk over LEN bytes, STEP at a time; the log's text or NULL. */
static char *
walk(const char *p, size_t len, size_t step, struct dr_err *err)
{
	struct log l = { .text = { .max = 1 << 20 } };
	struct dr_tarwalk *t = dr_tarwalk_new(&ops, &l, err);
	int rc = dr_buf_str(&l.text, "", err);

	for (size_t at = 0; at < len && rc == 0; at += step)
		rc = dr_tarwalk_add(t, p + at,
		    len - at < step ? len - at : step, err);
	if (rc == 0)
		rc = dr_tarwalk_end(t, err);
	dr_tarwalk_free(t);
	if (rc == 0)
		return l.text.data;
	dr_buf_free(&l.text);
	return NULL;
}

static void
says(const struct dr_buf *tar, const char *want, const char *what)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 10000, 1 << 20 };
	struct dr_err err = { 0 };
	bool good = true;
	char *got;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		got = walk(tar->data, tar->len, steps[i], &err);
		if (got == NULL || strcmp(got, want) != 0) {
			printf("# step %zu: %s\n", steps[i],
			    got != NULL ? got : err.msg);
			good = false;
		}
		free(got);
	}
	OK(good, what);
}

static void
refuses(const struct dr_buf *tar, const char *why, const char *what)
{
	struct dr_err err = { 0 };
	char *got = walk(tar->data, tar->len, 1 << 20, &err);

	if (!OK(got == NULL && err.cause == DR_EDATA &&
	            strstr(err.msg, why) != NULL,
	        what))
		printf("# %s\n", got != NULL ? got : err.msg);
	free(got);
}

static void
zeros(struct dr_buf *tar, size_t n)
{
	struct dr_err err = { 0 };

	for (; n > 0; n--)
		dr_buf_add(tar, "", 1, &err);
}

/* A header as we write it, and SIZE bytes of data, padded. */
static void
put(struct dr_buf *tar, const struct dr_member *m)
{
	struct dr_err err = { 0 };

	if (dr_tar_header(tar, m, &err) == -1)
		printf("# %s\n", err.msg);
	zeros(tar, (size_t)m->size + dr_tar_pad(m->size));
}

/* Give the block at AT its checksum. */
static void
seal(struct dr_buf *tar, size_t at)
{
	unsigned char b[DR_TAR_BLOCK];

	memcpy(b, tar->data + at, sizeof(b));
	snprintf(tar->data + at + 148, 8, "%06o", dr_tar_sum(b));
	tar->data[at + 155] = ' ';
}

/* An extended header of TYPE with N bytes of data. */
static void
put_meta(struct dr_buf *tar, char type, const char *data, size_t n)
{
	struct dr_member m = { .type = type,
		.path = "meta",
		.link = "",
		.size = n };
	struct dr_err err = { 0 };

	if (dr_tar_header(tar, &m, &err) == -1 ||
	    dr_buf_add(tar, data, n, &err) == -1)
		printf("# %s\n", err.msg);
	zeros(tar, dr_tar_pad(n));
}

#define META(tar, type, text) put_meta(tar, type, text, sizeof(text) - 1)

static const struct dr_member plain = { .type = '0',
	.size = 3,
	.path = "f",
	.link = "",
	.mode = 0640,
	.mtime = 1700000000,
	.uid = 5,
	.gid = 6 };

static void
ours(void)
{
	struct dr_buf tar = { .max = 1 << 20 };
	char longer[300], cut[220], *want = NULL;
	struct dr_member m = plain;
	struct dr_err err = { 0 };

	zeros(&tar, 1024);
	says(&tar, "", "an empty tar");
	tar.len = 0;
	put(&tar, &m);
	m.type = '5';
	m.path = "dir/";
	m.size = 0;
	put(&tar, &m);
	m.type = '2';
	m.path = "l";
	m.link = "f";
	put(&tar, &m);
	OK(tar.len == 512 * 4, "ordinary members need no pax header");
	zeros(&tar, 1024);
	says(&tar,
	    "0 3 @0 640 1700000000 5:6 f> =3\n"
	    "5 0 @1024 640 1700000000 5:6 dir/> =0\n"
	    "2 0 @1536 640 1700000000 5:6 l>f =0\n",
	    "file, directory and link");
	zeros(&tar, 7000);
	says(&tar,
	    "0 3 @0 640 1700000000 5:6 f> =3\n"
	    "5 0 @1024 640 1700000000 5:6 dir/> =0\n"
	    "2 0 @1536 640 1700000000 5:6 l>f =0\n",
	    "any padding of zeros");
	tar.data[tar.len - 1] = 1;
	refuses(&tar, "after its end", "padding that is not zero");

	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memset(cut, 'c', sizeof(cut) - 1);
	cut[150] = '/';
	cut[sizeof(cut) - 1] = '\0';
	tar.len = 0;
	m = plain;
	m.path = cut;
	put(&tar, &m);
	OK(tar.len == 1024, "a path is cut where ustar allows it");
	m.path = longer;
	m.type = '1';
	m.link = longer;
	m.size = 0;
	put(&tar, &m);
	m = plain;
	m.mtime = -5;
	m.uid = UINT64_C(5000000000);
	put(&tar, &m);
	zeros(&tar, 1024);
	want = dr_fmt(&err,
	    "0 3 @0 640 1700000000 5:6 %s> =3\n"
	    "1 0 @1024 640 1700000000 5:6 %s>%s =0\n"
	    "0 3 @3072 640 -5 5000000000:6 f> =3\n",
	    cut, longer, longer);
	says(&tar, want, "what a ustar header cannot hold");
	free(want);
	dr_buf_free(&tar);
}

static void
sizes(void)
{
	struct dr_tarwalk *t;
	struct dr_buf tar = { .max = 1 << 20 };
	struct log l = { .text = { .max = 1 << 20 } };
	struct dr_member m = plain;
	static const char run[1 << 16];
	struct dr_err err = { 0 };
	uint64_t left;
	int rc;

	/* 9 GiB in a pax header, then in base-256: nothing is held. */
	m.size = left = UINT64_C(9) << 30;
	dr_tar_header(&tar, &m, &err);
	OK(tar.len == 1536, "a size above 8 GiB has a pax header");
	t = dr_tarwalk_new(&ops, &l, &err);
	rc = dr_tarwalk_add(t, tar.data, tar.len, &err);
	for (; left > 0 && rc == 0; left -= sizeof(run))
		rc = dr_tarwalk_add(t, run, sizeof(run), &err);
	if (rc == 0)
		rc = dr_tarwalk_add(t, run, 1024, &err);
	OK(rc == 0 && dr_tarwalk_end(t, &err) == 0 && l.data == m.size,
	    "and is walked over");
	dr_tarwalk_free(t);

	tar.len = 0;
	m = plain;
	put(&tar, &m);
	memcpy(tar.data + 124, "\200\0\0\0\0\0\0\0\0\0\0\003", 12);
	seal(&tar, 0);
	zeros(&tar, 1024);
	says(&tar, "0 3 @0 640 1700000000 5:6 f> =3\n", "a base-256 size");
	memcpy(tar.data + 124, "\200\0\0\100\0\0\0\0\0\0\0\003", 12);
	seal(&tar, 0);
	refuses(&tar, "size", "one that does not fit");
	memcpy(tar.data + 124,
	    "\377\377\377\377\377\377\377\377\377\377\377\377", 12);
	seal(&tar, 0);
	refuses(&tar, "size", "a negative one");
	memcpy(tar.data + 124, "00000000009\0", 12);
	seal(&tar, 0);
	refuses(&tar, "size", "a size that is not octal");
	memcpy(tar.data + 124, "       3 \0  ", 12);
	seal(&tar, 0);
	says(&tar, "0 3 @0 640 1700000000 5:6 f> =3\n", "blanks around it");
	dr_buf_free(&l.text);
	dr_buf_free(&tar);
}

static void
others(void)
{
	struct dr_buf tar = { .max = 4 << 20 };
	struct dr_member m = plain;

	/* Version 7: no magic, a directory by its slash. */
	put(&tar, &m);
	tar.data[156] = '\0';
	memset(tar.data + 257, 0, 255);
	seal(&tar, 0);
	m.path = "d/";
	m.size = 0;
	put(&tar, &m);
	tar.data[1024 + 156] = '\0';
	memset(tar.data + 1024 + 257, 0, 255);
	seal(&tar, 1024);
	zeros(&tar, 1024);
	says(&tar,
	    "0 3 @0 640 1700000000 5:6 f> =3\n"
	    "5 0 @1024 640 1700000000 5:6 d/> =0\n",
	    "a version 7 tar");

	tar.len = 0;
	m = plain;
	META(&tar, 'L', "a/long/name\0");
	META(&tar, 'K', "a target\0");
	m.type = '2';
	m.size = 0;
	put(&tar, &m);
	put(&tar, &plain);
	zeros(&tar, 1024);
	says(&tar,
	    "2 0 @0 640 1700000000 5:6 a/long/name>a target =0\n"
	    "0 3 @2560 640 1700000000 5:6 f> =3\n",
	    "GNU's long names, for one member");

	tar.len = 0;
	META(&tar, 'g', "10 gid=77\n");
	META(&tar, 'x', "13 path=p/q\n\n19 mtime=1234567.9\n10 size=5\n");
	m = plain;
	m.size = 5;
	put(&tar, &m);
	put(&tar, &plain);
	zeros(&tar, 1024);
	says(&tar,
	    "0 5 @0 640 1234567 5:77 p/q\n> =5\n"
	    "0 3 @3072 640 1700000000 5:77 f> =3\n",
	    "pax headers, local and global");

	tar.len = 0;
	META(&tar, 'x',
	    "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
	    "26 GNU.sparse.name=sparse\n31 GNU.sparse.realsize=1000000\n");
	put(&tar, &plain);
	zeros(&tar, 1024);
	says(&tar, "0 3 @0 640 1700000000 5:6 sparse> =3\n",
	    "a sparse file's recorded size counts");

	tar.len = 0;
	m = plain;
	m.type = 'S';
	m.size = 0;
	put(&tar, &m);
	tar.data[482] = 1;
	seal(&tar, 0);
	memcpy(tar.data + 124, "00000000003\0", 12);
	seal(&tar, 0);
	zeros(&tar, 512);
	tar.data[512 + 504] = 1;
	zeros(&tar, 512);
	zeros(&tar, 512); /* the data */
	zeros(&tar, 1024);
	says(&tar, "S 3 @0 640 1700000000 5:6 f> =3\n",
	    "an old GNU sparse file with two more blocks of map");

	tar.len = 0;
	m = plain;
	m.type = '1';
	put(&tar, &m);
	tar.len = 512;
	zeros(&tar, 1024);
	says(&tar, "1 0 @0 640 1700000000 5:6 f> =0\n",
	    "a hard link has no data, whatever its size");
	dr_buf_free(&tar);
}

static void
hostile(void)
{
	struct dr_buf tar = { .max = 4 << 20 };
	struct dr_err err = { 0 };
	bool good = true;
	char *big = calloc(1, 70000), *got;

	put(&tar, &plain);
	zeros(&tar, 1024);
	for (size_t n = 0; n < tar.len; n++) {
		dr_err_clear(&err);
		got = walk(tar.data, n, 4096, &err);
		good = good && got == NULL && err.cause == DR_EDATA;
		free(got);
	}
	OK(good, "every prefix is refused");
	good = true;
	for (size_t n = 0; n < 512; n++) {
		dr_err_clear(&err);
		tar.data[n] ^= 1;
		got = walk(tar.data, tar.len, 4096, &err);
		/* What ends the checksum's digits does not matter. */
		good = good &&
		       ((got == NULL && err.cause == DR_EDATA) || n == 155);
		free(got);
		tar.data[n] ^= 1;
	}
	OK(good, "every flipped bit of a header is refused");

	tar.len = 0;
	zeros(&tar, 512);
	put(&tar, &plain);
	zeros(&tar, 1024);
	refuses(&tar, "lone zero block", "a lone zero block");
	tar.len = 0;
	META(&tar, 'x', "11 path=a\n");
	zeros(&tar, 1024);
	refuses(&tar, "malformed", "a pax record of wrong length");
	tar.len = 0;
	META(&tar, 'x', "9 path=a\n");
	zeros(&tar, 1024);
	refuses(&tar, "ends it", "a pax header without a member");

	static const char *const bad[] = { "x path=a\n", "9 path=ab", "3 \n",
		"5 ==\n", "6 =ab\n", "4 a\n", "99999999999999999999 p=a\n",
		"09 path\n\n", "11 size=1x\n", "12 mtime=1.x\n", " 9 path=a\n",
		"29 size=99999999999999999999\n", "9" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		tar.len = 0;
		put_meta(&tar, 'x', bad[i], strlen(bad[i]));
		put(&tar, &plain);
		zeros(&tar, 1024);
		refuses(&tar, "pax header", "a bad pax header");
	}
	tar.len = 0;
	META(&tar, 'x', "10 path=\0\n");
	put(&tar, &plain);
	zeros(&tar, 1024);
	refuses(&tar, "NUL", "a path with a NUL");
	memset(big, 'b', 70000);
	tar.len = 0;
	put_meta(&tar, 'L', big, 65536);
	put(&tar, &plain);
	zeros(&tar, 1024);
	OK((got = walk(tar.data, tar.len, 9999, &err)) != NULL,
	    "a path of 64 KiB");
	free(got);
	tar.len = 0;
	put_meta(&tar, 'L', big, 65537);
	put(&tar, &plain);
	zeros(&tar, 1024);
	refuses(&tar, "longer than 64 KiB", "a path of one byte more");
	tar.len = 0;
	put_meta(&tar, 'x', big, 0);
	put(&tar, &plain);
	zeros(&tar, 1024);
	says(&tar, "0 3 @0 640 1700000000 5:6 f> =3\n", "an empty pax header");
	tar.len = 0;
	put(&tar, &(struct dr_member){ .type = 'x',
	              .path = "x",
	              .link = "",
	              .size = (1 << 20) + 1 });
	refuses(&tar, "over 1 MiB", "a pax header over 1 MiB");
	free(big);
	dr_buf_free(&tar);
}

static void
small(void)
{
	static const char *const safe[] = { "a", "a/b", "a//b", "a/", "...",
		"a/..b", "./a", "a..", "..a/b" };
	static const char *const not [] = { "", "/", "/a", "..", "../a", "a/..",
		"a/../b", "a//../b", "./..", "../" };
	struct log l = { .text = { .max = 1 << 20 }, .fail = true };
	struct dr_buf tar = { .max = 1 << 20 };
	struct dr_err err = { 0 };
	struct dr_member m = plain;
	struct dr_tarwalk *t;
	bool good = true;

	for (size_t i = 0; i < sizeof(safe) / sizeof(*safe); i++)
		good = good && dr_path_safe(safe[i]);
	OK(good, "safe paths");
	for (size_t i = 0; i < sizeof(not ) / sizeof(*not ); i++)
		good = good && !dr_path_safe(not [i]);
	OK(good, "unsafe paths");
	OK(dr_tar_pad(0) == 0 && dr_tar_pad(1) == 511 && dr_tar_pad(511) == 1 &&
	        dr_tar_pad(512) == 0 && dr_tar_pad(513) == 511,
	    "padding");
	put(&tar, &plain);
	t = dr_tarwalk_new(&ops, &l, &err);
	OK(dr_tarwalk_add(t, tar.data, tar.len, &err) == -1 &&
	        err.cause == DR_EFAIL,
	    "a failing callback ends the walk with its own cause");
	dr_tarwalk_free(t);
	dr_err_clear(&err);
	m.path = "";
	OK(dr_tar_header(&tar, &m, &err) == -1, "no member without a path");
	dr_buf_free(&tar);
	dr_buf_free(&l.text);
}

int
main(void)
{
	ours();
	sizes();
	others();
	hostile();
	small();
	return DONE();
}
