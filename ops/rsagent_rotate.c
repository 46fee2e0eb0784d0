/*
 * rsagent_rotate.c - rsagent key rotate: this host's key in a namespace becomes another one, on its
 * servers and here, while it goes on working.
 *
 * THE ORDER is what keeps both sides able to log in wherever it ends:
 *   1. The new key is kept in a file here, so that it can be gone on with.
 *   2. Each server gets it beside the old one, and says that it has read it.
 *   3. It is tried from here, at every portal of the namespace: a server that was forgotten is found
 *      while nothing depends on it.
 *   4. The client's file gets it, and rsiod reads it.  Both keys open every server.
 *   5. Each server loses the old one, once no connection uses that any more.
 *   6. The file of step 1 goes.
 * Done again after any of these, it goes on from there: what each side has says where it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "ctl.h"
#include "log.h"
#include "probe.h"
#include "rsagent_server.h"
#include "secure.h"

#define WAIT 60.0		/* seconds for the old key's last connection */
#define PROBE_LIMIT 20.0
#define RELOAD_LIMIT 15.0

struct options {
	struct rsagent_remote remote;
	const char *run_dir, *client, *client_run_dir, *namespace;
	double wait;
};

static const struct opt table[] = {
	{ 0, "namespace", OPT_STRING, "NAME", offsetof(struct options, namespace),
	  "whose key, where the client has several", 0, 0 },
	{ 0, "config", OPT_STRING, "FILE", offsetof(struct options, client),
	  "this client's configuration (/etc/rscltcfg)", 0, 0 },
	{ 0, "run-dir", OPT_STRING, "DIR", offsetof(struct options, client_run_dir),
	  "where rsiod keeps its socket", 0, 0 },
	{ 0, "wait", OPT_DURATION, "TIME", offsetof(struct options, wait),
	  "so long for connections that use the old key (60s)", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

/* In memory of its own, wiped at the end; the children have it by the fork. */
struct rotation {
	const struct options *o;
	char *path;			/* the client's file */
	char *kept;			/* the file of the new key */
	char namespace[CONF_NAME_MAX + 1], node[CONF_NAME_MAX + 1];
	struct rsagent_key_text new;
	struct conf_key old_key, new_key;
	bool switched;			/* the client's file has the new one */
};

static int key_of(const char *text, struct conf_key *k, struct err *e)
{
	return secure_key_from_text(text, k->bytes) ? err_set(e, EINVAL, "a key is empty") : 0;
}

/* Step 1. */

static int keep(struct rotation *x, struct err *e)
{
	int fd, r = rsagent_key_make(&x->new, e);

	if (r)
		return r;
	fd = open(x->kept, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", x->kept);
	if (dprintf(fd, "%s\n", x->new.text) < 0 || fsync(fd))
		r = err_sys(e, errno, "cannot write %s", x->kept);
	close(fd);
	if (r)
		unlink(x->kept);
	return r;
}

static int new_key(struct rotation *x, struct err *e)
{
	struct stat st;
	int r;

	/* One without a key was made by somebody who was killed before he wrote it. */
	if (stat(x->kept, &st) == 0 && st.st_size == 0)
		unlink(x->kept);
	if (stat(x->kept, &st) && errno == ENOENT)
		r = keep(x, e);
	else
		r = rsagent_key_read(x->kept, &x->new, e);
	if (!r)
		r = key_of(x->new.text, &x->new_key, e);
	x->switched = !r && conf_same_key(&x->old_key, &x->new_key);
	return r;
}

/* What the client's file says of its namespace. */
static int look_here(struct rotation *x, struct conf_text *t, struct err *e)
{
	struct conf_place at = { "namespace", x->namespace, NULL };
	char *key;
	int r = 0;

	if (x->o->namespace)
		snprintf(x->namespace, sizeof(x->namespace), "%s", x->o->namespace);
	else if (!conf_text_only_namespace(t, x->namespace))
		return err_set(e, EINVAL, "%s has none or several namespaces: --namespace NAME says which", x->path);
	if (conf_text_get(t, &at, "nodename", x->node, sizeof(x->node)) < 0)
		return err_set(e, ENOENT, "%s has no namespace %s with a nodename", x->path, x->namespace);
	key = secure_alloc(CONF_KEY_TEXT);
	if (!key)
		return err_set(e, ENOMEM, "no memory");
	if (conf_text_get(t, &at, "nodekey", key, CONF_KEY_TEXT) < 0)
		r = err_set(e, ENOENT, "%s has no nodekey for %s", x->path, x->namespace);
	else if (*key == '@')
		r = err_set(e, ENOTSUP, "the nodekey of %s is not in %s itself: it is changed by hand, see rsagent(8)", x->namespace,
			    x->path);
	else
		r = key_of(key, &x->old_key, e);
	secure_free(key);
	return r;
}

static int begin(struct rotation *x, struct err *e)
{
	struct conf_text *t;
	int r;

	x->path = x->o->client ? strdup(x->o->client) : conf_client_default_path();
	t = x->path ? conf_text_open(CONF_FILE_CLIENT, x->path, false, e) : NULL;
	if (!t)
		return -e->code;
	r = look_here(x, t, e);
	conf_text_free(t);
	if (!r && asprintf(&x->kept, "%s.new-key-%s", x->path, x->namespace) < 0)
		r = err_set(e, ENOMEM, "no memory");
	return r ? r : new_key(x, e);
}

/* Step 2, on a host. */

enum has { HAS_NEITHER, HAS_OLD, HAS_BOTH, HAS_NEW, HAS_OTHERS };

static enum has what_has(const struct rotation *x, const struct conf_allowed *a)
{
	bool second = a->second.line > 0;

	if (conf_same_key(&a->key, &x->new_key))
		return second ? HAS_OTHERS : HAS_NEW;
	if (second && conf_same_key(&a->second, &x->new_key))
		return HAS_BOTH;
	if (!second && conf_same_key(&a->key, &x->old_key))
		return HAS_OLD;
	return second ? HAS_OTHERS : HAS_NEITHER;
}

static int look_there(const struct rotation *x, const struct rsagent_server_conf *c, enum has *has, struct err *e)
{
	struct conf_report report;
	struct conf_server *s;
	const char *bytes;
	size_t size;

	bytes = conf_text_bytes(c->text, &size);
	s = conf_server_parse(c->path, bytes, size, &report);
	conf_report_free(&report);
	if (!s)
		return err_set(e, EINVAL, "%s there has mistakes", c->path);
	*has = HAS_NEITHER;
	for (size_t i = 0; i < s->client_count; i++)
		if (strcmp(s->clients[i].name, x->node) == 0)
			*has = what_has(x, &s->clients[i]);
	if (strcmp(s->namespace, x->namespace) != 0)
		err_set(e, EINVAL, "it is a server of the namespace %s, not of %s", s->namespace, x->namespace);
	else
		e->code = 0;
	conf_server_free(s);
	return -e->code;
}

static int odd(const struct rotation *x, enum has has, struct err *e)
{
	if (has == HAS_NEITHER) {
		err_set(e, EKEYREJECTED, "%s has another key there than here", x->node);
		err_next(e, "'rsagent key --from FILE --server FILE --node %s' on that host mends it", x->node);
	} else {
		err_set(e, EEXIST, "%s has a second key there that is not this one", x->node);
		err_next(e, "go on with the rotation that put it there, or take one of the two away with 'rsagent config --edit'");
	}
	return -e->code;
}

static int give(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	const struct rotation *x = t->arg;
	enum has has;
	int ret = look_there(x, c, &has, e);

	if (ret || has == HAS_BOTH || has == HAS_NEW)
		return ret;
	if (has != HAS_OLD)
		return odd(x, has, e);
	rsagent_progress(t, "gives %s a second key", x->node);
	ret = conf_text_client(c->text, CONF_CLIENT_SECOND, x->node, x->new.text, e);
	return ret ? ret : rsagent_server_conf_save(r, x->o->run_dir, c, false, e);
}

static int give_key(struct rsagent_task *t, struct err *e)
{
	return rsagent_server_conf(t, give, e);
}

/* Step 3. */

/* A portal that let nobody in: no interface reached it with the new key. */
static int judge(const struct probe_result *result, struct err *e)
{
	for (size_t i = 0; i < result->count; i++) {
		const struct probe_pair *p = &result->pairs[i];
		bool in = false;

		for (size_t k = 0; k < result->count; k++)
			in |= strcmp(result->pairs[k].portal, p->portal) == 0 && result->pairs[k].state >= PROBE_IN;
		if (in)
			continue;
		err_set(e, EACCES, "the new key was not taken at the portal %s (%s): %.200s", p->portal, p->address, p->why);
		err_next(e, "nothing here was changed, and both keys are good; do it again with all servers of the namespace, when they run");
		return -EACCES;
	}
	return 0;
}

static int probe(const struct conf_client *conf, const char *namespace, struct err *e)
{
	struct probe_wish w = { .conf = conf, .limit = PROBE_LIMIT };
	struct probe_result result = { .count = 0 };
	int r;

	while (w.namespace < conf->namespace_count && strcmp(conf->namespaces[w.namespace].name, namespace) != 0)
		w.namespace++;
	/* What its paths log is in the result, in words. */
	log_set_level(LOG_LEVEL_ERROR);
	r = probe_run(&w, &result, e);
	if (!r)
		r = judge(&result, e);
	probe_result_free(&result);
	return r;
}

static int try_key(const struct rotation *x, const struct conf_text *t, struct err *e)
{
	struct conf_report report;
	const char *bytes;
	struct conf_client *conf;
	size_t size;
	int r;

	bytes = conf_text_bytes(t, &size);
	conf = conf_client_parse(x->path, bytes, size, &report);
	conf_report_free(&report);
	if (!conf)
		return err_set(e, EINVAL, "%s has mistakes", x->path);
	r = probe(conf, x->namespace, e);
	conf_client_free(conf);
	return r;
}

/* Step 4. */

/* *runs: somebody had to be told. */
static int reload_client(const struct rotation *x, bool *runs, struct err *e)
{
	json_t *request = json_pack("{s:s}", "do", "reload"), *reply = NULL;
	char *dir = opt_run_dir(x->o->client_run_dir), *path = NULL;

	if (dir && asprintf(&path, "%s/rsiod.sock", dir) >= 0)
		reply = ctl_call(path, "rsiod", request, RELOAD_LIMIT, e);
	else
		err_set(e, ENOMEM, "no memory");
	*runs = reply != NULL;
	json_decref(request);
	json_decref(reply);
	free(path);
	free(dir);
	return reply || e->code == ENOENT || e->code == ECONNREFUSED ? 0 : -e->code;
}

static int change_here(struct rotation *x, bool *runs, struct err *e)
{
	struct conf_text *t = conf_text_open(CONF_FILE_CLIENT, x->path, false, e);
	struct conf_place at = { "namespace", x->namespace, NULL };
	struct conf_report report = { .count = 0 };
	int r;

	if (!t)
		return -e->code;
	r = conf_text_set(t, &at, "nodekey", x->new.text, e);
	if (!r)
		r = try_key(x, t, e);
	if (!r)
		r = conf_text_save(t, false, &report, e);
	conf_report_free(&report);
	conf_text_free(t);
	return r ? r : reload_client(x, runs, e);
}

/* Step 5, on a host. */

/* How many connections of the node use its first key. */
static int with_first(const json_t *status, const char *node)
{
	const json_t *session, *c;
	size_t i, k;
	int n = 0;

	json_array_foreach(json_object_get(status, "sessions"), i, session) {
		const char *name = json_string_value(json_object_get(session, "node"));

		if (!name || strcmp(name, node) != 0)
			continue;
		json_array_foreach(json_object_get(session, "connections"), k, c) {
			const char *key = json_string_value(json_object_get(c, "key"));

			n += key && strcmp(key, "first") == 0;
		}
	}
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int until_unused(struct rsagent_task *t, struct remote *r, struct err *e)
{
	const struct rotation *x = t->arg;
	double end = now() + (x->o->wait > 0 ? x->o->wait : WAIT);
	const struct timespec pause = { 0, 300000000 };
	double said = 0;
	int before = -1;

	for (;;) {
		json_t *status = rsagent_server_status(r, x->o->run_dir, e);
		int n = status ? with_first(status, x->node) : 0;

		json_decref(status);
		if (!status)
			return -e->code;
		if (!n)
			return 0;
		if (now() > end) {
			err_set(e, EBUSY, "%d connections of %s still use the old key", n, x->node);
			err_next(e, "both keys are good; do it again when rsiod has read its configuration");
			return -EBUSY;
		}
		if (n != before || now() > said + 5) {
			rsagent_progress(t, "%d connections still use the old key", n);
			said = now();
		}
		before = n;
		nanosleep(&pause, NULL);
	}
}

static int take(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	const struct rotation *x = t->arg;
	enum has has;
	int ret = look_there(x, c, &has, e);

	if (!ret && has != HAS_BOTH && has != HAS_NEW)
		ret = odd(x, has, e);
	if (!ret && has == HAS_BOTH)
		ret = until_unused(t, r, e);
	if (!ret && has == HAS_BOTH) {
		rsagent_progress(t, "takes the old key of %s away", x->node);
		ret = conf_text_client(c->text, CONF_CLIENT_DROP_FIRST, x->node, NULL, e);
		if (!ret)
			ret = rsagent_server_conf_save(r, x->o->run_dir, c, false, e);
	}
	if (!ret)
		json_object_set_new(t->result, "text", json_sprintf("%s has the new key only", x->node));
	return ret;
}

static int take_key(struct rsagent_task *t, struct err *e)
{
	return rsagent_server_conf(t, take, e);
}

static int step(struct rotation *x, const struct rsagent_hosts *hosts, bool last, struct err *e)
{
	struct rsagent_many m = { .run = last ? take_key : give_key, .step = !last, .arg = x };

	return rsagent_many(&m, &x->o->remote, hosts, e) ? -EIO : 0;
}

static void say(const struct rotation *x, const char *text)
{
	if (!x->o->remote.quiet)
		fprintf(stderr, "%s\n", text);
}

static int rotate(struct rotation *x, const struct rsagent_hosts *hosts, struct err *e)
{
	bool runs = false;
	int r = begin(x, e);

	if (!r)
		r = step(x, hosts, false, e);
	if (!r) {
		say(x, x->switched ? "this client has the new key already" : "trying the new key at every portal");
		r = change_here(x, &runs, e);
	}
	if (!r) {
		say(x, runs ? "this client uses the new key" : "this client's configuration has the new key; rsiod does not run");
		r = step(x, hosts, true, e);
	}
	if (!r && unlink(x->kept) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", x->kept);
	return r;
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct rsagent_hosts hosts;
	struct rotation *x;
	int r = rsagent_hosts_find(&o->remote, count, words, &hosts, e);

	if (r)
		return r == -EINVAL ? RSAGENT_USAGE : 1;
	x = secure_alloc(sizeof(*x));
	if (!x)
		abort();
	x->o = o;
	r = rotate(x, &hosts, e);
	free(x->path);
	free(x->kept);
	secure_free(x);
	rsagent_hosts_free(&hosts);
	return r ? 1 : 0;
}

const struct rsagent_command rsagent_key_rotate = {
	.program = {
		.name = "rsagent key rotate",
		.synopsis = "[--namespace NAME] [options] HOST...",
		.about = "Gives this client a new key, on all servers of its namespace and here, while it\n"
			 "goes on working.  Cut off at any point both sides can log in; doing it again\n"
			 "goes on from there.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "this client's new key, there and here, while it works",
	.size = sizeof(struct options),
	.run = run,
};
