#include "http/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/msg.h"

int
dr_http_turn(uint64_t ms, struct dr_err *err)
{
	struct pollfd p = { .fd = dr_stop_fd(), .events = POLLIN };

	if (poll(&p, 1, ms > 60000 ? 60000 : (int)ms) == -1 && errno != EINTR)
		return dr_err_sys(err, "cannot wait");
	return dr_check_stop(err);
}

int
dr_http_encode(struct dr_buf *out, const char *s, bool slash,
    struct dr_err *err)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c) != NULL ||
		    (slash && c == '/')) {
			if (dr_buf_add(out, s, 1, err) == -1)
				return -1;
		} else if (dr_buf_fmt(out, err, "%%%02X", c) == -1)
			return -1;
	}
	return 0;
}
