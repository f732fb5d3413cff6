/* Recipients, identities, what protects them, and what dr-key says of key
 * files. */
#include <sys/stat.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "crypt/armor.h"
#include "crypt/keyfile.h"
#include "crypt/keys.h"
#include "crypt/protect.h"
#include "tests/tap.h"

#define V "tests/vectors/keys/"
#define RECIPIENT \
	"age1cmwc64gdhjdlqmxgmp4248pvmcdstrqhkdyc8yhh2sgvew8gzfnsy898yr"
#define OTHER "age1vva9ph5pv5etvm7exv0kfltp5y5403usxl82s4xpan3czmmmup2q25f32e"
#define IDENTITY                                                             \
	"AGE-SECRET-KEY-1FSFPCMJ9H9GVQKC35WWTWD3HN5X70UEKS80XR9S9EW8TFXAYA6" \
	"QQ4HUXRP"

static char dir[] = "/tmp/dr-keys.XXXXXX";
static char path[64];

/* TEXT in a file of MODE. */
static const char *
file(const char *text, mode_t mode)
{
	int fd;

	snprintf(path, sizeof(path), "%s/f", dir);
	unlink(path);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) == -1 ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    fchmod(fd, mode) == -1 || close(fd) == -1)
		abort();
	return path;
}

/* How many recipients does TEXT give?  -1, and no word of it in the error. */
static int
recipients(const char *text, struct dr_err *err)
{
	struct dr_recipients *r;
	int n = -1;

	memset(err, 0, sizeof(*err));
	if ((r = dr_recipients_new(err)) == NULL)
		abort();
	if (dr_recipients_file(r, file(text, 0644), err) == 0)
		n = (int)dr_recipients_count(r);
	dr_recipients_free(r);
	return n;
}

static void
test_recipients(void)
{
	struct dr_recipients *r;
	struct dr_err err;
	char print[17];

	OK(recipients(RECIPIENT "\n", &err) == 1, "one recipient");
	OK(recipients("# us\n\n  \n" RECIPIENT " \r\n" OTHER, &err) == 2,
	    "comments, blank lines, CR LF, no newline at the end");
	OK(recipients(RECIPIENT "\n" OTHER "\n" RECIPIENT "\n", &err) == 2,
	    "the same one twice counts once");
	OK(recipients("", &err) == -1 && err.cause == DR_EUSAGE,
	    "an empty file is refused");
	OK(recipients("# nobody\n", &err) == -1, "one of comments too");
	OK(recipients(RECIPIENT "\n" RECIPIENT "x\n", &err) == -1 &&
	        strstr(err.msg, "line 2") != NULL,
	    "a bad line is named by its number");
	OK(recipients("age1cmwc64gdhjdlqmxgmp4248pvmcdstrqhkdyc8yhh2sgvew8g"
	              "zfnsy898yq\n",
	       &err) == -1 &&
	        strstr(err.msg, "mistyped") != NULL,
	    "a mistyped one is found");
	OK(recipients("#\n" IDENTITY "\n", &err) == -1 &&
	        err.cause == DR_EUSAGE &&
	        strstr(err.msg, "line 2, holds a private key") != NULL &&
	        strstr(err.msg, "FSFPC") == NULL &&
	        strstr(err.hint, "FSFPC") == NULL,
	    "a private key is refused and not shown");
	OK(recipients("age-secret-key-1fsfpcmj9h9\n", &err) == -1 &&
	        strstr(err.msg, "private key") != NULL &&
	        strstr(err.msg, "fsfpc") == NULL,
	    "in lower case too");
	OK(recipients("RWRTY0IyAAAA\n", &err) == -1 &&
	        strstr(err.msg, "private key") != NULL,
	    "a signing key too");
	OK(recipients("-----BEGIN OPENSSH PRIVATE KEY-----\n", &err) == -1 &&
	        strstr(err.msg, "private key") != NULL,
	    "and one of ssh");
	OK(recipients("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me\n", &err) ==
	            -1 &&
	        strstr(err.msg, "kind") != NULL,
	    "kinds that are not known here are said to be so");
	OK(recipients("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0s"
	              "nvdd3yysf5yw3rhl3t\n",
	       &err) == -1 &&
	        strstr(err.hint, "X25519") != NULL,
	    "a plugin's");
	memset(&err, 0, sizeof(err));
	if ((r = dr_recipients_new(&err)) == NULL)
		abort();
	OK(dr_recipients_add(r, RECIPIENT, &err) == 0 &&
	        dr_recipients_print(r, 0, print, &err) == 0 &&
	        strcmp(print, "b45dcc426405f71f") == 0,
	    "its fingerprint");
	OK(dr_recipients_add(r, IDENTITY, &err) == -1 &&
	        strstr(err.msg, "FSFPC") == NULL,
	    "a private key as an operand");
	memset(&err, 0, sizeof(err));
	/* The point of order 1, which age1qqqq... is. */
	OK(dr_recipients_add(r,
	       "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqs3290"
	       "gq",
	       &err) == -1 &&
	        err.cause == DR_EUSAGE,
	    "a weak point");
	dr_recipients_free(r);
	dr_recipients_free(NULL);
}

static int
identities(const char *name, const char *pass, struct dr_err *err)
{
	struct dr_identities *ids;
	char text[DR_BECH32_LEN];
	int n = -1;

	memset(err, 0, sizeof(*err));
	if ((ids = dr_identities_new(err)) == NULL)
		abort();
	if (dr_identities_file(ids, name, pass, err) == 0) {
		n = (int)dr_identities_count(ids);
		dr_recipient_text(ids->v[0]->public, text);
		if (strcmp(text, RECIPIENT) != 0)
			n = -2;
	}
	dr_identities_free(ids);
	return n;
}

static void
test_identities(void)
{
	struct dr_identities *ids;
	struct dr_err err;
	char *text = NULL;

	OK(identities(V "identity.txt", NULL, &err) == 1, "an identity");
	dr_last_warning[0] = '\0';
	OK(identities(file(IDENTITY, 0600), NULL, &err) == 1 &&
	        dr_last_warning[0] == '\0',
	    "without a newline; a private file gets no warning");
	OK(identities(file(IDENTITY "\n", 0640), NULL, &err) == 1 &&
	        strstr(dr_last_warning, "open to other users") != NULL,
	    "one that others may read does");
	OK(identities(file("# x\r\n" IDENTITY "\r\n" IDENTITY "\n", 0600), NULL,
	       &err) == 2,
	    "two, with CR LF");
	OK(identities(file("\n#\n", 0600), NULL, &err) == -1 &&
	        err.cause == DR_EUSAGE,
	    "none at all");
	OK(identities(file(RECIPIENT "\n", 0600), NULL, &err) == -1 &&
	        strstr(err.msg, "holds a recipient") != NULL,
	    "a recipient is not an identity");
	OK(identities(file("AGE-SECRET-KEY-1FSFPCMJ9H9GVQKC35WWTWD3HN5X70UEKS8"
	                   "0XR9S9EW8TFXAYA6QQ4HUXRQ\n",
	                  0600),
	       NULL, &err) == -1 &&
	        err.cause == DR_EDATA && strstr(err.msg, "FSFPC") == NULL,
	    "a damaged one is refused and not shown");
	OK(identities(file("AGE-PLUGIN-YUBIKEY-1ABC\n", 0600), NULL, &err) ==
	        -1,
	    "a plugin's");
	OK(identities("/nonexistent/x", NULL, &err) == -1 &&
	        err.cause == DR_EFAIL,
	    "a file that is not there");

	OK(identities(V "identity-passphrase.age", V "passphrase.txt", &err) ==
	        1,
	    "one that age -p protected");
	OK(identities(V "identity-passphrase-armored.age", V "passphrase.txt",
	       &err) == 1,
	    "armored");
	OK(identities(V "identity-passphrase.age", V "minisign.data", &err) ==
	            -1 &&
	        err.cause == DR_EDATA &&
	        strstr(err.msg, "passphrase is wrong") != NULL,
	    "a wrong passphrase");
	OK(identities("tests/vectors/seal/valid-empty-0.age", NULL, &err) ==
	            -1 &&
	        strstr(err.msg, "not protected by a passphrase") != NULL,
	    "an age file that is none");

	memset(&err, 0, sizeof(err));
	if ((ids = dr_identities_new(&err)) == NULL)
		abort();
	OK(dr_identities_command(ids, "cat " V "identity.txt", &err) == 0 &&
	        dr_identities_count(ids) == 1,
	    "from a command");
	OK(dr_identities_command(ids, "cat; cat " V "identity.txt", &err) == 0,
	    "which has nothing to read");
	OK(dr_identities_command(ids, "cat " V "identity.txt; exit 3", &err) ==
	            -1 &&
	        strstr(err.msg, "status 3") != NULL,
	    "its failure counts, whatever it printed");
	memset(&err, 0, sizeof(err));
	OK(dr_identities_command(ids, "kill -9 $$", &err) == -1 &&
	        strstr(err.msg, "signal 9") != NULL,
	    "so does its death");
	memset(&err, 0, sizeof(err));
	OK(dr_identities_command(ids, "yes", &err) == -1 &&
	        err.cause == DR_EDATA,
	    "one that does not end is ended");
	memset(&err, 0, sizeof(err));
	OK(dr_identities_make(ids, &err) == 0 &&
	        (text = dr_identities_print(ids, 2, &err)) != NULL &&
	        strncmp(text, "# created: 2", 12) == 0 &&
	        dr_identities_text(ids, text, strlen(text), "x", NULL, &err) ==
	            0 &&
	        memcmp(ids->v[2], ids->v[3], sizeof(**ids->v)) == 0,
	    "a new one is written and read");
	sodium_free(text);
	dr_identities_free(ids);
	dr_identities_free(NULL);
}

static void
test_protect(void)
{
	struct dr_buf out = { .max = 1U << 20 }, bin = { .max = 1U << 20 };
	struct dr_secret plain = { 0 };
	struct dr_err err = { 0 };
	const char *pass;
	char *swap;

	OK(dr_protect("secret", 6, "pw", 4, &out, &err) == 0 &&
	        dr_armor_is(out.data, out.len) &&
	        dr_protected(out.data, out.len),
	    "protected text is armored");
	OK(dr_armor_decode(out.data, out.len, &bin, &err) == 0 &&
	        strstr(bin.data, "\n-> scrypt ") != NULL,
	    "it is an age file with a scrypt stanza");
	pass = file("pw\n", 0600);
	OK(dr_unprotect(out.data, out.len, "x", pass, &plain, &err) == 0 &&
	        plain.len == 6 && strcmp(plain.data, "secret") == 0,
	    "and comes back");
	dr_secret_wipe(&plain);
	OK(dr_unprotect(bin.data, bin.len, "x", pass, &plain, &err) == 0 &&
	        plain.len == 6,
	    "without its armor too");
	dr_secret_wipe(&plain);
	/* " 4\n" ends the stanza's first line. */
	swap = memmem(bin.data, bin.len, " 4\n", 3);
	if (swap != NULL)
		swap[1] = '5';
	OK(dr_unprotect(bin.data, bin.len, "x", pass, &plain, &err) == -1 &&
	        err.cause == DR_EDATA && plain.data == NULL,
	    "another work factor makes another key");
	memset(&err, 0, sizeof(err));
	if (swap != NULL)
		swap[1] = '0';
	OK(dr_unprotect(bin.data, bin.len, "x", pass, &plain, &err) == -1 &&
	        strstr(err.msg, "malformed") != NULL,
	    "0 is none");
	dr_buf_free(&out);
	dr_buf_free(&bin);
}

/* Hostile work factors must not cost memory. */
static void
test_factors(void)
{
	static const char *const factors[] = { "23", "63", "99", "018", "+18",
		"-1", "0x12", "1e1", "18446744073709551616", "" };
	struct dr_secret plain = { 0 };
	struct dr_err err;
	char *text = NULL;
	bool good = true;
	const char *pass = file("pw\n", 0600);

	for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++) {
		memset(&err, 0, sizeof(err));
		text = dr_fmt(&err,
		    "age-encryption.org/v1\n"
		    "-> scrypt AAAAAAAAAAAAAAAAAAAAAA %s\n"
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		    "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		    factors[i]);
		if (text == NULL)
			abort();
		good = good &&
		       dr_unprotect(text, strlen(text), "x", pass, &plain,
		           &err) == -1 &&
		       err.cause == DR_EDATA;
		free(text);
	}
	OK(good, "work factors that are too high or odd are refused");
}

static void
test_armor(void)
{
	static const char *const bad[] = { "",
		"-----BEGIN AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAA==\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAA\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAB==\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAA==\nAA==\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\n\nAA==\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAAAA AAAA\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\nAA==\n"
		"-----END AGE ENCRYPTED FILE-----\nx",
		"x\n-----BEGIN AGE ENCRYPTED FILE-----\nAA==\n"
		"-----END AGE ENCRYPTED FILE-----\n",
		"-----BEGIN PGP MESSAGE-----\nAA==\n"
		"-----END PGP MESSAGE-----\n" };
	struct dr_buf out = { .max = 1000 }, text = { .max = 1000 };
	struct dr_err err;
	bool good = true;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&err, 0, sizeof(err));
		good =
		    good &&
		    dr_armor_decode(bad[i], strlen(bad[i]), &out, &err) == -1 &&
		    err.cause == DR_EDATA;
	}
	OK(good, "bad armor is refused");
	memset(&err, 0, sizeof(err));
	for (size_t n = 0; n < 200; n++) {
		out.len = text.len = 0;
		good = good &&
		       dr_armor_encode(path, n % 64, &text, &err) == 0 &&
		       dr_armor_decode(text.data, text.len, &out, &err) == 0 &&
		       out.len == n % 64 &&
		       (out.len == 0 || memcmp(out.data, path, out.len) == 0);
	}
	OK(good, "armor of every length around a line");
	dr_buf_free(&out);
	dr_buf_free(&text);
}

static bool
fact(const char *name, const char *pass, enum dr_key_kind kind, bool protected,
    const char *public, const char *id)
{
	struct dr_key_facts f = { 0 };
	struct dr_err err = { 0 };
	bool good;

	good = dr_key_facts(&f, name, pass, &err) == 0 && f.n == 1 &&
	       f.v[0].kind == kind && f.v[0].passphrase == protected &&
	       strcmp(f.v[0].public, public) == 0 && strcmp(f.v[0].id, id) == 0;
	dr_key_facts_free(&f);
	return good;
}

static void
test_facts(void)
{
	static const char pass[] = V "passphrase.txt";
	static const char key[] =
	    "RWTx4tPEtaaXiDjHv8rA2ur6RxL21mkoQ8Rqj95tGkVUJihJTVTh6iAq";
	static const char id[] = "b45dcc426405f71f";
	static const char keyid[] = "8897a6b5c4d3e2f1";
	struct dr_buf out = { .max = 100000 };
	struct dr_key_facts f = { 0 };
	struct dr_err err = { 0 };

	OK(fact(V "identity.txt", NULL, DR_KEY_IDENTITY, false, RECIPIENT, id),
	    "an identity");
	OK(fact(V "identity-passphrase.age", NULL, DR_KEY_IDENTITY, true, "",
	       ""),
	    "a protected one");
	OK(fact(V "identity-passphrase-armored.age", pass, DR_KEY_IDENTITY,
	       true, RECIPIENT, id),
	    "and opened");
	OK(fact(file("#\n" RECIPIENT "\n", 0600), NULL, DR_KEY_RECIPIENT, false,
	       RECIPIENT, id),
	    "a recipient");
	OK(fact(V "minisign.pub", NULL, DR_KEY_SIGN_PUBLIC, false, key, keyid),
	    "a public key of minisign's");
	OK(fact(V "minisign-plain.key", NULL, DR_KEY_SIGN_SECRET, false, key,
	       keyid),
	    "a secret one");
	OK(fact(V "minisign-passphrase.key", NULL, DR_KEY_SIGN_SECRET, true, "",
	       ""),
	    "a protected one");
	OK(fact(V "minisign-passphrase.key", pass, DR_KEY_SIGN_SECRET, true,
	       key, keyid),
	    "and opened");
	OK(fact(V "minisign.data.minisig", NULL, DR_KEY_SIGNATURE, false, "",
	       keyid),
	    "a signature");
	OK(dr_key_facts(&f, V "minisign.data", NULL, &err) == -1 &&
	        err.cause == DR_EUSAGE,
	    "what is no key file is said to be none");
	dr_key_facts_free(&f);

	memset(&err, 0, sizeof(err));
	OK(dr_key_facts(&f, V "minisign.data.minisig", NULL, &err) == 0 &&
	        dr_key_fact_json(&f.v[0], "a\"b", &out, &err) == 0 &&
	        strcmp(out.data,
	            "{\"file\":\"a\\\"b\",\"kind\":\"signature\",\"key_id\":"
	            "\"8897a6b5c4d3e2f1\",\"trusted_comment\":"
	            "\"file:minisign.data\"}\n") == 0,
	    "as JSON");
	out.len = 0;
	if (f.n == 1)
		f.v[0].trusted[0] = '\033';
	OK(f.n == 1 && dr_key_fact_text(&f.v[0], "f", &out, &err) == 0 &&
	        strstr(out.data, "?ile:minisign.data\n") != NULL,
	    "as text, without control characters");
	dr_key_facts_free(&f);
	dr_buf_free(&out);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		abort();
	test_recipients();
	test_identities();
	test_protect();
	test_factors();
	test_armor();
	test_facts();
	snprintf(path, sizeof(path), "%s/f", dir);
	unlink(path);
	rmdir(dir);
	return DONE();
}
