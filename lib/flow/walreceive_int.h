/*
 * walreceive_int.h - what the parts of dr_wal_receive share; not for others.
 */
#ifndef DR_FLOW_WALRECEIVE_INT_H
#define DR_FLOW_WALRECEIVE_INT_H

#include <sys/types.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "flow/walepoch.h"
#include "flow/walreceive.h"
#include "flow/walship.h"
#include "pg/conn.h"
#include "pg/hosts.h"
#include "pg/wal.h"
#include "pg/walstream.h"

#define DR_RECV_BUFS     2       /* segments held at once */
#define DR_RECV_QUERY_US 1000000 /* between looks at the slot */

/* A position on a timeline; tli 0: none. */
struct dr_recv_pos {
	uint32_t tli;
	uint64_t lsn;
};

/* Is A before B?  A later timeline is later. */
static inline bool
dr_recv_before(struct dr_recv_pos a, struct dr_recv_pos b)
{
	return a.tli != b.tli ? a.tli < b.tli : a.lsn < b.lsn;
}

/* Whom the server says it is. */
struct dr_recv_system {
	uint64_t id;
	uint32_t tli;
	uint64_t lsn; /* up to where it has WAL */
};

/* --- between the two processes (walreceive_ship.c) ---------------------- */

/* What the child is told to do, one thing at a time. */
struct dr_recv_order {
	enum dr_recv_order_kind {
		DR_RECV_PUT,     /* bytes FROM to TO of buffer BUF */
		DR_RECV_HISTORY, /* the text that follows */
		DR_RECV_GAP, /* START to END are missing in STORE (-1: all) */
		DR_RECV_LEDGER, /* write one now, also with nothing new */
	} kind;
	bool whole; /* PUT: the segment is complete */
	int buf, store;
	uint32_t tli, from, to;
	uint64_t start, end; /* PUT: START is where the segment begins */
};

/* What the child says: at first, after each order, and when one hangs. */
struct dr_recv_report {
	enum dr_recv_report_kind {
		DR_RECV_READY,
		DR_RECV_DONE,
		DR_RECV_TROUBLE, /* tried in vain, and trying again */
		DR_RECV_FATAL,   /* and it is no use */
	} kind;
	struct dr_recv_pos durable; /* in the required number of stores */
	struct dr_recv_pos cursor[DR_SHIP_STORES];
	unsigned behind; /* stores that lack WAL, bit by bit */
	struct dr_err err;
};

/* What all processes see; the parent writes it. */
struct dr_recv_shared {
	_Atomic uint64_t durable; /* LSN; 0: nothing yet */
};

struct dr_recv_child {
	pid_t pid; /* 0: none */
	int fd;
	bool busy; /* an order is under way */
};

/* What the child needs beside the options. */
struct dr_recv_setup {
	const struct dr_wal_receive_opts *opts;
	uint64_t system_id;
	uint32_t segsize;
	unsigned char *buf[DR_RECV_BUFS]; /* shared */
	uint64_t slot_lsn; /* where the slot begins; 0: nowhere */
	const struct dr_history *history; /* of the server's timeline */
	int close_fds[3];                 /* the parent's connections, or -1 */
};

int dr_recv_fork(struct dr_recv_child *, const struct dr_recv_setup *,
    struct dr_err *);
int dr_recv_send(struct dr_recv_child *, const struct dr_recv_order *,
    const char *text, size_t len, struct dr_err *);
/* 1 and *REPORT, 0 nothing there, -1: the child is gone. */
int
dr_recv_take(struct dr_recv_child *, struct dr_recv_report *, struct dr_err *);
/* Let it end by itself for at most MS milliseconds, then kill it. */
void dr_recv_end(struct dr_recv_child *, uint64_t ms);

/* The child itself (walreceive_child.c); never returns. */
_Noreturn void dr_recv_child_main(int fd, const struct dr_recv_setup *);

/* --- what is kept on this host (walreceive_keep.c) ---------------------- */

/* STATE/sets/SET/receive-SLOT-SYSTEMID.json */
char *dr_recv_state_path(const struct dr_wal_receive_opts *, uint64_t system_id,
    struct dr_err *);
/* 1 and *POS by URL, 0 nothing is known, -1. */
int dr_recv_state_get(const char *path, const char *url, struct dr_recv_pos *,
    struct dr_err *);
int dr_recv_state_put(const char *path, const char *const *urls,
    const struct dr_recv_pos *, size_t n, struct dr_err *);

/* --- who may be received from (walreceive_epoch.c, walreceive_watch.c) -- */

/*
 * A process that asks etcd, so that nobody else has to wait for it: it says
 * what it finds there, and keeps our record of node/NAME.
 */
struct dr_recv_word { /* what it says: at first, and when it is another */
	bool away;    /* etcd does not answer; what was known stays */
	bool mute;    /* the record cannot be written, or is another's */
	struct dr_walepoch epoch;
	struct dr_err err; /* of both */
};

struct dr_recv_watch {
	pid_t pid; /* 0: none; nothing of this counts then */
	int fd;
	bool heard;                /* it has said something */
	bool away;                 /* or mute */
	bool changed;              /* EPOCH is, since a server was looked for */
	bool barred;               /* the last server was */
	bool told;                 /* and that was told */
	struct dr_walepoch epoch;  /* as far as known */
	char server[DR_NODE_NAME]; /* whom we are connected to; "" */
	bool standby;              /* which is in recovery */
	char role[12];             /* what is to be told of us ... */
	struct dr_rec_node self;   /* ... and was */
	int64_t self_at;           /* when */
	char *path;                /* where EPOCH is kept */
	struct dr_pg_host *host;   /* all of the connection string */
	size_t hosts;
	char (*name)[DR_NODE_NAME]; /* of each, when it was last asked */
};

/* The process itself; never returns. */
_Noreturn void dr_recv_watch_main(int fd, struct dr_etcd *, struct dr_coord *);

/* --- the receiver ------------------------------------------------------ */

/* A segment on its way. */
struct dr_recv_buf {
	bool used;
	bool closed; /* nothing will be added: its timeline ended, or a gap */
	uint32_t tli;
	uint64_t start;
	uint32_t have;    /* bytes gathered, from its beginning */
	uint32_t shipped; /* durable up to here; may be beyond have */
	int64_t since;    /* when the first byte that waits came; 0: none */
	unsigned char *data;
};

/* What the server last said of our slot. */
struct dr_recv_slot {
	bool exists, lost, sync, remote_apply;
	uint64_t restart;  /* 0: it holds nothing */
	int64_t safe;      /* safe_wal_size; -1: no limit or not known */
	uint64_t retained; /* bytes behind the server's end */
};

struct dr_recv {
	const struct dr_wal_receive_opts *o;
	char *url[DR_SHIP_STORES]; /* the stores' names in all records */
	struct dr_recv_child child;
	struct dr_recv_order order; /* the one under way */
	int64_t ordered;            /* when */

	/* the server */
	PGconn *wal, *sql;
	struct dr_walstream *stream;
	struct dr_recv_system sys;
	struct dr_history history;
	uint32_t segsize;
	uint64_t status_every; /* us */
	struct dr_recv_slot slot;
	bool asked; /* a query is under way on sql */
	int64_t asked_at;
	bool going; /* the server is shutting down, it seems */
	int64_t going_since;

	/* gathering; oldest first */
	struct dr_recv_buf buf[DR_RECV_BUFS];
	int order_of[DR_RECV_BUFS], nbufs;
	void *map; /* segments, then what is shared */
	struct dr_recv_shared *shared;
	pid_t keeper; /* of slots on other hosts; 0: none */
	struct dr_recv_watch watch;
	size_t maplen;
	struct dr_walstream_msg held; /* a message that found no room */
	bool ready;                   /* the child is */
	bool streamed;                /* WAL was, at some time */
	bool removed;                 /* what is next, the server has no more */
	bool stopping;                /* a stop signal came, and was heard */
	bool flush_now;               /* ship without waiting for more */
	bool answer;                  /* the server wants a status */
	struct dr_recv_pos at;        /* where the stream stands */

	/* .history files that must go up first */
	struct dr_buf history_text;
	uint32_t history_tli, history_shipped; /* 0: none */
	/* gaps that must be recorded */
	struct dr_recv_order gap[2 * DR_SHIP_STORES];
	size_t ngaps;

	/* what came of it */
	struct dr_recv_report last;
	uint64_t server_end;
	uint64_t reported; /* flush position that the server has heard */
	int64_t status_at, query_at, metrics_at, watchdog_at, message_at;
	int64_t trouble_since, trouble_told;
	unsigned long gaps, reconnects, puts;
	uint64_t divergent, gap_bytes;
	bool fatal; /* there is no going on */
};

/* walreceive_loop.c */
/*
 * Do what there is to do, and wait for more until UNTIL (dr_monotonic) at
 * most.  -1: the connection is lost, the stream is broken, or (r->fatal)
 * there is no going on.  A stop signal ends the wait, and is no error.
 */
int dr_recv_turn(struct dr_recv *, int64_t until, struct dr_err *);
/* All that was gathered is durable. */
bool dr_recv_drained(const struct dr_recv *);
/* The position after the last byte gathered; tli 0: nothing is. */
struct dr_recv_pos dr_recv_end_of(const struct dr_recv *);
/* Bytes from LSN on TLI will follow: SHIPPED of its segment are durable. */
int dr_recv_place(struct dr_recv *, struct dr_recv_pos, uint32_t shipped,
    struct dr_err *);
/* No more bytes for what is being gathered; and is it so? */
void dr_recv_close_bufs(struct dr_recv *);
bool dr_recv_is_closed(const struct dr_recv *);
/* Room for segments, shared with the child; needs r->segsize. */
int dr_recv_map(struct dr_recv *, struct dr_err *);

/* walreceive_server.c */
/* Connect, look at the slot, and start the stream where it must. */
int dr_recv_connect(struct dr_recv *, struct dr_err *);
void dr_recv_disconnect(struct dr_recv *);
/* The stream ended: go on with the next timeline.  1; 0: shutdown; -1. */
int dr_recv_next_timeline(struct dr_recv *, struct dr_err *);

/* walreceive_slot.c */
/* See that there is a slot that can be used; make it if that was asked for. */
int dr_recv_need_slot(struct dr_recv *, struct dr_err *);
/* About once a second: ask how the slot is, and take the answer. */
void dr_recv_ask(struct dr_recv *);

/* walreceive_hosts.c */
/*
 * Where the connection string names several hosts: a process that keeps the
 * slot on those that are standbys, and moves it on to what is durable.
 */
int dr_recv_hosts(struct dr_recv *, struct dr_err *);
void dr_recv_hosts_end(struct dr_recv *);

/* walreceive_epoch.c */
/* Where --lock is given: begin, before there is any connection. */
int dr_recv_watch_start(struct dr_recv *, struct dr_err *);
/*
 * Take what it says.  -1, DR_ERETRY: the server must be received from no
 * more.
 */
int dr_recv_heed(struct dr_recv *, struct dr_err *);
/* The same while a connection is made: it is not waited for in vain. */
int dr_recv_heed_connecting(struct dr_recv *, struct dr_err *);
/* Connect, not to one that is barred; instead of dr_pg_connect. */
PGconn *dr_recv_pick(struct dr_recv *, const char *app, struct dr_err *);
/* Who the server is; -1, DR_ERETRY: it is barred. */
int dr_recv_meet(struct dr_recv *, struct dr_err *);
/* Tell how it stands: "connected", "cut", "stopped"; NULL: as before. */
void dr_recv_state(struct dr_recv *, const char *role);
void dr_recv_watch_end(struct dr_recv *);

/* walreceive_tell.c */
void dr_recv_metrics(struct dr_recv *);
void dr_recv_audit(struct dr_recv *, const char *act, const char *result);
void dr_recv_trouble(struct dr_recv *, const struct dr_err *);
void dr_recv_well(struct dr_recv *);
uint64_t dr_recv_lag(const struct dr_recv *);

#endif /* !DR_FLOW_WALRECEIVE_INT_H */
