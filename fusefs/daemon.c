/* daemon.c - see daemon.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "bounds.h"
#include "control.h"
#include "daemon.h"
#include "guard.h"
#include "helper_work.h"
#include "log.h"
#include "opening.h"
#include "reload.h"
#include "rundir.h"
#include "startup.h"

/* A second SIGTERM within so long (seconds) of a refused one unmounts all the same. */
#define INSIST 10
/* What changes often is looked at so seldom (ms). */
#define LOOK_EVERY 200
/* And so often what nobody tells a change of, while there is such a thing (ms). */
#define ASK_EVERY 5000

static gid_t admin_gid(const struct conf_client *conf)
{
	struct group *g = conf->admin_group ? getgrnam(conf->admin_group) : NULL;

	if (conf->admin_group && !g)
		log_warning("control", "there is no group %s (admin-group)", conf->admin_group);
	return g ? g->gr_gid : (gid_t)-1;
}

/* The loop's thread. */

static void after_round(void *arg)
{
	struct client *c = arg;

	client_flush(c);
	loop_expect(c->loop, c->lingers ? c->io.counts.requests : 0);
}

static void *run_loop(void *arg)
{
	struct daemon *d = arg;

	pthread_setname_np(pthread_self(), "rsiod-loop");
	loop_run(d->loop, after_round, &d->client);
	return NULL;
}

static int start_loop(struct daemon *d, struct err *e)
{
	int r = pthread_create(&d->thread, NULL, run_loop, d);

	if (r)
		return err_sys(e, r, "no thread for the loop");
	d->running = true;
	return 0;
}

struct call {
	struct daemon *daemon;
	struct err *err;
	int result;
};

/* One loop serves all namespaces: it polls as long as the longest wants. */
static void set_poll(struct daemon *d)
{
	const struct conf_client *conf = d->config->conf;
	double poll = 0;

	d->client.lingers = false;
	for (size_t i = 0; i < conf->namespace_count; i++) {
		if (conf->namespaces[i].behaviour.poll == CONF_POLL_AUTO)
			d->client.lingers = true;
		if (conf->namespaces[i].behaviour.poll > poll)
			poll = conf->namespaces[i].behaviour.poll;
	}
	loop_set_poll(d->loop, (uint64_t)(poll * 1e9));
}

static void start_namespaces(void *arg)
{
	struct call *c = arg;
	struct daemon *d = c->daemon;

	d->client.newest = d->config;
	for (size_t i = 0; i < d->config->conf->namespace_count && c->result == 0; i++)
		c->result = client_start(&d->client, d->config, i, c->err);
	set_poll(d);
	if (doorbell_start(&d->doorbell, &d->client) < 0)
		log_warning("network", "changes of links and addresses are not noticed at once");
}

/* The mount. */

static void mount_gone(struct mount *m)
{
	struct daemon *d = container_of(m, struct daemon, mount);
	uint64_t one = 1;
	ssize_t n = write(d->end, &one, sizeof one);

	(void)n;
}

static int clear_place(const char *dir, struct err *e)
{
	switch (mount_look(dir, e)) {
	case MOUNT_TAKEN:
		return -EBUSY;
	case MOUNT_STALE:
		log_warning("mount", "%s was left by an rsiod that is gone: it is taken away", dir);
		return helper_clear(dir, e);
	default:
		return 0;
	}
}

static void receive(void *arg)
{
	struct call *c = arg;
	struct daemon *d = c->daemon;

	d->client.mount = &d->mount;
	c->result = mount_receive(&d->mount);
}

static int open_mount(struct daemon *d, struct err *e)
{
	struct call c = { .daemon = d };

	d->mount.gone = mount_gone;
	if (mount_open(&d->mount, &d->client, d->helper, d->config->conf->allow_other, e) < 0)
		return -e->code;
	pthread_mutex_lock(&d->lock);
	d->unmounted = false;
	pthread_mutex_unlock(&d->lock);
	if (helper_mounted(d->helper, d->client.mount_dir, d->mount.made, e) < 0)
		return -e->code;
	loop_call(d->loop, receive, &c);
	return c.result < 0 ? err_sys(e, -c.result, "/dev/fuse") : 0;
}

int daemon_unmount(struct daemon *d, bool lazy, struct err *e)
{
	json_t *j;
	bool done;

	pthread_mutex_lock(&d->lock);
	if (!d->unmounted) {
		j = helper_call(d->helper, json_pack("{s:s, s:s, s:b, s:b}", "do", "stop", "dir",
						     d->client.mount_dir, "lazy", (int)lazy,
						     "made", (int)(d->mount.made && geteuid() == 0)), e);
		d->unmounted = j != NULL;
		json_decref(j);
		if (d->unmounted)
			mount_gone(&d->mount);
	}
	done = d->unmounted;
	pthread_mutex_unlock(&d->lock);
	return done ? 0 : -e->code;
}

/* Reload. */

static void apply(void *arg)
{
	struct call *c = arg;
	struct daemon *d = c->daemon;
	struct config *old = d->client.newest;

	d->client.newest = d->config;
	client_reown(&d->client, old->conf, d->config->conf);
	reload_apply(&d->client, d->config);
	set_poll(d);
	config_put(old);
}

static int read_again(struct daemon *d, struct err *e)
{
	struct conf_report report = { 0 };
	struct conf_client *conf = conf_client_read(d->config_path, (gid_t)-1, &report);
	int r = 0;

	for (size_t i = 0; i < report.count; i++)
		log_line(conf ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "reload", "%s", report.lines[i]);
	if (!conf) {
		r = err_set(e, EINVAL, "%s", report.count ? report.lines[0] : "the configuration cannot be read");
		err_next(e, "nothing was changed; there %s, rsiod --check -c %s shows all",
			 report.count > 1 ? "are more mistakes" : "is no other mistake", d->config_path);
	}
	conf_report_free(&report);
	if (!conf)
		return r;
	if (conf->mount && strcmp(conf->mount, d->client.mount_dir) != 0 && !d->options->mount)
		log_warning("reload", "another mount takes effect when rsiod is started again");
	if (conf->allow_other != d->client.newest->conf->allow_other)
		log_warning("reload", "another allow-other takes effect when rsiod is started again");
	d->config = config_new(conf);
	return d->config ? 0 : err_set(e, ENOMEM, "no memory for the configuration");
}

int daemon_reload(struct daemon *d, struct err *e)
{
	struct call c = { .daemon = d };
	struct config *old;
	int r;

	pthread_mutex_lock(&d->lock);
	old = d->config;
	r = read_again(d, e);
	if (r < 0) {
		d->config = old;
		log_error("reload", "nothing was changed");
	} else {
		log_info("reload", "%s was read again", d->config_path);
		loop_call(d->loop, apply, &c);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* The main thread's life. */

static bool stop_asked(struct daemon *d, double *asked)
{
	double now = (double)loop_clock() / 1e9;
	bool insist = *asked > 0 && now - *asked < INSIST;
	struct err e = { 0 };

	if (daemon_unmount(d, insist, &e) == 0) {
		if (insist)
			log_warning("mount", "%s was unmounted though it is in use", d->client.mount_dir);
		return true;
	}
	*asked = now;
	log_error("mount", "%s", e.text);
	log_error("mount", "it stays until that has ended; a second SIGTERM within %d s unmounts it all the same", INSIST);
	return false;
}

/* True: the end. */
static bool handle_signal(struct daemon *d, int fd, double *asked)
{
	struct signalfd_siginfo info;
	struct err e = { 0 };

	if (read(fd, &info, sizeof info) != sizeof info)
		return false;
	if (info.ssi_signo == SIGCHLD) {
		helper_reap(d->helper);
		return false;
	}
	if (info.ssi_signo == SIGHUP) {
		daemon_reload(d, &e);
		return false;
	}
	return stop_asked(d, asked);
}

/* True: look again after a while, though nothing says that something changed. */
static bool look(struct daemon *d)
{
	uint64_t n;

	(void)!read(d->client.changed, &n, sizeof n);
	return geteuid() == 0 && devices_look(&d->devices);
}

static void live(struct daemon *d, int signals)
{
	struct pollfd p[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = d->end, .events = POLLIN },
		{ .fd = d->client.changed, .events = POLLIN },
	};
	uint64_t next = 0, ask = 0, now;
	double asked = 0;

	for (;;) {
		int wait = -1;

		/* Changes come in swarms: the next look is not before LOOK_EVERY. */
		now = loop_clock();
		p[2].events = now >= next ? POLLIN : 0;
		if (now < next || ask)
			wait = (int)(((now < next ? next : ask > now ? ask : now) - now) / 1000000) + 1;
		if (poll(p, 3, wait) < 0 && errno != EINTR)
			break;
		if (p[0].revents && handle_signal(d, signals, &asked))
			break;
		if (p[1].revents)
			break;
		now = loop_clock();
		if (p[2].revents & POLLIN || (ask && now >= ask)) {
			bool again = look(d);

			now = loop_clock();
			next = now + LOOK_EVERY * UINT64_C(1000000);
			ask = again ? now + ASK_EVERY * UINT64_C(1000000) : 0;
		}
	}
}

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Whoever started us may go on. */
static void say_ready(struct daemon *d)
{
	unsigned char status = 0;
	int null;

	log_info("start", "rsiod %s, pid %d, mounted at %s", RSIO_VERSION, (int)getpid(), d->client.mount_dir);
	startup_notify();
	if (d->ready < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	if (write(d->ready, &status, 1) < 0)
		log_debug("start", "nobody waits for us");
	close(d->ready);
	d->ready = -1;
}

/* The end. */

static void stop_namespaces(void *arg)
{
	struct call *c = arg;
	struct client *client = &c->daemon->client;
	struct list *pos, *keep;

	client->ending = true;
	doorbell_stop(&c->daemon->doorbell);
	mount_ignore(&c->daemon->mount);
	opening_end(client);
	list_each_safe(pos, keep, &client->members)
		client_stop(client, container_of(pos, struct member, link), NULL, NULL);
}

enum { GOODBYES = 1, A_TEXT = 2 };	/* what the loop still has to do */

static void see_whats_left(void *arg)
{
	struct call *c = arg;

	c->result = (list_empty(&c->daemon->client.members) ? 0 : GOODBYES) |
		    (opening_busy(&c->daemon->client) ? A_TEXT : 0);
}

/* Goodbyes are bounded (namespace.h); this is longer.  What is made for a status file asks the
 * loop: it must run on until that is done, which is a matter of the processor alone. */
static void stop_loop(struct daemon *d)
{
	struct call c = { .daemon = d };
	uint64_t end = loop_clock() + UINT64_C(3000000000);
	struct pollfd p = { .fd = d->client.changed, .events = POLLIN };
	uint64_t n;

	loop_call(d->loop, stop_namespaces, &c);
	for (;;) {
		loop_call(d->loop, see_whats_left, &c);
		if (!c.result || (!(c.result & A_TEXT) && loop_clock() >= end))
			break;
		if (poll(&p, 1, 100) > 0)
			(void)!read(p.fd, &n, sizeof n);
	}
	loop_stop(d->loop);
	pthread_join(d->thread, NULL);
	d->running = false;
}

static void finish(struct daemon *d)
{
	ctl_server_stop(d->ctl);
	if (d->running)
		stop_loop(d);
	if (d->mount.client)
		mount_close(&d->mount);
	if (d->helper && d->unmounted)
		helper_mounted(d->helper, NULL, 0, NULL);
	helper_stop(d->helper);
	devices_fini(&d->devices);
	drill_fini(&d->drill);
	if (d->loop) {
		client_fini(&d->client);
		loop_free(d->loop);
	}
	rundir_unlock(d->run_dir, d->pid_fd);
	log_info("start", "rsiod ends");
	log_close();
}

/* The start, in the order that matters: the helper before threads and before the mount;
 * rights are given up before threads, too. */

/* It says what the tree does: who does not see that does not see this. */
static int show_log(const char *path, const struct conf_client *conf, struct err *e)
{
	gid_t admins = admin_gid(conf);
	bool all = conf->allow_other || geteuid() != 0;

	if (chown(path, (uid_t)-1, all ? (gid_t)-1 : admins != (gid_t)-1 ? admins : 0) < 0 ||
	    chmod(path, all ? 0644 : admins != (gid_t)-1 ? 0640 : 0600) < 0)
		return err_sys(e, errno, "%s", path);
	return 0;
}

static int open_log(struct daemon *d, const struct conf_client *conf, struct err *e)
{
	char *path = rundir_path(d->run_dir, "rsiod.log");
	int r;

	if (!path)
		return err_set(e, ENOMEM, "no memory to start with");
	log_set_level(d->options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	r = log_open(path, conf->namespace_count ? conf->namespaces[0].nodename : "rsiod",
		     d->options->foreground, e);
	if (!r)
		r = show_log(path, conf, e);
	free(path);
	return r;
}

static int prepare(struct daemon *d, const char *mount_dir, struct err *e)
{
	if (clear_place(mount_dir, e) < 0)
		return -e->code;
	d->helper = helper_start(!d->options->foreground, e);
	if (!d->helper)
		return -e->code;
	guard_reclaim();
	d->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->loop = loop_new();
	if (d->end < 0 || !d->loop)
		return err_sys(e, errno, "no loop");
	if (client_init(&d->client, d->loop, d->run_dir, e) < 0)
		return -e->code;
	d->client.mount_dir = strdup(mount_dir);
	d->client.admin_gid = admin_gid(d->config->conf);
	d->private = geteuid() == 0 && !d->config->conf->allow_other;
	d->client.manage = d->options->manage;
	drill_init(&d->drill, &d->client);
	works_init(&d->works, &d->client, d->helper);
	if (!d->client.mount_dir || devices_init(&d->devices, &d->client, d->helper) < 0)
		return err_set(e, ENOMEM, "no memory to start with");
	guard_memory();
	if (bounds_set(&d->client.confinement, d->run_dir, d->config->conf, e) < 0)
		return -e->code;
	return start_loop(d, e);
}

static int go(struct daemon *d, struct err *e)
{
	struct call c = { .daemon = d, .err = e };
	char *socket = rundir_path(d->run_dir, "rsiod.sock");
	int status;

	loop_call(d->loop, start_namespaces, &c);
	if (c.result < 0 || !socket) {
		free(socket);
		return 1;
	}
	status = d->options->no_wait ? 0 : startup_wait(d);
	if (status == 0 && open_mount(d, e) < 0)
		status = 1;
	if (status == 0) {
		d->ctl = ctl_server_start(socket, d->client.admin_gid, control_handle, d, e);
		status = d->ctl ? 0 : 1;
	}
	free(socket);
	return status;
}

static int run(struct daemon *d, const char *mount_dir)
{
	struct err e = { 0 };
	int signals = block_signals(), status = 1;	/* threads inherit it */

	if (prepare(d, mount_dir, &e) == 0) {
		status = go(d, &e);
		if (status == 0) {
			client_wake(&d->client);
			look(d);
			client_wake(&d->client);	/* whether that has to be repeated, live() learns by its own look */
			say_ready(d);
			live(d, signals);
		}
	}
	if (e.code) {
		err_print("rsiod", &e);
		log_error("start", "%s", e.text);
	}
	daemon_unmount(d, true, &e);
	finish(d);
	return status;
}

int daemon_run(const struct daemon_options *o, const char *config_path, struct conf_client *conf,
	       const char *run_dir, const char *mount_dir, int ready)
{
	struct daemon *d = calloc(1, sizeof *d);
	struct err e = { 0 };
	int status = 1;

	if (!d) {
		conf_client_free(conf);
		return 1;
	}
	d->options = o;
	d->ready = ready;
	d->config_path = strdup(config_path);
	d->run_dir = strdup(run_dir);
	d->unmounted = true;	/* nothing is mounted yet */
	pthread_mutex_init(&d->lock, NULL);
	d->config = config_new(conf);
	if (!d->config || !d->config_path || !d->run_dir)
		err_set(&e, ENOMEM, "no memory to start with");
	else if ((d->pid_fd = rundir_lock(d->run_dir, &e)) >= 0 && open_log(d, conf, &e) == 0)
		status = run(d, mount_dir);
	if (e.code)
		err_print("rsiod", &e);
	config_put(d->config);
	free(d->config_path);
	free(d->run_dir);
	free(d);
	return status;
}
