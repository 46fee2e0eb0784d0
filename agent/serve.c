/*
 * serve.c - see serve.h.
 *
 * serve_frame validates; a command that touches a volume is then tried on the
 * spot, which succeeds for what is in memory, and else becomes a job for a
 * worker.  Either way it ends in one of the reply functions, on this loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "crc.h"
#include "serve.h"
#include "server.h"
#include "strangers.h"
#include "throttle.h"
#include "turns.h"

#define SPARE_JOBS_MAX 256
#define EXTENTS_MAX 4096

static bool changes(uint8_t type)
{
	return type == WIRE_WRITE || type == WIRE_DISCARD || type == WIRE_WRITE_ZEROES || type == WIRE_COPY;
}

/* Bytes that count in flight. */
static uint32_t weight(uint8_t type, uint32_t count)
{
	return type == WIRE_READ || type == WIRE_WRITE ? count : 0;
}

/*
 * Replies.
 */
static void reply_status(struct conn *c, uint8_t type, uint64_t cookie, uint32_t count,
			 enum wire_status status)
{
	struct wire_reply r = { .type = type, .cookie = cookie, .status = (uint16_t)status };
	struct out *o = out_new(&c->loop->arena, 0);

	if (o)
		conn_reply_out(c, o, &r, 0, weight(type, count));
	else
		conn_fail(c, "no memory for a reply");
}

static void reply_data(struct conn *c, uint8_t type, uint64_t cookie, struct out *o,
		       uint32_t length, uint32_t crc, uint32_t count)
{
	struct wire_reply r = { .type = type, .cookie = cookie };

	if (c->crc) {
		r.flags = WIRE_FLAG_CRC;
		r.payload_crc = crc;
	}
	conn_reply_out(c, o, &r, length, weight(type, count));
}

/*
 * Jobs.
 */
static void on_job_back(struct engine *l, struct message *m);

static struct job *job_new(struct conn *c, struct handle *h, enum job_kind kind, void (*run)(struct job *))
{
	struct engine *l = c->loop;
	struct job *j = l->spare_jobs;

	if (j) {
		l->spare_jobs = j->next;
		l->spare_job_count--;
	} else {
		j = malloc(sizeof(*j));
		if (!j)
			return NULL;
	}
	*j = (struct job){
		.message.run = on_job_back,
		.loop = l,
		.conn = c,
		.client = c->client,
		.dropped = &c->closed,
		.work = &h->volume->work,
		.kind = kind,
		.changes = changes(c->request.type),
		.run = run,
		.handle = h,
		.came = c->came,
		.cookie = c->request.cookie,
		.offset = c->request.offset,
		.count = c->request.count,
		.type = c->request.type,
		.flags = c->request.flags,
	};
	return j;
}

static void job_free(struct engine *l, struct job *j)
{
	if (l->spare_job_count >= SPARE_JOBS_MAX) {
		free(j);
		return;
	}
	j->next = l->spare_jobs;
	l->spare_jobs = j;
	l->spare_job_count++;
}

void serve_fini(struct engine *l)
{
	while (l->spare_jobs) {
		struct job *j = l->spare_jobs;

		l->spare_jobs = j->next;
		free(j);
	}
}

void serve_queue(struct job *j)
{
	struct engine *l = j->loop;

	j->conn->executing++;
	*l->jobs_end = j;
	l->jobs_end = &j->next;
}

static void job_queue(struct job *j)
{
	handle_get(j->handle);
	numbers_queued(j->loop, j->handle);
	serve_queue(j);
}

void serve_submit(struct engine *l)
{
	struct job *jobs = l->jobs;

	numbers_settle(l);
	if (!jobs)
		return;
	l->jobs = NULL;
	l->jobs_end = &l->jobs;
	workers_submit(l->server->workers, jobs);
}

static void job_reply(struct job *j)
{
	struct conn *c = j->conn;

	if (j->result < 0 || !j->reply) {
		reply_status(c, j->type, j->cookie, j->count, volume_status(j->result));
		return;
	}
	reply_data(c, j->type, j->cookie, j->reply, j->reply_length, j->reply_crc, j->count);
	j->reply = NULL;
}

static void on_job_back(struct engine *l, struct message *m)
{
	struct job *j = (struct job *)m;
	struct conn *c = j->conn;

	c->executing--;
	numbers_back(l, j->handle);
	if (j->result != -ECANCELED)
		numbers_later(l, j->handle, j->type, j->count, j->came, j->result < 0);
	if (changes(j->type) && j->result != -ECANCELED)
		done_note(&c->done, j->cookie, volume_status(j->result));
	if (c->state != CONN_DEAD && j->result == -ECANCELED)
		conn_lost(c, "its lease is over");
	else if (c->state != CONN_DEAD)
		job_reply(j);
	if (j->reply)
		out_free(&l->arena, j->reply);
	buffer_free(&l->server->memory, j->payload);
	if (j->source)
		handle_put(j->source);
	handle_put(j->handle);
	job_free(l, j);
	conn_touch(c);
}

/*
 * On a worker.
 */

static bool is_barred(const struct handle *h, uint8_t type)
{
	uint8_t bars = atomic_load_explicit(&h->reserved, memory_order_relaxed);

	return bars && (changes(type) ? bars & RESERVE_NO_WRITES : type != WIRE_FLUSH && bars & RESERVE_NO_READS);
}

/* 0, or why a handle is not good any more for what would change something. */
static int is_over(const struct handle *h)
{
	if (atomic_load_explicit(&h->closed, memory_order_relaxed))
		return -EBADR;
	if (atomic_load_explicit(&h->revoked, memory_order_relaxed))
		return -ENOENT;
	return atomic_load_explicit(&h->reads_only, memory_order_relaxed) ? -EROFS : 0;
}

/* The second look at the handle, the lease and reservations; the first was when the command came. */
bool serve_too_late(struct job *j)
{
	int over = changes(j->type) ? is_over(j->handle) : 0;

	if (!over && (is_barred(j->handle, j->type) || (j->source && is_barred(j->source, WIRE_READ))))
		over = -EBADE;
	if (over) {
		j->result = over;
		return true;
	}
	if (!j->handle->volume->shared || !lease_over(&j->conn->client->lease, clock_now()))
		return false;
	j->result = -ECANCELED;
	return true;
}

static void run_read(struct job *j)
{
	if (serve_too_late(j))
		return;
	j->result = volume_read(j->handle->volume, j->reply->payload, j->count, j->offset);
	j->reply_length = j->count;
	if (!j->result && j->conn->crc)
		j->reply_crc = crc32c(0, j->reply->payload, j->count);
}

static void run_write(struct job *j)
{
	if (serve_too_late(j))
		return;
	j->result = volume_write(j->handle->volume, j->payload, j->count, j->offset,
				 j->flags & WIRE_FLAG_FUA);
}

static void run_flush(struct job *j)
{
	j->result = volume_flush(j->handle->volume);
}

/* A store may tell extents apart that are smaller than 512 bytes: the answer is then
 * about the beginning of the range. */
static unsigned extents_most(uint32_t count)
{
	uint32_t most = count / 512 + 1;

	return most < EXTENTS_MAX ? most : EXTENTS_MAX;
}

static void run_status(struct job *j)
{
	int n = serve_too_late(j) ? j->result : volume_extents(j->handle->volume, j->count, j->offset, j->reply->payload,
			       extents_most(j->count));

	j->result = n < 0 ? n : 0;
	j->reply_length = n < 0 ? 0 : (uint32_t)n * WIRE_EXTENT_SIZE;
	if (n > 0 && j->conn->crc)
		j->reply_crc = crc32c(0, j->reply->payload, j->reply_length);
}

/*
 * Commands on a volume.  Each handler starts with everything checked.
 */
static enum wire_status start_job(struct conn *c, struct handle *h, enum job_kind kind,
				  void (*run)(struct job *), uint32_t room)
{
	struct job *j = job_new(c, h, kind, run);

	if (!j)
		return WIRE_E_NO_MEMORY;
	if (room) {
		j->reply = out_new_slow(&c->loop->arena, room);
		if (!j->reply) {
			job_free(c->loop, j);
			return WIRE_E_NO_MEMORY;
		}
	}
	job_queue(j);
	return WIRE_OK;
}

static enum wire_status handle_read(struct conn *c, struct handle *h)
{
	const struct wire_request *r = &c->request;
	struct out *o = out_new(&c->loop->arena, r->count);
	int e;

	if (!o)
		return WIRE_E_NO_MEMORY;
	COUNT(c->traffic.reads, 1);
	COUNT(c->traffic.read_bytes, r->count);
	e = volume_read_now(h->volume, o->payload, r->count, r->offset);
	if (!e) {
		reply_data(c, r->type, r->cookie, o, r->count,
			   c->crc ? crc32c(0, o->payload, r->count) : 0, r->count);
		numbers_at_once(c->loop, h, r->type, r->count, c->came);
		return WIRE_OK;
	}
	out_free(&c->loop->arena, o);
	if (e != -EAGAIN)
		return volume_status(e);
	return start_job(c, h, JOB_QUICK, run_read, r->count);
}

static enum wire_status start_write(struct conn *c, struct handle *h, const uint8_t *payload)
{
	bool fua = c->request.flags & WIRE_FLAG_FUA;
	struct job *j = job_new(c, h, fua ? JOB_SLOW : JOB_QUICK, run_write);

	if (!j)
		return WIRE_E_NO_MEMORY;
	if (c->placed) {
		j->payload = c->placed;
		c->placed = NULL;
	} else {
		j->payload = buffer_new(&c->loop->server->memory, c->request.count);
		if (!j->payload) {
			job_free(c->loop, j);
			return WIRE_E_NO_MEMORY;
		}
		memcpy(j->payload, payload, c->request.count);
	}
	job_queue(j);
	return WIRE_OK;
}

static enum wire_status handle_write(struct conn *c, struct handle *h, const uint8_t *payload)
{
	const struct wire_request *r = &c->request;
	int e;

	COUNT(c->traffic.writes, 1);
	COUNT(c->traffic.written_bytes, r->count);
	e = volume_write_now(h->volume, payload, r->count, r->offset, r->flags & WIRE_FLAG_FUA);
	if (e == -EAGAIN)
		return start_write(c, h, payload);
	done_note(&c->done, r->cookie, volume_status(e));
	if (e)
		return volume_status(e);
	reply_status(c, r->type, r->cookie, r->count, WIRE_OK);
	numbers_at_once(c->loop, h, r->type, r->count, c->came);
	return WIRE_OK;
}

static enum wire_status handle_flush(struct conn *c, struct handle *h)
{
	const struct wire_request *r = &c->request;
	int e = volume_flush_now(h->volume);

	COUNT(c->traffic.flushes, 1);
	if (e == -EAGAIN)
		return start_job(c, h, JOB_FLUSH, run_flush, 0);
	if (e)
		return volume_status(e);
	reply_status(c, r->type, r->cookie, 0, WIRE_OK);
	numbers_at_once(c->loop, h, r->type, 0, c->came);
	return WIRE_OK;
}

static enum wire_status handle_copy(struct conn *c, struct handle *h, const uint8_t *payload)
{
	struct copy_source s;
	enum wire_status status = serve_copy_source(c, h, payload, &s);
	struct job *j = status ? NULL : job_new(c, h, JOB_SLOW, serve_run_copy);

	if (!j)
		return status ? status : WIRE_E_NO_MEMORY;
	COUNT(c->traffic.others, 1);
	j->source = handle_get(s.handle);
	j->source_offset = s.offset;
	job_queue(j);
	return WIRE_OK;
}

static enum wire_status handle_volume(struct conn *c, struct handle *h, const uint8_t *payload)
{
	switch (c->request.type) {
	case WIRE_READ:
		return handle_read(c, h);
	case WIRE_WRITE:
		return handle_write(c, h, payload);
	case WIRE_FLUSH:
		return handle_flush(c, h);
	case WIRE_DISCARD:
	case WIRE_WRITE_ZEROES:
		COUNT(c->traffic.others, 1);
		return start_job(c, h, JOB_SLOW, serve_run_zero, 0);
	case WIRE_STATUS:
		COUNT(c->traffic.others, 1);
		return start_job(c, h, JOB_SLOW, run_status,
				 extents_most(c->request.count) * WIRE_EXTENT_SIZE);
	case WIRE_COPY:
		return handle_copy(c, h, payload);
	default:
		return WIRE_E_INVALID;
	}
}

static enum wire_status validate_volume(struct conn *c, struct handle *h)
{
	const struct wire_request *r = &c->request;
	enum wire_status gone;
	struct volume *v;

	/* One that had to wait for its limit may come too late. */
	if (!h || atomic_load_explicit(&h->closed, memory_order_relaxed))
		return WIRE_E_HANDLE;
	v = h->volume;
	gone = atomic_load_explicit(&v->gone, memory_order_relaxed);
	if (gone)
		return gone;
	if (atomic_load_explicit(&h->revoked, memory_order_relaxed))
		return WIRE_E_NO_VOLUME;
	if (v->shared && lease_over(&c->client->lease, clock_now())) {
		conn_lost(c, "its lease is over");
		return WIRE_E_LEAVING;	/* nobody gets it */
	}
	if (r->type != WIRE_FLUSH) {
		uint64_t size = atomic_load_explicit(&v->size, memory_order_relaxed);

		if (r->offset > size || r->count > size - r->offset)
			return WIRE_E_RANGE;
	}
	if (is_barred(h, r->type))
		return WIRE_E_RESERVED;
	if (changes(r->type)) {
		if (h->read_only || atomic_load_explicit(&h->reads_only, memory_order_relaxed) ||
		    atomic_load_explicit(&v->read_only, memory_order_relaxed))
			return WIRE_E_READ_ONLY;
		/* What was done must be known later: no room, no command. */
		if (done_reserve(&c->done, r->cookie))
			return WIRE_E_NO_MEMORY;
	}
	return WIRE_OK;
}

/*
 * Everything else.
 */
static int serve_fence(struct conn *c, const uint8_t *payload, uint32_t length)
{
	const struct wire_request *r = &c->request;
	struct wire_fence f;
	enum wire_status status;
	const char *why;

	if (wire_get_fence(payload, length, &f, false, &why))
		return conn_fail(c, "%s", why);
	status = fence_start(c, r->cookie, &f);
	if (status)
		conn_refuse(c, r->type, r->cookie, status,
			    status == WIRE_E_INVALID ? "no such connection in this session" : "too many fences at once");
	return 0;
}

static int serve_ping(struct conn *c)
{
	struct wire_reply reply = { .type = WIRE_PING, .cookie = c->request.cookie };
	uint64_t now = clock_now();
	uint8_t stamp[WIRE_STAMP_SIZE];

	lease_echo(&c->client->lease, c->request.offset, now);
	wire_put_stamp(stamp, now);
	conn_reply(c, &reply, stamp, sizeof(stamp));
	return 0;
}

static int serve_bye(struct conn *c)
{
	c->bye = true;
	c->bye_cookie = c->request.cookie;
	conn_leave(c);
	return FRAME_STOP;
}

/* True: it waits.  Else *status says whether it goes on. */
static bool is_throttled(struct conn *c, struct handle *h, const uint8_t *payload, enum wire_status *status)
{
	int r;

	if (!atomic_load_explicit(&h->volume->throttle, memory_order_acquire))
		return false;
	r = throttle_command(c, h, payload);
	if (r < 0)
		*status = WIRE_E_NO_MEMORY;
	return r > 0;
}

static void refuse(struct conn *c, struct handle *h, enum wire_status status)
{
	const struct wire_request *r = &c->request;

	if (h)
		numbers_failed(c->loop, h);
	reply_status(c, r->type, r->cookie, r->count, status);
}

void serve_later(struct conn *c, struct handle *h, const struct wire_request *r, uint64_t came, uint8_t *payload)
{
	/* The connection may be in the middle of another frame. */
	struct wire_request now = c->request;
	uint8_t *placed = c->placed;
	enum wire_status status;

	c->request = *r;
	c->came = came;
	c->placed = payload;
	status = validate_volume(c, h);
	if (!status)
		status = handle_volume(c, h, payload);
	if (status)
		refuse(c, h, status);
	buffer_free(&c->loop->server->memory, c->placed);
	c->request = now;
	c->placed = placed;
	conn_touch(c);
}

static int serve_volume(struct conn *c, const uint8_t *payload)
{
	const struct wire_request *r = &c->request;
	struct handle *h = handle_find(&c->client->handles, r->handle);
	enum wire_status status;

	c->came = c->loop->now;
	c->bytes += weight(r->type, r->count);
	status = validate_volume(c, h);
	if (!status && is_throttled(c, h, payload, &status))
		return 0;
	if (!status)
		status = handle_volume(c, h, payload);
	if (status)
		refuse(c, h, status);
	return 0;
}

/* With ten thousand volumes an answer takes a thousand times as long as a read. */
static int serve_at_length(struct conn *c, const uint8_t *payload, uint32_t length)
{
	uint64_t began = thread_time();
	int r = c->request.type == WIRE_LIST ? serve_list(c) : serve_control(c, payload, length);

	turn_took(&c->left, thread_time() - began);
	return r;
}

int serve_frame(struct conn *c, const uint8_t *payload, uint32_t length)
{
	const struct wire_request *r = &c->request;

	switch (r->type) {
	case WIRE_READ:
	case WIRE_WRITE:
	case WIRE_FLUSH:
	case WIRE_DISCARD:
	case WIRE_WRITE_ZEROES:
	case WIRE_STATUS:
		return serve_volume(c, payload);
	case WIRE_COPY:
		return c->copies ? serve_volume(c, payload) : conn_fail(c, "a copy without that feature");
	case WIRE_LIST:
	case WIRE_CONTROL:
		return serve_at_length(c, payload, length);
	case WIRE_OPEN:
		return serve_open(c, payload, length);
	case WIRE_CLOSE:
		reply_status(c, r->type, r->cookie, 0, client_close(c->client, r->handle));
		return 0;
	case WIRE_FENCE:
		return serve_fence(c, payload, length);
	case WIRE_TAKEOVER:
		return serve_takeover(c, payload, length);
	case WIRE_PING:
		return serve_ping(c);
	case WIRE_BYE:
		return serve_bye(c);
	default:
		conn_refuse(c, r->type, r->cookie, WIRE_E_UNSUPPORTED, "this version has no such command");
		return 0;
	}
}
