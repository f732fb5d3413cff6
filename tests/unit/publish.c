/* publish.c - a signed file into stores, and what counts as success. */
#include "flow/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/driver.h"
#include "tests/tap.h"

#define NAME "s/snap/x.json"

/* A store that holds at most these two, and answers as it is told. */
struct fake {
	struct dr_store store;
	const char *sig, *file; /* what lies there */
	enum { READS, REFUSES, AWAY } reads;
	enum { TAKES, LOSES, FAILS } puts; /* LOSES: takes, and says no word */
	unsigned asked;
};

static struct dr_err err;

static const char **
place(struct fake *f, const char *name)
{
	return strcmp(name, NAME) == 0 ? &f->file : &f->sig;
}

static enum dr_put_result
fake_put(struct dr_store *s, const char *name, const void *data, size_t len,
    bool *lost, struct dr_err *e)
{
	struct fake *f = (struct fake *)s;
	const char **at = place(f, name);

	(void)len;
	f->asked++;
	*lost = false;
	if (*at != NULL) {
		dr_err_set(e, DR_EFAIL, "exists");
		return DR_PUT_EXISTS;
	}
	if (f->puts == FAILS) {
		dr_err_set(e, DR_EFAIL, "no");
		return DR_PUT_FAILED;
	}
	*at = data;
	if (f->puts == TAKES)
		return DR_PUT_OK;
	*lost = true;
	dr_err_set(e, DR_ERETRY, "no answer");
	return DR_PUT_FAILED;
}

static int
fake_get(struct dr_store *s, const char *name, size_t max, char **out,
    size_t *len, struct dr_err *e)
{
	struct fake *f = (struct fake *)s;
	const char *there = *place(f, name);

	if (f->reads == REFUSES)
		return dr_err_set(e, DR_EFAIL, "forbidden");
	if (f->reads == AWAY)
		return dr_err_set(e, DR_ERETRY, "away");
	if (there == NULL)
		return 0;
	if (strlen(there) > max)
		return dr_err_set(e, DR_EDATA, "too long");
	*len = strlen(there);
	*out = strdup(there);
	return *out == NULL ? -1 : 1;
}

static const struct dr_store_ops ops = {
	.put_small = fake_put,
	.get_small = fake_get,
};

static char url[] = "fake";

static struct fake
fake(void)
{
	return (struct fake){ .store = { .ops = &ops, .url = url } };
}

static const struct dr_signed_file file = { NAME, "text", "signature" };

static enum dr_published
one(struct fake *f, unsigned *doubt)
{
	struct dr_publish v = { .store = &f->store, .doubt = *doubt };

	dr_err_clear(&err);
	if (dr_publish(&file, &v, 1, 0, 0, &err) == -1)
		abort();
	*doubt = v.doubt;
	err = v.err;
	return v.result;
}

static void
plain(void)
{
	struct fake f = fake();
	unsigned doubt = 0;

	OK(one(&f, &doubt) == DR_PUB_DONE && doubt == 0 && f.asked == 2,
	    "two files go into a store");
	OK(strcmp(f.sig, "signature") == 0 && strcmp(f.file, "text") == 0,
	    "each under its name");
	OK(one(&f, &doubt) == DR_PUB_DONE, "the same again is a success");
	f.file = "texT";
	OK(one(&f, &doubt) == DR_PUB_OTHER && err.cause == DR_EFAIL,
	    "another file is not");
	f.file = "text and more";
	OK(one(&f, &doubt) == DR_PUB_OTHER, "nor is a longer one");
	f.file = NULL;
	f.sig = "another";
	OK(one(&f, &doubt) == DR_PUB_OTHER && f.file == NULL,
	    "with another's signature nothing follows it");
	f = fake();
	f.puts = FAILS;
	OK(one(&f, &doubt) == DR_PUB_FAILED && doubt == 0 && f.asked == 1,
	    "a refusal leaves no doubt");
	f.sig = "signature";
	f.reads = AWAY;
	OK(one(&f, &doubt) == DR_PUB_FAILED && err.cause == DR_ERETRY,
	    "what cannot be compared now is compared later");
}

static void
unread(void)
{
	struct fake f = fake();
	unsigned doubt = 0;

	f.reads = REFUSES;
	OK(one(&f, &doubt) == DR_PUB_DONE, "a store that may not be read");
	OK(one(&f, &doubt) == DR_PUB_HIDDEN && doubt == 0,
	    "what exists there is not taken for ours");
	doubt = DR_DOUBT_SIG;
	OK(one(&f, &doubt) == DR_PUB_HIDDEN,
	    "nor is it when only the signature's reply was lost");
	doubt = DR_DOUBT_BOTH;
	OK(one(&f, &doubt) == DR_PUB_DONE && doubt == 0,
	    "it is when both replies were");

	f = fake();
	f.reads = REFUSES;
	f.puts = LOSES;
	doubt = 0;
	OK(one(&f, &doubt) == DR_PUB_FAILED && doubt == DR_DOUBT_SIG,
	    "a reply that is lost leaves a doubt");
	OK(one(&f, &doubt) == DR_PUB_FAILED && doubt == DR_DOUBT_BOTH,
	    "the next attempt knows its own signature");
	OK(one(&f, &doubt) == DR_PUB_DONE && doubt == 0,
	    "and the third its own file");

	f = fake();
	f.reads = REFUSES;
	doubt = 0;
	if (one(&f, &doubt) != DR_PUB_DONE)
		abort();
	f.file = NULL;
	OK(one(&f, &doubt) == DR_PUB_HIDDEN,
	    "a signature of nobody knows whom");
	doubt = DR_DOUBT_SIG;
	OK(one(&f, &doubt) == DR_PUB_DONE, "one of ours");

	f = fake();
	f.reads = REFUSES;
	doubt = DR_DOUBT_BOTH;
	f.puts = FAILS;
	OK(one(&f, &doubt) == DR_PUB_FAILED && doubt == DR_DOUBT_BOTH,
	    "a doubt outlives a refusal");
}

static void
several(void)
{
	struct fake f[4] = { fake(), fake(), fake(), fake() };
	struct dr_publish v[4] = { { .doubt = 0 } };

	f[1].puts = FAILS;
	f[2].sig = "another";
	f[3].sig = "signature";
	for (size_t i = 0; i < 4; i++)
		v[i].store = &f[i].store;
	dr_err_clear(&err);
	OK(dr_publish(&file, v, 4, 0, 0, &err) == 0, "four stores at once");
	OK(v[0].result == DR_PUB_DONE && v[1].result == DR_PUB_FAILED &&
	        v[2].result == DR_PUB_OTHER && v[3].result == DR_PUB_DONE,
	    "each fares by itself");
	OK(f[1].file == NULL && f[2].file == NULL && f[3].file != NULL,
	    "no file without its signature");
}

int
main(void)
{
	plain();
	unread();
	several();
	return DONE();
}
