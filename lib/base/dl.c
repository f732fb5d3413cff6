#include "base/dl.h"

#include <dlfcn.h>
#include <string.h>

int
dr_dl_load(const char *soname, const struct dr_dl *f, size_t n,
    struct dr_err *err)
{
	void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL), *at;

	if (lib == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot load %s", dlerror());
	for (size_t i = 0; i < n; i++) {
		if ((at = dlsym(lib, f[i].name)) == NULL)
			return dr_err_set(err, DR_EFAIL,
			    "\"%s\" has no function %s", soname, f[i].name);
		/* C knows no cast from the one kind of pointer to the other. */
		memcpy(f[i].to, &at, sizeof(at));
	}
	return 0;
}
