/*
 * walwindow.h - to which points in time a backup can be brought by the WAL
 * that a store holds.
 */
#ifndef DR_FLOW_WALWINDOW_H
#define DR_FLOW_WALWINDOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/walcat.h"

/* The WAL of one set in one store, read when it is first asked for. */
struct dr_windows {
	struct dr_store *store;
	const char *set;
	const struct dr_verify_keys *keys;
	struct dr_walcat *cat;
	size_t n;
};
void dr_windows_free(struct dr_windows *);

#define DR_WINDOW_GAPS 16

struct dr_window {
	bool whole;    /* the backup can be restored at all */
	bool wal;      /* it can be brought beyond its own end */
	uint32_t tli;  /* on which the last location lies */
	uint64_t to;   /* up to which WAL is whole */
	int64_t time;  /* of the object that holds it */
	bool by_store; /* no ledger vouches: the time is the store's */
	uint32_t lost; /* a timeline to which no history leads; 0: none */
	size_t gaps;   /* on the backup's timeline, after it */
	struct {
		uint32_t tli;
		uint64_t from, to;
	} gap[DR_WINDOW_GAPS];
};

/*
 * 1 and *W for the backup of a cluster with MANIFEST; 0: it is none, or says
 * too little; -1.
 */
int dr_window_of(struct dr_windows *, const json_t *manifest,
    struct dr_window *, struct dr_err *);

#endif /* !DR_FLOW_WALWINDOW_H */
