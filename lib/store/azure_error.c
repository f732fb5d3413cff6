#include <stdio.h>
#include <string.h>

#include "store/azure.h"
#include "store/xml.h"

static int
on_error(void *arg, const char *place, const char *text, struct dr_err *err)
{
	char *code = arg;

	(void)err;
	if (strcmp(place, "Error/Code") == 0)
		(void)snprintf(code, 64, "%s", text);
	return 0;
}

/* A header says it; where a proxy took that away, the body may. */
void
dr_az_code(const struct dr_http_req *q, char code[64])
{
	const char *h = dr_http_field(q, "x-ms-error-code");
	struct dr_err ignored = { 0 };
	size_t n;

	code[0] = '\0';
	if (h != NULL)
		(void)snprintf(code, 64, "%s", h);
	else if (q->reply.len > 0 && q->reply.len < 65536)
		(void)dr_xml(q->reply.data, q->reply.len, "Azure", on_error,
		    code, &ignored);
	/* It goes into messages. */
	n = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                 "abcdefghijklmnopqrstuvwxyz0123456789_");
	code[n] = '\0';
}

static const struct known {
	const char *code;
	enum dr_az_verdict verdict;
	enum dr_cause cause;
	const char *text, *hint; /* may hold one %s: account, container */
	enum { NONE, ACCOUNT, CONTAINER } of;
} known[] = {
	{ "AuthenticationFailed", DR_AZ_BAD_TOKEN, DR_EFAIL,
	    "the service does not accept our signature",
	    "is the key, signature or token that of account \"%s\" and still "
	    "valid, and is this host's clock right?",
	    ACCOUNT },
	{ "InvalidAuthenticationInfo", DR_AZ_BAD_TOKEN, DR_EFAIL,
	    "the service does not accept our credentials",
	    "is the key, signature or token that of account \"%s\" and still "
	    "valid, and is this host's clock right?",
	    ACCOUNT },
	{ "NoAuthenticationInformation", DR_AZ_BAD_TOKEN, DR_EFAIL,
	    "the service wants credentials", "see dr-stores(7)", NONE },
	{ "AuthorizationFailure", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "the service does not let us in",
	    "is the key, signature or token that of account \"%s\" and still "
	    "valid, is this host's clock right, and does the account's "
	    "firewall let this host in?",
	    ACCOUNT },
	{ "AuthorizationPermissionMismatch", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "our credentials do not allow that",
	    "see dr-stores(7) for the rights that each task needs in "
	    "container \"%s\"",
	    CONTAINER },
	{ "InsufficientAccountPermissions", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "our credentials do not allow that",
	    "see dr-stores(7) for the rights that each task needs", NONE },
	{ "UnauthorizedBlobOverwrite", DR_AZ_EXISTS, DR_EFAIL,
	    "it exists, and our credentials do not allow replacing it", NULL,
	    NONE },
	{ "AuthorizationResourceTypeMismatch", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "the shared access signature is not for objects",
	    "make it for container \"%s\", or with srt=co", CONTAINER },
	{ "AuthorizationProtocolMismatch", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "the shared access signature is for https alone",
	    "name an endpoint that begins with https://", NONE },
	{ "AuthorizationSourceIPMismatch", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "the shared access signature is not for this host's address", NULL,
	    NONE },
	{ "KeyBasedAuthenticationNotPermitted", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "account \"%s\" takes no keys and signatures, tokens alone",
	    "use a managed identity, or allow shared key access", ACCOUNT },
	{ "PublicAccessNotPermitted", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "the service wants credentials", "see dr-stores(7)", NONE },
	{ "AccountIsDisabled", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "account \"%s\" is disabled", NULL, ACCOUNT },
	{ "AccountRequiresHttps", DR_AZ_FAILED, DR_EFAIL,
	    "account \"%s\" takes https alone", NULL, ACCOUNT },
	{ "ContainerNotFound", DR_AZ_FAILED, DR_EFAIL,
	    "there is no container \"%s\"",
	    "a container is made by hand: az storage container create",
	    CONTAINER },
	{ "ContainerBeingDeleted", DR_AZ_FAILED, DR_EFAIL,
	    "container \"%s\" is being deleted", NULL, CONTAINER },
	{ "ContainerDisabled", DR_AZ_FAILED, DR_EFAIL,
	    "container \"%s\" is disabled", NULL, CONTAINER },
	{ "BlobNotFound", DR_AZ_ABSENT, DR_EDATA, "it is missing", NULL, NONE },
	{ "BlobAlreadyExists", DR_AZ_EXISTS, DR_EFAIL, "it exists", NULL,
	    NONE },
	{ "BlobImmutableDueToPolicy", DR_AZ_FORBIDDEN, DR_EFAIL, "it is locked",
	    "it can be deleted when its lock has ended", NONE },
	{ "BlobImmutableDueToLegalHold", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "it is under a legal hold", "the hold has to be cleared first",
	    NONE },
	{ "LeaseIdMissing", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "somebody holds a lease on it", "az storage blob lease break",
	    NONE },
	{ "SnapshotsPresent", DR_AZ_FORBIDDEN, DR_EFAIL,
	    "it has snapshots, which nothing here makes",
	    "delete the snapshots first", NONE },
	{ "BlobArchived", DR_AZ_FAILED, DR_EFAIL,
	    "it lies in the archive tier and cannot be read as it is",
	    "az storage blob set-tier --tier Hot --rehydrate-priority High: "
	    "within an hour for up to 10 GB, else up to 15 hours",
	    NONE },
	{ "BlobBeingRehydrated", DR_AZ_FAILED, DR_ERETRY,
	    "it is on its way out of the archive tier",
	    "that takes up to 15 hours, with high priority mostly one", NONE },
	{ "ConditionNotMet", DR_AZ_CHANGED, DR_EDATA,
	    "it was changed meanwhile", NULL, NONE },
	{ "Md5Mismatch", DR_AZ_FAILED, DR_ERETRY,
	    "what arrived is not what was sent", NULL, NONE },
	{ "InvalidBlockList", DR_AZ_FAILED, DR_EFAIL,
	    "the service no longer has all the blocks that it took",
	    "was something else written under the same name meanwhile?", NONE },
	{ "RequestBodyTooLarge", DR_AZ_FAILED, DR_EFAIL,
	    "it is too large for the service", NULL, NONE },
	{ "BlockCountExceedsLimit", DR_AZ_FAILED, DR_EFAIL,
	    "too many blocks of unfinished uploads lie under that name",
	    "the service forgets them a week after the last one", NONE },
	{ "InsufficientStorage", DR_AZ_FAILED, DR_ERETRY,
	    "account \"%s\" is full", NULL, ACCOUNT },
	{ "FeatureNotSupported", DR_AZ_FAILED, DR_EFAIL,
	    "account \"%s\" cannot do that",
	    "locks need version-level immutability, which is set when the "
	    "account or container is made",
	    ACCOUNT },
};

/* Of answers without a code, or with one that is not known. */
static enum dr_az_verdict
by_status(int status)
{
	switch (status) {
	case 401:
		return DR_AZ_BAD_TOKEN;
	case 403:
		return DR_AZ_FORBIDDEN;
	case 412:
		return DR_AZ_CHANGED;
	default:
		return DR_AZ_FAILED;
	}
}

static const struct known *
find(const char *code)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].code, code) == 0)
			return &known[i];
	return NULL;
}

enum dr_az_verdict
dr_az_verdict(int status, const char *code)
{
	const struct known *k = find(code);

	/* A reply to HEAD without a code, of a server that is not Azure. */
	if (status == 404 && *code == '\0')
		return DR_AZ_ABSENT;
	return k != NULL ? k->verdict : by_status(status);
}

/* FORMAT with its %s, if any, filled in. */
static void
fill(char *out, size_t size, const char *format, const char *with)
{
	const char *at = strstr(format, "%s");

	if (at == NULL)
		(void)snprintf(out, size, "%s", format);
	else
		(void)snprintf(out, size, "%.*s%s%s", (int)(at - format),
		    format, with, at + 2);
}

int
dr_az_explain(const char *what, int status, const char *code,
    const struct dr_az_conf *c, struct dr_err *err)
{
	const struct known *k = find(code);
	char text[256], hint[320];
	const char *with;

	if (k == NULL) {
		dr_err_set(err, status >= 500 ? DR_ERETRY : DR_EFAIL,
		    "%s: the service answers %d%s%s", what, status,
		    *code != '\0' ? " " : "", code);
		if (by_status(status) == DR_AZ_BAD_TOKEN ||
		    by_status(status) == DR_AZ_FORBIDDEN)
			dr_err_hint(err, "see dr-stores(7) for the rights that "
			                 "each task needs");
		return -1;
	}
	with = k->of == CONTAINER   ? c->container
	       : c->account != NULL ? c->account
	                            : "?";
	fill(text, sizeof(text), k->text, with);
	dr_err_set(err, k->cause, "%s: %s (%d %s)", what, text, status, code);
	if (k->hint != NULL) {
		fill(hint, sizeof(hint), k->hint, with);
		dr_err_hint(err, "%s", hint);
	}
	return -1;
}
