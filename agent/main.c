/*
 * main.c - rssrv: options, the order of starting and of ending, signals.
 *
 * The main thread is the control loop: it accepts connections, takes signals,
 * and looks once a second after sessions that nobody uses any more.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "audit.h"
#include "bounds.h"
#include "changes.h"
#include "claim.h"
#include "client.h"
#include "conn.h"
#include "daemon.h"
#include "discover.h"
#include "fence_command.h"
#include "lease.h"
#include "listen.h"
#include "lock.h"
#include "log.h"
#include "log_print.h"
#include "metrics.h"
#include "manage.h"
#include "notify.h"
#include "opt.h"
#include "others.h"
#include "registry.h"
#include "schedule.h"
#include "secure.h"
#include "serve.h"
#include "server.h"
#include "status.h"
#include "steps.h"
#include "watch.h"

#define LEAVE_TIME 5		/* seconds for what is being carried out */

struct options {
	const char *conf, *run_dir, *state_dir, *log_level, *clear, *steps, *steps_undo;
	bool foreground, check, status, log, follow;
	int loops, lines;
};

static const struct opt table[] = {
	{ 'c', "config", OPT_STRING, "FILE", offsetof(struct options, conf),
	  "the configuration (default /etc/rssrvcfg, else /etc/dvsc/rssrvcfg)", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct options, run_dir),
	  "where the pid file, control socket and log are", 0, 0 },
	{ 0, "state-dir", OPT_STRING, "DIR", offsetof(struct options, state_dir),
	  "where the identities of device volumes are kept", 0, 0 },
	{ 'f', "foreground", OPT_FLAG, NULL, offsetof(struct options, foreground),
	  "stay in the foreground and log to standard error too", 0, 0 },
	{ 0, "check", OPT_FLAG, NULL, offsetof(struct options, check),
	  "read the configuration, report every mistake in it, and exit", 0, 0 },
	{ 0, "log-level", OPT_STRING, "error|warning|info|debug", offsetof(struct options, log_level),
	  "log no less than that (info)", 0, 0 },
	{ 0, "loops", OPT_INT, "N", offsetof(struct options, loops),
	  "threads that serve connections (default: one per processor)", 1, LOOPS_MAX },
	{ 0, "status", OPT_FLAG, NULL, offsetof(struct options, status),
	  "print what the running rssrv says of itself, as JSON", 0, 0 },
	{ 0, "log", OPT_FLAG, NULL, offsetof(struct options, log),
	  "print the log of the rssrv that runs, or ran", 0, 0 },
	{ 0, "lines", OPT_INT, "N", offsetof(struct options, lines),
	  "of the log, the last N lines", 0, INT_MAX },
	{ 0, "follow", OPT_FLAG, NULL, offsetof(struct options, follow),
	  "after the log, what is logged from now on", 0, 0 },
	{ 0, "clear-flush-error", OPT_STRING, "VOLUME", offsetof(struct options, clear),
	  "tell the running rssrv that the volume's failed flush was dealt with", 0, 0 },
	{ 0, "steps", OPT_STRING, "DIR", offsetof(struct options, steps),
	  "change this host as lines on standard input say, for rsagent; DIR keeps what undoes it", 0, 0 },
	{ 0, "steps-undo", OPT_STRING, "DIR", offsetof(struct options, steps_undo),
	  "undo what such a run has left that was killed", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "rssrv",
	.synopsis = "[options]",
	.about = "Serves the volumes of this host to the clients of a namespace.",
	.table = table,
	.page = "rssrv(8)",
};

static struct server server;
static struct source signals;
static struct ctl_server *ctl;

static void __attribute__((noreturn)) die(const struct err *e)
{
	log_set_stderr(0);
	if (log_is_open())	/* else it would stand on standard error twice */
		log_error("main", "not started: %s", e->text);
	err_print("rssrv", e);
	exit(1);
}

static void set_log_level(const char *name)
{
	static const struct { const char *name; enum log_level level; } levels[] = {
		{ "error", LOG_LEVEL_ERROR }, { "warning", LOG_LEVEL_WARNING },
		{ "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG },
	};

	for (size_t i = 0; name && i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(name, levels[i].name) != 0)
			continue;
		log_set_level(levels[i].level);
		return;
	}
	if (!name)
		return;
	fprintf(stderr, "rssrv: --log-level is error, warning, info or debug, not %s\nTry 'rssrv --help'.\n", name);
	exit(2);
}

/* NULL: it has mistakes; they were printed. */
static struct conf_server *read_conf(const char *path)
{
	struct conf_report report;
	struct conf_server *conf = conf_server_read(path, (gid_t)-1, &report);

	conf_report_print("rssrv", &report);
	conf_report_free(&report);
	return conf;
}

static void warn_of_keys(const struct conf_server *conf)
{
	struct conf_report report;

	conf_server_check_keys(conf, &report);
	conf_report_print("rssrv", &report);
	conf_report_free(&report);
}

/* The file may be right and meant for another host, so this is no mistake. */
static void warn_of_host(const struct conf_server *conf, const char *path)
{
	struct stat st;

	if (conf->user && !getpwnam(conf->user))
		fprintf(stderr, "rssrv: %s: warning: there is no user %s on this host: started by root, rssrv ends with that\n",
			path, conf->user);
	for (size_t i = 0; i < conf->pool_count; i++) {
		const struct conf_pool *p = &conf->pools[i];
		int r = stat(p->path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

		if (r)
			fprintf(stderr, "rssrv: %s:%d: warning: [pool %s]: %s: %s: rssrv does not start without it\n", path,
				p->line, p->name, p->path, strerror(r));
	}
	for (size_t i = 0; i < conf->volume_count; i++) {
		const struct conf_volume *v = &conf->volumes[i];

		if (v->path && stat(v->path, &st) < 0)
			fprintf(stderr, "rssrv: %s:%d: warning: [volume %s]: %s: %s: it is offered when it is there\n", path,
				v->line, v->name, v->path, strerror(errno));
	}
}

/* A daemon changes its directory, and reads the file again on SIGHUP. */
static char *conf_path(const char *given)
{
	char *path = given ? strdup(given) : conf_server_default_path();
	char *whole = path ? realpath(path, NULL) : NULL;

	if (!whole)
		return path;
	free(path);
	return whole;
}

static char *state_dir(const char *given)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const char *ours = getenv("RSIO_STATE_DIR");
	char *path = NULL;
	int n;

	if (given)
		return strdup(given);
	if (ours && *ours)
		return strdup(ours);
	if (geteuid() == 0)
		return strdup("/var/lib/rsio");
	if (base && *base)
		n = asprintf(&path, "%s/rsio", base);
	else
		n = asprintf(&path, "%s/.local/state/rsio", home ? home : "");
	return n < 0 ? NULL : path;
}

static void hashed_file(const char *label, const char *path, uint8_t out[16])
{
	char text[128];
	size_t n = 0;
	FILE *f = fopen(path, "re");

	if (f) {
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
	}
	while (n && text[n - 1] == '\n')
		n--;
	secure_id(label, text, n, out);
}

static int learn_identity(struct server *s, struct err *e)
{
	const char *boot = getenv("RSIO_TEST_BOOT");	/* volume_lossy.c */

	hashed_file("rsio machine", "/etc/machine-id", s->machine);
	hashed_file("rsio boot", "/proc/sys/kernel/random/boot_id", s->boot);
	if (boot)
		secure_id("rsio boot", boot, strlen(boot), s->boot);
	if (boot || getenv("RSIO_TEST_MEMORY") || getenv("RSIO_TEST_LOSSY") || getenv("RSIO_TEST_EVERY_MIN"))
		log_warning("main", "this is a test: RSIO_TEST_LOSSY, _BOOT, _EVERY_MIN or _MEMORY is set");
	if (secure_random(s->life, sizeof(s->life)) < 0)
		return err_set(e, EIO, "no random numbers");
	memcpy(s->name, s->conf->server, sizeof(s->name));
	s->id = (uint16_t)s->conf->server_id;
	s->started = clock_now();
	return 0;
}

static void on_control_tick(struct engine *l)
{
	clients_tick(l->server->clients, l->now);
	manage_tick(l->server->manage, l->now);
	schedule_tick(l->server, l->now);
	numbers_look(l->server);
	audit_tick(l->now);
}

static void on_control_settle(struct engine *l)
{
	listeners_settle(l);
	discover_settle(l);
}

static int make_engines(struct server *s, int loops, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	s->loop_count = (unsigned)(loops ? loops : cores < 1 ? 1 : cores > LOOPS_MAX ? LOOPS_MAX : cores);
	s->control = engine_new(s, 0, "rssrv-control", e);
	if (!s->control)
		return -e->code;
	s->control->tick = on_control_tick;
	s->control->settle = on_control_settle;
	for (unsigned i = 0; i < s->loop_count; i++) {
		char name[24];
		struct engine *l;

		snprintf(name, sizeof(name), "rssrv-loop%u", i);
		l = s->loops[i] = engine_new(s, i, name, e);
		if (!l)
			return -e->code;
		l->settle = conn_settle;
		l->tick = conn_tick;
		l->poll_ns = (uint64_t)(s->conf->poll * (double)SECOND);
	}
	return 0;
}

static int start_engines(struct server *s, struct err *e)
{
	for (unsigned i = 0; i < s->loop_count; i++) {
		int r = engine_start(s->loops[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Signals.
 */
static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void warn_fixed(const struct conf_server *old, const struct conf_server *now)
{
	if (strcmp(old->namespace, now->namespace) != 0 || old->namespace_id != now->namespace_id ||
	    strcmp(old->server, now->server) != 0 || old->server_id != now->server_id)
		log_warning("main", "the names and ids of namespace and server change only with a restart");
	if (!same_text(old->user, now->user))
		log_warning("main", "'user' changes only with a restart");
	if (!same_text(old->fence_command, now->fence_command))
		log_warning("main", "'fence-command' changes only with a restart");
}

/* who: asked for it. */
static void reload(struct server *s, const char *source, const char *who)
{
	struct conf_report report;
	struct conf_server *now = conf_server_read(s->conf_path, (gid_t)-1, &report), *old;
	struct err e = { 0 };
	char *now_text;

	for (size_t i = 0; i < report.count; i++)
		log_error("conf", "%s", report.lines[i]);
	conf_report_free(&report);
	if (!now) {
		log_error("conf", "%s was not taken over: nothing changes", s->conf_path);
		audit_change(source, clock_now(), LOG_LEVEL_WARNING, "reload by %s refused: the configuration has mistakes", who);
		return;
	}
	pthread_rwlock_wrlock(&s->conf_lock);
	old = s->conf;
	warn_fixed(old, now);
	memcpy(now->namespace, old->namespace, sizeof(now->namespace));
	memcpy(now->server, old->server, sizeof(now->server));
	now->namespace_id = old->namespace_id;
	now->server_id = old->server_id;
	now_text = now->fence_command;
	now->fence_command = old->fence_command;
	old->fence_command = now_text;
	s->conf = now;
	pthread_rwlock_unlock(&s->conf_lock);
	bounds_check(s->bounds, old, now);
	clients_check_keys(s->clients, now);
	watch_apply(s->watch, now);
	metrics_apply(s->metrics);
	listeners_apply(s->listeners, now, false, &e);
	audit_change(source, clock_now(), LOG_LEVEL_INFO, "reload by %s done", who);
	changes_audit(old, now, source, who);
	conf_server_free(old);
	log_info("main", "configuration read again from %s", s->conf_path);
}

static void on_signal(struct engine *l, struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	char from[32], who[80];

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	snprintf(from, sizeof(from), "uid %u", info.ssi_uid);
	snprintf(who, sizeof(who), "uid %u (pid %u) with %s", info.ssi_uid, info.ssi_pid,
		 info.ssi_signo == SIGHUP ? "SIGHUP" : info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	if (info.ssi_signo == SIGHUP) {
		notify("RELOADING=1");
		reload(l->server, from, who);
		notify("READY=1");
		return;
	}
	audit_change(from, clock_now(), LOG_LEVEL_INFO, "end by %s", who);
	log_info("main", "ending on %s", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	l->stop = true;
}

static int watch_signals(struct server *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signals.ready = on_signal;
	if (signals.fd < 0 || engine_add(s->control, &signals, EPOLLIN) < 0)
		return err_sys(e, errno, "cannot take signals");
	return 0;
}

/*
 * Start and end.
 */
static int open_run_dir(struct server *s, const struct options *o, struct err *e)
{
	char path[512];
	int r;

	s->run_dir = opt_run_dir(o->run_dir);
	s->state_dir = state_dir(o->state_dir);
	if (!s->run_dir || !s->state_dir)
		return err_set(e, ENOMEM, "cannot start: no memory");
	r = make_directories(s->run_dir, e);
	if (!r)
		r = make_directories(s->state_dir, e);
	if (!r)
		r = lock_pid_file(s->run_dir, e);	/* held until the process ends */
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/rssrv.log", s->run_dir);
	return log_open(path, s->conf->server, o->foreground, e);
}

static int make_parts(struct server *s, const struct options *o, struct err *e)
{
	const char *memory = getenv("RSIO_TEST_MEMORY");	/* MiB */

	memory_init(&s->memory);
	if (memory)
		s->memory.limit = (size_t)atoi(memory) << 20;
	pthread_rwlock_init(&s->conf_lock, NULL);
	if (make_engines(s, o->loops, e) < 0 || watch_signals(s, e) < 0)
		return -e->code;
	if (!(s->workers = workers_new(e)) || !(s->registry = registry_new(s, e)) ||
	    !(s->clients = clients_new(s, e)) || !(s->others = others_new(s, e)) ||
	    !(s->manage = manage_new(s, e)) || !(s->listeners = listeners_new(s, e)) || !(s->discover = discover_new(s, e)))
		return -e->code;
	return 0;
}

/* What the user that rssrv became cannot do is better said now than found out later. */
static void check_access(const struct server *s, const struct conf_server *conf)
{
	if (access(s->conf_path, R_OK) < 0)
		log_warning("main", "user %d cannot read %s: SIGHUP will have no effect ('chgrp %d' "
			    "and mode 0640 would do)", (int)geteuid(), s->conf_path, (int)getegid());
	for (size_t i = 0; i < conf->pool_count; i++) {
		const char *path = conf->pools[i].path;

		if (access(path, R_OK | W_OK | X_OK) == 0)
			continue;
		log_warning("pool", "%s: user %d cannot use %s: volumes that appear there will not be offered",
			    conf->pools[i].name, (int)geteuid(), path);
		fprintf(stderr, "rssrv: [pool %s]: the user that rssrv runs as cannot use %s: chown it, or set 'user'\n",
			conf->pools[i].name, path);
	}
}

/* In this order: the process that runs fence-command is that user's, but not confined; and
 * no thread runs yet, for each of them would have to do the same. */
static int give_up_rights(struct server *s, struct err *e)
{
	if (drop_root(s->conf->user, s->state_dir, bounds_keep(s->conf), e) < 0)
		return -e->code;
	check_access(s, s->conf);
	if (s->conf->fence_command && fence_command_start(s->conf->fence_command, e) < 0)
		return -e->code;
	return bounds_set(s, e);
}

static int start(struct server *s, const struct options *o, struct err *e)
{
	char path[512];

	raise_limits();
	if (learn_identity(s, e) < 0 || open_run_dir(s, o, e) < 0 || make_parts(s, o, e) < 0)
		return -e->code;
	log_info("main", "rssrv %s starts for namespace %s, server %s, %u loops", RSIO_VERSION,
		 s->conf->namespace, s->conf->server, s->loop_count);
	/* First what is offered, then to whom: nobody shall find an empty server. */
	s->watch = watch_new(s, s->conf, e);
	if (!s->watch || listeners_apply(s->listeners, s->conf, true, e) < 0 ||
	    listeners_watch(s->listeners, e) < 0)
		return -e->code;
	snprintf(path, sizeof(path), "%s/rssrv.sock", s->run_dir);
	ctl = ctl_server_listen(path, (gid_t)-1, status_handle, s, e);
	if (!ctl || give_up_rights(s, e) < 0 || ctl_server_run(ctl, e) < 0)
		return -e->code;
	s->lease_watch = lease_watch_start(s, e);
	if (!s->lease_watch || claims_start(e) < 0)
		return -e->code;
	if (watch_start(s->watch, e) < 0 || start_engines(s, e) < 0)
		return -e->code;
	s->metrics = metrics_start(s, e);
	return s->metrics ? 0 : -e->code;
}

/* No new connection or command; clients hear of it; what is being carried out is
 * answered, for a bounded time. */
static void leave(struct server *s)
{
	struct timespec pause = { 0, 10000000 };
	uint64_t end = clock_now() + LEAVE_TIME * SECOND;

	notify("STOPPING=1");
	metrics_stop(s->metrics);
	atomic_store(&s->leaving, true);
	listeners_close(s->listeners);
	clients_announce_leaving(s->clients);
	clients_leave_all(s->clients);
	while (clients_connected(s->clients) && clock_now() < end)
		nanosleep(&pause, NULL);
	clients_close_all(s->clients, "the server ends");
	watch_stop(s->watch);
	if (!manage_stop(s->manage, 2))
		log_warning("main", "a change of a pool does not end: the next start goes on with it or forgets it");
	if (!workers_stop(s->workers, 1))
		log_warning("main", "a disk does not answer: its requests end with the process");
	for (unsigned i = 0; i < s->loop_count; i++) {
		engine_stop(s->loops[i]);
		pthread_join(s->loops[i]->thread, NULL);
	}
	ctl_server_stop(ctl);
	log_info("main", "ended");
	log_close();
}

/* --status and --clear-flush-error: a question to the rssrv that runs. */
static int ask_running(const struct options *o)
{
	json_t *request = o->clear ? json_pack("{s:s, s:s}", "do", "clear-flush-error", "volume", o->clear) :
				     json_pack("{s:s}", "do", "status");
	char *run_dir = opt_run_dir(o->run_dir), *path = NULL;
	struct err e = { 0 };
	json_t *reply = NULL;

	if (request && run_dir && asprintf(&path, "%s/rssrv.sock", run_dir) >= 0)
		reply = ctl_call(path, "rssrv", request, 10, &e);
	else
		err_set(&e, ENOMEM, "no memory");
	if (!reply)
		err_print("rssrv", &e);
	else if (o->status)
		json_dumpf(reply, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	if (reply && o->status)
		putchar('\n');
	json_decref(request);
	json_decref(reply);
	free(run_dir);
	free(path);
	return reply ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o = { .lines = -1 };
	struct server *s = &server;
	struct err e = { 0 };
	int first;

	close_from(3);		/* a daemon keeps nothing open that its starter had */
	opt_parse(&program, &o, argc, argv, &first);
	set_log_level(o.log_level);
	if (o.status || o.clear)
		return ask_running(&o);
	if (o.log)
		return log_print(o.run_dir, o.lines, o.follow);
	if (o.steps || o.steps_undo)
		return o.steps ? steps_main(o.steps) : steps_undo_main(o.steps_undo);
	s->conf_path = conf_path(o.conf);
	s->conf = s->conf_path ? read_conf(s->conf_path) : NULL;
	if (o.check && s->conf) {
		warn_of_keys(s->conf);
		warn_of_host(s->conf, s->conf_path);
	}
	if (o.check || !s->conf)
		return s->conf ? 0 : 1;
	if (!o.foreground)
		daemon_fork();
	if (start(s, &o, &e) < 0)
		die(&e);
	log_info("main", "ready");
	daemon_ready();
	notify("READY=1");
	engine_run(s->control);
	leave(s);
	return 0;
}
