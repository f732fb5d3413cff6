/* attrs.c - see attrs.h. */
#include "archive/attrs.h"

#include <sys/xattr.h>

#include <errno.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/pax.h"
#include "base/num.h"

/* linux/posix_acl.h and linux/posix_acl_xattr.h */
#define ACL_VERSION 2U
#define ACL_ENTRY   8U
enum {
	ACL_USER_OBJ = 1,
	ACL_USER = 2,
	ACL_GROUP_OBJ = 4,
	ACL_GROUP = 8,
	ACL_MASK = 16,
	ACL_OTHER = 32
};

static int
acl_entry(const unsigned char *p, struct dr_ids *ids, struct dr_buf *out,
    struct dr_err *e)
{
	unsigned tag = p[0] | (unsigned)p[1] << 8;
	unsigned perm = p[2] | (unsigned)p[3] << 8;
	uint32_t id = dr_get32(p + 4);
	const char *kind, *name = "";
	char rwx[4] = "---", number[16];
	bool named = tag == ACL_USER || tag == ACL_GROUP;

	switch (tag) {
	case ACL_USER_OBJ:
	case ACL_USER:
		kind = "user";
		break;
	case ACL_GROUP_OBJ:
	case ACL_GROUP:
		kind = "group";
		break;
	case ACL_MASK:
		kind = "mask";
		break;
	case ACL_OTHER:
		kind = "other";
		break;
	default:
		return dr_err_set(e, DR_EFAIL, "malformed ACL");
	}
	if ((perm & ~7U) != 0)
		return dr_err_set(e, DR_EFAIL, "malformed ACL");
	if ((perm & 4) != 0)
		rwx[0] = 'r';
	if ((perm & 2) != 0)
		rwx[1] = 'w';
	if ((perm & 1) != 0)
		rwx[2] = 'x';
	if (!named)
		return dr_buf_fmt(out, e, "%s::%s", kind, rwx);
	name = tag == ACL_USER ? dr_ids_user(ids, id) : dr_ids_group(ids, id);
	if (name == NULL) {
		(void)snprintf(number, sizeof(number), "%u", id);
		name = number;
	}
	return dr_buf_fmt(out, e, "%s:%s:%s:%u", kind, name, rwx, id);
}

int
dr_acl_text(const void *acl, size_t len, struct dr_ids *ids, struct dr_buf *out,
    struct dr_err *e)
{
	const unsigned char *p = acl;
	size_t i;

	if (len < 4 || (len - 4) % ACL_ENTRY != 0 || dr_get32(p) != ACL_VERSION)
		return dr_err_set(e, DR_EFAIL, "malformed ACL");
	for (i = 4; i < len; i += ACL_ENTRY) {
		if (i > 4 && dr_buf_str(out, ",", e) == -1)
			return -1;
		if (acl_entry(p + i, ids, out, e) == -1)
			return -1;
	}
	return 0;
}

static int
add_acl(const char *key, const void *value, size_t len, struct dr_ids *ids,
    struct dr_buf *out, struct dr_err *e)
{
	struct dr_buf text = { .max = DR_ATTRS_MAX };
	int r = dr_acl_text(value, len, ids, &text, e);

	if (r == 0 && text.len > 0)
		r = dr_pax_record(out, key, text.data, text.len, e);
	dr_buf_free(&text);
	return r;
}

/* "=" ends the key of a record, so GNU tar writes %3D for it, %25 for "%". */
static int
add_xattr(const char *name, const void *value, size_t len, struct dr_buf *out,
    struct dr_err *e)
{
	struct dr_buf key = { .max = 4096 };
	int r = dr_buf_str(&key, "SCHILY.xattr.", e);

	for (; r == 0 && *name != '\0'; name++)
		if (*name == '=')
			r = dr_buf_str(&key, "%3D", e);
		else if (*name == '%')
			r = dr_buf_str(&key, "%25", e);
		else
			r = dr_buf_add(&key, name, 1, e);
	if (r == 0)
		r = dr_pax_record(out, key.data, value, len, e);
	dr_buf_free(&key);
	return r;
}

static ssize_t
list(int fd, const char *path, char *buf, size_t len)
{
	return fd != -1 ? flistxattr(fd, buf, len) : llistxattr(path, buf, len);
}

static ssize_t
get(int fd, const char *path, const char *name, void *buf, size_t len)
{
	return fd != -1 ? fgetxattr(fd, name, buf, len)
	                : lgetxattr(path, name, buf, len);
}

int
dr_attrs_get(int fd, const char *path, struct dr_ids *ids, struct dr_buf *out,
    const char **why, struct dr_err *e)
{
	char small[512], *names = small, *value = NULL;
	struct dr_err mine = { 0 };
	ssize_t n, got;
	const char *name;
	int result = -1, r;
	size_t before;

	n = list(fd, path, names, sizeof(small));
	if (n == 0 || (n == -1 && (errno == ENOTSUP || errno == ENOSYS ||
	                              errno == ENOENT)))
		return 1;
	/* The kernel's own limits: lists and values of 64 KiB at most. */
	if (n == -1 && errno == ERANGE) {
		if ((names = malloc(XATTR_LIST_MAX)) == NULL) {
			dr_err_sys(e, "cannot allocate memory");
			goto out;
		}
		n = list(fd, path, names, XATTR_LIST_MAX);
	}
	result = 0;
	*why = "extended attributes cannot be read";
	if (n == -1)
		goto out;
	result = 1;
	for (name = names; name < names + n; name += strlen(name) + 1) {
		if (value == NULL && (value = malloc(XATTR_SIZE_MAX)) == NULL) {
			result = dr_err_sys(e, "cannot allocate memory");
			goto out;
		}
		got = get(fd, path, name, value, XATTR_SIZE_MAX);
		if (got == -1) {
			if (errno != ENODATA) /* gone meanwhile */
				result = 0;
			continue;
		}
		before = out->len;
		if (out->len + (size_t)got + 512 > DR_ATTRS_MAX) {
			*why = "extended attributes are too large for a tar";
			result = 0;
			continue;
		}
		if (strcmp(name, DR_ACL_ACCESS) == 0)
			r = add_acl("SCHILY.acl.access", value, (size_t)got,
			    ids, out, &mine);
		else if (strcmp(name, DR_ACL_DEFAULT) == 0)
			r = add_acl("SCHILY.acl.default", value, (size_t)got,
			    ids, out, &mine);
		else
			r = add_xattr(name, value, (size_t)got, out, &mine);
		if (r == -1) {
			out->len = before;
			result = 0;
		}
	}
out:
	if (names != small)
		free(names);
	free(value);
	return result;
}
