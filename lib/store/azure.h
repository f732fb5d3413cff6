/*
 * azure.h - Azure Blob Storage: what the files of its driver share.
 *
 * Source: the Blob service REST API, version 2021-12-02.
 */
#ifndef DR_STORE_AZURE_H
#define DR_STORE_AZURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/driver.h"

#define DR_AZ_VERSION  "2021-12-02"
#define DR_AZ_PAIRS    16
#define DR_AZ_DATE_LEN 32
#define DR_AZ_MARK_LEN 25 /* 24 hex digits and a NUL */
#define DR_AZ_ID_LEN   33 /* 24 bytes in base64 and a NUL */

/* --- azure_sign.c: what is sent, and its signature --------------------------- */

/* One request: all of it that is signed.  Start with { 0 }. */
struct dr_az_call {
	const char *method; /* a constant */
	char *path;         /* encoded, as in the URL; owned */
	struct dr_az_pair {
		char *name, *value; /* lower case; not encoded */
	} query[DR_AZ_PAIRS], head[DR_AZ_PAIRS];
	size_t queries, heads;
	uint64_t len; /* of the body */
};

/* Add, or replace; copied. */
int dr_az_query(struct dr_az_call *, const char *name, const char *value,
    struct dr_err *);
int dr_az_head(struct dr_az_call *, const char *name, const char *value,
    struct dr_err *);
void dr_az_call_wipe(struct dr_az_call *);

/* The string that Shared Key signs ("Authorize with Shared Key"). */
int dr_az_to_sign(const struct dr_az_call *, const char *account,
    struct dr_buf *out, struct dr_err *);

/* HMAC-SHA-256 of TEXT in base64, appended. */
int dr_az_sign(const void *key, size_t len, const char *text,
    struct dr_buf *out, struct dr_err *);

/* "Fri, 20 Nov 2026 12:00:00 GMT"; parts of a second round up. */
char *dr_az_date(int64_t usec, char out[DR_AZ_DATE_LEN]);
bool dr_az_parse_date(const char *, int64_t *usec);

/*
 * Ids of blocks: which upload they are of, when it began, and their number.
 * No two uploads draw the same, so those to one name do not mix.
 */
struct dr_az_mark {
	int64_t started; /* microseconds; kept in milliseconds */
	unsigned char random[12];
};

int dr_az_mark_new(struct dr_az_mark *, struct dr_err *);
char *dr_az_mark_hex(const struct dr_az_mark *, char[DR_AZ_MARK_LEN]);
char *dr_az_block_id(const struct dr_az_mark *, unsigned n, char[DR_AZ_ID_LEN]);
/* false: not one of ours. */
bool dr_az_block_mark(const char *id, struct dr_az_mark *);

/* --- azure_conf.c: where, and who we are ---------------------------------------- */

enum dr_az_auth {
	DR_AZ_KEY,      /* an account's key */
	DR_AZ_SAS,      /* a shared access signature */
	DR_AZ_MACHINE,  /* managed identity: the metadata service */
	DR_AZ_APP,      /* managed identity: of an app service or container */
	DR_AZ_WORKLOAD, /* a federated token that is traded in */
	DR_AZ_SECRET,   /* a service principal's secret that is traded in */
};

struct dr_az_conf {
	char *account; /* NULL: unknown, with a SAS and an endpoint */
	char *origin;  /* "https://HOST[:PORT]" */
	char *base;    /* path under it, "" or "/..." */
	char *container, *prefix;
	char *region; /* as the URL says; or NULL */
	char *url;    /* for messages; can be opened again */
	enum dr_az_auth auth;
	unsigned char *key; /* secret */
	size_t key_len;
	char *sas; /* secret; without "?" */
	bool once; /* no blocks: bodies go up in one request */
};

/* From the URL and the environment.  DR_EUSAGE. */
int dr_az_conf(const struct dr_url *, struct dr_az_conf *, struct dr_err *);
void dr_az_conf_wipe(struct dr_az_conf *);

/* --- azure_token.c: bearer tokens -------------------------------------------------- */

struct dr_az_token {
	pthread_mutex_t lock;
	char *ca_file; /* NULL: the host's */
	enum dr_az_auth auth;
	char *value; /* secret; NULL: none yet */
	int64_t expires, refresh;
};

/*
 * "Bearer ..." into OUT, which the caller wipes.  The token is kept until it
 * nears its end, or until it is said to be STALE.  Any thread.
 */
int dr_az_bearer(struct dr_az_token *, struct dr_buf *out, struct dr_err *);
void dr_az_token_stale(struct dr_az_token *);

/* A reply with a token in it; NOW and *EXPIRES in microseconds. */
int dr_az_token_parse(const char *json, size_t, int64_t now, char **token,
    int64_t *expires, struct dr_err *);

/* --- azure_xml.c: replies ---------------------------------------------------------- */

struct dr_az_entry {
	const char *name;
	bool prefix;         /* stands for all names that begin so */
	bool folder;         /* a directory of a hierarchical account */
	bool typed;          /* has a content type: not only begun */
	bool deleted;        /* softly */
	const char *version; /* or NULL */
	bool current;
	uint64_t size;
	int64_t mtime;
	struct dr_lock lock;
	const char *mark; /* of the upload it came by; "" none */
};

/* One page of a list.  MARKER: where the next begins, "" at the end. */
int dr_az_parse_list(const char *, size_t,
    int (*fn)(void *, const struct dr_az_entry *, struct dr_err *), void *arg,
    struct dr_buf *marker, struct dr_err *);

/* What a blob that was only begun holds. */
struct dr_az_blocks {
	size_t committed, pending, foreign;
	struct dr_az_mark mark; /* of the last one of ours */
	size_t marks;           /* how many different ones, at least */
};

int dr_az_parse_blocks(const char *, size_t, struct dr_az_blocks *,
    struct dr_err *);

/* --- azure_error.c: what the service says ------------------------------------------- */

enum dr_az_verdict {
	DR_AZ_FAILED,
	DR_AZ_EXISTS,
	DR_AZ_ABSENT,
	DR_AZ_CHANGED,   /* a condition does not hold */
	DR_AZ_FORBIDDEN, /* for want of a right, or by a lock */
	DR_AZ_BAD_TOKEN,
};

/* The code of an answer that is no success; "" when it has none. */
void dr_az_code(const struct dr_http_req *, char code[64]);
enum dr_az_verdict dr_az_verdict(int status, const char *code);
/* Describe it: "cannot WHAT: ...", and a hint.  -1. */
int dr_az_explain(const char *what, int status, const char *code,
    const struct dr_az_conf *, struct dr_err *);

/* --- azure_req.c: one request ---------------------------------------------------------- */

struct dr_azure {
	struct dr_store store;
	struct dr_az_conf conf;
	struct dr_http *http;
	struct dr_http *brief; /* with little patience: cleaning up */
	struct dr_az_token token;
};

struct dr_az_req {
	struct dr_azure *a;
	struct dr_az_call call;
	char *what; /* "get \"URL/NAME\"" */
	bool renewed;
	struct dr_lock lock;           /* that was asked for */
	struct dr_http_req own, *http; /* HTTP: OWN, or the caller's */
};

/*
 * Start with { 0 }, wipe whatever this returns.  VERB is for messages: they
 * say "cannot VERB NAME".  NAME NULL: the container.
 */
int dr_az_req(struct dr_az_req *, struct dr_azure *, const char *method,
    const char *verb, const char *name, struct dr_err *);
/* Put prepare, judge, the length and the rest into http, whose body is set. */
void dr_az_ready(struct dr_az_req *);
/* Send it and wait; from any thread.  -1: no answer. */
int dr_az_do(struct dr_az_req *, struct dr_err *);
/* The same for writers: other uploads go on meanwhile. */
int dr_az_wait(struct dr_az_req *, struct dr_err *);
/* Describe an answer that is no success.  -1. */
int dr_az_fail(const struct dr_az_req *, struct dr_err *);
enum dr_az_verdict dr_az_req_verdict(const struct dr_az_req *);
void dr_az_wipe(struct dr_az_req *);

/* --- azure_get.c, azure_list.c ----------------------------------------------------------- */

struct dr_az_facts {
	uint64_t size;
	int64_t mtime;
	char etag[128], tier[32], rehydrating[64];
	char mark[DR_AZ_MARK_LEN];
	struct dr_lock lock;
};

/* From the headers of a reply. */
void dr_az_facts(const struct dr_http_req *, struct dr_az_facts *);
/* 1, 0 absent, -1.  LIST: by a list, where the right to read is missing. */
int dr_az_look(struct dr_azure *, const char *name, bool list,
    struct dr_az_facts *, struct dr_err *);
/* By a list, at once. */
int dr_az_look_list(struct dr_azure *, const char *name, struct dr_az_facts *,
    struct dr_err *);

int dr_az_stat(struct dr_store *, const char *, struct dr_object *,
    struct dr_err *);
struct dr_blob *dr_az_get(struct dr_store *, const char *, struct dr_err *);
int dr_az_get_small(struct dr_store *, const char *, size_t, char **, size_t *,
    struct dr_err *);
struct dr_blob *dr_az_get_version(struct dr_store *, const char *, const char *,
    struct dr_err *);
int dr_az_locked(struct dr_store *, const char *, struct dr_lock *,
    struct dr_err *);
int dr_az_delete(struct dr_store *, const char *, struct dr_err *);

int dr_az_list(struct dr_store *, const char *, const char *,
    int (*)(void *, const struct dr_object *, struct dr_err *), void *,
    struct dr_err *);
int dr_az_dirs(struct dr_store *, const char *,
    int (*)(void *, const char *, struct dr_err *), void *, struct dr_err *);
int dr_az_versions(struct dr_store *, const char *,
    int (*)(void *, const struct dr_version *, struct dr_err *), void *,
    struct dr_err *);
int dr_az_uploads(struct dr_store *, const char *,
    int (*)(void *, const struct dr_upload *, struct dr_err *), void *,
    struct dr_err *);
int dr_az_upload_abort(struct dr_store *, const char *, const char *,
    struct dr_err *);
/* 1 and what is there of NAME's blocks, 0 nothing, -1. */
int dr_az_blocks(struct dr_azure *, struct dr_http *, const char *name,
    struct dr_az_blocks *, struct dr_err *);
/*
 * Drop the blocks of a name that no object has, and nothing else: with a
 * condition that no object fulfils.  1, 0 there were none, -1.
 */
int dr_az_drop_blocks(struct dr_azure *, struct dr_http *, const char *name,
    struct dr_err *);

/* --- azure_put.c, azure_once.c ------------------------------------------------------------ */

/* An object on its way, in one request or in blocks. */
struct dr_az_upload {
	struct dr_azure *a; /* borrowed */
	char *name;
	struct dr_az_mark mark;
	unsigned sent; /* blocks */
	bool late;     /* some were cancelled on their way */
};

struct dr_az_upload *
dr_az_upload_new(struct dr_azure *, const char *, struct dr_err *);
void dr_az_upload_free(void *);
/*
 * Put Blob but for its body.  MARK is NULL for small objects; REPLACE: without
 * condition.
 */
int dr_az_put_blob(struct dr_az_req *, struct dr_azure *, const char *name,
    const struct dr_az_mark *, bool replace, struct dr_err *);
int dr_az_md5(struct dr_az_req *, const unsigned char md5[16], struct dr_err *);
/* What came of the request that makes the object.  errno EEXIST, EALREADY. */
int dr_az_settle(struct dr_az_upload *, struct dr_az_req *, struct dr_err *);
/*
 * Where the credentials can create, and nothing else: blocks are refused, so
 * the body is kept in a temporary file and goes up in one request.
 */
struct dr_sink *dr_az_once(struct dr_azure *, const char *, struct dr_err *);

struct dr_sink *dr_az_put(struct dr_store *, const char *, struct dr_err *);
int dr_az_put_begin(struct dr_small *, struct dr_err *);
void dr_az_put_look(struct dr_small *);
void dr_az_put_cancel(struct dr_small *);
int dr_az_try_replace(struct dr_store *, const char *, bool, const void *,
    size_t, struct dr_err *);
/* Can this kind of store do what OPTS ask?  DR_EUSAGE. */
int dr_az_opts_ok(const struct dr_store_opts *, struct dr_err *);

#endif /* !DR_STORE_AZURE_H */
