/*
 * guard_int.h - the parts of a guard; not for others.
 */
#ifndef DR_FLOW_GUARD_INT_H
#define DR_FLOW_GUARD_INT_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "flow/deadman.h"
#include "flow/guard.h"
#include "pg/ask.h"
#include "pg/hosts.h"
#include "pg/syncnames.h"

/* --- who we are (guard_who.c) --------------------------------------------- */

#define DR_GUARD_ID 33 /* with the NUL */

struct dr_guard_who {
	char name[DR_NODE_NAME];
	char id[DR_GUARD_ID]; /* of this host and data directory */
	char *dir;            /* its real path; owned */
};

/* DR_EUSAGE: no name is known, or it cannot be one. */
int dr_guard_who(const struct dr_guard_opts *, struct dr_guard_who *,
    struct dr_err *);
void dr_guard_who_wipe(struct dr_guard_who *);

/* The value of "leader" and "node/NAME": N, and the id; appended. */
int dr_guard_value(const struct dr_rec_node *n, const char *id, struct dr_buf *,
    struct dr_err *);
/* What such a value says; false: it is none. */
bool dr_guard_value_get(const char *value, char name[DR_NODE_NAME],
    char id[DR_GUARD_ID]);

/* --- what is known without etcd (guard_state.c) ----------------------------- */

struct dr_guard_state {
	int64_t epoch; /* 0: none is known */
	char leader[DR_NODE_NAME];
	uint32_t tli;
	int64_t glass;   /* the epoch it was broken for; 0: it was not */
	char names[512]; /* the synchronous set as published; "" */
};

/* STATE/guard/SET/NAME.SUFFIX; the folder is made. */
char *dr_guard_path(const struct dr_guard_opts *, const struct dr_guard_who *,
    const char *suffix, struct dr_err *);
/* 1, 0 there is none, -1. */
int
dr_guard_state_get(const char *path, struct dr_guard_state *, struct dr_err *);
int dr_guard_state_put(const char *path, const struct dr_guard_state *,
    struct dr_err *);
/* What a look at etcd tells of the epoch; -1: damaged. */
int dr_guard_epoch(const struct dr_coord_look *, struct dr_guard_state *,
    int64_t *was, struct dr_err *);

/* "guard", one line of the audit trail. */
void dr_guard_audit(const char *act, const struct dr_guard_opts *,
    const struct dr_guard_who *, int64_t epoch, const char *why,
    const char *result);

/* --- the server (guard_server.c) --------------------------------------------- */

struct dr_guard_member { /* a row of pg_stat_replication */
	char name[DR_NODE_NAME];
	bool streaming;
	uint64_t write;
};

struct dr_guard_server {
	const char *dir; /* borrowed */
	struct dr_pg_host *host;
	size_t hosts;
	struct dr_ask ask;
	bool open;         /* ASK is, or was */
	bool busy;         /* a look is under way */
	struct dr_err err; /* why it does not answer */
	int64_t heard_at;  /* dr_boottime() of the last sign of life */

	/* What was found without asking it. */
	pid_t pid; /* the postmaster; 0: none */
	int alive; /* processes of it; -1 not known */
	bool standby_signal;
	bool clean; /* it is down, and pg_control says "shut down" */
	uint32_t control_tli;

	/* What it answered last. */
	pid_t known; /* which postmaster; 0: none */
	bool standby;
	char names[512]; /* synchronous_standby_names; too long: "*" */
	char cluster_name[DR_NODE_NAME], region[DR_NODE_NAME];
	bool restart;
	uint32_t tli;
	uint64_t lsn;
	int64_t lsn_time; /* when it was asked for that; 0 never */
	struct dr_guard_member member[DR_MEMBERS];
	size_t members;

	/* The proof that members are connected. */
	uint64_t mark;    /* what each has to have; 0: none was written */
	int64_t mark_at;  /* dr_boottime() before it was */
	int64_t proof_at; /* the latest of which all had it; 0 */
};

/* DR_EUSAGE: a string that cannot be used, or that names several servers. */
int dr_guard_server_open(struct dr_guard_server *, const char *conninfo,
    const char *dir, struct dr_err *);
void dr_guard_server_close(struct dr_guard_server *);
/*
 * Look, for US microseconds at most; what it does not answer in that time is
 * heard the next time.  PROVE, unless NULL, is synchronous_standby_names: have
 * it write a mark, and wait until all members have it.  -1: a stop signal;
 * DR_EUSAGE: it runs on another directory.
 */
int dr_guard_server_look(struct dr_guard_server *, int64_t us,
    const char *prove, struct dr_err *);
/* Wait so long, or until the connection ends.  -1: a stop signal. */
int dr_guard_server_wait(struct dr_guard_server *, int64_t us, struct dr_err *);
/* It runs, and is or may become a primary. */
bool dr_guard_writable(const struct dr_guard_server *);
/* It is a primary, and answers. */
bool dr_guard_primary(const struct dr_guard_server *);
/* "primary", "standby", "starting", "down". */
const char *dr_guard_role(const struct dr_guard_server *);

/* --- the guard (guard.c, guard_keys.c, guard_tell.c) ------------------------- */

struct dr_guard {
	const struct dr_guard_opts *o;
	struct dr_guard_who who;
	struct dr_guard_server server;
	struct dr_deadman *deadman;
	struct dr_guard_state state, stored;
	char *state_path;

	struct dr_held held; /* node/NAME; "leader" hangs on it, too */
	bool asked;          /* etcd has answered in this round */
	struct dr_err away;  /* why it has not */
	enum dr_guard_leader leader;
	char other[DR_NODE_NAME]; /* who leads instead of us, or has our name */
	int64_t leader_was, epoch_was, sync_was; /* mod_revisions */
	char *epoch_value, *sync_value;          /* owned; NULL: none */

	pid_t run;           /* of the server that all this is about */
	bool fresh;          /* it had no lease yet */
	int64_t stop_at;     /* by dr_boottime(); 0: none */
	char names[512];     /* synchronous_standby_names as first seen ... */
	int64_t names_since; /* ... then */
	int64_t ask_at;      /* when etcd is asked again */
	char role[16];       /* of the server, when it was asked last */
	enum dr_guard_act act;
	const char *why;

	int64_t rate, rate_at; /* bytes of WAL a second */
	uint64_t rate_lsn;
	int64_t stops, last_stop, fired;
	bool ready;
	char told[512];
};

/* Microseconds: how often, how much before the end, how long a proof lasts. */
int64_t dr_guard_tick(const struct dr_guard_opts *);
int64_t dr_guard_reserve(const struct dr_guard_opts *);
/* From the moment a lease was asked for to the moment to stop. */
int64_t dr_guard_window(const struct dr_guard_opts *);

/*
 * One round with etcd, in MS at most: renew or take node/NAME, look, and fill
 * what G knows of it.  G->asked says whether it answered.  -1: a stop signal.
 */
int dr_guard_ask(struct dr_guard *, int64_t ms, struct dr_err *);
/* Take the key, with the epoch; 1, 0 others were faster, -1. */
int dr_guard_take(struct dr_guard *, struct dr_err *);
int dr_guard_release(struct dr_guard *, struct dr_err *);
/* Publish, or withdraw, the synchronous set. */
int dr_guard_sync(struct dr_guard *, struct dr_err *);
int dr_guard_sync_withdraw(struct dr_guard *, struct dr_err *);
/* node/NAME, as it is now. */
int dr_guard_report(struct dr_guard *, struct dr_err *);
/* The record; RATE and EPOCH included. */
void dr_guard_record(const struct dr_guard *, struct dr_rec_node *);

/* Status, metrics, warnings of what has changed. */
int dr_guard_tell(struct dr_guard *, struct dr_err *);

#endif /* !DR_FLOW_GUARD_INT_H */
