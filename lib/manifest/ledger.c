#include "manifest/ledger.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"

#define NAME_LEN_MAX  200  /* as a store takes a part of a name */
#define STORE_LEN_MAX 1024 /* of a URL */
#define N_DIGITS      10
#define N_MAX         9999999999LL
#define STAMP_LEN     16 /* 20261120T120000Z */

static const char hexdigits[] = "0123456789abcdef";

static bool
is_hex(const char *s, size_t len)
{
	return s != NULL && strlen(s) == len && strspn(s, hexdigits) == len;
}

static bool
name_ok(const char *s)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                           "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = s == NULL ? 0 : strlen(s);

	return len > 0 && len <= NAME_LEN_MAX && *s != '.' &&
	       strspn(s, good) == len;
}

/* --- names ------------------------------------------------------------------ */

char *
dr_ledger_name(const struct dr_ledger *l, struct dr_err *err)
{
	char stamp[DR_TIME_LEN];

	return dr_fmt(err, "ledger-%s-%s-%0*llu.json", l->signer,
	    dr_format_stamp(l->time, stamp), N_DIGITS,
	    (unsigned long long)l->n);
}

int
dr_ledger_name_parse(const char *name, struct dr_ledger *l)
{
	static const char head[] = "ledger-";
	char text[DR_TIME_LEN], stamp[DR_TIME_LEN], signer[DR_LEDGER_SIGNER];
	const char *s = name + strlen(head);
	struct dr_err ignored = { 0 };
	int64_t usec, n;

	if (strlen(name) != strlen(head) + 16 + 1 + STAMP_LEN + 1 + N_DIGITS +
	                        strlen(".json") ||
	    strncmp(name, head, strlen(head)) != 0 ||
	    strspn(s, hexdigits) != 16 || s[16] != '-')
		return 0;
	memcpy(signer, s, 16);
	signer[16] = '\0';
	s += 17;
	(void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s,
	    s + 4, s + 6, s + 9, s + 11, s + 13);
	/* Only what we would write ourselves. */
	if (dr_parse_time(text, &usec, &ignored) == -1 ||
	    strncmp(dr_format_stamp(usec, stamp), s, STAMP_LEN) != 0 ||
	    stamp[STAMP_LEN] != '\0' || s[STAMP_LEN] != '-')
		return 0;
	s += STAMP_LEN + 1;
	if (strspn(s, "0123456789") != N_DIGITS ||
	    strcmp(s + N_DIGITS, ".json") != 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%.*s", N_DIGITS, s);
	if (dr_parse_int(text, 1, N_MAX, &n, &ignored) == -1)
		return 0;
	memcpy(l->signer, signer, sizeof(l->signer));
	l->time = usec;
	l->n = (uint64_t)n;
	return 1;
}

/* --- making one ---------------------------------------------------------------- */

/* Room for one more of SIZE bytes each after the first N, doubling. */
static void *
grow(void *v, size_t n, size_t size)
{
	if (n > 0 && (n & (n - 1)) != 0)
		return v;
	return reallocarray(v, n == 0 ? 1 : 2 * n, size);
}

int
dr_ledger_add(struct dr_ledger *l, const char *name, uint64_t size,
    const char *sha256, struct dr_err *err)
{
	struct dr_ledger_object *more;

	if (!name_ok(name) || !is_hex(sha256, DR_SHA256_HEX - 1) ||
	    size > INT64_MAX)
		return dr_err_set(err, DR_EFAIL,
		    "\"%.200s\" cannot stand in a ledger", name);
	if ((more = grow(l->object, l->objects, sizeof(*more))) == NULL)
		return dr_err_sys(err, "cannot add to a ledger");
	l->object = more;
	more += l->objects;
	if ((more->name = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	more->size = size;
	memcpy(more->sha256, sha256, DR_SHA256_HEX);
	l->objects++;
	return 0;
}

int
dr_ledger_add_gap(struct dr_ledger *l, const char *store, uint64_t from,
    uint64_t to, struct dr_err *err)
{
	struct dr_ledger_gap *more;

	if (from >= to || strlen(store) > STORE_LEN_MAX)
		return dr_err_set(err, DR_EFAIL,
		    "a gap in \"%.64s\" cannot stand in a ledger", store);
	if ((more = grow(l->gap, l->gaps, sizeof(*more))) == NULL)
		return dr_err_sys(err, "cannot add to a ledger");
	l->gap = more;
	more += l->gaps;
	if ((more->store = dr_fmt(err, "%s", store)) == NULL)
		return -1;
	more->tli = l->tli;
	more->from = from;
	more->to = to;
	l->gaps++;
	return 0;
}

void
dr_ledger_wipe(struct dr_ledger *l)
{
	for (size_t i = 0; i < l->objects; i++)
		free(l->object[i].name);
	for (size_t i = 0; i < l->gaps; i++)
		free(l->gap[i].store);
	free(l->object);
	free(l->gap);
	free(l->prev_name);
	memset(l, 0, sizeof(*l));
}

int
dr_ledger_write(const struct dr_ledger *l, struct dr_buf *out,
    struct dr_err *err)
{
	char text[DR_TIME_LEN], lsn[DR_LSN_LEN], id[24];
	struct dr_json j;

	(void)snprintf(id, sizeof(id), "%llu",
	    (unsigned long long)l->system_id);
	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "drtools", 1);
	dr_json_str(&j, "set", l->set);
	dr_json_str(&j, "signer", l->signer);
	dr_json_str(&j, "system_id", id);
	dr_json_uint(&j, "timeline", l->tli);
	dr_json_uint(&j, "n", l->n);
	dr_json_str(&j, "time", dr_format_time(l->time, text));
	if (l->prev_name == NULL)
		dr_json_null(&j, "previous");
	else {
		dr_json_object(&j, "previous");
		dr_json_str(&j, "name", l->prev_name);
		dr_json_str(&j, "sha256", l->prev_sha256);
		dr_json_close(&j, '}');
	}
	dr_json_array(&j, "objects");
	for (size_t i = 0; i < l->objects; i++) {
		dr_json_array(&j, NULL);
		dr_json_str(&j, NULL, l->object[i].name);
		dr_json_uint(&j, NULL, l->object[i].size);
		dr_json_str(&j, NULL, l->object[i].sha256);
		dr_json_close(&j, ']');
	}
	dr_json_close(&j, ']');
	dr_json_array(&j, "gaps");
	for (size_t i = 0; i < l->gaps; i++) {
		dr_json_array(&j, NULL);
		dr_json_str(&j, NULL, l->gap[i].store);
		dr_json_str(&j, NULL, dr_format_lsn(l->gap[i].from, lsn));
		dr_json_str(&j, NULL, dr_format_lsn(l->gap[i].to, lsn));
		dr_json_close(&j, ']');
	}
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

/* --- reading one --------------------------------------------------------------- */

static const char *
str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool
count(const json_t *o, const char *key, int64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);
	int64_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n > max)
		return false;
	*out = (uint64_t)n;
	return true;
}

/* Decimal digits as we write them. */
static bool
system_id(const json_t *o, uint64_t *out)
{
	const char *s = str(o, "system_id");
	uint64_t n = 0;

	if (s == NULL || *s < '1' || *s > '9')
		return false;
	for (; *s != '\0'; s++) {
		unsigned d = (unsigned)(unsigned char)*s - '0';

		if (d > 9 || n > (UINT64_MAX - d) / 10)
			return false;
		n = n * 10 + d;
	}
	*out = n;
	return true;
}

/* Only as we write it: two texts never mean the same time or place. */
static bool
time_of(const json_t *o, int64_t *out)
{
	const char *s = str(o, "time");
	struct dr_err ignored = { 0 };
	char text[DR_TIME_LEN];

	return s != NULL && dr_parse_time(s, out, &ignored) == 0 &&
	       strcmp(dr_format_time(*out, text), s) == 0;
}

static bool
lsn_of(const json_t *v, uint64_t *out)
{
	const char *s = json_string_value(v);
	struct dr_err ignored = { 0 };
	char text[DR_LSN_LEN];

	return s != NULL && dr_parse_lsn(s, out, &ignored) == 0 &&
	       strcmp(dr_format_lsn(*out, text), s) == 0;
}

static bool
head(const json_t *o, struct dr_ledger *l)
{
	const char *set = str(o, "set"), *signer = str(o, "signer");
	uint64_t version, tli;

	if (!count(o, "drtools", 1, &version) || set == NULL ||
	    !dr_set_name_ok(set) || !is_hex(signer, 16) ||
	    !system_id(o, &l->system_id) ||
	    !count(o, "timeline", UINT32_MAX, &tli) ||
	    !count(o, "n", N_MAX, &l->n) || !time_of(o, &l->time))
		return false;
	(void)snprintf(l->set, sizeof(l->set), "%s", set);
	memcpy(l->signer, signer, sizeof(l->signer));
	l->tli = (uint32_t)tli;
	return true;
}

/* 1, 0 malformed, -1. */
static int
previous(const json_t *o, struct dr_ledger *l, struct dr_err *err)
{
	const json_t *p = json_object_get(o, "previous");
	const char *name = str(p, "name"), *sha = str(p, "sha256");
	struct dr_ledger of;

	if (json_is_null(p))
		return l->n == 1;
	if (name == NULL || dr_ledger_name_parse(name, &of) == 0 ||
	    strcmp(of.signer, l->signer) != 0 || of.n != l->n - 1 ||
	    !is_hex(sha, DR_SHA256_HEX - 1))
		return 0;
	if ((l->prev_name = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	memcpy(l->prev_sha256, sha, DR_SHA256_HEX);
	return 1;
}

/* 1, 0 malformed, -1. */
static int
lists(const json_t *o, struct dr_ledger *l, struct dr_err *err)
{
	const json_t *objects = json_object_get(o, "objects"), *e;
	const json_t *gaps = json_object_get(o, "gaps");
	uint64_t from, to;
	size_t i;

	if (!json_is_array(objects) || !json_is_array(gaps))
		return 0;
	json_array_foreach(objects, i, e) {
		const char *name = json_string_value(json_array_get(e, 0));
		const json_t *size = json_array_get(e, 1);
		const char *sha = json_string_value(json_array_get(e, 2));

		if (json_array_size(e) != 3 || !name_ok(name) ||
		    !json_is_integer(size) || json_integer_value(size) < 0 ||
		    !is_hex(sha, DR_SHA256_HEX - 1))
			return 0;
		if (dr_ledger_add(l, name, (uint64_t)json_integer_value(size),
		        sha, err) == -1)
			return -1;
	}
	json_array_foreach(gaps, i, e) {
		const char *url = json_string_value(json_array_get(e, 0));

		if (json_array_size(e) != 3 || url == NULL ||
		    strlen(url) > STORE_LEN_MAX ||
		    !lsn_of(json_array_get(e, 1), &from) ||
		    !lsn_of(json_array_get(e, 2), &to) || from >= to)
			return 0;
		if (dr_ledger_add_gap(l, url, from, to, err) == -1)
			return -1;
	}
	return 1;
}

int
dr_ledger_parse(const char *text, size_t len, const char *name,
    struct dr_ledger *l, struct dr_err *err)
{
	json_error_t why;
	json_t *o = NULL;
	int rc = -1;

	memset(l, 0, sizeof(*l));
	if (len == 0 || len > DR_LEDGER_MAX || text[len - 1] != '\n')
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is no ledger: it is empty, too large or cut off",
		    name);
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (o == NULL) {
		dr_err_set(err, DR_EDATA, "\"%s\" is no ledger: %s", name,
		    why.text);
		goto out;
	}
	rc = json_is_object(o) && head(o, l) ? previous(o, l, err) : 0;
	if (rc == 1)
		rc = lists(o, l, err);
	if (rc == 0)
		dr_err_set(err, DR_EDATA,
		    "\"%s\" is no ledger: a field is missing or malformed",
		    name);
	rc = rc == 1 ? 0 : -1;

out:
	json_decref(o);
	if (rc == -1)
		dr_ledger_wipe(l);
	return rc;
}
