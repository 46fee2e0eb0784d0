/*
 * fuzz_discover.c - discovery's datagrams, as anybody on the network may send them.
 *
 * What is understood is written again and must be understood as the same; an answer is
 * never longer than its question; and what is shown of it is clean.
 */
#include <string.h>
#include "fuzz.h"
#include "wire_discover.h"

static const char *why;

static void try_question(const uint8_t *p, size_t n)
{
	static uint8_t buf[WIRE_DISCOVER_MAX];
	struct wire_discover_question q, again;

	if (wire_get_discover_question(p, n, &q, &why))
		return;
	fuzz_check(q.length == n && fuzz_clean(q.namespace));
	fuzz_check(wire_put_discover_question(buf, sizeof(buf), &q) == n);
	fuzz_check(wire_get_discover_question(buf, n, &again, &why) == 0 && memcmp(&q, &again, sizeof(q)) == 0);
}

/* a, as the answer to a question of that length. */
static void try_as_answer(const struct wire_discover_answer *a, uint16_t length, uint8_t flags)
{
	static uint8_t buf[WIRE_DISCOVER_MAX];
	struct wire_discover_question q = { .length = length, .flags = flags };
	struct wire_discover_answer again;
	size_t n = wire_put_discover_answer(buf, sizeof(buf), &q, a);

	fuzz_check(n <= length);
	if (!n)
		return;
	fuzz_check(wire_get_discover_answer(buf, n, &again, &why) == 0);
	fuzz_check(again.portal_count <= a->portal_count);
	if (flags & WIRE_DISCOVER_EQUAL)
		fuzz_check(n == length);
	if (flags & WIRE_DISCOVER_BRIEF)
		return;
	fuzz_check(again.portal_count == a->portal_count || (again.flags & WIRE_DISCOVER_MORE));
	fuzz_check(memcmp(again.portals, a->portals, again.portal_count * sizeof(a->portals[0])) == 0);
	fuzz_check(strcmp(again.server, a->server) == 0 && again.server_id == a->server_id);
}

static void try_answer(const uint8_t *p, size_t n, struct fuzz_in *in)
{
	struct wire_discover_answer a;
	uint16_t length = fuzz_u16(in);
	uint8_t flags = fuzz_u8(in) & 3;

	if (wire_get_discover_answer(p, n, &a, &why))
		return;
	fuzz_check(a.portal_count <= WIRE_PORTALS_MAX && fuzz_clean(a.namespace) && fuzz_clean(a.server));
	fuzz_check(fuzz_clean(a.software));
	for (size_t i = 0; i < a.portal_count; i++)
		fuzz_check(fuzz_clean(a.portals[i].device) && fuzz_clean(a.portals[i].driver) && a.portals[i].port);
	if (a.brief)
		return;
	try_as_answer(&a, length % (WIRE_DISCOVER_MAX + 1), flags);
	try_as_answer(&a, (uint16_t)(length % 300), flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size };

	try_question(data, size);
	try_answer(data, size, &in);
	return 0;
}
