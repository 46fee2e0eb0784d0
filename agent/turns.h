/*
 * turns.h - the clients of a loop share its time.
 *
 * One receive can bring a thousand commands, and eight connections of a client eight
 * times that.  So what a client has done in a round of the loop is counted, over its
 * connections there: TURN_MAX, a command being as dear as TURN_COMMAND bytes.  Beyond it
 * its connections wait for the next round, which begins at once, with whoever else has
 * something to say; among themselves they go in order.  A client that asks for little
 * then waits for a turn of each other one on its loop, however much they ask for.
 *
 * What is said of all the volumes or asked in JSON is another matter than a command: there it is
 * the loop's time that counts.
 *
 * It costs a subtraction for a command, and a look at the sockets for a turn.
 */
#ifndef RSSRV_TURNS_H
#define RSSRV_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_MAX (2u << 20)
#define TURN_COMMAND 4096u
#define TURN_NS 2		/* bytes that a nanosecond is as dear as: a turn is 1 ms */

struct conn;
struct engine;

/* A client's on a loop; that loop's alone. */
struct turn {
	_Alignas(64) uint64_t round;	/* that `left` is of */
	int64_t left;
	unsigned waiting;		/* of its connections there */
};

struct turn *turns_new(unsigned loops);	/* NULL: no memory */
/* c has something to do.  True: it may, c->left for now, and turn_over comes afterwards; false:
 * it is in the list of those whose turn comes. */
bool turn_begin(struct conn *c);
void turn_over(struct conn *c);
/* A command of so many bytes.  False: no more in this turn. */
static inline bool turn_goes_on(int64_t *left, uint32_t bytes)
{
	*left -= TURN_COMMAND + (int64_t)bytes;
	return *left > 0;
}
static inline void turn_took(int64_t *left, uint64_t ns)
{
	*left -= (int64_t)(ns * TURN_NS);
}
void turn_wait(struct conn *c);		/* it has more to do than it may */
void turn_forget(struct conn *c);	/* it closes */
/* At the end of a round: those that had to wait in the one before. */
void turns_settle(struct engine *l);

#endif
