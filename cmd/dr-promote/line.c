/* The options that verbs of dr-promote have in common. */
#include "cmd/dr-promote/line.h"

#include "base/num.h"
#include "flow/stores.h"

#define HOUR_MS  3600000
#define GRACE_MS 200

int
promote_line_open(struct promote_line *l, struct dr_err *err)
{
	struct dr_promote_opts *o = &l->o;
	uint64_t size;

	if (dr_set_named(o->set, err) == -1)
		return -1;
	if (l->conninfo.n == 0) {
		dr_err_set(err, DR_EUSAGE, "no server is named");
		return dr_err_hint(err, "give -d CONNINFO for each of them");
	}
	if (l->timeout == 0 || l->timeout > HOUR_MS || l->stop > HOUR_MS ||
	    l->pause > HOUR_MS || l->promote > HOUR_MS)
		return dr_err_set(err, DR_EUSAGE,
		    "a time is longer than an hour, or nothing at all");
	if (l->ttl < 2000 || l->ttl > HOUR_MS)
		return dr_err_set(err, DR_EUSAGE,
		    "a lock lasts from 2s to an hour");
	o->ttl = (int)((l->ttl + 999) / 1000);
	o->max_loss = DR_UNKNOWN;
	if (l->max_loss != NULL) {
		if (dr_parse_size(l->max_loss, &size, err) == -1)
			return -1;
		o->max_loss = size > INT64_MAX ? INT64_MAX : (int64_t)size;
	}
	o->state = dr_common.state;
	o->conninfo = l->conninfo.v;
	o->conninfos = l->conninfo.n;
	o->timeout_ms = l->timeout;
	o->grace_ms = GRACE_MS;
	o->stop_ms = l->stop;
	o->pause_ms = l->pause;
	o->promote_ms = l->promote;
	return dr_coord_line_open(&l->coord, o->set, &l->etcd, &o->coord, err);
}

void
promote_line_close(struct promote_line *l)
{
	dr_coord_free(l->o.coord);
	dr_etcd_free(l->etcd);
	dr_strs_free(&l->conninfo);
}
