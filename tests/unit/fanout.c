/* fanout.c - who is waited for, and for how long. */
#include "flow/fanout.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/driver.h"
#include "stream/sink.h"
#include "tests/tap.h"

#define N     3
#define GRACE 300 /* milliseconds */

/* A store, and a sink into it that takes nothing between two times. */
struct fake {
	struct dr_store store;
	struct dr_sink sink;
	int64_t from, until;
	uint64_t per_look; /* what it moves meanwhile */
	uint64_t moved;
	uint64_t haste; /* as set last */
	bool freed;
};

static struct fake fake[N];
static struct dr_push_report r;
static struct dr_err err;
static const struct dr_store_opts how = { .patience_ms = GRACE };

static void
hurry(struct dr_store *s, uint64_t ms)
{
	((struct fake *)s)->haste = ms;
}

static const struct dr_store_ops store_ops = { .hurry = hurry };

static struct fake *
of_sink(struct dr_sink *s)
{
	struct fake *f = fake;

	while (&f->sink != s)
		f++;
	return f;
}

static uint64_t
room(struct dr_sink *s, uint64_t *moved, const char **why)
{
	struct fake *f = of_sink(s);
	int64_t now = dr_monotonic();

	*moved = f->moved += f->per_look;
	if (now < f->from || now >= f->until)
		return 1000;
	*why = "it answers 503";
	return 0;
}

static void
let_go(struct dr_sink *s)
{
	of_sink(s)->freed = true;
}

static const struct dr_sink_ops sink_ops = { .room = room, .free = let_go };

/* All begin; the first LATE of them take nothing for MS from now on. */
static void
start(size_t late, int64_t ms)
{
	memset(fake, 0, sizeof(fake));
	memset(&r, 0, sizeof(r));
	dr_err_clear(&err);
	r.n = N;
	for (size_t i = 0; i < N; i++) {
		static char url[] = "s3://some/where";

		fake[i].store.ops = &store_ops;
		fake[i].store.url = url;
		fake[i].sink.ops = &sink_ops;
		if (i < late) {
			fake[i].from = dr_monotonic();
			fake[i].until = fake[i].from + ms * 1000;
		}
		r.target[i].store = &fake[i].store;
		r.target[i].sink = &fake[i].sink;
	}
}

static int64_t began;

static bool
took(int64_t least, int64_t most)
{
	int64_t ms = (dr_monotonic() - began) / 1000;

	return ms >= least && ms < most;
}

static ssize_t
wait_room(size_t require)
{
	const struct dr_push_opts o = { .how = &how, .require = require };

	began = dr_monotonic();
	dr_fan_hurry(&o, &r);
	return dr_fan_room(&o, &r, 5000, &err);
}

static size_t
left(void)
{
	size_t n = 0;

	for (size_t i = 0; i < N; i++)
		n += r.target[i].sink != NULL;
	return n;
}

static void
test_room(void)
{
	start(0, 0);
	OK(wait_room(2) == 1000 && took(0, 100), "all are ready");
	OK(fake[0].haste == DR_GRACE_MS, "each can be spared, and has haste");

	start(1, 60000);
	OK(wait_room(2) == 1000 && took(GRACE, 3000) && left() == 2 &&
	        fake[0].freed,
	    "one that can be spared is dropped after its grace");
	OK(r.target[0].err.cause == DR_ERETRY &&
	        strstr(r.target[0].err.msg, "it answers 503") != NULL,
	    "and told why");
	OK(fake[1].haste == 0 && fake[2].haste == 0,
	    "the others are needed now, and have time");

	start(1, 1000);
	OK(wait_room(3) == 1000 && took(900, 3000) && left() == 3,
	    "one that is required is waited for");
	OK(fake[0].haste == 0, "without haste");
	start(1, 1000);
	OK(wait_room(0) == 1000 && took(900, 3000) && left() == 3,
	    "so is each when all are");

	start(3, 1000);
	OK(wait_room(1) == 1000 && took(900, 3000) && left() == 3,
	    "what befalls all costs none");
	start(2, 1000);
	OK(wait_room(2) == 1000 && took(900, 3000) && left() == 3,
	    "nor what befalls too many");

	start(2, 60000);
	OK(wait_room(1) == 1000 && took(GRACE, 3000) && left() == 1,
	    "two that can be spared go");

	start(1, 1500);
	fake[0].per_look = 8192;
	OK(wait_room(2) == 1000 && took(1400, 5000) && left() == 3,
	    "a slow one is no dead one");
}

static void
test_ended(void)
{
	const struct dr_push_opts o = { .how = &how, .require = 2 };
	struct dr_target *t;
	int good = 0;

	start(1, 60000);
	began = dr_monotonic();
	while ((t = dr_fan_ended(&o, &r, &err)) != NULL) {
		good += t != &r.target[0];
		t->sink = NULL;
		t->body = true;
	}
	OK(good == 2 && err.cause == DR_OK && took(GRACE, 3000) &&
	        r.target[0].err.cause == DR_ERETRY && fake[0].freed,
	    "those that are ready end first, the dead one is dropped");
}

int
main(void)
{
	test_room();
	test_ended();
	return DONE();
}
