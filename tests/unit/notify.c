/* notify - what systemd is told. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/notify.h"
#include "tests/tap.h"

static char dir[] = "/tmp/dr-notify.XXXXXX";

static void
notify(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char text[64];
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/n", dir);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		perror("bind");
	(void)unsetenv("NOTIFY_SOCKET");
	dr_notify("READY=%d", 0);
	(void)setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	dr_notify("READY=%d", 1);
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	OK(n == 7 && memcmp(text, "READY=1", 7) == 0, "systemd is told");
	(void)close(fd);
	(void)unlink(sa.sun_path);
	(void)unsetenv("WATCHDOG_USEC");
	OK(dr_notify_watchdog() == 0, "no watchdog");
	(void)setenv("WATCHDOG_USEC", "3000000", 1);
	OK(dr_notify_watchdog() == 1500, "half of the watchdog's time");
	(void)setenv("WATCHDOG_PID", "1", 1);
	OK(dr_notify_watchdog() == 0, "another's watchdog");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	notify();
	(void)rmdir(dir);
	return DONE();
}
