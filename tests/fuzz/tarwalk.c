/*
 * Tars: what the walk says must not depend on how the input is cut, and must
 * account for every byte.
 */
#include "archive/tarwalk.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/tarhead.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct seen {
	uint32_t crc; /* of all that was said */
	uint64_t left, at, members;
	bool open;
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct seen *s = arg;

	(void)err;
	assert(!s->open && s->left == 0);
	assert(m->offset % 512 == 0 && m->offset >= s->at);
	assert(strlen(m->path) <= 65536 && strlen(m->link) <= 65536);
	s->open = true;
	s->left = m->size;
	s->at = m->offset + 512 + m->size + dr_tar_pad(m->size);
	s->members++;
	s->crc = dr_crc32c(s->crc, m->path, strlen(m->path) + 1);
	s->crc = dr_crc32c(s->crc, m->link, strlen(m->link) + 1);
	s->crc = dr_crc32c(s->crc, &m->type, sizeof(m->type));
	s->crc = dr_crc32c(s->crc, &m->size, sizeof(m->size));
	s->crc = dr_crc32c(s->crc, &m->offset, sizeof(m->offset));
	s->crc = dr_crc32c(s->crc, &m->mode, sizeof(m->mode));
	s->crc = dr_crc32c(s->crc, &m->mtime, sizeof(m->mtime));
	s->crc = dr_crc32c(s->crc, &m->uid, sizeof(m->uid));
	s->crc = dr_crc32c(s->crc, &m->gid, sizeof(m->gid));
	(void)dr_path_safe(m->path);
	return 0;
}

static int
on_data(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct seen *s = arg;

	(void)err;
	assert(s->open && len > 0 && len <= s->left);
	s->left -= len;
	s->crc = dr_crc32c(s->crc, p, len);
	return 0;
}

static int
on_end(void *arg, struct dr_err *err)
{
	struct seen *s = arg;

	(void)err;
	assert(s->open && s->left == 0);
	s->open = false;
	return 0;
}

static const struct dr_tarwalk_ops ops = { on_member, on_data, on_end };

static int
walk(const uint8_t *p, size_t len, size_t step, struct seen *s)
{
	struct dr_err err = { 0 };
	struct dr_tarwalk *t;
	size_t n;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	t = dr_tarwalk_new(&ops, s, &err);
	assert(t != NULL);
	for (size_t at = 0; at < len && rc == 0; at += n) {
		n = len - at < step ? len - at : step;
		rc = dr_tarwalk_add(t, p + at, n, &err);
	}
	if (rc == 0)
		rc = dr_tarwalk_end(t, &err);
	assert(rc == 0 || err.cause == DR_EDATA);
	dr_tarwalk_free(t);
	return rc;
}

static void
both(const uint8_t *p, size_t len)
{
	struct seen a, b;
	int ra, rb;

	ra = walk(p, len, len + 1, &a);
	rb = walk(p, len, 1 + len % 601, &b);
	assert(ra == rb && a.crc == b.crc && a.members == b.members);
	assert(ra == -1 || (!a.open && a.left == 0 && a.at + 1024 <= len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	uint8_t *copy;

	both(p, len);
	/* Chance does not find checksums: make each block's right. */
	copy = malloc(len + 1);
	assert(copy != NULL);
	if (len > 0)
		memcpy(copy, p, len);
	for (size_t at = 0; at + 512 <= len; at += 512)
		if (!dr_tar_zero(copy + at, 512))
			snprintf((char *)copy + at + 148, 8, "%06o",
			    dr_tar_sum(copy + at));
	both(copy, len);
	free(copy);
	return 0;
}
