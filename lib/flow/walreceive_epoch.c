/*
 * Of whom may be received, by what the process that asks etcd says
 * (walreceive_watch.c).  What was once heard is heeded also while etcd is
 * away, and, as it is kept on disk, by the next receiver.
 *
 * A failover counts us among those that can acknowledge no more when our
 * record says so, with the token of its intent.  So that is said only when
 * the connection is down; and it stays down for as long as the intent stands.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/known.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/jsonfile.h"
#include "flow/walreceive_int.h"

#define FIRST_US \
	2000000        /* to wait for what etcd says, before the first
                            connection */
#define TELL_US 500000 /* while we are connected */
#define END_MS  1500
#define HOST_S  5 /* of several, each may take so long */

/* --- what is kept ---------------------------------------------------------------- */

static int
keep(const struct dr_recv_watch *w, struct dr_err *err)
{
	struct dr_buf epoch = { .max = 8192 }, intent = { .max = 8192 };
	json_t *json = json_object();
	int rc = -1;

	if ((w->epoch.has_epoch &&
	        (dr_rec_epoch_put(&w->epoch.epoch, &epoch, err) == -1 ||
	            json_object_set_new(json, "epoch",
	                json_string(epoch.data)) == -1)) ||
	    (w->epoch.has_intent &&
	        (dr_rec_intent_put(&w->epoch.intent, &intent, err) == -1 ||
	            json_object_set_new(json, "intent",
	                json_string(intent.data)) == -1)))
		goto out;
	rc = dr_jsonfile_put(w->path, json, err);

out:
	json_decref(json);
	dr_buf_free(&epoch);
	dr_buf_free(&intent);
	return rc;
}

static int
recall(struct dr_recv_watch *w, struct dr_err *err)
{
	const char *epoch, *intent;
	json_t *json;
	int rc = dr_jsonfile_get(w->path, &json, err);

	if (rc != 1)
		return rc;
	epoch = json_string_value(json_object_get(json, "epoch"));
	intent = json_string_value(json_object_get(json, "intent"));
	w->epoch.has_epoch = epoch != NULL;
	w->epoch.has_intent = intent != NULL;
	if ((epoch != NULL &&
	        dr_rec_epoch_get(epoch, &w->epoch.epoch, err) == -1) ||
	    (intent != NULL &&
	        dr_rec_intent_get(intent, &w->epoch.intent, err) == -1))
		rc = dr_err_wrap(err, "\"%s\"", w->path);
	json_decref(json);
	return rc;
}

/* --- what is heard --------------------------------------------------------------- */

static void
away(struct dr_recv_watch *w, const struct dr_recv_word *word)
{
	const bool now = word->away || word->mute;

	if (now && !w->away)
		dr_warn("%s; going on, but no failover can count on what is "
		        "received",
		    word->err.msg);
	else if (!now && w->away)
		dr_say(0, "etcd answers again");
	w->away = now;
}

static int
take_in(struct dr_recv *r, const struct dr_recv_word *word, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;

	away(w, word);
	w->heard = true;
	if (word->away || dr_walepoch_same(&w->epoch, &word->epoch))
		return 0;
	w->epoch = word->epoch;
	w->changed = true;
	if (keep(w, err) == -1) {
		r->fatal = true;
		return -1;
	}
	return 0;
}

static int
bar(struct dr_recv_watch *w, struct dr_err *err)
{
	char why[DR_WALEPOCH_WHY];

	if (*w->server == '\0' ||
	    !dr_walepoch_bars(&w->epoch, w->server, w->standby, why))
		return 0;
	w->barred = true;
	return dr_err_set(err, DR_ERETRY, "%s: receiving no more from it", why);
}

int
dr_recv_heed(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	struct dr_recv_word word;
	ssize_t n;

	if (w->pid == 0)
		return 0;
	for (;;) {
		n = recv(w->fd, &word, sizeof(word), MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			break;
		if (n != (ssize_t)sizeof(word)) {
			r->fatal = true;
			return dr_err_set(err, DR_EFAIL,
			    "the process that asks etcd ended");
		}
		if (take_in(r, &word, err) == -1)
			return -1;
	}
	return bar(w, err);
}

int
dr_recv_heed_connecting(struct dr_recv *r, struct dr_err *err)
{
	if (dr_recv_heed(r, err) == -1)
		return -1;
	if (r->wal == NULL && r->watch.changed)
		return dr_err_set(err, DR_ERETRY,
		    "who leads may have changed while a server did not answer");
	return 0;
}

/* --- what is said ---------------------------------------------------------------- */

void
dr_recv_state(struct dr_recv *r, const char *role)
{
	struct dr_recv_watch *w = &r->watch;
	const struct dr_rec_intent *i = dr_walepoch_failover(&w->epoch);
	struct dr_rec_node now = w->self;
	ssize_t n;

	if (role != NULL)
		(void)snprintf(w->role, sizeof(w->role), "%s", role);
	/* Before the stores were asked our end is not known. */
	if (w->pid == 0 || !r->ready || *now.name == '\0')
		return;
	(void)snprintf(now.kind, sizeof(now.kind), "receiver");
	(void)snprintf(now.role, sizeof(now.role), "%s", w->role);
	now.rate = DR_UNKNOWN;
	now.tli = r->last.durable.tli;
	now.lsn = r->last.durable.lsn;
	now.epoch = w->epoch.epoch.epoch;
	now.token = i != NULL ? i->token : 0;
	if (strcmp(now.role, w->self.role) == 0 && now.tli == w->self.tli &&
	    now.lsn == w->self.lsn && now.epoch == w->self.epoch &&
	    now.token == w->self.token && strcmp(now.where, w->self.where) == 0)
		return;
	if (strcmp(now.role, w->self.role) == 0 &&
	    strcmp(now.role, "connected") == 0 && now.token == w->self.token &&
	    now.epoch == w->self.epoch && dr_monotonic() - w->self_at < TELL_US)
		return;
	do
		n = send(w->fd, &now, sizeof(now), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	/* Where there is no room, the next turn tries again. */
	if (n == -1)
		return;
	w->self = now;
	w->self_at = dr_monotonic();
}

/* --- servers ------------------------------------------------------------------------ */

/* As the node is called: cluster_name, else HOST:PORT. */
static int
name_of(PGconn *conn, char name[DR_NODE_NAME], bool *standby,
    struct dr_err *err)
{
	const char *host = PQhost(conn);
	char text[8] = "";

	*name = '\0';
	if (dr_pg_show(conn, "cluster_name", name, DR_NODE_NAME, err) == -1 ||
	    dr_pg_show(conn, "in_hot_standby", text, sizeof(text), err) == -1)
		return -1;
	*standby = strcmp(text, "on") == 0;
	if (*name == '\0')
		(void)snprintf(name, DR_NODE_NAME,
		    strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
		    PQport(conn));
	return 0;
}

/* Until a failover has come to its end there is nobody to connect to. */
static int
waits(struct dr_recv_watch *w, struct dr_err *err)
{
	const struct dr_rec_intent *i = dr_walepoch_failover(&w->epoch);

	if (i == NULL)
		return 0;
	w->barred = true;
	return dr_err_set(err, DR_ERETRY,
	    "a failover from \"%s\" to \"%s\" is under way: receiving from "
	    "nobody until it is done",
	    i->former, i->candidate);
}

int
dr_recv_meet(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	const char *app = PQparameterStatus(r->wal, "application_name");

	if (w->pid == 0)
		return 0;
	if (name_of(r->wal, w->server, &w->standby, err) == -1)
		return -1;
	if (app != NULL && *app != '\0')
		(void)snprintf(w->self.name, sizeof(w->self.name), "%s", app);
	(void)snprintf(w->self.where, sizeof(w->self.where), "%s:%s",
	    PQhost(r->wal), PQport(r->wal));
	return waits(w, err) == -1 ? -1 : bar(w, err);
}

/*
 * The hosts in the order in which they are tried: the one that was the
 * leader's when it was last asked, those that were nobody's, the others.
 */
static int
next_host(const struct dr_recv_watch *w, const bool *tried)
{
	int best = -1, worth = -1, v;

	for (size_t i = 0; i < w->hosts; i++) {
		if (tried[i])
			continue;
		v = *w->name[i] == '\0'                              ? 1
		    : strcmp(w->name[i], w->epoch.epoch.leader) == 0 ? 2
		                                                     : 0;
		if (v > worth) {
			best = (int)i;
			worth = v;
		}
	}
	return best;
}

static PGconn *
connect_host(struct dr_recv_watch *w, size_t i, const char *app, bool *standby,
    struct dr_err *err)
{
	PGconn *conn = NULL;
	char *s =
	    dr_fmt(err, "%s connect_timeout=%d", w->host[i].conninfo, HOST_S);

	if (s != NULL)
		conn = dr_pg_connect(s, true, app, NULL, err);
	free(s);
	if (conn != NULL && name_of(conn, w->name[i], standby, err) == -1) {
		PQfinish(conn);
		conn = NULL;
	}
	return conn;
}

PGconn *
dr_recv_pick(struct dr_recv *r, const char *app, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	bool tried[DR_PG_HOSTS_MAX] = { false }, standby;
	PGconn *conn, *other = NULL;
	struct dr_err why;
	char bar_why[DR_WALEPOCH_WHY];
	int i;

	w->changed = w->barred = false;
	/* At first the server has to say what the stores are asked for. */
	if (w->pid != 0 && r->ready && waits(w, err) == -1)
		return NULL;
	if (w->pid == 0 || w->hosts < 2 || !w->epoch.has_epoch)
		return dr_pg_connect(r->o->conninfo, true, app, NULL, err);
	while ((i = next_host(w, tried)) != -1) {
		tried[i] = true;
		memset(&why, 0, sizeof(why));
		conn = connect_host(w, (size_t)i, app, &standby, &why);
		if (conn == NULL) {
			if (why.cause == DR_ESTOP || err->cause == DR_OK)
				*err = why;
			if (why.cause == DR_ESTOP)
				break;
		} else if (dr_walepoch_bars(&w->epoch, w->name[i], standby,
		               bar_why)) {
			PQfinish(conn);
			w->barred = true;
			dr_err_clear(err);
			dr_err_set(err, DR_ERETRY,
			    "%s: receiving no more from it", bar_why);
		} else if (strcmp(w->name[i], w->epoch.epoch.leader) == 0) {
			PQfinish(other);
			w->barred = false;
			dr_err_clear(err);
			return conn;
		} else if (other == NULL)
			other = conn; /* a standby is better than nobody */
		else
			PQfinish(conn);
	}
	if (err->cause == DR_ESTOP) {
		PQfinish(other);
		return NULL;
	}
	if (other != NULL) {
		w->barred = false;
		dr_err_clear(err);
	}
	return other;
}

/* --- beginning and end ----------------------------------------------------------- */

static int
know_hosts(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	const char *all = r->o->conninfo != NULL ? r->o->conninfo : "";

	if (dr_pg_hosts(&all, 1, &w->host, &w->hosts, err) == -1)
		return -1;
	if ((w->name = calloc(w->hosts, sizeof(*w->name))) == NULL)
		return dr_err_sys(err, "cannot keep the names of servers");
	return 0;
}

static int
begin(struct dr_recv *r, struct dr_etcd *etcd, struct dr_coord *coord,
    struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	sigset_t block, before;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == -1)
		return dr_err_sys(err, "cannot make a socket");
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &before);
	if ((w->pid = fork()) == 0) {
		dr_stops_ignore();
		sigprocmask(SIG_SETMASK, &before, NULL);
		close(fd[0]);
		dr_recv_watch_main(fd[1], etcd, coord);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fd[1]);
	w->fd = fd[0];
	if (w->pid != -1)
		return 0;
	w->pid = 0;
	dr_err_sys(err, "cannot make a process");
	close(fd[0]);
	return -1;
}

/* Before there is any connection, hear what etcd says, if it says anything. */
static int
first_word(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	const int64_t until = dr_monotonic() + FIRST_US;
	struct pollfd p[2] = { { .fd = w->fd, .events = POLLIN },
		{ .fd = dr_stop_fd(), .events = POLLIN } };
	int64_t left;

	while (!w->heard && (left = until - dr_monotonic()) > 0) {
		(void)poll(p, 2, (int)(left / 1000) + 1);
		if (dr_stopped() != 0)
			return 0;
		if (dr_recv_heed(r, err) == -1)
			return -1;
	}
	return 0;
}

int
dr_recv_watch_start(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_watch *w = &r->watch;
	struct dr_coord *coord;
	struct dr_etcd *etcd;
	int rc = -1;

	if (r->o->lock == NULL)
		return 0;
	if (dr_coord_line_open(r->o->lock, r->o->set, &etcd, &coord, err) == -1)
		return -1;
	if (coord == NULL)
		return 0;
	if ((w->path = dr_fmt(err, "%s/sets/%s/receive-%s-epoch.json",
	         r->o->state, r->o->set, r->o->slot)) == NULL ||
	    recall(w, err) == -1 || know_hosts(r, err) == -1)
		goto out;
	if ((rc = begin(r, etcd, coord, err)) == 0)
		rc = first_word(r, err);

out:
	dr_coord_free(coord);
	dr_etcd_free(etcd);
	return rc;
}

void
dr_recv_watch_end(struct dr_recv *r)
{
	struct dr_recv_watch *w = &r->watch;
	const int64_t until = dr_monotonic() + END_MS * 1000;
	struct pollfd p = { .events = POLLIN };
	struct dr_recv_word word;
	int64_t left;
	int st;

	if (w->pid != 0) {
		dr_recv_state(r, "stopped");
		(void)shutdown(w->fd, SHUT_WR);
		p.fd = w->fd;
		while ((left = (until - dr_monotonic()) / 1000) > 0) {
			(void)poll(&p, 1, (int)left);
			if (p.revents != 0 &&
			    recv(w->fd, &word, sizeof(word), MSG_DONTWAIT) == 0)
				break;
		}
		(void)kill(w->pid, SIGKILL);
		while (waitpid(w->pid, &st, 0) == -1 && errno == EINTR)
			continue;
		close(w->fd);
		w->pid = 0;
	}
	dr_pg_hosts_free(w->host, w->hosts);
	free(w->name);
	free(w->path);
}
