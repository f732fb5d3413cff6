/*
 * syncnames.h - synchronous_standby_names: what it demands, and of whom.
 *
 * Source: src/backend/replication/syncrep_gram.y and syncrep_scanner.l of
 * PostgreSQL 13 to 18.  Pure.
 */
#ifndef DR_PG_SYNCNAMES_H
#define DR_PG_SYNCNAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_syncnames {
	int wait;      /* W: how many must acknowledge; 0: nobody */
	bool any;      /* ANY: of all; else the first that are there */
	bool everyone; /* "*" is among them: any standby counts */
	size_t n;      /* without "*", and what stands behind it */
	char **name;   /* each once, without regard to ASCII case */
};

/* DR_EUSAGE: PostgreSQL would not take it.  The caller frees it in any case. */
int dr_syncnames_parse(const char *, struct dr_syncnames *, struct dr_err *);
void dr_syncnames_free(struct dr_syncnames *);

/* May a standby of this application_name acknowledge? */
bool dr_syncnames_match(const struct dr_syncnames *, const char *name);

/* Written so that PostgreSQL reads the same; appended.  "" for W = 0. */
int dr_syncnames_format(const struct dr_syncnames *, struct dr_buf *,
    struct dr_err *);

/*
 * The same demand after LEADER took the place of FORMER: the two names change
 * places, so that whoever was primary may be a standby later, and nothing is
 * demanded of whoever is primary now.  The same names where LEADER is none of
 * them.  The caller frees OUT in any case.
 */
int dr_syncnames_swap(const struct dr_syncnames *, const char *leader,
    const char *former, struct dr_syncnames *out, struct dr_err *);

/*
 * Is every commit that was acknowledged held by one of those that are cut
 * off?  N names can acknowledge, W must; CUT of them are cut off from the
 * primary and their end is known.  True (none is lost) exactly when CUT + W >
 * N, W > 0, and "*" is not among the names.  With FIRST and more names than W
 * the others may have stood in for the first: they all count.  Two standbys
 * of one name make it untrue; the caller looks for them.
 */
bool dr_syncnames_held(const struct dr_syncnames *, size_t cut);

#endif /* !DR_PG_SYNCNAMES_H */
