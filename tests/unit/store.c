/* store.c - the directory store, and names of objects. */
#include "store/store.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "store/dir_names.h"
#include "tests/tap.h"

static struct dr_err err;
static char root[] = "/tmp/dr-store.XXXXXX";

static const char *
under(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

/* Files and directories below DIR, temporaries too. */
static size_t
entries(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
test_names(void)
{
	static const char *const good[] = { "a", "a/b/c", "A-b_c.d/0",
		"a..b/c." };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "../a", "a/../b", ".a", "a/.b", "a b", "a\n", "a\xff",
		"a\\b" };
	char longer[300];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		OK(dr_object_name_ok(good[i]), good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		OK(!dr_object_name_ok(bad[i]), "a bad name");
	memset(longer, 'a', sizeof(longer));
	longer[201] = '\0';
	OK(!dr_object_name_ok(longer), "a part of 201 bytes");
	longer[200] = '\0';
	OK(dr_object_name_ok(longer), "one of 200");
}

static void
test_urls(void)
{
	struct dr_store *s;
	char url[600];

	OK(dr_store_open("s9://x/y", NULL, &err) == NULL &&
	        err.cause == DR_EUSAGE && err.hint[0] != '\0',
	    "an unknown kind of store");
	dr_err_clear(&err);
	OK(dr_store_open("", NULL, &err) == NULL && err.cause == DR_EUSAGE,
	    "no name");
	dr_err_clear(&err);
	(void)snprintf(url, sizeof(url), "file:%s/", root);
	s = dr_store_open(url, NULL, &err);
	OK(s != NULL && strcmp(dr_store_url(s), root) == 0,
	    "file: and a path; its name is the path");
	dr_store_free(s);
	dr_store_free(NULL);
}

static bool
has(struct dr_store *s, const char *name, const char *text)
{
	char *data = NULL;
	size_t len = 0;
	int rc = dr_store_get_small(s, name, 100, &data, &len, &err);
	bool same =
	    rc == 1 && len == strlen(text) && memcmp(data, text, len) == 0;

	free(data);
	return same;
}

static void
test_put(struct dr_store *s)
{
	struct dr_object obj;
	struct dr_sink *sink;
	char *data;
	size_t len;

	sink = dr_store_put(s, "set/snap/a", &err);
	OK(sink != NULL, "begin a body");
	OK(dr_store_stat(s, "set/snap/a", &obj, &err) == 0,
	    "it has no name yet");
	OK(dr_sink_write(sink, "hello ", 6, &err) == 0 &&
	        dr_sink_write(sink, "there", 5, &err) == 0,
	    "write it");
	OK(entries(under("set/snap")) == 1 &&
	        dr_store_stat(s, "set/snap/a", &obj, &err) == 0,
	    "still none");
	OK(dr_sink_finish(sink, &err) == 0, "finish it");
	dr_sink_free(sink);
	OK(has(s, "set/snap/a", "hello there"), "there it is");
	OK(entries(under("set/snap")) == 1, "and nothing else");

	sink = dr_store_put(s, "set/snap/a", &err);
	OK(sink != NULL && dr_sink_write(sink, "other", 5, &err) == 0 &&
	        dr_sink_finish(sink, &err) == -1 && errno == EEXIST &&
	        err.cause == DR_EFAIL,
	    "a name that is taken");
	dr_err_clear(&err);
	dr_sink_free(sink);
	OK(has(s, "set/snap/a", "hello there") &&
	        entries(under("set/snap")) == 1,
	    "what it holds stays, and nothing is left over");

	sink = dr_store_put(s, "set/snap/b", &err);
	OK(sink != NULL && dr_sink_write(sink, "x", 1, &err) == 0,
	    "one that is given up");
	dr_sink_free(sink);
	OK(entries(under("set/snap")) == 1, "leaves nothing");

	OK(dr_store_put_small(s, "set/c", "", 0, NULL, &err) == DR_PUT_OK &&
	        has(s, "set/c", ""),
	    "an empty object");
	OK(dr_store_put_small(s, "set/c", "x", 1, NULL, &err) ==
	            DR_PUT_EXISTS &&
	        has(s, "set/c", ""),
	    "is not replaced either");
	dr_err_clear(&err);
	OK(dr_store_put_small(s, "../c", "x", 1, NULL, &err) == DR_PUT_FAILED &&
	        err.cause == DR_EFAIL,
	    "a bad name");
	dr_err_clear(&err);
	OK(dr_store_put_small(s, "set/c/d", "x", 1, NULL, &err) ==
	        DR_PUT_FAILED,
	    "below what is a file");
	dr_err_clear(&err);
	OK(dr_store_get_small(s, "set/snap/a", 10, &data, &len, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "more than may be read");
	dr_err_clear(&err);
}

struct held {
	struct dr_store *s;
	int asked, rc;
	bool named; /* when asked */
};

static int
held(void *arg, struct dr_err *why)
{
	struct held *h = arg;
	struct dr_object obj;

	h->asked++;
	h->named = dr_store_stat(h->s, "set/held/x", &obj, &err) != 0;
	return h->rc == 0 ? 0 : dr_err_set(why, DR_ERETRY, "not yet");
}

static void
test_before(struct dr_store *s)
{
	struct held h = { .s = s, .rc = -1 };
	struct dr_small v = { .store = s,
		.name = "set/held/x",
		.data = "data",
		.len = 4,
		.before = held,
		.arg = &h };

	OK(dr_store_puts(&v, 1, 0, 0, &err) == 0 && v.result == DR_PUT_FAILED &&
	        v.err.cause == DR_ERETRY && strcmp(v.err.msg, "not yet") == 0,
	    "what must come before did not");
	OK(h.asked == 1 && entries(under("set/held")) == 0,
	    "there is no object, nor a temporary");
	h.rc = 0;
	OK(dr_store_puts(&v, 1, 0, 0, &err) == 0 && v.result == DR_PUT_OK &&
	        h.asked == 2 && !h.named && has(s, "set/held/x", "data"),
	    "it did: then the object gets its name");
	OK(dr_store_puts(&v, 1, 0, 0, &err) == 0 && v.result == DR_PUT_EXISTS &&
	        entries(under("set/held")) == 1,
	    "which is taken then");
	(void)dr_store_delete(s, "set/held/x", &err);
	(void)rmdir(under("set/held"));
	dr_err_clear(&err);
}

static void
test_get(struct dr_store *s)
{
	struct dr_object obj = { NULL, 0, 0 };
	struct dr_blob *b;
	char text[6] = "";
	struct stat st;

	OK(dr_store_stat(s, "set/snap/a", &obj, &err) == 1 && obj.size == 11 &&
	        strcmp(obj.name, "set/snap/a") == 0 &&
	        stat(under("set/snap/a"), &st) == 0 &&
	        obj.mtime / 1000000 == st.st_mtim.tv_sec,
	    "what is known of an object");
	b = dr_store_get(s, "set/snap/a", &err);
	OK(b != NULL && b->size == 11 &&
	        dr_blob_pread(b, text, 5, 6, &err) == 0 &&
	        strcmp(text, "there") == 0,
	    "read in the middle");
	OK(dr_blob_pread(b, text, 5, 7, &err) == -1 && err.cause == DR_EDATA,
	    "but not beyond the end");
	dr_err_clear(&err);
	dr_blob_free(b);
	OK(dr_store_get(s, "set/snap/none", &err) == NULL &&
	        err.cause == DR_EDATA && strstr(err.msg, "missing") != NULL,
	    "one that is missing");
	dr_err_clear(&err);
	OK(dr_store_stat(s, "set/snap", &obj, &err) == 0,
	    "a directory is no object");
	OK(mkfifo(under("set/fifo"), 0600) == 0 &&
	        dr_store_get(s, "set/fifo", &err) == NULL &&
	        err.cause == DR_EDATA,
	    "nor is a fifo, which is not waited for");
	dr_err_clear(&err);
	(void)unlink(under("set/fifo"));
}

static int
note(void *arg, const struct dr_object *obj, struct dr_err *e)
{
	struct dr_buf *b = arg;

	return dr_buf_fmt(b, e, "%s ", obj->name);
}

static int
note_dir(void *arg, const char *name, struct dr_err *e)
{
	struct dr_buf *b = arg;

	return dr_buf_fmt(b, e, "%s ", name);
}

static int
refuse(void *arg, const struct dr_object *obj, struct dr_err *e)
{
	(void)arg;
	return dr_err_set(e, DR_EPARTIAL, "%s", obj->name);
}

static bool
lists(struct dr_store *s, const char *prefix, const char *want)
{
	struct dr_buf b = { .max = 4096 };
	bool good;

	good = dr_store_list(s, prefix, NULL, note, &b, &err) == 0 &&
	       strcmp(b.data == NULL ? "" : b.data, want) == 0;
	if (!good)
		printf("# got \"%s\" %s\n", b.data == NULL ? "" : b.data,
		    err.msg);
	dr_buf_free(&b);
	return good;
}

static void
test_list(struct dr_store *s)
{
	struct dr_buf b = { .max = 4096 };
	int fd;

	(void)dr_store_put_small(s, "set/snap/B", "", 0, NULL, &err);
	(void)dr_store_put_small(s, "set/snap/a-0", "", 0, NULL, &err);
	(void)dr_store_put_small(s, "other/x", "", 0, NULL, &err);
	if ((fd = open(under("set/snap/.a.0123.tmp"), O_CREAT | O_WRONLY,
	         0600)) != -1)
		close(fd);
	if ((fd = open(under("set/snap/no name"), O_CREAT | O_WRONLY, 0600)) !=
	    -1)
		close(fd);
	OK(symlink("nowhere", under("set/snap/link")) == 0, "a dead link");
	OK(lists(s, "set/snap/", "set/snap/B set/snap/a set/snap/a-0 "),
	    "objects in byte order, and no others");
	OK(lists(s, "", "other/x set/c set/snap/B set/snap/a set/snap/a-0 "),
	    "at any depth");
	OK(lists(s, "none/", ""), "none");
	OK(lists(s, "set/c/", ""), "none below a file");
	OK(dr_store_list(s, "", NULL, refuse, NULL, &err) == -1 &&
	        err.cause == DR_EPARTIAL,
	    "the callback may end it");
	dr_err_clear(&err);
	OK(dr_store_dirs(s, "", note_dir, &b, &err) == 0 &&
	        strcmp(b.data, "other set ") == 0,
	    "directories");
	dr_buf_free(&b);
}

/* More names than are held at once. */
#define MANY (DR_DIR_NAMES + 1000U)

struct order {
	char last[32];
	unsigned n;
};

static int
in_order(void *arg, const struct dr_object *o, struct dr_err *e)
{
	struct order *k = arg;

	(void)e;
	if (strcmp(k->last, o->name) >= 0)
		return -1;
	(void)snprintf(k->last, sizeof(k->last), "%s", o->name);
	k->n++;
	return 0;
}

static void
test_many(struct dr_store *s)
{
	struct order k = { .n = 0 };
	char path[1024];
	bool made = mkdir(under("many"), 0700) == 0;
	int fd;

	for (unsigned i = 0; made && i < MANY; i++) {
		/* 7919 is prime: each once, in no order. */
		(void)snprintf(path, sizeof(path), "%s/%06u", under("many"),
		    (unsigned)((uint64_t)i * 7919 % MANY));
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		made = fd != -1 && close(fd) == 0;
	}
	OK(made && dr_store_list(s, "many/", NULL, in_order, &k, &err) == 0 &&
	        k.n == MANY,
	    "a great many are listed in order, each once");
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "%s/%06u", under("many"), i);
		(void)unlink(path);
	}
	(void)rmdir(under("many"));
}

/* What a mount that goes away looks like. */
static void
test_vanish(struct dr_store *s)
{
	struct dr_sink *sink = dr_store_put(s, "set/v", &err);
	char away[64];

	(void)snprintf(away, sizeof(away), "%s.away", root);
	OK(sink != NULL && dr_sink_write(sink, "x", 1, &err) == 0 &&
	        rename(root, away) == 0,
	    "the store goes away in the middle");
	OK(dr_sink_finish(sink, &err) == -1 && err.cause == DR_EFAIL &&
	        strstr(err.msg, "gone") != NULL,
	    "which is noticed");
	dr_sink_free(sink);
	dr_err_clear(&err);
	OK(mkdir(root, 0700) == 0 &&
	        dr_store_put_small(s, "set/v", "x", 1, NULL, &err) ==
	            DR_PUT_FAILED &&
	        strstr(err.msg, "another directory") != NULL &&
	        entries(root) == 0,
	    "another directory in its place is not filled");
	dr_err_clear(&err);
	(void)rmdir(root);
	OK(rename(away, root) == 0 &&
	        dr_store_put_small(s, "set/v", "x", 1, NULL, &err) ==
	            DR_PUT_OK &&
	        entries(under("set")) == 3,
	    "back again, it works, and nothing was left over");
}

static void
test_missing(void)
{
	struct dr_store *s = dr_store_open(under("none"), NULL, &err);
	char *data;
	size_t len;

	OK(s != NULL, "a store that is not there can be named");
	OK(dr_store_put(s, "a", &err) == NULL && err.cause == DR_EFAIL &&
	        strstr(err.hint, "mkdir") != NULL &&
	        access(under("none"), F_OK) == -1,
	    "and is not made by a write");
	dr_err_clear(&err);
	OK(dr_store_list(s, "", NULL, note, NULL, &err) == -1,
	    "and is not an empty one");
	dr_err_clear(&err);
	OK(dr_store_get_small(s, "a", 9, &data, &len, &err) == -1,
	    "nor one without that object");
	dr_err_clear(&err);
	dr_store_free(s);
}

int
main(void)
{
	struct dr_store *s;
	char cmd[64];

	if (mkdtemp(root) == NULL)
		return 1;
	test_names();
	test_urls();
	test_missing();
	if ((s = dr_store_open(root, NULL, &err)) == NULL)
		return 1;
	test_put(s);
	test_before(s);
	test_get(s);
	test_list(s);
	test_many(s);
	test_vanish(s);
	dr_store_free(s);
	(void)snprintf(cmd, sizeof(cmd), "%s", root);
	if (fork() == 0) {
		execlp("rm", "rm", "-rf", cmd, (char *)NULL);
		_exit(127);
	}
	return DONE();
}
