/* One rate for several processes. */
#include <sys/mman.h>

#include <poll.h>
#include <stdatomic.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/mirror_int.h"

struct dr_pace {
	uint64_t rate;
	_Atomic int64_t due; /* when the next may be moved, microseconds */
};

struct dr_pace *
dr_pace_new(uint64_t rate, struct dr_err *err)
{
	struct dr_pace *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		dr_err_sys(err, "cannot share memory");
		return NULL;
	}
	p->rate = rate;
	return p;
}

int
dr_pace_wait(struct dr_pace *p, uint64_t bytes, struct dr_err *err)
{
	int64_t was, from, now, takes;

	if (p->rate == 0)
		return 0;
	takes = (int64_t)((double)bytes * 1e6 / (double)p->rate);
	was = atomic_load(&p->due);
	do {
		now = dr_monotonic();
		from = was > now ? was : now;
	} while (!atomic_compare_exchange_weak(&p->due, &was, from + takes));
	/* A signal to this process alone interrupts it, or is seen soon. */
	while ((now = dr_monotonic()) < from) {
		int64_t ms = (from - now) / 1000 + 1;

		(void)poll(NULL, 0, ms < 200 ? (int)ms : 200);
		if (dr_check_stop(err) == -1)
			return -1;
	}
	return 0;
}

void
dr_pace_free(struct dr_pace *p)
{
	if (p != NULL)
		(void)munmap(p, sizeof(*p));
}
