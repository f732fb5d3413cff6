#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "store/azure.h"
#include "store/xml.h"

#define TEXT_MAX (16U << 10)

/* --- List Blobs ------------------------------------------------------------------ */

struct list {
	struct dr_az_entry e;
	struct dr_buf name, version;
	char mark[DR_AZ_MARK_LEN];
	bool proper, named;
	int (*fn)(void *, const struct dr_az_entry *, struct dr_err *);
	void *arg;
	struct dr_buf *marker;
};

static int
set(struct dr_buf *b, const char *text, struct dr_err *err)
{
	b->len = 0;
	return dr_buf_str(b, text, err);
}

static int
bad_list(const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "a list of Azure has a bad %s", what);
}

static int
property(struct list *l, const char *name, const char *text, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	int64_t n;

	if (strcmp(name, "Content-Length") == 0) {
		if (dr_parse_int(text, 0, INT64_MAX, &n, &ignored) == -1)
			return bad_list("length", err);
		l->e.size = (uint64_t)n;
	} else if (strcmp(name, "Last-Modified") == 0) {
		if (!dr_az_parse_date(text, &l->e.mtime))
			return bad_list("date", err);
	} else if (strcmp(name, "Content-Type") == 0)
		l->e.typed = true;
	else if (strcmp(name, "ResourceType") == 0)
		l->e.folder = strcmp(text, "directory") == 0;
	else if (strcmp(name, "ImmutabilityPolicyUntilDate") == 0) {
		if (!dr_az_parse_date(text, &l->e.lock.until))
			return bad_list("date of a lock", err);
	} else if (strcmp(name, "ImmutabilityPolicyMode") == 0)
		l->e.lock.mode = strcasecmp(text, "locked") == 0
		                     ? DR_LOCK_COMPLIANCE
		                     : DR_LOCK_GOVERNANCE;
	else if (strcmp(name, "LegalHold") == 0)
		l->e.lock.hold = strcmp(text, "true") == 0;
	return 0;
}

static int
entry_end(struct list *l, bool prefix, struct dr_err *err)
{
	int rc = 0;

	if (!l->named)
		return bad_list("entry: it has no name", err);
	l->e.name = l->name.data;
	l->e.prefix = prefix;
	l->e.mark = l->mark;
	if (l->e.version != NULL)
		l->e.version = l->version.data;
	/* Never one of ours: it cannot be written in XML as it is. */
	if (l->name.data[0] != '\0')
		rc = l->fn(l->arg, &l->e, err);
	memset(&l->e, 0, sizeof(l->e));
	l->mark[0] = '\0';
	l->named = false;
	return rc;
}

/* What stands below BEGIN in PLACE, or NULL. */
static const char *
below(const char *place, const char *begin)
{
	size_t n = strlen(begin);

	return strncmp(place, begin, n) == 0 ? place + n : NULL;
}

static int
on_list(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct list *l = arg;
	const char *rest = below(place, "EnumerationResults"), *p;

	if (rest == NULL)
		return bad_list("beginning", err);
	if (*rest == '\0')
		l->proper = true;
	if (strcmp(rest, "/NextMarker") == 0)
		return set(l->marker, text, err);
	if (strcmp(rest, "/Blobs/BlobPrefix") == 0)
		return entry_end(l, true, err);
	if (strcmp(rest, "/Blobs/Blob") == 0)
		return entry_end(l, false, err);
	if (strcmp(rest, "/Blobs/BlobPrefix/Name") == 0 ||
	    strcmp(rest, "/Blobs/Blob/Name") == 0) {
		l->named = true;
		return set(&l->name, text, err);
	}
	if ((p = below(rest, "/Blobs/Blob/Properties/")) != NULL)
		return property(l, p, text, err);
	if (strcmp(rest, "/Blobs/Blob/VersionId") == 0) {
		l->e.version = "";
		return set(&l->version, text, err);
	}
	if (strcmp(rest, "/Blobs/Blob/IsCurrentVersion") == 0)
		l->e.current = strcmp(text, "true") == 0;
	else if (strcmp(rest, "/Blobs/Blob/Deleted") == 0)
		l->e.deleted = strcmp(text, "true") == 0;
	else if (strcmp(rest, "/Blobs/Blob/Metadata/drtools") == 0 &&
	         strlen(text) < sizeof(l->mark))
		stpcpy(l->mark, text);
	return 0;
}

int
dr_az_parse_list(const char *xml, size_t len,
    int (*fn)(void *, const struct dr_az_entry *, struct dr_err *), void *arg,
    struct dr_buf *marker, struct dr_err *err)
{
	struct list l = { .name = { .max = TEXT_MAX + 1 },
		.version = { .max = TEXT_MAX + 1 },
		.fn = fn,
		.arg = arg,
		.marker = marker };
	int rc;

	rc = set(marker, "", err);
	if (rc == 0)
		rc = dr_xml(xml, len, "Azure", on_list, &l, err);
	if (rc == 0 && !l.proper)
		rc = bad_list("beginning", err);
	dr_buf_free(&l.name);
	dr_buf_free(&l.version);
	return rc;
}

/* --- Get Block List ----------------------------------------------------------------- */

static int
on_block(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct dr_az_blocks *b = arg;
	const char *rest = below(place, "BlockList");
	struct dr_az_mark m;

	if (rest == NULL)
		return dr_err_set(err, DR_EDATA,
		    "the reply of Azure is no list of blocks");
	if (strcmp(rest, "/CommittedBlocks/Block/Name") == 0)
		b->committed++;
	if (strcmp(rest, "/UncommittedBlocks/Block/Name") != 0)
		return 0;
	b->pending++;
	if (!dr_az_block_mark(text, &m)) {
		b->foreign++;
		return 0;
	}
	if (b->marks == 0 ||
	    memcmp(m.random, b->mark.random, sizeof(m.random)) != 0)
		b->marks++;
	if (b->marks == 1 || m.started > b->mark.started)
		b->mark = m;
	return 0;
}

int
dr_az_parse_blocks(const char *xml, size_t len, struct dr_az_blocks *b,
    struct dr_err *err)
{
	memset(b, 0, sizeof(*b));
	return dr_xml(xml, len, "Azure", on_block, b, err);
}
