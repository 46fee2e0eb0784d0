/* wire_samples.h - bodies with something in every field, for the tests of the protocol's bytes. */
#ifndef RSIO_WIRE_SAMPLES_H
#define RSIO_WIRE_SAMPLES_H

#include <stdint.h>
#include <string.h>
#include "wire.h"

static inline void fill(uint8_t *p, size_t size, uint8_t first)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(first + i);
}

static inline struct wire_hello a_hello(void)
{
	struct wire_hello h = { .version_least = 1, .version_most = 1, .features.payload_crc = true,
				.limits = { 1 << 20, 1024, 64 << 20 }, .namespace = "osl",
				.node = "sles1" };

	fill(h.machine, 16, 0x10);
	fill(h.boot, 16, 0x20);
	fill(h.run, 16, 0x30);
	fill(h.life, 16, 0x40);
	fill(h.nonce, 32, 0xa0);
	return h;
}

static inline struct wire_welcome a_welcome(void)
{
	struct wire_welcome h = { .features.payload_crc = true,
				  .limits = { 1 << 20, 1024, 64 << 20 }, .server = "big-9",
				  .server_id = 9, .version = "rsio 0.1" };

	fill(h.machine, 16, 0x50);
	fill(h.boot, 16, 0x60);
	fill(h.life, 16, 0x70);
	fill(h.nonce, 32, 0xc0);
	return h;
}

static inline struct wire_volume a_volume(void)
{
	struct wire_volume v = { .name = "oracle", .generation = 0x0102030405060708,
				 .size = 31457280ull * 512, .block_size = 512, .id = 7,
				 .flags = WIRE_FLAG_READ_ONLY, .av = 3, .shared = true };

	fill(v.uuid, 16, 0xe0);
	return v;
}

static inline struct wire_volume a_snapshot(void)
{
	struct wire_volume v = a_volume();

	strcpy(v.name, "oracle@monday");
	v.flags = WIRE_FLAG_READ_ONLY | WIRE_FLAG_SNAPSHOT;
	v.taken = 1795680000;
	return v;
}

#endif
