#include "flow/output.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/num.h"
#include "manifest/manifest.h"
#include "stream/pipes.h"
#include "stream/trailer.h"

struct dr_output {
	struct dr_sink sink; /* first: dr_output_sink gives it out */
	struct dr_output_opts opts;
	bool named; /* to a file of ours, not standard output */
	struct dr_file file;
	struct dr_pipe_out *pipe; /* standard output */
	struct dr_sha256 *sha;    /* a file at rest only */
	uint64_t size;
	uint32_t crc;
};

static const char out_name[] = "standard output";

/* The file comes into being with its first byte. */
static int
ready(struct dr_output *o, struct dr_err *err)
{
	if (!o->named || o->file.fd != -1)
		return 0;
	return dr_file_create(&o->file, o->opts.path, 0600, err);
}

static int
emit(struct dr_output *o, const void *buf, size_t len, struct dr_err *err)
{
	if (ready(o, err) == -1)
		return -1;
	if (o->pipe != NULL)
		return dr_pipe_out_write(o->pipe, buf, len, err);
	return dr_fd_write(o->file.fd, buf, len, o->opts.path, err);
}

static int
output_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct dr_output *o = (struct dr_output *)sink;

	o->size += len;
	if (o->sha != NULL) {
		if (dr_sha256_add(o->sha, buf, len, err) == -1)
			return -1;
	} else
		o->crc = dr_crc32c(o->crc, buf, len);
	return emit(o, buf, len, err);
}

static int
output_finish(struct dr_sink *sink, struct dr_err *err)
{
	(void)sink;
	(void)err;
	return 0; /* dr_output_commit publishes */
}

static void
output_unowned(struct dr_sink *sink)
{
	(void)sink;
}

static const struct dr_sink_ops output_ops = {
	.write = output_write,
	.finish = output_finish,
	.free = output_unowned,
};

static int
refuse_existing(const char *path, struct dr_err *err)
{
	struct stat st;

	if (lstat(path, &st) == 0) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" exists already", path);
		return dr_err_hint(err, "-f replaces it");
	}
	if (errno != ENOENT)
		return dr_err_sys(err, "cannot look at \"%s\"", path);
	return 0;
}

static char *
beside(const char *path, const char *suffix, struct dr_err *err)
{
	return dr_fmt(err, "%s%s", path, suffix);
}

static int
check_names(const struct dr_output_opts *o, struct dr_err *err)
{
	char *json;
	int rc;

	if (o->force)
		return 0;
	if (refuse_existing(o->path, err) == -1)
		return -1;
	if (o->stream)
		return 0;
	if ((json = beside(o->path, ".json", err)) == NULL)
		return -1;
	rc = refuse_existing(json, err);
	free(json);
	return rc;
}

static int
check_stdout(const struct dr_output_opts *o, struct dr_err *err)
{
	struct stat st;

	if (isatty(1) && o->path == NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "not writing a stream to a terminal");
		return dr_err_hint(err,
		    "pipe it on, or name a file with -o FILE (-o - writes to "
		    "the terminal all the same)");
	}
	if (fstat(1, &st) == 0 && S_ISREG(st.st_mode) && !o->stream &&
	    !o->body) {
		dr_err_set(err, DR_EUSAGE,
		    "standard output is a regular file, which the end mark "
		    "would spoil for other programs");
		return dr_err_hint(err,
		    "use -o FILE; or --stream for the transport form, --body "
		    "for the bare body");
	}
	dr_pipe_enlarge(1);
	return 0;
}

struct dr_output *
dr_output_open(const struct dr_output_opts *opts, struct dr_err *err)
{
	static const struct dr_file none = DR_FILE_INIT;
	struct dr_output *o;

	if (opts->stream && opts->body) {
		dr_err_set(err, DR_EUSAGE,
		    "--stream and --body exclude each other");
		return NULL;
	}
	if ((o = calloc(1, sizeof(*o))) == NULL) {
		dr_err_sys(err, "cannot allocate an output");
		return NULL;
	}
	o->sink.ops = &output_ops;
	o->opts = *opts;
	o->file = none;
	o->named = opts->path != NULL && strcmp(opts->path, "-") != 0;
	if (o->named ? check_names(opts, err) == -1
	             : check_stdout(opts, err) == -1)
		goto fail;
	if (o->named && !opts->stream && (o->sha = dr_sha256_new(err)) == NULL)
		goto fail;
	if (!o->named &&
	    (o->pipe = dr_pipe_out_new(1, out_name, !opts->body, err)) == NULL)
		goto fail;
	return o;

fail:
	dr_output_free(o);
	return NULL;
}

struct dr_sink *
dr_output_sink(struct dr_output *o)
{
	return &o->sink;
}

uint64_t
dr_output_size(const struct dr_output *o)
{
	return o->size;
}

/* TEXT is a manifest's file: the line and a newline. */
static int
end_mark(struct dr_output *o, const char *text, size_t len, struct dr_err *err)
{
	struct dr_buf tail = { .max = DR_TRAILER_MAX };
	struct dr_trailer t = { .body_len = o->size, .body_crc = o->crc };
	int rc = -1;

	t.manifest = text;
	t.manifest_len = (uint32_t)len - 1;
	if (dr_trailer_encode(&t, &tail, err) == 0)
		rc = emit(o, tail.data, tail.len, err);
	dr_buf_free(&tail);
	return rc;
}

/* What is on standard output and is a file must be on disk, too. */
static int
sync_stdout(struct dr_output *o, struct dr_err *err)
{
	struct stat st;

	if (dr_pipe_out_flush(o->pipe, err) == -1)
		return -1;
	if (fstat(1, &st) == 0 && S_ISREG(st.st_mode) && fsync(1) == -1)
		return dr_err_sys(err, "cannot sync %s", out_name);
	return 0;
}

static int
object_facts(struct dr_output *o, json_t *manifest, struct dr_err *err)
{
	unsigned char sum[DR_SHA256_LEN];
	char hex[DR_SHA256_HEX];
	char *copy;
	int rc;

	if (dr_sha256_end(o->sha, sum, err) == -1)
		return -1;
	if ((copy = strdup(o->opts.path)) == NULL)
		return dr_err_sys(err, "cannot allocate a name");
	dr_manifest_unset(manifest, "object");
	rc = dr_manifest_set_str(manifest, "object.name", basename(copy), err);
	free(copy);
	if (rc == -1 || dr_manifest_set_int(manifest, "object.size",
	                    (int64_t)o->size, err) == -1)
		return -1;
	return dr_manifest_set_str(manifest, "object.sha256",
	    dr_hex(sum, sizeof(sum), hex), err);
}

/*
 * The body under its name, its signature, where there is one, then
 * FILE.json: a manifest never lies alone.
 */
static int
publish_file(struct dr_output *o, const char *text, size_t len,
    const char *minisig, size_t sig_len, struct dr_err *err)
{
	const enum dr_file_how how =
	    o->opts.force ? DR_FILE_REPLACE : DR_FILE_NEW;
	char *json = NULL, *sig = NULL;
	int rc = -1;

	if ((json = beside(o->opts.path, ".json", err)) == NULL ||
	    (sig = beside(o->opts.path, ".json.minisig", err)) == NULL)
		goto out;
	if (!o->opts.force &&
	    (refuse_existing(json, err) == -1 ||
	        (minisig != NULL && refuse_existing(sig, err) == -1)))
		goto out;
	/* A former file's signature would not be true of the new one. */
	if (o->opts.force && unlink(sig) == -1 && errno != ENOENT) {
		dr_err_sys(err, "cannot remove \"%s\"", sig);
		goto out;
	}
	if (dr_file_commit(&o->file, how, err) == -1)
		goto out;
	if (minisig != NULL &&
	    dr_file_put(sig, 0600, how, minisig, sig_len, err) == -1)
		goto out;
	rc = dr_file_put(json, 0600, how, text, len, err);

out:
	free(sig);
	free(json);
	return rc;
}

int
dr_output_commit_text(struct dr_output *o, const char *text, size_t len,
    const char *minisig, size_t sig_len, struct dr_err *err)
{
	if (len == 0 || text[len - 1] != '\n' || len > DR_MANIFEST_MAX + 1)
		return dr_err_set(err, DR_EDATA,
		    "a manifest is one line of at most 64 KiB");
	if (ready(o, err) == -1) /* an empty body still makes a file */
		return -1;
	if (o->named && !o->opts.stream)
		return publish_file(o, text, len, minisig, sig_len, err);
	if (!o->opts.body && end_mark(o, text, len, err) == -1)
		return -1;
	if (o->named)
		return dr_file_commit(&o->file,
		    o->opts.force ? DR_FILE_REPLACE : DR_FILE_NEW, err);
	return sync_stdout(o, err);
}

int
dr_output_commit(struct dr_output *o, json_t *manifest, struct dr_err *err)
{
	struct dr_buf line = { .max = DR_MANIFEST_MAX + 1 };
	int rc = -1;

	if ((!o->named || o->opts.stream ||
	        object_facts(o, manifest, err) == 0) &&
	    dr_manifest_line(manifest, &line, err) == 0 &&
	    dr_buf_str(&line, "\n", err) == 0)
		rc =
		    dr_output_commit_text(o, line.data, line.len, NULL, 0, err);
	dr_buf_free(&line);
	return rc;
}

void
dr_output_free(struct dr_output *o)
{
	if (o == NULL)
		return;
	dr_file_abandon(&o->file);
	dr_pipe_out_free(o->pipe);
	dr_sha256_free(o->sha);
	free(o);
}
