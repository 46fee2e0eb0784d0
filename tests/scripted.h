/*
 * scripted.h - a server that says exactly what a test wants, and a client built
 * from lib/ that talks to it.
 *
 * The client's loop runs in a thread of its own; everything here is called from
 * the test's thread, and every wait fails the test after WAIT_S seconds.  LIST
 * and PING are answered behind the scenes, whatever else comes is the test's.
 */
#ifndef RSIO_TEST_SCRIPTED_H
#define RSIO_TEST_SCRIPTED_H

#include <stdbool.h>
#include <stdint.h>
#include "mpio.h"
#include "namespace.h"
#include "wire.h"

#define WAIT_S 10
#define PORTALS 2
#define BLOCK 4096u
#define SCRIPT_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"	/* the node key */

/* The server: PORTALS listening sockets on loopback. */
struct script {
	int listen[PORTALS], port[PORTALS];
	uint8_t life[16], boot[16], machine[16], key[32];
	struct wire_limits limits;
	struct wire_volume volume;	/* the one that it offers */
	bool no_crc, no_copy;
	bool own_lists;			/* the test answers LIST itself */
	bool two_servers;		/* the second portal is another server's, srv2 with id 2 */
	unsigned tells;			/* LIST tells of the portals of these bits */
	const char *name;		/* NULL: srv */
	struct conn *conns;		/* all that were accepted, to be freed */
};

struct conn {
	struct script *server;
	struct conn *next;
	int fd, portal;
	struct secure_transcript *transcript;
	uint8_t wanted[16];		/* session that the client wants to join */
	uint8_t proof[32];		/* the client's */
	uint8_t session[16];
	uint32_t number;
	struct request *requests;	/* that were read, to be freed */
};

struct request {
	struct request *next;
	struct wire_request h;
	uint8_t *payload;
};

void script_start(struct script *s);
void script_stop(struct script *s);
void script_restarted(struct script *s);	/* another life */

/* Accepts the next connection that is still there, and reads its HELLO. */
struct conn *script_accept(struct script *s, int portal);
void script_welcome(struct conn *c);		/* answers it */
void script_auth(struct conn *c);		/* reads AUTH, checks its proof */
void script_grant(struct conn *c, uint8_t session, uint32_t number);	/* session: 16 times this byte */
struct conn *script_login(struct script *s, int portal, uint8_t session, uint32_t number);	/* all of it */
void script_close(struct conn *c);
void script_closed(struct conn *c);		/* waits for the client's end of stream */
bool script_ended(struct conn *c);		/* has it come? */
/* The connection has something to read: 1; not within ms: 0. */
int script_poll(struct conn *c, int ms);

struct request *script_expect_list(struct conn *c);
void script_list(struct conn *c);		/* and answers it */
void script_answer_list(struct conn *c, const struct request *r);
struct request *script_read(struct conn *c);	/* one request; NULL: end of stream */
/* Answers PING, and LIST where the test does not; false: it was neither. */
bool script_serve(struct conn *c, const struct request *r);
struct request *script_next(struct conn *c);	/* the next that is the test's; NULL: end of stream */
struct request *script_expect(struct conn *c, enum wire_type type);
void script_send(struct conn *c, const void *data, size_t size);
void script_reply(struct conn *c, const struct request *r, enum wire_status status,
		  const void *payload, uint32_t length);
/* A reply with any header, length and payload's checksum as h says. */
void script_say(struct conn *c, const struct wire_reply *h, const void *payload, uint32_t length);
void script_event(struct conn *c, enum wire_event kind);
void script_portal(struct conn *c, enum wire_event kind, const char *address, int port);
void script_open(struct conn *c);		/* expects OPEN and answers it with the volume */
/* Expects FENCE of that connection with these cookies, in any order. */
struct request *script_fence(struct conn *c, uint32_t number, size_t count, struct request *const *commands);
/* Expects it without any, since only reads were out, and answers it. */
void script_fence_reads(struct conn *c, uint32_t number);
/* Says which were done. */
void script_fenced(struct conn *c, const struct request *fence, uint32_t number, size_t count,
		   struct request *const *commands, const enum wire_status *statuses);

/* The client. */
struct client_setup {
	double give_up, detect;		/* 0: 60 s */
	double probation;		/* 0: none */
	const char *on_loss, *policy;	/* NULL: fail, fail-over */
	bool no_crc;
	bool own_lists;			/* the test answers LIST itself */
	bool one_portal;		/* the configuration names the first alone */
	bool learns_none;
};
void client_start(struct script *s, const struct client_setup *setup);
void client_stop(void);
/* A client over the first portal of a started server, with the volume open: its connection. */
struct conn *script_begin(struct script *s, const struct client_setup *setup, uint8_t session);
struct mpio *client_volume(void);	/* waits until one is offered; it is held */
struct mpio *client_new_volume(const struct mpio *old);	/* waits until another one is */
bool client_offered(void);			/* is one? */
unsigned client_volumes(void);			/* how many are offered */
enum mpio_state client_state(void);
double client_gives_up_in(void);		/* mpio_give_up_in */
/* A text or number of that path's status: "state", "reason", "rtt_us". */
void client_path(int portal, const char *key, char *out, size_t size);
/* The same of the path with that name; false: there is none. */
bool client_named_path(const char *name, const char *key, char *out, size_t size);
size_t client_paths(void);			/* how many there are */
void client_path_becomes(int portal, const char *state);	/* waits for it */
void client_kick(void);			/* paths that are down try at once */
void client_call(void (*fn)(void *arg), void *arg);	/* on the loop */
struct namespace *client_namespace(void);	/* on the loop */
unsigned client_logged(const char *what);	/* lines of its log that have this in them */

struct io {
	struct command command;		/* first */
	struct io *next;
	uint8_t *data;			/* of a WRITE; of a READ what came */
	bool done, gave_up;
	int error, gave_up_error;
};
/* fill: of a WRITE; of a COPY the block of the same volume that it is from. */
struct io *io_start(enum wire_type type, uint64_t offset, uint32_t count, uint8_t fill);
int io_wait(struct io *io);		/* the error with which it ended */
int io_given_up(struct io *io);		/* the error that its waiter was told */
bool io_done(struct io *io);
bool io_interrupt(struct io *io);	/* mpio_interrupt */
/* Nothing else was sent to c: a READ of the last block comes next there. */
void io_barrier(struct conn *c);
/* WRITE arrived at c with its data. */
struct request *io_expect(struct conn *c, const struct io *io);

#endif
