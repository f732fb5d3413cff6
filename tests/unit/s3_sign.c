/*
 * s3_sign.c - signatures: the examples that AWS publishes with the S3 API
 * ("Examples: Signature Calculations"), vectors of its test suite for version
 * 4, and Google's names.
 */
#include "store/s3_sign.h"

#include <string.h>

#include "http/http.h"
#include "tests/tap.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct dr_err err;

/* Does what S says end in this signature? */
static bool
signs(struct dr_s3_sign *s, const char *signature)
{
	struct dr_buf out = { .max = 65536 };
	const char *at;
	bool same;

	if (dr_s3_sign(s, &out, &err) == -1)
		return false;
	at = strstr(out.data, "Signature=");
	same = at != NULL && strcmp(at + 10, signature) == 0;
	if (!same)
		printf("# %s\n", out.data);
	dr_buf_free(&out);
	return same;
}

#define KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET                                  \
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE" \
	"KEY"
#define TIME "20130524T000000Z"
#define HOST                                             \
	{                                                \
		"host", "examplebucket.s3.amazonaws.com" \
	}

static void
test_s3(void)
{
	struct dr_pair get[] = { HOST, { "range", "bytes=0-9" },
		{ "x-amz-content-sha256", EMPTY }, { "x-amz-date", TIME } };
	struct dr_pair put[] = { HOST,
		{ "date", "Fri, 24 May 2013 00:00:00 GMT" },
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "x-amz-content-sha256",
		    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b80"
		    "3f8b072" },
		{ "x-amz-date", TIME } };
	struct dr_pair head[] = { { "x-amz-date", TIME }, HOST,
		{ "x-amz-content-sha256", EMPTY } };
	struct dr_pair list[] = { { "prefix", "J" }, { "max-keys", "2" } };
	struct dr_pair life[] = { { "lifecycle", "" } };
	struct dr_s3_sign s = { &dr_s3_aws, "us-east-1", "s3", KEY, SECRET,
		TIME, "GET", "/test.txt", "", get, 4, EMPTY };
	struct dr_buf query = { .max = 4096 }, path = query, out = query;

	OK(signs(&s, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6"
	             "036bdb41"),
	    "S3: GET Object with a range");
	s.method = "PUT";
	s.header = put;
	s.headers = 5;
	s.payload = put[3].value;
	OK(dr_http_encode(&path, "/test$file.text", true, &err) == 0 &&
	        strcmp(path.data, "/test%24file.text") == 0,
	    "a key is encoded");
	s.path = path.data;
	OK(signs(&s, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0"
	             "ece108bd"),
	    "S3: PUT Object");
	s.method = "GET";
	s.path = "/";
	s.header = head;
	s.headers = 3;
	s.payload = EMPTY;
	OK(dr_s3_params(life, 1, &query, &err) == 0 &&
	        strcmp(query.data, "lifecycle=") == 0,
	    "a parameter without a value");
	s.query = query.data;
	OK(signs(&s, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a01"
	             "36783543"),
	    "S3: GET Bucket Lifecycle");
	dr_buf_free(&query);
	OK(dr_s3_params(list, 2, &query, &err) == 0 &&
	        strcmp(query.data, "max-keys=2&prefix=J") == 0,
	    "parameters are sorted");
	s.query = query.data;
	OK(signs(&s, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711e"
	             "f69dc6f7"),
	    "S3: GET Bucket (List Objects)");
	OK(dr_s3_canonical(&s, &out, &err) == 0 &&
	        strcmp(out.data,
	            "GET\n/\nmax-keys=2&prefix=J\n"
	            "host:examplebucket.s3.amazonaws.com\n"
	            "x-amz-content-sha256:" EMPTY "\nx-amz-date:" TIME
	            "\n\nhost;x-amz-content-sha256;x-amz-date\n" EMPTY) == 0,
	    "the canonical request, as published");
	dr_buf_free(&query);
	dr_buf_free(&path);
	dr_buf_free(&out);
}

static void
test_suite(void)
{
	struct dr_pair headers[] = { { "host", "example.amazonaws.com" },
		{ "x-amz-date", "20150830T123600Z" } };
	struct dr_pair trim[] = { { "host", "example.amazonaws.com" },
		{ "my-header1", " value1" }, { "my-header2", " \"a   b   c\"" },
		{ "x-amz-date", "20150830T123600Z" } };
	struct dr_pair cased[] = { { "Param2", "value2" },
		{ "Param1", "value1" } };
	struct dr_pair odd[] = { { "Param1", "value2" },
		{ "Param1", "Value1" } };
	struct dr_pair hidden[] = { { "a", "/ +=&\xc3\xa9" }, { "a-", "" },
		{ "a%", "" } };
	struct dr_s3_sign s = { &dr_s3_aws, "us-east-1", "service",
		"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		"20150830T123600Z", "GET", "/", "", headers, 2, EMPTY };
	struct dr_buf query = { .max = 4096 };

	OK(signs(&s, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d"
	             "763fbf31"),
	    "suite: get-vanilla");
	s.method = "POST";
	OK(signs(&s, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92"
	             "efbe5d6b"),
	    "suite: post-vanilla");
	s.method = "GET";
	dr_s3_params(cased, 2, &query, &err);
	s.query = query.data;
	OK(signs(&s, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec9"
	             "4cdf2500"),
	    "suite: get-vanilla-query-order-key-case");
	dr_buf_free(&query);
	dr_s3_params(odd, 2, &query, &err);
	s.query = query.data;
	OK(signs(&s, "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15"
	             "b2382bd1"),
	    "suite: get-vanilla-query-order-key");
	dr_buf_free(&query);
	s.query = "";
	s.header = trim;
	s.headers = 4;
	OK(signs(&s,
	       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
	    "suite: get-header-value-trim");
	OK(dr_s3_params(hidden, 3, &query, &err) == 0 &&
	        strcmp(query.data, "a=%2F%20%2B%3D%26%C3%A9&a%25=&a-=") == 0,
	    "what is not unreserved is encoded, and sorted so");
	dr_buf_free(&query);
}

static void
test_google(void)
{
	struct dr_pair h[] = { { "host", "storage.googleapis.com" },
		{ "x-goog-date", "20201225T000000Z" },
		{ "x-goog-content-sha256", EMPTY },
		{ "x-goog-if-generation-match", "0" } };
	struct dr_s3_sign s = { &dr_s3_google, "auto", "storage", "GOOGKEY",
		"secret", "20201225T000000Z", "PUT", "/b/o", "", h, 4, EMPTY };
	struct dr_buf out = { .max = 4096 };

	OK(dr_s3_sign(&s, &out, &err) == 0 &&
	        strncmp(out.data,
	            "GOOG4-HMAC-SHA256 Credential=GOOGKEY/20201225/auto/"
	            "storage/goog4_request, SignedHeaders=host;"
	            "x-goog-content-sha256;x-goog-date;"
	            "x-goog-if-generation-match, Signature=",
	            strlen("GOOG4-HMAC-SHA256 Credential=GOOGKEY/20201225/auto/"
	                   "storage/goog4_request, SignedHeaders=host;"
	                   "x-goog-content-sha256;x-goog-date;"
	                   "x-goog-if-generation-match, Signature=")) == 0,
	    "Google's names");
	dr_buf_free(&out);
}

int
main(void)
{
	test_s3();
	test_suite();
	test_google();
	return DONE();
}
