/*
 * coord - what is agreed upon in etcd, by hand, for the tests.
 *
 *	coord [-u USER] [-w PASSWORD-FILE] [-c CA] [-e CERT] [-k KEY] SPEC SET
 *
 * Does what the lines of its standard input say, one after the other, and says
 * on a line each what came of it: the milliseconds it took, then
 *
 *	take NAME VALUE TTL [WRITE...]	taken TOKEN | held VALUE | not
 *	adopt NAME TTL			adopted | not
 *	renew				renewed | lost
 *	write WRITE...			done REVISION | not | lost
 *	put WRITE...			done REVISION | not
 *	release				released
 *	look				N keys; then a line "NAME VALUE" each
 *	history MAX			the same
 *	left				MILLISECONDS, with no margin
 *	patience MS			ok
 *	sleep MS			ok
 *	cost N				MICROSECONDS: a write, the median of N
 *	toil WHO SECONDS		takes "run" for two seconds, again and
 *					again, writes events WHO:TOKEN:NUMBER
 *					while it holds it, and says "done",
 *					"not" or "error" of each
 *
 * or "error CAUSE MESSAGE".  WRITE is NAME=VALUE (VALUE "-": delete it; NAME
 * "!": an event of the history; NAME "+...": on the lease), "@WAS" behind it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "coord/coord.h"

#define WORDS 32

static struct dr_etcd *etcd;
static struct dr_coord *coord;
static struct dr_held held;
static struct dr_err err;
static int64_t began;

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	va_list ap;

	printf("%" PRId64 " ", (dr_monotonic() - began + 500) / 1000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static void
failed(void)
{
	say("error %d %s", (int)err.cause, err.msg);
	dr_err_clear(&err);
}

static int
number(const char *s)
{
	int64_t n = 0;

	if (s != NULL)
		(void)dr_parse_int(s, INT32_MIN, INT32_MAX, &n, &err);
	dr_err_clear(&err);
	return (int)n;
}

static size_t
ops(char **word, struct dr_coord_op *op)
{
	size_t n = 0;

	for (; *word != NULL && n < DR_COORD_OPS; word++, n++) {
		char *value = strchr(*word, '='), *was = strrchr(*word, '@');

		if (value == NULL)
			break;
		memset(&op[n], 0, sizeof(op[n]));
		*value++ = '\0';
		op[n].was = was == NULL ? -1 : number(was + 1);
		if (was != NULL)
			*was = '\0';
		op[n].name = *word + (**word == '+');
		op[n].leased = **word == '+';
		op[n].history = **word == '!';
		op[n].value = strcmp(value, "-") == 0 ? NULL : value;
	}
	return n;
}

static void
take(char **word)
{
	struct dr_coord_op op[DR_COORD_OPS];
	size_t n = ops(word + 3, op);
	char *holder;

	switch (dr_coord_take(coord, word[0], word[1], number(word[2]), op, n,
	    &held, &holder, &err)) {
	case 1:
		say("taken %" PRId64, held.token);
		break;
	case 0:
		if (holder != NULL)
			say("held %s", holder);
		else
			say("not");
		break;
	default:
		failed();
	}
	free(holder);
}

static void
adopt(const char *name, int ttl)
{
	const struct dr_coord_key_ *k;
	struct dr_coord_look l = { 0 };
	int rc = dr_coord_look(coord, &l, &err);

	if (rc == 0 && (k = dr_coord_find(&l, name)) != NULL)
		rc = dr_coord_adopt(coord, k, ttl, &held, &err);
	if (rc == -1)
		failed();
	else
		say(rc == 1 ? "adopted" : "not");
	dr_coord_look_wipe(&l);
}

static void
renew(void)
{
	int rc = dr_coord_renew(coord, &held, &err);

	if (rc == -1)
		failed();
	else
		say(rc == 1 ? "renewed" : "lost");
}

static void
write_(char **word, bool guarded)
{
	struct dr_coord_op op[DR_COORD_OPS];
	size_t n = ops(word, op);
	int64_t revision = 0;
	int rc;

	rc = guarded ? dr_coord_write(coord, &held, op, n, &revision, &err)
	             : dr_coord_put(coord, op, n, &revision, &err);
	if (rc == -1)
		failed();
	else if (rc == 1)
		say("done %" PRId64, revision);
	else
		say(guarded && held.until == 0 ? "lost" : "not");
}

static void
show(int rc, struct dr_coord_look *l)
{
	if (rc == -1)
		failed();
	else
		say("%zu keys", l->n);
	for (size_t i = 0; i < l->n; i++)
		printf("%s %s\n", l->key[i].name, l->key[i].value);
	dr_coord_look_wipe(l);
}

static int
by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
cost(int n)
{
	const struct dr_coord_op op = { .name = "cost",
		.value = "x",
		.was = -1 };
	int64_t *us = calloc((size_t)n, sizeof(*us));

	if (us == NULL)
		abort();
	for (int i = 0; i < n; i++) {
		us[i] = dr_monotonic();
		if (dr_coord_write(coord, &held, &op, 1, NULL, &err) != 1) {
			failed();
			break;
		}
		us[i] = dr_monotonic() - us[i];
	}
	qsort(us, (size_t)n, sizeof(*us), by_size);
	say("%" PRId64 " us", us[n / 2]);
	free(us);
}

static void
nap(int64_t ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* True: it is held. */
static bool
hold_run(const char *who)
{
	char *holder = NULL;
	int rc;

	if (held.token != 0 && dr_coord_left(&held) > 0 && !dr_coord_due(&held))
		return true;
	if (held.token != 0 && held.until != 0) {
		rc = dr_coord_renew(coord, &held, &err);
		dr_err_clear(&err);
		if (rc == 1 || (rc == -1 && dr_coord_left(&held) > 0))
			return true;
	}
	/* Not let go of: whoever believes to hold it may still write. */
	if (held.token != 0)
		memset(&held, 0, sizeof(held));
	rc = dr_coord_take(coord, "run", who, 2, NULL, 0, &held, &holder, &err);
	free(holder);
	dr_err_clear(&err);
	return rc == 1;
}

static void
toil(const char *who, int64_t seconds)
{
	int64_t until = dr_monotonic() + seconds * 1000000;
	char event[128];

	(void)dr_etcd_patience(etcd, 700);
	for (int i = 1; dr_monotonic() < until; i++) {
		const struct dr_coord_op op = { .value = event,
			.history = true };
		int rc;

		/* Every now and then it just believes. */
		if ((i % 5 != 0 || held.token == 0) && !hold_run(who)) {
			nap(20);
			continue;
		}
		(void)snprintf(event, sizeof(event), "%s:%" PRId64 ":%d", who,
		    held.token, i);
		rc = dr_coord_write(coord, &held, &op, 1, NULL, &err);
		dr_err_clear(&err);
		printf("%s %s\n",
		    rc == 1   ? "done"
		    : rc == 0 ? "not"
		              : "error",
		    event);
		if (rc == 0)
			memset(&held, 0, sizeof(held));
		nap(i % 50 == 0 ? 500 : 2);
		/* Others shall have their turn. */
		if (i % 100 == 0 && held.token != 0) {
			(void)dr_coord_release(coord, &held, &err);
			dr_err_clear(&err);
			nap(50);
		}
	}
	say("ok");
}

static void
rest(int64_t ms)
{
	nap(ms);
	say("ok");
}

static void
obey(char **word)
{
	struct dr_coord_look l = { 0 };
	const char *verb = *word++;

	began = dr_monotonic();
	if (strcmp(verb, "take") == 0)
		take(word);
	else if (strcmp(verb, "adopt") == 0)
		adopt(word[0], number(word[1]));
	else if (strcmp(verb, "renew") == 0)
		renew();
	else if (strcmp(verb, "write") == 0)
		write_(word, true);
	else if (strcmp(verb, "put") == 0)
		write_(word, false);
	else if (strcmp(verb, "release") == 0) {
		if (dr_coord_release(coord, &held, &err) == -1)
			failed();
		else
			say("released");
	} else if (strcmp(verb, "look") == 0)
		show(dr_coord_look(coord, &l, &err), &l);
	else if (strcmp(verb, "history") == 0)
		show(dr_coord_history(coord, (size_t)number(*word), &l, &err),
		    &l);
	else if (strcmp(verb, "left") == 0)
		say("%" PRId64, (held.until - dr_boottime()) / 1000);
	else if (strcmp(verb, "patience") == 0) {
		(void)dr_etcd_patience(etcd, (uint64_t)number(*word));
		say("ok");
	} else if (strcmp(verb, "sleep") == 0)
		rest(number(*word));
	else if (strcmp(verb, "toil") == 0)
		toil(word[0], number(word[1]));
	else if (strcmp(verb, "cost") == 0)
		cost(number(*word));
	else
		say("what is %s?", verb);
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct dr_etcd_opts o = { 0 };
	char line[4096], *word[WORDS + 4], *save;
	int c;

	dr_main_begin("coord");
	while ((c = getopt(argc, argv, "u:w:c:e:k:")) != -1)
		*(c == 'u'     ? &o.user
		    : c == 'w' ? &o.password_file
		    : c == 'c' ? &o.ca_file
		    : c == 'e' ? &o.cert_file
		               : &o.key_file) = optarg;
	if (argc - optind != 2) {
		(void)dr_err_set(&err, DR_EUSAGE,
		    "usage: coord [OPTION...] SPEC SET");
		return dr_main_end(&err);
	}
	o.spec = argv[optind];
	if ((etcd = dr_etcd_open(&o, &err)) == NULL ||
	    (coord = dr_coord_open(etcd, argv[optind + 1], &err)) == NULL)
		goto out;
	for (;;) {
		size_t n = 0;

		if (fgets(line, sizeof(line), stdin) == NULL) {
			/* Told to stop: what comes of that is asked next. */
			if (errno != EINTR || feof(stdin))
				break;
			clearerr(stdin);
			continue;
		}

		memset(word, 0, sizeof(word));
		for (char *p = strtok_r(line, " \n", &save);
		     p != NULL && n < WORDS; p = strtok_r(NULL, " \n", &save))
			word[n++] = p;
		if (n > 0)
			obey(word);
	}

out:
	dr_coord_free(coord);
	dr_etcd_free(etcd);
	return dr_main_end(&err);
}
