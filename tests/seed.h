/*
 * seed.h - what a unit test tries at random: the same for the same RSIO_SEED.
 * tests/run.sh sets it, and says in the report of a failure what it was.
 */
#ifndef RSIO_TEST_SEED_H
#define RSIO_TEST_SEED_H

#include <stdint.h>
#include <stdlib.h>

/* Another number for each salt, never 0; RSIO_SEED counts as 1 where it is not set. */
static inline uint64_t test_seed(uint64_t salt)
{
	const char *text = getenv("RSIO_SEED");
	uint64_t x = (text ? strtoull(text, NULL, 10) : 1) + salt * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;	/* splitmix64 */
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	x ^= x >> 31;
	return x ? x : 1;
}

#endif
