/* growth.c - see growth.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "growth.h"
#include "log.h"

#define LOOK_EVERY 20		/* ms */
#define TELL_EVERY 200		/* ms */
#define EVENT_WITHIN 10000	/* ms: the server told us before it told whoever resized it */
#define FREEZE_WITHIN 30000	/* ms: what is dirty is written first */

static json_t *request(const struct client *c, const char *what, const char *namespace, const char *volume, uint64_t size)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I}", "do", what, "mount", c->mount_dir, "namespace", namespace,
			 "volume", volume, "size", (json_int_t)size);
}

static int must_be_root(struct err *e)
{
	return geteuid() == 0 ? 0 : err_set(e, EPERM, "block devices need an rsiod that root started");
}

/* The size here. */

struct size_query {
	const struct client *client;
	const char *namespace, *volume;
	bool found;
	uint64_t size;
};

static void query_size(void *arg)
{
	struct size_query *q = arg;
	struct mpio *v = client_volume(q->client, q->namespace, q->volume);

	q->found = v != NULL;
	q->size = v ? mpio_info(v)->size : 0;
}

static int wait_for_size(const struct client *c, const char *namespace, const char *volume, uint64_t size, struct err *e)
{
	struct size_query q = { .client = c, .namespace = namespace, .volume = volume };

	for (int waited = 0; waited < EVENT_WITHIN; waited += LOOK_EVERY) {
		loop_call(c->loop, query_size, &q);
		if (!q.found)
			return err_set(e, ENOENT, "there is no volume %s:%s", namespace, volume);
		if (q.size >= size)
			return 0;
		poll(NULL, 0, LOOK_EVERY);
	}
	err_set(e, ETIMEDOUT, "%s:%s still has %llu bytes here", namespace, volume, (unsigned long long)q.size);
	err_next(e, "rsconfig -q shows whether its server is reached");
	return -ETIMEDOUT;
}

/* Growing. */

static void tell(const struct ctl_peer *peer, const char *stage)
{
	ctl_progress(peer, json_pack("{s:s}", "stage", stage));
}

/* What the helper says, until its last word.  Whoever left stops nothing. */
static json_t *listen_to(int channel, const struct ctl_peer *peer, struct err *e)
{
	char stage[40] = "device";
	const char *next;
	json_t *j;

	for (;;) {
		j = helper_next(channel, TELL_EVERY, e);
		if (!j && e->code != ETIMEDOUT)
			return NULL;
		next = json_string_value(json_object_get(j, "stage"));
		if (j && !next)
			return j;
		if (next)
			snprintf(stage, sizeof stage, "%s", next);
		json_decref(j);
		if (ctl_gone(peer)) {
			err_set(e, ECANCELED, "nobody waits for it any more");
			return NULL;
		}
		tell(peer, stage);
	}
}

json_t *growth_run(struct client *c, struct helper *h, const struct ctl_peer *peer, const char *namespace,
		   const char *volume, uint64_t size, struct err *e)
{
	json_t *j;
	int channel;

	if (must_be_root(e) < 0 || wait_for_size(c, namespace, volume, size, e) < 0)
		return NULL;
	channel = helper_open(h, request(c, "grow", namespace, volume, size), e);
	if (channel < 0)
		return NULL;
	j = listen_to(channel, peer, e);
	close(channel);
	client_wake(c);
	if (j)
		log_info("attach", "the %s of %s:%s has %lld bytes now", json_string_value(json_object_get(j, "filesystem")),
			 namespace, volume, (long long)json_integer_value(json_object_get(j, "size")));
	return j;
}

/* At rest. */

/* 1: it is at rest; 0: nothing is mounted from it. */
static int freeze_one(struct growth_rest *r, struct client *c, struct helper *h, const char *namespace,
		      const char *volume, struct err *e)
{
	int channel = helper_open(h, request(c, "freeze", namespace, volume, 0), e), code;
	json_t *j;

	if (channel < 0)
		return channel;
	j = helper_next(channel, FREEZE_WITHIN, e);
	code = j ? 0 : e->code;
	json_decref(j);
	if (code) {
		close(channel);		/* what it does in spite of that, it undoes at once */
		if (code == ETIMEDOUT)
			err_set(e, ETIMEDOUT, "the file system of %s:%s did not come to rest within %d s", namespace, volume,
				FREEZE_WITHIN / 1000);
		return code == ENOENT ? 0 : -code;
	}
	r->channels[r->count++] = channel;
	return 1;
}

int growth_freeze(struct growth_rest *r, struct client *c, struct helper *h, const char *namespace,
		  const json_t *volumes, struct err *e)
{
	json_t *name;
	size_t i;
	int one;

	memset(r, 0, sizeof *r);
	if (must_be_root(e) < 0)
		return -EPERM;
	json_array_foreach(volumes, i, name) {
		if (!json_is_string(name) || r->count == GROWTH_FROZEN_MAX)
			continue;
		one = freeze_one(r, c, h, namespace, json_string_value(name), e);
		if (one < 0) {
			growth_thaw(r);
			return one;
		}
	}
	return r->count ? 0 : -ENOENT;
}

void growth_thaw(struct growth_rest *r)
{
	double seconds;
	struct err e;
	json_t *j;

	for (size_t i = 0; i < r->count; i++)
		if (send(r->channels[i], "{}", 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			r->expired = true;
	for (size_t i = 0; i < r->count; i++) {
		j = helper_next(r->channels[i], EVENT_WITHIN, &e);
		seconds = json_number_value(json_object_get(j, "seconds"));
		r->seconds = seconds > r->seconds ? seconds : r->seconds;
		r->expired |= !j || json_is_true(json_object_get(j, "expired"));
		json_decref(j);
		close(r->channels[i]);
	}
	r->count = 0;
}
