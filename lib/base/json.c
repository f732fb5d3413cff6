#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
put(struct dr_json *j, const char *s, size_t n)
{
	if (!j->failed && dr_buf_add(j->out, s, n, &j->err) == -1)
		j->failed = true;
}

/*
 * Length of the UTF-8 sequence at S (N bytes there), or 0 where there is
 * none: overlong forms, surrogates and what lies beyond U+10FFFF are none
 * (Unicode, table 3-7).
 */
static size_t
utf8(const unsigned char *s, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (n < len || s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static void
put_string(struct dr_json *j, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t from = 0, i = 0, len;
	char esc[8];

	put(j, "\"", 1);
	while (i < n && !j->failed) {
		len = utf8(s + i, n - i);
		if (len > 0 && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' &&
		    s[i] != 0x7f) {
			i += len;
			continue;
		}
		put(j, text + from, i - from);
		if (len == 0)
			put(j, "\xef\xbf\xbd", 3);
		else if (s[i] == '"')
			put(j, "\\\"", 2);
		else if (s[i] == '\\')
			put(j, "\\\\", 2);
		else if (s[i] == '\n')
			put(j, "\\n", 2);
		else if (s[i] == '\t')
			put(j, "\\t", 2);
		else if (s[i] == '\r')
			put(j, "\\r", 2);
		else {
			snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)s[i]);
			put(j, esc, 6);
		}
		from = ++i;
	}
	if (n > from)
		put(j, text + from, n - from);
	put(j, "\"", 1);
}

/* The comma and the key before a value. */
static void
before(struct dr_json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (key != NULL) {
		put_string(j, key, strlen(key));
		put(j, ":", 1);
	}
}

void
dr_json_init(struct dr_json *j, struct dr_buf *out)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
}

void
dr_json_object(struct dr_json *j, const char *key)
{
	before(j, key);
	put(j, "{", 1);
	j->comma = false;
}

void
dr_json_array(struct dr_json *j, const char *key)
{
	before(j, key);
	put(j, "[", 1);
	j->comma = false;
}

void
dr_json_close(struct dr_json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void
dr_json_str(struct dr_json *j, const char *key, const char *value)
{
	if (value == NULL)
		dr_json_null(j, key);
	else
		dr_json_strn(j, key, value, strlen(value));
}

void
dr_json_strn(struct dr_json *j, const char *key, const char *value, size_t n)
{
	before(j, key);
	put_string(j, value, n);
}

void
dr_json_int(struct dr_json *j, const char *key, int64_t v)
{
	char s[24];

	before(j, key);
	put(j, s, (size_t)snprintf(s, sizeof(s), "%" PRId64, v));
}

void
dr_json_uint(struct dr_json *j, const char *key, uint64_t v)
{
	char s[24];

	before(j, key);
	put(j, s, (size_t)snprintf(s, sizeof(s), "%" PRIu64, v));
}

void
dr_json_bool(struct dr_json *j, const char *key, bool v)
{
	before(j, key);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void
dr_json_real(struct dr_json *j, const char *key, double v)
{
	char s[40];

	/* JSON has no infinities and no NaN. */
	if (!isfinite(v)) {
		dr_json_null(j, key);
		return;
	}
	before(j, key);
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(s, sizeof(s), "%.*g", digits, v);
		if (strtod(s, NULL) >= v && strtod(s, NULL) <= v)
			break;
	}
	put(j, s, strlen(s));
}

void
dr_json_null(struct dr_json *j, const char *key)
{
	before(j, key);
	put(j, "null", 4);
}

void
dr_json_raw(struct dr_json *j, const char *key, const char *json)
{
	before(j, key);
	put(j, json, strlen(json));
}

int
dr_json_end(struct dr_json *j, struct dr_err *err)
{
	if (!j->failed)
		return 0;
	return dr_err_set(err, j->err.cause, "%s", j->err.msg);
}
