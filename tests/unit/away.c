/* away.c - stores that did not answer lately. */
#include "flow/away.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_err err;
static char path[64];

/* How long URL is left alone, by what the file says; -1: it is not. */
static int64_t
left(const char *url)
{
	struct dr_away a = { 0 };
	int64_t until, now = dr_now();
	bool is;

	dr_away_read(&a, path);
	is = dr_away_is(&a, url, &until);
	dr_away_wipe(&a);
	return is ? until - now : -1;
}

static void
say(const char *text)
{
	if (dr_file_put(path, 0600, DR_FILE_REPLACE, text, strlen(text),
	        &err) == -1)
		abort();
}

int
main(void)
{
	struct dr_away a = { 0 };
	char text[256];
	bool good = true;
	int64_t was = 0, is = 0;

	tmp_make();
	(void)snprintf(path, sizeof(path), "%s/away.json", tmp_dir);
	OK(left("/a") == -1, "without a file nobody is away");
	OK(dr_away_note(&a, path, "/a", true, &err) == 0 &&
	        access(path, F_OK) == -1,
	    "an answer that was expected is not written down");
	OK(dr_away_note(&a, path, "s3://b?endpoint=\"x\"", false, &err) == 0,
	    "one that does not answer is");
	is = left("s3://b?endpoint=\"x\"");
	OK(is > 3 * 1000000 && is <= DR_AWAY_MIN_US, "for 5 seconds");
	OK(left("/a") == -1, "others are not");
	for (int i = 0; i < 10; i++) {
		was = is;
		if (dr_away_note(&a, path, "s3://b?endpoint=\"x\"", false,
		        &err) == -1)
			abort();
		is = left("s3://b?endpoint=\"x\"");
		good = good && is >= was - 1000000 && is <= DR_AWAY_MAX_US;
	}
	OK(good && is > DR_AWAY_MAX_US - 5000000, "longer each time, to 300");
	OK(dr_away_note(&a, path, "s3://b?endpoint=\"x\"", true, &err) == 0 &&
	        left("s3://b?endpoint=\"x\"") == -1,
	    "an answer ends it");
	dr_away_wipe(&a);

	say("{\"stores\":[{\"url\":\"/a\",\"failures\":1,\"until\":1}]}");
	OK(left("/a") == -1, "what has passed has passed");
	(void)snprintf(text, sizeof(text),
	    "{\"stores\":[{\"url\":\"/a\",\"failures\":1,\"until\":%lld}]}",
	    (long long)(dr_now() + 2 * DR_AWAY_MAX_US));
	say(text);
	OK(left("/a") == -1, "a time too far off is of another clock");
	say("{\"stores\":[{\"url\":7},{},3,{\"url\":\"/a\"}]}");
	OK(left("/a") == -1, "what makes no sense says nothing");
	say("x");
	OK(left("/a") == -1, "nor does a file that is damaged");
	tmp_leave();
	return DONE();
}
