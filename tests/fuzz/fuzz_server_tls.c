/* fuzz_server_tls.c - the same within TLS, and beside it: who has the key, and who begins so and has none. */
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
	uint8_t how = fuzz_u8(&in);

	fuzz_random(how);
	stage_within_tls(how & 2);
	stage_begin(how);
	stage_steps(&in);
	stage_end();
	return 0;
}
