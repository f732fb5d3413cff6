/*
 * dr-wal - archive write-ahead log, and fetch it (see dr-wal(1)).
 *
 * Each verb has its table of options and a function that runs it; to add
 * one, write these two and name them in verbs[].
 */
#include <stddef.h>

#include "base/msg.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/coordline.h"
#include "flow/options.h"
#include "flow/sealing.h"
#include "flow/stores.h"
#include "flow/walget.h"
#include "flow/walpush.h"
#include "flow/walreceive.h"

/* --- push ------------------------------------------------------------------ */

static struct {
	struct dr_walpush_opts o;
	struct dr_strs stores, recipients, recipient_files;
	int require, cipher;
	bool ledger;
	struct dr_stores_line line;
	struct dr_coord_line coord;
} push = { .line = DR_STORES_LINE_INIT };

static const struct dr_opt push_opts[] = {
	{ "set", 'n', DR_OPT_STR, &push.o.ship.set, 0, 0, "SET",
	    "store it in SET", "DR_SET" },
	{ "store", 's', DR_OPT_LIST, &push.stores, 0, 0, "STORE",
	    "store it in STORE (DR_STORE)", NULL },
	{ "require", 0, DR_OPT_INT, &push.require, 1, DR_SHIP_STORES, "N",
	    "succeed when N stores have it (all)", NULL },
	DR_OPTS_RECIPIENTS(&push.recipients, &push.recipient_files,
	    &push.cipher),
	DR_OPT_SIGN_KEY(&push.o.ship.sign_key),
	{ "batch", 0, DR_OPT_FLAG, &push.o.batch, 0, 0, NULL,
	    "store the next files that wait, too", NULL },
	{ "queue-max", 0, DR_OPT_SIZE, &push.o.queue_max, 0, 0, "SIZE",
	    "warn when more than SIZE of WAL waits", NULL },
	{ "ledger", 0, DR_OPT_FLAG, &push.ledger, 0, 0, NULL,
	    "write the ledger that is due, and store no file", NULL },
	DR_OPTS_STORE(&push.line),
	DR_OPTS_LOCK(&push.line),
	DR_OPTS_COORD(&push.coord),
	{ "name", 0, DR_OPT_STR, &push.o.name, 0, 0, "NAME",
	    "with --lock: how this server is called (cluster_name)", NULL },
	{ 0 },
};

static const struct dr_cmd push_cmd = { "dr-wal push",
	"[-n SET] [-s STORE]... [--require N] [-R FILE]... [-k FILE]\n"
	"           [--batch] [--queue-max SIZE] [--lock-days N | ...]\n"
	"           [--lock etcd://HOST:PORT,...] PATH | --ledger",
	"Store a file of WAL, as archive_command.",
	"archive_command = 'dr-wal push -n main -s /backup "
	"-R /etc/dr/recipients %p'\n",
	push_opts };

static int
run_push(int argc, char **argv, struct dr_err *err)
{
	struct dr_ship_opts *s = &push.o.ship;
	struct dr_recipients *to = NULL;
	int rc = -1;

	if (push.line.check)
		return dr_stores_check(DR_ROLE_WAL, s->set, argc, argv,
		    &push.stores, &push.line, false, err);
	if (argc != (push.ledger ? 0 : 1)) {
		dr_err_set(err, DR_EUSAGE, "push: %s",
		    argc == 0      ? "no file is named"
		    : !push.ledger ? "more than one file is named"
		                   : "--ledger stores no file");
		return dr_err_hint(err, "try 'dr-wal push --help'");
	}
	if (dr_set_named(s->set, err) == -1 ||
	    dr_stores_how(&push.line, err) == -1 ||
	    dr_stores_named(0, NULL, &push.stores, err) == -1 ||
	    (!push.ledger && (to = dr_recipients_gather(&push.recipients,
	                          &push.recipient_files, err)) == NULL))
		goto out;
	s->stores = push.stores.v;
	s->nstores = push.stores.n;
	s->how = &push.line.how;
	s->require = (size_t)push.require;
	s->state = dr_common.state;
	s->recipients = to;
	s->cipher = push.cipher == 1 ? DR_CIPHER_AES : DR_CIPHER_AGE;
	s->ledger_ms = 60000;
	push.o.lock = &push.coord;
	rc = push.ledger ? dr_walpush_ledger(&push.o, err)
	                 : dr_walpush(&push.o, argv[0], err);

out:
	dr_recipients_free(to);
	dr_strs_free(&push.stores);
	dr_strs_free(&push.recipients);
	dr_strs_free(&push.recipient_files);
	return rc;
}

/* --- receive --------------------------------------------------------------- */

static struct {
	struct dr_wal_receive_opts o;
	struct dr_strs recipients, recipient_files;
	int require, cipher;
	struct dr_stores_line line;
	struct dr_coord_line coord;
} receive = { .o = { .interval = 1000, .shutdown_timeout = 10000 },
	.line = DR_STORES_LINE_INIT };

static const struct dr_opt receive_opts[] = {
	{ "set", 'n', DR_OPT_STR, &receive.o.set, 0, 0, "SET",
	    "store it in SET", "DR_SET" },
	{ "conninfo", 'd', DR_OPT_STR, &receive.o.conninfo, 0, 0, "CONNINFO",
	    "connect so (the PG* environment)", NULL },
	{ "slot", 0, DR_OPT_STR, &receive.o.slot, 0, 0, "NAME",
	    "the replication slot that keeps WAL until it is stored", NULL },
	{ "create-slot", 0, DR_OPT_FLAG, &receive.o.create_slot, 0, 0, NULL,
	    "make the slot where it is missing or invalid", NULL },
	{ "interval", 0, DR_OPT_MSEC, &receive.o.interval, 0, 0, "D",
	    "store new WAL this often (1s)", NULL },
	{ "shutdown-timeout", 0, DR_OPT_MSEC, &receive.o.shutdown_timeout, 0, 0,
	    "D", "how long an end may take (10s)", NULL },
	{ "require", 0, DR_OPT_INT, &receive.require, 1, DR_SHIP_STORES, "N",
	    "WAL counts as stored when N stores have it (all)", NULL },
	DR_OPTS_RECIPIENTS(&receive.recipients, &receive.recipient_files,
	    &receive.cipher),
	DR_OPT_SIGN_KEY(&receive.o.sign_key),
	DR_OPTS_STORE(&receive.line),
	DR_OPTS_LOCK(&receive.line),
	DR_OPTS_COORD(&receive.coord),
	{ 0 },
};

static const struct dr_cmd receive_cmd = { "dr-wal receive",
	"[-n SET] [-d CONNINFO] --slot NAME [--create-slot] [--interval D]\n"
	"           [--shutdown-timeout D] [--require N] [-R FILE]... "
	"[-k FILE] [--lock-days N | ...]\n"
	"           [--lock etcd://HOST:PORT,...] STORE...",
	"Receive WAL from a server as it is written, and store it.",
	"dr-wal receive -n main -d service=main --slot drtools --create-slot "
	"-R /etc/dr/recipients /backup\n",
	receive_opts };

static int
run_receive(int argc, char **argv, struct dr_err *err)
{
	struct dr_wal_receive_opts *o = &receive.o;
	struct dr_strs stores = { NULL, 0 };
	struct dr_recipients *to = NULL;
	int rc = -1;

	if (receive.line.check) {
		rc = dr_stores_check(DR_ROLE_WAL, o->set, argc, argv, &stores,
		    &receive.line, false, err);
		goto out;
	}
	if (dr_set_named(o->set, err) == -1 ||
	    dr_stores_how(&receive.line, err) == -1 ||
	    dr_stores_named(argc, argv, &stores, err) == -1 ||
	    (to = dr_recipients_gather(&receive.recipients,
	         &receive.recipient_files, err)) == NULL)
		goto out;
	o->stores = stores.v;
	o->nstores = stores.n;
	o->how = &receive.line.how;
	o->lock_days = receive.line.lock_days;
	o->require = (size_t)receive.require;
	o->state = dr_common.state;
	o->recipients = to;
	o->cipher = receive.cipher == 1 ? DR_CIPHER_AES : DR_CIPHER_AGE;
	o->lock = &receive.coord;
	rc = dr_wal_receive(o, err);

out:
	dr_recipients_free(to);
	dr_strs_free(&stores);
	dr_strs_free(&receive.recipients);
	dr_strs_free(&receive.recipient_files);
	return rc;
}

/* --- get ------------------------------------------------------------------- */

static struct {
	struct dr_walget_opts o;
	struct dr_strs stores;
	const char *system_id;
	struct dr_stores_line line;
	enum dr_walget_status status;
} get = { .status = DR_WALGET_FAILED, .line = DR_STORES_LINE_INIT };

static const struct dr_opt get_opts[] = {
	{ "set", 'n', DR_OPT_STR, &get.o.set, 0, 0, "SET", "read from SET",
	    "DR_SET" },
	{ "store", 's', DR_OPT_LIST, &get.stores, 0, 0, "STORE",
	    "read from STORE; several are tried in order (DR_STORE)", NULL },
	DR_OPTS_IDENTITY(&get.o.identities, &get.o.identity_command,
	    &get.o.passphrase_file),
	DR_OPTS_TRUST(&get.o.verify_key, &get.o.no_signature),
	{ "timeout", 0, DR_OPT_MSEC, &get.o.timeout_ms, 0, 0, "D",
	    "fail after D (60s; with --standby 2s)", NULL },
	{ "standby", 0, DR_OPT_FLAG, &get.o.standby, 0, 0, NULL,
	    "failures are to be tried again: status 1", NULL },
	{ "system-id", 0, DR_OPT_STR, &get.system_id, 0, 0, "N",
	    "system identifier of the cluster (that of the data directory)",
	    NULL },
	DR_OPTS_STORE(&get.line),
	{ 0 },
};

static const struct dr_cmd get_cmd = { "dr-wal get",
	"[-n SET] [-s STORE]... [-i FILE]... [-K FILE]\n"
	"           [--timeout D] [--standby] NAME DEST",
	"Fetch a file of WAL, as restore_command.",
	"restore_command = 'dr-wal get -n main -s /backup -i /etc/dr/key "
	"-K /etc/dr/sign.pub %f %p'\n",
	get_opts };

static int
run_get(int argc, char **argv, struct dr_err *err)
{
	int rc = -1;

	if (get.line.check) {
		rc = dr_stores_check(DR_ROLE_RESTORE, get.o.set, argc, argv,
		    &get.stores, &get.line, false, err);
		get.status = rc == 0 ? DR_WALGET_DONE : DR_WALGET_FAILED;
		return rc;
	}
	if (argc != 2) {
		dr_err_set(err, DR_EUSAGE, "get: %s",
		    argc < 2 ? "a name and a destination are needed"
		             : "more than a name and a destination");
		return dr_err_hint(err, "try 'dr-wal get --help'");
	}
	if (dr_set_named(get.o.set, err) == -1 ||
	    dr_stores_how(&get.line, err) == -1 ||
	    dr_stores_named(0, NULL, &get.stores, err) == -1 ||
	    (get.system_id != NULL &&
	        dr_walget_number(get.system_id, &get.o.system_id, err) == -1))
		goto out;
	get.o.stores = get.stores.v;
	get.o.nstores = get.stores.n;
	get.o.how = &get.line.how;
	get.o.state = dr_common.state;
	get.o.name = argv[0];
	get.o.dest = argv[1];
	get.status = dr_walget(&get.o, err);
	rc = get.status == DR_WALGET_DONE ? 0 : -1;

out:
	dr_strs_free(&get.stores);
	dr_strs_free(&get.o.identities);
	return rc;
}

static const struct verb {
	const struct dr_cmd *cmd;
	int (*run)(int argc, char **argv, struct dr_err *);
	/* Its own exit status: a server would take a 2 for "no such file". */
	const enum dr_walget_status *status;
} verbs[] = {
	{ &push_cmd, run_push, NULL },
	{ &receive_cmd, run_receive, NULL },
	{ &get_cmd, run_get, &get.status },
};

#define VERBS ((int)(sizeof(verbs) / sizeof(*verbs)))

int
main(int argc, char **argv)
{
	static const struct dr_cmd tool = { "dr-wal", "COMMAND [ARG]...",
		"Archive write-ahead log, and fetch it.", "", NULL };
	const struct dr_cmd *list[VERBS];
	struct dr_err err = { 0 };
	int v, n;

	for (int i = 0; i < VERBS; i++)
		list[i] = verbs[i].cmd;
	dr_main_begin(tool.name);
	if ((v = dr_opt_verb(&tool, list, VERBS, argc, argv, &err)) != -1 &&
	    (n = dr_opt_parse(verbs[v].cmd, argc - 1, argv + 1, &err)) != -1 &&
	    dr_crypt_init(&err) == 0)
		(void)verbs[v].run(argc - 1 - n, argv + 1 + n, &err);
	n = dr_main_end(&err);
	/* It may have been meant to be get. */
	if (v == -1)
		return n == DR_EUSAGE ? DR_WALGET_FAILED : n;
	return verbs[v].status != NULL ? (int)*verbs[v].status : n;
}
