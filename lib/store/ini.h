/*
 * ini.h - files of "[SECTION]" and "KEY = VALUE", as AWS's tools and boto
 * read them.
 *
 * Lines that begin with "#" or ";" are comments, and so is what follows one
 * of them after a blank in a value.  A line that begins with a blank goes on
 * with the value before it; where that is empty, it is a key of its own
 * inside that key ("s3 =" and then "  endpoint_url = URL").  Keys are the
 * same in upper and lower case, names of sections are not.  Sections of one
 * name are one section; a key twice in it is an error.
 */
#ifndef DR_STORE_INI_H
#define DR_STORE_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DR_INI_MAX (1U << 20) /* bytes of a file */

struct dr_ini_key {
	size_t section;
	const char *outer; /* the key that this one is inside of, or NULL */
	const char *key, *value;
};

/* Start with { 0 }. */
struct dr_ini {
	char *text; /* owned; all strings lie in it */
	size_t len;
	const char **section;
	size_t sections;
	struct dr_ini_key *v; /* in the order of the file */
	size_t n;
};

/*
 * Take apart the LEN bytes at TEXT, which are copied.  NAME is the file's,
 * for messages, which say the line and nothing of what stands in it.
 * DR_EUSAGE.
 */
int dr_ini_parse(struct dr_ini *, const char *text, size_t len,
    const char *name, struct dr_err *);
/* Wipes what was in the file. */
void dr_ini_wipe(struct dr_ini *);

bool dr_ini_has(const struct dr_ini *, const char *section);
/* A value, or NULL; OUTER as above. */
const char *dr_ini_get(const struct dr_ini *, const char *section,
    const char *outer, const char *key);

#endif /* !DR_STORE_INI_H */
