/*
 * content.h - a signed line inside a seal, and the stanza by which its writer
 * knows his own content again without the identity (dr-formats(5)).
 */
#ifndef DR_CRYPT_CONTENT_H
#define DR_CRYPT_CONTENT_H

#include <stddef.h>

#include "base/err.h"
#include "crypt/minisign.h"
#include "crypt/seal.h"

#define DR_LINE_SIG    72 /* key id, 8 bytes; Ed25519 signature, 64 */
#define DR_CONTENT_MAC 32

/* Ed25519 over the LEN bytes of LINE themselves (not prehashed). */
int dr_sign_line(const struct dr_sign_key *, const char *line, size_t len,
    unsigned char out[DR_LINE_SIG], struct dr_err *);
/* DR_EDATA unless signed by one of KEYS, which is then named in SIGNER. */
int dr_verify_line(const struct dr_verify_keys *, const char *line, size_t len,
    const unsigned char sig[DR_LINE_SIG], char signer[DR_KEYID_HEX],
    struct dr_err *);

/*
 * BLAKE2b-256 over LINE, keyed with BLAKE2b-256 of "drtools content v1"
 * keyed with the Ed25519 seed.
 */
int dr_content_mac(const struct dr_sign_key *, const char *line, size_t len,
    unsigned char mac[DR_CONTENT_MAC], struct dr_err *);

/*
 * As dr_seal_new, with "-> drtools-content SIGNER MAC" in the header.  *DRAFT
 * (it, or DRAFT, may be NULL) was made for the same cipher and recipients; it
 * is used up, whatever comes of it, and set to NULL.
 */
struct dr_sink *dr_seal_content(struct dr_sink *next, enum dr_cipher,
    const struct dr_recipients *, const char *signer,
    const unsigned char mac[DR_CONTENT_MAC], struct dr_seal_draft **draft,
    struct dr_err *);

/*
 * The stanza in the first bytes of a sealed object (LEN of them, at most a
 * whole header): 1 found, 0 none there, -1 no header, or damaged, or longer
 * than LEN.
 */
int dr_content_find(const void *head, size_t len, char signer[DR_KEYID_HEX],
    unsigned char mac[DR_CONTENT_MAC], struct dr_err *);

#endif /* !DR_CRYPT_CONTENT_H */
