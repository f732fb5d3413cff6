/*
 * gs_auth.h - the keys or the token for Google Cloud Storage, from where its
 * users already have them.
 *
 * Looked at in this order:
 *
 *	1. GOOGLE_OAUTH_ACCESS_TOKEN;
 *	2. GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY (HMAC keys);
 *	3. the file that GOOGLE_APPLICATION_CREDENTIALS names;
 *	4. the file of boto, BOTO_CONFIG or ~/.boto: HMAC keys
 *	   (gs_access_key_id, gs_secret_access_key), gs_service_key_file;
 *	5. application_default_credentials.json of gcloud;
 *	6. the metadata server (GCE_METADATA_HOST; not with NO_GCE_CHECK=true).
 *
 * Files of type service_account (RFC 7523) and authorized_user are known.
 */
#ifndef DR_STORE_GS_AUTH_H
#define DR_STORE_GS_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/http.h"
#include "store/aws_cred.h"

struct dr_gs_auth;

/* OPTS, for requests to a token endpoint, is copied; may be NULL. */
struct dr_gs_auth *dr_gs_auth_new(const struct dr_http_opts *, struct dr_err *);
void dr_gs_auth_free(struct dr_gs_auth *); /* wipes it */

/*
 * Like dr_aws_cred_get.  With HMAC keys, access and secret are set; else
 * access is "" and the token is a bearer's.
 */
int dr_gs_auth_get(struct dr_gs_auth *, struct dr_aws_keys *out, bool force,
    struct dr_err *);

/*
 * What a service account asks for a token with (RFC 7515, RS256): ISSUER,
 * KEY (PEM), its KEY_ID or NULL, the AUDIENCE; NOW in seconds since 1970;
 * appended to OUT.
 */
int dr_gs_jwt(const char *issuer, const char *key, const char *key_id,
    const char *audience, int64_t now, struct dr_buf *out, struct dr_err *);

/*
 * A token endpoint's answer: 0 and OUT's token and expiry; -1: DR_EFAIL with
 * what it said, DR_EDATA.
 */
int dr_gs_token_parse(const char *text, size_t len, int status, int64_t now,
    const char *who, struct dr_aws_keys *out, struct dr_err *);

#endif /* !DR_STORE_GS_AUTH_H */
