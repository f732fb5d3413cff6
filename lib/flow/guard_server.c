/* The server that is guarded: what can be seen of it. */
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "flow/guard_int.h"
#include "pg/datadir.h"
#include "pg/postmaster.h"

#define CONNECT_US 5000000
#define QUERY_US   3600000000LL /* who is silent is judged by others */
#define NAP_US     10000

enum { ABOUT = 1, STANDBYS };

/* The first sets what the others run by; two that ask. */
static const char look_sql[] =
    "SET search_path = pg_catalog;"
    "SELECT x.standby, current_setting('synchronous_standby_names'),"
    " current_setting('cluster_name'), current_setting('restart_after_crash'),"
    " (SELECT setting FROM pg_settings WHERE name = 'data_directory'),"
    " coalesce(current_setting('drtools.region', true), ''),"
    " CASE WHEN x.standby THEN greatest("
    "  (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
    "  (SELECT timeline_id FROM pg_control_checkpoint()),"
    "  (SELECT received_tli FROM pg_stat_wal_receiver))"
    " ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))"
    "  ::bit(32)::bigint END,"
    " CASE WHEN x.standby THEN"
    "  greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    "  ELSE pg_current_wal_flush_lsn() END"
    " FROM (SELECT pg_is_in_recovery() AS standby) x;"
    "SELECT application_name, coalesce(state, ''), write_lsn"
    " FROM pg_stat_replication LIMIT 65";

/* It waits for nobody. */
static const char mark_sql[] =
    "BEGIN;"
    "SET LOCAL synchronous_commit = local;"
    "SELECT pg_logical_emit_message(true, 'drtools', 'guard');"
    "COMMIT";
enum { MARK = 2 };

int
dr_guard_server_open(struct dr_guard_server *s, const char *conninfo,
    const char *dir, struct dr_err *err)
{
	memset(s, 0, sizeof(*s));
	s->dir = dir;
	if (conninfo == NULL)
		conninfo = "";
	if (dr_pg_hosts(&conninfo, 1, &s->host, &s->hosts, err) == -1)
		return -1;
	if (s->hosts == 1)
		return 0;
	dr_pg_hosts_free(s->host, s->hosts);
	s->host = NULL;
	return dr_err_set(err, DR_EUSAGE,
	    "the connection string names %zu servers, and a guard has one",
	    s->hosts);
}

static void
hang_up(struct dr_guard_server *s)
{
	if (s->open)
		dr_ask_close(&s->ask);
	s->open = s->busy = false;
}

void
dr_guard_server_close(struct dr_guard_server *s)
{
	hang_up(s);
	dr_pg_hosts_free(s->host, s->hosts);
	s->host = NULL;
}

/* --- without asking it ---------------------------------------------------- */

static bool
has(const struct dr_guard_server *s, const char *name, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", s->dir, name);
	bool is = path != NULL && access(path, F_OK) == 0;

	free(path);
	return is;
}

static void
find(struct dr_guard_server *s)
{
	struct dr_err err = { 0 };
	struct dr_control c;
	pid_t pid = 0;

	s->alive = dr_postmaster_look(s->dir, &pid, &err);
	if (pid != s->pid) {
		hang_up(s);
		s->pid = pid;
		s->heard_at = dr_boottime();
		s->mark = 0;
		s->proof_at = 0;
	}
	s->standby_signal = has(s, "standby.signal", &err);
	s->clean = false;
	s->control_tli = 0;
	if (dr_control_read(s->dir, &c, &err) == 0) {
		s->control_tli =
		    c.tli > c.min_recovery_tli ? c.tli : c.min_recovery_tli;
		s->clean = s->alive == 0 &&
		           (c.state == DR_CONTROL_SHUTDOWN ||
		               c.state == DR_CONTROL_SHUTDOWN_RECOVERY);
	}
	if (s->alive != 0)
		return;
	s->known = 0;
	hang_up(s);
}

/* --- asking it -------------------------------------------------------------- */

static void
copy(char *to, size_t size, const PGresult *r, int column)
{
	(void)snprintf(to, size, "%s", PQgetvalue(r, 0, column));
}

static uint64_t
lsn(const PGresult *r, int row, int column)
{
	struct dr_err no = { 0 };
	uint64_t v = 0;

	if (!PQgetisnull(r, row, column))
		(void)dr_parse_lsn(PQgetvalue(r, row, column), &v, &no);
	return v;
}

/* Does the server work where we look for it? */
static int
same_place(const struct dr_guard_server *s, const PGresult *r,
    struct dr_err *err)
{
	struct stat a, b;

	if (PQgetisnull(r, 0, 4) || stat(PQgetvalue(r, 0, 4), &a) == -1 ||
	    stat(s->dir, &b) == -1 ||
	    (a.st_dev == b.st_dev && a.st_ino == b.st_ino))
		return 0;
	return dr_err_set(err, DR_EUSAGE,
	    "the server that answers runs on \"%s\", and not on \"%s\"",
	    PQgetvalue(r, 0, 4), s->dir);
}

static int
read_look(struct dr_guard_server *s, struct dr_err *err)
{
	const struct dr_ask *a = &s->ask;
	const PGresult *r, *bad = dr_ask_error(a, 0);
	size_t n;

	if (bad != NULL || a->results != STANDBYS + 1 ||
	    PQntuples(a->result[ABOUT]) != 1) {
		if (bad != NULL)
			dr_ask_refuse(&s->ask, bad, "look at the server");
		else
			dr_ask_end(&s->ask, DR_PROBE_FAILED,
			    "the server gave no answer to a look");
		return 0;
	}
	r = a->result[ABOUT];
	if (same_place(s, r, err) == -1)
		return -1;
	s->known = s->pid;
	s->standby = *PQgetvalue(r, 0, 0) == 't';
	if ((size_t)PQgetlength(r, 0, 1) < sizeof(s->names))
		copy(s->names, sizeof(s->names), r, 1);
	else
		(void)snprintf(s->names, sizeof(s->names), "*");
	copy(s->cluster_name, sizeof(s->cluster_name), r, 2);
	s->restart = strcmp(PQgetvalue(r, 0, 3), "on") == 0;
	copy(s->region, sizeof(s->region), r, 5);
	s->tli = (uint32_t)strtoul(PQgetvalue(r, 0, 6), NULL, 10);
	s->lsn = lsn(r, 0, 7);
	s->lsn_time = dr_now() - (dr_monotonic() - a->began);
	r = a->result[STANDBYS];
	n = (size_t)PQntuples(r);
	s->members = n;
	for (size_t i = 0; i < n && i < DR_MEMBERS; i++) {
		struct dr_guard_member *m = &s->member[i];

		(void)snprintf(m->name, sizeof(m->name), "%s",
		    PQgetvalue(r, (int)i, 0));
		m->streaming =
		    strcmp(PQgetvalue(r, (int)i, 1), "streaming") == 0;
		m->write = lsn(r, (int)i, 2);
	}
	return 0;
}

/* Until it has answered, or UNTIL. */
static int
turn(struct dr_guard_server *s, int64_t until, struct dr_err *err)
{
	struct dr_ask *a = &s->ask;

	while ((a->at == DR_ASK_CONNECTING || a->at == DR_ASK_BUSY) &&
	       dr_monotonic() < until)
		if (dr_ask_turn(&a, 1, until, err) == -1)
			return -1;
	if (a->at == DR_ASK_IDLE)
		s->heard_at = dr_boottime();
	return 0;
}

/* That it says no is a sign of life, too. */
static void
ended(struct dr_guard_server *s)
{
	const enum dr_probe_state p = s->ask.probe.state;

	if (p == DR_PROBE_STARTING || p == DR_PROBE_STOPPING ||
	    p == DR_PROBE_CROWDED || p == DR_PROBE_DENIED)
		s->heard_at = dr_boottime();
	s->err = s->ask.probe.err;
	hang_up(s);
}

static int
ask(struct dr_guard_server *s, int64_t until, struct dr_err *err)
{
	if (!s->open) {
		if (dr_pg_hosts_find(s->host, 1, until, err) == -1)
			return -1;
		dr_ask_open(&s->ask, s->host, dr_monotonic() + CONNECT_US);
		s->open = true;
		s->busy = false;
	}
	if (turn(s, until, err) == -1)
		return -1;
	if (s->ask.at == DR_ASK_IDLE && !s->busy) {
		dr_ask_send(&s->ask, look_sql, dr_monotonic() + QUERY_US);
		s->busy = true;
		if (turn(s, until, err) == -1)
			return -1;
	}
	if (s->ask.at == DR_ASK_IDLE && s->busy) {
		s->busy = false;
		if (read_look(s, err) == -1)
			return -1;
		if (s->ask.at != DR_ASK_ENDED)
			dr_err_clear(&s->err);
	}
	if (s->ask.at == DR_ASK_ENDED)
		ended(s);
	return 0;
}

/* --- the proof --------------------------------------------------------------- */

/* Every member of the set streams from here, and has the mark. */
static bool
all_have(const struct dr_guard_server *s, const struct dr_syncnames *set)
{
	if (s->members > DR_MEMBERS || set->everyone || set->wait == 0 ||
	    set->n == 0)
		return false;
	for (size_t i = 0; i < set->n; i++) {
		bool there = false;

		for (size_t k = 0; k < s->members; k++) {
			const struct dr_guard_member *m = &s->member[k];

			if (strcasecmp(m->name, set->name[i]) != 0)
				continue;
			if (!m->streaming || m->write < s->mark)
				return false;
			there = true;
		}
		if (!there)
			return false;
	}
	return true;
}

static int
mark(struct dr_guard_server *s, int64_t until, struct dr_err *err)
{
	int64_t began = dr_boottime();
	const PGresult *bad;

	dr_ask_send(&s->ask, mark_sql, dr_monotonic() + QUERY_US);
	if (turn(s, until, err) == -1)
		return -1;
	if (s->ask.at != DR_ASK_IDLE) {
		/* Its answer would be taken for one to a look. */
		if (s->ask.at == DR_ASK_BUSY)
			dr_ask_end(&s->ask, DR_PROBE_HUNG,
			    "no answer to a write");
		ended(s);
		return 0;
	}
	if ((bad = dr_ask_error(&s->ask, 0)) != NULL ||
	    s->ask.results != MARK + 2) {
		if (bad != NULL)
			dr_ask_refuse(&s->ask, bad, "write a mark");
		ended(s);
		return 0;
	}
	s->mark = lsn(s->ask.result[MARK], 0, 0);
	s->mark_at = began;
	return 0;
}

static int
prove(struct dr_guard_server *s, const char *names, int64_t until,
    struct dr_err *err)
{
	struct dr_syncnames set = { 0 };
	struct dr_err odd = { 0 };
	int rc = 0;

	if (dr_syncnames_parse(names, &set, &odd) == 0 && set.wait > 0) {
		rc = mark(s, until, err);
		while (rc == 0 && s->open && s->mark_at != 0 &&
		       s->proof_at < s->mark_at) {
			if ((rc = ask(s, until, err)) == -1 || !s->open)
				break;
			if (all_have(s, &set))
				s->proof_at = s->mark_at;
			else if (dr_monotonic() + NAP_US >= until)
				break;
			else
				rc = dr_guard_server_wait(s, NAP_US, err);
		}
	}
	dr_syncnames_free(&set);
	return rc;
}

int
dr_guard_server_look(struct dr_guard_server *s, int64_t us, const char *names,
    struct dr_err *err)
{
	const int64_t until = dr_monotonic() + us;

	find(s);
	if (s->alive == 0)
		return 0;
	if (ask(s, until, err) == -1)
		return -1;
	if (names == NULL || !s->open || s->ask.at != DR_ASK_IDLE ||
	    !dr_guard_primary(s))
		return 0;
	return prove(s, names, until, err);
}

int
dr_guard_server_wait(struct dr_guard_server *s, int64_t us, struct dr_err *err)
{
	const int64_t until = dr_monotonic() + us;
	struct dr_ask *a = &s->ask;
	bool idle = s->open && a->at == DR_ASK_IDLE;

	do {
		if (dr_ask_turn(&a, s->open ? 1 : 0, until, err) == -1)
			return -1;
		if (s->open && a->at == DR_ASK_ENDED) {
			ended(s);
			if (idle)
				break;
		}
	} while (dr_monotonic() < until);
	return 0;
}

/* --- what it is ---------------------------------------------------------------- */

bool
dr_guard_primary(const struct dr_guard_server *s)
{
	return s->alive != 0 && s->known != 0 && s->known == s->pid &&
	       !s->standby;
}

bool
dr_guard_writable(const struct dr_guard_server *s)
{
	if (s->alive == 0)
		return false;
	if (s->known != 0 && s->known == s->pid)
		return !s->standby || !s->standby_signal;
	return !s->standby_signal;
}

const char *
dr_guard_role(const struct dr_guard_server *s)
{
	if (s->alive == 0)
		return "down";
	if (s->known == 0 || s->known != s->pid)
		return "starting";
	return s->standby ? "standby" : "primary";
}
