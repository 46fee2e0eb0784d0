/* range.c - requests that may take many commands: fallocate and lseek.  See io.h. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/falloc.h>
#include "request.h"

/* Ranges in pieces. */

static void submit_pieces(struct request *whole);

/* The whole knows no more of the piece, and goes on, or is answered when it was the last. */
static void piece_left(struct request *r, int error)
{
	struct request *whole = r->parent;

	for (int i = 0; i < REQUEST_PIECES; i++)
		if (whole->piece[i] == r)
			whole->piece[i] = NULL;
	r->parent = NULL;
	whole->pieces--;
	if (error && !whole->error)
		whole->error = error;
	submit_pieces(whole);
	if (whole->pieces == 0)
		request_error(whole, whole->error);
}

static void piece_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	(void)payload;
	(void)length;
	if (r->parent)
		piece_left(r, error);
	request_free(r);
}

/* It stays in flight, alone. */
static void piece_give_up(struct command *c, int error)
{
	struct request *r = container_of(c, struct request, command);

	if (r->parent)
		piece_left(r, error);
}

static bool submit_piece(struct request *whole, struct request **slot)
{
	uint64_t left = whole->end - whole->next;
	struct request *r = request_new(whole->io, NULL, whole->volume, whole->node);

	if (!r)
		return false;
	r->parent = whole;
	r->command.type = whole->command.type;
	r->command.offset = whole->next;
	r->command.count = left < WIRE_RANGE_MAX ? (uint32_t)left : WIRE_RANGE_MAX;
	r->command.done = piece_done;
	r->command.give_up = piece_give_up;
	whole->next += r->command.count;
	whole->pieces++;
	*slot = r;
	mpio_submit(r->volume, &r->command);
	return true;
}

static void submit_pieces(struct request *whole)
{
	for (int i = 0; i < REQUEST_PIECES; i++) {
		if (whole->error || whole->next >= whole->end)
			return;
		if (whole->piece[i] || submit_piece(whole, &whole->piece[i]))
			continue;
		if (whole->pieces == 0)
			whole->error = -ENOMEM;
		return;
	}
}

void request_abandon_range(struct request *whole)
{
	for (int i = 0; i < REQUEST_PIECES; i++) {
		struct request *r = whole->piece[i];

		if (!r)
			continue;
		r->parent = NULL;
		request_let_go(r);
	}
	request_free(whole);
}

static int range_type(int mode)
{
	/* The range is clipped to the volume, so that the size is kept in any case. */
	switch (mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return WIRE_DISCARD;
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
		return WIRE_WRITE_ZEROES;
	}
	return -EOPNOTSUPP;
}

void io_fallocate(struct io *io, fuse_req_t req, struct handle *h, int mode, off_t offset, off_t length)
{
	int type = range_type(mode);
	struct request *whole;
	uint64_t size;

	if (type < 0 || !h->volume || h->node->read_only || offset < 0 || length <= 0) {
		fuse_reply_err(req, type < 0 ? -type : !h->volume ? EIO :
			       h->node->read_only ? EROFS : EINVAL);
		return;
	}
	size = mpio_info(h->volume)->size;
	if ((uint64_t)offset >= size) {
		fuse_reply_err(req, EINVAL);	/* as a block device says */
		return;
	}
	whole = request_new(io, req, h->volume, h->node);
	if (!whole) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	whole->command.type = (uint8_t)type;
	whole->next = (uint64_t)offset;
	whole->end = (uint64_t)length < size - whole->next ? whole->next + (uint64_t)length : size;
	submit_pieces(whole);
	if (whole->pieces == 0)
		request_error(whole, whole->error);
	else
		request_watch(whole, h);
}

/* Looking for data or a hole. */

static void seek_on(struct request *r);

static void seek_found(struct request *r, uint64_t offset)
{
	fuse_reply_lseek(r->req, (off_t)offset);
	request_free(r);
}

/* True: *at is where the wanted kind begins.  False: it is not in these extents, which end at *at. */
static bool look(const uint8_t *payload, uint32_t length, uint32_t wanted, uint64_t *at)
{
	for (; length >= WIRE_EXTENT_SIZE; payload += WIRE_EXTENT_SIZE, length -= WIRE_EXTENT_SIZE) {
		uint64_t bytes;
		uint32_t kind;

		wire_get_extent(payload, &bytes, &kind);
		if (bytes > 0 && kind == wanted)
			return true;
		*at += bytes;
	}
	return false;
}

static void seek_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);
	uint32_t wanted = r->whence == SEEK_DATA ? WIRE_EXTENT_DATA : WIRE_EXTENT_HOLE;
	uint64_t size, at = c->offset;

	if (request_ended(r))
		return;
	size = mpio_info(r->volume)->size;
	if (error == -EOPNOTSUPP) {	/* a store that cannot tell: all is data */
		seek_found(r, r->whence == SEEK_DATA ? at : size);
	} else if (error) {
		request_error(r, error);
	} else if (look(payload, length, wanted, &at) && at < size) {
		seek_found(r, at);
	} else if (at <= c->offset) {
		request_error(r, -EIO);	/* extents that lead nowhere */
	} else {
		r->next = at;
		seek_on(r);
	}
}

static void seek_on(struct request *r)
{
	uint64_t size = mpio_info(r->volume)->size;

	if (r->next >= size) {
		if (r->whence == SEEK_HOLE)
			seek_found(r, size);	/* the end counts as a hole */
		else
			request_error(r, -ENXIO);
		return;
	}
	r->command.type = WIRE_STATUS;
	r->command.offset = r->next;
	r->command.count = size - r->next < WIRE_RANGE_MAX ? (uint32_t)(size - r->next) : WIRE_RANGE_MAX;
	r->command.done = seek_done;
	r->command.give_up = request_give_up;
	mpio_submit(r->volume, &r->command);
}

void io_lseek(struct io *io, fuse_req_t req, struct handle *h, off_t offset, int whence)
{
	struct request *r;
	uint64_t size;

	if (!h->volume || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, h->volume ? EINVAL : EIO);
		return;
	}
	size = mpio_info(h->volume)->size;
	if (offset < 0 || (uint64_t)offset >= size) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	r = request_new(io, req, h->volume, h->node);
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->whence = whence;
	r->next = (uint64_t)offset;
	seek_on(r);
	request_watch(r, h);
}
