/* Tokens: what is sent for them, and what comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "store/ask.h"
#include "store/gs_int.h"

#define FILE_MAX   (64U << 10)
#define BODY_MAX   (32U << 10)
#define SECOND     INT64_C(1000000)
#define SCOPE      "https://www.googleapis.com/auth/devstorage.full_control"
#define TOKEN_URI  "https://oauth2.googleapis.com/token"
#define METADATA   "169.254.169.254"
#define TOKEN_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

/* --- a service account's word ---------------------------------------------------- */

/* base64url without padding (RFC 7515, section 2). */
static int
base64url(const void *p, size_t n, struct dr_buf *out, struct dr_err *err)
{
	size_t at = out->len, len;
	int got;

	if (n > BODY_MAX || dr_buf_room(out, (n + 2) / 3 * 4 + 1, err) == -1)
		return -1;
	got = EVP_EncodeBlock((unsigned char *)out->data + at, p, (int)n);
	len = got < 0 ? 0 : (size_t)got;
	while (len > 0 && out->data[at + len - 1] == '=')
		len--;
	for (size_t i = at; i < at + len; i++) {
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
	}
	out->len = at + len;
	out->data[out->len] = '\0';
	return 0;
}

static int
head(const char *key_id, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	struct dr_json j;
	int rc = -1;

	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "alg", "RS256");
	if (key_id != NULL)
		dr_json_str(&j, "kid", key_id);
	dr_json_str(&j, "typ", "JWT");
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = base64url(text.data, text.len, out, err);
	dr_buf_free(&text);
	return rc;
}

static int
claims(const char *issuer, const char *audience, int64_t now,
    struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	struct dr_json j;
	int rc = -1;

	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "iss", issuer);
	dr_json_str(&j, "scope", SCOPE);
	dr_json_str(&j, "aud", audience);
	dr_json_int(&j, "iat", now);
	dr_json_int(&j, "exp", now + 3600);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = base64url(text.data, text.len, out, err);
	dr_buf_free(&text);
	return rc;
}

/* Nobody is asked for one. */
static int
no_passphrase(char *buf, int size, int rw, void *arg)
{
	(void)buf;
	(void)size;
	(void)rw;
	(void)arg;
	return 0;
}

static EVP_PKEY *
read_key(const char *pem, struct dr_err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (key != NULL && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	if (key == NULL)
		dr_err_set(err, DR_EUSAGE,
		    "the private_key of the service account is no RSA key in "
		    "PEM");
	return key;
}

int
dr_gs_jwt(const char *issuer, const char *pem, const char *key_id,
    const char *audience, int64_t now, struct dr_buf *out, struct dr_err *err)
{
	EVP_PKEY *key = read_key(pem, err);
	EVP_MD_CTX *ctx = NULL;
	unsigned char *sig = NULL;
	size_t at = out->len, len = 0;
	int rc = -1;

	if (key == NULL || head(key_id, out, err) == -1 ||
	    dr_buf_str(out, ".", err) == -1 ||
	    claims(issuer, audience, now, out, err) == -1)
		goto out;
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, NULL, &len,
	        (const unsigned char *)out->data + at, out->len - at) != 1 ||
	    (sig = malloc(len)) == NULL ||
	    EVP_DigestSign(ctx, sig, &len,
	        (const unsigned char *)out->data + at, out->len - at) != 1) {
		dr_err_set(err, DR_EFAIL,
		    "cannot sign with the service account's key");
		goto out;
	}
	if (dr_buf_str(out, ".", err) == -1 ||
	    base64url(sig, len, out, err) == -1)
		goto out;
	rc = 0;
out:
	free(sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

/* --- answers ---------------------------------------------------------------------- */

int
dr_gs_token_parse(const char *text, size_t len, int status, int64_t now,
    const char *who, struct dr_aws_keys *k, struct dr_err *err)
{
	json_t *j = dr_answer(text, len);
	const json_t *in = json_object_get(j, "expires_in");
	char error[128] = "", why[384] = "";
	int rc = -1;

	dr_aws_keys_wipe(k);
	(void)snprintf(k->source, sizeof(k->source), "%s", who);
	if (status != 200) {
		(void)dr_answer_str(j, "error", error, sizeof(error));
		(void)dr_answer_str(j, "error_description", why, sizeof(why));
		dr_err_set(err, DR_EFAIL,
		    "%s gives no token: %s%s%s (status %d)", who,
		    error[0] != '\0' ? dr_printable(error)
		                     : "it does not say why",
		    why[0] != '\0' ? ": " : "", dr_printable(why), status);
		goto out;
	}
	if (!dr_answer_str(j, "access_token", k->token, sizeof(k->token)) ||
	    !dr_plain(k->token)) {
		dr_err_set(err, DR_EDATA, "the answer of %s holds no token",
		    who);
		goto out;
	}
	if (json_is_integer(in) && json_integer_value(in) >= 0 &&
	    json_integer_value(in) < 100 * 86400)
		k->expiry = now + json_integer_value(in) * SECOND;
	else if (in != NULL) {
		dr_err_set(err, DR_EDATA,
		    "the answer of %s has an expires_in that is no time", who);
		goto out;
	}
	rc = 0;
out:
	dr_answer_free(j);
	if (rc == -1)
		dr_aws_keys_wipe(k);
	return rc;
}

/* BODY, a form, to URL. */
static int
exchange(const char *url, const struct dr_buf *body,
    const struct dr_http_opts *opts, struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_http_opts o = {
		.connect_ms = 5000,
		.stall_ms = 10000,
		.patience_ms = 30000,
	};
	struct dr_ask a = {
		.what = "the question to the token endpoint of Google",
		.method = "POST",
		.url = url,
		.header = { { "Content-Type",
		    "application/x-www-form-urlencoded" } },
		.body = body->data,
		.len = body->len,
	};
	int rc = -1;

	/* Own authorities are for own servers. */
	if (strncmp(url, TOKEN_URI, strlen(TOKEN_URI)) != 0)
		o.ca_file = opts->ca_file;
	if (dr_ask(&o, &a, err) == 0)
		rc = dr_gs_token_parse(a.reply.data, a.reply.len, a.status,
		    dr_now(), "the token endpoint of Google", k, err);
	dr_ask_wipe(&a);
	return rc;
}

/* --- files ------------------------------------------------------------------------- */

/* A string that must be there, borrowed from J. */
static const char *
need(const json_t *j, const char *key, const char *path, struct dr_err *err)
{
	const char *v = json_string_value(json_object_get(j, key));

	if (v != NULL && *v != '\0')
		return v;
	dr_err_set(err, DR_EUSAGE, "\"%s\" has no \"%s\"", path, key);
	return NULL;
}

/* Its token_uri, or Google's. */
static const char *
token_uri(const json_t *j, const char *path, struct dr_err *err)
{
	const char *v = json_string_value(json_object_get(j, "token_uri"));

	if (v == NULL || *v == '\0')
		return TOKEN_URI;
	if (dr_plain(v) && dr_ask_host_ok(v))
		return v;
	dr_err_set(err, DR_EUSAGE,
	    "the token_uri in \"%s\" is not a URL with https", path);
	return NULL;
}

static int
service_account(const json_t *j, const char *path,
    const struct dr_http_opts *opts, struct dr_aws_keys *k, struct dr_err *err)
{
	static const char grant[] =
	    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
	    "&assertion=";
	const char *email = need(j, "client_email", path, err);
	const char *pem = need(j, "private_key", path, err);
	const char *id =
	    json_string_value(json_object_get(j, "private_key_id"));
	const char *url = token_uri(j, path, err);
	struct dr_buf body = { .max = BODY_MAX };
	int rc = -1;

	if (email != NULL && pem != NULL && url != NULL &&
	    dr_buf_str(&body, grant, err) == 0 &&
	    dr_gs_jwt(email, pem, id, url, dr_now() / SECOND, &body, err) == 0)
		rc = exchange(url, &body, opts, k, err);
	dr_wipe_buf(&body);
	return rc;
}

static int
authorized_user(const json_t *j, const char *path,
    const struct dr_http_opts *opts, struct dr_aws_keys *k, struct dr_err *err)
{
	static const char *const keys[] = { "client_id", "client_secret",
		"refresh_token" };
	const char *url = token_uri(j, path, err), *v;
	struct dr_buf body = { .max = BODY_MAX };
	int rc = -1;

	if (url == NULL ||
	    dr_buf_str(&body, "grant_type=refresh_token", err) == -1)
		goto out;
	for (size_t i = 0; i < 3; i++)
		if ((v = need(j, keys[i], path, err)) == NULL ||
		    dr_buf_fmt(&body, err, "&%s=", keys[i]) == -1 ||
		    dr_http_encode(&body, v, false, err) == -1)
			goto out;
	rc = exchange(url, &body, opts, k, err);
out:
	dr_wipe_buf(&body);
	return rc;
}

int
dr_gs_from_file(const char *path, const struct dr_http_opts *opts,
    struct dr_aws_keys *k, struct dr_err *err)
{
	char *text, type[64];
	size_t len;
	json_t *j;
	int rc = -1;

	if ((text = dr_file_get(path, FILE_MAX, &len, err)) == NULL)
		return -1;
	j = dr_answer(text, len);
	explicit_bzero(text, len);
	free(text);
	if (j == NULL || !dr_answer_str(j, "type", type, sizeof(type))) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no file of Google credentials", path);
		dr_err_hint(err, "it is JSON with a \"type\"");
	} else if (strcmp(type, "service_account") == 0)
		rc = service_account(j, path, opts, k, err);
	else if (strcmp(type, "authorized_user") == 0)
		rc = authorized_user(j, path, opts, k, err);
	else {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" holds credentials of type \"%s\", which is not "
		    "supported",
		    path, dr_printable(type));
		dr_err_hint(err,
		    "service_account and authorized_user are; or set "
		    "GOOGLE_OAUTH_ACCESS_TOKEN");
	}
	dr_answer_free(j);
	if (rc == 0)
		(void)snprintf(k->source, sizeof(k->source), "\"%.140s\"",
		    path);
	return rc;
}

/* --- the metadata server ------------------------------------------------------------ */

int
dr_gs_from_metadata(bool again, struct dr_aws_keys *k, struct dr_err *err)
{
	const char *set = dr_env("GCE_METADATA_HOST");
	const struct dr_http_opts opts = {
		.connect_ms = 1000,
		.stall_ms = 2000,
		/* Not everybody is in that cloud: do not wait long. */
		.patience_ms = set != NULL || again ? 5000 : 2000,
		.direct = true,
	};
	struct dr_ask a = {
		.what = "the question to the metadata server",
		.method = "GET",
		.header = { { "Metadata-Flavor", "Google" } },
	};
	char *url;
	int rc = -1;

	if (set != NULL && (!dr_plain(set) || strpbrk(set, "@?#") != NULL))
		return dr_err_set(err, DR_EUSAGE,
		    "GCE_METADATA_HOST is no name of a host");
	if ((url = dr_fmt(err, "http://%s%s", set != NULL ? set : METADATA,
	         TOKEN_PATH)) == NULL)
		return -1;
	a.url = url;
	if (dr_ask(&opts, &a, err) == -1) {
		if (err->cause == DR_ERETRY && set == NULL && !again) {
			dr_err_clear(err);
			rc = 0;
		}
	} else if (a.status != 200 && set == NULL && !again)
		rc = 0; /* some other cloud's, or no account for us */
	else if (dr_gs_token_parse(a.reply.data, a.reply.len, a.status,
	             dr_now(), "the metadata server", k, err) == 0)
		rc = 1;
	dr_ask_wipe(&a);
	free(url);
	return rc;
}
