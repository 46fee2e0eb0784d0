/* wire_bytes.h - little-endian numbers at any address, for the files of wire alone. */
#ifndef RSIO_WIRE_BYTES_H
#define RSIO_WIRE_BYTES_H

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static inline void put16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof v);
}

static inline void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static inline uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return le16toh(v);
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static inline uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static inline int refuse(const char **why, const char *text)
{
	*why = text;
	return -EPROTO;
}

/* wire_feature.c */
void wire_put_features(struct wire_writer *w, const struct wire_features *f);
int wire_get_feature(const struct wire_record *r, struct wire_features *f);

#endif
