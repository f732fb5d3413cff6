/*
 * etcd_json.h - the bodies of requests to etcd's JSON gateway and of its
 * answers (etcd.h), without the wire.
 */
#ifndef DR_COORD_ETCD_JSON_H
#define DR_COORD_ETCD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* {"TTL":"10"}, {"ID":"7"}, {"name":"a","password":"b"}; appended. */
int dr_etcd_ttl_body(int ttl, struct dr_buf *, struct dr_err *);
int dr_etcd_id_body(int64_t lease, struct dr_buf *, struct dr_err *);
int dr_etcd_auth_body(const char *user, const char *password, struct dr_buf *,
    struct dr_err *);

/* The answers; DR_EDATA for what cannot be understood. */
int dr_etcd_grant_reply(const char *, size_t, int64_t *lease, int *ttl,
    struct dr_err *);
/* 1 and the seconds; 0 the lease is gone. */
int dr_etcd_keepalive_reply(const char *, size_t, int *ttl, struct dr_err *);
/* The caller's, to be wiped. */
char *dr_etcd_token_reply(const char *, size_t, struct dr_err *);

/* What gRPC calls codes; those that matter here. */
enum {
	DR_GRPC_NONE = -1, /* the answer holds none */
	DR_GRPC_CANCELED = 1,
	DR_GRPC_UNKNOWN = 2,
	DR_GRPC_INVALID = 3,
	DR_GRPC_DEADLINE = 4,
	DR_GRPC_NOT_FOUND = 5,
	DR_GRPC_EXHAUSTED = 8,
	DR_GRPC_PRECONDITION = 9,
	DR_GRPC_ABORTED = 10,
	DR_GRPC_INTERNAL = 13,
	DR_GRPC_UNAVAILABLE = 14,
	DR_GRPC_UNAUTHENTICATED = 16,
};

enum dr_etcd_verdict {
	DR_ETCD_FINE,    /* no error in it */
	DR_ETCD_LATER,   /* another member, or this one later, may do better */
	DR_ETCD_LOGIN,   /* the token is not good, or not any more */
	DR_ETCD_GONE,    /* there is no such lease */
	DR_ETCD_REFUSED, /* and will be again */
};

struct dr_etcd_fault {
	enum dr_etcd_verdict verdict;
	int code;
	bool open;      /* what was asked for may happen all the same */
	char text[256]; /* of the server's, printable */
};

/* What an answer with that status says of errors, in any of their forms. */
void dr_etcd_fault(int status, const char *, size_t, struct dr_etcd_fault *);

#endif /* !DR_COORD_ETCD_JSON_H */
