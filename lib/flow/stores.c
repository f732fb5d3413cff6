#include "flow/stores.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "stream/pump.h"

#define SECOND ((int64_t)1000000)

/* Never freed: the words of DR_STORE, cut apart; a path. */
static char *words, *ca_path;

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
	if (out->n == 0 && env != NULL) {
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

int64_t
dr_lock_end(int days)
{
	return (dr_now() / SECOND + 1 + (int64_t)days * 86400) * SECOND;
}

/* As an absolute path: some of what runs changes its directory. */
static int
find_ca(struct dr_stores_line *l, struct dr_err *err)
{
	free(ca_path);
	ca_path = realpath(l->how.ca_file, NULL);
	if (ca_path == NULL || access(ca_path, R_OK) == -1) {
		dr_err_sys(err, "cannot read \"%s\"", l->how.ca_file);
		err->cause = DR_EUSAGE;
		return -1;
	}
	l->how.ca_file = ca_path;
	return 0;
}

int
dr_stores_how(struct dr_stores_line *l, struct dr_err *err)
{
	struct dr_lock *lock = &l->how.lock;
	bool until = l->lock_until != INT64_MIN;

	if (l->how.ca_file != NULL && find_ca(l, err) == -1)
		return -1;
	if (l->lock_days != 0 && until)
		return dr_err_set(err, DR_EUSAGE,
		    "--lock-days and --lock-until exclude each other");
	if (l->lock_days == 0 && !until) {
		if (l->lock_mode == -1)
			return 0;
		dr_err_set(err, DR_EUSAGE, "--lock-mode alone locks nothing");
		return dr_err_hint(err,
		    "say for how long, with --lock-days or --lock-until");
	}
	lock->mode =
	    l->lock_mode == 1 ? DR_LOCK_GOVERNANCE : DR_LOCK_COMPLIANCE;
	if (!until)
		lock->until = dr_lock_end(l->lock_days);
	else if (l->lock_until <= dr_now())
		return dr_err_set(err, DR_EUSAGE,
		    "--lock-until names a time that has passed");
	else
		lock->until = (l->lock_until + SECOND - 1) / SECOND * SECOND;
	return 0;
}

struct dr_store_opts
dr_stores_reading(const struct dr_store_opts *how)
{
	struct dr_store_opts from = *how;

	from.lock = (struct dr_lock){ .mode = DR_LOCK_NONE };
	from.storage_class = from.sse = NULL;
	return from;
}

int
dr_stores_check(enum dr_role role, const char *set, int n, char *const argv[],
    struct dr_strs *stores, struct dr_stores_line *l, bool json,
    struct dr_err *err)
{
	struct dr_check_opts o = { .role = role,
		.set = set,
		.how = &l->how,
		.json = json };
	struct dr_sink *out;
	int rc;

	if ((set != NULL && dr_set_named(set, err) == -1) ||
	    dr_stores_how(l, err) == -1 ||
	    dr_stores_named(n, argv, stores, err) == -1 ||
	    (out = dr_sink_fd(1, "standard output", err)) == NULL)
		return -1;
	o.stores = stores->v;
	o.nstores = stores->n;
	rc = dr_check(&o, out, err);
	dr_sink_free(out);
	return rc;
}
