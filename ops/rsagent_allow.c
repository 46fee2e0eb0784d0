/*
 * rsagent_allow.c - rsagent client add and client rm: who may log in to the servers on other hosts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rsagent_server.h"
#include "secure.h"

struct options {
	struct rsagent_remote remote;
	const char *run_dir, *node, *from, *to;
	bool yes;
	const struct rsagent_key_text *key;	/* not an option: what to give it; NULL: it is taken away */
};

#define NODE_OPTION									\
	{ 0, "node", OPT_STRING, "NODE", offsetof(struct options, node),		\
	  "the client's name", 0, 0 }

static const struct opt add_table[] = {
	NODE_OPTION,
	{ 0, "to", OPT_STRING, "FILE", offsetof(struct options, to),
	  "make a key, and put it into this new file", 0, 0 },
	{ 0, "from", OPT_STRING, "FILE", offsetof(struct options, from),
	  "give it the key in this file; - is standard input", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static const struct opt rm_table[] = {
	NODE_OPTION,
	{ 'y', "yes", OPT_FLAG, NULL, offsetof(struct options, yes),
	  "without asking", 0, 0 },
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static int change(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e)
{
	const struct options *o = t->arg;
	char question[160];
	int ret = 0;

	if (!o->key && !conf_text_client_keys(c->text, o->node)) {
		json_object_set_new(t->result, "text", json_sprintf("%s has no key here", o->node));
		return 0;
	}
	snprintf(question, sizeof(question), "Shall %s be cut off from the server on %.80s", o->node, t->host->name);
	if (!o->key && !o->yes)
		ret = rsagent_confirm(t, question, e);
	if (!ret)
		ret = conf_text_client(c->text, o->key ? CONF_CLIENT_ADD : CONF_CLIENT_REMOVE, o->node,
				       o->key ? o->key->text : NULL, e);
	if (!ret) {
		rsagent_progress(t, "writing %s", c->path);
		ret = rsagent_server_conf_save(r, o->run_dir, c, false, e);
	}
	if (!ret)
		json_object_set_new(t->result, "text", json_sprintf(o->key ? "%s may log in" : "%s may not log in any more",
								    o->node));
	return ret;
}

static int on_host(struct rsagent_task *t, struct err *e)
{
	return rsagent_server_conf(t, change, e);
}

static int on_hosts(const struct options *o, int count, char **words, struct err *e)
{
	struct rsagent_many m = { .run = on_host, .arg = (void *)(uintptr_t)o };

	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

static int write_key(const char *path, const struct rsagent_key_text *k, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;

	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", path);
	if (dprintf(fd, "%s\n", k->text) < 0 || fsync(fd))
		r = err_sys(e, errno, "cannot write %s", path);
	close(fd);
	if (r)
		unlink(path);
	return r;
}

static int mistake(struct err *e, const char *text)
{
	err_set(e, EINVAL, "%s", text);
	return RSAGENT_USAGE;
}

static int run_add(void *options, int count, char **words, struct err *e)
{
	struct options *o = options;
	struct rsagent_key_text *key;
	int status = 1;

	if (!o->node || !conf_name_valid(o->node))
		return mistake(e, "which client? --node NODE, 1..40 of A-Z a-z 0-9 . _ -, no leading . or -");
	if (!o->from == !o->to)
		return mistake(e, "its key goes --to a new FILE, or comes --from one");
	key = secure_alloc(sizeof(*key));
	if (!key)
		abort();
	o->key = key;
	if (o->from ? !rsagent_key_read(o->from, key, e) : !rsagent_key_make(key, e) && !write_key(o->to, key, e))
		status = on_hosts(o, count, words, e);
	if (status == 0 && o->to && !o->remote.json)
		printf("%s has the key.  Next, with that file on %s:\n"
		       "  rsagent key --from FILE --client /etc/rscltcfg --namespace NAME\n", o->to, o->node);
	secure_free(key);
	return status;
}

static int run_rm(void *options, int count, char **words, struct err *e)
{
	struct options *o = options;

	if (!o->node || !conf_name_valid(o->node))
		return mistake(e, "which client? --node NODE");
	return on_hosts(o, count, words, e);
}

const struct rsagent_command rsagent_client_add = {
	.program = {
		.name = "rsagent client add",
		.synopsis = "--node NODE (--to FILE | --from FILE)\n"
			    "    [options] HOST...",
		.about = "Lets a client log in to the servers on these hosts, with the same key on all.",
		.table = add_table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "let one more client log in to them",
	.size = sizeof(struct options),
	.run = run_add,
};

const struct rsagent_command rsagent_client_rm = {
	.program = {
		.name = "rsagent client rm",
		.synopsis = "--node NODE [--yes] [options] HOST...",
		.about = "Takes a client's keys and rights away from the servers on these hosts; it is\n"
			 "cut off at once.",
		.table = rm_table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "let a client log in no more",
	.size = sizeof(struct options),
	.run = run_rm,
};
