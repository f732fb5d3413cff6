#include "flow/restore_command.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "abcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@";

int
dr_command_word(struct dr_buf *out, const char *word, struct dr_err *err)
{
	bool plain = *word != '\0' && word[strspn(word, safe)] == '\0';

	if (plain)
		return dr_buf_str(out, word, err);
	if (dr_buf_str(out, "'", err) == -1)
		return -1;
	for (; *word != '\0'; word++) {
		const char one[2] = { *word, '\0' };
		const char *text = *word == '\''  ? "'\\''"
		                   : *word == '%' ? "%%"
		                                  : one;

		if (dr_buf_str(out, text, err) == -1)
			return -1;
	}
	return dr_buf_str(out, "'", err);
}

int
dr_conf_value(struct dr_buf *out, const char *value, struct dr_err *err)
{
	if (dr_buf_str(out, "'", err) == -1)
		return -1;
	for (; *value != '\0'; value++) {
		const char one[2] = { *value, '\0' };
		const char *text = *value == '\''   ? "''"
		                   : *value == '\\' ? "\\\\"
		                   : *value == '\n' ? "\\n"
		                                    : one;

		if (dr_buf_str(out, text, err) == -1)
			return -1;
	}
	return dr_buf_str(out, "'", err);
}

/* " --OPTION WORD" */
static int
option(struct dr_buf *out, const char *name, const char *word,
    struct dr_err *err)
{
	if (dr_buf_str(out, " ", err) == -1 ||
	    dr_buf_str(out, name, err) == -1 || dr_buf_str(out, " ", err) == -1)
		return -1;
	return dr_command_word(out, word, err);
}

/* The same for a file. */
static int
file(struct dr_buf *out, const char *name, const char *path, struct dr_err *err)
{
	char *full = NULL;
	struct stat st;
	int rc = -1;

	if (stat(path, &st) == -1)
		return dr_err_sys(err, "cannot find \"%s\"", path);
	if (!S_ISREG(st.st_mode)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no file that the server could read again when "
		    "it asks for WAL",
		    path);
		return dr_err_hint(err,
		    "name a file, or recover to the end of the backup with "
		    "--immediate");
	}
	if ((full = realpath(path, NULL)) == NULL)
		dr_err_sys(err, "cannot find \"%s\"", path);
	else
		rc = option(out, name, full, err);
	free(full);
	return rc;
}

/* Where dr-wal lies: beside this program. */
static int
program(struct dr_buf *out, struct dr_err *err)
{
	char self[PATH_MAX], *slash, *path;
	ssize_t n;
	int rc = -1;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n == -1)
		return dr_err_sys(err, "cannot tell where dr-wal is");
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		*slash = '\0';
	if ((path = dr_fmt(err, "%s/dr-wal", self)) == NULL)
		return -1;
	if (access(path, X_OK) == -1)
		dr_err_sys(err,
		    "cannot run \"%s\", which restore_command "
		    "needs",
		    path);
	else
		rc = dr_command_word(out, path, err);
	free(path);
	return rc;
}

int
dr_restore_command(const struct dr_command_opts *o, struct dr_buf *out,
    struct dr_err *err)
{
	if (program(out, err) == -1 || dr_buf_str(out, " get", err) == -1 ||
	    option(out, "-n", o->set, err) == -1 ||
	    dr_buf_fmt(out, err, " --system-id %llu",
	        (unsigned long long)o->system_id) == -1)
		return -1;
	for (size_t i = 0; i < o->nstores; i++)
		if (option(out, "-s", dr_store_url(o->stores[i]), err) == -1)
			return -1;
	for (size_t i = 0; i < o->identities->n; i++)
		if (file(out, "-i", o->identities->v[i], err) == -1)
			return -1;
	if ((o->identity_command != NULL &&
	        option(out, "--identity-command", o->identity_command, err) ==
	            -1) ||
	    (o->passphrase_file != NULL &&
	        file(out, "--passphrase-file", o->passphrase_file, err) == -1))
		return -1;
	if (o->verify_key != NULL
	        ? file(out, "-K", o->verify_key, err) == -1
	        : dr_buf_str(out, " --no-signature", err) == -1)
		return -1;
	if (o->ca_file != NULL && file(out, "--ca-file", o->ca_file, err) == -1)
		return -1;
	if (o->state != NULL && option(out, "--state", o->state, err) == -1)
		return -1;
	if (o->standby && dr_buf_str(out, " --standby", err) == -1)
		return -1;
	return dr_buf_str(out, " %f %p", err);
}
