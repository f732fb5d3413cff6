#include "store/fresh.h"

#include "base/num.h"

#define SECOND        INT64_C(1000000)
#define AFTER_SUCCESS (2 * SECOND)
#define AFTER_FAILURE (10 * SECOND)
#define FORCED        (5 * SECOND)

bool
dr_fresh_due(const struct dr_fresh *f, int64_t expiry, int64_t ahead,
    bool force)
{
	int64_t now = dr_monotonic(), left = expiry - dr_now();

	if (!f->have)
		return true;
	if (force)
		return f->forced_at == 0 || now - f->forced_at > FORCED;
	if (expiry == 0 || left > ahead)
		return false;
	if (f->failed)
		return left <= 0 || now - f->tried > AFTER_FAILURE;
	return now - f->tried > AFTER_SUCCESS;
}

void
dr_fresh_try(struct dr_fresh *f)
{
	f->tried = dr_monotonic();
	f->failed = true;
}

void
dr_fresh_got(struct dr_fresh *f, bool force)
{
	f->have = true;
	f->failed = false;
	if (force)
		f->forced_at = f->tried;
}
