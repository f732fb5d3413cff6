/*
 * rejoin - a former primary becomes a standby of the new one, for the tests.
 *
 *	rejoin [-acjn] [-b BINDIR] [-f CONFIG] [-i IDENTITY] [-k DIR]
 *	    [-S SLOT] [-s STORE] [-w WAY] PGDATA CONNINFO
 *
 *	-a	a fresh copy is allowed
 *	-j	say it as JSON
 *	-n	change nothing
 *	-s	with the set "main"
 *	-w	ways before this one are left out: 2 rewind, 3 delta, 4 copy
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "crypt/secret.h"
#include "flow/rejoin.h"
#include "flow/sealing.h"

#define OUT_MAX (1U << 20)

struct options {
	struct dr_rejoin_opts o;
	struct dr_from_opts from;
	struct dr_strs identities;
	bool json;
};

static int
parse(struct options *p, int argc, char **argv, struct dr_err *err)
{
	int c;

	while ((c = getopt(argc, argv, "ab:f:i:jk:nS:s:w:")) != -1)
		switch (c) {
		case 'a':
			p->o.allow_copy = true;
			break;
		case 'b':
			p->o.bindir = optarg;
			break;
		case 'f':
			p->o.config_file = optarg;
			break;
		case 'i':
			if (dr_strs_add(&p->identities, optarg, err) == -1)
				return -1;
			break;
		case 'j':
			p->json = true;
			break;
		case 'k':
			p->o.keep_wal = optarg;
			break;
		case 'n':
			p->o.dry_run = true;
			break;
		case 'S':
			p->o.slot = optarg;
			break;
		case 's':
			if (dr_strs_add(&p->from.stores, optarg, err) == -1)
				return -1;
			p->o.from = &p->from;
			break;
		case 'w':
			p->o.least = (enum dr_rejoin_way)(*optarg - '0');
			break;
		default:
			return dr_err_set(err, DR_EUSAGE, "see the source");
		}
	if (argc - optind != 2)
		return dr_err_set(err, DR_EUSAGE, "PGDATA CONNINFO");
	p->o.pgdata = argv[optind];
	p->o.conninfo = argv[optind + 1];
	return 0;
}

static void
show(const struct options *p, const struct dr_rejoin *r)
{
	struct dr_buf out = { .max = OUT_MAX };
	struct dr_err err = { 0 };
	struct dr_json j;

	if (p->json) {
		dr_json_init(&j, &out);
		dr_json_object(&j, NULL);
		dr_rejoin_json(r, &j);
		dr_json_close(&j, '}');
		(void)dr_json_end(&j, &err);
	} else
		(void)dr_rejoin_text(r, &out, &err);
	if (out.data != NULL)
		printf("%s\n", out.data);
	dr_buf_free(&out);
}

int
main(int argc, char **argv)
{
	struct options p = { .o.set = "main" };
	struct dr_identities *ids = NULL;
	struct dr_rejoin r = { .done = false };
	struct dr_err err = { 0 };

	dr_main_begin("rejoin");
	p.o.state = p.from.state = getenv("DR_STATE");
	p.from.set = "main";
	p.o.identities = &p.identities;
	if (parse(&p, argc, argv, &err) == 0 && dr_crypt_init(&err) == 0 &&
	    (p.identities.n == 0 || (ids = dr_identities_gather(&p.identities,
	                                 NULL, NULL, &err)) != NULL)) {
		p.o.ids = ids;
		(void)dr_rejoin(&p.o, &r, &err);
		show(&p, &r);
	}
	dr_rejoin_wipe(&r);
	dr_identities_free(ids);
	dr_strs_free(&p.identities);
	dr_strs_free(&p.from.stores);
	return dr_main_end(&err);
}
