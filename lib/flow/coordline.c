#include "flow/coordline.h"

#include <string.h>

int
dr_coord_line_open(const struct dr_coord_line *l, const char *set,
    struct dr_etcd **etcd, struct dr_coord **coord, struct dr_err *err)
{
	const struct dr_etcd_opts o = {
		.spec = l->lock,
		.ca_file = l->ca,
		.cert_file = l->cert,
		.key_file = l->key,
		.user = l->user,
		.password_file = l->password_file,
	};

	*etcd = NULL;
	*coord = NULL;
	if (l->lock == NULL || *l->lock == '\0' || strcmp(l->lock, "none") == 0)
		return 0;
	if ((*etcd = dr_etcd_open(&o, err)) == NULL)
		return -1;
	if ((*coord = dr_coord_open(*etcd, set, err)) == NULL) {
		dr_etcd_free(*etcd);
		*etcd = NULL;
		return -1;
	}
	return 0;
}
