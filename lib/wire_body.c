/*
 * wire_body.c - the payloads that consist of records.
 *
 * Each body is a table of fields: which record goes where in the struct, and
 * what it has to look like.  One writer and one reader walk over the tables, so
 * all bodies treat unknown, repeated, short and long records alike.
 */
#include "wire.h"
#include "wire_bytes.h"

#define LEAST_LIMIT 512

enum kind {
	NAME,		/* char[WIRE_NAME_MAX + 1], by the rule for names; absent when "" */
	VOLUME_NAME,	/* char[WIRE_VOLUME_NAME_MAX + 1], likewise; perhaps of a snapshot */
	LABEL,		/* char[size], any printable ASCII; absent when "" */
	BYTES,		/* size of them */
	U16, U32, U64,
	FEATURES, LIMITS, VERSIONS,	/* their structs; VERSIONS: two u16 */
	VOLUME,		/* struct wire_volume */
};

struct field {
	uint16_t tag;
	uint8_t kind;
	uint16_t at, size;	/* in the body's struct */
	bool needed;		/* absent: the body is refused */
};
#define FIELD(s, member) offsetof(struct s, member), sizeof(((struct s *)0)->member)

struct body {
	const char *torn, *missing;	/* what to say of it */
	const struct field *fields;
	size_t count;
};
#define BODY(n, f) { "a torn " n, "a " n " that lacks a record", f, sizeof(f) / sizeof((f)[0]) }

/*
 * Limits, versions.
 */
static void put_limits(struct wire_writer *w, const struct wire_limits *l)
{
	uint32_t b[3] = { htole32(l->data), htole32(l->in_flight), htole32(l->session_bytes) };

	wire_put(w, WIRE_TAG_LIMITS, b, sizeof b);
}

static int get_limits(const struct wire_record *r, struct wire_limits *l)
{
	if (r->length != 12)
		return -EPROTO;
	l->data = get32(r->data);
	l->in_flight = get32(r->data + 4);
	l->session_bytes = get32(r->data + 8);
	if ((l->data && l->data < LEAST_LIMIT) ||
	    (l->session_bytes && l->session_bytes < LEAST_LIMIT))
		return -EPROTO;
	return 0;
}

static uint32_t least(uint32_t mine, uint32_t theirs, uint32_t max)
{
	if (mine && mine < max)
		max = mine;
	return theirs && theirs < max ? theirs : max;
}

struct wire_limits wire_merge_limits(struct wire_limits mine, struct wire_limits theirs)
{
	struct wire_limits l = {
		.data = least(mine.data, theirs.data, WIRE_DATA_MAX),
		.in_flight = least(mine.in_flight, theirs.in_flight, WIRE_IN_FLIGHT_MAX),
		.session_bytes = least(mine.session_bytes, theirs.session_bytes,
				       WIRE_SESSION_BYTES_MAX),
	};

	/* One command must always be possible. */
	if (l.data > l.session_bytes)
		l.data = l.session_bytes;
	return l;
}

static void put_versions(struct wire_writer *w, const uint16_t v[2])
{
	uint16_t b[2] = { htole16(v[0] ? v[0] : WIRE_VERSION), htole16(v[1] ? v[1] : WIRE_VERSION) };

	wire_put(w, WIRE_TAG_VERSIONS, b, sizeof b);
}

static int get_versions(const struct wire_record *r, uint16_t v[2])
{
	if (r->length != 4)
		return -EPROTO;
	v[0] = get16(r->data);
	v[1] = get16(r->data + 2);
	return v[0] && v[0] <= v[1] ? 0 : -EPROTO;
}

/*
 * The tables' writer and reader.
 */
static int get_label(const struct wire_record *r, char *out, size_t size)
{
	if (r->length >= size)
		return -EPROTO;
	for (size_t i = 0; i < r->length; i++)
		if (r->data[i] < 0x20 || r->data[i] > 0x7e)
			return -EPROTO;
	memcpy(out, r->data, r->length);
	return 0;
}

static int get_bytes(const struct wire_record *r, void *out, size_t size)
{
	if (r->length != size)
		return -EPROTO;
	memcpy(out, r->data, size);
	return 0;
}

static int get_field(const struct field *f, const struct wire_record *r, void *to)
{
	bool number = f->kind == U16 || f->kind == U32 || f->kind == U64;

	if (number && r->length != f->size)
		return -EPROTO;
	switch ((enum kind)f->kind) {
	case NAME:
		return wire_name_ok((const char *)r->data, r->length) ? get_label(r, to, f->size) :
									-EPROTO;
	case VOLUME_NAME:
		return wire_volume_name_ok((const char *)r->data, r->length) ? get_label(r, to, f->size) :
									       -EPROTO;
	case LABEL:
		return get_label(r, to, f->size);
	case BYTES:
		return get_bytes(r, to, f->size);
	case U16:
		*(uint16_t *)to = get16(r->data);
		return 0;
	case U32:
		*(uint32_t *)to = get32(r->data);
		return 0;
	case U64:
		*(uint64_t *)to = get64(r->data);
		return 0;
	case FEATURES:
		return wire_get_feature(r, to);
	case LIMITS:
		return get_limits(r, to);
	case VERSIONS:
		return get_versions(r, to);
	case VOLUME:
		return wire_get_volume(r, to);
	}
	return -EPROTO;
}

static void put_field(struct wire_writer *w, const struct field *f, const void *from)
{
	switch ((enum kind)f->kind) {
	case NAME:
	case VOLUME_NAME:
	case LABEL:
		if (*(const char *)from)
			wire_put(w, f->tag, from, strnlen(from, f->size - 1u));
		return;
	case BYTES:
		wire_put(w, f->tag, from, f->size);
		return;
	case U16:
		wire_put_u16(w, f->tag, *(const uint16_t *)from);
		return;
	case U32:
		wire_put_u32(w, f->tag, *(const uint32_t *)from);
		return;
	case U64:
		wire_put_u64(w, f->tag, *(const uint64_t *)from);
		return;
	case FEATURES:
		wire_put_features(w, from);
		return;
	case LIMITS:
		put_limits(w, from);
		return;
	case VERSIONS:
		put_versions(w, from);
		return;
	case VOLUME:
		wire_put_volume(w, from);
		return;
	}
}

static void put_body(struct wire_writer *w, const struct body *b, const void *from)
{
	for (size_t i = 0; i < b->count; i++)
		put_field(w, &b->fields[i], (const uint8_t *)from + b->fields[i].at);
}

/* The field's number, or -1. */
static int find_field(const struct body *b, uint16_t tag)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->fields[i].tag == tag)
			return (int)i;
	return -1;
}

static int get_record(const struct body *b, const struct wire_record *r, void *to, uint32_t *seen,
		      const char **why)
{
	int i = find_field(b, r->tag);
	const struct field *f = &b->fields[i < 0 ? 0 : i];

	if (i < 0)
		return r->mandatory ? refuse(why, "a mandatory record that is not known") : 0;
	if (*seen & 1u << i && f->kind != FEATURES)
		return refuse(why, "a record that comes twice");
	*seen |= 1u << i;
	if (get_field(f, r, (uint8_t *)to + f->at))
		return refuse(why, "a record with a value that is not allowed");
	return 0;
}

/* Fills *to, which the caller zeroed; bit i of *seen: field i was there.  unknown, where not NULL,
 * takes a mandatory record's tag in place of a refusal. */
static int get_body(const struct body *b, const uint8_t *buf, size_t length, void *to,
		    uint32_t *seen, uint16_t *unknown, const char **why)
{
	struct wire_reader reader;
	struct wire_record r;
	int more;

	*seen = 0;
	wire_reader_init(&reader, buf, length);
	while ((more = wire_next(&reader, &r)) > 0) {
		if (unknown && r.mandatory && find_field(b, r.tag) < 0) {
			if (!*unknown)
				*unknown = r.tag;
			continue;
		}
		if (get_record(b, &r, to, seen, why))
			return -EPROTO;
	}
	if (more < 0)
		return refuse(why, b->torn);
	for (size_t i = 0; i < b->count; i++)
		if (b->fields[i].needed && !(*seen & 1u << i))
			return refuse(why, b->missing);
	return 0;
}

static size_t put_all(uint8_t *buf, size_t size, const struct body *b, const void *from)
{
	struct wire_writer w;

	wire_writer_init(&w, buf, size);
	put_body(&w, b, from);
	return wire_writer_used(&w, buf);
}

/*
 * Login.
 */
static const struct field hello_fields[] = {
	{ WIRE_TAG_VERSIONS, VERSIONS, offsetof(struct wire_hello, version_least), 4, false },
	{ WIRE_TAG_FEATURE, FEATURES, FIELD(wire_hello, features), false },
	{ WIRE_TAG_LIMITS, LIMITS, FIELD(wire_hello, limits), false },
	{ WIRE_TAG_NAMESPACE, NAME, FIELD(wire_hello, namespace), false },
	{ WIRE_TAG_NAMESPACE_ID, U16, FIELD(wire_hello, namespace_id), false },
	{ WIRE_TAG_NODE, NAME, FIELD(wire_hello, node), false },
	{ WIRE_TAG_MACHINE, BYTES, FIELD(wire_hello, machine), false },
	{ WIRE_TAG_BOOT, BYTES, FIELD(wire_hello, boot), false },
	{ WIRE_TAG_RUN, BYTES, FIELD(wire_hello, run), false },
	{ WIRE_TAG_LIFE, BYTES, FIELD(wire_hello, life), false },
	{ WIRE_TAG_NONCE, BYTES, FIELD(wire_hello, nonce), true },
	{ WIRE_TAG_LEASE, U32, FIELD(wire_hello, lease), false },
};
static const struct body hello_body = BODY("hello", hello_fields);

static const struct field welcome_fields[] = {
	{ WIRE_TAG_FEATURE, FEATURES, FIELD(wire_welcome, features), false },
	{ WIRE_TAG_LIMITS, LIMITS, FIELD(wire_welcome, limits), false },
	{ WIRE_TAG_SERVER, NAME, FIELD(wire_welcome, server), false },
	{ WIRE_TAG_SERVER_ID, U16, FIELD(wire_welcome, server_id), false },
	{ WIRE_TAG_MACHINE, BYTES, FIELD(wire_welcome, machine), false },
	{ WIRE_TAG_BOOT, BYTES, FIELD(wire_welcome, boot), false },
	{ WIRE_TAG_LIFE, BYTES, FIELD(wire_welcome, life), false },
	{ WIRE_TAG_NONCE, BYTES, FIELD(wire_welcome, nonce), true },
	{ WIRE_TAG_VERSION, LABEL, FIELD(wire_welcome, version), false },
};
static const struct body welcome_body = BODY("hello's reply", welcome_fields);

static const struct field auth_fields[] = {
	{ WIRE_TAG_SESSION, BYTES, FIELD(wire_auth, session), false },
	{ WIRE_TAG_PROOF, BYTES, FIELD(wire_auth, proof), true },
};
static const struct body auth_body = BODY("auth", auth_fields);

static const struct field granted_fields[] = {
	{ WIRE_TAG_SESSION, BYTES, FIELD(wire_granted, session), true },
	{ WIRE_TAG_CONNECTION, U32, FIELD(wire_granted, connection), true },
	{ WIRE_TAG_PROOF, BYTES, FIELD(wire_granted, proof), true },
};
static const struct body granted_body = BODY("auth's reply", granted_fields);

size_t wire_put_hello(uint8_t *buf, const struct wire_hello *h)
{
	struct body b = hello_body;

	if (!h->lease)		/* the last field */
		b.count--;
	return put_all(buf, WIRE_LOGIN_MAX, &b, h);
}

int wire_get_hello(const uint8_t *buf, size_t length, struct wire_hello *h, const char **why)
{
	uint32_t seen;

	memset(h, 0, sizeof *h);
	h->version_least = h->version_most = WIRE_VERSION;
	return get_body(&hello_body, buf, length, h, &seen, &h->unknown_tag, why);
}

size_t wire_put_welcome(uint8_t *buf, const struct wire_welcome *h)
{
	return put_all(buf, WIRE_LOGIN_MAX, &welcome_body, h);
}

int wire_get_welcome(const uint8_t *buf, size_t length, struct wire_welcome *h, const char **why)
{
	uint32_t seen;

	memset(h, 0, sizeof *h);
	return get_body(&welcome_body, buf, length, h, &seen, NULL, why);
}

size_t wire_put_auth(uint8_t *buf, const struct wire_auth *a)
{
	return put_all(buf, WIRE_LOGIN_MAX, &auth_body, a);
}

int wire_get_auth(const uint8_t *buf, size_t length, struct wire_auth *a, const char **why)
{
	uint32_t seen;

	memset(a, 0, sizeof *a);
	return get_body(&auth_body, buf, length, a, &seen, NULL, why);
}

size_t wire_put_granted(uint8_t *buf, const struct wire_granted *g)
{
	return put_all(buf, WIRE_LOGIN_MAX, &granted_body, g);
}

int wire_get_granted(const uint8_t *buf, size_t length, struct wire_granted *g, const char **why)
{
	uint32_t seen;

	memset(g, 0, sizeof *g);
	return get_body(&granted_body, buf, length, g, &seen, NULL, why);
}

/*
 * A refusal's sentence.
 */
size_t wire_put_text_body(uint8_t *buf, size_t size, const char *text)
{
	size_t length = strnlen(text, WIRE_TEXT_MAX + 1);
	struct wire_writer w;

	if (length > WIRE_TEXT_MAX)	/* cut, but not inside of a UTF-8 character */
		for (length = WIRE_TEXT_MAX; length && (text[length] & 0xc0) == 0x80; length--)
			;
	wire_writer_init(&w, buf, size);
	wire_put(&w, WIRE_TAG_TEXT, text, length);
	return wire_writer_used(&w, buf);
}

void wire_get_text_body(const uint8_t *buf, size_t length, char text[WIRE_TEXT_MAX + 1])
{
	struct wire_reader reader;
	struct wire_record r;

	text[0] = '\0';
	wire_reader_init(&reader, buf, length);
	while (wire_next(&reader, &r) > 0) {
		size_t n = r.length < WIRE_TEXT_MAX ? r.length : WIRE_TEXT_MAX;

		if (r.tag != WIRE_TAG_TEXT)
			continue;
		memcpy(text, r.data, n);
		text[n] = '\0';
		err_clean(text);	/* it came from the network and goes to a terminal */
		return;
	}
}

/*
 * Open.
 */
static const struct field open_fields[] = {
	{ WIRE_TAG_NAME, VOLUME_NAME, FIELD(wire_open, name), true },
	{ WIRE_TAG_UUID, BYTES, FIELD(wire_open, uuid), false },
	{ WIRE_TAG_GENERATION, U64, FIELD(wire_open, generation), false },
};
static const struct body open_body = BODY("open", open_fields);
#define OPEN_IDENTITY 6u	/* bits of UUID and GENERATION */

size_t wire_put_open(uint8_t *buf, const struct wire_open *o)
{
	struct body b = open_body;

	if (!o->has_identity)
		b.count = 1;
	return put_all(buf, WIRE_OPEN_MAX, &b, o);
}

int wire_get_open(const uint8_t *buf, size_t length, struct wire_open *o, const char **why)
{
	uint32_t seen;

	memset(o, 0, sizeof *o);
	if (get_body(&open_body, buf, length, o, &seen, NULL, why))
		return -EPROTO;
	if (seen & OPEN_IDENTITY && (seen & OPEN_IDENTITY) != OPEN_IDENTITY)
		return refuse(why, "an open with half an identity");
	o->has_identity = (seen & OPEN_IDENTITY) != 0;
	return 0;
}

/*
 * Takeover.
 */
static const struct field takeover_fields[] = {
	{ WIRE_TAG_SERVER, NAME, FIELD(wire_takeover, server), true },
	{ WIRE_TAG_SERVER_ID, U16, FIELD(wire_takeover, server_id), true },
};
static const struct body takeover_body = BODY("takeover", takeover_fields);

size_t wire_put_takeover(uint8_t *buf, const struct wire_takeover *t)
{
	return put_all(buf, WIRE_TAKEOVER_MAX, &takeover_body, t);
}

int wire_get_takeover(const uint8_t *buf, size_t length, struct wire_takeover *t, const char **why)
{
	uint32_t seen;

	memset(t, 0, sizeof *t);
	return get_body(&takeover_body, buf, length, t, &seen, NULL, why);
}

/*
 * Fence.
 */
size_t wire_put_fence(uint8_t *buf, const struct wire_fence *f, bool reply)
{
	size_t count = f->count < WIRE_IN_FLIGHT_MAX ? f->count : WIRE_IN_FLIGHT_MAX;
	uint8_t b[8 * WIRE_IN_FLIGHT_MAX];
	struct wire_writer w;

	wire_writer_init(&w, buf, WIRE_FENCE_MAX);
	wire_put_u32(&w, WIRE_TAG_CONNECTION, f->connection);
	for (size_t i = 0; i < count; i++)
		put64(b + 8 * i, f->cookies[i]);
	if (count)
		wire_put(&w, WIRE_TAG_COOKIES, b, 8 * count);
	for (size_t i = 0; i < count; i++)
		put16(b + 2 * i, f->statuses[i]);
	if (count && reply)
		wire_put(&w, WIRE_TAG_STATUSES, b, 2 * count);
	return wire_writer_used(&w, buf);
}

/* pending: cookies at the end of f that have no status yet. */
static int get_fence_record(const struct wire_record *r, struct wire_fence *f, bool reply,
			    size_t *pending, const char **why)
{
	size_t n;

	if (r->tag == WIRE_TAG_COOKIES) {
		n = r->length / 8u;
		if (r->length % 8 || *pending || n > WIRE_IN_FLIGHT_MAX - f->count)
			return refuse(why, "a fence with torn or too many cookies");
		for (size_t i = 0; i < n; i++)
			f->cookies[f->count + i] = get64(r->data + 8 * i);
		f->count += n;
		*pending = reply ? n : 0;
		return 0;
	}
	if (!reply || r->length != 2 * *pending)
		return refuse(why, "a fence whose statuses do not match its cookies");
	for (size_t i = 0; i < *pending; i++)
		f->statuses[f->count - *pending + i] = get16(r->data + 2 * i);
	*pending = 0;
	return 0;
}

static const struct field fence_fields[] = {
	{ WIRE_TAG_CONNECTION, U32, FIELD(wire_fence, connection), true },
};
static const struct body fence_body = BODY("fence", fence_fields);

int wire_get_fence(const uint8_t *buf, size_t length, struct wire_fence *f, bool reply,
		   const char **why)
{
	struct wire_reader reader;
	struct wire_record r;
	size_t pending = 0;
	uint32_t seen = 0;
	int more, bad;

	f->connection = 0;
	f->count = 0;
	memset(f->statuses, 0, sizeof f->statuses);
	wire_reader_init(&reader, buf, length);
	while ((more = wire_next(&reader, &r)) > 0) {
		if (r.tag == WIRE_TAG_COOKIES || r.tag == WIRE_TAG_STATUSES)
			bad = get_fence_record(&r, f, reply, &pending, why);
		else
			bad = get_record(&fence_body, &r, f, &seen, why);
		if (bad)
			return bad;
	}
	if (more < 0)
		return refuse(why, fence_body.torn);
	if (!seen)
		return refuse(why, fence_body.missing);
	return pending ? refuse(why, "a fence whose statuses do not match its cookies") : 0;
}

int wire_get_portal(const struct wire_record *r, char out[WIRE_PORTAL_MAX])
{
	memset(out, 0, WIRE_PORTAL_MAX);
	return r->length ? get_label(r, out, WIRE_PORTAL_MAX) : -EPROTO;
}

/*
 * Events.
 */
static const struct field event_fields[] = {
	{ WIRE_TAG_EVENT_KIND, U16, FIELD(wire_event_body, kind), true },
	{ WIRE_TAG_PORTAL, LABEL, FIELD(wire_event_body, portal), false },
	{ WIRE_TAG_VOLUME, VOLUME, FIELD(wire_event_body, volume), false },
};
static const struct body event_body = BODY("event", event_fields);
#define EVENT_VOLUME 4u		/* VOLUME's bit; the last field, so that put can leave it out */

size_t wire_put_event(uint8_t *buf, size_t size, const struct wire_event_body *e)
{
	struct body b = event_body;

	if (!e->has_volume)
		b.count--;
	return put_all(buf, size, &b, e);
}

int wire_get_event(const uint8_t *buf, size_t length, struct wire_event_body *e, const char **why)
{
	uint32_t seen;

	memset(e, 0, sizeof *e);
	if (get_body(&event_body, buf, length, e, &seen, NULL, why))
		return -EPROTO;
	e->has_volume = (seen & EVENT_VOLUME) != 0;
	if (e->kind >= WIRE_EVENT_VOLUME_ADDED && e->kind <= WIRE_EVENT_VOLUME_REPLACED &&
	    !e->has_volume)
		return refuse(why, "a volume's event without the volume");
	if ((e->kind == WIRE_EVENT_PORTAL_ADDED || e->kind == WIRE_EVENT_PORTAL_REMOVED) && !e->portal[0])
		return refuse(why, "a portal's event without the portal");
	return 0;
}
