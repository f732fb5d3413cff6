/*
 * What AWS's tools, Google's and those behind credential_process hand us:
 * their files, their JSON, STS's XML.  The first byte chooses.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/ask.h"
#include "store/aws_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
ini(const char *text, size_t len)
{
	struct dr_ini a, b;
	struct dr_err err = { 0 };

	if (dr_ini_parse(&a, text, len, "f", &err) == -1) {
		if (err.cause != DR_EUSAGE || a.text != NULL)
			abort();
		return;
	}
	for (size_t i = 0; i < a.n; i++) {
		const struct dr_ini_key *k = &a.v[i];
		const char *section = a.section[k->section];

		/* Each is found, and lies in the text. */
		if (!dr_ini_has(&a, section) ||
		    dr_ini_get(&a, section, k->outer, k->key) != k->value ||
		    k->value < a.text ||
		    k->value + strlen(k->value) > a.text + a.len)
			abort();
	}
	/* It says the same another time. */
	if (dr_ini_parse(&b, text, len, "f", &err) == -1 || a.n != b.n ||
	    a.sections != b.sections)
		abort();
	dr_ini_wipe(&b);
	dr_ini_wipe(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_aws_keys k = { 0 };
	struct dr_err err = { 0 };
	char *text, **words, code[128], message[512];
	size_t len;

	if (size == 0)
		return 0;
	len = size - 1;
	if ((text = malloc(len + 1)) == NULL)
		abort();
	memcpy(text, data + 1, len);
	text[len] = '\0';
	switch (data[0]) {
	case 'j':
		if (dr_aws_keys_json(text, len, "Token", "x", &k, &err) == 0 &&
		    (k.access[0] == '\0' || k.secret[0] == '\0'))
			abort();
		break;
	case 's':
		if (dr_aws_sts_parse(text, len, &k, code, message, &err) ==
		        -1 &&
		    err.cause != DR_EDATA)
			abort();
		break;
	case 'w':
		if (dr_aws_words(text, &words, &err) == 0) {
			if (words[0] == NULL)
				abort();
			free(words[0]);
			free(words);
		}
		(void)dr_ask_host_ok(text);
		break;
	default:
		ini(text, len);
		break;
	}
	dr_aws_keys_wipe(&k);
	free(text);
	return 0;
}
