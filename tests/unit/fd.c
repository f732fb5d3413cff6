#include "base/fd.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "tests/child.h"
#include "tests/tap.h"

static struct dr_err e;
static char dir[] = "/tmp/drfd.XXXXXX";

static bool
failed(int rc, enum dr_cause cause, const char *text)
{
	bool good = rc == -1 && e.cause == cause && strstr(e.msg, text) != NULL;

	if (!good)
		printf("# rc %d cause %d \"%s\"\n", rc, (int)e.cause, e.msg);
	dr_err_clear(&e);
	return good;
}

/* Names in the current directory that are not ".", ".." or KNOWN. */
static int
strangers(const char *known)
{
	DIR *d = opendir(".");
	struct dirent *de;
	int n = 0;

	while (d != NULL && (de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0 &&
		    strstr(known, de->d_name) == NULL) {
			printf("# %s\n", de->d_name);
			n++;
		}
	if (d != NULL)
		closedir(d);
	return n;
}

static bool
holds(const char *path, const char *want)
{
	size_t len = 0;
	char *s = dr_file_get(path, 1000, &len, &e);
	bool good = s != NULL && len == strlen(want) && strcmp(s, want) == 0;

	free(s);
	dr_err_clear(&e);
	return good;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void
reading(void)
{
	char b[100];
	int p[2], fd;
	pid_t pid;

	OK(pipe(p) == 0 && dr_fd_write(p[1], "hello", 5, "p", &e) == 0 &&
	        dr_fd_read(p[0], b, 100, "p", &e) == 5 &&
	        memcmp(b, "hello", 5) == 0,
	    "write and read a pipe");
	if ((pid = fork()) == 0) {
		for (int i = 0; i < 10; i++) {
			if (write(p[1], "0123456789", 10) != 10)
				_exit(1);
			usleep(1000);
		}
		_exit(0);
	}
	close(p[1]);
	OK(dr_fd_fill(p[0], b, 95, "p", &e) == 95 && b[94] == '4',
	    "fill collects pieces");
	OK(dr_fd_fill(p[0], b, 95, "p", &e) == 5, "and stops at the end");
	OK(dr_fd_fill(p[0], b, 95, "p", &e) == 0 &&
	        dr_fd_read(p[0], b, 5, "p", &e) == 0,
	    "which stays the end");
	waitpid(pid, NULL, 0);
	close(p[0]);
	OK(failed((int)dr_fd_read(p[0], b, 5, "gone", &e), DR_EFAIL,
	       "cannot read \"gone\": Bad file descriptor"),
	    "a closed one");
	OK(failed(dr_fd_write(p[0], b, 5, "gone", &e), DR_EFAIL,
	       "cannot write \"gone\": "),
	    "written");

	fd = open("x", O_RDWR | O_CREAT, 0600);
	OK(fd != -1 && dr_fd_write(fd, "0123456789", 10, "x", &e) == 0 &&
	        dr_fd_pread(fd, b, 4, 6, "x", &e) == 0 &&
	        memcmp(b, "6789", 4) == 0,
	    "pread");
	OK(failed(dr_fd_pread(fd, b, 5, 6, "x", &e), DR_EDATA,
	       "\"x\" is truncated"),
	    "pread over the end");
	OK(failed(dr_fd_pread(fd, b, 5, UINT64_MAX - 2, "x", &e), DR_EDATA,
	       "truncated"),
	    "pread far beyond it");
	OK(dr_fd_pread(fd, b, 0, 10, "x", &e) == 0, "pread of nothing");
	close(fd);
	unlink("x");

	OK(pipe2(p, O_NONBLOCK) == 0, "a pipe that does not block");
	if ((pid = fork()) == 0) {
		usleep(20000);
		_exit(write(p[1], "late", 4) != 4);
	}
	OK(dr_fd_read(p[0], b, 100, "p", &e) == 4, "is waited for");
	waitpid(pid, NULL, 0);
	if ((pid = fork()) == 0) {
		char *sink = malloc(1 << 20);
		size_t n = 0;
		ssize_t got;

		close(p[1]);
		usleep(20000);
		while (sink != NULL && n < 1 << 20) {
			got = dr_fd_read(p[0], sink, 1 << 20, "p", &e);
			if (got <= 0)
				_exit(1);
			n += (size_t)got;
		}
		_exit(0);
	} else {
		char *lots = calloc(1, 1 << 20);
		int st = 1;

		OK(lots != NULL &&
		        dr_fd_write(p[1], lots, 1 << 20, "p", &e) == 0,
		    "a megabyte into a pipe that does not block");
		free(lots);
		OK(waitpid(pid, &st, 0) == pid && st == 0, "all of it came");
	}
	close(p[0]);
	OK(failed(dr_fd_write(p[1], "x", 1, "p", &e), DR_EPIPE, "Broken pipe"),
	    "no reader is DR_EPIPE");
	close(p[1]);
	fd = open("/dev/full", O_WRONLY);
	OK(failed(dr_fd_write(fd, "x", 1, "/dev/full", &e), DR_EFAIL,
	       "cannot write \"/dev/full\": No space left on device"),
	    "a full disk");
	close(fd);
}

static void
directories(void)
{
	OK(dr_mkdirs("a/b/c", 0700, &e) == 0 && mode_of("a/b/c") == 0700 &&
	        mode_of("a") == 0700,
	    "mkdirs");
	OK(dr_mkdirs("a/b/c", 0755, &e) == 0 && mode_of("a/b/c") == 0700,
	    "where it is already");
	OK(dr_mkdirs("a//d/", 0700, &e) == 0 && mode_of("a/d") == 0700,
	    "with more slashes than needed");
	OK(dr_mkdirs("/", 0700, &e) == 0 && dr_mkdirs(".", 0700, &e) == 0 &&
	        dr_mkdirs("../", 0700, &e) == 0,
	    "/ and . are there");
	OK(failed(dr_mkdirs("", 0700, &e), DR_EFAIL, "No such file"),
	    "an empty path");
	OK(dr_file_put("a/f", 0600, DR_FILE_NEW, "", 0, &e) == 0, "a file");
	OK(failed(dr_mkdirs("a/f", 0700, &e), DR_EFAIL, "not a directory"),
	    "is no directory");
	OK(failed(dr_mkdirs("a/f/g", 0700, &e), DR_EFAIL, "not a directory"),
	    "nor holds any");
	OK(symlink("nowhere", "a/l") == 0 &&
	        failed(dr_mkdirs("a/l", 0700, &e), DR_EFAIL, "File exists"),
	    "a dangling link");
	OK(dr_sync_dir("a", &e) == 0 && dr_sync_parent("a", &e) == 0 &&
	        dr_sync_parent("a/b/", &e) == 0 &&
	        dr_sync_parent("/a", &e) == 0 && dr_sync_parent("/", &e) == 0,
	    "sync");
	OK(failed(dr_sync_dir("a/none", &e), DR_EFAIL, "No such file") &&
	        failed(dr_sync_parent("a/none/x", &e), DR_EFAIL, "a/none"),
	    "sync where nothing is");
	OK(failed(dr_sync_dir("a/f", &e), DR_EFAIL, "Not a directory"),
	    "sync of a file as a directory");
}

static void
durable(void)
{
	struct dr_file f = DR_FILE_INIT;
	struct stat st;
	char big[300];
	ino_t ino;

	umask(022);
	OK(dr_file_put("new", 0644, DR_FILE_NEW, "one", 3, &e) == 0 &&
	        holds("new", "one") && mode_of("new") == 0644,
	    "a new file");
	errno = 0;
	OK(dr_file_put("new", 0644, DR_FILE_NEW, "two", 3, &e) == -1 &&
	        errno == EEXIST &&
	        failed(-1, DR_EFAIL, "cannot create \"new\": File exists") &&
	        holds("new", "one"),
	    "not over an old one");
	OK(dr_file_put("new", 0666, DR_FILE_REPLACE, "three", 5, &e) == 0 &&
	        holds("new", "three") && mode_of("new") == 0644,
	    "unless replaced; the umask counts");
	umask(0277);
	OK(dr_file_put("key", 0600, DR_FILE_NEW, "s", 1, &e) == 0 &&
	        mode_of("key") == 0600,
	    "a private mode is exact");
	umask(022);

	OK(symlink("target", "link") == 0 &&
	        dr_file_put("link", 0600, DR_FILE_NEW, "x", 1, &e) == -1 &&
	        failed(-1, DR_EFAIL, "File exists") &&
	        access("target", F_OK) == -1,
	    "a dangling link is in the way");
	OK(dr_file_put("link", 0600, DR_FILE_REPLACE, "x", 1, &e) == 0 &&
	        lstat("link", &st) == 0 && S_ISREG(st.st_mode),
	    "or is replaced, not followed");
	unlink("link");

	OK(dr_file_create(&f, "slow", 0600, &e) == 0 &&
	        access("slow", F_OK) == -1,
	    "no name before commit");
	OK(strncmp(f.tmp, ".slow.", 6) == 0 &&
	        strcmp(f.tmp + strlen(f.tmp) - 4, ".tmp") == 0 &&
	        strlen(f.tmp) == 6 + 16 + 4,
	    "temporary's name");
	OK(dr_fd_write(f.fd, "abc", 3, "slow", &e) == 0 &&
	        fstat(f.fd, &st) == 0,
	    "write");
	ino = st.st_ino;
	OK(dr_file_commit(&f, DR_FILE_NEW, &e) == 0 && holds("slow", "abc") &&
	        stat("slow", &st) == 0 && st.st_ino == ino && st.st_nlink == 1,
	    "commit gives the name");
	dr_file_abandon(&f);
	OK(holds("slow", "abc"), "abandon after commit is harmless");

	OK(dr_file_create(&f, "never", 0600, &e) == 0, "create");
	dr_file_abandon(&f);
	dr_file_abandon(&f);
	OK(f.fd == -1 && access("never", F_OK) == -1, "abandon");

	/* NFS: the link was made, its answer lost, and asked for again. */
	OK(dr_file_create(&f, "nfs", 0600, &e) == 0 &&
	        link(f.tmp, "nfs") == 0 &&
	        dr_file_commit(&f, DR_FILE_NEW, &e) == 0,
	    "our own inode under the name is success");

	OK(failed(dr_file_create(&f, "none/x", 0600, &e), DR_EFAIL,
	       "cannot create \"none/x\": No such file"),
	    "missing directory");
	OK(failed(dr_file_create(&f, "new/x", 0600, &e), DR_EFAIL,
	       "cannot create \"new/x\": Not a directory"),
	    "a file for one");
	OK(failed(dr_file_create(&f, "a/", 0600, &e), DR_EFAIL, "file name") &&
	        failed(dr_file_create(&f, "", 0600, &e), DR_EFAIL,
	            "file name") &&
	        failed(dr_file_create(&f, "a/..", 0600, &e), DR_EFAIL,
	            "file name"),
	    "no file name");
	OK(dr_file_put("a/b", 0600, DR_FILE_REPLACE, "x", 1, &e) == -1 &&
	        failed(-1, DR_EFAIL, "cannot create \"a/b\""),
	    "a directory is not replaced");
	memset(big, 'n', sizeof(big) - 1);
	big[255] = '\0';
	OK(dr_file_put(big, 0600, DR_FILE_NEW, "x", 1, &e) == 0 &&
	        holds(big, "x"),
	    "the longest name there is");
	unlink(big);
	big[255] = 'n';
	big[256] = '\0';
	OK(dr_file_put(big, 0600, DR_FILE_NEW, "x", 1, &e) == -1 &&
	        failed(-1, DR_EFAIL, "File name too long"),
	    "one more");
	OK(strangers("a new key slow nfs") == 0, "nothing is left behind");
}

static void
getting(void)
{
	char *s;
	size_t len;
	int p[2];
	char path[40];

	errno = 0;
	OK(dr_file_get("none", 10, &len, &e) == NULL && errno == ENOENT &&
	        failed(-1, DR_EFAIL, "cannot open \"none\": No such file"),
	    "no such file");
	OK((s = dr_file_get("slow", 3, &len, &e)) != NULL && len == 3 &&
	        strcmp(s, "abc") == 0,
	    "exactly the maximum");
	free(s);
	OK((s = dr_file_get("slow", 3, NULL, &e)) != NULL, "no length wanted");
	free(s);
	OK(dr_file_get("slow", 2, &len, &e) == NULL &&
	        failed(-1, DR_EDATA, "more than 2 bytes"),
	    "one more is too much");
	OK((s = dr_file_get("a/f", 0, &len, &e)) != NULL && len == 0 &&
	        *s == '\0',
	    "an empty file");
	free(s);
	OK(dr_file_get("a", 10, &len, &e) == NULL &&
	        failed(-1, DR_EFAIL, "Is a directory"),
	    "a directory");
	OK(dr_file_get("/dev/zero", 100000, &len, &e) == NULL &&
	        failed(-1, DR_EDATA, "more than 100000 bytes"),
	    "no end");
	if (pipe(p) == 0) {
		snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
		OK(write(p[1], "piped", 5) == 5 && close(p[1]) == 0 &&
		        (s = dr_file_get(path, 10, &len, &e)) != NULL &&
		        len == 5 && strcmp(s, "piped") == 0,
		    "a pipe");
		free(s);
		close(p[0]);
	}
}

static void
locking(void)
{
	int fd, again, st = 1;
	int64_t start;
	pid_t pid;

	fd = dr_lock("lock", 0, &e);
	OK(fd != -1 && mode_of("lock") == 0600, "lock");
	start = dr_monotonic();
	OK(failed(dr_lock("lock", 50, &e), DR_ERETRY,
	       "\"lock\" is locked by another process") &&
	        dr_monotonic() - start >= 50000 &&
	        dr_monotonic() - start < 5000000,
	    "held: waits, then says so");
	if ((pid = fork()) == 0) {
		close(fd);
		_exit(dr_lock("lock", 5000, &e) == -1);
	}
	usleep(30000);
	close(fd);
	OK(waitpid(pid, &st, 0) == pid && st == 0, "let go: the other has it");
	again = dr_lock("lock", 0, &e);
	OK(again != -1, "a dead holder's lock is free");
	close(again);
	OK(failed(dr_lock("none/lock", 0, &e), DR_EFAIL, "No such file"),
	    "no directory");
	OK(symlink("lock", "llock") == 0 &&
	        failed(dr_lock("llock", 0, &e), DR_EFAIL, "cannot open"),
	    "no link is followed");
}

/* What the children of stopped_by reached. */
static int *reached;

/* Come back with DR_ESTOP, then die of the signal. */
static int
blocked_read(void *arg)
{
	struct dr_err err = { 0 };
	char b[10];
	int *p = arg;

	dr_main_begin("t");
	if (dr_fd_read(p[0], b, sizeof(b), "p", &err) != -1 ||
	    err.cause != DR_ESTOP)
		return 99;
	*reached = 1;
	return dr_main_end(&err);
}

static int
blocked_write(void *arg)
{
	struct dr_err err = { 0 };
	static char lots[1 << 20];
	int *p = arg;

	dr_main_begin("t");
	if (dr_fd_write(p[1], lots, sizeof(lots), "p", &err) != -1 ||
	    err.cause != DR_ESTOP)
		return 99;
	*reached = 1;
	return dr_main_end(&err);
}

static int
blocked_lock(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("t");
	if (dr_lock("lock", 60000, &err) != -1 || err.cause != DR_ESTOP)
		return 99;
	*reached = 1;
	return dr_main_end(&err);
}

static int
stopped_by(int (*fn)(void *), void *arg, int sig)
{
	int st = 0;
	pid_t pid;

	*reached = 0;
	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(fn(arg));
	usleep(100000);
	kill(pid, sig);
	waitpid(pid, &st, 0);
	if (*reached == 0)
		return 0;
	return WIFSIGNALED(st) ? WTERMSIG(st) : -WEXITSTATUS(st);
}

static void
stopping(void)
{
	int p[2], fd;

	reached = mmap(NULL, sizeof(*reached), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reached == MAP_FAILED)
		abort();
	OK(pipe(p) == 0 && stopped_by(blocked_read, p, SIGTERM) == SIGTERM,
	    "SIGTERM ends a blocked read");
	OK(stopped_by(blocked_read, p, SIGINT) == SIGINT, "SIGINT too");
	OK(stopped_by(blocked_read, p, SIGHUP) == SIGHUP, "SIGHUP too");
	OK(stopped_by(blocked_write, p, SIGTERM) == SIGTERM,
	    "and a blocked write");
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	OK(stopped_by(blocked_write, p, SIGTERM) == SIGTERM,
	    "and one that polls");
	close(p[0]);
	close(p[1]);
	fd = dr_lock("lock", 0, &e);
	OK(fd != -1 && stopped_by(blocked_lock, NULL, SIGTERM) == SIGTERM,
	    "and waiting for a lock");
	close(fd);
}

static int
limited(void *arg)
{
	struct rlimit limit = { 1000, 1000 };
	struct dr_err err = { 0 };
	static char big[2000];

	(void)arg;
	dr_main_begin("t");
	if (setrlimit(RLIMIT_FSIZE, &limit) == -1)
		return 99;
	dr_file_put("huge", 0600, DR_FILE_NEW, big, sizeof(big), &err);
	return dr_main_end(&err);
}

/* As a user whom modes bind. */
static int
unprivileged(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	if (geteuid() == 0 && (setgid(65534) == -1 || setuid(65534) == -1))
		return 9;
	if (dr_file_put("ro/x", 0600, DR_FILE_NEW, "x", 1, &err) != -1 ||
	    strcmp(err.msg, "cannot create \"ro/x\": Permission denied") != 0)
		return 1;
	dr_err_clear(&err);
	if (dr_mkdirs("ro/sub", 0700, &err) != -1 ||
	    strstr(err.msg, "Permission denied") == NULL)
		return 2;
	return 0;
}

int
main(void)
{
	struct child c;
	struct sigaction sa = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &sa, NULL);
	if (mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	reading();
	directories();
	durable();
	getting();
	locking();
	stopping();
	child_run(&c, limited, NULL);
	OK(c.status == DR_EFAIL &&
	        strcmp(c.err, "t: error: cannot write "
	                      "\"huge\": File too large\n") == 0,
	    "a limit of the file's size");
	OK(strangers("a new key slow nfs lock llock") == 0, "leaves nothing");
	OK(mkdir("ro", 0555) == 0 && chmod(".", 0755) == 0, "read-only");
	child_run(&c, unprivileged, NULL);
	OK(c.status == 0, "a directory that cannot be written");

	unlink("a/f");
	unlink("a/l");
	rmdir("a/b/c");
	rmdir("a/b");
	rmdir("a/d");
	rmdir("a");
	rmdir("ro");
	unlink("new");
	unlink("key");
	unlink("slow");
	unlink("nfs");
	unlink("lock");
	unlink("llock");
	OK(chdir("/") == 0 && rmdir(dir) == 0, "no file is left");
	return DONE();
}
