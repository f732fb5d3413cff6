/*
 * A small object that goes up while others go to other stores: libssh2 knows
 * nothing of their loop, so each has a thread, which owns a copy of the bytes
 * and tells nobody but its job.  Without others there is no thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/sftp_int.h"

struct sftp_job {
	struct sftp_job *next;
	struct sftp *s;
	pthread_t thread;
	char *name;
	void *data;
	size_t len;
	atomic_bool done, cancelled;
	enum dr_put_result result;
	bool lost;
	struct dr_err err;
};

static _Thread_local const struct sftp_job *mine;

bool
sftp_in_job(void)
{
	return mine != NULL;
}

bool
sftp_cancelled(void)
{
	return mine != NULL && atomic_load(&mine->cancelled);
}

static void *
run(void *arg)
{
	struct sftp_job *j = arg;

	mine = j;
	j->result = sftp_put_small(&j->s->store, j->name, j->data, j->len,
	    &j->lost, &j->err);
	atomic_store(&j->done, true);
	return NULL;
}

static void
job_free(struct sftp_job *j)
{
	free(j->name);
	free(j->data);
	free(j);
}

/* Join those that nobody waits for any more; ALL: the others, too. */
static void
reap(struct sftp *s, bool all)
{
	struct sftp_job **p = &s->jobs, *j;

	while ((j = *p) != NULL) {
		if (!all &&
		    (!atomic_load(&j->done) || !atomic_load(&j->cancelled))) {
			p = &j->next;
			continue;
		}
		*p = j->next;
		atomic_store(&j->cancelled, true);
		(void)pthread_join(j->thread, NULL);
		job_free(j);
	}
}

void
sftp_jobs_end(struct sftp *s)
{
	for (struct sftp_job *j = s->jobs; j != NULL; j = j->next)
		atomic_store(&j->cancelled, true);
	reap(s, true);
}

int
sftp_put_begin(struct dr_small *p, struct dr_err *err)
{
	struct sftp *s = (struct sftp *)p->store;
	struct sftp_job *j = calloc(1, sizeof(*j));
	sigset_t all, before;
	int rc;

	reap(s, false);
	if (j == NULL || (j->data = malloc(p->len + 1)) == NULL) {
		free(j);
		return dr_err_sys(err, "cannot create \"%s\"", p->name);
	}
	if ((j->name = dr_fmt(err, "%s", p->name)) == NULL) {
		job_free(j);
		return -1;
	}
	memcpy(j->data, p->data, p->len);
	j->len = p->len;
	j->s = s;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&j->thread, NULL, run, j);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		job_free(j);
		errno = rc;
		return dr_err_sys(err, "cannot start a thread");
	}
	j->next = s->jobs;
	s->jobs = j;
	p->op = j;
	return 0;
}

void
sftp_put_look(struct dr_small *p)
{
	struct sftp *s = (struct sftp *)p->store;
	struct sftp_job *j = p->op, **at = &s->jobs;

	if (!atomic_load(&j->done))
		return;
	(void)pthread_join(j->thread, NULL);
	p->result = j->result;
	p->lost = j->lost;
	p->err = j->err;
	p->ended = true;
	p->op = NULL;
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	job_free(j);
}

/* It ends soon by itself, and clears up. */
void
sftp_put_cancel(struct dr_small *p)
{
	struct sftp_job *j = p->op;

	atomic_store(&j->cancelled, true);
	p->op = NULL;
}
