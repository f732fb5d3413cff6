/*
 * restore_command.h - the restore_command of a restored cluster: `dr-wal get`
 * with all it needs, written so that neither the server's own escapes, nor
 * the shell, nor another current directory change a word of it.
 */
#ifndef DR_FLOW_RESTORE_COMMAND_H
#define DR_FLOW_RESTORE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

struct dr_command_opts {
	const char *set, *state; /* state NULL: the default of its user */
	struct dr_store *const *stores;
	size_t nstores;
	uint64_t system_id;
	const struct dr_strs *identities;
	const char *identity_command, *passphrase_file; /* or NULL */
	const char *verify_key; /* NULL: no signature wanted */
	const char *ca_file;    /* or NULL */
	bool standby;
};

/*
 * Append it.  Files are named by their absolute paths, and must exist:
 * DR_EUSAGE for what the server could not read again, as a pipe.
 */
int dr_restore_command(const struct dr_command_opts *, struct dr_buf *,
    struct dr_err *);

/* One word for sh(1), with each % doubled. */
int dr_command_word(struct dr_buf *, const char *, struct dr_err *);

/* A value for postgresql.auto.conf, in quotes. */
int dr_conf_value(struct dr_buf *, const char *, struct dr_err *);

#endif /* !DR_FLOW_RESTORE_COMMAND_H */
