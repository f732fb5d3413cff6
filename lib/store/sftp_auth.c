/*
 * Who is there, and who we are: the host's key against what is known of it,
 * then ours by an agent or from a file.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "base/fd.h"
#include "store/knownhosts.h"
#include "store/sftp_int.h"
#include "store/sshkey.h"

#define KNOWN_MAX (16U << 20)
#define KEY_MAX   65536
#define AGENT_MS  5000

static const char system_hosts[] = "/etc/ssh/ssh_known_hosts";

/* "~/.ssh/NAME" on the heap; NULL: there is no home, or ERR. */
static char *
home_file(const char *name, struct dr_err *err)
{
	const char *home = getenv("HOME");
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (home == NULL || *home == '\0') {
		if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) != 0 ||
		    found == NULL)
			return NULL;
		home = found->pw_dir;
	}
	return dr_fmt(err, "%s/.ssh/%s", home, name);
}

/* Add what PATH says; 0 also where there is no such file and none MUST be. */
static int
hosts_file(const struct sftp *s, const char *path, bool must,
    struct dr_host_keys *keys, struct dr_err *err)
{
	struct dr_err e = { 0 };
	size_t len;
	char *text = dr_file_get(path, KNOWN_MAX, &len, &e);
	int rc;

	if (text == NULL) {
		if (!must && (errno == ENOENT || errno == EACCES))
			return 0;
		*err = e;
		return -1;
	}
	rc = dr_known_hosts(text, s->host, s->port, keys, err);
	free(text);
	return rc;
}

int
sftp_hosts(const struct sftp *s, struct dr_host_keys *keys, struct dr_err *err)
{
	char *path;
	int rc;

	if (s->known_hosts != NULL)
		return hosts_file(s, s->known_hosts, true, keys, err);
	if ((path = home_file("known_hosts", err)) == NULL && err->cause != 0)
		return -1;
	rc = path == NULL ? 0 : hosts_file(s, path, false, keys, err);
	free(path);
	return rc == -1 ? -1 : hosts_file(s, system_hosts, false, keys, err);
}

/* The kinds of key that the host is known by, best first. */
void
sftp_host_methods(const struct dr_host_keys *keys, char *out, size_t cap)
{
	static const char *const order[] = { "ssh-ed25519",
		"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521", "ssh-rsa" };
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (size_t k = 0; k < keys->n; k++) {
			int n;

			if (keys->key[k].revoked ||
			    strcmp(keys->key[k].type, order[i]) != 0)
				continue;
			n = snprintf(out + at, cap - at, "%s%s",
			    at > 0 ? "," : "", order[i]);
			if (n > 0 && (size_t)n < cap - at)
				at += (size_t)n;
			break;
		}
}

/* "SHA256:..." as ssh prints it. */
static void
fingerprint(const unsigned char *blob, size_t len, char out[64])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char b64[48];

	SHA256(blob, len, digest);
	(void)EVP_EncodeBlock((unsigned char *)b64, digest, sizeof(digest));
	b64[strcspn(b64, "=")] = '\0';
	(void)snprintf(out, 64, "SHA256:%s", b64);
}

int
sftp_host_ok(struct sftp_conn *c, const struct dr_host_keys *keys,
    struct dr_err *err)
{
	const struct sftp *s = c->store;
	const char *file =
	    s->known_hosts != NULL ? s->known_hosts : "~/.ssh/known_hosts";
	size_t len = 0;
	int type;
	const char *raw = ssh2.session_hostkey(c->session, &len, &type);
	const unsigned char *blob = (const unsigned char *)raw;
	char print[64];

	if (blob == NULL)
		return dr_err_set(err, DR_EFAIL, "%s shows no key", s->host);
	fingerprint(blob, len, print);
	switch (dr_host_check(keys, blob, len)) {
	case DR_HOST_MATCH:
		return 0;
	case DR_HOST_UNKNOWN:
		dr_err_set(err, DR_EFAIL,
		    "host %s port %u is not known: its key is %s", s->host,
		    s->port, print);
		return dr_err_hint(err,
		    "ssh-keyscan -p %u %s >>%s, after comparing the key with "
		    "what the host itself says (ssh-keygen -lf)",
		    s->port, s->host, file);
	case DR_HOST_REVOKED:
		return dr_err_set(err, DR_EFAIL,
		    "the key of host %s port %u, %s, IS REVOKED", s->host,
		    s->port, print);
	case DR_HOST_MISMATCH:
		break;
	}
	dr_err_set(err, DR_EFAIL,
	    "THE KEY OF HOST %s PORT %u HAS CHANGED to %s: somebody may be in "
	    "between",
	    s->host, s->port, print);
	return dr_err_hint(err,
	    "only if the host was given a new key: ssh-keygen -R, then "
	    "ssh-keyscan into %s, and compare",
	    file);
}

/* --- our side ---------------------------------------------------------------- */

struct tried {
	char text[256]; /* what was tried, for the message */
	bool protected, rsa;
	bool limit; /* the server has had enough */
};

static void
note(struct tried *t, const char *what)
{
	size_t at = strlen(t->text);

	(void)snprintf(t->text + at, sizeof(t->text) - at, "%s%s",
	    at > 0 ? ", " : "", what);
}

/* 1: we are in; 0: not by this; -1: ERR. */
static int
outcome(struct sftp_conn *c, int rc, struct tried *t, struct dr_err *err)
{
	if (rc == 0)
		return 1;
	if (rc == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
	    rc == LIBSSH2_ERROR_SOCKET_SEND ||
	    rc == LIBSSH2_ERROR_SOCKET_RECV) {
		if (*t->text == '\0')
			return dr_err_set(err, DR_ERETRY,
			    "%s hung up before we could log in",
			    c->store->host);
		t->limit = true;
	}
	return 0;
}

static int
by_agent(struct sftp_conn *c, LIBSSH2_AGENT *agent,
    const struct dr_ssh_key *only, struct tried *t, struct dr_err *err)
{
	struct libssh2_agent_publickey *id = NULL;
	int rc, res;

	while (ssh2.agent_get_identity(agent, &id, id) == 0) {
		if (only != NULL &&
		    (id->blob_len != only->len ||
		        memcmp(id->blob, only->blob, only->len) != 0))
			continue;
		while ((rc = ssh2.agent_userauth(agent, c->store->user, id)) ==
		       LIBSSH2_ERROR_EAGAIN)
			if (sftp_wait(c) == -1) {
				*err = c->why;
				return -1;
			}
		if (id->blob_len > 11 &&
		    memcmp(id->blob + 4, "ssh-rsa", 7) == 0)
			t->rsa = true;
		if ((res = outcome(c, rc, t, err)) != 0)
			return res;
		note(t, "a key of the agent's");
		if (t->limit)
			return 0;
	}
	return 0;
}

/*
 * Does it answer at all?  libssh2 would wait for it for ever.  1, 0, -1: a
 * stop signal.
 */
static int
answers(struct sftp_conn *c, const char *sock)
{
	static const unsigned char ask[] = { 0, 0, 0, 1, 11 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	unsigned char byte;
	int fd, rc = 0;

	if (strlen(sock) >= sizeof(un.sun_path))
		return 0;
	memcpy(un.sun_path, sock, strlen(sock) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return 0;
	sftp_patience(c, AGENT_MS);
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 &&
	    send(fd, ask, sizeof(ask), MSG_NOSIGNAL) == sizeof(ask) &&
	    sftp_wait_fd(c, fd, POLLIN) == 0)
		rc = read(fd, &byte, 1) == 1;
	close(fd);
	if (c->why.cause == DR_ERETRY)
		dr_err_clear(&c->why);
	sftp_patience(c, SFTP_STALL_MS);
	return c->why.cause != DR_OK ? -1 : rc;
}

static int
agent(struct sftp_conn *c, const struct dr_ssh_key *only, struct tried *t,
    struct dr_err *err)
{
	const char *sock = getenv("SSH_AUTH_SOCK");
	LIBSSH2_AGENT *a;
	int rc = 0;

	if (sock == NULL || *sock == '\0')
		return 0;
	if ((rc = answers(c, sock)) == -1) {
		*err = c->why;
		return -1;
	}
	if (rc == 0) {
		note(t, "the agent, which does not answer");
		return 0;
	}
	if ((a = ssh2.agent_init(c->session)) == NULL)
		return 0;
	rc = 0;
	if (ssh2.agent_connect(a) != 0 || ssh2.agent_list_identities(a) != 0)
		note(t, "the agent, which does not answer");
	else
		rc = by_agent(c, a, only, t, err);
	(void)ssh2.agent_disconnect(a);
	ssh2.agent_free(a);
	return rc;
}

/* TEXT is that of FILE. */
static int
by_key(struct sftp_conn *c, const char *file, const char *text, size_t len,
    const struct dr_ssh_key *key, struct tried *t, struct dr_err *err)
{
	const char *user = c->store->user;
	char what[160];
	int rc;

	(void)snprintf(what, sizeof(what), "\"%s\"%s", file,
	    key->protected ? " (protected by a passphrase)" : "");
	if (key->protected) {
		t->protected = true;
		note(t, what);
		return 0;
	}
	if (strcmp(key->type, "ssh-rsa") == 0)
		t->rsa = true;
	while ((rc = ssh2.userauth_publickey_frommemory(c->session, user,
	            strlen(user), NULL, 0, text, len, NULL)) ==
	       LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c) == -1) {
			*err = c->why;
			return -1;
		}
	note(t, what);
	return outcome(c, rc, t, err);
}

/* The key in PATH, by the agent if it has it and by itself; 0: no such file. */
static int
key_file(struct sftp_conn *c, const char *path, bool must, struct tried *t,
    struct dr_err *err)
{
	struct dr_ssh_key key;
	struct dr_err e = { 0 };
	size_t len;
	char *text = dr_file_get(path, KEY_MAX, &len, &e);
	int rc = 0;

	if (text == NULL) {
		if (must) {
			*err = e;
			return -1;
		}
		if (errno == EACCES)
			note(t, e.msg);
		return 0;
	}
	dr_ssh_key_look(text, &key);
	if (!key.ok) {
		if (must)
			rc = dr_err_set(err, DR_EFAIL,
			    "\"%s\" is no private key of ssh", path);
	} else {
		if (must && key.len > 0)
			rc = agent(c, &key, t, err);
		if (rc == 0 && !t->limit)
			rc = by_key(c, path, text, len, &key, t, err);
	}
	OPENSSL_cleanse(text, len);
	free(text);
	return rc;
}

static int
log_in(struct sftp_conn *c, struct tried *t, struct dr_err *err)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa",
		"id_rsa" };
	const struct sftp *s = c->store;
	int rc;

	if (s->identity != NULL)
		return key_file(c, s->identity, true, t, err);
	rc = agent(c, NULL, t, err);
	for (size_t i = 0;
	     rc == 0 && !t->limit && i < sizeof(names) / sizeof(names[0]);
	     i++) {
		char *path = home_file(names[i], err);

		if (path == NULL)
			return err->cause != 0 ? -1 : 0;
		rc = key_file(c, path, false, t, err);
		free(path);
	}
	return rc;
}

int
sftp_auth(struct sftp_conn *c, struct dr_err *err)
{
	const struct sftp *s = c->store;
	struct tried t = { "", false, false, false };
	int rc = log_in(c, &t, err);

	if (rc != 0) {
		if (rc == -1)
			dr_err_wrap(err, "cannot log in to %s as \"%s\"",
			    s->host, s->user);
		return rc == 1 ? 0 : -1;
	}
	dr_err_set(err, DR_EFAIL, "%s does not let \"%s\" in; tried: %s",
	    s->host, s->user,
	    *t.text != '\0' ? t.text : "nothing, there is no key");
	if (t.limit)
		dr_err_hint(err,
		    "it hung up after that many keys: name the right one by "
		    "?identity=FILE");
	else if (t.protected)
		dr_err_hint(err,
		    "a key with a passphrase works through ssh-agent alone "
		    "(SSH_AUTH_SOCK)");
	else if (t.rsa)
		dr_err_hint(err,
		    "RSA keys sign by SHA-1 here, which newer servers refuse: "
		    "use an ed25519 key");
	else if (*t.text == '\0')
		dr_err_hint(err,
		    "?identity=FILE names a key; without it the agent's and "
		    "~/.ssh/id_ed25519, id_ecdsa and id_rsa are tried");
	return -1;
}
