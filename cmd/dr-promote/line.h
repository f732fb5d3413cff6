/*
 * line.h - the options that the verbs which look at all servers have in
 * common, and what becomes of them.
 */
#ifndef CMD_DR_PROMOTE_LINE_H
#define CMD_DR_PROMOTE_LINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"
#include "flow/coordline.h"
#include "flow/promote.h"

struct promote_line {
	struct dr_promote_opts o;
	struct dr_coord_line coord;
	struct dr_strs conninfo;
	const char *max_loss;
	uint64_t timeout, stop, pause, promote, ttl;
	struct dr_etcd *etcd;
};

#define PROMOTE_LINE_INIT                                                     \
	{                                                                     \
		.timeout = 5000, .ttl = 10000, .stop = 60000, .pause = 10000, \
		.promote = 60000                                              \
	}

/* Whom it is about. */
#define PROMOTE_OPTS_WHOM(l)                                                  \
	{ "set", 'n', DR_OPT_STR, &(l)->o.set, 0, 0, "SET",                   \
		"the servers of SET", "DR_SET" },                             \
	    { "conninfo", 'd', DR_OPT_LIST, &(l)->conninfo, 0, 0, "CONNINFO", \
		    "a server; repeated, for each of them", NULL },           \
	    { "timeout", 0, DR_OPT_MSEC, &(l)->timeout, 0, 0, "D",            \
		    "wait for a server at most D (5s)", NULL },               \
	    { "json", 0, DR_OPT_FLAG, &(l)->o.json, 0, 0, NULL, "print JSON", \
		    NULL },                                                   \
	    DR_OPTS_COORD(&(l)->coord)

/* What may be done, and at what price; also what a plan is asked about. */
#define PROMOTE_OPTS_HOW(l)                                                    \
	{ "candidate", 0, DR_OPT_STR, &(l)->o.candidate, 0, 0, "NAME",         \
		"this one, and no other (the best)", NULL },                   \
	    { "fence", 0, DR_OPT_STR, &(l)->o.fence, 0, 0, "CMD",              \
		    "CMD proves that the old primary is dead", NULL },         \
	    { "stop", 0, DR_OPT_STR, &(l)->o.stop, 0, 0, "CMD",                \
		    "CMD stops the old primary", NULL },                       \
	    { "start", 0, DR_OPT_STR, &(l)->o.start, 0, 0, "CMD",              \
		    "CMD starts it", NULL },                                   \
	    { "route", 0, DR_OPT_STR, &(l)->o.route, 0, 0, "CMD",              \
		    "CMD leads clients to the new primary", NULL },            \
	    { "through", 0, DR_OPT_STR, &(l)->o.through, 0, 0, "CONNINFO",     \
		    "through the router: a write there counts", NULL },        \
	    { "sync-names", 0, DR_OPT_STR, &(l)->o.sync_names, 0, 0, "NAMES",  \
		    "synchronous_standby_names, where no guard tells", NULL }, \
	    { "max-loss", 0, DR_OPT_STR, &(l)->max_loss, 0, 0, "SIZE",         \
		    "that much WAL may be lost (0)", NULL },                   \
	    { "allow-data-loss", 0, DR_OPT_FLAG, &(l)->o.allow_data_loss, 0,   \
		    0, NULL, "any amount may be lost, also unknown", NULL },   \
	    { "allow-async", 0, DR_OPT_FLAG, &(l)->o.allow_async, 0, 0, NULL,  \
		    "the new primary may wait for fewer standbys", NULL },     \
	    { "cross-region", 0, DR_OPT_FLAG, &(l)->o.cross_region, 0, 0,      \
		    NULL, "it may lie in another region", NULL },              \
	{                                                                      \
		"observers", 0, DR_OPT_INT, &(l)->o.observers, 0, 100, "K",    \
		    "K observers must say that it is down (0)", NULL           \
	}

/* How it is done. */
#define PROMOTE_OPTS_ACT(l)                                                  \
	{ "yes", 0, DR_OPT_FLAG, &(l)->o.yes, 0, 0, NULL, "do it", NULL },   \
	    { "dry-run", 0, DR_OPT_FLAG, &(l)->o.dry_run, 0, 0, NULL,        \
		    "say what would be done, and do nothing", NULL },        \
	    { "ttl", 0, DR_OPT_MSEC, &(l)->ttl, 0, 0, "D",                   \
		    "of the lock in etcd (10s)", NULL },                     \
	    { "stop-timeout", 0, DR_OPT_MSEC, &(l)->stop, 0, 0, "D",         \
		    "of --stop, --start and --fence (1m)", NULL },           \
	    { "pause-timeout", 0, DR_OPT_MSEC, &(l)->pause, 0, 0, "D",       \
		    "of --route (10s)", NULL },                              \
	{                                                                    \
		"promote-timeout", 0, DR_OPT_MSEC, &(l)->promote, 0, 0, "D", \
		    "of replay, promotion and the first write (1m)", NULL    \
	}

/* After parsing: check, and open etcd.  promote_line_close in any case. */
int promote_line_open(struct promote_line *, struct dr_err *);
void promote_line_close(struct promote_line *);

/*
 * The plan for VERB (enum dr_promote_verb; -1: a switchover where a primary
 * answers, else a failover), on standard output.  -1 also where it says no.
 */
int promote_plan_print(struct promote_line *, int verb, struct dr_err *);

#endif /* !CMD_DR_PROMOTE_LINE_H */
