/* A standby that becomes a primary, and the WAL that lets it. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/libpq.h"
#include "pg/node_int.h"
#include "pg/row.h"
#include "pg/view_int.h"

/*
 * The startup process looks for the order to promote before it sleeps for
 * wal_retrieve_retry_interval, but may have read it away just before that
 * (WaitForWALToBecomeAvailable() in xlogrecovery.c).  A reload wakes it.
 */
#define WAKE_US     20000
#define WAKES       5 /* so often; rarer then, as each is logged */
#define WAKE_RARELY 200000

static const char tli_sql[] =
    "SELECT " DR_VIEW_TLI " FROM (SELECT pg_is_in_recovery() AS standby) x"
    " LEFT JOIN pg_stat_wal_receiver w ON true";

static const char end_sql[] =
    "SELECT x.standby, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),"
    " pg_size_bytes(current_setting('wal_segment_size')),"
    " current_setting('wal_block_size')::int"
    " FROM (SELECT pg_is_in_recovery() AS standby) x";

/* Ask whether it is in recovery: 1 it is, 0, -1. */
static int
in_recovery(struct dr_node *n, int64_t until, struct dr_err *err)
{
	if (dr_node_do(n, "SELECT pg_is_in_recovery()", "look at the server",
	        until, err) == -1)
		return -1;
	return *dr_node_value(n, 0) == 't';
}

static int
wait_promoted(struct dr_node *n, int64_t until, struct dr_err *err)
{
	int64_t wake = dr_monotonic() + WAKE_US, now;
	int wakes = 0, rc;

	for (;;) {
		if ((rc = in_recovery(n, until + DR_NODE_LOOK_US, err)) != 1)
			return rc;
		now = dr_monotonic();
		if (now >= until) {
			dr_err_set(err, DR_ERETRY,
			    "it was told to promote, and did not in time");
			return dr_node_failed(n, err);
		}
		if (now >= wake) {
			if (dr_node_do(n, "SELECT pg_reload_conf()",
			        "wake it up", until + DR_NODE_LOOK_US,
			        err) == -1)
				return -1;
			wake = now + (++wakes < WAKES ? WAKE_US : WAKE_RARELY);
		}
		if (dr_nodes_pause(&n, 1, DR_NODE_POLL_US, err) == -1)
			return -1;
	}
}

int
dr_node_promote(struct dr_node *n, uint32_t *tli, int64_t until,
    struct dr_err *err)
{
	struct dr_row r;
	int rc;

	if ((rc = in_recovery(n, until, err)) == -1)
		return -1;
	if (rc == 1 && (dr_node_do(n, "SELECT pg_promote(false)", "promote it",
	                    until, err) == -1 ||
	                   wait_promoted(n, until, err) == -1))
		return -1;
	if (dr_node_do(n, tli_sql, "look at its timeline",
	        until + DR_NODE_LOOK_US, err) == -1)
		return -1;
	dr_ask_role(&n->ask, false, false);
	r = (struct dr_row){ .res = n->ask.result[0] };
	*tli = dr_row_tli(&r);
	return 0;
}

/* --- the last record ---------------------------------------------------------- */

struct place {
	uint64_t end, from; /* of what is looked at */
	uint64_t split;     /* where the last segment begins */
	uint32_t segsize, blcksz, tli;
};

/* Where N's WAL ends.  1; 0: not all is replayed, or nothing known. */
static int
where(struct dr_node *n, struct place *p, int64_t until, struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	char name[DR_WAL_NAME_MAX];
	uint64_t received;
	struct dr_row r;
	int rc = -1;

	if (dr_node_do(n, end_sql, "look at its WAL", until, err) == -1)
		return -1;
	r = (struct dr_row){ .res = n->ask.result[0] };
	if (!dr_row_bool(&r)) {
		dr_err_set(err, DR_EFAIL, "it is not a standby");
		return dr_node_failed(n, err);
	}
	received = dr_row_lsn(&r);
	p->end = dr_row_lsn(&r);
	p->segsize = dr_row_tli(&r);
	p->blcksz = dr_row_tli(&r);
	if (received > p->end || p->end == 0 ||
	    !dr_wal_segsize_ok(p->segsize) || p->blcksz < 1024 ||
	    p->blcksz > 65536 || (p->blcksz & (p->blcksz - 1)) != 0)
		return 0;
	/* The page that holds the last byte, and the one before. */
	p->from = (p->end - 1) / p->blcksz * p->blcksz;
	p->from = p->from > p->blcksz ? p->from - p->blcksz : 0;
	p->split = (p->end - 1) / p->segsize * p->segsize;
	(void)dr_wal_segment_at(1, p->split, p->segsize, name);
	if (dr_buf_fmt(&sql, err, DR_NODE_TLI, name + 8) == -1 ||
	    dr_node_do(n, sql.data, "look at its WAL", until, err) == -1)
		goto out;
	r = (struct dr_row){ .res = n->ask.result[0] };
	p->tli = dr_row_tli(&r);
	rc = p->tli != 0;

out:
	dr_buf_free(&sql);
	return rc;
}

/* LEN bytes of the segment that holds FROM, as an expression; '': absent. */
static int
put_read(struct dr_buf *b, const struct place *p, uint64_t from, uint64_t len,
    struct dr_err *err)
{
	char name[DR_WAL_NAME_MAX];

	return dr_buf_fmt(b, err,
	    "coalesce(encode(pg_read_binary_file('pg_wal/%s', %llu, %llu, true),"
	    " 'hex'), '')",
	    dr_wal_segment_at(p->tli, from, p->segsize, name),
	    (unsigned long long)(from % p->segsize), (unsigned long long)len);
}

/* The two pages may lie in two segments. */
static int
read_pages(struct dr_node *n, const struct place *p, int64_t until,
    struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	int rc = -1;

	if (dr_buf_str(&sql, "SELECT ", err) == -1)
		goto out;
	if (p->from < p->split) {
		if (put_read(&sql, p, p->from, p->split - p->from, err) == -1 ||
		    dr_buf_str(&sql, " || ", err) == -1 ||
		    put_read(&sql, p, p->split, p->end - p->split, err) == -1)
			goto out;
	} else if (put_read(&sql, p, p->from, p->end - p->from, err) == -1)
		goto out;
	rc = dr_node_do(n, sql.data, "read its WAL", until, err);

out:
	dr_buf_free(&sql);
	return rc;
}

int
dr_node_shutdown_seen(struct dr_node *n, uint64_t *end, int64_t until,
    struct dr_err *err)
{
	unsigned char *bytes;
	const char *hex;
	struct place p = { 0 };
	size_t len;
	int rc;

	if ((rc = where(n, &p, until, err)) != 1)
		return rc;
	if (read_pages(n, &p, until, err) == -1)
		return -1;
	hex = dr_node_value(n, 0);
	len = strlen(hex) / 2;
	/* The segment before the last one may be gone already. */
	if (len == 0 || (len != p.end - p.from && len != p.end - p.split))
		return 0;
	if ((bytes = malloc(len)) == NULL)
		return dr_err_sys(err, "cannot allocate pages of WAL");
	rc = dr_unhex(hex, len, bytes) &&
	     dr_wal_ends_in_shutdown(bytes, len, p.end, p.segsize, p.blcksz);
	free(bytes);
	if (rc == 1)
		*end = p.end;
	return rc;
}
