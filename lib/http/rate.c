#include "http/rate.h"

#include <pthread.h>

#include "base/num.h"

#define RATE_MAX  (INT64_C(1) << 40)
/* Smaller shares than this cost more in system calls than they smooth. */
#define SHARE_MAX (INT64_C(32) << 10)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int64_t limit; /* 0: none */
static struct {
	int64_t tokens, since;
} bucket[2];

/* What one transfer gets at a time, fifty times a second. */
static int64_t
share(void)
{
	int64_t n = limit / 50;

	return n < 1 ? 1 : n > SHARE_MAX ? SHARE_MAX : n;
}

static void
fill(enum dr_way way)
{
	int64_t now = dr_monotonic(), gone = now - bucket[way].since, n;

	/* What was not used within a quarter of a second is lost. */
	if (gone > 250000) {
		bucket[way].since = now - 250000;
		gone = 250000;
	}
	if ((n = gone * limit / 1000000) <= 0)
		return;
	bucket[way].since += n * 1000000 / limit;
	bucket[way].tokens += n;
	if (bucket[way].tokens > limit / 4 + share())
		bucket[way].tokens = limit / 4 + share();
}

void
dr_rate_limit(uint64_t rate)
{
	int64_t r = rate > RATE_MAX ? RATE_MAX : (int64_t)rate;

	pthread_mutex_lock(&mutex);
	if (r != 0 && (limit == 0 || r < limit)) {
		limit = r;
		for (int i = 0; i < 2; i++) {
			bucket[i].tokens = 0;
			bucket[i].since = dr_monotonic();
		}
	}
	pthread_mutex_unlock(&mutex);
}

size_t
dr_rate_may(enum dr_way way, size_t want)
{
	size_t n = want;

	pthread_mutex_lock(&mutex);
	if (limit != 0) {
		fill(way);
		if (bucket[way].tokens < share())
			n = 0;
		else if ((size_t)share() < want)
			n = (size_t)share();
	}
	pthread_mutex_unlock(&mutex);
	return n;
}

void
dr_rate_went(enum dr_way way, size_t n)
{
	pthread_mutex_lock(&mutex);
	if (limit != 0)
		bucket[way].tokens -= (int64_t)n;
	pthread_mutex_unlock(&mutex);
}

int64_t
dr_rate_wait(enum dr_way way)
{
	int64_t us = 0;

	pthread_mutex_lock(&mutex);
	if (limit != 0) {
		fill(way);
		if (bucket[way].tokens < share())
			us = (share() - bucket[way].tokens) * 1000000 / limit +
			     1;
	}
	pthread_mutex_unlock(&mutex);
	return us;
}
