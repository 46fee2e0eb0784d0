/* fuzz_server_login.c - the same from the first byte on: before a login, and what comes of it. */
#include "stage.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	stage_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };

	stage_begin(fuzz_u8(&in));
	stage_steps(&in);
	stage_end();
	return 0;
}
