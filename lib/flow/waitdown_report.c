/* What was seen until a primary was judged down. */
#include "base/json.h"
#include "base/num.h"
#include "flow/waitdown.h"

static const char *const held_words[] = {
	[DR_HELD_NONE] = "none",
	[DR_HELD_ANSWERS] = "answers",
	[DR_HELD_SILENT] = "silent",
	[DR_HELD_BROKEN] = "broken",
};

static int
held_text(const struct dr_waitdown *w, struct dr_buf *out, struct dr_err *err)
{
	if (w->held == DR_HELD_NONE)
		return dr_buf_str(out, "there was no connection to hold", err);
	if (w->held == DR_HELD_BROKEN)
		return dr_buf_fmt(out, err, "the held connection broke (%s)",
		    w->held_err);
	return dr_buf_fmt(out, err, "the held connection is silent");
}

int
dr_wait_down_text(const struct dr_waitdown *w, struct dr_buf *out,
    struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s is down: ", w->where) == -1 ||
	    held_text(w, out, err) == -1)
		return -1;
	if (w->failures > 0
	        ? dr_buf_fmt(out, err, ", %d new %s failed (%s: %s)",
	              w->failures, w->failures == 1 ? "one" : "ones",
	              dr_probe_word(w->last.state), w->last.err.msg) == -1
	        : dr_buf_str(out, ", a new one meets silence", err) == -1)
		return -1;
	if (!dr_known(w->good_us))
		return dr_buf_fmt(out, err,
		    "; no sign of life in the %.0f ms since the first look\n",
		    (double)w->since_us / 1000);
	return dr_buf_fmt(out, err, "; %.0f ms after the last sign of life\n",
	    (double)w->good_us / 1000);
}

int
dr_wait_down_json(const struct dr_waitdown *w, struct dr_buf *out,
    struct dr_err *err)
{
	char when[DR_TIME_LEN];
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "server", w->where);
	dr_json_bool(&j, "down", w->down);
	dr_json_str(&j, "judged", dr_format_time(w->judged, when));
	dr_json_bool(&j, "quick", w->quick);
	if (dr_known(w->good_us))
		dr_json_real(&j, "since_good_seconds",
		    (double)w->good_us / 1e6);
	else
		dr_json_null(&j, "since_good_seconds");
	dr_json_real(&j, "failing_seconds", (double)w->since_us / 1e6);
	dr_json_int(&j, "failures", w->failures);
	dr_json_str(&j, "held", held_words[w->held]);
	if (w->held_err[0] != '\0')
		dr_json_str(&j, "held_error", w->held_err);
	if (w->failures > 0) {
		dr_json_str(&j, "new", dr_probe_word(w->last.state));
		dr_json_str(&j, "new_error", w->last.err.msg);
	}
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}
