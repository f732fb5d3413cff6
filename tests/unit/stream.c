/* Sources, sinks, blobs and the pump. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stream/blob.h"
#include "stream/pipes.h"
#include "stream/pump.h"
#include "tests/tap.h"

/* A sink that fails after LEFT bytes and counts what happens to it. */
struct picky {
	struct dr_sink sink;
	size_t left;
	int *finished, *freed;
};

static int
picky_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct picky *p = (struct picky *)sink;

	(void)buf;
	if (len > p->left)
		return dr_err_set(err, DR_EFAIL, "full");
	p->left -= len;
	return 0;
}

static int
picky_finish(struct dr_sink *sink, struct dr_err *err)
{
	(void)err;
	++*((struct picky *)sink)->finished;
	return 0;
}

static void
picky_free(struct dr_sink *sink)
{
	++*((struct picky *)sink)->freed;
	free(sink);
}

static const struct dr_sink_ops picky_ops = { .write = picky_write,
	.finish = picky_finish,
	.free = picky_free };

static struct dr_sink *
picky(size_t left, int *finished, int *freed)
{
	struct picky *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	*finished = *freed = 0;
	p->sink.ops = &picky_ops;
	p->left = left;
	p->finished = finished;
	p->freed = freed;
	return &p->sink;
}

static void
pumps(void)
{
	static char data[300000];
	struct dr_buf out = { .max = sizeof(data) };
	struct dr_err err = { 0 };
	struct dr_source *in;
	struct dr_sink *sink;
	int finished, freed;

	memset(data, 7, sizeof(data));
	in = dr_source_mem(data, sizeof(data), 777, &err);
	sink = dr_sink_buf(&out, &err);
	OK(dr_pump(in, sink, 0, &err) == 0 && out.len == sizeof(data) &&
	        memcmp(out.data, data, out.len) == 0,
	    "everything arrives");
	OK(sink->state == DR_SINK_DONE, "and the sink is finished");
	dr_sink_free(sink);
	dr_source_free(in);
	dr_buf_free(&out);

	in = dr_source_mem(data, sizeof(data), 0, &err);
	sink = picky(1000, &finished, &freed);
	OK(dr_pump(in, sink, 4096, &err) == -1 && err.cause == DR_EFAIL &&
	        strcmp(err.msg, "full") == 0,
	    "a failing sink ends the pump with its words");
	OK(finished == 0 && sink->state == DR_SINK_FAILED,
	    "and is never finished");
	dr_sink_free(sink);
	OK(freed == 1, "but is freed");
	dr_source_free(in);
}

static void
descriptors(void)
{
	char path[] = "/tmp/dr-stream.XXXXXX", buf[64];
	struct dr_err err = { 0 };
	struct dr_blob *blob;
	struct dr_source *in;
	int fd = mkstemp(path), p[2];

	if (fd == -1 || write(fd, "0123456789", 10) != 10 || pipe(p) == -1)
		abort();
	blob = dr_blob_fd(fd, path, &err);
	OK(blob != NULL && blob->size == 10, "a file is a blob");
	OK(dr_blob_pread(blob, buf, 4, 6, &err) == 0 &&
	        memcmp(buf, "6789", 4) == 0,
	    "its last bytes");
	OK(dr_blob_pread(blob, buf, 5, 6, &err) == -1 && err.cause == DR_EDATA,
	    "not one byte beyond");
	dr_err_clear(&err);
	OK(dr_blob_pread(blob, buf, 1, UINT64_MAX, &err) == -1,
	    "an offset at the end of the world");
	dr_err_clear(&err);
	if (ftruncate(fd, 3) == -1)
		abort();
	OK(dr_blob_pread(blob, buf, 10, 0, &err) == -1 && err.cause == DR_EDATA,
	    "a file that shrank is damaged");
	dr_err_clear(&err);
	dr_blob_free(blob);
	unlink(path);

	blob = dr_blob_mem("abcdef", 6, &err);
	in = dr_blob_source(blob, &err);
	OK(dr_source_fill(in, buf, 4, &err) == 4 &&
	        memcmp(buf, "abcd", 4) == 0 &&
	        dr_source_fill(in, buf, sizeof(buf), &err) == 2 &&
	        dr_source_read(in, buf, 1, &err) == 0,
	    "a blob read as a source");
	dr_source_free(in);
	dr_blob_free(blob);

	in = dr_source_fd(p[0], "pipe", &err);
	if (write(p[1], "xyz", 3) != 3)
		abort();
	close(p[1]);
	OK(dr_source_read(in, buf, sizeof(buf), &err) == 3 &&
	        dr_source_drain(in, &err) == 0 &&
	        dr_source_read(in, buf, 1, &err) == 0,
	    "a pipe to its end, and 0 again after it");
	dr_source_free(in);
	OK(fcntl(p[0], F_GETFD) == -1, "which closes the descriptor");
}

static uint32_t
next(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* 24 MiB, six times round the ring, in pieces of many sizes. */
static void
ring(bool map)
{
	const size_t total = 24U << 20;
	static uint32_t got[1 << 16];
	uint32_t x = 1, y = 77, want = 1;
	struct dr_source *in;
	ssize_t n;
	struct dr_err err = { 0 };
	size_t have = 0;
	int p[2], st;
	pid_t child;
	bool same = true;

	if (pipe(p) == -1)
		abort();
	dr_pipe_enlarge(p[1]);
	if ((child = fork()) == 0) {
		struct dr_pipe_out *out =
		    dr_pipe_out_new(p[1], "pipe", map, &err);
		uint32_t words[10000];
		size_t k, done = 0;

		while (done < total) {
			k = next(&y) % 10000 + 1;
			if (k > (total - done) / 4)
				k = (total - done) / 4;
			for (size_t i = 0; i < k; i++)
				words[i] = next(&x);
			if (dr_pipe_out_write(out, words, 4 * k, &err) == -1)
				_exit(1);
			done += 4 * k;
		}
		_exit(dr_pipe_out_flush(out, &err) == -1);
	}
	close(p[1]);
	in = dr_source_fd(p[0], "pipe", &err);
	while ((n = dr_source_fill(in, got, sizeof(got), &err)) > 0) {
		for (size_t i = 0; i < (size_t)n / 4; i++)
			if (got[i] != next(&want))
				same = false;
		have += (size_t)n;
		if (have < 4U << 20)
			usleep(20000); /* let the pipe fill */
	}
	dr_source_free(in);
	OK(waitpid(child, &st, 0) == child && st == 0, "a writer and its pipe");
	OK(have == total && same,
	    map ? "mapped pages arrive as they were" : "copied ones, too");
}

int
main(void)
{
	ring(true);
	ring(false);
	pumps();
	descriptors();
	return DONE();
}
