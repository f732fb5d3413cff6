/* snap_files.c - see snap_files.h. */
#include "flow/snap_files.h"

#include <stdlib.h>
#include <string.h>

#include "archive/pax.h"
#include "archive/spool.h"
#include "archive/tree.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "manifest/manifest.h"

#define REPORT          ".drtools/report.json"
#define REPORT_HEAD_MAX (8U << 20)
#define WARNINGS        10U /* more are only counted */

static const char *const event_names[DR_TREE_EVENTS] = { "changed", "vanished",
	"unreadable", "skipped" };

struct files {
	struct dr_spool *events; /* JSON objects, each after a comma */
	struct dr_buf line;
	unsigned warned;
};

/* PATH, and its bytes where JSON cannot hold them. */
static int
put_path(struct dr_json *j, const char *path, struct dr_err *e)
{
	size_t n = strlen(path), i;
	char *hex;

	dr_json_str(j, "path", path);
	for (i = 0; i < n && (unsigned char)path[i] < 0x80; i++)
		;
	if (i == n)
		return 0;
	if ((hex = malloc(2 * n + 1)) == NULL)
		return dr_err_sys(e, "cannot allocate memory");
	dr_json_str(j, "path_hex", dr_hex(path, n, hex));
	free(hex);
	return 0;
}

static int
on_event(void *arg, enum dr_tree_event what, const char *path, const char *why,
    struct dr_err *e)
{
	struct files *f = arg;
	struct dr_json j;

	if (what == DR_TREE_SKIPPED)
		dr_say(1, "\"%s\" is left out: %s", path, why);
	else if (f->warned++ < WARNINGS)
		dr_warn("\"%s\": %s", path, why);
	f->line.len = 0;
	if (dr_buf_str(&f->line, ",\n", e) == -1)
		return -1;
	dr_json_init(&j, &f->line);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "event", event_names[what]);
	if (put_path(&j, path, e) == -1)
		return -1;
	dr_json_str(&j, "why", why);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, e) == -1)
		return -1;
	return dr_spool_add(f->events, f->line.data, f->line.len, e);
}

static void
counts(struct dr_json *j, const struct dr_tree_facts *facts)
{
	size_t i;

	dr_json_uint(j, "members", facts->members);
	dr_json_uint(j, "bytes", facts->bytes);
	for (i = 0; i < DR_TREE_EVENTS; i++) {
		dr_json_object(j, event_names[i]);
		dr_json_uint(j, "count", facts->count[i]);
		dr_json_close(j, '}');
	}
}

/* The report up to the list of events. */
static int
report_head(const struct dr_snap_files_opts *o,
    const struct dr_tree_facts *facts, struct dr_buf *out, struct dr_err *e)
{
	struct dr_json j;
	size_t i;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "drtools", 1);
	dr_json_str(&j, "kind", "files");
	dr_json_array(&j, "operands");
	for (i = 0; i < o->n; i++)
		dr_json_str(&j, NULL, o->paths[i]);
	dr_json_close(&j, ']');
	dr_json_array(&j, "excludes");
	for (i = 0; o->excludes != NULL && i < o->excludes->n; i++)
		dr_json_str(&j, NULL, o->excludes->v[i]);
	dr_json_close(&j, ']');
	dr_json_bool(&j, "one_file_system", o->one_file_system);
	counts(&j, facts);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, e) == -1)
		return -1;
	/* The list takes the place of the closing brace. */
	out->len--;
	return dr_buf_str(out, ",\"events\":[", e);
}

static int
put_report(const struct dr_snap_files_opts *o,
    const struct dr_tree_facts *facts, struct files *f, struct dr_sink *out,
    struct dr_err *e)
{
	static const char tail[] = "]}\n", zeros[512 + DR_TAR_END];
	struct dr_buf head = { .max = REPORT_HEAD_MAX };
	struct dr_buf block = { .max = 1U << 20 };
	uint64_t at = 0, end = dr_spool_size(f->events), size;
	char part[16384];
	size_t n;
	int r = -1;

	if (report_head(o, facts, &head, e) == -1)
		goto out;
	/* No comma before the first. */
	if (end > 0)
		at = 1;
	size = head.len + (end - at) + sizeof(tail) - 1;
	if (dr_pax_own(&block, REPORT, size, e) == -1 ||
	    dr_sink_write(out, block.data, block.len, e) == -1 ||
	    dr_sink_write(out, head.data, head.len, e) == -1)
		goto out;
	for (; at < end; at += n) {
		n = end - at < sizeof(part) ? (size_t)(end - at) : sizeof(part);
		if (dr_spool_read(f->events, at, part, n, e) == -1 ||
		    dr_sink_write(out, part, n, e) == -1)
			goto out;
	}
	if (dr_sink_write(out, tail, sizeof(tail) - 1, e) == -1)
		goto out;
	n = (512 - size % 512) % 512 + DR_TAR_END;
	r = dr_sink_write(out, zeros, n, e);
out:
	dr_buf_free(&head);
	dr_buf_free(&block);
	return r;
}

static int
set_count(json_t *m, const char *path, uint64_t n, struct dr_err *e)
{
	return dr_manifest_set_int(m, path, (int64_t)n, e);
}

int
dr_snap_files(const struct dr_snap_files_opts *o, struct dr_sink *out,
    json_t *manifest, bool *complete, struct dr_err *e)
{
	struct dr_tree_opts tree = { .paths = o->paths,
		.n = o->n,
		.excludes = o->excludes,
		.one_file_system = o->one_file_system };
	struct files f = { .line = { .max = 1U << 20 } };
	struct dr_tree_facts facts;
	const uint64_t *c = facts.count;
	int r = -1;

	if (dr_tree_check(&tree, e) == -1)
		return -1;
	if ((f.events = dr_spool_new(e)) == NULL)
		return -1;
	if (dr_tree_write(&tree, out, on_event, &f, &facts, e) == -1 ||
	    put_report(o, &facts, &f, out, e) == -1)
		goto out;
	if (f.warned > WARNINGS)
		dr_warn("%u files in all changed, vanished or could not be "
		        "read; \"%s\" in the snapshot names them",
		    f.warned, REPORT);
	if (set_count(manifest, "files.members", facts.members, e) == -1 ||
	    set_count(manifest, "files.bytes", facts.bytes, e) == -1 ||
	    set_count(manifest, "files.changed.count", c[DR_TREE_CHANGED], e) ==
	        -1 ||
	    set_count(manifest, "files.vanished.count", c[DR_TREE_VANISHED],
	        e) == -1 ||
	    set_count(manifest, "files.unreadable.count", c[DR_TREE_UNREADABLE],
	        e) == -1)
		goto out;
	*complete = f.warned == 0;
	r = 0;
out:
	dr_buf_free(&f.line);
	dr_spool_free(f.events);
	return r;
}
