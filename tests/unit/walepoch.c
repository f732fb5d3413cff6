/* walepoch.c, clustername.c - who is acknowledged to, who may archive. */
#include "flow/walepoch.h"

#include <stdio.h>
#include <string.h>

#include "flow/clustername.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define FORK 0x3000100

static struct dr_err err;
static char why[DR_WALEPOCH_WHY];

static struct dr_walepoch
epoch_of(const char *leader)
{
	struct dr_walepoch e = { .has_epoch = true,
		.epoch = { .epoch = 4, .tli = 2, .fork = FORK } };

	(void)snprintf(e.epoch.leader, DR_NODE_NAME, "%s", leader);
	return e;
}

static struct dr_walepoch
intent_of(const char *verb, int64_t epoch)
{
	struct dr_walepoch e = epoch_of("a");

	e.has_intent = true;
	e.intent.epoch = epoch;
	e.intent.token = 77;
	(void)snprintf(e.intent.verb, sizeof(e.intent.verb), "%s", verb);
	(void)snprintf(e.intent.former, DR_NODE_NAME, "a");
	(void)snprintf(e.intent.candidate, DR_NODE_NAME, "b");
	return e;
}

static void
test_bars(void)
{
	const struct dr_walepoch none = { 0 };
	struct dr_walepoch e = epoch_of("a");

	OK(!dr_walepoch_bars(&none, "a", false, why), "no epoch bars nobody");
	OK(!dr_walepoch_bars(&e, "a", false, why), "nor does one the leader");
	OK(dr_walepoch_bars(&e, "b", false, why) &&
	        strstr(why, "\"b\" is not the primary of epoch 4") != NULL,
	    "another primary is barred");
	OK(!dr_walepoch_bars(&e, "b", true, why), "a standby is not");
	e = intent_of("failover", 5);
	OK(dr_walepoch_bars(&e, "a", false, why) &&
	        strstr(why, "from \"a\" to \"b\"") != NULL &&
	        dr_walepoch_failover(&e)->token == 77,
	    "nor a failover the old primary");
	OK(dr_walepoch_bars(&e, "a", true, why), "whatever it says it is");
	OK(!dr_walepoch_bars(&e, "b", true, why), "the candidate may be");
	e = intent_of("switchover", 5);
	OK(!dr_walepoch_bars(&e, "a", false, why) &&
	        dr_walepoch_failover(&e) == NULL,
	    "a switchover bars nobody before its epoch");
	e = intent_of("failover", 4);
	OK(!dr_walepoch_bars(&e, "a", false, why),
	    "an intent that became an epoch, none");
	e.has_epoch = false;
	OK(dr_walepoch_bars(&e, "a", false, why), "the first one does");
}

static bool
refuses(const struct dr_walepoch *e, const char *server, const char *name,
    uint64_t end)
{
	struct dr_wal_file f;

	return dr_wal_name(name, &f, &err) == 0 &&
	       dr_walepoch_refuses(e, server, &f, end, why);
}

static void
test_refuses(void)
{
	static const char seg[] = "000000010000000000000003",
	                  part[] = "000000010000000000000003.partial";
	struct dr_walepoch e = epoch_of("b");
	const struct dr_walepoch none = { 0 };

	OK(refuses(&e, "a", seg, FORK + 1) &&
	        strstr(why, "timeline 1 ended at 0/3000100") != NULL &&
	        strstr(why, "\"b\" is the primary, on timeline 2") != NULL,
	    "what ends after the fork is refused");
	OK(!refuses(&e, "a", seg, FORK), "what ends there is not");
	OK(!refuses(&e, "b", seg, FORK + 1), "nor what the leader has");
	OK(refuses(&e, "", seg, FORK + 1), "but who is not known");
	OK(refuses(&e, "a", part, FORK + 1) && !refuses(&e, "", part, FORK + 1),
	    "a .partial is where it is known that it is not the leader's");
	OK(!refuses(&e, "a", "000000020000000000000003", FORK + 1),
	    "the leader's timeline is anybody's");
	OK(!refuses(&e, "a", "00000001.history", FORK + 1),
	    "a history is no WAL");
	OK(!refuses(&e, "a", seg, 0), "nor is what ends nobody knows where");
	e.epoch.fork = 0;
	OK(!refuses(&e, "a", seg, FORK + 1), "or an epoch begins");
	OK(!refuses(&none, "a", seg, FORK + 1), "no epoch refuses nothing");
}

static void
put(const char *dir, const char *name, const char *text)
{
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "w")) != NULL) {
		(void)fputs(text, f);
		(void)fclose(f);
	}
}

static bool
named(const char *dir, const char *want)
{
	char name[DR_NODE_NAME];

	return dr_cluster_name(dir, name, sizeof(name), &err) == 0 &&
	       strcmp(name, want) == 0;
}

static void
test_name(void)
{
	const char *dir = tmp_dir;
	char text[128];

	OK(named(dir, ""), "where nothing says it there is no name");
	put(dir, "postgresql.conf",
	    "port = 1\n#cluster_name = 'x'\ncluster_name = 'it''s' # y\n");
	OK(named(dir, "it's"), "postgresql.conf does");
	put(dir, "postgresql.auto.conf", "Cluster_Name = plain\n");
	OK(named(dir, "plain"), "postgresql.auto.conf before it");
	put(dir, "elsewhere.conf", "cluster_name='15/main'");
	(void)snprintf(text, sizeof(text),
	    "/bin/postgres \"-D\" \"/x\" \"-c\" \"config_file=%s/%s\"\n", dir,
	    "elsewhere.conf");
	put(dir, "postmaster.opts", text);
	OK(named(dir, "plain"), "that of another place is read, too");
	put(dir, "postgresql.auto.conf", "\n");
	OK(named(dir, "15/main"), "and counts");
	put(dir, "postmaster.opts",
	    "/bin/postgres \"-c\" \"cluster_name=by hand\"\n");
	OK(named(dir, "by hand"), "and the command line before all");
	put(dir, "postmaster.opts", "");
	put(dir, "postgresql.conf",
	    "cluster_name = "
	    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaa'\n");
	OK(named(dir, ""), "one that does not fit is none");
}

int
main(void)
{
	test_bars();
	test_refuses();
	tmp_make();
	test_name();
	tmp_leave();
	return DONE();
}
