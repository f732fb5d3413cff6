#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/tap.h"

int
main(void)
{
	struct dr_err e = { 0 };
	char longish[2000];

	OK(dr_err_set(&e, DR_EDATA, "bad %s %d", "x", 7) == -1,
	    "set returns -1");
	OK(e.cause == DR_EDATA && strcmp(e.msg, "bad x 7") == 0,
	    "set describes");
	dr_err_set(&e, DR_EFAIL, "second");
	errno = ENOENT;
	OK(dr_err_sys(&e, "third") == -1 && e.cause == DR_EDATA &&
	        strcmp(e.msg, "bad x 7") == 0,
	    "the first description stays");
	OK(dr_err_wrap(&e, "cannot read \"%s\"", "f") == -1 &&
	        strcmp(e.msg, "cannot read \"f\": bad x 7") == 0,
	    "wrap puts context before");
	OK(dr_err_hint(&e, "try %d", 1) == -1 && strcmp(e.hint, "try 1") == 0,
	    "hint");
	dr_err_hint(&e, "try 2");
	OK(strcmp(e.hint, "try 1") == 0, "the first hint stays");
	dr_err_clear(&e);
	OK(e.cause == DR_OK && e.msg[0] == '\0' && e.hint[0] == '\0', "clear");

	errno = ENOSPC;
	OK(dr_err_sys(&e, "cannot write \"%s\"", "f") == -1 &&
	        e.cause == DR_EFAIL &&
	        strcmp(e.msg, "cannot write \"f\": No space left on device") ==
	            0,
	    "sys appends the text of errno");
	OK(errno == ENOSPC, "sys keeps errno");
	dr_err_clear(&e);
	errno = EPIPE;
	dr_err_sys(&e, "cannot write");
	OK(e.cause == DR_EPIPE, "EPIPE is its own cause");

	memset(longish, 'x', sizeof(longish) - 1);
	longish[sizeof(longish) - 1] = '\0';
	dr_err_clear(&e);
	dr_err_set(&e, DR_EFAIL, "%s", longish);
	OK(strlen(e.msg) == sizeof(e.msg) - 1, "a long message is cut");
	dr_err_wrap(&e, "%s", longish);
	OK(strlen(e.msg) == sizeof(e.msg) - 1, "and so is its context");
	dr_err_hint(&e, "%s", longish);
	OK(strlen(e.hint) == sizeof(e.hint) - 1, "and its hint");
	dr_err_clear(&e);
	errno = EIO;
	dr_err_sys(&e, "%s", longish);
	OK(strlen(e.msg) == sizeof(e.msg) - 1, "and errno's text after it");
	return DONE();
}
