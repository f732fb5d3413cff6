/*
 * aws_cred.h - the keys for S3, from where their users already have them.
 *
 * Looked at in this order, as the SDKs of AWS do:
 *
 *	1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, unless
 *	   a profile is named by the caller;
 *	2. AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, unless a profile is
 *	   named by the caller or by AWS_PROFILE;
 *	3. the profile in ~/.aws/credentials and ~/.aws/config: a role
 *	   (source_profile, credential_source or web_identity_token_file), keys,
 *	   credential_process;
 *	4. the container's endpoint, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
 *	   _FULL_URI;
 *	5. the instance metadata service, version 2, unless
 *	   AWS_EC2_METADATA_DISABLED is true.
 *
 * The environment is read when the object is made and at each refresh.
 */
#ifndef DR_STORE_AWS_CRED_H
#define DR_STORE_AWS_CRED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http.h"

/* Wipe it after use. */
struct dr_aws_keys {
	char access[160];
	char secret[256];
	char token[8192]; /* "" without one */
	char source[160]; /* where they come from, for messages */
	int64_t expiry;   /* microseconds since 1970; 0 never */
};

void dr_aws_keys_wipe(struct dr_aws_keys *);

struct dr_aws_cred;

/*
 * PROFILE (NULL: AWS_PROFILE, else "default") is what the caller names
 * explicitly.  Reads the two files; nothing is asked yet.  OPTS, for requests
 * to an STS endpoint that was set, is copied; may be NULL.  DR_EUSAGE where a
 * file cannot be understood or a profile that was named is in neither.
 * Files that hold secrets and that others may read are warned of.
 */
struct dr_aws_cred *dr_aws_cred_new(const char *profile,
    const struct dr_http_opts *, struct dr_err *);
/* Wipes what it holds. */
void dr_aws_cred_free(struct dr_aws_cred *);

/*
 * The keys of now, fetched at first use and again five minutes before they
 * expire; where that fails and they are still good, they are returned.  With
 * FORCE, when a server has called them expired: fetched again at once (by
 * one thread, where several ask); keys that cannot be fetched again and have
 * not changed fail.  Any thread may call it; it waits while one fetches.
 *
 * None to be found: DR_EFAIL, and a hint that lists what was looked at.
 * A service that is there and does not answer: DR_ERETRY.
 */
int dr_aws_cred_get(struct dr_aws_cred *, struct dr_aws_keys *out, bool force,
    struct dr_err *);

/*
 * What environment and profile say of S3, or NULL; lives as long as the
 * object:
 *
 *	region		AWS_REGION, AWS_DEFAULT_REGION, the profile's region
 *	endpoint_url	AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's
 *			services section (s3 endpoint_url), its endpoint_url
 *	ca_bundle	AWS_CA_BUNDLE, the profile's ca_bundle
 *	addressing_style  the profile's s3 addressing_style
 */
const char *dr_aws_cred_setting(const struct dr_aws_cred *, const char *name);

#endif /* !DR_STORE_AWS_CRED_H */
