/*
 * pull.h - a backup, its manifest or any object, out of a store.
 */
#ifndef DR_FLOW_PULL_H
#define DR_FLOW_PULL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "flow/catalogue.h"
#include "flow/output.h"

struct dr_pull_opts {
	const char *set;    /* not needed with object */
	const char *id;     /* as dr_backups_find takes it */
	const char *object; /* this object as it is, unverified */
	bool manifest;      /* the manifest's file instead of the body */
	const char *verify_key;
	bool no_signature;
	const char *state;
	const char *const *stores; /* tried in order */
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	struct dr_output_opts out;
};

/*
 * Copy it to the output.  A body's size and SHA-256 are checked as it goes:
 * where they are wrong, DR_EDATA, and no end mark or name.
 */
int dr_pull(const struct dr_pull_opts *, struct dr_err *);

#endif /* !DR_FLOW_PULL_H */
