#include "flow/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/extract.h"
#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/delta.h"
#include "flow/place.h"
#include "flow/restore_conf.h"
#include "flow/restore_engine.h"
#include "flow/writer.h"
#include "manifest/manifest.h"
#include "pg/backup_manifest.h"
#include "stream/pump.h"

#define CONTROL     "global/pg_control"
#define CONTROL_MAX 65536U
#define MAP_MAX     (1U << 20)

/* What a server wants to find, and what a backup leaves out when empty. */
static const char *const empty_dirs[] = { "base", "global", "pg_commit_ts",
	"pg_dynshmem", "pg_logical", "pg_logical/mappings",
	"pg_logical/snapshots", "pg_multixact", "pg_multixact/members",
	"pg_multixact/offsets", "pg_notify", "pg_replslot", "pg_serial",
	"pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc",
	"pg_twophase", "pg_wal", "pg_wal/archive_status", "pg_xact" };

/* Can it be restored so at all?  KIND is what it was taken for. */
static int
may(const json_t *m, const char *kind, const struct dr_restore_opts *o,
    struct dr_err *err)
{
	const char *is = dr_manifest_str(m, "kind");

	/* A foreign tar of files is a stream to whoever wrote the manifest. */
	if (is == NULL ||
	    (strcmp(is, kind) != 0 &&
	        (strcmp(is, "stream") != 0 || strcmp(kind, "files") != 0))) {
		dr_err_set(err, DR_EDATA,
		    "the stream looked like a backup of kind %s, but is of "
		    "kind %s",
		    kind, is == NULL ? "unknown" : is);
		return dr_err_hint(err, "write it to a file (-o) and restore "
		                        "that");
	}
	if (strcmp(dr_manifest_str(m, "mode"), "full") != 0)
		return dr_err_set(err, DR_EFAIL,
		    "an incremental backup cannot be restored by itself");
	if (!dr_manifest_bool(m, "complete", true))
		dr_warn("files changed while this backup was taken: it is not "
		        "complete");
	if (strcmp(kind, "pg") == 0 && !o->as_is &&
	    (o->recovery == NULL || o->recovery->command == NULL) &&
	    !dr_manifest_bool(m, "pg.wal", true)) {
		dr_err_set(err, DR_EFAIL,
		    "the backup was taken without the WAL that it needs to "
		    "become consistent");
		return dr_err_hint(err,
		    "restore with --as-is, then set restore_command and "
		    "create recovery.signal");
	}
	return 0;
}

/* --- clusters ------------------------------------------------------------- */

struct cluster {
	const struct dr_restore_opts *o;
	struct dr_place place;
	struct dr_writer *writer;
	struct dr_edits edits;
	struct dr_delta delta;
};

/* By frames where the body lies still and is packed, else as it comes. */
static int
members(struct cluster *c, struct dr_body *body, struct dr_err *err)
{
	struct dr_frames frames = { 0 };
	struct dr_source *tar;
	struct dr_blob *plain;
	bool packed = false;
	int rc = -1;

	plain = dr_body_plain(body, c->o->ids, &packed, err);
	if (plain == NULL && err->cause != DR_OK)
		return -1;
	if (plain != NULL && packed) {
		if (dr_frames_read(plain, &frames, err) == -1)
			return -1;
		dr_progress_total(frames.raw_size);
		if (frames.index_at != 0) {
			rc = dr_restore_scan(plain, &frames, &c->place, err);
			if (rc == 0)
				rc = dr_restore_frames(plain, &frames,
				    dr_body_proof(body), c->writer,
				    c->o->workers, err);
			dr_frames_free(&frames);
			return rc;
		}
		dr_frames_free(&frames);
	}
	tar = dr_body_tar(body, c->o->ids, c->o->workers, err);
	if (tar == NULL ||
	    (c->delta.active && dr_delta_spaces(&c->place, err) == -1))
		return -1;
	return dr_restore_stream(tar, c->writer, err);
}

static int
spaces(struct cluster *c, struct dr_err *err)
{
	static const char name[] = "tablespace_map";
	struct dr_buf map = { .max = MAP_MAX };
	struct dr_err none = { 0 };
	char *text;
	size_t len = 0;
	int rc = -1;

	text = dr_place_get(&c->place, name, MAP_MAX, &len, &none);
	if (text == NULL && errno != ENOENT) {
		*err = none;
		return -1;
	}
	if (text != NULL && dr_place_map(&c->place, text, len, err) == -1)
		goto out;
	if (dr_place_moves_used(&c->place, err) == -1 ||
	    dr_place_links(&c->place, &map, err) == -1)
		goto out;
	rc = 0;
	if (map.len > 0 && (text == NULL || map.len != len ||
	                       memcmp(map.data, text, len) != 0))
		rc = dr_edits_put(&c->edits, &c->place, name, &map, err);

out:
	free(text);
	dr_buf_free(&map);
	return rc;
}

/* backup_manifest shall be true of what lies here now. */
static int
rewrite(struct cluster *c, struct dr_err *err)
{
	static const char name[] = "backup_manifest",
	                  new[] = ".backup_manifest";
	struct dr_blob *text = NULL;
	struct dr_sink *out = NULL;
	char *path = NULL;
	int in = -1, fd = -1, rc = -1;

	if (c->edits.n == 0)
		return 0;
	in = openat(c->place.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in == -1)
		return errno == ENOENT
		           ? 0
		           : dr_err_sys(err, "cannot open \"%s\"", name);
	if ((text = dr_blob_fd(in, name, err)) == NULL)
		goto out;
	in = -1; /* the blob's now */
	if ((path = dr_fmt(err, "%s/%s", c->place.dir, new)) == NULL ||
	    (fd = dr_place_create(&c->place, c->place.fd, new, err)) == -1 ||
	    (out = dr_sink_fd(fd, path, err)) == NULL ||
	    dr_bm_rewrite(text, c->edits.v, c->edits.n, out, err) == -1)
		goto out;
	if (fsync(fd) == -1 ||
	    renameat(c->place.fd, new, c->place.fd, name) == -1)
		dr_err_sys(err, "cannot replace \"%s\"", name);
	else
		rc = 0;

out:
	dr_sink_free(out);
	dr_blob_free(text);
	if (in != -1)
		close(in);
	if (fd != -1)
		close(fd);
	free(path);
	return rc;
}

/* The file without which no server starts: when all else is on disk. */
static int
control(struct cluster *c, struct dr_err *err)
{
	const void *data;
	size_t len;
	int fd, rc = 0;

	data = dr_writer_kept(c->writer, CONTROL, &len);
	if (dr_place_put(&c->place, CONTROL, data, len, err) == -1)
		return -1;
	fd = openat(c->place.fd, "global",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 || fsync(fd) == -1)
		rc = dr_err_sys(err, "cannot sync \"%s/global\"", c->place.dir);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
finish(struct cluster *c, struct dr_body *body, struct dr_err *err)
{
	struct dr_writer_facts facts;
	const json_t *m;
	size_t len;

	if ((m = dr_body_manifest(body, err)) == NULL ||
	    may(m, "pg", c->o, err) == -1)
		return -1;
	dr_writer_facts(c->writer, &facts);
	if (dr_writer_kept(c->writer, CONTROL, &len) == NULL || len == 0 ||
	    len > CONTROL_MAX || !facts.label || !facts.version)
		return dr_err_set(err, DR_EDATA,
		    "the backup lacks PG_VERSION, backup_label or %s", CONTROL);
	for (size_t i = 0; i < sizeof(empty_dirs) / sizeof(*empty_dirs); i++) {
		const char *rest;
		int fd;

		dr_place_find(&c->place, empty_dirs[i], &fd, &rest);
		if (dr_place_mkdir(&c->place, fd, rest, false, err) == -1 ||
		    (c->delta.active &&
		        dr_delta_name(&c->delta, empty_dirs[i], err) == -1))
			return -1;
	}
	if (spaces(c, err) == -1 ||
	    (c->delta.active && dr_delta_sweep(&c->place, err) == -1))
		return -1;
	if (!c->o->as_is &&
	    dr_restore_files_conf(&c->place, c->writer, &c->edits, err) == -1)
		return -1;
	if ((!c->o->as_is ||
	        (c->o->recovery != NULL && c->o->recovery->standby != NULL)) &&
	    dr_restore_auto_conf(&c->place, c->o, err) == -1)
		return -1;
	if (rewrite(c, err) == -1)
		return -1;
	dr_progress_note("syncing");
	if (dr_place_sync(&c->place, err) == -1 || control(c, err) == -1)
		return -1;
	return dr_place_done(&c->place, err);
}

/* What is restored over must be the same cluster's. */
static int
over(struct cluster *c, struct dr_body *body, struct dr_err *err)
{
	const char *id;

	if (!dr_body_known(body)) {
		dr_err_set(err, DR_EUSAGE,
		    "a stream says only at its end of which cluster it is: "
		    "--delta needs a store, or a file with its manifest");
		return -1;
	}
	id = dr_manifest_str(dr_body_manifest(body, err), "pg.system_id");
	c->delta.system_id = id != NULL ? strtoull(id, NULL, 10) : 0;
	if (c->delta.system_id == 0)
		return dr_err_set(err, DR_EDATA,
		    "the manifest does not say of which cluster the backup "
		    "is");
	c->place.delta = &c->delta;
	return 0;
}

static int
restore_pg(struct dr_body *body, const struct dr_restore_opts *o,
    struct dr_restore_facts *facts, struct dr_err *err)
{
	struct cluster c = { .o = o,
		.place = DR_PLACE_INIT,
		.delta = DR_DELTA_INIT };
	struct dr_writer_facts written = { 0 };
	mode_t mask = umask(0);
	bool group = false;
	int rc = -1;

	if (dr_body_known(body)) {
		const json_t *m = dr_body_manifest(body, err);

		group = dr_manifest_bool(m, "pg.group_access", false);
		if (may(m, "pg", o, err) == -1)
			goto out;
	}
	if (o->delta && over(&c, body, err) == -1)
		goto out;
	if (dr_place_open(&c.place, o->dir, group, o->tablespaces, err) == -1)
		goto out;
	if ((c.writer = dr_writer_new(&c.place, o->as_is, err)) != NULL &&
	    members(&c, body, err) == 0)
		rc = finish(&c, body, err);
	if (rc == -1) {
		char *dir = dr_fmt(err, "%s", c.place.dir);

		dr_err_hint(err, "\"%s\" is not whole and holds no %s: %s",
		    dir != NULL ? dir : o->dir, CONTROL,
		    o->delta ? "restore again with --delta"
		             : "remove it before you restore again");
		free(dir);
		goto out;
	}
	dr_writer_facts(c.writer, &written);
	facts->files = written.files;
	facts->bytes = written.bytes;
	facts->kept = written.kept;
	facts->written = written.written;
	facts->removed = c.delta.removed;

out:
	dr_edits_free(&c.edits);
	dr_writer_free(c.writer);
	dr_place_close(&c.place);
	dr_delta_free(&c.delta);
	umask(mask);
	return rc;
}

/* --- trees and streams ---------------------------------------------------- */

static int
extract(struct dr_body *body, const char *kind, const struct dr_restore_opts *o,
    struct dr_extract_facts *got, struct dr_err *err)
{
	struct dr_extract_opts how = { .owners = geteuid() == 0 };
	struct dr_source *tar;
	const json_t *m;
	int rc;

	if ((tar = dr_body_tar(body, o->ids, o->workers, err)) == NULL)
		return -1;
	rc = strcmp(kind, "stream") == 0
	         ? dr_extract_stream(tar, o->dir, &how, got, err)
	         : dr_extract_tree(tar, o->dir, &how, got, err);
	if (rc == -1 || dr_source_drain(dr_body_proof(body), err) == -1 ||
	    (m = dr_body_manifest(body, err)) == NULL)
		return -1;
	return may(m, kind, o, err);
}

static int
restore_other(struct dr_body *body, const char *kind,
    const struct dr_restore_opts *o, struct dr_restore_facts *facts,
    struct dr_err *err)
{
	struct dr_extract_facts got = { 0 };
	struct dr_place place = DR_PLACE_INIT;
	int rc = -1;

	if (o->delta)
		return dr_err_set(err, DR_EUSAGE,
		    "--delta is for clusters, and this is none");
	if (o->tablespaces != NULL && o->tablespaces->n > 0)
		return dr_err_set(err, DR_EUSAGE,
		    "--tablespace is for clusters, and this is none");
	if (dr_body_known(body) &&
	    may(dr_body_manifest(body, err), kind, o, err) == -1)
		return -1;
	/* A tree that is cut short looks like any tree: it has the mark too. */
	place.tree = true;
	if (dr_place_open(&place, o->dir, false, NULL, err) == -1)
		goto out;
	if (extract(body, kind, o, &got, err) == 0)
		rc = dr_place_done(&place, err);
	if (rc == -1) {
		dr_err_hint(err,
		    "what lies in \"%s\" is not whole: remove it before you "
		    "restore again",
		    o->dir);
		goto out;
	}
	if (got.unset > 0)
		dr_warn("%llu attribute%s could not be set on this file system",
		    (unsigned long long)got.unset, dr_plural(got.unset));
	facts->files = got.members;
	facts->bytes = facts->written = got.bytes;

out:
	dr_place_close(&place);
	return rc;
}

int
dr_restore(struct dr_body *body, const struct dr_restore_opts *o,
    struct dr_restore_facts *facts, struct dr_err *err)
{
	const char *kind;
	int rc;

	memset(facts, 0, sizeof(*facts));
	kind = dr_body_kind(body, o->ids, o->workers, err);
	if (kind == NULL)
		return -1;
	(void)snprintf(facts->kind, sizeof(facts->kind), "%s", kind);
	dr_progress_begin("restore", 0);
	rc = strcmp(kind, "pg") == 0 ? restore_pg(body, o, facts, err)
	                             : restore_other(body, kind, o, facts, err);
	dr_progress_end();
	return rc;
}
