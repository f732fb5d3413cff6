/* What ssh knows of hosts and keys, and the names of temporaries. */
#include "store/knownhosts.h"

#include <string.h>

#include <openssl/evp.h>

#include "store/sshkey.h"
#include "store/tmpname.h"
#include "tests/tap.h"

/* Of "h.example" and "[h.example]:2222", hashed by ssh-keygen -H. */
static const char hashed[] =
    "|1|rMqjf7HxSBoXzUq1LbenwOHHsWI=|euaVtIVa2oP5hx7+NqTJH1crkaw= "
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIB6OlsMhA2pCXmDuPHn2oqQ7lGmXW989XHj2KZYj7O1D\n"
    "|1|DlLB1VRYJ9oXWPTIfagBFm7SDk4=|2v0PJRHT/Zy94B9NWX9yO6GtZ1Q= "
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNGWnvnB8pLvjTlMkm9X"
    "n2Pgx9/XAdE7agXhtFDU2ljoQcJyEgPqASa/yUnJkgBN31jEQWZCm9V5z59HB5sQW8g=\n";

/* Protected by a passphrase, made by ssh-keygen. */
static const char protected[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABB5MUSn/t\n"
    "yUoOiy3N/cLEegAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAII2eL1uNu5qfhygw\n"
    "npYorfcsgOX92IFfmimOoCKi5C5XAAAAkGdD6c4Kfw7ArRJgQmC2DuIj4hpAwNnw01FHUb\n"
    "w11d6Swmm0xirc67jmFlUr6T39mMvlpPZjTpU6v53reExBVCHjR3pRb9y5Cloi2u7+9U0p\n"
    "z6pljJvfzG39I8ZrYxIDK/U9KRI8ZW/Erfh++APKG1sIi2G2HWEt++2iHf8CJzsFAamAae\n"
    "8bkzqpilqytVPVww==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

/* How many keys TEXT has for HOST, and the type of the first. */
static size_t
known(const char *text, const char *host, uint16_t port, char type[48])
{
	struct dr_host_keys keys = { 0 };
	struct dr_err err = { 0 };
	size_t n;

	if (dr_known_hosts(text, host, port, &keys, &err) == -1)
		return 99;
	n = keys.n;
	if (type != NULL)
		memcpy(type, n > 0 ? keys.key[0].type : "", n > 0 ? 48 : 1);
	dr_host_keys_wipe(&keys);
	return n;
}

static void
hosts(void)
{
	char type[48];

	OK(known(hashed, "h.example", 22, type) == 1 &&
	        strcmp(type, "ssh-ed25519") == 0,
	    "a hashed name");
	OK(known(hashed, "H.Example", 22, NULL) == 1, "in capitals");
	OK(known(hashed, "h.example", 2222, type) == 1 &&
	        strcmp(type, "ecdsa-sha2-nistp256") == 0,
	    "a hashed name with a port");
	OK(known(hashed, "h.example", 2223, NULL) == 0, "another port");
	OK(known(hashed, "g.example", 22, NULL) == 0, "another name");
	OK(known("a,b.example,10.0.0.1 k AAAA\n", "b.example", 22, NULL) == 1,
	    "one of several names");
	OK(known("*.example,!c.example k AAAA", "b.example", 22, NULL) == 1 &&
	        known("*.example,!c.example k AAAA", "c.example", 22, NULL) ==
	            0 &&
	        known("?.e*e k AAAA", "c.example", 22, NULL) == 1 &&
	        known("?.e*e k AAAA", "cc.example", 22, NULL) == 0,
	    "patterns");
	OK(known("[a]:22 k AAAA", "a", 22, NULL) == 0 &&
	        known("[a]:23 k AAAA", "a", 23, NULL) == 1 &&
	        known("a k AAAA", "a", 23, NULL) == 0,
	    "ports");
	OK(known("# a k AAAA\n\n \t\na\na k\na k !!!!\na k AAA\n|1|x k AAAA\n"
	         "@cert-authority a k AAAA\r\na\tk\tAAAA comment",
	       "a", 22, NULL) == 1,
	    "lines that say nothing are passed over");
}

static void
check(void)
{
	static const unsigned char zero[3] = { 0, 0, 0 }, one[3] = { 0, 0, 1 };
	struct dr_host_keys keys = { 0 };
	struct dr_err err = { 0 };

	OK(dr_host_check(&keys, zero, 3) == DR_HOST_UNKNOWN, "no key");
	dr_known_hosts("a k AAAA\n", "a", 22, &keys, &err);
	OK(dr_host_check(&keys, zero, 3) == DR_HOST_MATCH, "the same key");
	OK(dr_host_check(&keys, one, 3) == DR_HOST_MISMATCH, "another key");
	OK(dr_host_check(&keys, zero, 2) == DR_HOST_MISMATCH, "a shorter one");
	dr_known_hosts("a k AAAB\n@revoked * k AAAA\n", "a", 22, &keys, &err);
	OK(dr_host_check(&keys, one, 3) == DR_HOST_MATCH, "a second key");
	OK(dr_host_check(&keys, zero, 3) == DR_HOST_REVOKED, "a revoked key");
	dr_host_keys_wipe(&keys);
	dr_known_hosts("@revoked a k AAAA\n", "a", 22, &keys, &err);
	OK(dr_host_check(&keys, one, 3) == DR_HOST_UNKNOWN,
	    "that another is revoked makes none known");
	dr_host_keys_wipe(&keys);
	for (int i = 0; i < 100; i++)
		dr_known_hosts("a k AAAA\n", "a", 22, &keys, &err);
	OK(keys.n == DR_HOST_KEYS, "no more than a number of keys");
	dr_host_keys_wipe(&keys);
}

static void
key_files(void)
{
	/* "openssh-key-v1", "none", "none", "", 1, a public key. */
	static const unsigned char raw[] =
	    "openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1"
	    "\0\0\0\22\0\0\0\7ssh-rsa\0\0\0\3abc";
	char text[512] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
	struct dr_ssh_key key;
	size_t at = strlen(text), bad = 0;

	dr_ssh_key_look(protected, &key);
	OK(key.ok && key.protected && strcmp(key.type, "ssh-ed25519") == 0 &&
	        key.len == 51,
	    "a key with a passphrase");
	(void)EVP_EncodeBlock((unsigned char *)text + at, raw,
	    (int)sizeof(raw) - 1);
	dr_ssh_key_look(text, &key);
	OK(key.ok && !key.protected && strcmp(key.type, "ssh-rsa") == 0 &&
	        key.len == 18,
	    "a key without");
	for (size_t n = 1; n < sizeof(raw) - 1; n++) {
		(void)EVP_EncodeBlock((unsigned char *)text + at, raw, (int)n);
		dr_ssh_key_look(text, &key);
		bad += key.ok;
	}
	OK(bad == 0, "a key that is cut short");
	dr_ssh_key_look("-----BEGIN RSA PRIVATE KEY-----\n"
	                "Proc-Type: 4,ENCRYPTED\n",
	    &key);
	OK(key.ok && key.protected && strcmp(key.type, "ssh-rsa") == 0,
	    "PEM with a passphrase");
	dr_ssh_key_look("-----BEGIN PRIVATE KEY-----\nAAAA\n", &key);
	OK(key.ok && !key.protected && key.len == 0, "PEM without");
	dr_ssh_key_look("ssh-ed25519 AAAA x\n", &key);
	OK(!key.ok, "a public key");
}

static void
temporaries(void)
{
	char tmp[DR_TMP_MAX], again[DR_TMP_MAX], base[DR_PART_MAX + 1],
	    id[DR_TMP_ID_LEN], name[DR_PART_MAX + 2];
	struct dr_err err = { 0 };

	memset(name, 'n', sizeof(name));
	name[DR_PART_MAX] = '\0';
	OK(dr_tmp_new("x.json", tmp, &err) == 0 &&
	        dr_tmp_parse(tmp, base, id) && strcmp(base, "x.json") == 0 &&
	        dr_tmp_of(base, id, again) && strcmp(tmp, again) == 0,
	    "a temporary's name, taken apart and put together");
	OK(dr_tmp_new(name, tmp, &err) == 0 && dr_tmp_parse(tmp, base, id) &&
	        strcmp(base, name) == 0,
	    "the longest");
	name[DR_PART_MAX] = 'n';
	name[DR_PART_MAX + 1] = '\0';
	OK(dr_tmp_new(name, tmp, &err) == -1, "one too long");
	OK(!dr_tmp_parse("x.0123456789abcdef.tmp", base, id) &&
	        !dr_tmp_parse(".x.0123456789abcdeF.tmp", base, id) &&
	        !dr_tmp_parse(".x.0123456789abcde.tmp", base, id) &&
	        !dr_tmp_parse("..0123456789abcdef.tmp", base, id) &&
	        !dr_tmp_parse("..x.0123456789abcdef.tmp", base, id) &&
	        !dr_tmp_parse(".x.0123456789abcdef.tmp~", base, id) &&
	        !dr_tmp_parse("", base, id),
	    "what is none");
	OK(!dr_tmp_of("x", "../../../../../x", tmp), "an id that is none");
}

int
main(void)
{
	hosts();
	check();
	key_files();
	temporaries();
	return DONE();
}
