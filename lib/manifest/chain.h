/*
 * chain.h - the links between the manifests of one set and one signer: what
 * was lost, rolled back or forked shows here.  Pure.
 *
 * A signer's manifests of a set form one chain: seq grows by one and
 * "previous" holds the id and the SHA-256 of the file before.  A manifest
 * with no previous starts a chain and says why.  A manifest that some store
 * never got is listed in a later one's "abandoned".
 */
#ifndef DR_MANIFEST_CHAIN_H
#define DR_MANIFEST_CHAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "manifest/manifest.h"

#define DR_SHA256_TEXT 65 /* hex and a NUL */
#define DR_HEADS_MAX   16

/* One manifest, as far as the chain goes.  Strings are borrowed. */
struct dr_link {
	const char *id, *sha256; /* of the manifest's file */
	const char *signer;
	uint64_t seq;
	const char *prev_id, *prev_sha256; /* NULL: starts a chain */
	const char *start;                 /* why, or NULL */
	const json_t *abandoned;           /* list of {id, seq, sha256} */
	bool pruned; /* its body may be gone, the link is not */
};

/* From a manifest that dr_manifest_parse took; SHA256 is that of its file. */
int dr_link_from(const json_t *manifest, const char *sha256, bool pruned,
    struct dr_link *, struct dr_err *);

/* The newest manifest of a chain. */
struct dr_head {
	char id[DR_ID_LEN];
	char sha256[DR_SHA256_TEXT];
	uint64_t seq;
};

struct dr_heads {
	struct dr_head v[DR_HEADS_MAX];
	size_t n;
};

enum dr_chain_what {
	DR_CHAIN_START,    /* a chain starts anew; a remark, no fault */
	DR_CHAIN_GAP,      /* one that was abandoned is not there; a remark */
	DR_CHAIN_HOLE,     /* a manifest that should be there is not */
	DR_CHAIN_FORK,     /* two follow the same one */
	DR_CHAIN_ORDER,    /* seq does not grow by one */
	DR_CHAIN_REPLACED, /* one that is linked or seen has another hash */
	DR_CHAIN_VANISHED, /* a head seen earlier is not there: rollback */
};

/* Is it a fault (and not only a remark)? */
bool dr_chain_fault(enum dr_chain_what);

struct dr_chain_ops {
	/* ID is the manifest that shows it; TEXT a whole message. */
	int (*report)(void *, enum dr_chain_what, const char *id,
	    const char *text, struct dr_err *);
	void *arg;
};

/*
 * Check the N links at V, all of one set and SIGNER, in any order, against
 * each other and the heads SEEN earlier (NULL: none).  *HEADS receives the
 * newest of each chain (the highest seq first, DR_HEADS_MAX at most).  Faults
 * go to report, whose -1 ends it; returns -1 only then or without memory.
 */
int
dr_chain_check(const struct dr_link *v, size_t n, const struct dr_heads *seen,
    const struct dr_chain_ops *, struct dr_heads *heads, struct dr_err *);

#endif /* !DR_MANIFEST_CHAIN_H */
