/*
 * serve.h - a request's way: validate, handle, reply.
 */
#ifndef RSSRV_SERVE_H
#define RSSRV_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include "engine.h"
#include "wire.h"

struct conn;
struct handle;
struct job;
struct json_t;
struct volume;

/* The frame c->request with its payload, on a connection that is logged in.
 * As frame_ops.payload.  May take c->placed over (and sets it to NULL). */
int serve_frame(struct conn *c, const uint8_t *payload, uint32_t length);
/* The same for single types. */
int serve_list(struct conn *c);
int serve_open(struct conn *c, const uint8_t *payload, uint32_t length);
int serve_takeover(struct conn *c, const uint8_t *payload, uint32_t length);
int serve_control(struct conn *c, const uint8_t *payload, uint32_t length);
/* A command on a volume whose time has come (throttle.c): r, which came then, with payload, which is
 * taken over. */
void serve_later(struct conn *c, struct handle *h, const struct wire_request *r, uint64_t came, uint8_t *payload);
/* A control request; takes the reference to v over. */
void serve_reserve(struct conn *c, struct volume *v, bool may_write, const struct json_t *request);
/* serve_copy.c: what a COPY that goes to h is of; a wire status. */
struct copy_source {
	struct handle *handle;		/* for this round */
	uint64_t offset;
};
enum wire_status serve_copy_source(struct conn *c, struct handle *h, const uint8_t *payload, struct copy_source *out);
/* serve_pieces.c: on a worker. */
void serve_run_copy(struct job *j);
void serve_run_zero(struct job *j);
/* On a worker: the second look at the handle, the lease and reservations.  True: j->result is set. */
bool serve_too_late(struct job *j);
/* For the workers, when the round ends: from here on the connection is not finished
 * before the job is back. */
void serve_queue(struct job *j);
/* Hands what the round gathered to the workers. */
void serve_submit(struct engine *l);
/* Frees the loop's spare jobs. */
void serve_fini(struct engine *l);

#endif
