/* io.c - see io.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "interrupt.h"
#include "request.h"

#define ASK_EVERY (100 * UINT64_C(1000000))
#define SLAB_REQUESTS 64
/* Memory that is there from the start: enough to go on writing with. */
#define RESERVE_LARGE 4
#define RESERVE_SMALL 128

struct slab {
	struct list link;
	struct request requests[SLAB_REQUESTS];
};

/* Requests. */

static int more_requests(struct io *io)
{
	struct slab *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	list_append(&io->slabs, &s->link);
	for (int i = 0; i < SLAB_REQUESTS; i++)
		list_append(&io->free, &s->requests[i].link);
	io->counts.requests_made += SLAB_REQUESTS;
	return 0;
}

struct request *request_new(struct io *io, fuse_req_t req, struct mpio *volume, struct node *node)
{
	struct request *r;

	if (list_empty(&io->free) && more_requests(io) < 0)
		return NULL;
	r = container_of(io->free.next, struct request, link);
	list_remove(&r->link);
	memset(r, 0, sizeof *r);
	list_init(&r->link);
	r->io = io;
	r->req = req;
	r->volume = volume;
	r->node = node;
	io->counts.requests++;
	return r;
}

void request_free(struct request *r)
{
	struct io *io = r->io;

	list_remove(&r->link);
	buf_put(r->buf);
	io->counts.requests--;
	list_prepend(&io->free, &r->link);
	if (io->paused && buf_room(io->pool, BUF_LARGE)) {
		io->paused = false;
		io->resume(io);
	}
}

/* Signals. */

static void interrupted(fuse_req_t req, void *data)
{
	struct request *r = data;
	struct io *io = r->io;

	(void)req;
	if (!list_empty(&r->link))
		return;
	list_append(&io->asked, &r->link);
	if (!io->ask.place)
		loop_arm(io->loop, &io->ask, loop_now(io->loop) + ASK_EVERY);
	/* FUSE holds the request still: it is looked at when the timer fires. */
	if (!r->registering)
		request_check(r);
}

void request_watch(struct request *r)
{
	r->registering = true;
	fuse_req_interrupt_func(r->req, interrupted, r);
	r->registering = false;
}

void request_let_go(struct request *r)
{
	/* On its way still: it, and a write's data, stay until done(). */
	if (mpio_interrupt(&r->command))
		request_free(r);
}

void request_check(struct request *r)
{
	fuse_req_t req = r->req;

	if (!interrupt_fatal(fuse_req_ctx(req)->pid))
		return;
	r->io->counts.interrupted++;
	list_remove(&r->link);
	r->req = NULL;
	if (r->end)
		request_abandon_range(r);
	else
		request_let_go(r);
	fuse_reply_err(req, EINTR);
}

static void ask_again(struct loop_timer *t)
{
	struct io *io = container_of(t, struct io, ask);
	struct list *pos, *keep;

	list_each_safe(pos, keep, &io->asked)
		request_check(container_of(pos, struct request, link));
	if (!list_empty(&io->asked))
		loop_arm(io->loop, &io->ask, loop_now(io->loop) + ASK_EVERY);
}

void request_give_up(struct command *c, int error)
{
	struct request *r = container_of(c, struct request, command);
	fuse_req_t req = r->req;

	if (!req)
		return;
	r->req = NULL;
	list_remove(&r->link);
	fuse_reply_err(req, -error);
}

bool request_ended(struct request *r)
{
	if (r->req)
		return false;
	request_free(r);
	return true;
}

void request_error(struct request *r, int error)
{
	fuse_reply_err(r->req, -error);
	request_free(r);
}

/* Start and end. */

int io_init(struct io *io, struct loop *l, size_t limit)
{
	io->loop = l;
	list_init(&io->free);
	list_init(&io->asked);
	list_init(&io->slabs);
	io->ask.fire = ask_again;
	io->pool = buf_pool_new(limit, limit / 4);
	if (!io->pool || more_requests(io) < 0 ||
	    buf_pool_reserve(io->pool, BUF_LARGE, RESERVE_LARGE) < 0 ||
	    buf_pool_reserve(io->pool, 8192, RESERVE_SMALL) < 0) {
		io_fini(io);
		return -ENOMEM;
	}
	return 0;
}

void io_fini(struct io *io)
{
	struct list *pos, *keep;

	loop_disarm(io->loop, &io->ask);
	buf_put(io->receive);
	io->receive = NULL;
	buf_pool_free(io->pool);
	io->pool = NULL;
	list_each_safe(pos, keep, &io->slabs)
		free(container_of(pos, struct slab, link));
	list_init(&io->slabs);
}

bool io_ready(struct io *io)
{
	/* Room for a copy too, so that a write always finds its place. */
	if (!io->receive && buf_room(io->pool, BUF_LARGE))
		io->receive = buf_get(io->pool, BUF_LARGE);
	if (io->receive && buf_room(io->pool, BUF_SMALL_MAX))
		return true;
	io->counts.paused++;
	io->paused = true;
	return false;
}

/* Data. */

static void now(struct timespec *t)
{
	clock_gettime(CLOCK_REALTIME_COARSE, t);
}

static void read_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	if (request_ended(r))
		return;
	if (error) {
		request_error(r, error);
		return;
	}
	fuse_reply_buf(r->req, (const char *)payload, length);
	request_free(r);
}

/* What of [offset, offset + size) is within the volume. */
static size_t within(const struct handle *h, off_t offset, size_t size)
{
	uint64_t end = mpio_info(h->volume)->size;

	if (offset < 0 || (uint64_t)offset >= end)
		return 0;
	return size < end - (uint64_t)offset ? size : (size_t)(end - (uint64_t)offset);
}

void io_read(struct io *io, fuse_req_t req, struct handle *h, size_t size, off_t offset)
{
	struct request *r;

	if (!h->volume) {
		fuse_reply_err(req, EIO);
		return;
	}
	size = within(h, offset, size);
	if (size > WIRE_DATA_MAX)
		size = WIRE_DATA_MAX;
	if (size == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	r = request_new(io, req, h->volume, h->node);
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->command.type = WIRE_READ;
	r->command.offset = (uint64_t)offset;
	r->command.count = (uint32_t)size;
	r->command.done = read_done;
	r->command.give_up = request_give_up;
	mpio_submit(r->volume, &r->command);
	request_watch(r);
}

static void write_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	(void)payload;
	(void)length;
	if (request_ended(r))
		return;
	if (error) {
		request_error(r, error);
		return;
	}
	now(&r->node->mtime);
	fuse_reply_write(r->req, c->count);
	request_free(r);
}

/* The data gets a place that stays until the write is answered. */
static void place(struct io *io, struct request *r, const char *data)
{
	uint32_t size = r->command.count;

	r->command.data = (const uint8_t *)data;
	if (size <= BUF_SMALL_MAX) {
		r->buf = buf_get(io->pool, size);
		if (r->buf) {
			memcpy(r->buf->data, data, size);
			r->command.data = r->buf->data;
			return;
		}
	}
	r->buf = io->receive;
	io->receive = NULL;
}

void io_write(struct io *io, fuse_req_t req, struct handle *h, const char *data, size_t size,
	      off_t offset, int flags)
{
	size_t most = h->volume ? within(h, offset, size) : 0;
	struct request *r;

	if (!h->volume || h->node->read_only || (most == 0 && size > 0)) {
		fuse_reply_err(req, !h->volume ? EIO : h->node->read_only ? EROFS : ENOSPC);
		return;
	}
	if (size == 0) {
		fuse_reply_write(req, 0);
		return;
	}
	r = request_new(io, req, h->volume, h->node);
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->command.type = WIRE_WRITE;
	/* With direct I/O no FSYNC follows: the flag is all there is. */
	r->command.flags = flags & (O_DSYNC | O_SYNC) ? WIRE_FLAG_FUA : 0;
	r->command.offset = (uint64_t)offset;
	r->command.count = (uint32_t)most;
	r->command.done = write_done;
	r->command.give_up = request_give_up;
	place(io, r, data);
	mpio_submit(r->volume, &r->command);
	request_watch(r);
}

static void flush_done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct request *r = container_of(c, struct request, command);

	(void)payload;
	(void)length;
	if (!request_ended(r))
		request_error(r, error);
}

void io_fsync(struct io *io, fuse_req_t req, struct handle *h)
{
	struct request *r;

	if (!h->volume || h->node->read_only) {
		fuse_reply_err(req, h->volume ? 0 : EIO);
		return;
	}
	r = request_new(io, req, h->volume, h->node);
	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->command.type = WIRE_FLUSH;
	r->command.done = flush_done;
	r->command.give_up = request_give_up;
	mpio_submit(r->volume, &r->command);
	request_watch(r);
}
