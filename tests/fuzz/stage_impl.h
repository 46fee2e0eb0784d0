/* stage_impl.h - what stage.c (the server) and stage_client.c (its clients) share. */
#ifndef RSIO_FUZZ_STAGE_IMPL_H
#define RSIO_FUZZ_STAGE_IMPL_H

#include "secure.h"
#include "stage.h"
#include "tls.h"
#include "wire.h"

#define GUESTS 4
#define SENT_MAX 64		/* commands that a client remembers */

/* A client's end of a connection. */
struct guest {
	int fd;			/* -1: none */
	bool deaf;
	struct tls *tls;	/* NULL: in the clear */
	struct secure_transcript *transcript;
	char node[WIRE_NAME_MAX + 1];
	bool tried, proven;	/* the first AUTH was sent; was a right one */
	bool asked, welcome, up;	/* HELLO was sent; was answered; AUTH was */
	uint8_t session[WIRE_SESSION_SIZE];
	uint32_t number;
	uint64_t sequence, stamp;	/* stamp: the newest that was heard */
	uint8_t life[16];

	uint8_t header[WIRE_REPLY_SIZE], body[WIRE_LOGIN_MAX];
	uint32_t have;		/* of header and payload */
	struct wire_reply reply;
	struct wire_request sent[SENT_MAX];	/* not answered */
	unsigned count;
};

extern struct guest guests[GUESTS];
extern bool stage_tls;		/* stage_within_tls was called */

/* stage.c */
void stage_turn(void);		/* of both loops, until nothing moves */
const uint8_t *stage_key(const char *node);
/* Has another server of the shared volume a claim for it? */
bool stage_claimed_elsewhere(const char *node, const uint8_t life[16]);
void stage_volume_uuid(uint8_t which, uint8_t uuid[WIRE_UUID_SIZE], uint64_t *generation);

bool stage_asks_for_tls(void);

/* stage_tls.c */
void guest_handshake(struct guest *g, const char *node);	/* g->tls is made, and perhaps opened */
/* What it says goes to the wire by guest_say_raw. */
void guest_say_within(struct guest *g, const void *data, size_t size);
bool guest_read_within(struct guest *g);	/* as much as there is; false: it has ended */

/* stage_client.c */
void guest_say_raw(struct guest *g, const void *data, size_t size);	/* whatever g->tls is */
void guest_heard(struct guest *g, const uint8_t *data, size_t size);
void guest_open(struct guest *g, int fd);
void guest_close(struct guest *g);
void guest_read(struct guest *g);	/* what the server sent */
void guest_say(struct guest *g, const void *data, size_t size);
void guest_life(uint8_t life[16], uint8_t which);	/* of four */
void guest_hello(struct guest *g, uint8_t odd);
void guest_auth(struct guest *g, uint8_t whose, uint8_t wrong);
void guest_command(struct guest *g, uint8_t how, uint8_t handle, uint32_t offset, uint32_t count);
void guest_open_volume(struct guest *g, uint8_t handle, uint8_t volume, uint8_t how);
void guest_fence(struct guest *g, uint8_t whom, uint8_t how);
void guest_takeover(struct guest *g, uint8_t handle, uint8_t how);
void guest_frame(struct guest *g, struct fuzz_in *in);
void guest_piece(size_t size);

#endif
