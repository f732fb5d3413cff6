/*
 * url.h - a store's URL, taken apart.
 */
#ifndef DR_STORE_URL_H
#define DR_STORE_URL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_URL_PARAMS 8

struct dr_url {
	char scheme[16]; /* lower case */
	char *user;      /* decoded, or NULL; a password is refused */
	char *host;      /* bucket, container or host */
	uint16_t port;   /* 0: none given */
	char *path;      /* decoded, without "/" at either end; "" */
	size_t params;
	struct dr_url_param {
		char *name, *value; /* decoded */
	} param[DR_URL_PARAMS];
};

/* "SCHEME://[USER@]HOST[:PORT][/PATH][?NAME=VALUE[&...]]".  DR_EUSAGE. */
int dr_url_parse(const char *, struct dr_url *, struct dr_err *);
void dr_url_wipe(struct dr_url *);

/* The value of a parameter, or NULL. */
const char *dr_url_param(const struct dr_url *, const char *name);

/* DR_EUSAGE when there is one that is not among KNOWN ("a|b|c"). */
int dr_url_only(const struct dr_url *, const char *known, struct dr_err *);

#endif /* !DR_STORE_URL_H */
