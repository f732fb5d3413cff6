/*
 * stores.h - the set and the stores a command line names, and the options
 * that say how to treat them.
 */
#ifndef DR_FLOW_STORES_H
#define DR_FLOW_STORES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"
#include "flow/check.h"
#include "store/store.h"

/*
 * The operands ARGV (N of them), added to *OUT, which the caller frees; if
 * it is empty then, the words of DR_STORE, which live until the process
 * ends.  None: DR_EUSAGE and a hint.
 */
int dr_stores_named(int n, char *const argv[], struct dr_strs *out,
    struct dr_err *);

/* SET, where one must be given: DR_EUSAGE when it is NULL or no set's name. */
int dr_set_named(const char *set, struct dr_err *);

/*
 * What options say of the stores.  Parsed into first; dr_stores_how makes
 * HOW of it, which is what stores are opened with.
 */
struct dr_stores_line {
	struct dr_store_opts how;
	bool check;
	int lock_days, lock_mode;
	int64_t lock_until;
};
#define DR_STORES_LINE_INIT                              \
	{                                                \
		.lock_mode = -1, .lock_until = INT64_MIN \
	}

/* Entries of a table of options, in every tool that takes a store. */
#define DR_OPTS_STORE(line)                                                 \
	{ "check", 0, DR_OPT_FLAG, &(line)->check, 0, 0, NULL,              \
		"try what the stores allow and hold to, and nothing else",  \
		NULL },                                                     \
	    { "ca-file", 0, DR_OPT_STR, &(line)->how.ca_file, 0, 0, "FILE", \
		    "trust the authorities in FILE, and no others", NULL }, \
	{                                                                   \
		"allow-no-create-only", 0, DR_OPT_FLAG,                     \
		    &(line)->how.allow_no_create_only, 0, 0, NULL,          \
		    "a store may be one where objects can be "              \
		    "overwritten",                                          \
		    NULL                                                    \
	}

/* In those that write what is to be kept. */
#define DR_OPTS_LOCK(line)                                                     \
	{ "lock-days", 0, DR_OPT_INT, &(line)->lock_days, 1, 36500, "N",       \
		"lock what is stored for N days", NULL },                      \
	    { "lock-until", 0, DR_OPT_TIME, &(line)->lock_until, 0, 0, "TIME", \
		    "lock what is stored until TIME", NULL },                  \
	    { "lock-mode", 0, DR_OPT_CHOICE, &(line)->lock_mode, 0, 0,         \
		    "compliance|governance",                                   \
		    "who may lift the lock: nobody, or a privileged "          \
		    "user (compliance)",                                       \
		    NULL },                                                    \
	{                                                                      \
		"legal-hold", 0, DR_OPT_FLAG, &(line)->how.lock.hold, 0, 0,    \
		    NULL,                                                      \
		    "lock what is stored until further "                       \
		    "notice",                                                  \
		    NULL                                                       \
	}

/* In those that write bodies. */
#define DR_OPTS_BODY(line)                                                   \
	{ "storage-class", 0, DR_OPT_STR, &(line)->how.storage_class, 0, 0,  \
		"CLASS", "store in CLASS", NULL },                           \
	    { "sse", 0, DR_OPT_STR, &(line)->how.sse, 0, 0, "KIND",          \
		    "let the store encrypt, by KIND", NULL },                \
	{                                                                    \
		"limit-rate", 0, DR_OPT_SIZE, &(line)->how.limit_rate, 0, 0, \
		    "SIZE",                                                  \
		    "send at most SIZE a second, to all stores "             \
		    "together",                                              \
		    NULL                                                     \
	}

/*
 * After parsing: HOW's lock, its days counted from now.  DR_EUSAGE for what
 * contradicts itself, a time that has passed, or a file that cannot be read.
 */
int dr_stores_how(struct dr_stores_line *, struct dr_err *);

/* HOW, for a store that is only read: nothing of how to keep objects. */
struct dr_store_opts dr_stores_reading(const struct dr_store_opts *how);

/*
 * --check: try the stores named (as dr_stores_named has them), and report on
 * standard output (flow/check.h).  SET may be NULL.
 */
int dr_stores_check(enum dr_role, const char *set, int n, char *const argv[],
    struct dr_strs *stores, struct dr_stores_line *, bool json,
    struct dr_err *);

/* When a lock of DAYS from now ends: whole seconds, as stores keep it. */
int64_t dr_lock_end(int days);

#endif /* !DR_FLOW_STORES_H */
