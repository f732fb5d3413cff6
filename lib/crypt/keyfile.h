/*
 * keyfile.h - what a key file is, for dr-key(1): identities and recipients
 * of age, keys and signatures of minisign.
 */
#ifndef DR_CRYPT_KEYFILE_H
#define DR_CRYPT_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/bech32.h"
#include "crypt/minisign.h"

enum dr_key_kind {
	DR_KEY_IDENTITY,
	DR_KEY_RECIPIENT,
	DR_KEY_SIGN_SECRET,
	DR_KEY_SIGN_PUBLIC,
	DR_KEY_SIGNATURE,
};

/* "identity", "recipient", "signing key", "verify key", "signature". */
const char *dr_key_kind_name(enum dr_key_kind);

struct dr_key_fact {
	enum dr_key_kind kind;
	bool passphrase; /* protected by one; what it hides is "" below */
	char public[DR_BECH32_LEN]; /* age1... or RW...; "" in a signature */
	char id[DR_KEYID_HEX];      /* fingerprint, or minisign's key id */
	char *trusted;              /* a signature's comment; owned */
};

struct dr_key_facts {
	struct dr_key_fact *v;
	size_t n, cap;
};

/*
 * All keys in PATH ("-": standard input).  A protected one is opened only
 * if PASSPHRASE_FILE is not NULL.  DR_EUSAGE where it is no key file at all,
 * DR_EDATA where a key is damaged.
 */
int dr_key_facts(struct dr_key_facts *, const char *path,
    const char *passphrase_file, struct dr_err *);
void dr_key_facts_free(struct dr_key_facts *);

/* Append what is known of a key of FILE: lines for people, or a JSON line. */
int dr_key_fact_text(const struct dr_key_fact *, const char *file,
    struct dr_buf *out, struct dr_err *);
int dr_key_fact_json(const struct dr_key_fact *, const char *file,
    struct dr_buf *out, struct dr_err *);

/* Audit (base/audit.h) that a key was made: its public name and its file. */
int dr_key_audit(const char *kind, const char *public, const char *file,
    struct dr_err *);

#endif /* !DR_CRYPT_KEYFILE_H */
