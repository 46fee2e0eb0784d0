/* play.c - see play.h: the client's side, its time, and the steps of an input. */
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "memsock.h"
#include "namespace_impl.h"
#include "path_impl.h"
#include "play_impl.h"
#include "play_order.h"
#include "sock.h"
#include "world.h"

#define IOS 24			/* commands at once */
#define HELD 8			/* volumes */
#define STEPS_MAX 200

int __wrap_sock_connect(const struct sock_addr *from, const char *device,
			const struct sock_addr *to);
int __wrap_sock_connect_result(int fd);
int __wrap_sock_unacknowledged(int fd, uint64_t *bytes, uint64_t *ago);
int __wrap_getifaddrs(struct ifaddrs **all);
int __wrap_sock_device_of(const struct sock_addr *a, char *device, size_t size);

/* This machine's devices and addresses have no part in it. */
int __wrap_getifaddrs(struct ifaddrs **all)
{
	*all = NULL;
	return 0;
}

int __wrap_sock_device_of(const struct sock_addr *a, char *device, size_t size)
{
	(void)a;
	(void)device;
	(void)size;
	return -ENODEV;
}

/* Connections. */

static bool refuses;

int __wrap_sock_connect(const struct sock_addr *from, const char *device,
			const struct sock_addr *to)
{
	const struct sockaddr_in *sa = (const struct sockaddr_in *)&to->ss;
	unsigned peer = ntohl(sa->sin_addr.s_addr) % 256 - 1;
	int fds[2];

	(void)from;
	(void)device;
	if (refuses || peer >= PEERS)
		return -ECONNREFUSED;
	memsock_pair(fds);
	world_armed = false;
	peer_open(&play_peers[peer], fds[1]);
	world_armed = true;
	return fds[0];
}

int __wrap_sock_connect_result(int fd)
{
	(void)fd;
	return 0;
}

/* All that was sent is where it should be. */
int __wrap_sock_unacknowledged(int fd, uint64_t *bytes, uint64_t *ago)
{
	(void)fd;
	*bytes = *ago = 0;
	return 0;
}

/* The client. */

#define DEFAULTS "[defaults]\nsecurity = auth\ndetect = 2s\nretry = 0.5s\ngive-up = 20s\n"
#define INTERFACE "[interface if0]\naddress = 127.0.0.1\n"
#define NAMESPACE "[namespace osl]\nnamespaceid = 200\nnodename = sles1\nnodekey = " \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
#define PORTAL(name, last) "[server " name "]\naddress = 127.0.0." last "\n"
#define VOLUME "[volume osl:mail]\non-loss = read-only\n"

#define CONFS 4
static const char *const files[CONFS] = {
	DEFAULTS INTERFACE NAMESPACE PORTAL("big-1-1", "1") PORTAL("big-1-2", "2")
	PORTAL("big-2-1", "3") VOLUME,
	/* Others, which it may be reloaded with. */
	DEFAULTS INTERFACE NAMESPACE PORTAL("big-1-1", "1") PORTAL("big-2-1", "3") VOLUME,
	DEFAULTS INTERFACE "[interface if2]\naddress = 127.0.0.9\n" NAMESPACE
	PORTAL("big-1-1", "1") PORTAL("big-1-3", "4") PORTAL("big-2-1", "3") VOLUME,
	DEFAULTS INTERFACE NAMESPACE PORTAL("big-1-2", "2") PORTAL("big-2-1", "3")
	PORTAL("big-2-2", "5") VOLUME,
};

struct io {
	struct command command;		/* first */
	unsigned place;
	uint64_t number;		/* of a write, for play_order.c; 0: not watched */
	bool told;
};

static struct held {
	struct mpio *volume;		/* NULL: none */
	bool offered;
	unsigned users;
} held[HELD];
static struct io *ios[IOS];
static struct conf_client *confs[CONFS];
static struct loop *loop;
static struct namespace *ns;
static bool stopped;
static unsigned rounds;
static int asked;		/* and not answered */
uint8_t play_key[SECURE_KEY_SIZE];

static void after(void *arg)
{
	(void)arg;
	if (!stopped)
		namespace_flush(ns);
	if (!rounds || !--rounds)
		loop_stop(loop);
}

void play_turn(unsigned n)
{
	rounds = n + 1;		/* the first comes before the loop looks for anything */
	world_armed = true;
	loop_run(loop, after, NULL);
	world_armed = false;
	for (unsigned i = 0; i < PEERS; i++)
		peer_read(&play_peers[i]);
	for (size_t i = 0; ns && i < ns->path_count; i++)
		if (!path_out_empty(ns->paths[i]))
			return;
	order_all_heard();
}

static struct held *held_of(const struct mpio *v)
{
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].volume == v)
			return &held[i];
	return NULL;
}

static void added(void *arg, struct namespace *n, struct mpio *v)
{
	struct held *h = held_of(v);

	(void)arg;
	(void)n;
	fuzz_check(!h || !h->offered);
	if (!h)
		h = held_of(NULL);
	if (!h)
		return;
	h->volume = v;
	h->offered = true;
}

static void removed(void *arg, struct namespace *n, struct mpio *v)
{
	struct held *h = held_of(v);

	(void)arg;
	(void)n;
	if (!h)
		return;
	fuzz_check(h->offered);
	h->offered = false;
	if (!h->users)
		h->volume = NULL;
}

static void resized(void *arg, struct namespace *n, struct mpio *v)
{
	(void)arg;
	(void)n;
	fuzz_check(mpio_info(v)->size <= INT64_MAX);
}

static void changed(void *arg, struct namespace *n)
{
	(void)arg;
	(void)n;
}

static const struct namespace_ops ops = {
	.added = added, .removed = removed, .resized = resized, .changed = changed,
};

static struct conf_client *read_conf(const char *text)
{
	int fd = memfd_create("play", MFD_CLOEXEC);
	struct conf_report report;
	struct conf_client *c;
	char path[64];

	fuzz_check(fd >= 0 && fchmod(fd, 0600) == 0 &&
		   write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c = conf_client_read(path, (gid_t)-1, &report);
	fuzz_check(c);
	conf_report_free(&report);
	close(fd);
	return c;
}

/* They lie where a leak checker does not look for pointers. */
static void free_confs(void)
{
	for (unsigned i = 0; i < CONFS; i++)
		conf_client_free(confs[i]);
}

void play_init(void)
{
	/* Without memory for the record of a fence the client means to end. */
	world_spares_calloc = true;
	fuzz_log();
	for (unsigned i = 0; i < CONFS; i++)
		confs[i] = read_conf(files[i]);
	atexit(free_confs);
	memcpy(play_key, confs[0]->namespaces[0].key.bytes, sizeof(play_key));
	loop = loop_new();
	fuzz_check(loop);
	for (unsigned i = 0; i < PEERS; i++)
		play_peers[i] = (struct peer){ .fd = -1, .portal = i };
}

bool play_tls;

void play_within_tls(void)
{
	play_tls = true;
	for (unsigned i = 0; i < CONFS; i++)
		confs[i]->namespaces[0].behaviour.security = CONF_SECURITY_TLS;
}

/* Commands. */

static void end_io(struct io *io)
{
	fuzz_check(ios[io->place] == io);
	ios[io->place] = NULL;
	order_done(io->number);
	free((void *)(uintptr_t)io->command.data);
	free(io);
}

static void done(struct command *c, int error, const uint8_t *payload, uint32_t length)
{
	struct io *io = (struct io *)c;

	fuzz_check(error <= 0 && io->told == c->abandoned);
	if (!error && !c->abandoned && c->type == WIRE_READ) {
		fuzz_check(length == c->count);
		for (uint32_t i = 0; i < length; i++)
			fuzz_check(payload[i] == 0 || payload[i]);	/* it is all there */
	}
	if (!error && !c->abandoned && c->type == WIRE_STATUS)
		fuzz_check(length && length % WIRE_EXTENT_SIZE == 0);
	end_io(io);
}

static void give_up(struct command *c, int error)
{
	struct io *io = (struct io *)c;

	fuzz_check(error < 0 && !io->told);
	io->told = true;
	order_told(io->number);
}

static const uint8_t types[] = { WIRE_READ, WIRE_WRITE, WIRE_WRITE, WIRE_FLUSH, WIRE_DISCARD,
				 WIRE_WRITE_ZEROES, WIRE_STATUS };

/* As the tree does it: within the volume's size, as it was told. */
static void submit(struct held *h, uint8_t how, uint32_t offset, uint32_t count)
{
	uint8_t type = types[how % sizeof(types)];
	uint64_t size;
	struct io *io;
	unsigned i;

	for (i = 0; i < IOS && ios[i]; i++)
		;
	if (!h->volume || !h->users || i == IOS)
		return;
	size = mpio_info(h->volume)->size;
	if (type == WIRE_FLUSH)
		offset = count = 0;
	else if (offset >= size || count > size - offset)
		count = offset >= size ? 0 : (uint32_t)(size - offset);
	if (type != WIRE_FLUSH && !count)
		return;
	io = calloc(1, sizeof(*io));
	fuzz_check(io);
	io->command = (struct command){
		.type = type, .offset = offset, .count = count, .done = done, .give_up = give_up,
	};
	if (how & 128 && (type == WIRE_WRITE || type == WIRE_WRITE_ZEROES))
		io->command.flags = WIRE_FLAG_FUA;
	if (type == WIRE_WRITE) {
		uint8_t *data = calloc(1, count);

		io->number = order_submitted(h->volume, offset, count);
		memcpy(data, &io->number, sizeof(io->number));
		io->command.data = data;
	}
	io->place = i;
	ios[i] = io;
	mpio_submit(h->volume, &io->command);
	fuzz_check(ios[i] == io);	/* done() never comes from within */
}

static void interrupt(uint8_t which)
{
	struct io *io = ios[which % IOS];

	if (!io || io->told)
		return;
	io->told = true;
	if (mpio_interrupt(&io->command))
		end_io(io);
	else if (!io->command.abandoned)
		io->told = false;	/* it was finished already */
	else
		order_told(io->number);
}

static void hold(struct held *h)
{
	if (!h->volume)
		return;
	if (!h->users && h->offered) {
		mpio_get(h->volume);
		h->users++;
	} else if (h->users) {
		struct mpio *v = h->volume;

		h->users--;
		if (!h->offered)
			h->volume = NULL;
		mpio_put(v);
	}
}

/* Steps. */

static void frame(struct peer *p, struct fuzz_in *in)
{
	struct wire_reply r = { .type = fuzz_u8(in), .flags = fuzz_u8(in) };
	uint8_t whose = fuzz_u8(in), what = fuzz_u8(in);
	uint32_t says;
	size_t n;
	const uint8_t *body;

	if (whose == 255)
		r.cookie = fuzz_u64(in);
	else if (whose == 254)
		r.cookie = p->cookie;
	else if (p->count)
		r.cookie = p->wait[whose % p->count].cookie;
	r.status = what & 63;
	says = what & 64 ? fuzz_u32(in) : fuzz_u8(in);
	body = fuzz_bytes(in, says, &n);
	order_unknown();
	r.length = what & 128 ? says : (uint32_t)n;
	/* It may be a good answer: then its slot is free. */
	peer_answered(p, r.cookie);
	if (r.length == n) {
		peer_frame(p, &r, body);
	} else {
		uint8_t header[WIRE_REPLY_SIZE];

		wire_put_reply(header, &r);
		peer_say(p, header, sizeof(header));
		peer_say(p, body, n);
	}
}

static void told(void *arg, int error, const char *text, size_t length)
{
	fuzz_check(arg == &asked && asked > 0 && error <= 0);
	for (size_t i = 0; i < length; i++)
		fuzz_check(text[i] == 0 || text[i]);	/* it is all there */
	asked--;
}

static void ask(const struct held *h)
{
	if (h->users && mpio_ask_server(h->volume, "{\"do\":\"counters\"}", told, &asked) == 0)
		asked++;
}

/* Of all servers, of one, of a volume: who refuses says why. */
static void choose_policy(uint8_t what)
{
	static const char *const targets[] = { NULL, "oracle", "big-1", "oracle" };
	struct policy_wish w = {
		.policy = (enum policy)(what % POLICY_COUNT),
		.target = targets[what / POLICY_COUNT % 4],
		.as_before = what / POLICY_COUNT % 4 == 3,
		.weight = what & 8 ? "if0=3" : what & 64 ? "if1=1" : NULL,
		.standby = what & 16 ? "if0" : NULL,
	};
	struct err e = { 0 };
	int r = namespace_set_policy(ns, &w, &e);

	fuzz_check(r ? e.code && fuzz_clean(e.text) : !e.code);
	if (!w.target && w.policy != POLICY_LEAST_BLOCKS)
		fuzz_check(!r == !(w.weight && w.weight[2] == '1'));
}

static void other(uint8_t what)
{
	json_t *j;

	switch (what % 10) {
	case 0:
		namespace_kick(ns);
		break;
	case 1:
	case 2:
		choose_policy(what / 10 * 5 + what % 10);
		break;
	case 3:
		if (what & 128)
			namespace_reload(ns, confs[what / 10 % CONFS], 0);
		else
			refuses = !refuses;
		break;
	case 4:
		peer_piece(SIZE_MAX);
		break;
	case 5:
	case 6:
		peer_piece(1 + (what >> 3));
		break;
	case 7:
		world_fails = 1 + what / 10;
		break;
	case 8:
		ask(&held[what >> 5 & 3]);
		break;
	default:
		j = namespace_status(ns);
		fuzz_check(j);
		json_decref(j);
		break;
	}
}

static void step(uint8_t what, struct fuzz_in *in)
{
	struct peer *p = &play_peers[what / PLAY_STEPS % PEERS];
	uint8_t a, b;
	const uint8_t *bytes;
	size_t n;

	switch ((enum play_step)(what % PLAY_STEPS)) {
	case PLAY_REPLY:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		peer_reply(p, a, b, fuzz_u8(in), in);
		break;
	case PLAY_FRAME:
		frame(p, in);
		break;
	case PLAY_BYTES:
		bytes = fuzz_bytes(in, fuzz_u8(in), &n);
		order_unknown();
		(play_tls && n % 2 ? peer_say_raw : peer_say)(p, bytes, n);
		break;
	case PLAY_WELCOME:
		peer_welcome(p, of_second(p) ? 2 : 1, fuzz_u8(in));
		break;
	case PLAY_GRANT:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		peer_grant(p, a, b, fuzz_u8(in));
		break;
	case PLAY_EVENT:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		peer_event(p, a & 15, b, fuzz_u8(in));
		break;
	case PLAY_CLOSE:
		peer_close(p);
		break;
	case PLAY_SUBMIT:
		a = fuzz_u8(in);
		b = fuzz_u8(in);
		/* Few places, so that commands overlap; some of them large. */
		submit(&held[a % HELD], b, (fuzz_u8(in) & 31) * 512u,
		       a & 128 ? 40960u + (a & 96) * 4096u : (a & 56) * 64 + 512u);
		break;
	case PLAY_INTERRUPT:
		interrupt(fuzz_u8(in));
		break;
	case PLAY_TIME:
		a = fuzz_u8(in);
		world_sleep = (a & 128 ? (a & 127) * 200 : a * 5) * MS;
		play_turn(a & 128 ? 40 : 4);
		break;
	case PLAY_HOLD:
		hold(&held[fuzz_u8(in) % HELD]);
		break;
	case PLAY_FAIL:
		a = fuzz_u8(in);
		if (held[a % HELD].volume)
			mpio_fail(held[a % HELD].volume);
		break;
	default:
		other(fuzz_u8(in));
		break;
	}
}

void play_begin(void)
{
	struct namespace_identity id = { { 1 }, { 2 }, { 3 }, { 4 } };
	struct err e;

	world_random = 0;
	play_serial = 0;
	order_begin();
	world_sleep = 0;
	world_fails = 0;
	refuses = stopped = false;
	peer_piece(SIZE_MAX);
	ns = namespace_new(loop, confs[0], 0, &id, &ops, NULL, &e);
	fuzz_check(ns);
	play_turn(2);
}

void play_login(bool shared)
{
	struct fuzz_in none = { NULL, NULL };

	for (unsigned i = 0; i < CONFIGURED; i++) {
		struct peer *p = &play_peers[i];

		/* Its handshake comes first. */
		for (unsigned k = 0; k < 4 && play_tls && !p->hello; k++)
			play_turn(1);
		fuzz_check(p->hello);
		peer_welcome(p, i == 2 ? 2 : 1, 0);
		play_turn(1);
		fuzz_check(p->auth);
		peer_grant(p, i == 2 ? 0x52 : 0, (uint8_t)(i + 1), 0);
		play_turn(1);
		while (p->count) {
			/* Without volumes, or with the same ones. */
			peer_reply(p, 0, 0, i == 2 && !shared ? 6 : 0, &none);
			play_turn(1);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		fuzz_check(held[i].volume);
		hold(&held[i]);
	}
	play_turn(1);
	for (unsigned i = 0; i < PEERS; i++)
		while (play_peers[i].count) {
			peer_reply(&play_peers[i], 0, 0, 0, &none);
			play_turn(1);
		}
}

void play_steps(struct fuzz_in *in)
{
	for (unsigned i = 0; i < STEPS_MAX && fuzz_left(in); i++) {
		step(fuzz_u8(in), in);
		play_turn(1);
	}
}

static void has_stopped(void *arg)
{
	(void)arg;
	stopped = true;
}

void play_end(bool goodbye)
{
	world_fails = 0;
	if (goodbye) {
		namespace_stop(ns, has_stopped, NULL);
		world_sleep = 2000 * MS;
		/* A volume that waits for a takeover asks each 50 ms. */
		for (unsigned i = 0; i < 8 && !stopped; i++)
			play_turn(16);
		fuzz_check(stopped);
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].users)
			mpio_put(held[i].volume);
	namespace_free(ns);
	ns = NULL;
	stopped = true;
	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < IOS; i++)
		fuzz_check(!ios[i]);
	fuzz_check(!asked);
	/* What was posted, and the ends of the connections. */
	play_turn(1);
	for (unsigned i = 0; i < PEERS; i++)
		fuzz_check(play_peers[i].fd < 0);
}
