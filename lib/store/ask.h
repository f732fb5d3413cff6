/*
 * ask.h - short questions to the services that hand out credentials, and
 * what their answers hold.
 */
#ifndef DR_STORE_ASK_H
#define DR_STORE_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/http.h"

#define DR_ASK_HEADERS 6

/* Start with { 0 }; strings are borrowed.  Wipe it: answers are secret. */
struct dr_ask {
	const char *what; /* for messages: "the question for a token" */
	const char *method, *url;
	struct {
		const char *name, *value;
	} header[DR_ASK_HEADERS];
	const void *body;
	size_t len;
	/* Adds headers, before each attempt.  May be NULL. */
	int (*sign)(void *, const struct dr_ask *, struct dr_http_head *,
	    struct dr_err *);
	void *arg;
	/* Is this answer, not 200, to be asked for again?  May be NULL. */
	bool (*again)(const struct dr_http_req *);

	int status;
	struct dr_buf reply;
};

/* 0: STATUS and REPLY are set.  -1: no answer, mostly DR_ERETRY. */
int dr_ask(const struct dr_http_opts *, struct dr_ask *, struct dr_err *);
void dr_ask_wipe(struct dr_ask *);

/*
 * May a secret go to URL?  With https anywhere; without it only to this host
 * and to the addresses that ECS and EKS have on it.
 */
bool dr_ask_host_ok(const char *url);

/* Wiped and freed; NULL is nothing. */
void dr_wipe_str(char *);
void dr_wipe_buf(struct dr_buf *);

/* May S be the value of a header: not "", bytes from "!" to "~" alone? */
bool dr_plain(const char *s);
/* S, of a server, with what no terminal should get replaced by "?". */
char *dr_printable(char *s);

/*
 * The object in the LEN bytes at TEXT, or NULL; its strings are wiped by
 * dr_answer_free (the top object's alone).
 */
json_t *dr_answer(const char *text, size_t len);
void dr_answer_free(json_t *);
/* A string member in OUT; false: there is none, or it is too long. */
bool dr_answer_str(const json_t *, const char *key, char *out, size_t size);

/*
 * A small text file, all of it without white space at its end, in OUT; it
 * must be one line.  -1 with errno kept.
 */
int dr_read_line(const char *path, char *out, size_t size, struct dr_err *);

/* A variable, or NULL where it is unset or empty; is it "true"? */
const char *dr_env(const char *name);
bool dr_env_true(const char *name);
/* The file that VARIABLE names, else NAME in the home directory; owned. */
char *dr_home_file(const char *variable, const char *name, struct dr_err *);
/* Copy; false when it does not fit. */
bool dr_copy(char *to, size_t size, const char *from);

/* Say that others than its owner may read PATH, if so. */
void dr_warn_exposed(const char *path);

#endif /* !DR_STORE_ASK_H */
