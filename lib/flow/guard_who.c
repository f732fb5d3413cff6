/* Which node this is. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "flow/clustername.h"
#include "flow/guard_int.h"

/* It becomes a part of a key in etcd, and of a file's name. */
static bool
name_ok(const char *s)
{
	static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                          "abcdefghijklmnopqrstuvwxyz0123456789._:-";

	return *s != '\0' && *s != '.' && strlen(s) < DR_NODE_NAME &&
	       strspn(s, may) == strlen(s);
}

/* Of this host and DIR, on any day the same. */
static int
make_id(const char *dir, char id[DR_GUARD_ID], struct dr_err *err)
{
	struct dr_buf b = { .max = 65536 };
	char host[256] = "", hex[DR_SHA256_HEX], *machine;
	struct dr_err none = { 0 };
	size_t len;
	int rc;

	(void)gethostname(host, sizeof(host) - 1);
	machine = dr_file_get("/etc/machine-id", 4096, &len, &none);
	rc = dr_buf_fmt(&b, err, "%s\n%s\n%s\n", host,
	    machine != NULL ? machine : "", dir);
	if (rc == 0)
		rc = dr_sha256_hex(b.data, b.len, hex, err);
	if (rc == 0)
		(void)snprintf(id, DR_GUARD_ID, "%.32s", hex);
	dr_buf_free(&b);
	free(machine);
	return rc;
}

int
dr_guard_who(const struct dr_guard_opts *o, struct dr_guard_who *w,
    struct dr_err *err)
{
	memset(w, 0, sizeof(*w));
	if (o->pgdata == NULL) {
		dr_err_set(err, DR_EUSAGE, "no data directory is named");
		return dr_err_hint(err, "give it with -D");
	}
	if ((w->dir = realpath(o->pgdata, NULL)) == NULL) {
		dr_err_sys(err, "cannot find \"%s\"", o->pgdata);
		err->cause = DR_EUSAGE;
		return -1;
	}
	if (o->name != NULL)
		(void)snprintf(w->name, sizeof(w->name), "%s", o->name);
	else if (dr_cluster_name(w->dir, w->name, sizeof(w->name), err) == -1)
		goto fail;
	if (*w->name == '\0') {
		dr_err_set(err, DR_EUSAGE,
		    "this node has no name: cluster_name is not set in \"%s\"",
		    w->dir);
		dr_err_hint(err, "set it, differently on each node, or give "
		                 "what it says with --name");
		goto fail;
	}
	if (!name_ok(w->name) ||
	    (o->name != NULL && strlen(o->name) >= sizeof(w->name))) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" cannot name a node",
		    o->name != NULL ? o->name : w->name);
		dr_err_hint(err,
		    "cluster_name, or --name, has to be up to %d letters, "
		    "digits, \".\", \"_\", \":\" and \"-\", and another one on "
		    "each node",
		    DR_NODE_NAME - 1);
		goto fail;
	}
	if (make_id(w->dir, w->id, err) == -1)
		goto fail;
	return 0;

fail:
	dr_guard_who_wipe(w);
	return -1;
}

void
dr_guard_who_wipe(struct dr_guard_who *w)
{
	free(w->dir);
	memset(w, 0, sizeof(*w));
}

int
dr_guard_value(const struct dr_rec_node *n, const char *id, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_buf b = { .max = 8192 };
	json_t *j = NULL;
	char *text = NULL;
	int rc = -1;

	if (dr_rec_node_put(n, &b, err) == -1)
		goto out;
	if ((j = json_loadb(b.data, b.len, 0, NULL)) == NULL ||
	    json_object_set_new(j, "id", json_string(id)) == -1 ||
	    (text = json_dumps(j, JSON_COMPACT)) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot write a record: no memory");
		goto out;
	}
	rc = dr_buf_str(out, text, err);

out:
	free(text);
	json_decref(j);
	dr_buf_free(&b);
	return rc;
}

bool
dr_guard_value_get(const char *value, char name[DR_NODE_NAME],
    char id[DR_GUARD_ID])
{
	json_t *j = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
	const char *n = json_string_value(json_object_get(j, "name")),
	           *i = json_string_value(json_object_get(j, "id"));
	bool is = n != NULL && strlen(n) < DR_NODE_NAME;

	if (is) {
		(void)snprintf(name, DR_NODE_NAME, "%s", n);
		(void)snprintf(id, DR_GUARD_ID, "%.32s", i != NULL ? i : "");
	}
	json_decref(j);
	return is;
}

int
dr_guard_name(const struct dr_guard_opts *o, char name[DR_NODE_NAME],
    struct dr_err *err)
{
	struct dr_guard_who w;

	if (dr_guard_who(o, &w, err) == -1)
		return -1;
	memcpy(name, w.name, sizeof(w.name));
	dr_guard_who_wipe(&w);
	return 0;
}
