/*
 * shim.c - for LD_PRELOAD: the Nth call of a kind fails, or is the last.
 *
 *	FAULT_CALL	alloc open read write sync name close stat thread
 *	FAULT_AT	which one, from 1; 0 only counts
 *	FAULT_ERRNO	the number it fails with, or "kill": SIGKILL instead,
 *			a write being half done
 *	FAULT_HIT	file that is made when it came to that; it names the
 *			call and the place it was made from
 *	FAULT_COUNT	file that gets the counts of all kinds at exit
 *
 * Only programs called dr-* are touched, and only calls made from the
 * program itself: what libraries do among themselves is not ours to test.
 * Where a library is initialized before us nothing is set up yet, so all
 * goes to the kernel or to glibc's own entries without looking anything up.
 */
#undef _FORTIFY_SOURCE /* it would define some of what we define */

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's, under its own names. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static const char *const kinds[] = { "alloc", "open", "read", "write", "sync",
	"name", "close", "stat", "thread" };
enum kind { ALLOC, OPEN, READ, WRITE, SYNC, NAME, CLOSE, STAT, THREAD, NONE };

static atomic_int ready; /* 0 not yet, 1 being done, 2 done */
static enum kind wanted = NONE;
static long at;
static int number; /* errno, or -1: kill */
static const char *hit_path, *count_path;
static uintptr_t from, to, base; /* the program's code */
static atomic_long seen[NONE];

static void
find_code(void)
{
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t n = getauxval(AT_PHNUM);

	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_PHDR)
			base = (uintptr_t)ph - ph[i].p_vaddr;
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X) != 0) {
			from = base + ph[i].p_vaddr;
			to = from + ph[i].p_memsz;
		}
}

static bool
set_up(void)
{
	const char *call, *what;
	int expected = 0;

	if (atomic_load(&ready) == 2)
		return wanted != NONE;
	if (!atomic_compare_exchange_strong(&ready, &expected, 1))
		return false;
	call = getenv("FAULT_CALL");
	what = getenv("FAULT_ERRNO");
	if (call != NULL && what != NULL && getenv("FAULT_AT") != NULL &&
	    strncmp(program_invocation_short_name, "dr-", 3) == 0) {
		find_code();
		at = strtol(getenv("FAULT_AT"), NULL, 10);
		number = strcmp(what, "kill") == 0
		             ? -1
		             : (int)strtol(what, NULL, 10);
		hit_path = getenv("FAULT_HIT");
		count_path = getenv("FAULT_COUNT");
		for (int k = ALLOC; k < NONE; k++)
			if (strcmp(call, kinds[k]) == 0)
				wanted = (enum kind)k;
	}
	atomic_store(&ready, 2);
	return wanted != NONE;
}

static void
leave_word(const char *path, const char *text, int len)
{
	long fd;

	if (path == NULL || len < 0)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC,
	    0644);
	if (fd == -1)
		return;
	syscall(SYS_write, fd, text, (size_t)len);
	syscall(SYS_close, fd);
}

__attribute__((destructor)) static void
report(void)
{
	char text[400];
	int n = 0;

	if (atomic_load(&ready) != 2 || wanted == NONE)
		return;
	for (int k = ALLOC; k < NONE; k++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s %ld\n",
		    kinds[k], atomic_load(&seen[k]));
	leave_word(count_path, text, n);
}

static void
die(void)
{
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	for (;;)
		pause();
}

/* Is this call the one?  Then errno is set, and WHO called is noted. */
static bool
chosen(enum kind kind, const char *name, const void *who)
{
	char text[100];
	uintptr_t place = (uintptr_t)who;

	if (!set_up() || place < from || place >= to)
		return false;
	if (atomic_fetch_add(&seen[kind], 1) + 1 != at || kind != wanted)
		return false;
	leave_word(hit_path, text,
	    snprintf(text, sizeof(text), "%s %#lx\n", name,
	        (unsigned long)(place - base)));
	errno = number;
	return true;
}

/* The same where there is nothing to be done by halves. */
static bool
fails(enum kind kind, const char *name, const void *who)
{
	if (!chosen(kind, name, who))
		return false;
	if (number == -1)
		die();
	return true;
}

#define FAILS(kind, name)     \
	fails((kind), (name), \
	    __builtin_extract_return_addr(__builtin_return_address(0)))
#define CHOSEN(kind, name)     \
	chosen((kind), (name), \
	    __builtin_extract_return_addr(__builtin_return_address(0)))

/* --- memory ---------------------------------------------------------------- */

void *
malloc(size_t n)
{
	return FAILS(ALLOC, "malloc") ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t m)
{
	return FAILS(ALLOC, "calloc") ? NULL : __libc_calloc(n, m);
}

void *
realloc(void *p, size_t n)
{
	return FAILS(ALLOC, "realloc") ? NULL : __libc_realloc(p, n);
}

void *
reallocarray(void *p, size_t n, size_t m)
{
	size_t all;

	if (FAILS(ALLOC, "reallocarray"))
		return NULL;
	if (__builtin_mul_overflow(n, m, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, all);
}

static char *
copy(const char *s, size_t n)
{
	char *p = __libc_malloc(n + 1);

	if (p != NULL) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}

char *
strdup(const char *s)
{
	return FAILS(ALLOC, "strdup") ? NULL : copy(s, strlen(s));
}

char *
strndup(const char *s, size_t n)
{
	return FAILS(ALLOC, "strndup") ? NULL : copy(s, strnlen(s, n));
}

int __vasprintf_chk(char **, int, const char *, va_list)
    __attribute__((format(printf, 3, 0)));

int
__vasprintf_chk(char **out, int flag, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	(void)flag;
	if (FAILS(ALLOC, "vasprintf"))
		return -1;
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || (*out = __libc_malloc((size_t)n + 1)) == NULL)
		return -1;
	return vsnprintf(*out, (size_t)n + 1, fmt, ap);
}

void *
mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t off)
{
	if (FAILS(ALLOC, "mmap"))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, off);
}

/* --- files ----------------------------------------------------------------- */

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

int
open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	if (FAILS(OPEN, "open"))
		return -1;
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int
openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	if (FAILS(OPEN, "openat"))
		return -1;
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int
pipe2(int p[2], int flags)
{
	return FAILS(OPEN, "pipe2") ? -1 : (int)syscall(SYS_pipe2, p, flags);
}

int
mkostemp64(char *template, int flags)
{
	int (*real)(char *, int) =
	    (int (*)(char *, int))(uintptr_t)dlsym(RTLD_NEXT, "mkostemp64");

	return FAILS(OPEN, "mkostemp") ? -1 : real(template, flags);
}

DIR *
opendir(const char *path)
{
	DIR *(*real)(const char *) =
	    (DIR * (*)(const char *))(uintptr_t)dlsym(RTLD_NEXT, "opendir");

	return FAILS(OPEN, "opendir") ? NULL : real(path);
}

DIR *
fdopendir(int fd)
{
	DIR *(*real)(int) =
	    (DIR * (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "fdopendir");

	return FAILS(OPEN, "fdopendir") ? NULL : real(fd);
}

struct dirent64 *
readdir64(DIR *d)
{
	struct dirent64 *(*real)(DIR *) = (struct dirent64 * (*)(DIR *))(
	    uintptr_t)dlsym(RTLD_NEXT, "readdir64");

	return FAILS(READ, "readdir") ? NULL : real(d);
}

ssize_t
read(int fd, void *p, size_t n)
{
	return FAILS(READ, "read") ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t
pread64(int fd, void *p, size_t n, off64_t off)
{
	return FAILS(READ, "pread") ? -1 : syscall(SYS_pread64, fd, p, n, off);
}

ssize_t
readlinkat(int dir, const char *path, char *p, size_t n)
{
	return FAILS(READ, "readlinkat")
	           ? -1
	           : syscall(SYS_readlinkat, dir, path, p, n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (CHOSEN(WRITE, "write")) {
		if (number != -1)
			return -1;
		syscall(SYS_write, fd, p, n / 2);
		die();
	}
	return syscall(SYS_write, fd, p, n);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	if (CHOSEN(WRITE, "pwrite")) {
		if (number != -1)
			return -1;
		syscall(SYS_pwrite64, fd, p, n / 2, off);
		die();
	}
	return syscall(SYS_pwrite64, fd, p, n, off);
}

ssize_t
vmsplice(int fd, const struct iovec *v, size_t n, unsigned flags)
{
	return FAILS(WRITE, "vmsplice")
	           ? -1
	           : syscall(SYS_vmsplice, fd, v, n, flags);
}

int
ftruncate64(int fd, off64_t n)
{
	return FAILS(WRITE, "ftruncate") ? -1
	                                 : (int)syscall(SYS_ftruncate, fd, n);
}

int
posix_fallocate64(int fd, off64_t off, off64_t n)
{
	if (FAILS(WRITE, "posix_fallocate"))
		return errno;
	return syscall(SYS_fallocate, fd, 0, off, n) == -1 ? errno : 0;
}

ssize_t
copy_file_range(int in, off64_t *inoff, int out, off64_t *outoff, size_t n,
    unsigned flags)
{
	return FAILS(WRITE, "copy_file_range")
	           ? -1
	           : syscall(SYS_copy_file_range, in, inoff, out, outoff, n,
	                 flags);
}

/* Nobody pulls a plug here, so what is not made to fail need not be done. */
int
fsync(int fd)
{
	(void)fd;
	return FAILS(SYNC, "fsync") ? -1 : 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return FAILS(SYNC, "fdatasync") ? -1 : 0;
}

int
syncfs(int fd)
{
	(void)fd;
	return FAILS(SYNC, "syncfs") ? -1 : 0;
}

int
sync_file_range(int fd, off64_t off, off64_t n, unsigned flags)
{
	(void)fd;
	(void)off;
	(void)n;
	(void)flags;
	return FAILS(SYNC, "sync_file_range") ? -1 : 0;
}

int
rename(const char *a, const char *b)
{
	return FAILS(NAME, "rename") ? -1 : (int)syscall(SYS_rename, a, b);
}

int
renameat(int ad, const char *a, int bd, const char *b)
{
	return FAILS(NAME, "renameat")
	           ? -1
	           : (int)syscall(SYS_renameat, ad, a, bd, b);
}

int
renameat2(int ad, const char *a, int bd, const char *b, unsigned flags)
{
	return FAILS(NAME, "renameat2")
	           ? -1
	           : (int)syscall(SYS_renameat2, ad, a, bd, b, flags);
}

int
link(const char *a, const char *b)
{
	return FAILS(NAME, "link") ? -1 : (int)syscall(SYS_link, a, b);
}

int
linkat(int ad, const char *a, int bd, const char *b, int flags)
{
	return FAILS(NAME, "linkat")
	           ? -1
	           : (int)syscall(SYS_linkat, ad, a, bd, b, flags);
}

int
symlinkat(const char *a, int bd, const char *b)
{
	return FAILS(NAME, "symlinkat") ? -1
	                                : (int)syscall(SYS_symlinkat, a, bd, b);
}

int
mkdir(const char *path, mode_t mode)
{
	return FAILS(NAME, "mkdir") ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	return FAILS(NAME, "mkdirat")
	           ? -1
	           : (int)syscall(SYS_mkdirat, dir, path, mode);
}

int
unlink(const char *path)
{
	return FAILS(NAME, "unlink") ? -1 : (int)syscall(SYS_unlink, path);
}

int
unlinkat(int dir, const char *path, int flags)
{
	return FAILS(NAME, "unlinkat")
	           ? -1
	           : (int)syscall(SYS_unlinkat, dir, path, flags);
}

/* As Linux does: closed, whatever it says. */
int
close(int fd)
{
	long rc;

	if (FAILS(CLOSE, "close")) {
		syscall(SYS_close, fd);
		errno = number;
		return -1;
	}
	rc = syscall(SYS_close, fd);
	return (int)rc;
}

static int
do_stat(int dir, const char *path, struct stat64 *st, int flags)
{
	return (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

int
fstat64(int fd, struct stat64 *st)
{
	return FAILS(STAT, "fstat") ? -1 : do_stat(fd, "", st, AT_EMPTY_PATH);
}

int
stat64(const char *path, struct stat64 *st)
{
	return FAILS(STAT, "stat") ? -1 : do_stat(AT_FDCWD, path, st, 0);
}

int
lstat64(const char *path, struct stat64 *st)
{
	return FAILS(STAT, "lstat")
	           ? -1
	           : do_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int
fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return FAILS(STAT, "fstatat") ? -1 : do_stat(dir, path, st, flags);
}

int
pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *),
    void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
	    void *) =
	    (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
	        void *))(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");

	return FAILS(THREAD, "pthread_create") ? errno : real(t, attr, fn, arg);
}
