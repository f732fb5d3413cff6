/* tap.h - the Test Anything Protocol, as far as we need it. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_ran, tap_failed;

static inline bool
tap_ok(bool good, const char *what, const char *file, int line)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++tap_ran, what);
	if (!good) {
		tap_failed++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

#define OK(cond, what) tap_ok((cond), (what), __FILE__, __LINE__)
#define SKIP(why)      (printf("ok %d # SKIP %s\n", ++tap_ran, (why)))
#define DONE()         (printf("1..%d\n", tap_ran), tap_failed != 0)

#endif /* !TESTS_TAP_H */
