/* Placeholder of the first build: errors keep their first description. */
#include "base/err.h"
#include "tests/tap.h"

int
main(void)
{
	struct dr_err err = { 0 };

	dr_err_set(&err, DR_EDATA, "first");
	dr_err_set(&err, DR_EFAIL, "second");
	OK(err.cause == DR_EDATA, "the first description stays");
	return DONE();
}
