/*
 * records.h - the values of a set's keys (coord.h): JSON, one object each,
 * with "v": 1.  Readers keep to what they know and refuse a higher version.
 * No record holds a connection string, or anything else that is secret.
 */
#ifndef DR_COORD_RECORDS_H
#define DR_COORD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_NODE_NAME 64 /* a node's name, with the NUL */
#define DR_MEMBERS   64 /* of a synchronous set */

struct dr_rec_epoch {
	int64_t epoch;             /* 1, 2, ... */
	char leader[DR_NODE_NAME]; /* who may be primary */
	char former[DR_NODE_NAME]; /* who was; "" */
	uint32_t tli;              /* the leader's timeline */
	uint64_t fork; /* where it left the former's; 0: not known */
	int64_t time;  /* microseconds since 1970 */
};

enum dr_step {          /* of what is done; each is recorded before it begins */
	DR_STEP_CHOSEN, /* the candidate is; standbys may be cut off */
	DR_STEP_STOPPING,  /* switchover: the old primary is being stopped */
	DR_STEP_PROMOTING, /* past the point of no return */
	DR_STEP_PROMOTED,  /* it takes writes */
	DR_STEP_ROUTED,    /* clients reach it */
	DR_STEP_DONE,
};

struct dr_rec_intent {
	char verb[16]; /* "failover", "switchover" */
	int64_t token; /* of the run that wrote it */
	int64_t epoch; /* that it leads to */
	char candidate[DR_NODE_NAME], former[DR_NODE_NAME];
	uint32_t tli;    /* that it forks from */
	uint64_t target; /* what the candidate has to have */
	enum dr_step step;
	int64_t began, time;
};

struct dr_rec_sync {     /* as effective on the primary */
	char names[512]; /* synchronous_standby_names */
	int wait;        /* how many must acknowledge (W); 0: none */
	bool any;        /* of all (ANY), not of the first ones */
	bool restart;    /* restart_after_crash */
	size_t members;
	char member[DR_MEMBERS][DR_NODE_NAME]; /* all that NAMES can match */
	uint32_t tli;
	char leader[DR_NODE_NAME];
};

struct dr_rec_node {
	char name[DR_NODE_NAME];
	char kind[12];   /* "guard", "receiver" */
	char role[12];   /* "primary", "standby", "down"; of a receiver
	                   "connected", "cut", "stopped" */
	char where[128]; /* HOST:PORT */
	char region[DR_NODE_NAME]; /* drtools.region; "" */
	uint32_t tli;
	uint64_t lsn;     /* what it has durably */
	int64_t lsn_time; /* and when that was so at the latest; 0 unknown */
	int64_t rate;     /* bytes of WAL a second, of late; DR_UNKNOWN */
	int64_t epoch;    /* that it knows of */
	/*
	 * Of a receiver: the token of the intent that it heeds; 0 none.  As
	 * long as that intent stands it acknowledges nothing to the intent's
	 * former primary, and LSN is not below what it has acknowledged.
	 */
	int64_t token;
	int64_t time;
};

struct dr_rec_vote {
	char name[DR_NODE_NAME]; /* the observer's */
	char where[128];         /* the server that it judges */
	bool down;
	int64_t since, time;
};

struct dr_rec_hold {
	char who[128], why[256];
	int64_t since, until; /* until: 0 until resumed */
};

struct dr_rec_run {
	char who[128]; /* user@host:pid */
	char verb[16];
	char nonce[33];
	int64_t since;
};

/* Encode, appended; and decode: DR_EDATA for what is none, or too long. */
#define DR_RECORD(name)                                                        \
	int dr_rec_##name##_put(const struct dr_rec_##name *, struct dr_buf *, \
	    struct dr_err *);                                                  \
	int dr_rec_##name##_get(const char *json, struct dr_rec_##name *,      \
	    struct dr_err *)
DR_RECORD(epoch);
DR_RECORD(intent);
DR_RECORD(sync);
DR_RECORD(node);
DR_RECORD(vote);
DR_RECORD(hold);
DR_RECORD(run);
#undef DR_RECORD

/* "chosen", "stopping", ... */
const char *dr_step_word(enum dr_step);

#endif /* !DR_COORD_RECORDS_H */
