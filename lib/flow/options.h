/*
 * options.h - entries of tables of options (base/opt.h) that several tools
 * have in common.  Those about stores are in stores.h.
 */
#ifndef DR_FLOW_OPTIONS_H
#define DR_FLOW_OPTIONS_H

#include "base/opt.h"

/* Into a struct dr_output_opts; WHAT is the help of -o. */
#define DR_OPTS_OUTPUT(to, what)                                              \
	{ "output", 'o', DR_OPT_STR, &(to)->path, 0, 0, "FILE", what, NULL }, \
	    { "force", 'f', DR_OPT_FLAG, &(to)->force, 0, 0, NULL,            \
		    "replace an existing FILE", NULL },                       \
	    { "stream", 0, DR_OPT_FLAG, &(to)->stream, 0, 0, NULL,            \
		    "write the end mark to a regular file too", NULL },       \
	{                                                                     \
		"body", 0, DR_OPT_FLAG, &(to)->body, 0, 0, NULL,              \
		    "write no end mark, for other programs", NULL             \
	}

/* Files of keys to verify with, and the say-so to do without. */
#define DR_OPTS_TRUST(key, none)                                  \
	{ "verify-key", 'K', DR_OPT_STR, key, 0, 0, "FILE",       \
		"public keys to trust (STATE/sign.key.pub)",      \
		"DR_VERIFY_KEY" },                                \
	{                                                         \
		"no-signature", 0, DR_OPT_FLAG, none, 0, 0, NULL, \
		    "do without a key to verify with", NULL       \
	}

/* The key to sign with. */
#define DR_OPT_SIGN_KEY(key)                                              \
	{                                                                 \
		"sign-key", 'k', DR_OPT_STR, key, 0, 0, "FILE",           \
		    "sign with FILE (STATE/sign.key, made at first use)", \
		    "DR_SIGN_KEY"                                         \
	}

/* IDS is a struct dr_strs, the others const char *. */
#define DR_OPTS_IDENTITY(ids, command, passphrase)                          \
	{ "identity", 'i', DR_OPT_LIST, ids, 0, 0, "FILE",                  \
		"open with the identities in FILE; may be repeated",        \
		"DR_IDENTITY" },                                            \
	    { "identity-command", 0, DR_OPT_STR, command, 0, 0, "CMD",      \
		    "open with the identities that CMD prints",             \
		    "DR_IDENTITY_COMMAND" },                                \
	{                                                                   \
		"passphrase-file", 0, DR_OPT_STR, passphrase, 0, 0, "FILE", \
		    "read the identity's passphrase from FILE", NULL        \
	}

/* Struct dr_strs each, and the index of the cipher. */
#define DR_OPTS_RECIPIENTS(one, files, cipher)                               \
	{ "recipients-file", 'R', DR_OPT_LIST, files, 0, 0, "FILE",          \
		"seal to the recipients in FILE; may be repeated",           \
		"DR_RECIPIENTS" },                                           \
	    { "recipient", 'r', DR_OPT_LIST, one, 0, 0, "RECIPIENT",         \
		    "seal to age1...; may be repeated", NULL },              \
	{                                                                    \
		"cipher", 0, DR_OPT_CHOICE, cipher, 0, 0, "age|aes-256-gcm", \
		    "format to seal in (age)", "DR_CIPHER"                   \
	}

#endif /* !DR_FLOW_OPTIONS_H */
