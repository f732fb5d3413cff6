/*
 * dr-seal - encrypt a stream to recipients, or open it (see dr-seal(1)).
 */
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/options.h"
#include "flow/sealing.h"

struct options {
	bool decode;
	struct dr_input_opts in;
	struct dr_output_opts out;
	/* to seal */
	struct dr_strs recipients, recipient_files;
	int cipher;
	/* to open */
	struct dr_strs identities;
	const char *identity_command, *passphrase_file;
};

/* What the command line itself, not the environment, must not say. */
static int
refuse(bool given, const char *env, const char *opt, const char *with,
    struct dr_err *err)
{
	if (!given || (env != NULL && getenv(env) != NULL))
		return 0;
	dr_err_set(err, DR_EUSAGE, "%s does not go %s", opt, with);
	return dr_err_hint(err, "try 'dr-seal --help'");
}

static int
check(const struct options *o, struct dr_err *err)
{
	static const char d[] = "with -d", no_d[] = "without -d";
	const char *from = o->in.path;

	if (o->decode) {
		if (refuse(o->recipients.n > 0, NULL, "-r", d, err) == -1 ||
		    refuse(o->recipient_files.n > 0, "DR_RECIPIENTS", "-R", d,
		        err) == -1 ||
		    refuse(o->cipher != DR_CIPHER_AGE, "DR_CIPHER", "--cipher",
		        d, err) == -1)
			return -1;
		for (size_t i = 0; i < o->identities.n; i++)
			if (strcmp(o->identities.v[i], "-") == 0 &&
			    (from == NULL || strcmp(from, "-") == 0))
				return dr_err_set(err, DR_EUSAGE,
				    "-i - and the stream cannot both be "
				    "standard input");
		return 0;
	}
	if (refuse(o->identities.n > 0, "DR_IDENTITY", "-i", no_d, err) == -1 ||
	    refuse(o->identity_command != NULL, "DR_IDENTITY_COMMAND",
	        "--identity-command", no_d, err) == -1 ||
	    refuse(o->passphrase_file != NULL, NULL, "--passphrase-file", no_d,
	        err) == -1 ||
	    refuse(o->in.foreign, NULL, "--foreign", no_d, err) == -1)
		return -1;
	return 0;
}

static int
run(const struct options *o, struct dr_err *err)
{
	struct dr_recipients *to = NULL;
	struct dr_identities *ids = NULL;
	struct dr_input *in = NULL;
	struct dr_output *out = NULL;
	int rc = -1;

	if (dr_crypt_init(err) == -1)
		goto out;
	if (o->decode)
		ids = dr_identities_gather(&o->identities, o->identity_command,
		    o->passphrase_file, err);
	else
		to = dr_recipients_gather(&o->recipients, &o->recipient_files,
		    err);
	if ((ids == NULL && to == NULL) ||
	    (out = dr_output_open(&o->out, err)) == NULL ||
	    (in = dr_input_open(&o->in, err)) == NULL)
		goto out;
	if (o->decode)
		rc = dr_unseal_stream(in, out, ids, err);
	else
		rc = dr_seal_stream(in, out,
		    o->cipher == 1 ? DR_CIPHER_AES : DR_CIPHER_AGE, to, err);

out:
	dr_input_free(in);
	dr_output_free(out);
	dr_recipients_free(to);
	dr_identities_free(ids);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	const struct dr_opt opts[] = {
		{ "decode", 'd', DR_OPT_FLAG, &o.decode, 0, 0, NULL,
		    "open instead of sealing", NULL },
		DR_OPTS_RECIPIENTS(&o.recipients, &o.recipient_files,
		    &o.cipher),
		DR_OPTS_IDENTITY(&o.identities, &o.identity_command,
		    &o.passphrase_file),
		{ "foreign", 0, DR_OPT_FLAG, &o.in.foreign, 0, 0, NULL,
		    "with -d: the input is an age file, without end mark",
		    NULL },
		DR_OPTS_OUTPUT(&o.out,
		    "write to FILE, and the manifest to FILE.json"),
		DR_OPTS_TRUST(&o.in.verify_key, &o.in.no_signature),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-seal",
		"[-r RECIPIENT]... [-R FILE]... [--cipher age|aes-256-gcm] "
		"[-o FILE] [FILE]\n"
		"       dr-seal -d [-i FILE]... [--identity-command CMD] [--foreign] "
		"[--body] [-o FILE] [FILE]",
		"Encrypt a stream to recipients, or open it again.",
		"dr-snap | dr-pack | dr-seal -R /etc/dr/recipients | "
		"dr-push -n main /backup\n"
		"dr-seal -d -i key.txt -o base.tar.zst base.tar.zst.age\n",
		opts };
	struct dr_err err = { 0 };

	dr_main_begin(cmd.name);
	if (dr_opt_operand(&cmd, argc, argv, &o.in.path, &err) == 0) {
		o.in.state = dr_common.state;
		if (check(&o, &err) == 0)
			run(&o, &err);
	}
	dr_strs_free(&o.recipients);
	dr_strs_free(&o.recipient_files);
	dr_strs_free(&o.identities);
	return dr_main_end(&err);
}
