/*
 * walsync.h - fdatasync(2) of the journal of WAL while its writer goes on:
 * a thread that waits to be asked, and does nothing else.
 */
#ifndef DR_FLOW_WALSYNC_H
#define DR_FLOW_WALSYNC_H

struct dr_walsync;

/* NULL: no memory (errno).  There is no thread before it is asked first. */
struct dr_walsync *dr_walsync_new(void);
/* Waits for what it was asked. */
void dr_walsync_free(struct dr_walsync *);

/*
 * Begin to make FD durable, which stays open until dr_walsync_wait.  One at
 * a time.  Where there can be no thread, it is done at once.
 */
void dr_walsync_ask(struct dr_walsync *, int fd);

/* 0: it is durable, or nothing was asked; -1 and errno. */
int dr_walsync_wait(struct dr_walsync *);

#endif /* !DR_FLOW_WALSYNC_H */
