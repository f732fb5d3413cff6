/*
 * s3.h - S3 and what speaks its dialects: what the files of the driver share.
 *
 * Source: the Amazon S3 API Reference, version 2006-03-01; for Google, the
 * reference of the XML API of Cloud Storage.
 */
#ifndef DR_STORE_S3_H
#define DR_STORE_S3_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/aws_cred.h"
#include "store/driver.h"
#include "store/s3_sign.h"

#define DR_S3_PAIRS    12
#define DR_S3_TIME_LEN 32

/* How a cloud's names differ. */
struct dr_s3_dialect {
	const char *who; /* for messages: "S3" */
	const struct dr_s3_names *names;
	const char *service;        /* that requests are signed for */
	const char *prefix;         /* of headers: "x-amz-" */
	const char *once[2];        /* the header of create-only, its value */
	const char *version;        /* parameter that names a version */
	const char *version_header; /* and the reply's */
	const char *version_marker[2]; /* where a page of versions begins */
	const char *kms; /* header for a key's name, or NULL: as AWS says it */
};

struct dr_s3 {
	struct dr_store store;
	const struct dr_s3_dialect *dialect;
	struct dr_http *http;
	struct dr_aws_cred *cred; /* or NULL */
	/*
	 * The keys: of CRED unless it is NULL.  With an empty access key the
	 * token goes into the request as it is, as a bearer's.
	 */
	int (*keys)(struct dr_s3 *, struct dr_aws_keys *, bool force,
	    struct dr_err *);
	void *own; /* what else KEYS needs; freed by free_own */
	void (*free_own)(void *);
	char *bucket, *prefix; /* "" or "a/b/" */
	char *region;
	char *origin;     /* "https://HOST[:PORT]" */
	char *host;       /* HOST[:PORT], as curl sends it */
	char *base;       /* of paths: "" or "/...", encoded */
	atomic_bool seen; /* the bucket is there */
	bool foreign;     /* others than the dialect's own cloud */
	bool no_once;     /* it cannot create only; known since it said so */
	bool versions;    /* it keeps versions; known since it named one */
};

/* --- s3_call.c: one request ------------------------------------------------------ */

/* What a refusal says. */
struct dr_s3_said {
	char code[64], message[256], region[64];
};

/*
 * Start with dr_s3_call, end with dr_s3_wipe, whatever happened.  REQ is OWN
 * unless somebody else's is to be filled.
 */
struct dr_s3_call {
	struct dr_s3 *s3;
	struct dr_http_req *req, own;
	char *what, *path;
	struct dr_pair query[DR_S3_PAIRS], header[DR_S3_PAIRS]; /* owned */
	size_t queries, headers;
	char sha256[65]; /* of the body */
	struct dr_s3_said said;
	bool conditional; /* 409 means: again */
	bool error_in_200;
	bool refreshed, md5;
	unsigned damaged;
};

/*
 * METHOD on object NAME, or on the bucket when it is NULL.  WHAT it is, for
 * messages, with a "%s" for the name: "upload of \"%s\"".
 */
int dr_s3_call(struct dr_s3_call *, struct dr_s3 *, const char *method,
    const char *name, const char *what, struct dr_err *)
    __attribute__((format(printf, 5, 0)));
int dr_s3_query(struct dr_s3_call *, const char *name, const char *value,
    struct dr_err *);
int dr_s3_header(struct dr_s3_call *, const char *name, const char *value,
    struct dr_err *);
/* The same for a name that has the dialect's prefix before it. */
int dr_s3_xheader(struct dr_s3_call *, const char *name, const char *value,
    struct dr_err *);
/* The body, borrowed; its SHA-256 is taken. */
int dr_s3_body(struct dr_s3_call *, const void *, size_t, struct dr_err *);
/* Send it along with an MD5 of the body. */
int dr_s3_md5(struct dr_s3_call *, struct dr_err *);
/* Fill REQ (another's, whose body is set, or OWN) with what is common. */
void dr_s3_ready(struct dr_s3_call *, struct dr_http_req *);
/* dr_s3_ready and dr_http_do.  0: an answer is there. */
int dr_s3_do(struct dr_s3_call *, struct dr_err *);
/* dr_s3_ready and dr_http_start. */
int dr_s3_start(struct dr_s3_call *, struct dr_err *);
void dr_s3_wipe(struct dr_s3_call *);

/* --- s3_error.c --- */

/* Read an error's reply; false: there is none in it. */
bool dr_s3_said(const char *xml, size_t, struct dr_s3_said *);
/* Why it was refused, with what to do about it.  Returns -1. */
int dr_s3_refused(const struct dr_s3_call *, struct dr_err *);
bool dr_s3_is(const struct dr_s3_call *, const char *code);

/* --- s3_get.c --- */

struct dr_s3_head {
	uint64_t size;
	int64_t mtime;
	char etag[128], version[256]; /* "" without one */
	bool opaque; /* the ETag is no hash: encrypted by a key of KMS */
};

/* 1 and *HEAD, 0 absent, -1.  VERSION may be NULL. */
int dr_s3_look(struct dr_s3 *, const char *name, const char *version,
    struct dr_s3_head *, struct dr_err *);
struct dr_blob *dr_s3_get(struct dr_store *, const char *name, struct dr_err *);
struct dr_blob *dr_s3_get_version(struct dr_store *, const char *name,
    const char *id, struct dr_err *);
int dr_s3_stat(struct dr_store *, const char *name, struct dr_object *,
    struct dr_err *);
int dr_s3_get_small(struct dr_store *, const char *name, size_t max, char **out,
    size_t *len, struct dr_err *);
/* "Fri, 24 May 2013 00:00:00 GMT", in microseconds since 1970. */
bool dr_s3_date(const char *, int64_t *);

/* --- s3_put.c, s3_upload.c --- */

int dr_s3_put_begin(struct dr_small *, struct dr_err *);
void dr_s3_put_look(struct dr_small *);
void dr_s3_put_cancel(struct dr_small *);
/* Headers that say how an object is to be kept. */
int dr_s3_how(struct dr_s3_call *, bool small, struct dr_err *);
/* It cannot create only: go on all the same?  Says so once. */
bool dr_s3_may_replace(struct dr_s3 *, const char *name, struct dr_err *);
struct dr_sink *dr_s3_put(struct dr_store *, const char *name, struct dr_err *);
int dr_s3_try_replace(struct dr_store *, const char *name, bool parts,
    const void *, size_t, struct dr_err *);

/* --- s3_own.c: is it ours, after a reply that was lost? -------------------------- */

#define DR_S3_ETAG_LEN 64

enum dr_s3_own {
	DR_S3_OURS,   /* by its bytes, or their hash */
	DR_S3_ALIKE,  /* of the same size; more cannot be known */
	DR_S3_HIDDEN, /* it may not even be looked at */
	DR_S3_OTHER,  /* or there is none */
	DR_S3_UNKNOWN /* ERR: the question failed */
};

/*
 * Of SIZE bytes: DATA where they went up in one request, else NULL and the
 * ETAG that their parts make ("": not known).  *VERSION: which it is, or "".
 * ERR is also set where it is HIDDEN, and may be with others.
 */
enum dr_s3_own
dr_s3_own(struct dr_s3 *, const char *name, const char *etag, const void *data,
    uint64_t size, char *version, size_t versionlen, struct dr_err *);
/* The ETag of a whole: the MD5 of those of its N parts, where they are. */
bool dr_s3_whole_etag(char *const *etag, unsigned n, char out[DR_S3_ETAG_LEN]);
/* How many parts it says that an object is made of; 0: it does not say. */
unsigned dr_s3_etag_parts(const char *etag);

/* --- s3_list.c --- */

int dr_s3_list(struct dr_store *, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *);
int dr_s3_dirs(struct dr_store *, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *);
int dr_s3_versions(struct dr_store *, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *);
/* 1 a list shows NAME, 0 it does not, -1: it may not be listed. */
int dr_s3_listed(struct dr_s3 *, const char *name, struct dr_err *);
int dr_s3_uploads(struct dr_store *, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *);
int dr_s3_upload_abort(struct dr_store *, const char *name, const char *id,
    struct dr_err *);

/* --- s3_xml.c: replies that are lists ---------------------------------------------- */

enum dr_s3_kind {
	DR_S3_OBJECT,
	DR_S3_PREFIX,
	DR_S3_VERSION,
	DR_S3_MARKER,
	DR_S3_UPLOAD
};

/* One entry; strings live until FN returns. */
struct dr_s3_entry {
	enum dr_s3_kind kind;
	const char *key; /* decoded */
	const char *id;  /* of the version or upload, or "" */
	uint64_t size;
	int64_t time; /* microseconds since 1970 */
	bool latest;
};

/* Where the next page begins; MORE: there is one. */
struct dr_s3_next {
	bool more;
	struct dr_buf token, key, id;
};

/* A page of any of the lists.  DR_EDATA. */
int dr_s3_page(const char *xml, size_t,
    int (*fn)(void *, const struct dr_s3_entry *, struct dr_err *), void *arg,
    struct dr_s3_next *, struct dr_err *);
void dr_s3_next_wipe(struct dr_s3_next *);
/* What one element of a reply holds: "LegalHold/Status".  "" none. */
int dr_s3_element(const char *xml, size_t, const char *place, char *out,
    size_t outlen, struct dr_err *);

/* --- s3_lock.c --- */

/* Ask of NAME (VERSION may be NULL) "retention" or "legal-hold". */
int dr_s3_lock_ask(struct dr_s3_call *, struct dr_s3 *, const char *name,
    const char *version, const char *which, struct dr_err *);
/* Read the answer into *LOCK; nothing is locked: it stays as it is. */
int dr_s3_lock_read(const struct dr_s3_call *, const char *which,
    struct dr_lock *, bool *knows, struct dr_err *);
/* Is what the store says as much as was asked for? */
int dr_s3_lock_enough(const struct dr_s3 *, const char *name,
    const struct dr_lock *, struct dr_err *);
int dr_s3_locked(struct dr_store *, const char *name, struct dr_lock *,
    struct dr_err *);
/*
 * The same of one version, NULL: the latest.  *KNOWS (may be NULL): the store
 * knows what it was asked for.  0, -1.
 */
int dr_s3_locked_version(struct dr_s3 *, const char *name, const char *version,
    struct dr_lock *, bool *knows, struct dr_err *);
/* Lock it as was asked for. */
int dr_s3_lock(struct dr_s3 *, const char *name, const char *version,
    struct dr_err *);
/* Whole seconds, rounded up. */
char *dr_s3_time(int64_t usec, char out[DR_S3_TIME_LEN]);

/* --- s3.c --- */

extern const struct dr_store_ops dr_s3_ops;
/*
 * A store of any dialect, whose KEYS are still to be set; ENDPOINT as in
 * "https://HOST[:PORT][/PATH]".
 */
struct dr_s3 *dr_s3_new(const struct dr_url *, const struct dr_s3_dialect *,
    const char *endpoint, const char *region, bool virtual_host,
    const struct dr_http_opts *, struct dr_err *);

#endif /* !DR_STORE_S3_H */
