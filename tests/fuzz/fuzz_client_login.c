/* fuzz_client_login.c - the same from the first byte on: the login is the fuzzer's too. */
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
	play_steps(&in);
	play_end(goodbye);
	return 0;
}
