/*
 * gs_auth.c - keys and tokens for Google, from files and from services that
 * a small program (tests/credfake.py) plays.
 */
#include "store/gs_auth.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "tests/credfake.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_gs_auth *auth;
static char pem[4096];

static void
clean(void)
{
	static const char *const variables[] = { "GOOGLE_OAUTH_ACCESS_TOKEN",
		"GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY", "BOTO_CONFIG",
		"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG",
		"GCE_METADATA_HOST", "http_proxy" };

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		(void)unsetenv(variables[i]);
	(void)setenv("NO_GCE_CHECK", "true", 1);
	(void)unlink("h/.boto");
	(void)unlink("h/.config/gcloud/application_default_credentials.json");
}

static int
get(void)
{
	dr_err_clear(&err);
	dr_aws_keys_wipe(&k);
	dr_gs_auth_free(auth);
	if ((auth = dr_gs_auth_new(NULL, &err)) == NULL)
		return -1;
	return dr_gs_auth_get(auth, &k, false, &err);
}

static bool
again(bool force)
{
	dr_err_clear(&err);
	return dr_gs_auth_get(auth, &k, force, &err) == 0;
}

/* Some token that the program made up. */
static bool
made_up(void)
{
	bool good = k.access[0] == '\0' && strncmp(k.token, "ya29.", 5) == 0;

	if (!good)
		printf("# %s (%s)\n", err.msg, err.hint);
	return good;
}

/* A file of a service account whose tokens come from HOW. */
static void
account(const char *name, mode_t mode, const char *key, const char *how)
{
	struct dr_buf b = { .max = 8192 };
	struct dr_json j;
	char url[128];

	(void)snprintf(url, sizeof(url), "%s/%s/oauth", credfake_url, how);
	dr_json_init(&j, &b);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "type", "service_account");
	dr_json_str(&j, "client_email",
	    "backup@project.iam.gserviceaccount.com");
	dr_json_str(&j, "private_key_id", "abc");
	dr_json_str(&j, "private_key", key);
	dr_json_str(&j, "token_uri", url);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, &err) == -1)
		abort();
	file(name, mode, b.data);
	dr_buf_free(&b);
}

static void
user(const char *name, const char *secret)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
	    "{\"type\":\"authorized_user\",\"client_id\":\"id\","
	    "\"client_secret\":\"%s\",\"refresh_token\":\"1//refresh\","
	    "\"token_uri\":\"%s/ok/oauth\"}",
	    secret, credfake_url);
	file(name, 0600, text);
}

/* A fresh key: the private one in PEM, the public one in a file. */
static void
make_key(void)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIO *bio = BIO_new(BIO_s_mem());
	FILE *f = fopen("pub", "w");
	int n;

	if (key == NULL || bio == NULL || f == NULL ||
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) !=
	        1 ||
	    (n = BIO_read(bio, pem, sizeof(pem) - 1)) <= 0 ||
	    PEM_write_PUBKEY(f, key) != 1 || fclose(f) != 0)
		abort();
	pem[n] = '\0';
	BIO_free(bio);
	EVP_PKEY_free(key);
}

static void
test_plain(void)
{
	clean();
	set("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.x");
	set("GS_ACCESS_KEY_ID", "GOOGX");
	OK(get() == 0 && is("", "", "ya29.x") && k.expiry == 0,
	    "a token in the environment comes first");
	OK(!again(true) && fails(DR_EFAIL, "_TOKEN have expired", "put new"),
	    "and does not renew itself");
	set("GOOGLE_OAUTH_ACCESS_TOKEN", "a b");
	OK(get() == -1 && fails(DR_EUSAGE, "a blank", ""), "no token");
	(void)unsetenv("GOOGLE_OAUTH_ACCESS_TOKEN");
	OK(get() == -1 && fails(DR_EUSAGE, "in GS_ACCESS_KEY_ID", ""),
	    "half a pair");
	set("GS_SECRET_ACCESS_KEY", "s");
	OK(get() == 0 && is("GOOGX", "s", ""), "HMAC keys in the environment");

	clean();
	file("h/.boto", 0600,
	    "[Credentials]\ngs_access_key_id = GOOGB\n"
	    "gs_secret_access_key = b/+=\n[Boto]\nhttps_validate = True\n");
	OK(get() == 0 && is("GOOGB", "b/+=", ""), "HMAC keys of boto");
	file("other", 0644,
	    "[Credentials]\ngs_access_key_id=O\ngs_secret_access_key=o\n");
	set("BOTO_CONFIG", "other");
	dr_last_warning[0] = '\0';
	OK(get() == 0 && is("O", "o", "") &&
	        strstr(dr_last_warning, "\"other\" holds secrets") != NULL,
	    "in another file, which others may read");
	set("BOTO_CONFIG", "gone");
	OK(get() == -1 && fails(DR_EFAIL, "cannot open \"gone\"", ""),
	    "a file that is not there");
	clean();
	file("h/.boto", 0600, "[Credentials]\n#gs_access_key_id = x\n");
	OK(get() == -1 && fails(DR_EFAIL, "no Google credentials are found",
	                      "looked at: GOOGLE_OAUTH_ACCESS_TOKEN, GS_ACC"),
	    "nothing anywhere");
	OK(fails(DR_EFAIL, "", ".boto (no gs_access_key_id") &&
	        fails(DR_EFAIL, "", "application_default_credentials.json") &&
	        fails(DR_EFAIL, "", "metadata server"),
	    "and the hint says where");
}

static void
test_files(void)
{
	clean();
	account("sa.json", 0640, pem, "ok");
	set("GOOGLE_APPLICATION_CREDENTIALS", "sa.json");
	dr_last_warning[0] = '\0';
	OK(get() == 0 && made_up() &&
	        k.expiry > dr_now() + INT64_C(3500000000) &&
	        strcmp(k.source, "\"sa.json\"") == 0,
	    "a service account");
	OK(strstr(dr_last_warning, "sa.json") != NULL,
	    "whose file others may read");
	account("sa.json", 0600, pem, "denied");
	OK(!again(true) &&
	        fails(DR_EFAIL, "invalid_grant: Token has been revoked.",
	            "GOOGLE_APPLICATION_CREDENTIALS names"),
	    "refused");
	account("sa.json", 0600, pem, "broken");
	OK(get() == -1 && fails(DR_EDATA, "holds no token", ""),
	    "an answer that makes no sense");
	account("sa.json", 0600, "no key", "ok");
	OK(get() == -1 && fails(DR_EUSAGE, "no RSA key", ""), "no key");
	OK(strstr(err.msg, "no key") == NULL, "which is not repeated");
	file("sa.json", 0600, "{\"type\":\"service_account\"}");
	OK(get() == -1 && fails(DR_EUSAGE, "has no \"client_email\"", ""),
	    "half a file");
	file("sa.json", 0600,
	    "{\"type\":\"service_account\",\"client_email\":\"e\","
	    "\"private_key\":\"k\",\"token_uri\":\"http://example.com/\"}");
	OK(get() == -1 && fails(DR_EUSAGE, "token_uri", ""),
	    "a token endpoint without https");
	file("sa.json", 0600, "{\"type\":\"external_account\"}");
	OK(get() == -1 && fails(DR_EUSAGE, "\"external_account\"", "are"),
	    "a type that is not supported");
	file("sa.json", 0600, "[]");
	OK(get() == -1 && fails(DR_EUSAGE, "no file of Google", ""),
	    "something else");

	clean();
	user("h/.config/gcloud/application_default_credentials.json", "s&t");
	OK(get() == 0 && made_up(), "gcloud's own file");
	user("h/.config/gcloud/application_default_credentials.json", "x");
	OK(get() == -1 && fails(DR_EFAIL, "invalid_client", ""),
	    "with another secret");
	set("CLOUDSDK_CONFIG", ".");
	user("application_default_credentials.json", "s&t");
	OK(get() == 0 && made_up(), "in another directory");
}

static void
test_metadata(void)
{
	struct timespec t = { 2, 200000000 };
	char first[64], host[128];

	clean();
	(void)unsetenv("NO_GCE_CHECK");
	set("http_proxy", "http://127.0.0.1:1");
	(void)snprintf(host, sizeof(host), "%s/ok/gce", credfake_url + 7);
	set("GCE_METADATA_HOST", host);
	OK(get() == 0 && made_up(), "the metadata server, and no proxy for it");
	memcpy(first, k.token, sizeof(first));
	OK(again(false) && memcmp(first, k.token, sizeof(first)) == 0 &&
	        again(true) && memcmp(first, k.token, sizeof(first)) != 0,
	    "its token is kept until a server refuses it");
	(void)snprintf(host, sizeof(host), "%s/past/gce", credfake_url + 7);
	set("GCE_METADATA_HOST", host);
	OK(get() == 0 && made_up(), "a token that expires at once");
	memcpy(first, k.token, sizeof(first));
	(void)nanosleep(&t, NULL);
	OK(again(false) && made_up() &&
	        memcmp(first, k.token, sizeof(first)) != 0,
	    "and is fetched again");
	(void)snprintf(host, sizeof(host), "%s/missing/gce", credfake_url + 7);
	set("GCE_METADATA_HOST", host);
	OK(get() == -1 && fails(DR_EFAIL, "metadata server gives no", ""),
	    "404");
	set("GCE_METADATA_HOST", "x@y");
	OK(get() == -1 && fails(DR_EUSAGE, "no name of a host", ""),
	    "no host's name");
}

/* Its three parts, with the claims decoded into OUT. */
static bool
parts(char *jwt, char *out, size_t size)
{
	char *dot = strchr(jwt, '.'), *end;
	size_t n;
	int got;

	if (dot == NULL || (end = strchr(++dot, '.')) == NULL ||
	    strpbrk(jwt, "+/=") != NULL)
		return false;
	*end = '\0';
	n = strlen(dot);
	if ((n + 3) / 4 * 3 >= size)
		return false;
	for (char *c = dot; *c != '\0'; c++)
		*c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
	while (n % 4 != 0)
		dot[n++] = '='; /* over the signature */
	got =
	    EVP_DecodeBlock((unsigned char *)out, (unsigned char *)dot, (int)n);
	if (got < 0)
		return false;
	out[got] = '\0';
	return true;
}

static void
test_jwt(void)
{
	struct dr_buf b = { .max = 8192 };
	char text[2048];

	dr_err_clear(&err);
	OK(dr_gs_jwt("e@x", pem, NULL, "https://t/", 1700000000, &b, &err) ==
	            0 &&
	        parts(b.data, text, sizeof(text)) &&
	        strcmp(text,
	            "{\"iss\":\"e@x\",\"scope\":\"https://www.googleapis.com/"
	            "auth/devstorage.full_control\",\"aud\":\"https://t/\","
	            "\"iat\":1700000000,\"exp\":1700003600}") == 0,
	    "what a service account claims");
	dr_buf_free(&b);
}

int
main(void)
{
	char pub[64];
	pid_t pid;
	int fd, status;

	tmp_make();
	(void)snprintf(pub, sizeof(pub), "%s/pub", tmp_dir);
	fd = credfake(&pid, "/dev/null", pub);
	if (chdir(tmp_dir) == -1 || mkdir("h", 0700) == -1 ||
	    mkdir("h/.config", 0700) == -1 ||
	    mkdir("h/.config/gcloud", 0700) == -1)
		abort();
	set("HOME", "h");
	make_key();
	test_plain();
	test_jwt();
	if (OK(fd != -1, "python3 plays the services")) {
		test_files();
		test_metadata();
		close(fd);
		OK(waitpid(pid, &status, 0) == pid && status == 0, "it ends");
	}
	clean();
	dr_gs_auth_free(auth);
	tmp_leave();
	return DONE();
}
