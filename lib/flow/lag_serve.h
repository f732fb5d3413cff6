/* lag_serve.h - what dr_lag_serve answers, and from what. */
#ifndef DR_FLOW_LAG_SERVE_H
#define DR_FLOW_LAG_SERVE_H

#include "flow/lag_int.h"
#include "http/listen.h"

/* One server, as a load balancer wants to know it. */
struct dr_health {
	char name[128], cluster[128], where[256];
	enum dr_probe_state state;
	bool answers, in_recovery, streaming, paused, diverged;
	uint64_t system_id;
	uint32_t tli;
	int64_t replay_bytes; /* DR_UNKNOWN: unknown */
};

/* Of server I. */
void dr_health_of(const struct dr_lag *, size_t i, struct dr_health *);

struct dr_served_body {
	char *data; /* NULL: none has come yet */
	size_t len;
	int64_t began, came; /* monotonic */
};

struct dr_served {
	int64_t interval; /* us */
	const struct dr_listen *listen;
	struct dr_served_body health, json, prom; /* health: dr_health, many */
	uint64_t reports, failures;
	bool failing;
};

/* A dr_listen_fn of a struct dr_served. */
int dr_served_answer(void *, const char *path, const char *query,
    struct dr_answer *, struct dr_err *);

#endif /* !DR_FLOW_LAG_SERVE_H */
