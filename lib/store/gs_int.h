/*
 * gs_int.h - what the files of gs_auth.c share; nobody else includes it.
 */
#ifndef DR_STORE_GS_INT_H
#define DR_STORE_GS_INT_H

#include "store/gs_auth.h"

/* A token for what the file at PATH describes: 0, -1. */
int dr_gs_from_file(const char *path, const struct dr_http_opts *,
    struct dr_aws_keys *, struct dr_err *);
/*
 * Of the metadata server: 1, 0 there is none (only where nobody named one
 * and not AGAIN), -1.
 */
int dr_gs_from_metadata(bool again, struct dr_aws_keys *, struct dr_err *);

#endif /* !DR_STORE_GS_INT_H */
