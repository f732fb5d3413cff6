/* Files of ssh: the hosts it knows, and private keys. */
#include <stdlib.h>
#include <string.h>

#include "store/knownhosts.h"
#include "store/sshkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_host_keys keys = { 0 };
	struct dr_err err = { 0 };
	struct dr_ssh_key key;
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (dr_known_hosts(text, "h.example", 22, &keys, &err) == 0)
		(void)dr_host_check(&keys, data, size);
	dr_host_keys_wipe(&keys);
	dr_ssh_key_look(text, &key);
	if (key.len > sizeof(key.blob))
		abort();
	free(text);
	return 0;
}
