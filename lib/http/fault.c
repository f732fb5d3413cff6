/* What curl's codes mean to whoever has to put things right. */
#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "http/transfer.h"

/* OpenSSL's numbers (X509_V_ERR_*), which curl passes on. */
enum { NOT_YET_VALID = 9, HAS_EXPIRED = 10, FIRST_UNTRUSTED = 18, LAST = 21 };

static bool
bad_certificate(const struct dr_transfer *t, const struct dr_curl *c,
    struct dr_err *err)
{
	long why = 0;

	c->easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &why);
	if (why == HAS_EXPIRED) {
		dr_err_set(err, DR_EFAIL, "the certificate of %s has expired",
		    t->host);
		dr_err_hint(err,
		    "renew it there, or set this host's clock right");
	} else if (why == NOT_YET_VALID) {
		dr_err_set(err, DR_EFAIL,
		    "the certificate of %s is not valid yet", t->host);
		dr_err_hint(err, "set the clocks right");
	} else if (why <= 1) {
		/* OpenSSL found nothing wrong, curl looked at the name. */
		dr_err_set(err, DR_EFAIL,
		    "the certificate of %s is for another host", t->host);
		dr_err_hint(err, "use a name that stands in the certificate");
	} else if (why == 2 || (why >= FIRST_UNTRUSTED && why <= LAST)) {
		dr_err_set(err, DR_EFAIL,
		    "the certificate of %s is not trusted", t->host);
		dr_err_hint(err,
		    "if its authority is your own, name it with --ca-file");
	} else
		dr_err_set(err, DR_EFAIL,
		    "the certificate of %s is not good (OpenSSL says %ld)",
		    t->host, why);
	return false;
}

static bool
no_name(const struct dr_transfer *t, const char *whose, struct dr_err *err)
{
	/* Name servers that are there answer at once, and do not change. */
	bool quick = dr_monotonic() - t->tried < 2000000;

	dr_err_set(err, DR_ERETRY, "cannot resolve %s%s", whose, t->host);
	dr_err_hint(err, "check the name, and this host's name service");
	return !quick || t->req->attempts < 4;
}

static bool
no_tls(const struct dr_transfer *t, struct dr_err *err)
{
	const char *p = strstr(t->text, "SSL routines:");

	if (p == NULL || strstr(p, "unexpected eof") != NULL) {
		dr_err_set(err, DR_ERETRY,
		    "the connection to %s broke off during TLS's handshake",
		    t->host);
		return true;
	}
	p += strlen("SSL routines:");
	p += strspn(p, ":");
	dr_err_set(err, DR_EFAIL, "no TLS with %s: %s", t->host, p);
	if (strstr(p, "wrong version number") != NULL)
		dr_err_hint(err, "does this port speak TLS at all?");
	else if (strstr(p, "protocol") != NULL)
		dr_err_hint(err, "it has to offer TLS 1.2 or 1.3");
	return false;
}

/* With TLS 1.3, a server looks at our certificate when we have gone on. */
static bool
not_us(const struct dr_transfer *t, struct dr_err *err)
{
	const char *p = strstr(t->text, " alert ");

	if (p == NULL || (strstr(p, "certificate") == NULL &&
	                     strstr(p, "unknown ca") == NULL))
		return false;
	if (t->http->cert_file == NULL)
		dr_err_set(err, DR_EFAIL, "%s wants a certificate of ours",
		    t->host);
	else
		dr_err_set(err, DR_EFAIL,
		    "%s does not take the certificate in \"%s\" (%s)", t->host,
		    t->http->cert_file, p + 7);
	return true;
}

static bool
no_connection(const struct dr_transfer *t, const struct dr_curl *c,
    struct dr_err *err)
{
	long no = 0;

	c->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &no);
	if (no != 0)
		dr_err_set(err, DR_ERETRY, "cannot connect to %s: %s", t->host,
		    strerror((int)no));
	else
		dr_err_set(err, DR_ERETRY, "cannot connect to %s", t->host);
	return true;
}

static bool
too_slow(const struct dr_transfer *t, struct dr_err *err)
{
	char ms[DR_SIZE_LEN];
	int64_t now = dr_monotonic();

	if (!t->asked) {
		dr_err_set(err, DR_ERETRY, "no connection to %s within %s",
		    t->host,
		    dr_format_msec((uint64_t)(now - t->tried) / 1000, ms));
		return true;
	}
	dr_format_msec((uint64_t)(now - t->last) / 1000, ms);
	if (now - t->last < t->stall / 2)
		dr_err_set(err, DR_ERETRY, "%s is too slow", t->host);
	else if (t->head_bytes == 0)
		dr_err_set(err, DR_ERETRY, "no answer from %s within %s",
		    t->host, ms);
	else
		dr_err_set(err, DR_ERETRY, "%s fell silent for %s", t->host,
		    ms);
	return true;
}

static bool
proxy_refused(const struct dr_transfer *t, long status, struct dr_err *err)
{
	dr_err_set(err, status >= 500 ? DR_ERETRY : DR_EFAIL,
	    "the proxy answered %ld when asked for %s", status, t->host);
	dr_err_hint(err, "see http_proxy, https_proxy and no_proxy");
	return status >= 500;
}

bool
dr_fault(const struct dr_transfer *t, const struct dr_curl *c, CURLcode code,
    struct dr_err *err)
{
	long proxy = 0;

	c->easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	if (proxy >= 300 && !t->asked)
		return proxy_refused(t, proxy, err);
	/* The enum has a hundred, most of other protocols. */
	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return bad_certificate(t, c, err);
	case CURLE_COULDNT_RESOLVE_HOST:
		return no_name(t, "", err);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return no_name(t, "the proxy for ", err);
	case CURLE_COULDNT_CONNECT:
		return no_connection(t, c, err);
	case CURLE_OPERATION_TIMEDOUT:
		return too_slow(t, err);
	case CURLE_SSL_CONNECT_ERROR:
		return no_tls(t, err);
	case CURLE_SSL_CERTPROBLEM:
		dr_err_set(err, DR_EFAIL,
		    "cannot use the certificate in \"%s\", or its key",
		    t->http->cert_file != NULL ? t->http->cert_file : "");
		return false;
	case CURLE_SSL_CACERT_BADFILE:
		dr_err_set(err, DR_EFAIL,
		    "cannot read certificates of authorities from \"%s\"",
		    t->http->ca_file != NULL ? t->http->ca_file
		                             : "the system's file");
		return false;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		if (t->asked)
			break;
		dr_err_set(err, DR_EUSAGE, "\"%s\" is no address", t->host);
		return false;
	case CURLE_OUT_OF_MEMORY:
		dr_err_set(err, DR_EFAIL, "cannot allocate memory");
		return false;
	case CURLE_WEIRD_SERVER_REPLY:
		dr_err_set(err, DR_ERETRY, "%s does not speak HTTP", t->host);
		return true;
	case CURLE_GOT_NOTHING:
		dr_err_set(err, DR_ERETRY,
		    "%s closed the connection without an answer", t->host);
		return true;
	case CURLE_PARTIAL_FILE:
		dr_err_set(err, DR_ERETRY, "the answer of %s broke off",
		    t->host);
		return true;
	case CURLE_ABORTED_BY_CALLBACK:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_RECV_ERROR:
		if (not_us(t, err))
			return false;
		dr_err_set(err, DR_ERETRY, "the connection to %s broke off",
		    t->host);
		return true;
	default:
		break;
	}
	dr_err_set(err, DR_ERETRY, "no answer of %s that makes sense: %s",
	    t->host, c->easy_strerror(code));
	return true;
}
