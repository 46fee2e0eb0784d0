/*
 * rsagent_fleet_record.c - what rsagent apply made of a fleet's file the last time, so that what leaves the file is
 * known: ~/.config/rsio/applied/SHA.json, SHA being of the file's path.  No key is in it.
 *
 *	{"fleet": PATH, "servers": [{"namespace", "server", "host", "pools": [PATH],
 *	  "portals": ["ADDRESS/PORT"]}],
 *	 "clients": [{"namespace", "client", "host", "config"}]}
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rsagent_fleet.h"

#define RECORD_MAX (4 << 20)

static int make_dirs(char *path, struct err *e)
{
	for (char *c = path + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return err_sys(e, errno, "cannot make the directory %s", path);
		*c = '/';
	}
	return 0;
}

/* Beside the file of hosts. */
static int find_path(struct fleet *f, struct err *e)
{
	char *hosts = conf_hosts_default_path(), name[17] = "";
	uint8_t sum[SECURE_SHA256_SIZE];
	int r = 0;

	if (secure_sha256(f->path, strlen(f->path), sum) || !hosts)
		r = -ENOMEM;
	for (size_t i = 0; !r && i < 8; i++)
		sprintf(name + 2 * i, "%02x", sum[i]);
	if (!r && asprintf(&f->record_path, "%.*s/applied/%s.json", (int)(strrchr(hosts, '/') - hosts), hosts, name) < 0)
		r = -ENOMEM;
	free(hosts);
	return r ? err_set(e, ENOMEM, "no memory") : make_dirs(f->record_path, e);
}

/* A path of its own: the record is replaced, the lock stays. */
static int lock(struct fleet *f, struct err *e)
{
	char *path;
	int r = 0;

	if (asprintf(&path, "%s.lock", f->record_path) < 0)
		return err_set(e, ENOMEM, "no memory");
	f->record_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->record_fd < 0)
		r = err_sys(e, errno, "cannot open %s", path);
	else if (flock(f->record_fd, LOCK_EX | LOCK_NB))
		r = err_set(e, EBUSY, "another rsagent apply of %s is under way", f->path);
	free(path);
	return r;
}

int fleet_record_open(struct fleet *f, struct err *e)
{
	json_error_t why;
	struct stat st;
	int fd, r = find_path(f, e);

	if (!r)
		r = lock(f, e);
	if (r)
		return r;
	fd = open(f->record_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot open %s", f->record_path);
	if (fd < 0) {
		f->record = json_object();
		return f->record ? 0 : err_set(e, ENOMEM, "no memory");
	}
	if (!fstat(fd, &st) && st.st_size <= RECORD_MAX)
		f->record = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
	close(fd);
	if (json_is_object(f->record))
		return 0;
	err_set(e, EBADMSG, "%s is no record of what was applied", f->record_path);
	err_next(e, "without it what left the file is not known; remove it to go on so");
	return -EBADMSG;
}

void fleet_record_close(struct fleet *f)
{
	json_decref(f->record);
	free(f->record_path);
	if (f->record_fd >= 0)
		close(f->record_fd);
	f->record = NULL;
	f->record_path = NULL;
	f->record_fd = -1;
}

/* Saving. */

static bool is_of(const json_t *s, const char *name, const char *text)
{
	const char *value = json_string_value(json_object_get(s, name));

	return value && strcmp(value, text) == 0;
}

static json_t *portals_of(const struct fleet_member *m)
{
	json_t *list = json_array();
	char text[100];

	for (size_t i = 0; i < m->portal_count; i++) {
		snprintf(text, sizeof(text), "%s/%d", m->portals[i].address, m->portals[i].port);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *pools_of(const struct fleet_member *m)
{
	const struct conf_server *c = m->server->conf;
	json_t *list = json_array();

	for (size_t i = 0; i < c->pool_count; i++)
		json_array_append_new(list, json_string(c->pools[i].path));
	return list;
}

/* What is recorded of a server whose host could not be asked stays. */
static json_t *old_server(const struct fleet *f, const struct fleet_member *m)
{
	json_t *s;
	size_t i;

	json_array_foreach(json_object_get(f->record, "servers"), i, s)
		if (is_of(s, "namespace", m->namespace) && is_of(s, "server", m->name) && is_of(s, "host", m->where))
			return json_incref(s);
	return NULL;
}

static void add_server(const struct fleet *f, const struct fleet_member *m, json_t *list)
{
	json_t *old = old_server(f, m);

	if (m->gone && m->done)
		json_decref(old);
	else if (m->gone || (!m->plan && !m->done))
		json_array_append_new(list, old);
	else {
		json_decref(old);
		json_array_append_new(list, json_pack("{ss ss ss so so}", "namespace", m->namespace, "server", m->name, "host",
						      m->where, "pools", pools_of(m), "portals", portals_of(m)));
	}
}

static void add_client(const struct fleet_member *m, json_t *list)
{
	for (size_t i = 0; i < m->join_count; i++)
		if (m->joins[i].ns || !m->done)
			json_array_append_new(list, json_pack("{ss ss ss ss*}", "namespace", m->joins[i].namespace, "client",
							      m->joins[i].node, "host", m->where, "config", m->config_path));
}

static int write_record(const struct fleet *f, json_t *record, struct err *e)
{
	char *text = json_dumps(record, JSON_INDENT(1)), *new = NULL;
	FILE *out = NULL;
	int fd = -1, r = 0;

	if (!text || asprintf(&new, "%s.new", f->record_path) < 0) {
		free(text);
		return err_set(e, ENOMEM, "no memory");
	}
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out || fprintf(out, "%s\n", text) < 0 || fflush(out) || fsync(fd))
		r = err_sys(e, errno, "cannot write %s", new);
	if (out)
		fclose(out);
	else if (fd >= 0)
		close(fd);
	if (!r && rename(new, f->record_path))
		r = err_sys(e, errno, "cannot replace %s", f->record_path);
	free(text);
	free(new);
	return r;
}

int fleet_record_save(struct fleet *f, struct err *e)
{
	json_t *servers = json_array(), *clients = json_array(), *record;
	int r;

	for (size_t i = 0; i < f->count; i++) {
		if (f->members[i].kind == FLEET_SERVER)
			add_server(f, &f->members[i], servers);
		else
			add_client(&f->members[i], clients);
	}
	record = json_pack("{ss so so}", "fleet", f->path, "servers", servers, "clients", clients);
	if (!record)
		return err_set(e, ENOMEM, "no memory");
	r = json_equal(record, f->record) ? 0 : write_record(f, record, e);
	if (!r) {
		json_decref(f->record);
		f->record = json_incref(record);
	}
	json_decref(record);
	return r;
}

/* "ADDRESS/PORT" */
static bool read_portal(const char *text, struct conf_join_portal *p)
{
	const char *slash = text ? strrchr(text, '/') : NULL;

	memset(p, 0, sizeof(*p));
	if (!slash || (size_t)(slash - text) >= sizeof(p->address))
		return false;
	memcpy(p->address, text, (size_t)(slash - text));
	p->port = atoi(slash + 1);
	return p->port > 0 && p->port <= 65535;
}

size_t fleet_record_portals(const struct fleet *f, const char *namespace, const struct fleet_member *m,
			    struct conf_join_portal *out, size_t max)
{
	json_t *s, *portal;
	size_t n = 0, i, k;

	json_array_foreach(json_object_get(f->record, "servers"), i, s) {
		if (!is_of(s, "namespace", namespace) || (m && (!is_of(s, "server", m->name) || !is_of(s, "host", m->where))))
			continue;
		json_array_foreach(json_object_get(s, "portals"), k, portal)
			if (n < max && read_portal(json_string_value(portal), &out[n]))
				n++;
	}
	return n;
}
