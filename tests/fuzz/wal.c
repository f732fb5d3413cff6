/*
 * What PostgreSQL writes beside and into WAL: names, first pages, histories,
 * control files, and the names of objects made of them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flow/walobj.h"
#include "pg/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
history(const char *text, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_history h;
	uint64_t last = 0;

	if (dr_history_parse(text, size, 100, &h, &err) == -1)
		return;
	for (size_t i = 0; i < h.n; i++) {
		if (h.v[i].end < last || h.v[i].tli >= 100 ||
		    dr_history_end(&h, h.v[i].tli) != h.v[i].end ||
		    dr_history_at(&h, h.v[i].end) <= h.v[i].tli)
			abort();
		last = h.v[i].end;
	}
	dr_history_free(&h);
}

static void
page(const void *data, size_t size)
{
	char name[DR_WAL_NAME_MAX];
	struct dr_err err = { 0 };
	struct dr_wal_page w;
	struct dr_wal_file f;
	uint64_t lsn, id;

	(void)dr_wal_control(data, size, &id, &err);
	if (dr_wal_page(data, size, &w, &err) == -1)
		return;
	if (dr_wal_name(dr_wal_segment_at(w.tli, w.addr, w.segsize, name), &f,
	        &err) == -1 ||
	    !dr_wal_start(&f, w.segsize, &lsn) ||
	    lsn != w.addr - w.addr % w.segsize ||
	    (lsn == w.addr &&
	        dr_wal_check(&f, &w, w.system_id, NULL, &err) == -1))
		abort();
}

static void
object(const char *text)
{
	struct dr_wal_id id;
	struct dr_err err = { 0 };
	enum dr_cipher cipher;
	char *again;

	if (dr_wal_object_parse("main", text, &id, &cipher) == 0)
		return;
	/* What is a name has one way to be written. */
	if ((again = dr_wal_object_name(&id, cipher, &err)) == NULL ||
	    strcmp(again, text) != 0)
		abort();
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_wal_file f;
	char *text;

	if ((text = malloc(size + 1)) == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	(void)dr_wal_name(text, &f, &err);
	object(text);
	history(text, size);
	page(data, size);
	free(text);
	return 0;
}
