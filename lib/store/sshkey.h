/*
 * sshkey.h - what can be told of a private key file of ssh without opening
 * it (PROTOCOL.key of OpenSSH, and PEM).
 */
#ifndef DR_STORE_SSHKEY_H
#define DR_STORE_SSHKEY_H

#include <stdbool.h>
#include <stddef.h>

struct dr_ssh_key {
	bool ok;        /* it looks like a private key */
	bool protected; /* by a passphrase */
	char type[48];  /* "ssh-ed25519"; "" where only the key knows */
	unsigned char blob[2048]; /* the public key, as agents name it */
	size_t len;               /* 0: not known */
};

/* TEXT ends with a NUL. */
void dr_ssh_key_look(const char *text, struct dr_ssh_key *);

#endif /* !DR_STORE_SSHKEY_H */
