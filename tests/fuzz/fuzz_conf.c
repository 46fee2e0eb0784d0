/*
 * fuzz_conf.c - a configuration file, read as the client's, the server's and a fleet's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"
#include "fuzz.h"
#include "memfile.h"

static const char path[] = MEMFILE_DIR "conf";

/* Keys may be in files of their own: one that is good, one that is the input's end. */
#define GOOD_KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
#define KEY_MAX 300

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_check(setenv("CREDENTIALS_DIRECTORY", MEMFILE_DIR ".", 1) == 0);
	return 0;
}

static void make_files(const uint8_t *data, size_t size)
{
	size_t n = size < KEY_MAX ? size : KEY_MAX;

	memfile_make(path, data, size, size);
	memfile_make(MEMFILE_DIR "./good", GOOD_KEY, sizeof(GOOD_KEY) - 1, sizeof(GOOD_KEY) - 1);
	memfile_make(MEMFILE_DIR "./key", data + size - n, n, n);
}

/* Every line names the file, and a terminal can be given it. */
static void check_report(const struct conf_report *r, bool good)
{
	fuzz_check(good == (r->count == r->warnings));
	for (size_t i = 0; i < r->count; i++) {
		fuzz_check(strncmp(r->lines[i], path, strlen(path)) == 0);
		fuzz_check(fuzz_clean(r->lines[i]));
	}
}

static bool port_ok(int port)
{
	return port >= 1 && port <= 65535;
}

/* Each is of an interface that is there. */
static void check_shares(const struct conf_client *c, const struct shares *s)
{
	fuzz_check(s->count <= SHARES_MAX && !conf_unknown_interface(c, s));
	for (size_t i = 0; i < s->count; i++) {
		const struct share *e = &s->of[i];

		fuzz_check(e->weight >= 0 && e->weight <= SHARES_WEIGHT_MAX);
		fuzz_check(e->weight || e->standby);
	}
}

static void check_namespace(const struct conf_client *c, const struct conf_namespace *n)
{
	fuzz_check(conf_name_valid(n->name) && conf_name_valid(n->nodename));
	fuzz_check(n->id >= 0 && n->id <= 65535 && n->portal_count > 0);
	fuzz_check(n->behaviour.detect > 0 && n->behaviour.retry > 0);
	fuzz_check(n->behaviour.poll >= 0 || n->behaviour.poll == CONF_POLL_AUTO);
	check_shares(c, &n->behaviour.shares);
	for (size_t i = 0; i < n->portal_count; i++) {
		fuzz_check(conf_name_valid(n->portals[i].name) && n->portals[i].address[0]);
		fuzz_check(port_ok(conf_client_port(c, n, NULL, &n->portals[i])));
		for (size_t k = 0; k < c->interface_count; k++)
			fuzz_check(port_ok(conf_client_port(c, n, &c->interfaces[k],
							    &n->portals[i])));
	}
}

static void check_client(const struct conf_client *c)
{
	struct conf_report report;

	conf_client_check_keys(c, &report);
	check_report(&report, true);
	conf_report_free(&report);
	fuzz_check(c->namespace_count > 0 && c->interface_count <= CONF_IFACE_MAX);
	for (size_t i = 0; i < c->interface_count; i++) {
		fuzz_check(conf_name_valid(c->interfaces[i].name));
		fuzz_check(!c->interfaces[i].address != !c->interfaces[i].device);
	}
	for (size_t i = 0; i < c->namespace_count; i++)
		check_namespace(c, &c->namespaces[i]);
	for (size_t i = 0; i < c->volume_count; i++) {
		fuzz_check(conf_name_valid(c->volumes[i].namespace) &&
			   conf_name_valid(c->volumes[i].name));
		check_shares(c, &c->volumes[i].shares);
	}
}

static void check_names(char *const *names)
{
	for (; names && *names; names++)
		fuzz_check(conf_name_valid(*names));
}

/* NAME, or NAME:ro. */
static void check_rights(char *const *clients)
{
	char name[CONF_NAME_MAX + 1];

	for (; clients && *clients; clients++) {
		size_t n = strcspn(*clients, ":");

		fuzz_check(n <= CONF_NAME_MAX && (!(*clients)[n] || strcmp(*clients + n, ":ro") == 0));
		memcpy(name, *clients, n);
		name[n] = 0;
		fuzz_check(conf_name_valid(name));
	}
}

static void check_server(const struct conf_server *s)
{
	struct conf_report report;

	conf_server_check_keys(s, &report);
	check_report(&report, true);
	conf_report_free(&report);
	fuzz_check(conf_name_valid(s->namespace) && conf_name_valid(s->server));
	fuzz_check(s->namespace_id >= 0 && s->namespace_id <= 65535);
	fuzz_check(s->server_id >= 0 && s->server_id <= 255 && s->listen_count <= CONF_IFACE_MAX);
	for (size_t i = 0; i < s->listen_count; i++)
		fuzz_check(port_ok(s->listens[i].port));
	for (size_t i = 0; i < s->client_count; i++)
		fuzz_check(conf_name_valid(s->clients[i].name));
	for (size_t i = 0; i < s->pool_count; i++) {
		fuzz_check(conf_name_valid(s->pools[i].name) && s->pools[i].path[0] == '/');
		check_names(s->pools[i].manage);
		check_rights(s->pools[i].clients);
	}
	for (size_t i = 0; i < s->volume_count; i++) {
		fuzz_check(conf_name_valid(s->volumes[i].name) && s->volumes[i].path[0] == '/');
		fuzz_check(s->volumes[i].av >= 0 && s->volumes[i].av <= 3);
		check_rights(s->volumes[i].clients);
	}
}

/* What was taken there is taken again by who is given a server's part. */
static void check_fleet(const struct conf_fleet *f)
{
	struct conf_report report;

	for (size_t i = 0; i < f->count; i++) {
		const struct conf_fleet_namespace *ns = &f->namespaces[i];

		fuzz_check(conf_name_valid(ns->name) && ns->server_count);
		for (size_t k = 0; k < ns->client_count; k++)
			fuzz_check(conf_name_valid(ns->clients[k].name));
		for (size_t k = 0; k < ns->server_count; k++) {
			const struct conf_fleet_server *s = &ns->servers[k];
			char *text;
			struct conf_server *again;

			check_server(s->conf);
			fuzz_check(asprintf(&text, "%s\n[clients]\n", s->text) > 0);
			for (size_t c = 0; c < ns->client_count; c++) {
				char *more;

				fuzz_check(asprintf(&more, "%s%s key%zu\n", text, ns->clients[c].name, c) > 0);
				free(text);
				text = more;
			}
			again = conf_server_parse(path, text, strlen(text), &report);
			fuzz_check(again != NULL);
			conf_report_free(&report);
			conf_server_free(again);
			free(text);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report;
	struct conf_client *c;
	struct conf_server *s;
	struct conf_fleet *f;

	make_files(data, size);
	c = conf_client_read(path, (gid_t)-1, &report);
	check_report(&report, c != NULL);
	if (c)
		check_client(c);
	conf_client_free(c);
	conf_report_free(&report);

	s = conf_server_read(path, (gid_t)-1, &report);
	check_report(&report, s != NULL);
	if (s)
		check_server(s);
	conf_server_free(s);
	conf_report_free(&report);

	f = conf_fleet_read(path, &report);
	check_report(&report, f != NULL);
	if (f)
		check_fleet(f);
	conf_fleet_free(f);
	conf_report_free(&report);
	memfile_end();
	return 0;
}
