/* io.c - see io.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "interrupt.h"
#include "log.h"
#include "request.h"

#define ASK_EVERY (100 * UINT64_C(1000000))
#define ASK_MOST 512	/* looked at in one go: some 5 ms */
#define SLAB_REQUESTS 64
/* Memory that is there from the start: enough to go on writing with. */
#define RESERVE_LARGE 4
#define RESERVE_SMALL 128
/* All there is where nothing may be allocated later (io_fix): some 40 MiB. */
#define FIXED_LARGE 32
#define FIXED_MEDIUM 64
#define FIXED_SMALL 256
#define FIXED_REQUESTS 1024
#define FIXED_HEAP 256	/* blocks: what libfuse keeps for each request */

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

static void try_held(struct io *io);

void request_free(struct request *r)
{
	struct io *io = r->io;

	list_remove(&r->link);
	buf_put(r->buf);
	io->counts.requests--;
	list_prepend(&io->free, &r->link);
	if (io->held.req && buf_room(io->pool, io->held.size))
		try_held(io);
}

/* A write that found no room. */

/* It waits where it was received. */
static void hold(struct io *io, const struct io_held *w)
{
	io->held = *w;
	if (!io->ask.place)
		loop_arm(io->loop, &io->ask, loop_now(io->loop) + ASK_EVERY);
}

static void try_held(struct io *io)
{
	struct io_held w = io->held;

	io->held.req = NULL;
	io_write(io, w.req, w.h, w.data, w.size, w.offset, w.flags);
	if (!io->held.req)
		io->resume(io);
}

static void end_held(struct io *io, int error)
{
	fuse_req_t req = io->held.req;

	io->held.req = NULL;
	fuse_reply_err(req, -error);
	io->resume(io);
}

void io_fail(struct io *io, const struct mpio *volume)
{
	if (io->held.req && io->held.h->volume == volume)
		end_held(io, -EIO);
}

/* Signals. */

static void interrupted(fuse_req_t req, void *data)
{
	struct request *r = data;
	struct io *io = r->io;

	(void)req;
	if (r->asked)
		return;
	r->asked = true;
	list_remove(&r->link);
	list_append(&io->asked, &r->link);
	if (!io->ask.place)
		loop_arm(io->loop, &io->ask, loop_now(io->loop) + ASK_EVERY);
	/* FUSE holds the request still: it is looked at when the timer fires. */
	if (!r->registering)
		request_check(r);
}

void request_watch(struct request *r, const struct handle *h)
{
	/* A loop device's kernel thread is not asked about: its number may be another's soon. */
	if (!h->device)
		list_append(&r->io->waiting, &r->link);
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

/* The waiter dies: it is answered. */
static void interrupt(struct request *r)
{
	fuse_req_t req = r->req;

	r->io->counts.interrupted++;
	list_remove(&r->link);
	r->req = NULL;
	if (r->end)
		request_abandon_range(r);
	else
		request_let_go(r);
	fuse_reply_err(req, EINTR);
}

void request_check(struct request *r)
{
	if (interrupt_fatal(fuse_req_ctx(r->req)->pid))
		interrupt(r);
}

/* INTERRUPT cannot be heard: who of those that wait dies? */
static void ask_waiting(struct io *io)
{
	uint32_t n = io->counts.requests < ASK_MOST ? io->counts.requests : ASK_MOST;

	if (!io->held.h->device && interrupt_dying(fuse_req_ctx(io->held.req)->pid)) {
		io->counts.interrupted++;
		end_held(io, -EINTR);
		return;
	}
	for (; n > 0 && !list_empty(&io->waiting); n--) {
		struct request *r = container_of(io->waiting.next, struct request, link);

		list_remove(&r->link);
		list_append(&io->waiting, &r->link);
		if (interrupt_dying(fuse_req_ctx(r->req)->pid))
			interrupt(r);
	}
	/* Its volume may refuse it by now, and memory may be there again. */
	if (io->held.req)
		try_held(io);
}

static void ask_again(struct loop_timer *t)
{
	struct io *io = container_of(t, struct io, ask);
	struct list *pos, *keep;

	list_each_safe(pos, keep, &io->asked)
		request_check(container_of(pos, struct request, link));
	if (io->held.req)
		ask_waiting(io);
	if (io->held.req || !list_empty(&io->asked))
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
	list_init(&io->waiting);
	list_init(&io->asked);
	list_init(&io->slabs);
	io->ask.fire = ask_again;
	io->pool = buf_pool_new(limit, limit / 4);
	if (!io->pool || more_requests(io) < 0 ||
	    buf_pool_reserve(io->pool, BUF_LARGE, RESERVE_LARGE) < 0 ||
	    buf_pool_reserve(io->pool, 8192, RESERVE_SMALL) < 0 ||
	    !(io->receive = buf_get(io->pool, BUF_LARGE))) {
		io_fini(io);
		return -ENOMEM;
	}
	return 0;
}

/* Small blocks that are free again: malloc keeps their pages. */
static void touch_heap(void)
{
	static void *blocks[FIXED_HEAP];

	for (int i = 0; i < FIXED_HEAP; i++)
		blocks[i] = calloc(1, 384);
	for (int i = 0; i < FIXED_HEAP; i++)
		free(blocks[i]);
}

void io_fix(struct io *io)
{
	bool enough = true;

	if (io->fixed)
		return;
	io->fixed = true;
	touch_heap();
	while (enough && io->counts.requests_made < FIXED_REQUESTS)
		enough = more_requests(io) == 0;
	if (!enough || buf_pool_reserve(io->pool, BUF_LARGE, FIXED_LARGE) < 0 ||
	    buf_pool_reserve(io->pool, BUF_SMALL_MAX, FIXED_MEDIUM) < 0 ||
	    buf_pool_reserve(io->pool, 8192, FIXED_SMALL) < 0)
		log_warning("memory", "no memory for all buffers: writing will be slow");
	buf_pool_fix(io->pool);
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
	if (!io->held.req)
		return true;
	io->counts.paused++;
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
	request_watch(r, h);
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

/* Where *data stays until the write is answered; NULL: there is no room. */
static struct buf *place(struct io *io, const char **data, size_t size)
{
	struct buf *b = size <= BUF_SMALL_MAX ? buf_get(io->pool, size) : NULL, *next;

	if (b) {
		memcpy(b->data, *data, size);
		*data = (const char *)b->data;
		return b;
	}
	next = buf_get(io->pool, BUF_LARGE);
	if (!next)
		return NULL;
	b = io->receive;
	io->receive = next;
	return b;
}

/* Waiting for room is waiting for the volume: it ends when that would. */
static void no_room(struct io *io, const struct io_held *w)
{
	const struct command c = { .type = WIRE_WRITE };
	int error = mpio_refusal(w->h->volume, &c);

	if (!error)
		hold(io, w);
	else
		fuse_reply_err(w->req, -error);
}

void io_write(struct io *io, fuse_req_t req, struct handle *h, const char *data, size_t size,
	      off_t offset, int flags)
{
	size_t most = h->volume ? within(h, offset, size) : 0;
	struct io_held call = { req, h, data, size, offset, flags };
	struct request *r;
	struct buf *buf;

	if (!h->volume || h->node->read_only || (most == 0 && size > 0)) {
		fuse_reply_err(req, !h->volume ? EIO : h->node->read_only ? EROFS : ENOSPC);
		return;
	}
	if (size == 0) {
		fuse_reply_write(req, 0);
		return;
	}
	buf = place(io, &data, most);
	if (!buf) {
		no_room(io, &call);
		return;
	}
	r = request_new(io, req, h->volume, h->node);
	if (!r) {
		buf_put(buf);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	r->buf = buf;
	r->command.type = WIRE_WRITE;
	r->command.data = (const uint8_t *)data;
	/* With direct I/O no FSYNC follows: the flag is all there is. */
	r->command.flags = flags & (O_DSYNC | O_SYNC) ? WIRE_FLAG_FUA : 0;
	r->command.offset = (uint64_t)offset;
	r->command.count = (uint32_t)most;
	r->command.done = write_done;
	r->command.give_up = request_give_up;
	mpio_submit(r->volume, &r->command);
	request_watch(r, h);
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
	request_watch(r, h);
}
