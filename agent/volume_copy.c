/*
 * volume_copy.c - from one volume into another, or within one, without the network.
 *
 * Where both are files of one file system the kernel copies, and shares blocks where it can;
 * else what is read is written.  Each part goes through what any other change of the volume
 * goes through: a copy of one moment that is being made (cow.h) has the old content first.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "cow.h"
#include "volume_impl.h"

#define BUFFER (1u << 20)

struct copy {
	struct volume *to, *from;
	uint8_t *buf;			/* NULL: not needed yet */
	bool by_hand;			/* the kernel does not do it */
};

/* How much of it the kernel has copied; the rest is to be done by hand.  Or -errno. */
static int64_t by_kernel(struct copy *c, uint32_t count, uint64_t offset, uint64_t from_offset)
{
	off_t in = (off_t)from_offset, out = (off_t)offset;
	int64_t done = 0;

	if (c->by_hand)
		return 0;
	if (atomic_load_explicit(&c->to->guard, memory_order_relaxed) & GUARD_COW)
		cow_before(c->to, offset, count);
	while (done < count) {
		ssize_t n = copy_file_range(c->from->fd, &in, c->to->fd, &out, count - (size_t)done, 0);

		if (n > 0)
			done += n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
			return -errno;
		else
			break;		/* another file system, or the end of a file that is shorter than its volume */
	}
	c->by_hand = done < count;
	return done;
}

static int by_hand(struct copy *c, uint32_t count, uint64_t offset, uint64_t from_offset)
{
	int r = 0;

	if (!c->buf && !(c->buf = malloc(BUFFER)))
		return -ENOMEM;
	while (count && !r) {
		uint32_t n = count < BUFFER ? count : BUFFER;

		r = volume_read(c->from, c->buf, n, from_offset);
		if (!r)
			r = volume_write(c->to, c->buf, n, offset, false);
		count -= n;
		offset += n;
		from_offset += n;
	}
	return r;
}

static int copy_data(struct copy *c, uint32_t count, uint64_t offset, uint64_t from_offset)
{
	int64_t done = by_kernel(c, count, offset, from_offset);

	if (done < 0)
		return (int)done;
	return done == count ? 0 : by_hand(c, count - (uint32_t)done, offset + (uint64_t)done, from_offset + (uint64_t)done);
}

/* The beginning of it that is of one kind: how much that is, or -errno. */
static int64_t copy_part(struct copy *c, uint32_t count, uint64_t offset, uint64_t from_offset)
{
	uint32_t kind = WIRE_EXTENT_DATA;
	uint64_t length = count;
	int r = c->from->ops->extent(c->from, from_offset, from_offset + count, &length, &kind);

	if (r == -EOPNOTSUPP) {
		length = count;
		kind = WIRE_EXTENT_DATA;
	} else if (r < 0) {
		return r;
	}
	if (!length || length > count)
		length = count;
	r = kind == WIRE_EXTENT_HOLE ? volume_zero(c->to, (uint32_t)length, offset, true, false) :
				       copy_data(c, (uint32_t)length, offset, from_offset);
	return r < 0 ? r : (int64_t)length;
}

int volume_copy(struct volume *v, uint32_t count, uint64_t offset, struct volume *from, uint64_t from_offset)
{
	struct copy c = {
		.to = v, .from = from,
		.by_hand = v->ops != &volume_file_ops || from->ops != &volume_file_ops || v->device || from->device,
	};
	int64_t n = 0;

	while (count && n >= 0) {
		n = copy_part(&c, count, offset, from_offset);
		if (n < 0)
			break;
		count -= (uint32_t)n;
		offset += (uint64_t)n;
		from_offset += (uint64_t)n;
	}
	free(c.buf);
	return n < 0 ? (int)n : 0;
}
