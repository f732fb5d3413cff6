/*
 * notify.h - what a service tells systemd; nothing where it was not started
 * by it.  Source: sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef DR_BASE_NOTIFY_H
#define DR_BASE_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=...", several lines. */
void dr_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often "WATCHDOG=1" is to be said, in milliseconds; 0: never. */
uint64_t dr_notify_watchdog(void);

#endif /* !DR_BASE_NOTIFY_H */
