/* guard_judge - when a server is stopped, by every combination of facts. */
#include <stdio.h>
#include <string.h>

#include "flow/guard.h"
#include "tests/tap.h"

/* A primary that leads epoch 3, its lease good for a second. */
static const struct dr_guard_facts good = {
	.now = 1000000,
	.stop_at = 2000000,
	.writable = true,
	.asked = true,
	.epoch = 3,
	.names_us = true,
	.leader = DR_LEADER_OURS,
	.lease = true,
};

static void
is(const struct dr_guard_facts *f, enum dr_guard_act want, const char *by,
    const char *what)
{
	const char *why;
	enum dr_guard_act act = dr_guard_judge(f, &why);

	OK(act == want && (by == NULL ? why == NULL
	                              : why != NULL && strcmp(why, by) == 0),
	    what);
}

#define WITH(what, act, by, ...)                  \
	do {                                      \
		struct dr_guard_facts f = good;   \
		__VA_ARGS__;                      \
		is(&f, DR_GUARD_##act, by, what); \
	} while (0)

static void
cases(void)
{
	WITH("a leader goes on", GO_ON, NULL, (void)0);
	WITH("a standby rests", REST, NULL, f.writable = false;
	     f.leader = DR_LEADER_NOBODY);
	WITH("one that was the leader lets go", RELEASE, NULL,
	    f.writable = false);
	WITH("a standby of another leader rests", REST, NULL,
	     f.writable = false;
	     f.names_us = false; f.leader = DR_LEADER_OTHER; f.now = 9000000);
	WITH("another epoch stops it", STOP, "epoch", f.names_us = false);
	WITH("also while etcd is away", STOP, "epoch", f.names_us = false;
	     f.asked = false);
	WITH("one promoted just now waits for etcd", GO_ON, NULL,
	     f.names_us = false;
	     f.asked = false; f.fresh = true);
	WITH("but not for ever", STOP, "late", f.names_us = false;
	     f.asked = false; f.fresh = true; f.now = 2000000);
	WITH("an older timeline stops it", STOP, "timeline", f.older = true);
	WITH("another leader stops it", STOP, "leader",
	    f.leader = DR_LEADER_OTHER);
	WITH("one that was promoted just now waits for its end", WAIT, NULL,
	     f.leader = DR_LEADER_OTHER;
	     f.fresh = true; f.now = 9000000);
	WITH("but not for another of its own name", STOP, "leader",
	     f.leader = DR_LEADER_OTHER;
	     f.fresh = true; f.twin = true);
	WITH("nor without an epoch", STOP, "leader", f.leader = DR_LEADER_OTHER;
	     f.fresh = true; f.epoch = 0; f.stop_at = 0);
	WITH("a key that nobody has is taken", TAKE, NULL,
	    f.leader = DR_LEADER_NOBODY);
	WITH("a predecessor's, too", TAKE, NULL, f.leader = DR_LEADER_SELF);
	WITH("so is the first of all", TAKE, NULL, f.epoch = 0;
	     f.names_us = false; f.stop_at = 0; f.fresh = true;
	     f.leader = DR_LEADER_NOBODY);
	WITH("once it is late nobody is asked", STOP, "late", f.now = 2000000);
	WITH("nor with the key free", STOP, "late", f.now = 2000000;
	     f.leader = DR_LEADER_NOBODY);
	WITH("one that was started just now may take it late", TAKE, NULL,
	     f.now = 2000000;
	     f.fresh = true; f.leader = DR_LEADER_NOBODY);
	WITH("unless its name is taken", STOP, "name", f.now = 2000000;
	     f.fresh = true; f.lease = false; f.leader = DR_LEADER_NOBODY);
	WITH("without etcd it goes on until then", GO_ON, NULL,
	    f.asked = false);
	WITH("and is stopped then", STOP, "late", f.asked = false;
	     f.now = 2000000);
	WITH("unless all members confirm it", STAY, NULL, f.asked = false;
	     f.now = 2000000; f.failsafe = true);
	WITH("also when etcd has come back", TAKE, NULL, f.now = 2000000;
	     f.failsafe = true; f.leader = DR_LEADER_NOBODY);
	WITH("no member helps against another leader", STOP, "leader",
	     f.now = 2000000;
	     f.failsafe = true; f.leader = DR_LEADER_OTHER);
	WITH("or against another epoch", STOP, "epoch", f.now = 2000000;
	     f.failsafe = true; f.names_us = false);
	WITH("the glass is broken", STAY, NULL, f.asked = false; f.glass = true;
	     f.stop_at = 0; f.fresh = true);
	WITH("a silent one is stopped", STOP, "hung", f.hung = true);
	WITH("one of no known epoch is nobody's", LOOSE, NULL, f.asked = false;
	     f.epoch = 0; f.stop_at = 0; f.fresh = true);
}

/* Whatever is so: with another epoch, or a lease gone, it never goes on. */
static void
all(void)
{
	bool epoch = true, other = true, late = true, standby = true;
	struct dr_guard_facts f;
	enum dr_guard_act act;
	const char *why;

	for (unsigned i = 0; i < 1U << 11; i++)
		for (int l = DR_LEADER_NOBODY; l <= DR_LEADER_OTHER; l++) {
			f = good;
			f.writable = (i & 1) != 0;
			f.fresh = (i & 2) != 0;
			f.asked = (i & 4) != 0;
			f.names_us = (i & 8) != 0;
			f.older = (i & 16) != 0;
			f.lease = (i & 32) != 0;
			f.failsafe = (i & 64) != 0;
			f.glass = (i & 128) != 0;
			f.hung = (i & 256) != 0;
			f.now = (i & 512) != 0 ? 1 : 3000000;
			f.epoch = (i & 1024) != 0 ? 3 : 0;
			f.leader = (enum dr_guard_leader)l;
			act = dr_guard_judge(&f, &why);
			if ((act == DR_GUARD_STOP) != (why != NULL))
				standby = false;
			if (!f.writable) {
				if (act != DR_GUARD_REST &&
				    act != DR_GUARD_RELEASE)
					standby = false;
				continue;
			}
			if (f.asked && f.epoch != 0 && !f.names_us &&
			    act != DR_GUARD_STOP)
				epoch = false;
			if (f.asked && f.leader == DR_LEADER_OTHER &&
			    act != DR_GUARD_STOP &&
			    !(act == DR_GUARD_WAIT && f.fresh && f.names_us &&
			        f.epoch != 0))
				other = false;
			if (!f.asked && f.now >= f.stop_at && !f.failsafe &&
			    !f.glass && act != DR_GUARD_STOP)
				late = false;
		}
	OK(epoch, "another epoch always stops it");
	OK(other, "another leader stops it, except the one that it follows");
	OK(late, "no lease and no members always stop it");
	OK(standby, "what is no primary is never stopped");
}

int
main(void)
{
	cases();
	all();
	return DONE();
}
