/*
 * crc.c - CRC32C, the fastest way this processor has.
 *
 * A CRC instruction takes one cycle to start and three to finish, so one stream
 * of them uses a third of the unit.  Long data is therefore cut into three
 * equal pieces whose checksums are computed side by side and then combined:
 * the CRC of "a then b" is that of a, moved on over as many zero bytes as b
 * has, xor that of b.  Moving on is linear, so for a piece of fixed size it is
 * four lookups in a table made once.  Only two sizes of piece exist, and what
 * is left over goes through one stream: no length ever needs a table of its own.
 */
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "crc.h"

#define POLY 0x82f63b78u	/* reflected */

/* Three long pieces are just under 8 KiB, the commonest payload; three short
 * ones under 512 bytes.  Both are whole numbers of 8-byte steps. */
#define LONG_PIECE 2728
#define SHORT_PIECE 168

typedef uint32_t crc_fn(uint32_t crc, const uint8_t *p, size_t n);

static uint32_t slices[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *name = "table";
static crc_fn resolve;
static _Atomic(crc_fn *) best = resolve;

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v = load64(p) ^ crc;

		crc = slices[7][v & 255] ^ slices[6][v >> 8 & 255] ^
		      slices[5][v >> 16 & 255] ^ slices[4][v >> 24 & 255] ^
		      slices[3][v >> 32 & 255] ^ slices[2][v >> 40 & 255] ^
		      slices[1][v >> 48 & 255] ^ slices[0][v >> 56];
	}
	for (; n; p++, n--)
		crc = slices[0][(crc ^ *p) & 255] ^ crc >> 8;
	return crc;
}

static void make_slices(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		slices[0][i] = c;
	}
	for (int s = 1; s < 8; s++)
		for (int i = 0; i < 256; i++)
			slices[s][i] = slices[0][slices[s - 1][i] & 255] ^ slices[s - 1][i] >> 8;
}

#if defined(__x86_64__) || (defined(__aarch64__) && __BYTE_ORDER == __LITTLE_ENDIAN)

static uint32_t skip_long[4][256], skip_short[4][256];

static uint32_t skip(const uint32_t table[4][256], uint32_t crc)
{
	return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^
	       table[2][crc >> 16 & 255] ^ table[3][crc >> 24];
}

/* table[i][b]: where the register value b << 8 * i is after `piece` zero bytes. */
static void make_skip(uint32_t table[4][256], size_t piece)
{
	static const uint8_t zeroes[LONG_PIECE];
	uint32_t of_bit[32];

	for (int bit = 0; bit < 32; bit++)
		of_bit[bit] = by_table((uint32_t)1 << bit, zeroes, piece);
	for (int i = 0; i < 4; i++)
		for (int b = 0; b < 256; b++) {
			uint32_t v = 0;

			for (int bit = 0; bit < 8; bit++)
				v ^= b >> bit & 1 ? of_bit[8 * i + bit] : 0;
			table[i][b] = v;
		}
}

#if defined(__x86_64__)
#define TARGET __attribute__((target("sse4.2")))
#define STEP8(crc, v) ((crc) = (uint32_t)__builtin_ia32_crc32di((crc), (v)))
#define STEP1(crc, v) ((crc) = __builtin_ia32_crc32qi((crc), (v)))
#define INSTRUCTION_NAME "sse4.2"

static int has_instruction(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2");
}
#else
#include <sys/auxv.h>
/* In assembler, since the compilers disagree on how to allow the intrinsics in one function. */
#define TARGET
#define STEP8(crc, v) \
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v))
#define STEP1(crc, v) \
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)(v)))
#define INSTRUCTION_NAME "armv8"
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

static int has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#endif

/* Three pieces from p on, `piece` bytes each. */
TARGET static uint32_t three(uint32_t crc, const uint8_t *p, size_t piece,
			     const uint32_t table[4][256])
{
	const uint8_t *end = p + piece;
	uint32_t b = 0, c = 0;

	for (; p < end; p += 8) {
		STEP8(crc, load64(p));
		STEP8(b, load64(p + piece));
		STEP8(c, load64(p + 2 * piece));
	}
	return skip(table, skip(table, crc) ^ b) ^ c;
}

TARGET static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 3 * LONG_PIECE; p += 3 * LONG_PIECE, n -= 3 * LONG_PIECE)
		crc = three(crc, p, LONG_PIECE, skip_long);
	for (; n >= 3 * SHORT_PIECE; p += 3 * SHORT_PIECE, n -= 3 * SHORT_PIECE)
		crc = three(crc, p, SHORT_PIECE, skip_short);
	for (; n >= 8; p += 8, n -= 8)
		STEP8(crc, load64(p));
	for (; n; p++, n--)
		STEP1(crc, *p);
	return crc;
}

static crc_fn *instruction(void)
{
	if (!has_instruction())
		return NULL;
	make_skip(skip_long, LONG_PIECE);
	make_skip(skip_short, SHORT_PIECE);
	name = INSTRUCTION_NAME;
	return by_instruction;
}

#else

static crc_fn *instruction(void)
{
	return NULL;
}

#endif

static void init(void)
{
	crc_fn *fn;

	make_slices();
	fn = instruction();
	/* Release: who sees the function sees its tables too. */
	atomic_store_explicit(&best, fn ? fn : by_table, memory_order_release);
}

/* What the first callers find in `best`; several may come at once. */
static uint32_t resolve(uint32_t crc, const uint8_t *p, size_t n)
{
	pthread_once(&once, init);
	return atomic_load_explicit(&best, memory_order_acquire)(crc, p, n);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
	return ~atomic_load_explicit(&best, memory_order_acquire)(~crc, data, length);
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t length)
{
	pthread_once(&once, init);
	return ~by_table(~crc, data, length);
}

const char *crc32c_name(void)
{
	pthread_once(&once, init);
	return name;
}
