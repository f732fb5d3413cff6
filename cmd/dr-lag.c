/*
 * dr-lag - how far standbys and stores are behind, and what that means
 * against the objectives (see dr-lag(1)).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/catalogue.h"
#include "flow/lag.h"
#include "flow/liveness.h"
#include "flow/options.h"
#include "flow/stores.h"
#include "flow/waitdown.h"

#define NAGIOS_UNKNOWN 3

struct options {
	struct dr_lag_opts lag;
	struct dr_stores_line line;
	struct dr_strs conninfo, expect, stores;
	const char *verify_key, *listen;
	bool no_signature, json, prometheus, nagios, watch, probe, wait_down;
	uint64_t rpo, rto, timeout, interval;
	int failures;
	struct dr_store **store;
	size_t n;
	struct dr_verify_keys *keys;
};

static int
usage(struct dr_err *err, const char *what)
{
	dr_err_set(err, DR_EUSAGE, "%s", what);
	return dr_err_hint(err, "try 'dr-lag --help'");
}

static int
check(const struct options *o, int operands, struct dr_err *err)
{
	const bool live = o->probe || o->wait_down;

	if (o->json + o->prometheus + o->nagios + o->watch +
	            (o->listen != NULL) >
	        1 ||
	    (o->probe && o->wait_down) ||
	    (live &&
	        (o->prometheus || o->nagios || o->watch || o->listen != NULL)))
		return usage(err, "one form of report at a time");
	if (live && operands > 0)
		return usage(err,
		    "--probe and --wait-down look at servers only");
	if (live &&
	    (o->expect.n > 0 || o->rpo != UINT64_MAX || o->rto != UINT64_MAX))
		return usage(err,
		    "--expect, --rpo and --rto go with the report only");
	if (o->wait_down && o->lag.heartbeat)
		return usage(err, "--wait-down writes no heartbeat");
	if (o->wait_down && o->conninfo.n > 1)
		return usage(err, "--wait-down watches one server");
	if (o->failures != 0 && !o->wait_down)
		return usage(err, "--failures goes with --wait-down");
	if (o->interval != 0 && !o->wait_down && !o->watch && o->listen == NULL)
		return usage(err,
		    "--interval goes with --watch, --listen or --wait-down");
	if (o->interval > 86400000 || o->timeout > 3600000 || o->timeout == 0)
		return usage(err, "that is too long, or nothing at all");
	return o->lag.set == NULL ? 0 : dr_set_named(o->lag.set, err);
}

/* Is there anything in the environment that names a server? */
static bool
server_named(void)
{
	static const char *const names[] = { "PGHOST", "PGHOSTADDR",
		"PGSERVICE", "PGPORT", "PGDATABASE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (getenv(names[i]) != NULL)
			return true;
	return false;
}

/* Servers, stores and keys: either of the first two is enough. */
static int
gather(struct options *o, int n, char *const argv[], struct dr_err *err)
{
	const char *env = getenv("DR_STORE");

	if ((n > 0 || (env != NULL && *env != '\0')) &&
	    dr_stores_named(n, argv, &o->stores, err) == -1)
		return -1;
	if (o->conninfo.n == 0 && (o->stores.n == 0 || server_named()) &&
	    dr_strs_add(&o->conninfo, "", err) == -1)
		return -1;
	o->lag.conninfo = o->conninfo.v;
	o->lag.conninfos = o->conninfo.n;
	o->lag.expect = o->expect.v;
	o->lag.expects = o->expect.n;
	if (o->expect.n > 0 && o->conninfo.n == 0)
		return usage(err, "--expect goes with a server (-d)");
	if (o->stores.n == 0)
		return 0;
	if (dr_stores_how(&o->line, err) == -1 || dr_crypt_init(err) == -1)
		return -1;
	o->line.how.patience_ms = o->timeout;
	if (!o->no_signature &&
	    (o->keys = dr_trust_load(o->verify_key, o->lag.state, err)) == NULL)
		return -1;
	o->lag.keys = o->keys;
	o->store = calloc(o->stores.n, sizeof(*o->store));
	if (o->store == NULL)
		return dr_err_sys(err, "cannot open the stores");
	for (; o->n < o->stores.n; o->n++)
		if ((o->store[o->n] = dr_store_open(o->stores.v[o->n],
		         &o->line.how, err)) == NULL)
			return -1;
	return 0;
}

/* The exit status, or -1. */
static int
once(const struct options *o, struct dr_err *err)
{
	struct dr_lag lag;
	int rc;

	if (dr_lag_report(&o->lag, o->store, o->n, &lag, err) == -1)
		return -1;
	rc = dr_lag_print(&lag,
	    o->json         ? DR_LAG_JSON
	    : o->prometheus ? DR_LAG_PROMETHEUS
	    : o->nagios     ? DR_LAG_NAGIOS
	                    : DR_LAG_TABLE,
	    o->lag.set, err);
	dr_lag_free(&lag);
	return rc;
}

static int
probe(const struct options *o, struct dr_err *err)
{
	struct dr_buf out = { .max = 1U << 20 };
	struct dr_look *look;
	size_t n;
	int rc;

	if (dr_look(o->lag.conninfo, o->lag.conninfos, o->lag.timeout_ms,
	        o->lag.heartbeat, &look, &n, err) == -1)
		return -1;
	rc = o->json ? dr_look_json(look, n, &out, err)
	             : dr_look_text(look, n, &out, err);
	if (rc == 0)
		rc = dr_fd_write(1, out.data, out.len, "standard output", err);
	dr_buf_free(&out);
	if (rc == 0)
		rc = dr_look_status(look, n);
	dr_look_free(look, n);
	return rc;
}

static int
wait_down(const struct options *o, struct dr_err *err)
{
	const struct dr_waitdown_opts how = { o->conninfo.v[0],
		o->failures != 0 ? o->failures : 3,
		(o->interval != 0 ? (int64_t)o->interval : 200) * 1000 };
	struct dr_buf out = { .max = 65536 };
	struct dr_waitdown w;
	int rc;

	if (dr_wait_down(&how, &w, err) == -1)
		return -1;
	rc = o->json ? dr_wait_down_json(&w, &out, err)
	             : dr_wait_down_text(&w, &out, err);
	if (rc == 0)
		rc = dr_fd_write(1, out.data, out.len, "standard output", err);
	dr_buf_free(&out);
	return rc;
}

static int
run(struct options *o, int n, char *const argv[], struct dr_err *err)
{
	if (check(o, n, err) == -1)
		return -1;
	o->lag.state = dr_common.state;
	o->lag.rpo = o->rpo == UINT64_MAX ? DR_UNKNOWN : (int64_t)o->rpo * 1000;
	o->lag.rto = o->rto == UINT64_MAX ? DR_UNKNOWN : (int64_t)o->rto * 1000;
	o->lag.timeout_ms = (int)o->timeout;
	if (o->probe || o->wait_down) {
		if (o->conninfo.n == 0 &&
		    dr_strs_add(&o->conninfo, "", err) == -1)
			return -1;
		o->lag.conninfo = o->conninfo.v;
		o->lag.conninfos = o->conninfo.n;
		return o->probe ? probe(o, err) : wait_down(o, err);
	}
	if (gather(o, n, argv, err) == -1)
		return -1;
	if (o->watch)
		return dr_lag_watch(&o->lag, o->store, o->n,
		    o->interval != 0 ? o->interval : 2000, err);
	if (o->listen != NULL)
		return dr_lag_serve(&o->lag, o->store, o->n, o->listen,
		    o->interval != 0 ? o->interval : 5000, err);
	return once(o, err);
}

int
main(int argc, char **argv)
{
	struct options o = { .line = DR_STORES_LINE_INIT,
		.rpo = UINT64_MAX,
		.rto = UINT64_MAX,
		.timeout = 5000 };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.lag.set, 0, 0, "SET",
		    "look at SET only (all sets of the stores)", "DR_SET" },
		{ "conninfo", 'd', DR_OPT_LIST, &o.conninfo, 0, 0, "CONNINFO",
		    "a server; may be repeated (the PG* environment)", NULL },
		{ "expect", 0, DR_OPT_LIST, &o.expect, 0, 0, "NAME",
		    "a standby that must be there; may be repeated", NULL },
		{ "rpo", 0, DR_OPT_MSEC, &o.rpo, 0, 0, "D",
		    "work that may be lost (rpo in SET.conf)", NULL },
		{ "rto", 0, DR_OPT_MSEC, &o.rto, 0, 0, "D",
		    "how long a restore may take (rto in SET.conf)", NULL },
		{ "heartbeat", 0, DR_OPT_FLAG, &o.lag.heartbeat, 0, 0, NULL,
		    "write a row, and see when it arrives", NULL },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print one JSON object", NULL },
		{ "prometheus", 0, DR_OPT_FLAG, &o.prometheus, 0, 0, NULL,
		    "print samples, as a textfile has them", NULL },
		{ "nagios", 0, DR_OPT_FLAG, &o.nagios, 0, 0, NULL,
		    "print one line, and exit as Nagios wants it", NULL },
		{ "watch", 0, DR_OPT_FLAG, &o.watch, 0, 0, NULL,
		    "draw the report on the terminal, again and again", NULL },
		{ "listen", 0, DR_OPT_STR, &o.listen, 0, 0, "ADDR",
		    "serve metrics and health on HOST:PORT or a path", NULL },
		{ "interval", 0, DR_OPT_MSEC, &o.interval, 0, 0, "D",
		    "how often (--watch 2s, --listen 5s, --wait-down 200ms)",
		    NULL },
		{ "timeout", 0, DR_OPT_MSEC, &o.timeout, 0, 0, "D",
		    "wait for a server, or a request, at most D (5s)", NULL },
		{ "probe", 0, DR_OPT_FLAG, &o.probe, 0, 0, NULL,
		    "say whether the servers live and can serve", NULL },
		{ "wait-down", 0, DR_OPT_FLAG, &o.wait_down, 0, 0, NULL,
		    "wait until the primary is down", NULL },
		{ "failures", 0, DR_OPT_INT, &o.failures, 1, 1000, "N",
		    "with --wait-down: after N failures (3)", NULL },
		DR_OPTS_TRUST(&o.verify_key, &o.no_signature),
		DR_OPTS_STORE(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-lag",
		"[-n SET] [-d CONNINFO]... [--expect NAME]... [--rpo D] "
		"[--rto D]\n"
		"              [--heartbeat] [--json | --prometheus | --nagios |"
		" --watch |\n"
		"              --listen ADDR] [STORE...]\n"
		"       dr-lag --probe [-d CONNINFO]... [--heartbeat] [--json]\n"
		"       dr-lag --wait-down [-d CONNINFO] [--failures N] "
		"[--interval D] [--json]",
		"Report how far standbys and stores are behind, and what would "
		"be lost.",
		"dr-lag -n main -d service=main --expect standby1 /backup\n"
		"dr-lag -n main -d service=main --listen :9187 /backup\n",
		opts };
	struct dr_err err = { 0 };
	int first, status = 0, rc;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check)
		(void)dr_stores_check(DR_ROLE_RESTORE, o.lag.set, argc - first,
		    argv + first, &o.stores, &o.line, o.json, &err);
	else
		status = run(&o, argc - first, argv + first, &err);

out:
	while (o.n > 0)
		dr_store_free(o.store[--o.n]);
	free(o.store);
	dr_verify_keys_free(o.keys);
	dr_strs_free(&o.conninfo);
	dr_strs_free(&o.expect);
	dr_strs_free(&o.stores);
	/* To Nagios whatever went wrong here is unknown, and 2 critical. */
	if (o.nagios && err.cause != DR_OK && err.cause < DR_ESTOP)
		printf("DR_LAG UNKNOWN - %s\n", err.msg);
	rc = dr_main_end(&err);
	if (o.nagios && rc != 0 && rc < DR_ESTOP)
		return NAGIOS_UNKNOWN;
	return rc != 0 ? rc : status;
}
