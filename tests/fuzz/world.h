/*
 * world.h - what is below a program under test, in the hands of its target:
 * time goes on when the target says so, waiting for events ends at once, and
 * random numbers are the same for the same input, and memory is short when the
 * target says so.
 */
#ifndef RSIO_FUZZ_WORLD_H
#define RSIO_FUZZ_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define MS UINT64_C(1000000)

extern uint64_t world_now;	/* CLOCK_BOOTTIME, ns */
extern uint64_t world_sleep;	/* how much of it may pass where a loop sleeps */
extern uint8_t world_random;	/* the byte that random numbers consist of, less one */

/* The so-manieth allocation from now on fails, of those that are made while
 * world_armed, so not the target's own; 0: none. */
extern unsigned world_fails;
extern bool world_armed;
extern bool world_spares_calloc;	/* which never fails then */

#endif
