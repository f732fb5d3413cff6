/*
 * unseal.h - opening sealed data whose key comes from elsewhere than
 * identities: what seal.h's openers are made of.
 */
#ifndef DR_CRYPT_UNSEAL_H
#define DR_CRYPT_UNSEAL_H

#include "base/err.h"
#include "crypt/header.h"
#include "stream/source.h"

/*
 * Gives the file key for a header, e.g. dr_header_open by identities; ARG is
 * what dr_unseal_with was given.
 */
typedef int dr_open_fn(const struct dr_header *, const void *arg,
    struct dr_filekey *, struct dr_err *);

/* As dr_unseal_new, with the key from OPEN. */
struct dr_source *dr_unseal_with(struct dr_source *next, dr_open_fn *open,
    const void *arg, struct dr_err *);

#endif /* !DR_CRYPT_UNSEAL_H */
