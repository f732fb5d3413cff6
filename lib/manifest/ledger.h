/*
 * ledger.h - ledgers: signed, chained lists of the WAL objects that a writer
 * stored (dr-formats(5)).  Pure.
 *
 * n counts from 1 for each set, system id and signer, over all timelines.
 */
#ifndef DR_MANIFEST_LEDGER_H
#define DR_MANIFEST_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

#define DR_LEDGER_MAX    (4U << 20) /* bytes of one ledger's file */
#define DR_LEDGER_SIGNER 17         /* a key id and a NUL */

/* What a writer puts into one, so that it stays below that. */
#define DR_LEDGER_OBJECTS 8192
#define DR_LEDGER_GAPS    1024

struct dr_ledger_object {
	char *name; /* the object's last part */
	uint64_t size;
	char sha256[DR_SHA256_HEX]; /* of the stored bytes */
};

struct dr_ledger_gap {
	char *store;       /* URL; "" when in all */
	uint32_t tli;      /* its ledger's */
	uint64_t from, to; /* LSNs */
};

struct dr_ledger {
	char set[65], signer[DR_LEDGER_SIGNER];
	uint64_t system_id;
	uint32_t tli; /* in whose folder it and its objects lie */
	uint64_t n;
	int64_t time;    /* microseconds */
	char *prev_name; /* its last part; NULL: the first */
	char prev_sha256[DR_SHA256_HEX];
	struct dr_ledger_object *object;
	size_t objects;
	struct dr_ledger_gap *gap;
	size_t gaps;
};

/* "ledger-SIGNER-TIME-N.json", TIME to the second, N of 10 digits; on the heap.
 */
char *dr_ledger_name(const struct dr_ledger *, struct dr_err *);
/* Is it such a name?  1, and signer, time (whole seconds) and n are set; or 0.
 */
int dr_ledger_name_parse(const char *name, struct dr_ledger *);

/*
 * The text of a ledger's file.  NAME is for messages: whether it belongs
 * where it lies is for the caller to see.  DR_EDATA.  Then wiped.
 */
int dr_ledger_parse(const char *, size_t, const char *name, struct dr_ledger *,
    struct dr_err *);
/* One line and a newline. */
int dr_ledger_write(const struct dr_ledger *, struct dr_buf *, struct dr_err *);
int dr_ledger_add(struct dr_ledger *, const char *name, uint64_t size,
    const char *sha256, struct dr_err *);
int dr_ledger_add_gap(struct dr_ledger *, const char *store, uint64_t from,
    uint64_t to, struct dr_err *);
void dr_ledger_wipe(struct dr_ledger *);

/*
 * What WAL of one timeline is there, as ranges of LSN: built from whole
 * segments and increments in any order; overlaps join.
 */
struct dr_walmap {
	struct dr_range {
		uint64_t from, to;
	} * v; /* sorted, apart */
	size_t n;
};

/* FROM to TO is there, too (nothing if it is empty). */
int
dr_walmap_add(struct dr_walmap *, uint64_t from, uint64_t to, struct dr_err *);
/* The end of the run that holds LSN, or LSN itself when none does. */
uint64_t dr_walmap_reach(const struct dr_walmap *, uint64_t lsn);
void dr_walmap_free(struct dr_walmap *);

#endif /* !DR_MANIFEST_LEDGER_H */
