/*
 * etcd_int.h - a client of etcd, between its opening (etcd_open.c) and what it
 * asks (etcd.c).
 */
#ifndef DR_COORD_ETCD_INT_H
#define DR_COORD_ETCD_INT_H

#include "coord/etcd.h"
#include "http/http.h"

#define DR_ETCD_MEMBERS 16

struct dr_etcd {
	struct dr_http *http;
	bool tls;
	char *member[DR_ETCD_MEMBERS]; /* "HOST:PORT" */
	size_t n;
	size_t first; /* who answered last */
	uint64_t patience;
	bool insist;
	char *user;
	char *password_file; /* NULL: ETCDCTL_USER or ETCDCTL_PASSWORD has it */
	char *token;         /* NULL: none yet */
};

/* Wiped. */
void dr_etcd_forget_token(struct dr_etcd *);

#endif /* !DR_COORD_ETCD_INT_H */
