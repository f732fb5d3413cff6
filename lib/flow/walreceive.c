#include "flow/walreceive.h"

#include <sys/mman.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/setconf.h"
#include "flow/walreceive_int.h"
#include "flow/walship.h"

#define IN_MEMORY      (16U << 20) /* larger segments lie in a spool file */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define BARRED_MAX_MS  500 /* an address may become the leader's */
#define END_MS         2000
#define END_TURN_US    50000

/* A file that has no name any more. */
static int
spool(const struct dr_wal_receive_opts *o, size_t len, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/sets/%s/.spool.XXXXXX", o->state, o->set);
	int fd = -1;

	if (path == NULL)
		return -1;
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		dr_err_sys(err, "cannot create \"%s\"", path);
	else if (unlink(path) == -1 || ftruncate(fd, (off_t)len) == -1) {
		dr_err_sys(err, "cannot make room in \"%s\"", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

int
dr_recv_map(struct dr_recv *r, struct dr_err *err)
{
	int fd = -1, flags = MAP_SHARED | MAP_ANONYMOUS, i;

	const size_t segments = (size_t)r->segsize * DR_RECV_BUFS;

	r->maplen = segments + sizeof(*r->shared);
	if (r->segsize > IN_MEMORY) {
		if ((fd = spool(r->o, r->maplen, err)) == -1)
			return -1;
		flags = MAP_SHARED;
	}
	r->map = mmap(NULL, r->maplen, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		dr_err_sys(err, "cannot make room for WAL");
	}
	if (fd != -1)
		close(fd);
	if (r->map == NULL)
		return -1;
	r->shared = (void *)((unsigned char *)r->map + segments);
	for (i = 0; i < DR_RECV_BUFS; i++)
		r->buf[i].data =
		    (unsigned char *)r->map + (size_t)i * r->segsize;
	return 0;
}

/* While a connection is made the loop does not turn. */
static int
each_second(void *arg, struct dr_err *err)
{
	struct dr_recv *r = arg;

	if (r->watchdog_at != 0)
		dr_notify("WATCHDOG=1");
	return dr_recv_heed_connecting(r, err);
}

static bool
stopped(const struct dr_recv *r)
{
	return r->stopping || dr_stopped() != 0;
}

/* Connect and stream for as long as it goes. */
static int
session(struct dr_recv *r, bool *streamed, struct dr_err *err)
{
	int rc;

	*streamed = false;
	dr_each_second(each_second, r);
	rc = dr_recv_connect(r, err);
	dr_each_second(NULL, NULL);
	if (rc == -1)
		return -1;
	*streamed = true;
	if (!r->streamed) {
		r->streamed = true;
		dr_recv_audit(r, "receive", "ok");
	}
	while (!stopped(r))
		if (dr_recv_turn(r, dr_monotonic() + DR_RECV_QUERY_US, err) ==
		    -1)
			return -1;
	return 0;
}

/* Wait, and ship meanwhile what there is. */
static void
pause_for(struct dr_recv *r, uint64_t ms, struct dr_err *err)
{
	int64_t until = dr_monotonic() + (int64_t)ms * 1000;

	while (!stopped(r) && dr_monotonic() < until && !r->watch.changed) {
		r->flush_now = true;
		if (dr_recv_turn(r, until, err) == -1)
			return;
	}
}

/* Is it of no use to try again? */
static bool
is_final(const struct dr_recv *r, const struct dr_err *err)
{
	if (r->fatal || err->cause == DR_EUSAGE || err->cause == DR_EDATA)
		return true;
	/* What is wrong from the start is told at once. */
	return err->cause == DR_EFAIL && !r->streamed;
}

static int
keep_on(struct dr_recv *r, struct dr_err *err)
{
	uint64_t wait = BACKOFF_MIN_MS, jitter = 0;
	struct dr_err why, odd = { 0 };
	bool streamed;

	while (!stopped(r)) {
		memset(&why, 0, sizeof(why));
		if (session(r, &streamed, &why) == 0)
			break;
		if (why.cause == DR_ESTOP || stopped(r))
			break;
		dr_recv_disconnect(r);
		if (is_final(r, &why)) {
			*err = why;
			return -1;
		}
		r->reconnects++;
		if (streamed)
			wait = BACKOFF_MIN_MS;
		if (r->watch.barred) {
			if (!r->watch.told)
				dr_warn("%s", why.msg);
			if (wait > BARRED_MAX_MS)
				wait = BARRED_MAX_MS;
		} else if (wait >= 800 || streamed)
			dr_warn("%s; trying again", why.msg);
		r->watch.told = r->watch.barred;
		dr_notify("STATUS=%s", why.msg);
		dr_recv_metrics(r);
		(void)dr_random(&jitter, sizeof(jitter), &odd);
		memset(&why, 0, sizeof(why));
		pause_for(r, wait + jitter % wait, &why);
		if (r->fatal) {
			*err = why;
			return -1;
		}
		wait = wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
	}
	return 0;
}

/* Ship what is there, write a ledger, tell the server. */
static int
wind_up(struct dr_recv *r, struct dr_err *err)
{
	const int64_t until =
	    dr_monotonic() + (int64_t)r->o->shutdown_timeout * 1000;
	const struct dr_recv_order o = { .kind = DR_RECV_LEDGER };
	struct dr_err lost = { 0 };
	char lsn[DR_LSN_LEN];
	bool asked = false;
	int64_t now;

	r->stopping = true;
	dr_stop_heard();
	dr_notify("STOPPING=1\nSTATUS=shipping what is left");
	while (r->child.pid != 0 && r->ready && dr_monotonic() < until &&
	       (!asked || r->child.busy)) {
		r->flush_now = true;
		if (dr_recv_drained(r) && !asked) {
			asked = true;
			r->order = o;
			r->ordered = dr_monotonic();
			if (dr_recv_send(&r->child, &o, NULL, 0, err) == -1)
				return -1;
		}
		/* What is done in a turn is seen after it. */
		now = dr_monotonic() + END_TURN_US;
		if (dr_recv_turn(r, now < until ? now : until, &lost) == -1) {
			if (r->fatal) {
				*err = lost;
				return -1;
			}
			dr_err_clear(&lost);
			dr_recv_disconnect(r);
		}
	}
	if (!r->ready || (asked && !r->child.busy))
		return 0;
	return dr_err_set(err, DR_EPARTIAL,
	    "stopped, but WAL after %s is not durable in the stores; the slot "
	    "\"%s\" holds it",
	    dr_format_lsn(r->last.durable.lsn, lsn), r->o->slot);
}

/* Before anything is asked of the server. */
static int
check_stores(struct dr_recv *r, struct dr_err *err)
{
	const struct dr_wal_receive_opts *o = r->o;
	struct dr_store *store[DR_SHIP_STORES];
	int rc = -1;
	size_t n;

	for (n = 0; n < o->nstores; n++)
		if ((store[n] = dr_store_open(o->stores[n], o->how, err)) ==
		    NULL)
			goto out;
	for (size_t i = 0; i < n; i++)
		if ((r->url[i] = dr_fmt(err, "%s", dr_store_url(store[i]))) ==
		    NULL)
			goto out;
	rc = dr_regions_check(o->set, store, n, err);

out:
	while (n > 0)
		dr_store_free(store[--n]);
	return rc;
}

static int
check(struct dr_recv *r, struct dr_err *err)
{
	const struct dr_wal_receive_opts *o = r->o;

	if (o->slot == NULL)
		return dr_err_set(err, DR_EUSAGE, "--slot is missing");
	if (!dr_slot_name_ok(o->slot)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no name of a replication slot", o->slot);
		return dr_err_hint(err, "lower-case letters, digits and "
		                        "\"_\", at most 63");
	}
	if (o->nstores > DR_SHIP_STORES)
		return dr_err_set(err, DR_EUSAGE, "more than %d stores",
		    DR_SHIP_STORES);
	if (o->require > o->nstores)
		return dr_err_set(err, DR_EUSAGE,
		    "--require asks for more stores than there are");
	return check_stores(r, err);
}

/* One receiver of a slot on this host; the server sees to the rest. */
static int
lock(const struct dr_wal_receive_opts *o, struct dr_err *err)
{
	char *dir = NULL, *path = NULL;
	int fd = -1;

	if ((dir = dr_fmt(err, "%s/sets/%s", o->state, o->set)) != NULL &&
	    (path = dr_fmt(err, "%s/receive-%s.lock", dir, o->slot)) != NULL &&
	    dr_mkdirs(dir, 0755, err) == 0)
		fd = dr_lock(path, 3000, err);
	free(path);
	free(dir);
	return fd;
}

/* Do all stores hold the same, where fewer are required? */
static int
all_even(const struct dr_recv *r, struct dr_err *err)
{
	for (size_t i = 0; i < r->o->nstores; i++) {
		if ((r->last.behind & 1U << i) == 0)
			continue;
		dr_err_set(err, DR_EPARTIAL,
		    "store \"%s\" lacks WAL that others hold", r->url[i]);
		return dr_err_hint(err,
		    "what it lacks is sent again while the server has it, "
		    "where --require counts this store, too");
	}
	return 0;
}

static void
recv_free(struct dr_recv *r)
{
	for (size_t i = 0; i < r->o->nstores && i < DR_SHIP_STORES; i++)
		free(r->url[i]);
	free(r);
}

int
dr_wal_receive(const struct dr_wal_receive_opts *o, struct dr_err *err)
{
	struct dr_recv *r;
	struct dr_err end = { 0 };
	int fd, rc;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return dr_err_sys(err, "cannot allocate a receiver");
	r->o = o;
	if (check(r, err) == -1 || (fd = lock(o, err)) == -1) {
		recv_free(r);
		return -1;
	}
	r->slot.safe = -1;
	if (dr_notify_watchdog() != 0)
		r->watchdog_at = 1;
	if ((rc = dr_recv_watch_start(r, err)) == 0)
		rc = keep_on(r, err);
	if (rc == 0)
		rc = wind_up(r, err);
	if (rc == 0)
		rc = all_even(r, err);
	if (rc == 0 && r->gaps > 0)
		rc = dr_err_set(err, DR_EPARTIAL,
		    "WAL is missing in the stores: it was removed %lu time%s "
		    "before it was stored",
		    r->gaps, dr_plural(r->gaps));
	dr_recv_hosts_end(r);
	dr_recv_disconnect(r);
	dr_recv_end(&r->child, rc == 0 || r->fatal ? END_MS : 0);
	dr_recv_watch_end(r);
	if (r->ready) {
		if (rc == -1)
			end = *err;
		dr_recv_audit(r, "stop", rc == 0 ? "ok" : end.msg);
		dr_recv_metrics(r);
	}
	dr_history_free(&r->history);
	dr_buf_free(&r->history_text);
	if (r->map != NULL)
		munmap(r->map, r->maplen);
	recv_free(r);
	close(fd);
	return rc;
}
