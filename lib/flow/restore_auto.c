/* What a restored cluster's postgresql.auto.conf says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/restore_command.h"
#include "flow/restore_conf.h"

#define CONF_MAX (4U << 20)

/* Each is taken out of what the server's own file said. */
static const char *const ours[] = { "restore_command",
	"recovery_target_timeline", "recovery_target_action",
	"recovery_target_inclusive", "recovery_target_name",
	"recovery_target_time", "recovery_target_xid", "recovery_target_lsn",
	"recovery_target", "recovery_end_command", "archive_cleanup_command",
	"primary_conninfo", "primary_slot_name", "hot_standby" };

/* These too, but not when the rest of the file is to stay as it was. */
static const char *const kept[] = { "synchronous_standby_names", "archive_mode",
	"archive_command", "archive_library" };

#define NOURS (sizeof(ours) / sizeof(ours[0]))
#define NKEPT (sizeof(kept) / sizeof(kept[0]))

static int
set(struct dr_buf *out, const char *name, const char *value, struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s = ", name) == -1 ||
	    dr_conf_value(out, value, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

/*
 * The targets.  The one that counts comes last: before another, even an
 * empty one, it would be a second.
 */
static int
target(const struct dr_target *t, struct dr_buf *out, struct dr_err *err)
{
	static const struct {
		const char *name;
		enum dr_target_kind kind;
	} all[] = { { "recovery_target_name", DR_TARGET_NAME },
		{ "recovery_target_time", DR_TARGET_TIME },
		{ "recovery_target_xid", DR_TARGET_XID },
		{ "recovery_target_lsn", DR_TARGET_LSN },
		{ "recovery_target", DR_TARGET_IMMEDIATE } };
	const size_t n = sizeof(all) / sizeof(all[0]);
	char text[DR_TIME_LEN + DR_LSN_LEN] = "";
	const char *value = text, *name = NULL;

	for (size_t i = 0; i < n; i++)
		if (all[i].kind == t->kind)
			name = all[i].name;
		else if (set(out, all[i].name, "", err) == -1)
			return -1;
	if (t->kind == DR_TARGET_NAME)
		value = t->name;
	else if (t->kind == DR_TARGET_TIME) {
		/* It is parsed before the server knows a "Z". */
		dr_format_time(t->time, text);
		text[10] = ' ';
		(void)snprintf(text + strlen(text) - 1, 4, "+00");
	} else if (t->kind == DR_TARGET_LSN)
		dr_format_lsn(t->lsn, text);
	else if (t->kind == DR_TARGET_XID)
		(void)snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)t->xid);
	else
		value = "immediate";
	return name == NULL ? 0 : set(out, name, value, err);
}

/* Where and how recovery goes and ends. */
static int
recovery(const struct dr_restore_opts *o, const struct dr_recovery *r,
    struct dr_buf *out, struct dr_err *err)
{
	static const char *const actions[] = { "pause", "promote", "shutdown" };
	static const struct dr_target none = { .kind = DR_TARGET_NONE };
	bool standby = r->standby != NULL, ends = !standby && !o->same_timeline;
	const char *command = r->command;

	if (command == NULL)
		command = ends ? "false" : "";
	if (o->same_timeline)
		command = "";
	if (set(out, "restore_command", command, err) == -1)
		return -1;
	/* These have no empty value. */
	if (!o->same_timeline &&
	    set(out, "recovery_target_timeline", r->timeline, err) == -1)
		return -1;
	if (ends && (set(out, "recovery_target_action", actions[o->action],
	                 err) == -1 ||
	                set(out, "recovery_target_inclusive",
	                    r->target.exclusive ? "off" : "on", err) == -1))
		return -1;
	if (target(ends ? &r->target : &none, out, err) == -1)
		return -1;
	if (o->action == DR_ACT_PAUSE && ends &&
	    set(out, "hot_standby", "on", err) == -1)
		return -1;
	return 0;
}

static int
write_ours(const struct dr_restore_opts *o, const struct dr_recovery *r,
    long version, struct dr_buf *out, struct dr_err *err)
{
	if (dr_buf_str(out, "# Set by dr-restore.\n", err) == -1 ||
	    recovery(o, r, out, err) == -1 ||
	    set(out, "recovery_end_command", "", err) == -1 ||
	    set(out, "archive_cleanup_command", "", err) == -1 ||
	    set(out, "primary_conninfo", r->standby != NULL ? r->standby : "",
	        err) == -1 ||
	    set(out, "primary_slot_name", "", err) == -1)
		return -1;
	if (o->as_is)
		return 0;
	if (set(out, "synchronous_standby_names", "", err) == -1 ||
	    set(out, "archive_mode", "off", err) == -1 ||
	    set(out, "archive_command", "", err) == -1)
		return -1;
	return version < 15 ? 0 : set(out, "archive_library", "", err);
}

/* TEXT without the lines that set what we set. */
static int
former(const struct dr_restore_opts *o, const struct dr_recovery *r,
    const char *text, size_t len, struct dr_buf *out, struct dr_err *err)
{
	const char *names[NOURS + NKEPT + 1] = { NULL };
	const char *value;
	size_t n, vlen, some = 0;

	for (size_t i = 0; i < NOURS; i++)
		if (r->standby == NULL || strcmp(ours[i], "hot_standby") != 0)
			names[some++] = ours[i];
	for (size_t i = 0; i < NKEPT && !o->as_is; i++)
		names[some++] = kept[i];
	for (; len > 0; text += n, len -= n) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl == NULL ? len : (size_t)(nl - text);

		n = nl == NULL ? len : line + 1;
		if (dr_conf_sets(text, line, names, &value, &vlen) != -1)
			continue;
		if (dr_buf_add(out, text, line, err) == -1 ||
		    dr_buf_str(out, "\n", err) == -1)
			return -1;
	}
	return 0;
}

static int
version_of(const struct dr_place *place, long *version, struct dr_err *err)
{
	char *text, *end;
	size_t len;

	if ((text = dr_place_get(place, "PG_VERSION", 64, &len, err)) == NULL)
		return -1;
	*version = strtol(text, &end, 10);
	if (end == text || (*end != '\n' && *end != '.') || *version < 9 ||
	    *version > 999) {
		free(text);
		return dr_err_set(err, DR_EDATA, "PG_VERSION makes no sense");
	}
	free(text);
	return 0;
}

int
dr_restore_auto_conf(const struct dr_place *place,
    const struct dr_restore_opts *o, struct dr_err *err)
{
	static const char name[] = "postgresql.auto.conf";
	static const struct dr_recovery plain = { .timeline = "current",
		.target.kind = DR_TARGET_IMMEDIATE };
	const struct dr_recovery *r =
	    o->recovery != NULL ? o->recovery : &plain;
	const char *mark =
	    r->standby != NULL ? "standby.signal" : "recovery.signal";
	struct dr_buf out = { .max = CONF_MAX };
	struct dr_err none = { 0 };
	long version;
	size_t len = 0;
	char *text;
	int rc = -1;

	if (version_of(place, &version, err) == -1)
		return -1;
	if (version < 12)
		return dr_err_set(err, DR_EUSAGE,
		    "a cluster of PostgreSQL %ld is restored only with "
		    "--as-is",
		    version);
	text = dr_place_get(place, name, CONF_MAX / 2, &len, &none);
	if (text == NULL && errno != ENOENT) {
		*err = none;
		goto out;
	}
	if ((text != NULL && former(o, r, text, len, &out, err) == -1) ||
	    write_ours(o, r, version, &out, err) == -1 ||
	    dr_place_put(place, name, out.data, out.len, err) == -1)
		goto out;
	if (!o->same_timeline && dr_place_put(place, mark, "", 0, err) == -1)
		goto out;
	rc = 0;

out:
	free(text);
	dr_buf_free(&out);
	return rc;
}
