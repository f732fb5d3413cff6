/* walreceive - what the receiver keeps, and names of slots. */
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "flow/walreceive_int.h"
#include "pg/walstream.h"
#include "tests/tap.h"

static struct dr_err err;
static char dir[] = "/tmp/dr-recv.XXXXXX";

static void
slot_names(void)
{
	char long_name[DR_SLOT_NAME_MAX + 1];

	memset(long_name, 'a', sizeof(long_name));
	long_name[DR_SLOT_NAME_MAX] = '\0';
	OK(dr_slot_name_ok("drtools_1"), "a slot's name");
	OK(!dr_slot_name_ok(""), "none");
	OK(!dr_slot_name_ok("A"), "upper case");
	OK(!dr_slot_name_ok("a\"b") && !dr_slot_name_ok("a b"), "odd bytes");
	OK(!dr_slot_name_ok(long_name), "64 bytes");
	long_name[DR_SLOT_NAME_MAX - 1] = '\0';
	OK(dr_slot_name_ok(long_name), "63 bytes");
}

static void
positions(void)
{
	const struct dr_recv_pos a = { 1, 500 }, b = { 1, 600 }, c = { 2, 100 };

	OK(dr_recv_before(a, b) && !dr_recv_before(b, a), "by location");
	OK(dr_recv_before(b, c) && !dr_recv_before(c, b), "by timeline first");
	OK(!dr_recv_before(a, a), "none is before itself");
}

static void
state(void)
{
	const struct dr_wal_receive_opts o = { .set = "s",
		.state = dir,
		.slot = "dr" };
	const char *const urls[] = { "/a", "/b", "/c" };
	const struct dr_recv_pos put[] = { { 10, UINT64_C(0xA00000010) },
		{ 0, 0 }, { 1, 1 } };
	struct dr_recv_pos got = { 0, 0 };
	char *path = dr_recv_state_path(&o, 7710379144474877778ULL, &err);

	OK(path != NULL && strstr(path, "/sets/s/receive-dr-7710") != NULL,
	    "the state's path");
	OK(dr_recv_state_get(path, "/a", &got, &err) == 0,
	    "nothing is known at first");
	OK(dr_mkdirs(dir, 0755, &err) == 0, "a directory");
	free(path);
	path = dr_fmt(&err, "%s/x.json", dir);
	OK(dr_recv_state_put(path, urls, put, 3, &err) == 0, "put");
	OK(dr_recv_state_get(path, "/a", &got, &err) == 1 && got.tli == 10 &&
	        got.lsn == UINT64_C(0xA00000010),
	    "get the first");
	OK(dr_recv_state_get(path, "/b", &got, &err) == 0,
	    "a store that holds nothing is not known");
	OK(dr_recv_state_get(path, "/c", &got, &err) == 1 && got.lsn == 1,
	    "get the third");
	OK(dr_recv_state_get(path, "/d", &got, &err) == 0, "another store");
	OK(dr_file_put(path, 0600, DR_FILE_REPLACE, "{", 1, &err) == 0 &&
	        dr_recv_state_get(path, "/a", &got, &err) == -1 &&
	        strstr(err.msg, "damaged") != NULL,
	    "a damaged state is an error");
	dr_err_clear(&err);
	(void)unlink(path);
	free(path);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	slot_names();
	positions();
	state();
	(void)rmdir(dir);
	return DONE();
}
