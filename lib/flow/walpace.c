#include "flow/walpace.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/rates.h"
#include "flow/walspool_int.h"

#define MAGIC   0x3145434150524457ULL
#define PAUSE   60000000LL /* us: longer, and it was not replay */
#define NOTE_US 5000000LL
#define LEAST   (4U << 20) /* bytes that tell something of a rate */

static int
open_in(const char *spool, int how)
{
	int dir = dr_walspool_open(spool), fd;

	if (dir == -1)
		return -1;
	fd = openat(dir, "pace", how | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(dir);
	return fd;
}

void
dr_walpace_begin(struct dr_walpace *p, const char *spool)
{
	struct dr_walpace_kept *k = &p->kept;
	int fd = open_in(spool, O_RDONLY);
	int64_t pause;

	p->began = dr_monotonic();
	if (fd == -1 || read(fd, k, sizeof(*k)) != sizeof(*k) ||
	    k->magic != MAGIC)
		*k = (struct dr_walpace_kept){ .magic = MAGIC,
			.noted = p->began };
	if (fd != -1)
		close(fd);
	/* A server asks for the next once it has replayed the one before. */
	pause = p->began - k->ended;
	if (k->size > 0 && k->ended != 0 && pause >= 0 && pause < PAUSE) {
		k->replay_us += pause;
		k->replayed += k->size;
	}
	k->size = 0;
}

static void
note(struct dr_walpace_kept *k, int64_t now, const char *state, const char *set)
{
	struct dr_rate fetch = { .time = dr_now(),
		.us = k->fetch_us,
		.bytes = k->fetched };
	struct dr_rate replay = { .time = fetch.time,
		.us = k->replay_us,
		.bytes = k->replayed };
	struct dr_err why = { 0 };

	if (dr_rate_note(state, set, DR_RATE_FETCH, &fetch, &why) == -1 ||
	    dr_rate_note(state, set, DR_RATE_REPLAY, &replay, &why) == -1)
		dr_say(1, "%s", why.msg);
	k->fetch_us = k->replay_us = 0;
	k->fetched = k->replayed = 0;
	k->noted = now;
}

void
dr_walpace_end(struct dr_walpace *p, const char *spool, uint64_t size,
    const char *state, const char *set)
{
	struct dr_walpace_kept *k = &p->kept;
	int64_t now = dr_monotonic();
	int fd = open_in(spool, O_WRONLY | O_CREAT);

	if (fd == -1)
		return;
	/* Only what was replayed, too, or about to be. */
	if (size > 0) {
		k->fetch_us += now - p->began;
		k->fetched += size;
	}
	if (k->replayed >= LEAST &&
	    (size == 0 || now - k->noted >= NOTE_US || now < k->noted))
		note(k, now, state, set);
	k->size = size;
	k->ended = dr_monotonic();
	if (pwrite(fd, k, sizeof(*k), 0) == -1)
		dr_say(1, "cannot note how fast WAL is fetched");
	close(fd);
}
