/*
 * manifest.h - what is known of a backup, as dr-manifest(5) lists it.
 *
 * In memory a manifest is a jansson object; the functions here are the only
 * ones that know its fields.  Pure: no files, no clock but by dr_now, no
 * network.
 */
#ifndef DR_MANIFEST_MANIFEST_H
#define DR_MANIFEST_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_MANIFEST_VERSION  1
#define DR_MANIFEST_LINE_MAX 65536U
#define DR_ID_LEN            24 /* 20261120T120000Z-3f9a1c and a NUL */

/*
 * The fields whose form dr_manifest_parse demands (dr-manifest(5)); a value
 * that is not known is left out, not null.
 *
 *	drtools 1, id, kind pg|files|stream, mode full|incremental,
 *	complete, started		always there
 *	stopped, committed		RFC 3339 in UTC ("...Z")
 *	host, labels {key: text}, raw_size
 *	pg.version ("15.14"), .version_num, .timeline	text, numbers
 *	pg.system_id, .start_lsn, .stop_lsn		strings
 *	pg.wal				true: WAL up to stop_lsn is in the body
 *	pack.codec ("zstd"), .level, .frame_size, .frames
 *	seal.format ("age", "aes-256-gcm"), .recipient_count,
 *	seal.recipients [fingerprint, ...]		16 at most, as all lists
 *	parent {id, sha256}
 *	set, seq, signer, object {name, size, sha256}, previous {id, sha256}
 *	or null, start, abandoned [{id, seq, sha256}, ...], abandoned_count
 *					set by dr-push
 */

/*
 * Parse one line (a newline at the end is allowed): strict JSON, no
 * duplicate keys, at most 64 KiB, "drtools" equal to 1, every known field of
 * the right type and form, no list over 16 entries.  Unknown fields are kept.
 * DR_EDATA otherwise; NAME says where it came from.
 */
json_t *
dr_manifest_parse(const char *, size_t, const char *name, struct dr_err *);

/* Append as one line, compact, without a newline.  DR_EDATA above 64 KiB. */
int dr_manifest_line(const json_t *, struct dr_buf *out, struct dr_err *);

/*
 * A first manifest: drtools, id (from STARTED and random digits), kind ("pg",
 * "files", "stream"), mode "full", complete true, started, host, labels {}.
 */
json_t *dr_manifest_new(const char *kind, int64_t started, struct dr_err *);

/* "KEY=VALUE" into labels; DR_EUSAGE unless KEY is [a-z0-9_.-]{1,63}. */
int dr_manifest_label(json_t *, const char *key_value, struct dr_err *);

/* Text, numbers and truth by path: "pg.start_lsn".  NULL or DEF if absent. */
const char *dr_manifest_str(const json_t *, const char *path);
int64_t dr_manifest_int(const json_t *, const char *path, int64_t def);
bool dr_manifest_bool(const json_t *, const char *path, bool def);

/* Set by path, making objects on the way.  STR of NULL sets null. */
int
dr_manifest_set_str(json_t *, const char *path, const char *, struct dr_err *);
int dr_manifest_set_int(json_t *, const char *path, int64_t, struct dr_err *);
int dr_manifest_set_bool(json_t *, const char *path, bool, struct dr_err *);
/* Takes the reference VALUE, on failure too. */
int dr_manifest_set(json_t *, const char *path, json_t *value, struct dr_err *);
void dr_manifest_unset(json_t *, const char *path);

/* Is it an id: 8 digits T 6 digits Z - 6 hex? */
bool dr_id_ok(const char *);

#endif /* !DR_MANIFEST_MANIFEST_H */
