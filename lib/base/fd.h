/*
 * fd.h - descriptors, and files that appear whole and durable or not at all.
 */
#ifndef DR_BASE_FD_H
#define DR_BASE_FD_H

#include <sys/types.h>

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * How the functions below wait: poll(2), unless lib/http has put in its
 * place what lets transfers go on meanwhile.  Called from any thread.
 */
extern int (*dr_fd_poll)(struct pollfd *, nfds_t, int ms);

/*
 * read(2) that waits, and that a stop signal ends with DR_ESTOP.  NAME is
 * what messages call the descriptor.  Returns the count, 0 at end of file,
 * or -1.
 */
ssize_t dr_fd_read(int fd, void *, size_t, const char *name, struct dr_err *);

/* Until LEN bytes or the end of file. */
ssize_t dr_fd_fill(int fd, void *, size_t, const char *name, struct dr_err *);

/* All of it at OFF or DR_EDATA ("... is truncated"). */
int dr_fd_pread(int fd, void *, size_t, uint64_t off, const char *name,
    struct dr_err *);

/* All of it, waiting as dr_fd_read does; EPIPE is DR_EPIPE. */
int
dr_fd_write(int fd, const void *, size_t, const char *name, struct dr_err *);

/* fsync the directory DIR, or the one that holds PATH. */
int dr_sync_dir(const char *dir, struct dr_err *);
int dr_sync_parent(const char *path, struct dr_err *);

/* mkdir -p, each new directory made durable. */
int dr_mkdirs(const char *path, mode_t, struct dr_err *);

enum dr_file_how {
	DR_FILE_NEW,     /* fails (EEXIST) where PATH exists */
	DR_FILE_REPLACE, /* takes the place of what is there */
};

/*
 * A file on its way: written under ".NAME.RANDOM.tmp" in the directory of
 * PATH, and given its name by dr_file_commit.
 */
struct dr_file {
	int fd; /* write to it */
	char *path, *tmp;
};

#define DR_FILE_INIT           \
	{                      \
		-1, NULL, NULL \
	}

/* MODE is exact when it has no group or other bits, else under the umask. */
int dr_file_create(struct dr_file *, const char *path, mode_t, struct dr_err *);

/*
 * fsync, name it, fsync the directory.  With DR_FILE_NEW where PATH exists:
 * -1, errno EEXIST, ERR set.  The temporary is gone either way.
 */
int dr_file_commit(struct dr_file *, enum dr_file_how, struct dr_err *);

/* Remove the temporary.  Harmless after commit and on DR_FILE_INIT. */
void dr_file_abandon(struct dr_file *);

/* The same in one call, for small files. */
int dr_file_put(const char *path, mode_t, enum dr_file_how, const void *,
    size_t, struct dr_err *);

/*
 * A whole small file, with a NUL after it that *LEN does not count.  The
 * caller frees it.  More than MAX bytes: DR_EDATA.  NULL on failure, with
 * errno kept (ENOENT).
 */
char *dr_file_get(const char *path, size_t max, size_t *len, struct dr_err *);

/*
 * Take an exclusive flock on PATH (made 0600 when absent), waiting at most
 * MS; then DR_ERETRY.  Returns the descriptor; closing it unlocks.
 */
int dr_lock(const char *path, uint64_t ms, struct dr_err *);

#endif /* !DR_BASE_FD_H */
