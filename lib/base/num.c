#include "base/num.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sys/random.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Decimal digits at S into *OUT.  Returns what follows them; NULL where
 * there is none or they do not fit.
 */
static const char *
digits(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!is_digit(*s))
		return NULL;
	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return NULL;
	*out = v;
	return s;
}

int
dr_parse_int(const char *s, int64_t min, int64_t max, int64_t *out,
    struct dr_err *err)
{
	bool minus = *s == '-';
	const char *p;
	uint64_t u = 0;
	int64_t v;

	p = digits(s + (minus ? 1 : 0), &u);
	if (p == NULL || *p != '\0')
		goto bad;
	if (minus) {
		if (u > (uint64_t)INT64_MAX + 1)
			goto bad;
		v = u == (uint64_t)INT64_MAX + 1 ? INT64_MIN : -(int64_t)u;
	} else {
		if (u > INT64_MAX)
			goto bad;
		v = (int64_t)u;
	}
	if (v < min || v > max)
		goto bad;
	*out = v;
	return 0;

bad:
	return dr_err_set(err, DR_EUSAGE,
	    "\"%s\" is not a whole number from %" PRId64 " to %" PRId64, s, min,
	    max);
}

int
dr_parse_size(const char *s, uint64_t *bytes, struct dr_err *err)
{
	static const char units[] = "kmgtpe";
	uint64_t v = 0;
	unsigned shift = 0;
	const char *p, *u;

	if ((p = digits(s, &v)) == NULL)
		goto bad;
	if (*p != '\0' && *p != 'B') {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;

		if ((u = strchr(units, c)) == NULL)
			goto bad;
		shift = (unsigned)(u - units + 1) * 10;
		p++;
		if (p[0] == 'i' && p[1] == 'B')
			p++;
	}
	if (*p == 'B')
		p++;
	if (*p != '\0' || v > UINT64_MAX >> shift)
		goto bad;
	*bytes = v << shift;
	return 0;

bad:
	return dr_err_set(err, DR_EUSAGE,
	    "\"%s\" is not a size such as 4096, 64k, 5M or 1G", s);
}

int
dr_parse_msec(const char *s, uint64_t *ms, struct dr_err *err)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 } };
	uint64_t v = 0;
	const char *p;

	if ((p = digits(s, &v)) != NULL)
		for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
			if (strcmp(p, units[i].unit) == 0 &&
			    !__builtin_mul_overflow(v, units[i].ms, &v)) {
				*ms = v;
				return 0;
			}
	return dr_err_set(err, DR_EUSAGE,
	    "\"%s\" is not a time such as 500ms, 90s, 15m, 2h or 7d", s);
}

/* Exactly N digits at *P, which moves behind them. */
static bool
fixed(const char **p, int n, int *out)
{
	int v = 0;

	for (; n > 0; n--, (*p)++) {
		if (!is_digit(**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*out = v;
	return true;
}

/* Days since 1970-01-01 in the Gregorian calendar, as in RFC 3339 A/B. */
static int64_t
days_from_civil(int y, int m, int d)
{
	int64_t era, yoe, doy, yy = m <= 2 ? y - 1 : y;

	era = (yy >= 0 ? yy : yy - 399) / 400;
	yoe = yy - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int
month_days(int y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return 29;
	return days[m - 1];
}

int
dr_parse_time(const char *s, int64_t *usec, struct dr_err *err)
{
	int y, mo, d, h, mi, sec, zh, zm, frac = 0;
	int64_t t, zone = 0;
	const char *p = s;

	if (!fixed(&p, 4, &y) || *p++ != '-' || !fixed(&p, 2, &mo) ||
	    *p++ != '-' || !fixed(&p, 2, &d))
		goto bad;
	if (*p != 'T' && *p != 't' && *p != ' ')
		goto bad;
	p++;
	if (!fixed(&p, 2, &h) || *p++ != ':' || !fixed(&p, 2, &mi) ||
	    *p++ != ':' || !fixed(&p, 2, &sec))
		goto bad;
	if (mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo) || h > 23 ||
	    mi > 59 || sec > 60)
		goto bad;
	if (*p == '.') {
		int unit = 100000;

		if (!is_digit(*++p))
			goto bad;
		/* What is finer than a microsecond is cut off. */
		for (; is_digit(*p); p++, unit /= 10)
			frac += (*p - '0') * unit;
	}
	if (*p == '\0') {
		dr_err_set(err, DR_EUSAGE, "\"%s\" has no time zone", s);
		return dr_err_hint(err,
		    "write \"%sZ\" for UTC, or an offset "
		    "such as +01:00",
		    s);
	}
	if (*p == 'Z' || *p == 'z') {
		p++;
	} else if (*p == '+' || *p == '-') {
		int sign = *p++ == '-' ? -1 : 1;

		/* PostgreSQL prints +01 and +05:30. */
		zm = 0;
		if (!fixed(&p, 2, &zh))
			goto bad;
		if (*p == ':' && (p++, !fixed(&p, 2, &zm)))
			goto bad;
		if (zh > 23 || zm > 59)
			goto bad;
		zone = sign * (zh * 3600 + zm * 60);
	}
	if (*p != '\0')
		goto bad;
	t = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - zone;
	*usec = t * 1000000 + frac;
	return 0;

bad:
	return dr_err_set(err, DR_EUSAGE,
	    "\"%s\" is not a time such as 2026-11-20T12:00:00Z", s);
}

int
dr_parse_lsn(const char *s, uint64_t *lsn, struct dr_err *err)
{
	uint64_t half[2] = { 0, 0 };
	const char *p = s;

	for (int i = 0; i < 2; i++) {
		int n = 0, v;

		for (; (v = hex_value(*p)) != -1 && n < 8; n++, p++)
			half[i] = half[i] << 4 | (uint64_t)v;
		if (n == 0 || *p != (i == 0 ? '/' : '\0'))
			return dr_err_set(err, DR_EUSAGE,
			    "\"%s\" is not an LSN such as 0/16B3740", s);
		p++;
	}
	*lsn = half[0] << 32 | half[1];
	return 0;
}

bool
dr_set_name_ok(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                     "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n >= 1 && n <= 64 && s[n] == '\0' && s[0] != '.' &&
	       s[0] != '_' && s[0] != '-';
}

char *
dr_format_lsn(uint64_t lsn, char out[DR_LSN_LEN])
{
	snprintf(out, DR_LSN_LEN, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32),
	    (uint32_t)lsn);
	return out;
}

/* Seconds and microseconds of USEC, which may lie before 1970. */
static void
split(int64_t usec, struct tm *tm, int *us)
{
	time_t t = (time_t)(usec / 1000000);

	*us = (int)(usec % 1000000);
	if (*us < 0) {
		*us += 1000000;
		t--;
	}
	memset(tm, 0, sizeof(*tm));
	gmtime_r(&t, tm);
}

char *
dr_format_time(int64_t usec, char out[DR_TIME_LEN])
{
	struct tm tm;
	size_t n;
	int us;

	split(usec, &tm, &us);
	/* strftime's %Y is not padded in every libc. */
	n = (size_t)snprintf(out, DR_TIME_LEN, "%04ld",
	    (long)tm.tm_year + 1900);
	n += strftime(out + n, DR_TIME_LEN - n, "-%m-%dT%H:%M:%S", &tm);
	if (us != 0)
		snprintf(out + n, DR_TIME_LEN - n, ".%06dZ", us);
	else
		snprintf(out + n, DR_TIME_LEN - n, "Z");
	return out;
}

char *
dr_format_stamp(int64_t usec, char out[DR_TIME_LEN])
{
	struct tm tm;
	size_t n;
	int us;

	split(usec, &tm, &us);
	n = (size_t)snprintf(out, DR_TIME_LEN, "%04ld",
	    (long)tm.tm_year + 1900);
	strftime(out + n, DR_TIME_LEN - n, "%m%dT%H%M%SZ", &tm);
	return out;
}

char *
dr_format_size(uint64_t bytes, char out[DR_SIZE_LEN])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB",
		"EiB" };
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, DR_SIZE_LEN, "%d B", (int)bytes);
		return out;
	}
	/* 1023.95 would be printed as 1024.0. */
	for (; v >= 1023.95 && i < 5; i++)
		v /= 1024;
	snprintf(out, DR_SIZE_LEN, "%.1f %s", v, units[i]);
	return out;
}

char *
dr_format_msec(uint64_t ms, char out[DR_SIZE_LEN])
{
	uint64_t s = ms / 1000, d = s / 86400;

	if (ms < 1000)
		snprintf(out, DR_SIZE_LEN, "%d ms", (int)ms);
	else if (s < 10)
		snprintf(out, DR_SIZE_LEN, "%d.%ds", (int)s,
		    (int)(ms % 1000 / 100));
	else if (s < 60)
		snprintf(out, DR_SIZE_LEN, "%ds", (int)s);
	else if (s < 3600)
		snprintf(out, DR_SIZE_LEN, "%dm %02ds", (int)(s / 60),
		    (int)(s % 60));
	else if (d == 0)
		snprintf(out, DR_SIZE_LEN, "%dh %02dm", (int)(s / 3600),
		    (int)(s % 3600 / 60));
	else if (d < 1000000)
		snprintf(out, DR_SIZE_LEN, "%dd %02dh", (int)d,
		    (int)(s % 86400 / 3600));
	else
		snprintf(out, DR_SIZE_LEN, "over 999999d");
	return out;
}

static int64_t
clock_usec(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
dr_now(void)
{
	return clock_usec(CLOCK_REALTIME);
}

int64_t
dr_monotonic(void)
{
	return clock_usec(CLOCK_MONOTONIC);
}

char *
dr_hex(const void *p, size_t n, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex[b[i] >> 4];
		out[2 * i + 1] = hex[b[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

bool
dr_unhex(const char *s, size_t n, void *out)
{
	unsigned char *b = out;

	if (strspn(s, "0123456789abcdef") != 2 * n || s[2 * n] != '\0')
		return false;
	for (size_t i = 0; i < n; i++)
		b[i] = (unsigned char)((unsigned)hex_value(s[2 * i]) << 4 |
		                       (unsigned)hex_value(s[2 * i + 1]));
	return true;
}

int
dr_random(void *p, size_t n, struct dr_err *err)
{
	unsigned char *b = p;
	ssize_t got;

	while (n > 0) {
		if ((got = getrandom(b, n, 0)) == -1) {
			if (errno == EINTR)
				continue;
			return dr_err_sys(err, "cannot get random bytes");
		}
		b += got;
		n -= (size_t)got;
	}
	return 0;
}

bool
dr_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}
