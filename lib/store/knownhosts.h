/*
 * knownhosts.h - the keys that hosts are known by, as ssh keeps them
 * (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
 */
#ifndef DR_STORE_KNOWNHOSTS_H
#define DR_STORE_KNOWNHOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_HOST_KEYS 32 /* of one host that are looked at */

/* What is known of one host. */
struct dr_host_keys {
	size_t n;
	struct dr_host_key {
		char type[48];       /* "ssh-ed25519" */
		unsigned char *blob; /* as the server sends it */
		size_t len;
		int revoked;
	} key[DR_HOST_KEYS];
};

/*
 * Add what a file's TEXT says of HOST at PORT: plain names, patterns, hashed
 * names, "[HOST]:PORT".  Lines that cannot be read are passed over, as ssh
 * does; certificate authorities too.
 */
int dr_known_hosts(const char *text, const char *host, uint16_t port,
    struct dr_host_keys *, struct dr_err *);
void dr_host_keys_wipe(struct dr_host_keys *);

enum dr_host_known {
	DR_HOST_MATCH,
	DR_HOST_UNKNOWN,  /* of no key at all */
	DR_HOST_MISMATCH, /* other keys are known */
	DR_HOST_REVOKED,
};

enum dr_host_known dr_host_check(const struct dr_host_keys *,
    const unsigned char *blob, size_t len);

#endif /* !DR_STORE_KNOWNHOSTS_H */
