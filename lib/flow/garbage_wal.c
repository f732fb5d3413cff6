/*
 * Increments of a segment are superseded when the whole segment is there: its
 * name alone proves nothing, since whoever may write to the store could put
 * something there and have the increments removed.  A signed ledger must name
 * it with the hash of the very bytes that lie there.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/garbage_int.h"
#include "flow/walcat.h"
#include "flow/walobj.h"

#define SEGSIZE (16U << 20) /* names alone count here */

/* Are its bytes what a ledger vouches for?  1, 0, -1. */
static int
proven(struct dr_garbage_run *r, const struct dr_walcat *cat,
    const struct dr_wal_entry *e, struct dr_err *err)
{
	char hex[DR_SHA256_HEX], *object = dr_wal_entry_name(cat, e, err);
	struct dr_err why = { 0 };
	struct dr_blob *blob;
	int rc = 0;

	if (object == NULL)
		return -1;
	blob = dr_store_get(r->store, object, &why);
	if (blob != NULL && dr_blob_sha256(blob, hex, &why) == 0)
		rc = dr_wal_entry_is(cat, e, blob->size, hex);
	dr_blob_free(blob);
	if (why.cause != DR_OK && why.cause != DR_EDATA) {
		*err = why;
		rc = -1;
	} else if (rc == 0) {
		dr_warn("\"%s\" in \"%s\" is not what its ledger says: its "
		        "increments stay",
		    object, r->url);
		r->incomplete = true;
	}
	free(object);
	return rc;
}

static int
on_fault(void *arg, const char *text, struct dr_err *err)
{
	(void)arg;
	(void)err;
	/* What a ledger that is not believed says is not used. */
	dr_say(1, "%s", text);
	return 0;
}

static int
add(struct dr_garbage_run *r, const struct dr_walcat *cat,
    const struct dr_wal_entry *e, struct dr_err *err)
{
	char *object = dr_wal_entry_name(cat, e, err);
	int rc = -1;

	if (object != NULL)
		rc = dr_garbage_add(r, DR_GARBAGE_INCREMENT, object, NULL,
		    e->size, e->mtime, "its segment is there whole", err);
	free(object);
	return rc;
}

static int
one_system(void *arg, uint64_t system_id, struct dr_err *err)
{
	struct dr_garbage_run *r = arg;
	const struct dr_wal_entry *last = NULL, *e, *whole;
	struct dr_walcat cat;
	int rc = 0, sure = 0;

	if (dr_walcat_read(r->store, r->o->set, system_id, SEGSIZE, r->keys,
	        on_fault, NULL, &cat, err) == -1)
		return -1;
	for (size_t i = 0; i < cat.entries && rc == 0; i++) {
		e = &cat.entry[i];
		if (!e->listed || !dr_garbage_old(r, e->mtime) ||
		    (whole = dr_walcat_whole(&cat, e)) == NULL ||
		    !dr_garbage_old(r, whole->mtime))
			continue;
		if (whole != last) {
			if ((rc = dr_check_stop(err)) == -1 ||
			    (sure = proven(r, &cat, whole, err)) == -1) {
				rc = -1;
				break;
			}
			last = whole;
		}
		if (sure)
			rc = add(r, &cat, e, err);
	}
	dr_walcat_free(&cat);
	return rc;
}

int
dr_garbage_wal(struct dr_garbage_run *r, struct dr_err *err)
{
	if (r->keys == NULL)
		return 0;
	return dr_walcat_systems(r->store, r->o->set, one_system, r, err);
}
