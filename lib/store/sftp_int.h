/*
 * sftp_int.h - what the files of the sftp driver share: connections by
 * libssh2, the few operations on them, and the pool that lends them out.
 *
 * A connection is used by one thread at a time; between two calls on it
 * nothing is half done, so that files opened on it may take turns.
 */
#ifndef DR_STORE_SFTP_INT_H
#define DR_STORE_SFTP_INT_H

#include <sys/types.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/driver.h"
#include "store/sftp_lib.h"

#define SFTP_CONNS      4
#define SFTP_CONNECT_MS 10000
#define SFTP_STALL_MS   30000
#define SFTP_PATIENCE   120000
#define SFTP_CLEANUP_MS 5000

/* What came of an operation. */
enum sftp_rc {
	SFTP_OK = 0,
	SFTP_NOENT,
	SFTP_EXISTS,
	SFTP_DENIED,
	SFTP_READONLY,
	SFTP_UNSUPPORTED,
	SFTP_FULL,
	SFTP_REFUSED, /* the server says no more than "failure" */
	SFTP_EOF,
	SFTP_LOST,  /* the connection is of no use any more: see WHY */
	SFTP_FATAL, /* there is none, or a stop signal came; ERR says why */
};

struct sftp;

struct sftp_conn {
	struct sftp *store;
	int fd; /* -1: not connected */
	pid_t pid;
	LIBSSH2_SESSION *session;
	LIBSSH2_SFTP *sftp;
	struct sftp_file *files; /* open on it */
	bool busy;
	int64_t until; /* of the call that is being made */
	bool cleanup;  /* it goes on in spite of stop signals */
	struct dr_err why;
};

/* An open file or directory; { NULL } is none. */
struct sftp_file {
	LIBSSH2_SFTP_HANDLE *handle; /* NULL also when the connection went */
	struct sftp_conn *conn;
	struct sftp_file *next;
	uint64_t at; /* of a file that is read: where the next read begins */
};

struct sftp {
	struct dr_store store;
	char *label;              /* the URL without "?...", for messages */
	char *host, *user, *root; /* ROOT: "/backup", or "." or "x" of home */
	char *identity, *known_hosts; /* from the URL, or NULL */
	uint16_t port;
	bool need_fsync;  /* unless the URL says fsync=no */
	atomic_bool ever; /* there was a connection */
	atomic_bool no_dir_fsync;
	_Atomic uint64_t hurry_ms; /* 0: none */
	pthread_t main;
	pthread_mutex_t mutex; /* over all that follows */
	pthread_cond_t idle;
	struct sftp_conn conn[SFTP_CONNS];
	struct sftp_job *jobs; /* the main thread's */
	int64_t rate_due; /* when what was moved may have been, by limit_rate */
};

/* --- sftp_conn.c: one connection ------------------------------------------------ */

/*
 * Connect, check the host's key, authenticate, start the subsystem.
 * DR_ERETRY where trying again may help.
 */
int sftp_connect(struct sftp_conn *, struct dr_err *);
/* Hang up; the files that are open on it are closed. */
void sftp_hangup(struct sftp_conn *);
/*
 * After LIBSSH2_ERROR_EAGAIN: wait for the socket.  -1: WHY says that the
 * server was silent, or that a signal came.
 */
int sftp_wait(struct sftp_conn *);
/* The same until FD is ready for EVENTS of poll(2). */
int sftp_wait_fd(struct sftp_conn *, int fd, short events);
/* How long one request is tried for, in all, in milliseconds. */
uint64_t sftp_limit(const struct sftp *);
/* The next call may take MS, if that is not beyond the limit. */
void sftp_patience(struct sftp_conn *, uint64_t ms);

/* sftp_auth.c: log in. */
int sftp_auth(struct sftp_conn *, struct dr_err *);
/* Read the host's known keys; KEYS is wiped by the caller. */
struct dr_host_keys;
int sftp_hosts(const struct sftp *, struct dr_host_keys *, struct dr_err *);
int
sftp_host_ok(struct sftp_conn *, const struct dr_host_keys *, struct dr_err *);
/* "KIND cannot be agreed on ...": the method list for session_method_pref. */
void sftp_host_methods(const struct dr_host_keys *, char *out, size_t cap);

/* --- sftp_ops.c: operations, each complete when it returns ----------------------- */

enum sftp_rc sftp_open(struct sftp_conn *, struct sftp_file *, const char *path,
    unsigned long flags, bool dir);
void sftp_close(struct sftp_file *);
/* The same where its success matters. */
enum sftp_rc sftp_close_checked(struct sftp_file *);
/* Some of BUF, which was longer before by what is acknowledged: > 0, or -RC. */
ssize_t sftp_write(struct sftp_file *, const void *, size_t);
/* > 0, 0 at the end, or -RC. */
ssize_t sftp_read(struct sftp_file *, void *, size_t);
/* All LEN bytes at OFF. */
enum sftp_rc sftp_pread(struct sftp_file *, void *, size_t, uint64_t off);
enum sftp_rc sftp_fsync(struct sftp_file *);
enum sftp_rc
sftp_stat(struct sftp_conn *, const char *path, LIBSSH2_SFTP_ATTRIBUTES *);
/* 1: a name; 0: no more; or -RC. */
int sftp_readdir(struct sftp_file *, char *name, size_t cap,
    LIBSSH2_SFTP_ATTRIBUTES *);
enum sftp_rc sftp_rename(struct sftp_conn *, const char *from, const char *to);
enum sftp_rc sftp_unlink(struct sftp_conn *, const char *path);
enum sftp_rc sftp_mkdir(struct sftp_conn *, const char *path);
enum sftp_rc sftp_rmdir(struct sftp_conn *, const char *path);
/* RC, or SFTP_FULL where that was no more than a guess at it. */
enum sftp_rc sftp_why(struct sftp_conn *, enum sftp_rc, const char *path);
/* How large the file system of PATH is, and what of it is free. */
enum sftp_rc
sftp_room(struct sftp_conn *, const char *path, uint64_t *size, uint64_t *free);
/* fsync of a directory, where the server lets it be opened. */
enum sftp_rc sftp_sync_dir(struct sftp_conn *, const char *path);

/* --- sftp_pool.c ------------------------------------------------------------------ */

/*
 * Call FN with a connection, again with a new one while it is SFTP_LOST, until
 * patience is at an end.  WANT (may be NULL) is preferred, and waited for if
 * MUST.  What FN returns; SFTP_FATAL: ERR says why.
 */
enum sftp_rc sftp_run(struct sftp *, struct sftp_conn *want, bool must,
    enum sftp_rc (*fn)(struct sftp_conn *, void *), void *arg, struct dr_err *);
/* Once, in spite of stop signals, within a few seconds; silently. */
void sftp_try(struct sftp *, enum sftp_rc (*fn)(struct sftp_conn *, void *),
    void *arg);
/* Close F, whose connection may be in use by another thread. */
void sftp_give_up(struct sftp *, struct sftp_file *);

/* sftp_job.c: are we such a thread, and has it been given up? */
bool sftp_in_job(void);
bool sftp_cancelled(void);
/* Give all up and wait for them. */
void sftp_jobs_end(struct sftp *);

/* Keep to limit_rate, N bytes having been moved. */
int sftp_pace(struct sftp *, size_t n, struct dr_err *);

/* "cannot WHAT "URL/NAME": ..." and a hint.  Always -1. */
int sftp_fail(const struct sftp *, enum sftp_rc, const char *what,
    const char *name, struct dr_err *);

/* --- the driver's parts ------------------------------------------------------------ */

/* NAME's path on the server, on the heap. */
char *sftp_path(const struct sftp *, const char *name, struct dr_err *);
/* Make the directory that holds NAME, and what is missing above it. */
int sftp_parents(struct sftp *, const char *name, struct dr_err *);

struct dr_sink *sftp_put(struct dr_store *, const char *, struct dr_err *);
enum dr_put_result sftp_put_small(struct dr_store *, const char *, const void *,
    size_t, bool *, struct dr_err *);
int sftp_put_begin(struct dr_small *, struct dr_err *);
void sftp_put_look(struct dr_small *);
void sftp_put_cancel(struct dr_small *);
int sftp_try_replace(struct dr_store *, const char *, bool, const void *,
    size_t, struct dr_err *);
struct dr_blob *sftp_get(struct dr_store *, const char *, struct dr_err *);
int sftp_list(struct dr_store *, const char *, const char *,
    int (*)(void *, const struct dr_object *, struct dr_err *), void *,
    struct dr_err *);
int sftp_dirs(struct dr_store *, const char *,
    int (*)(void *, const char *, struct dr_err *), void *, struct dr_err *);
int sftp_uploads(struct dr_store *, const char *,
    int (*)(void *, const struct dr_upload *, struct dr_err *), void *,
    struct dr_err *);

#endif /* !DR_STORE_SFTP_INT_H */
