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
	bool goodbye = fuzz_u8(&in) & 1;

	play_begin();
	play_login();
	play_steps(&in);
	play_end(goodbye);
	return 0;
}
