/*
 * restattr.c - see restattr.h.  The form between take and set is, for each
 * attribute, the lengths of name (with its NUL) and value, 4 bytes each, and
 * both.
 */
#include "archive/restattr.h"

#include <sys/xattr.h>

#include <archive.h>
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "archive/attrs.h"
#include "base/num.h"

#define ACL_ENTRIES_MAX 4096U

/* In the order that the kernel demands. */
static const struct kind {
	int tag;        /* libarchive's */
	unsigned value; /* the kernel's */
} kinds[] = {
	{ ARCHIVE_ENTRY_ACL_USER_OBJ, 1 },
	{ ARCHIVE_ENTRY_ACL_USER, 2 },
	{ ARCHIVE_ENTRY_ACL_GROUP_OBJ, 4 },
	{ ARCHIVE_ENTRY_ACL_GROUP, 8 },
	{ ARCHIVE_ENTRY_ACL_MASK, 16 },
	{ ARCHIVE_ENTRY_ACL_OTHER, 32 },
};

static int
add(struct dr_buf *out, const char *name, const void *value, size_t len,
    struct dr_err *e)
{
	size_t n = strlen(name) + 1;
	unsigned char head[8];

	if (len > XATTR_SIZE_MAX || n > XATTR_NAME_MAX + 1)
		return dr_err_set(e, DR_EDATA,
		    "an extended attribute is too long");
	dr_put32(head, (uint32_t)n);
	dr_put32(head + 4, (uint32_t)len);
	if (dr_buf_add(out, head, sizeof(head), e) == -1 ||
	    dr_buf_add(out, name, n, e) == -1)
		return -1;
	return len == 0 ? 0 : dr_buf_add(out, value, len, e);
}

/* The id of a named entry; false when neither name nor number is known. */
static bool
acl_id(struct dr_ids *ids, bool numeric, int tag, const char *name,
    int64_t number, uint32_t *id)
{
	uint32_t fallback = (uint32_t)-1;

	if (number >= 0 && number < UINT32_MAX)
		fallback = (uint32_t)number;
	if (numeric)
		name = NULL;
	*id = tag == ARCHIVE_ENTRY_ACL_USER ? dr_ids_uid(ids, name, fallback)
	                                    : dr_ids_gid(ids, name, fallback);
	return *id != (uint32_t)-1;
}

/* One ACL, TYPE of libarchive's, in the kernel's form.  0 with nothing added
 * where there is none, 1 where it names somebody unknown. */
static int
take_acl(struct archive_entry *entry, struct dr_ids *ids, bool numeric,
    int type, struct dr_buf *out, struct dr_err *e)
{
	int t, perm, tag, id;
	const char *name;
	unsigned char b[8];
	uint32_t n;
	size_t k, count = 0;

	dr_put32(b, 2);
	if (dr_buf_add(out, b, 4, e) == -1)
		return -1;
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		(void)archive_entry_acl_reset(entry, type);
		while (archive_entry_acl_next(entry, type, &t, &perm, &tag, &id,
		           &name) == ARCHIVE_OK) {
			if (tag != kinds[k].tag)
				continue;
			if (count++ == ACL_ENTRIES_MAX)
				return dr_err_set(e, DR_EDATA,
				    "an ACL is too long");
			n = (uint32_t)-1;
			if ((tag == ARCHIVE_ENTRY_ACL_USER ||
			        tag == ARCHIVE_ENTRY_ACL_GROUP) &&
			    !acl_id(ids, numeric, tag, name, id, &n))
				return 1;
			b[0] = (unsigned char)kinds[k].value;
			b[1] = 0;
			b[2] = (unsigned char)(perm & 7);
			b[3] = 0;
			dr_put32(b + 4, n);
			if (dr_buf_add(out, b, sizeof(b), e) == -1)
				return -1;
		}
	}
	return 0;
}

static int
take_acls(struct archive_entry *entry, struct dr_ids *ids, bool numeric,
    struct dr_buf *out, uint64_t *left_out, struct dr_err *e)
{
	static const struct {
		int type;
		const char *name;
	} acls[] = { { ARCHIVE_ENTRY_ACL_TYPE_ACCESS, DR_ACL_ACCESS },
		{ ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, DR_ACL_DEFAULT } };
	struct dr_buf acl = { .max = XATTR_SIZE_MAX };
	int r = 0;
	size_t i;

	for (i = 0; i < 2 && r == 0; i++) {
		if (archive_entry_acl_count(entry, acls[i].type) <= 0)
			continue;
		acl.len = 0;
		r = take_acl(entry, ids, numeric, acls[i].type, &acl, e);
		if (r == 1) {
			(*left_out)++;
			r = 0;
		} else if (r == 0) {
			r = add(out, acls[i].name, acl.data, acl.len, e);
		}
	}
	dr_buf_free(&acl);
	return r;
}

/* GNU tar's %3D and %25 stand for "=" and "%" in names. */
static void
unquote(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (strncmp(s, "%3D", 3) == 0 || strncmp(s, "%25", 3) == 0) {
			*to++ = s[1] == '3' ? '=' : '%';
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool
wanted(const char *name, bool trusted)
{
	if (strncmp(name, "user.", 5) == 0)
		return true;
	return trusted && (strncmp(name, "security.", 9) == 0 ||
	                      strncmp(name, "trusted.", 8) == 0);
}

int
dr_restattr_take(struct archive_entry *entry, struct dr_ids *ids, bool numeric,
    bool trusted, struct dr_buf *out, uint64_t *left_out, struct dr_err *e)
{
	char key[XATTR_NAME_MAX * 3 + 1];
	const char *name;
	const void *value;
	size_t len;

	if (take_acls(entry, ids, numeric, out, left_out, e) == -1)
		return -1;
	(void)archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &len) ==
	       ARCHIVE_OK) {
		if (name == NULL || strlen(name) >= sizeof(key)) {
			(*left_out)++;
			continue;
		}
		memcpy(key, name, strlen(name) + 1);
		unquote(key);
		/* A foreign tar may have an ACL in this form too: taken above. */
		if (strcmp(key, DR_ACL_ACCESS) == 0 ||
		    strcmp(key, DR_ACL_DEFAULT) == 0)
			continue;
		if (!wanted(key, trusted))
			(*left_out)++;
		else if (add(out, key, value, len, e) == -1)
			return -1;
	}
	return 0;
}

int
dr_restattr_set(int fd, const char *path, const void *attrs, size_t len,
    const char *file, uint64_t *left_out, struct dr_err *e)
{
	const char *p = attrs, *end = p + len, *name, *value;
	size_t n, size;
	int r;

	while (p < end) {
		n = dr_get32(p);
		size = dr_get32(p + 4);
		name = p + 8;
		value = name + n;
		p = value + size;
		r = fd != -1 ? fsetxattr(fd, name, value, size, 0)
		             : lsetxattr(path, name, value, size, 0);
		if (r == 0)
			continue;
		if (errno != ENOTSUP && errno != EPERM && errno != EINVAL &&
		    errno != EACCES && errno != ERANGE && errno != E2BIG)
			return dr_err_sys(e,
			    "cannot set the attribute \"%s\" of \"%s\"", name,
			    file);
		(*left_out)++;
	}
	return 0;
}
