/* Standbys that are to follow another server, and primaries that are to. */
#include <string.h>

#include "pg/node_int.h"

#define SIGNAL "standby.signal"

int
dr_node_file(struct dr_buf *b, const char *folder, const char *name,
    struct dr_err *err)
{
	struct dr_buf path = { .max = DR_NODE_SQL_MAX };
	int rc = -1;

	if (dr_buf_fmt(&path, err, "%s/%s", folder, name) == 0)
		rc = dr_node_literal(b, path.data, err);
	dr_buf_free(&path);
	return rc;
}

/* primary_conninfo and primary_slot_name; nothing is reloaded. */
static int
point(struct dr_node *n, const struct dr_node_place *p, const char *like,
    const char *host, const char *port, const char *slot, int64_t until,
    struct dr_err *err)
{
	const char *own = p->conninfo[0] != '\0' ? p->conninfo : p->saved;
	struct dr_buf to = { .max = DR_NODE_SQL_MAX };
	bool named = own[0] != '\0';
	int rc = -1;

	if (!named && like != NULL)
		own = like;
	if (dr_node_conninfo_as(own, host, port, named, &to, err) == -1) {
		(void)dr_node_failed(n, err);
		goto out;
	}
	if (dr_node_hush(n, true, until, err) == -1)
		goto out;
	rc = dr_node_alter(n, "primary_conninfo", to.data, until, err);
	if (rc == 0)
		rc = dr_node_alter(n, "primary_slot_name", slot, until, err);
	if (rc == 0)
		rc = dr_node_hush(n, false, until, err);

out:
	if (to.data != NULL)
		explicit_bzero(to.data, to.len);
	dr_buf_free(&to);
	return rc;
}

static int
look(struct dr_node *n, struct dr_node_place *p, bool standby, int64_t until,
    struct dr_err *err)
{
	if (dr_nodes_place(&n, 1, p, standby, until, err) == -1)
		return -1;
	if (n->err.cause == DR_OK)
		return 0;
	*err = n->err;
	return -1;
}

int
dr_node_follow(struct dr_node *n, const char *host, const char *port,
    const char *slot, int64_t until, struct dr_err *err)
{
	struct dr_node_place p = { 0 };
	int rc = -1;

	if (look(n, &p, true, until, err) == 0 &&
	    point(n, &p, NULL, host, port, slot, until, err) == 0)
		rc = dr_node_reload(n, until, err);
	dr_nodes_place_free(&p, 1);
	return rc;
}

int
dr_node_demote(struct dr_node *n, const char *like, const char *host,
    const char *port, const char *slot, int64_t until, struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	struct dr_node_place p = { 0 };
	int rc = -1;

	if (look(n, &p, false, until, err) == -1 ||
	    point(n, &p, like, host, port, slot, until, err) == -1)
		goto out;
	if (dr_buf_str(&sql, "COPY (SELECT WHERE false) TO", err) == -1 ||
	    dr_node_file(&sql, p.data_directory, SIGNAL, err) == -1)
		goto out;
	rc = dr_node_do(n, sql.data, "write " SIGNAL, until, err);

out:
	dr_buf_free(&sql);
	dr_nodes_place_free(&p, 1);
	return rc;
}

/* No function of a server removes a file of its own; it starts there. */
int
dr_node_undemote(struct dr_node *n, int64_t until, struct dr_err *err)
{
	if (dr_node_do(n, "SELECT pg_is_in_recovery()", "look at the server",
	        until, err) == -1)
		return -1;
	if (*dr_node_value(n, 0) == 't') {
		dr_err_set(err, DR_EFAIL, "it is not a primary");
		return dr_node_failed(n, err);
	}
	if (dr_node_do(n,
	        "COPY (SELECT WHERE false) TO PROGRAM 'rm -f " SIGNAL "'",
	        "remove " SIGNAL, until, err) == -1 ||
	    dr_node_do(n, "SELECT pg_stat_file('" SIGNAL "', true) IS NULL",
	        "look for " SIGNAL, until, err) == -1)
		return -1;
	if (*dr_node_value(n, 0) == 't')
		return 0;
	dr_err_set(err, DR_EFAIL, "its " SIGNAL " is still there");
	return dr_node_failed(n, err);
}
