/*
 * mirror_int.h - a run of dr_mirror, shared by its parts.
 */
#ifndef DR_FLOW_MIRROR_INT_H
#define DR_FLOW_MIRROR_INT_H

#include "base/hash.h"
#include "crypt/minisign.h"
#include "flow/mirror.h"

/* --- transfers (mirror_copy.c) ------------------------------------------------ */

/*
 * Processes that copy objects, one at a time each.  They are begun when the
 * first object is handed to them.
 */
struct dr_copiers;

/* One object; the strings are borrowed until dr_copiers_wait has returned. */
struct dr_copy {
	const char *name;
	uint64_t size;
	char sha256[DR_SHA256_HEX]; /* "": nobody has signed for it */
	/* What came of it: OK; DR_EDATA: it is not what was signed. */
	enum dr_cause result;
	bool ended; /* result is known */
};

struct dr_copiers *
dr_copiers_new(const struct dr_mirror_opts *, struct dr_err *);
/*
 * Hand C over, waiting for a process that is free.  -1: stopped, broken, or
 * so many have failed in a row that the rest would.
 */
int dr_copiers_add(struct dr_copiers *, struct dr_copy *c, struct dr_err *);
/* Until C has ended, or with NULL all that were handed over. */
int
dr_copiers_wait(struct dr_copiers *, const struct dr_copy *c, struct dr_err *);
/* The first failure of one, and how much has been copied. */
const struct dr_err *dr_copiers_failure(const struct dr_copiers *);
void dr_copiers_free(struct dr_copiers *);

/*
 * What all processes together keep to.  RATE: bytes a second, 0 any.  wait:
 * until BYTES more may be moved; -1: stopped.
 */
struct dr_pace;
struct dr_pace *dr_pace_new(uint64_t rate, struct dr_err *);
int dr_pace_wait(struct dr_pace *, uint64_t bytes, struct dr_err *);
void dr_pace_free(struct dr_pace *);

/*
 * In this process: C from SRC to DST.  0 also when the same bytes were there.
 */
int dr_copy_object(struct dr_store *src, struct dr_store *dst,
    const struct dr_copy *c, struct dr_pace *, struct dr_err *);

/* --- what is there (mirror_look.c) --------------------------------------------- */

/* Names and sizes that a store holds under a prefix, in 16 bytes each. */
struct dr_present {
	unsigned char (*v)[16];
	size_t n, cap;
};
int dr_present_read(struct dr_store *, const char *prefix, struct dr_present *,
    struct dr_err *);
/* One more, and, after the last, so that they can be found. */
int dr_present_add(struct dr_present *, const char *name, uint64_t size,
    struct dr_err *);
void dr_present_sort(struct dr_present *);
/* Is it there with that size? */
bool dr_present_has(const struct dr_present *, const char *name, uint64_t size);
/* The same of a manifest or marker (".json"), whatever its size. */
bool dr_present_named(const struct dr_present *, const char *name);
void dr_present_wipe(struct dr_present *);

/* Names that are to be copied, without what all begin with. */
struct dr_wants {
	struct dr_buf names; /* each with a NUL */
	struct dr_want {
		uint32_t name; /* its place in names */
		uint32_t signed_size;
		bool signed_for, other_size;
		unsigned char sha256[DR_SHA256_LEN];
		uint64_t size;
	} * v;
	size_t n, cap;
};
int dr_wants_add(struct dr_wants *, const char *name, uint64_t size,
    struct dr_err *);
const char *dr_want_name(const struct dr_wants *, const struct dr_want *);
void dr_wants_wipe(struct dr_wants *);

/* --- one set ------------------------------------------------------------------- */

struct dr_mirror {
	const struct dr_mirror_opts *o;
	const struct dr_mirror_hooks *hooks;
	struct dr_store *src, *dst;
	struct dr_verify_keys *keys; /* NULL with no_signature */
	struct dr_copiers *copiers;
	struct dr_mirror_sum sum; /* of the set at hand */
	struct dr_err first;      /* the first failure */
};

/* It is lacking: count it, tell of it. */
int dr_mirror_lacks(struct dr_mirror *, const char *name, uint64_t size,
    struct dr_err *);
/* Count and remember what came of a copy. */
void dr_mirror_copied(struct dr_mirror *, const struct dr_copy *);
/* NAME cannot be had from the source, or not be trusted: warned of, counted. */
void dr_mirror_bad(struct dr_mirror *, const char *name, const struct dr_err *);

/*
 * The parts of a set: 0 even when some objects could not be copied (see sum);
 * -1 when there is no going on.
 */
int dr_mirror_wal(struct dr_mirror *, struct dr_err *);
int dr_mirror_snap(struct dr_mirror *, struct dr_err *);
int dr_mirror_rekey(struct dr_mirror *, struct dr_err *);

/*
 * The file NAME of the source, as dr_signed_read gives it, also from beneath
 * an overwrite.
 */
int dr_mirror_read(struct dr_mirror *, const char *name, size_t max,
    char **text, size_t *len, char **sig, size_t *sig_len, struct dr_err *);
/*
 * The file NAME and its NAME.minisig, which are signed for that name: the
 * signature first.
 */
int dr_mirror_signed(struct dr_mirror *, const char *name, size_t max,
    struct dr_err *);
/* The same of text that was read and checked already. */
int dr_mirror_text(struct dr_mirror *, const char *name, const char *text,
    size_t len, const char *sig, size_t sig_len, struct dr_err *);

#endif /* !DR_FLOW_MIRROR_INT_H */
