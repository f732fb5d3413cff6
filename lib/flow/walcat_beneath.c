/* Ledgers and WAL that lie beneath an overwrite or a deletion. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "flow/through.h"
#include "flow/walcat_int.h"

#define VAIN_MAX 8 /* then the store keeps no versions, or it was expired */

int
dr_walcat_ledger_beneath(struct dr_walcat_run *r, const char *name,
    const char *hash, char **text, size_t *len, char signer[DR_KEYID_HEX],
    struct dr_err *err)
{
	char note[DR_NOTE_MAX], *sig;
	size_t sig_len;
	int rc;

	rc = dr_through_signed(r->store, name, DR_LEDGER_MAX, r->keys, hash,
	    text, len, &sig, &sig_len, signer, note, err);
	if (rc == 1) {
		free(sig);
		if (r->out->covered++ == 0)
			memcpy(r->out->note, note, sizeof(note));
	}
	return rc;
}

/* Is the one there that comes before LINK? */
static bool
has_before(const struct dr_walcat *c, const struct dr_wal_link *link)
{
	for (size_t i = 0; i < c->links; i++)
		if (c->link[i].n == link->n - 1 &&
		    strcmp(c->link[i].signer, link->signer) == 0)
			return true;
	return false;
}

int
dr_walcat_seek_ledgers(struct dr_walcat_run *r, size_t listed,
    struct dr_err *err)
{
	struct dr_walcat *c = r->out;
	unsigned vain = 0;

	for (size_t i = 0; i < c->links && vain < VAIN_MAX; i++) {
		struct dr_ledger says = { .n = 0 };
		char hash[DR_SHA256_HEX], *name;
		const char *slash = strrchr(c->link[i].name, '/');
		int rc;

		/* Most often it is of the same timeline. */
		if (c->link[i].prev_name == NULL || slash == NULL ||
		    has_before(c, &c->link[i]) ||
		    dr_ledger_name_parse(c->link[i].prev_name, &says) == 0)
			continue;
		memcpy(hash, c->link[i].prev_sha256, sizeof(hash));
		name = dr_fmt(err, "%.*s/%s", (int)(slash - c->link[i].name),
		    c->link[i].name, c->link[i].prev_name);
		if (name == NULL)
			return -1;
		rc = dr_walcat_ledger(r, listed, name, hash, err);
		free(name);
		if (rc == -1)
			return -1;
		vain = rc == 1 ? 0 : vain + 1;
	}
	return 0;
}

int
dr_walcat_seek_wal(struct dr_walcat_run *r, struct dr_err *err)
{
	struct dr_walcat *c = r->out;
	unsigned vain = 0;

	for (size_t i = 0; i < c->entries && vain < VAIN_MAX; i++) {
		struct dr_wal_entry *e = &c->entry[i];
		char *object;
		int rc;

		/* Increments go once their segment is there. */
		if (e->listed || !e->vouched || dr_walcat_whole(c, e) != NULL)
			continue;
		if ((object = dr_wal_entry_name(c, e, err)) == NULL)
			return -1;
		rc = dr_through_exists(r->store, object, e->size, err);
		free(object);
		if (rc == -1)
			return -1;
		e->listed = e->beneath = rc == 1;
		vain = rc == 1 ? 0 : vain + 1;
	}
	return 0;
}
