#include "store/knownhosts.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define HOST_MAX 300
#define BLOB_MAX 8192
#define SHA1_LEN 20

/* One word of a line. */
struct word {
	const char *s;
	size_t len;
};

static struct word
next(const char **s, const char *end)
{
	struct word w;

	while (*s < end && (**s == ' ' || **s == '\t'))
		++*s;
	w.s = *s;
	while (*s < end && **s != ' ' && **s != '\t')
		++*s;
	w.len = (size_t)(*s - w.s);
	return w;
}

static bool
is_word(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.s, text, w.len) == 0;
}

/* The bytes that W is base64 of, at most MAX; -1: it is not. */
static int
decode(struct word w, unsigned char *out, size_t max)
{
	size_t pad = 0;
	int n;

	while (pad < 2 && pad < w.len && w.s[w.len - 1 - pad] == '=')
		pad++;
	if (w.len == 0 || w.len % 4 != 0 || w.len / 4 * 3 > max)
		return -1;
	n = EVP_DecodeBlock(out, (const unsigned char *)w.s, (int)w.len);
	return n < (int)pad ? -1 : n - (int)pad;
}

/* Does pattern P ("*", "?") match NAME?  Letters of either case. */
static bool
matches(struct word p, const char *name)
{
	const char *star = NULL, *from = NULL;
	size_t i = 0, after = 0;

	while (*name != '\0') {
		if (i < p.len && p.s[i] == '*') {
			star = name;
			from = name;
			after = ++i;
		} else if (i < p.len &&
		           (p.s[i] == '?' ||
		               tolower((unsigned char)p.s[i]) ==
		                   tolower((unsigned char)*name))) {
			i++;
			name++;
		} else if (star != NULL) {
			i = after;
			name = ++from;
		} else
			return false;
	}
	while (i < p.len && p.s[i] == '*')
		i++;
	return i == p.len;
}

/* "|1|SALT|HASH", HASH being HMAC-SHA-1 of the name keyed with SALT. */
static bool
hashed(struct word w, const char *name)
{
	unsigned char salt[64], want[SHA1_LEN + 4], got[EVP_MAX_MD_SIZE];
	const char *bar = memchr(w.s + 3, '|', w.len - 3);
	struct word a, b;
	unsigned int len;
	int n;

	if (bar == NULL)
		return false;
	a = (struct word){ w.s + 3, (size_t)(bar - w.s - 3) };
	b = (struct word){ bar + 1, (size_t)(w.s + w.len - bar - 1) };
	if ((n = decode(a, salt, sizeof(salt))) <= 0 ||
	    decode(b, want, sizeof(want)) != SHA1_LEN)
		return false;
	return HMAC(EVP_sha1(), salt, n, (const unsigned char *)name,
	           strlen(name), got, &len) != NULL &&
	       len == SHA1_LEN && memcmp(got, want, SHA1_LEN) == 0;
}

static bool
names_host(struct word names, const char *name)
{
	bool yes = false;

	if (names.len > 3 && memcmp(names.s, "|1|", 3) == 0)
		return hashed(names, name);
	while (names.len > 0) {
		const char *comma = memchr(names.s, ',', names.len);
		struct word w = { names.s,
			comma == NULL ? names.len : (size_t)(comma - names.s) };

		names.s += w.len + (comma != NULL);
		names.len -= w.len + (comma != NULL);
		if (w.len > 1 && w.s[0] == '!') {
			w.s++;
			w.len--;
			if (matches(w, name))
				return false;
		} else if (w.len > 0 && matches(w, name))
			yes = true;
	}
	return yes;
}

static int
add(struct dr_host_keys *keys, struct word type, struct word data, bool revoked,
    struct dr_err *err)
{
	unsigned char blob[BLOB_MAX];
	struct dr_host_key *k;
	int n;

	if (keys->n == DR_HOST_KEYS || type.len >= sizeof(k->type) ||
	    (n = decode(data, blob, sizeof(blob))) <= 0)
		return 0;
	k = &keys->key[keys->n];
	if ((k->blob = malloc((size_t)n)) == NULL)
		return dr_err_sys(err, "cannot read known hosts");
	memcpy(k->blob, blob, (size_t)n);
	k->len = (size_t)n;
	memcpy(k->type, type.s, type.len);
	k->type[type.len] = '\0';
	k->revoked = revoked;
	keys->n++;
	return 0;
}

int
dr_known_hosts(const char *text, const char *host, uint16_t port,
    struct dr_host_keys *keys, struct dr_err *err)
{
	char name[HOST_MAX];
	const char *end;

	/* A key of the bare name counts for ssh's own port alone. */
	if (port == 22)
		(void)snprintf(name, sizeof(name), "%s", host);
	else
		(void)snprintf(name, sizeof(name), "[%s]:%u", host, port);
	for (char *p = name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	for (; *text != '\0'; text = *end == '\0' ? end : end + 1) {
		const char *s = text;
		struct word w, type, data;
		bool revoked = false;

		end = text + strcspn(text, "\r\n");
		w = next(&s, end);
		if (w.len == 0 || w.s[0] == '#')
			continue;
		if (is_word(w, "@revoked")) {
			revoked = true;
			w = next(&s, end);
		} else if (w.s[0] == '@')
			continue;
		type = next(&s, end);
		data = next(&s, end);
		if (data.len > 0 && names_host(w, name) &&
		    add(keys, type, data, revoked, err) == -1)
			return -1;
	}
	return 0;
}

void
dr_host_keys_wipe(struct dr_host_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		free(keys->key[i].blob);
	memset(keys, 0, sizeof(*keys));
}

enum dr_host_known
dr_host_check(const struct dr_host_keys *keys, const unsigned char *blob,
    size_t len)
{
	enum dr_host_known known = DR_HOST_UNKNOWN;

	for (size_t i = 0; i < keys->n; i++) {
		const struct dr_host_key *k = &keys->key[i];
		bool same = k->len == len && memcmp(k->blob, blob, len) == 0;

		if (k->revoked) {
			if (same)
				return DR_HOST_REVOKED;
		} else if (same)
			known = DR_HOST_MATCH;
		else if (known == DR_HOST_UNKNOWN)
			known = DR_HOST_MISMATCH;
	}
	return known;
}
