#include <stdlib.h>
#include <string.h>
#include "crc.h"
#include "rsbench.h"

/* A block's first bytes. */
struct stamp {
	uint64_t block, sequence, seed;
	uint32_t checksum, zero;	/* CRC32C of the rest of the block */
};

struct bench_verify {
	uint64_t blocks, seed;
	uint32_t size;
	uint32_t *sequence;		/* the last acknowledged; 0: not written by this run */
	uint32_t *writing;		/* the one under way; 0: none */
};

struct bench_verify *bench_verify_new(uint64_t blocks, uint32_t block_size)
{
	struct bench_verify *v = calloc(1, sizeof *v);

	if (!v || block_size < sizeof(struct stamp) + 8) {
		free(v);
		return NULL;
	}
	v->blocks = blocks;
	v->size = block_size;
	v->seed = bench_clock();
	v->sequence = calloc(blocks, sizeof *v->sequence);
	v->writing = calloc(blocks, sizeof *v->writing);
	if (!v->sequence || !v->writing) {
		bench_verify_free(v);
		return NULL;
	}
	return v;
}

void bench_verify_free(struct bench_verify *v)
{
	if (!v)
		return;
	free(v->sequence);
	free(v->writing);
	free(v);
}

bool bench_verify_claim(struct bench_verify *v, uint64_t block)
{
	return !v->writing[block];
}

void bench_verify_fill(struct bench_verify *v, uint64_t block, uint8_t *data)
{
	struct stamp s = { .block = block, .sequence = v->sequence[block] + 1, .seed = v->seed };
	uint64_t x = s.sequence * UINT64_C(0x9e3779b97f4a7c15) ^ block;

	v->writing[block] = (uint32_t)s.sequence;
	for (uint32_t i = sizeof s; i + 8 <= v->size; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(data + i, &x, 8);
	}
	s.checksum = crc32c(0, data + sizeof s, v->size - sizeof s);
	memcpy(data, &s, sizeof s);
}

void bench_verify_wrote(struct bench_verify *v, uint64_t block, bool ok)
{
	if (ok)
		v->sequence[block] = v->writing[block];
	v->writing[block] = 0;
}

uint32_t bench_verify_since(const struct bench_verify *v, uint64_t block)
{
	return v->sequence[block];
}

bool bench_verify_check(const struct bench_verify *v, uint64_t block, uint32_t since, const uint8_t *data)
{
	uint32_t last = v->writing[block] ? v->writing[block] : v->sequence[block];
	struct stamp s;

	memcpy(&s, data, sizeof s);
	if (!since)	/* whatever was there before this run wrote it */
		return true;
	if (s.block != block || s.seed != v->seed || s.sequence < since || s.sequence > last)
		return false;
	return since != last || s.checksum == crc32c(0, data + sizeof s, v->size - sizeof s);
}
