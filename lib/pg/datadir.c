#include "pg/datadir.h"

#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"

#define CONTROL_MAX 65536U
#define PIDFILE_MAX 65536U

/* Where the fields lie. */
enum {
	AT_SYSTEM = 0,
	AT_VERSION = 8,
	AT_STATE = 16,
	AT_CHECKPOINT = 32,
	AT_REDO = 40,
	AT_TLI = 48,
	AT_FULL_PAGES = 56,
	AT_MIN = 136,
	AT_MIN_TLI = 144,
	AT_LOG_HINTS = 176,
	AT_SEGSIZE = 228,
	AT_CHECKSUMS = 252,
	AT_CRC = 288,    /* up to 17 */
	AT_CRC_18 = 292, /* with default_char_signedness */
};

static uint32_t
get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t
get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

int
dr_control_parse(const void *data, size_t len, struct dr_control *c,
    struct dr_err *err)
{
	const unsigned char *p = data;
	uint32_t state;

	memset(c, 0, sizeof(*c));
	if (len < AT_CRC_18 + 4 ||
	    (dr_crc32c(0, p, AT_CRC) != get32(p + AT_CRC) &&
	        dr_crc32c(0, p, AT_CRC_18) != get32(p + AT_CRC_18)))
		return dr_err_set(err, DR_EDATA,
		    "the control file is damaged, or of another kind of "
		    "machine");
	c->system_id = get64(p + AT_SYSTEM);
	c->version = get32(p + AT_VERSION);
	state = get32(p + AT_STATE);
	if (c->version < 1300 || state > DR_CONTROL_PRODUCTION)
		return dr_err_set(err, DR_EDATA,
		    "a control file of version %u is not known", c->version);
	c->state = (enum dr_control_state)state;
	c->checkpoint = get64(p + AT_CHECKPOINT);
	c->redo = get64(p + AT_REDO);
	c->tli = get32(p + AT_TLI);
	c->full_page_writes = p[AT_FULL_PAGES] != 0;
	c->min_recovery = get64(p + AT_MIN);
	c->min_recovery_tli = get32(p + AT_MIN_TLI);
	c->log_hints = p[AT_LOG_HINTS] != 0;
	c->segsize = get32(p + AT_SEGSIZE);
	c->checksums = get32(p + AT_CHECKSUMS) != 0;
	return 0;
}

int
dr_control_read(const char *dir, struct dr_control *c, struct dr_err *err)
{
	char *path, *data;
	size_t len = 0;
	int rc, saved;

	if ((path = dr_fmt(err, "%s/global/pg_control", dir)) == NULL)
		return -1;
	data = dr_file_get(path, CONTROL_MAX, &len, err);
	saved = errno;
	rc = data == NULL ? -1 : dr_control_parse(data, len, c, err);
	if (data != NULL && rc == -1)
		dr_err_wrap(err, "\"%s\"", path);
	free(path);
	free(data);
	errno = saved;
	return rc;
}

const char *
dr_control_word(enum dr_control_state s)
{
	static const char *const words[] = { "starting up", "shut down",
		"shut down in recovery", "shutting down", "in crash recovery",
		"in archive recovery", "in production" };

	return words[s];
}

/* --- does a server run there? ---------------------------------------------- */

/* Does PID, which lives, work somewhere else?  A postmaster works in DIR. */
static bool
elsewhere(pid_t pid, const struct stat *dir)
{
	char cwd[64];
	struct stat st;

	(void)snprintf(cwd, sizeof(cwd), "/proc/%ld/cwd", (long)pid);
	return stat(cwd, &st) == 0 &&
	       (st.st_dev != dir->st_dev || st.st_ino != dir->st_ino);
}

/* Ended, and not waited for yet: "PID (NAME) Z ...". */
static bool
is_zombie(pid_t pid)
{
	char path[64], *text, *at;
	struct dr_err none = { 0 };
	bool zombie;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	text = dr_file_get(path, PIDFILE_MAX, &len, &none);
	at = text == NULL ? NULL : strrchr(text, ')');
	zombie = at != NULL && at[1] == ' ' && at[2] == 'Z';
	free(text);
	return zombie;
}

static bool
lives(pid_t pid, const struct stat *dir)
{
	if (kill(pid, 0) == -1) {
		/* Whoever may write DIR but not signal it is not its user. */
		if (errno != EPERM || geteuid() == dir->st_uid)
			return false;
	}
	return !elsewhere(pid, dir) && !is_zombie(pid);
}

/* Are processes attached to the segment ID, if that is still the one of KEY? */
static bool
attached(unsigned long key, long id)
{
	struct shmid_ds ds;

	if (id < 0 || id > INT_MAX)
		return false;
	if (shmctl((int)id, IPC_STAT, &ds) == -1)
		return errno == EACCES;
	return (unsigned long)(unsigned)ds.shm_perm.__key ==
	           (key & 0xffffffffUL) &&
	       ds.shm_nattch > 0;
}

static const char *
line(const char *text, unsigned n)
{
	while (n-- > 0 && text != NULL)
		if ((text = strchr(text, '\n')) != NULL)
			text++;
	return text;
}

int
dr_datadir_idle(const char *dir, struct dr_err *err)
{
	struct dr_err none = { 0 };
	struct stat st;
	const char *shm;
	char *path, *text;
	unsigned long key;
	long pid, id;
	size_t len;

	if (stat(dir, &st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", dir);
	if ((path = dr_fmt(err, "%s/postmaster.pid", dir)) == NULL)
		return -1;
	text = dr_file_get(path, PIDFILE_MAX, &len, &none);
	free(path);
	if (text == NULL && errno == ENOENT)
		return 0;
	if (text == NULL) {
		*err = none;
		return -1;
	}
	pid = strtol(text, NULL, 10);
	/* A single-user server notes its pid with a minus. */
	if (pid < 0)
		pid = -pid;
	if (pid > 0 && lives((pid_t)pid, &st)) {
		dr_err_set(err, DR_EUSAGE,
		    "a server runs on \"%s\": process %ld", dir, pid);
		dr_err_hint(err, "stop it first");
		goto fail;
	}
	shm = line(text, 6);
	if (shm != NULL && sscanf(shm, "%lu %ld", &key, &id) == 2 &&
	    attached(key, id)) {
		dr_err_set(err, DR_EUSAGE,
		    "the postmaster of \"%s\" is gone, but processes of its "
		    "server still use shared memory %ld",
		    dir, id);
		dr_err_hint(err, "end them first (ipcs -p -m)");
		goto fail;
	}
	free(text);
	return 0;

fail:
	free(text);
	return -1;
}
