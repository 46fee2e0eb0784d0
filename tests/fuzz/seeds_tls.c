/* seeds_tls.c - the first inputs of fuzz_tls.c. */
#include "fuzz_tls.h"
#include "seeds.h"

/* fuzz_tls.c: who the client is, then steps. */
#define TLS(step, way) (STEP_##step + STEP_STEPS * (way))

static void tls_steps_of(unsigned how, const uint8_t *steps, size_t size, const char *name)
{
	seed_byte(how);
	seed_add(steps, size);
	seed_write(name);
}

void seeds_tls(void)
{
	static const uint8_t talk[] = {
		TLS(ALL, 0), TLS(SAY, 0), 20, 3, TLS(SAY, 1), 0, 200, TLS(NEW_KEY, 0), TLS(SAY, 0), 7, 0, TLS(DELIVER, 0), 3,
		TLS(DELIVER, 0), 0, TLS(DELIVER, 1), 90, TLS(ALL, 0), TLS(END, 0), TLS(ALL, 0), TLS(SAY, 1), 1, 0, TLS(END, 1),
	};
	static const uint8_t meddle[] = {
		TLS(ALL, 0), TLS(SAY, 0), 9, 0, TLS(KEEP, 0), TLS(DELIVER, 0), 0, TLS(SAY, 0), 9, 0, TLS(PUT_BACK, 0), TLS(ALL, 0),
	};
	static const uint8_t swapped[] = {
		TLS(ALL, 0), TLS(SAY, 1), 9, 0, TLS(SAY, 1), 9, 0, TLS(SWAP, 1), TLS(ALL, 0),
	};
	static const uint8_t hello[] = { TLS(ALTER, 0), 60, 0, 4, TLS(MEND, 0), TLS(ALL, 0) };
	static const uint8_t strange[] = {
		TLS(DELIVER, 0), 0, TLS(PUT_IN, 1), 2, 4, 1, 2, 3, 4, TLS(ALL, 0), TLS(REPEAT, 0), TLS(LEAVE_OUT, 1),
	};
	static const uint8_t misuse[] = {
		TLS(ALL, 0), TLS(MISUSE, 0), 22, 3, 5, 24, 0, 0, 1, 1, TLS(ALL, 0), TLS(MISUSE, 0), 23, 0, 0, TLS(MISUSE, 0), 21, 0, 2, 1, 0,
		TLS(MISUSE, 1), 21, 1, 2, 2, 80, TLS(MISUSE, 1), 22, 0, 4, 4, 0, 0, 0,
	};
	static const uint8_t named[] = { 7, 's', 'l', 'e', 's', '/', 'x', 0x80, TLS(ALL, 0) };
	static const uint8_t elsewhere[] = { 3, 'x', 'y', 'z', TLS(ALL, 0) };

	seed_begin("tls");
	tls_steps_of(0, talk, sizeof(talk), "talk");
	tls_steps_of(5, talk, sizeof(talk), "second-key");
	tls_steps_of(1, talk, sizeof(talk), "wrong-key");
	tls_steps_of(0, meddle, sizeof(meddle), "again");
	tls_steps_of(0, swapped, sizeof(swapped), "swapped");
	tls_steps_of(0, hello, sizeof(hello), "hello");
	tls_steps_of(0, strange, sizeof(strange), "strange");
	tls_steps_of(0, misuse, sizeof(misuse), "misuse");
	tls_steps_of(8, named, sizeof(named), "named");
	tls_steps_of(24, elsewhere, sizeof(elsewhere), "elsewhere");
}
