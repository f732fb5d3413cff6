/*
 * What servers say of themselves that a failover takes apart: the names of
 * synchronous standbys, connection strings, the last pages of WAL.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pg/node.h"
#include "pg/syncnames.h"

#define PAGE 1024

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What is written is read as the same again. */
static void
names(const char *text)
{
	struct dr_buf a = { .max = SIZE_MAX / 2 }, b = { .max = SIZE_MAX / 2 };
	struct dr_syncnames sn, again;
	struct dr_err err = { 0 };

	if (dr_syncnames_parse(text, &sn, &err) == -1)
		return;
	if (dr_syncnames_format(&sn, &a, &err) == -1 ||
	    dr_syncnames_parse(a.data, &again, &err) == -1 ||
	    dr_syncnames_format(&again, &b, &err) == -1 ||
	    strcmp(a.data, b.data) != 0 || sn.n != again.n ||
	    sn.everyone != again.everyone)
		abort();
	dr_buf_free(&a);
	dr_buf_free(&b);
	dr_syncnames_free(&sn);
	dr_syncnames_free(&again);
}

/* Who follows somebody else and then the same again has not changed. */
static void
conninfo(const char *text)
{
	struct dr_buf a = { .max = SIZE_MAX / 2 }, b = { .max = SIZE_MAX / 2 };
	struct dr_err err = { 0 };

	if (dr_node_conninfo(text, "h", "1", &a, &err) == 0 &&
	    (dr_node_conninfo(a.data, "h", "1", &b, &err) == -1 ||
	        strcmp(a.data, b.data) != 0))
		abort();
	dr_buf_free(&a);
	dr_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 2 || (text = malloc(size)) == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 'n')
		names(text);
	else if (data[0] == 'c')
		conninfo(text);
	else {
		/* At places where segments begin, and elsewhere. */
		(void)dr_wal_ends_in_shutdown(text, size - 1,
		    (UINT64_C(1) << 20) + size - 1, 1 << 20, PAGE);
		(void)dr_wal_ends_in_shutdown(text, size - 1,
		    (UINT64_C(1) << 20) + 3 * PAGE + size - 1, 1 << 20, PAGE);
	}
	free(text);
	return 0;
}
