/*
 * Transfers between two stores: a few processes, each with its own
 * connections, that copy one object at a time.
 */
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/mirror_int.h"
#include "flow/through.h"

#define SMALL    (4U << 20) /* up to this an object goes in one request */
#define STEP     (1U << 20)
#define WORKERS  16
/* With so many failures in a row, the rest would fail, too. */
#define IN_A_ROW 8

/* --- one object ---------------------------------------------------------------- */

static int
not_signed(const struct dr_copy *c, const struct dr_store *src,
    struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "\"%s\" in \"%s\" is not what was signed for: it is damaged or "
	    "another's",
	    c->name, dr_store_url(src));
}

/* It exists in DST: with the bytes whose hash is SHA256? */
static int
same(struct dr_store *dst, const struct dr_copy *c, const char *sha256,
    struct dr_err *err)
{
	char has[DR_SHA256_HEX];
	struct dr_blob *blob;
	int rc = -1;

	if ((blob = dr_store_get(dst, c->name, err)) == NULL)
		return -1;
	if (dr_blob_sha256(blob, has, err) == 0)
		rc =
		    strcmp(has, sha256) == 0
		        ? 0
		        : dr_err_set(err, DR_EDATA,
		              "\"%s\" is in \"%s\" already, with other content",
		              c->name, dr_store_url(dst));
	dr_blob_free(blob);
	return rc;
}

/*
 * What is signed for is found beneath an overwrite or a deletion, too, where
 * the store keeps versions.
 */
static struct dr_blob *
open_source(struct dr_store *src, const struct dr_copy *c, struct dr_err *err)
{
	char note[DR_NOTE_MAX] = "";
	struct dr_blob *blob;

	if (c->sha256[0] == '\0')
		return dr_store_get(src, c->name, err);
	blob = dr_through_get(src, c->name, c->size, c->sha256, note, err);
	if (blob != NULL && note[0] != '\0')
		dr_warn("%s", note);
	return blob;
}

/* From beneath: what is current is not what is meant. */
static int
read_beneath(struct dr_store *src, const struct dr_copy *c, char **data,
    char sha256[DR_SHA256_HEX], struct dr_err *err)
{
	struct dr_blob *blob = open_source(src, c, err);
	int rc = -1;

	if (blob == NULL)
		return -1;
	if (blob->size != c->size)
		not_signed(c, src, err);
	else if ((*data = malloc(c->size + 1)) == NULL)
		dr_err_sys(err, "cannot copy \"%s\"", c->name);
	else if (dr_blob_pread(blob, *data, c->size, 0, err) == 0 &&
	         dr_sha256_hex(*data, c->size, sha256, err) == 0)
		rc = c->sha256[0] == '\0' || strcmp(sha256, c->sha256) == 0
		         ? 0
		         : not_signed(c, src, err);
	dr_blob_free(blob);
	return rc;
}

/* In one request, where what is current is what is meant. */
static int
read_small(struct dr_store *src, const struct dr_copy *c, char **data,
    char sha256[DR_SHA256_HEX], struct dr_err *err)
{
	size_t len = 0;
	int rc = dr_store_get_small(src, c->name, c->size, data, &len, err);

	if (rc == -1 && err->cause != DR_EDATA)
		return -1;
	if (rc == 1 && len == c->size) {
		if (dr_sha256_hex(*data, len, sha256, err) == -1)
			return -1;
		if (c->sha256[0] == '\0' || strcmp(sha256, c->sha256) == 0)
			return 0;
	}
	free(*data);
	*data = NULL;
	dr_err_clear(err);
	return read_beneath(src, c, data, sha256, err);
}

static int
copy_small(struct dr_store *src, struct dr_store *dst, const struct dr_copy *c,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	char sha256[DR_SHA256_HEX];
	size_t len = (size_t)c->size;
	char *data = NULL;
	int rc = -1;

	if (read_small(src, c, &data, sha256, err) == -1)
		goto out;
	switch (dr_store_put_small(dst, c->name, data, len, NULL, &why)) {
	case DR_PUT_OK:
		rc = 0;
		break;
	case DR_PUT_EXISTS:
		rc = same(dst, c, sha256, err);
		break;
	case DR_PUT_FAILED:
		*err = why;
		break;
	}

out:
	free(data);
	return rc;
}

static int
stream(struct dr_source *from, struct dr_sink *to, const struct dr_copy *c,
    struct dr_pace *pace, char sha256[DR_SHA256_HEX], struct dr_err *err)
{
	unsigned char digest[DR_SHA256_LEN];
	struct dr_sha256 *h = dr_sha256_new(err);
	char *buf = malloc(STEP);
	uint64_t done = 0;
	ssize_t n = -1;
	int rc = -1;

	if (buf == NULL)
		dr_err_sys(err, "cannot copy \"%s\"", c->name);
	while (h != NULL && buf != NULL &&
	       (n = dr_source_read(from, buf, STEP, err)) > 0) {
		done += (uint64_t)n;
		if (dr_check_stop(err) == -1 ||
		    dr_pace_wait(pace, (uint64_t)n, err) == -1 ||
		    dr_sha256_add(h, buf, (size_t)n, err) == -1 ||
		    dr_sink_write(to, buf, (size_t)n, err) == -1) {
			n = -1;
			break;
		}
	}
	if (n == 0 && done == c->size && dr_sha256_end(h, digest, err) == 0) {
		dr_hex(digest, sizeof(digest), sha256);
		rc = 0;
	} else if (n == 0)
		dr_err_set(err, DR_EDATA, "\"%s\" changed while it was read",
		    c->name);
	dr_sha256_free(h);
	free(buf);
	return rc;
}

static int
copy_big(struct dr_store *dst, struct dr_blob *blob, const struct dr_copy *c,
    const struct dr_store *src, struct dr_pace *pace, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char sha256[DR_SHA256_HEX];
	struct dr_source *from = NULL;
	struct dr_sink *to = NULL;
	int rc = -1;

	if ((from = dr_blob_source(blob, err)) == NULL ||
	    (to = dr_store_put(dst, c->name, err)) == NULL ||
	    stream(from, to, c, pace, sha256, err) == -1)
		goto out;
	if (c->sha256[0] != '\0' && strcmp(sha256, c->sha256) != 0) {
		not_signed(c, src, err);
		goto out;
	}
	errno = 0;
	if ((rc = dr_sink_finish(to, &why)) == -1) {
		if (errno == EEXIST || errno == EALREADY)
			rc = same(dst, c, sha256, err);
		else
			*err = why;
	}

out:
	dr_sink_free(to);
	dr_source_free(from);
	return rc;
}

int
dr_copy_object(struct dr_store *src, struct dr_store *dst,
    const struct dr_copy *c, struct dr_pace *pace, struct dr_err *err)
{
	struct dr_blob *blob;
	int rc;

	if (c->size <= SMALL)
		return dr_pace_wait(pace, c->size, err) == -1
		           ? -1
		           : copy_small(src, dst, c, err);
	if ((blob = open_source(src, c, err)) == NULL)
		return -1;
	rc = blob->size != c->size ? not_signed(c, src, err)
	                           : copy_big(dst, blob, c, src, pace, err);
	dr_blob_free(blob);
	return rc;
}

/* --- processes ------------------------------------------------------------------- */

struct reply {
	enum dr_cause result;
	struct dr_err err;
};

struct worker {
	pid_t pid;
	int to, from; /* pipes: orders and replies */
	struct dr_copy *at;
};

struct dr_copiers {
	const struct dr_mirror_opts *o;
	struct dr_pace *pace;
	struct worker worker[WORKERS];
	int n; /* as many as were asked for */
	int begun;
	int in_a_row; /* failures since the last that was copied */
	struct dr_err failure;
};

/* What a worker is sent, whole in one write, and followed by the name. */
struct order {
	uint64_t size;
	char sha256[DR_SHA256_HEX];
	uint32_t name;
};

static int
serve(const struct dr_copiers *cs, int orders, int replies)
{
	struct dr_err err = { 0 };
	struct dr_store *src, *dst = NULL;
	char name[1024];
	struct order o;
	int rc = -1;

	if ((src = dr_store_open(cs->o->src, cs->o->from, &err)) == NULL ||
	    (dst = dr_store_open(cs->o->dst, cs->o->to, &err)) == NULL)
		goto out;
	for (;;) {
		struct dr_copy c = { .name = name };
		struct reply r;
		ssize_t n;

		memset(&r, 0, sizeof(r));
		n = dr_fd_fill(orders, &o, sizeof(o), "orders", &err);
		if (n == 0)
			rc = 0;
		if (n != (ssize_t)sizeof(o) || o.name >= sizeof(name) ||
		    dr_fd_fill(orders, name, o.name, "orders", &err) !=
		        (ssize_t)o.name)
			break;
		name[o.name] = '\0';
		c.size = o.size;
		memcpy(c.sha256, o.sha256, sizeof(c.sha256));
		if (dr_copy_object(src, dst, &c, cs->pace, &r.err) == -1)
			r.result = r.err.cause;
		if (dr_fd_write(replies, &r, sizeof(r), "replies", &err) == -1)
			break;
	}

out:
	if (rc == -1 && err.cause != DR_OK && err.cause != DR_ESTOP)
		dr_warn("%s", err.msg);
	dr_store_free(dst);
	dr_store_free(src);
	return rc;
}

static int
spawn(struct dr_copiers *cs, struct dr_err *err)
{
	struct worker *w = &cs->worker[cs->begun];
	int orders[2], replies[2];
	pid_t parent = getpid();

	if (pipe(orders) == -1)
		return dr_err_sys(err, "cannot make a pipe");
	if (pipe(replies) == -1) {
		dr_err_sys(err, "cannot make a pipe");
		close(orders[0]);
		close(orders[1]);
		return -1;
	}
	(void)fflush(NULL);
	if ((w->pid = fork()) == -1) {
		dr_err_sys(err, "cannot begin a transfer");
		close(orders[0]);
		close(orders[1]);
		close(replies[0]);
		close(replies[1]);
		return -1;
	}
	if (w->pid == 0) {
		/* Nor does one outlive whoever would count it. */
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		/* The others see an end only when nobody holds their pipes. */
		for (int i = 0; i < cs->begun; i++) {
			close(cs->worker[i].to);
			close(cs->worker[i].from);
		}
		close(orders[1]);
		close(replies[0]);
		_exit(serve(cs, orders[0], replies[1]) == 0 ? 0 : 1);
	}
	close(orders[0]);
	close(replies[1]);
	w->to = orders[1];
	w->from = replies[0];
	w->at = NULL;
	cs->begun++;
	return 0;
}

struct dr_copiers *
dr_copiers_new(const struct dr_mirror_opts *o, struct dr_err *err)
{
	struct dr_copiers *cs = calloc(1, sizeof(*cs));

	if (cs == NULL) {
		dr_err_sys(err, "cannot begin transfers");
		return NULL;
	}
	cs->o = o;
	cs->n = o->workers < 1         ? 1
	        : o->workers > WORKERS ? WORKERS
	                               : o->workers;
	if ((cs->pace = dr_pace_new(o->to->limit_rate, err)) == NULL) {
		free(cs);
		return NULL;
	}
	return cs;
}

/* W has said something, or died. */
static int
take_reply(struct dr_copiers *cs, struct worker *w, struct dr_err *err)
{
	struct reply r;

	memset(&r, 0, sizeof(r));
	if (dr_fd_fill(w->from, &r, sizeof(r), "replies", err) !=
	    (ssize_t)sizeof(r)) {
		if (err->cause == DR_OK)
			dr_err_set(err, DR_EFAIL,
			    "a process that copied \"%s\" has died",
			    w->at->name);
		return -1;
	}
	w->at->result = r.result;
	w->at->ended = true;
	w->at = NULL;
	if (r.result == DR_ESTOP) {
		*err = r.err;
		return -1;
	}
	if (r.result == DR_OK) {
		cs->in_a_row = 0;
		return 0;
	}
	r.err.msg[sizeof(r.err.msg) - 1] = '\0';
	r.err.hint[sizeof(r.err.hint) - 1] = '\0';
	dr_warn("%s", r.err.msg);
	if (cs->failure.cause == DR_OK || r.result == DR_EDATA)
		cs->failure = r.err;
	if (r.result == DR_EDATA || ++cs->in_a_row < IN_A_ROW)
		return 0;
	*err = r.err;
	return -1;
}

/* Wait until one of the busy has ended its object. */
static int
turn(struct dr_copiers *cs, struct dr_err *err)
{
	struct pollfd p[WORKERS + 1];
	int n = 0;

	for (int i = 0; i < cs->begun; i++) {
		p[n].fd = cs->worker[i].at != NULL ? cs->worker[i].from : -1;
		p[n++].events = POLLIN;
	}
	p[n].fd = dr_stop_fd();
	p[n].events = POLLIN;
	if (poll(p, (nfds_t)n + 1, -1) == -1 && errno != EINTR)
		return dr_err_sys(err, "cannot wait for transfers");
	if (dr_check_stop(err) == -1)
		return -1;
	for (int i = 0; i < cs->begun; i++)
		if (p[i].revents != 0 && cs->worker[i].at != NULL &&
		    take_reply(cs, &cs->worker[i], err) == -1)
			return -1;
	return 0;
}

static struct worker *
idle(struct dr_copiers *cs)
{
	for (int i = 0; i < cs->begun; i++)
		if (cs->worker[i].at == NULL)
			return &cs->worker[i];
	return NULL;
}

int
dr_copiers_add(struct dr_copiers *cs, struct dr_copy *c, struct dr_err *err)
{
	struct order o;
	struct worker *w;

	if (idle(cs) == NULL && cs->begun < cs->n && spawn(cs, err) == -1)
		return -1;
	while ((w = idle(cs)) == NULL)
		if (turn(cs, err) == -1)
			return -1;
	memset(&o, 0, sizeof(o));
	o.size = c->size;
	memcpy(o.sha256, c->sha256, sizeof(o.sha256));
	o.name = (uint32_t)strlen(c->name);
	c->result = DR_EFAIL;
	c->ended = false;
	if (dr_fd_write(w->to, &o, sizeof(o), "orders", err) == -1 ||
	    dr_fd_write(w->to, c->name, o.name, "orders", err) == -1) {
		if (err->cause != DR_EPIPE)
			return -1;
		dr_err_clear(err);
		return dr_err_set(err, DR_EFAIL,
		    "a process that was to copy \"%s\" has died", c->name);
	}
	w->at = c;
	return 0;
}

int
dr_copiers_wait(struct dr_copiers *cs, const struct dr_copy *c,
    struct dr_err *err)
{
	for (;;) {
		bool busy = false;

		if (c != NULL && c->ended)
			return 0;

		for (int i = 0; i < cs->begun; i++)
			busy |= cs->worker[i].at != NULL;
		if (!busy)
			return 0;
		if (turn(cs, err) == -1)
			return -1;
	}
}

const struct dr_err *
dr_copiers_failure(const struct dr_copiers *cs)
{
	return &cs->failure;
}

void
dr_copiers_free(struct dr_copiers *cs)
{
	if (cs == NULL)
		return;
	for (int i = 0; i < cs->begun; i++) {
		close(cs->worker[i].to);
		close(cs->worker[i].from);
		/* One in the middle of an object gives up on it. */
		if (cs->worker[i].at != NULL)
			(void)kill(cs->worker[i].pid, SIGTERM);
	}
	for (int i = 0; i < cs->begun; i++)
		while (
		    waitpid(cs->worker[i].pid, NULL, 0) == -1 && errno == EINTR)
			;
	dr_pace_free(cs->pace);
	free(cs);
}
