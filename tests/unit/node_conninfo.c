/* node_conninfo.c - where a standby streams from, the rest kept. */
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "pg/libpq.h"
#include "pg/node.h"
#include "tests/tap.h"

static const char *
moved(const char *old)
{
	static char out[1024];
	struct dr_buf b = { .max = sizeof(out) };
	struct dr_err err = { 0 };

	if (dr_node_conninfo(old, "h", "5", &b, &err) == -1)
		(void)snprintf(out, sizeof(out), "!%d%s", (int)err.cause,
		    strstr(err.msg, "geheim") != NULL ? " quoted" : "");
	else
		(void)snprintf(out, sizeof(out), "%s", b.data);
	dr_buf_free(&b);
	return out;
}

/* Has libpq the same in both, but for the place? */
static bool
same(const char *old, const char *new)
{
	static const char *const places[] = { "host", "hostaddr", "port",
		"target_session_attrs", "load_balance_hosts" };
	PQconninfoOption *a = PQconninfoParse(old, NULL);
	PQconninfoOption *b = PQconninfoParse(new, NULL);
	bool ok = a != NULL && b != NULL, place;
	size_t i, k;

	for (i = 0; ok && a[i].keyword != NULL; i++) {
		for (k = 0, place = false; k < 5; k++)
			place = place || strcmp(a[i].keyword, places[k]) == 0;
		if (place)
			continue;
		if (a[i].val == NULL || b[i].val == NULL)
			ok = a[i].val == b[i].val;
		else
			ok = strcmp(a[i].val, b[i].val) == 0;
	}
	PQconninfoFree(a);
	PQconninfoFree(b);
	return ok;
}

#define PLACE "host='h' port='5'"

int
main(void)
{
	static const struct {
		const char *old, *new;
		bool known; /* to libpq */
	} t[] = {
		{ "", PLACE, true },
		{ "  ", PLACE, true },
		{ "host=a port=1", PLACE, true },
		{ "user=u host=a", PLACE " user='u'", true },
		{ "host=a,b port=1,2 hostaddr=1.1.1.1,2.2.2.2 user=u "
		  "target_session_attrs=read-write",
		    PLACE " user='u'", true },
		{ "user = 'a b' password='x\\'y\\\\z'",
		    PLACE " user='a b' password='x\\'y\\\\z'", true },
		{ "password=x\\ y\\'z", PLACE " password='x y\\'z'", true },
		{ "password='' user=u", PLACE " password='' user='u'", true },
		{ "user=a user=b", PLACE " user='b'", true },
		{ "passfile=/x/y sslmode=verify-full",
		    PLACE " passfile='/x/y' sslmode='verify-full'", true },
		{ "application_name=\xc3\xa4",
		    PLACE " application_name='\xc3\xa4'", true },
		{ "new_option=1 user=u", PLACE " new_option='1' user='u'",
		    false },
		{ "service=s user=u", PLACE " hostaddr='' service='s' user='u'",
		    true },
		{ "postgresql://", PLACE, true },
		{ "postgres://u@a", PLACE " user='u'", true },
		{ "postgresql://u%20x:p%27w@[::1]:5,b:6/d?sslmode=require",
		    PLACE " user='u x' password='p\\'w' dbname='d' "
		          "sslmode='require'",
		    true },
		{ "postgresql://a,b/d", PLACE " dbname='d'", true },
		{ "postgresql://:p@a/", PLACE " password='p'", true },
		{ "postgresql:///?host=/tmp&port=7&user=u", PLACE " user='u'",
		    true },
		{ "postgresql://a?ssl=true", PLACE " sslmode='require'", true },
		{ "postgresql://a/?new_option=1", PLACE " new_option='1'",
		    false },
		{ "password='geheim", "!2", false },
		{ "geheim", "!2", false },
		{ "=geheim", "!2", false },
		{ "user=u geheim", "!2", false },
		{ "postgresql://u:geheim%zz@a", "!2", false },
		{ "postgresql://u:geheim%0@a", "!2", false },
		{ "postgresql://u:geheim%00@a", "!2", false },
		{ "postgresql://a?geheim", "!2", false },
	};
	struct dr_err err = { 0 };
	const char *got;
	size_t i;

	OK(dr_libpq(&err) == 0, "libpq is there");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		got = moved(t[i].old);
		if (!OK(strcmp(got, t[i].new) == 0, t[i].new))
			printf("# got %s\n", got);
		if (t[i].known)
			OK(same(t[i].old, got), "which libpq reads as before");
	}
	return DONE();
}
