/* attribute.c - see attribute.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "attribute.h"
#include "change.h"
#include "interrupt.h"
#include "log.h"
#include "manage.h"
#include "mpio.h"

#define PREFIX "user.rsio."
#define GOOD_FOR (UINT64_C(1000000000))	/* ns that an answer is used for */
#define ASK_EVERY (UINT64_C(100000000))
#define VALUE_MAX 4096

/* How a value that is set is told to the server. */
enum setting { FIXED, LABEL, CLIENTS, IOPS, NUMBER };

static const struct attribute {
	const char *name;
	const char *object;	/* the member of the server's answer that it is in; NULL: the answer itself */
	bool known;		/* here, without asking */
	enum setting setting;
} attributes[] = {
	{ "uuid", NULL, true, FIXED },
	{ "generation", NULL, true, FIXED },
	{ "server", NULL, true, FIXED },
	{ "state", NULL, true, FIXED },
	{ "pool", NULL, false, FIXED },
	{ "allocated", NULL, false, FIXED },
	{ "created", NULL, false, FIXED },
	{ "label", NULL, false, LABEL },
	{ "clients", NULL, false, CLIENTS },
	{ "open_by", NULL, false, FIXED },
	{ "schedule", NULL, false, FIXED },
	{ "iops", "limits", false, IOPS },
	{ "mbps", "limits", false, NUMBER },
	{ "burst", "limits", false, NUMBER },
};
#define ATTRIBUTES (sizeof attributes / sizeof *attributes)

/* Somebody who waits for a value. */
struct question {
	struct list link;		/* the client's */
	struct client *client;
	struct namespace *ns;
	fuse_req_t req;
	struct manage *manage;
	struct loop_timer timer;
	bool asked;
	const struct attribute *attribute;
	size_t size;			/* of the waiter's buffer */
	char key[CONF_NAME_MAX + CONF_VOLUME_MAX + 2];	/* NAMESPACE:VOLUME */
};

static const struct attribute *find(const char *name)
{
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return NULL;
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (strcmp(attributes[i].name, name + strlen(PREFIX)) == 0)
			return &attributes[i];
	return NULL;
}

/* Values. */

static void reply_value(fuse_req_t req, const char *value, size_t size)
{
	size_t length = strlen(value);

	if (!size)
		fuse_reply_xattr(req, length);
	else if (length > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value, length);
}

static void known_value(const struct attribute *a, const struct mpio *v, char out[VALUE_MAX])
{
	const struct wire_volume *i = mpio_info(v);
	const uint8_t *u = i->uuid;

	if (strcmp(a->name, "uuid") == 0)
		snprintf(out, VALUE_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2],
			 u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	else if (strcmp(a->name, "generation") == 0)
		snprintf(out, VALUE_MAX, "%" PRIu64, i->generation);
	else if (strcmp(a->name, "server") == 0)
		snprintf(out, VALUE_MAX, "%s", mpio_server(v));
	else
		snprintf(out, VALUE_MAX, "%s", mpio_state_name(mpio_state(v)));
}

/* Texts as they are, lists with blanks between, what is not there as nothing. */
static void value_text(const json_t *j, char out[VALUE_MAX])
{
	size_t i, used = 0;
	const json_t *item;
	char *text;

	out[0] = 0;
	if (json_is_string(j)) {
		snprintf(out, VALUE_MAX, "%s", json_string_value(j));
	} else if (json_is_array(j)) {
		json_array_foreach(j, i, item) {
			const char *word = json_string_value(item);

			if (word && used + strlen(word) + 2 < VALUE_MAX)
				used += (size_t)sprintf(out + used, "%s%s", used ? " " : "", word);
		}
	} else if (json_is_real(j)) {
		snprintf(out, VALUE_MAX, "%.9g", json_real_value(j));
	} else if (j && !json_is_null(j)) {
		text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
		snprintf(out, VALUE_MAX, "%s", text ? text : "");
		free(text);
	}
}

static void reply_from(const struct client *c, fuse_req_t req, const struct attribute *a, size_t size)
{
	const json_t *volume = json_object_get(c->attributes, "volume");
	char value[VALUE_MAX];

	value_text(json_object_get(a->object ? json_object_get(volume, a->object) : volume, a->name), value);
	reply_value(req, value, size);
}

/* Questions. */

static void question_free(struct question *q)
{
	if (q->manage)
		manage_forget(q->manage);
	loop_disarm(q->client->loop, &q->timer);
	list_remove(&q->link);
	free(q);
}

static void answered(void *arg, const char *server, json_t *result, const struct err *e)
{
	struct question *q = arg;
	struct client *c = q->client;

	(void)server;
	q->manage = NULL;
	if (result) {
		json_decref(c->attributes);
		c->attributes = json_incref(result);
		snprintf(c->attributes_of, sizeof c->attributes_of, "%s", q->key);
		c->attributes_at = loop_now(c->loop);
		reply_from(c, q->req, q->attribute, q->size);
	} else {
		log_debug("tree", "attributes of %s: %s", q->key, e->text);
		fuse_reply_err(q->req, e->code > 0 ? e->code : EIO);
	}
	question_free(q);
}

static const struct manage_calls calls = { .done = answered };

static void fire(struct loop_timer *t)
{
	struct question *q = container_of(t, struct question, timer);

	if (interrupt_fatal(fuse_req_ctx(q->req)->pid)) {
		fuse_reply_err(q->req, EINTR);
		question_free(q);
	} else {
		loop_arm(q->client->loop, t, loop_now(q->client->loop) + ASK_EVERY);
	}
}

static void interrupted(fuse_req_t req, void *data)
{
	struct question *q = data;

	(void)req;
	if (!q->timer.place)
		loop_arm(q->client->loop, &q->timer, loop_now(q->client->loop));
}

static void key_of(const struct mpio *v, char *out, size_t size)
{
	snprintf(out, size, "%s:%s", mpio_namespace(v), mpio_info(v)->name);
}

static void ask(struct client *c, fuse_req_t req, struct node *node, const struct attribute *a, size_t size)
{
	struct manage_wish wish = { .limit = ATTRIBUTE_LIMIT };
	struct question *q = calloc(1, sizeof *q);
	struct err e = { 0 };

	if (!q) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	q->client = c;
	q->ns = node->ns;
	q->req = req;
	q->timer.fire = fire;
	q->attribute = a;
	q->size = size;
	key_of(node->volume, q->key, sizeof q->key);
	list_append(&c->questions, &q->link);
	q->manage = manage_ask(node->ns, &wish, json_pack("{s:s, s:s}", "do", "volume", "name", mpio_info(node->volume)->name),
			       &calls, q, &e);
	if (q->manage) {
		fuse_req_interrupt_func(req, interrupted, q);
		return;
	}
	fuse_reply_err(req, e.code > 0 ? e.code : EIO);
	question_free(q);
}

void attribute_forget(struct client *c)
{
	json_decref(c->attributes);
	c->attributes = NULL;
}

void attribute_end(struct client *c, const struct namespace *ns)
{
	struct list *pos, *keep;

	list_each_safe(pos, keep, &c->questions) {
		struct question *q = container_of(pos, struct question, link);

		if (q->ns != ns)
			continue;
		fuse_reply_err(q->req, ESHUTDOWN);
		question_free(q);
	}
}

void attribute_get(struct client *c, fuse_req_t req, struct node *node, const char *name, size_t size)
{
	const struct attribute *a = node->kind == NODE_VOLUME && node->volume ? find(name) : NULL;
	char value[VALUE_MAX], key[sizeof c->attributes_of];

	if (!a) {
		fuse_reply_err(req, strncmp(name, "user.", 5) == 0 ? ENODATA : EOPNOTSUPP);
		return;
	}
	key_of(node->volume, key, sizeof key);
	if (a->known) {
		known_value(a, node->volume, value);
		reply_value(req, value, size);
	} else if (c->attributes && strcmp(key, c->attributes_of) == 0 && loop_now(c->loop) < c->attributes_at + GOOD_FOR) {
		reply_from(c, req, a, size);
	} else {
		ask(c, req, node, a, size);
	}
}

void attribute_list(struct client *c, fuse_req_t req, const struct node *node, size_t size)
{
	char names[ATTRIBUTES * 40];
	size_t used = 0;

	(void)c;
	for (size_t i = 0; node->kind == NODE_VOLUME && node->volume && i < ATTRIBUTES; i++)
		used += (size_t)sprintf(names + used, PREFIX "%s", attributes[i].name) + 1;
	if (!size)
		fuse_reply_xattr(req, used);
	else if (used > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, names, used);
}

/* Setting. */

static json_t *list_of(char *text)
{
	json_t *list = json_array();
	char *word;

	while ((word = strsep(&text, " \t,\n")))
		if (*word)
			json_array_append_new(list, json_string(word));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return json_null();
}

/* NULL: the value is none. */
static json_t *number_of(const char *text, bool whole)
{
	char *end;
	double d = strtod(*text ? text : "0", &end);

	if (*end || !(d >= 0 && d < 1e15) || (whole && d != (double)(json_int_t)d))
		return NULL;
	return whole ? json_integer((json_int_t)d) : json_real(d);
}

static json_t *work_of(const struct attribute *a, const char *volume, char *value)
{
	json_t *number;

	switch (a->setting) {
	case LABEL:
		return json_pack("{s:s, s:s, s:s}", "op", "label", "volume", volume, "text", value);
	case CLIENTS:
		return json_pack("{s:s, s:s, s:o}", "op", "access", "volume", volume, "clients", list_of(value));
	case IOPS:
	case NUMBER:
		number = number_of(value, a->setting == IOPS);
		return number ? json_pack("{s:s, s:s, s:o}", "op", "limit", "volume", volume, a->name, number) : NULL;
	default:
		return NULL;
	}
}

static void set(struct client *c, fuse_req_t req, struct node *node, const char *name, char *value)
{
	const struct attribute *a = node->kind == NODE_VOLUME && node->volume ? find(name) : NULL;
	json_t *work;

	if (!a || a->setting == FIXED || node->snapshot) {
		change_refuse(c, req, a ? EPERM : EOPNOTSUPP, "%.60s of %s cannot be set: " PREFIX "label, clients, iops, mbps "
			      "and burst of a volume can", name, node->name);
		return;
	}
	work = work_of(a, node->name, value);
	if (!work) {
		change_refuse(c, req, EINVAL, "%s of %s: '%.60s' is not a value for it", name, node->name, value);
		return;
	}
	change_other(c, req, node, "setfattr", work);
}

void attribute_set(struct client *c, fuse_req_t req, struct node *node, const char *name, const char *value,
		   size_t size, int flags)
{
	char text[VALUE_MAX];

	if (size >= sizeof text || memchr(value, 0, size)) {
		fuse_reply_err(req, size >= sizeof text ? E2BIG : EINVAL);
		return;
	}
	if (flags & XATTR_CREATE && find(name)) {
		fuse_reply_err(req, EEXIST);
		return;
	}
	memcpy(text, value, size);
	text[size] = 0;
	set(c, req, node, name, text);
}

void attribute_remove(struct client *c, fuse_req_t req, struct node *node, const char *name)
{
	char nothing[1] = "";

	if (find(name))
		set(c, req, node, name, nothing);
	else
		fuse_reply_err(req, ENODATA);
}
