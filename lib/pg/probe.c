#include "pg/probe.h"

#include <string.h>

#include "pg/ask.h"
#include "pg/libpq.h"

static const char *const words[] = {
	[DR_PROBE_PRIMARY] = "primary",
	[DR_PROBE_STANDBY] = "standby",
	[DR_PROBE_READONLY] = "read-only",
	[DR_PROBE_NOWRITE] = "no-write",
	[DR_PROBE_FULL] = "disk-full",
	[DR_PROBE_STARTING] = "starting",
	[DR_PROBE_STOPPING] = "stopping",
	[DR_PROBE_CROWDED] = "too-many-connections",
	[DR_PROBE_DENIED] = "denied",
	[DR_PROBE_HUNG] = "hung",
	[DR_PROBE_REFUSED] = "refused",
	[DR_PROBE_UNREACHABLE] = "unreachable",
	[DR_PROBE_FAILED] = "failed",
};

const char *
dr_probe_word(enum dr_probe_state state)
{
	return words[state];
}

bool
dr_probe_answers(enum dr_probe_state state)
{
	return state == DR_PROBE_PRIMARY || state == DR_PROBE_STANDBY ||
	       state == DR_PROBE_READONLY || state == DR_PROBE_NOWRITE ||
	       state == DR_PROBE_FULL;
}

static const char role_sql[] =
    "SELECT pg_catalog.pg_is_in_recovery(),"
    " pg_catalog.current_setting('transaction_read_only') = 'on'";

void
dr_ask_role(struct dr_ask *a, bool standby, bool read_only)
{
	a->probe.state = standby     ? DR_PROBE_STANDBY
	                 : read_only ? DR_PROBE_READONLY
	                             : DR_PROBE_PRIMARY;
	if (a->probe.state == DR_PROBE_READONLY)
		(void)dr_err_set(&a->probe.err, DR_EFAIL,
		    "its transactions are read-only "
		    "(default_transaction_read_only)");
}

static void
read_role(struct dr_ask *a)
{
	const PGresult *bad = dr_ask_error(a, 0), *res;

	if (a->at == DR_ASK_ENDED)
		return;
	if (bad != NULL) {
		dr_ask_refuse(a, bad, "look at the server");
		return;
	}
	res = a->results == 1 ? a->result[0] : NULL;
	if (res == NULL || PQntuples(res) != 1 || PQnfields(res) != 2) {
		dr_ask_end(a, DR_PROBE_FAILED,
		    "its answers make no sense: is it PostgreSQL?");
		return;
	}
	dr_ask_role(a, *PQgetvalue(res, 0, 0) == 't',
	    *PQgetvalue(res, 0, 1) == 't');
}

bool
dr_ask_probed(struct dr_ask *a)
{
	if (a->at == DR_ASK_IDLE && a->results == 0 &&
	    a->probe.state == DR_PROBE_FAILED)
		dr_ask_send(a, role_sql, a->until);
	else if (a->at == DR_ASK_IDLE && a->probe.state == DR_PROBE_FAILED)
		read_role(a);
	return a->at == DR_ASK_ENDED || a->probe.state != DR_PROBE_FAILED;
}
