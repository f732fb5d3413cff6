#include "manifest/manifest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "manifest/path.h"

#define LIST_MAX  16
#define DEPTH_MAX 16
#define TEXT_MAX  1024

/* What a field's value must look like. */
enum form {
	F_TRUTH,
	F_COUNT,  /* 0 to 2^63 - 1 */
	F_TEXT,   /* up to TEXT_MAX bytes, no control characters */
	F_WORD,   /* one of "a|b|c" */
	F_ID,     /* 20261120T120000Z-3f9a1c */
	F_TIME,   /* RFC 3339, UTC */
	F_LSN,    /* "16/B374D848" */
	F_U64,    /* decimal digits in a string */
	F_HEX16,  /* a key id or a fingerprint */
	F_SHA256, /* 64 lower-case hex digits */
	F_SET,
	F_LINK,   /* {id, sha256, ...} or null */
	F_LINKS,  /* a list of those, without null */
	F_PRINTS, /* a list of F_HEX16 */
	F_LABELS, /* object of KEY: F_TEXT */
	F_OBJECT,
};

/*
 * The public list of fields, dr-manifest(5): a known field is of this form
 * or the manifest is refused; what is not listed here is let pass.
 */
static const struct field {
	const char *path;
	enum form form;
	bool must;
	const char *words;
} fields[] = {
	{ "id", F_ID, true, NULL },
	{ "seq", F_COUNT, false, NULL },
	{ "signer", F_HEX16, false, NULL },
	{ "set", F_SET, false, NULL },
	{ "kind", F_WORD, true, "pg|files|stream" },
	{ "mode", F_WORD, true, "full|incremental" },
	{ "parent", F_LINK, false, NULL },
	{ "complete", F_TRUTH, true, NULL },
	{ "started", F_TIME, true, NULL },
	{ "stopped", F_TIME, false, NULL },
	{ "committed", F_TIME, false, NULL },
	{ "host", F_TEXT, false, NULL },
	{ "labels", F_LABELS, false, NULL },
	{ "pg", F_OBJECT, false, NULL },
	{ "pg.version", F_TEXT, false, NULL },
	{ "pg.version_num", F_COUNT, false, NULL },
	{ "pg.system_id", F_U64, false, NULL },
	{ "pg.timeline", F_COUNT, false, NULL },
	{ "pg.start_lsn", F_LSN, false, NULL },
	{ "pg.stop_lsn", F_LSN, false, NULL },
	{ "pg.wal", F_TRUTH, false, NULL },
	{ "files", F_OBJECT, false, NULL },
	{ "files.members", F_COUNT, false, NULL },
	{ "files.bytes", F_COUNT, false, NULL },
	{ "files.changed", F_OBJECT, false, NULL },
	{ "files.changed.count", F_COUNT, false, NULL },
	{ "files.vanished", F_OBJECT, false, NULL },
	{ "files.vanished.count", F_COUNT, false, NULL },
	{ "files.unreadable", F_OBJECT, false, NULL },
	{ "files.unreadable.count", F_COUNT, false, NULL },
	{ "stream", F_OBJECT, false, NULL },
	{ "stream.members", F_COUNT, false, NULL },
	{ "stream.bytes", F_COUNT, false, NULL },
	{ "pg.standby", F_TRUTH, false, NULL },
	{ "pg.tablespaces", F_COUNT, false, NULL },
	{ "pg.wal_segment_size", F_COUNT, false, NULL },
	{ "pg.page_checksums", F_TRUTH, false, NULL },
	{ "pg.checksums_verified", F_TRUTH, false, NULL },
	{ "pg.group_access", F_TRUTH, false, NULL },
	{ "pg.settings", F_OBJECT, false, NULL },
	{ "pg.settings.max_connections", F_COUNT, false, NULL },
	{ "pg.settings.max_worker_processes", F_COUNT, false, NULL },
	{ "pg.settings.max_wal_senders", F_COUNT, false, NULL },
	{ "pg.settings.max_prepared_transactions", F_COUNT, false, NULL },
	{ "pg.settings.max_locks_per_transaction", F_COUNT, false, NULL },
	{ "pg.locale", F_OBJECT, false, NULL },
	{ "pg.locale.encoding", F_TEXT, false, NULL },
	{ "pg.locale.provider", F_TEXT, false, NULL },
	{ "pg.locale.name", F_TEXT, false, NULL },
	{ "pg.locale.collate", F_TEXT, false, NULL },
	{ "pg.locale.ctype", F_TEXT, false, NULL },
	{ "pg.locale.version", F_TEXT, false, NULL },
	{ "files", F_OBJECT, false, NULL },
	{ "files.members", F_COUNT, false, NULL },
	{ "files.bytes", F_COUNT, false, NULL },
	{ "files.changed.count", F_COUNT, false, NULL },
	{ "files.vanished.count", F_COUNT, false, NULL },
	{ "files.unreadable.count", F_COUNT, false, NULL },
	{ "stream", F_OBJECT, false, NULL },
	{ "stream.members", F_COUNT, false, NULL },
	{ "stream.bytes", F_COUNT, false, NULL },
	{ "raw_size", F_COUNT, false, NULL },
	{ "pack", F_OBJECT, false, NULL },
	{ "pack.codec", F_TEXT, false, NULL },
	{ "pack.level", F_COUNT, false, NULL },
	{ "pack.frame_size", F_COUNT, false, NULL },
	{ "pack.frames", F_COUNT, false, NULL },
	{ "pack.members", F_TRUTH, false, NULL },
	{ "seal", F_OBJECT, false, NULL },
	{ "seal.format", F_TEXT, false, NULL },
	{ "seal.recipient_count", F_COUNT, false, NULL },
	{ "seal.recipients", F_PRINTS, false, NULL },
	{ "object", F_OBJECT, false, NULL },
	{ "object.name", F_TEXT, false, NULL },
	{ "object.size", F_COUNT, false, NULL },
	{ "object.sha256", F_SHA256, false, NULL },
	{ "previous", F_LINK, false, NULL },
	{ "start", F_TEXT, false, NULL },
	{ "abandoned_count", F_COUNT, false, NULL },
	{ "abandoned", F_LINKS, false, NULL },
};

/* VALUE is LEN bytes, all of them from SET. */
static bool
made_of(const char *value, size_t len, const char *set)
{
	return strlen(value) == len && strspn(value, set) == len;
}

bool
dr_id_ok(const char *id)
{
	static const char shape[] = "dddddddd"
	                            "Tdddddd"
	                            "Z-xxxxxx";
	size_t i;

	for (i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == 'd') {
			if (id[i] < '0' || id[i] > '9')
				return false;
		} else if (shape[i] == 'x') {
			if (id[i] == '\0' ||
			    strchr("0123456789abcdef", id[i]) == NULL)
				return false;
		} else if (id[i] != shape[i])
			return false;
	}
	return id[i] == '\0';
}

static bool
text_ok(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		unsigned char c = (unsigned char)s[i];

		/* 0xC2 0x80 to 0x9F are control characters too. */
		if (i == TEXT_MAX || c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0)
			return false;
	}
	return true;
}

static bool
time_ok(const char *s)
{
	struct dr_err err = { 0 };
	size_t len = strlen(s);
	int64_t usec;

	return len > 0 && s[len - 1] == 'Z' &&
	       dr_parse_time(s, &usec, &err) == 0;
}

static bool
lsn_ok(const char *s)
{
	struct dr_err err = { 0 };
	uint64_t lsn;

	return dr_parse_lsn(s, &lsn, &err) == 0;
}

static bool
u64_ok(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || !made_of(s, len, "0123456789") ||
	    (s[0] == '0' && len > 1))
		return false;
	return len < 20 ||
	       (len == 20 && strcmp(s, "18446744073709551615") <= 0);
}

static bool
word_ok(const char *s, const char *words)
{
	size_t len = strlen(s);
	const char *w;

	if (len == 0 || strchr(s, '|') != NULL)
		return false;
	for (w = words; w != NULL; w = strchr(w, '|')) {
		w += *w == '|';
		if (strncmp(w, s, len) == 0 &&
		    (w[len] == '|' || w[len] == '\0'))
			return true;
	}
	return false;
}

static bool
string_ok(const char *s, enum form form, const char *words)
{
	if (form == F_TEXT)
		return text_ok(s);
	if (form == F_WORD)
		return word_ok(s, words);
	if (form == F_ID)
		return dr_id_ok(s);
	if (form == F_TIME)
		return time_ok(s);
	if (form == F_LSN)
		return lsn_ok(s);
	if (form == F_U64)
		return u64_ok(s);
	if (form == F_HEX16 || form == F_PRINTS)
		return made_of(s, 16, "0123456789abcdef");
	if (form == F_SHA256)
		return made_of(s, 64, "0123456789abcdef");
	return form == F_SET && dr_set_name_ok(s);
}

static bool
link_ok(const json_t *v)
{
	const char *id = json_string_value(json_object_get(v, "id"));
	const char *sha = json_string_value(json_object_get(v, "sha256"));
	const json_t *seq = json_object_get(v, "seq");

	return id != NULL && dr_id_ok(id) && sha != NULL &&
	       string_ok(sha, F_SHA256, NULL) &&
	       (seq == NULL ||
	           (json_is_integer(seq) && json_integer_value(seq) > 0));
}

static bool
key_ok(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= 63 &&
	       made_of(key, len, "abcdefghijklmnopqrstuvwxyz0123456789_.-");
}

static bool
labels_ok(json_t *v)
{
	const char *key;
	json_t *text;

	if (!json_is_object(v) || json_object_size(v) > LIST_MAX)
		return false;
	json_object_foreach(v, key, text)
		if (!key_ok(key) || !json_is_string(text) ||
		    !text_ok(json_string_value(text)))
			return false;
	return true;
}

static bool
list_ok(const json_t *v, enum form form)
{
	const json_t *entry;
	size_t i;

	if (!json_is_array(v))
		return false;
	json_array_foreach(v, i, entry) {
		if (form == F_LINKS) {
			if (!link_ok(entry))
				return false;
		} else if (!json_is_string(entry) ||
		           !string_ok(json_string_value(entry), form, NULL))
			return false;
	}
	return true;
}

static bool
value_ok(json_t *v, const struct field *f)
{
	switch (f->form) {
	case F_TRUTH:
		return json_is_boolean(v);
	case F_COUNT:
		return json_is_integer(v) && json_integer_value(v) >= 0;
	case F_LINK:
		return json_is_null(v) || link_ok(v);
	case F_LINKS:
	case F_PRINTS:
		return list_ok(v, f->form);
	case F_LABELS:
		return labels_ok(v);
	case F_OBJECT:
		return json_is_object(v);
	case F_TEXT:
	case F_WORD:
	case F_ID:
	case F_TIME:
	case F_LSN:
	case F_U64:
	case F_HEX16:
	case F_SHA256:
	case F_SET:
		break;
	}
	return json_is_string(v) &&
	       string_ok(json_string_value(v), f->form, f->words);
}

/* Lists are short and nothing lies deep, in fields we do not know too. */
static bool
bounded(json_t *v, int depth)
{
	const char *key;
	json_t *entry;
	size_t i;

	if (depth > DEPTH_MAX)
		return false;
	if (json_is_array(v)) {
		if (json_array_size(v) > LIST_MAX)
			return false;
		json_array_foreach(v, i, entry)
			if (!bounded(entry, depth + 1))
				return false;
	} else if (json_is_object(v)) {
		json_object_foreach(v, key, entry)
			if (!bounded(entry, depth + 1))
				return false;
	}
	return true;
}

static int
check(json_t *m, const char *name, struct dr_err *err)
{
	const json_t *v;
	size_t i;

	if (!json_is_object(m))
		return dr_err_set(err, DR_EDATA,
		    "the manifest of %s is not a JSON object", name);
	v = json_object_get(m, "drtools");
	if (!json_is_integer(v))
		return dr_err_set(err, DR_EDATA,
		    "the manifest of %s has no format version", name);
	if (json_integer_value(v) != DR_MANIFEST_VERSION) {
		dr_err_set(err, DR_EDATA,
		    "the manifest of %s is of version %lld, not %d", name,
		    (long long)json_integer_value(v), DR_MANIFEST_VERSION);
		return dr_err_hint(err, "newer drtools may read it");
	}
	if (!bounded(m, 0))
		return dr_err_set(err, DR_EDATA,
		    "the manifest of %s has a list of more than %d entries "
		    "or is nested too deep",
		    name, LIST_MAX);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		json_t *value = dr_manifest_find(m, fields[i].path);

		if (value == NULL) {
			if (!fields[i].must)
				continue;
			return dr_err_set(err, DR_EDATA,
			    "the manifest of %s has no \"%s\"", name,
			    fields[i].path);
		}
		if (!value_ok(value, &fields[i]))
			return dr_err_set(err, DR_EDATA,
			    "the manifest of %s has a bad \"%s\"", name,
			    fields[i].path);
	}
	return 0;
}

json_t *
dr_manifest_parse(const char *text, size_t len, const char *name,
    struct dr_err *err)
{
	json_error_t why;
	json_t *m;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > DR_MANIFEST_LINE_MAX) {
		dr_err_set(err, DR_EDATA,
		    "the manifest of %s is longer than 64 KiB", name);
		return NULL;
	}
	if (memchr(text, '\n', len) != NULL) {
		dr_err_set(err, DR_EDATA, "the manifest of %s is not one line",
		    name);
		return NULL;
	}
	m = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (m == NULL) {
		if (json_error_code(&why) == json_error_duplicate_key)
			dr_err_set(err, DR_EDATA,
			    "the manifest of %s names a field twice", name);
		else if (json_error_code(&why) == json_error_out_of_memory)
			dr_err_set(err, DR_EFAIL,
			    "cannot read the manifest of %s: out of memory",
			    name);
		else
			dr_err_set(err, DR_EDATA,
			    "the manifest of %s is not valid JSON, at byte %d",
			    name, why.position);
		return NULL;
	}
	if (check(m, name, err) == -1) {
		json_decref(m);
		return NULL;
	}
	return m;
}

int
dr_manifest_line(const json_t *m, struct dr_buf *out, struct dr_err *err)
{
	char *text = json_dumps(m, JSON_COMPACT);
	size_t len;
	int rc;

	if (text == NULL)
		return dr_err_set(err, DR_EFAIL,
		    "cannot write the manifest: out of memory");
	if ((len = strlen(text)) > DR_MANIFEST_LINE_MAX)
		rc = dr_err_set(err, DR_EDATA,
		    "the manifest would be longer than 64 KiB");
	else
		rc = dr_buf_add(out, text, len, err);
	free(text);
	return rc;
}

json_t *
dr_manifest_new(const char *kind, int64_t started, struct dr_err *err)
{
	char id[DR_TIME_LEN + 8], when[DR_TIME_LEN], host[256];
	unsigned char rnd[3];
	json_t *m;

	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return NULL;
	dr_format_stamp(started, id);
	strncat(id, "-", 2);
	dr_hex(rnd, sizeof(rnd), id + strlen(id));
	if (gethostname(host, sizeof(host)) == -1)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	if (!text_ok(host))
		host[0] = '\0';
	m = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:s, s:{}}", "drtools",
	    DR_MANIFEST_VERSION, "id", id, "kind", kind, "mode", "full",
	    "complete", 1, "started", dr_format_time(started, when), "host",
	    host, "labels");
	if (m == NULL)
		dr_err_set(err, DR_EFAIL, "cannot make a manifest");
	return m;
}

int
dr_manifest_label(json_t *m, const char *key_value, struct dr_err *err)
{
	json_t *labels = json_object_get(m, "labels"), *text;
	const char *eq = strchr(key_value, '=');
	char key[64];

	if (eq == NULL || eq - key_value > 63) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is not KEY=VALUE",
		    key_value);
		return -1;
	}
	memcpy(key, key_value, (size_t)(eq - key_value));
	key[eq - key_value] = '\0';
	if (!key_ok(key)) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" cannot be a label", key);
		return dr_err_hint(err,
		    "1 to 63 of a-z, 0-9, \"_\", \".\" and \"-\"");
	}
	if (!text_ok(eq + 1) || (text = json_string(eq + 1)) == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "the value of label \"%s\" is not plain UTF-8 text of at "
		    "most %d bytes",
		    key, TEXT_MAX);
	if (labels == NULL) {
		if ((labels = json_object()) == NULL ||
		    json_object_set_new(m, "labels", labels) == -1) {
			json_decref(text);
			return dr_err_set(err, DR_EFAIL, "out of memory");
		}
	}
	if (json_object_get(labels, key) == NULL &&
	    json_object_size(labels) >= LIST_MAX) {
		json_decref(text);
		return dr_err_set(err, DR_EUSAGE, "more than %d labels",
		    LIST_MAX);
	}
	if (json_object_set_new(labels, key, text) == -1)
		return dr_err_set(err, DR_EFAIL, "cannot set label \"%s\"",
		    key);
	return 0;
}
