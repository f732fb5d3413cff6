#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "store/ask.h"
#include "store/aws_int.h"

/* An absent file is an empty one. */
static int
read_one(struct dr_ini *ini, const char *path, const char **why, bool warn,
    struct dr_err *err)
{
	struct dr_err e = { 0 };
	char *text;
	size_t len;
	int rc;

	*why = NULL;
	if ((text = dr_file_get(path, DR_INI_MAX, &len, &e)) == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			*why = "absent";
		else if (errno == EACCES)
			*why = "not readable";
		else {
			*err = e;
			return -1;
		}
		return 0;
	}
	rc = dr_ini_parse(ini, text, len, path, err);
	explicit_bzero(text, len);
	free(text);
	for (size_t i = 0; rc == 0 && warn && i < ini->n; i++)
		if (strcasecmp(ini->v[i].key, "aws_secret_access_key") == 0) {
			dr_warn_exposed(path);
			break;
		}
	return rc;
}

int
dr_aws_files_read(struct dr_aws_files *f, bool warn, struct dr_err *err)
{
	if ((f->cred_path = dr_home_file("AWS_SHARED_CREDENTIALS_FILE",
	         ".aws/credentials", err)) == NULL ||
	    (f->config_path = dr_home_file("AWS_CONFIG_FILE", ".aws/config",
	         err)) == NULL ||
	    read_one(&f->cred, f->cred_path, &f->cred_not, warn, err) == -1 ||
	    read_one(&f->config, f->config_path, &f->config_not, warn, err) ==
	        -1) {
		dr_aws_files_wipe(f);
		return -1;
	}
	return 0;
}

void
dr_aws_files_wipe(struct dr_aws_files *f)
{
	free(f->cred_path);
	free(f->config_path);
	dr_ini_wipe(&f->cred);
	dr_ini_wipe(&f->config);
	memset(f, 0, sizeof(*f));
}

/*
 * KIND and NAME of the section whose text is S ("profile x", "services y",
 * with quotes round NAME or not): is it this one?
 */
static bool
is_section(const char *s, const char *kind, const char *name)
{
	size_t n = strlen(kind), len = strlen(name);

	if (strncmp(s, kind, n) != 0 || (s[n] != ' ' && s[n] != '\t'))
		return false;
	for (s += n; *s == ' ' || *s == '\t'; s++)
		;
	if ((*s == '"' || *s == '\'') && strlen(s) == len + 2 &&
	    s[len + 1] == *s)
		return memcmp(s + 1, name, len) == 0;
	return strcmp(s, name) == 0;
}

/* The section of the config file, or NULL. */
static const char *
config_section(const struct dr_ini *ini, const char *kind, const char *name)
{
	for (size_t i = 0; i < ini->sections; i++)
		if (is_section(ini->section[i], kind, name))
			return ini->section[i];
	if (strcmp(kind, "profile") == 0 && strcmp(name, "default") == 0 &&
	    dr_ini_has(ini, name))
		return name;
	return NULL;
}

static const char *
config_get(const struct dr_ini *ini, const char *kind, const char *name,
    const char *outer, const char *key)
{
	const char *section = config_section(ini, kind, name), *v = NULL;

	if (section != NULL)
		v = dr_ini_get(ini, section, outer, key);
	return v != NULL && *v != '\0' ? v : NULL;
}

bool
dr_aws_profile_has(const struct dr_aws_files *f, const char *profile)
{
	return dr_ini_has(&f->cred, profile) ||
	       config_section(&f->config, "profile", profile) != NULL;
}

const char *
dr_aws_profile_get(const struct dr_aws_files *f, const char *profile,
    const char *key)
{
	const char *v = dr_ini_get(&f->cred, profile, NULL, key);

	if (v != NULL && *v != '\0')
		return v;
	return config_get(&f->config, "profile", profile, NULL, key);
}

const char *
dr_aws_profile_sub(const struct dr_aws_files *f, const char *profile,
    const char *outer, const char *key)
{
	return config_get(&f->config, "profile", profile, outer, key);
}

const char *
dr_aws_endpoint(const struct dr_aws_files *f, const char *profile,
    const char *service)
{
	char var[64];
	const char *v, *services;

	(void)snprintf(var, sizeof(var), "AWS_ENDPOINT_URL_%s", service);
	for (char *c = var; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	if (dr_env_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
		return NULL;
	if ((v = dr_env(var)) != NULL ||
	    (v = dr_env("AWS_ENDPOINT_URL")) != NULL)
		return v;
	if ((v = dr_aws_profile_get(f, profile,
	         "ignore_configured_endpoint_urls")) != NULL &&
	    strcasecmp(v, "true") == 0)
		return NULL;
	if ((services = dr_aws_profile_get(f, profile, "services")) != NULL &&
	    (v = config_get(&f->config, "services", services, service,
	         "endpoint_url")) != NULL)
		return v;
	return dr_aws_profile_get(f, profile, "endpoint_url");
}

const char *
dr_aws_region(const struct dr_aws_files *f, const char *profile)
{
	const char *v;

	if ((v = dr_env("AWS_REGION")) != NULL ||
	    (v = dr_env("AWS_DEFAULT_REGION")) != NULL)
		return v;
	return dr_aws_profile_get(f, profile, "region");
}

/* From one file, since keys of two make no pair. */
static int
pair(const struct dr_ini *ini, const char *section, const char *profile,
    const char *path, struct dr_aws_keys *k, struct dr_err *err)
{
	const char *access, *secret, *token;

	if (section == NULL)
		return 0;
	access = dr_ini_get(ini, section, NULL, "aws_access_key_id");
	secret = dr_ini_get(ini, section, NULL, "aws_secret_access_key");
	token = dr_ini_get(ini, section, NULL, "aws_session_token");
	if (access != NULL && *access == '\0')
		access = NULL;
	if (secret != NULL && *secret == '\0')
		secret = NULL;
	if (access == NULL && secret == NULL)
		return 0;
	if (access == NULL || secret == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "profile \"%s\" in \"%s\" has %s and no %s", profile, path,
		    access != NULL ? "aws_access_key_id"
		                   : "aws_secret_access_key",
		    access == NULL ? "aws_access_key_id"
		                   : "aws_secret_access_key");
	dr_aws_keys_wipe(k);
	(void)snprintf(k->source, sizeof(k->source), "profile \"%s\" in \"%s\"",
	    profile, path);
	if (!dr_copy(k->access, sizeof(k->access), access) ||
	    !dr_copy(k->secret, sizeof(k->secret), secret) ||
	    !dr_copy(k->token, sizeof(k->token), token != NULL ? token : "")) {
		dr_err_set(err, DR_EUSAGE, "a key in %s is too long",
		    k->source);
		dr_aws_keys_wipe(k);
		return -1;
	}
	return dr_aws_keys_check(k, err) == -1 ? -1 : 1;
}

int
dr_aws_profile_keys(const struct dr_aws_files *f, const char *profile,
    struct dr_aws_keys *k, struct dr_err *err)
{
	int rc = pair(&f->cred, profile, profile, f->cred_path, k, err);

	if (rc != 0)
		return rc;
	return pair(&f->config, config_section(&f->config, "profile", profile),
	    profile, f->config_path, k, err);
}
