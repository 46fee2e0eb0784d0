/*
 * rsagent_restart.c - rsagent restart: the servers on other hosts end and start again.
 *
 * Their configuration is looked at first: a server that would not start again is not stopped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_server.h"

struct options {
	struct rsagent_remote remote;
	const char *run_dir;
};

static const struct opt table[] = {
	RSAGENT_REMOTE_OPTIONS(struct options),
	RSAGENT_RUN_DIR_OPTION(struct options),
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static int restart(struct rsagent_task *t, struct err *e)
{
	const struct options *o = t->arg;
	struct remote *r = rsagent_login(t, RSAGENT_ROOT, e);
	json_t *status;
	int ret;

	if (!r)
		return -e->code;
	rsagent_progress(t, "restarting rssrv");
	ret = rsagent_server_restart(r, o->run_dir, e);
	status = ret ? NULL : rsagent_server_status(r, o->run_dir, e);
	remote_close(r);
	if (!status)
		return -e->code;
	json_object_set_new(t->result, "text", json_sprintf("rssrv %s runs, process %d",
			    json_string_value(json_object_get(status, "version")),
			    (int)json_integer_value(json_object_get(json_object_get(status, "process"), "pid"))));
	json_decref(status);
	return 0;
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct rsagent_many m = { .run = restart, .arg = options };

	return rsagent_on_hosts(&m, &o->remote, count, words, e);
}

const struct rsagent_command rsagent_restart = {
	.program = {
		.name = "rsagent restart",
		.synopsis = "[options] HOST...",
		.about = "Ends the servers on these hosts and starts them again.  Their clients wait\n"
			 "meanwhile; '--parallel 1' takes one host after the other.",
		.table = table,
		.operands = "HOST",
		.page = "rsagent(8)",
	},
	.summary = "end them and start them again",
	.size = sizeof(struct options),
	.run = run,
};
