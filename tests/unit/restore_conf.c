#include "flow/restore_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	if (unlinkat(p.fd, "recovery.signal", 0) == -1 && !o->same_timeline)
		printf("# no recovery.signal\n");
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
	OK(t != NULL && count(t, "hot_standby = on") == 1 &&
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

int
main(void)
{
	lines();
	autos();
	return DONE();
}
