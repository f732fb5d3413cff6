/*
 * walspool.h - segments fetched ahead for a recovery that reads one after
 * the other: a directory of at most a few, filled by a process in the
 * background.
 *
 *	STATE/spool/SET-SYSID-TLI-HASH/
 *		SEGMENT		whole and checked
 *		asked		the name that was asked for last
 *		pace		how fast it goes (walpace.h)
 *		busy.N		what the Nth fetcher is at
 *		lock		held while there are fetchers
 *
 * HASH is over the data directory (path, device, inode), the stores and the
 * keys that are trusted, so that two recoveries never share one, nor one
 * that looks at signatures and one that does not.  An entry has its name
 * only once it is verified, written and on disk, in a directory that nobody
 * else may write to: who could change it could change the cluster itself,
 * and it is not hashed a second time.
 */
#ifndef DR_FLOW_WALSPOOL_H
#define DR_FLOW_WALSPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/walfetch.h"

#define DR_SPOOL_BYTES  (128ULL << 20)
#define DR_SPOOL_FILES  64
#define DR_SPOOL_IDLE_S 10 /* then the fetchers end, and what is left goes */

struct dr_walspool_key {
	const char *state, *set;
	uint64_t system_id;
	uint32_t tli;
	const char *dest;  /* where the recovery wants its files */
	const char *trust; /* text of the keys, "" for none wanted */
	const char *const *stores;
	size_t nstores;
};

/* Its path, on the heap; nothing is made. */
char *dr_walspool_dir(const struct dr_walspool_key *, struct dr_err *);

/*
 * SEGMENT is asked for: note it, and move it to DEST (durably; MODE) if it
 * is there, waiting for it for at most MS if it is being fetched.  1 and
 * *SIZE, 0 not there.  What goes wrong with a spool is no error: 0.
 */
int dr_walspool_take(const char *dir, const char *segment, const char *dest,
    uint64_t ms, uint64_t *size);

/*
 * Remove what a dr-wal get that was killed left of DEST: .NAME.RANDOM.tmp
 * beside it, which nobody has locked.  What cannot be removed stays.
 */
void dr_walget_sweep(const char *dest);

/*
 * What fetchers work with: stores are opened in their own process, and READY
 * is called there before the first fetch (to read identities), and must not
 * print.
 */
struct dr_walspool_job {
	const char *dir;
	const char *segment; /* the one delivered: those after it come next */
	uint64_t segsize;
	struct dr_walfetch fetch; /* without stores and identities */
	const char *const *stores;
	size_t nstores;
	uint64_t timeout_ms; /* of one fetch */
	int (*ready)(void *, struct dr_walfetch *, struct dr_err *);
	void *arg;
};

/*
 * Start fetchers unless they run.  They are detached from this process and
 * end by themselves.
 */
int dr_walspool_start(const struct dr_walspool_job *, struct dr_err *);

#endif /* !DR_FLOW_WALSPOOL_H */
