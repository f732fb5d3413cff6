/* Whom we talk to over TLS, and whom not. */
#include "base/msg.h"
#include "base/num.h"
#include "http/http.h"
#include "tests/httpd.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_http *h;
static struct dr_http_req r;
static struct ask a;
static struct dr_err err;

/* Ask the server behind that port, and for no longer than a second. */
static int
ask(const char *name)
{
	int64_t t = dr_monotonic();
	int rc;

	dr_http_wipe(&r);
	dr_err_clear(&err);
	ask_set(&r, &a, "GET", name, "/x/ok:100000");
	rc = dr_http_do(h, &r, &err);
	if (dr_monotonic() - t > 2000000)
		printf("# %s took long\n", name);
	if (rc == -1)
		printf("# %s (%s)\n", err.msg, err.hint);
	return rc;
}

/* It fails at the first attempt, and says so. */
static bool
refuses(const char *name, const char *why)
{
	return ask(name) == -1 && err.cause == DR_EFAIL && r.attempts == 1 &&
	       r.status == 0 && !r.lost && strstr(err.msg, why) != NULL &&
	       err.hint[0] != '\0';
}

int
main(void)
{
	char ca[64];
	struct dr_http_opts o = { .patience_ms = 5000, .ca_file = ca };

	dr_main_begin("http_tls");
	tmp_make();
	snprintf(ca, sizeof(ca), "%s/ca.pem", tmp_dir);
	if (!httpd_start(tmp_dir, true)) {
		SKIP("there is no python3 that makes certificates");
		return DONE();
	}
	if ((h = dr_http_new(&o, &err)) == NULL)
		abort();
	OK(ask("good") == 0 && r.reply.len == 100000, "an authority of ours");
	OK(refuses("expired", "has expired"), "a certificate that has expired");
	OK(refuses("early", "not valid yet"), "one that is not valid yet");
	OK(refuses("other", "for another host"), "one for another host");
	OK(refuses("stranger", "is not trusted"), "one of another authority");
	OK(refuses("old", "no TLS with"), "TLS 1.1");
	dr_http_wipe(&r);
	dr_err_clear(&err);
	ask_set(&r, &a, "GET", "good", "/x/ok");
	snprintf(a.url, sizeof(a.url), "https://127.0.0.1:%d/",
	    httpd_port("plain"));
	OK(dr_http_do(h, &r, &err) == -1 && err.cause == DR_EFAIL &&
	        strstr(err.msg, "no TLS with") != NULL && r.attempts == 1,
	    "a server that does not speak TLS");
	dr_http_free(h);

	o.ca_file = NULL;
	if ((h = dr_http_new(&o, &err)) == NULL)
		abort();
	OK(refuses("good", "is not trusted"),
	    "the system's authorities do not know it");
	dr_http_free(h);

	o.ca_file = "/nonexistent/ca.pem";
	dr_err_clear(&err);
	if ((h = dr_http_new(&o, &err)) == NULL)
		abort();
	OK(ask("good") == -1 && err.cause == DR_EFAIL && r.attempts == 1 &&
	        strstr(err.msg, "\"/nonexistent/ca.pem\"") != NULL,
	    "authorities that cannot be read");
	dr_http_wipe(&r);
	dr_http_free(h);
	httpd_stop();
	tmp_leave();
	return DONE();
}
