/*
 * node - what is done to servers in a failover, for the tests.
 *
 *	node MS facts CONNINFO...
 *	node MS set NAME VALUE CONNINFO		VALUE "-": reset it
 *	node MS slot NAME CONNINFO
 *	node MS cut|uncut|ends CONNINFO...
 *	node MS follow HOST PORT SLOT CONNINFO
 *	node MS demote LIKE HOST PORT SLOT CONNINFO
 *	node MS promote|undemote|shutdown|checkpoint|write CONNINFO
 *	node MS writes CONNINFO			again until it is acknowledged
 *	node MS names TEXT			synchronous_standby_names
 *	node MS tail FILE START SEGSIZE		a segment of WAL; LSNs of ends of
 *				records on standard input: "1" where the last
 *				one before it is a shutdown checkpoint, "0"
 *	node MS conninfo OLD HOST PORT		what it would follow with
 *
 * Prints lines "N.FIELD VALUE", N the number of the server from 0; what went
 * wrong with one is N.error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "pg/hosts.h"
#include "pg/node.h"
#include "pg/syncnames.h"
#include "pg/view.h"

#define NODES 16

struct nodes {
	struct dr_pg_host *host;
	struct dr_pg_view *view;
	size_t hosts, count;
	struct dr_node node[NODES], *list[NODES];
	int64_t until;
};

static void
text(size_t i, const char *field, const char *value)
{
	printf("%zu.%s %s\n", i, field, value);
}

static void
number(size_t i, const char *field, int64_t value)
{
	if (dr_known(value))
		printf("%zu.%s %" PRId64 "\n", i, field, value);
	else
		text(i, field, "-");
}

static void
lsn(size_t i, const char *field, uint64_t value)
{
	char s[DR_LSN_LEN];

	text(i, field, dr_format_lsn(value, s));
}

static int
reach(struct nodes *v, char **conninfo, int n, int ms, struct dr_err *err)
{
	const char *s[NODES];
	size_t i;

	if (n < 1 || n > NODES)
		return dr_err_set(err, DR_EUSAGE, "how many servers?");
	for (i = 0; i < (size_t)n; i++)
		s[i] = conninfo[i];
	v->until = dr_monotonic() + (int64_t)ms * 1000;
	if (dr_pg_views(s, (size_t)n, ms, &v->view, &v->count, err) == -1 ||
	    dr_pg_hosts(s, (size_t)n, &v->host, &v->hosts, err) == -1 ||
	    dr_pg_hosts_find(v->host, v->hosts, v->until, err) == -1)
		return -1;
	if (v->hosts != v->count || v->count > NODES)
		return dr_err_set(err, DR_EUSAGE, "how many servers?");
	for (i = 0; i < v->count; i++)
		v->list[i] = &v->node[i];
	return dr_nodes_open(v->host, v->view, v->node, v->count, v->until,
	    err);
}

static void
errors(const struct nodes *v)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		if (v->node[i].err.cause != DR_OK) {
			text(i, "error", v->node[i].err.msg);
			text(i, "hint", v->node[i].err.hint);
		}
}

static void
show_facts(size_t i, const struct dr_node_facts *f)
{
	size_t k;

	number(i, "known", f->known);
	number(i, "superuser", f->superuser);
	number(i, "alter_system", f->alter_system);
	text(i, "data_directory", f->data_directory);
	text(i, "config_file", f->config_file);
	text(i, "hba_file", f->hba_file);
	text(i, "conninfo", f->conninfo);
	text(i, "slot_name", f->slot_name);
	text(i, "restore_command", f->restore_command);
	text(i, "saved", f->saved);
	text(i, "tags", f->tags);
	text(i, "region", f->region);
	text(i, "address", f->address);
	number(i, "priority", f->priority);
	number(i, "retry_us", f->retry_us);
	number(i, "checksums", f->checksums);
	number(i, "log_hints", f->log_hints);
	number(i, "full_page_writes", f->full_page_writes);
	number(i, "restart_after_crash", f->restart_after_crash);
	number(i, "hot_standby_feedback", f->hot_standby_feedback);
	number(i, "sync_slots", f->sync_slots);
	number(i, "senders", f->senders);
	number(i, "senders_used", f->senders_used);
	number(i, "wal_keep", f->wal_keep);
	text(i, "standby_slots", f->standby_slots);
	number(i, "prepared", f->prepared);
	number(i, "oldest_us", f->oldest_us);
	number(i, "backups", f->backups);
	lsn(i, "control_lsn", f->control_lsn);
	lsn(i, "min_recovery_end", f->min_recovery_end);
	number(i, "tli", f->tli);
	number(i, "has_history", f->has_history);
	for (k = 0; k < f->history.n; k++) {
		number(i, "ancestor", f->history.v[k].tli);
		lsn(i, "left", f->history.v[k].end);
	}
}

static int
facts(struct nodes *v, struct dr_err *err)
{
	size_t i;

	if (dr_nodes_facts(v->list, v->count, v->until, err) == -1)
		return -1;
	for (i = 0; i < v->count; i++)
		show_facts(i, &v->node[i].facts);
	return 0;
}

static int
names(const char *s, struct dr_err *err)
{
	struct dr_syncnames sn;
	struct dr_buf b = { .max = 65536 };
	int rc = dr_syncnames_parse(s, &sn, err);

	if (rc == 0 && (rc = dr_syncnames_format(&sn, &b, err)) == 0)
		printf("%s\n", b.data);
	dr_buf_free(&b);
	dr_syncnames_free(&sn);
	return rc;
}

static int
conninfo(char **arg, struct dr_err *err)
{
	struct dr_buf b = { .max = 65536 };
	int rc = dr_node_conninfo(arg[0], arg[1], arg[2], &b, err);

	if (rc == 0)
		printf("%s\n", b.data);
	dr_buf_free(&b);
	return rc;
}

/* Two pages of each, as a standby is asked for. */
static int
tail(const char *file, const char *from, const char *size, struct dr_err *err)
{
	static unsigned char wal[1 << 24];
	char line[64];
	uint64_t start, end, page;
	uint32_t segsize = (uint32_t)strtoul(size, NULL, 10);
	FILE *f = fopen(file, "r");

	if (f == NULL)
		return dr_err_sys(err, "cannot open \"%s\"", file);
	if (fread(wal, 1, sizeof(wal), f) != segsize)
		(void)dr_err_set(err, DR_EUSAGE, "not of that size");
	else
		(void)dr_parse_lsn(from, &start, err);
	(void)fclose(f);
	while (err->cause == DR_OK && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (dr_parse_lsn(line, &end, err) == -1)
			break;
		page = (end - 1) / 8192 * 8192;
		page = page > start ? page - 8192 : start;
		printf("%d\n", dr_wal_ends_in_shutdown(wal + (page - start),
		                   (size_t)(end - page), end, segsize, 8192));
	}
	return err->cause == DR_OK ? 0 : -1;
}

static int
ends(struct nodes *v, struct dr_err *err)
{
	struct dr_node_end e[NODES];
	size_t i;

	if (dr_nodes_ends(v->list, v->count, e, v->until, err) == -1)
		return -1;
	for (i = 0; i < v->count; i++) {
		number(i, "known", e[i].known);
		number(i, "tli", e[i].tli);
		lsn(i, "received", e[i].received);
		lsn(i, "replayed", e[i].replayed);
	}
	return 0;
}

static int
promote(struct nodes *v, struct dr_err *err)
{
	uint32_t tli;

	if (dr_node_promote(&v->node[0], &tli, v->until, err) == -1)
		return -1;
	number(0, "tli", tli);
	return 0;
}

static int
shut_down(struct nodes *v, struct dr_err *err)
{
	uint64_t end = 0;
	int rc = dr_node_shutdown_seen(&v->node[0], &end, v->until, err);

	if (rc == -1)
		return -1;
	number(0, "seen", rc);
	lsn(0, "end", end);
	return 0;
}

/* One node. */
static int
act(const char *verb, char **arg, struct nodes *v, struct dr_err *err)
{
	struct dr_node *n = &v->node[0];
	int rc, tries;

	if (n->err.cause != DR_OK) {
		*err = n->err;
		return -1;
	}
	if (strcmp(verb, "set") == 0)
		return dr_node_set(n, arg[0],
		    strcmp(arg[1], "-") == 0 ? NULL : arg[1], v->until, err);
	if (strcmp(verb, "slot") == 0)
		return dr_node_slot(n, arg[0], v->until, err);
	if (strcmp(verb, "checkpoint") == 0)
		return dr_node_checkpoint(n, v->until, err);
	if (strcmp(verb, "follow") == 0)
		return dr_node_follow(n, arg[0], arg[1], arg[2], v->until, err);
	if (strcmp(verb, "demote") == 0)
		return dr_node_demote(n, arg[0], arg[1], arg[2], arg[3],
		    v->until, err);
	if (strcmp(verb, "undemote") == 0)
		return dr_node_undemote(n, v->until, err);
	if (strcmp(verb, "promote") == 0)
		return promote(v, err);
	if (strcmp(verb, "shutdown") == 0)
		return shut_down(v, err);
	if (strcmp(verb, "writes") == 0) {
		for (tries = 1; (rc = dr_node_write(n, dr_monotonic() + 500000,
		                     err)) == 0 &&
		                dr_monotonic() < v->until;
		     tries++)
			dr_err_clear(err);
		number(0, "tries", tries);
		return rc == 1 ? 0 : -1;
	}
	if (strcmp(verb, "write") == 0) {
		rc = dr_node_write(n, v->until, err);
		return rc == 1 ? 0 : -1;
	}
	return dr_err_set(err, DR_EUSAGE, "%s?", verb);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int args;
	} known[] = {
		{ "facts", 0 },
		{ "cut", 0 },
		{ "uncut", 0 },
		{ "ends", 0 },
		{ "follow", 3 },
		{ "demote", 4 },
		{ "undemote", 0 },
		{ "promote", 0 },
		{ "shutdown", 0 },
		{ "set", 2 },
		{ "slot", 1 },
		{ "checkpoint", 0 },
		{ "write", 0 },
		{ "writes", 0 },
	};
	struct dr_err err = { 0 };
	struct nodes v = { 0 };
	int64_t began;
	size_t i;
	int ms, args = -1;

	if (argc < 4)
		return 2;
	dr_main_begin("node");
	ms = (int)strtol(argv[1], NULL, 10);
	if (strcmp(argv[2], "names") == 0) {
		(void)names(argv[3], &err);
		goto out;
	}
	if (strcmp(argv[2], "conninfo") == 0 && argc == 6) {
		(void)conninfo(argv + 3, &err);
		goto out;
	}
	if (strcmp(argv[2], "tail") == 0 && argc == 6) {
		(void)tail(argv[3], argv[4], argv[5], &err);
		goto out;
	}
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].verb, argv[2]) == 0)
			args = known[i].args;
	if (args == -1 || argc < 4 + args)
		return 2;
	if (reach(&v, argv + 3 + args, argc - 3 - args, ms, &err) == -1)
		goto out;
	began = dr_monotonic();
	if (strcmp(argv[2], "facts") == 0)
		(void)facts(&v, &err);
	else if (strcmp(argv[2], "cut") == 0)
		(void)dr_nodes_cut(v.list, v.count, v.until, &err);
	else if (strcmp(argv[2], "uncut") == 0)
		(void)dr_nodes_uncut(v.list, v.count, v.until, &err);
	else if (strcmp(argv[2], "ends") == 0)
		(void)ends(&v, &err);
	else
		(void)act(argv[2], argv + 3, &v, &err);
	number(0, "took", (dr_monotonic() - began) / 1000);
	errors(&v);

out:
	dr_nodes_close(v.node, v.count);
	dr_pg_hosts_free(v.host, v.hosts);
	dr_pg_views_free(v.view, v.count);
	return dr_main_end(&err);
}
