#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/spawn.h"
#include "crypt/keys.h"
#include "crypt/protect.h"
#include "crypt/secret.h"

#define IDENTITIES_MAX 4096U

struct dr_identities *
dr_identities_new(struct dr_err *err)
{
	struct dr_identities *ids;

	if (dr_sodium(err) == -1)
		return NULL;
	if ((ids = calloc(1, sizeof(*ids))) == NULL)
		dr_err_sys(err, "cannot allocate identities");
	return ids;
}

void
dr_identities_free(struct dr_identities *ids)
{
	if (ids == NULL)
		return;
	for (size_t i = 0; i < ids->n; i++)
		sodium_free(ids->v[i]);
	free(ids->v);
	free(ids);
}

size_t
dr_identities_count(const struct dr_identities *ids)
{
	return ids->n;
}

/* One more, its secret still to be set. */
static struct dr_identity *
grow(struct dr_identities *ids, struct dr_err *err)
{
	struct dr_identity **more, *id;
	size_t cap;

	if (ids->n == ids->cap) {
		if (ids->n >= IDENTITIES_MAX) {
			dr_err_set(err, DR_EUSAGE, "more than %u identities",
			    IDENTITIES_MAX);
			return NULL;
		}
		cap = ids->cap == 0 ? 8 : 2 * ids->cap;
		more = reallocarray(ids->v, cap, sizeof(*more));
		if (more == NULL) {
			dr_err_sys(err, "cannot allocate identities");
			return NULL;
		}
		ids->v = more;
		ids->cap = cap;
	}
	if ((id = dr_secret_new(sizeof(*id), err)) != NULL)
		ids->v[ids->n++] = id;
	return id;
}

int
dr_identities_make(struct dr_identities *ids, struct dr_err *err)
{
	struct dr_identity *id;

	if ((id = grow(ids, err)) == NULL)
		return -1;
	randombytes_buf(id->secret, sizeof(id->secret));
	if (crypto_scalarmult_curve25519_base(id->public, id->secret) != 0)
		return dr_err_set(err, DR_EFAIL, "cannot make a key");
	return 0;
}

/* The line is never quoted: it may be a secret with a typing error. */
static int
add_line(struct dr_identities *ids, const char *s, size_t n, const char *name,
    size_t number, struct dr_err *err)
{
	struct dr_identity *id;

	if (n > 4 && memcmp(s, "age1", 4) == 0) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\", line %zu, holds a recipient, not an identity",
		    name, number);
		return dr_err_hint(err, "the identity is the private half");
	}
	if (n < sizeof(DR_HRP_IDENTITY) - 1 ||
	    memcmp(s, DR_HRP_IDENTITY, sizeof(DR_HRP_IDENTITY) - 1) != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\", line %zu: not an identity of a kind that is "
		    "known here",
		    name, number);
	if ((id = grow(ids, err)) == NULL)
		return -1;
	if (!dr_bech32_decode(DR_HRP_IDENTITY, s, n, id->secret) ||
	    crypto_scalarmult_curve25519_base(id->public, id->secret) != 0) {
		sodium_free(ids->v[--ids->n]);
		return dr_err_set(err, DR_EDATA,
		    "\"%s\", line %zu: the identity is damaged", name, number);
	}
	return 0;
}

static int
add_lines(struct dr_identities *ids, const char *s, size_t len,
    const char *name, struct dr_err *err)
{
	const char *end = s + len, *nl;
	size_t n, number = 0, had = ids->n;

	for (; s < end; s = nl + 1) {
		if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL)
			nl = end;
		number++;
		n = dr_line_trim(s, (size_t)(nl - s));
		if (n > 0 && s[0] != '#' &&
		    add_line(ids, s, n, name, number, err) == -1)
			return -1;
	}
	if (ids->n == had)
		return dr_err_set(err, DR_EUSAGE, "\"%s\" holds no identity",
		    name);
	return 0;
}

int
dr_identities_text(struct dr_identities *ids, const char *s, size_t len,
    const char *name, const char *passphrase_file, struct dr_err *err)
{
	struct dr_secret plain = { 0 };
	int rc;

	if (!dr_protected(s, len))
		return add_lines(ids, s, len, name, err);
	if (dr_unprotect(s, len, name, passphrase_file, &plain, err) == -1)
		return -1;
	rc = add_lines(ids, plain.data, plain.len, name, err);
	dr_secret_wipe(&plain);
	return rc;
}

int
dr_identities_file(struct dr_identities *ids, const char *path,
    const char *passphrase_file, struct dr_err *err)
{
	struct dr_secret text = { 0 };
	int rc;

	if (dr_secret_file(&text, path, DR_KEY_FILE_MAX, err) == -1)
		return -1;
	if (text.exposed && !dr_protected(text.data, text.len))
		dr_warn("the identity in \"%s\" is open to other users "
		        "(chmod 600)",
		    path);
	rc = dr_identities_text(ids, text.data, text.len, path, passphrase_file,
	    err);
	dr_secret_wipe(&text);
	return rc;
}

int
dr_identities_command(struct dr_identities *ids, const char *cmd,
    struct dr_err *err)
{
	static const char name[] = "the identity command's output";
	char sh[] = "/bin/sh", option[] = "-c", *command = strdup(cmd);
	char *const argv[] = { sh, option, command, NULL };
	struct dr_secret text = { 0 };
	int fd = -1, status, rc = -1;
	pid_t pid;

	if (command == NULL)
		dr_err_sys(err, "cannot read it");
	else
		rc = dr_spawn(argv, &pid, &fd, err);
	free(command);
	if (rc == -1)
		return dr_err_wrap(err, "the identity command");
	rc = dr_secret_fd(&text, fd, name, DR_KEY_FILE_MAX, err);
	close(fd);
	if (rc == -1)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR) {
			dr_err_sys(err, "cannot wait for the identity command");
			rc = -1;
			goto out;
		}
	if (rc == 0 && (rc = dr_spawn_ended(sh, status, err)) == -1)
		dr_err_wrap(err, "the identity command");
	if (rc == 0)
		rc = dr_identities_text(ids, text.data, text.len, name, NULL,
		    err);

out:
	dr_secret_wipe(&text);
	return rc;
}

char *
dr_identities_print(const struct dr_identities *ids, size_t n,
    struct dr_err *err)
{
	const size_t size = 512;
	char pub[DR_BECH32_LEN], secret[DR_BECH32_LEN], now[DR_TIME_LEN];
	char *text;

	if ((text = dr_secret_new(size, err)) == NULL)
		return NULL;
	dr_recipient_text(ids->v[n]->public, pub);
	dr_bech32_encode(DR_HRP_IDENTITY, ids->v[n]->secret, secret);
	dr_format_time(dr_now() / 1000000 * 1000000, now);
	snprintf(text, size, "# created: %s\n# public key: %s\n%s\n", now, pub,
	    secret);
	sodium_memzero(secret, sizeof(secret));
	return text;
}
