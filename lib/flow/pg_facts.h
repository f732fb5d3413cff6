/*
 * pg_facts.h - what is worth knowing of a server beside its files: into the
 * manifest, which lies in clear, go numbers and versions; into the report,
 * which is sealed with the backup, paths and names as well.
 */
#ifndef DR_FLOW_PG_FACTS_H
#define DR_FLOW_PG_FACTS_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "pg/conn.h"

/* By SHOW over a walsender: version, sizes, the settings recovery needs. */
int
dr_facts_server(PGconn *wal, json_t *manifest, json_t *report, struct dr_err *);

/*
 * By SQL: locale of the connected database, extensions and their libraries,
 * where the configuration lies.  What the user may not see is left out.
 */
int
dr_facts_sql(PGconn *sql, json_t *manifest, json_t *report, struct dr_err *);

/* Configuration files, whole. */
struct dr_config {
	struct dr_config_file {
		char path[1024]; /* absolute, on the server */
		unsigned char *data;
		size_t size;
	} * v;
	size_t n, size;
};

#define DR_CONFIG_FILE_MAX (1U << 20)
#define DR_CONFIG_MAX      (16U << 20)

/*
 * postgresql.conf, pg_hba.conf, pg_ident.conf and what they include, read
 * through the server.  A user who may not read them: DR_EFAIL and a hint.
 */
int dr_config_read(PGconn *sql, struct dr_config *, struct dr_err *);
void dr_config_free(struct dr_config *);

#endif /* !DR_FLOW_PG_FACTS_H */
