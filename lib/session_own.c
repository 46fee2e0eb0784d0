#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "session_impl.h"

#define LIST_PAGE 1000u
#define VOLUMES_MAX 65536u	/* of a server: what a list may make us allocate has an end */

/* A command of the session's own, with the payload it points to. */
struct own {
	struct command command;
	struct session_fence *fence;	/* FENCE */
	struct mpio *volume;		/* OPEN; told to the owner */
	const struct session *from;	/* TAKEOVER, from that server */
	uint8_t from_id[WIRE_SESSION_SIZE];
	session_control_fn answered;	/* CONTROL; NULL: nobody waits any more */
	void *arg;
	struct list asked;		/* CONTROL: on the session's list */
	uint8_t body[];
};

static struct own *own_new(uint8_t type, size_t body)
{
	struct own *o = calloc(1, sizeof *o + body);

	if (!o)
		return NULL;
	o->command.type = type;
	o->command.data = o->body;
	list_init(&o->command.link);
	list_init(&o->asked);
	return o;
}

static void own_free(struct own *o)
{
	list_remove(&o->asked);
	free(o);
}

static struct own *own_of(struct command *c)
{
	return container_of(c, struct own, command);
}

struct path_tag path_log_tag(const struct path *p)
{
	struct path_tag t;

	snprintf(t.text, sizeof t.text, "%u-%s-tx0", p->connection,
		 p->setup.interface ? p->setup.interface->name : "any");
	return t;
}

int session_send_fence(struct session *s, struct session_fence *f)
{
	struct own *o = own_new(WIRE_FENCE, WIRE_FENCE_MAX);
	struct wire_fence *w = calloc(1, sizeof *w);
	struct list *l;

	if (!o || !w) {
		free(o);
		free(w);
		return -ENOMEM;
	}
	w->connection = f->connection;
	list_each(l, &f->commands)
		if (w->count < WIRE_IN_FLIGHT_MAX)
			w->cookies[w->count++] = container_of(l, struct command, link)->cookie;
	o->fence = f;
	o->command.length = (uint32_t)wire_put_fence(o->body, w, false);
	free(w);
	/* In front of everything: writes may depend on it. */
	o->command.state = COMMAND_WAITING;
	list_prepend(&s->waiting, &o->command.link);
	return 0;
}

static void send_list(struct session *s)
{
	struct own *o = own_new(WIRE_LIST, 0);

	if (!o)
		return;
	o->command.offset = s->listed;
	o->command.count = LIST_PAGE;
	s->listing = &o->command;
	session_submit(s, &o->command);
}

void session_list(struct session *s)
{
	if (s->listing) {
		s->list_again = true;
		return;
	}
	s->list_again = s->list_old = false;
	s->listed = 0;
	s->ops->list_began(s->owner, s);
	send_list(s);
}

/* What a page of the list says beside the volumes. */
struct list_page {
	uint32_t total;
	char portals[WIRE_PORTALS_MAX][WIRE_PORTAL_MAX];
	size_t portal_count;
};

static int take_portal(struct list_page *page, const struct wire_record *r)
{
	if (page->portal_count == WIRE_PORTALS_MAX)
		return -EPROTO;
	return wire_get_portal(r, page->portals[page->portal_count++]);
}

/* The reply's volumes are offered; how many, or -EPROTO with why. */
static int take_list(struct session *s, const uint8_t *payload, uint32_t length, struct list_page *page, const char **why)
{
	struct wire_reader reader;
	struct wire_record record;
	struct wire_volume v;
	int more, count = 0;

	wire_reader_init(&reader, payload, length);
	while ((more = wire_next(&reader, &record)) == 1) {
		if (record.tag == WIRE_TAG_TOTAL && record.length == 4) {
			memcpy(&page->total, record.data, 4);
			page->total = le32toh(page->total);
		} else if (record.tag == WIRE_TAG_PORTAL) {
			*why = "too many portals, or one that cannot be";
			if (take_portal(page, &record) < 0)
				return -EPROTO;
		} else if (record.tag == WIRE_TAG_VOLUME) {
			*why = "a volume that cannot be";
			if (wire_get_volume(&record, &v) < 0)
				return -EPROTO;
			s->ops->offered(s->owner, s, &v);
			count++;
		} else if (record.mandatory) {
			*why = "a mandatory record that is not known";
			return -EPROTO;
		}
	}
	*why = "a torn record";
	return more < 0 ? -EPROTO : count;
}

static void list_answered(struct session *s, struct path *p, const struct wire_reply *r, const uint8_t *payload)
{
	struct list_page page = { .total = 0 };
	const char *why;
	int count;

	s->listing = NULL;
	if (r->status) {
		log_warning(s->name, "the list of volumes: %s", wire_status_text(r->status));
		return;
	}
	/* The event went over another path and was faster. */
	if (s->list_old) {
		session_list(s);
		return;
	}
	count = take_list(s, payload, r->length, &page, &why);
	if (count >= 0 && page.total > VOLUMES_MAX) {
		count = -EPROTO;
		why = "more volumes than a server can have";
	}
	if (count < 0) {
		path_lost(p, "protocol error in the list of volumes: %s", why);
		session_list(s);	/* over another path, or when one is back */
		return;
	}
	if (page.portal_count)
		s->ops->portals(s->owner, s, (const char (*)[WIRE_PORTAL_MAX])page.portals, page.portal_count);
	/* Between two pages a volume came or went: others have moved over the page's edge. */
	if (s->listed && page.total != s->list_total)
		s->list_again = true;
	s->list_total = page.total;
	s->listed += (uint32_t)count;
	if (s->list_again)
		session_list(s);
	else if (count && s->listed < page.total)
		send_list(s);
	else
		s->ops->list_ended(s->owner, s);
}

int session_open(struct session *s, struct mpio *v, uint32_t handle, const struct wire_open *w, uint8_t flags)
{
	struct own *o = own_new(WIRE_OPEN, WIRE_LOGIN_MAX);

	if (!o)
		return -ENOMEM;
	o->volume = v;
	o->command.handle = handle;
	o->command.flags = flags;
	o->command.length = (uint32_t)wire_put_open(o->body, w);
	session_submit(s, &o->command);
	return 0;
}

void session_close(struct session *s, uint32_t handle)
{
	struct own *o = own_new(WIRE_CLOSE, 0);

	if (!o)
		return;		/* the handle stays open until the session ends: a small leak at the server */
	o->command.handle = handle;
	session_submit(s, &o->command);
	session_free_handle(s, handle);
}

int session_control(struct session *s, const char *json, session_control_fn answered, void *arg)
{
	size_t length = strlen(json);
	struct own *o = own_new(WIRE_CONTROL, length);

	if (!o)
		return -ENOMEM;
	memcpy(o->body, json, length);
	o->command.length = (uint32_t)length;
	o->answered = answered;
	o->arg = arg;
	list_append(&s->asked, &o->asked);
	session_submit(s, &o->command);
	return 0;
}

void session_control_forget(struct session *s, void *arg)
{
	struct list *l, *keep;

	list_each_safe(l, keep, &s->asked) {
		struct own *o = container_of(l, struct own, asked);

		if (o->arg != arg)
			continue;
		o->answered = NULL;
		if (session_withdraw(s, &o->command))
			own_free(o);
	}
}

int session_takeover(struct session *s, struct mpio *v, uint32_t handle, const struct session *from)
{
	struct wire_takeover w = { .server_id = from->server_id };
	struct own *o = own_new(WIRE_TAKEOVER, WIRE_TAKEOVER_MAX);

	if (!o)
		return -ENOMEM;
	strcpy(w.server, from->name);
	o->volume = v;
	o->from = from;
	memcpy(o->from_id, from->id, sizeof o->from_id);
	o->command.handle = handle;
	o->command.length = (uint32_t)wire_put_takeover(o->body, &w);
	session_submit(s, &o->command);
	return 0;
}

static void takeover_answered(struct session *s, const struct own *o, const struct wire_reply *r, const uint8_t *payload)
{
	bool same = !memcmp(o->from_id, o->from->id, sizeof o->from_id);
	char text[WIRE_TEXT_MAX + 1] = "";

	if (r->status)
		wire_get_text_body(payload, r->length, text);
	/* Of a session that has been made anew since it was asked it says nothing. */
	s->ops->took_over(s->owner, s, o->volume, o->from,
			  !same && !r->status ? -EAGAIN : -wire_status_errno(r->status), text);
}

static bool handle_taken(const struct session *s, uint32_t handle)
{
	return s->handles[handle / 64] & UINT64_C(1) << handle % 64;
}

/* The one that was not used for the longest: a CLOSE or OPEN that a dead connection still
 * holds back must not meet another volume. */
uint32_t session_new_handle(struct session *s)
{
	for (uint32_t i = 0; i < WIRE_HANDLE_MAX; i++) {
		s->next_handle = s->next_handle % WIRE_HANDLE_MAX + 1;
		if (!handle_taken(s, s->next_handle))
			break;
	}
	s->handles[s->next_handle / 64] |= UINT64_C(1) << s->next_handle % 64;
	return s->next_handle;
}

void session_free_handle(struct session *s, uint32_t handle)
{
	s->handles[handle / 64] &= ~(UINT64_C(1) << handle % 64);
}

void session_own_answered(struct session *s, struct path *p, struct command *c, const struct wire_reply *r,
			  const uint8_t *payload)
{
	struct own *o = own_of(c);

	switch (c->type) {
	case WIRE_LIST:
		list_answered(s, p, r, payload);
		break;
	case WIRE_OPEN:
		s->ops->opened(s->owner, s, o->volume, -wire_status_errno(r->status));
		break;
	case WIRE_FENCE:
		session_fence_answered(s, p, o->fence, r, payload);
		break;
	case WIRE_TAKEOVER:
		takeover_answered(s, o, r, payload);
		break;
	case WIRE_CONTROL:
		if (o->answered)
			o->answered(o->arg, -wire_status_errno(r->status), (const char *)payload, r->length);
		break;
	default:	/* CLOSE: nothing to learn */
		break;
	}
	own_free(o);
}

void session_own_lost(struct session *s, struct command *c, struct list *again)
{
	struct own *o = own_of(c);

	if (c->type == WIRE_FENCE)
		o->fence->sent = false;
	if (c->type == WIRE_FENCE || (c->type == WIRE_CONTROL && !o->answered)) {
		own_free(o);
		return;
	}
	(void)s;
	c->state = COMMAND_WAITING;
	list_append(again, &c->link);
}

/* Of a session that has ended: OPEN is asked again by whoever needs it. */
void session_drop_own(struct session *s, struct command *c)
{
	struct own *o = own_of(c);

	if (c == s->listing)
		s->listing = NULL;
	list_remove(&c->link);
	if (c->type == WIRE_CONTROL && o->answered)
		o->answered(o->arg, -EIO, NULL, 0);
	own_free(o);
}

void session_event(struct session *s, struct path *p, const uint8_t *payload, uint32_t length)
{
	struct wire_event_body e;
	const char *why = "";

	if (wire_get_event(payload, length, &e, &why) < 0) {
		path_lost(p, "protocol error in an event: %s", why);
		return;
	}
	if (s->listing && (e.has_volume || *e.portal))
		s->list_old = true;
	switch (e.kind) {
	case WIRE_EVENT_VOLUME_ADDED:
	case WIRE_EVENT_VOLUME_RESIZED:
	case WIRE_EVENT_VOLUME_REPLACED:
		if (e.has_volume)
			s->ops->offered(s->owner, s, &e.volume);
		break;
	case WIRE_EVENT_VOLUME_REMOVED:
		if (e.has_volume)
			s->ops->withdrawn(s->owner, s, e.volume.name);
		break;
	case WIRE_EVENT_PORTAL_ADDED:
	case WIRE_EVENT_PORTAL_REMOVED:
		s->ops->portal(s->owner, s, e.portal, e.kind == WIRE_EVENT_PORTAL_ADDED);
		break;
	case WIRE_EVENT_LEAVING:
		log_info(s->name, "the server is shutting down");
		break;
	default:	/* of a later version: nothing we need to know */
		break;
	}
}
