/* s3_xml.c - what S3 replies: lists, refusals, and what is none of both. */
#include <string.h>

#include "store/s3.h"
#include "store/xml.h"
#include "tests/tap.h"

static struct dr_err err;

struct seen {
	unsigned n;
	struct dr_s3_entry e[8];
	char key[8][64], id[8][64];
};

static int
on_entry(void *arg, const struct dr_s3_entry *e, struct dr_err *er)
{
	struct seen *s = arg;

	(void)er;
	if (s->n == 8)
		return -1;
	s->e[s->n] = *e;
	(void)snprintf(s->key[s->n], 64, "%s", e->key);
	(void)snprintf(s->id[s->n++], 64, "%s", e->id);
	return 0;
}

static int
page(const char *xml, struct seen *s, struct dr_s3_next *next)
{
	memset(s, 0, sizeof(*s));
	dr_err_clear(&err);
	return dr_s3_page(xml, strlen(xml), on_entry, s, next, &err);
}

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void
test_lists(void)
{
	struct dr_s3_next next = { 0 };
	struct seen s;

	OK(page(HEAD "<ListBucketResult" NS "><Name>b</Name><Prefix>p%2F"
	             "</Prefix><KeyCount>2</KeyCount><IsTruncated>true"
	             "</IsTruncated><NextContinuationToken>a+b/=="
	             "</NextContinuationToken><Contents><Key>p%2Fa%20b%2Bc"
	             "</Key><LastModified>2026-11-20T12:00:00.500Z"
	             "</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size>"
	             "<Owner><ID>Key</ID></Owner></Contents><Contents><Key>p/d"
	             "</Key><LastModified>2026-11-20T12:00:01Z</LastModified>"
	             "<Size>0</Size></Contents><CommonPrefixes><Prefix>p/q/"
	             "</Prefix></CommonPrefixes><EncodingType>url"
	             "</EncodingType></ListBucketResult>",
	       &s, &next) == 0 &&
	        s.n == 3,
	    "a list of objects");
	OK(strcmp(s.key[0], "p/a b+c") == 0 && s.e[0].size == 7 &&
	        s.e[0].time % 1000000 == 500000 && s.e[0].kind == DR_S3_OBJECT,
	    "an object, its key decoded as is said at the end");
	OK(s.e[1].size == 0 && strcmp(s.key[1], "p/d") == 0, "another");
	OK(s.e[2].kind == DR_S3_PREFIX && strcmp(s.key[2], "p/q/") == 0,
	    "a prefix");
	OK(next.more && strcmp(next.token.data, "a+b/==") == 0,
	    "and where it goes on");
	OK(page("<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
	        "<Key>a%2Fb+c</Key><LastModified>2026-11-20T12:00:00Z"
	        "</LastModified><Size>1</Size></Contents></ListBucketResult>",
	       &s, &next) == 0 &&
	        s.n == 1 && strcmp(s.key[0], "a%2Fb+c") == 0 && !next.more,
	    "a key that is not encoded stays as it is");
	OK(page("<ListVersionsResult><IsTruncated>true</IsTruncated>"
	        "<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v"
	        "</NextVersionIdMarker><DeleteMarker><Key>k</Key><VersionId>m"
	        "</VersionId><IsLatest>true</IsLatest><LastModified>"
	        "2026-11-20T12:00:02Z</LastModified></DeleteMarker><Version>"
	        "<Key>k</Key><VersionId>v1</VersionId><IsLatest>false"
	        "</IsLatest><LastModified>2026-11-20T12:00:00Z</LastModified>"
	        "<Size>3</Size></Version></ListVersionsResult>",
	       &s, &next) == 0 &&
	        s.n == 2 && s.e[0].kind == DR_S3_MARKER && s.e[0].latest &&
	        s.e[1].kind == DR_S3_VERSION && strcmp(s.id[1], "v1") == 0 &&
	        strcmp(next.key.data, "k") == 0 &&
	        strcmp(next.id.data, "v") == 0,
	    "a list of versions");
	OK(page("<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u1"
	        "</UploadId><Initiated>2026-11-20T12:00:00.000Z</Initiated>"
	        "</Upload></ListMultipartUploadsResult>",
	       &s, &next) == 0 &&
	        s.n == 1 && s.e[0].kind == DR_S3_UPLOAD &&
	        strcmp(s.id[0], "u1") == 0,
	    "a list of uploads");
	OK(page("<ListBucketResult/>", &s, &next) == 0 && s.n == 0,
	    "an empty list");
	dr_s3_next_wipe(&next);
}

static void
test_bad(void)
{
	static const struct {
		const char *xml, *what;
	} bad[] = {
		{ "", "nothing" },
		{ "<ListBucketResult>", "half a reply" },
		{ "<html><body>It works</body></html>", "another's page" },
		{ "<Error><Code>NoSuchBucket</Code></Error>", "an error" },
		{ "<ListBucketResult><Contents><Key>a</Key></Contents>"
		  "</ListBucketResult>",
		    "an object without size" },
		{ "<ListBucketResult><Contents><Size>1</Size></Contents>"
		  "</ListBucketResult>",
		    "an object without key" },
		{ "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size>"
		  "</Contents></ListBucketResult>",
		    "a negative size" },
		{ "<ListBucketResult><Contents><Key>a</Key><Size>1</Size>"
		  "<LastModified>yesterday</LastModified></Contents>"
		  "</ListBucketResult>",
		    "a time that is none" },
		{ "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult>&a;"
		  "</ListBucketResult>",
		    "entities of its own" },
		{ "<ListBucketResult><a><b><c><d><e><f><g><h/></g></f></e></d>"
		  "</c></b></a></ListBucketResult>",
		    "too deep" },
	};
	struct dr_s3_next next = { 0 };
	struct seen s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		OK(page(bad[i].xml, &s, &next) == -1 && err.cause == DR_EDATA,
		    bad[i].what);
	dr_s3_next_wipe(&next);
}

static void
test_refusals(void)
{
	const char *xml = "<Error><Code>AuthorizationHeaderMalformed</Code>"
	                  "<Message>the region\n is wrong</Message><Region>"
	                  "eu-west-1</Region></Error>";
	struct dr_s3_said said;
	char out[16];

	OK(dr_s3_said(xml, strlen(xml), &said) &&
	        strcmp(said.code, "AuthorizationHeaderMalformed") == 0 &&
	        strcmp(said.region, "eu-west-1") == 0,
	    "a refusal says its code and region");
	OK(strcmp(said.message, "the region? is wrong") == 0,
	    "its message is fit for a terminal");
	xml = "<CompleteMultipartUploadResult><ETag>x</ETag>"
	      "</CompleteMultipartUploadResult>";
	OK(!dr_s3_said(xml, strlen(xml), &said), "success is no refusal");
	OK(!dr_s3_said("Service Unavailable", 19, &said), "nor is a text");
	xml = "<LegalHold" NS "><Status>ON</Status></LegalHold>";
	OK(dr_s3_element(xml, strlen(xml), "LegalHold/Status", out, sizeof(out),
	       &err) == 0 &&
	        strcmp(out, "ON") == 0,
	    "one element");
	OK(dr_s3_element(xml, strlen(xml), "LegalHold/Mode", out, sizeof(out),
	       &err) == 0 &&
	        out[0] == '\0',
	    "one that is not there");
}

static void
test_dates(void)
{
	char text[DR_S3_TIME_LEN];
	int64_t t;

	OK(dr_s3_date("Fri, 24 May 2013 00:00:00 GMT", &t) &&
	        t == INT64_C(1369353600000000),
	    "a date of HTTP");
	OK(!dr_s3_date("Fri, 24 Mai 2013 00:00:00 GMT", &t) &&
	        !dr_s3_date("2013-05-24", &t) && !dr_s3_date("", &t) &&
	        !dr_s3_date("Fri, 99 May 2013 00:00:00 GMT", &t),
	    "what is none");
	OK(strcmp(dr_s3_time(INT64_C(1369353600000001), text),
	       "2013-05-24T00:00:01Z") == 0 &&
	        strcmp(dr_s3_time(INT64_C(1369353600000000), text),
	            "2013-05-24T00:00:00Z") == 0,
	    "a lock ends at a whole second, not before what was asked");
}

static void
test_etags(void)
{
	char one[] = "\"9e107d9d372bb6826bd81d3542a419d6\"";
	char two[] = "e4d909c290d0fb1ca068ffaddf22cbd0";
	char none[] = "\"e4d909c290d0fb1ca068ffaddf22cbdZ\"";
	char *parts[] = { one, two, none };
	char whole[DR_S3_ETAG_LEN];

	OK(dr_s3_etag_parts("\"9e107d9d372bb6826bd81d3542a419d6-12\"") == 12 &&
	        dr_s3_etag_parts("9E107d9d372bb6826bd81d3542a419d6-10000") ==
	            10000,
	    "an ETag tells of how many parts it is");
	OK(dr_s3_etag_parts(one) == 0 && dr_s3_etag_parts("") == 0 &&
	        dr_s3_etag_parts("\"") == 0 &&
	        dr_s3_etag_parts("\"opaque-3\"") == 0 &&
	        dr_s3_etag_parts("\"9e107d9d372bb6826bd81d3542a419d6-\"") ==
	            0 &&
	        dr_s3_etag_parts("\"9e107d9d372bb6826bd81d3542a419d6-2x\"") ==
	            0 &&
	        dr_s3_etag_parts("\"9e107d9d372bb6826bd81d3542a419d6-"
	                         "99999999999999999999\"") == 0,
	    "one in another form does not");
	OK(dr_s3_whole_etag(parts, 2, whole) &&
	        strcmp(whole, "\"17b630c8d385a942f1d3f7d0ca327a6c-2\"") == 0,
	    "the ETag of a whole");
	OK(!dr_s3_whole_etag(parts, 3, whole),
	    "not where that of a part is no MD5");
}

int
main(void)
{
	test_lists();
	test_bad();
	test_refusals();
	test_dates();
	test_etags();
	return DONE();
}
