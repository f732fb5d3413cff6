#include "base/audit.h"

#include <sys/stat.h>

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"

/* The longest line we write, and the most we look back for one. */
#define MAX_LINE (1U << 20)

/* How long another process may hold the file. */
#define LOCK_MS 10000

/*
 * Hash the last line of the SIZE bytes in FD.  A line that a crash left
 * without its end (*TORN) counts as one.
 */
static int
last_line(int fd, uint64_t size, const char *path, char hex[DR_SHA256_HEX],
    bool *torn, struct dr_err *err)
{
	size_t n = size < MAX_LINE + 2 ? (size_t)size : MAX_LINE + 2, from;
	char *tail;
	int rc = -1;

	*torn = false;
	memset(hex, '0', DR_SHA256_HEX - 1);
	hex[DR_SHA256_HEX - 1] = '\0';
	if (n == 0)
		return 0;
	if ((tail = malloc(n)) == NULL)
		return dr_err_sys(err, "cannot allocate %zu bytes", n);
	if (dr_fd_pread(fd, tail, n, size - n, path, err) == -1)
		goto out;
	*torn = tail[n - 1] != '\n';
	if (!*torn)
		n--;
	for (from = n; from > 0 && tail[from - 1] != '\n'; from--)
		continue;
	rc = dr_sha256_hex(tail + from, n - from, hex, err);
out:
	free(tail);
	return rc;
}

static void
user_name(char *out, size_t size)
{
	struct passwd pw, *found = NULL;
	char room[4096];

	if (getpwuid_r(getuid(), &pw, room, sizeof(room), &found) == 0 &&
	    found != NULL)
		snprintf(out, size, "%s", found->pw_name);
	else
		snprintf(out, size, "%u", (unsigned)getuid());
}

static int
make_line(struct dr_buf *line, const char *act, const char *what,
    const char *result, const char *prev, struct dr_err *err)
{
	char host[256], user[256], when[DR_TIME_LEN];
	struct dr_json j;

	if (gethostname(host, sizeof(host)) == -1)
		return dr_err_sys(err, "cannot get the host's name");
	host[sizeof(host) - 1] = '\0';
	user_name(user, sizeof(user));
	dr_json_init(&j, line);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "time", dr_format_time(dr_now(), when));
	dr_json_str(&j, "tool", dr_tool());
	dr_json_str(&j, "host", host);
	dr_json_str(&j, "user", user);
	dr_json_int(&j, "pid", getpid());
	dr_json_str(&j, "act", act);
	dr_json_raw(&j, "what", what != NULL ? what : "null");
	dr_json_str(&j, "result", result);
	dr_json_str(&j, "prev", prev);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_add(line, "\n", 1, err);
}

int
dr_audit(const char *act, const char *what, const char *result,
    struct dr_err *err)
{
	const char *path = dr_common.audit;
	struct dr_buf line = { .max = MAX_LINE };
	char prev[DR_SHA256_HEX];
	struct stat st;
	bool torn;
	int fd, rc = -1;

	if (path == NULL)
		return 0;
	if ((fd = dr_lock(path, LOCK_MS, err)) == -1)
		return -1;
	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot read \"%s\"", path);
		goto out;
	}
	if (last_line(fd, (uint64_t)st.st_size, path, prev, &torn, err) == -1 ||
	    (torn && dr_buf_str(&line, "\n", err) == -1) ||
	    make_line(&line, act, what, result, prev, err) == -1)
		goto out;
	if (lseek(fd, 0, SEEK_END) == -1) {
		dr_err_sys(err, "cannot write \"%s\"", path);
		goto out;
	}
	if (dr_fd_write(fd, line.data, line.len, path, err) == -1 ||
	    fsync(fd) == -1) {
		dr_err_sys(err, "cannot write \"%s\"", path);
		/* Half a line helps nobody. */
		if (ftruncate(fd, st.st_size) == -1)
			dr_err_hint(err, "the last line of \"%s\" is broken",
			    path);
		goto out;
	}
	rc = 0;
	if (st.st_size == 0)
		rc = dr_sync_parent(path, err);
out:
	if (close(fd) == -1 && rc == 0)
		rc = dr_err_sys(err, "cannot write \"%s\"", path);
	dr_buf_free(&line);
	return rc;
}
