#include "crypt/secret.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tty.h"

int
dr_sodium(struct dr_err *err)
{
	if (sodium_init() == -1)
		return dr_err_set(err, DR_EFAIL,
		    "cannot start the cryptographic library");
	return 0;
}

int
dr_crypt_init(struct dr_err *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return dr_err_sys(err, "cannot turn core dumps off");
	return dr_sodium(err);
}

void *
dr_secret_new(size_t n, struct dr_err *err)
{
	void *p;

	if (dr_sodium(err) == -1)
		return NULL;
	if ((p = sodium_malloc(n)) == NULL)
		dr_err_sys(err, "cannot allocate memory for a key");
	else
		sodium_memzero(p, n);
	return p;
}

int
dr_secret_fd(struct dr_secret *s, int fd, const char *name, size_t max,
    struct dr_err *err)
{
	struct dr_secret in = { NULL, 0, false };
	struct stat st;
	size_t cap = 0;
	char *more;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", name);
	in.exposed = S_ISREG(st.st_mode) && (st.st_mode & 077) != 0;
	for (;;) {
		if (in.len + 1 >= cap) {
			cap = cap == 0 ? 4096 : 2 * cap;
			if ((more = dr_secret_new(cap, err)) == NULL)
				goto fail;
			if (in.len > 0)
				memcpy(more, in.data, in.len);
			sodium_free(in.data);
			in.data = more;
		}
		n = dr_fd_read(fd, in.data + in.len, cap - 1 - in.len, name,
		    err);
		if (n == -1)
			goto fail;
		if (n == 0)
			break;
		in.len += (size_t)n;
		if (in.len > max) {
			dr_err_set(err, DR_EDATA,
			    "\"%s\" is no key file: larger than %zu bytes",
			    name, max);
			goto fail;
		}
	}
	in.data[in.len] = '\0';
	*s = in;
	return 0;

fail:
	sodium_free(in.data);
	return -1;
}

int
dr_secret_file(struct dr_secret *s, const char *path, size_t max,
    struct dr_err *err)
{
	int fd, rc;

	if (strcmp(path, "-") == 0)
		return dr_secret_fd(s, 0, "standard input", max, err);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", path);
	rc = dr_secret_fd(s, fd, path, max, err);
	close(fd);
	return rc;
}

void
dr_secret_wipe(struct dr_secret *s)
{
	sodium_free(s->data);
	s->data = NULL;
	s->len = 0;
}

char *
dr_passphrase_new(const char *file, const char *prompt, bool confirm,
    struct dr_err *err)
{
	char *pass;

	if ((pass = dr_secret_new(DR_PASSPHRASE_MAX, err)) == NULL)
		return NULL;
	if (dr_passphrase(file, prompt, confirm, pass, DR_PASSPHRASE_MAX,
	        err) == -1) {
		sodium_free(pass);
		return NULL;
	}
	return pass;
}
