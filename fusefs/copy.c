/*
 * copy.c - copy_file_range, by the server.  See io.h.
 *
 * EXDEV has the kernel read and write, as it does where two files have nothing in common.  So
 * that is the answer to whatever stands in the way of this: two servers, one that does not know how,
 * a source that was lost meanwhile, of which reading it then tells more.
 */
#include <errno.h>
#include <time.h>
#include "request.h"

static void answer(struct request *r, int error)
{
	bool elsewhere = error == -EOPNOTSUPP || error == -EBADF || error == -ENOENT || error == -ESTALE || error == -EINVAL;

	if (error) {
		request_error(r, elsewhere ? -EXDEV : error);
		return;
	}
	clock_gettime(CLOCK_REALTIME_COARSE, &r->node->mtime);
	fuse_reply_write(r->req, r->length);
	request_free(r);
}

static void copy_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	(void)payload;
	(void)length;
	if (!request_ended(r))
		answer(r, error);
}

static void copy_now(struct request *r, uint64_t offset)
{
	r->command.type = WIRE_COPY;
	r->command.offset = offset;
	r->command.count = r->length;
	r->command.source = r->source;
	r->command.source_offset = r->from;
	r->command.done = copy_done;
	r->command.give_up = request_give_up;
	mpio_submit(r->volume, &r->command);
}

/* The source was read from, so it is open. */
static void source_open(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	(void)payload;
	(void)length;
	if (request_ended(r))
		return;
	if (error)
		answer(r, error);
	else
		copy_now(r, r->next);
}

static void open_source(struct request *r)
{
	r->command.type = WIRE_READ;
	r->command.offset = r->from;
	r->command.count = 1;
	r->command.done = source_open;
	r->command.give_up = request_give_up;
	mpio_submit(r->source, &r->command);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How much can be copied at once; 0: the source ends there; or -errno. */
static int64_t amount(const struct handle *from, off_t from_offset, const struct handle *to, off_t offset, size_t length)
{
	uint64_t there, here;

	if (!from->volume || !to->volume || from->ns != to->ns)
		return -EXDEV;
	if (to->node->read_only)
		return -EROFS;
	there = mpio_info(from->volume)->size;
	here = mpio_info(to->volume)->size;
	if (from_offset < 0 || offset < 0)
		return -EINVAL;
	if ((uint64_t)from_offset >= there || !length)
		return 0;
	if ((uint64_t)offset >= here)
		return -ENOSPC;
	length = least(length, least(there - (uint64_t)from_offset, here - (uint64_t)offset));
	return (int64_t)least(length, WIRE_COPY_MAX);
}

void io_copy(struct io *io, fuse_req_t req, struct handle *from, off_t from_offset, struct handle *to, off_t offset,
	     size_t length, int flags)
{
	int64_t n = flags ? -EINVAL : amount(from, from_offset, to, offset, length);
	int can = n > 0 ? mpio_can_copy(to->volume, from->volume) : 0;
	struct request *r;

	if (n > 0 && can == -EXDEV)
		n = -EXDEV;
	if (n <= 0) {
		if (n)
			fuse_reply_err(req, (int)-n);
		else
			fuse_reply_write(req, 0);
		return;
	}
	r = request_new(io, req, to->volume, to->node);
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->source = from->volume;
	r->from = (uint64_t)from_offset;
	r->next = (uint64_t)offset;
	r->length = (uint32_t)n;
	if (can == 0)
		copy_now(r, r->next);
	else
		open_source(r);
	request_watch(r, to);
}
