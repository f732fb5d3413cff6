/* Several requests at once, threads, children, signals and a rate limit. */
#include <sys/wait.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "http/http.h"
#include "tests/child.h"
#include "tests/httpd.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define MANY    20
#define THREADS 4

static struct dr_http *h;

static int64_t
ms_since(int64_t t)
{
	return (dr_monotonic() - t) / 1000;
}

static struct dr_http *
client(uint64_t patience_ms, uint64_t limit_rate)
{
	struct dr_http_opts o = { .stall_ms = 1000,
		.patience_ms = patience_ms,
		.limit_rate = limit_rate };
	struct dr_err err = { 0 };
	struct dr_http *c = dr_http_new(&o, &err);

	if (c == NULL)
		abort();
	return c;
}

static void
many_at_once(void)
{
	struct dr_http_req r[MANY], one;
	struct ask a[MANY], b;
	struct dr_err err = { 0 };
	unsigned left = MANY, turns = 0;
	int64_t t = dr_monotonic();
	bool good = true;
	char path[64];

	for (size_t i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/many%zu/%sslow:400", i,
		    i % 5 == 0 ? "503," : "");
		ask_set(&r[i], &a[i], "GET", "plain", path);
		if (dr_http_start(h, &r[i], &err) == -1)
			abort();
	}
	/* To wait for another one holds none of them up. */
	ask_set(&one, &b, "GET", "plain", "/one/slow:300");
	OK(dr_http_do(h, &one, &err) == 0 && one.status == 200,
	    "one is waited for");
	dr_http_wipe(&one);
	while (left > 0 && turns++ < 10 * MANY && good) {
		good = dr_http_turn(5000, &err) == 0;
		left = 0;
		for (size_t i = 0; i < MANY; i++)
			left += r[i].ended ? 0 : 1;
	}
	OK(good && left == 0 && ms_since(t) < 3000, "many at once");
	for (size_t i = 0; i < MANY; i++) {
		good = good && r[i].status == 200 && r[i].err.cause == DR_OK &&
		       r[i].attempts == (i % 5 == 0 ? 2 : 1);
		dr_http_wipe(&r[i]);
	}
	OK(good, "and each has its answer");
	t = dr_monotonic();
	OK(dr_http_turn(0, &err) == 0 && ms_since(t) < 50,
	    "no time is no time");
	t = dr_monotonic();
	OK(dr_http_turn(100, &err) == 0 && ms_since(t) >= 99 &&
	        ms_since(t) < 500,
	    "with nothing to do, a turn takes its time");
}

static void
given_up(void)
{
	struct dr_http_req r, s;
	struct ask a, b;
	struct dr_err err = { 0 };
	int64_t t;

	ask_set(&r, &a, "PUT", "plain", "/cancel/silent");
	r.body = "x";
	r.len = 1;
	ask_set(&s, &b, "GET", "plain", "/cancel2/503:Retry-After=9");
	OK(dr_http_start(h, &r, &err) == 0 && dr_http_start(h, &s, &err) == 0,
	    "two are begun");
	t = dr_monotonic();
	while (ms_since(t) < 300)
		if (dr_http_turn(100, &err) == -1)
			abort();
	dr_http_cancel(&r);
	OK(r.ended && r.lost && r.err.cause == DR_ERETRY,
	    "one is given up on, and may have arrived");
	dr_http_cancel(&s);
	dr_http_cancel(&s);
	OK(s.ended, "the other was between attempts");
	OK(dr_http_turn(0, &err) == 0, "the loop goes on");
	dr_http_wipe(&r);
	dr_http_wipe(&s);
	ask_set(&r, &a, "PUT", "plain", "/cancel3/ok");
	a.fail_at = 1;
	OK(dr_http_start(h, &r, &err) == -1 && r.ended &&
	        err.cause == DR_EUSAGE,
	    "one that cannot be begun");
	dr_http_wipe(&r);
	dr_err_clear(&err);
	ask_set(&r, &a, "PUT", "plain", "/cancel4/503");
	a.fail_at = 2;
	if (dr_http_start(h, &r, &err) == -1)
		abort();
	while (!r.ended && dr_http_turn(1000, &err) == 0)
		continue;
	OK(r.err.cause == DR_EUSAGE && r.lost, "or not begun again");
	dr_http_wipe(&r);
	ask_set(&r, &a, "PUT", "plain", "/cancel5/ok");
	a.also = h;
	if (dr_http_start(h, &r, &err) == -1)
		abort();
	while (!r.ended && dr_http_turn(1000, &err) == 0)
		continue;
	OK(r.err.cause == DR_OK && r.status == 200,
	    "what prepare asks for itself goes another way");
	dr_http_wipe(&r);
}

/* Input that is slow to come, and then ends: transfers do not wait for it. */
static void
while_reading(void)
{
	struct dr_http_req r;
	struct ask a;
	struct dr_err err = { 0 };
	char buf[16];
	int fd[2];
	pid_t pid;

	ask_set(&r, &a, "GET", "plain", "/reading/503,slow:200");
	if (pipe(fd) == -1 || dr_http_start(h, &r, &err) == -1)
		abort();
	if ((pid = fork()) == 0) {
		usleep(1200000);
		_exit(write(fd[1], "x", 1) == 1 ? 0 : 1);
	}
	(void)close(fd[1]);
	OK(!r.ended && dr_fd_read(fd[0], buf, sizeof(buf), "it", &err) == 1 &&
	        r.ended && r.status == 200 && r.attempts == 2,
	    "while input is waited for, transfers go on");
	OK(dr_fd_read(fd[0], buf, sizeof(buf), "it", &err) == 0,
	    "and its end is seen");
	(void)close(fd[0]);
	(void)waitpid(pid, NULL, 0);
	dr_http_wipe(&r);
}

struct work {
	pthread_t thread;
	unsigned number, good;
};

static void *
work(void *arg)
{
	struct work *w = arg;
	struct dr_http_req r;
	struct dr_err err = { 0 };
	struct ask a;
	char path[64];

	for (unsigned i = 0; i < 25; i++) {
		snprintf(path, sizeof(path), "/t%u.%u/%sok:10000", w->number, i,
		    i == 3 ? "503," : "");
		ask_set(&r, &a, "GET", "plain", path);
		if (dr_http_do(h, &r, &err) == 0 && r.reply.len == 10000)
			w->good++;
		dr_http_wipe(&r);
	}
	return NULL;
}

static void
threads(void)
{
	struct work w[THREADS] = { { .number = 0 } };
	unsigned good = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		w[i].number = i;
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		good += w[i].good;
	}
	OK(good == THREADS * 25, "from several threads");
}

/* The number of the connection that a request went over; 0: it failed. */
static int
connection(void)
{
	struct dr_http_req r;
	struct dr_err err = { 0 };
	struct ask a;
	int n = 0;

	ask_set(&r, &a, "GET", "plain", "/who/say");
	if (dr_http_do(h, &r, &err) == -1 || r.reply.data == NULL ||
	    sscanf(r.reply.data, "%*s %*s %*s %d", &n) != 1)
		n = 0;
	dr_http_wipe(&r);
	return n;
}

static int
in_child(void *arg)
{
	int *parent = arg, n = connection();

	return n == 0 ? 1 : n == *parent ? 2 : connection() == n ? 0 : 3;
}

static void
children(void)
{
	struct dr_http_req r;
	struct dr_err err = { 0 };
	struct child c;
	struct ask a;
	int n;

	ask_set(&r, &a, "GET", "plain", "/stays/slow:500");
	if (dr_http_start(h, &r, &err) == -1)
		abort();
	n = connection();
	child_run(&c, in_child, &n);
	OK(n != 0 && c.status == 0, "a child has connections of its own");
	OK(connection() == n, "and its parent keeps what it has");
	while (!r.ended && dr_http_turn(1000, &err) == 0)
		continue;
	OK(r.status == 200 && r.attempts == 1, "also what was in flight");
	dr_http_wipe(&r);
}

static int
stop_do(void *arg)
{
	struct dr_http_req r;
	struct dr_err err = { 0 };
	struct ask a;
	int64_t t = dr_monotonic();
	pid_t us = getpid();

	(void)arg;
	dr_main_begin("child");
	if (fork() == 0) {
		(void)usleep(200000);
		kill(us, SIGTERM);
		_exit(0);
	}
	ask_set(&r, &a, "GET", "plain", "/stop1/silent");
	if (dr_http_do(h, &r, &err) == 0 || err.cause != DR_ESTOP || !r.lost ||
	    ms_since(t) > 900)
		return 1;
	dr_http_wipe(&r);
	/* What was begun has to be taken back all the same. */
	dr_err_clear(&err);
	ask_set(&r, &a, "DELETE", "plain", "/stop2/503,204");
	if (dr_http_do(h, &r, &err) == -1 || r.status != 204)
		return 2;
	dr_http_wipe(&r);
	ask_set(&r, &a, "GET", "plain", "/stop3/ok");
	if (dr_http_do(h, &r, &err) == 0 || err.cause != DR_ESTOP)
		return 3;
	dr_http_wipe(&r);
	return 0;
}

static int
stop_turn(void *arg)
{
	struct dr_http_req r;
	struct dr_err err = { 0 };
	struct ask a;
	int64_t t = dr_monotonic();
	pid_t us = getpid();

	(void)arg;
	if (fork() == 0) {
		(void)usleep(200000);
		kill(us, SIGTERM);
		_exit(0);
	}
	ask_set(&r, &a, "GET", "plain", "/stop4/silent");
	if (dr_http_start(h, &r, &err) == -1)
		return 1;
	if (dr_http_turn(10000, &err) == 0 || err.cause != DR_ESTOP ||
	    ms_since(t) > 900 || r.ended)
		return 2;
	dr_http_wipe(&r);
	return 0;
}

static void
stops(void)
{
	struct child c;

	child_run(&c, stop_do, NULL);
	OK(c.status == 0, "a stop signal ends what waits, but no DELETE");
	child_run(&c, stop_turn, NULL);
	OK(c.status == 0, "and a turn");
}

/* 2 MB/s for 2 MB, in one request and in four. */
static int
limited(void *arg)
{
	static char body[2000000];
	struct dr_http *slow = client(20000, 2000000);
	struct dr_http_req r[4];
	struct dr_err err = { 0 };
	struct ask a[4];
	const bool *up = arg;
	int64_t took;
	char path[64];

	for (unsigned n = 1; n <= 4; n += 3) {
		int64_t t = dr_monotonic();
		bool ended = false, good = true;

		for (unsigned i = 0; i < n; i++) {
			snprintf(path, sizeof(path), "/rate%u.%u/ok:%u", n, i,
			    *up ? 0 : 2000000 / n);
			ask_set(&r[i], &a[i], *up ? "PUT" : "GET", "plain",
			    path);
			r[i].body = *up ? body : NULL;
			r[i].len = *up ? 2000000 / n : 0;
			r[i].reply_max = 2000000;
			if (dr_http_start(slow, &r[i], &err) == -1)
				return 1;
		}
		while (!ended) {
			if (dr_http_turn(10000, &err) == -1)
				return 2;
			ended = true;
			for (unsigned i = 0; i < n; i++)
				ended = ended && r[i].ended;
		}
		took = ms_since(t);
		for (unsigned i = 0; i < n; i++) {
			good = good && r[i].status == 200 && r[i].attempts == 1;
			dr_http_wipe(&r[i]);
		}
		printf("# %u at once: %d ms\n", n, (int)took);
		fflush(stdout);
		if (!good)
			return 3;
		/* A busy machine may take longer, no machine less. */
		if (took < 850 || took > 2000)
			return 4;
	}
	dr_http_free(slow);
	return 0;
}

static void
rates(void)
{
	struct child c;
	bool up = true;

	child_run(&c, limited, &up);
	OK(c.status == 0, "a rate limit, sending");
	printf("%s", c.out);
	up = false;
	child_run(&c, limited, &up);
	OK(c.status == 0, "and receiving");
	printf("%s", c.out);
}

int
main(void)
{
	dr_main_begin("http_many");
	tmp_make();
	if (!httpd_start(tmp_dir, false)) {
		SKIP("there is no python3");
		return DONE();
	}
	h = client(20000, 0);
	rates(); /* children of a process without threads */
	stops();
	children();
	many_at_once();
	given_up();
	while_reading();
	threads();
	dr_http_free(h);
	httpd_stop();
	tmp_leave();
	return DONE();
}
