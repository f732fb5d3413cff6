#include "flow/deadman.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/msg.h"
#include "coord/coord.h"
#include "pg/postmaster.h"

#define MAGIC   0x31646d6e61646564ULL
#define NAP_US  50000
/* How long an immediate shutdown may take. */
#define QUIT_MS 300

struct page {
	uint64_t magic;
	char boot[40];
	_Atomic int64_t stop_at, pid, fired;
	_Atomic int64_t child; /* who watches; another one ends */
};

struct dr_deadman {
	struct page *page;
	pid_t child; /* 0: none was started by us, or it is gone */
};

static int
boot_id(char out[40], struct dr_err *err)
{
	size_t len;
	char *s =
	    dr_file_get("/proc/sys/kernel/random/boot_id", 4096, &len, err);

	if (s == NULL)
		return -1;
	(void)snprintf(out, 40, "%.36s", s);
	free(s);
	return 0;
}

struct dr_deadman *
dr_deadman_open(const char *path, struct dr_err *err)
{
	struct dr_deadman *d = NULL;
	struct page *p = MAP_FAILED;
	char boot[40] = "";
	int fd;

	if (boot_id(boot, err) == -1)
		return NULL;
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1 ||
	    ftruncate(fd, sizeof(*p)) == -1 ||
	    (p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	         0)) == MAP_FAILED) {
		dr_err_sys(err, "cannot map \"%s\"", path);
		goto out;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL) {
		dr_err_sys(err, "cannot allocate");
		munmap(p, sizeof(*p));
		goto out;
	}
	if (p->magic != MAGIC || strcmp(p->boot, boot) != 0) {
		memset(p, 0, sizeof(*p));
		p->magic = MAGIC;
		memcpy(p->boot, boot, sizeof(p->boot));
	}
	d->page = p;

out:
	if (fd != -1)
		close(fd);
	return d;
}

void
dr_deadman_free(struct dr_deadman *d)
{
	if (d == NULL)
		return;
	munmap(d->page, sizeof(*d->page));
	free(d);
}

static bool
standby(const char *dir)
{
	struct dr_err no = { 0 };
	char *path = dr_fmt(&no, "%s/standby.signal", dir);
	bool is = path != NULL && access(path, F_OK) == 0;

	free(path);
	return is;
}

static void
watch(struct page *p, const char *dir, int64_t late_us)
{
	const struct timespec ts = { 0, NAP_US * 1000L };
	const pid_t parent = getppid();
	struct dr_err err = { 0 };
	int64_t at;

	for (;;) {
		if (atomic_load(&p->child) != (int64_t)getpid())
			return;
		at = atomic_load(&p->stop_at);
		if (at == 0 && getppid() != parent)
			return;
		if (at == 0 || dr_boottime() < at + late_us) {
			(void)nanosleep(&ts, NULL);
			continue;
		}
		if (!standby(dir)) {
			dr_warn("nobody has said in time that the server on "
			        "\"%s\" may go on: it is stopped",
			    dir);
			if (dr_postmaster_end(dir, QUIT_MS, &err) == -1) {
				dr_warn_err(&err);
				continue; /* until it is gone */
			}
			atomic_store(&p->fired, dr_boottime());
		}
		/* Unless that was said just now. */
		(void)atomic_compare_exchange_strong(&p->stop_at, &at, 0);
	}
}

int
dr_deadman_start(struct dr_deadman *d, const char *dir, uint64_t late_ms,
    struct dr_err *err)
{
	struct page *p = d->page;
	int gate[2];
	char c;
	pid_t pid;

	/* The child waits until it is known to be the one. */
	if (pipe2(gate, O_CLOEXEC) == -1)
		return dr_err_sys(err, "cannot make a pipe");
	if ((pid = fork()) == -1) {
		close(gate[0]);
		close(gate[1]);
		return dr_err_sys(err, "cannot start a process");
	}
	if (pid == 0) {
		dr_stops_ignore();
		(void)prctl(PR_SET_NAME, "dr-deadman");
		close(gate[1]);
		(void)!read(gate[0], &c, 1);
		/* Locks and connections are its parent's. */
		(void)close_range(3, ~0U, 0);
		watch(p, dir, (int64_t)late_ms * 1000);
		_exit(0);
	}
	close(gate[0]);
	atomic_store(&p->child, (int64_t)pid);
	close(gate[1]);
	d->child = pid;
	return 0;
}

bool
dr_deadman_alive(struct dr_deadman *d)
{
	if (d->child != 0 && waitpid(d->child, NULL, WNOHANG) != 0)
		d->child = 0;
	return d->child != 0;
}

void
dr_deadman_set(struct dr_deadman *d, int64_t stop_at, int64_t pid)
{
	atomic_store(&d->page->pid, pid);
	atomic_store(&d->page->stop_at, stop_at);
}

int64_t
dr_deadman_at(const struct dr_deadman *d)
{
	return atomic_load(&d->page->stop_at);
}

int64_t
dr_deadman_pid(const struct dr_deadman *d)
{
	return atomic_load(&d->page->pid);
}

int64_t
dr_deadman_fired(const struct dr_deadman *d)
{
	return atomic_load(&d->page->fired);
}
