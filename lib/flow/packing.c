#include "flow/packing.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "archive/members.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "codec/pack.h"
#include "manifest/manifest.h"
#include "stream/pump.h"

#define INDEX_LEVEL 1 /* smaller than 3 here, where half is random digits */
#define WORKERS_MAX 4

int
dr_default_workers(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : n;
}

/* --- what a stream begins with ------------------------------------------- */

struct head {
	size_t n;
	unsigned char b[24];
};

static void
head_add(struct head *h, const void *p, size_t len)
{
	size_t n = sizeof(h->b) - h->n;

	if (n > len)
		n = len;
	memcpy(h->b + h->n, p, n);
	h->n += n;
}

static bool
begins(const struct head *h, const char *with)
{
	size_t n = strlen(with);

	return h->n >= n && memcmp(h->b, with, n) == 0;
}

/* Of zstd: a frame, or a skippable one. */
static bool
is_packed(const struct head *h)
{
	return h->n >= 4 && (dr_get32(h->b) == 0xfd2fb528U ||
	                        (dr_get32(h->b) & 0xfffffff0U) == 0x184d2a50U);
}

static bool
is_sealed(const struct head *h)
{
	return begins(h, "age-encryption.org/") || begins(h, "drtools-seal/");
}

static int
sealed(const char *name, struct dr_err *err)
{
	dr_err_set(err, DR_EUSAGE, "%s is sealed", name);
	return dr_err_hint(err, "open it with dr-seal -d first");
}

static int
packed(const char *name, struct dr_err *err)
{
	dr_err_set(err, DR_EUSAGE, "%s is packed already", name);
	return dr_err_hint(err, "dr-pack -d unpacks it");
}

/* --- packing --------------------------------------------------------------- */

struct tap {
	struct dr_indexer *indexer;
	struct dr_zbuf *index;
	const char *name;
	struct head head;
	bool foreign;
	bool members; /* there is an index */
};

static int
no_tar(const struct tap *t, struct dr_err *err)
{
	if (is_sealed(&t->head))
		return sealed(t->name, err);
	if (is_packed(&t->head))
		return packed(t->name, err);
	return dr_err_set(err, DR_EDATA, "%s is no snapshot: not a whole tar",
	    t->name);
}

static int
tap(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct tap *t = arg;

	if (t->head.n < sizeof(t->head.b))
		head_add(&t->head, p, len);
	if (dr_indexer_add(t->indexer, p, len, err) == -1)
		return dr_err_wrap(err, "%s", t->name);
	if (!t->foreign && dr_indexer_no_tar(t->indexer))
		return no_tar(t, err);
	return 0;
}

static int
emit(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct tap *t = arg;

	return dr_zbuf_add(t->index, p, len, err);
}

static int
make_index(void *arg, struct dr_buf *out, struct dr_err *err)
{
	struct tap *t = arg;

	if (dr_indexer_end(t->indexer, &t->members, err) == -1)
		return dr_err_wrap(err, "%s", t->name);
	if (!t->members)
		return t->foreign ? 0 : no_tar(t, err);
	return dr_zbuf_end(t->index, out, err);
}

static int
add_facts(json_t *m, const struct dr_packing *p,
    const struct dr_pack_facts *facts, bool members, struct dr_err *err)
{
	return dr_manifest_set_int(m, "raw_size", (int64_t)facts->raw_size,
	           err) == -1 ||
	               dr_manifest_set_str(m, "pack.codec", "zstd-seekable",
	                   err) == -1 ||
	               dr_manifest_set_int(m, "pack.level", p->level, err) ==
	                   -1 ||
	               dr_manifest_set_int(m, "pack.frame_size",
	                   (int64_t)p->frame_size, err) == -1 ||
	               dr_manifest_set_int(m, "pack.frames",
	                   (int64_t)facts->frames, err) == -1 ||
	               dr_manifest_set_bool(m, "pack.members", members, err) ==
	                   -1
	           ? -1
	           : 0;
}

/* The manifest must be of these bytes. */
static int
check_size(const json_t *m, uint64_t raw_size, const char *name,
    struct dr_err *err)
{
	int64_t want = dr_manifest_int(m, "raw_size", -1);

	if (want == -1 || (uint64_t)want == raw_size)
		return 0;
	return dr_err_set(err, DR_EDATA,
	    "%s is damaged: it holds %llu bytes, its manifest says %lld", name,
	    (unsigned long long)raw_size, (long long)want);
}

static int
finish_pack(struct dr_input *in, struct dr_output *out,
    const struct dr_packing *p, const struct dr_pack_facts *facts, bool members,
    struct dr_err *err)
{
	const char *name = dr_input_name(in);
	json_t *m;
	int rc = -1;

	if ((m = dr_input_manifest(in, err)) == NULL)
		return -1;
	if (json_object_get(m, "seal") != NULL)
		sealed(name, err);
	else if (json_object_get(m, "pack") != NULL)
		packed(name, err);
	else if (check_size(m, facts->raw_size, name, err) == 0 &&
	         add_facts(m, p, facts, members, err) == 0) {
		/* A file's: it was of other bytes than these. */
		dr_manifest_unset(m, "object");
		rc = dr_output_commit(out, m, err);
	}
	json_decref(m);
	return rc;
}

int
dr_pack_stream(struct dr_input *in, struct dr_output *out,
    const struct dr_packing *p, struct dr_err *err)
{
	struct tap t = { .name = dr_input_name(in), .foreign = p->foreign };
	struct dr_pack_opts o = {
		.level = p->level,
		.workers = p->workers,
		.frame_size = p->frame_size,
		.tap = tap,
		.index = make_index,
		.arg = &t,
	};
	struct dr_pack_facts facts;
	int rc = -1;

	if ((t.indexer = dr_indexer_new(emit, &t, err)) == NULL ||
	    (t.index = dr_zbuf_new(INDEX_LEVEL, DR_INDEX_MAX, err)) == NULL)
		goto out;
	dr_progress_begin("packed", 0);
	rc = dr_pack(dr_input_source(in), dr_output_sink(out), &o, &facts, err);
	dr_progress_end();
	if (rc == -1)
		goto out;
	dr_say(1, "%llu bytes in %llu frame%s, %llu bytes packed",
	    (unsigned long long)facts.raw_size,
	    (unsigned long long)facts.frames, dr_plural(facts.frames),
	    (unsigned long long)facts.packed_size);
	rc = finish_pack(in, out, p, &facts, t.members, err);

out:
	dr_zbuf_free(t.index);
	dr_indexer_free(t.indexer);
	return rc;
}

/* --- unpacking ------------------------------------------------------------- */

/* The input's source, which stays its own, and a look at its beginning. */
struct look {
	struct dr_source source;
	struct dr_source *in; /* borrowed */
	struct head *head;    /* borrowed */
};

static ssize_t
look_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct look *l = (struct look *)source;
	ssize_t n = dr_source_read(l->in, buf, len, err);

	if (n > 0 && l->head->n < sizeof(l->head->b))
		head_add(l->head, buf, (size_t)n);
	return n;
}

static void
look_free(struct dr_source *source)
{
	free(source);
}

static const struct dr_source_ops look_ops = {
	.read = look_read,
	.free = look_free,
};

static struct dr_source *
look_new(struct dr_source *in, struct head *head, struct dr_err *err)
{
	struct look *l;

	if ((l = calloc(1, sizeof(*l))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	l->source.ops = &look_ops;
	l->in = in;
	l->head = head;
	return &l->source;
}

/* Say what is wrong in terms of what was given to us. */
static void
explain(const char *name, const struct head *head, struct dr_err *err)
{
	if (err->cause != DR_EDATA)
		return;
	if (is_sealed(head)) {
		dr_err_clear(err);
		sealed(name, err);
	} else if (head->n >= 4 && !is_packed(head)) {
		dr_err_clear(err);
		dr_err_set(err, DR_EDATA, "%s is not packed", name);
	}
}

static int
finish_unpack(struct dr_input *in, struct dr_output *out, bool foreign,
    struct dr_err *err)
{
	const char *name = dr_input_name(in);
	json_t *m;
	int rc = -1;

	if ((m = dr_input_manifest(in, err)) == NULL)
		return -1;
	if (!foreign && json_object_get(m, "pack") == NULL)
		dr_err_set(err, DR_EDATA,
		    "%s is damaged: its manifest is of something that is not "
		    "packed",
		    name);
	else if (check_size(m, dr_output_size(out), name, err) == 0) {
		dr_manifest_unset(m, "pack");
		dr_manifest_unset(m, "object");
		rc = dr_output_commit(out, m, err);
	}
	json_decref(m);
	return rc;
}

int
dr_unpack_stream(struct dr_input *in, struct dr_output *out, int workers,
    bool foreign, struct dr_err *err)
{
	struct dr_source *s, *un;
	struct head head = { 0 };
	/* One thread unpacks a frame straight into a buffer of its size. */
	size_t size = workers == 1 ? DR_FRAME_SIZE : 0;
	int rc;

	if ((s = look_new(dr_input_source(in), &head, err)) == NULL)
		return -1;
	if ((un = dr_unpack_new(s, workers, foreign, err)) == NULL) {
		dr_source_free(s);
		return -1;
	}
	dr_progress_begin("unpacked", 0);
	rc = dr_pump(un, dr_output_sink(out), size, err);
	dr_progress_end();
	dr_source_free(un);
	if (rc == -1) {
		explain(dr_input_name(in), &head, err);
		return -1;
	}
	return finish_unpack(in, out, foreign, err);
}
