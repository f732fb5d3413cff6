/* promote_event.h - what the event's file and the history share. */
#ifndef DR_FLOW_PROMOTE_EVENT_H
#define DR_FLOW_PROMOTE_EVENT_H

#include "flow/promote.h"

/* STATE/promote/SET/history.jsonl; the caller's. */
char *dr_promote_history_path(const struct dr_promote_opts *, struct dr_err *);

#endif /* !DR_FLOW_PROMOTE_EVENT_H */
