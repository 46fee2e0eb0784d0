/* reserve.c - see reserve.h. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/pr.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "ctl.h"
#include "reserve.h"
#include "secure.h"

#define WAIT_SECONDS 8
#define CONFLICT 0x18		/* PR_STS_RESERVATION_CONFLICT, where linux/pr.h has it */

/* These came to linux/pr.h later. */
#ifndef IOC_PR_READ_KEYS
struct pr_read_keys {
	__u32 generation;
	__u32 num_keys;
	__u64 keys_ptr;
};

struct pr_read_reservation {
	__u64 key;
	__u32 generation;
	__u32 type;
};

#define IOC_PR_READ_KEYS _IOWR('p', 206, struct pr_read_keys)
#define IOC_PR_READ_RESERVATION _IOR('p', 207, struct pr_read_reservation)
#endif

/* What a server has answered; NULL: nothing that can be read. */
static json_t *parse(int error, const char *text, size_t length, struct err *e)
{
	return error || !text ? NULL : ctl_parse(text, length, e);
}

/* 0, or -errno with the server's words. */
static int result_of(int error, const json_t *j, struct err *e)
{
	const json_t *refusal = json_object_get(j, "error");
	const char *code = json_string_value(json_object_get(refusal, "code"));
	const char *why = json_string_value(json_object_get(refusal, "text"));
	int r = j ? 0 : error ? error : -EPROTO;

	if (refusal) {
		r = code && !strcmp(code, "EBADE") ? -EBADE : code && !strcmp(code, "EOPNOTSUPP") ? -EOPNOTSUPP :
		    code && !strcmp(code, "EINVAL") ? -EINVAL : code && !strcmp(code, "EACCES") ? -EACCES :
		    code && !strcmp(code, "ETIMEDOUT") ? -ETIMEDOUT : -EIO;
		err_set(e, -r, "%s", why ? why : "the server gave no reason");
		err_next(e, "%s", json_is_string(json_object_get(refusal, "next")) ?
			 json_string_value(json_object_get(refusal, "next")) : "");
	} else if (r == -EOPNOTSUPP) {
		err_set(e, EOPNOTSUPP, "the server knows no reservations");
	} else if (r) {
		err_sys(e, -r, "the server did not answer");
	}
	err_clean(e->text);
	err_clean(e->next);
	return r;
}

struct wish {
	const char *action;
	uint64_t key, other;
	unsigned type;
	bool ignore;
};

static int ask(struct mpio *v, const struct wish *w,
	       void (*answered)(void *arg, int error, const char *text, size_t length), void *arg)
{
	char id[33], key[20], other[20], *text;
	uint8_t random[16];
	json_t *j;
	int r;

	if (secure_random(random, sizeof random) < 0)
		return -EIO;
	for (unsigned i = 0; i < sizeof random; i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	snprintf(key, sizeof key, "%" PRIx64, w->key);
	snprintf(other, sizeof other, "%" PRIx64, w->other);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b}", "do", "reserve", "volume", mpio_info(v)->name,
		      "action", w->action, "id", id, "key", key, "other", other, "type", (int)w->type,
		      "ignore", (int)w->ignore);
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	r = text ? mpio_ask_server(v, text, answered, arg) : -ENOMEM;
	free(text);
	json_decref(j);
	return r;
}

/*
 * Alone.  Who waits may give up before the answer is here: the last of the two frees it.
 */
struct alone {
	struct client *client;
	char namespace[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];
	bool yes;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned users;
	bool done;
	int result;
	struct err err;
};

static void alone_put(struct alone *a)
{
	unsigned left;

	pthread_mutex_lock(&a->lock);
	left = --a->users;
	pthread_mutex_unlock(&a->lock);
	if (left)
		return;
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a);
}

static void alone_ended(struct alone *a, int result)
{
	pthread_mutex_lock(&a->lock);
	a->result = result;
	a->done = true;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	alone_put(a);
}

/* On the loop, as the next one. */
static void alone_answered(void *arg, int error, const char *text, size_t length)
{
	struct alone *a = arg;
	struct mpio *v = client_volume(a->client, a->namespace, a->volume);
	json_t *j = parse(error, text, length, &a->err);
	int r = result_of(error, j, &a->err);

	json_decref(j);
	if (v && (!r || !a->yes))
		mpio_set_alone(v, a->yes);
	alone_ended(a, r);
}

static void alone_ask(void *arg)
{
	struct alone *a = arg;
	struct mpio *v = client_volume(a->client, a->namespace, a->volume);
	struct wish w = { .action = a->yes ? "alone" : "release" };

	if (!v)
		alone_ended(a, err_set(&a->err, ENOENT, "no server offers %s:%s", a->namespace, a->volume));
	else if (!a->yes && !mpio_alone(v))
		alone_ended(a, 0);
	else if (mpio_servers(v) > 1)
		alone_ended(a, err_set(&a->err, EOPNOTSUPP, "%s:%s is offered by several servers, and they know nothing of "
				       "each other's reservations", a->namespace, a->volume));
	else if (ask(v, &w, alone_answered, a))
		alone_ended(a, err_set(&a->err, ENOMEM, "no memory to ask for %s:%s", a->namespace, a->volume));
}

int reserve_alone(struct client *c, const char *namespace, const char *volume, bool alone, struct err *e)
{
	struct alone *a = calloc(1, sizeof *a);
	struct timespec until;
	int r = 0;

	if (!a)
		return err_set(e, ENOMEM, "no memory to ask for %s:%s", namespace, volume);
	a->client = c;
	snprintf(a->namespace, sizeof a->namespace, "%s", namespace);
	snprintf(a->volume, sizeof a->volume, "%s", volume);
	a->yes = alone;
	a->users = 2;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	if (loop_call(c->loop, alone_ask, a) < 0)
		alone_ended(a, err_set(&a->err, ESHUTDOWN, "rsiod is ending"));
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&a->lock);
	while (!a->done && r != ETIMEDOUT)
		r = pthread_cond_clockwait(&a->changed, &a->lock, CLOCK_MONOTONIC, &until);
	r = a->done ? a->result : err_set(e, ETIMEDOUT, "the server of %s:%s did not answer within %d s", namespace, volume,
					  WAIT_SECONDS);
	if (a->done && r)
		*e = a->err;
	pthread_mutex_unlock(&a->lock);
	alone_put(a);
	return r;
}

/*
 * The ioctls.  The kernel waits for them uninterruptibly, so an answer that does not come is
 * not waited for any longer than that.
 */
struct call {
	struct loop_timer timer;
	struct loop *loop;
	fuse_req_t req;			/* NULL: answered */
	unsigned cmd;
};

/* out: what the ioctl gives, NULL: nothing. */
static void answer(struct call *k, int r, const void *out, size_t size)
{
	if (!k->req)
		return;
	loop_disarm(k->loop, &k->timer);
	if (!r || r == -EBADE)
		fuse_reply_ioctl(k->req, r ? CONFLICT : 0, out, r ? 0 : size);
	else
		fuse_reply_err(k->req, -r);
	k->req = NULL;
}

static unsigned type_number(const char *name)
{
	static const char *const names[] = {
		"none", "write-exclusive", "exclusive-access", "write-exclusive-registrants", "exclusive-access-registrants",
		"write-exclusive-all", "exclusive-access-all",
	};

	for (unsigned i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return 0;
}

/* The key of who holds it; where all do, 0, as SCSI has it. */
static uint64_t holders_key(const json_t *registered, unsigned type)
{
	const json_t *g;
	size_t i;

	json_array_foreach(registered, i, g) {
		const char *key = json_string_value(json_object_get(g, "key"));

		if (type < 5 && key && json_is_true(json_object_get(g, "holds")))
			return strtoull(key, NULL, 16);
	}
	return 0;
}

static void answer_reservation(struct call *k, const json_t *state)
{
	const json_t *registered = json_object_get(state, "registered");
	unsigned type = type_number(json_string_value(json_object_get(state, "type")));
	struct pr_read_reservation out = {
		.key = holders_key(registered, type), .type = type,
		.generation = (uint32_t)json_integer_value(json_object_get(state, "generation")),
	};

	answer(k, 0, &out, sizeof out);
}

/* The list's place is the caller's memory, which FUSE does not let us write to. */
static void answer_keys(struct call *k, const json_t *state)
{
	struct pr_read_keys out = {
		.num_keys = (uint32_t)json_array_size(json_object_get(state, "registered")),
		.generation = (uint32_t)json_integer_value(json_object_get(state, "generation")),
	};

	answer(k, 0, &out, sizeof out);
}

static void call_answered(void *arg, int error, const char *text, size_t length)
{
	struct call *k = arg;
	struct err e = { 0 };
	json_t *j = parse(error, text, length, &e);
	const json_t *state = json_object_get(j, "reservation");
	int r = result_of(error, j, &e);

	if (!r && k->cmd == IOC_PR_READ_RESERVATION)
		answer_reservation(k, state);
	else if (!r && k->cmd == IOC_PR_READ_KEYS)
		answer_keys(k, state);
	else
		answer(k, r, NULL, 0);
	json_decref(j);
	free(k);
}

static void too_late(struct loop_timer *t)
{
	answer((struct call *)((char *)t - offsetof(struct call, timer)), -ETIMEDOUT, NULL, 0);
}

/* 1: there is such an ioctl; 0: none; -errno: what it asks for makes no sense. */
static int get_wish(unsigned cmd, const void *in, size_t size, struct wish *w)
{
	const struct pr_registration *g = in;
	const struct pr_reservation *r = in;
	const struct pr_preempt *p = in;
	const struct pr_clear *c = in;
	const struct pr_read_keys *l = in;
	unsigned flags;

	switch (cmd) {
	case IOC_PR_REGISTER:
		if (size < sizeof *g)
			return -EINVAL;
		*w = (struct wish){ "register", g->old_key, g->new_key, 0, g->flags & PR_FL_IGNORE_KEY };
		flags = g->flags & ~PR_FL_IGNORE_KEY;
		break;
	case IOC_PR_RESERVE:
	case IOC_PR_RELEASE:
		if (size < sizeof *r)
			return -EINVAL;
		*w = (struct wish){ cmd == IOC_PR_RESERVE ? "reserve" : "release", r->key, 0, r->type, false };
		flags = r->flags;
		break;
	case IOC_PR_PREEMPT:
	case IOC_PR_PREEMPT_ABORT:
		if (size < sizeof *p)
			return -EINVAL;
		*w = (struct wish){ "preempt", p->old_key, p->new_key, p->type, false };
		flags = p->flags;
		break;
	case IOC_PR_CLEAR:
		if (size < sizeof *c)
			return -EINVAL;
		*w = (struct wish){ "clear", c->key, 0, 0, false };
		flags = c->flags;
		break;
	case IOC_PR_READ_KEYS:
		if (size < sizeof *l)
			return -EINVAL;
		*w = (struct wish){ .action = "read" };
		flags = l->num_keys;	/* how many there are can be had, which not */
		break;
	case IOC_PR_READ_RESERVATION:
		*w = (struct wish){ .action = "read" };
		return 1;
	default:
		return 0;
	}
	return flags ? -EOPNOTSUPP : w->type > 6 ? -EINVAL : 1;
}

bool reserve_ioctl(struct client *c, fuse_req_t req, struct mpio *v, unsigned cmd, const void *in, size_t in_size)
{
	struct wish w;
	int r = get_wish(cmd, in, in_size, &w);
	struct call *k;

	if (!r)
		return false;
	k = r > 0 && v ? calloc(1, sizeof *k) : NULL;
	if (r > 0)
		r = !v ? -EIO : !k ? -ENOMEM : mpio_servers(v) > 1 ? -EOPNOTSUPP : 0;
	if (!r) {
		k->loop = c->loop;
		k->req = req;
		k->cmd = cmd;
		k->timer.fire = too_late;
		loop_arm(k->loop, &k->timer, loop_now(k->loop) + WAIT_SECONDS * UINT64_C(1000000000));
		r = ask(v, &w, call_answered, k);
		if (!r)
			return true;
		loop_disarm(k->loop, &k->timer);
	}
	free(k);
	fuse_reply_err(req, -r);
	return true;
}
