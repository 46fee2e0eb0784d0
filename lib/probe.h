/*
 * probe.h - do servers serve this client?  Over every interface to every portal of one namespace: does the portal
 * answer, is the key right, what does it list, can block 0 of a volume be read that way.  Nothing is written, and no
 * daemon is needed or disturbed: where one is logged in under the same node name the server says so (in_use), and
 * that one knows the rest.  The paths log as a daemon's do: who has a screen turns that off, log_set_stderr(0).
 */
#ifndef RSIO_PROBE_H
#define RSIO_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include "conf.h"
#include "err.h"

enum probe_state {
	PROBE_NOTHING,		/* no answer */
	PROBE_NO_WAY,		/* this interface does not lead there: no client would use the pair */
	PROBE_ANSWERED,		/* a server is there, and has not let us in */
	PROBE_IN,		/* the key is right */
	PROBE_LISTED,		/* its volumes are known; it offers none, or reading was not asked for */
	PROBE_READ,		/* and a block came from one */
	PROBE_NOT_READ,		/* it offers volumes, and none could be read */
};
const char *probe_state_name(enum probe_state s);	/* "nothing", "no-way", "answered", "in", "listed", "read", "not-read" */

struct probe_pair {
	char interface[CONF_NAME_MAX + 1];	/* "": the kernel chose */
	char portal[CONF_PORTAL_NAME_MAX + 1];	/* the [server] section */
	char address[64];			/* of the portal, as configured */
	int port;
	enum probe_state state;
	bool good;				/* all that was asked for */
	bool in_use;				/* the key is right, and this node is logged in there from elsewhere: rsiod */
	char server[64], version[64];		/* who answered; "" nobody */
	int server_id;				/* -1: nobody did */
	size_t volumes;				/* that it offers */
	char volume[CONF_VOLUME_MAX + 1];	/* whose block was read; "" none */
	double round_trip;			/* seconds; < 0: not known */
	double took;				/* seconds until it was known */
	char why[240];				/* what is wrong, with the next step; "" when good */
};

struct probe_wish {
	const struct conf_client *conf;
	size_t namespace;		/* its number in conf */
	double limit;			/* seconds for all of it */
	bool patient;			/* tries servers again until the limit; else the first failure is the answer.  That
					 * an interface does not lead there, or that the name is in use, is known at once */
	bool read;			/* block 0 of the first volume */
	/* Of each, once it is known.  May be NULL. */
	void (*known)(void *arg, const struct probe_pair *pair);
	bool (*go_on)(void *arg);	/* asked ten times a second; false ends it.  May be NULL. */
	void *arg;
};

struct probe_result {
	struct probe_pair *pairs;	/* interface by interface */
	size_t count, good;
	size_t no_way;			/* of those that are not good, how many need not be */
};

/* 0: it was tried, and the result says how it went; else -errno with e filled: -ECANCELED (go_on), or what
 * kept it from being tried.  Free the result in any case.  Pairs of an IPv4 interface and an IPv6 portal, or the other
 * way, are none. */
int probe_run(const struct probe_wish *w, struct probe_result *r, struct err *e);
void probe_result_free(struct probe_result *r);

#endif
