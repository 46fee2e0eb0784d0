/*
 * devices.h - which volumes have block devices, and which should: the requests
 * to the helper.  Any thread but the loop's, one at a time.
 */
#ifndef FUSEFS_DEVICES_H
#define FUSEFS_DEVICES_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include "client.h"
#include "err.h"
#include "helper.h"

struct devices {
	struct client *client;
	struct helper *helper;
	pthread_mutex_t lock;		/* guards what follows */
	json_t *tried;			/* "ns:vol" of what was attached because the configuration says so */
	json_t *refused;		/* and of what it says should be this client's alone, and is not yet */
	bool ask_again;
};

int devices_init(struct devices *d, struct client *c, struct helper *h);
void devices_fini(struct devices *d);

/* One volume, by its names.  The helper's reply, or NULL with e filled. */
/* alone: nobody else may have it open, from now on. */
json_t *devices_attach(struct devices *d, const char *namespace, const char *volume, bool alone, struct err *e);
json_t *devices_detach(struct devices *d, const char *namespace, const char *volume, bool force,
		       struct err *e);

/* "ns:vol" of all volumes that are offered, of all that are attached; new references. */
json_t *devices_offered(struct devices *d);
json_t *devices_attached(struct devices *d);

/* Looks at what the kernel has, gives it to the client's status, attaches what the
 * configuration wants and has newly come, follows volumes that grew.  True: there is something to
 * attach once another client lets go of it, which nobody may tell us: look again. */
bool devices_look(struct devices *d);

#endif
