/*
 * aws_int.h - what the files of aws_cred.c share; nobody else includes it.
 */
#ifndef DR_STORE_AWS_INT_H
#define DR_STORE_AWS_INT_H

#include "base/buf.h"
#include "store/aws_cred.h"
#include "store/ini.h"

/* --- the two files -------------------------------------------------------- */

struct dr_aws_files {
	char *cred_path, *config_path;
	struct dr_ini cred, config;
	/* Why it could not be read ("is absent"), or NULL. */
	const char *cred_not, *config_not;
};

/* Start with { 0 }.  Only the first to look (WARN) says who may read them. */
int dr_aws_files_read(struct dr_aws_files *, bool warn, struct dr_err *);
void dr_aws_files_wipe(struct dr_aws_files *);

/* Is there such a profile, in either? */
bool dr_aws_profile_has(const struct dr_aws_files *, const char *profile);
/* From the credentials file, else the other; NULL or not empty. */
const char *dr_aws_profile_get(const struct dr_aws_files *, const char *profile,
    const char *key);
/* Of the other alone; KEY inside OUTER. */
const char *dr_aws_profile_sub(const struct dr_aws_files *, const char *profile,
    const char *outer, const char *key);
/* endpoint_url of SERVICE ("s3", "sts"), as AWS_ENDPOINT_URL_* say, too. */
const char *dr_aws_endpoint(const struct dr_aws_files *, const char *profile,
    const char *service);
const char *dr_aws_region(const struct dr_aws_files *, const char *profile);
/* 1 and both keys (token too, if any), 0 none, -1 half of them. */
int dr_aws_profile_keys(const struct dr_aws_files *, const char *profile,
    struct dr_aws_keys *, struct dr_err *);

/* --- one search ------------------------------------------------------------ */

struct dr_aws_look {
	const struct dr_aws_files *files;
	const struct dr_http_opts *http; /* for endpoints that were set */
	const char *profile;             /* "default", or what was named */
	bool named;                      /* by the caller */
	bool again;                      /* keys were found before */
	struct dr_buf seen;              /* what was looked at in vain */
};

/* There is none of that name: -1, and where was looked. */
int dr_aws_no_profile(const struct dr_aws_files *, const char *name,
    struct dr_err *);

/* "in NAME (DETAIL)" for the hint; failures do not matter. */
void dr_aws_seen(struct dr_aws_look *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Each: 1 and OUT, 0 nothing there (which is noted in SEEN), -1. */
int dr_aws_look(struct dr_aws_look *, struct dr_aws_keys *out, struct dr_err *);
int
dr_aws_from_env(struct dr_aws_look *, struct dr_aws_keys *, struct dr_err *);
int dr_aws_from_container(struct dr_aws_look *, struct dr_aws_keys *,
    struct dr_err *);
int dr_aws_from_instance(struct dr_aws_look *, struct dr_aws_keys *,
    struct dr_err *);
/* PROFILE's credential_process, COMMAND: 1 or -1. */
int dr_aws_from_process(const char *profile, const char *command,
    struct dr_aws_keys *, struct dr_err *);

/* COMMAND in words as credential_process has them; free V[0] and V. */
int dr_aws_words(const char *command, char ***v, struct dr_err *);

/* --- the security token service --------------------------------------------- */

struct dr_aws_role {
	const char *arn, *session, *external_id, *duration; /* or NULL */
	const char *token_file;                             /* web identity */
	const char *of; /* the profile that says so, or NULL: environment */
};

/* With KEYS NULL: AssumeRoleWithWebIdentity.  0 or -1. */
int dr_aws_assume(struct dr_aws_look *, const struct dr_aws_role *,
    const struct dr_aws_keys *keys, struct dr_aws_keys *out, struct dr_err *);

/* The answer: 0 and OUT, -1 (DR_EDATA).  For tests and the fuzzer, too. */
int dr_aws_sts_parse(const char *xml, size_t len, struct dr_aws_keys *out,
    char code[128], char message[512], struct dr_err *);

/* --- what all have in common -------------------------------------------------- */

/*
 * The keys in the JSON object that container, instance and process answer
 * with; TOKEN is what they call the session's token.  -1: DR_EDATA, WHAT
 * being the answer's name.
 */
int dr_aws_keys_json(const char *text, size_t len, const char *token,
    const char *what, struct dr_aws_keys *, struct dr_err *);
/* Are they printable, and whole?  DR_EUSAGE, naming KEYS->source. */
int dr_aws_keys_check(const struct dr_aws_keys *, struct dr_err *);

#endif /* !DR_STORE_AWS_INT_H */
