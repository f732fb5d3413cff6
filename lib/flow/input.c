#include "flow/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "crypt/minisign.h"
#include "flow/catalogue.h"
#include "flow/checked.h"
#include "manifest/manifest.h"
#include "stream/pipes.h"
#include "stream/trailer.h"

struct dr_input {
	struct dr_source *source;
	const char *name;
	int fd; /* a regular file's, else -1 */
	bool endmark;
	bool foreign;
	json_t *manifest; /* a file's, from the start */
};

/* --- FILE.json and its signature ----------------------------------------- */

/* Where FILE.json.minisig lies beside it, the signature must be good. */
static int
check_signature(const struct dr_input_opts *o, const char *json, size_t len,
    const json_t *manifest, struct dr_err *err)
{
	const char *set = dr_manifest_str(manifest, "set");
	const char *id = dr_manifest_str(manifest, "id");
	struct dr_verify_keys *keys = NULL;
	char *path = NULL, *sig = NULL, *trusted = NULL;
	char signer[DR_KEYID_HEX];
	size_t sig_len;
	int rc = -1;

	if (o->no_signature)
		return 0;
	if ((path = dr_fmt(err, "%s.json.minisig", o->path)) == NULL)
		goto out;
	if (access(path, F_OK) == -1 && errno == ENOENT) {
		rc = 0;
		goto out;
	}
	if ((sig = dr_file_get(path, 4096, &sig_len, err)) == NULL ||
	    (keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		goto out;
	if (set != NULL && id != NULL &&
	    (trusted = dr_fmt(err, "%s/snap/%s.json", set, id)) == NULL)
		goto out;
	if (dr_verify(keys, json, len, sig, sig_len, trusted, signer, err) ==
	    -1) {
		dr_err_wrap(err, "\"%s.json\"", o->path);
		goto out;
	}
	rc = 0;

out:
	dr_verify_keys_free(keys);
	free(trusted);
	free(sig);
	free(path);
	return rc;
}

static json_t *
read_manifest(const struct dr_input_opts *o, struct dr_err *err)
{
	char *path = NULL, *text = NULL;
	json_t *manifest = NULL;
	size_t len;

	if ((path = dr_fmt(err, "%s.json", o->path)) == NULL)
		goto out;
	if ((text = dr_file_get(path, DR_MANIFEST_MAX + 1, &len, err)) ==
	    NULL) {
		if (errno == ENOENT) {
			err->cause = DR_EDATA;
			dr_err_hint(err,
			    "a file needs its manifest beside it; bytes of "
			    "another tool's making need --foreign");
		}
		goto out;
	}
	if ((manifest = dr_manifest_parse(text, len, path, err)) == NULL)
		goto out;
	if (check_signature(o, text, len, manifest, err) == -1) {
		json_decref(manifest);
		manifest = NULL;
	}

out:
	free(text);
	free(path);
	return manifest;
}

/* --- the input ----------------------------------------------------------- */

/* Put FILTER over in->source where it could be made. */
static int
stack(struct dr_input *in, struct dr_source *filter)
{
	if (filter == NULL)
		return -1;
	in->source = filter;
	return 0;
}

static int
open_named(struct dr_input *in, const char *path, struct dr_err *err)
{
	struct stat st;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", path);
	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot look at \"%s\"", path);
		goto fail;
	}
	if (S_ISDIR(st.st_mode)) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is a directory", path);
		goto fail;
	}
	if ((in->source = dr_source_fd(fd, in->name, err)) == NULL)
		goto fail;
	if (S_ISREG(st.st_mode)) {
		in->fd = fd;
		in->endmark = false;
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	} else
		dr_pipe_enlarge(fd);
	return 0;

fail:
	close(fd);
	return -1;
}

struct dr_input *
dr_input_open(const struct dr_input_opts *o, struct dr_err *err)
{
	bool named = o->path != NULL && strcmp(o->path, "-") != 0;
	struct dr_input *in;

	if (!named && isatty(0)) {
		dr_err_set(err, DR_EUSAGE,
		    "standard input is a terminal, not a stream");
		dr_err_hint(err, "pipe a stream into it, or name a file");
		return NULL;
	}
	if ((in = calloc(1, sizeof(*in))) == NULL) {
		dr_err_sys(err, "cannot allocate an input");
		return NULL;
	}
	in->name = named ? o->path : "standard input";
	in->fd = -1;
	in->foreign = o->foreign;
	in->endmark = !o->foreign;
	if (named) {
		if (open_named(in, o->path, err) == -1)
			goto fail;
	} else {
		dr_pipe_enlarge(0);
		if ((in->source = dr_source_fd(0, in->name, err)) == NULL)
			goto fail;
	}
	if (in->foreign)
		return in;
	if (in->endmark) {
		if (stack(in, dr_endmark_source(in->source, in->name, err)) ==
		    -1)
			goto fail;
	} else {
		if ((in->manifest = read_manifest(o, err)) == NULL ||
		    stack(in, dr_checked_source(in->source, in->name,
		                  in->manifest, err)) == -1)
			goto fail;
	}
	return in;

fail:
	dr_input_free(in);
	return NULL;
}

struct dr_source *
dr_input_source(struct dr_input *in)
{
	return in->source;
}

const char *
dr_input_name(const struct dr_input *in)
{
	return in->name;
}

json_t *
dr_input_manifest(struct dr_input *in, struct dr_err *err)
{
	const char *text;
	size_t len;

	if (in->manifest == NULL && in->foreign)
		in->manifest = dr_manifest_new("stream", dr_now(), err);
	else if (in->manifest == NULL) {
		if ((text = dr_endmark_manifest(in->source, &len)) == NULL) {
			dr_err_set(err, DR_EFAIL,
			    "%s has not been read to its end", in->name);
			return NULL;
		}
		in->manifest = dr_manifest_parse(text, len, in->name, err);
	}
	return json_incref(in->manifest);
}

int
dr_input_fd(const struct dr_input *in)
{
	return in->fd;
}

void
dr_input_free(struct dr_input *in)
{
	if (in == NULL)
		return;
	dr_source_free(in->source);
	json_decref(in->manifest);
	free(in);
}
