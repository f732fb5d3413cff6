#include "base/metrics.h"

#include <sys/stat.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/opt.h"
#include "tests/tap.h"

static struct dr_err e;
static char dir[] = "/tmp/drmetrics.XXXXXX";

static bool
file_is(const char *name, const char *want)
{
	char path[200], *s;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	s = dr_file_get(path, 100000, NULL, &e);
	good = s != NULL && strcmp(s, want) == 0;
	if (!good)
		printf("# %s\n", s != NULL ? s : e.msg);
	free(s);
	unlink(path);
	dr_err_clear(&e);
	return good;
}

int
main(void)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 200 };
	struct stat st;
	char path[200];

	if (mkdtemp(dir) == NULL)
		return 1;
	OK(dr_metric(&m, "drtools_x", "gauge", "An x.", "", 1, &e) == 0 &&
	        dr_metrics_write(&m, "f", &e) == 0 && m.text.data == NULL,
	    "no directory: nothing is done");
	dr_common.metrics_dir = dir;

	OK(dr_metric_label(&l, "set", "prod", &e) == 0 &&
	        dr_metric_label(&l, "store", "/b \"x\"\\\n", &e) == 0 &&
	        strcmp(l.data, "set=\"prod\",store=\"/b \\\"x\\\"\\\\\\n\"") ==
	            0,
	    "labels are escaped");
	dr_metric(&m, "drtools_a", "gauge", "An a.", l.data, 0.25, &e);
	dr_metric(&m, "drtools_a", "gauge", "An a.", "set=\"b\"", 1795176000.5,
	    &e);
	dr_metric(&m, "drtools_ab", "counter", "An ab.", "", 1e15, &e);
	dr_metric(&m, "drtools_b", "gauge", "A b.", "", (double)NAN, &e);
	dr_metric(&m, "drtools_c", "gauge", "A c.", "", (double)INFINITY, &e);
	dr_metric(&m, "drtools_d", "gauge", "A d.", "", -(double)INFINITY, &e);
	OK(dr_metrics_write(&m, "dr-push_prod", &e) == 0, "write");
	snprintf(path, sizeof(path), "%s/dr-push_prod.prom", dir);
	OK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644,
	    "others may read it");
	OK(file_is("dr-push_prod.prom",
	       "# HELP drtools_a An a.\n# TYPE drtools_a gauge\n"
	       "drtools_a{set=\"prod\",store=\"/b \\\"x\\\"\\\\\\n\"} 0.25\n"
	       "drtools_a{set=\"b\"} 1795176000.5\n"
	       "# HELP drtools_ab An ab.\n# TYPE drtools_ab counter\n"
	       "drtools_ab 1e+15\n"
	       "# HELP drtools_b A b.\n# TYPE drtools_b gauge\ndrtools_b NaN\n"
	       "# HELP drtools_c A c.\n# TYPE drtools_c gauge\ndrtools_c +Inf\n"
	       "# HELP drtools_d A d.\n# TYPE drtools_d gauge\ndrtools_d -Inf\n"),
	    "the text");
	OK(dr_metric(&m, "x", "gauge", "X.", "", 1, &e) == 0 &&
	        dr_metrics_write(&m, "../a b/\xc3\xa4", &e) == 0 &&
	        file_is("_._a_b___.prom", "# HELP x X.\n# TYPE x gauge\nx 1\n"),
	    "no name leads elsewhere");
	OK(dr_metrics_write(&m, "empty", &e) == 0 && file_is("empty.prom", ""),
	    "no samples, an empty file");
	OK(dr_metric(&m, "x", "gauge", "X.", "", 1, &e) == 0 &&
	        dr_metrics_write(&m, "f", &e) == 0 &&
	        dr_metric(&m, "x", "gauge", "X.", "", 2, &e) == 0 &&
	        dr_metrics_write(&m, "f", &e) == 0 &&
	        file_is("f.prom", "# HELP x X.\n# TYPE x gauge\nx 2\n"),
	    "the former is replaced");
	dr_common.metrics_dir = "/nonexistent";
	OK(dr_metric(&m, "x", "gauge", "X.", "", 1, &e) == 0 &&
	        dr_metrics_write(&m, "f", &e) == -1 && e.cause == DR_EFAIL &&
	        m.text.data == NULL,
	    "no such directory");
	dr_buf_free(&l);
	OK(rmdir(dir) == 0, "no temporary is left");
	return DONE();
}
