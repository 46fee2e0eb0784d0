/* client.c - see client.h. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "attribute.h"
#include "change.h"
#include "client.h"
#include "guard.h"
#include "log.h"
#include "text.h"
#include "tree.h"

/* Write data in hand, at most: as much of the machine's memory, within these. */
#define WRITE_SHARE 8
#define WRITE_LEAST ((size_t)192 << 20)
#define WRITE_MOST ((size_t)1 << 30)

/* Configurations. */

struct config *config_new(struct conf_client *conf)
{
	struct config *config = calloc(1, sizeof *config);

	if (!config) {
		conf_client_free(conf);
		return NULL;
	}
	config->conf = conf;
	config->users = 1;
	return config;
}

void config_put(struct config *config)
{
	if (!config || --config->users)
		return;
	conf_client_free(config->conf);
	free(config);
}

/* Start and end. */

static size_t write_limit(void)
{
	const char *test = getenv("RSIO_TEST_WRITE_LIMIT");
	size_t all = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / WRITE_SHARE;

	if (test) {
		log_warning("memory", "this is a test: RSIO_TEST_WRITE_LIMIT is set");
		return strtoul(test, NULL, 10);
	}
	return all < WRITE_LEAST ? WRITE_LEAST : all > WRITE_MOST ? WRITE_MOST : all;
}

/* Block devices belong to this group; so do volumes. */
static gid_t disk_group(void)
{
	struct group *g = geteuid() == 0 ? getgrnam("disk") : NULL;

	return g ? g->gr_gid : getegid();
}

void client_wake(struct client *c)
{
	uint64_t one = 1;
	ssize_t n = write(c->changed, &one, sizeof one);

	(void)n;	/* a full counter wakes as well */
}

int client_init(struct client *c, struct loop *l, const char *run_dir, struct err *e)
{
	memset(c, 0, sizeof *c);
	c->loop = l;
	c->started = loop_clock();
	list_init(&c->members);
	list_init(&c->opens);
	list_init(&c->openings);
	list_init(&c->changes);
	list_init(&c->questions);
	c->admin_gid = (gid_t)-1;
	names_init(&c->names, geteuid(), getegid(), disk_group(), geteuid() == 0 ? 0660 : 0600);
	c->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->run_dir = strdup(run_dir);
	if (c->changed < 0 || !c->run_dir || asprintf(&c->log_path, "%s/rsiod.log", run_dir) < 0 ||
	    io_init(&c->io, l, write_limit()) < 0 || text_add_client(&c->names) < 0) {
		client_fini(c);
		return err_set(e, ENOMEM, "no memory to start with");
	}
	return namespace_identity_init(&c->identity, run_dir, e);
}

void client_fini(struct client *c)
{
	struct list *pos, *keep;

	list_each_safe(pos, keep, &c->opens) {
		struct handle *h = container_of(pos, struct handle, link);

		list_remove(&h->link);
		free(h);
	}
	if (c->io.pool)
		io_fini(&c->io);
	names_fini(&c->names);
	json_decref(c->devices);
	json_decref(c->attributes);
	if (c->changed >= 0)
		close(c->changed);
	free(c->run_dir);
	free(c->mount_dir);
	free(c->log_path);
}

/* Namespaces. */

void client_reown(struct client *c, const struct conf_client *old, const struct conf_client *now)
{
	struct list *pos;

	list_each(pos, &c->members)
		tree_reown(container_of(pos, struct member, link), old, now);
}

static const char *kind_of(const struct mpio *v)
{
	return mpio_is_snapshot(v) ? "snapshot" : "volume";
}

static void added(void *arg, struct namespace *ns, struct mpio *v)
{
	struct member *m = arg;

	tree_add(m, v);
	log_debug(namespace_name(ns), "%s %s is there", kind_of(v), mpio_info(v)->name);
	client_wake(m->client);
}

static void removed(void *arg, struct namespace *ns, struct mpio *v)
{
	struct member *m = arg;

	if (!m->stopping)
		log_bounded(&m->told, loop_now(m->client->loop), LOG_LEVEL_INFO, namespace_name(ns),
			    "%s %s is not offered any more", kind_of(v), mpio_info(v)->name);
	tree_remove(m, v);
	client_wake(m->client);
}

static void resized(void *arg, struct namespace *ns, struct mpio *v)
{
	struct node *node = mpio_tag(v);
	struct member *m = arg;

	if (node && node->size != mpio_info(v)->size)
		log_bounded(&m->told, loop_now(m->client->loop), LOG_LEVEL_INFO, namespace_name(ns),
			    "volume %s has %llu bytes now", mpio_info(v)->name, (unsigned long long)mpio_info(v)->size);
	else
		log_bounded(&m->told, loop_now(m->client->loop), LOG_LEVEL_INFO, namespace_name(ns),
			    "volume %s can be %s now", mpio_info(v)->name,
			    mpio_info(v)->flags & WIRE_FLAG_READ_ONLY ? "read only" : "written to");
	tree_resize(m, v);
	client_wake(m->client);
}

static void changed(void *arg, struct namespace *ns)
{
	struct member *m = arg;

	(void)ns;
	client_wake(m->client);
}

static const struct namespace_ops ops = {
	.added = added, .removed = removed, .resized = resized, .changed = changed,
};

int client_start(struct client *c, struct config *config, size_t n, struct err *e)
{
	const char *name = config->conf->namespaces[n].name;
	struct member *m = c->ending ? NULL : calloc(1, sizeof *m);

	if (c->ending)
		return err_set(e, ESHUTDOWN, "namespace %s is not started: the end has come", name);
	if (!m)
		return err_set(e, ENOMEM, "no memory for namespace %s", name);
	m->client = c;
	m->config = config;
	m->n = n;
	m->ns = namespace_new(c->loop, config->conf, n, &c->identity, &ops, m, e);
	if (!m->ns) {
		free(m);
		return -e->code;
	}
	if (tree_add_namespace(m, name) < 0) {
		namespace_free(m->ns);
		free(m);
		return err_set(e, ENOMEM, "no memory for namespace %s", name);
	}
	config->users++;
	list_append(&c->members, &m->link);
	return 0;
}

/* Whoever has it open keeps the file, not the volume. */
static void cut(struct handle *h)
{
	mpio_put(h->volume);
	h->volume = NULL;
	h->ns = NULL;
}

static void close_volumes(struct client *c, struct namespace *ns)
{
	struct list *pos;

	list_each(pos, &c->opens) {
		struct handle *h = container_of(pos, struct handle, link);

		if (h->ns != ns || !h->volume)
			continue;
		if (h->device)
			log_warning("attach", "the device of %s:%s gives errors only from now on: attach it again",
				    namespace_name(ns), mpio_info(h->volume)->name);
		cut(h);
	}
}

static void member_stopped(void *arg)
{
	struct member *m = arg;
	struct client *c = m->client;
	void (*stopped)(void *arg) = m->stopped;
	void *stopped_arg = m->stopped_arg;

	close_volumes(c, m->ns);
	change_end(c, m);
	attribute_end(c, m->ns);
	namespace_free(m->ns);
	names_remove(&c->names, m->dir);
	list_remove(&m->link);
	config_put(m->config);
	free(m);
	client_wake(c);
	if (stopped)
		stopped(stopped_arg);
}

void client_stop(struct client *c, struct member *m, void (*stopped)(void *arg), void *arg)
{
	(void)c;
	if (m->stopping)
		return;
	m->stopping = true;
	m->stopped = stopped;
	m->stopped_arg = arg;
	namespace_stop(m->ns, member_stopped, m);
}

struct member *client_member(const struct client *c, const char *name)
{
	struct list *pos;

	list_each(pos, &c->members) {
		struct member *m = container_of(pos, struct member, link);

		if (!m->stopping && strcmp(namespace_name(m->ns), name) == 0)
			return m;
	}
	return NULL;
}

void client_flush(struct client *c)
{
	struct list *pos;

	list_each(pos, &c->members)
		namespace_flush(container_of(pos, struct member, link)->ns);
}

void client_kick(struct client *c)
{
	struct list *pos;

	list_each(pos, &c->members)
		namespace_kick(container_of(pos, struct member, link)->ns);
}

struct mpio *client_volume(const struct client *c, const char *namespace, const char *volume)
{
	struct member *m = client_member(c, namespace);
	struct mpio *v = m ? namespace_volume(m->ns, volume) : NULL;
	struct list *pos;

	if (v)
		return v;
	list_each(pos, &c->opens) {
		v = container_of(pos, struct handle, link)->volume;
		if (v && strcmp(mpio_namespace(v), namespace) == 0 && strcmp(mpio_info(v)->name, volume) == 0)
			return v;
	}
	return NULL;
}

void client_mark_device(struct client *c, pid_t opener)
{
	struct list *pos;

	list_each(pos, &c->opens) {
		struct handle *h = container_of(pos, struct handle, link);

		h->device = h->device || h->opener == opener;
	}
	/* From now on dirty memory waits for us. */
	if (!guard_reclaims())
		io_fix(&c->io);
}

void client_cut_device(struct client *c, const char *namespace, const char *volume)
{
	struct list *pos;

	list_each(pos, &c->opens) {
		struct handle *h = container_of(pos, struct handle, link);

		if (h->device && h->volume && strcmp(mpio_namespace(h->volume), namespace) == 0 &&
		    strcmp(mpio_info(h->volume)->name, volume) == 0)
			cut(h);
	}
}

bool client_device_is_cut(const struct client *c, const char *namespace, const char *volume)
{
	const struct member *m = client_member(c, namespace);
	const struct node *node = m ? tree_find(m, volume) : NULL;
	struct list *pos;

	if (!node)
		return false;
	list_each(pos, &c->opens) {
		const struct handle *h = container_of(pos, struct handle, link);

		/* Its node left the tree with the namespace; the one that came for it has the same number. */
		if (h->device && !h->volume && h->node != node && h->node->ino == node->ino)
			return true;
	}
	return false;
}

void client_each_volume(struct client *c, void (*fn)(void *arg, struct mpio *v), void *arg)
{
	struct list *pos;

	list_each(pos, &c->members)
		namespace_each_volume(container_of(pos, struct member, link)->ns, fn, arg);
}

/* State. */

json_t *client_servers(struct client *c)
{
	json_t *list = json_array();
	struct list *pos;

	list_each(pos, &c->members)
		json_array_append_new(list, namespace_servers(container_of(pos, struct member, link)->ns));
	return list;
}
