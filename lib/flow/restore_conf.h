/*
 * restore_conf.h - the configuration of a restored cluster: it recovers to
 * the end of its backup, on a new timeline, and touches nothing of the
 * cluster it was taken from.
 */
#ifndef DR_FLOW_RESTORE_CONF_H
#define DR_FLOW_RESTORE_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "flow/place.h"
#include "flow/restore.h"
#include "flow/writer.h"
#include "pg/backup_manifest.h"

#define DR_EDITS_MAX 8

/* Files that now differ from what backup_manifest says. */
struct dr_edits {
	struct dr_bm_edit v[DR_EDITS_MAX];
	struct dr_buf text[DR_EDITS_MAX];
	size_t n;
};

/* Note and write NAME below the data directory; takes over TEXT's bytes. */
int dr_edits_put(struct dr_edits *, const struct dr_place *, const char *name,
    struct dr_buf *text, struct dr_err *);
void dr_edits_free(struct dr_edits *);

/*
 * postgresql.conf and its companions, where they lay outside the data
 * directory; settings that lead out of the directory are commented out.
 */
int dr_restore_files_conf(const struct dr_place *, const struct dr_writer *,
    struct dr_edits *, struct dr_err *);

/* postgresql.auto.conf, and recovery.signal or standby.signal. */
int dr_restore_auto_conf(const struct dr_place *,
    const struct dr_restore_opts *, struct dr_err *);

/*
 * For one line of a configuration file: does it set one of the NAMES, a
 * NULL-terminated list?  Its index, or -1.  *VALUE and *LEN: what it is set
 * to, with its quotes.
 */
int dr_conf_sets(const char *line, size_t n, const char *const *names,
    const char **value, size_t *len);

#endif /* !DR_FLOW_RESTORE_CONF_H */
