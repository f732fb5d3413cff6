/*
 * Standbys: what their senders say of them and what they say themselves,
 * brought together.  A sender knows a standby by application_name, slot and
 * address, we know it by its connection string and cluster_name.  In this
 * order, and each only where it fits one row and one standby:
 *
 *	1. application_name is its cluster_name, which is the server's default;
 *	2. the slot is named as it is (cluster_name, "-" and the like as "_");
 *	3. the row's address is the host in its connection string;
 *	4. one row and one streaming standby are left, and the port that this
 *	   streams from is the sender's.
 *
 * What does not fit is two entries, not a guess.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/lag_int.h"

struct pairing {
	struct dr_lag *lag;
	struct dr_lag_standby *made; /* row is set: of a sender */
	size_t n, cap;
	const struct dr_pg_view **left; /* standbys without a row */
	size_t lefts;
};

static bool
given(const char *s)
{
	return s != NULL && *s != '\0';
}

bool
dr_lag_same(const struct dr_pg_view *a, const struct dr_pg_view *b)
{
	return dr_lag_answers(a) && dr_lag_answers(b) &&
	       a->system_id == b->system_id && dr_known(a->started) &&
	       a->started == b->started && a->version == b->version &&
	       a->in_recovery == b->in_recovery;
}

/* One that stands before it in the list already. */
static bool
alias(const struct dr_lag *lag, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (dr_lag_same(&lag->server[k], &lag->server[i]))
			return true;
	return false;
}

/* --- names --------------------------------------------------------------------- */

static bool
taken(const struct dr_lag *lag, size_t upto, const char *name)
{
	for (size_t i = 0; i < upto; i++)
		if (strcmp(lag->server[i].name, name) == 0)
			return true;
	return false;
}

static int
rename_to(char **name, char *to)
{
	if (to == NULL)
		return -1;
	free(*name);
	*name = to;
	return 0;
}

/* Debian calls every cluster "15/main": then its address is its name. */
static int
server_names(struct dr_lag *lag, struct dr_err *err)
{
	struct dr_pg_view *v = lag->server;
	bool *twice = calloc(lag->servers + 1, sizeof(*twice));
	int rc = -1;

	if (twice == NULL)
		return dr_err_sys(err, "cannot name the servers");
	for (size_t i = 0; i < lag->servers; i++)
		for (size_t k = 0; k < lag->servers; k++)
			if (k != i && strcmp(v[i].name, v[k].name) == 0)
				twice[i] = true;
	for (size_t i = 0; i < lag->servers; i++) {
		if (twice[i] &&
		    rename_to(&v[i].name, dr_fmt(err, "%s", v[i].where)) == -1)
			goto out;
		for (int n = 2; taken(lag, i, v[i].name); n++)
			if (rename_to(&v[i].name,
			        dr_fmt(err, "%s#%d", v[i].where, n)) == -1)
				goto out;
	}
	rc = 0;

out:
	free(twice);
	return rc;
}

/* As slots may be called: lower case, digits, underscores. */
static bool
slot_like(const char *slot, const char *name)
{
	for (; *slot != '\0' && *name != '\0'; slot++, name++) {
		char c = (char)tolower((unsigned char)*name);

		if (*slot != c && !(*slot == '_' && !isalnum((unsigned char)c)))
			return false;
	}
	return *slot == '\0' && *name == '\0';
}

/* The host in "HOST:PORT". */
static bool
host_is(const char *where, const char *addr)
{
	const char *colon = strrchr(where, ':');
	size_t n = colon == NULL ? strlen(where) : (size_t)(colon - where);

	if (n > 2 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	return strlen(addr) == n && strncmp(where, addr, n) == 0;
}

static bool
same_port(const char *a, const char *b)
{
	a = strrchr(a, ':');
	b = strrchr(b, ':');
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* --- pairs ----------------------------------------------------------------------- */

static bool
by_name(const struct dr_lag_standby *s, const struct dr_pg_view *v)
{
	return given(v->cluster_name) && !s->logical &&
	       strcmp(dr_lag_text(s->row->name), v->cluster_name) == 0;
}

static bool
by_slot(const struct dr_lag_standby *s, const struct dr_pg_view *v)
{
	return given(s->row->slot) && !s->logical &&
	       (slot_like(s->row->slot, dr_lag_text(v->cluster_name)) ||
	           slot_like(s->row->slot, dr_lag_text(v->name)));
}

static bool
by_addr(const struct dr_lag_standby *s, const struct dr_pg_view *v)
{
	return given(s->row->addr) && !s->logical && !s->receiver &&
	       host_is(dr_lag_text(v->where), s->row->addr);
}

static bool
left_over(const struct dr_lag_standby *s, const struct dr_pg_view *v)
{
	return !s->logical && !s->receiver && dr_lag_answers(v) &&
	       strcmp(dr_lag_text(v->receiver), "streaming") == 0 &&
	       given(v->sender) &&
	       same_port(v->sender, dr_lag_text(s->sender->where));
}

/* Bring together what FITS says belongs together, and nothing else does. */
static void
pair(struct pairing *p,
    bool (*fits)(const struct dr_lag_standby *, const struct dr_pg_view *))
{
	for (size_t k = 0; k < p->lefts; k++) {
		const struct dr_pg_view *v = p->left[k];
		struct dr_lag_standby *found = NULL;
		size_t rows = 0, views = 0;

		if (v == NULL)
			continue;
		for (size_t i = 0; i < p->n; i++)
			if (p->made[i].self == NULL && p->made[i].sender != v &&
			    fits(&p->made[i], v)) {
				found = &p->made[i];
				rows++;
			}
		for (size_t i = 0; found != NULL && i < p->lefts; i++)
			views += p->left[i] != NULL && fits(found, p->left[i]);
		if (rows != 1 || views != 1)
			continue;
		found->self = v;
		p->left[k] = NULL;
	}
}

static struct dr_lag_standby *
add(struct pairing *p, struct dr_err *err)
{
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 16 : 2 * p->cap;
		struct dr_lag_standby *more =
		    reallocarray(p->made, cap, sizeof(*more));

		if (more == NULL) {
			dr_err_sys(err, "cannot list the standbys");
			return NULL;
		}
		p->made = more;
		p->cap = cap;
	}
	memset(&p->made[p->n], 0, sizeof(*p->made));
	return &p->made[p->n++];
}

static bool
logical_slot(const struct dr_pg_view *v, const char *name)
{
	for (size_t i = 0; given(name) && i < v->slots; i++)
		if (strcmp(v->slot[i].name, name) == 0)
			return strcmp(dr_lag_text(v->slot[i].type),
			           "logical") == 0;
	return false;
}

static bool
receiver(const struct dr_pg_standby *row)
{
	static const char *const names[] = { "dr_wal", "pg_receivewal",
		"pg_basebackup", "barman_receive_wal" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(dr_lag_text(row->name), names[i]) == 0)
			return true;
	/* A standby names a position replayed from its first message on. */
	return row->replay == 0 && row->write != 0;
}

static int
rows(struct pairing *p, const struct dr_pg_view *v, struct dr_err *err)
{
	for (size_t i = 0; i < v->standbys; i++) {
		const struct dr_pg_standby *row = &v->standby[i];
		struct dr_lag_standby *s;

		if (strcmp(dr_lag_text(row->state), "backup") == 0)
			continue;
		/* All of it is kept from this user. */
		if (!given(row->name) && !given(row->state))
			continue;
		if ((s = add(p, err)) == NULL)
			return -1;
		s->sender = v;
		s->row = row;
		s->logical = logical_slot(v, row->slot);
		s->receiver = !s->logical && receiver(row);
	}
	return 0;
}

/* Is NAME what somebody might call it? */
static bool
called(const struct dr_lag_standby *s, const char *name)
{
	return (s->row != NULL &&
	           (strcmp(dr_lag_text(s->row->name), name) == 0 ||
	               strcmp(dr_lag_text(s->row->slot), name) == 0)) ||
	       (s->self != NULL &&
	           (strcmp(dr_lag_text(s->self->name), name) == 0 ||
	               strcmp(dr_lag_text(s->self->cluster_name), name) == 0 ||
	               strcmp(dr_lag_text(s->self->where), name) == 0));
}

static bool
is_server(const struct dr_pg_view *v, const char *name)
{
	return strcmp(v->name, name) == 0 ||
	       strcmp(dr_lag_text(v->cluster_name), name) == 0 ||
	       strcmp(dr_lag_text(v->where), name) == 0;
}

/* Servers that do not answer are known by the names that they had. */
static void
silent(struct pairing *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0;
		     p->made[i].self == NULL && k < p->lag->servers; k++)
			if (!dr_lag_answers(&p->lag->server[k]) &&
			    given(p->made[i].row->name) &&
			    is_server(&p->lag->server[k], p->made[i].row->name))
				p->made[i].self = &p->lag->server[k];
}

static int
expect(struct pairing *p, const char *name, struct dr_err *err)
{
	const struct dr_lag *lag = p->lag;
	struct dr_lag_standby *s, *found = NULL;

	/* Of several of that name, one that has not been counted yet. */
	for (size_t i = 0; found == NULL && i < p->n; i++)
		if (!p->made[i].expected && called(&p->made[i], name))
			found = &p->made[i];
	if (found == NULL && lag->primary != NULL &&
	    is_server(lag->primary, name))
		return 0;
	if (found == NULL && (s = add(p, err)) == NULL)
		return -1;
	s = found != NULL ? found : s;
	s->expected = true;
	if (s->self == NULL)
		for (size_t i = 0; i < lag->servers; i++)
			if (!dr_lag_answers(&lag->server[i]) &&
			    is_server(&lag->server[i], name))
				s->self = &lag->server[i];
	return rename_to(&s->name, dr_fmt(err, "%s", name));
}

static int
standby_names(struct pairing *p, struct dr_err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		struct dr_lag_standby *s = &p->made[i];
		const char *base;
		char *name;

		if (s->name != NULL)
			continue;
		base = s->self != NULL       ? s->self->name
		       : given(s->row->name) ? s->row->name
		                             : "walreceiver";
		name = dr_fmt(err, "%s", base);
		for (int n = 1; name != NULL; n++) {
			size_t k = 0;

			while (
			    k < p->n && (p->made[k].name == NULL ||
			                    strcmp(p->made[k].name, name) != 0))
				k++;
			if (k == p->n)
				break;
			free(name);
			if (n == 1 && s->row != NULL &&
			    (given(s->row->slot) || given(s->row->addr)))
				name = dr_fmt(err, "%s@%s", base,
				    given(s->row->slot) ? s->row->slot
				                        : s->row->addr);
			else
				name = dr_fmt(err, "%s#%d", base, n + 1);
		}
		if ((s->name = name) == NULL)
			return -1;
	}
	return 0;
}

/* --- all of it -------------------------------------------------------------------- */

int
dr_lag_match(struct dr_lag *lag, const struct dr_lag_opts *o,
    struct dr_err *err)
{
	struct pairing p = { .lag = lag };
	struct dr_lag_standby *s;
	size_t i;
	int rc = -1;

	if (server_names(lag, err) == -1)
		return -1;
	for (i = 0; i < lag->servers; i++)
		if (dr_lag_answers(&lag->server[i]) &&
		    !lag->server[i].in_recovery && !alias(lag, i)) {
			lag->primary = &lag->server[i];
			lag->primaries++;
		}
	if (lag->primaries != 1)
		lag->primary = NULL;
	p.left = calloc(lag->servers + 1, sizeof(*p.left));
	if (p.left == NULL)
		return dr_err_sys(err, "cannot list the standbys");
	for (i = 0; i < lag->servers; i++) {
		const struct dr_pg_view *v = &lag->server[i];

		if (!dr_lag_answers(v) || alias(lag, i))
			continue;
		if (rows(&p, v, err) == -1)
			goto out;
		if (v->in_recovery)
			p.left[p.lefts++] = v;
	}
	pair(&p, by_name);
	pair(&p, by_slot);
	pair(&p, by_addr);
	pair(&p, left_over);
	silent(&p);
	for (i = 0; i < p.lefts; i++)
		if (p.left[i] != NULL) {
			if ((s = add(&p, err)) == NULL)
				goto out;
			s->self = p.left[i];
		}
	for (i = 0; i < o->expects; i++)
		if (expect(&p, o->expect[i], err) == -1)
			goto out;
	if (standby_names(&p, err) == -1)
		goto out;
	for (i = 0; i < p.n; i++)
		dr_lag_measure(lag, &p.made[i]);
	rc = 0;

out:
	lag->standby = p.made;
	lag->standbys = p.n;
	free(p.left);
	return rc;
}
