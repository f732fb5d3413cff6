#include "flow/restore_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flow/restore_command.h"
#include "tests/tap.h"

static const char *const names[] = { "port", "include", NULL };

static bool
sets(const char *line, int which, const char *want)
{
	const char *value;
	size_t len;

	if (dr_conf_sets(line, strlen(line), names, &value, &len) != which)
		return false;
	return which == -1 ||
	       (len == strlen(want) && memcmp(value, want, len) == 0);
}

static void
lines(void)
{
	OK(sets("port = 5432", 0, "5432"), "a setting");
	OK(sets("  PORT=5432 # x", 0, "5432"), "in any case and spacing");
	OK(sets("port 5432", 0, "5432"), "without =");
	OK(sets("include 'a b'", 1, "'a b'"), "quoted");
	OK(sets("include='it''s'#x", 1, "'it''s'"), "a doubled quote");
	OK(sets("include = 'a\\'b' x", 1, "'a\\'b'"), "an escaped quote");
	OK(sets("include = 'open", 1, "'open"), "an open quote");
	OK(sets("#port = 1", -1, ""), "a comment");
	OK(sets("ports = 1", -1, ""), "another name");
	OK(sets("por = 1", -1, ""), "a shorter name");
	OK(sets("", -1, ""), "an empty line");
}

/* What postgresql.auto.conf becomes from TEXT. */
static char *
auto_conf(const char *version, const char *text,
    const struct dr_restore_opts *o)
{
	char dir[] = "/tmp/dr-conf.XXXXXX";
	struct dr_place p = DR_PLACE_INIT;
	struct dr_err err = { 0 };
	char *out = NULL;
	size_t len;

	if (mkdtemp(dir) == NULL ||
	    dr_place_open(&p, dir, false, NULL, &err) == -1)
		return NULL;
	if (dr_place_put(&p, "PG_VERSION", version, strlen(version), &err) ==
	        0 &&
	    dr_place_put(&p, "postgresql.auto.conf", text, strlen(text),
	        &err) == 0 &&
	    dr_restore_auto_conf(&p, o, &err) == 0)
		out =
		    dr_place_get(&p, "postgresql.auto.conf", 65536, &len, &err);
	if (out == NULL)
		printf("# %s\n", err.msg);
	(void)unlinkat(p.fd, "PG_VERSION", 0);
	(void)unlinkat(p.fd, "postgresql.auto.conf", 0);
	if (unlinkat(p.fd,
	        o->recovery != NULL && o->recovery->standby != NULL
	            ? "standby.signal"
	            : "recovery.signal",
	        0) == -1 &&
	    !o->same_timeline)
		printf("# no signal file\n");
	(void)dr_place_done(&p, &err);
	dr_place_close(&p);
	(void)rmdir(dir);
	return out;
}

static unsigned
count(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		n++;
	return n;
}

static void
autos(void)
{
	struct dr_restore_opts o = { .action = DR_ACT_PROMOTE };
	char *t;

	t = auto_conf("15\n",
	    "work_mem = '5MB'\nrecovery_target_time = 'x'\n"
	    "PRIMARY_CONNINFO = 'host=p'",
	    &o);
	OK(t != NULL && count(t, "work_mem") == 1, "others stay");
	OK(t != NULL && count(t, "host=p") == 0 &&
	        count(t, "primary_conninfo = ''") == 1,
	    "former values go");
	OK(t != NULL && strstr(t, "recovery_target_xid = ''") != NULL &&
	        strstr(t, "recovery_target_xid = ''") <
	            strstr(t, "recovery_target = 'immediate'"),
	    "empty targets come before the one that counts");
	OK(t != NULL && count(t, "archive_library = ''") == 1,
	    "archive_library with 15");
	free(t);
	t = auto_conf("14\n", "", &o);
	OK(t != NULL && count(t, "archive_library") == 0,
	    "not with 14, which does not know it");
	free(t);
	o.action = DR_ACT_PAUSE;
	t = auto_conf("15\n", "hot_standby = off\n", &o);
	OK(t != NULL && count(t, "hot_standby = 'on'") == 1 &&
	        count(t, "hot_standby") == 1,
	    "a pause needs hot_standby");
	free(t);
	o.action = DR_ACT_PROMOTE;
	o.same_timeline = true;
	t = auto_conf("15\n", "recovery_target_action = 'pause'\n", &o);
	OK(t != NULL && count(t, "restore_command = ''") == 1 &&
	        count(t, "recovery_target = ''") == 1 &&
	        count(t, "recovery_target_action") == 0,
	    "nothing to recover to on the same timeline");
	free(t);
	t = auto_conf("9.6\n", "", &o);
	OK(t == NULL, "9.6 is refused");
	t = auto_conf("x\n", "", &o);
	OK(t == NULL, "nonsense is refused");
}

/* Does T hold LINE, whole? */
static bool
has(const char *t, const char *line)
{
	size_t n = strlen(line);

	for (; t != NULL && (t = strstr(t, line)) != NULL; t += n)
		if (t[-1] == '\n' && t[n] == '\n')
			return true;
	return false;
}

static void
recoveries(void)
{
	static const char *const targets[] = { "recovery_target_name",
		"recovery_target_time", "recovery_target_xid",
		"recovery_target_lsn", "recovery_target" };
	static const struct {
		struct dr_target t;
		const char *last; /* of these, the one that counts */
		const char *line;
	} all[] = {
		{ { .kind = DR_TARGET_NAME, .name = "it's\\" },
		    "recovery_target_name", "'it''s\\\\'" },
		{ { .kind = DR_TARGET_TIME, .time = 1795176000500000 },
		    "recovery_target_time", "'2026-11-20 12:00:00.500000+00'" },
		{ { .kind = DR_TARGET_XID, .xid = 4294967300 },
		    "recovery_target_xid", "'4294967300'" },
		{ { .kind = DR_TARGET_LSN, .lsn = 0x1abcdef00 },
		    "recovery_target_lsn", "'1/ABCDEF00'" },
		{ { .kind = DR_TARGET_IMMEDIATE }, "recovery_target",
		    "'immediate'" },
	};
	struct dr_recovery r = { .timeline = "3", .command = "get %f %p" };
	struct dr_restore_opts o = { .action = DR_ACT_PROMOTE, .recovery = &r };
	char line[128];
	char *t;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool order = true;

		r.target = all[i].t;
		t = auto_conf("15\n", "recovery_target_xid = 9\n", &o);
		(void)snprintf(line, sizeof(line), "%s = %s", all[i].last,
		    all[i].line);
		OK(has(t, line), all[i].last);
		for (size_t k = 0; t != NULL && k < 5; k++) {
			char empty[64];

			(void)snprintf(empty, sizeof(empty), "%s = ''",
			    targets[k]);
			if (strcmp(targets[k], all[i].last) != 0 &&
			    (!has(t, empty) ||
			        strstr(t, empty) > strstr(t, line)))
				order = false;
		}
		OK(order, "the others are empty and come before it");
		free(t);
	}
	r.target = (struct dr_target){ .kind = DR_TARGET_LATEST };
	t = auto_conf("15\n", "", &o);
	OK(has(t, "recovery_target = ''") &&
	        has(t, "recovery_target_timeline = '3'") &&
	        has(t, "restore_command = 'get %f %p'") &&
	        has(t, "recovery_target_inclusive = 'on'"),
	    "to the end of the WAL");
	free(t);
	r.target.exclusive = true;
	t = auto_conf("15\n", "", &o);
	OK(has(t, "recovery_target_inclusive = 'off'"), "exclusive");
	free(t);

	r.standby = "host=p passfile='/x y'";
	r.timeline = "latest";
	t = auto_conf("15\n", "hot_standby = off\narchive_mode = on\n", &o);
	OK(has(t, "primary_conninfo = 'host=p passfile=''/x y'''") &&
	        has(t, "recovery_target_timeline = 'latest'") &&
	        has(t, "recovery_target_lsn = ''") &&
	        has(t, "primary_slot_name = ''") &&
	        has(t, "archive_mode = 'off'") &&
	        strstr(t, "hot_standby = off") != NULL &&
	        strstr(t, "recovery_target_action") == NULL,
	    "a standby");
	free(t);
	o.as_is = true;
	t = auto_conf("15\n", "work_mem = 1\narchive_mode = on\n", &o);
	OK(t != NULL && strstr(t, "archive_mode = on") != NULL &&
	        count(t, "archive_mode") == 1 &&
	        count(t, "archive_command") == 0,
	    "as it is: it may archive");
	free(t);
}

static bool
becomes(int (*fn)(struct dr_buf *, const char *, struct dr_err *),
    const char *word, const char *want)
{
	struct dr_buf out = { .max = 256 };
	struct dr_err err = { 0 };
	bool same = fn(&out, word, &err) == 0 && strcmp(out.data, want) == 0;

	if (!same)
		printf("# %s\n", out.data);
	dr_buf_free(&out);
	return same;
}

static void
words(void)
{
	OK(becomes(dr_command_word, "/a/b-c_d.e:1", "/a/b-c_d.e:1"),
	    "a plain word stays");
	OK(becomes(dr_command_word, "", "''"), "an empty one");
	OK(becomes(dr_command_word, "a b$(c)", "'a b$(c)'"), "blanks");
	OK(becomes(dr_command_word, "it's", "'it'\\''s'"), "a quote");
	OK(becomes(dr_command_word, "100%p", "'100%%p'"),
	    "what the server would replace");
	OK(becomes(dr_conf_value, "a'b\\c\nd", "'a''b\\\\c\\nd'"),
	    "a value for the configuration");
}

int
main(void)
{
	lines();
	autos();
	recoveries();
	words();
	return DONE();
}
