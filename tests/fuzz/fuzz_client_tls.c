/* fuzz_client_tls.c - the same within TLS, and beside it: from the first byte on. */
#include "play.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	play_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_random(how);
	play_within_tls();
	play_begin();
	if (how & 2)
		play_login(how & 4);
	play_steps(&in);
	play_end(how & 1);
	return 0;
}
