/* A server that another one has taken over from archives no more. */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/clustername.h"
#include "flow/walepoch.h"
#include "flow/walpush_int.h"

#define ASK_MS   1000
#define SLACK_MS 500
#define LABEL    "START WAL LOCATION: "

struct said {
	struct dr_walepoch epoch;
	struct dr_err err;
};

/*
 * A process by itself: what it takes to speak HTTP is loaded, and etcd
 * answers, while the file is read and compressed.
 */
static _Noreturn void
ask(int fd, struct dr_etcd *etcd, struct dr_coord *coord)
{
	struct dr_coord_look look = { 0 };
	struct said s = { 0 };

	dr_stops_ignore();
	(void)dr_etcd_patience(etcd, ASK_MS);
	if (dr_coord_look(coord, &look, &s.err) == -1 ||
	    dr_walepoch_get(&look, &s.epoch, &s.err) == -1)
		memset(&s.epoch, 0, sizeof(s.epoch));
	_exit(write(fd, &s, sizeof(s)) == (ssize_t)sizeof(s) ? 0 : 1);
}

int
dr_push_ask(struct dr_push *p, struct dr_err *err)
{
	struct dr_coord *coord;
	struct dr_etcd *etcd;
	int fd[2], rc = -1;

	if (p->o->lock == NULL)
		return 0;
	if (dr_coord_line_open(p->o->lock, p->o->ship.set, &etcd, &coord,
	        err) == -1)
		return -1;
	if (coord == NULL)
		return 0;
	if (pipe2(fd, O_CLOEXEC) == -1) {
		dr_err_sys(err, "cannot make a pipe");
		goto out;
	}
	if ((p->asker = fork()) == 0) {
		close(fd[0]);
		ask(fd[1], etcd, coord);
	}
	close(fd[1]);
	if (p->asker == -1) {
		p->asker = 0;
		dr_err_sys(err, "cannot make a process");
		close(fd[0]);
		goto out;
	}
	p->asked = fd[0];
	p->ask_until = dr_monotonic() + (ASK_MS + SLACK_MS) * 1000;
	rc = 0;

out:
	dr_coord_free(coord);
	dr_etcd_free(etcd);
	return rc;
}

void
dr_push_hear(struct dr_push *p)
{
	struct pollfd f = { .fd = p->asked, .events = POLLIN };
	struct said s;
	int64_t left;
	ssize_t n = -1;
	int st;

	if (p->asker == 0)
		return;
	while ((left = (p->ask_until - dr_monotonic()) / 1000) > 0 &&
	       dr_stopped() == 0)
		if (poll(&f, 1, (int)left) > 0) {
			n = read(p->asked, &s, sizeof(s));
			break;
		}
	if (n != (ssize_t)sizeof(s)) {
		memset(&s, 0, sizeof(s));
		dr_err_set(&s.err, DR_ERETRY, "etcd was not asked in time");
	}
	p->epoch = s.epoch;
	if (s.err.cause != DR_OK)
		/* WAL that is not archived at all is worse. */
		dr_warn("%s; archiving without having asked who leads",
		    s.err.msg);
	(void)kill(p->asker, SIGKILL);
	while (waitpid(p->asker, &st, 0) == -1 && errno == EINTR)
		continue;
	close(p->asked);
	p->asker = 0;
}

/* Where the file's WAL ends, or a backup's begins; 0: not known. */
static uint64_t
end_of(const struct dr_walfile *w)
{
	const struct dr_wal_file *f = &w->id.file;
	struct dr_err odd = { 0 };
	char text[sizeof(LABEL) + DR_LSN_LEN] = "";
	uint64_t lsn;

	if (f->kind == DR_WAL_BACKUP) {
		(void)memcpy(text, w->data,
		    w->len < sizeof(text) - 1 ? w->len : sizeof(text) - 1);
		if (strncmp(text, LABEL, sizeof(LABEL) - 1) != 0)
			return 0;
		text[strcspn(text + sizeof(LABEL) - 1, " \n") + sizeof(LABEL) -
		     1] = '\0';
		return dr_parse_lsn(text + sizeof(LABEL) - 1, &lsn, &odd) == 0
		           ? lsn + 1
		           : 0;
	}
	if (f->kind == DR_WAL_HISTORY || !dr_wal_start(f, w->segsize, &lsn))
		return 0;
	return lsn + w->segsize;
}

int
dr_push_allowed(struct dr_push *p, const char *path, const struct dr_walfile *w,
    struct dr_err *err)
{
	const struct dr_walepoch *e = &p->epoch;
	char why[DR_WALEPOCH_WHY], name[DR_NODE_NAME] = "", *dir;
	struct dr_err odd = { 0 };

	if (!e->has_epoch || w->id.file.tli >= e->epoch.tli)
		return 0;
	if (p->o->name != NULL)
		(void)snprintf(name, sizeof(name), "%s", p->o->name);
	else if ((dir = dr_walfile_beside(path, 2, ".", err)) == NULL)
		return -1;
	else {
		if (dr_cluster_name(dir, name, sizeof(name), &odd) == -1)
			dr_warn("%s: which server this is, is not known",
			    odd.msg);
		free(dir);
	}
	if (!dr_walepoch_refuses(e, name, &w->id.file, end_of(w), why))
		return 0;
	if (strcmp(w->id.name, p->r->name) == 0)
		p->r->refused = true;
	dr_err_set(err, DR_EPARTIAL, "\"%s\" is not archived: %s", w->id.name,
	    why);
	return dr_err_hint(err,
	    "this server is to be stopped and rejoined; what it wrote since "
	    "is in no other's past");
}
