/*
 * rsagent_hosts.c - hosts by words, by names and by roles; rsagent hosts, which lists them.
 */
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rsagent_hosts.h"

#define HOSTS_MAX 1024

/* The file; one that there need not be and is not there has no hosts. */
static int read_hosts(const struct rsagent_remote *remote, struct conf_hosts **hosts, struct err *e)
{
	char *own = remote->hosts ? NULL : conf_hosts_default_path();
	const char *path = own ? own : remote->hosts;
	struct conf_report report;
	int r = 0;

	*hosts = NULL;
	if (path && (!own || access(path, F_OK) == 0)) {
		*hosts = conf_hosts_read(path, &report);
		conf_report_print("rsagent", &report);
		conf_report_free(&report);
		if (!*hosts)
			r = err_set(e, EBADMSG, "%s has mistakes", path);
	}
	free(own);
	return r;
}

static void set_text(char **to, const char *text)
{
	if (!text)
		return;
	free(*to);
	*to = strdup(text);
}

/* "~/.ssh/key": the file's words are not a shell's. */
static void set_path(char **to, const char *text)
{
	const char *home = getenv("HOME");

	if (!text || strncmp(text, "~/", 2) != 0 || !home) {
		set_text(to, text);
		return;
	}
	free(*to);
	if (asprintf(to, "%s/%s", home, text + 2) < 0)
		*to = NULL;
}

static int bad_word(struct err *e, const char *word, const char *why)
{
	err_set(e, EINVAL, "'%.100s' is not a host: %s", word, why);
	return -EINVAL;
}

static int parse_port(const char *text, const char *word, int *port, struct err *e)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > 65535)
		return bad_word(e, word, "a port is a number from 1 to 65535");
	*port = (int)n;
	return 0;
}

/* [user@]host[:port]; what ssh would take for an option or a command, it shall not get. */
static int parse_word(const char *word, struct rsagent_host *h, struct err *e)
{
	const char *at = strrchr(word, '@'), *host = at ? at + 1 : word, *end, *port = NULL;

	if (at && ((size_t)(at - word) >= sizeof(h->user) || at == word))
		return bad_word(e, word, "the user's name is too long or empty");
	if (at)
		snprintf(h->user, sizeof(h->user), "%.*s", (int)(at - word), word);
	if (*host == '[') {
		end = strchr(++host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return bad_word(e, word, "[ADDRESS] or [ADDRESS]:PORT");
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(host, ':');
		if (end && strchr(end + 1, ':'))
			end = NULL;	/* an IPv6 address without brackets has no port */
		port = end ? end + 1 : NULL;
		end = end ? end : host + strlen(host);
	}
	if (end == host || (size_t)(end - host) >= sizeof(h->address) || *host == '-' || *h->user == '-' ||
	    strcspn(host, " \t\n'\"\\;|&<>()$`*?!{}/") < (size_t)(end - host))
		return bad_word(e, word, "[user@]host[:port]");
	snprintf(h->address, sizeof(h->address), "%.*s", (int)(end - host), host);
	snprintf(h->name, sizeof(h->name), "%.*s", (int)(end - host), host);
	return port ? parse_port(port, word, &h->port, e) : 0;
}

/* What the file says, where the word says nothing. */
static void fill(struct rsagent_host *h, const struct conf_host *from)
{
	snprintf(h->name, sizeof(h->name), "%s", from->name);
	snprintf(h->address, sizeof(h->address), "%s", from->address ? from->address : from->name);
	if (!*h->user)
		snprintf(h->user, sizeof(h->user), "%s", from->user ? from->user : "");
	if (!h->port)
		h->port = from->port;
	set_path(&h->identity, from->identity);
	set_text(&h->fingerprint, from->fingerprint);
	snprintf(h->namespace, sizeof(h->namespace), "%s", from->namespace);
}

static bool same(const struct rsagent_host *a, const struct rsagent_host *b)
{
	return strcmp(a->address, b->address) == 0 && strcmp(a->user, b->user) == 0 && a->port == b->port;
}

static void clear(struct rsagent_host *h)
{
	free(h->identity);
	free(h->fingerprint);
	memset(h, 0, sizeof(*h));
}

/* Takes h; one that is there already is not added. */
static int add(struct rsagent_hosts *hosts, struct rsagent_host *h, struct err *e)
{
	struct rsagent_host *more;

	for (size_t i = 0; i < hosts->count; i++) {
		if (!same(&hosts->list[i], h))
			continue;
		clear(h);
		return 0;
	}
	more = hosts->count < HOSTS_MAX ? reallocarray(hosts->list, hosts->count + 1, sizeof(*more)) : NULL;
	if (!more) {
		clear(h);
		return err_set(e, E2BIG, "there are more than %d hosts", HOSTS_MAX);
	}
	hosts->list = more;
	more[hosts->count++] = *h;
	return 0;
}

static int add_role(struct rsagent_hosts *hosts, const struct conf_hosts *file, const char *role, struct err *e)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; !r && file && i < file->count; i++) {
		struct rsagent_host h = { .port = 0 };

		if (!conf_host_has_role(&file->list[i], role))
			continue;
		any = true;
		fill(&h, &file->list[i]);
		r = add(hosts, &h, e);
	}
	if (any)
		return r;
	if (file)
		err_set(e, ENOENT, "no host has the role '%.40s' in the file of hosts", role);
	else
		err_set(e, ENOENT, "there is no file of hosts, so no host has the role '%.40s'", role);
	err_next(e, "rsagent(8), FILES, says how it is written; 'rsagent hosts' shows it");
	return -ENOENT;
}

static int add_word(struct rsagent_hosts *hosts, const struct conf_hosts *file, const char *word, struct err *e)
{
	struct rsagent_host h = { .port = 0 };
	int r;

	if (*word == '@')
		return add_role(hosts, file, word + 1, e);
	r = parse_word(word, &h, e);
	if (r)
		return r;
	for (size_t i = 0; file && i < file->count; i++)
		if (strcmp(file->list[i].name, h.name) == 0)
			fill(&h, &file->list[i]);
	return add(hosts, &h, e);
}

int rsagent_hosts_find(const struct rsagent_remote *remote, int count, char **words, struct rsagent_hosts *hosts,
		       struct err *e)
{
	struct conf_hosts *file;
	int r = read_hosts(remote, &file, e);

	*hosts = (struct rsagent_hosts){ NULL, 0 };
	for (int i = 0; !r && i < count; i++)
		r = add_word(hosts, file, words[i], e);
	conf_hosts_free(file);
	if (!r && !hosts->count)
		r = err_set(e, EINVAL, "which hosts?");
	if (!r && remote->fingerprint && hosts->count > 1)
		r = err_set(e, EINVAL, "--fingerprint is one host's; the file of hosts has room for all");
	for (size_t i = 0; !r && i < hosts->count; i++) {
		set_text(&hosts->list[i].identity, remote->identity);
		set_text(&hosts->list[i].fingerprint, remote->fingerprint);
	}
	if (r)
		rsagent_hosts_free(hosts);
	return r;
}

void rsagent_hosts_free(struct rsagent_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		clear(&hosts->list[i]);
	free(hosts->list);
	*hosts = (struct rsagent_hosts){ NULL, 0 };
}

/* rsagent hosts. */

struct options {
	struct rsagent_remote remote;	/* of it, hosts and json */
	bool names;
};

static const struct opt table[] = {
	{ 0, "hosts", OPT_STRING, "FILE", offsetof(struct options, remote.hosts),
	  "the file (~/.config/rsio/hosts)", 0, 0 },
	{ 0, "names", OPT_FLAG, NULL, offsetof(struct options, names),
	  "names and roles only, a line each", 0, 0 },
	{ 0, "json", OPT_FLAG, NULL, offsetof(struct options, remote.json),
	  "print JSON", 0, 0 },
	{ 0, NULL, OPT_FLAG, NULL, 0, NULL, 0, 0 },
};

static json_t *roles_of(const struct conf_host *h)
{
	json_t *list = json_array();

	for (char **role = h->roles; role && *role; role++)
		json_array_append_new(list, json_string(*role));
	return list;
}

static void print_json(const struct conf_hosts *file)
{
	json_t *list = json_array(), *object = json_pack("{s:o}", "hosts", list);

	for (size_t i = 0; file && i < file->count; i++) {
		const struct conf_host *h = &file->list[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:i, s:s?, s:s?, s:s, s:o}", "host", h->name, "address",
				      h->address ? h->address : h->name, "user", h->user, "port", h->port, "identity",
				      h->identity, "fingerprint", h->fingerprint, "namespace", h->namespace, "roles",
				      roles_of(h)));
	}
	json_dumpf(object, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(object);
}

static void print_names(const struct conf_hosts *file)
{
	for (size_t i = 0; file && i < file->count; i++) {
		printf("%s\n", file->list[i].name);
		for (char **role = file->list[i].roles; role && *role; role++)
			printf("@%s\n", *role);
	}
	if (file && file->count)
		printf("@%s\n", CONF_ROLE_ALL);
}

static void print_table(const struct conf_hosts *file)
{
	printf("%-20s  %-32s  %-16s  %s\n", "HOST", "LOGIN", "NAMESPACE", "ROLES");
	for (size_t i = 0; file && i < file->count; i++) {
		const struct conf_host *h = &file->list[i];
		char login[400], port[16] = "";

		if (h->port)
			snprintf(port, sizeof(port), ":%d", h->port);
		snprintf(login, sizeof(login), "%s%s%s%s", h->user ? h->user : "", h->user ? "@" : "",
			 h->address ? h->address : h->name, port);
		printf("%-20s  %-32s  %-16s ", h->name, login, *h->namespace ? h->namespace : "-");
		for (char **role = h->roles; role && *role; role++)
			printf(" %s", *role);
		printf("\n");
	}
}

static int run(void *options, int count, char **words, struct err *e)
{
	const struct options *o = options;
	struct conf_hosts *file;

	(void)words;
	if (count) {
		err_set(e, EINVAL, "it takes no words");
		return RSAGENT_USAGE;
	}
	if (read_hosts(&o->remote, &file, e))
		return 1;
	if (o->remote.json)
		print_json(file);
	else if (o->names)
		print_names(file);
	else
		print_table(file);
	conf_hosts_free(file);
	return fflush(stdout) ? 1 : 0;
}

const struct rsagent_command rsagent_hosts = {
	.program = {
		.name = "rsagent hosts",
		.synopsis = "[--names] [--json]",
		.about = "Shows the file of hosts.",
		.table = table,
		.operands = "",
		.page = "rsagent(8)",
	},
	.summary = "the file of hosts",
	.size = sizeof(struct options),
	.run = run,
};
