/*
 * wire.c - headers, records and the tables of types and statuses.
 *
 * wire_body.c puts records together into the payloads that consist of them.
 */
#include "crc.h"
#include "wire.h"
#include "wire_bytes.h"

#define KNOWN_FLAGS (WIRE_FLAG_FUA | WIRE_FLAG_CRC | WIRE_FLAG_READ_ONLY | WIRE_FLAG_FIRST | \
		     WIRE_FLAG_ALONE)
#define REQUEST_SUM 36		/* where the header's own checksum is */
#define REPLY_SUM 28
#define VOLUME_FIXED 44		/* a volume's bytes before its name */
#define VOLUME_FLAGS (WIRE_FLAG_READ_ONLY | WIRE_FLAG_SNAPSHOT)	/* a snapshot has both */

/*
 * Types: what a request of each may be, and what its reply.
 */
enum span {			/* what a request says of a volume's bytes */
	SPAN_NONE,
	SPAN_READ,		/* count of them */
	SPAN_WRITE,		/* count of them, which is the payload's length */
	SPAN_RANGE,		/* count of them, at most WIRE_RANGE_MAX */
	SPAN_COPY,		/* count of them, at most WIRE_COPY_MAX; the payload has WIRE_COPY_SIZE bytes */
};

struct type {
	const char *name;
	enum span span;
	uint8_t flags;			/* beside CRC */
	uint8_t reply_flags;		/* beside CRC */
	uint32_t length_max;		/* of the request's payload; SPAN_WRITE needs none */
	uint32_t reply_min, reply_max;	/* of the payload when the status is OK */
};

static const struct type types[] = {
	[WIRE_HELLO] = { .name = "hello", .length_max = WIRE_LOGIN_MAX,
			 .reply_max = WIRE_LOGIN_MAX },
	[WIRE_AUTH] = { .name = "auth", .flags = WIRE_FLAG_FIRST, .length_max = WIRE_LOGIN_MAX,
			.reply_max = WIRE_LOGIN_MAX },
	[WIRE_LIST] = { .name = "list", .length_max = WIRE_CONTROL_MAX,
			.reply_max = WIRE_CONTROL_MAX },
	[WIRE_OPEN] = { .name = "open", .flags = WIRE_FLAG_READ_ONLY | WIRE_FLAG_ALONE,
			.reply_flags = WIRE_FLAG_READ_ONLY, .length_max = WIRE_CONTROL_MAX,
			.reply_max = WIRE_CONTROL_MAX },
	[WIRE_CLOSE] = { .name = "close" },
	[WIRE_READ] = { .name = "read", .span = SPAN_READ, .reply_min = 1,
			.reply_max = WIRE_DATA_MAX },
	[WIRE_WRITE] = { .name = "write", .span = SPAN_WRITE, .flags = WIRE_FLAG_FUA },
	[WIRE_FLUSH] = { .name = "flush" },
	[WIRE_DISCARD] = { .name = "discard", .span = SPAN_RANGE, .flags = WIRE_FLAG_FUA },
	[WIRE_WRITE_ZEROES] = { .name = "write-zeroes", .span = SPAN_RANGE,
				.flags = WIRE_FLAG_FUA },
	[WIRE_STATUS] = { .name = "status", .span = SPAN_RANGE, .reply_min = WIRE_EXTENT_SIZE,
			  .reply_max = WIRE_CONTROL_MAX },
	[WIRE_FENCE] = { .name = "fence", .length_max = WIRE_CONTROL_MAX,
			 .reply_max = WIRE_CONTROL_MAX },
	[WIRE_PING] = { .name = "ping", .reply_min = WIRE_STAMP_SIZE, .reply_max = WIRE_STAMP_SIZE },
	[WIRE_BYE] = { .name = "bye" },
	[WIRE_EVENT] = { .name = "event", .reply_min = 1, .reply_max = WIRE_CONTROL_MAX },
	[WIRE_CONTROL] = { .name = "control", .length_max = WIRE_CONTROL_MAX,
			   .reply_max = WIRE_CONTROL_MAX },
	[WIRE_TAKEOVER] = { .name = "takeover", .length_max = WIRE_CONTROL_MAX },
	[WIRE_COPY] = { .name = "copy", .span = SPAN_COPY, .length_max = WIRE_COPY_SIZE },
};
#define TYPES (sizeof types / sizeof types[0])

const char *wire_type_name(enum wire_type t)
{
	return (unsigned int)t < TYPES && types[t].name ? types[t].name : "unknown";
}

/*
 * Statuses: one table for names, texts and the errno that an application sees.
 */
static const struct {
	const char *name, *text;
	int errnum;
} statuses[WIRE_STATUS_COUNT] = {
	[WIRE_OK] = { "ok", "done", 0 },
	[WIRE_E_IO] = { "io", "the disk failed", EIO },
	[WIRE_E_NO_SPACE] = { "no-space", "the pool is full", ENOSPC },
	[WIRE_E_QUOTA] = { "quota", "the quota is used up", EDQUOT },
	[WIRE_E_READ_ONLY] = { "read-only", "the volume is read-only", EROFS },
	[WIRE_E_RANGE] = { "range", "beyond the volume's end, or not allowed there", EINVAL },
	[WIRE_E_INVALID] = { "invalid", "the request makes no sense", EINVAL },
	[WIRE_E_UNSUPPORTED] = { "unsupported", "the backing store cannot do this", EOPNOTSUPP },
	[WIRE_E_HANDLE] = { "handle", "the handle is not open", EBADF },
	[WIRE_E_NO_VOLUME] = { "no-volume", "no such volume, or no right to see it", ENOENT },
	[WIRE_E_IDENTITY] = { "identity", "a volume of this name but another UUID", ESTALE },
	[WIRE_E_GENERATION] = { "generation", "the volume's content was replaced", ESTALE },
	[WIRE_E_BUSY] = { "busy", "exclusively in use", EBUSY },
	[WIRE_E_NO_MEMORY] = { "no-memory", "the server is short of memory", ENOMEM },
	[WIRE_E_CHECKSUM] = { "checksum", "the payload arrived damaged", EBADMSG },
	[WIRE_E_VERSION] = { "version", "no common protocol version", EPROTONOSUPPORT },
	[WIRE_E_FEATURE] = { "feature", "a mandatory feature or record that is not known",
			     EPROTONOSUPPORT },
	[WIRE_E_NAMESPACE] = { "namespace", "no such namespace on this server", ENOENT },
	[WIRE_E_KEY] = { "key", "unknown node name or wrong key", EACCES },
	[WIRE_E_IN_USE] = { "in-use", "the node name is logged in from another machine", EBUSY },
	[WIRE_E_SECURITY] = { "security", "the server asks for more security", EACCES },
	[WIRE_E_LEAVING] = { "leaving", "the server is shutting down", ESHUTDOWN },
	[WIRE_E_FLUSH_FAILED] = { "flush-failed",
		"an earlier flush failed, which is final until an administrator clears it", EIO },
	[WIRE_E_LIMIT] = { "limit", "too many sessions, connections or handles", EUSERS },
	[WIRE_E_RESERVED] = { "reserved", "another client has reserved the volume", EBADE },
};

/* The other way, for errnos that a server's system calls give. */
static const struct {
	int errnum;
	enum wire_status status;
} errnos[] = {
	{ ENOSPC, WIRE_E_NO_SPACE }, { EDQUOT, WIRE_E_QUOTA }, { EROFS, WIRE_E_READ_ONLY },
	{ EINVAL, WIRE_E_INVALID }, { EFBIG, WIRE_E_RANGE }, { EOVERFLOW, WIRE_E_RANGE },
	{ EOPNOTSUPP, WIRE_E_UNSUPPORTED }, { ENOSYS, WIRE_E_UNSUPPORTED },
	{ ENOTTY, WIRE_E_UNSUPPORTED }, { ENOENT, WIRE_E_NO_VOLUME }, { EBUSY, WIRE_E_BUSY },
	{ ETXTBSY, WIRE_E_BUSY }, { ENOMEM, WIRE_E_NO_MEMORY }, { ENOBUFS, WIRE_E_NO_MEMORY },
	{ EAGAIN, WIRE_E_NO_MEMORY }, { EMFILE, WIRE_E_LIMIT }, { ENFILE, WIRE_E_LIMIT },
	{ EBADE, WIRE_E_RESERVED },
};

const char *wire_status_name(enum wire_status s)
{
	return (unsigned int)s < WIRE_STATUS_COUNT ? statuses[s].name : "unknown";
}

const char *wire_status_text(enum wire_status s)
{
	return (unsigned int)s < WIRE_STATUS_COUNT ? statuses[s].text : "a status that is not known";
}

int wire_status_errno(enum wire_status s)
{
	return (unsigned int)s < WIRE_STATUS_COUNT ? statuses[s].errnum : EIO;
}

enum wire_status wire_status_from_errno(int errnum)
{
	if (!errnum)
		return WIRE_OK;
	for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++)
		if (errnos[i].errnum == errnum)
			return errnos[i].status;
	return WIRE_E_IO;
}

/*
 * Headers.
 */
void wire_put_request(uint8_t out[WIRE_REQUEST_SIZE], const struct wire_request *r)
{
	out[0] = WIRE_MAGIC;
	out[1] = WIRE_VERSION;
	out[2] = r->type;
	out[3] = r->flags;
	put32(out + 4, r->length);
	put64(out + 8, r->cookie);
	put64(out + 16, r->offset);
	put32(out + 24, r->count);
	put32(out + 28, r->handle);
	put32(out + 32, r->flags & WIRE_FLAG_CRC ? r->payload_crc : 0);
	put32(out + REQUEST_SUM, crc32c(0, out, REQUEST_SUM));
}

void wire_put_reply(uint8_t out[WIRE_REPLY_SIZE], const struct wire_reply *r)
{
	out[0] = WIRE_MAGIC;
	out[1] = WIRE_VERSION;
	out[2] = r->type;
	out[3] = r->flags;
	put32(out + 4, r->length);
	put64(out + 8, r->cookie);
	put16(out + 16, r->status);
	put16(out + 18, 0);
	put32(out + 20, r->flags & WIRE_FLAG_CRC ? r->payload_crc : 0);
	put32(out + 24, 0);
	put32(out + REPLY_SUM, crc32c(0, out, REPLY_SUM));
}

/* What both headers have in common.  The checksum comes before all that it covers but the two
 * bytes that say whether there is one. */
static int check_header(const uint8_t *in, size_t sum_at, const char **why)
{
	if (in[0] != WIRE_MAGIC)
		return refuse(why, in[0] == 0x16 ? "a TLS hello, which this end does not speak" :
						   "not an rsio frame");
	if (in[1] != WIRE_VERSION)
		return refuse(why, "a frame of another protocol version");
	if (get32(in + sum_at) != crc32c(0, in, sum_at))
		return refuse(why, "a header with a wrong checksum");
	if (in[2] >= TYPES || !types[in[2]].name)
		return refuse(why, "a frame of unknown type");
	if (in[3] & ~KNOWN_FLAGS)
		return refuse(why, "a frame with unknown flags");
	return 0;
}

int wire_get_request(const uint8_t in[WIRE_REQUEST_SIZE], struct wire_request *r, const char **why)
{
	if (check_header(in, REQUEST_SUM, why))
		return -EPROTO;
	if (in[2] == WIRE_EVENT)
		return refuse(why, "an event from a client");
	r->type = in[2];
	r->flags = in[3];
	r->length = get32(in + 4);
	r->cookie = get64(in + 8);
	r->offset = get64(in + 16);
	r->count = get32(in + 24);
	r->handle = get32(in + 28);
	r->payload_crc = get32(in + 32);
	if (r->payload_crc && !(r->flags & WIRE_FLAG_CRC))
		return refuse(why, "a payload checksum without its flag");
	return 0;
}

int wire_get_reply(const uint8_t in[WIRE_REPLY_SIZE], struct wire_reply *r, const char **why)
{
	if (check_header(in, REPLY_SUM, why))
		return -EPROTO;
	if (get16(in + 18) || get32(in + 24))
		return refuse(why, "a header with reserved fields set");
	r->type = in[2];
	r->flags = in[3];
	r->length = get32(in + 4);
	r->cookie = get64(in + 8);
	r->status = get16(in + 16);
	r->payload_crc = get32(in + 20);
	if (r->payload_crc && !(r->flags & WIRE_FLAG_CRC))
		return refuse(why, "a payload checksum without its flag");
	return 0;
}

static int check_span(const struct wire_request *r, uint32_t max, const char **why)
{
	if (!r->count)
		return refuse(why, "a command of no bytes");
	if (r->count > max)
		return refuse(why, "a command of more bytes than the limit");
	if (r->offset > (uint64_t)INT64_MAX - r->count)
		return refuse(why, "a command beyond the largest offset");
	return 0;
}

int wire_check_request(const struct wire_request *r, const char **why)
{
	const struct type *t;

	if (r->type >= TYPES || !types[r->type].name || r->type == WIRE_EVENT)
		return refuse(why, "a request of unknown type");
	t = &types[r->type];
	if (r->flags & ~(t->flags | WIRE_FLAG_CRC))
		return refuse(why, "a flag that this type of request does not have");
	if (r->handle > WIRE_HANDLE_MAX)
		return refuse(why, "a handle beyond the limit");
	if (t->span == SPAN_WRITE && r->length != r->count)
		return refuse(why, "a write whose payload is not what it covers");
	if (t->span != SPAN_WRITE && r->length > t->length_max)
		return refuse(why, t->length_max ? "a payload longer than the limit" :
						   "a payload where none belongs");
	if (t->span == SPAN_COPY && r->length != WIRE_COPY_SIZE)
		return refuse(why, "a copy that does not say of what");
	if (t->span == SPAN_NONE)
		return 0;
	return check_span(r, t->span == SPAN_RANGE ? WIRE_RANGE_MAX : t->span == SPAN_COPY ? WIRE_COPY_MAX :
			  WIRE_DATA_MAX, why);
}

int wire_check_reply(const struct wire_reply *r, const char **why)
{
	const struct type *t;

	if (r->type >= TYPES || !types[r->type].name)
		return refuse(why, "a reply of unknown type");
	t = &types[r->type];
	if (r->flags & ~(t->reply_flags | WIRE_FLAG_CRC))
		return refuse(why, "a flag that this type of reply does not have");
	if (r->type == WIRE_EVENT && (r->cookie || r->status))
		return refuse(why, "an event with a cookie or a status");
	if (r->status)
		return r->length > WIRE_LOGIN_MAX ? refuse(why, "a refusal longer than the limit") : 0;
	if (r->length < t->reply_min)
		return refuse(why, "a reply shorter than it can be");
	if (r->length > t->reply_max)
		return refuse(why, t->reply_max ? "a payload longer than the limit" :
						  "a payload where none belongs");
	if (r->type == WIRE_STATUS && r->length % WIRE_EXTENT_SIZE)
		return refuse(why, "a torn list of extents");
	return 0;
}

/*
 * Records.
 */
void wire_writer_init(struct wire_writer *w, void *buf, size_t size)
{
	w->at = buf;
	w->end = w->at + size;
	w->overflow = false;
}

size_t wire_writer_used(const struct wire_writer *w, const void *buf)
{
	return (size_t)(w->at - (const uint8_t *)buf);
}

void wire_put(struct wire_writer *w, uint16_t tag, const void *data, size_t length)
{
	/* After an overflow nothing more is written: a list must not have a gap. */
	if (w->overflow || length > UINT16_MAX || (size_t)(w->end - w->at) < 4 + length) {
		w->overflow = true;
		return;
	}
	put16(w->at, tag);
	put16(w->at + 2, (uint16_t)length);
	if (length)
		memcpy(w->at + 4, data, length);
	w->at += 4 + length;
}

void wire_put_u16(struct wire_writer *w, uint16_t tag, uint16_t v)
{
	v = htole16(v);
	wire_put(w, tag, &v, sizeof v);
}

void wire_put_u32(struct wire_writer *w, uint16_t tag, uint32_t v)
{
	v = htole32(v);
	wire_put(w, tag, &v, sizeof v);
}

void wire_put_u64(struct wire_writer *w, uint16_t tag, uint64_t v)
{
	v = htole64(v);
	wire_put(w, tag, &v, sizeof v);
}

void wire_put_text(struct wire_writer *w, uint16_t tag, const char *text)
{
	wire_put(w, tag, text, strlen(text));
}

void wire_reader_init(struct wire_reader *r, const void *buf, size_t size)
{
	r->at = buf;
	r->end = size ? r->at + size : r->at;
}

int wire_next(struct wire_reader *r, struct wire_record *out)
{
	size_t left = (size_t)(r->end - r->at), length;
	uint16_t tag;

	if (!left)
		return 0;
	if (left < 4)
		return -EPROTO;
	tag = get16(r->at);
	length = get16(r->at + 2);
	if (length > left - 4)
		return -EPROTO;
	out->tag = tag & (uint16_t)~WIRE_MANDATORY;
	out->mandatory = (tag & WIRE_MANDATORY) != 0;
	out->length = (uint16_t)length;
	out->data = r->at + 4;
	r->at += 4 + length;
	return 1;
}

bool wire_name_ok(const char *name, size_t length)
{
	if (!length || length > WIRE_NAME_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

bool wire_snapshot_name_ok(const char *name, size_t length)
{
	size_t digits = 0;

	if (!wire_name_ok(name, length))
		return false;
	while (digits < length && name[digits] >= '0' && name[digits] <= '9')
		digits++;
	return digits < length;		/* a number behind a volume's @ is a device's */
}

bool wire_volume_name_ok(const char *name, size_t length)
{
	const char *at = length <= WIRE_VOLUME_NAME_MAX ? memchr(name, '@', length) : NULL;
	size_t volume = at ? (size_t)(at - name) : length;

	return wire_name_ok(name, volume) && (!at || wire_snapshot_name_ok(at + 1, length - volume - 1));
}

/*
 * Volumes.
 */
void wire_put_volume(struct wire_writer *w, const struct wire_volume *v)
{
	size_t length = strnlen(v->name, WIRE_VOLUME_NAME_MAX), size = VOLUME_FIXED + length;
	uint8_t b[VOLUME_FIXED + WIRE_VOLUME_NAME_MAX + 8];

	memcpy(b, v->uuid, WIRE_UUID_SIZE);
	put64(b + 16, v->generation);
	put64(b + 24, v->size);
	put32(b + 32, v->block_size);
	put32(b + 36, v->id);
	b[40] = v->flags;
	b[41] = v->av;
	b[42] = v->shared;
	b[43] = (uint8_t)length;
	memcpy(b + VOLUME_FIXED, v->name, length);
	if (v->flags & WIRE_FLAG_SNAPSHOT) {
		put64(b + size, v->taken);
		size += 8;
	} else if (*v->reserved_by) {
		b[size] = (uint8_t)strnlen(v->reserved_by, WIRE_NAME_MAX);
		memcpy(b + size + 1, v->reserved_by, b[size]);
		size += 1u + b[size];
	}
	wire_put(w, WIRE_TAG_VOLUME, b, size);
}

static bool volume_ok(const struct wire_volume *v)
{
	bool snapshot = strchr(v->name, '@');
	uint32_t bs = v->block_size;

	return bs >= 512 && bs <= 65536 && !(bs & (bs - 1)) && v->size <= INT64_MAX &&
	       v->size % bs == 0 && !(v->flags & ~VOLUME_FLAGS) && v->av <= 3 &&
	       (snapshot ? (v->flags & VOLUME_FLAGS) == VOLUME_FLAGS : !(v->flags & WIRE_FLAG_SNAPSHOT));
}

static int get_reserved(const uint8_t *b, size_t size, struct wire_volume *v)
{
	if (!size || !*b)
		return 0;
	if (*b > size - 1 || !wire_name_ok((const char *)b + 1, *b))
		return -EPROTO;
	memcpy(v->reserved_by, b + 1, *b);
	return 0;
}

int wire_get_volume(const struct wire_record *r, struct wire_volume *v)
{
	const uint8_t *b = r->data;
	const char *name = (const char *)b + VOLUME_FIXED;

	if (r->length < VOLUME_FIXED || b[43] > r->length - VOLUME_FIXED ||
	    !wire_volume_name_ok(name, b[43]) || b[42] > 1)
		return -EPROTO;
	memset(v, 0, sizeof *v);
	memcpy(v->uuid, b, WIRE_UUID_SIZE);
	v->generation = get64(b + 16);
	v->size = get64(b + 24);
	v->block_size = get32(b + 32);
	v->id = get32(b + 36);
	v->flags = b[40];
	v->av = b[41];
	v->shared = b[42];
	memcpy(v->name, name, b[43]);
	if (v->flags & WIRE_FLAG_SNAPSHOT) {
		if (r->length < VOLUME_FIXED + b[43] + 8u)
			return -EPROTO;
		v->taken = get64(b + VOLUME_FIXED + b[43]);
	}
	if (!(v->flags & WIRE_FLAG_SNAPSHOT) && get_reserved(b + VOLUME_FIXED + b[43],
							     r->length - VOLUME_FIXED - b[43], v))
		return -EPROTO;
	return volume_ok(v) ? 0 : -EPROTO;
}

/*
 * Extents, which are no records: there may be many.
 */
void wire_put_stamp(uint8_t out[WIRE_STAMP_SIZE], uint64_t stamp)
{
	put64(out, stamp);
}

uint64_t wire_get_stamp(const uint8_t in[WIRE_STAMP_SIZE])
{
	return get64(in);
}

void wire_put_copy(uint8_t out[WIRE_COPY_SIZE], uint32_t handle, uint64_t offset)
{
	put32(out, handle);
	put64(out + 4, offset);
}

void wire_get_copy(const uint8_t in[WIRE_COPY_SIZE], uint32_t *handle, uint64_t *offset)
{
	*handle = get32(in);
	*offset = get64(in + 4);
}

void wire_put_extent(uint8_t out[WIRE_EXTENT_SIZE], uint64_t length, uint32_t kind)
{
	put64(out, length);
	put32(out + 8, kind);
}

void wire_get_extent(const uint8_t in[WIRE_EXTENT_SIZE], uint64_t *length, uint32_t *kind)
{
	*length = get64(in);
	*kind = get32(in + 8);
}
