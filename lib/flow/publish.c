#include "flow/publish.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/*
 * The store has one of that name.  Ours, from an attempt whose reply was
 * lost?  Its bytes tell; where they may not be read, our own record does: a
 * reply was lost to an attempt with just these bytes, under a name with random
 * digits that were drawn together with them.
 */
static enum dr_published
compare(const struct dr_publish *p, const char *name, const char *text,
    bool doubt, struct dr_err *err)
{
	size_t len = strlen(text), has;
	struct dr_err why = { 0 };
	char *there = NULL;
	bool same;

	switch (dr_store_get_small(p->store, name, len, &there, &has, &why)) {
	case 1:
		same = has == len && memcmp(there, text, len) == 0;
		free(there);
		if (same)
			return DR_PUB_DONE;
		break;
	case 0:
		dr_err_set(err, DR_ERETRY,
		    "\"%s/%s\" exists, and is gone when it is read",
		    dr_store_url(p->store), name);
		return DR_PUB_FAILED;
	default:
		if (why.cause == DR_EDATA)
			break; /* longer than ours */
		if (doubt && why.cause != DR_ESTOP)
			return DR_PUB_DONE;
		*err = why;
		if (why.cause == DR_ESTOP || why.cause == DR_ERETRY)
			return DR_PUB_FAILED;
		(void)dr_err_wrap(err, "\"%s/%s\" exists already",
		    dr_store_url(p->store), name);
		return DR_PUB_HIDDEN;
	}
	dr_err_set(err, DR_EFAIL, "\"%s/%s\" exists already and is another's",
	    dr_store_url(p->store), name);
	return DR_PUB_OTHER;
}

/* One of the two files to those that have what comes before it. */
static int
put_all(const char *name, const char *text, struct dr_publish *v, size_t n,
    const unsigned *doubt, unsigned which, size_t require, uint64_t grace_ms,
    struct dr_err *err)
{
	struct dr_small *small;
	size_t at[DR_PUBLISH_STORES], k = 0;
	int rc;

	if ((small = calloc(n, sizeof(*small))) == NULL)
		return dr_err_sys(err, "cannot publish \"%s\"", name);
	for (size_t i = 0; i < n; i++) {
		if (v[i].result != DR_PUB_DONE)
			continue;
		small[k].store = v[i].store;
		small[k].name = name;
		small[k].data = text;
		small[k].len = strlen(text);
		at[k++] = i;
	}
	rc = k == 0 ? 0 : dr_store_puts(small, k, require, grace_ms, err);
	for (size_t j = 0; j < k; j++) {
		struct dr_publish *p = &v[at[j]];

		if (small[j].result == DR_PUT_OK)
			continue;
		if (small[j].lost)
			p->doubt |= which;
		p->err = small[j].err;
		p->result = DR_PUB_FAILED;
		if (small[j].result == DR_PUT_FAILED)
			continue;
		dr_err_clear(&p->err);
		p->result = compare(p, name, text,
		    ((p->doubt | doubt[at[j]]) & which) != 0, &p->err);
		if (p->err.cause == DR_ESTOP && rc == 0) {
			*err = p->err;
			rc = -1;
		}
	}
	free(small);
	return rc;
}

int
dr_publish(const struct dr_signed_file *f, struct dr_publish *v, size_t n,
    size_t require, uint64_t grace_ms, struct dr_err *err)
{
	unsigned doubt[DR_PUBLISH_STORES];
	char *sig;
	int rc;

	assert(n <= DR_PUBLISH_STORES);
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		doubt[i] = v[i].doubt;
		v[i].doubt = 0;
		v[i].result = DR_PUB_DONE;
		dr_err_clear(&v[i].err);
	}
	if ((sig = dr_fmt(err, "%s.minisig", f->name)) == NULL)
		goto fail;
	rc = put_all(sig, f->minisig, v, n, doubt, DR_DOUBT_SIG, require,
	    grace_ms, err);
	free(sig);
	if (rc == -1)
		goto fail;
	for (size_t i = 0; i < n; i++)
		if (v[i].result == DR_PUB_DONE)
			v[i].doubt |= DR_DOUBT_SIG;
	if (put_all(f->name, f->text, v, n, doubt, DR_DOUBT_FILE, require,
	        grace_ms, err) == -1)
		goto fail;
	/* What was in doubt and has not been settled stays so. */
	for (size_t i = 0; i < n; i++)
		v[i].doubt =
		    v[i].result == DR_PUB_FAILED ? v[i].doubt | doubt[i] : 0;
	return 0;

fail:
	/* An attempt may have been on its way. */
	for (size_t i = 0; i < n; i++) {
		v[i].doubt = DR_DOUBT_BOTH;
		if (v[i].result == DR_PUB_DONE) {
			v[i].result = DR_PUB_FAILED;
			v[i].err = *err;
		}
	}
	return -1;
}
