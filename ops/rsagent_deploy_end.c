/*
 * rsagent_deploy_end.c - the end of a deploy, once for all of its hosts: rsiod is started where none runs here, and
 * what to type next is said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_deploy.h"

static bool idle(const struct rsagent_outcome *o)
{
	return o->done && json_is_false(json_object_get(o->result, "client_runs"));
}

/* No signal is held back here, so ^C ends it as any program. */
static bool shall_start(const struct deploy_options *o, const char *words)
{
	FILE *tty;
	char line[16] = "";

	if (o->yes || o->no_start)
		return !o->no_start;
	tty = fopen("/dev/tty", "r+e");
	if (!tty)
		return false;
	fprintf(tty, "The volumes come here when rsiod runs, which does not. Shall '%s' be done [yes/no]? ", words);
	fflush(tty);
	if (!fgets(line, sizeof(line), tty))
		line[0] = 0;
	fclose(tty);
	return strcmp(line, "yes\n") == 0;
}

static int look_at_all(struct deploy_job *job, const struct rsagent_outcome *all, size_t count)
{
	struct err e;
	int status = 0;

	if (!job->o->remote.quiet)
		fprintf(stderr, "waiting until the volumes are here\n");
	for (size_t i = 0; i < count; i++) {
		if (!idle(&all[i]) || !deploy_look_again(job, &all[i], &e))
			continue;
		fprintf(stderr, "rsagent: %s: %s\n", all[i].host->name, e.text);
		status = 1;
	}
	return status;
}

/* Done, without a word on it in the table: the last line says how. */
static void say_idle(const struct rsagent_outcome *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (idle(&all[i]))
			json_object_set_new(all[i].result, "text", json_string("serves; rsiod does not run here"));
}

static int start(struct deploy_job *job, const struct rsagent_outcome *all, size_t count, const char *words)
{
	struct err e = { 0 };

	if (!job->o->remote.quiet)
		fprintf(stderr, "starting rsiod: %s\n", words);
	if (!rsagent_client_start(&job->o->client, &e))
		return look_at_all(job, all, count);
	fprintf(stderr, "rsagent: %s\nrsagent: %s\n", e.text, e.next);
	return 1;
}

/* One that a pool has room for: it promises no more than it has. */
static const char *size_for(json_int_t room)
{
	static const struct { const char *text; json_int_t mib; } sizes[] = {
		{ "20G", 20480 }, { "10G", 10240 }, { "5G", 5120 }, { "2G", 2048 }, { "1G", 1024 }, { "500M", 500 },
		{ "200M", 200 }, { "100M", 100 }, { "50M", 50 }, { "20M", 20 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (sizes[i].mib << 20 < room / 10 * 9)
			return sizes[i].text;
	return NULL;
}

/* A new pool is empty.  Where the namespace has other servers too it is said on which. */
static void suggest_volume(struct deploy_job *job, const struct rsagent_outcome *all, size_t count)
{
	const char *dir = job->o->client.run_dir;
	char *line;

	for (size_t i = 0; i < count; i++) {
		const json_t *volumes = json_object_get(all[i].result, "volumes");
		const char *server = json_string_value(json_object_get(all[i].result, "server"));
		bool only = json_is_true(json_object_get(all[i].result, "only_server"));

		const char *size = size_for(json_integer_value(json_object_get(all[i].result, "pool_free")));

		if (!all[i].done || !volumes || json_integer_value(volumes) || !server || !size)
			continue;
		if (asprintf(&line, "rsvol%s%s create %s:first%s%s %s%s%s", dir ? " --run-dir " : "", dir ? dir : "", job->namespace,
			     only ? "" : "-on-", only ? "" : server, size, only ? "" : " --server ", only ? "" : server) < 0)
			return;
		json_object_set_new(all[i].result, "next", json_string(line));
		if (asprintf(&job->next, "Next, a first volume on %s: %s", server, line) < 0)
			job->next = NULL;
		free(line);
		return;
	}
}

/* Its key is on the servers alone. */
static void suggest_client(struct deploy_job *job, const struct rsagent_outcome *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!all[i].done || !json_is_true(json_object_get(all[i].result, "changed")))
			continue;
		if (asprintf(&job->next, "Next, on %s, which has no key yet: rsagent deploy HOST", job->node) < 0)
			job->next = NULL;
		return;
	}
}

int deploy_end(const struct rsagent_outcome *all, size_t count, void *arg)
{
	struct deploy_job *job = arg;
	bool any = false;
	char words[2 * PATH_MAX + 32];
	int status = 0;

	for (size_t i = 0; i < count; i++)
		any |= idle(&all[i]);
	rsagent_client_start_words(&job->o->client, words, sizeof(words));
	if (any && shall_start(job->o, words))
		status = start(job, all, count, words);
	else if (any && asprintf(&job->next, "Next, the client here: %s", words) < 0)
		job->next = NULL;
	say_idle(all, count);
	if (!job->own)
		suggest_client(job, all, count);
	else if (!job->next)
		suggest_volume(job, all, count);
	return status;
}
