/* play_impl.h - what play.c (the client, its time and its I/O) and play_server.c share. */
#ifndef RSIO_FUZZ_PLAY_IMPL_H
#define RSIO_FUZZ_PLAY_IMPL_H

#include "play.h"
#include "secure.h"
#include "tls.h"
#include "wire.h"

#define PEERS 5			/* portals, by the last byte of their addresses, less 1 */
#define CONFIGURED 3		/* the first two are one server's; the others are what the servers tell of */
#define WAIT_MAX 128		/* commands that the server remembers for each connection */

/* The server's end of a portal's connection. */
struct peer {
	int fd;			/* -1: none */
	unsigned portal;
	unsigned serial;	/* no other connection of this play has it */
	struct tls *tls;	/* NULL: in the clear */
	struct secure_transcript *transcript;
	bool hello, auth;	/* was received, not answered */
	uint64_t cookie;	/* of it */
	uint8_t proof[WIRE_PROOF_SIZE], join[WIRE_SESSION_SIZE];

	uint8_t header[WIRE_REQUEST_SIZE], body[WIRE_FENCE_MAX];
	uint32_t have;		/* of header and payload */
	struct wire_request request;

	struct wire_request wait[WAIT_MAX];	/* not answered */
	uint32_t fences[WAIT_MAX];	/* of a FENCE: the connection it asks about; of a TAKEOVER: the server */
	unsigned newest[WAIT_MAX];	/* of a TAKEOVER: the newest connection when it came */
	unsigned count;
};

extern struct peer play_peers[PEERS];
extern unsigned play_serial;	/* of the newest connection */
extern bool play_tls;		/* play_within_tls was called */
extern uint8_t play_key[SECURE_KEY_SIZE];

static inline bool of_second(const struct peer *p)	/* which server? */
{
	return p->portal == 2 || p->portal == 4;
}

/* play.c */
void play_turn(unsigned rounds);	/* of the client's loop */

/* play_tls.c */
struct tls *peer_tls(void);
void peer_say_within(struct peer *p, const void *data, size_t size);
bool peer_read_within(struct peer *p);	/* as much as there is; false: it has ended */

/* play_server.c */
void peer_say_raw(struct peer *p, const void *data, size_t size);	/* whatever p->tls is */
void peer_heard(struct peer *p, const uint8_t *data, size_t size);
void peer_open(struct peer *p, int fd);
void peer_close(struct peer *p);
void peer_read(struct peer *p);		/* what the client sent */
void peer_say(struct peer *p, const void *data, size_t size);
void peer_frame(struct peer *p, struct wire_reply *r, const void *payload);
void peer_answered(struct peer *p, uint64_t cookie);	/* whatever waits under it does so no more */
void peer_welcome(struct peer *p, uint8_t server, uint8_t odd);
void peer_grant(struct peer *p, uint8_t session, uint8_t number, uint8_t wrong);
void peer_reply(struct peer *p, unsigned which, uint8_t status, uint8_t how, struct fuzz_in *in);
void peer_event(struct peer *p, uint16_t kind, uint8_t volume, uint8_t how);
void peer_piece(size_t size);		/* nothing longer is sent at once */

#endif
