/*
 * node_int.h - what the parts of node.h share; not for others.
 */
#ifndef DR_PG_NODE_INT_H
#define DR_PG_NODE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/node.h"
#include "pg/view_int.h"

#define DR_NODE_SQL_MAX  (1U << 18)
#define DR_NODE_POLL_US  5000
/* What a look has at least: one that is not answered ends the connection. */
#define DR_NODE_LOOK_US  INT64_C(1000000)
#define DR_NODE_SAVE_MAX 65536 /* bytes read of DR_NODE_SAVED */

/*
 * The timeline of WAL that ends in a segment whose name has %s behind the
 * timeline.  Nobody remembers on which one a walreceiver was that is gone: it
 * may be newer than that of all that was replayed, but there are its files
 * then.
 */
#define DR_NODE_TLI                                                                  \
	"SELECT greatest(" DR_VIEW_TLI ", (SELECT"                                   \
	" max(('x' || left(f.name, 8))::bit(32)::bigint) FROM pg_ls_waldir() f"      \
	" WHERE f.name ~ '^[0-9A-F]{8}%s$' AND EXISTS (SELECT FROM pg_ls_waldir() h" \
	" WHERE h.name = left(f.name, 8) || '.history')))"                           \
	" FROM (SELECT pg_is_in_recovery() AS standby) x"                            \
	" LEFT JOIN pg_stat_wal_receiver w ON true"

/* Like dr_nodes_run, "cannot DOING" being what did not succeed. */
int dr_nodes_do(struct dr_node *const *, const char *const *sql, size_t n,
    const char *doing, int64_t until, struct dr_err *);

/* The same of one node: -1 with ERR (and its err) set where it failed. */
int dr_node_do(struct dr_node *, const char *sql, const char *doing,
    int64_t until, struct dr_err *);

/* NODE failed with ERR: it becomes its err, too.  Returns -1. */
int dr_node_failed(struct dr_node *, const struct dr_err *);

/* Wait for US, watching the N; -1: a stop signal. */
int
dr_nodes_pause(struct dr_node *const *, size_t n, int64_t us, struct dr_err *);

/* The value of a column of the only row of its last answer; "" is NULL. */
const char *dr_node_value(const struct dr_node *, int column);

/* VALUE as an SQL literal; appended. */
int dr_node_literal(struct dr_buf *, const char *value, struct dr_err *);

/* Have the server read its configuration again, and wait until it did. */
int dr_node_reload(struct dr_node *, int64_t until, struct dr_err *);

/* ALTER SYSTEM SET NAME = VALUE, or RESET; nothing is read again yet. */
int dr_node_alter(struct dr_node *, const char *name, const char *value,
    int64_t until, struct dr_err *);

/*
 * From now on statements on this connection are not logged (they may hold a
 * password), as far as the role may say so; or as the server is set to.
 */
const char *dr_node_hush_sql(bool);
int dr_node_hush(struct dr_node *, bool, int64_t until, struct dr_err *);

/*
 * Ask each what it has; it is an error of the node where it is not what it
 * has to be (STANDBY: in recovery, or else not).
 */
struct dr_node_place {
	char *conninfo; /* primary_conninfo, in effect */
	char *filed;    /* as the configuration files have it */
	char *given;    /* the same without what ALTER SYSTEM wrote */
	char *saved, *data_directory;
	bool fixed; /* given on the server's command line */
};
int dr_nodes_place(struct dr_node *const *, size_t n, struct dr_node_place *,
    bool standby, int64_t until, struct dr_err *);
void dr_nodes_place_free(struct dr_node_place *, size_t n);

/* dr_node_conninfo; without NAMED without its application_name. */
int dr_node_conninfo_as(const char *old, const char *host, const char *port,
    bool named, struct dr_buf *out, struct dr_err *);

/* FOLDER/NAME as an SQL literal; appended. */
int dr_node_file(struct dr_buf *, const char *folder, const char *name,
    struct dr_err *);

/* What COPY TO has written, one line, as it was. */
void dr_node_unescape(char *);

/* Facts that hold nothing yet, and again. */
int dr_node_facts_init(struct dr_node_facts *, struct dr_err *);
void dr_node_facts_free(struct dr_node_facts *);

#endif /* !DR_PG_NODE_INT_H */
