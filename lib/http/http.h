/*
 * http.h - requests over HTTP and TLS, by libcurl: retried where that is
 * safe, bounded in time and memory, several at once.
 *
 * All transfers of a process that were begun with dr_http_start share one
 * loop, whichever client they belong to, and progress whenever any of the
 * functions that wait is called: an upload to one store goes on while another
 * is waited for, and while the main thread waits for input (dr_fd_poll of
 * base/fd.h).  They belong to the main thread.  dr_http_do works by
 * itself and may be called from any thread.
 *
 * TLS 1.2 at least, certificates and host names always verified.  Proxies as
 * curl's environment names them (https_proxy, no_proxy ...).  Redirects are
 * not followed.  No header and no part of a URL after "?" enters a message.
 */
#ifndef DR_HTTP_HTTP_H
#define DR_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_http_opts {
	const char *ca_file;   /* trust these authorities, and no others */
	const char *cert_file; /* who we are, in PEM; NULL: nobody */
	const char *key_file;  /* NULL: in CERT_FILE */
	uint64_t connect_ms;   /* to connect; 0: 10 s */
	uint64_t stall_ms;     /* without a byte either way; 0: 30 s */
	uint64_t patience_ms;  /* a request with all its retries; 0: 120 s */
	uint64_t
	    limit_rate; /* bytes a second each way, all transfers; 0: any */
	bool direct;    /* no proxy: what is asked is on this host */
};

struct dr_http;

/* Strings are copied.  Nothing is connected yet; fork before the first use. */
struct dr_http *dr_http_new(const struct dr_http_opts *, struct dr_err *);
/* Nothing of it may be in flight. */
void dr_http_free(struct dr_http *);

/*
 * Until further notice a request of it is given MS, or its patience where
 * that is less; 0: its patience.  Those in flight, and steady ones, keep
 * theirs.  While no other thread uses it.
 */
void dr_http_hurry(struct dr_http *, uint64_t ms);

/* What one attempt sends, filled by prepare. */
struct dr_http_head {
	struct dr_buf url;  /* whole, with its query, encoded */
	struct dr_strs raw; /* internal */
};

/* "NAME: VALUE"; copied.  An empty VALUE sends the name with nothing. */
int dr_http_header(struct dr_http_head *, const char *name, const char *value,
    struct dr_err *);

/* One header of the reply, by its name in lower case. */
struct dr_http_field {
	char *name, *value;
};

/*
 * Start with { 0 }, fill the first part, free with dr_http_wipe.
 *
 * A request that cannot be sent, is answered 408, 429 or 5xx (but for 501 and
 * 505, which will never change), stalls, or whose reply breaks off is sent
 * again with growing pauses (Retry-After is honoured, or ends it where it is
 * longer than our patience) until it succeeds or patience_ms has gone by;
 * then it fails with DR_ERETRY.  An attempt that moves bytes at a decent rate
 * at that time may still succeed.  Names that cannot be resolved get four
 * attempts; certificates that are not good, one (DR_EFAIL).  Any other answer
 * ends it: it has succeeded as far as HTTP is concerned, and STATUS says how.
 */
struct dr_http_req {
	const char *what;   /* for messages: "upload of \"x\"" */
	const char *method; /* a constant */
	/*
	 * Called before every attempt, since signatures carry the time: fill
	 * the URL and headers.  Also called from the loop.
	 */
	int (*prepare)(void *arg, struct dr_http_head *, struct dr_err *);
	/*
	 * May be NULL.  After an attempt with any answer: 1 it is to be sent
	 * again (200 with an error inside, 403 for an expired token after
	 * refreshing it), 0 as the status says, -1 it has failed for good.
	 */
	int (*judge)(void *arg, struct dr_http_req *, struct dr_err *);
	void *arg;
	/* The body: LEN bytes, borrowed until the request has ended. */
	const void *body;
	int body_fd; /* with body NULL and LEN > 0: read it from there */
	uint64_t body_off;
	uint64_t len;
	bool once;   /* never send again what may have arrived */
	bool steady; /* dr_http_hurry is not for it */
	/*
	 * One attempt, which ends when the time is over whatever moves by
	 * then, and any answer is the end of it: for who has a better idea of
	 * what to do next.  No limit of the rate holds it up.
	 */
	bool single;
	/*
	 * Clears up after us, and so goes on after a stop signal: with
	 * dr_http_do, for 5 s at most.  A DELETE always does.
	 */
	bool cleanup;
	/*
	 * Where the body of a reply with status 200 or 206 goes: exactly
	 * INTO_LEN bytes, else the attempt counts as broken.  NULL: REPLY.
	 */
	void *into;
	size_t into_len;
	size_t reply_max; /* 0: 1 MiB; more than that fails */

	/* What came of it. */
	int status;          /* of the last answer; 0 none */
	struct dr_buf reply; /* its body, unless it went into INTO */
	struct dr_http_field *field;
	size_t fields;
	unsigned attempts;
	bool lost;  /* an attempt may have taken effect without our knowing */
	bool ended; /* of dr_http_start */
	struct dr_err err; /* of dr_http_start: why it failed */
	void *transfer;    /* internal */
};

/* The value of a header of the reply, or NULL. */
const char *dr_http_field(const struct dr_http_req *, const char *name);
void dr_http_wipe(struct dr_http_req *);

/* Send it and wait.  0: STATUS holds the answer.  -1: none, or judged so. */
int dr_http_do(struct dr_http *, struct dr_http_req *, struct dr_err *);

/*
 * Begin it.  REQ stays where it is until it has ENDED (then ERR.cause tells
 * as dr_http_do would) or was cancelled.
 */
int dr_http_start(struct dr_http *, struct dr_http_req *, struct dr_err *);
/* Give up on it; it has ended, and may have taken effect. */
void dr_http_cancel(struct dr_http_req *);
/* Bytes of its body that went out, in the attempt that got furthest. */
uint64_t dr_http_sent(const struct dr_http_req *);
/* Why its last attempt was not good; NULL: none was so far. */
const char *dr_http_trouble(const struct dr_http_req *);

/*
 * Let all transfers go on until one ends, MS have passed (0: only what is
 * possible without waiting) or a stop signal came (DR_ESTOP).
 */
int dr_http_turn(uint64_t ms, struct dr_err *);

/* Percent-encoding for a URL, "/" left alone if SLASH; appended to OUT. */
int
dr_http_encode(struct dr_buf *out, const char *, bool slash, struct dr_err *);

#endif /* !DR_HTTP_HTTP_H */
