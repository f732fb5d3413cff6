/*
 * walobj.h - WAL in a store: what its objects are called, how they are made,
 * signed for their place, sealed, and opened again (dr-formats(5)).
 */
#ifndef DR_FLOW_WALOBJ_H
#define DR_FLOW_WALOBJ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "crypt/content.h"
#include "pg/wal.h"
#include "store/store.h"
#include "stream/blob.h"

/* The place of one object: what its signature binds it to. */
struct dr_wal_job;
struct dr_wal_id {
	const char *set; /* borrowed */
	uint64_t system_id;
	struct dr_wal_file file;
	char name[DR_WAL_NAME_MAX]; /* as PostgreSQL names the file */
	bool increment;         /* bytes FROM to TO of an unfinished segment */
	uint32_t from, to;      /* whole file: 0 and its length */
	struct dr_wal_job *job; /* see dr_wal_begin; else NULL */
};

/*
 * "SET/wal/SYSID/TLI/NAME.zst.age" (".FROM-TO" before ".zst" for an
 * increment), on the heap.
 */
char *
dr_wal_object_name(const struct dr_wal_id *, enum dr_cipher, struct dr_err *);
/* "SET/wal/SYSID/" or, with TLI, "SET/wal/SYSID/TLI/", on the heap. */
char *dr_wal_prefix(const char *set, uint64_t system_id, uint32_t tli,
    struct dr_err *);
/*
 * The reverse, for names from a listing: 1 and *ID (set borrowed from the
 * caller's SET; to is 0 for a whole file: its length is not in the name),
 * 0: not a WAL object (a ledger, something else).
 */
int dr_wal_object_parse(const char *set, const char *object, struct dr_wal_id *,
    enum dr_cipher *);

/*
 * The line that is signed: "drtools wal v1 SET SYSTEMID TLI NAME FROM TO
 * SHA256\n", with TLI, FROM and TO of 8 upper-case hex digits and the
 * SHA-256 of the uncompressed bytes in lower-case hex.
 */
int dr_wal_line(const struct dr_wal_id *, const char sha256[DR_SHA256_HEX],
    struct dr_buf *, struct dr_err *);

/*
 * On pgbench's WAL level 3 stores a fifth less and takes twice the time,
 * which would be most of a push's.
 */
#define DR_WAL_LEVEL 1

struct dr_wal_opts {
	const struct dr_sign_key *key;
	const struct dr_recipients *recipients;
	enum dr_cipher cipher;
	int level;   /* zstd; 0: DR_WAL_LEVEL */
	int workers; /* threads of the codec's pool beside the caller */
	struct dr_seal_draft **draft; /* see dr_seal_content; or NULL */
};

/* An object, ready to be put. */
struct dr_wal_made {
	struct dr_buf sealed; /* its bytes; owned */
	char line[512];       /* what was signed */
	unsigned char mac[DR_CONTENT_MAC];
	char sha256[DR_SHA256_HEX]; /* of the sealed bytes */
};

/*
 * Compress, sign and seal LEN bytes at DATA, while they are hashed.  A whole
 * file's id->to is set to LEN.  Threads only inside the codec's pool.
 */
int dr_wal_make(const struct dr_wal_opts *, struct dr_wal_id *,
    const void *data, size_t len, struct dr_wal_made *, struct dr_err *);
void dr_wal_made_free(struct dr_wal_made *);

/*
 * Begin to hash what dr_wal_make will be given for ID, and to compress it in
 * threads, while its bytes are still being read: dr_wal_fed says how many
 * are there by now.  dr_wal_make takes the job; without that dr_wal_drop
 * ends it.  DATA must stay until then.
 */
int dr_wal_begin(struct dr_wal_id *, const void *data, size_t len, int level,
    int workers, struct dr_err *);
int dr_wal_fed(struct dr_wal_id *, size_t n, struct dr_err *);
void dr_wal_drop(struct dr_wal_id *);

/*
 * Open an object: unseal, unpack, hash, and release the bytes into OUT only
 * when they are signed for exactly ID by one of KEYS (NULL: no signature
 * wanted, by the user's say-so).  For a whole file id->to is set.  DR_EDATA
 * otherwise.  Thread-safe for different OUT.  SIGNER may be NULL.
 */
int dr_wal_open(struct dr_blob *object, const struct dr_identities *,
    const struct dr_verify_keys *keys, struct dr_wal_id *, struct dr_buf *out,
    char signer[DR_KEYID_HEX], struct dr_err *);

/*
 * Is the object of that name in STORE one of ours with this very content, by
 * the stanza in its header?  1 yes, 0 other content or another's, -1 it
 * cannot be told (absent, unreadable).
 */
int dr_wal_same(struct dr_store *, const char *object, const char *signer,
    const unsigned char mac[DR_CONTENT_MAC], struct dr_err *);

#endif /* !DR_FLOW_WALOBJ_H */
