/* azure.c - Azure: signatures, settings, replies, errors; nothing is sent. */
#include "store/azure.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "tests/tap.h"

/* The key that every copy of the emulator has. */
static const char emulator[] =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    "K1SZFPTOtr/KBHBeksoGMGw==";

static struct dr_err err;

static bool
hint_has(const char *what)
{
	return strstr(err.hint, what) != NULL;
}

/* --- signatures --------------------------------------------------------------- */

static bool
signs_as(struct dr_az_call *c, const char *account, const char *want,
    const char *mac)
{
	struct dr_buf text = { .max = 4096 }, out = { .max = 4096 };
	unsigned char key[128];
	ssize_t n = dr_unb64(emulator, key, sizeof(key));
	bool good;

	good = n == 64 && dr_az_to_sign(c, account, &text, &err) == 0 &&
	       dr_az_sign(key, (size_t)n, text.data, &out, &err) == 0 &&
	       strcmp(text.data, want) == 0 && strcmp(out.data, mac) == 0;
	if (!good)
		printf("# %s\n# %s\n", text.data, out.data);
	dr_buf_free(&text);
	dr_buf_free(&out);
	dr_az_call_wipe(c);
	return good;
}

/* Examples of "Authorize with Shared Key"; the MACs are openssl's. */
static void
signatures(void)
{
	struct dr_az_call c = { .method = "GET" };

	c.path = strdup("/mycontainer");
	dr_az_head(&c, "x-ms-version", "2015-02-21", &err);
	dr_az_head(&c, "x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT", &err);
	dr_az_query(&c, "timeout", "20", &err);
	dr_az_query(&c, "restype", "container", &err);
	dr_az_query(&c, "comp", "metadata", &err);
	OK(signs_as(&c, "myaccount",
	       "GET\n\n\n\n\n\n\n\n\n\n\n\n"
	       "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
	       "x-ms-version:2015-02-21\n"
	       "/myaccount/mycontainer\ncomp:metadata\nrestype:container\n"
	       "timeout:20",
	       "1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4="),
	    "sign: metadata of a container");

	c.method = "PUT";
	c.len = 11;
	c.path = strdup("/devstoreaccount1/c/a%20b/x");
	dr_az_head(&c, "x-ms-date", "old", &err);
	dr_az_head(&c, "x-ms-date", "Sun, 11 Oct 2009 21:49:13 GMT", &err);
	dr_az_head(&c, "x-ms-blob-type", "BlockBlob", &err);
	dr_az_head(&c, "x-ms-version", DR_AZ_VERSION, &err);
	dr_az_head(&c, "content-type", "application/octet-stream", &err);
	dr_az_head(&c, "content-md5", "XrY7u+Ae7tCTyyK7j1rNww==", &err);
	dr_az_head(&c, "if-none-match", "*", &err);
	OK(signs_as(&c, "devstoreaccount1",
	       "PUT\n\n\n11\nXrY7u+Ae7tCTyyK7j1rNww==\n"
	       "application/octet-stream\n\n\n\n*\n\n\n"
	       "x-ms-blob-type:BlockBlob\n"
	       "x-ms-date:Sun, 11 Oct 2009 21:49:13 GMT\n"
	       "x-ms-version:2021-12-02\n"
	       "/devstoreaccount1/devstoreaccount1/c/a%20b/x",
	       "70sDVktwY4CvfUlroVB/GLHKP6Cs8p5HtbQRcBw8weo="),
	    "sign: Put Blob, path style");
}

static void
dates(void)
{
	char out[DR_AZ_DATE_LEN];
	int64_t t = 0;

	OK(strcmp(dr_az_date(784111777000000, out),
	       "Sun, 06 Nov 1994 08:49:37 GMT") == 0,
	    "date: written");
	OK(strcmp(dr_az_date(784111776000001, out),
	       "Sun, 06 Nov 1994 08:49:37 GMT") == 0,
	    "date: rounded up");
	OK(dr_az_parse_date("Sun, 06 Nov 1994 08:49:37 GMT", &t) &&
	        t == 784111777000000,
	    "date: read");
	OK(!dr_az_parse_date("Sunday, 06-Nov-94 08:49:37 GMT", &t) &&
	        !dr_az_parse_date("Sun, 06 Nov 1994 08:49:37 UTC", &t) &&
	        !dr_az_parse_date("Sun, 06 Nux 1994 08:49:37 GMT", &t) &&
	        !dr_az_parse_date("Sun, 06 Nov 1994 24:49:37 GMT", &t) &&
	        !dr_az_parse_date("Sun, 6x Nov 1994 08:49:37 GMT", &t) &&
	        !dr_az_parse_date("", &t) && t == 784111777000000,
	    "date: other forms are refused");
}

static void
ids(void)
{
	struct dr_az_mark a, b, c;
	char one[DR_AZ_ID_LEN], two[DR_AZ_ID_LEN];

	OK(dr_az_mark_new(&a, &err) == 0 && dr_az_mark_new(&b, &err) == 0,
	    "id: drawn");
	dr_az_block_id(&a, 1, one);
	dr_az_block_id(&b, 1, two);
	OK(strlen(one) == 32 && strcmp(one, two) != 0,
	    "id: two uploads, two ids");
	OK(strcmp(one, dr_az_block_id(&a, 2, two)) != 0, "id: of each block");
	OK(dr_az_block_mark(two, &c) && c.started == a.started &&
	        memcmp(c.random, a.random, sizeof(a.random)) == 0,
	    "id: says what upload it is of, and when that began");
	OK(!dr_az_block_mark("MDAwMDAw", &c) &&
	        !dr_az_block_mark("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw", &c),
	    "id: of others");
}

/* --- settings ------------------------------------------------------------------ */

static const char *const vars[] = { "AZURE_STORAGE_CONNECTION_STRING",
	"AZURE_STORAGE_CONNECTION_STRING_b", "AZURE_STORAGE_ACCOUNT",
	"AZURE_STORAGE_KEY", "AZURE_STORAGE_KEY_b", "AZURE_STORAGE_SAS_TOKEN",
	"AZURE_STORAGE_SAS_TOKEN_b", "AZURE_FEDERATED_TOKEN_FILE",
	"AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT" };

static void
forget(void)
{
	for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		unsetenv(vars[i]);
}

static int
conf(const char *url, struct dr_az_conf *c)
{
	struct dr_url u;
	int rc;

	dr_err_clear(&err);
	memset(c, 0, sizeof(*c));
	if (dr_url_parse(url, &u, &err) == -1)
		return -1;
	rc = dr_az_conf(&u, c, &err);
	dr_url_wipe(&u);
	return rc;
}

static bool
refused(const char *url, const char *why)
{
	struct dr_az_conf c;
	bool good = conf(url, &c) == -1 && err.cause == DR_EUSAGE &&
	            strstr(err.msg, why) != NULL;

	if (!good)
		printf("# %s\n", err.msg);
	dr_az_conf_wipe(&c);
	return good;
}

static bool
is(const char *a, const char *b)
{
	if (a != NULL && strcmp(a, b) == 0)
		return true;
	printf("# got \"%s\", want \"%s\"\n", a != NULL ? a : "", b);
	return false;
}

static void
settings(void)
{
	struct dr_az_conf c;
	char text[512];

	forget();
	(void)snprintf(text, sizeof(text),
	    "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=%s;"
	    "EndpointSuffix=core.chinacloudapi.cn",
	    emulator);
	setenv("AZURE_STORAGE_CONNECTION_STRING", text, 1);
	OK(conf("azblob://cont/a/b/", &c) == 0 && c.auth == DR_AZ_KEY &&
	        c.key_len == 64 && is(c.account, "one") &&
	        is(c.origin, "https://one.blob.core.chinacloudapi.cn") &&
	        is(c.base, "") && is(c.prefix, "a/b") &&
	        is(c.url, "azblob://cont/a/b?account=one"),
	    "connection string: key and suffix");
	dr_az_conf_wipe(&c);
	OK(refused("azblob://cont?account=two", "is for account \"one\""),
	    "connection string: of another account");
	OK(hint_has("AZURE_STORAGE_CONNECTION_STRING_two"),
	    "connection string: where that one's goes");

	setenv("AZURE_STORAGE_CONNECTION_STRING",
	    "BlobEndpoint=http://127.0.0.1:10000/dev/;"
	    "SharedAccessSignature=?sv=2021&sp=c&sig=a%2Fb%3D;",
	    1);
	OK(conf("azblob://cont", &c) == 0 && c.auth == DR_AZ_SAS &&
	        c.account == NULL && is(c.origin, "http://127.0.0.1:10000") &&
	        is(c.base, "/dev") && is(c.url, "azblob://cont") &&
	        is(c.sas, "sv=2021&sp=c&sig=a%2Fb%3D") && c.once,
	    "connection string: SAS and endpoint");
	dr_az_conf_wipe(&c);
	setenv("AZURE_STORAGE_CONNECTION_STRING",
	    "BlobEndpoint=http://192.0.2.1/;SharedAccessSignature=sig=a", 1);
	OK(refused("azblob://cont", "is not encrypted"),
	    "a SAS does not go over plain HTTP");
	setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=one;Oops", 1);
	OK(refused("azblob://cont", "not NAME=VALUE"),
	    "connection string: garbled");
	setenv("AZURE_STORAGE_CONNECTION_STRING",
	    "AccountName=one;AccountKey=no", 1);
	OK(refused("azblob://cont", "not base64"),
	    "connection string: a key that is none");
	OK(strstr(err.msg, "no\"") == NULL, "and it is not told");

	forget();
	setenv("AZURE_STORAGE_ACCOUNT", "a", 1);
	setenv("AZURE_STORAGE_KEY", emulator, 1);
	setenv("AZURE_STORAGE_SAS_TOKEN_b", "?sig=x", 1);
	OK(conf("azblob://cont/with space?region=westeurope", &c) == 0 &&
	        c.auth == DR_AZ_KEY &&
	        is(c.origin, "https://a.blob.core.windows.net") &&
	        is(c.region, "westeurope") &&
	        is(c.url,
	            "azblob://cont/with%20space?account=a&region=westeurope"),
	    "account and key");
	dr_az_conf_wipe(&c);
	OK(refused("azblob://cont?account=c",
	       "AZURE_STORAGE_KEY is for account \"a\""),
	    "a key of another account");
	unsetenv("AZURE_STORAGE_KEY");
	setenv("AZURE_STORAGE_SAS_TOKEN", "sp=cw&sig=c", 1);
	OK(conf("azblob://cont", &c) == 0 && !c.once,
	    "a SAS that may write, too");
	dr_az_conf_wipe(&c);
	OK(conf("azblob://cont?blocks=no", &c) == 0 && c.once &&
	        is(c.url, "azblob://cont?account=a"),
	    "without blocks all the same");
	dr_az_conf_wipe(&c);
	OK(refused("azblob://cont?blocks=yes", "blocks"), "no other word");
	OK(conf("azblob://cont?account=b&endpoint=https://x.y:8443", &c) == 0 &&
	        c.auth == DR_AZ_SAS && is(c.origin, "https://x.y:8443") &&
	        is(c.url, "azblob://cont?account=b&endpoint=https://x.y:8443"),
	    "a SAS for one of several accounts; an endpoint in the URL");
	dr_az_conf_wipe(&c);

	forget();
	OK(conf("azblob://cont?account=b", &c) == 0 && c.auth == DR_AZ_MACHINE,
	    "nothing set: the machine's identity");
	dr_az_conf_wipe(&c);
	setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/", 1);
	OK(conf("azblob://cont?account=b", &c) == 0 && c.auth == DR_AZ_APP,
	    "the app's identity");
	dr_az_conf_wipe(&c);
	setenv("AZURE_FEDERATED_TOKEN_FILE", "/x", 1);
	OK(conf("azblob://cont?account=b", &c) == 0 && c.auth == DR_AZ_WORKLOAD,
	    "the workload's identity");
	dr_az_conf_wipe(&c);
	OK(refused("azblob://cont", "which account"), "no account");
	OK(hint_has("AZURE_STORAGE_ACCOUNT"), "and where to name it");
	OK(refused("azblob://c", "name of a container") &&
	        refused("azblob://UP-per?account=b", "name of a container") &&
	        refused("azblob://x:80/?account=b", "alone") &&
	        refused("azblob://u@cont/?account=b", "alone") &&
	        refused("azblob://cont/a//b?account=b", "beginning of names") &&
	        refused("azblob://cont/../b?account=b", "beginning of names") &&
	        refused("azblob://cont/a%5cb?account=b",
	            "beginning of names") &&
	        refused("azblob://cont?account=B", "name of an account") &&
	        refused("azblob://cont?account=b&sig=1", "no parameter") &&
	        refused("azblob://cont?endpoint=ftp://x", "an endpoint") &&
	        refused("azblob://cont?endpoint=https://", "an endpoint"),
	    "URLs that are refused");
	forget();
}

static void
options(void)
{
	struct dr_store_opts o = { .storage_class = "cool",
		.sse = "scope:mine" };

	OK(dr_az_opts_ok(&o, &err) == 0, "options: a tier, a scope");
	o.storage_class = "STANDARD_IA";
	OK(dr_az_opts_ok(&o, &err) == -1 && err.cause == DR_EUSAGE &&
	        hint_has("Archive"),
	    "options: another store's class");
	dr_err_clear(&err);
	o.storage_class = NULL;
	o.sse = "aws:kms";
	OK(dr_az_opts_ok(&o, &err) == -1 && err.cause == DR_EUSAGE,
	    "options: another store's encryption");
	dr_err_clear(&err);
	o.sse = "AES256";
	OK(dr_az_opts_ok(&o, &err) == 0, "options: what is always so");
}

/* --- replies ------------------------------------------------------------------------ */

static const char list[] =
    "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
    "<EnumerationResults ContainerName=\"c\"><Prefix>p/</Prefix><Blobs>"
    "<Blob><Name>p/a&amp;b</Name><VersionId>2026-01-01T00:00:00.0Z"
    "</VersionId><IsCurrentVersion>true</IsCurrentVersion><Properties>"
    "<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified>"
    "<Content-Length>9223372036854775807</Content-Length>"
    "<Content-Type>text/plain</Content-Type>"
    "<ImmutabilityPolicyUntilDate>Sun, 06 Nov 1994 08:49:37 GMT"
    "</ImmutabilityPolicyUntilDate>"
    "<ImmutabilityPolicyMode>locked</ImmutabilityPolicyMode>"
    "<LegalHold>true</LegalHold></Properties>"
    "<Metadata><drtools>00112233</drtools><x/></Metadata></Blob>"
    "<BlobPrefix><Name>p/d/</Name></BlobPrefix>"
    "<Blob><Name>p/e</Name><Properties><Content-Length>0</Content-Length>"
    "<ResourceType>directory</ResourceType></Properties></Blob>"
    "</Blobs><NextMarker>2!4!xyz</NextMarker></EnumerationResults>";

static int seen;

static int
on_entry(void *arg, const struct dr_az_entry *e, struct dr_err *e_)
{
	(void)arg;
	(void)e_;
	if (seen == 0)
		OK(strcmp(e->name, "p/a&b") == 0 && e->typed && e->current &&
		        strcmp(e->version, "2026-01-01T00:00:00.0Z") == 0 &&
		        e->size == INT64_MAX && e->mtime == 784111777000000 &&
		        e->lock.mode == DR_LOCK_COMPLIANCE && e->lock.hold &&
		        e->lock.until == e->mtime &&
		        strcmp(e->mark, "00112233") == 0,
		    "list: an object, all of it");
	if (seen == 1)
		OK(e->prefix && strcmp(e->name, "p/d/") == 0 &&
		        e->version == NULL && *e->mark == '\0' &&
		        e->lock.mode == DR_LOCK_NONE && !e->lock.hold,
		    "list: a directory, nothing of the one before");
	if (seen == 2)
		OK(!e->prefix && e->folder && !e->typed && e->size == 0,
		    "list: a folder of a hierarchical account");
	seen++;
	return 0;
}

static bool
bad(const char *xml, const char *why)
{
	struct dr_buf marker = { .max = 4096 };
	bool good;

	dr_err_clear(&err);
	seen = 9;
	good = dr_az_parse_list(xml, strlen(xml), on_entry, NULL, &marker,
	           &err) == -1 &&
	       err.cause == DR_EDATA && strstr(err.msg, why) != NULL;
	if (!good)
		printf("# %s\n", err.msg);
	dr_buf_free(&marker);
	return good;
}

static bool
token(const char *json, int64_t *expires)
{
	char *value = NULL;
	bool good = dr_az_token_parse(json, strlen(json), 1000000, &value,
	                expires, &err) == 0 &&
	            strcmp(value, "a.b") == 0;

	free(value);
	return good;
}

static void
replies(void)
{
	struct dr_buf marker = { .max = 4096 };
	struct dr_az_blocks b;
	struct dr_az_mark m;
	char id[DR_AZ_ID_LEN], xml[512];
	int64_t expires;

	OK(dr_az_parse_list(list, sizeof(list) - 1, on_entry, NULL, &marker,
	       &err) == 0 &&
	        seen == 3 && strcmp(marker.data, "2!4!xyz") == 0,
	    "list: three entries and where it goes on");
	dr_buf_free(&marker);
	OK(bad("<EnumerationResults><Blobs><Blob><Name>x", "no XML") &&
	        bad("", "no XML") && bad("<html></html>", "beginning") &&
	        bad("<!DOCTYPE a [<!ENTITY b \"c\">]><EnumerationResults/>",
	            "document type") &&
	        bad("<EnumerationResults><Blobs><Blob/></Blobs>", "name") &&
	        bad("<EnumerationResults><Blobs><Blob><Properties>"
	            "<Content-Length>-1</Content-Length>",
	            "length") &&
	        bad("<a><a><a><a><a><a><a><a><a>", "deep"),
	    "list: what is none is refused");

	dr_az_mark_new(&m, &err);
	(void)snprintf(xml, sizeof(xml),
	    "<BlockList><CommittedBlocks/><UncommittedBlocks><Block><Name>%s"
	    "</Name><Size>1</Size></Block><Block><Name>Zm9v</Name></Block>"
	    "</UncommittedBlocks></BlockList>",
	    dr_az_block_id(&m, 7, id));
	OK(dr_az_parse_blocks(xml, strlen(xml), &b, &err) == 0 &&
	        b.committed == 0 && b.pending == 2 && b.foreign == 1 &&
	        b.marks == 1 && b.mark.started == m.started,
	    "blocks: ours and others'");

	OK(token("{\"access_token\":\"a.b\",\"expires_in\":\"86399\"}",
	       &expires) &&
	        expires == 86400000000,
	    "token: seconds from now, in a string");
	OK(token("{\"access_token\":\"a.b\",\"expires_on\":77}", &expires) &&
	        expires == 77000000,
	    "token: until then");
	OK(!token("{\"access_token\":\"a.b\"}", &expires) &&
	        !token("<html>", &expires) && !token("", &expires) &&
	        !token("{\"access_token\":\"a\\r\\nb: c\",\"expires_in\":1}",
	            &expires),
	    "token: none there, or none that may go into a header");
	dr_err_clear(&err);
}

/* --- errors ---------------------------------------------------------------------------- */

static bool
explained(int status, const char *code, enum dr_cause cause, const char *text,
    const char *hint)
{
	char account[] = "acc", container[] = "con";
	struct dr_az_conf c = { .account = account, .container = container };
	bool good;

	dr_err_clear(&err);
	good = dr_az_explain("upload of \"x\"", status, code, &c, &err) == -1 &&
	       err.cause == cause && strstr(err.msg, text) != NULL &&
	       strstr(err.msg, "upload of \"x\": ") == err.msg &&
	       hint_has(hint);
	if (!good)
		printf("# %s\n# %s\n", err.msg, err.hint);
	return good;
}

static void
errors(void)
{
	OK(explained(403, "AuthenticationFailed", DR_EFAIL, "signature",
	       "account \"acc\" and still valid") &&
	        explained(403, "AuthorizationPermissionMismatch", DR_EFAIL,
	            "do not allow", "container \"con\"") &&
	        explained(404, "ContainerNotFound", DR_EFAIL,
	            "no container \"con\"", "az storage container create") &&
	        explained(409, "BlobArchived", DR_EFAIL, "archive tier",
	            "15 hours") &&
	        explained(409, "BlobBeingRehydrated", DR_ERETRY, "on its way",
	            "15 hours") &&
	        explained(409, "Unheard", DR_EFAIL, "409 Unheard", "") &&
	        explained(403, "", DR_EFAIL, "answers 403", "dr-stores(7)") &&
	        explained(507, "", DR_ERETRY, "answers 507", ""),
	    "errors: what is said");
	OK(dr_az_verdict(409, "BlobAlreadyExists") == DR_AZ_EXISTS &&
	        dr_az_verdict(403, "UnauthorizedBlobOverwrite") ==
	            DR_AZ_EXISTS &&
	        dr_az_verdict(404, "BlobNotFound") == DR_AZ_ABSENT &&
	        dr_az_verdict(404, "ContainerNotFound") == DR_AZ_FAILED &&
	        dr_az_verdict(412, "ConditionNotMet") == DR_AZ_CHANGED &&
	        dr_az_verdict(412, "") == DR_AZ_CHANGED &&
	        dr_az_verdict(401, "") == DR_AZ_BAD_TOKEN &&
	        dr_az_verdict(403, "AuthenticationFailed") == DR_AZ_BAD_TOKEN &&
	        dr_az_verdict(403, "Unheard") == DR_AZ_FORBIDDEN &&
	        dr_az_verdict(409, "Unheard") == DR_AZ_FAILED,
	    "errors: what they mean");
}

int
main(void)
{
	signatures();
	dates();
	ids();
	settings();
	options();
	replies();
	errors();
	return DONE();
}
