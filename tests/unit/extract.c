/* extract.c - extraction of honest and of hostile tars. */
#include "archive/extract.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <fcntl.h>
#include <string.h>

#include "archive/attrs.h"
#include "archive/pax.h"
#include "archive/restattr.h"
#include "archive/tree.h"
#include "stream/pump.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define TAR_MAX (64U << 20)

static void
must(bool good)
{
	if (good)
		return;
	perror("Bail out! setting up");
	exit(1);
}

/* --- making tars -------------------------------------------------------- */

static struct dr_buf tar = { .max = TAR_MAX };

static void
add_raw(const void *p, size_t n)
{
	struct dr_err e = { 0 };

	must(dr_buf_add(&tar, p, n, &e) == 0);
}

static void
add_data(const char *data, size_t n)
{
	static const char zeros[512];

	add_raw(data, n);
	add_raw(zeros, (512 - n % 512) % 512);
}

static void
add_member(const struct dr_pax *m, const char *data)
{
	struct dr_err e = { 0 };

	must(dr_pax_header(&tar, m, &e) == 0);
	if (data != NULL)
		add_data(data, strlen(data));
}

static void
add(char type, const char *path, const char *link, const char *data)
{
	struct dr_pax m = { .type = type,
		.path = path,
		.link = link,
		.mode = type == '5' ? 0755 : 0644,
		.size = data == NULL ? 0 : strlen(data),
		.mtime = 1000000000 };

	add_member(&m, data);
}

static void
end(void)
{
	static const char zeros[DR_TAR_END];

	add_raw(zeros, sizeof(zeros));
}

/* An extended header with just these records. */
static void
add_records(const char *records, size_t n)
{
	struct dr_pax m = { .type = 'x', .path = "x", .size = n };

	add_member(&m, NULL);
	add_data(records, n);
}

/* --- extracting ---------------------------------------------------------- */

static struct dr_extract_facts facts;
static struct dr_err err;
static struct dr_extract_opts opts = { .owners = true };

static int
extract_to(const char *dir, size_t step, bool stream)
{
	struct dr_err e = { 0 };
	struct dr_source *s = dr_source_mem(tar.data, tar.len, step, &e);
	int r;

	must(s != NULL);
	err = e;
	r = stream ? dr_extract_stream(s, dir, &opts, &facts, &err)
	           : dr_extract_tree(s, dir, &opts, &facts, &err);
	dr_source_free(s);
	return r;
}

/* Into a fresh directory "d/in"; "d" is what must not be written to. */
static int
extract(void)
{
	int r;

	tmp_rm("d");
	must(mkdir("d", 0755) == 0 && mkdir("d/in", 0755) == 0);
	r = extract_to("d/in", 0, false);
	tar.len = 0;
	return r;
}

static bool
absent(const char *path)
{
	struct stat st;

	return lstat(path, &st) == -1;
}

static bool
holds(const char *path, const char *want)
{
	char got[256];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd == -1)
		return false;
	n = read(fd, got, sizeof(got));
	(void)close(fd);
	return n == (ssize_t)strlen(want) && memcmp(got, want, (size_t)n) == 0;
}

static bool
refused(const char *what)
{
	bool good = err.cause == DR_EDATA && strstr(err.msg, what) != NULL;

	if (!good)
		printf("# cause %d: %s\n", (int)err.cause, err.msg);
	return good;
}

static void
test_hostile(void)
{
	static const char nul[] = "15 path=in\0out\n";
	struct stat st;
	char *big;

	add('0', "../out", NULL, "bad");
	end();
	OK(extract() == -1 && refused("\"..\"") && absent("d/out"),
	    "\"..\" at the beginning");
	add('5', "a/", NULL, NULL);
	add('0', "a/../../out", NULL, "bad");
	end();
	OK(extract() == -1 && refused("\"..\"") && absent("d/out"),
	    "\"..\" inside");
	add('0', "/tmp/dr-unit-out", NULL, "bad");
	end();
	OK(extract() == -1 && refused("absolute") && absent("/tmp/dr-unit-out"),
	    "an absolute name");
	add('2', "s", "..", NULL);
	add('0', "s/out", NULL, "bad");
	end();
	OK(extract() == -1 && refused("\"s\"") && absent("d/out"),
	    "a file through a symbolic link");
	add('2', "s", "../out", NULL);
	add('0', "s", NULL, "good");
	end();
	OK(extract() == 0 && absent("d/out") && holds("d/in/s", "good"),
	    "a file in place of a symbolic link");
	add('5', "s/", NULL, NULL);
	add('0', "s/a", NULL, "x");
	add('2', "t", "..", NULL);
	add('5', "t/", NULL, NULL);
	add('0', "t/out", NULL, "x");
	end();
	OK(extract() == 0 && absent("d/out") && holds("d/in/t/out", "x"),
	    "a directory in place of a symbolic link");
	add('5', "s/", NULL, NULL);
	add('5', "s/t/", NULL, NULL);
	add('0', "s/t/a", NULL, "x");
	add('1', "s/b", "s/t/a", NULL);
	add('2', "s/t", "..", NULL);
	end();
	OK(extract() == -1 && refused("twice"),
	    "a symbolic link in place of a full directory");
	add('5', "s/", NULL, NULL);
	add('2', "s", "..", NULL);
	add('0', "s/out", NULL, "bad");
	end();
	OK(extract() == -1 && refused("\"s\"") && absent("d/out"),
	    "a directory that becomes a symbolic link");
	add('1', "h", "../secret", NULL);
	end();
	OK(extract() == -1 && refused("\"..\"") && absent("d/in/h"),
	    "a hard link out of the tree");
	add('1', "h", "/etc/passwd", NULL);
	end();
	OK(extract() == -1 && refused("absolute") && absent("d/in/h"),
	    "a hard link to an absolute name");
	add('2', "s", "..", NULL);
	add('1', "h", "s/secret", NULL);
	end();
	OK(extract() == -1 && refused("\"s\"") && absent("d/in/h"),
	    "a hard link through a symbolic link");
	add('2', "s", "../out", NULL);
	add('1', "h", "s", NULL);
	add('0', "h", NULL, "good");
	end();
	OK(extract() == 0 && absent("d/out") && holds("d/in/h", "good"),
	    "a file in place of a hard link to a symbolic link");
	add('1', "h", "nosuch", NULL);
	end();
	OK(extract() == -1 && refused("no file of it"),
	    "a hard link to nothing");
	add('0', "h", NULL, "x");
	add('1', "./h", "h", NULL);
	end();
	OK(extract() == -1 && refused("itself"), "a hard link to itself");
	add('3', "dev", NULL, NULL);
	end();
	OK(extract() == -1 && refused("device") && absent("d/in/dev"),
	    "a device node");
	add('6', "fifo", NULL, NULL);
	end();
	OK(extract() == 0 && lstat("d/in/fifo", &st) == 0 &&
	        S_ISFIFO(st.st_mode),
	    "a fifo is none");
	add('0', "a", NULL, "first");
	add('0', "a", NULL, "second");
	end();
	OK(extract() == 0 && holds("d/in/a", "second") && facts.members == 2,
	    "of two the later counts");
	add_records(nul, sizeof(nul) - 1);
	add('0', "in", NULL, "x");
	end();
	OK(extract() == -1 && refused("NUL") && absent("d/in/in"),
	    "a name with a NUL");
	must((big = calloc(1, 100000)) != NULL);
	memset(big, 'a', 99999);
	add('0', big, NULL, "x");
	end();
	OK(extract() == -1 && refused("64 KiB"), "a name that is too long");
	free(big);
	add('0', ".drtools/report.json", NULL, "x");
	add('5', ".drtools", NULL, NULL);
	add('0', "./.drtools//x", NULL, "x");
	add('0', ".drtoolsx", NULL, "x");
	end();
	OK(extract() == 0 && absent("d/in/.drtools") && facts.left_out == 3 &&
	        facts.members == 1 && holds("d/in/.drtoolsx", "x"),
	    "names of our own are left out");
	add('0', "a/b/c", NULL, "x");
	end();
	OK(extract() == 0 && holds("d/in/a/b/c", "x"),
	    "directories that the tar does not name are made");
	add('2', "s", "", NULL);
	end();
	OK(extract() == -1 && refused("nothing"), "a symbolic link to nothing");
	add('0', ".", NULL, "x");
	end();
	OK(extract() == -1 && refused("\".\""), "\".\" as a file");
	add_raw("this is no tar", 14);
	OK(extract() == -1 && err.cause == DR_EDATA, "no tar at all");
	OK(extract() == -1 && err.cause == DR_EDATA, "nothing at all");
	end();
	OK(extract() == 0 && facts.members == 0, "an empty tar");
	add('0', "a", NULL, "x");
	end();
	add('0', "b", NULL, "x");
	end();
	OK(extract() == -1 && refused("after its end") && absent("d/in/b"),
	    "a second tar behind the first");
}

/* A sparse file's map may be as long as its data: memory must not be. */
static void
test_map(void)
{
	struct dr_pax m = { .type = '0',
		.path = "map",
		.sparse = true,
		.real_size = 1,
		.size = 16U << 20 };
	char *data = malloc(16U << 20);
	size_t i;

	must(data != NULL);
	memcpy(data, "4000000\n", 8);
	for (i = 8; i < 16U << 20; i += 4)
		memcpy(data + i, "0\n0\n", 4);
	add_member(&m, NULL);
	add_raw(data, 16U << 20);
	end();
	free(data);
	OK(extract() == -1 && refused("too large"),
	    "a map of holes without end");
}

static void
test_truncated(void)
{
	struct dr_buf whole = { .max = TAR_MAX };
	struct dr_err e = { 0 };
	size_t n, bad = 0, step;

	add('5', "a/", NULL, NULL);
	add('0', "a/b", NULL, "hello");
	add('0', "a/c", NULL, NULL);
	add('2', "a/d", "b", NULL);
	end();
	must(dr_buf_add(&whole, tar.data, tar.len, &e) == 0);
	for (n = 0; n < whole.len; n += 256) {
		tar.len = 0;
		add_raw(whole.data, n);
		if (extract() != -1 || err.cause != DR_EDATA)
			bad++;
	}
	OK(bad == 0, "each block that is missing is missed");
	for (bad = 0, step = 1; step < 600; step += 199) {
		add_raw(whole.data, whole.len);
		tmp_rm("d");
		must(mkdir("d", 0755) == 0);
		if (extract_to("d", step, false) == -1 ||
		    !holds("d/a/b", "hello"))
			bad++;
		tar.len = 0;
	}
	OK(bad == 0, "pieces of any size will do");
	dr_buf_free(&whole);
}

/* --- there and back ------------------------------------------------------ */

static void
put(const char *path, const char *data, size_t len, off_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	must(fd != -1 && pwrite(fd, data, len, at) == (ssize_t)len &&
	     close(fd) == 0);
}

static void
snap(const char *path)
{
	const char *paths[1] = { path };
	struct dr_tree_opts o = { .paths = paths, .n = 1 };
	struct dr_tree_facts f;
	struct dr_err e = { 0 };
	struct dr_sink *s = dr_sink_buf(&tar, &e);

	must(s != NULL);
	if (dr_tree_write(&o, s, NULL, NULL, &f, &e) == -1) {
		printf("Bail out! %s\n", e.msg);
		exit(1);
	}
	dr_sink_free(s);
	end();
}

static bool
same(const char *name)
{
	char a[300], b[300];
	struct stat x, y;

	(void)snprintf(a, sizeof(a), "t/%s", name);
	(void)snprintf(b, sizeof(b), "d/in/t/%s", name);
	if (lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_mode == y.st_mode &&
	    x.st_uid == y.st_uid && x.st_gid == y.st_gid &&
	    x.st_nlink == y.st_nlink && x.st_rdev == y.st_rdev &&
	    (S_ISDIR(x.st_mode) || x.st_size == y.st_size) &&
	    x.st_mtim.tv_sec == y.st_mtim.tv_sec &&
	    x.st_mtim.tv_nsec == y.st_mtim.tv_nsec)
		return true;
	printf("# %s differs\n", name);
	return false;
}

static bool
same_attr(const char *name, const char *attr)
{
	char a[300], b[300], x[512], y[512];
	ssize_t n;

	(void)snprintf(a, sizeof(a), "t/%s", name);
	(void)snprintf(b, sizeof(b), "d/in/t/%s", name);
	n = lgetxattr(a, attr, x, sizeof(x));
	return n > 0 && lgetxattr(b, attr, y, sizeof(y)) == n &&
	       memcmp(x, y, (size_t)n) == 0;
}

static void
set_time(const char *path, int64_t sec, long nsec)
{
	struct timespec ts[2] = { { .tv_sec = sec, .tv_nsec = nsec },
		{ .tv_sec = sec, .tv_nsec = nsec } };

	must(utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW) == 0);
}

/* user::rw-, user:33:r--, group::r--, mask::r--, other::--- */
static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255,
	2, 0, 4, 0, 33, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0,
	255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255 };

static void
test_round(void)
{
	bool root = geteuid() == 0, attrs, acls;
	struct stat st;
	off_t i;

	must(mkdir("t", 0755) == 0 && mkdir("t/shut", 0755) == 0);
	put("t/shut/file", "x", 1, 0);
	put("t/plain", "hello", 5, 0);
	put("t/old", "", 0, 0);
	put("t/bits", "x", 1, 0);
	put("t/caf\303\251 \377\n", "x", 1, 0);
	must(link("t/plain", "t/plain2") == 0 && mkfifo("t/fifo", 0620) == 0 &&
	     symlink("plain", "t/link") == 0);
	attrs = setxattr("t/plain", "user.a=b%", "v\0w", 3, 0) == 0;
	acls = setxattr("t/plain", DR_ACL_ACCESS, acl, sizeof(acl), 0) == 0 &&
	       setxattr("t/shut", DR_ACL_DEFAULT, acl, sizeof(acl), 0) == 0;
	/* Holes at the beginning, inside and at the end; one file is a hole. */
	for (i = 1; i < 40; i += 2)
		put("t/holes", "data", 4, i << 16);
	must(truncate("t/holes", 8 << 20) == 0);
	put("t/hole", "", 0, 0);
	must(truncate("t/hole", 3 << 20) == 0);
	if (root)
		must(chown("t/plain", 1234567, 7654321) == 0 &&
		     lchown("t/link", 33, 33) == 0 &&
		     mknod("t/dev", S_IFCHR | 0600, makedev(7, 300)) == 0);
	must(chmod("t/bits", 06755) == 0);
	set_time("t/plain", 1234567890, 123456789);
	set_time("t/old", -5, 500000000);
	set_time("t/link", 99, 1);
	set_time("t/fifo", 1, 0);
	must(chmod("t/shut", root ? 01500 : 0555) == 0);
	set_time("t/shut", 1000, 1);
	set_time("t", 2000, 2);

	snap("t");
	opts.devices = true;
	if (extract() == -1) {
		printf("# %s\n", err.msg);
		OK(false, "there and back");
		return;
	}
	opts.devices = false;
	OK(facts.members == (root ? 13 : 12), "all members come back");
	OK(same("plain") && same("plain2") && holds("d/in/t/plain", "hello"),
	    "a file with two names");
	OK(same("") && same("shut") && same("shut/file"),
	    "directories, also one that is not to be written to");
	OK(same("link") && same("fifo"), "a link and a fifo");
	OK(same("old"), "a time before 1970");
	OK(same("caf\303\251 \377\n"), "a name of any bytes");
	if (root)
		OK(same("bits") && same("dev"), "set-ID bits and a device");
	else
		OK(lstat("d/in/t/bits", &st) == 0 &&
		        (st.st_mode & 07777) == 0755,
		    "set-ID bits are dropped");
	OK(same("holes") && same("hole"), "sizes of files with holes");
	for (i = 1; i < 40; i += 2) {
		char got[8] = "";
		int fd = open("d/in/t/holes", O_RDONLY);

		must(fd != -1);
		if (pread(fd, got, 6, (i << 16) - 1) != 6 ||
		    memcmp(got, "\0data", 6) != 0)
			break;
		(void)close(fd);
	}
	OK(i > 40, "their data");
	OK(stat("d/in/t/holes", &st) == 0 && st.st_blocks < 1 << 12 &&
	        stat("d/in/t/hole", &st) == 0 && st.st_blocks < 64,
	    "and that they are holes");
	if (attrs)
		OK(same_attr("plain", "user.a=b%"), "an extended attribute");
	else
		SKIP("no extended attributes here");
	if (acls)
		OK(same_attr("plain", DR_ACL_ACCESS) &&
		        same_attr("shut", DR_ACL_DEFAULT),
		    "ACLs");
	else
		SKIP("no ACLs here");

	snap("t");
	opts.owners = false;
	opts.devices = root;
	OK(extract() == 0 && stat("d/in/t/bits", &st) == 0 &&
	        (st.st_mode & 07777) == 0755 && st.st_uid == geteuid(),
	    "without owners there are no set-ID bits");
	opts.owners = true;
	opts.devices = false;
	must(chmod("t/shut", 0755) == 0);

	if (!acls)
		return;
	/* What new files inherit is not what the tar says. */
	add('5', "a", NULL, NULL);
	add('0', "a/b", NULL, "x");
	end();
	tmp_rm("d");
	must(mkdir("d", 0755) == 0 &&
	     setxattr("d", DR_ACL_DEFAULT, acl, sizeof(acl), 0) == 0);
	OK(extract_to("d", 0, false) == 0 && facts.members == 2 &&
	        getxattr("d/a", DR_ACL_ACCESS, NULL, 0) == -1 &&
	        getxattr("d/a", DR_ACL_DEFAULT, NULL, 0) == -1 &&
	        getxattr("d/a/b", DR_ACL_ACCESS, NULL, 0) == -1 &&
	        stat("d/a/b", &st) == 0 && (st.st_mode & 07777) == 0644,
	    "ACLs of the target are not inherited");
	tar.len = 0;
}

/* --- streams -------------------------------------------------------------- */

static char piece[DR_TAR_PIECE + 1];

static void
add_piece(const char *name, size_t size)
{
	struct dr_err e = { 0 };

	must(dr_pax_own(&tar, name, size, &e) == 0);
	add_data(piece, size);
}

static int
join(void)
{
	int r;

	end();
	tmp_rm("d");
	must(mkdir("d", 0755) == 0);
	r = extract_to("d", 0, true);
	tar.len = 0;
	/* Whatever went wrong, no name appears. */
	if (r == -1 && rmdir("d") == -1)
		printf("# something was left\n");
	return r;
}

static void
test_stream(void)
{
	struct stat st;

	memset(piece, 'p', sizeof(piece));
	add_piece("db.sql/00000000", DR_TAR_PIECE);
	add_piece("db.sql/00000001", 5);
	add_piece(".drtools/report.json", 10);
	OK(join() == 0 && stat("d/db.sql", &st) == 0 &&
	        st.st_size == DR_TAR_PIECE + 5 &&
	        (st.st_mode & 07777) == 0600 && facts.members == 1 &&
	        facts.left_out == 1,
	    "pieces are joined");
	add_piece("a/00000000", 0);
	OK(join() == 0 && stat("d/a", &st) == 0 && st.st_size == 0,
	    "an empty stream");
	add_piece("a/00000000", DR_TAR_PIECE);
	add_piece("a/00000002", 5);
	OK(join() == -1 && refused("00000002"), "a piece is missing");
	add_piece("a/00000000", DR_TAR_PIECE);
	add_piece("b/00000001", 5);
	OK(join() == -1 && refused("b/00000001"), "a piece of another stream");
	add_piece("a/00000000", 5);
	add_piece("a/00000001", 5);
	OK(join() == -1 && refused("4 MiB"), "a short piece in the middle");
	add_piece("a/00000000", DR_TAR_PIECE + 1);
	OK(join() == -1 && refused("4 MiB"), "a piece that is too long");
	add_piece("../00000000", 5);
	OK(join() == -1 && refused("no stream's"), "\"..\" as the name");
	add_piece("a/b/00000000", 5);
	OK(join() == -1 && refused("no stream's"), "a name with a slash");
	add('2', "a/00000000", "b", NULL);
	OK(join() == -1 && refused("no stream's"), "a link as a piece");
	OK(join() == -1 && refused("no piece"), "no piece at all");
	add_piece("a/00000000", 5);
	tar.len -= 512;
	OK(join() == -1 && err.cause == DR_EDATA, "a truncated stream");

	add_piece("a/00000000", 5);
	end();
	tmp_rm("d");
	must(mkdir("d", 0755) == 0);
	put("d/a", "mine", 4, 0);
	OK(extract_to("d", 0, true) == -1 && err.cause == DR_EFAIL &&
	        holds("d/a", "mine"),
	    "a file that exists is not replaced");
	tar.len = 0;
}

int
main(void)
{
	tmp_enter();
	test_hostile();
	test_map();
	test_truncated();
	test_round();
	test_stream();
	tmp_leave();
	dr_buf_free(&tar);
	return DONE();
}
