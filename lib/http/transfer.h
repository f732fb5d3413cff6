/*
 * transfer.h - one request on its way, between the loop that drives it
 * (loop.c), the attempts it is made in (attempt.c) and what went wrong with
 * them (fault.c).
 */
#ifndef DR_HTTP_TRANSFER_H
#define DR_HTTP_TRANSFER_H

#include <sys/types.h>

#include "http/curl.h"
#include "http/http.h"

struct dr_http {
	struct dr_http_opts opts; /* with defaults filled in */
	uint64_t hurry_ms;        /* 0: none */
	char *ca_file, *cert_file, *key_file;
};

struct dr_transfer {
	struct dr_http *http;
	struct dr_http_req *req;
	struct dr_loop *loop;
	struct dr_transfer *next;
	int64_t begun, deadline; /* by dr_monotonic, as all times here */
	int64_t due;             /* when the next attempt begins; -1: now on */
	int64_t stall;           /* so long without a byte ends an attempt */
	unsigned pauses;         /* so far, for their growth */
	bool answered;           /* some attempt was */
	uint64_t furthest;       /* of SENT, of any attempt */
	struct dr_err why;       /* the last one was not good */

	/* Of one attempt. */
	CURL *easy;
	struct curl_slist *headers;
	struct dr_http_head head;
	char host[256]; /* and port, for messages */
	char text[CURL_ERROR_SIZE];
	bool asked;    /* a connection stands, the request goes out */
	bool whole;    /* all of the body went out */
	bool overlong; /* the rest of an error's body is not wanted */
	bool paused;
	unsigned resumed; /* turns are taken under a rate limit */
	uint64_t sent, got;
	size_t head_bytes;
	int64_t tried; /* when it began */
	int64_t last;  /* the last byte either way */
	int64_t mark;  /* since when the bytes are counted as moved */
	uint64_t moved, before;
	struct dr_err err; /* why one of our callbacks ended it */
};

/* --- attempt.c --- */

/* Call prepare and fill EASY. */
int
dr_attempt_set(struct dr_transfer *, const struct dr_curl *, struct dr_err *);
/* Let go of what the attempt held, but for EASY. */
void dr_attempt_wipe(struct dr_transfer *, const struct dr_curl *);
/* The request may have taken effect. */
bool dr_attempt_arrived(const struct dr_transfer *);

/* --- fault.c --- */

/* Say why there is no answer.  True: another attempt may fare better. */
bool dr_fault(const struct dr_transfer *, const struct dr_curl *, CURLcode,
    struct dr_err *);

#endif /* !DR_HTTP_TRANSFER_H */
