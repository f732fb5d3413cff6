#include "flow/pg_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "stream/pump.h"
#include "tests/tap.h"

static const char *const leave_out[] = { "standby.signal", ".drtools/", NULL };
static struct dr_err e;

/* Append a member as a server sends it. */
static void
member(struct dr_buf *tar, char type, const char *path, const char *link,
    const char *data)
{
	static const char zeros[512];
	struct dr_member m = { .type = type,
		.path = path,
		.link = link,
		.size = strlen(data),
		.mode = type == '5' ? 0700 : 0600,
		.mtime = 1,
		.uid = 26,
		.gid = 27 };

	if (dr_tar_header(tar, &m, &e) == -1 ||
	    dr_buf_str(tar, data, &e) == -1 ||
	    dr_buf_add(tar, zeros, dr_tar_pad(m.size), &e) == -1)
		abort();
}

static void
end_of(struct dr_buf *tar)
{
	static const char zeros[1024];

	if (dr_buf_add(tar, zeros, sizeof(zeros), &e) == -1)
		abort();
}

static int
feed(struct dr_merge *m, const char *oid, const struct dr_buf *tar, size_t step)
{
	size_t at, n;

	if (dr_merge_begin(m, oid, &e) == -1)
		return -1;
	for (at = 0; at < tar->len; at += n) {
		n = tar->len - at < step ? tar->len - at : step;
		if (dr_merge_data(m, tar->data + at, n, &e) == -1)
			return -1;
	}
	return dr_merge_end(m, &e);
}

/* Members as "TYPE PATH SIZE UID\n", and the data of regular files. */
struct list {
	struct dr_buf text;
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct list *l = arg;

	return dr_buf_fmt(&l->text, err, "%c %s %llu %llu:", m->type, m->path,
	    (unsigned long long)m->size, (unsigned long long)m->uid);
}

static int
on_data(void *arg, const void *p, size_t n, struct dr_err *err)
{
	return dr_buf_add(&((struct list *)arg)->text, p, n, err);
}

static int
on_end(void *arg, struct dr_err *err)
{
	return dr_buf_str(&((struct list *)arg)->text, "\n", err);
}

static char *
listed(const struct dr_buf *tar)
{
	static const struct dr_tarwalk_ops ops = { on_member, on_data, on_end };
	struct list l = { { .max = 1 << 20 } };
	struct dr_tarwalk *w = dr_tarwalk_new(&ops, &l, &e);

	if (w == NULL || dr_tarwalk_add(w, tar->data, tar->len, &e) == -1 ||
	    dr_tarwalk_end(w, &e) == -1)
		dr_buf_free(&l.text);
	dr_tarwalk_free(w);
	return l.text.data;
}

static void
good(void)
{
	static const char want[] =
	    "5 pg_tblspc/16400/ 0 26:\n"
	    "5 pg_tblspc/16400/PG_15/ 0 26:\n"
	    "0 pg_tblspc/16400/PG_15/standby.signal 3 26:abc\n"
	    "0 backup_label 5 26:label\n"
	    "5 pg_tblspc/ 0 26:\n"
	    "0 .drtoolsx 0 26:\n"
	    "0 PG_VERSION 0 26:\n"
	    "0 backup_manifest 4 26:mani\n";
	struct dr_buf space = { .max = 1 << 20 }, base = { .max = 1 << 20 };
	struct dr_buf out = { .max = 1 << 20 };
	struct dr_sink *sink;
	struct dr_merge *m;
	char *got;
	size_t step;
	int bad = 0;

	member(&space, '5', "PG_15/", "", "");
	member(&space, '0', "PG_15/standby.signal", "", "abc");
	end_of(&space);
	member(&base, '0', "backup_label", "", "label");
	member(&base, '5', "pg_tblspc/", "", "");
	member(&base, '2', "pg_tblspc/16400/", "/srv/ts", "");
	member(&base, '0', "standby.signal", "", "boo");
	member(&base, '5', ".drtools/", "", "");
	member(&base, '0', ".drtools/report.json", "", "{}");
	member(&base, '0', ".drtoolsx", "", "");
	member(&base, '0', "PG_VERSION", "", "");
	end_of(&base);
	for (step = 1; step < 3000; step += 37) {
		out.len = 0;
		if ((sink = dr_sink_buf(&out, &e)) == NULL ||
		    (m = dr_merge_new(sink, leave_out, &e)) == NULL)
			abort();
		if (feed(m, "16400", &space, step) == -1 ||
		    feed(m, NULL, &base, step) == -1 ||
		    dr_merge_file(m, "backup_manifest", 4, &e) == -1 ||
		    dr_merge_bytes(m, "mani", 4, &e) == -1 ||
		    dr_merge_file_end(m, &e) == -1 ||
		    dr_merge_finish(m, &e) == -1)
			bad++;
		got = listed(&out);
		if (got == NULL || strcmp(got, want) != 0)
			bad++;
		if (dr_merge_size(m) != out.len || out.len % 512 != 0)
			bad++;
		free(got);
		dr_merge_free(m);
		dr_sink_free(sink);
	}
	OK(bad == 0, "two archives become one tar, however they are cut");
	dr_buf_free(&out);
	dr_buf_free(&base);
	dr_buf_free(&space);
}

/* An archive with one member of this kind is refused. */
static bool
refused(const char *oid, char type, const char *path, const char *link)
{
	struct dr_buf tar = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct dr_sink *sink = dr_sink_buf(&out, &e);
	struct dr_merge *m = dr_merge_new(sink, leave_out, &e);
	bool is;

	if (sink == NULL || m == NULL)
		abort();
	member(&tar, type, path, link, "");
	end_of(&tar);
	memset(&e, 0, sizeof(e));
	is = feed(m, oid, &tar, 512) == -1 && e.cause == DR_EDATA;
	dr_merge_free(m);
	dr_sink_free(sink);
	dr_buf_free(&tar);
	dr_buf_free(&out);
	return is;
}

static void
bad(void)
{
	struct dr_buf tar = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct dr_sink *sink = dr_sink_buf(&out, &e);
	struct dr_merge *m = dr_merge_new(sink, leave_out, &e);

	OK(refused(NULL, '0', "../x", ""), "no path out of the directory");
	OK(refused(NULL, '0', "base/../../x", ""), "not in the middle either");
	OK(refused(NULL, '0', "/etc/passwd", ""), "no absolute path");
	OK(refused(NULL, '2', "base", "/etc"), "no link but of a tablespace");
	OK(refused("16400", '2', "pg_tblspc/1", "/etc"),
	    "and none in a tablespace");
	OK(refused(NULL, '1', "base", "x"), "no hard link");
	OK(refused(NULL, '6', "base", ""), "no pipe");

	if (sink == NULL || m == NULL)
		abort();
	member(&tar, '0', "PG_VERSION", "", "15");
	memset(&e, 0, sizeof(e));
	OK(feed(m, NULL, &tar, 100) == -1 && e.cause == DR_EDATA,
	    "an archive without its end is not whole");
	memset(&e, 0, sizeof(e));
	OK(dr_merge_file(m, "x", 2, &e) == 0 &&
	        dr_merge_bytes(m, "abc", 3, &e) == -1,
	    "a file of ours cannot grow");
	memset(&e, 0, sizeof(e));
	OK(dr_merge_bytes(m, "a", 1, &e) == 0 && dr_merge_file_end(m, &e) == -1,
	    "nor shrink");
	dr_merge_free(m);
	dr_sink_free(sink);
	dr_buf_free(&tar);
	dr_buf_free(&out);
}

int
main(void)
{
	good();
	bad();
	return DONE();
}
