/* Keys as text. */
#include <string.h>

#include "crypt/bech32.h"
#include "tests/tap.h"

/* A pair that age-keygen made. */
static const char recipient[] =
    "age1vva9ph5pv5etvm7exv0kfltp5y5403usxl82s4xpan3czmmmup2q25f32e";

int
main(void)
{
	unsigned char key[32], back[32];
	char text[DR_BECH32_LEN], bad[DR_BECH32_LEN];
	size_t len = strlen(recipient);
	int caught = 0;

	OK(dr_bech32_decode(DR_HRP_RECIPIENT, recipient, len, key),
	    "a recipient of age-keygen's is read");
	dr_bech32_encode(DR_HRP_RECIPIENT, key, text);
	OK(strcmp(text, recipient) == 0, "and written the same");

	/* BIP 173 promises that up to four errors are found. */
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, recipient, len + 1);
		bad[i] = bad[i] == 'q' ? 'p' : 'q';
		caught += !dr_bech32_decode(DR_HRP_RECIPIENT, bad, len, back);
	}
	OK(caught == (int)len, "each changed character is noticed");
	caught = 0;
	for (size_t i = 5; i < len; i++) {
		memcpy(bad, recipient, len + 1);
		bad[i] = bad[i - 1];
		bad[i - 1] = recipient[i];
		caught += bad[i] == bad[i - 1] ||
		          !dr_bech32_decode(DR_HRP_RECIPIENT, bad, len, back);
	}
	OK(caught == (int)len - 5, "so are swapped neighbours");
	OK(!dr_bech32_decode(DR_HRP_RECIPIENT, recipient, len - 1, back),
	    "one character less");
	memcpy(bad, recipient, len);
	bad[len] = 'q';
	OK(!dr_bech32_decode(DR_HRP_RECIPIENT, bad, len + 1, back), "one more");
	OK(!dr_bech32_decode(DR_HRP_IDENTITY, recipient, len, back),
	    "under another prefix");

	for (unsigned i = 0; i < 32; i++)
		key[i] = (unsigned char)(i * 37 + 1);
	dr_bech32_encode(DR_HRP_IDENTITY, key, text);
	OK(strlen(text) == 74 && strncmp(text, "AGE-SECRET-KEY-1", 16) == 0 &&
	        strpbrk(text, "abcdefghijklmnopqrstuvwxyz") == NULL,
	    "an identity is all upper case");
	OK(dr_bech32_decode(DR_HRP_IDENTITY, text, strlen(text), back) &&
	        memcmp(key, back, 32) == 0,
	    "and comes back");
	text[20] = (char)(text[20] | 32);
	OK(text[20] < 'a' || !dr_bech32_decode(DR_HRP_IDENTITY, text, 74, back),
	    "mixed case is refused");
	memset(key, 0xff, sizeof(key));
	dr_bech32_encode(DR_HRP_RECIPIENT, key, text);
	OK(dr_bech32_decode(DR_HRP_RECIPIENT, text, 62, back) &&
	        memcmp(key, back, 32) == 0,
	    "all ones");
	return DONE();
}
