/* wire_discover.c - see wire_discover.h. */
#include "wire.h"
#include "wire_bytes.h"
#include "wire_discover.h"

#define QUESTION 1
#define ANSWER 2
#define PORTAL_FIXED 4			/* bytes before the address */
#define PREFIX_NOT_TOLD 255

static const char magic[8] = { 'r', 's', 'i', 'o', 'f', 'i', 'n', 'd' };

/*
 * Header.
 */
static void put_header(uint8_t *b, int kind, uint8_t flags, size_t length, size_t records, const uint8_t *nonce)
{
	memcpy(b, magic, sizeof(magic));
	put16(b + 8, WIRE_DISCOVER_VERSION);
	b[10] = (uint8_t)kind;
	b[11] = flags;
	put16(b + 12, (uint16_t)length);
	put16(b + 14, (uint16_t)records);
	memcpy(b + 16, nonce, WIRE_DISCOVER_NONCE);
}

/* r: over the records. */
static int get_header(const uint8_t *b, size_t length, int kind, struct wire_reader *r, const char **why)
{
	if (length < WIRE_DISCOVER_HEADER || length > WIRE_DISCOVER_MAX || memcmp(b, magic, sizeof(magic)) != 0)
		return refuse(why, "not of this protocol");
	if (get16(b + 8) != WIRE_DISCOVER_VERSION)
		return refuse(why, "of another version");
	if (b[10] != kind)
		return refuse(why, kind == QUESTION ? "not a question" : "not an answer");
	if (get16(b + 12) != length)
		return refuse(why, "not as long as it says");
	if (get16(b + 14) > length - WIRE_DISCOVER_HEADER)
		return refuse(why, "records longer than the datagram");
	wire_reader_init(r, b + WIRE_DISCOVER_HEADER, get16(b + 14));
	return 0;
}

/*
 * Values.
 */
static int get_name(const struct wire_record *r, char out[WIRE_NAME_MAX + 1], const char **why)
{
	if (!wire_name_ok((const char *)r->data, r->length))
		return refuse(why, "a name that is none");
	memcpy(out, r->data, r->length);
	out[r->length] = 0;
	return 0;
}

/* Goes to a terminal: printable ASCII without spaces. */
static int get_text(const uint8_t *p, size_t length, char out[WIRE_DISCOVER_TEXT_MAX + 1], const char **why)
{
	if (length > WIRE_DISCOVER_TEXT_MAX)
		return refuse(why, "a text that is too long");
	for (size_t i = 0; i < length; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return refuse(why, "a text with what is no text");
	memcpy(out, p, length);
	out[length] = 0;
	return 0;
}

static int get_number16(const struct wire_record *r, uint16_t *out, const char **why)
{
	if (r->length != 2)
		return refuse(why, "a number of a wrong length");
	*out = get16(r->data);
	return 0;
}

static size_t put_text(uint8_t *p, const char *text)
{
	size_t n = strnlen(text, WIRE_DISCOVER_TEXT_MAX);

	p[0] = (uint8_t)n;
	memcpy(p + 1, text, n);
	return n + 1;
}

static size_t address_length(const struct wire_discover_portal *p)
{
	return p->family == 4 ? 4 : 16;
}

static void put_portal(struct wire_writer *w, const struct wire_discover_portal *p)
{
	uint8_t b[PORTAL_FIXED + 16 + 10 + 2 * (WIRE_DISCOVER_TEXT_MAX + 1)];
	size_t n = PORTAL_FIXED + address_length(p);

	put16(b, p->port);
	b[2] = (uint8_t)address_length(p);
	b[3] = p->detailed ? p->prefix : PREFIX_NOT_TOLD;
	memcpy(b + PORTAL_FIXED, p->address, address_length(p));
	if (p->detailed) {
		put32(b + n, p->speed);
		put32(b + n + 4, p->mtu);
		b[n + 8] = p->duplex;
		b[n + 9] = p->up;
		n += 10;
		n += put_text(b + n, p->device);
		n += put_text(b + n, p->driver);
	}
	wire_put(w, WIRE_DISCOVER_PORTAL, b, n);
}

static int get_details(const uint8_t *b, const uint8_t *end, struct wire_discover_portal *p, const char **why)
{
	char *const texts[] = { p->device, p->driver };

	if (end - b < 10)
		return refuse(why, "a portal cut short");
	p->speed = get32(b);
	p->mtu = get32(b + 4);
	p->duplex = b[8] > 2 ? 0 : b[8];
	p->up = b[9];
	b += 10;
	for (int i = 0; i < 2; i++) {
		if (end - b < 1 || b[0] > end - b - 1)
			return refuse(why, "a portal cut short");
		if (get_text(b + 1, b[0], texts[i], why))
			return -EPROTO;
		b += 1 + b[0];
	}
	return 0;
}

static int get_portal(const struct wire_record *r, struct wire_discover_portal *p, const char **why)
{
	const uint8_t *b = r->data, *end = b + r->length;

	if (r->length < PORTAL_FIXED || (b[2] != 4 && b[2] != 16) || r->length < PORTAL_FIXED + b[2])
		return refuse(why, "a portal cut short");
	p->port = get16(b);
	p->family = b[2] == 4 ? 4 : 6;
	memcpy(p->address, b + PORTAL_FIXED, b[2]);
	p->detailed = b[3] != PREFIX_NOT_TOLD;
	if (!p->port || (p->detailed && b[3] > 8 * b[2]))
		return refuse(why, "a portal without a port, or with a subnet that cannot be");
	p->prefix = p->detailed ? b[3] : 0;
	return p->detailed ? get_details(b + PORTAL_FIXED + b[2], end, p, why) : 0;
}

/*
 * Question.
 */
size_t wire_put_discover_question(uint8_t *buf, size_t size, const struct wire_discover_question *q)
{
	struct wire_writer w;
	size_t records;

	if (q->length < WIRE_DISCOVER_HEADER || q->length > WIRE_DISCOVER_MAX || q->length > size)
		return 0;
	memset(buf, 0, q->length);
	wire_writer_init(&w, buf + WIRE_DISCOVER_HEADER, q->length - WIRE_DISCOVER_HEADER);
	if (*q->namespace)
		wire_put_text(&w, WIRE_DISCOVER_NAMESPACE, q->namespace);
	if (w.overflow)
		return 0;
	records = wire_writer_used(&w, buf + WIRE_DISCOVER_HEADER);
	put_header(buf, QUESTION, q->flags & (WIRE_DISCOVER_BRIEF | WIRE_DISCOVER_EQUAL), q->length, records, q->nonce);
	return q->length;
}

int wire_get_discover_question(const uint8_t *buf, size_t length, struct wire_discover_question *q, const char **why)
{
	struct wire_reader reader;
	struct wire_record r;
	int more;

	memset(q, 0, sizeof(*q));
	if (get_header(buf, length, QUESTION, &reader, why))
		return -EPROTO;
	q->flags = buf[11] & (WIRE_DISCOVER_BRIEF | WIRE_DISCOVER_EQUAL);
	q->length = (uint16_t)length;
	memcpy(q->nonce, buf + 16, sizeof(q->nonce));
	while ((more = wire_next(&reader, &r)) > 0) {
		if (r.tag == WIRE_DISCOVER_NAMESPACE && get_name(&r, q->namespace, why))
			return -EPROTO;
		if (r.tag != WIRE_DISCOVER_NAMESPACE && r.mandatory)
			return refuse(why, "a record that has to be understood and is not");
	}
	return more ? refuse(why, "a torn record") : 0;
}

/*
 * Answer.
 */
static bool put_records(struct wire_writer *w, const struct wire_discover_answer *a, bool *more)
{
	struct wire_writer before;

	wire_put_text(w, WIRE_DISCOVER_NAMESPACE, a->namespace);
	wire_put_u16(w, WIRE_DISCOVER_NAMESPACE_ID, a->namespace_id);
	wire_put_text(w, WIRE_DISCOVER_SERVER, a->server);
	wire_put_u16(w, WIRE_DISCOVER_SERVER_ID, a->server_id);
	wire_put(w, WIRE_DISCOVER_SECURITY, &a->security, 1);
	if (*a->software)
		wire_put_text(w, WIRE_DISCOVER_SOFTWARE, a->software);
	if (w->overflow)
		return false;
	for (size_t i = 0; i < a->portal_count && !*more; i++) {
		before = *w;
		put_portal(w, &a->portals[i]);
		*more = w->overflow;
		if (*more)
			*w = before;
	}
	return true;
}

size_t wire_put_discover_answer(uint8_t *buf, size_t size, const struct wire_discover_question *q,
				const struct wire_discover_answer *a)
{
	size_t room = q->length < size ? q->length : size, used = 0;
	bool more = false, brief = q->flags & WIRE_DISCOVER_BRIEF;
	struct wire_writer w;

	if (room < WIRE_DISCOVER_HEADER || room > WIRE_DISCOVER_MAX)
		return 0;
	memset(buf, 0, room);
	wire_writer_init(&w, buf + WIRE_DISCOVER_HEADER, room - WIRE_DISCOVER_HEADER);
	if (!brief && !put_records(&w, a, &more))
		return 0;
	used = wire_writer_used(&w, buf + WIRE_DISCOVER_HEADER);
	if (!(q->flags & WIRE_DISCOVER_EQUAL))
		room = WIRE_DISCOVER_HEADER + used;
	put_header(buf, ANSWER, more ? WIRE_DISCOVER_MORE : 0, room, used, q->nonce);
	return room;
}

static int get_record(const struct wire_record *r, struct wire_discover_answer *a, const char **why)
{
	switch (r->tag) {
	case WIRE_DISCOVER_NAMESPACE:
		return get_name(r, a->namespace, why);
	case WIRE_DISCOVER_SERVER:
		return get_name(r, a->server, why);
	case WIRE_DISCOVER_NAMESPACE_ID:
		return get_number16(r, &a->namespace_id, why);
	case WIRE_DISCOVER_SERVER_ID:
		return get_number16(r, &a->server_id, why);
	case WIRE_DISCOVER_SOFTWARE:
		return get_text(r->data, r->length, a->software, why);
	case WIRE_DISCOVER_SECURITY:
		if (r->length != 1)
			return refuse(why, "a number of a wrong length");
		a->security = r->data[0];
		return 0;
	case WIRE_DISCOVER_PORTAL:
		if (a->portal_count == WIRE_PORTALS_MAX)
			return refuse(why, "more portals than a server has");
		return get_portal(r, &a->portals[a->portal_count++], why);
	}
	return r->mandatory ? refuse(why, "a record that has to be understood and is not") : 0;
}

int wire_get_discover_answer(const uint8_t *buf, size_t length, struct wire_discover_answer *a, const char **why)
{
	struct wire_reader reader;
	struct wire_record r;
	int more;

	memset(a, 0, sizeof(*a));
	if (get_header(buf, length, ANSWER, &reader, why))
		return -EPROTO;
	a->flags = buf[11] & WIRE_DISCOVER_MORE;
	a->length = (uint16_t)length;
	memcpy(a->nonce, buf + 16, sizeof(a->nonce));
	a->brief = get16(buf + 14) == 0;
	while ((more = wire_next(&reader, &r)) > 0)
		if (get_record(&r, a, why))
			return -EPROTO;
	if (more)
		return refuse(why, "a torn record");
	if (!a->brief && (!*a->namespace || !*a->server || a->server_id > 255))
		return refuse(why, "no namespace or server");
	return 0;
}
