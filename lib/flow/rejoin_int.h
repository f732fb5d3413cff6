/* rejoin_int.h - what the parts of a rejoin share. */
#ifndef DR_FLOW_REJOIN_INT_H
#define DR_FLOW_REJOIN_INT_H

#include <sys/types.h>

#include "flow/rejoin.h"
#include "flow/restore_plan.h"
#include "pg/conn.h"
#include "pg/datadir.h"
#include "pg/wal.h"

#define DR_RMGRS 256

struct dr_rejoin_run {
	const struct dr_rejoin_opts *o;
	struct dr_rejoin *r;
	char *pgdata; /* real path */
	char *state;  /* STATE/rejoin/SET */
	mode_t mode;  /* of pgdata, as a server wants it */
	int lock;
	long version; /* major, of PG_VERSION */
	char stamp[32];

	/* The new primary. */
	PGconn *conn;
	long server; /* its major version */
	bool full_page_writes;
	uint64_t lsn;            /* where it is */
	struct dr_history line;  /* of the new primary */
	struct dr_history local; /* of this node */
	struct dr_control control;
	struct dr_buf commits; /* "LSN XID TIME" lines, past the fork */
	bool commits_cut;      /* there are more */
	uint64_t rmgr[DR_RMGRS], rmgr_bytes[DR_RMGRS];

	char *service, *password; /* a file; for PGPASSWORD, or NULL */
	char *keep;               /* the directory for what is kept; made */
	bool parked;              /* config lies in keep/config */
	char *conninfo;           /* what it will follow by */
	char *command;            /* restore_command to set, or NULL */
	struct dr_plan plan;      /* of a restore from the stores */
	bool planned;
	bool archive; /* restore_command is set */
};

/* rejoin_judge.c: fills r->way and all that is judged. */
int dr_rejoin_primary(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_judge(struct dr_rejoin_run *, struct dr_err *);

/* rejoin_keep.c */
int dr_rejoin_keep_dir(struct dr_rejoin_run *, struct dr_err *);
/* Copy, or with MOVE move, the WAL past the fork; write the summary. */
int dr_rejoin_keep_wal(struct dr_rejoin_run *, bool move, struct dr_err *);

/* rejoin_conf.c: what is not the server's; park it, put it back. */
int dr_rejoin_park(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_unpark(struct dr_rejoin_run *, struct dr_err *);
/* Of a rejoin that did not finish: its directory, and what is parked there. */
int dr_rejoin_resume(struct dr_rejoin_run *, struct dr_err *);
/*
 * What it will follow, and restore_command where it has none; from its
 * configuration, so before all else.
 */
int dr_rejoin_conninfo(struct dr_rejoin_run *, struct dr_err *);
/* postgresql.auto.conf alone. */
int dr_rejoin_settings(struct dr_rejoin_run *, struct dr_err *);
/* No standby.signal and no recovery.signal for now. */
int dr_rejoin_unsignal(struct dr_rejoin_run *, struct dr_err *);
/* standby.signal, postgresql.auto.conf. */
int dr_rejoin_configure(struct dr_rejoin_run *, struct dr_err *);

/* rejoin_run.c: commands of the server's. */
/* Where PROGRAM is; NULL where it is not to be found. */
char *
dr_rejoin_program(struct dr_rejoin_run *, const char *name, struct dr_err *);
/*
 * Run it to its end with PGSERVICEFILE and PGPASSWORD set; both outputs go to
 * OUT.  -1: it failed, ERR has its last line.
 */
int dr_rejoin_command(struct dr_rejoin_run *, char *const argv[],
    struct dr_buf *out, struct dr_err *);
/* A value of the stopped server's configuration; NULL: it cannot say. */
char *
dr_rejoin_setting(struct dr_rejoin_run *, const char *name, struct dr_err *);
int dr_rejoin_service(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_slot(struct dr_rejoin_run *, struct dr_err *);

/* What would be restored; once.  -1: nothing could be. */
int dr_rejoin_plan(struct dr_rejoin_run *, struct dr_err *);

/* The ways.  1: done; 0: it could not be, r->why says so; -1. */
int dr_rejoin_rewind(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_delta(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_copy(struct dr_rejoin_run *, struct dr_err *);

/* rejoin_slots.c: replication slots that cannot stay. */
int dr_rejoin_slots(struct dr_rejoin_run *, struct dr_err *);

/* rejoin_conf.c: FROM becomes TO, across file systems too. */
int dr_rejoin_move(struct dr_rejoin_run *, const char *from, const char *to,
    struct dr_err *);

/* rejoin.c */
/* Add a sentence to r->why. */
void dr_rejoin_why(struct dr_rejoin_run *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
/* No server starts here from now on, or may again. */
int dr_rejoin_shut(struct dr_rejoin_run *, struct dr_err *);
int dr_rejoin_open(struct dr_rejoin_run *, struct dr_err *);

#endif /* !DR_FLOW_REJOIN_INT_H */
