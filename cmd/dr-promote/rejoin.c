/* dr-promote rejoin: of a former primary, a standby of the new one. */
#include "flow/rejoin.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/fd.h"
#include "base/msg.h"
#include "cmd/dr-promote/verbs.h"
#include "crypt/secret.h"
#include "flow/guard.h"
#include "flow/options.h"
#include "flow/promote.h"
#include "flow/sealing.h"
#include "flow/stores.h"

#define LOOK_MS  5000
#define GRACE_MS 200
#define WORKERS  4
#define OUT_MAX  (1U << 20)

static struct {
	struct dr_rejoin_opts o;
	struct dr_from_opts from;
	struct dr_store_opts how;
	struct dr_coord_line coord;
	struct dr_strs identities;
	const char *name;
	bool yes, json;
} l;

static const struct dr_opt opts[] = {
	{ "set", 'n', DR_OPT_STR, &l.o.set, 0, 0, "SET", "of SET", "DR_SET" },
	{ "pgdata", 'D', DR_OPT_STR, &l.o.pgdata, 0, 0, "DIR",
	    "the data directory of the node, which is stopped", NULL },
	{ "conninfo", 'd', DR_OPT_STR, &l.o.conninfo, 0, 0, "CONNINFO",
	    "the new primary", NULL },
	{ "name", 0, DR_OPT_STR, &l.name, 0, 0, "NAME",
	    "the node's name (cluster_name)", NULL },
	{ "store", 's', DR_OPT_LIST, &l.from.stores, 0, 0, "STORE",
	    "restore from STORE where it cannot be rewound; may be repeated",
	    "DR_STORE" },
	DR_OPTS_IDENTITY(&l.identities, &l.o.identity_command,
	    &l.o.passphrase_file),
	DR_OPTS_TRUST(&l.from.verify_key, &l.from.no_signature),
	{ "ca-file", 0, DR_OPT_STR, &l.how.ca_file, 0, 0, "FILE",
	    "trust the authorities in FILE for stores, and no others", NULL },
	{ "allow-copy", 0, DR_OPT_FLAG, &l.o.allow_copy, 0, 0, NULL,
	    "where nothing else can be done, a fresh copy", NULL },
	{ "slot", 0, DR_OPT_STR, &l.o.slot, 0, 0, "NAME",
	    "stream by this slot of the new primary; made if need be", NULL },
	{ "keep-wal", 0, DR_OPT_STR, &l.o.keep_wal, 0, 0, "DIR",
	    "keep in DIR what only this node has (PGDATA.diverged-TIME)",
	    NULL },
	{ "config-file", 0, DR_OPT_STR, &l.o.config_file, 0, 0, "FILE",
	    "its postgresql.conf, where that lies elsewhere", NULL },
	{ "bindir", 0, DR_OPT_STR, &l.o.bindir, 0, 0, "DIR",
	    "where the server's programs are", NULL },
	DR_OPTS_COORD(&l.coord),
	{ "yes", 0, DR_OPT_FLAG, &l.yes, 0, 0, NULL, "do it", NULL },
	{ "dry-run", 0, DR_OPT_FLAG, &l.o.dry_run, 0, 0, NULL,
	    "say what would be done, and do nothing", NULL },
	{ "json", 0, DR_OPT_FLAG, &l.json, 0, 0, NULL, "print JSON", NULL },
	{ 0 },
};

static const struct dr_cmd cmd = { "dr-promote rejoin",
	"-n SET -D DIR -d CONNINFO [--lock etcd://...|none] [--name NAME]\n"
	"           [-s STORE]... [-i FILE]... [-K FILE] [--allow-copy] "
	"[--slot NAME]\n"
	"           [--keep-wal DIR] [--config-file FILE] [--bindir DIR]\n"
	"           [--yes | --dry-run] [--json]",
	"Make a former primary, which is stopped, a standby of the new one.",
	"dr-promote rejoin -n main -D /var/lib/postgresql/15/main -d host=b \\\n"
	"    --lock etcd://etcd1:2379 -s /backup -i key.txt --yes\n",
	opts };

static int
check(struct dr_err *err)
{
	if (dr_set_named(l.o.set, err) == -1)
		return -1;
	if (l.o.pgdata == NULL) {
		dr_err_set(err, DR_EUSAGE, "no data directory is named");
		return dr_err_hint(err, "give it with -D");
	}
	if (l.o.conninfo == NULL) {
		dr_err_set(err, DR_EUSAGE, "no server is named");
		return dr_err_hint(err, "give the new primary with -d");
	}
	if (l.coord.lock == NULL) {
		dr_err_set(err, DR_EUSAGE, "no lock is named");
		return dr_err_hint(err,
		    "give --lock etcd://HOST:PORT, or --lock none");
	}
	if (l.yes || l.o.dry_run)
		return 0;
	dr_err_set(err, DR_EPARTIAL, "nothing was done without --yes");
	return dr_err_hint(err, "see what would be done with --dry-run");
}

/* Is the epoch such that this node may follow that primary? */
static int
allowed(struct dr_coord *coord, struct dr_err *err)
{
	const struct dr_promote_opts po = { .set = l.o.set,
		.state = dr_common.state,
		.conninfo = &l.o.conninfo,
		.conninfos = 1,
		.coord = coord,
		.timeout_ms = LOOK_MS,
		.grace_ms = GRACE_MS };
	const struct dr_guard_opts go = { .set = l.o.set,
		.state = dr_common.state,
		.pgdata = l.o.pgdata,
		.name = l.name };
	struct dr_promote_look look = { 0 };
	char name[DR_NODE_NAME];
	int rc = -1;

	if (dr_guard_name(&go, name, err) == -1 ||
	    dr_promote_look(&po, &look, err) == -1)
		goto out;
	if (look.has_epoch && strcmp(look.epoch.leader, name) == 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "in epoch %" PRId64 " of %s the primary is %s, this node",
		    look.epoch.epoch, l.o.set, name);
		dr_err_hint(err,
		    "start it, or make another one primary first: dr-promote "
		    "failover -n %s",
		    l.o.set);
		goto out;
	}
	/* One that does not answer, or is no primary, is refused later. */
	for (size_t i = 0; look.has_epoch && i < look.n; i++) {
		const struct dr_pg_view *v = &look.view[i];

		if (!dr_probe_answers(v->probe.state) || v->in_recovery ||
		    strcmp(v->name, look.epoch.leader) == 0)
			continue;
		dr_err_set(err, DR_EPARTIAL,
		    "%s is %s, and in epoch %" PRId64 " of %s the primary is "
		    "%s",
		    v->where, v->name, look.epoch.epoch, l.o.set,
		    look.epoch.leader);
		dr_err_hint(err, "name that one with -d");
		goto out;
	}
	rc = 0;

out:
	dr_promote_look_wipe(&look);
	return rc;
}

static int
json(const struct dr_rejoin *r, bool whose, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	if (whose) {
		dr_json_str(&j, "set", l.o.set);
		dr_json_str(&j, "pgdata", l.o.pgdata);
	}
	dr_rejoin_json(r, &j);
	dr_json_close(&j, '}');
	return dr_json_end(&j, err);
}

/* What happened is told whether it went well or not, where it is known. */
static int
tell(const struct dr_rejoin *r, struct dr_err *err)
{
	struct dr_buf out = { .max = OUT_MAX };
	int rc = 0;

	if (r->done || r->changed || r->why[0] != '\0') {
		rc = l.json ? json(r, false, &out, err)
		            : dr_rejoin_text(r, &out, err);
		if (rc == 0 && l.json)
			rc = dr_buf_str(&out, "\n", err);
		if (rc == 0)
			rc = dr_fd_write(1, out.data, out.len,
			    "standard output", err);
	}
	dr_buf_free(&out);
	return rc;
}

static int
audit(const struct dr_rejoin *r, const char *result, struct dr_err *err)
{
	struct dr_buf what = { .max = OUT_MAX };
	int rc;

	if ((rc = json(r, true, &what, err)) == 0)
		rc = dr_audit("rejoin", what.data, result, err);
	dr_buf_free(&what);
	return rc;
}

static int
rejoin(struct dr_coord *coord, struct dr_err *err)
{
	struct dr_rejoin r = { .way = DR_REJOIN_NONE };
	struct dr_err bad = { 0 };
	int rc;

	rc = coord != NULL ? allowed(coord, err) : 0;
	if (rc == 0)
		rc = dr_rejoin(&l.o, &r, err);
	if (rc == 0 && l.o.dry_run && r.way == DR_REJOIN_NONE) {
		dr_err_set(err, DR_EPARTIAL, "it cannot be rejoined so: %s",
		    r.why);
		rc = dr_err_hint(err,
		    "name a store (-s), or allow a fresh copy (--allow-copy)");
	}
	if (tell(&r, &bad) == -1 ||
	    (!l.o.dry_run &&
	        audit(&r, rc == 0 ? "ok" : err->msg, &bad) == -1)) {
		if (rc == 0)
			*err = bad;
		else
			dr_warn_err(&bad);
		rc = -1;
	}
	if (rc == 0 && r.done)
		dr_say(1, "start the server now: it will follow %s",
		    r.followed != NULL ? r.followed : "the primary");
	dr_rejoin_wipe(&r);
	return rc;
}

static int
run(int argc, char **argv, struct dr_err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct dr_identities *ids = NULL;
	struct dr_coord *coord = NULL;
	struct dr_etcd *etcd = NULL;
	int rc = -1;

	(void)argv;
	if (promote_no_operand(&cmd, argc, err) == -1 || check(err) == -1 ||
	    dr_crypt_init(err) == -1 ||
	    dr_coord_line_open(&l.coord, l.o.set, &etcd, &coord, err) == -1)
		goto out;
	if ((l.identities.n > 0 || l.o.identity_command != NULL) &&
	    (ids = dr_identities_gather(&l.identities, l.o.identity_command,
	         l.o.passphrase_file, err)) == NULL)
		goto out;
	l.o.state = l.from.state = dr_common.state;
	l.from.set = l.o.set;
	l.from.how = &l.how;
	l.o.from = l.from.stores.n > 0 ? &l.from : NULL;
	l.o.ids = ids;
	l.o.identities = &l.identities;
	l.o.workers = cpus < 1 ? 1 : cpus > WORKERS ? WORKERS : (int)cpus;
	rc = rejoin(coord, err);

out:
	dr_coord_free(coord);
	dr_etcd_free(etcd);
	dr_identities_free(ids);
	dr_strs_free(&l.identities);
	dr_strs_free(&l.from.stores);
	return rc;
}

const struct promote_verb promote_rejoin = { &cmd, run };
