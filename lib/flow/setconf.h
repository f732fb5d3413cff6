/*
 * setconf.h - what an administrator has laid down for a set, in
 * /etc/dr/SET.conf: where it may go, how old it may get.
 *
 * The file is read by shell scripts too, so it is written in the part of
 * sh(1)'s language that needs no shell to be understood: lines of
 * NAME=VALUE, comments, and nothing else.  VALUE is made of plain
 * characters, '...' and "...", without $ or `.
 */
#ifndef DR_FLOW_SETCONF_H
#define DR_FLOW_SETCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/store.h"

#define DR_SETCONF_MAX 64 /* names in one file */

struct dr_setconf {
	char *path; /* for messages */
	struct {
		char *name, *value;
	} v[DR_SETCONF_MAX];
	size_t n;
};

/*
 * Read that of SET in DR_CONF_DIR, else /etc/dr; a file that is not there is
 * an empty one.  Names that nobody knows are kept like others, and of a name
 * that is given twice the last value.  DR_EUSAGE, with the line, for what a
 * shell would have to be asked about.  The caller wipes it in any case.
 */
int dr_setconf_read(const char *set, struct dr_setconf *, struct dr_err *);
void dr_setconf_wipe(struct dr_setconf *);

/* The same from text; PATH for messages. */
int dr_setconf_parse(const char *text, size_t len, const char *path,
    struct dr_setconf *, struct dr_err *);

/* The value of NAME, or NULL. */
const char *dr_setconf_get(const struct dr_setconf *, const char *name);

/*
 * May SET go into these stores?  With "regions" in its file each must lie in
 * a region named there, or its URL must begin with one named there.
 * DR_EUSAGE names the first that may not.
 */
int dr_regions_check(const char *set, struct dr_store *const *stores, size_t n,
    struct dr_err *);

/* Does WORDS, as "regions" has it, allow URL, which lies in REGION or NULL? */
bool dr_regions_allow(const char *words, const char *url, const char *region);

#endif /* !DR_FLOW_SETCONF_H */
