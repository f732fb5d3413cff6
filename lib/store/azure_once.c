#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/fd.h"
#include "store/azure.h"
#include "store/parts.h"

#define ONCE_MAX (UINT64_C(5000) << 20) /* of Put Blob */

struct once {
	struct dr_sink sink;
	struct dr_az_upload *u;
	int fd;
	uint64_t len;
	EVP_MD_CTX *md; /* NULL: no MD5 here */
};

static int
once_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct once *o = (struct once *)sink;

	if (len > ONCE_MAX - o->len) {
		dr_err_set(err, DR_EFAIL,
		    "upload of \"%s\": more than 5000 MiB go up in blocks "
		    "alone, and blocks need the right to write",
		    o->u->name);
		return dr_err_hint(err,
		    "give the shared access signature \"cw\" in place of "
		    "\"c\", and the container versions or immutability");
	}
	if (dr_fd_write(o->fd, buf, len, "a temporary file", err) == -1)
		return -1;
	if (o->md != NULL && EVP_DigestUpdate(o->md, buf, len) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot compute an MD5");
	o->len += len;
	return 0;
}

static int
once_finish(struct dr_sink *sink, struct dr_err *err)
{
	struct once *o = (struct once *)sink;
	unsigned char md5[EVP_MAX_MD_SIZE];
	struct dr_az_req r = { 0 };
	int rc = -1, saved;

	errno = 0;
	if (dr_az_put_blob(&r, o->u->a, o->u->name, &o->u->mark, false, err) ==
	        -1 ||
	    (o->md != NULL && EVP_DigestFinal_ex(o->md, md5, NULL) == 1 &&
	        dr_az_md5(&r, md5, err) == -1))
		goto out;
	r.http->body_fd = o->fd;
	r.http->len = o->len;
	if (dr_az_wait(&r, err) == 0)
		rc = dr_az_settle(o->u, &r, err);

out:
	saved = errno;
	dr_az_wipe(&r);
	errno = saved;
	return rc;
}

static void
once_free(struct dr_sink *sink)
{
	struct once *o = (struct once *)sink;

	if (o->fd != -1)
		close(o->fd);
	EVP_MD_CTX_free(o->md);
	dr_az_upload_free(o->u);
	free(o);
}

static const struct dr_sink_ops once_ops = {
	.write = once_write,
	.finish = once_finish,
	.free = once_free,
};

struct dr_sink *
dr_az_once(struct dr_azure *a, const char *name, struct dr_err *err)
{
	struct once *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		dr_err_sys(err, "cannot upload \"%s\"", name);
		return NULL;
	}
	o->sink.ops = &once_ops;
	o->fd = -1;
	if ((o->u = dr_az_upload_new(a, name, err)) == NULL) {
		free(o);
		return NULL;
	}
	if ((o->fd = dr_parts_temporary(err)) == -1) {
		once_free(&o->sink);
		return NULL;
	}
	o->md = EVP_MD_CTX_new();
	if (o->md != NULL && EVP_DigestInit_ex(o->md, EVP_md5(), NULL) != 1) {
		EVP_MD_CTX_free(o->md);
		o->md = NULL;
	}
	return &o->sink;
}
