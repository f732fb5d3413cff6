#include "pg/datadir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static unsigned char file[8192];

static void
set32(size_t at, uint32_t v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void
set64(size_t at, uint64_t v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void
control(void)
{
	struct dr_err err = { 0 };
	struct dr_control c;

	set64(0, 7000000000000000001ULL);
	set32(8, 1300);
	set32(16, DR_CONTROL_SHUTDOWN);
	set64(32, 0x5000028);
	set64(40, 0x5000020);
	set32(48, 3);
	file[56] = 1;
	set64(136, 0x6000000);
	set32(144, 2);
	file[176] = 1;
	set32(228, 1U << 20);
	set32(252, 1);
	set32(288, dr_crc32c(0, file, 288));
	OK(dr_control_parse(file, sizeof(file), &c, &err) == 0 &&
	        c.system_id == 7000000000000000001ULL && c.version == 1300,
	    "a control file");
	OK(c.state == DR_CONTROL_SHUTDOWN && c.checkpoint == 0x5000028 &&
	        c.redo == 0x5000020 && c.tli == 3 && c.full_page_writes,
	    "its checkpoint");
	OK(c.min_recovery == 0x6000000 && c.min_recovery_tli == 2 &&
	        c.log_hints && c.checksums && c.segsize == 1U << 20,
	    "and the rest");
	set32(292, dr_crc32c(0, file, 292));
	set32(288, 7);
	OK(dr_control_parse(file, sizeof(file), &c, &err) == -1,
	    "a bad CRC at either place");
	memset(&err, 0, sizeof(err));
	set32(292, dr_crc32c(0, file, 292));
	OK(dr_control_parse(file, sizeof(file), &c, &err) == 0,
	    "that of version 18");
	OK(dr_control_parse(file, 200, &c, &err) == -1 && err.cause == DR_EDATA,
	    "one cut short");
}

static enum dr_cause
idle(const char *dir, const char *text)
{
	struct dr_err err = { 0 };
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/postmaster.pid", dir);
	(void)dr_file_put(path, 0600, DR_FILE_REPLACE, text, strlen(text),
	    &err);
	(void)dr_datadir_idle(dir, &err);
	return err.cause;
}

static void
running(void)
{
	struct dr_err err = { 0 };
	char dir[64], text[128];

	(void)snprintf(dir, sizeof(dir), "%s/data", tmp_dir);
	(void)mkdir(dir, 0700);
	OK(dr_datadir_idle(dir, &err) == 0, "no postmaster.pid");
	(void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	OK(idle(dir, text) == DR_OK, "a process that works elsewhere");
	OK(chdir(dir) == 0 && idle(dir, text) == DR_EUSAGE, "one that lives");
	(void)snprintf(text, sizeof(text), "-%ld\n", (long)getpid());
	OK(idle(dir, text) == DR_EUSAGE, "a single-user one");
	OK(idle(dir, "999999999\n") == DR_OK, "one that is gone");
	OK(idle(dir, "999999999\n/x\n1\n5432\n/tmp\n\n 12345  999999\n") ==
	        DR_OK,
	    "and its shared memory too");
	OK(chdir("/") == 0, "back");
}

int
main(void)
{
	tmp_make();
	control();
	running();
	tmp_leave();
	return DONE();
}
