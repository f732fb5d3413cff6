/*
 * walget.h - a file of WAL for a server that recovers: what dr-wal get does.
 */
#ifndef DR_FLOW_WALGET_H
#define DR_FLOW_WALGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#define DR_WALGET_MS         60000 /* the deadline, and that of a standby */
#define DR_WALGET_STANDBY_MS 2000

/*
 * What restore_command has to say.  A server takes 1 to 125 as "there is no
 * such file" and may end its recovery there; above, it stops.
 */
enum dr_walget_status {
	DR_WALGET_DONE = 0,
	DR_WALGET_ABSENT = 1,
	DR_WALGET_FAILED = 255,
};

struct dr_walget_opts {
	const char *set, *state;
	const char *const *stores; /* in the order to try them */
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	struct dr_strs identities;
	const char *identity_command, *passphrase_file;
	const char *verify_key; /* NULL: STATE/sign.key.pub */
	bool no_signature;
	bool standby;        /* failures are to be tried again: 1 */
	uint64_t timeout_ms; /* 0: by standby */
	uint64_t system_id; /* 0: that of the data directory, or the only one */
	const char *name, *dest;
};

/*
 * Bring NAME to DEST, whole and durable, in place of what is there.  The
 * stores are asked in a process of their own, which is killed at the
 * deadline, or, where there are several, when a store takes more than its
 * share: a store that hangs cannot make this hang.
 *
 * With DR_WALGET_ABSENT, ERR is set only if it stands for a failure
 * (standby).  A stop signal: DR_WALGET_FAILED and DR_ESTOP.  Writes metrics.
 */
enum dr_walget_status dr_walget(const struct dr_walget_opts *, struct dr_err *);

/*
 * The system id in the control file of the data directory that DEST lies in
 * (or, for a relative DEST, of the working directory): 1, 0 there is none,
 * -1.
 */
int dr_walget_system(const char *dest, uint64_t *system_id, struct dr_err *);

/* A system identifier in decimal, as --system-id has it.  DR_EUSAGE. */
int dr_walget_number(const char *, uint64_t *system_id, struct dr_err *);

#endif /* !DR_FLOW_WALGET_H */
