/*
 * aws_cred.c - credentials for S3, from files and from services that a small
 * program (tests/credfake.py) plays.
 */
#include "store/aws_cred.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "tests/credfake.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_aws_cred *cred;
static bool child; /* the files are our parent's */

static const char *const variables[] = { "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_CA_BUNDLE",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"AWS_EC2_METADATA_SERVICE_ENDPOINT",
	"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "AWS_CONFIG_FILE",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"http_proxy", "https_proxy" };

/* Nothing set but that there is no metadata service to wait for. */
static void
clean(void)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		(void)unsetenv(variables[i]);
	(void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	if (!child) {
		(void)unlink("h/.aws/credentials");
		(void)unlink("h/.aws/config");
	}
	dr_aws_cred_free(cred);
	cred = NULL;
	dr_err_clear(&err);
}

/* NAME is BASE/HOW/REST. */
static void
set_url(const char *name, const char *rest)
{
	char url[128];

	(void)snprintf(url, sizeof(url), "%s/%s", credfake_url, rest);
	set(name, url);
}

/* -1: no object; else what get says. */
static int
get(const char *profile)
{
	dr_err_clear(&err);
	dr_aws_keys_wipe(&k);
	dr_aws_cred_free(cred);
	if ((cred = dr_aws_cred_new(profile, NULL, &err)) == NULL)
		return -1;
	return dr_aws_cred_get(cred, &k, false, &err);
}

static bool
again(bool force)
{
	dr_err_clear(&err);
	return dr_aws_cred_get(cred, &k, force, &err) == 0;
}

/* Some set that the program made up. */
static bool
made_up(void)
{
	return strncmp(k.access, "ASIA", 4) == 0 &&
	       strncmp(k.secret, "secret", 6) == 0 &&
	       strncmp(k.token, "token", 5) == 0;
}

static void
nap(double seconds)
{
	struct timespec t = { (time_t)seconds,
		(long)((seconds - (double)(time_t)seconds) * 1e9) };

	(void)nanosleep(&t, NULL);
}

static const char *
setting(const char *name)
{
	const char *v = dr_aws_cred_setting(cred, name);

	return v != NULL ? v : "-";
}

/* --- */

static void
test_env(void)
{
	clean();
	set("AWS_ACCESS_KEY_ID", "AKID");
	set("AWS_SECRET_ACCESS_KEY", "secret");
	OK(get(NULL) == 0 && is("AKID", "secret", "") && k.expiry == 0,
	    "the environment");
	set("AWS_SESSION_TOKEN", "tok");
	file("h/.aws/credentials", 0600,
	    "[default]\naws_access_key_id=D\naws_secret_access_key=d\n"
	    "[other]\naws_access_key_id=O\naws_secret_access_key=o\n");
	OK(get(NULL) == 0 && is("AKID", "secret", "tok"),
	    "it comes before files");
	set("AWS_PROFILE", "other");
	OK(get(NULL) == 0 && is("AKID", "secret", "tok"),
	    "even before a profile that a variable names");
	OK(get("other") == 0 && is("O", "o", ""),
	    "but not before one that the caller names");
	set("AWS_PROFILE", "none");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "no AWS profile \"none\"",
	                          "/.aws/config\" (absent)"),
	    "a profile that is not there");
	(void)unsetenv("AWS_PROFILE");
	OK(get(NULL) == 0 && !again(true) &&
	        fails(DR_EFAIL, "from AWS_ACCESS_KEY_ID have expired", "put"),
	    "keys of the environment cannot be renewed");
	set("AWS_SESSION_TOKEN", "tok2");
	OK(again(true) && is("AKID", "secret", "tok2"),
	    "unless they are other ones by now");
	set("AWS_SECRET_ACCESS_KEY", "");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "_SECRET_ACCESS_KEY is not", ""),
	    "half a pair");
	set("AWS_SECRET_ACCESS_KEY", "x\ny");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "secret key from", ""),
	    "a line's end in a key");
	clean();
	OK(get(NULL) == -1 &&
	        fails(DR_EFAIL, "no AWS credentials are found",
	            "looked at: AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY"),
	    "nothing anywhere");
	OK(fails(DR_EFAIL, "", "profile \"default\" in ") &&
	        fails(DR_EFAIL, "", "AWS_CONTAINER_") &&
	        fails(DR_EFAIL, "", "AWS_EC2_METADATA_DISABLED"),
	    "and the hint says where");
}

static void
test_files(void)
{
	clean();
	file("h/.aws/credentials", 0600,
	    "[default]\naws_access_key_id=D\naws_secret_access_key=d\n"
	    "aws_session_token=t\n[half]\naws_access_key_id=D\n");
	file("h/.aws/config", 0644,
	    "[default]\nregion = eu-central-1\n"
	    "[profile \"two words\"]\naws_access_key_id=W\n"
	    "aws_secret_access_key = w # c\n"
	    "[three]\naws_access_key_id=X\naws_secret_access_key=x\n"
	    "[profile half]\naws_secret_access_key=d\n"
	    "[profile sso]\nsso_session=x\n"
	    "[profile empty]\nservices = mine\nregion=us-west-2\n"
	    "endpoint_url=http://all\nca_bundle=/ca\n"
	    "s3 =\n  addressing_style = path\n"
	    "[services mine]\ns3 =\n  endpoint_url = http://s3\n");
	OK(get(NULL) == 0 && is("D", "d", "t"), "the file of credentials");
	OK(strcmp(setting("region"), "eu-central-1") == 0 &&
	        strcmp(setting("endpoint_url"), "-") == 0 &&
	        strcmp(setting("nothing"), "-") == 0,
	    "and settings from the other one");
	OK(get("two words") == 0 && is("W", "w", ""),
	    "keys in the file of settings");
	OK(strstr(dr_last_warning, ".aws/config\" holds secrets") != NULL,
	    "which others may read: a warning");
	OK(get("three") == -1 && fails(DR_EUSAGE, "no AWS profile", ""),
	    "there a profile's section begins with \"profile\"");
	OK(get("half") == -1 &&
	        fails(DR_EUSAGE, "and no aws_secret_access_key", ""),
	    "half a pair in each file is no pair");
	OK(get("sso") == -1 &&
	        fails(DR_EUSAGE, "single sign-on", "export-credentials"),
	    "single sign-on is refused, with a way out");
	OK(get("empty") == -1 && fails(DR_EFAIL, "no AWS credentials",
	                             "profile \"empty\" (no keys in it)"),
	    "a profile without keys");
	OK(strcmp(setting("endpoint_url"), "http://s3") == 0 &&
	        strcmp(setting("ca_bundle"), "/ca") == 0 &&
	        strcmp(setting("addressing_style"), "path") == 0,
	    "the endpoint in its services section");
	set("AWS_ENDPOINT_URL", "http://env");
	set("AWS_REGION", "r1");
	OK(get("empty") == -1 &&
	        strcmp(setting("endpoint_url"), "http://env") == 0 &&
	        strcmp(setting("region"), "r1") == 0,
	    "variables come before it");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE");
	OK(get("empty") == -1 && strcmp(setting("endpoint_url"), "-") == 0,
	    "all are ignored on demand");
	file("elsewhere", 0644, "[x]\naws_access_key_id=E\n");
	set("AWS_SHARED_CREDENTIALS_FILE", "elsewhere");
	dr_last_warning[0] = '\0';
	OK(get("x") == -1 && fails(DR_EUSAGE, "in \"elsewhere\"", ""),
	    "files that variables name");
	OK(strstr(dr_last_warning, "elsewhere") == NULL,
	    "no warning where no secret is");
	file("elsewhere", 0600, "[x\n");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "\"elsewhere\", line 1", ""),
	    "a file that makes no sense");
}

static void
test_process(void)
{
	clean();
	file("h/keys", 0755,
	    "#!/bin/sh\ncase $1 in\nok) printf '{\"Version\":1,"
	    "\"AccessKeyId\":\"P%s\",\"SecretAccessKey\":\"p\","
	    "\"SessionToken\":\"t\",\"Expiration\":\"2040-01-01T00:00:00Z\"}'"
	    " \"$2\" ;;\nold) echo '{\"Version\":2}' ;;\n*) exit 7 ;;\nesac\n");
	file("h/.aws/config", 0600,
	    "[default]\ncredential_process = h/keys ok \"a'b\"\n"
	    "[profile old]\ncredential_process = h/keys old\n"
	    "[profile bad]\ncredential_process = h/keys secret-arg\n"
	    "[profile none]\ncredential_process = h/none\n");
	OK(get(NULL) == 0 && is("Pa'b", "p", "t") &&
	        k.expiry == INT64_C(2208988800000000),
	    "credential_process");
	OK(get("old") == -1 && fails(DR_EDATA, "\"Version\": 1", ""),
	    "another version of its answer");
	OK(get("bad") == -1 &&
	        fails(DR_EFAIL, "\"bad\": \"h/keys\" ended with status 7", ""),
	    "one that fails");
	OK(get("none") == -1 && fails(DR_EFAIL, "cannot run \"h/none\"", ""),
	    "one that is not there");
}

static void
test_instance(void)
{
	char first[160];

	clean();
	(void)unsetenv("AWS_EC2_METADATA_DISABLED");
	set("http_proxy", "http://127.0.0.1:1");
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ok/imds/");
	OK(get(NULL) == 0 && made_up() &&
	        k.expiry > dr_now() + INT64_C(3500000000) &&
	        strstr(k.source, "instance") != NULL,
	    "instance metadata, and no proxy for it");
	memcpy(first, k.access, sizeof(first));
	OK(again(false) && strcmp(k.access, first) == 0, "they are kept");
	OK(again(true) && made_up() && strcmp(k.access, first) != 0,
	    "and fetched again when a server calls them expired");
	memcpy(first, k.access, sizeof(first));
	OK(again(true) && strcmp(k.access, first) == 0,
	    "once for all who say so at one time");

	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "soon/imds");
	OK(get(NULL) == 0 && made_up(), "some that expire soon");
	memcpy(first, k.access, sizeof(first));
	OK(again(false) && strcmp(k.access, first) == 0, "not yet");
	nap(2.2);
	OK(again(false) && made_up() && strcmp(k.access, first) != 0,
	    "five minutes before, there are new ones");
	memcpy(first, k.access, sizeof(first));
	nap(2.2);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "missing/imds");
	OK(again(false) && strcmp(k.access, first) == 0,
	    "they go on serving where there are no new ones");
	OK(!again(true) && fails(DR_EFAIL, "status 404", "version 2"),
	    "but not once a server has refused them");

	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "past/imds");
	OK(get(NULL) == 0 && made_up(), "an expiry that is past already");
	nap(2.2);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "fail/imds");
	OK(!again(false) &&
	        fails(DR_EFAIL, "\"AssumeRoleUnauthorizedAccess\"", ""),
	    "keys that have expired, and no others: an error");
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "busy/imds");
	OK(again(false) && made_up(), "a service that is busy first");

	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "norole/imds");
	OK(get(NULL) == -1 &&
	        fails(DR_EFAIL, "no AWS credentials", "has no role"),
	    "an instance without a role");
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "broken/imds");
	OK(get(NULL) == -1 && fails(DR_EDATA, "no JSON object", ""),
	    "half an answer");
}

static void
test_container(void)
{
	clean();
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "ok/ecs");
	OK(get(NULL) == 0 && made_up(), "a container's endpoint");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "refused");
	OK(get(NULL) == -1 && fails(DR_EFAIL, "status 403", "_FULL_URI"),
	    "its token");
	file("token", 0600, "Bearer-of-a-file\n");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token");
	OK(get(NULL) == 0 && made_up(), "a token in a file comes first");
	file("token", 0600, "two\nlines\n");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "\"token\"", ""),
	    "a file of two lines is no token");
	(void)unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nX: y");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "control character", ""),
	    "nor is one with a line's end");
	(void)unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "must not be asked", "loopback"),
	    "a host that is nobody's business");
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "missing/ecs");
	OK(get(NULL) == -1 && fails(DR_EFAIL, "status 404", ""), "404");
}

static void
test_sts(void)
{
	clean();
	file("token", 0600, "web.identity-token+/=\n");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", "token");
	set_url("AWS_ENDPOINT_URL_STS", "ok/sts");
	OK(get(NULL) == -1 && fails(DR_EUSAGE, "AWS_ROLE_ARN is not", ""),
	    "web identity without a role");
	set("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
	OK(get(NULL) == 0 && made_up() && k.expiry != 0 &&
	        strcmp(k.source,
	            "STS for the role \"arn:aws:iam::1:role/x\"") == 0,
	    "web identity");
	file("token", 0600, "wrong\n");
	OK(!again(true) && fails(DR_EFAIL, "InvalidIdentityToken", "AWS_ROLE"),
	    "the file is read each time");
	(void)unlink("token");
	OK(!again(true) && fails(DR_EFAIL, "cannot open \"token\"", "identity"),
	    "no file");
	file("token", 0600, "web.identity-token+/=");
	set_url("AWS_ENDPOINT_URL_STS", "denied/sts");
	OK(get(NULL) == -1 &&
	        fails(DR_EFAIL, "AccessDenied: not for you?? (status 403)", ""),
	    "refused");
	set_url("AWS_ENDPOINT_URL_STS", "missing/sts");
	OK(get(NULL) == -1 && fails(DR_EFAIL, "not say why (status 404)", ""),
	    "another server's answer");
	set_url("AWS_ENDPOINT_URL_STS", "broken/sts");
	OK(get(NULL) == -1 && fails(DR_EDATA, "is no XML", ""),
	    "an answer that is no XML");
	set_url("AWS_ENDPOINT_URL_STS", "busy/sts");
	OK(get(NULL) == 0 && made_up(), "busy first");

	clean();
	set_url("AWS_ENDPOINT_URL_STS", "ok/sts");
	file("h/.aws/credentials", 0600,
	    "[keys]\naws_access_key_id=AKIDSOURCE\n"
	    "aws_secret_access_key=secret/of+source\n"
	    "[self]\naws_access_key_id=AKIDSOURCE\n"
	    "aws_secret_access_key=secret/of+source\n"
	    "[wrong]\naws_access_key_id=AKIDSOURCE\n"
	    "aws_secret_access_key=nope\naws_session_token=t\n");
	file("h/.aws/config", 0600,
	    "[profile role]\nrole_arn=arn:1\nsource_profile=keys\n"
	    "external_id = a&b\nduration_seconds=900\n"
	    "[profile self]\nrole_arn=arn:1\nsource_profile=self\n"
	    "[profile refused]\nrole_arn=arn:1\nsource_profile=wrong\n"
	    "[profile web]\nrole_arn=arn:1\nweb_identity_token_file=token\n"
	    "[profile env]\nrole_arn=arn:1\ncredential_source=Environment\n"
	    "[profile odd]\nrole_arn=arn:1\ncredential_source=Moon\n"
	    "[profile a]\nrole_arn=arn:1\nsource_profile=b\n"
	    "[profile b]\nrole_arn=arn:1\nsource_profile=a\n"
	    "[profile c]\nrole_arn=arn:1\nsource_profile=gone\n"
	    "[profile d]\nrole_arn=arn:1\n"
	    "[profile e]\nrole_arn=arn:1\nsource_profile=keys\nmfa_serial=1\n"
	    "[profile f]\nrole_arn=arn:1\nsource_profile=keys\n"
	    "duration_seconds=5\n");
	OK(get("role") == 0 && made_up(), "a role by the keys of a profile");
	set("AWS_PROFILE", "self");
	OK(get(NULL) == 0 && made_up(), "by the keys beside it");
	OK(get("refused") == -1 &&
	        fails(DR_EFAIL, "SignatureDoesNotMatch", "\"refused\""),
	    "by the wrong key");
	OK(get("web") == 0 && made_up(), "by web identity");
	OK(get("env") == -1 && fails(DR_EFAIL, "Environment, where", ""),
	    "by variables that are not set");
	set("AWS_ACCESS_KEY_ID", "AKIDSOURCE");
	set("AWS_SECRET_ACCESS_KEY", "secret/of+source");
	OK(get("env") == 0 && made_up(), "by variables");
	OK(get("odd") == -1 && fails(DR_EUSAGE, "unknown", "EcsContainer"),
	    "from an unknown source");
	OK(get("a") == -1 && fails(DR_EUSAGE, "circle", ""), "in a circle");
	OK(get("c") == -1 && fails(DR_EUSAGE, "no AWS profile \"gone\"", ""),
	    "by a profile that is not there");
	OK(get("d") == -1 && fails(DR_EUSAGE, "exactly one", ""), "by nothing");
	OK(get("e") == -1 && fails(DR_EUSAGE, "second factor", "export"),
	    "with a second factor");
	OK(get("f") == -1 && fails(DR_EUSAGE, "duration_seconds", ""),
	    "for too short a time");
}

/* --- */

static void *
one_of_many(void *arg)
{
	struct dr_aws_keys mine;
	struct dr_err e = { 0 };

	if (dr_aws_cred_get(cred, &mine, false, &e) == -1)
		return NULL;
	memcpy(arg, mine.access, sizeof(mine.access));
	dr_aws_keys_wipe(&mine);
	return arg;
}

static void
test_threads(void)
{
	static char got[8][160];
	pthread_t t[8];
	void *ret;
	bool good = true;

	clean();
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "ok/ecs");
	if ((cred = dr_aws_cred_new(NULL, NULL, &err)) == NULL)
		abort();
	for (size_t i = 0; i < 8; i++)
		if (pthread_create(&t[i], NULL, one_of_many, got[i]) != 0)
			abort();
	for (size_t i = 0; i < 8; i++) {
		if (pthread_join(t[i], &ret) != 0)
			abort();
		good = good && ret != NULL && strcmp(got[i], got[0]) == 0;
	}
	OK(good, "eight threads, one set of keys");
}

/* --- what takes its time, in children meanwhile */

static int
too_late(void)
{
	clean();
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "slow/ecs");
	return get(NULL) == -1 && fails(DR_ERETRY, "container", "");
}

static int
away(void)
{
	int64_t t = dr_monotonic();

	clean();
	(void)unsetenv("AWS_EC2_METADATA_DISABLED");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
	return get(NULL) == -1 && fails(DR_ERETRY, "metadata", "") &&
	       dr_monotonic() - t < INT64_C(12000000);
}

static pid_t
meanwhile(int (*fn)(void))
{
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == -1)
		abort();
	if (pid == 0) {
		child = true;
		set("HOME", "none");
		_exit(fn() == 1 ? 0 : 1);
	}
	return pid;
}

static bool
went_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(void)
{
	pid_t pid, late, gone;
	int fd = credfake(&pid, "/dev/null", "-"), status;

	tmp_enter();
	if (mkdir("h", 0700) == -1 || mkdir("h/.aws", 0700) == -1)
		abort();
	set("HOME", "h");
	late = meanwhile(too_late);
	gone = meanwhile(away);
	test_env();
	test_files();
	test_process();
	if (!OK(fd != -1, "python3 plays the services"))
		goto out;
	test_instance();
	test_container();
	test_sts();
	test_threads();
	OK(went_well(late), "an endpoint that answers too late");
	OK(went_well(gone), "a service that is set, and away");
	close(fd);
	OK(waitpid(pid, &status, 0) == pid && status == 0, "it ends");
out:
	clean();
	tmp_leave();
	return DONE();
}
