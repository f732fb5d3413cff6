/*
 * err.h - how a library function says why it failed.
 *
 * A function that can fail returns 0 or -1 (or a pointer or NULL) and takes
 * a struct dr_err * as its last argument.  On failure it has described the
 * failure there, exactly once, in words meant for the operator.  Nothing
 * below cmd/ prints, exits, or leaves the reason in errno.
 *
 * The cause is the exit status of the tool, so a script can tell "try again"
 * from "your backup is damaged" without reading English.
 */
#ifndef DR_BASE_ERR_H
#define DR_BASE_ERR_H

enum dr_cause {
	DR_OK = 0,
	DR_EFAIL = 1,    /* anything not named below */
	DR_EUSAGE = 2,   /* the command line makes no sense */
	DR_EPARTIAL = 3, /* done in part, or a condition is not met */
	DR_EDATA = 4,    /* input truncated, damaged or not authentic */
	DR_ERETRY = 5,   /* the other side is away; trying later may help */
	DR_ESTOP = 130,  /* a signal told us to stop; die of that signal */
	DR_EPIPE = 141,  /* our reader left; say nothing, die of SIGPIPE */
};

/* Zero-initialize it.  It owns nothing, so it needs no free. */
struct dr_err {
	enum dr_cause cause;
	char msg[768];
	char hint[320]; /* what to try, or "" */
};

/*
 * Describe a failure.  The first description stays: a failure met while
 * cleaning up after another never hides it.  Always returns -1.
 */
int dr_err_set(struct dr_err *, enum dr_cause, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same for a failed system call: appends ": " and the text of errno.
 * The cause follows errno: EPIPE is DR_EPIPE, everything else DR_EFAIL.
 */
int dr_err_sys(struct dr_err *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "context: " before what is there.  Always returns -1. */
int dr_err_wrap(struct dr_err *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Say what to try.  The first hint stays.  Always returns -1. */
int dr_err_hint(struct dr_err *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Forget what is there, to try something else. */
void dr_err_clear(struct dr_err *);

/* So that compilers and analysers see what the four return. */
static inline int
dr_err_minus_one(int rc)
{
	(void)rc;
	return -1;
}
#define dr_err_set(...)  dr_err_minus_one(dr_err_set(__VA_ARGS__))
#define dr_err_sys(...)  dr_err_minus_one(dr_err_sys(__VA_ARGS__))
#define dr_err_wrap(...) dr_err_minus_one(dr_err_wrap(__VA_ARGS__))
#define dr_err_hint(...) dr_err_minus_one(dr_err_hint(__VA_ARGS__))

#endif /* !DR_BASE_ERR_H */
