#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/rejoin.h"

const char *
dr_rejoin_word(enum dr_rejoin_way way)
{
	static const char *const words[] = { "follow", "trim", "rewind",
		"delta", "copy", "none" };

	return words[way];
}

void
dr_rejoin_wipe(struct dr_rejoin *r)
{
	free(r->kept);
	free(r->aside);
	free(r->followed);
	free(r->slots_aside);
	free(r->slots_left);
	memset(r, 0, sizeof(*r));
}

static int
line(struct dr_buf *out, const char *name, const char *value,
    struct dr_err *err)
{
	if (value == NULL || *value == '\0')
		return 0;
	return dr_buf_fmt(out, err, "%-20s %s\n", name, value);
}

static int
judged(const struct dr_rejoin *r, struct dr_buf *out, struct dr_err *err)
{
	char a[DR_LSN_LEN], b[DR_LSN_LEN], t[DR_TIME_LEN], u[DR_TIME_LEN];

	if (!r->known)
		return 0;
	if (r->fork == UINT64_MAX)
		return dr_buf_fmt(out, err,
		    "%-20s timeline %u to %s, as its primary\n", "position",
		    r->tli, dr_format_lsn(r->end, a));
	if (dr_buf_fmt(out, err,
	        "%-20s timeline %u to %s; the primary's timeline is %u, which "
	        "left it at %s\n",
	        "position", r->tli, dr_format_lsn(r->end, a), r->new_tli,
	        dr_format_lsn(r->fork, b)) == -1)
		return -1;
	if (!r->diverged)
		return 0;
	if (dr_buf_fmt(out, err, "%-20s %llu bytes of WAL, %llu commit%s",
	        "only here", (unsigned long long)(r->end - r->fork),
	        (unsigned long long)r->commits, dr_plural(r->commits)) == -1 ||
	    (r->first_commit != 0 &&
	        dr_buf_fmt(out, err, ", %s to %s",
	            dr_format_time(r->first_commit, t),
	            dr_format_time(r->last_commit, u)) == -1))
		return -1;
	return dr_buf_str(out,
	    r->partial ? " or more: the beginning is gone\n" : "\n", err);
}

int
dr_rejoin_text(const struct dr_rejoin *r, struct dr_buf *out,
    struct dr_err *err)
{
	char size[DR_SIZE_LEN];

	if (line(out, "way", dr_rejoin_word(r->way), err) == -1 ||
	    line(out, "because", r->why, err) == -1 ||
	    line(out, "primary", r->followed, err) == -1 ||
	    judged(r, out, err) == -1 ||
	    line(out, "kept in", r->kept, err) == -1 ||
	    (r->written != 0 &&
	        line(out, "written", dr_format_size(r->written, size), err) ==
	            -1) ||
	    line(out, "old directory", r->aside, err) == -1 ||
	    line(out, "slots moved aside", r->slots_aside, err) == -1 ||
	    line(out, "slots still there", r->slots_left, err) == -1)
		return -1;
	if (r->unusable)
		return line(out, "state", "no server can start there", err);
	return 0;
}

static void
lsn(struct dr_json *j, const char *key, uint64_t v)
{
	char text[DR_LSN_LEN];

	if (v == 0 || v == UINT64_MAX)
		dr_json_null(j, key);
	else
		dr_json_str(j, key, dr_format_lsn(v, text));
}

static void
when(struct dr_json *j, const char *key, int64_t v)
{
	char text[DR_TIME_LEN];

	if (v == 0)
		dr_json_null(j, key);
	else
		dr_json_str(j, key, dr_format_time(v, text));
}

static void
words(struct dr_json *j, const char *key, const char *list)
{
	size_t n;

	dr_json_array(j, key);
	for (; list != NULL && *list != '\0'; list += n + (list[n] == ' ')) {
		n = strcspn(list, " ");
		dr_json_strn(j, NULL, list, n);
	}
	dr_json_close(j, ']');
}

static void
text(struct dr_json *j, const char *key, const char *value)
{
	if (value == NULL)
		dr_json_null(j, key);
	else
		dr_json_str(j, key, value);
}

void
dr_rejoin_json(const struct dr_rejoin *r, struct dr_json *j)
{
	char id[24];

	(void)snprintf(id, sizeof(id), "%llu",
	    (unsigned long long)r->system_id);
	dr_json_str(j, "way", dr_rejoin_word(r->way));
	dr_json_str(j, "why", r->why);
	dr_json_bool(j, "done", r->done);
	dr_json_bool(j, "changed", r->changed);
	dr_json_bool(j, "unusable", r->unusable);
	text(j, "primary", r->followed);
	dr_json_str(j, "system_id", id);
	dr_json_int(j, "primary_timeline", r->new_tli);
	if (r->known) {
		dr_json_int(j, "timeline", r->tli);
		lsn(j, "fork_lsn", r->fork);
		lsn(j, "end_lsn", r->end);
		dr_json_bool(j, "diverged", r->diverged);
		dr_json_uint(j, "diverged_bytes",
		    r->diverged && r->fork != UINT64_MAX ? r->end - r->fork
		                                         : 0);
		dr_json_uint(j, "diverged_records", r->records);
		dr_json_uint(j, "commits", r->commits);
		when(j, "first_commit", r->first_commit);
		when(j, "last_commit", r->last_commit);
		dr_json_bool(j, "wal_incomplete", r->partial);
	}
	text(j, "kept", r->kept);
	dr_json_uint(j, "kept_segments", r->kept_segments);
	dr_json_uint(j, "kept_bytes", r->kept_bytes);
	dr_json_uint(j, "written_bytes", r->written);
	dr_json_uint(j, "files_there", r->there);
	text(j, "old_directory", r->aside);
	words(j, "slots_aside", r->slots_aside);
	words(j, "slots_left", r->slots_left);
}
