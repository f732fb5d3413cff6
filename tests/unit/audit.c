#include "base/audit.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/opt.h"
#include "tests/tap.h"

static struct dr_err e;
static char dir[] = "/tmp/draudit.XXXXXX";

/* Lines whose prev is the hash of the line before; -1 when one is not. */
static int
chain(const char *path)
{
	char prev[DR_SHA256_HEX], *text, *s;
	size_t len;
	int n = 0;

	memset(prev, '0', 64);
	prev[64] = '\0';
	if ((text = s = dr_file_get(path, 4 << 20, &len, &e)) == NULL)
		return -1;
	while (*s != '\0' && n != -1) {
		char *end = strchr(s, '\n');
		json_t *line;
		const char *was;

		if (end == NULL) {
			n = -1;
			break;
		}
		line = json_loadb(s, (size_t)(end - s), 0, NULL);
		was = json_string_value(json_object_get(line, "prev"));
		if (was != NULL && strcmp(was, prev) == 0)
			n++;
		else
			n = -1;
		json_decref(line);
		if (dr_sha256_hex(s, (size_t)(end - s), prev, &e) == -1)
			n = -1;
		s = end + 1;
	}
	free(text);
	return n;
}

int
main(void)
{
	char path[100], *text, *big;
	struct stat st;
	json_t *line;
	bool good = true;
	int fd;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/audit", dir);
	OK(dr_audit("publish", NULL, "ok", &e) == 0, "nowhere: nothing");
	dr_common.audit = path;
	OK(dr_audit("publish", "{\"id\":\"x\"}", "ok", &e) == 0 &&
	        chain(path) == 1,
	    "the first line");
	OK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "private");
	text = dr_file_get(path, 10000, NULL, &e);
	line = text == NULL ? NULL : json_loads(text, 0, NULL);
	OK(json_object_size(line) == 9 &&
	        json_is_string(json_object_get(line, "time")) &&
	        json_is_string(json_object_get(line, "tool")) &&
	        json_is_string(json_object_get(line, "host")) &&
	        json_is_string(json_object_get(line, "user")) &&
	        json_integer_value(json_object_get(line, "pid")) == getpid() &&
	        strcmp(json_string_value(json_object_get(line, "act")),
	            "publish") == 0 &&
	        strcmp(json_string_value(
	                   json_object_get(json_object_get(line, "what"),
	                       "id")),
	            "x") == 0 &&
	        strcmp(json_string_value(json_object_get(line, "result")),
	            "ok") == 0,
	    "its members");
	json_decref(line);
	free(text);
	OK(dr_audit("delete", NULL, "cannot \"do\" it\n", &e) == 0 &&
	        chain(path) == 2,
	    "the second holds the first's hash");

	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			for (int k = 0; k < 10; k++)
				if (dr_audit("act", "[1,2]", "ok", &e) == -1)
					_exit(1);
			_exit(0);
		}
	for (int i = 0; i < 4; i++) {
		int status = 1;

		wait(&status);
		good &= status == 0;
	}
	OK(good && chain(path) == 42, "four processes at once keep the chain");

	/* A line changed or taken out shows. */
	text = dr_file_get(path, 1 << 20, NULL, &e);
	fd = open(path, O_WRONLY | O_APPEND);
	OK(text != NULL && fd != -1 && write(fd, "{\"torn", 6) == 6 &&
	        close(fd) == 0 && dr_audit("after", NULL, "ok", &e) == 0,
	    "after a crash in the middle of a line");
	free(text);
	text = dr_file_get(path, 1 << 20, NULL, &e);
	if (text != NULL) {
		char hash[DR_SHA256_HEX];
		char *after = strstr(text, "{\"torn\n");

		OK(after != NULL &&
		        dr_sha256_hex("{\"torn", 6, hash, &e) == 0 &&
		        strstr(after, hash) != NULL,
		    "the next stands on its own line and hashes the stump");
	}
	free(text);
	unlink(path);

	/* The longest line, and one that is longer. */
	if ((big = malloc(1 << 20)) == NULL)
		return 1;
	memset(big, '1', 1 << 20);
	big[0] = big[(1 << 20) - 1001] = '"';
	big[(1 << 20) - 1000] = '\0';
	OK(dr_audit("big", big, "ok", &e) == 0 &&
	        dr_audit("small", NULL, "ok", &e) == 0 && chain(path) == 2,
	    "a line of a megabyte");
	big[(1 << 20) - 1000] = '1';
	big[(1 << 20) - 1] = '\0';
	OK(dr_audit("big", big, "ok", &e) == -1 && e.cause == DR_EFAIL &&
	        chain(path) == 2,
	    "a longer one is refused whole");
	free(big);
	dr_err_clear(&e);

	dr_common.audit = "/dev/full";
	OK(dr_audit("a", NULL, "ok", &e) == -1 && e.cause == DR_EFAIL,
	    "a full disk is told");
	dr_err_clear(&e);
	dr_common.audit = "/nonexistent/audit";
	OK(dr_audit("a", NULL, "ok", &e) == -1 && e.cause == DR_EFAIL,
	    "and a missing directory");
	unlink(path);
	OK(rmdir(dir) == 0, "nothing else is left");
	return DONE();
}
