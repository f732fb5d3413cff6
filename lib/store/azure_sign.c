#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/num.h"
#include "store/azure.h"

static int
add(struct dr_az_pair *v, size_t *n, const char *name, const char *value,
    struct dr_err *err)
{
	struct dr_az_pair *p = v;
	char *copy = strdup(value);

	if (copy == NULL)
		return dr_err_sys(err, "cannot prepare a request");
	while (p < v + *n && strcmp(p->name, name) != 0)
		p++;
	if (p < v + *n) {
		free(p->value);
		p->value = copy;
		return 0;
	}
	if (*n == DR_AZ_PAIRS || (p->name = strdup(name)) == NULL) {
		free(copy);
		return dr_err_set(err, DR_EFAIL, "cannot prepare a request");
	}
	p->value = copy;
	++*n;
	return 0;
}

int
dr_az_query(struct dr_az_call *c, const char *name, const char *value,
    struct dr_err *err)
{
	return add(c->query, &c->queries, name, value, err);
}

int
dr_az_head(struct dr_az_call *c, const char *name, const char *value,
    struct dr_err *err)
{
	return add(c->head, &c->heads, name, value, err);
}

void
dr_az_call_wipe(struct dr_az_call *c)
{
	for (size_t i = 0; i < c->queries; i++) {
		free(c->query[i].name);
		free(c->query[i].value);
	}
	for (size_t i = 0; i < c->heads; i++) {
		free(c->head[i].name);
		free(c->head[i].value);
	}
	free(c->path);
	memset(c, 0, sizeof(*c));
}

static const char *
header(const struct dr_az_call *c, const char *name)
{
	for (size_t i = 0; i < c->heads; i++)
		if (strcmp(c->head[i].name, name) == 0)
			return c->head[i].value;
	return "";
}

static int
by_name(const void *a, const void *b)
{
	const struct dr_az_pair *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Each of V whose name begins with BEGIN, in order, between the two. */
static int
sorted(struct dr_buf *out, const struct dr_az_pair *v, size_t n,
    const char *begin, const char *before, const char *after,
    struct dr_err *err)
{
	const struct dr_az_pair *p[DR_AZ_PAIRS];
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (strncmp(v[i].name, begin, strlen(begin)) == 0)
			p[k++] = &v[i];
	qsort(p, k, sizeof(*p), by_name);
	for (size_t i = 0; i < k; i++)
		if (dr_buf_fmt(out, err, "%s%s:%s%s", before, p[i]->name,
		        p[i]->value, after) == -1)
			return -1;
	return 0;
}

int
dr_az_to_sign(const struct dr_az_call *c, const char *account,
    struct dr_buf *out, struct dr_err *err)
{
	static const char *const plain[] = { "content-md5", "content-type",
		"date", "if-modified-since", "if-match", "if-none-match",
		"if-unmodified-since", "range" };

	if (dr_buf_fmt(out, err, "%s\n\n\n", c->method) == -1 ||
	    (c->len > 0 && dr_buf_fmt(out, err, "%llu",
	                       (unsigned long long)c->len) == -1) ||
	    dr_buf_str(out, "\n", err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (dr_buf_fmt(out, err, "%s\n", header(c, plain[i])) == -1)
			return -1;
	if (sorted(out, c->head, c->heads, "x-ms-", "", "\n", err) == -1 ||
	    dr_buf_fmt(out, err, "/%s%s", account, c->path) == -1)
		return -1;
	return sorted(out, c->query, c->queries, "", "\n", "", err);
}

int
dr_az_sign(const void *key, size_t len, const char *text, struct dr_buf *out,
    struct dr_err *err)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n;

	if (HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)text,
	        strlen(text), mac, &n) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot sign a request");
	return dr_b64(out, mac, n, err);
}

/* --- dates --------------------------------------------------------------------- */

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Not strftime: names of days follow no locale here. */
char *
dr_az_date(int64_t usec, char out[DR_AZ_DATE_LEN])
{
	time_t t = (time_t)((usec + 999999) / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	(void)snprintf(out, DR_AZ_DATE_LEN,
	    "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
	    (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
	    (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
	    (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return out;
}

/* LEN digits at S, at most MAX; -1. */
static int
digits(const char *s, size_t len, int max)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -1;
		n = n * 10 + (s[i] - '0');
	}
	return n > max ? -1 : n;
}

bool
dr_az_parse_date(const char *s, int64_t *usec)
{
	static const char form[] = "aaa, 00 aaa 0000 00:00:00 GMT";
	struct tm tm = { 0 };

	if (strlen(s) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] != 'a' && form[i] != '0' && s[i] != form[i])
			return false;
	for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++)
		if (strncmp(s + 8, months + 3 * tm.tm_mon, 3) == 0)
			break;
	tm.tm_mday = digits(s + 5, 2, 31);
	tm.tm_year = digits(s + 12, 4, 9999) - 1900;
	tm.tm_hour = digits(s + 17, 2, 23);
	tm.tm_min = digits(s + 20, 2, 59);
	tm.tm_sec = digits(s + 23, 2, 60);
	if (tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_year < -300 ||
	    tm.tm_hour == -1 || tm.tm_min == -1 || tm.tm_sec == -1)
		return false;
	*usec = (int64_t)timegm(&tm) * 1000000;
	return true;
}

/* --- ids of blocks ---------------------------------------------------------------- */

static const unsigned char tag[2] = { 'd', 'r' };

int
dr_az_mark_new(struct dr_az_mark *m, struct dr_err *err)
{
	m->started = dr_now() / 1000 * 1000;
	return dr_random(m->random, sizeof(m->random), err);
}

char *
dr_az_mark_hex(const struct dr_az_mark *m, char out[DR_AZ_MARK_LEN])
{
	return dr_hex(m->random, sizeof(m->random), out);
}

/* "dr", 6 bytes of milliseconds, 12 random ones, 4 of the number. */
char *
dr_az_block_id(const struct dr_az_mark *m, unsigned n, char out[DR_AZ_ID_LEN])
{
	unsigned char raw[24], ms[8];

	memcpy(raw, tag, sizeof(tag));
	dr_put64(ms, (uint64_t)(m->started / 1000));
	memcpy(raw + 2, ms, 6);
	memcpy(raw + 8, m->random, sizeof(m->random));
	dr_put32(raw + 20, n);
	EVP_EncodeBlock((unsigned char *)out, raw, sizeof(raw));
	return out;
}

bool
dr_az_block_mark(const char *id, struct dr_az_mark *m)
{
	unsigned char raw[24], ms[8] = { 0 };

	if (strlen(id) != DR_AZ_ID_LEN - 1 ||
	    dr_unb64(id, raw, sizeof(raw)) != sizeof(raw) ||
	    memcmp(raw, tag, sizeof(tag)) != 0)
		return false;
	memcpy(ms, raw + 2, 6);
	m->started = (int64_t)dr_get64(ms) * 1000;
	memcpy(m->random, raw + 8, sizeof(m->random));
	return true;
}
