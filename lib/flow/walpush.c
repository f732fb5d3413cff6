#include "flow/walpush.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walhistory.h"
#include "flow/walpush_int.h"
#include "flow/walstate.h"

#define LEDGER_WAIT_MS 60000
#define WORKERS        3
#define READY          ".ready"
#define QUEUE_MAX      1000000U /* names kept of archive_status */

static size_t
required(const struct dr_ship_opts *s)
{
	return s->require != 0 ? s->require : s->nstores;
}

/* Threads beside this one, which hashes and then helps. */
int
dr_push_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) - 1;

	return n < 1 ? 1 : n > WORKERS ? WORKERS : (int)n;
}

/* --- what waits ------------------------------------------------------------ */

/* As pgarch.c takes them: histories first, then by name. */
static int
by_turn(const void *a, const void *b)
{
	const char *x = a, *y = b;
	bool hx = strlen(x) == 8 + sizeof(".history") - 1;
	bool hy = strlen(y) == 8 + sizeof(".history") - 1;

	if (hx != hy)
		return hx ? -1 : 1;
	return strcmp(x, y);
}

/* "NAME.ready", where NAME is a WAL file's. */
static bool
ready(const char *entry, char name[DR_WAL_NAME_MAX])
{
	size_t n = strlen(entry), end = sizeof(READY) - 1;
	struct dr_err ignored = { 0 };
	struct dr_wal_file f;

	if (n <= end || n - end >= DR_WAL_NAME_MAX ||
	    strcmp(entry + n - end, READY) != 0)
		return false;
	memcpy(name, entry, n - end);
	name[n - end] = '\0';
	return dr_wal_name(name, &f, &ignored) == 0;
}

/* Read archive_status beside PATH, where there is one. */
static int
read_queue(struct dr_push *p, const char *path, struct dr_err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir, name[DR_WAL_NAME_MAX];
	void *more;
	size_t cap = 0;
	struct dirent *e;
	DIR *d;

	dir = dr_fmt(err, "%.*sarchive_status",
	    slash == NULL ? 0 : (int)(slash - path + 1), path);
	if (dir == NULL)
		return -1;
	d = opendir(dir);
	free(dir);
	if (d == NULL)
		return 0;
	p->r->queue = true;
	while (p->waiting < QUEUE_MAX && (e = readdir(d)) != NULL) {
		if (!ready(e->d_name, name))
			continue;
		if (p->waiting == cap) {
			cap = cap == 0 ? 64 : 2 * cap;
			more = reallocarray(p->queue, cap, sizeof(*p->queue));
			if (more == NULL) {
				closedir(d);
				return dr_err_sys(err,
				    "cannot list what waits");
			}
			p->queue = more;
		}
		memcpy(p->queue[p->waiting++], name, sizeof(name));
	}
	closedir(d);
	if (p->waiting > 0)
		qsort(p->queue, p->waiting, sizeof(*p->queue), by_turn);
	return 0;
}

/* How much waits, and is that too much? */
static void
measure_queue(struct dr_push *p, const char *path)
{
	char size[DR_SIZE_LEN], limit[DR_SIZE_LEN];
	struct dr_walpush_report *r = p->r;
	struct stat st;

	r->waiting_n = p->waiting;
	/* All segments have the size of this one. */
	if (r->bytes == 0 && stat(path, &st) == 0)
		r->bytes = (uint64_t)st.st_size;
	for (size_t i = 0; i < p->waiting; i++)
		if (strlen(p->queue[i]) == 24)
			r->waiting += r->bytes;
	r->over = p->o->queue_max > 0 && r->waiting > p->o->queue_max;
	if (r->over)
		dr_warn("%s of WAL wait to be archived, more than the %s of "
		        "--queue-max: the server keeps all of it, and its "
		        "disk fills",
		    dr_format_size(r->waiting, size),
		    dr_format_size(p->o->queue_max, limit));
}

/* --- one file -------------------------------------------------------------- */

/* What single stores failed by, where the rest was enough. */
static void
warn_stores(const struct dr_push *p, const char *name,
    const struct dr_ship_result *r)
{
	for (size_t i = 0; i < p->o->ship.nstores; i++)
		if (!r->store[i].done)
			dr_warn("\"%s\" is not in \"%s\": %s", name,
			    p->o->ship.stores[i], r->store[i].err.msg);
}

int
dr_push_file(struct dr_push *p, const char *path, struct dr_walfile *w,
    struct dr_ship_result *result, struct dr_err *err)
{
	struct dr_ship_opts so = p->o->ship;

	if (dr_push_allowed(p, path, w, err) == -1)
		return -1;
	if (p->ship == NULL) {
		so.system_id = w->id.system_id;
		so.workers = dr_push_workers();
		if ((p->ship = dr_ship_open(&so, err)) == NULL)
			return -1;
		p->r->ship = p->ship;
		p->system_id = w->id.system_id;
	}
	if (w->id.system_id != p->system_id)
		return dr_err_set(err, DR_EDATA, "\"%s\" is of another cluster",
		    w->id.name);
	/* Without it a recovery does not find the way to the WAL. */
	if (w->id.file.kind != DR_WAL_HISTORY &&
	    dr_walhistory_put(p->ship, &p->o->ship, p->system_id, path,
	        w->id.file.tli, err) == -1)
		return -1;
	if (dr_ship_put(p->ship, &w->id, w->data, w->len, result, err) == -1)
		return -1;
	if (result->done < p->o->ship.nstores)
		warn_stores(p, w->id.name, result);
	return 0;
}

/* Stored by an earlier run, and untouched since? */
static bool
known(const struct dr_push *p, const char *path, const char *name)
{
	const struct dr_ship_opts *s = &p->o->ship;
	struct stat st;

	return stat(path, &st) == 0 &&
	       dr_ahead_find(p->ahead, name, &st, s->stores, s->nstores) >=
	           required(s);
}

/* --- all of it ------------------------------------------------------------- */

static int
run(struct dr_push *p, const char *path, struct dr_err *err)
{
	struct dr_err ledger = { 0 };
	struct dr_walfile w;
	int rc;

	if ((p->ahead = dr_ahead_open(p->o->ship.state, p->o->ship.set, err)) ==
	    NULL)
		return -1;
	if (known(p, path, p->r->name)) {
		p->r->again = true;
		p->r->result.done = required(&p->o->ship);
		return 0;
	}
	if (dr_push_ask(p, err) == -1)
		return -1;
	rc = dr_walfile_open(&w, path, p->o->ship.set, dr_push_workers(), err);
	dr_push_hear(p);
	if (rc == -1)
		return -1;
	p->r->bytes = w.len;
	rc = dr_push_file(p, path, &w, &p->r->result, err);
	p->r->again = p->r->result.again;
	dr_walfile_close(&w);
	if (rc == -1)
		return -1;
	if (p->o->batch)
		dr_push_batch(p, path);
	/* The WAL is safe; what vouches for it can come with the next. */
	if (dr_ship_ledger(p->ship, false, &ledger) == -1)
		dr_warn("no ledger was written: %s", ledger.msg);
	return 0;
}

int
dr_walpush(const struct dr_walpush_opts *o, const char *path,
    struct dr_err *err)
{
	struct dr_walpush_report r = { 0 };
	struct dr_push p = { .o = o, .r = &r };
	struct dr_wal_id id;
	int rc;

	p.began = dr_monotonic();
	if (dr_walfile_name(path, &id, err) == -1)
		return -1;
	r.name = id.name;
	if ((o->batch || o->queue_max > 0) && read_queue(&p, path, err) == -1)
		return -1;
	rc = run(&p, path, err);
	if (r.queue)
		measure_queue(&p, path);
	r.usec = dr_monotonic() - p.began;
	/* An archiver would take it for a success by half. */
	if (rc == -1 && err->cause == DR_EPARTIAL && !r.refused)
		err->cause = DR_EFAIL;
	dr_walpush_tell(o, &r, err);
	if (rc == 0)
		dr_say(1, "\"%s\" %s", r.name,
		    r.again ? "was stored before" : "is stored");
	dr_ship_free(p.ship);
	dr_ahead_free(p.ahead);
	free(p.queue);
	return rc;
}

/* --- ledgers --------------------------------------------------------------- */

/* How many of the stores here is the ledger owed to? */
static int
owed_here(const struct dr_ship_opts *o, const struct dr_wal_pending *p,
    size_t *owed, struct dr_err *err)
{
	struct dr_store *store;

	*owed = 0;
	for (size_t i = 0; i < o->nstores; i++) {
		if ((store = dr_store_open(o->stores[i], o->how, err)) == NULL)
			return -1;
		for (size_t k = 0; k < p->n; k++)
			*owed += strcmp(p->owed[k], dr_store_url(store)) == 0;
		dr_store_free(store);
	}
	return 0;
}

/* Each ledger is in the required stores, or an error says which is not. */
static int
all_arrived(const struct dr_ship_opts *o, uint64_t system_id,
    struct dr_err *err)
{
	struct dr_wal_pending p = { .n = 0 };
	struct dr_walstate *st;
	uint64_t *v = NULL;
	size_t n = 0, owed;
	int rc = -1, lock;

	if ((st = dr_walstate_open(o->state, o->set, system_id, err)) == NULL)
		return -1;
	/* Another may be putting one there at this moment. */
	if ((lock = dr_walstate_ledger_lock(st, LEDGER_WAIT_MS, err)) != -1)
		rc = dr_walstate_pending(st, &v, &n, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((rc = dr_walstate_load(st, v[i], &p, err)) != 1)
			continue;
		rc = owed_here(o, &p, &owed, err);
		if (rc == 0 && o->nstores - owed < required(o))
			rc = dr_err_set(err, DR_EFAIL,
			    "\"%s\" is not in the required stores yet",
			    p.head.name);
		dr_wal_pending_wipe(&p);
	}
	if (lock != -1)
		close(lock);
	free(v);
	dr_walstate_free(st);
	return rc;
}

static int
ledger_of(const struct dr_walpush_opts *o, uint64_t system_id,
    struct dr_err *err)
{
	struct dr_ship_opts so = o->ship;
	struct dr_ship *ship;
	int rc;

	so.system_id = system_id;
	/* Whatever was put is due. */
	so.ledger_ms = 1;
	if ((ship = dr_ship_open(&so, err)) == NULL)
		return -1;
	rc = dr_ship_ledger(ship, false, err);
	dr_ship_free(ship);
	return rc == 0 ? all_arrived(&so, system_id, err) : -1;
}

int
dr_walpush_ledger(const struct dr_walpush_opts *o, struct dr_err *err)
{
	uint64_t system_id;
	struct dirent *e;
	char *dir, *end;
	size_t n = 0;
	int rc = 0;
	DIR *d;

	dir = dr_fmt(err, "%s/wal/%s", o->ship.state, o->ship.set);
	if (dir == NULL)
		return -1;
	if ((d = opendir(dir)) == NULL && errno != ENOENT)
		rc = dr_err_sys(err, "cannot open \"%s\"", dir);
	free(dir);
	while (rc == 0 && d != NULL && (e = readdir(d)) != NULL) {
		errno = 0;
		system_id = strtoull(e->d_name, &end, 10);
		if (*end != '\0' || errno != 0 || system_id == 0 ||
		    strspn(e->d_name, "0123456789") != strlen(e->d_name))
			continue;
		n++;
		rc = ledger_of(o, system_id, err);
	}
	if (d != NULL)
		closedir(d);
	if (rc == 0 && n == 0) {
		dr_err_set(err, DR_EFAIL,
		    "nothing was put into set \"%s\" from here yet",
		    o->ship.set);
		return dr_err_hint(err,
		    "is --state (DR_STATE) that of the user who runs "
		    "archive_command?");
	}
	return rc;
}
