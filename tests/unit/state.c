/* state.c - what a host remembers of its pushes. */
#include "flow/state.h"
#include "flow/seen.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "tests/tap.h"

#define ID1    "20261120T120000Z-000001"
#define ID2    "20261120T120000Z-000002"
#define SIGNER "0123456789abcdef"
#define SHA    SIGNER SIGNER SIGNER SIGNER

static struct dr_err err;
static char dir[] = "/tmp/dr-state.XXXXXX";

static struct dr_pending
pending(const char *id, uint64_t seq)
{
	struct dr_pending p = { .body_time = 12345 };

	p.head.seq = seq;
	(void)snprintf(p.head.id, sizeof(p.head.id), "%s", id);
	(void)snprintf(p.head.sha256, sizeof(p.head.sha256), "%s", SHA);
	(void)snprintf(p.body, sizeof(p.body), "%s", SHA);
	(void)snprintf(p.signer, sizeof(p.signer), "%s", SIGNER);
	p.object = strdup("s/snap/x");
	p.manifest = strdup("{\"a\":\"\xc3\xb6\\n\"}\n");
	p.minisig = strdup("untrusted comment: x\nAB\n");
	(void)dr_pending_add(&p, "/a", &err);
	(void)dr_pending_add(&p, "/b", &err);
	p.store[1].done = true;
	return p;
}

static bool
same(const struct dr_pending *a, const struct dr_pending *b)
{
	size_t i;

	if (memcmp(&a->head, &b->head, sizeof(a->head)) != 0 ||
	    strcmp(a->signer, b->signer) != 0 ||
	    strcmp(a->body, b->body) != 0 || a->body_time != b->body_time ||
	    strcmp(a->object, b->object) != 0 ||
	    strcmp(a->manifest, b->manifest) != 0 ||
	    strcmp(a->minisig, b->minisig) != 0 || a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->store[i].url, b->store[i].url) != 0 ||
		    a->store[i].done != b->store[i].done ||
		    a->store[i].lost != b->store[i].lost)
			return false;
	return true;
}

static void
test_head(struct dr_state *s)
{
	struct dr_head h, back;

	OK(dr_state_head(s, SIGNER, &h, &err) == 0, "no head yet");
	memset(&h, 0, sizeof(h));
	h.seq = 7;
	(void)snprintf(h.id, sizeof(h.id), "%s", ID1);
	(void)snprintf(h.sha256, sizeof(h.sha256), "%s", SHA);
	OK(dr_state_set_head(s, SIGNER, &h, &err) == 0 &&
	        dr_state_head(s, SIGNER, &back, &err) == 1 && back.seq == 7 &&
	        strcmp(back.id, ID1) == 0 && strcmp(back.sha256, SHA) == 0,
	    "a head");
	OK(dr_state_head(s, "fedcba9876543210", &back, &err) == 0,
	    "another signer has none");
}

static void
wipe_all(struct dr_pending *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		dr_pending_wipe(&v[i]);
	free(v);
}

static void
test_pending(struct dr_state *s)
{
	struct dr_pending p = pending(ID2, 2), q = pending(ID1, 1), *v;
	size_t n;

	OK(dr_state_pending(s, &v, &n, &err) == 0 && n == 0,
	    "nothing is pending");
	free(v);
	OK(dr_state_save(s, &p, &err) == 0 && dr_state_save(s, &q, &err) == 0,
	    "two are");
	OK(dr_state_pending(s, &v, &n, &err) == 0 && n == 2 &&
	        same(&v[0], &q) && same(&v[1], &p),
	    "read back in order, byte for byte");
	wipe_all(v, n);
	OK(dr_pending_store(&p, "/b")->done &&
	        dr_pending_store(&p, "/c") == NULL,
	    "a store by its name");
	p.store[0].lost = true;
	OK(dr_state_settle(s, &p, &err) == 0 &&
	        dr_state_pending(s, &v, &n, &err) == 0 && n == 1 &&
	        same(&v[0], &q),
	    "one settled is no longer pending");
	wipe_all(v, n);
	dr_pending_wipe(&p);
	OK(dr_state_record(dir, "s", ID1, &p, &err) == 1 && same(&p, &q),
	    "what is known of one that is pending");
	dr_pending_wipe(&p);
	OK(dr_state_record(dir, "s", ID2, &p, &err) == 1 && p.store[0].lost &&
	        p.store[1].done,
	    "and of one that is done");
	dr_pending_wipe(&p);
	OK(dr_state_record(dir, "s", "20261120T120000Z-00000f", &p, &err) == 0,
	    "and of none");
	OK(dr_state_settle(s, &q, &err) == 0, "settle the other");
	dr_pending_wipe(&q);
}

static void
test_damage(struct dr_state *s)
{
	static const char *const bad[] = { "", "{", "[]", "{\"seq\":1}",
		"{\"id\":\"" ID1 "\",\"seq\":0,\"sha256\":\"" SHA "\"}" };
	struct dr_head h;
	char path[128];
	size_t i, n;
	struct dr_pending *v;

	(void)snprintf(path, sizeof(path), "%s/sets/s/head-%s.json", dir,
	    SIGNER);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)dr_file_put(path, 0600, DR_FILE_REPLACE, bad[i],
		    strlen(bad[i]), &err);
		OK(dr_state_head(s, SIGNER, &h, &err) == -1 &&
		        err.cause == DR_EFAIL &&
		        strstr(err.msg, "damaged") != NULL,
		    "a damaged head is an error");
		dr_err_clear(&err);
	}
	(void)snprintf(path, sizeof(path), "%s/sets/s/pending-%s.json", dir,
	    ID1);
	(void)dr_file_put(path, 0600, DR_FILE_REPLACE, "{}", 2, &err);
	OK(dr_state_pending(s, &v, &n, &err) == -1, "so is what is pending");
	dr_err_clear(&err);
	(void)unlink(path);
}

static void
test_seen(void)
{
	struct dr_heads h, back;

	memset(&h, 0, sizeof(h));
	memset(&back, 0, sizeof(back));
	OK(dr_seen_heads(&(struct dr_seen_at){ dir, "/store", "s", SIGNER, 0 },
	       &back, &err) == 0 &&
	        back.n == 0,
	    "no heads were seen");
	h.n = 2;
	h.v[0].seq = 1;
	h.v[1].seq = 9;
	(void)snprintf(h.v[0].id, sizeof(h.v[0].id), "%s", ID1);
	(void)snprintf(h.v[1].id, sizeof(h.v[1].id), "%s", ID2);
	(void)snprintf(h.v[0].sha256, sizeof(h.v[0].sha256), "%s", SHA);
	(void)snprintf(h.v[1].sha256, sizeof(h.v[1].sha256), "%s", SHA);
	OK(dr_seen_put_heads(&(struct dr_seen_at){ dir, "/store", "s", SIGNER,
	                         0 },
	       &h, &err) == 0 &&
	        dr_seen_heads(&(struct dr_seen_at){ dir, "/store", "s", SIGNER,
	                          0 },
	            &back, &err) == 0 &&
	        memcmp(&h, &back, sizeof(h)) == 0,
	    "heads seen");
	OK(dr_seen_heads(&(struct dr_seen_at){ dir, "/other", "s", SIGNER, 0 },
	       &back, &err) == 0 &&
	        back.n == 0,
	    "not in another store");
}

static void
test_lock(struct dr_state *held)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct dr_state *s;

		alarm(1);
		s = dr_state_lock(dir, "t", &err);
		dr_state_free(s);
		s = dr_state_lock(dir, "s", &err);
		dr_state_free(s);
		_exit(0);
	}
	OK(held != NULL && waitpid(pid, &status, 0) == pid &&
	        WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM,
	    "a second one waits for the lock, of the same set only");
}

static void
test_key(void)
{
	struct dr_sign_key *a, *b;
	char path[128], id[DR_KEYID_HEX];
	struct stat st;
	bool made;

	a = dr_state_sign_key(dir, NULL, &made, &err);
	OK(a != NULL && made, "a key is made at first use");
	if (a == NULL) {
		printf("# %s\n", err.msg);
		return;
	}
	(void)snprintf(id, sizeof(id), "%s", dr_sign_key_id(a));
	(void)snprintf(path, sizeof(path), "%s/sign.key", dir);
	OK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "0600");
	dr_sign_key_free(a);
	(void)snprintf(path, sizeof(path), "%s/sign.key.pub", dir);
	OK(unlink(path) == 0, "without its public half");
	b = dr_state_sign_key(dir, NULL, &made, &err);
	OK(b != NULL && !made && strcmp(id, dr_sign_key_id(b)) == 0,
	    "the same is used again");
	OK(access(path, R_OK) == 0, "and the public half is written again");
	dr_sign_key_free(b);
}

int
main(void)
{
	struct dr_state *s;

	if (mkdtemp(dir) == NULL || (s = dr_state_lock(dir, "s", &err)) == NULL)
		return 1;
	test_head(s);
	test_pending(s);
	test_damage(s);
	test_seen();
	test_lock(s);
	dr_state_free(s);
	test_key();
	if (fork() == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(127);
	}
	return DONE();
}
