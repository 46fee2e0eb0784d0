/* fuzz_client.c - a server that knows the key, logged in, says anything. */
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

	play_begin();
	play_login(how & 2);
	play_steps(&in);
	play_end(how & 1);
	return 0;
}
