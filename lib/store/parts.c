#include "store/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/fd.h"

#define MEM_PART (8U << 20)
#define SMALL    (5U << 20) /* the least that S3 takes */
#define SLOTS    (DR_PARTS_MEMORY / MEM_PART)
#define TURN     (256U << 10) /* between two looks at what is in flight */

/* A part that is being filled, or is on its way. */
struct slot {
	enum { FREE, FILLING, FLYING } state;
	unsigned n;
	uint64_t len, size;
	char *mem; /* where the part is kept: here ... */
	int fd;    /* ... or there; -1 until used */
	EVP_MD_CTX *sha, *md;
	unsigned char sha256[32], md5[16];
	struct dr_http_req req;
};

struct parts {
	struct dr_sink sink;
	struct dr_http *http; /* borrowed */
	const struct dr_parts_ops *ops;
	void *arg;
	struct slot slot[SLOTS], *now; /* NOW: the one that is being filled */
	unsigned launched;
	size_t fed;      /* since the last turn */
	uint64_t landed; /* bytes of parts that are there */
	bool begun, ending, ended;
	bool several;        /* others began with it */
	struct dr_err early; /* what went wrong and was not told yet */
};

/* Alive: several stores are written to in one thread, in step. */
static unsigned sinks;

uint64_t
dr_part_size(unsigned n, bool several)
{
	/*
	 * 31 GiB, 63 GiB, 188 GiB, 688 GiB, 5.2 TiB; of several, all but 12
	 * GiB of that.
	 */
	static const struct {
		unsigned upto, mib;
	} steps[] = { { 4000, MEM_PART >> 20 }, { 5000, 32 }, { 6000, 128 },
		{ 7000, 512 }, { DR_PARTS_MAX, 1600 } };
	size_t i = 0;

	while (n > steps[i].upto && i < sizeof(steps) / sizeof(steps[0]) - 1)
		i++;
	/* All have one size as long as they do not grow: R2 wants that. */
	if (i == 0 && several)
		return SMALL;
	return (uint64_t)steps[i].mib << 20;
}

static int
crypto(struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL, "cannot compute a part's hashes");
}

static int
hash_start(const struct parts *p, struct slot *s, struct dr_err *err)
{
	if ((s->sha == NULL && (s->sha = EVP_MD_CTX_new()) == NULL) ||
	    EVP_DigestInit_ex(s->sha, EVP_sha256(), NULL) != 1)
		return crypto(err);
	if (p->ops->no_md5)
		return 0;
	if ((s->md == NULL && (s->md = EVP_MD_CTX_new()) == NULL) ||
	    EVP_DigestInit_ex(s->md, EVP_md5(), NULL) != 1)
		return crypto(err);
	return 0;
}

static int
hash_add(struct slot *s, const void *buf, size_t len, struct dr_err *err)
{
	if (EVP_DigestUpdate(s->sha, buf, len) != 1 ||
	    (s->md != NULL && EVP_DigestUpdate(s->md, buf, len) != 1))
		return crypto(err);
	return 0;
}

static int
hash_end(struct slot *s, struct dr_err *err)
{
	if (EVP_DigestFinal_ex(s->sha, s->sha256, NULL) != 1 ||
	    (s->md != NULL && EVP_DigestFinal_ex(s->md, s->md5, NULL) != 1))
		return crypto(err);
	return 0;
}

int
dr_parts_temporary(struct dr_err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	int fd;

	if (dir == NULL || *dir == '\0')
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1)
		return fd;
	if ((path = dr_fmt(err, "%s/dr-part.XXXXXX", dir)) == NULL)
		return -1;
	if ((fd = mkostemp(path, O_CLOEXEC)) != -1)
		(void)unlink(path);
	else {
		dr_err_sys(err, "cannot create a temporary file in \"%s\"",
		    dir);
		dr_err_hint(err, "TMPDIR names another directory; it needs "
		                 "room for a few parts");
	}
	free(path);
	return fd;
}

/* Make S ready to take part N. */
static int
slot_open(struct parts *p, struct slot *s, unsigned n, struct dr_err *err)
{
	if (n > DR_PARTS_MAX)
		return dr_err_set(err, DR_EFAIL,
		    "a body of more than %u parts cannot be stored",
		    DR_PARTS_MAX);
	if (n == 1)
		p->several = sinks > 1;
	s->n = n;
	s->len = 0;
	s->size = dr_part_size(n, p->several);
	if (s->size <= MEM_PART) {
		if (s->mem == NULL &&
		    (s->mem = malloc((size_t)s->size)) == NULL)
			return dr_err_sys(err, "cannot allocate a part");
	} else {
		free(s->mem);
		s->mem = NULL;
		if (s->fd == -1 && (s->fd = dr_parts_temporary(err)) == -1)
			return -1;
		if (ftruncate(s->fd, 0) == -1 || lseek(s->fd, 0, SEEK_SET) != 0)
			return dr_err_sys(err, "cannot empty a temporary file");
	}
	if (hash_start(p, s, err) == -1)
		return -1;
	s->state = FILLING;
	p->now = s;
	return 0;
}

static int
slot_add(struct slot *s, const void *buf, size_t len, struct dr_err *err)
{
	if (s->mem != NULL)
		memcpy(s->mem + s->len, buf, len);
	else if (hash_add(s, buf, len, err) == -1 ||
	         dr_fd_write(s->fd, buf, len, "a temporary file", err) == -1)
		return -1;
	s->len += len;
	return 0;
}

/* What has ended is landed and its slot free again. */
static int
look(struct parts *p, size_t *flying, struct dr_err *err)
{
	bool failed;
	int rc;

	*flying = 0;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &p->slot[i];

		if (s->state != FLYING)
			continue;
		if (!s->req.ended) {
			++*flying;
			continue;
		}
		failed = s->req.err.cause != DR_OK;
		if (failed && err->cause == DR_OK)
			*err = s->req.err;
		s->state = FREE;
		rc = p->ops->landed(p->arg, s->n, &s->req, failed, err);
		dr_http_wipe(&s->req);
		if (failed || rc == -1)
			return -1;
		p->landed += s->len;
	}
	return 0;
}

/* Wait until fewer than MAX are on their way. */
static int
wait_below(struct parts *p, size_t max, struct dr_err *err)
{
	size_t flying;

	for (;;) {
		if (look(p, &flying, err) == -1)
			return -1;
		if (flying < max)
			return 0;
		if (dr_http_turn(1000, err) == -1)
			return -1;
	}
}

/* Send off the part that was filled. */
static int
launch(struct parts *p, struct dr_err *err)
{
	struct slot *s = p->now;

	if (!p->begun) {
		p->begun = true;
		if (p->ops->begin(p->arg, err) == -1)
			return -1;
	}
	if ((s->mem != NULL && hash_add(s, s->mem, s->len, err) == -1) ||
	    hash_end(s, err) == -1)
		return -1;
	memset(&s->req, 0, sizeof(s->req));
	s->req.body = s->mem;
	s->req.body_fd = s->mem == NULL ? s->fd : -1;
	s->req.len = s->len;
	s->req.steady = true;
	if (p->ops->part(p->arg, s->n, s->sha256,
	        p->ops->no_md5 ? NULL : s->md5, &s->req, err) == -1)
		return -1;
	if (dr_http_start(p->http, &s->req, err) == -1) {
		(void)p->ops->landed(p->arg, s->n, &s->req, true, err);
		dr_http_wipe(&s->req);
		return -1;
	}
	s->state = FLYING;
	p->launched = s->n;
	p->now = NULL;
	return 0;
}

/* Of several, each keeps one part in flight, for memory's sake. */
static size_t
most_flying(void)
{
	return sinks > 1 ? 2 : SLOTS;
}

/* Have a slot that takes bytes. */
static int
room(struct parts *p, struct dr_err *err)
{
	size_t i = 0;

	if (p->now != NULL && p->now->len < p->now->size)
		return 0;
	if (p->now != NULL && launch(p, err) == -1)
		return -1;
	if (wait_below(p, most_flying(), err) == -1)
		return -1;
	while (p->slot[i].state != FREE)
		i++;
	return slot_open(p, &p->slot[i], p->launched + 1, err);
}

static int
parts_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct parts *p = (struct parts *)sink;
	const char *at = buf;
	size_t n, flying;

	if (p->early.cause != DR_OK) {
		*err = p->early;
		return -1;
	}
	while (len > 0) {
		if (room(p, err) == -1)
			return -1;
		n = len < TURN - p->fed ? len : TURN - p->fed;
		if (n > p->now->size - p->now->len)
			n = (size_t)(p->now->size - p->now->len);
		if (slot_add(p->now, at, n, err) == -1)
			return -1;
		at += n;
		len -= n;
		if ((p->fed += n) < TURN)
			continue;
		p->fed = 0;
		if (dr_http_turn(0, err) == -1 || look(p, &flying, err) == -1)
			return -1;
	}
	return 0;
}

/* What fails stays for write or finish to tell. */
static uint64_t
parts_room(struct dr_sink *sink, uint64_t *moved, const char **why)
{
	struct parts *p = (struct parts *)sink;
	size_t flying = 0;

	*moved = p->landed;
	if (p->early.cause == DR_OK && look(p, &flying, &p->early) == 0 &&
	    !p->ending && p->now != NULL && p->now->len == p->now->size &&
	    launch(p, &p->early) == 0)
		flying++;
	if (p->early.cause != DR_OK)
		return UINT64_MAX;
	*moved = p->landed;
	for (size_t i = 0; i < SLOTS; i++) {
		const struct dr_http_req *req = &p->slot[i].req;

		if (p->slot[i].state != FLYING)
			continue;
		*moved += dr_http_sent(req);
		if (*why == NULL)
			*why = dr_http_trouble(req);
	}
	if (p->ending)
		return flying == 0 ? UINT64_MAX : 0;
	if (p->now != NULL)
		return p->now->size - p->now->len;
	return flying < most_flying()
	           ? dr_part_size(p->launched + 1, p->several)
	           : 0;
}

/* The last part goes on its way; what fails stays for finish. */
static void
parts_ending(struct dr_sink *sink)
{
	struct parts *p = (struct parts *)sink;

	p->ending = true;
	if (p->early.cause == DR_OK && p->launched > 0 && p->now != NULL)
		(void)launch(p, &p->early);
}

static int
parts_finish(struct dr_sink *sink, struct dr_err *err)
{
	struct parts *p = (struct parts *)sink;

	if (p->early.cause != DR_OK) {
		*err = p->early;
		return -1;
	}
	if (p->launched == 0) {
		if (p->ops->whole(p->arg, p->now == NULL ? "" : p->now->mem,
		        p->now == NULL ? 0 : (size_t)p->now->len, err) == -1)
			return -1;
	} else {
		if ((p->now != NULL && launch(p, err) == -1) ||
		    wait_below(p, 1, err) == -1 ||
		    p->ops->complete(p->arg, p->launched, err) == -1)
			return -1;
	}
	p->ended = true;
	return 0;
}

static void
parts_free(struct dr_sink *sink)
{
	struct parts *p = (struct parts *)sink;
	struct dr_err ignored = { 0 };

	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &p->slot[i];

		if (s->state == FLYING) {
			if (!s->req.ended)
				dr_http_cancel(&s->req);
			(void)p->ops->landed(p->arg, s->n, &s->req, true,
			    &ignored);
			dr_http_wipe(&s->req);
		}
		free(s->mem);
		if (s->fd != -1)
			close(s->fd);
		EVP_MD_CTX_free(s->sha);
		EVP_MD_CTX_free(s->md);
	}
	if (p->begun && !p->ended)
		p->ops->abandon(p->arg);
	p->ops->free(p->arg);
	free(p);
	sinks--;
}

static const struct dr_sink_ops sink_ops = {
	.write = parts_write,
	.finish = parts_finish,
	.ending = parts_ending,
	.room = parts_room,
	.free = parts_free,
};

struct dr_sink *
dr_parts_sink(struct dr_http *http, const struct dr_parts_ops *ops, void *arg,
    struct dr_err *err)
{
	struct parts *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		dr_err_sys(err, "cannot allocate an upload");
		return NULL;
	}
	p->sink.ops = &sink_ops;
	p->http = http;
	p->ops = ops;
	p->arg = arg;
	for (size_t i = 0; i < SLOTS; i++)
		p->slot[i].fd = -1;
	sinks++;
	return &p->sink;
}
