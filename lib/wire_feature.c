/* wire_feature.c - the features that a hello names: see wire.h. */
#include "wire.h"
#include "wire_bytes.h"

static const struct {
	const char *name;
	size_t at;		/* its bool */
} features[] = {
	{ "payload-crc", offsetof(struct wire_features, payload_crc) },
	{ "snapshots", offsetof(struct wire_features, snapshots) },
	{ "copy", offsetof(struct wire_features, copy) },
};
#define FEATURES_COUNT (sizeof features / sizeof *features)

void wire_put_features(struct wire_writer *w, const struct wire_features *f)
{
	uint8_t b[1 + WIRE_NAME_MAX] = { 0 };	/* the first byte: mandatory or not */

	for (size_t i = 0; i < FEATURES_COUNT; i++) {
		size_t length = strlen(features[i].name);

		if (!*(const bool *)((const char *)f + features[i].at))
			continue;
		memcpy(b + 1, features[i].name, length);
		wire_put(w, WIRE_TAG_FEATURE, b, 1 + length);
	}
}

int wire_get_feature(const struct wire_record *r, struct wire_features *f)
{
	const char *name = (const char *)r->data + 1;
	size_t length;

	if (!r->length || r->data[0] > 1)
		return -EPROTO;
	length = r->length - 1u;
	if (!wire_name_ok(name, length))
		return -EPROTO;
	for (size_t i = 0; i < FEATURES_COUNT; i++) {
		if (length != strlen(features[i].name) || memcmp(name, features[i].name, length))
			continue;
		*(bool *)((char *)f + features[i].at) = true;
		return 0;
	}
	if (r->data[0] && !f->unknown[0])
		memcpy(f->unknown, name, length);	/* zeroed before: ends with a zero */
	return 0;
}
