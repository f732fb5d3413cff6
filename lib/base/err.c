#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef dr_err_set
#undef dr_err_sys
#undef dr_err_wrap
#undef dr_err_hint

int
dr_err_set(struct dr_err *err, enum dr_cause cause, const char *fmt, ...)
{
	va_list ap;

	if (err->cause != DR_OK)
		return -1;
	err->cause = cause;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int
dr_err_sys(struct dr_err *err, const char *fmt, ...)
{
	int saved = errno;
	char text[128];
	const char *why;
	size_t len;
	va_list ap;

	if (err->cause != DR_OK)
		return -1;
	err->cause = saved == EPIPE ? DR_EPIPE : DR_EFAIL;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	why = strerror_r(saved, text, sizeof(text));
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", why);
	errno = saved;
	return -1;
}

int
dr_err_wrap(struct dr_err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	size_t len;
	va_list ap;

	memcpy(old, err->msg, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	return -1;
}

int
dr_err_hint(struct dr_err *err, const char *fmt, ...)
{
	va_list ap;

	if (err->hint[0] != '\0')
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

void
dr_err_clear(struct dr_err *err)
{
	err->cause = DR_OK;
	err->msg[0] = '\0';
	err->hint[0] = '\0';
}
