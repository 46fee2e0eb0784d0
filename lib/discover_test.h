/*
 * discover_test.h - how good is each way from an interface of this host to a portal?
 *
 * The round trip and the MTU that is usable from end to end, found with discovery's questions
 * (discover.h): short ones for the time, and for the MTU ones of a size that may not be
 * split on the way, whose answers are as long and may not be split either.  All ways are
 * tested at once.  No key is needed and nothing is changed.  A way gets ROUND_TRIPS short
 * questions before anything shows that a server is there, and long ones only afterwards: who
 * puts another's address into an answer can have that one sent no more than that.
 *
 * Throughput needs a login and is not measured here: rsbench(8) measures a path.
 */
#ifndef RSIO_DISCOVER_TEST_H
#define RSIO_DISCOVER_TEST_H

#include "discover.h"

#define DISCOVER_PATHS_MAX 256

enum discover_path_state {
	DISCOVER_PATH_NO_WAY,		/* no route leads from that interface there: no client would use the pair */
	DISCOVER_PATH_SILENT,		/* no answer */
	DISCOVER_PATH_GOOD,
};
const char *discover_path_state_name(enum discover_path_state s);	/* "no-way", "silent", "good" */

struct discover_path {
	size_t interface, server, portal;	/* in the result of discover_run */
	enum discover_path_state state;
	int asked, answered;		/* of the short questions */
	double least, mean;		/* seconds, of the answered */
	uint32_t mtu;			/* the largest that came through, with IP's header; 0: not known */
	bool mtu_most;			/* nothing larger was tried: an end's own MTU, or DISCOVER_MTU_MAX */
};

struct discover_paths {
	struct discover_path *list;
	size_t count, good;
	size_t left_out;		/* beyond DISCOVER_PATHS_MAX */
};

/* The most that is tried. */
#define DISCOVER_MTU_MAX (WIRE_DISCOVER_MAX - 384)

/* found: of discover_run.  time: seconds for all.  go_on: as in discover.h.  0 or -errno with e filled; free p in any case. */
int discover_test(const struct discover_result *found, double time, bool (*go_on)(void *arg), void *arg,
		  struct discover_paths *p, struct err *e);
void discover_paths_free(struct discover_paths *p);

#endif
