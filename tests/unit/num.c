#include "base/num.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static struct dr_err e;

/* What a failed parser must look like. */
static bool
refused(int rc, const char *text)
{
	bool good =
	    rc == -1 && e.cause == DR_EUSAGE && strstr(e.msg, text) != NULL;

	if (!good)
		printf("# \"%s\": rc %d cause %d \"%s\"\n", text, rc,
		    (int)e.cause, e.msg);
	dr_err_clear(&e);
	return good;
}

static bool
int_is(const char *s, int64_t want)
{
	int64_t v = -77;

	return dr_parse_int(s, INT64_MIN, INT64_MAX, &v, &e) == 0 && v == want;
}

static void
ints(void)
{
	static const char *const bad[] = { "", "-", "+", "+1", " 1", "1 ", "1x",
		"0x10", "--1", "1.0", "1e3", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616",
		"99999999999999999999999", "\xd9\xa1", "1\n" };
	bool good = true;
	int64_t v = 5;

	OK(int_is("0", 0) && int_is("-0", 0) && int_is("007", 7), "zeros");
	OK(int_is("9223372036854775807", INT64_MAX) &&
	        int_is("-9223372036854775808", INT64_MIN),
	    "64-bit borders");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		good &=
		    refused(dr_parse_int(bad[i], INT64_MIN, INT64_MAX, &v, &e),
		        bad[i]);
	OK(good, "malformed integers are refused and quoted");
	OK(dr_parse_int("19", 1, 19, &v, &e) == 0 && v == 19 &&
	        dr_parse_int("1", 1, 19, &v, &e) == 0 && v == 1,
	    "range borders");
	v = 5;
	OK(refused(dr_parse_int("20", 1, 19, &v, &e), "from 1 to 19") &&
	        refused(dr_parse_int("0", 1, 19, &v, &e), "\"0\"") && v == 5,
	    "beyond them refused, nothing written");
}

static void
sizes(void)
{
	static const struct {
		const char *s;
		uint64_t want;
	} good[] = { { "0", 0 }, { "4096", 4096 }, { "64k", 65536 },
		{ "64K", 65536 }, { "64kB", 65536 }, { "64KiB", 65536 },
		{ "5M", 5U << 20 }, { "5m", 5U << 20 }, { "1G", 1U << 30 },
		{ "2T", 2ULL << 40 }, { "1P", 1ULL << 50 },
		{ "15E", 15ULL << 60 }, { "12B", 12 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", 16777215ULL << 40 } };
	static const char *const bad[] = { "", "k", "-1", "+1", "1 k", "1kk",
		"1iB", "1ki", "1b", "1.5G", "16E", "16777216T",
		"18446744073709551616", "17179869184G", "1Z", "1 ", " 1", "0x1",
		"1kBB" };
	bool all = true;
	uint64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		v = 1;
		if (dr_parse_size(good[i].s, &v, &e) == -1 ||
		    v != good[i].want) {
			printf("# %s gives %" PRIu64 "\n", good[i].s, v);
			all = false;
		}
	}
	OK(all, "sizes");
	all = true;
	v = 9;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		all &= refused(dr_parse_size(bad[i], &v, &e), bad[i]);
	OK(all && v == 9, "malformed and overflowing sizes are refused");
}

static void
times(void)
{
	static const struct {
		const char *s;
		uint64_t want;
	} good[] = { { "500ms", 500 }, { "0s", 0 }, { "90s", 90000 },
		{ "15m", 900000 }, { "2h", 7200000 }, { "7d", 604800000 },
		{ "18446744073709551615ms", UINT64_MAX },
		{ "213503982334d", 213503982334ULL * 86400000 } };
	static const char *const bad[] = { "", "1", "s", "1 s", "-1s", "1S",
		"1M", "1w", "1sec", "213503982335d", "18446744073709551616ms",
		"1ms ", "1.5s" };
	bool all = true;
	uint64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		v = 1;
		if (dr_parse_msec(good[i].s, &v, &e) == -1 ||
		    v != good[i].want) {
			printf("# %s gives %" PRIu64 "\n", good[i].s, v);
			all = false;
		}
	}
	OK(all, "durations");
	all = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		all &= refused(dr_parse_msec(bad[i], &v, &e), bad[i]);
	OK(all, "malformed and overflowing durations are refused");
}

static void
stamps(void)
{
	static const struct {
		const char *s;
		int64_t want;
	} good[] = { { "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-20T12:00:00Z", 1795176000000000 },
		{ "2026-11-20t12:00:00z", 1795176000000000 },
		{ "2026-11-20 13:00:00.5+01:00", 1795176000500000 },
		{ "2026-11-20 13:00:00+01", 1795176000000000 },
		{ "2026-11-20T06:30:00-05:30", 1795176000000000 },
		{ "2000-02-29T23:59:59.999999Z", 951868799999999 },
		{ "1969-12-31T23:59:59.999999Z", -1 },
		{ "2026-11-20T12:00:00.1234567Z", 1795176000123456 },
		{ "2016-12-31T23:59:60Z", 1483228800000000 },
		{ "0001-01-01T00:00:00Z", -62135596800000000 },
		{ "9999-12-31T23:59:59Z", 253402300799000000 } };
	static const char *const bad[] = { "", "now", "2026-11-20",
		"2026-11-20T12:00Z", "2026-13-20T12:00:00Z",
		"2026-00-20T12:00:00Z", "2026-11-31T12:00:00Z",
		"2026-11-00T12:00:00Z", "2025-02-29T12:00:00Z",
		"1900-02-29T12:00:00Z", "2026-11-20T24:00:00Z",
		"2026-11-20T12:60:00Z", "2026-11-20T12:00:61Z",
		"2026-11-20T12:00:00.Z", "2026-11-20T12:00:00ZZ",
		"2026-11-20T12:00:00+1", "2026-11-20T12:00:00+24:00",
		"2026-11-20T12:00:00+01:60", "2026-11-20T12:00:00+01:0",
		"26-11-20T12:00:00Z", "2026-11-20_12:00:00Z",
		"+026-11-20T12:00:00Z", "2026-11-20T12:00:00 Z",
		"20261120T120000Z" };
	char text[DR_TIME_LEN];
	bool all = true;
	int64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		v = 1;
		if (dr_parse_time(good[i].s, &v, &e) == -1 ||
		    v != good[i].want) {
			printf("# %s gives %" PRId64 "\n", good[i].s, v);
			all = false;
		}
	}
	OK(all, "times");
	all = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		all &= refused(dr_parse_time(bad[i], &v, &e), bad[i]);
	OK(all, "malformed times are refused");
	OK(dr_parse_time("2026-11-20T12:00:00", &v, &e) == -1 &&
	        e.cause == DR_EUSAGE && strstr(e.msg, "zone") != NULL &&
	        strstr(e.hint, "\"2026-11-20T12:00:00Z\"") != NULL,
	    "no zone: refused with a hint");
	dr_err_clear(&e);

	OK(strcmp(dr_format_time(1795176000000000, text),
	       "2026-11-20T12:00:00Z") == 0,
	    "format_time");
	OK(strcmp(dr_format_time(1795176000000007, text),
	       "2026-11-20T12:00:00.000007Z") == 0,
	    "with microseconds");
	OK(strcmp(dr_format_time(-1, text), "1969-12-31T23:59:59.999999Z") == 0,
	    "before 1970");
	OK(strlen(dr_format_time(INT64_MAX, text)) < DR_TIME_LEN &&
	        strlen(dr_format_time(INT64_MIN, text)) < DR_TIME_LEN &&
	        strlen(dr_format_stamp(INT64_MIN, text)) < DR_TIME_LEN,
	    "extremes fit");
	OK(strcmp(dr_format_stamp(1795176000999999, text),
	       "20261120T120000Z") == 0,
	    "format_stamp");
	all = true;
	for (int64_t t = -62135596800000000; t < 253402300799000000;
	     t += 86400000000 * 97 + 12345678901) {
		dr_format_time(t, text);
		if (dr_parse_time(text, &v, &e) == -1 || v != t) {
			printf("# %" PRId64 " %s\n", t, text);
			all = false;
			break;
		}
	}
	OK(all, "format and parse agree from year 1 to 9999");
}

static void
lsns(void)
{
	static const char *const bad[] = { "", "/", "0", "0/", "/0", "0/0/0",
		"g/0", "0/g", "123456789/0", "0/123456789", "-1/0", "0/ 1",
		" 0/1", "0/1 ", "0x1/0", "0\\0", "0/1\n" };
	char text[DR_LSN_LEN];
	uint64_t v = 0;
	bool all = true;

	OK(dr_parse_lsn("0/16B3740", &v, &e) == 0 && v == 0x16b3740, "an LSN");
	OK(dr_parse_lsn("ffffffff/FFFFFFFF", &v, &e) == 0 && v == UINT64_MAX,
	    "the last LSN");
	OK(dr_parse_lsn("0/0", &v, &e) == 0 && v == 0, "the first");
	OK(dr_parse_lsn("00000001/00000002", &v, &e) == 0 &&
	        v == (1ULL << 32 | 2),
	    "padded with zeros");
	v = 3;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		all &= refused(dr_parse_lsn(bad[i], &v, &e), bad[i]);
	OK(all && v == 3, "malformed LSNs are refused");
	OK(strcmp(dr_format_lsn(0x16b3740, text), "0/16B3740") == 0 &&
	        strcmp(dr_format_lsn(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF") ==
	            0,
	    "format_lsn");
}

static void
names(void)
{
	static const char *const good[] = { "a", "main", "PG-15.main_2", "0",
		"9abc" };
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "_a",
		"a/b", "a b", "a\n", "\xc3\xa4", "a:b", "a%" };
	char max[66];
	bool all = true;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		all &= dr_set_name_ok(good[i]);
	OK(all, "set names");
	all = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		all &= !dr_set_name_ok(bad[i]);
	OK(all, "bad set names");
	memset(max, 'x', 65);
	max[65] = '\0';
	OK(!dr_set_name_ok(max) && dr_set_name_ok(max + 1),
	    "64 characters, not 65");
}

static bool
size_is(uint64_t v, const char *want)
{
	char text[DR_SIZE_LEN];

	dr_format_size(v, text);
	if (strcmp(text, want) != 0)
		printf("# %s, not %s\n", text, want);
	return strcmp(text, want) == 0;
}

static bool
msec_is(uint64_t v, const char *want)
{
	char text[DR_SIZE_LEN];

	dr_format_msec(v, text);
	if (strcmp(text, want) != 0)
		printf("# %s, not %s\n", text, want);
	return strcmp(text, want) == 0;
}

static void
people(void)
{
	OK(size_is(0, "0 B") && size_is(1023, "1023 B") &&
	        size_is(1024, "1.0 KiB") && size_is(1536, "1.5 KiB") &&
	        size_is(1048575, "1.0 MiB") && size_is(3ULL << 29, "1.5 GiB") &&
	        size_is(UINT64_MAX, "16.0 EiB"),
	    "format_size");
	OK(msec_is(0, "0 ms") && msec_is(999, "999 ms") &&
	        msec_is(1500, "1.5s") && msec_is(59999, "59s") &&
	        msec_is(62000, "1m 02s") && msec_is(3600000, "1h 00m") &&
	        msec_is(90061000, "1d 01h") &&
	        msec_is(UINT64_MAX, "over 999999d"),
	    "format_msec");
}

static void
bits(void)
{
	static const unsigned char raw[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned char back[5] = { 9, 9, 9, 9, 9 }, rnd[64] = { 0 };
	static const unsigned char zero[64];
	char hex[11];
	uint64_t sum = 4;
	int64_t a, b;

	OK(strcmp(dr_hex(raw, 5, hex), "00017f80ff") == 0, "hex");
	OK(dr_unhex(hex, 5, back) && memcmp(raw, back, 5) == 0, "unhex");
	OK(!dr_unhex("00017f80f", 5, back) &&
	        !dr_unhex("00017f80ff0", 5, back) &&
	        !dr_unhex("00017F80ff", 5, back) &&
	        !dr_unhex("00017g80ff", 5, back) && !dr_unhex("", 5, back) &&
	        dr_unhex("", 0, back),
	    "unhex takes exactly its digits");
	OK(dr_add_u64(UINT64_MAX - 1, 1, &sum) && sum == UINT64_MAX &&
	        !dr_add_u64(UINT64_MAX, 1, &sum),
	    "add_u64");
	dr_put32(back + 1, 0x01020304);
	OK(dr_get32(back + 1) == 0x01020304 && back[1] == 4 && back[4] == 1,
	    "32 bits, little end first");
	dr_put64(rnd + 1, 0x0102030405060708);
	OK(dr_get64(rnd + 1) == 0x0102030405060708 && rnd[1] == 8 &&
	        rnd[8] == 1,
	    "64 bits");
	OK(dr_random(rnd, sizeof(rnd), &e) == 0 &&
	        memcmp(rnd, zero, sizeof(rnd)) != 0,
	    "random");
	OK(dr_random(rnd, 0, &e) == 0, "no random bytes");
	a = dr_monotonic();
	b = dr_monotonic();
	OK(a > 0 && b >= a, "monotonic");
	OK(dr_now() > 1700000000000000, "now");
}

int
main(void)
{
	OK(*dr_plural(1) == '\0' && strcmp(dr_plural(0), "s") == 0 &&
	        strcmp(dr_plural(UINT64_C(1) + UINT32_MAX), "s") == 0,
	    "one is no plural");
	ints();
	sizes();
	times();
	stamps();
	lsns();
	names();
	people();
	bits();
	return DONE();
}
