/*
 * serve_copy.c - COPY: see serve.h.
 *
 * For whoever asks, it is a write of the volume that it goes to and a read of the one that
 * it is of.  So all that holds of a write holds of it: it waits while the volume is
 * held for a snapshot, a limit counts it, the table of what was done has it, and a FENCE of its
 * connection is not answered while a worker is at it, which is why it is carried out piece by
 * piece (serve_pieces.c).  A read needs none of this, and what is written to the source meanwhile
 * may be in the copy or not, as with any read beside a write.
 */
#include "conn.h"
#include "serve.h"

enum wire_status serve_copy_source(struct conn *c, struct handle *h, const uint8_t *payload, struct copy_source *out)
{
	const struct wire_request *r = &c->request;
	const struct volume *v;
	enum wire_status gone;
	uint64_t size;
	uint32_t id;

	wire_get_copy(payload, &id, &out->offset);
	out->handle = id <= WIRE_HANDLE_MAX ? handle_find(&c->client->handles, id) : NULL;
	if (!out->handle)
		return WIRE_E_HANDLE;
	v = out->handle->volume;
	gone = atomic_load_explicit(&v->gone, memory_order_relaxed);
	if (gone)
		return gone;
	if (atomic_load_explicit(&out->handle->revoked, memory_order_relaxed))
		return WIRE_E_NO_VOLUME;
	if (atomic_load_explicit(&out->handle->reserved, memory_order_relaxed) & RESERVE_NO_READS)
		return WIRE_E_RESERVED;
	size = atomic_load_explicit(&v->size, memory_order_relaxed);
	if (out->offset > size || r->count > size - out->offset)
		return WIRE_E_RANGE;
	if (v == h->volume && out->offset < r->offset + r->count && r->offset < out->offset + r->count)
		return WIRE_E_INVALID;
	return WIRE_OK;
}
