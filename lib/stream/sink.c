#include "stream/sink.h"

#include <assert.h>

int
dr_sink_write(struct dr_sink *s, const void *buf, size_t len,
    struct dr_err *err)
{
	assert(s->state == DR_SINK_OPEN);
	if (len == 0)
		return 0;
	if (s->ops->write(s, buf, len, err) == -1) {
		s->state = DR_SINK_FAILED;
		return -1;
	}
	return 0;
}

void
dr_sink_ending(struct dr_sink *s)
{
	assert(s->state == DR_SINK_OPEN);
	if (s->ops->ending != NULL)
		s->ops->ending(s);
}

uint64_t
dr_sink_room(struct dr_sink *s, uint64_t *moved, const char **why)
{
	assert(s->state == DR_SINK_OPEN);
	*moved = 0;
	*why = NULL;
	return s->ops->room != NULL ? s->ops->room(s, moved, why) : UINT64_MAX;
}

int
dr_sink_finish(struct dr_sink *s, struct dr_err *err)
{
	assert(s->state == DR_SINK_OPEN);
	if (s->ops->finish(s, err) == -1) {
		s->state = DR_SINK_FAILED;
		return -1;
	}
	s->state = DR_SINK_DONE;
	return 0;
}

void
dr_sink_free(struct dr_sink *s)
{
	struct dr_sink *next;

	for (; s != NULL; s = next) {
		next = s->next;
		s->ops->free(s);
	}
}
