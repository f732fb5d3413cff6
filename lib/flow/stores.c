#include "flow/stores.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* Never freed: the words of DR_STORE, cut apart. */
static char *words;

int
dr_stores_named(int n, char *const argv[], struct dr_strs *out,
    struct dr_err *err)
{
	const char *env = getenv("DR_STORE");
	char *at;
	int i;

	for (i = 0; i < n; i++)
		if (dr_strs_add(out, argv[i], err) == -1)
			return -1;
	if (n == 0 && env != NULL) {
		free(words);
		if ((words = dr_fmt(err, "%s", env)) == NULL)
			return -1;
		for (at = words; *(at += strspn(at, " \t\n")) != '\0';) {
			size_t len = strcspn(at, " \t\n");
			char *next = at + len + (at[len] != '\0');

			at[len] = '\0';
			if (dr_strs_add(out, at, err) == -1)
				return -1;
			at = next;
		}
	}
	if (out->n > 0)
		return 0;
	dr_err_set(err, DR_EUSAGE, "no store is named");
	return dr_err_hint(err, "name one, or put it into DR_STORE");
}

int
dr_set_named(const char *set, struct dr_err *err)
{
	if (set == NULL) {
		dr_err_set(err, DR_EUSAGE, "no set is named");
		return dr_err_hint(err, "give one with -n, or in DR_SET");
	}
	if (!dr_set_name_ok(set)) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" cannot name a set", set);
		return dr_err_hint(err,
		    "a letter or digit, then up to 63 of these, \".\", \"_\" "
		    "and \"-\"");
	}
	return 0;
}
