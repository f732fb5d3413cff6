/* Requests, one at a time, and a server that errs on demand. */
#include "http/http.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "tests/httpd.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define BIG (16U << 20)

static struct dr_http *quick, *patient; /* a second, and twenty */
static struct dr_http_req r;
static struct ask a;
static struct dr_err err;
static char *big;
static int64_t took; /* milliseconds */

static void
fresh(const char *method, const char *path)
{
	dr_http_wipe(&r);
	ask_set(&r, &a, method, "plain", path);
}

/* Ask by what is set up. */
static int
ask(struct dr_http *h)
{
	int64_t t = dr_monotonic();
	int rc;

	dr_err_clear(&err);
	rc = dr_http_do(h, &r, &err);
	took = (dr_monotonic() - t) / 1000;
	return rc;
}

static int
get(const char *path)
{
	fresh("GET", path);
	return ask(patient);
}

/* Where patience is to end. */
static int
try(const char *path)
{
	fresh("GET", path);
	return ask(quick);
}

static bool
says(const char *text)
{
	if (strstr(err.msg, text) != NULL)
		return true;
	printf("# %d: %s\n", (int)err.cause, err.msg);
	return false;
}

static bool
replies(const char *text)
{
	if (r.reply.len == strlen(text) &&
	    memcmp(r.reply.data, text, r.reply.len) == 0)
		return true;
	printf("# got \"%.*s\"\n", (int)r.reply.len,
	    r.reply.data == NULL ? "" : r.reply.data);
	return false;
}

static bool
is_pattern(const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i] != i % 251)
			return false;
	return true;
}

/* How many requests the server has seen under KEY. */
static int
seen(const char *key)
{
	char path[64], n[16];

	snprintf(path, sizeof(path), "/%s/count", key);
	if (get(path) == -1 || r.reply.len >= sizeof(n))
		return -1;
	memcpy(n, r.reply.data, r.reply.len);
	n[r.reply.len] = '\0';
	return (int)strtol(n, NULL, 10);
}

static void
plain_requests(void)
{
	struct dr_err e = { 0 };
	struct dr_http_head head = { .url = { .max = 10 } };
	unsigned conn, nth, conn2, nth2;
	char into[5000];

	OK(get("/a/ok:100000") == 0 && r.status == 200 &&
	        r.reply.len == 100000 && is_pattern(r.reply.data, 100000) &&
	        r.attempts == 1 && !r.lost,
	    "a reply into a buffer");
	fresh("GET", "/a1/ok:5000");
	r.into = into;
	r.into_len = sizeof(into);
	OK(ask(patient) == 0 && is_pattern(into, sizeof(into)) &&
	        r.reply.len == 0,
	    "a reply of known length into memory");
	OK(get("/a2/404") == 0 && r.status == 404 && replies("no"),
	    "404 is an answer");
	fresh("GET", "/a3/404");
	r.into = into;
	r.into_len = sizeof(into);
	OK(ask(patient) == 0 && r.status == 404 && replies("no"),
	    "an error's body does not go where the data should");
	OK(get("/a4/301:Location=other") == 0 && r.status == 301 &&
	        strcmp(dr_http_field(&r, "location"), "other") == 0,
	    "redirects are not followed");
	OK(get("/a5/501,ok") == 0 && r.status == 501 && r.attempts == 1,
	    "501 is an answer, since no other will come");
	fresh("HEAD", "/b/say");
	OK(ask(patient) == 0 && r.status == 200 && r.reply.len == 0 &&
	        strncmp(dr_http_field(&r, "x-seen"), "HEAD 0", 6) == 0,
	    "HEAD has headers, and names in lower case");
	OK(dr_http_field(&r, "X-Seen") == NULL &&
	        dr_http_field(&r, "x-none") == NULL,
	    "no field by another name");
	fresh("DELETE", "/c/say");
	OK(ask(patient) == 0 && strncmp(r.reply.data, "DELETE 0", 8) == 0 &&
	        sscanf(r.reply.data, "%*s %*s %*s %u %u", &conn, &nth) == 2,
	    "DELETE");
	fresh("POST", "/d/say");
	OK(ask(patient) == 0 && strncmp(r.reply.data, "POST 0", 6) == 0,
	    "POST of nothing has a length");
	fresh("PUT", "/e/say");
	OK(ask(patient) == 0 && strncmp(r.reply.data, "PUT 0", 5) == 0 &&
	        sscanf(r.reply.data, "%*s %*s %*s %u %u", &conn2, &nth2) == 2 &&
	        conn2 == conn && nth2 == nth + 2,
	    "PUT of nothing, too, and one connection for all of them");
	OK(strcmp(strrchr(r.reply.data, ' '), " ") == 0,
	    "a header without a value");
	OK(dr_http_header(&head, "X", "a\r\nY: b", &e) == -1 &&
	        e.cause == DR_EFAIL && head.raw.n == 0,
	    "no header can bring another");
}

static void
bodies(void)
{
	struct dr_err e = { 0 };
	char hex[DR_SHA256_HEX], want[160], path[64];
	int fd;

	if (dr_sha256_hex(big + 1000, BIG - 1000, hex, &e) == -1)
		abort();
	snprintf(want, sizeof(want), "PUT %u %s ", BIG - 1000, hex);
	fresh("PUT", "/f/say");
	r.body = big + 1000;
	r.len = BIG - 1000;
	OK(ask(patient) == 0 && strncmp(r.reply.data, want, strlen(want)) == 0,
	    "a body from memory");
	snprintf(path, sizeof(path), "%s/body", tmp_dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd == -1 || write(fd, big, BIG) != BIG)
		abort();
	fresh("PUT", "/g/503,say");
	r.body_fd = fd;
	r.body_off = 1000;
	r.len = BIG - 1000;
	OK(ask(patient) == 0 && r.attempts == 2 &&
	        strncmp(r.reply.data, want, strlen(want)) == 0,
	    "a body from a file, sent twice");
	fresh("POST", "/h/say");
	r.body_fd = fd;
	r.body_off = BIG - 10;
	r.len = 20;
	OK(ask(patient) == -1 && err.cause == DR_EDATA && says("truncated") &&
	        r.attempts == 1 && !r.lost,
	    "a file that ends too soon");
	close(fd);
	fresh("PUT", "/i/early:403");
	r.body = big;
	r.len = BIG;
	OK(ask(patient) == 0 && r.status == 403 && replies("early"),
	    "an answer before the body was sent");
}

static void
retries(void)
{
	OK(get("/j/503,408,500,ok:5") == 0 && r.status == 200 &&
	        r.attempts == 4 && r.lost && a.prepared == 4,
	    "what a server can get over is sent again, prepared anew");
	OK(took > 690 && took < 5000, "with growing pauses");
	OK(get("/k/429,ok") == 0 && r.attempts == 2 && !r.lost,
	    "429 has done nothing");
	OK(get("/l/503:Retry-After=1,ok") == 0 && took >= 1000 && took < 1900,
	    "Retry-After is honoured");
	OK(try("/m/503:Retry-After=3600") == -1 && took < 1000 &&
	        err.cause == DR_ERETRY && r.attempts == 1 && r.status == 503,
	    "also when it is longer than our patience");
	OK(try("/n/503") == -1 && err.cause == DR_ERETRY && took >= 700 &&
	        took < 2500 && r.attempts > 3 && r.attempts < 20,
	    "patience ends");
	OK(says("the test: 127.0.0.1:") && says(" answers 503 ("),
	    "and the message says what it was");
	fresh("PUT", "/o/rst,say");
	r.body = "abc";
	r.len = 3;
	OK(ask(patient) == 0 && r.lost && seen("o") == 2,
	    "a reset after the request was read: lost");
	fresh("PUT", "/p/rsthead,say");
	r.body = big;
	r.len = BIG;
	OK(ask(patient) == 0 && !r.lost && seen("p") == 2,
	    "one before all of the body was sent: not lost");
	dr_http_wipe(&r);
	ask_set(&r, &a, "GET", "rst", "/q/ok:7");
	OK(ask(patient) == 0 && r.attempts == 3 && r.reply.len == 7,
	    "resets of a new connection");
	fresh("DELETE", "/r/ok");
	(void)ask(patient);
	fresh("DELETE", "/s/close,say");
	OK(ask(patient) == 0 && r.lost && seen("s") == 2,
	    "an old connection closed by the request: lost");
	OK(get("/t/okclose") == 0 && get("/t/ok") == 0 && r.attempts == 1,
	    "one that was closed while idle is not used");
	fresh("DELETE", "/u/close,ok");
	r.once = true;
	OK(ask(patient) == -1 && err.cause == DR_ERETRY && r.lost &&
	        r.attempts == 1 && says("without an answer") && seen("u") == 1,
	    "once is once");
	fresh("POST", "/v/503,ok");
	r.once = true;
	OK(ask(patient) == -1 && r.lost && r.status == 503 && r.attempts == 1,
	    "also where the server answered");
	fresh("POST", "/v2/429,ok");
	r.once = true;
	OK(ask(patient) == 0 && r.attempts == 2,
	    "but what had no effect is sent again");
}

static void
broken_answers(void)
{
	char into[1000];

	OK(get("/w/cut:1000:500,ok:5") == 0 && r.attempts == 2 && r.lost &&
	        r.reply.len == 5,
	    "a body cut short");
	fresh("GET", "/x/ok:900,ok:1100,ok:1000");
	r.into = into;
	r.into_len = sizeof(into);
	OK(ask(patient) == 0 && r.attempts == 3 && is_pattern(into, 1000),
	    "one of another length than is known");
	OK(get("/y/half:1000:500,ok:5") == 0 && r.attempts == 2 && took < 2000,
	    "one that stops half-way");
	OK(get("/z/silent,ok") == 0 && r.attempts == 2 && took >= 400 &&
	        took < 2000,
	    "a silent server");
	fresh("PUT", "/A/deaf,ok");
	r.body = big;
	r.len = BIG;
	OK(ask(patient) == 0 && r.attempts == 2 && !r.lost,
	    "one that does not listen");
	OK(try("/B/silent") == -1 && err.cause == DR_ERETRY &&
	        says("no answer from ") && took < 2500,
	    "one that stays silent");
	OK(get("/C/drip:10:50") == 0 && r.reply.len == 10, "a slow answer");
	OK(try("/D/drip:1000:50") == -1 && says("is too slow") && took < 2500,
	    "one that is too slow for our patience");
	OK(get("/E/garbage,ok") == 0 && r.attempts == 2, "garbage");
	OK(get("/F/endless") == -1 && err.cause == DR_EDATA &&
	        says("longer than 1048576 bytes") && r.attempts == 1,
	    "an answer without end");
	fresh("GET", "/G/ok:1000");
	r.reply_max = 1000;
	OK(ask(patient) == 0 && r.reply.len == 1000, "just enough room");
	fresh("GET", "/H/ok:1001");
	r.reply_max = 1000;
	OK(ask(patient) == -1 && err.cause == DR_EDATA, "a byte too little");
	OK(get("/I/fat:404:3000000") == 0 && r.status == 404 &&
	        r.reply.len == 1 << 20,
	    "of an error, the beginning is enough");
	OK(get("/J/heads") == -1 && err.cause != DR_OK, "endless headers");
}

static void
callbacks(void)
{
	fresh("POST", "/K/say");
	r.judge = ask_judge;
	a.again = 2;
	OK(ask(patient) == 0 && r.attempts == 3 && r.lost,
	    "200 that was judged to be an error");
	fresh("POST", "/L/403");
	r.judge = ask_judge;
	a.again = 1;
	OK(ask(patient) == 0 && r.attempts == 2 && !r.lost && r.status == 403,
	    "403 again, after what judge did about it");
	fresh("POST", "/M/say");
	r.judge = ask_judge;
	a.again = 1000;
	OK(ask(quick) == -1 && err.cause == DR_ERETRY &&
	        says("the test: an error inside ("),
	    "the reason it gave is the one that is told");
	fresh("POST", "/N/200");
	r.judge = ask_judge;
	a.refuse = true;
	OK(ask(patient) == -1 && err.cause == DR_EFAIL &&
	        strcmp(err.msg, "the test: told off") == 0 && r.attempts == 1,
	    "judged to have failed");
	fresh("GET", "/O/503");
	a.fail_at = 2;
	OK(ask(patient) == -1 && err.cause == DR_EUSAGE &&
	        strcmp(err.msg, "no credentials") == 0,
	    "prepare may fail");
	fresh("GET", "/P/ok");
	a.also = quick;
	OK(ask(patient) == 0 && r.status == 200 && seen("nest") == 1,
	    "and may ask for something itself");
}

static void
no_server(void)
{
	fresh("GET", "/?secret");
	snprintf(a.url, sizeof(a.url), "http://u:pw@127.0.0.1:1/p?secret");
	r.once = true;
	OK(ask(quick) == -1 && err.cause == DR_ERETRY && r.attempts > 1 &&
	        !r.lost && says("cannot connect to 127.0.0.1:1: Connection") &&
	        strstr(err.msg, "secret") == NULL &&
	        strstr(err.msg, "pw") == NULL,
	    "nobody listens");
	fresh("GET", "/");
	snprintf(a.url, sizeof(a.url), "http://no-such-host.invalid/");
	OK(ask(patient) == -1 && err.cause == DR_ERETRY && took < 6000 &&
	        says("no-such-host.invalid"),
	    "no such host");
	fresh("GET", "/");
	snprintf(a.url, sizeof(a.url), "file:///etc/passwd");
	OK(ask(patient) == -1 && err.cause == DR_EUSAGE && r.attempts == 1,
	    "only over HTTP");
	fresh("GET", "/");
	a.url[0] = '\0';
	OK(ask(patient) == -1 && says("no address"), "no address");
	/* A proxy sees the whole address. */
	snprintf(a.url, sizeof(a.url), "http://127.0.0.1:%d",
	    httpd_port("plain"));
	setenv("http_proxy", a.url, 1);
	fresh("GET", "/");
	snprintf(a.url, sizeof(a.url), "http://elsewhere.test/proxied/say");
	OK(ask(patient) == 0 && r.status == 200, "through a proxy");
	setenv("no_proxy", "127.0.0.1", 1);
	OK(seen("proxied") == 1, "and not where it is not wanted");
	unsetenv("http_proxy");
	unsetenv("no_proxy");
}

/* The number of the connection that a "say" came by. */
static int
connection(void)
{
	int n = -1;

	if (r.reply.data == NULL ||
	    sscanf(r.reply.data, "%*s %*s %*s %d", &n) != 1)
		return -1;
	return n;
}

/* One attempt, and no more time than there is. */
static void
singly(void)
{
	int first = -1;

	dr_http_hurry(patient, 400);
	fresh("POST", "/sa/say");
	r.single = true;
	OK(ask(patient) == 0 && (first = connection()) != -1, "tried once");
	fresh("POST", "/sa/say");
	r.single = true;
	OK(ask(patient) == 0 && connection() == first,
	    "and once more, on the same connection");
	fresh("POST", "/sb/503,ok");
	r.single = true;
	OK(ask(patient) == 0 && r.status == 503 && r.attempts == 1 && r.lost,
	    "whatever is answered");
	fresh("POST", "/sc/silent");
	r.single = true;
	OK(ask(patient) == -1 && err.cause == DR_ERETRY && r.attempts == 1 &&
	        r.lost && took >= 400 && took < 700,
	    "nothing is");
	fresh("GET", "/sd/drip:100000000:1");
	r.single = true;
	OK(ask(patient) == -1 && err.cause == DR_ERETRY && took < 700,
	    "however much moves");
	fresh("GET", "/");
	snprintf(a.url, sizeof(a.url), "http://127.0.0.1:1/");
	r.single = true;
	OK(ask(patient) == -1 && r.attempts == 1 && took < 300 && !r.lost,
	    "nobody listens, and is not waited for");
	dr_http_hurry(patient, 0);
}

static void
encoding(void)
{
	struct dr_buf b = { .max = 100 };
	struct dr_err e = { 0 };

	OK(dr_http_encode(&b, "a/b c~\xc3\xa4%", true, &e) == 0 &&
	        strcmp(b.data, "a/b%20c~%C3%A4%25") == 0,
	    "percent-encoding");
	b.len = 0;
	OK(dr_http_encode(&b, "a/b", false, &e) == 0 &&
	        strcmp(b.data, "a%2Fb") == 0,
	    "of slashes, too");
	dr_buf_free(&b);
}

/* Head and body come apart, the body when the head is acknowledged. */
static void
delays(void)
{
	int64_t least = INT64_MAX;
	bool good = true;

	for (unsigned i = 0; i < 30; i++) {
		good = get("/nagle/nagle") == 0 && replies("late") && good;
		/* The kernel acknowledges the first ones at once by itself. */
		if (i >= 15 && took < least)
			least = took;
	}
	OK(good && least < 30, "what came is acknowledged without delay");
}

int
main(void)
{
	struct dr_http_opts o = { .stall_ms = 500,
		.patience_ms = 1000,
		.connect_ms = 2000 };

	dr_main_begin("http");
	tmp_make();
	if ((big = malloc(BIG)) == NULL)
		abort();
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 7 + (i >> 12));
	if (!httpd_start(tmp_dir, false)) {
		SKIP("there is no python3");
		return DONE();
	}
	quick = dr_http_new(&o, &err);
	o.patience_ms = 20000;
	patient = dr_http_new(&o, &err);
	plain_requests();
	bodies();
	retries();
	broken_answers();
	delays();
	callbacks();
	no_server();
	singly();
	encoding();
	dr_http_wipe(&r);
	dr_http_free(quick);
	dr_http_free(patient);
	httpd_stop();
	free(big);
	tmp_leave();
	return DONE();
}
