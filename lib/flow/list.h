/*
 * list.h - what backups there are, and what is in one of them, as text for
 * people or as JSON, one object a line.
 */
#ifndef DR_FLOW_LIST_H
#define DR_FLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "stream/sink.h"

struct dr_list_opts {
	const char *set; /* NULL: all of the store */
	const char *verify_key;
	bool no_signature;
	const char *state;
	const char *const *stores;
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	bool json;
	/* for the members of one backup */
	const char *id;
	const struct dr_strs *identities;
	const char *identity_command, *passphrase_file;
};

/*
 * The backups of all stores into OUT, which is not finished.  Those that
 * are damaged or not to be trusted are listed, and then it is DR_EDATA; so
 * are those that cannot be read now, and then it is DR_EFAIL; a store
 * that cannot be read is DR_EPARTIAL when another could be.
 */
int dr_list(const struct dr_list_opts *, struct dr_sink *out, struct dr_err *);

/*
 * The members of one backup, from the first store that has it: by the index
 * of a packed body, else by reading the whole.
 */
int dr_list_members(const struct dr_list_opts *, struct dr_sink *out,
    struct dr_err *);

/* Append PATH as `ls -b` would show it. */
int dr_list_escape(struct dr_buf *, const char *path, struct dr_err *);

#endif /* !DR_FLOW_LIST_H */
