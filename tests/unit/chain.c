/* chain.c - what a chain of manifests shows. */
#include "manifest/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static struct dr_err err;

/* Findings, as letters in order, and the last text of each kind. */
static const char letters[] = "SGHFORV";
static char found[64], texts[8][512];

static int
report(void *arg, enum dr_chain_what what, const char *id, const char *text,
    struct dr_err *e)
{
	size_t n = strlen(found);

	(void)arg;
	(void)id;
	(void)e;
	if (n + 1 < sizeof(found)) {
		found[n] = letters[what];
		found[n + 1] = '\0';
	}
	(void)snprintf(texts[what], sizeof(texts[what]), "%s", text);
	return 0;
}

static const struct dr_chain_ops ops = { report, NULL };

/* Ids and hashes of the Nth of a chain; a letter tells branches apart. */
static char ids[26][20][DR_ID_LEN], hashes[26][20][DR_SHA256_TEXT];

static struct dr_link
at(char branch, int n, char prev_branch)
{
	struct dr_link l = { .signer = "0123456789abcdef", .seq = (uint64_t)n };

	l.id = ids[branch - 'a'][n];
	l.sha256 = hashes[branch - 'a'][n];
	if (n > 1) {
		l.prev_id = ids[prev_branch - 'a'][n - 1];
		l.prev_sha256 = hashes[prev_branch - 'a'][n - 1];
	} else
		l.start = "first";
	return l;
}

static struct dr_heads heads;

static const char *
check(const struct dr_link *v, size_t n, const struct dr_heads *seen)
{
	found[0] = '\0';
	memset(texts, 0, sizeof(texts));
	dr_err_clear(&err);
	if (dr_chain_check(v, n, seen, &ops, &heads, &err) == -1)
		return "failed";
	return found;
}

static bool
same(const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		printf("# got \"%s\", want \"%s\"\n", got, want);
	return strcmp(got, want) == 0;
}

static void
test_order(void)
{
	struct dr_link v[4] = { at('a', 3, 'a'), at('a', 1, 'a'),
		at('a', 4, 'a'), at('a', 2, 'a') };

	OK(same(check(NULL, 0, NULL), "") && heads.n == 0, "nothing");
	OK(same(check(v, 4, NULL), "S"), "a whole chain, in any order");
	OK(heads.n == 1 && heads.v[0].seq == 4 &&
	        strcmp(heads.v[0].id, v[2].id) == 0,
	    "its head");
	v[2].seq = 5;
	OK(same(check(v, 4, NULL), "SO"), "a number left out");
	v[2].seq = 4;
	v[1].seq = 2;
	OK(strchr(check(v, 4, NULL), 'O') != NULL, "a start that is not 1");
}

static void
test_holes(void)
{
	struct dr_link v[3] = { at('a', 1, 'a'), at('a', 3, 'a'),
		at('a', 4, 'a') };
	json_t *list;

	OK(same(check(v, 3, NULL), "SH"), "a hole");
	OK(strstr(texts[DR_CHAIN_HOLE], ids[0][2]) != NULL,
	    "names what is missing");
	list = json_pack("[{s:s, s:i, s:s}]", "id", ids[0][2], "seq", 2,
	    "sha256", hashes[0][2]);
	v[2].abandoned = list;
	OK(same(check(v, 3, NULL), "SG"), "no hole where it was abandoned");
	OK(!dr_chain_fault(DR_CHAIN_GAP) && !dr_chain_fault(DR_CHAIN_START) &&
	        dr_chain_fault(DR_CHAIN_HOLE),
	    "which is no fault");
	json_decref(list);
	list = json_pack("[{s:s, s:i, s:s}]", "id", ids[0][2], "seq", 2,
	    "sha256", hashes[1][2]);
	v[2].abandoned = list;
	OK(same(check(v, 3, NULL), "SH"), "but one of that hash");
	json_decref(list);
	v[2].abandoned = NULL;
	v[0] = v[2];
	OK(same(check(v, 2, NULL), "H"), "the first two are missing");
}

static void
test_forks(void)
{
	struct dr_link v[4] = { at('a', 1, 'a'), at('a', 2, 'a'),
		at('a', 3, 'a'), at('b', 3, 'a') };

	OK(same(check(v, 4, NULL), "SF"), "a fork");
	OK(strstr(texts[DR_CHAIN_FORK], ids[0][3]) != NULL &&
	        strstr(texts[DR_CHAIN_FORK], ids[1][3]) != NULL &&
	        strstr(texts[DR_CHAIN_FORK], ids[0][2]) != NULL,
	    "names both branches, and where");
	v[1] = v[3];
	OK(strchr(check(v, 3, NULL), 'F') != NULL,
	    "a fork after one that is missing");
	v[1] = at('b', 1, 'b');
	OK(same(check(v, 2, NULL), "SS") && heads.n == 2,
	    "two starts are two chains");
}

static void
test_seen(void)
{
	struct dr_link v[3] = { at('a', 1, 'a'), at('a', 2, 'a'),
		at('a', 3, 'a') };
	struct dr_heads seen;

	(void)check(v, 3, NULL);
	seen = heads;
	OK(same(check(v, 3, &seen), "S"), "a head seen earlier is there");
	OK(same(check(v, 2, &seen), "SV"), "rolled back: it is not");
	OK(strstr(texts[DR_CHAIN_VANISHED], ids[0][3]) != NULL, "named");
	(void)check(v, 2, NULL);
	seen = heads;
	OK(same(check(v, 3, &seen), "S"), "one that grew since");
	v[2] = at('b', 3, 'a');
	OK(same(check(v, 3, &seen), "S"), "on the same trunk");
	v[1].sha256 = hashes[2][2];
	OK(strchr(check(v, 3, &seen), 'R') != NULL, "one replaced");
}

static int
stop(void *arg, enum dr_chain_what what, const char *id, const char *text,
    struct dr_err *e)
{
	(void)arg;
	(void)what;
	(void)id;
	return dr_err_set(e, DR_EFAIL, "%s", text);
}

static void
test_links(void)
{
	static const struct dr_chain_ops stops = { stop, NULL };
	struct dr_link l, v = at('a', 1, 'a');
	json_t *m = dr_manifest_new("pg", 0, &err);

	OK(dr_link_from(m, hashes[0][0], false, &l, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a manifest without a place");
	dr_err_clear(&err);
	(void)dr_manifest_set_int(m, "seq", 4, &err);
	(void)dr_manifest_set_str(m, "signer", "0123456789abcdef", &err);
	OK(dr_link_from(m, hashes[0][0], false, &l, &err) == -1,
	    "one that starts and does not say why");
	dr_err_clear(&err);
	(void)dr_manifest_set_str(m, "start", "first", &err);
	OK(dr_link_from(m, hashes[0][0], true, &l, &err) == 0 && l.seq == 4 &&
	        l.prev_id == NULL && l.pruned,
	    "one that says it");
	json_decref(m);
	OK(dr_chain_check(&v, 1, NULL, &stops, &heads, &err) == -1 &&
	        err.cause == DR_EFAIL,
	    "a report may end it");
}

static void
test_many_heads(void)
{
	struct dr_link v[20];
	int i;

	for (i = 0; i < 20; i++)
		v[i] = at((char)('a' + i), 1, 'a');
	v[7].seq = 9;
	(void)check(v, 20, NULL);
	OK(heads.n == DR_HEADS_MAX && heads.v[0].seq == 9,
	    "of too many heads, the newest stay");
}

int
main(void)
{
	unsigned b, i;

	for (b = 0; b < 26; b++)
		for (i = 0; i < 20; i++) {
			(void)snprintf(ids[b][i], sizeof(ids[b][i]),
			    "202611%02uT120000Z-%06x", i + 1, b);
			(void)snprintf(hashes[b][i], sizeof(hashes[b][i]),
			    "%062x%02x", b, i);
		}
	test_order();
	test_holes();
	test_forks();
	test_seen();
	test_links();
	test_many_heads();
	return DONE();
}
