/* lag_int.h - what the parts of lag.h share. */
#ifndef DR_FLOW_LAG_INT_H
#define DR_FLOW_LAG_INT_H

#include "base/num.h"
#include "flow/lag.h"

static inline bool
dr_lag_answers(const struct dr_pg_view *v)
{
	return dr_probe_answers(v->probe.state);
}

/* For strings that may be absent. */
static inline const char *
dr_lag_text(const char *s)
{
	return s != NULL ? s : "";
}

/* Delays of standbys, corrected by what STATE/lag knows of the primary. */
void dr_lag_bound(struct dr_lag *, const char *state);

struct dr_lag_samples;
struct dr_lag_now;
/* How long WAL of TLI beyond LSN has been there, at least and at most. */
void dr_lag_bounds(const struct dr_lag_samples *, const struct dr_lag_now *,
    uint32_t tli, uint64_t lsn, int64_t *low, int64_t *high);

/* Servers that do not answer get the names that they had. */
void dr_lag_names(const char *state, struct dr_lag *);

/* Fill in the numbers of one that has self, sender and row. */
void dr_lag_measure(const struct dr_lag *, struct dr_lag_standby *);

/* "1.2s", "350ms", "?" in OUT, for people. */
char *dr_lag_seconds(int64_t us, char out[DR_SIZE_LEN]);
char *dr_lag_bytes(int64_t bytes, char out[DR_SIZE_LEN]);

/* "ok", "warning", "critical", "unknown". */
const char *dr_lag_word(enum dr_lag_level);

/* The parts of dr_lag_judge. */
struct dr_lag_judging {
	struct dr_lag *lag;
	const struct dr_lag_opts *o;
	struct dr_err *err;
	bool failed;
};

void dr_lag_say(struct dr_lag_judging *, enum dr_lag_level, const char *what,
    const char *about, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The strictest RPO of all sets: what standbys are held to. */
int64_t dr_lag_strictest(const struct dr_lag *);
void dr_lag_judge_server(struct dr_lag_judging *, const struct dr_pg_view *);
void
dr_lag_judge_standby(struct dr_lag_judging *, const struct dr_lag_standby *);

#endif /* !DR_FLOW_LAG_INT_H */
