/*
 * The members of one backup: from the index of a packed body, of which only
 * that part is read, or by following the whole tar.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/members.h"
#include "archive/tarwalk.h"
#include "base/json.h"
#include "base/msg.h"
#include "codec/pack.h"
#include "flow/body.h"
#include "flow/catalogue.h"
#include "flow/list.h"
#include "flow/sealing.h"
#include "manifest/manifest.h"
#include "store/store.h"

#define FLUSH (256U << 10)

struct printer {
	struct dr_sink *out;
	struct dr_buf text;
	bool json;
};

/* Bytes of the UTF-8 character at S that may be shown; 0: none may. */
static size_t
utf8(const unsigned char *s)
{
	size_t n, i;
	uint32_t c;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	c = s[0] & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fU);
	}
	/* Overlong, surrogates, and what turns text or breaks lines. */
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff) || c < 0xa0 ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	    c == 0x200e || c == 0x200f)
		return 0;
	return n;
}

int
dr_list_escape(struct dr_buf *out, const char *path, struct dr_err *err)
{
	static const char from[] = "\a\b\f\n\r\t\v\\ ";
	static const char to[] = "abfnrtv\\ ";
	const unsigned char *s = (const unsigned char *)path;
	const char *at;
	size_t n;

	for (; *s != '\0'; s += n) {
		char text[8];

		n = 1;
		if (*s < 0x80 && (at = strchr(from, *s)) != NULL)
			(void)snprintf(text, sizeof(text), "\\%c",
			    to[at - from]);
		else if (*s > 0x20 && *s < 0x7f)
			(void)snprintf(text, sizeof(text), "%c", *s);
		else if ((n = utf8(s)) > 0)
			(void)snprintf(text, sizeof(text), "%.*s", (int)n,
			    (const char *)s);
		else {
			(void)snprintf(text, sizeof(text), "\\%03o", *s);
			n = 1;
		}
		if (dr_buf_str(out, text, err) == -1)
			return -1;
	}
	return 0;
}

static const char *
type_word(char type)
{
	switch (type) {
	case '1':
		return "hardlink";
	case '2':
		return "symlink";
	case '3':
		return "char";
	case '4':
		return "block";
	case '5':
		return "directory";
	case '6':
		return "fifo";
	default:
		return "file";
	}
}

/* As ls shows it, but for hard links. */
static char
type_letter(char type)
{
	static const char from[] = "123456", to[] = "hlcbdp";
	const char *at = type == '\0' ? NULL : strchr(from, type);

	return at == NULL ? '-' : to[at - from];
}

static int
flush(struct printer *p, struct dr_err *err)
{
	int rc = 0;

	if (p->text.len > 0)
		rc = dr_sink_write(p->out, p->text.data, p->text.len, err);
	p->text.len = 0;
	return rc;
}

static int
print(struct printer *p, char type, uint64_t size, const char *path,
    struct dr_err *err)
{
	struct dr_json j;

	if (p->json) {
		dr_json_init(&j, &p->text);
		dr_json_object(&j, NULL);
		dr_json_str(&j, "type", type_word(type));
		dr_json_uint(&j, "size", size);
		dr_json_str(&j, "path", path);
		dr_json_close(&j, '}');
		if (dr_json_end(&j, err) == -1)
			return -1;
	} else if (dr_buf_fmt(&p->text, err, "%c %12" PRIu64 " ",
	               type_letter(type), size) == -1 ||
	           dr_list_escape(&p->text, path, err) == -1)
		return -1;
	if (dr_buf_str(&p->text, "\n", err) == -1)
		return -1;
	return p->text.len >= FLUSH ? flush(p, err) : 0;
}

static int
from_index(struct printer *p, struct dr_blob *plain,
    const struct dr_frames *frames, struct dr_err *err)
{
	struct dr_source *src = dr_frames_index(plain, frames, err);
	struct dr_records *records = NULL;
	struct dr_record r;
	int rc = -1;

	if (src == NULL || (records = dr_records_new(src, err)) == NULL)
		goto out;
	while ((rc = dr_records_next(records, &r, err)) == 1)
		if (print(p, r.type, r.size, r.path, err) == -1) {
			rc = -1;
			break;
		}

out:
	dr_records_free(records);
	dr_source_free(src);
	return rc;
}

static int
walked(void *arg, const struct dr_member *m, struct dr_err *err)
{
	return print(arg, m->type, m->size, m->path, err);
}

static int
from_tar(struct printer *p, struct dr_body *body,
    const struct dr_identities *ids, struct dr_err *err)
{
	const struct dr_tarwalk_ops ops = { .member = walked };
	struct dr_source *tar = dr_body_tar(body, ids, 1, err);
	struct dr_tarwalk *w = NULL;
	char *buf = NULL;
	int rc = -1;
	ssize_t n;

	if (tar == NULL)
		return -1;
	if ((buf = malloc(FLUSH)) == NULL) {
		dr_err_sys(err, "cannot read the members");
		return -1;
	}
	if ((w = dr_tarwalk_new(&ops, p, err)) == NULL)
		goto out;
	while ((n = dr_source_read(tar, buf, FLUSH, err)) > 0)
		if (dr_tarwalk_add(w, buf, (size_t)n, err) == -1)
			goto out;
	if (n == 0)
		rc = dr_tarwalk_end(w, err);

out:
	dr_tarwalk_free(w);
	free(buf);
	return rc;
}

static int
list_body(struct printer *p, struct dr_body *body,
    const struct dr_identities *ids, struct dr_err *err)
{
	struct dr_frames frames = { 0 };
	struct dr_blob *plain;
	bool packed;
	int rc;

	if ((plain = dr_body_plain(body, ids, &packed, err)) == NULL)
		return -1;
	if (!packed)
		return from_tar(p, body, ids, err);
	if (dr_frames_read(plain, &frames, err) == -1)
		return -1;
	if (frames.index_at > 0)
		rc = from_index(p, plain, &frames, err);
	else
		rc = from_tar(p, body, ids, err);
	dr_frames_free(&frames);
	return rc;
}

/* The backup's body in this store. */
static struct dr_body *
open_in(const struct dr_list_opts *o, struct dr_store *store,
    const struct dr_verify_keys *keys, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = keys };
	struct dr_backups all = { NULL, 0 };
	const struct dr_backup *b;
	struct dr_blob *blob = NULL;
	struct dr_body *body = NULL;

	if (dr_catalogue_read(store, o->set, &co, &all, err) == 0 &&
	    (b = dr_backups_find(&all, o->id, err)) != NULL &&
	    (blob = dr_backup_body(store, o->set, b, NULL, err)) != NULL &&
	    (body = dr_body_object(blob, b->manifest, b->id, err)) == NULL)
		dr_blob_free(blob);
	dr_backups_free(&all);
	return body;
}

int
dr_list_members(const struct dr_list_opts *o, struct dr_sink *out,
    struct dr_err *err)
{
	struct printer p = { out, { .max = 64U << 20 }, o->json };
	struct dr_verify_keys *keys = NULL;
	struct dr_identities *ids = NULL;
	struct dr_store *store = NULL;
	struct dr_body *body = NULL;
	struct dr_err first = { 0 };
	int rc = -1;
	size_t i;

	if (!o->no_signature &&
	    (keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		goto out;
	if ((o->identities->n > 0 || o->identity_command != NULL) &&
	    (ids = dr_identities_gather(o->identities, o->identity_command,
	         o->passphrase_file, err)) == NULL)
		goto out;
	for (i = 0; body == NULL && i < o->nstores; i++) {
		struct dr_err why = { 0 };

		dr_store_free(store);
		if ((store = dr_store_open(o->stores[i], o->how, &why)) != NULL)
			body = open_in(o, store, keys, &why);
		if (body == NULL && o->nstores > 1)
			dr_warn("store \"%s\": %s", o->stores[i], why.msg);
		if (body == NULL && first.cause == DR_OK)
			first = why;
	}
	if (body == NULL) {
		*err = first;
		goto out;
	}
	rc = list_body(&p, body, ids, err);
	if (flush(&p, err) == -1)
		rc = -1;

out:
	dr_body_free(body);
	dr_store_free(store);
	dr_identities_free(ids);
	dr_verify_keys_free(keys);
	dr_buf_free(&p.text);
	return rc;
}
