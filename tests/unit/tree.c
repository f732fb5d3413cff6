/* tree.c - file trees into a tar, and what becomes of files that change. */
#include "archive/tree.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/tarwalk.h"
#include "flow/snap_files.h"
#include "stream/pump.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define BIG (3U << 20)

/* What the tar holds, as lines "TYPE SIZE MODE PATH>LINK". */
struct seen {
	struct dr_buf lines, data;
	char want[256]; /* keep this member's data */
	bool keep;
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *e)
{
	struct seen *s = arg;

	s->keep = strcmp(m->path, s->want) == 0;
	return dr_buf_fmt(&s->lines, e, "%c %llu %o %s>%s\n", m->type,
	    (unsigned long long)m->size, m->mode, m->path, m->link);
}

static int
on_data(void *arg, const void *p, size_t n, struct dr_err *e)
{
	struct seen *s = arg;

	return s->keep ? dr_buf_add(&s->data, p, n, e) : 0;
}

static bool
look(const struct dr_buf *tar, struct seen *s, const char *want)
{
	static const struct dr_tarwalk_ops ops = { .member = on_member,
		.data = on_data };
	struct dr_err e = { 0 };
	struct dr_tarwalk *w = dr_tarwalk_new(&ops, s, &e);
	bool good;

	s->lines.max = s->data.max = 64U << 20;
	s->lines.len = s->data.len = 0;
	(void)snprintf(s->want, sizeof(s->want), "%s", want);
	good = dr_tarwalk_add(w, tar->data, tar->len, &e) == 0 &&
	       dr_tarwalk_end(w, &e) == 0;
	if (!good)
		printf("# %s\n", e.msg);
	dr_tarwalk_free(w);
	return good;
}

static bool
has(const struct seen *s, const char *line)
{
	const char *p = s->lines.data;
	size_t n = strlen(line);

	while (p != NULL && *p != '\0') {
		if (strncmp(p, line, n) == 0 &&
		    (p[n] == '\n' || line[n - 1] == '>'))
			return true;
		if ((p = strchr(p, '\n')) != NULL)
			p++;
	}
	printf("# not there: %s\n# in:\n%s", line, s->lines.data);
	return false;
}

/* A sink that does something to the tree once the first bytes went by. */
struct meddler {
	struct dr_sink sink;
	struct dr_buf *out;
	void (*fn)(void);
};

static int
meddle(struct dr_sink *s, const void *p, size_t n, struct dr_err *e)
{
	struct meddler *m = (struct meddler *)s;

	if (dr_buf_add(m->out, p, n, e) == -1)
		return -1;
	if (m->fn != NULL)
		m->fn();
	m->fn = NULL;
	return 0;
}

static int
nothing(struct dr_sink *s, struct dr_err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static void
leave(struct dr_sink *s)
{
	(void)s;
}

static const struct dr_sink_ops meddle_ops = { .write = meddle,
	.finish = nothing,
	.free = leave };

struct run {
	struct dr_buf tar;
	json_t *manifest;
	bool complete;
	struct dr_err e;
	int r;
};

static void
run_done(struct run *r)
{
	dr_buf_free(&r->tar);
	json_decref(r->manifest);
}

/* SECOND, EXCLUDE and FN may be NULL. */
static void
run(struct run *r, const char *first, const char *second, const char *exclude,
    void (*fn)(void))
{
	struct meddler m = { .sink = { .ops = &meddle_ops },
		.out = &r->tar,
		.fn = fn };
	const char *paths[2] = { first, second };
	struct dr_strs x = { 0 };
	struct dr_snap_files_opts o = { .paths = paths,
		.n = second == NULL ? 1 : 2,
		.excludes = &x };
	struct dr_err ignored = { 0 };

	run_done(r);
	*r = (struct run){ .tar = { .max = 64U << 20 },
		.manifest = json_object() };
	if (exclude != NULL && dr_strs_add(&x, exclude, &ignored) == -1)
		abort();
	r->r = dr_snap_files(&o, &m.sink, r->manifest, &r->complete, &r->e);
	if (r->r == -1)
		printf("# %s\n", r->e.msg);
	dr_strs_free(&x);
}

static long long
fact(const struct run *r, const char *name)
{
	json_t *f = json_object_get(r->manifest, "files");

	f = json_object_get(f, name);
	if (json_is_object(f))
		f = json_object_get(f, "count");
	return json_is_integer(f) ? json_integer_value(f) : -1;
}

static void
must(bool good)
{
	if (good)
		return;
	perror("Bail out! setting up");
	exit(1);
}

static void
put(const char *path, const char *data, size_t len, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0644);

	must(
	    fd != -1 && write(fd, data, len) == (ssize_t)len && close(fd) == 0);
}

static void
test_kinds(void)
{
	static const char report[] = ".drtools/report.json>\n";
	const int new = O_CREAT | O_EXCL;
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "t/sock" };
	struct seen s = { 0 };
	struct run r = { 0 };
	char name[203], line[300];
	const char *first, *second;
	int fd;

	must(mkdir("t", 0755) == 0 && mkdir("t/empty", 0700) == 0 &&
	     mkfifo("t/fifo", 0600) == 0 && symlink("../x", "t/link") == 0);
	put("t/a", "hello", 5, new);
	put("t/zero", "", 0, new);
	put("t/odd\n\377", "x", 1, new);
	must(chmod("t/a", 04750) == 0 && link("t/a", "t/b") == 0);
	memset(name, 'n', sizeof(name));
	memcpy(name, "t/", 2);
	name[202] = '\0';
	put(name, "long", 4, new);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	must(fd != -1 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	     close(fd) == 0);

	run(&r, "./t//", NULL, NULL, NULL);
	OK(r.r == 0 && r.complete, "a tree is stored");
	OK(look(&r.tar, &s, ".drtools/report.json"), "as a whole tar");
	OK(has(&s, "5 0 755 t/>"), "its top");
	OK(has(&s, "5 0 700 t/empty/>"), "an empty directory");
	OK(has(&s, "6 0 600 t/fifo>"), "a fifo");
	OK(has(&s, "2 0 777 t/link>../x"), "a symbolic link");
	OK(has(&s, "0 0 644 t/zero>"), "an empty file");
	OK(has(&s, "0 1 644 t/odd\n\377>"), "a name of any bytes");
	(void)snprintf(line, sizeof(line), "0 4 644 %s>", name);
	OK(has(&s, line), "a long name");
	first = strstr(s.lines.data, "0 5 4750 t/a>\n");
	second = strstr(s.lines.data, "1 0 4750 t/b>t/a\n");
	if (first == NULL) {
		first = strstr(s.lines.data, "0 5 4750 t/b>\n");
		second = strstr(s.lines.data, "1 0 4750 t/a>t/b\n");
	}
	OK(first != NULL && second > first, "two names of one file");
	OK(strstr(s.lines.data, "sock") == NULL, "no socket");
	OK(s.lines.len > sizeof(report) &&
	        strcmp(s.lines.data + s.lines.len - sizeof(report) + 1,
	            report) == 0,
	    "the report comes last");
	OK(fact(&r, "members") == 9 && fact(&r, "bytes") == 10,
	    "members and bytes are counted");
	OK(strstr(s.data.data, "\"event\":\"skipped\",\"path\":\"t/sock\"") !=
	        NULL,
	    "the report names what was left out");

	run(&r, "t", NULL, "t/e*", NULL);
	OK(look(&r.tar, &s, "") && strstr(s.lines.data, "empty") == NULL &&
	        has(&s, "0 0 644 t/zero>"),
	    "a pattern is held against the path");
	run(&r, "t", NULL, "zer?", NULL);
	OK(look(&r.tar, &s, "") && strstr(s.lines.data, "zero") == NULL &&
	        has(&s, "5 0 700 t/empty/>"),
	    "and against the last component");
	run(&r, "t", NULL, "/t", NULL);
	OK(look(&r.tar, &s, "") && fact(&r, "members") == 0,
	    "an excluded directory is not entered");

	must(chdir("t") == 0 && mkdir(".drtools", 0755) == 0);
	put(".drtools/x", "not ours", 8, new);
	run(&r, ".", NULL, NULL, NULL);
	OK(r.r == 0 && r.complete && look(&r.tar, &s, "") &&
	        has(&s, "5 0 755 ./>") && has(&s, "0 0 644 zero>") &&
	        strstr(s.lines.data, ".drtools/x") == NULL,
	    "the working directory, without a name of our own");
	must(unlink(".drtools/x") == 0 && rmdir(".drtools") == 0 &&
	     chdir("..") == 0);

	run(&r, "t", "t/../t", NULL, NULL);
	OK(r.r == -1 && r.e.cause == DR_EUSAGE && r.tar.len == 0,
	    "\"..\" is refused");
	run(&r, "t", "", NULL, NULL);
	OK(r.r == -1 && r.e.cause == DR_EUSAGE && r.tar.len == 0,
	    "an empty operand too");
	run(&r, "t", "nosuch", NULL, NULL);
	OK(r.r == -1 && r.e.cause == DR_EFAIL && r.tar.len == 0,
	    "an operand that does not exist: an error before the first byte");
	run(&r, "t/a", "t/a", NULL, NULL);
	OK(r.r == 0 && look(&r.tar, &s, "") && has(&s, "0 5 4750 t/a>") &&
	        strstr(s.lines.data, ">t/a") == NULL,
	    "a file given twice is no link to itself");
	run_done(&r);
	dr_buf_free(&s.lines);
	dr_buf_free(&s.data);
}

static void
shrink(void)
{
	must(truncate("c/big", 1000) == 0);
}

static void
grow(void)
{
	put("c/big", "more", 4, O_APPEND);
}

static void
rewrite(void)
{
	put("c/big", "more", 4, 0);
}

static void
vanish(void)
{
	must(unlink("c/other") == 0);
}

static void
test_changes(void)
{
	struct seen s = { 0 };
	struct run r = { 0 };
	char *data = malloc(BIG);
	uid_t me = geteuid();
	size_t i;

	must(data != NULL && mkdir("c", 0755) == 0);
	memset(data, 'd', BIG);
	put("c/big", data, BIG, O_CREAT);
	run(&r, "c", NULL, NULL, shrink);
	OK(r.r == 0 && !r.complete && fact(&r, "changed") == 1,
	    "a file that shrinks is counted");
	OK(look(&r.tar, &s, "c/big") && s.data.len == BIG,
	    "its size stays what the header says");
	for (i = 0; i < s.data.len && s.data.data[i] == 'd'; i++)
		;
	OK(i > 0 && i < BIG, "its beginning is there");
	for (; i < s.data.len && s.data.data[i] == '\0'; i++)
		;
	OK(i == BIG, "zeros stand for the rest");
	OK(look(&r.tar, &s, ".drtools/report.json") &&
	        strstr(s.data.data,
	            "\"event\":\"changed\",\"path\":\"c/big\"") != NULL,
	    "and the report names it");

	put("c/big", data, BIG, O_TRUNC);
	run(&r, "c", NULL, NULL, grow);
	OK(r.r == 0 && !r.complete && fact(&r, "changed") == 1 &&
	        look(&r.tar, &s, "c/big") && s.data.len == BIG,
	    "a file that grows is cut");
	put("c/big", data, BIG, O_TRUNC);
	run(&r, "c", NULL, NULL, rewrite);
	OK(r.r == 0 && !r.complete && fact(&r, "changed") == 1 &&
	        look(&r.tar, &s, "c/big") && s.data.len == BIG,
	    "a file that is written to is counted");
	run(&r, "c", NULL, NULL, NULL);
	OK(r.r == 0 && r.complete, "a file that stays as it is is not");

	put("c/other", "x", 1, O_CREAT);
	run(&r, "c/big", "c/other", NULL, vanish);
	OK(r.r == 0 && !r.complete && fact(&r, "vanished") == 1 &&
	        fact(&r, "members") == 1 && look(&r.tar, &s, ""),
	    "a file that vanishes is counted");

	put("c/other", "x", 1, O_CREAT);
	must(mkdir("c/shut", 0) == 0 && chmod("c/other", 0) == 0);
	if (me == 0)
		must(seteuid(65534) == 0);
	run(&r, "c", NULL, NULL, NULL);
	if (me == 0)
		must(seteuid(0) == 0);
	OK(r.r == 0 && !r.complete && fact(&r, "unreadable") == 2 &&
	        look(&r.tar, &s, "") && has(&s, "5 0 0 c/shut/>") &&
	        strstr(s.lines.data, "c/other") == NULL,
	    "what cannot be read is counted");
	free(data);
	run_done(&r);
	dr_buf_free(&s.lines);
	dr_buf_free(&s.data);
}

#define DEPTH 90

/* The path of the directory N levels below "d". */
static void
level(char *out, size_t n)
{
	size_t i;

	out[0] = 'd';
	for (i = 0; i < n; i++)
		memcpy(out + 1 + i * 2, "/s", 2);
	out[1 + n * 2] = '\0';
}

static void
move(void)
{
	char path[3 * DEPTH];

	level(path, 10);
	must(rename(path, "moved") == 0);
}

static void
unmove(void)
{
	char path[3 * DEPTH];

	level(path, 10);
	must(rename("moved", path) == 0);
}

static void
move_and_cut(void)
{
	char path[3 * DEPTH];

	move();
	level(path, 5);
	must(rename(path, "cut") == 0);
}

static void
test_depth(void)
{
	char path[3 * DEPTH + 8], *data = calloc(1, BIG);
	struct seen s = { 0 };
	struct run r = { 0 };
	size_t n, i;

	must(data != NULL);
	for (n = 0; n < DEPTH; n++) {
		level(path, n);
		must(mkdir(path, 0755) == 0);
		for (i = 0; i < 3; i++) {
			(void)snprintf(path + 1 + n * 2, 8, "/f%zu", i);
			put(path, "", 0, O_CREAT);
		}
	}
	run(&r, "d", NULL, NULL, NULL);
	OK(r.r == 0 && r.complete && fact(&r, "members") == 4 * DEPTH &&
	        look(&r.tar, &s, ""),
	    "more levels than are kept open");
	level(path, DEPTH - 1);
	(void)snprintf(path + 1 + (DEPTH - 1) * 2, 8, "/big");
	put(path, data, BIG, O_CREAT);
	run(&r, "d", NULL, NULL, move);
	OK(r.r == 0 && r.complete && fact(&r, "members") == 4 * DEPTH + 1 &&
	        look(&r.tar, &s, ""),
	    "a directory moved meanwhile: all else is found again");
	unmove();
	run(&r, "d", NULL, NULL, move_and_cut);
	OK(r.r == 0 && !r.complete && fact(&r, "vanished") > 0 &&
	        look(&r.tar, &s, "") && has(&s, "0 0 644 d/f1>"),
	    "two of them: what is not found again is counted");
	free(data);
	run_done(&r);
	dr_buf_free(&s.lines);
	dr_buf_free(&s.data);
}

int
main(void)
{
	tmp_enter();
	test_kinds();
	test_changes();
	test_depth();
	tmp_leave();
	return DONE();
}
