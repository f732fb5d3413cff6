/*
 * sealing.h - streams sealed and opened: the manifest's "seal" field, and
 * the two directions of dr-seal(1) between an input and an output.
 */
#ifndef DR_FLOW_SEALING_H
#define DR_FLOW_SEALING_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/seal.h"
#include "flow/input.h"
#include "flow/output.h"

/* What manifests call a cipher's format. */
const char *dr_seal_format(enum dr_cipher);

/*
 * Set "seal": the format, and the recipients' number and fingerprints, at
 * most 16 of these.
 */
int dr_seal_facts(json_t *manifest, enum dr_cipher,
    const struct dr_recipients *, struct dr_err *);

/*
 * Recipients from words ("age1...") and files; DR_EUSAGE and a hint where
 * there is none at all.
 */
struct dr_recipients *dr_recipients_gather(const struct dr_strs *words,
    const struct dr_strs *files, struct dr_err *);

/* Identities from files and a command's output (NULL: none); the same. */
struct dr_identities *dr_identities_gather(const struct dr_strs *files,
    const char *command, const char *passphrase_file, struct dr_err *);

/*
 * All of IN sealed into OUT, which is committed with IN's manifest and the
 * facts of the seal.  What is sealed already is refused: DR_EUSAGE.
 */
int dr_seal_stream(struct dr_input *in, struct dr_output *out, enum dr_cipher,
    const struct dr_recipients *, struct dr_err *);

/* The reverse; the facts are taken out again. */
int dr_unseal_stream(struct dr_input *in, struct dr_output *out,
    const struct dr_identities *, struct dr_err *);

#endif /* !DR_FLOW_SEALING_H */
