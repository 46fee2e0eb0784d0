/*
 * shares.h - what an administrator says of single interfaces for the policies that
 * treat them differently: the weights of `weighted`, the standbys of
 * `round-robin-subset`.  Read from text as "if0=3,if1=1" and "if1,if2".
 */
#ifndef RSIO_SHARES_H
#define RSIO_SHARES_H

#include <stdbool.h>
#include <stddef.h>

#define SHARES_MAX 8		/* interfaces */
#define SHARES_NAME_MAX 40
#define SHARES_WEIGHT_MAX 100
#define SHARES_WHY_MAX 160

struct share {
	char interface[SHARES_NAME_MAX + 1];
	int weight;		/* 1..SHARES_WEIGHT_MAX; 0: not said, which counts as 1 */
	bool standby;
};

struct shares {
	size_t count;
	struct share of[SHARES_MAX];
};

/* Take the place of all weights, or of all standbys, that were there.  False: s is
 * unchanged, and why says what is wrong with the text. */
bool shares_set_weights(struct shares *s, const char *text, char why[SHARES_WHY_MAX]);
bool shares_set_standbys(struct shares *s, const char *text, char why[SHARES_WHY_MAX]);
/* What is said of this interface; of none (NULL): weight 0, no standby. */
struct share shares_of(const struct shares *s, const char *interface);
bool shares_equal(const struct shares *a, const struct shares *b);

#endif
