/*
 * etcd.h - etcd, version 3, through its JSON gateway: transactions and leases.
 *
 * Sources: etcd's "api_grpc_gateway" and "api reference" pages, and what 3.4
 * was seen to do: numbers of 64 bits are strings; what is 0, false or empty
 * is left out of answers; a lease that is gone is kept alive with status 200
 * and no "TTL"; unknown names in a request are ignored without a word, so
 * that every request is made here, in one place, and held to its exact bytes
 * by a test.
 *
 * A request goes to one member after the other until one answers, each given
 * its share of the time that is left, and the one that answered last is asked
 * first.  So a transaction may be done twice, the second time long after (by
 * a member that was frozen): make its conditions such that the second one
 * does nothing, and see OPEN of dr_etcd_reply.
 *
 * A client belongs to one thread at a time.
 */
#ifndef DR_COORD_ETCD_H
#define DR_COORD_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_etcd;

struct dr_etcd_opts {
	/* "etcd://HOST:PORT[,HOST:PORT]...", or "etcds://..." for TLS */
	const char *spec;
	const char *ca_file, *cert_file, *key_file; /* TLS; each may be NULL */
	const char *user;                           /* NULL: none */
	const char *password_file; /* its first line; never in messages */
};

/*
 * Parses and checks; connects to nothing yet.  What is NULL in OPTS is taken
 * from etcdctl's variables (ETCDCTL_CACERT, _CERT, _KEY, _USER, _PASSWORD).
 * DR_EUSAGE: a spec that is none, a file that cannot be read.
 */
struct dr_etcd *dr_etcd_open(const struct dr_etcd_opts *, struct dr_err *);
void dr_etcd_free(struct dr_etcd *);

/*
 * From now on one call of those below takes at most MS, over all members
 * (2000 at first).  Kept below what a lease has left by whoever holds one.
 * Returns what it was.
 */
uint64_t dr_etcd_patience(struct dr_etcd *, uint64_t ms);

/*
 * From now on a stop signal does not end calls: for what has to be brought
 * to its end, and to clear up.  Returns what it was.
 */
bool dr_etcd_insist(struct dr_etcd *, bool);

/* --- transactions -------------------------------------------------------- */

enum dr_etcd_target {
	DR_ETCD_CREATED,  /* create_revision; 0: there is no such key */
	DR_ETCD_MODIFIED, /* mod_revision; 0: the same */
	DR_ETCD_LEASE,    /* the lease it hangs on */
};

struct dr_etcd_if { /* the number is equal */
	const char *key;
	enum dr_etcd_target target;
	int64_t number;
};

enum dr_etcd_what { DR_ETCD_GET, DR_ETCD_PUT, DR_ETCD_DELETE };

struct dr_etcd_op {
	enum dr_etcd_what what;
	const char *key;
	bool prefix; /* GET, DELETE: all keys that begin so */
	size_t last; /* GET: only so many, those made last, newest first */
	/* PUT; NULL: as it is, with its lease, and there has to be one */
	const char *value;
	int64_t lease; /* PUT; 0: none */
};

struct dr_etcd_txn {
	const struct dr_etcd_if
	    *conds; /* all of them, or the others are done */
	size_t n;
	const struct dr_etcd_op *then;
	size_t thens;
	const struct dr_etcd_op *other;
	size_t others;
};

struct dr_etcd_kv {
	char *key, *value; /* text; a value with a NUL in it is damaged */
	int64_t created, modified, lease;
};

struct dr_etcd_reply {  /* start with { 0 } */
	bool succeeded; /* the conditions held */
	/*
	 * An attempt was not answered and may have been done, or be done
	 * yet: of a call that failed, it; of one that did not, an earlier
	 * one, which the conditions then met.
	 */
	bool open;
	int64_t revision;      /* of the store, after it */
	struct dr_etcd_kv *kv; /* of all GETs that were done, in order */
	size_t n;
};

void dr_etcd_wipe(struct dr_etcd_reply *);

/* The body of a transaction; appended.  Pure. */
int
dr_etcd_txn_body(const struct dr_etcd_txn *, struct dr_buf *, struct dr_err *);
/* What an answer to one says.  DR_EDATA for what cannot be understood. */
int dr_etcd_txn_reply(const char *json, size_t len, struct dr_etcd_reply *,
    struct dr_err *);

/*
 * DR_ERETRY: no member answered, or none has a leader, in time; DR_EFAIL:
 * refused (rights, a lease that is gone).  Reads are linearizable.
 */
int dr_etcd_txn(struct dr_etcd *, const struct dr_etcd_txn *,
    struct dr_etcd_reply *, struct dr_err *);

/* --- leases -------------------------------------------------------------- */

/* *TTL is what was granted, in seconds: it may be more than was asked for. */
int dr_etcd_grant(struct dr_etcd *, int ttl, int64_t *lease, int *granted,
    struct dr_err *);
/* 1 and the seconds it has now; 0 it is gone; -1 as dr_etcd_txn. */
int
dr_etcd_keepalive(struct dr_etcd *, int64_t lease, int *ttl, struct dr_err *);
/* 0 also where it was gone. */
int dr_etcd_revoke(struct dr_etcd *, int64_t lease, struct dr_err *);

#endif /* !DR_COORD_ETCD_H */
