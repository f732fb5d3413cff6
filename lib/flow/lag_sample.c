/* Where the primary's WAL ended when. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "flow/lag_store_int.h"

#define FILE_MAX  (256U << 10)
#define OLDEST_US (60LL * 86400 * 1000000)
#define LOCK_MS   50

/*
 * A sample may go when the one after it and the one before lie no further
 * apart than this part of their age: a bound then grows by no more than that.
 */
#define THIN     16
#define THIN_MIN 200000 /* us */

void
dr_lag_now(struct dr_lag_now *now)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	struct dr_err none = { 0 };
	struct timespec t;
	char *id;

	memset(now, 0, sizeof(*now));
	now->wall = dr_now();
	now->boot = DR_UNKNOWN;
	if ((id = dr_file_get(path, 64, NULL, &none)) == NULL)
		return;
	id[strcspn(id, " \n")] = '\0';
	if (strlen(id) > 8 && strlen(id) < sizeof(now->boot_id) &&
	    clock_gettime(CLOCK_BOOTTIME, &t) == 0) {
		(void)snprintf(now->boot_id, sizeof(now->boot_id), "%s", id);
		now->boot = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	}
	free(id);
}

int64_t
dr_lag_sample_age(const struct dr_lag_sample *s, const struct dr_lag_now *now)
{
	int64_t age = dr_known(s->boot) && dr_known(now->boot)
	                  ? now->boot - s->boot
	                  : now->wall - s->wall;

	return age < 0 ? DR_UNKNOWN : age;
}

/* --- keeping ------------------------------------------------------------------- */

static void
drop(struct dr_lag_samples *all, size_t i)
{
	memmove(&all->v[i], &all->v[i + 1],
	    (all->n - i - 1) * sizeof(all->v[0]));
	all->n--;
}

static void
thin(struct dr_lag_samples *all, const struct dr_lag_now *now)
{
	for (size_t i = all->n; i-- > 0;) {
		int64_t before, after;

		if (i + 1 >= all->n || i == 0)
			continue;
		before = dr_lag_sample_age(&all->v[i - 1], now);
		after = dr_lag_sample_age(&all->v[i + 1], now);
		if (all->v[i - 1].tli == all->v[i].tli &&
		    before - after <= before / THIN + THIN_MIN)
			drop(all, i);
	}
}

void
dr_lag_samples_add(struct dr_lag_samples *all, const struct dr_lag_sample *s,
    const struct dr_lag_now *now)
{
	for (size_t i = all->n; i-- > 0;) {
		const struct dr_lag_sample *p = &all->v[i];
		int64_t age = dr_lag_sample_age(p, now);

		if (!dr_known(age) || age > OLDEST_US ||
		    (p->tli == s->tli && p->lsn > s->lsn))
			drop(all, i);
	}
	if (all->n > 0 && all->v[all->n - 1].tli == s->tli &&
	    all->v[all->n - 1].lsn == s->lsn)
		all->n--;
	thin(all, now);
	if (all->n == DR_LAG_SAMPLES)
		drop(all, 0);
	all->v[all->n++] = *s;
}

bool
dr_lag_sample_of(const struct dr_pg_view *p, const struct dr_lag_now *now,
    struct dr_lag_sample *s)
{
	int64_t took;

	if (p == NULL || p->in_recovery || p->lsn == 0 || p->tli == 0 ||
	    p->system_id == 0 || !dr_known(p->asked) || p->asked <= 0 ||
	    p->asked > now->wall)
		return false;
	took = dr_known(p->probe.answer_us) && p->probe.answer_us > 0
	           ? p->probe.answer_us
	           : 0;
	s->tli = p->tli;
	s->lsn = p->lsn;
	/* Before it was asked, not in the middle. */
	s->wall = p->asked - took;
	s->boot = dr_known(now->boot) ? now->boot - (now->wall - s->wall)
	                              : DR_UNKNOWN;
	return true;
}

/* --- the file ------------------------------------------------------------------- */

static char *
path_of(const char *state, uint64_t system_id, struct dr_err *err)
{
	return dr_fmt(err, "%s/lag/samples-%" PRIu64, state, system_id);
}

/* "samples 1 BOOT-ID", then lines of "TLI LSN WALL BOOT", BOOT -1: another. */
static bool
parse(char *text, const struct dr_lag_now *now, struct dr_lag_samples *all)
{
	char *line, *save = NULL, boot_id[40], rest;
	bool same;

	if ((line = strtok_r(text, "\n", &save)) == NULL ||
	    sscanf(line, "samples 1 %39s%c", boot_id, &rest) != 1)
		return false;
	same = now->boot_id[0] != '\0' && strcmp(boot_id, now->boot_id) == 0;
	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		struct dr_lag_sample *s = &all->v[all->n];

		if (all->n == DR_LAG_SAMPLES ||
		    sscanf(line,
		        "%" SCNu32 " %" SCNu64 " %" SCNd64 " %" SCNd64 "%c",
		        &s->tli, &s->lsn, &s->wall, &s->boot, &rest) != 4)
			return false;
		if (!same || s->boot < 0)
			s->boot = DR_UNKNOWN;
		all->n++;
	}
	return true;
}

void
dr_lag_samples_read(const char *state, uint64_t system_id,
    const struct dr_lag_now *now, struct dr_lag_samples *all)
{
	struct dr_err none = { 0 };
	char *path = path_of(state, system_id, &none), *text = NULL;
	size_t len = 0;

	all->n = 0;
	if (path != NULL)
		text = dr_file_get(path, FILE_MAX, &len, &none);
	if (text != NULL &&
	    (strlen(text) != len || len == 0 || text[len - 1] != '\n' ||
	        !parse(text, now, all)))
		all->n = 0;
	free(text);
	free(path);
}

static int
write_all(const char *path, const struct dr_lag_now *now,
    const struct dr_lag_samples *all, struct dr_err *err)
{
	struct dr_buf text = { .max = FILE_MAX };
	struct dr_file f = DR_FILE_INIT;
	int rc = -1;

	if (dr_buf_fmt(&text, err, "samples 1 %s\n",
	        now->boot_id[0] == '\0' ? "-" : now->boot_id) == -1)
		goto out;
	for (size_t i = 0; i < all->n; i++) {
		const struct dr_lag_sample *s = &all->v[i];

		if (dr_buf_fmt(&text, err,
		        "%" PRIu32 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
		        s->tli, s->lsn, s->wall,
		        dr_known(s->boot) ? s->boot : -1) == -1)
			goto out;
	}
	/* Not fsynced: what is lost with the host only loosens a bound. */
	if (dr_file_create(&f, path, 0600, err) == -1 ||
	    dr_fd_write(f.fd, text.data, text.len, path, err) == -1)
		goto out;
	if (rename(f.tmp, path) == -1)
		dr_err_sys(err, "cannot write \"%s\"", path);
	else
		rc = 0;

out:
	dr_file_abandon(&f);
	dr_buf_free(&text);
	return rc;
}

int
dr_lag_sample(const char *state, const struct dr_pg_view *primary,
    struct dr_err *err)
{
	struct dr_lag_samples *all;
	struct dr_lag_sample s;
	struct dr_lag_now now;
	char *dir, *path = NULL, *lock = NULL;
	int fd = -1, rc = -1;

	dr_lag_now(&now);
	if (!dr_lag_sample_of(primary, &now, &s))
		return 0;
	if ((all = malloc(sizeof(*all))) == NULL)
		return dr_err_sys(err, "cannot note where WAL ends");
	if ((dir = dr_fmt(err, "%s/lag", state)) == NULL ||
	    (path = path_of(state, primary->system_id, err)) == NULL ||
	    (lock = dr_fmt(err, "%s.lock", path)) == NULL ||
	    dr_mkdirs(dir, 0700, err) == -1 ||
	    (fd = dr_lock(lock, LOCK_MS, err)) == -1)
		goto out;
	dr_lag_samples_read(state, primary->system_id, &now, all);
	dr_lag_samples_add(all, &s, &now);
	rc = write_all(path, &now, all, err);

out:
	if (fd != -1)
		close(fd);
	free(all);
	free(dir);
	free(path);
	free(lock);
	return rc;
}
