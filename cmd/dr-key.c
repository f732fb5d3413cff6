/*
 * dr-key - make, show and convert keys (see dr-key(1)).
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/opt.h"
#include "crypt/keyfile.h"
#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/protect.h"
#include "crypt/secret.h"

static struct {
	const char *output, *passphrase_file;
	bool passphrase, force, json;
} o;

#define OPT_OUTPUT(text)                                                    \
	{ "output", 'o', DR_OPT_STR, &o.output, 0, 0, "FILE", text, NULL }, \
	{                                                                   \
		"force", 'f', DR_OPT_FLAG, &o.force, 0, 0, NULL,            \
		    "replace an existing FILE", NULL                        \
	}
#define OPT_JSON                                             \
	{                                                    \
		"json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL, \
		    "print JSON, one object a line", NULL    \
	}
#define OPT_PASSPHRASE(text)                                                \
	{                                                                   \
		"passphrase-file", 0, DR_OPT_STR, &o.passphrase_file, 0, 0, \
		    "FILE", text, NULL                                      \
	}

static const struct dr_opt new_opts[] = {
	{ "passphrase", 'p', DR_OPT_FLAG, &o.passphrase, 0, 0, NULL,
	    "protect the identity by a passphrase", NULL },
	OPT_PASSPHRASE("read the passphrase from FILE; implies -p"),
	OPT_OUTPUT("write the identity to FILE"),
	{ 0 },
};
static const struct dr_opt recipient_opts[] = {
	OPT_PASSPHRASE("read the identity's passphrase from FILE"),
	OPT_JSON,
	{ 0 },
};
static const struct dr_opt show_opts[] = {
	OPT_PASSPHRASE("open what a passphrase protects, with that in FILE"),
	OPT_JSON,
	{ 0 },
};
static const struct dr_opt sign_new_opts[] = {
	OPT_OUTPUT("write the secret key to FILE, the public one to FILE.pub"),
	OPT_JSON,
	{ 0 },
};
static const struct dr_opt sign_public_opts[] = {
	OPT_PASSPHRASE("read the key's passphrase from FILE"),
	{ 0 },
};

static const struct dr_cmd verbs[] = {
	{ "dr-key new", "[-p] [-f] [-o FILE]",
	    "Make an identity, to open seals with.", "", new_opts },
	{ "dr-key recipient", "[--json] [FILE]...",
	    "Print the recipients of identities, to seal to.", "",
	    recipient_opts },
	{ "dr-key show", "[--json] FILE...", "Say what key files are.", "",
	    show_opts },
	{ "dr-key sign-new", "[-f] [--json] -o FILE",
	    "Make a key to sign with: FILE and FILE.pub.", "", sign_new_opts },
	{ "dr-key sign-public", "FILE",
	    "Print the public half of a signing key.", "", sign_public_opts },
};

static int
put(const struct dr_buf *b, struct dr_err *err)
{
	return b->len == 0
	           ? 0
	           : dr_fd_write(1, b->data, b->len, "standard output", err);
}

/* -o FILE may be written? */
static int
may_create(struct dr_err *err)
{
	if (o.output == NULL || strcmp(o.output, "-") == 0 || o.force ||
	    access(o.output, F_OK) != 0)
		return 0;
	dr_err_set(err, DR_EUSAGE, "\"%s\" exists already", o.output);
	return dr_err_hint(err, "-f replaces it");
}

static int
new_identity(struct dr_err *err)
{
	struct dr_buf sealed = { .max = DR_KEY_FILE_MAX };
	enum dr_file_how how = o.force ? DR_FILE_REPLACE : DR_FILE_NEW;
	struct dr_identities *ids;
	char pub[DR_BECH32_LEN], *text = NULL, *pass = NULL;
	const char *out;
	size_t len;
	int rc = -1;

	if (may_create(err) == -1)
		return -1;
	if ((ids = dr_identities_new(err)) == NULL ||
	    dr_identities_make(ids, err) == -1 ||
	    (text = dr_identities_print(ids, 0, err)) == NULL)
		goto out;
	out = text;
	len = strlen(text);
	if (o.passphrase || o.passphrase_file != NULL) {
		pass = dr_passphrase_new(o.passphrase_file,
		    "Passphrase for the new identity: ", true, err);
		if (pass == NULL || dr_protect(text, len, pass, DR_WORK_FACTOR,
		                        &sealed, err) == -1)
			goto out;
		out = sealed.data;
		len = sealed.len;
	}
	if (o.output == NULL || strcmp(o.output, "-") == 0)
		rc = dr_fd_write(1, out, len, "standard output", err);
	else
		rc = dr_file_put(o.output, 0600, how, out, len, err);
	dr_recipient_text(ids->v[0]->public, pub);
	if (rc == 0 && (o.output != NULL || !isatty(1)) && !dr_quiet)
		fprintf(stderr, "Public key: %s\n", pub);
	if (rc == 0)
		rc = dr_key_audit("identity", pub, o.output, err);

out:
	sodium_free(pass);
	sodium_free(text);
	dr_buf_free(&sealed);
	dr_identities_free(ids);
	return rc;
}

/* One identity file's recipients. */
static int
recipient(const char *file, struct dr_err *err)
{
	struct dr_buf text = { .max = DR_KEY_FILE_MAX };
	char pub[DR_BECH32_LEN], print[17];
	struct dr_identities *ids;
	struct dr_json j;
	int rc = -1;

	if ((ids = dr_identities_new(err)) == NULL ||
	    dr_identities_file(ids, file, o.passphrase_file, err) == -1)
		goto out;
	for (size_t i = 0; i < ids->n; i++) {
		dr_recipient_text(ids->v[i]->public, pub);
		if (dr_fingerprint(ids->v[i]->public, print, err) == -1)
			goto out;
		if (o.json) {
			dr_json_init(&j, &text);
			dr_json_object(&j, NULL);
			dr_json_str(&j, "recipient", pub);
			dr_json_str(&j, "fingerprint", print);
			dr_json_close(&j, '}');
			if (dr_json_end(&j, err) == -1 ||
			    dr_buf_str(&text, "\n", err) == -1)
				goto out;
		} else if (dr_buf_fmt(&text, err, "%s\n", pub) == -1)
			goto out;
	}
	rc = put(&text, err);

out:
	dr_buf_free(&text);
	dr_identities_free(ids);
	return rc;
}

static int
show(const char *file, struct dr_err *err)
{
	struct dr_buf text = { .max = 64U << 20 };
	struct dr_key_facts facts = { 0 };
	int rc;

	rc = dr_key_facts(&facts, file, o.passphrase_file, err);
	for (size_t i = 0; rc == 0 && i < facts.n; i++)
		rc = (o.json ? dr_key_fact_json : dr_key_fact_text)(&facts.v[i],
		    file, &text, err);
	if (rc == 0)
		rc = put(&text, err);
	dr_key_facts_free(&facts);
	dr_buf_free(&text);
	return rc;
}

static int
sign_new(struct dr_err *err)
{
	enum dr_file_how how = o.force ? DR_FILE_REPLACE : DR_FILE_NEW;
	struct dr_sign_key *k;
	int rc = -1;

	if (o.output == NULL || strcmp(o.output, "-") == 0) {
		dr_err_set(err, DR_EUSAGE, "no file to write the key to");
		return dr_err_hint(err, "give -o FILE");
	}
	if (may_create(err) == -1)
		return -1;
	if ((k = dr_sign_key_new(err)) != NULL)
		rc = dr_sign_key_write(k, o.output, how, err);
	if (rc == 0 && o.json)
		rc = show(o.output, err);
	else if (rc == 0 && !dr_quiet)
		fprintf(stderr, "Key id: %s\n", dr_sign_key_id(k));
	if (rc == 0)
		rc = dr_key_audit("signing key", dr_sign_key_id(k), o.output,
		    err);
	dr_sign_key_free(k);
	return rc;
}

static int
sign_public(const char *file, struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	struct dr_sign_key *k;
	int rc = -1;

	k = dr_sign_key_load(file, o.passphrase_file, err);
	if (k != NULL && dr_sign_key_public(k, &text, err) == 0)
		rc = put(&text, err);
	dr_buf_free(&text);
	dr_sign_key_free(k);
	return rc;
}

int
main(int argc, char **argv)
{
	enum { NEW, RECIPIENT, SHOW, SIGN_NEW, SIGN_PUBLIC, VERBS };
	static const struct dr_cmd tool = { "dr-key", "COMMAND [ARG]...",
		"Make and show keys.",
		"dr-key new -o /root/dr.key\n"
		"dr-key recipient /root/dr.key >/etc/dr/recipients\n",
		NULL };
	const struct dr_cmd *list[VERBS];
	struct dr_err err = { 0 };
	int v, n, rc = 0;

	for (int i = 0; i < VERBS; i++)
		list[i] = &verbs[i];
	dr_main_begin(tool.name);
	if ((v = dr_opt_verb(&tool, list, VERBS, argc, argv, &err)) == -1 ||
	    (n = dr_opt_parse(&verbs[v], argc - 1, argv + 1, &err)) == -1 ||
	    dr_crypt_init(&err) == -1)
		return dr_main_end(&err);
	argv += 1 + n;
	argc -= 1 + n;
	if (((v == NEW || v == SIGN_NEW) && argc > 0) ||
	    (v == SHOW && argc == 0) || (v == SIGN_PUBLIC && argc != 1)) {
		dr_err_set(&err, DR_EUSAGE, "%s: %s operand", verbs[v].name + 7,
		    argc > 0 ? "unexpected" : "missing");
		dr_err_hint(&err, "try '%s --help'", verbs[v].name);
	} else if (v == NEW)
		new_identity(&err);
	else if (v == SIGN_NEW)
		sign_new(&err);
	else if (v == SIGN_PUBLIC)
		sign_public(argv[0], &err);
	else if (argc == 0)
		recipient("-", &err);
	else
		for (int i = 0; i < argc && rc == 0; i++)
			rc = (v == SHOW ? show : recipient)(argv[i], &err);
	return dr_main_end(&err);
}
