/*
 * fuzz_ctl.c - control-socket messages, in both directions.
 *
 * The first byte says what the rest is: a request's text to rsiod's handlers,
 * bytes to whoever receives messages, a daemon's answer to ctl_call, or a reply
 * that the tools and the mounted tree print.  What rsiod's handlers ask of the
 * daemon is answered here: what happens behind them has targets of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../fusefs/attach.h"
#include "../../fusefs/control.h"
#include "../../fusefs/daemon.h"
#include "../../fusefs/status.h"
#include "ctl_impl.h"
#include "fuzz.h"
#include "view.h"

#define PIECE_MAX (60u << 10)		/* fits into a socket's buffer */

int __wrap_loop_call(struct loop *l, void (*fn)(void *arg), void *arg);
int __wrap_socket(int domain, int type, int protocol);
int __real_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t length);
FILE *__wrap_open_memstream(char **text, size_t *size);

/* rsiod. */

static struct daemon daemon_now;
static int a_volume, a_member;		/* something to point to */

int __wrap_loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	(void)l;
	fn(arg);
	return 0;
}

json_t *status_collect(struct client *c, json_t *devices, const char *namespace)
{
	(void)namespace;
	json_decref(c->devices);
	c->devices = devices;
	return json_pack("{s:s, s:O?}", "version", "fuzz", "devices", c->devices);
}

struct mpio *client_volume(const struct client *c, const char *namespace, const char *volume)
{
	(void)c;
	fuzz_check(conf_name_valid(namespace) && conf_name_valid(volume));
	return strcmp(volume, "oracle") == 0 ? (struct mpio *)&a_volume : NULL;
}

struct member *client_member(const struct client *c, const char *name)
{
	static struct member m;

	(void)c;
	m.ns = (struct namespace *)&a_member;
	return strcmp(name, "osl") == 0 ? &m : NULL;
}

void io_fail(struct io *io, const struct mpio *volume)
{
	(void)io, (void)volume;
}

void mpio_fail(struct mpio *v)
{
	fuzz_check((void *)v == &a_volume);
}

int drill_start(struct drill *d, const char *target, double seconds, struct err *e)
{
	(void)d;
	(void)seconds;
	return *target ? 0 : err_set(e, ENOENT, "no such path or server");
}

json_t *drill_state(const struct drill *d)
{
	(void)d;
	return json_object();
}

int namespace_set_policy(struct namespace *ns, const struct policy_wish *w, struct err *e)
{
	struct shares s = { 0 };
	char why[SHARES_WHY_MAX];

	fuzz_check((void *)ns == &a_member && w->policy < POLICY_COUNT);
	if ((w->weight && !shares_set_weights(&s, w->weight, why)) ||
	    (w->standby && !shares_set_standbys(&s, w->standby, why)))
		return err_set(e, EINVAL, "it %s", why);
	fuzz_check(s.count <= SHARES_MAX);
	return w->target && *w->target ? err_set(e, ENOENT, "no such volume or server") : 0;
}

json_t *attach_list(const char *mount_dir)
{
	(void)mount_dir;
	return json_array();
}

json_t *devices_attach(struct devices *d, const char *namespace, const char *volume, bool alone, struct err *e)
{
	(void)alone;
	fuzz_check(d == &daemon_now.devices && conf_name_valid(namespace) &&
		   conf_name_valid(volume));
	if (strcmp(volume, "oracle") == 0)
		return json_pack("{s:s, s:i}", "block", "/dev/av0/oracle", "id", 0);
	err_set(e, ENOENT, "there is no volume %s", volume);
	return NULL;
}

json_t *devices_detach(struct devices *d, const char *namespace, const char *volume, bool force,
		       struct err *e)
{
	(void)force;
	return devices_attach(d, namespace, volume, false, e);
}

json_t *devices_offered(struct devices *d)
{
	fuzz_check(d == &daemon_now.devices);
	return json_pack("[s]", "osl:oracle");
}

json_t *devices_attached(struct devices *d)
{
	return devices_offered(d);
}

json_t *works_manage(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	json_t *work = json_object_get(request, "work");

	fuzz_check(w == &daemon_now.works && peer->may_change && (!work || json_is_object(work)));
	err_set(e, EIO, "not now");
	return NULL;
}

json_t *works_grow(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	json_t *size = json_object_get(request, "size");

	fuzz_check(w == &daemon_now.works && peer->may_change && (!size || json_is_integer(size)));
	err_set(e, EIO, "not now");
	return NULL;
}

json_t *works_namespaces(struct works *w)
{
	fuzz_check(w == &daemon_now.works);
	return json_pack("{s:[s]}", "namespaces", "osl");
}

json_t *works_cancel(struct works *w, json_t *request, struct err *e)
{
	json_t *id = json_object_get(request, "id");

	fuzz_check(w == &daemon_now.works && (!id || json_is_string(id)));
	err_set(e, ENOENT, "not now");
	return NULL;
}

json_t *works_ask(struct works *w, const struct ctl_peer *peer, json_t *request, struct err *e)
{
	json_t *question = json_object_get(request, "question");

	fuzz_check(w == &daemon_now.works && peer && (!question || json_is_object(question)));
	err_set(e, EIO, "not now");
	return NULL;
}

int daemon_reload(struct daemon *d, struct err *e)
{
	fuzz_check(d == &daemon_now);
	return err_set(e, EINVAL, "not now");
}

int daemon_unmount(struct daemon *d, bool lazy, struct err *e)
{
	fuzz_check(d == &daemon_now);
	return lazy ? 0 : err_set(e, EBUSY, "not now");
}

static void try_request(const char *text, size_t size)
{
	struct ctl_peer peer = { .uid = 1000, .gid = 1000, .pid = 4711, .may_change = size % 4, .fd = -1 };
	json_t *reply = ctl_answer(control_handle, &daemon_now, &peer, text, size);
	json_t *ok = json_object_get(reply, "ok");
	char *out;

	fuzz_check(json_is_boolean(ok));
	if (json_is_false(ok))
		fuzz_check(json_string_value(json_object_get(json_object_get(reply, "error"),
							     "text")));
	out = json_dumps(reply, JSON_COMPACT);
	fuzz_check(out);
	free(out);
	json_decref(reply);
}

/* Sockets. */

static int fds[2];

/* A pair whose other end has said this and no more. */
static void say(const uint8_t *data, size_t size)
{
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	if (size > PIECE_MAX)
		size = PIECE_MAX;
	fuzz_check(!size || send(fds[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
	shutdown(fds[1], SHUT_WR);
}

static void try_bytes(const uint8_t *data, size_t size)
{
	size_t taken = 0, length;
	char *text;

	say(data, size);
	while (ctl_receive(fds[0], CTL_REQUEST_MAX, ctl_deadline(10), 10, &text, &length) == 0) {
		fuzz_check(taken + 4 + length <= size && !text[length]);
		fuzz_check(memcmp(text, data + taken + 4, length) == 0);
		taken += 4 + length;
		try_request(text, length);
		free(text);
	}
	close(fds[0]);
	close(fds[1]);
}

int __wrap_socket(int domain, int type, int protocol)
{
	(void)type;
	(void)protocol;
	fuzz_check(domain == AF_UNIX);
	return fds[0];
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t length)
{
	(void)sa;
	(void)length;
	fuzz_check(fd == fds[0]);
	return 0;
}

static void try_answer(const uint8_t *data, size_t size)
{
	json_t *request = json_pack("{s:s}", "do", "status"), *reply;
	struct err e = { .code = 0 };

	say(data, size);
	reply = ctl_call("/run/rsio/rsiod.sock", "rsiod", request, 10, &e);
	if (reply)
		fuzz_check(json_is_true(json_object_get(reply, "ok")));
	else
		fuzz_check(e.code > 0 && e.text[0] && fuzz_clean(e.text) && fuzz_clean(e.next));
	json_decref(reply);
	json_decref(request);
	close(fds[1]);
}

/* Views. */

/* The C library's own: the sanitizer's wrapper hangs after some 10^6 of them. */
FILE *__wrap_open_memstream(char **text, size_t *size)
{
	static FILE *(*own)(char **text, size_t *size);

	if (!own)
		*(void **)&own = dlsym(RTLD_NEXT, "open_memstream");
	return own(text, size);
}

static void shown(char *text)
{
	size_t n = text ? strlen(text) : 0;

	fuzz_check(text && (!n || text[n - 1] == '\n'));
	free(text);
}

static void try_namespace(const json_t *ns)
{
	json_t *arrays[3];

	if (!ns)
		return;
	arrays[0] = view_json_servers(ns);
	arrays[1] = view_json_paths(ns);
	arrays[2] = view_json_volumes(ns);
	shown(view_tree_status(ns));
	shown(view_tree_servers(ns));
	shown(view_tree_paths(ns));
	shown(view_tree_volumes(ns));
	for (size_t i = 0; i < 3; i++)
		json_decref(arrays[i]);
}

static void try_view(const char *text, size_t size)
{
	struct err e;
	json_t *status = ctl_parse(text, size, &e);

	if (!status)
		return;
	shown(view_query(status, size % 4));
	shown(view_paths(status, size % 4));
	shown(view_devices(status, size % 4));
	shown(view_tree_client(status));
	shown(view_metrics(status));
	shown(view_json(status));
	try_namespace(json_array_get(json_object_get(status, "namespaces"), 0));
	json_decref(status);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_log();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 4) {
	case 0:
		try_request((const char *)data + 1, size - 1);
		break;
	case 1:
		try_bytes(data + 1, size - 1);
		break;
	case 2:
		try_answer(data + 1, size - 1);
		break;
	default:
		try_view((const char *)data + 1, size - 1);
		break;
	}
	return 0;
}
