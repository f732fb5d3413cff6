#include "store/sftp_lib.h"

#include <pthread.h>

#include "base/dl.h"

struct sftp_lib ssh2;

static struct dr_err failed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
load(void)
{
	static const struct dr_dl syms[] = {
#define X(name) { "libssh2_" #name, &ssh2.name },
		SFTP_FUNCTIONS(X)
#undef X
	};

	if (dr_dl_load("libssh2.so.1", syms, sizeof(syms) / sizeof(*syms),
	        &failed) == -1)
		dr_err_hint(&failed, "sftp stores need libssh2");
	else if (ssh2.init(0) != 0)
		dr_err_set(&failed, DR_EFAIL, "cannot initialize libssh2");
}

int
sftp_load(struct dr_err *err)
{
	int rc = pthread_once(&once, load);

	if (rc == 0 && failed.cause == DR_OK)
		return 0;
	if (err->cause == DR_OK)
		*err = failed;
	return -1;
}
