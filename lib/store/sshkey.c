#include "store/sshkey.h"

#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define BODY_MAX 16384

/* What lies between the lines, decoded; its length. */
static size_t
body(const char *text, unsigned char out[BODY_MAX])
{
	char b64[BODY_MAX / 3 * 4];
	size_t n = 0, pad = 0;
	int len;

	for (; *text != '\0' && *text != '-'; text++) {
		if (*text == '\n' || *text == '\r')
			continue;
		if (n == sizeof(b64))
			return 0;
		b64[n++] = *text;
	}
	while (pad < 2 && pad < n && b64[n - 1 - pad] == '=')
		pad++;
	if (n == 0 || n % 4 != 0)
		return 0;
	len = EVP_DecodeBlock(out, (const unsigned char *)b64, (int)n);
	OPENSSL_cleanse(b64, sizeof(b64));
	return len < (int)pad ? 0 : (size_t)len - pad;
}

/* A string: four bytes of length, big-endian, and as many bytes. */
static bool
string(const unsigned char **p, size_t *left, const unsigned char **s,
    size_t *len)
{
	if (*left < 4)
		return false;
	*len = (size_t)(*p)[0] << 24 | (size_t)(*p)[1] << 16 |
	       (size_t)(*p)[2] << 8 | (*p)[3];
	*p += 4;
	*left -= 4;
	if (*len > *left)
		return false;
	*s = *p;
	*p += *len;
	*left -= *len;
	return true;
}

static void
openssh(const char *text, struct dr_ssh_key *key)
{
	static const char magic[] = "openssh-key-v1"; /* and its NUL */
	unsigned char raw[BODY_MAX];
	const unsigned char *p = raw, *s;
	size_t left = body(text, raw), len, i;

	if (left < sizeof(magic) || memcmp(raw, magic, sizeof(magic)) != 0)
		goto out;
	p += sizeof(magic);
	left -= sizeof(magic);
	if (!string(&p, &left, &s, &len))
		goto out;
	key->protected = len != 4 || memcmp(s, "none", 4) != 0;
	for (i = 0; i < 2; i++) /* the derivation's name and its options */
		if (!string(&p, &left, &s, &len))
			goto out;
	if (left < 4)
		goto out;
	p += 4; /* how many keys; one */
	left -= 4;
	if (!string(&p, &left, &s, &len) || len > sizeof(key->blob))
		goto out;
	memcpy(key->blob, s, len);
	key->len = len;
	key->ok = true;
	p = key->blob;
	left = key->len;
	if (string(&p, &left, &s, &len) && len < sizeof(key->type)) {
		memcpy(key->type, s, len);
		key->type[len] = '\0';
	}

out:
	OPENSSL_cleanse(raw, sizeof(raw));
}

void
dr_ssh_key_look(const char *text, struct dr_ssh_key *key)
{
	const char *line, *eol;

	memset(key, 0, sizeof(*key));
	if ((line = strstr(text, "-----BEGIN ")) == NULL ||
	    (eol = strchr(line, '\n')) == NULL)
		return;
	if (strncmp(line + 11, "OPENSSH PRIVATE KEY", 19) == 0) {
		openssh(eol + 1, key);
		return;
	}
	if (memmem(line, (size_t)(eol - line), "PRIVATE KEY", 11) == NULL)
		return;
	key->ok = true;
	key->protected = strstr(line, "ENCRYPTED") != NULL;
	if (strncmp(line + 11, "RSA ", 4) == 0)
		memcpy(key->type, "ssh-rsa", sizeof("ssh-rsa"));
}
