/*
 * rsagent_deploy.c - rsagent deploy, upgrade, undeploy: options, and what is decided here before any
 * host is asked: the namespace, the client's name, its key, and a number for each server.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "log.h"
#include "probe.h"
#include "rsagent_deploy.h"
#include "secure.h"

#define IDS 256
#define LOOK_SECONDS 3			/* for asking the servers that there are for their numbers */

/* The numbers that servers of the namespace have, as far as they can be asked. */
static void ids_in_use(const struct deploy_job *job, bool used[IDS])
{
	char *path = job->o->client.config ? strdup(job->o->client.config) : conf_client_default_path();
	struct conf_report report = { NULL, 0, 0 };
	struct conf_client *conf = path && !access(path, R_OK) ? conf_client_read(path, (gid_t)-1, &report) : NULL;
	struct probe_wish w = { .conf = conf, .limit = LOOK_SECONDS };
	struct probe_result result = { 0 };
	struct err e;

	while (conf && w.namespace < conf->namespace_count && strcmp(conf->namespaces[w.namespace].name, job->namespace) != 0)
		w.namespace++;
	if (conf && w.namespace < conf->namespace_count) {
		probe_run(&w, &result, &e);
		for (size_t i = 0; i < result.count; i++)
			if (result.pairs[i].server_id >= 0 && result.pairs[i].server_id < IDS)
				used[result.pairs[i].server_id] = true;
		probe_result_free(&result);
	}
	conf_client_free(conf);
	conf_report_free(&report);
	free(path);
}

/* From the host's name, so that servers that cannot be asked now are not likely to have it; the same in each
 * run; and no two of this run. */
static int id_for(const char *name, bool used[IDS])
{
	unsigned hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	for (unsigned i = 0; i < IDS; i++) {
		unsigned id = (hash + i) % IDS;

		if (used[id])
			continue;
		used[id] = true;
		return (int)id;
	}
	return -1;
}

static int choose_ids(struct deploy_job *job, const struct rsagent_hosts *hosts, struct err *e)
{
	bool used[IDS] = { false };

	job->ids = calloc(hosts->count + 1, sizeof(*job->ids));
	if (!job->ids)
		return err_set(e, ENOMEM, "no memory");
	ids_in_use(job, used);
	for (size_t i = 0; i < hosts->count; i++) {
		job->ids[i] = id_for(hosts->list[i].address, used);
		if (job->ids[i] < 0)
			return err_set(e, ENOSPC, "a namespace has %d servers at most", IDS);
	}
	return 0;
}

/* Names and the key. */

static int ask_namespace(char namespace[CONF_NAME_MAX + 1], struct err *e)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	char line[200] = "";

	if (!tty) {
		err_set(e, ENOTTY, "which namespace? This client's configuration has none, or several");
		err_next(e, "--namespace NAME");
		return -ENOTTY;
	}
	fprintf(tty, "A name for the namespace that the volumes are in (--namespace), such as 'storage': ");
	fflush(tty);
	if (!fgets(line, sizeof(line), tty))
		line[0] = 0;
	fclose(tty);
	line[strcspn(line, "\n")] = 0;
	if (!conf_name_valid(line))
		return err_set(e, EINVAL, "a name has 1..40 of A-Z a-z 0-9 . _ -, no leading . or -");
	snprintf(namespace, CONF_NAME_MAX + 1, "%s", line);
	return 0;
}

static int take_key(struct deploy_job *job, const char *known, struct err *e)
{
	uint8_t bits[SECURE_KEY_SIZE];

	job->key = secure_alloc(CONF_KEY_TEXT);
	if (!job->key)
		return err_set(e, ENOMEM, "no memory");
	if (*known) {
		snprintf(job->key, CONF_KEY_TEXT, "%s", known);
		return 0;
	}
	if (secure_random(bits, sizeof(bits)))
		return err_set(e, EIO, "no random numbers");
	for (size_t i = 0; i < sizeof(bits); i++)
		sprintf(job->key + 2 * i, "%02x", bits[i]);
	secure_wipe(bits, sizeof(bits));
	return 0;
}

static int settle(struct deploy_job *job, const struct rsagent_client_defaults *d, struct err *e)
{
	snprintf(job->namespace, sizeof(job->namespace), "%s", d->namespace);
	snprintf(job->node, sizeof(job->node), "%s", job->o->node ? job->o->node : d->node);
	job->namespace_id = d->id;
	job->own = strcmp(job->node, d->node) == 0;
	if (job->what == DEPLOY_INSTALL || (job->own && *d->key))
		return take_key(job, job->own ? d->key : "", e);
	return 0;
}

int deploy_settle(struct deploy_job *job, const char *namespace, struct err *e)
{
	struct rsagent_client_defaults d;
	int r = rsagent_client_defaults(&job->o->client, namespace, &d, e);

	if (!r) {
		secure_free(job->key);
		job->key = NULL;
		r = settle(job, &d, e);
	}
	secure_wipe(&d, sizeof(d));
	return r;
}

static int decide(struct deploy_job *job, struct rsagent_client_defaults *d, struct err *e)
{
	const struct deploy_options *o = job->o;
	int r = rsagent_client_defaults(&o->client, o->namespace, d, e);

	if (!r && !*d->namespace && job->what == DEPLOY_INSTALL) {
		r = ask_namespace(d->namespace, e);
		if (!r)
			r = rsagent_client_defaults(&o->client, strdupa(d->namespace), d, e);
	}
	return r ? r : settle(job, d, e);
}

/* A row of each host at the end, beside the table's. */
static int run(struct deploy_options *o, enum deploy_what what, int count, char **words, struct err *e)
{
	struct deploy_job job = { .what = what, .o = o };
	struct rsagent_client_defaults d;
	struct rsagent_hosts hosts = { NULL, 0 };
	const struct rsagent_many many = {
		.run = deploy_host_run, .finish = what == DEPLOY_INSTALL ? deploy_end : NULL, .arg = &job, .grace = 40,
	};
	int status = 1;

	/* Keys and passwords are in this process, also in memory of libraries: no core file, and nobody looks in. */
	prctl(PR_SET_DUMPABLE, 0);
	log_set_level(LOG_LEVEL_ERROR);
	status = rsagent_hosts_find(&o->remote, count, words, &hosts, e);
	if (status)
		return status == -EINVAL ? RSAGENT_USAGE : 1;
	status = 1;
	job.first = hosts.list;
	if (!decide(&job, &d, e) && (what != DEPLOY_INSTALL || !choose_ids(&job, &hosts, e)))
		status = rsagent_many(&many, &o->remote, &hosts, e);
	if (job.next && !o->remote.json)
		printf("%s\n", job.next);
	free(job.next);
	secure_wipe(&d, sizeof(d));
	secure_free(job.key);
	free(job.ids);
	rsagent_hosts_free(&hosts);
	return status;
}

static const char *wrong(const struct deploy_options *o, int count)
{
	if (count < 1)
		return "which host? [USER@]HOST[:PORT]";
	if (o->pool && o->pool[0] != '/')
		return "--pool takes an absolute path";
	if ((o->node && !conf_name_valid(o->node)) || (o->namespace && !conf_name_valid(o->namespace)) ||
	    (o->server && !conf_name_valid(o->server)))
		return "a name has 1..40 of A-Z a-z 0-9 . _ -, no leading . or -";
	if (o->server_id && (strspn(o->server_id, "0123456789") != strlen(o->server_id) || strlen(o->server_id) > 3 || atoi(o->server_id) >= IDS))
		return "--server-id is 0 to 255";
	if (count > 1 && (o->server || o->portals || o->server_id || o->confirm))
		return "--server, --server-id, --portal and --confirm are for one host";
	return NULL;
}

static int checked(struct deploy_options *o, enum deploy_what what, int count, char **words, struct err *e)
{
	const char *why = wrong(o, count);

	if (!why)
		return run(o, what, count, words, e);
	err_set(e, EINVAL, "%s", why);
	return RSAGENT_USAGE;
}

static int run_deploy(void *options, int count, char **words, struct err *e)
{
	return checked(options, DEPLOY_INSTALL, count, words, e);
}

static int run_upgrade(void *options, int count, char **words, struct err *e)
{
	return checked(options, DEPLOY_UPGRADE, count, words, e);
}

static int run_undeploy(void *options, int count, char **words, struct err *e)
{
	return checked(options, DEPLOY_UNDEPLOY, count, words, e);
}

/* Options. */

#define ROW(letter, name, type, arg, member, help) { letter, name, type, arg, offsetof(struct deploy_options, member), help, 0, 0 }
#define COMMON \
	ROW(0, "binary", OPT_STRING, "FILE", binary, "the static rssrv for the host (beside this program)"), \
	ROW(0, "config", OPT_STRING, "FILE", client.config, "this client's configuration"), \
	ROW(0, "run-dir", OPT_STRING, "DIR", client.run_dir, "where rsiod's control socket is"), \
	ROW(0, "no-client", OPT_FLAG, NULL, no_client, "leave this client's configuration as it is"), \
	ROW('y', "yes", OPT_FLAG, NULL, yes, "do not ask before changing anything"), \
	ROW('n', "dry-run", OPT_FLAG, NULL, dry_run, "show what would be done, and stop there"), \
	RSAGENT_REMOTE_OPTIONS(struct deploy_options)
#define END { 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 }

static const struct opt deploy_table[] = {
	ROW(0, "pool", OPT_STRING, "DIR", pool, "where volumes are kept there (" DEPLOY_POOL ")"),
	ROW(0, "client", OPT_STRING, "NODE", node, "the client's name (this host's)"),
	ROW(0, "namespace", OPT_STRING, "NAME", namespace, "the volumes' namespace (this client's one)"),
	ROW(0, "server", OPT_STRING, "NAME", server, "the server's name (its host's)"),
	ROW(0, "server-id", OPT_STRING, "N", server_id, "its number in the namespace, 0 to 255 (one is chosen)"),
	ROW(0, "portal", OPT_STRING, "ADDRESS[,ADDRESS]", portals, "where it listens (where this host reaches it)"),
	{ 0, "port", OPT_INT, "N", offsetof(struct deploy_options, port), "the port there (5000)", 1, 65535 },
	ROW(0, "no-start", OPT_FLAG, NULL, no_start, "leave rsiod as it is when it does not run here"),
	COMMON, END,
};

static const struct opt upgrade_table[] = { COMMON, END };

static const struct opt undeploy_table[] = {
	ROW(0, "with-volumes", OPT_FLAG, NULL, with_volumes, "remove the volumes too, for good"),
	ROW(0, "confirm", OPT_STRING, "HOST", confirm, "with that: the host's name, said again"),
	ROW(0, "force", OPT_FLAG, NULL, force, "also while clients use volumes of it"),
	COMMON, END,
};

#define COMMAND(word, words, help, rows, function)				\
	{									\
		.program = {							\
			.name = "rsagent " word, .synopsis = "[options] " words, \
			.about = help, .table = rows, .operands = "HOST...",	\
			.page = "rsagent(8)", .complete = RSAGENT_COMPLETE_HOSTS, \
		},								\
		.summary = help, .size = sizeof(struct deploy_options), .run = function, \
	}

const struct rsagent_command rsagent_deploy =
	COMMAND("deploy", "[USER@]HOST[:PORT]...", "Makes a server of a host, and this host its client.", deploy_table, run_deploy);
const struct rsagent_command rsagent_upgrade =
	COMMAND("upgrade", "HOST...", "Puts this version's rssrv in the place of a server's older one.", upgrade_table, run_upgrade);
const struct rsagent_command rsagent_undeploy =
	COMMAND("undeploy", "HOST...", "Takes away what deploy made, but the volumes.", undeploy_table, run_undeploy);
