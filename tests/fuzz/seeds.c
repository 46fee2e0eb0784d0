/*
 * seeds.c - writes the corpus's first inputs, made of real frames and messages:
 * seeds DIRECTORY.  What the fuzzer found since lies beside them under other
 * names.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../unit/wire_samples.h"
#include "wire_discover.h"
#include "fuzz_ctl_server.h"
#include "play.h"
#include "seeds.h"
#include "stage.h"

static const char *top;
static const char *target;

uint8_t seed_buf[SEED_MAX];
size_t seed_size;

void seed_begin(const char *of)
{
	char path[PATH_MAX];

	target = of;
	snprintf(path, sizeof(path), "%s/%s", top, of);
	if (mkdir(path, 0755) && errno != EEXIST) {
		perror(path);
		exit(1);
	}
}

void seed_add(const void *data, size_t size)
{
	if (size > SEED_MAX - seed_size)
		abort();
	memcpy(seed_buf + seed_size, data, size);
	seed_size += size;
}

void seed_byte(unsigned v)
{
	uint8_t b = (uint8_t)v;

	seed_add(&b, 1);
}

void seed_write(const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/seed-%s", top, target, name);
	f = fopen(path, "we");
	if (!f || fwrite(seed_buf, 1, seed_size, f) != seed_size || fclose(f)) {
		perror(path);
		exit(1);
	}
	seed_size = 0;
}

/* fuzz_wire.c: a byte for what it is, then the body. */

static void wire_body(unsigned what, const char *name, const uint8_t *body, size_t size)
{
	seed_byte(what);
	seed_add(body, size);
	seed_write(name);
}

static void wire_login_bodies(uint8_t *b)
{
	struct wire_hello hello = a_hello();
	struct wire_welcome welcome = a_welcome();
	struct wire_auth auth = { .session = { 1, 2, 3 }, .proof = { 4, 5, 6 } };
	struct wire_granted granted = { .session = { 1, 2 }, .connection = 6, .proof = { 7 } };

	wire_body(0, "hello", b, wire_put_hello(b, &hello));
	wire_body(1, "welcome", b, wire_put_welcome(b, &welcome));
	wire_body(2, "auth", b, wire_put_auth(b, &auth));
	wire_body(3, "granted", b, wire_put_granted(b, &granted));
}

static void wire_other_bodies(uint8_t *b)
{
	struct wire_open open = { .name = "oracle", .has_identity = true, .uuid = { 9 },
				  .generation = 17 };
	struct wire_fence fence = { .connection = 3, .count = 3, .cookies = { 1024, 1025, 2050 },
				    .statuses = { 0, WIRE_E_NO_SPACE, 0 } };
	struct wire_event_body event = { .kind = WIRE_EVENT_VOLUME_ADDED, .has_volume = true,
					 .volume = a_volume() };
	struct wire_event_body snapshot = { .kind = WIRE_EVENT_VOLUME_ADDED, .has_volume = true,
					    .volume = a_snapshot() };
	struct wire_event_body portal = { .kind = WIRE_EVENT_PORTAL_ADDED,
					  .portal = "192.168.45.10/5000" };
	struct wire_volume v = a_volume();
	struct wire_writer w;

	wire_body(4, "open", b, wire_put_open(b, &open));
	wire_body(5, "fence", b, wire_put_fence(b, &fence, false));
	wire_body(6, "fence-reply", b, wire_put_fence(b, &fence, true));
	wire_body(7, "event-volume", b, wire_put_event(b, WIRE_LOGIN_MAX, &event));
	wire_body(7, "event-snapshot", b, wire_put_event(b, WIRE_LOGIN_MAX, &snapshot));
	wire_body(7, "event-portal", b, wire_put_event(b, WIRE_LOGIN_MAX, &portal));
	wire_body(9, "text", b, wire_put_text_body(b, WIRE_LOGIN_MAX, "no such namespace"));
	wire_writer_init(&w, b, WIRE_LOGIN_MAX);
	wire_put_volume(&w, &v);
	wire_put_u32(&w, WIRE_TAG_TOTAL, 1);
	wire_body(8, "list", b, wire_writer_used(&w, b));
}

static void wire_seeds(void)
{
	struct wire_request write = { .type = WIRE_WRITE, .flags = WIRE_FLAG_FUA | WIRE_FLAG_CRC,
				      .length = 4096, .cookie = 1025, .offset = 8192, .count = 4096,
				      .handle = 1, .payload_crc = 0x12345678 };
	struct wire_reply read = { .type = WIRE_READ, .length = 4096, .cookie = 1025 };
	uint8_t b[WIRE_FENCE_MAX];

	seed_begin("wire");
	wire_login_bodies(b);
	wire_other_bodies(b);
	for (uint8_t t = WIRE_HELLO; t <= WIRE_CONTROL; t++) {
		char name[32];

		write.type = read.type = t;
		snprintf(name, sizeof(name), "request-%s", wire_type_name(t));
		wire_put_request(b, &write);
		wire_body(10, name, b, WIRE_REQUEST_SIZE);
		snprintf(name, sizeof(name), "reply-%s", wire_type_name(t));
		wire_put_reply(b, &read);
		wire_body(11, name, b, WIRE_REPLY_SIZE);
	}
}

/* fuzz_discover.c: a datagram; its length and flags are taken from its beginning too. */

static struct wire_discover_answer a_discovery(void)
{
	return (struct wire_discover_answer){ .namespace = "osl", .server = "big-9", .namespace_id = 7, .server_id = 9,
		.software = "0.1", .portal_count = 2, .portals = {
			{ .port = 5000, .family = 4, .address = { 10, 99, 0, 9 }, .detailed = true, .prefix = 24,
			  .speed = 10000, .mtu = 9000, .duplex = 2, .up = true, .device = "eth0", .driver = "veth" },
			{ .port = 5000, .family = 6, .address = { 0xfd, [15] = 9 } },
		} };
}

static void discover_seeds(void)
{
	static uint8_t b[WIRE_DISCOVER_MAX];
	struct wire_discover_question q = { .length = 1200, .nonce = "fifteen letters" };
	struct wire_discover_answer a = a_discovery();

	seed_begin("discover");
	q.length = 64;
	snprintf(q.namespace, sizeof(q.namespace), "osl");
	seed_add(b, wire_put_discover_question(b, sizeof(b), &q));
	seed_write("question");
	q.length = 1200;
	seed_add(b, wire_put_discover_answer(b, sizeof(b), &q, &a));
	seed_write("answer");
	q.length = 160;
	seed_add(b, wire_put_discover_answer(b, sizeof(b), &q, &a));
	seed_write("answer-more");
	q.flags = WIRE_DISCOVER_BRIEF | WIRE_DISCOVER_EQUAL;
	seed_add(b, wire_put_discover_answer(b, sizeof(b), &q, &a));
	seed_write("answer-brief");
}

/* fuzz_frame.c: how many, which is refused; of each what and length; receives. */

static void frame_seeds(void)
{
	static const uint8_t mixed[] = { 5, 255, 0, 100, 6, 0, 16, 8, 0, 7, 0, 0x90, 0, 9,
					 10, 0, 0, 200, 1, 3, 0, 64, 2 };
	static const uint8_t bytewise[] = { 2, 255, 0, 3, 8, 5, 0, 0, 1, 0, 0, 1, 0, 0, 1 };
	static const uint8_t refused[] = { 3, 1, 0, 3, 0, 5, 0, 1 };

	seed_begin("frame");
	seed_add(mixed, sizeof(mixed));
	seed_write("mixed");
	seed_add(bytewise, sizeof(bytewise));
	seed_write("bytewise");
	seed_add(refused, sizeof(refused));
	seed_write("refused");
}

/* fuzz_ctl.c: a byte for what it is, then text. */

static void ctl_text(unsigned what, const char *name, const char *text)
{
	uint32_t length = htonl((uint32_t)strlen(text));

	seed_byte(what);
	if (what == 1 || what == 2)
		seed_add(&length, sizeof(length));
	seed_add(text, strlen(text));
	seed_write(name);
}

static const char status[] =
	"{\"ok\":true,\"version\":\"0.1\",\"pid\":4711,\"uptime\":60,\"mount\":\"/rsio\","
	"\"run_dir\":\"/run/rsio\",\"memory\":{\"buffers_used\":4096,\"buffers_held\":8192,"
	"\"buffers_limit\":1048576,\"requests\":1,\"paused\":0,\"interrupted\":0},"
	"\"namespaces\":[{\"name\":\"osl\",\"id\":0,\"node\":\"sles1\","
	"\"servers\":[{\"id\":0,\"name\":\"big-9\",\"version\":\"0.1\",\"state\":\"up\","
	"\"policy\":\"adaptive\",\"listed\":true,\"paths\":[{\"name\":\"if0/big-9-1\","
	"\"interface\":\"if0\",\"local\":\"192.168.10.1\",\"server\":\"big-9-1\","
	"\"portal\":\"192.168.10.9\",\"port\":5000,\"protocol\":\"tcp\",\"family\":\"IP\","
	"\"state\":\"up\",\"since\":12,\"reason\":null,\"connection\":3,\"rtt_us\":80.5,"
	"\"in_flight\":3,\"bytes_in_flight\":24576,\"read_bytes\":1,\"write_bytes\":2,"
	"\"commands\":3,\"share\":0.5,\"errors\":0}]}],"
	"\"unassigned\":[{\"name\":\"if1/big-9-2\",\"interface\":\"if1\",\"state\":\"down\","
	"\"since\":3,\"reason\":\"refused\",\"portal\":\"::1\",\"port\":5000,"
	"\"family\":\"IPv6\"}],\"volumes\":[{\"id\":0,\"name\":\"oracle\",\"uuid\":\"00\","
	"\"generation\":17,\"size\":16106127360,\"blocks\":31457280,\"block_size\":512,"
	"\"read_only\":true,\"av\":0,\"server\":\"big-9\",\"servers\":1,"
	"\"state\":\"waiting\",\"on_loss\":\"fail\",\"give_up_in\":87.5,\"opens\":1,"
	"\"in_flight\":0,\"reads\":1,\"read_bytes\":2,\"writes\":3,\"write_bytes\":4,"
	"\"flushes\":5,\"errors\":6,\"resent\":7}]}],\"devices\":[{\"namespace\":\"osl\","
	"\"volume\":\"oracle\",\"id\":0,\"av\":0,\"block\":\"/dev/av0/oracle\","
	"\"raw\":\"/dev/av0/roracle\",\"loop\":\"/dev/loop3\",\"blocks\":31457280,"
	"\"block_size\":512,\"servers\":1,\"state\":\"ready\"}]}";

static void ctl_seeds(void)
{
	seed_begin("ctl");
	ctl_text(0, "status", "{\"do\":\"status\"}");
	ctl_text(0, "attach", "{\"do\":\"attach\",\"volumes\":[\"osl:oracle\",\"osl/mail\",7]}");
	ctl_text(0, "detach", "{\"do\":\"detach\",\"volumes\":[],\"force\":true}");
	ctl_text(0, "fail", "{\"do\":\"fail\",\"volume\":\"osl:oracle\"}");
	ctl_text(0, "drill", "{\"do\":\"drill\",\"target\":\"osl:if0/big-9-1\",\"seconds\":5}");
	ctl_text(0, "drill-state", "{\"do\":\"drill\"}");
	ctl_text(0, "policy", "{\"do\":\"policy\",\"namespace\":\"osl\",\"target\":\"big-9\","
		 "\"policy\":\"weighted\",\"weight\":\"if0=3\",\"standby\":\"if1\"}");
	ctl_text(0, "reload", "{\"do\":\"reload\"}");
	ctl_text(0, "stop", "{\"do\":\"stop\",\"force\":true}");
	ctl_text(1, "bytes", "{\"do\":\"fail\",\"volume\":\"osl:mail\"}");
	ctl_text(2, "answer", "{\"ok\":true,\"results\":[]}");
	ctl_text(2, "error", "{\"ok\":false,\"error\":{\"code\":\"ENOENT\","
		 "\"text\":\"no \\u0085 such\",\"next\":\"do\"}}");
	ctl_text(2, "progress", "{\"progress\":0.5}");
	ctl_text(3, "view", status);
}

/* fuzz_ctl_server.c: steps; 0 is the newest guest. */

static void ctl_server_seed(const char *name, const uint8_t *bytes, size_t size)
{
	seed_add(bytes, size);
	seed_write(name);
}

#define CTL_SERVER_SEED(name, ...) \
	ctl_server_seed(name, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void ctl_server_seeds(void)
{
	static const char *const starts[] = { "new", "left-over", "in-use", "no-socket", "no-thread",
					      "long-name", "long-dir" };

	seed_begin("ctl_server");
	for (uint8_t i = 0; i < CTL_STARTS; i++)
		CTL_SERVER_SEED(starts[i], i, CTL_JOIN, 0, CTL_SAY, 0, 0, CTL_RUN, 0);
	CTL_SERVER_SEED("calls", CTL_NEW, CTL_JOIN, 2, CTL_SAY, 0, 0, CTL_SAY, 0, 3, CTL_LEAVE, 0, 1,
			CTL_RUN, 0, CTL_HEAR, 0);
	CTL_SERVER_SEED("large", CTL_NEW, CTL_JOIN, 36, CTL_SAY, 0, 1, CTL_RUN, 0, CTL_HEAR, 0);
	CTL_SERVER_SEED("bytes", CTL_NEW, CTL_JOIN, 0, CTL_BYTES, 0, 4, 0, 16, 0, 1, CTL_RUN, 0);
	CTL_SERVER_SEED("groups", CTL_NEW, CTL_JOIN, 40, CTL_JOIN, 48, CTL_JOIN, 56, CTL_JOIN, 192);
	CTL_SERVER_SEED("crowd", CTL_NEW, CTL_CROWD | 12 << 3, 0, CTL_SAY, 0, 0, CTL_LEAVE, 9, 0,
			CTL_JOIN, 0, CTL_RUN, 0);
	CTL_SERVER_SEED("full", CTL_NEW, CTL_CROWD | 31 << 3, 2, CTL_LEAVE, 3, 0, CTL_CROWD | 4 << 3, 2);
	seed_byte(CTL_NEW);		/* those who have left are still at work */
	for (unsigned i = 0; i < 20; i++) {
		static const uint8_t comes_and_goes[] = { CTL_JOIN, 0, CTL_LEAVE, 0, 0 };

		seed_add(comes_and_goes, sizeof(comes_and_goes));
	}
	seed_write("gone");
	CTL_SERVER_SEED("trouble", CTL_NEW, CTL_TROUBLE, CTL_JOIN, 2, CTL_TROUBLE | 128, CTL_JOIN, 2);
}

/* fuzz_log.c: reader or writer; the file; the header; the pattern; what happens then. */

static void log_seeds(void)
{
	static const char line[] = "big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (x): y\n";
	static const uint8_t sound[] = { 1, 0, 0, 1, 0, 0x20, 0, sizeof(line) - 1 };
	static const uint8_t full[] = { 1, 0, 0, 7, 0, 0x20, 200, sizeof(line) - 1 };
	static const uint8_t writer[] = { 0, 0, 0, 1, 0, 0x20, 0, sizeof(line) - 1 };
	static const uint8_t happens[] = { 0, 16, 0, 0, 2, 0, 0x30, 0, 0, 16, 7, 0, 16, 2, 0, 64 };

	seed_begin("log");
	seed_add(sound, sizeof(sound));
	seed_add(line, sizeof(line) - 1);
	seed_write("sound");
	seed_add(full, sizeof(full));
	seed_add(line, sizeof(line) - 1);
	seed_add(happens, sizeof(happens));
	seed_write("disturbed");
	seed_add(writer, sizeof(writer));
	seed_add(line, sizeof(line) - 1);
	seed_add(line, sizeof(line) - 1);
	seed_write("writer");
}

/* fuzz_client*.c: goodbye or not, then steps (play.h); a step's first byte also says which
 * connection. */
#define PLAY(step, connection) (PLAY_##step + PLAY_STEPS * (connection))

static void play_steps_of(const uint8_t *steps, size_t size, const char *name)
{
	seed_byte(1);
	seed_add(steps, size);
	seed_write(name);
}

/* Each policy for each of its targets, and a write by each. */
static void policy_seed(void)
{
	seed_byte(1);
	for (unsigned i = 0; i < 52; i++) {
		const uint8_t steps[] = {
			PLAY(OTHER, 0), (uint8_t)(i / 2 * 10 + 1 + i % 2), PLAY(SUBMIT, 0), 0, 1,
			(uint8_t)(i % 32),
		};

		seed_add(steps, sizeof(steps));
	}
	seed_write("policies");
}

static void play_seeds(void)
{
	static const uint8_t login[] = {
		PLAY(WELCOME, 0), 0, PLAY(GRANT, 0), 0, 1, 0, PLAY(REPLY, 0), 0, 0, 0,
		PLAY(HOLD, 0), 0,
		PLAY(REPLY, 0), 0, 0, 0, PLAY(SUBMIT, 0), 0, 0, 0, PLAY(REPLY, 0), 0, 0, 0,
	};
	static const uint8_t refused[] = {
		PLAY(FRAME, 0), WIRE_HELLO, 0, 254, WIRE_E_KEY, 0, PLAY(WELCOME, 1), 0,
		PLAY(FRAME, 1), WIRE_AUTH, 0, 254, WIRE_E_IN_USE, 0, PLAY(TIME, 0), 200,
	};
	static const uint8_t two_sessions[] = {
		PLAY(WELCOME, 0), 0, PLAY(WELCOME, 1), 0, PLAY(WELCOME, 2), 2,
		PLAY(GRANT, 0), 0, 1, 0,
		PLAY(GRANT, 1), 0, 2, 0, PLAY(GRANT, 2), 7, 1, 0, PLAY(CLOSE, 0),
		PLAY(TIME, 0), 100,
	};
	static const uint8_t io[] = {
		PLAY(SUBMIT, 0), 0, 0, 0, PLAY(SUBMIT, 0), 0, 1, 1, PLAY(SUBMIT, 0), 0, 3, 0,
		PLAY(SUBMIT, 0), 128, 4, 2, PLAY(SUBMIT, 0), 8, 6, 0, PLAY(REPLY, 0), 4, 0, 0,
		PLAY(REPLY, 0), 0, 0, 0, PLAY(REPLY, 0), 0, 4, 0, PLAY(REPLY, 0), 0, 1, 0,
	};
	static const uint8_t fenced[] = {
		PLAY(SUBMIT, 0), 0, 1, 1, PLAY(SUBMIT, 0), 0, 1, 2, PLAY(CLOSE, 0),
		PLAY(SUBMIT, 0), 0, 1, 1,
		PLAY(REPLY, 1), 0, 0, 1, PLAY(REPLY, 1), 0, 0, 0, PLAY(REPLY, 1), 0, 0, 0,
	};
	static const uint8_t lost[] = {
		PLAY(SUBMIT, 0), 0, 1, 1, PLAY(INTERRUPT, 0), 0, PLAY(CLOSE, 0), PLAY(CLOSE, 1),
		PLAY(TIME, 0), 255, PLAY(SUBMIT, 0), 1, 0, 0, PLAY(FAIL, 0), 0, PLAY(OTHER, 0), 9,
	};
	static const uint8_t events[] = {
		PLAY(EVENT, 0), WIRE_EVENT_VOLUME_ADDED, 2, 0,
		PLAY(EVENT, 0), WIRE_EVENT_VOLUME_RESIZED, 0, 4,
		PLAY(EVENT, 0), WIRE_EVENT_VOLUME_REPLACED, 0, 3,
		PLAY(EVENT, 0), WIRE_EVENT_VOLUME_REMOVED, 1, 0,
		PLAY(EVENT, 0), WIRE_EVENT_LEAVING, 0, 128, PLAY(OTHER, 0), 9,
	};
	/* A portal that comes, is used and goes; other configurations. */
	static const uint8_t portals[] = {
		PLAY(EVENT, 0), WIRE_EVENT_PORTAL_ADDED, 0, 192, PLAY(TIME, 0), 4,
		PLAY(WELCOME, 3), 0, PLAY(GRANT, 3), 0, 4, 0, PLAY(SUBMIT, 0), 0, 1, 1,
		PLAY(EVENT, 0), WIRE_EVENT_PORTAL_REMOVED, 0, 192, PLAY(TIME, 0), 4,
		PLAY(REPLY, 0), 0, 0, 0, PLAY(TIME, 0), 100,
	};
	static const uint8_t reloads[] = {
		PLAY(OTHER, 0), 143, PLAY(TIME, 0), 4, PLAY(WELCOME, 3), 0, PLAY(GRANT, 3), 0, 4, 0,
		PLAY(SUBMIT, 0), 0, 1, 1, PLAY(OTHER, 0), 133, PLAY(TIME, 0), 4,
		PLAY(REPLY, 0), 0, 0, 0, PLAY(OTHER, 0), 153, PLAY(TIME, 0), 100,
		PLAY(OTHER, 0), 163, PLAY(TIME, 0), 100,
	};
	/* Of two writes on the first server one was asked for again, over the second. */
	static const uint8_t takeover[] = {
		PLAY(SUBMIT, 0), 0, 1, 1, PLAY(SUBMIT, 0), 0, 1, 1, PLAY(OTHER, 0), 3,
		PLAY(CLOSE, 0), PLAY(CLOSE, 1), PLAY(TIME, 0), 20, PLAY(REPLY, 2), 0, 1, 0,
		PLAY(TIME, 0), 20, PLAY(REPLY, 2), 0, 0, 0, PLAY(REPLY, 2), 0, 0, 0,
		PLAY(REPLY, 2), 0, 0, 0, PLAY(SUBMIT, 0), 0, 3, 0, PLAY(REPLY, 2), 0, 0, 0,
	};

	seed_begin("client_login");
	play_steps_of(login, sizeof(login), "login");
	play_steps_of(refused, sizeof(refused), "refused");
	play_steps_of(two_sessions, sizeof(two_sessions), "two-sessions");
	seed_begin("client");
	play_steps_of(io, sizeof(io), "io");
	play_steps_of(fenced, sizeof(fenced), "fenced");
	play_steps_of(lost, sizeof(lost), "lost");
	play_steps_of(events, sizeof(events), "events");
	play_steps_of(portals, sizeof(portals), "portals");
	play_steps_of(reloads, sizeof(reloads), "reloads");
	seed_begin("client_tls");
	for (unsigned how = 2; how < 8; how += 3) {
		seed_byte(how);
		seed_add(io, sizeof(io));
		seed_write(how & 4 ? "io-shared" : "io");
	}
	seed_byte(1);
	seed_add(login, sizeof(login));
	seed_write("login");
	seed_begin("client");
	policy_seed();
	seed_byte(3);
	seed_add(takeover, sizeof(takeover));
	seed_write("takeover");
}

/* fuzz_server*.c: where I/O is done, then steps (stage.h). */
#define STAGE(step, client) (STAGE_##step + STAGE_STEPS * (client))

static void stage_steps_of(unsigned how, const uint8_t *steps, size_t size, const char *name)
{
	seed_byte(how);
	seed_add(steps, size);
	seed_write(name);
}

static void stage_seeds(void)
{
	static const uint8_t login[] = {
		STAGE(HELLO, 0), 0, STAGE(AUTH, 0), 0, 0, STAGE(CONNECT, 1), 1, STAGE(HELLO, 1), 0,
		STAGE(AUTH, 1), 1, 0, STAGE(OPEN, 0), 1, 0, 1, STAGE(COMMAND, 1), 0, 9, 0, 0,
	};
	static const uint8_t refused[] = {
		STAGE(HELLO, 0), 255, STAGE(CONNECT, 1), 0, STAGE(HELLO, 1), 254,
		STAGE(CONNECT, 2), 0,
		STAGE(HELLO, 2), 253, STAGE(AUTH, 2), 0, 0, STAGE(CONNECT, 3), 0,
		STAGE(HELLO, 3), 0,
		STAGE(AUTH, 3), 0, 5,
	};
	static const uint8_t replaced[] = {
		STAGE(HELLO, 0), 0, STAGE(AUTH, 0), 0, 0, STAGE(CONNECT, 1), 1, STAGE(HELLO, 1), 4,
		STAGE(AUTH, 1), 0, 0, STAGE(CONNECT, 2), 1, STAGE(HELLO, 2), 16,
		STAGE(AUTH, 2), 0, 0,
	};
	static const uint8_t slow[] = {
		STAGE(TIME, 0), 220, STAGE(BYTES, 0), 4, 'G', 'E', 'T', ' ',
	};
	static const uint8_t io[] = {
		STAGE(COMMAND, 0), 1, 9, 0, 0, STAGE(COMMAND, 0), 64, 9, 0, 0,
		STAGE(COMMAND, 1), 2, 1, 0, 0,
		STAGE(COMMAND, 1), 3, 9, 0, 1, STAGE(COMMAND, 0), 132, 9, 0, 0,
		STAGE(COMMAND, 0), 5, 121, 0, 0,
		STAGE(COMMAND, 0), 6, 8, 0, 0, STAGE(COMMAND, 0), 10, 0, 0, 0,
		STAGE(COMMAND, 0), 8, 0, 0, 0,
		STAGE(COMMAND, 0), 7, 1, 0, 0, STAGE(COMMAND, 0), 9, 0, 0, 0,
	};
	static const uint8_t fence[] = {
		STAGE(WORK, 0), 0, STAGE(COMMAND, 0), 1, 9, 0, 0, STAGE(COMMAND, 0), 3, 9, 0, 0,
		STAGE(WORK, 0), 64,
		STAGE(FENCE, 1), 0, 255, STAGE(WORK, 0), 64, STAGE(WORK, 0), 0,
		STAGE(COMMAND, 1), 0, 9, 0, 0,
	};
	static const uint8_t volumes[] = {
		STAGE(VOLUME, 0), 0, 8, STAGE(COMMAND, 0), 0, 9, 0, 1, STAGE(VOLUME, 0), 0, 2,
		STAGE(COMMAND, 0), 0, 9, 0, 0, STAGE(OPEN, 0), 1, 0, 1, STAGE(VOLUME, 0), 1, 1,
		STAGE(VOLUME, 0), 0, 67, STAGE(COMMAND, 0), 2, 1, 0, 0, STAGE(OTHER, 0), 0,
	};
	static const uint8_t deaf[] = {
		STAGE(DEAF, 0), STAGE(COMMAND, 0), 0, 249, 0, 0, STAGE(COMMAND, 0), 0, 249, 0, 0,
		STAGE(COMMAND, 0), 0, 249, 0, 0, STAGE(COMMAND, 0), 0, 249, 0, 0, STAGE(DEAF, 0),
		STAGE(OTHER, 0), 4,
	};
	/* One that another server offers too: 3, opened as handle 3. */
	static const uint8_t shared[] = {
		STAGE(OPEN, 0), 3, 64, 1, STAGE(COMMAND, 0), 1, 11, 0, 0, STAGE(COMMAND, 0), 0, 11, 0, 0,
		STAGE(COMMAND, 0), 8, 0, 0, 0, STAGE(TIME, 0), 50, STAGE(COMMAND, 0), 140, 0, 0, 0,
		STAGE(WORK, 0), 0, STAGE(COMMAND, 0), 1, 11, 0, 0, STAGE(TIME, 0), 255,
		STAGE(WORK, 0), 64, STAGE(COMMAND, 1), 0, 11, 0, 0,
	};
	static const uint8_t takeover[] = {
		STAGE(OPEN, 0), 3, 64, 1, STAGE(FENCE, 0), 64 | 3, 2, STAGE(VOLUME, 0), 3, 5,
		STAGE(FENCE, 0), 64 | 3, 2, STAGE(VOLUME, 0), 3, 11, STAGE(FENCE, 0), 64 | 3, 2,
		STAGE(FENCE, 0), 64 | 3, 1, STAGE(FENCE, 0), 64 | 3, 3, STAGE(FENCE, 0), 64 | 3, 6,
		STAGE(FENCE, 0), 64 | 1, 2, STAGE(FENCE, 0), 64 | 5, 2,
	};
	static const uint8_t other_life[] = {
		STAGE(VOLUME, 0), 3, 29, STAGE(OPEN, 0), 3, 64, 1, STAGE(VOLUME, 0), 3, 11,
		STAGE(OPEN, 1), 3, 64, 1,
	};

	static const uint8_t version[2 + WIRE_REQUEST_SIZE] = {
		STAGE(BYTES, 0), WIRE_REQUEST_SIZE, WIRE_MAGIC, WIRE_VERSION + 1,
	};
	/* Of two commands in flight, the third. */
	static const uint8_t too_many[] = {
		STAGE(HELLO, 0), 64, STAGE(AUTH, 0), 0, 0, STAGE(OPEN, 0), 1, 0, 1, STAGE(WORK, 0), 0,
		STAGE(COMMAND, 0), 0, 9, 0, 0, STAGE(COMMAND, 0), 0, 9, 0, 0,
		STAGE(COMMAND, 0), 0, 9, 0, 0,
	};
	/* Of 8 KiB in a session's flight, what the second connection reads. */
	static const uint8_t too_much[] = {
		STAGE(HELLO, 0), 64, STAGE(AUTH, 0), 0, 0, STAGE(CONNECT, 1), 0, STAGE(HELLO, 1), 64,
		STAGE(AUTH, 1), 1, 0, STAGE(OPEN, 0), 1, 0, 1, STAGE(WORK, 0), 0,
		STAGE(COMMAND, 0), 0, 65, 0, 0, STAGE(COMMAND, 0), 0, 65, 0, 0,
		STAGE(COMMAND, 1), 0, 65, 0, 0,
	};
	static const uint8_t same_slot[] = {
		STAGE(WORK, 0), 0, STAGE(FRAME, 0), WIRE_READ, 0, 9, 5, 1, 0, 0, 0, 2, 0, 0, 0,
		STAGE(FRAME, 0), WIRE_READ, 0, 9, 5, 1, 0, 0, 0, 2, 0, 0, 0,
	};
	static const uint8_t control[] = {
		STAGE(FRAME, 0), WIRE_CONTROL, 0, 1, 5, 0, 0, 0, 0, 10,
		'{', '"', 'd', 'o', '"', ':', '"', 'x', '"', '}',
		STAGE(FRAME, 0), WIRE_CONTROL, 0, 1, 6, 0, 0, 0, 0, 2, '{', '}',
	};

	/* Volumes a (0), b, new; a@s (4), c1, secret; ids 0 to 7; ops in stage_client.c's order. */
#define ASK(what, name, op, id) STAGE(COMMAND, 0), 10, what, \
	(uint8_t)((name) | (op) << 3 | (id) << 7), (uint8_t)((op) >> 5 | (id) >> 1)
	static const uint8_t manage[] = {
		ASK(6, 0, 0, 0), ASK(4, 0, 0, 0), ASK(6, 0, 0, 0), ASK(6, 0, 2, 0), ASK(6, 0, 2, 1), ASK(3, 0, 0, 0),
		ASK(6, 0, 6, 2), ASK(3, 4, 0, 0), ASK(6, 4, 9, 3), ASK(6, 0, 10, 4), ASK(6, 0, 8, 5), ASK(6, 0, 11, 6),
		ASK(1, 0, 0, 0), ASK(2, 0, 0, 0), ASK(6, 1, 5, 7), STAGE(TIME, 0), 255,
	};
	static const uint8_t manage_waits[] = {
		STAGE(WORK, 0), 0, ASK(6, 0, 0, 0), ASK(6, 1, 0, 1), ASK(4, 1, 0, 1), ASK(5, 1, 0, 1), ASK(3, 3, 0, 0),
		STAGE(CLOSE, 0), 0, STAGE(WORK, 0), 65, STAGE(TIME, 0), 255, STAGE(WORK, 0), 0,
	};
	static const uint8_t manage_more[] = {
		ASK(6, 0, 0, 0), ASK(6, 0, 12, 1), ASK(6, 0, 13, 2), ASK(6, 0, 14, 3), STAGE(TIME, 0), 150, ASK(3, 0, 0, 0),
		STAGE(TIME, 0), 255, ASK(6, 0, 15, 4), ASK(6, 0, 4, 5), ASK(6, 3, 5, 6), ASK(6, 6, 2, 7),
	};

	/* Beside TLS, in the clear though tls is asked for, half a hello, another name than the handshake's. */
	static const uint8_t beside[] = {
		STAGE(HELLO, 0), 0, STAGE(AUTH, 0), 0, 0, STAGE(OPEN, 0), 1, 0, 1, STAGE(COMMAND, 0), 1, 9, 0, 0,
		STAGE(BYTES, 0), 7, 0x15, 3, 3, 0, 2, 1, 0, STAGE(CONNECT, 1), 0, STAGE(HELLO, 1), 128, STAGE(AUTH, 1), 0, 0,
		STAGE(OTHER, 0), 5, STAGE(COMMAND, 1), 0, 249, 0, 0, STAGE(CLOSE, 1), 1,
	};
	static const uint8_t half[] = {
		STAGE(OTHER, 0), 6, STAGE(BYTES, 0), 9, 0x16, 3, 1, 0, 4, 1, 0, 0, 0, STAGE(TIME, 0), 255,
		STAGE(CONNECT, 1), 0, STAGE(BYTES, 1), 3, 0x16, 3, 1, STAGE(TIME, 0), 140, STAGE(CONNECT, 2), 0,
		STAGE(BYTES, 2), 5, 0x16, 3, 1, 0xff, 0xff, STAGE(OTHER, 0), 14, STAGE(CONNECT, 3), 1, STAGE(HELLO, 3), 0,
	};
	static const uint8_t other_name[] = {
		STAGE(HELLO, 0), 252, STAGE(CONNECT, 1), 0, STAGE(HELLO, 1), 253, STAGE(CONNECT, 2), 0, STAGE(HELLO, 2), 128,
		STAGE(CONNECT, 3), 1, STAGE(HELLO, 3), 0, STAGE(OTHER, 0), 2, STAGE(AUTH, 3), 0, 0,
	};

	seed_begin("server_login");
	stage_steps_of(0, version, sizeof(version), "version");
	stage_steps_of(1, too_many, sizeof(too_many), "too-many");
	stage_steps_of(1, too_much, sizeof(too_much), "too-much");
	stage_steps_of(0, login, sizeof(login), "login");
	stage_steps_of(0, refused, sizeof(refused), "refused");
	stage_steps_of(0, replaced, sizeof(replaced), "replaced");
	stage_steps_of(0, slow, sizeof(slow), "slow");
	seed_begin("server_tls");
	stage_steps_of(2, login, sizeof(login), "login");
	stage_steps_of(2, refused, sizeof(refused), "refused");
	stage_steps_of(0, replaced, sizeof(replaced), "replaced");
	stage_steps_of(0, beside, sizeof(beside), "beside");
	stage_steps_of(0, half, sizeof(half), "half");
	stage_steps_of(2, other_name, sizeof(other_name), "other-name");
	seed_begin("server");
	stage_steps_of(0, io, sizeof(io), "io");
	stage_steps_of(1, io, sizeof(io), "io-by-workers");
	stage_steps_of(1, fence, sizeof(fence), "fence");
	stage_steps_of(0, volumes, sizeof(volumes), "volumes");
	stage_steps_of(0, deaf, sizeof(deaf), "deaf");
	stage_steps_of(1, same_slot, sizeof(same_slot), "same-slot");
	stage_steps_of(0, control, sizeof(control), "control");
	stage_steps_of(0, manage, sizeof(manage), "manage");
	stage_steps_of(0, manage_waits, sizeof(manage_waits), "manage-waits");
	stage_steps_of(0, manage_more, sizeof(manage_more), "manage-more");
	stage_steps_of(0, shared, sizeof(shared), "shared");
	stage_steps_of(0, takeover, sizeof(takeover), "takeover");
	stage_steps_of(0, other_life, sizeof(other_life), "other-life");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	top = argv[1];
	mkdir(top, 0755);
	wire_seeds();
	frame_seeds();
	discover_seeds();
	seeds_conf();
	ctl_seeds();
	ctl_server_seeds();
	log_seeds();
	play_seeds();
	seeds_tls();
	stage_seeds();
	return 0;
}
