#include "flow/sealing.h"

#include <stdlib.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/opt.h"
#include "base/tty.h"
#include "manifest/manifest.h"
#include "stream/pump.h"

/* A multiple of the seal's chunks. */
#define PUMP   (1U << 20)
#define LISTED 16U

const char *
dr_seal_format(enum dr_cipher cipher)
{
	return cipher == DR_CIPHER_AES ? "aes-256-gcm" : "age";
}

int
dr_seal_facts(json_t *manifest, enum dr_cipher cipher,
    const struct dr_recipients *to, struct dr_err *err)
{
	size_t n = dr_recipients_count(to);
	char print[17];
	json_t *list;

	if ((list = json_array()) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a list");
	for (size_t i = 0; i < n && i < LISTED; i++)
		if (dr_recipients_print(to, i, print, err) == -1 ||
		    json_array_append_new(list, json_string(print)) != 0) {
			json_decref(list);
			return dr_err_set(err, DR_EFAIL,
			    "cannot list the recipients");
		}
	dr_manifest_unset(manifest, "seal");
	if (dr_manifest_set_str(manifest, "seal.format", dr_seal_format(cipher),
	        err) == -1 ||
	    dr_manifest_set_int(manifest, "seal.recipient_count", (int64_t)n,
	        err) == -1) {
		json_decref(list);
		return -1;
	}
	return dr_manifest_set(manifest, "seal.recipients", list, err);
}

struct dr_recipients *
dr_recipients_gather(const struct dr_strs *words, const struct dr_strs *files,
    struct dr_err *err)
{
	struct dr_recipients *to;

	if ((to = dr_recipients_new(err)) == NULL)
		return NULL;
	for (size_t i = 0; i < words->n; i++)
		if (dr_recipients_add(to, words->v[i], err) == -1)
			goto fail;
	for (size_t i = 0; i < files->n; i++)
		if (dr_recipients_file(to, files->v[i], err) == -1)
			goto fail;
	if (dr_recipients_count(to) > 0)
		return to;
	dr_err_set(err, DR_EUSAGE, "no recipient to seal to");
	dr_err_hint(err, "give -R FILE, -r RECIPIENT or DR_RECIPIENTS; "
	                 "dr-key new makes a key");

fail:
	dr_recipients_free(to);
	return NULL;
}

struct dr_identities *
dr_identities_gather(const struct dr_strs *files, const char *command,
    const char *passphrase_file, struct dr_err *err)
{
	struct dr_identities *ids;

	if ((ids = dr_identities_new(err)) == NULL)
		return NULL;
	for (size_t i = 0; i < files->n; i++)
		if (dr_identities_file(ids, files->v[i], passphrase_file,
		        err) == -1)
			goto fail;
	if (command != NULL && dr_identities_command(ids, command, err) == -1)
		goto fail;
	if (dr_identities_count(ids) > 0)
		return ids;
	dr_err_set(err, DR_EUSAGE, "no identity to open the seal with");
	dr_err_hint(err,
	    "give -i FILE or --identity-command, or set DR_IDENTITY");

fail:
	dr_identities_free(ids);
	return NULL;
}

/* The start of IN, by which a sealed stream is known, goes first. */
static int
pump(struct dr_source *in, struct dr_sink *out, struct dr_err *err)
{
	enum dr_cipher cipher;
	char *buf;
	ssize_t n;
	int rc = -1;

	if ((buf = malloc(PUMP)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	if ((n = dr_source_fill(in, buf, PUMP, err)) == -1)
		goto out;
	if (dr_seal_sniff(buf, (size_t)n, &cipher) == 0) {
		dr_err_set(err, DR_EUSAGE, "the input is sealed already");
		goto out;
	}
	if (n == 0 || dr_sink_write(out, buf, (size_t)n, err) == 0)
		rc = dr_pump(in, out, PUMP, err);

out:
	free(buf);
	return rc;
}

int
dr_seal_stream(struct dr_input *in, struct dr_output *out,
    enum dr_cipher cipher, const struct dr_recipients *to, struct dr_err *err)
{
	struct dr_sink *seal;
	json_t *manifest = NULL;
	int rc = -1;

	seal = dr_seal_new(dr_output_sink(out), cipher, to, err);
	if (seal == NULL)
		return -1;
	dr_progress_begin("sealed", 0);
	if (pump(dr_input_source(in), seal, err) == 0 &&
	    (manifest = dr_input_manifest(in, err)) != NULL) {
		if (json_object_get(manifest, "seal") != NULL)
			dr_err_set(err, DR_EUSAGE,
			    "the input is sealed already, as its manifest "
			    "says");
		else if (dr_seal_facts(manifest, cipher, to, err) == 0)
			rc = dr_output_commit(out, manifest, err);
	}
	dr_progress_end();
	json_decref(manifest);
	dr_sink_free(seal);
	return rc;
}

/*
 * What stands between an input, which owns its source, and an opener, which
 * would free it.
 */
struct lent {
	struct dr_source source;
	struct dr_source *from;
};

static ssize_t
lent_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	return dr_source_read(((struct lent *)source)->from, buf, len, err);
}

static void
lent_free(struct dr_source *source)
{
	(void)source;
}

static const struct dr_source_ops lent_ops = { lent_read, lent_free };

/* Who opened what: the input, the backup's id, and how it went. */
static int
audit(struct dr_input *in, const json_t *manifest, const char *result,
    struct dr_err *err)
{
	struct dr_buf what = { .max = 8192 };
	struct dr_json j;
	int rc = -1;

	if (dr_common.audit == NULL)
		return 0;
	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "input", dr_input_name(in));
	if (manifest != NULL)
		dr_json_str(&j, "id", dr_manifest_str(manifest, "id"));
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = dr_audit("open", what.data, result, err);
	dr_buf_free(&what);
	return rc;
}

int
dr_unseal_stream(struct dr_input *in, struct dr_output *out,
    const struct dr_identities *ids, struct dr_err *err)
{
	struct lent lent = { .source = { .ops = &lent_ops } };
	struct dr_source *open;
	struct dr_err unsaid = { 0 };
	json_t *manifest = NULL;
	int rc = -1;

	lent.from = dr_input_source(in);
	if ((open = dr_unseal_new(&lent.source, ids, err)) == NULL) {
		dr_err_wrap(err, "cannot open \"%s\"", dr_input_name(in));
		goto out;
	}
	dr_progress_begin("opened", 0);
	if (dr_pump(open, dr_output_sink(out), PUMP, err) == 0 &&
	    (manifest = dr_input_manifest(in, err)) != NULL) {
		dr_manifest_unset(manifest, "seal");
		rc = dr_output_commit(out, manifest, err);
	}
	dr_progress_end();

out:
	if (rc == 0)
		rc = audit(in, manifest, "ok", err);
	else
		(void)audit(in, manifest, err->msg, &unsaid);
	json_decref(manifest);
	dr_source_free(open);
	return rc;
}
