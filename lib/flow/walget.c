#include "flow/walget.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/sealing.h"
#include "flow/walfetch.h"
#include "flow/walpace.h"
#include "flow/walspool.h"

#define WAL_MAX     (1U << 30)
#define KEYS_MAX    (1U << 20)
#define CONTROL_MIN 296 /* bytes of pg_control in use, at least */

/* One request. */
struct get {
	const struct dr_walget_opts *o;
	struct dr_verify_keys *keys;
	char *trust; /* their file's text */
	struct dr_walfetch fetch;
	struct dr_wal_file file;
	char *spool; /* NULL: none */
	struct dr_walpace pace;
	uint64_t whole; /* bytes of a segment that was delivered whole */
	int64_t end;    /* the deadline */
	pid_t waiting;  /* for the process that asks */
};

/* Between the process that asks and the one that waits for it. */
struct answer {
	_Atomic int asking;    /* the store, or -1 */
	_Atomic int64_t since; /* when that began */
	int rc;                /* 1, 0, -1; set last */
	bool unfinished;
	uint64_t size;
	struct dr_err err;
	char tmp[PATH_MAX]; /* what it wrote, or "" */
};

/* --- the data directory ---------------------------------------------------- */

static int
read_control(const char *path, uint64_t *system_id, struct dr_err *err)
{
	unsigned char head[CONTROL_MIN];
	uint32_t version;
	int fd, rc;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return dr_err_sys(err, "cannot open \"%s\"", path);
	}
	rc = dr_fd_pread(fd, head, sizeof(head), 0, path, err);
	close(fd);
	if (rc == -1)
		return -1;
	/* In the byte order of this host, as the server is on it. */
	memcpy(system_id, head, sizeof(*system_id));
	memcpy(&version, head + 8, sizeof(version));
	if (version < 900 || version > 9999 || *system_id == 0)
		return dr_err_set(err, DR_EDATA, "\"%s\" is damaged", path);
	return 1;
}

int
dr_walget_system(const char *dest, uint64_t *system_id, struct dr_err *err)
{
	size_t n = strlen(dest);
	char *path;
	int rc, parts;

	/* Without its last two parts: pg_wal/RECOVERYXLOG. */
	for (parts = 0; parts < 2 && n > 0; parts++) {
		while (n > 0 && dest[n - 1] != '/')
			n--;
		while (n > 0 && dest[n - 1] == '/' && (n > 1 || parts == 0))
			n--;
	}
	if ((path = dr_fmt(err, "%.*s%sglobal/pg_control", (int)n, dest,
	         n > 0            ? "/"
	         : dest[0] == '/' ? "/"
	                          : "")) == NULL)
		return -1;
	rc = read_control(path, system_id, err);
	free(path);
	if (rc == 0 && dest[0] != '/')
		rc = read_control("global/pg_control", system_id, err);
	return rc;
}

int
dr_walget_number(const char *text, uint64_t *system_id, struct dr_err *err)
{
	size_t n = strspn(text, "0123456789");

	errno = 0;
	*system_id = strtoull(text, NULL, 10);
	if (n == 0 || text[n] != '\0' || errno != 0 || *system_id == 0)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%.40s\" is no system identifier", text);
	return 0;
}

/* --- asking ---------------------------------------------------------------- */

static void
on_asking(void *arg, size_t store)
{
	struct answer *a = arg;

	atomic_store(&a->since, dr_monotonic());
	atomic_store(&a->asking, (int)store);
}

static void
leave(int sig)
{
	(void)sig;
	_exit(1);
}

/* Should nobody be left to kill us. */
static void
leave_at(int64_t end)
{
	int64_t left = end - dr_monotonic() + 1000000;
	struct itimerval t = { { 0, 0 }, { 1, 0 } };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = leave;
	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGALRM, &sa, NULL);
	if (left > 1000000)
		t.it_value.tv_sec = (time_t)(left / 1000000);
	(void)setitimer(ITIMER_REAL, &t, NULL);
}

/* Without its name yet: whoever waits gives it that, and makes it durable. */
static int
write_out(const struct get *g, const struct dr_buf *b, struct answer *a,
    struct dr_err *err)
{
	struct dr_file f = DR_FILE_INIT;

	if (dr_file_create(&f, g->o->dest, 0640, err) == -1)
		return -1;
	if (strlen(f.tmp) >= sizeof(a->tmp)) {
		dr_file_abandon(&f);
		return dr_err_set(err, DR_EUSAGE, "\"%s\" is too long",
		    g->o->dest);
	}
	memcpy(a->tmp, f.tmp, strlen(f.tmp) + 1);
	(void)flock(f.fd, LOCK_EX | LOCK_NB); /* see dr_walget_sweep */
	if (dr_fd_write(f.fd, b->data, b->len, g->o->dest, err) == -1) {
		dr_file_abandon(&f);
		return -1;
	}
	if (getppid() != g->waiting) { /* nobody waits any more */
		dr_file_abandon(&f);
		_exit(1);
	}
	return 0; /* its descriptor goes with this process */
}

static struct dr_identities *
identities(const struct dr_walget_opts *o, struct dr_err *err)
{
	return dr_identities_gather(&o->identities, o->identity_command,
	    o->passphrase_file, err);
}

/* 1, 0, -1. */
static int
ask(struct get *g, struct answer *a, struct dr_err *err)
{
	const struct dr_walget_opts *o = g->o;
	struct dr_buf out = { .max = WAL_MAX };
	int rc;

	g->fetch.asking = on_asking;
	g->fetch.arg = a;
	if ((g->fetch.ids = identities(o, err)) == NULL ||
	    dr_walfetch_open(&g->fetch, o->stores, o->nstores, err) == -1)
		return -1;
	if (g->fetch.system_id == 0 && (rc = dr_walfetch_system(&g->fetch,
	                                    &g->fetch.system_id, err)) != 1) {
		if (rc == 0)
			dr_warn("set \"%s\" holds no WAL", o->set);
		return rc;
	}
	rc = dr_walfetch(&g->fetch, o->name, &out, &a->unfinished, err);
	if (rc == 0 && g->file.kind == DR_WAL_SEGMENT &&
	    !dr_walfetch_known(&g->fetch))
		dr_warn("set \"%s\" holds no WAL of this cluster, whose "
		        "system identifier is %llu",
		    o->set, (unsigned long long)g->fetch.system_id);
	if (rc == 1 && write_out(g, &out, a, err) == -1)
		rc = -1;
	a->size = out.len;
	return rc; /* what this holds goes with the process */
}

static pid_t
start(struct get *g, struct answer *a, int *done, struct dr_err *err)
{
	int p[2];
	pid_t pid;

	memset(a, 0, sizeof(*a));
	atomic_store(&a->asking, -1);
	a->rc = -1;
	if (pipe2(p, O_CLOEXEC) == -1) {
		dr_err_sys(err, "cannot make a pipe");
		return -1;
	}
	if ((pid = fork()) == -1) {
		dr_err_sys(err, "cannot start a process");
		close(p[0]);
		close(p[1]);
		return -1;
	}
	if (pid == 0) {
		close(p[0]);
		leave_at(g->end);
		a->rc = ask(g, a, &a->err);
		_exit(0);
	}
	close(p[1]);
	*done = p[0];
	return pid;
}

/* End it; one that hangs in the kernel is left to that. */
static void
end(pid_t pid)
{
	const struct timespec pause = { 0, 1000000 };

	(void)kill(pid, SIGKILL);
	for (int i = 0; i < 500 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		(void)nanosleep(&pause, NULL);
}

enum waited { W_DONE, W_STOP, W_LATE, W_STALL };

static enum waited
wait_for(const struct get *g, struct answer *a, int done)
{
	int64_t share =
	    (int64_t)g->o->timeout_ms * 1000 / (int64_t)g->o->nstores;
	int64_t now, until;
	int at;

	for (;;) {
		struct pollfd p[2] = { { .fd = done, .events = POLLIN },
			{ .fd = dr_stop_fd(), .events = POLLIN } };

		if (dr_stopped() != 0)
			return W_STOP;
		now = dr_monotonic();
		until = g->end;
		at = atomic_load(&a->asking);
		if (now >= until)
			return W_LATE;
		if (g->o->nstores > 1 && at >= 0 &&
		    atomic_load(&a->since) + share < until) {
			until = atomic_load(&a->since) + share;
			if (now >= until)
				return W_STALL;
		}
		/* Which store is asked may change meanwhile. */
		if (until - now > 100000)
			until = now + 100000;
		if (poll(p, 2, (int)((until - now) / 1000) + 1) > 0 &&
		    p[0].revents != 0)
			return W_DONE;
	}
}

/* Give what was written its name. */
static int
commit(const struct get *g, const struct answer *a, struct dr_err *err)
{
	struct dr_file f = DR_FILE_INIT;

	f.path = dr_fmt(err, "%s", g->o->dest);
	f.tmp = dr_fmt(err, "%s", a->tmp);
	if (f.path == NULL || f.tmp == NULL)
		goto fail;
	if ((f.fd = open(a->tmp, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) == -1) {
		dr_err_sys(err, "cannot open \"%s\"", a->tmp);
		goto fail;
	}
	return dr_file_commit(&f, DR_FILE_REPLACE, err);

fail:
	dr_file_abandon(&f);
	return -1;
}

/* From the stores to DEST: 1, 0, -1. */
static int
from_stores(struct get *g, struct answer *a, struct dr_err *err)
{
	enum waited how;
	int done = -1, status;
	pid_t pid;

	for (;;) {
		if ((pid = start(g, a, &done, err)) == -1)
			return -1;
		how = wait_for(g, a, done);
		close(done);
		if (how == W_DONE)
			break;
		end(pid);
		if (a->tmp[0] != '\0')
			(void)unlink(a->tmp);
		if (how == W_STOP)
			return dr_check_stop(err);
		if (how == W_LATE) {
			dr_err_set(err, DR_ERETRY, "no answer within %llu ms",
			    (unsigned long long)g->o->timeout_ms);
			return dr_err_hint(err,
			    "--timeout gives the stores more time");
		}
		status = atomic_load(&a->asking);
		dr_warn("store \"%s\" does not answer", g->o->stores[status]);
		g->fetch.skip[status] = true;
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		if (a->tmp[0] != '\0')
			(void)unlink(a->tmp);
		return dr_err_set(err, DR_EFAIL,
		    "the process that asks the stores died");
	}
	if (a->rc == -1)
		*err = a->err;
	if (a->rc == 1 && commit(g, a, err) == -1)
		return -1;
	return a->rc;
}

/* --- ahead ----------------------------------------------------------------- */

static int
ready(void *arg, struct dr_walfetch *f, struct dr_err *err)
{
	f->ids = identities(arg, err);
	return f->ids == NULL ? -1 : 0;
}

/* Fetchers for what comes after a segment of SIZE bytes. */
static void
ahead(struct get *g, uint64_t size)
{
	struct dr_walget_opts o = *g->o;
	struct dr_walspool_job job = { .dir = g->spool,
		.segment = o.name,
		.segsize = size,
		.stores = o.stores,
		.nstores = o.nstores,
		.timeout_ms = o.timeout_ms,
		.ready = ready,
		.arg = &o };
	struct dr_err why = { 0 };

	job.fetch = g->fetch;
	if (dr_walspool_start(&job, &why) == -1)
		dr_say(1, "nothing is fetched ahead: %s", why.msg);
}

static void
find_spool(struct get *g)
{
	const struct dr_walget_opts *o = g->o;
	struct dr_walspool_key key = { .state = o->state,
		.set = o->set,
		.system_id = g->fetch.system_id,
		.tli = g->file.tli,
		.dest = o->dest,
		.trust = g->trust,
		.stores = o->stores,
		.nstores = o->nstores };
	struct dr_err why = { 0 };

	if (o->state == NULL || g->fetch.system_id == 0 ||
	    g->file.kind != DR_WAL_SEGMENT)
		return;
	if ((g->spool = dr_walspool_dir(&key, &why)) == NULL)
		dr_say(1, "nothing is fetched ahead: %s", why.msg);
}

/* --- all together ---------------------------------------------------------- */

static int
load_keys(struct get *g, struct dr_err *err)
{
	const struct dr_walget_opts *o = g->o;
	char *path;

	if (o->no_signature) {
		g->trust = dr_fmt(err, "%s", "");
		return g->trust == NULL ? -1 : 0;
	}
	if ((g->keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		return -1;
	g->fetch.keys = g->keys;
	g->fetch.how = o->how;
	if (o->verify_key != NULL)
		path = dr_fmt(err, "%s", o->verify_key);
	else
		path = dr_fmt(err, "%s/sign.key.pub", o->state);
	if (path != NULL)
		g->trust = dr_file_get(path, KEYS_MAX, NULL, err);
	free(path);
	return g->trust == NULL ? -1 : 0;
}

/* 1, 0, -1. */
static int
get(struct get *g, struct dr_err *err)
{
	const struct dr_walget_opts *o = g->o;
	struct answer *a;
	uint64_t size = 0;
	int rc;

	if (dr_wal_name(o->name, &g->file, err) == -1 ||
	    load_keys(g, err) == -1 ||
	    (o->system_id == 0 &&
	        dr_walget_system(o->dest, &g->fetch.system_id, err) == -1))
		return -1;
	dr_walget_sweep(o->dest);
	find_spool(g);
	if (g->spool != NULL)
		dr_walpace_begin(&g->pace, g->spool);
	if (g->spool != NULL && dr_walspool_take(g->spool, o->name, o->dest,
	                            o->timeout_ms / 2, &size) == 1) {
		dr_say(1, "\"%s\" had been fetched ahead", o->name);
		ahead(g, size);
		g->whole = size;
		return 1;
	}
	a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a == MAP_FAILED)
		return dr_err_sys(err, "cannot allocate memory");
	rc = from_stores(g, a, err);
	if (rc == 1 && g->spool != NULL && !a->unfinished) {
		ahead(g, a->size);
		g->whole = a->size;
	}
	(void)munmap(a, sizeof(*a));
	return rc;
}

static const char *
cause_name(enum dr_cause cause)
{
	switch (cause) {
	case DR_EUSAGE:
		return "usage";
	case DR_EDATA:
		return "data";
	case DR_ERETRY:
		return "temporary";
	case DR_OK:
	case DR_EFAIL:
	case DR_EPARTIAL:
	case DR_ESTOP:
	case DR_EPIPE:
	default:
		return "failed";
	}
}

/* Why the last one failed, or that it did not. */
static void
metrics(const struct dr_walget_opts *o, const struct dr_err *failure)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf labels = { .max = 8192 };
	struct dr_err why = { 0 };
	char *file = NULL;
	bool bad = failure->cause != DR_OK;

	if (dr_metric_label(&labels, "set", o->set, &why) == -1 ||
	    dr_metric(&m, "drtools_wal_get_failing", "gauge",
	        "1 while the last file of WAL could not be fetched",
	        labels.data, bad ? 1 : 0, &why) == -1 ||
	    dr_metric(&m, "drtools_wal_get_time_seconds", "gauge",
	        "When that was", labels.data, (double)dr_now() / 1e6,
	        &why) == -1)
		goto out;
	if (bad &&
	    (dr_metric_label(&labels, "cause", cause_name(failure->cause),
	         &why) == -1 ||
	        dr_metric_label(&labels, "file", o->name, &why) == -1 ||
	        dr_metric_label(&labels, "message", failure->msg, &why) == -1 ||
	        dr_metric(&m, "drtools_wal_get_failure", "gauge",
	            "Why it could not", labels.data, 1, &why) == -1))
		goto out;
	if ((file = dr_fmt(&why, "dr-wal-get_%s", o->set)) != NULL)
		(void)dr_metrics_write(&m, file, &why);

out:
	if (why.cause != DR_OK)
		dr_warn("%s", why.msg);
	free(file);
	dr_buf_free(&m.text);
	dr_buf_free(&labels);
}

enum dr_walget_status
dr_walget(const struct dr_walget_opts *opts, struct dr_err *err)
{
	struct dr_walget_opts o = *opts;
	struct get g = { .o = &o };
	int rc;

	if (o.timeout_ms == 0)
		o.timeout_ms = o.standby ? DR_WALGET_STANDBY_MS : DR_WALGET_MS;
	g.waiting = getpid();
	g.end = dr_monotonic() + (int64_t)o.timeout_ms * 1000;
	g.fetch.set = o.set;
	g.fetch.system_id = o.system_id;
	rc = get(&g, err);
	if (g.spool != NULL)
		dr_walpace_end(&g.pace, g.spool, g.whole, o.state, o.set);
	dr_verify_keys_free(g.keys);
	free(g.trust);
	free(g.spool);
	if (rc == -1 && err->cause == DR_ESTOP)
		return DR_WALGET_FAILED;
	metrics(&o, err);
	if (rc == 1)
		return DR_WALGET_DONE;
	if (rc == 0)
		return DR_WALGET_ABSENT;
	return o.standby && err->cause != DR_EUSAGE ? DR_WALGET_ABSENT
	                                            : DR_WALGET_FAILED;
}
