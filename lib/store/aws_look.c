#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/ask.h"
#include "store/aws_int.h"

/* A role whose source is a role whose source ... */
#define CHAIN_MAX 8U

#define EXPORT_HINT                                                       \
	"let the AWS CLI fetch them: credential_process = aws configure " \
	"export-credentials --profile %s"

void
dr_aws_seen(struct dr_aws_look *l, const char *fmt, ...)
{
	struct dr_err ignored = { 0 };
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (l->seen.max == 0)
		l->seen.max = 2048;
	(void)dr_buf_fmt(&l->seen, &ignored, "%s%s",
	    l->seen.len > 0 ? ", " : "", text);
}

int
dr_aws_keys_check(const struct dr_aws_keys *k, struct dr_err *err)
{
	const char *what = NULL;

	if (!dr_plain(k->access))
		what = "access key";
	else if (!dr_plain(k->secret))
		what = "secret key";
	else if (k->token[0] != '\0' && !dr_plain(k->token))
		what = "session token";
	if (what == NULL)
		return 0;
	return dr_err_set(err, DR_EUSAGE,
	    "the %s from %s is empty or has a blank or a control character in "
	    "it",
	    what, k->source);
}

int
dr_aws_from_env(struct dr_aws_look *l, struct dr_aws_keys *k,
    struct dr_err *err)
{
	const char *access = dr_env("AWS_ACCESS_KEY_ID");
	const char *secret = dr_env("AWS_SECRET_ACCESS_KEY");
	const char *token = dr_env("AWS_SESSION_TOKEN");

	if (access == NULL && secret == NULL) {
		dr_aws_seen(l, "AWS_ACCESS_KEY_ID");
		return 0;
	}
	if (access == NULL || secret == NULL)
		return dr_err_set(err, DR_EUSAGE, "%s is set and %s is not",
		    access != NULL ? "AWS_ACCESS_KEY_ID"
		                   : "AWS_SECRET_ACCESS_KEY",
		    access == NULL ? "AWS_ACCESS_KEY_ID"
		                   : "AWS_SECRET_ACCESS_KEY");
	if (token == NULL)
		token = "";
	dr_aws_keys_wipe(k);
	(void)snprintf(k->source, sizeof(k->source), "AWS_ACCESS_KEY_ID");
	if (!dr_copy(k->access, sizeof(k->access), access) ||
	    !dr_copy(k->secret, sizeof(k->secret), secret) ||
	    !dr_copy(k->token, sizeof(k->token), token)) {
		dr_aws_keys_wipe(k);
		return dr_err_set(err, DR_EUSAGE,
		    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or "
		    "AWS_SESSION_TOKEN is too long");
	}
	return dr_aws_keys_check(k, err) == -1 ? -1 : 1;
}

static int
web_identity(struct dr_aws_look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_aws_role r = {
		.arn = dr_env("AWS_ROLE_ARN"),
		.session = dr_env("AWS_ROLE_SESSION_NAME"),
		.token_file = dr_env("AWS_WEB_IDENTITY_TOKEN_FILE"),
	};

	if (r.token_file == NULL) {
		dr_aws_seen(l, "AWS_WEB_IDENTITY_TOKEN_FILE");
		return 0;
	}
	if (r.arn == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is "
		    "not");
	return dr_aws_assume(l, &r, NULL, k, err) == -1 ? -1 : 1;
}

/* --- profiles --------------------------------------------------------------- */

static int profile_keys(struct dr_aws_look *, const char *name, unsigned depth,
    bool as_source, struct dr_aws_keys *, struct dr_err *);

int
dr_aws_no_profile(const struct dr_aws_files *f, const char *name,
    struct dr_err *err)
{
	dr_err_set(err, DR_EUSAGE, "there is no AWS profile \"%s\"", name);
	return dr_err_hint(err, "looked in \"%s\"%s%s%s and \"%s\"%s%s%s",
	    f->cred_path, f->cred_not != NULL ? " (" : "",
	    f->cred_not != NULL ? f->cred_not : "",
	    f->cred_not != NULL ? ")" : "", f->config_path,
	    f->config_not != NULL ? " (" : "",
	    f->config_not != NULL ? f->config_not : "",
	    f->config_not != NULL ? ")" : "");
}

/* The keys that a role is assumed with, as credential_source says. */
static int
named_source(struct dr_aws_look *l, const char *profile, const char *source,
    struct dr_aws_keys *k, struct dr_err *err)
{
	int rc;

	if (strcmp(source, "Environment") == 0)
		rc = dr_aws_from_env(l, k, err);
	else if (strcmp(source, "EcsContainer") == 0)
		rc = dr_aws_from_container(l, k, err);
	else if (strcmp(source, "Ec2InstanceMetadata") == 0)
		rc = dr_aws_from_instance(l, k, err);
	else {
		dr_err_set(err, DR_EUSAGE,
		    "AWS profile \"%s\" has an unknown credential_source",
		    profile);
		return dr_err_hint(err, "it may be Environment, EcsContainer "
		                        "or Ec2InstanceMetadata");
	}
	if (rc == 0)
		rc = dr_err_set(err, DR_EFAIL,
		    "AWS profile \"%s\" takes its keys from %s, where there "
		    "are none",
		    profile, source);
	return rc;
}

static int
role(struct dr_aws_look *l, const char *name, unsigned depth,
    struct dr_aws_keys *k, struct dr_err *err)
{
	const struct dr_aws_files *f = l->files;
	struct dr_aws_role r = {
		.arn = dr_aws_profile_get(f, name, "role_arn"),
		.session = dr_aws_profile_get(f, name, "role_session_name"),
		.external_id = dr_aws_profile_get(f, name, "external_id"),
		.duration = dr_aws_profile_get(f, name, "duration_seconds"),
		.token_file =
		    dr_aws_profile_get(f, name, "web_identity_token_file"),
		.of = name,
	};
	const char *from = dr_aws_profile_get(f, name, "source_profile");
	const char *kind = dr_aws_profile_get(f, name, "credential_source");
	struct dr_aws_keys *with = NULL, source = { 0 };
	int rc = -1;

	if ((r.token_file != NULL) + (from != NULL) + (kind != NULL) != 1)
		return dr_err_set(err, DR_EUSAGE,
		    "AWS profile \"%s\" has a role_arn, and needs exactly one "
		    "of source_profile, credential_source and "
		    "web_identity_token_file",
		    name);
	if (dr_aws_profile_get(f, name, "mfa_serial") != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "AWS profile \"%s\" asks for a second factor (mfa_serial), "
		    "which is not supported",
		    name);
		return dr_err_hint(err, EXPORT_HINT, name);
	}
	if (from != NULL) {
		with = &source;
		if (depth >= CHAIN_MAX) {
			dr_err_set(err, DR_EUSAGE,
			    "AWS profile \"%s\": source_profile leads round in "
			    "a circle, or through more than %u profiles",
			    name, CHAIN_MAX);
			goto out;
		}
		if (!dr_aws_profile_has(f, from)) {
			dr_aws_no_profile(f, from, err);
			goto out;
		}
		/* Naming itself it means the keys that stand beside. */
		rc = profile_keys(l, from, depth + 1, strcmp(from, name) == 0,
		    with, err);
		if (rc == 0)
			dr_err_set(err, DR_EUSAGE,
			    "AWS profile \"%s\", the source_profile of \"%s\", "
			    "has no keys",
			    from, name);
	} else if (kind != NULL) {
		with = &source;
		rc = named_source(l, name, kind, with, err);
	} else
		rc = 1;
	if (rc == 1)
		rc = dr_aws_assume(l, &r, with, k, err) == -1 ? -1 : 1;
	else
		rc = -1;
out:
	dr_aws_keys_wipe(&source);
	return rc;
}

/* KEYS_ONLY: what stands beside a role_arn, not the role. */
static int
profile_keys(struct dr_aws_look *l, const char *name, unsigned depth,
    bool keys_only, struct dr_aws_keys *k, struct dr_err *err)
{
	const struct dr_aws_files *f = l->files;
	const char *v;
	int rc;

	if (!keys_only && dr_aws_profile_get(f, name, "role_arn") != NULL)
		return role(l, name, depth, k, err);
	if ((rc = dr_aws_profile_keys(f, name, k, err)) != 0)
		return rc;
	if ((v = dr_aws_profile_get(f, name, "credential_process")) != NULL)
		return dr_aws_from_process(name, v, k, err);
	if (dr_aws_profile_get(f, name, "sso_session") != NULL ||
	    dr_aws_profile_get(f, name, "sso_start_url") != NULL ||
	    dr_aws_profile_get(f, name, "login_session") != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "AWS profile \"%s\" is for single sign-on, which is not "
		    "supported",
		    name);
		return dr_err_hint(err, EXPORT_HINT, name);
	}
	return 0;
}

static int
profile(struct dr_aws_look *l, bool must, struct dr_aws_keys *k,
    struct dr_err *err)
{
	const struct dr_aws_files *f = l->files;
	int rc;

	if (!dr_aws_profile_has(f, l->profile)) {
		if (must)
			return dr_aws_no_profile(f, l->profile, err);
		dr_aws_seen(l, "profile \"%s\" in %s%s%s%s and %s%s%s%s",
		    l->profile, f->cred_path, f->cred_not != NULL ? " (" : "",
		    f->cred_not != NULL ? f->cred_not : "",
		    f->cred_not != NULL ? ")" : "", f->config_path,
		    f->config_not != NULL ? " (" : "",
		    f->config_not != NULL ? f->config_not : "",
		    f->config_not != NULL ? ")" : "");
		return 0;
	}
	if ((rc = profile_keys(l, l->profile, 0, false, k, err)) == 0)
		dr_aws_seen(l, "profile \"%s\" (no keys in it)", l->profile);
	return rc;
}

int
dr_aws_look(struct dr_aws_look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	bool by_variable = !l->named && dr_env("AWS_PROFILE") != NULL;
	int rc = 0;

	if (!l->named)
		rc = dr_aws_from_env(l, k, err);
	if (rc == 0 && !l->named && !by_variable)
		rc = web_identity(l, k, err);
	if (rc == 0)
		rc = profile(l, l->named || by_variable, k, err);
	if (rc == 0)
		rc = dr_aws_from_container(l, k, err);
	if (rc == 0)
		rc = dr_aws_from_instance(l, k, err);
	return rc;
}
