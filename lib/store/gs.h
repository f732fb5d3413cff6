/*
 * gs.h - Google Cloud Storage: its XML API, which speaks the language of S3
 * with names of its own (s3.h), but for uploads of unknown length.
 *
 * There, uploads in parts take no conditions, and so would replace what is
 * there; resumable ones take them.  A body goes up in one of those, piece
 * after piece, and becomes the object when the last has arrived.
 *
 * Source: the reference of the XML API of Cloud Storage; "Resumable uploads",
 * "Request preconditions", "HMAC keys", "Object retention lock" in its
 * documentation.
 */
#ifndef DR_STORE_GS_H
#define DR_STORE_GS_H

#include "store/s3.h"

/* Pieces, but the last, are a multiple of 256 KiB. */
#define DR_GS_PIECE (8U << 20)

extern const struct dr_s3_dialect dr_gs_dialect;

struct dr_sink *dr_gs_put(struct dr_store *, const char *name, struct dr_err *);

/*
 * The "Content-Range" of LEN bytes at OFF; LAST: the body ends with them.
 * OUT has 80 bytes.
 */
char *dr_gs_range(uint64_t off, uint64_t len, bool last, char *out);
/* How many bytes the "Range" of a reply says have arrived; NULL: 0. */
bool dr_gs_arrived(const char *range, uint64_t *bytes);
/*
 * The CRC-32C in the x-goog-hash headers of a reply ("crc32c=BASE64", one
 * each or in a list).  1, 0 none.
 */
bool dr_gs_crc(const struct dr_http_req *, uint32_t *crc);

#endif /* !DR_STORE_GS_H */
