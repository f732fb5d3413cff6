/*
 * check_int.h - what --check found out about one store, between what tries it
 * and what tells of it.
 */
#ifndef DR_FLOW_CHECK_INT_H
#define DR_FLOW_CHECK_INT_H

#include "base/buf.h"
#include "flow/check.h"

enum dr_answer {
	DR_ANSWER_NOT_TRIED,
	DR_ANSWER_NO,
	DR_ANSWER_YES,
	DR_ANSWER_UNKNOWN
};

struct dr_tried {
	enum dr_answer answer;
	char why[768]; /* what the store said, or "" */
	char hint[320];
};

struct dr_probe {
	const struct dr_check_opts *o;
	const char *url;
	struct dr_store *store;
	char *name;
	size_t way;           /* so much of its directory was there before */
	struct dr_err failed; /* the store could not be tried to the end */
	struct dr_tried create, create_only, overwrite, overwrite_parts, read,
	    list, del, lock;
	size_t versions;      /* that were kept of the probe */
	size_t versions_left; /* after it was deleted */
};

/* DR_OK, DR_EFAIL, DR_ERETRY or DR_EPARTIAL, as dr_check says. */
enum dr_cause dr_check_judge(const struct dr_probe *);

int dr_check_describe(const struct dr_probe *, enum dr_cause,
    struct dr_buf *out, struct dr_err *);

#endif /* !DR_FLOW_CHECK_INT_H */
