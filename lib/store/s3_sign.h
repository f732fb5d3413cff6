/*
 * s3_sign.h - signing of requests, version 4: AWS's (SigV4, as the reference
 * of the S3 API describes it under "Authenticating Requests: Using the
 * Authorization Header") and Google's, which differs in names only.
 */
#ifndef DR_STORE_S3_SIGN_H
#define DR_STORE_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_s3_names {
	const char *algorithm; /* "AWS4-HMAC-SHA256" */
	const char *key;       /* "AWS4", before the secret */
	const char *end;       /* "aws4_request" */
};

extern const struct dr_s3_names dr_s3_aws, dr_s3_google;

struct dr_pair {
	const char *name, *value;
};

struct dr_s3_sign {
	const struct dr_s3_names *names;
	const char *region, *service; /* "us-east-1", "s3" */
	const char *access, *secret;
	const char *time; /* "20130524T000000Z", as in the date's header */
	const char *method;
	const char *path;  /* as in the URL, encoded; begins with "/" */
	const char *query; /* of dr_s3_params; "" without one */
	/*
	 * All of them are signed, so host and the date's are among them:
	 * names in lower case, none twice.  Sorted by dr_s3_sign.
	 */
	struct dr_pair *header;
	size_t headers;
	const char
	    *payload; /* SHA-256 of the body, hex, or what stands for it */
};

/*
 * The canonical query string, which is also what the URL takes: pairs
 * encoded, then sorted (V is, too); appended to OUT.
 */
int
dr_s3_params(struct dr_pair *v, size_t n, struct dr_buf *out, struct dr_err *);

/* The canonical request, for tests; appended to OUT. */
int dr_s3_canonical(struct dr_s3_sign *, struct dr_buf *out, struct dr_err *);

/* The value of the Authorization header; appended to OUT. */
int dr_s3_sign(struct dr_s3_sign *, struct dr_buf *out, struct dr_err *);

#endif /* !DR_STORE_S3_SIGN_H */
