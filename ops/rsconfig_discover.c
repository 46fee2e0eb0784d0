/*
 * rsconfig_discover.c - --discover: which servers there are, and how good the ways there are.
 *
 * Without rsiod and without a configuration: for who has neither yet.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "discover_test.h"
#include "rsconfig.h"

#define PORT 5000			/* of portals, unless a configuration says otherwise */
#define LISTEN_TIME 1.0
#define TIME_LEAST 0.1
#define TIME_MOST 60.0
#define TEST_TIME 8.0

static volatile sig_atomic_t ended;

struct found {
	struct discover_result result;
	struct discover_paths paths;
	int port;
	double time;
	char **addresses;
	int address_count;
};

/*
 * As JSON.
 */
static json_t *number_or_null(uint32_t n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *json_interface(const struct discover_interface *i)
{
	json_t *addresses = json_array();

	for (size_t n = 0; n < i->address_count; n++) {
		char text[SOCK_TEXT_MAX];

		sock_format(&i->addresses[n].at, text);
		json_array_append_new(addresses, json_sprintf("%s/%d", text, i->addresses[n].prefix));
	}
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:b, s:o, s:b, s:i, s:o}", "name", i->nic.name,
		"driver", text_or_null(i->nic.driver), "speed_mbit", number_or_null(i->nic.speed),
		"duplex", nic_duplex_name(i->nic.duplex), "mtu", number_or_null(i->nic.mtu), "up", (int)(i->nic.up || i->any),
		"addresses", addresses, "asked", (int)i->asked, "answers", (int)i->answers, "why", text_or_null(i->why));
}

static json_t *json_portal(const struct discover_portal *p)
{
	const struct wire_discover_portal *t = &p->told;
	json_t *j = json_pack("{s:s, s:i}", "address", p->address, "port", (int)t->port);

	if (!t->detailed)
		return j;
	json_object_update_new(j, json_pack("{s:i, s:s, s:o, s:o, s:s, s:o, s:b}", "prefix", (int)t->prefix,
		"device", t->device, "driver", text_or_null(t->driver), "speed_mbit", number_or_null(t->speed),
		"duplex", nic_duplex_name(t->duplex), "mtu", number_or_null(t->mtu), "up", (int)t->up));
	return j;
}

static json_t *json_server(const struct discover_server *s)
{
	json_t *portals = json_array();

	for (size_t i = 0; i < s->portal_count; i++)
		json_array_append_new(portals, json_portal(&s->portals[i]));
	return json_pack("{s:s, s:i, s:s, s:i, s:s, s:o, s:o, s:b}", "namespace", s->namespace, "namespace_id", s->namespace_id,
		"server", s->server, "server_id", s->server_id, "security", s->auth ? "auth" : "tls",
		"version", text_or_null(s->software), "portals", portals, "more_portals", (int)s->more);
}

static json_t *json_path(const struct found *f, const struct discover_path *p)
{
	const struct discover_server *s = &f->result.servers[p->server];
	const struct discover_portal *portal = &s->portals[p->portal];

	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:i, s:o, s:o, s:o, s:b}",
		"interface", f->result.interfaces[p->interface].nic.name, "namespace", s->namespace, "server", s->server,
		"address", portal->address, "port", (int)portal->told.port, "state", discover_path_state_name(p->state),
		"asked", p->asked, "answered", p->answered,
		"round_trip_us", p->answered ? json_real(p->mean * 1e6) : json_null(),
		"least_us", p->answered ? json_real(p->least * 1e6) : json_null(),
		"mtu", number_or_null(p->mtu), "mtu_is_most", (int)p->mtu_most);
}

static int print_json(const struct found *f)
{
	json_t *interfaces = json_array(), *servers = json_array(), *paths = json_array();

	for (size_t i = 0; i < f->result.interface_count; i++)
		json_array_append_new(interfaces, json_interface(&f->result.interfaces[i]));
	for (size_t i = 0; i < f->result.count; i++)
		json_array_append_new(servers, json_server(&f->result.servers[i]));
	for (size_t i = 0; i < f->paths.count; i++)
		json_array_append_new(paths, json_path(f, &f->paths.list[i]));
	return rsconfig_print_json(json_pack("{s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i, s:i}}", "interfaces", interfaces,
		"servers", servers, "paths", paths, "left_out", "interfaces", (int)f->result.interfaces_left_out,
		"answers", (int)f->result.surplus, "malformed", (int)f->result.malformed,
		"unasked", (int)f->result.unasked, "paths", (int)f->paths.left_out));
}

/*
 * For people.
 */
static const char *speed_text(uint32_t speed, int duplex, char out[40])
{
	if (!speed)
		snprintf(out, 40, "-");
	else if (speed % 1000 == 0)
		snprintf(out, 40, "%u Gbit/s%s", speed / 1000, duplex == NIC_DUPLEX_HALF ? " half" : "");
	else
		snprintf(out, 40, "%u Mbit/s%s", speed, duplex == NIC_DUPLEX_HALF ? " half" : "");
	return out;
}

static const char *mtu_text(uint32_t mtu, char out[16])
{
	snprintf(out, 16, mtu ? "%u" : "-", mtu);
	return out;
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static size_t servers_heard(const struct discover_result *r, size_t interface)
{
	size_t count = 0;

	for (size_t s = 0; s < r->count; s++) {
		bool heard = false;

		for (size_t p = 0; p < r->servers[s].portal_count; p++)
			heard |= r->servers[s].portals[p].round_trip[interface] >= 0;
		count += heard;
	}
	return count;
}

/* Link-local ones say nothing to who looks for his networks. */
static size_t addresses_text(const struct discover_interface *i, char out[DISCOVER_OWN_MAX][SOCK_TEXT_MAX + 8])
{
	size_t count = 0;

	for (size_t n = 0; n < i->address_count; n++) {
		if (!sock_is_global(&i->addresses[n].at))
			continue;
		sock_format(&i->addresses[n].at, out[count]);
		snprintf(out[count] + strlen(out[count]), 8, "/%d", i->addresses[n].prefix);
		count++;
	}
	return count;
}

static void print_interface(const struct discover_result *r, size_t number)
{
	const struct discover_interface *i = &r->interfaces[number];
	char speed[40], mtu[16], addresses[DISCOVER_OWN_MAX][SOCK_TEXT_MAX + 8];
	size_t count = addresses_text(i, addresses);

	printf("  %-10s %-24s %-12s %-14s %-6s %zu%s%s\n", i->nic.name, count ? addresses[0] : "-", or_dash(i->nic.driver),
	       speed_text(i->nic.speed, i->nic.duplex, speed), mtu_text(i->nic.mtu, mtu), servers_heard(r, number),
	       *i->why ? "; not asked: " : "", i->why);
	for (size_t n = 1; n < count; n++)
		printf("  %-10s %s\n", "", addresses[n]);
}

static void print_interfaces(const struct discover_result *r)
{
	printf("This host's interfaces\n  %-10s %-24s %-12s %-14s %-6s %s\n", "NAME", "ADDRESS", "DRIVER", "SPEED", "MTU", "SERVERS");
	for (size_t i = 0; i < r->interface_count; i++)
		print_interface(r, i);
	if (r->interfaces_left_out)
		printf("  and %zu more, which were not asked: name those you want with --interface\n", r->interfaces_left_out);
}

static void print_portal(const struct discover_portal *p)
{
	const struct wire_discover_portal *t = &p->told;
	char speed[40], mtu[16], at[SOCK_TEXT_MAX + 8];

	snprintf(at, sizeof(at), "%s/%d", p->address, t->port);
	if (t->detailed)
		printf("    %-28s %-10s %-12s %-14s %-6s %s\n", at, or_dash(t->device), or_dash(t->driver),
		       speed_text(t->speed, t->duplex, speed), mtu_text(t->mtu, mtu), t->up ? "up" : "down");
	else
		printf("    %s\n", at);
}

static bool same_namespace(const struct discover_server *a, const struct discover_server *b)
{
	return a->namespace_id == b->namespace_id && strcmp(a->namespace, b->namespace) == 0;
}

static void print_servers(const struct discover_result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct discover_server *s = &r->servers[i];

		if (!i || !same_namespace(s, s - 1))
			printf("\nNamespace %s, number %d\n", s->namespace, s->namespace_id);
		printf("  server %s, number %d%s%s; security %s\n", s->server, s->server_id, *s->software ? ", rsio " : "",
		       s->software, s->auth ? "tls, or auth (data in the clear)" : "tls");
		for (size_t n = 0; n < s->portal_count; n++)
			print_portal(&s->portals[n]);
		if (s->more)
			printf("    and more portals than it could tell\n");
	}
}

static void print_path(const struct found *f, const struct discover_path *p)
{
	const struct discover_server *s = &f->result.servers[p->server];
	const struct discover_portal *portal = &s->portals[p->portal];
	char at[SOCK_TEXT_MAX + 8], server[2 * WIRE_NAME_MAX + 2], mtu[16];

	snprintf(at, sizeof(at), "%s/%d", portal->address, portal->told.port);
	snprintf(server, sizeof(server), "%s:%s", s->namespace, s->server);
	printf("  %-10s %-28s %-20s ", f->result.interfaces[p->interface].nic.name, at, server);
	if (p->state == DISCOVER_PATH_NO_WAY)
		puts("no route from here");
	else if (p->state == DISCOVER_PATH_SILENT)
		puts("no answer");
	else
		printf("%8.3f ms  %s%s\n", p->mean * 1e3, mtu_text(p->mtu, mtu),
		       p->mtu && !p->mtu_most ? "   less than both ends have" : "");
}

static void print_paths(const struct found *f)
{
	printf("\nPaths\n  %-10s %-28s %-20s %11s  %s\n", "FROM", "PORTAL", "SERVER", "ROUND TRIP", "MTU");
	for (size_t i = 0; i < f->paths.count; i++)
		print_path(f, &f->paths.list[i]);
	if (f->paths.left_out)
		printf("  and %zu more, which were not tested\n", f->paths.left_out);
}

static void print_text(const struct found *f)
{
	print_interfaces(&f->result);
	if (!f->result.count)
		return;
	print_servers(&f->result);
	print_paths(f);
}

/*
 * What went wrong.
 */
static void complain_of_addresses(const struct found *f)
{
	for (int i = 0; i < f->address_count; i++)
		if (!f->result.answered[i])
			fprintf(stderr, "rsconfig: %s %s\n", f->addresses[i], f->result.led_to[i] ? "did not answer" :
				"was not asked: no route leads there from the interfaces asked");
}

static void complain_of_answers(const struct discover_result *r)
{
	if (r->malformed || r->unasked)
		fprintf(stderr, "rsconfig: %zu datagrams were no answers to these questions\n", r->malformed + r->unasked);
	if (r->surplus)
		fprintf(stderr, "rsconfig: %zu answers were left out: more than %d servers, or more than %d of one address; "
			"somebody may be lying\n", r->surplus, DISCOVER_SERVERS_MAX, DISCOVER_SERVERS_PER_HOST);
}

static void say_why_nothing(const struct found *f)
{
	bool asked = false;

	for (size_t i = 0; i < f->result.interface_count; i++)
		asked |= f->result.interfaces[i].asked;
	if (!asked) {
		fputs("rsconfig: nobody was asked: no interface that is up has an address\n", stderr);
		return;
	}
	fprintf(stderr, "rsconfig: no server answered within %g s\n"
		"  Is one running there?                 rsagent deploy puts one on a host\n"
		"  Does it answer strangers?             discovery in its rssrvcfg may be none\n"
		"  Does a firewall drop UDP port %-6d  here, there or between; the data's TCP port is another matter\n"
		"  Does it use another port?             --port N\n", f->time, f->port);
	if (!f->address_count)
		fputs("  Is it behind a router?                name it: rsconfig --discover ADDRESS\n", stderr);
}

/*
 * The whole.
 */
static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static bool go_on(void *arg)
{
	(void)arg;
	return !ended;
}

static void read_addresses(const struct found *f, struct sock_addr out[DISCOVER_ADDRESSES_MAX])
{
	if (f->address_count > DISCOVER_ADDRESSES_MAX)
		rsconfig_usage("more than %d addresses", DISCOVER_ADDRESSES_MAX);
	for (int i = 0; i < f->address_count; i++) {
		if (sock_parse(f->addresses[i], f->port, &out[i]) == 0 || sock_resolve(f->addresses[i], f->port, &out[i]) == 0)
			continue;
		fprintf(stderr, "rsconfig: %s is no address, and no host of that name is known\n", f->addresses[i]);
		exit(1);
	}
}

static size_t read_interfaces(char *text, const char *out[DISCOVER_INTERFACES_MAX])
{
	size_t count = 0;
	char *rest = NULL;

	for (char *name = text ? strtok_r(text, ",", &rest) : NULL; name; name = strtok_r(NULL, ",", &rest)) {
		if (count == DISCOVER_INTERFACES_MAX)
			rsconfig_usage("more than %d interfaces", DISCOVER_INTERFACES_MAX);
		out[count++] = name;
	}
	if (text && !count)
		rsconfig_usage("--interface names none");
	return count;
}

static int look(struct found *f, char *interfaces, struct err *e)
{
	const char *devices[DISCOVER_INTERFACES_MAX];
	struct sock_addr addresses[DISCOVER_ADDRESSES_MAX];
	struct discover_wish w = { .devices = devices, .addresses = addresses, .groups = !f->address_count,
				   .port = f->port, .time = f->time, .go_on = go_on };
	int r;

	w.device_count = read_interfaces(interfaces, devices);
	w.address_count = (size_t)f->address_count;
	read_addresses(f, addresses);
	r = discover_run(&w, &f->result, e);
	return r ? r : discover_test(&f->result, TEST_TIME, go_on, NULL, &f->paths, e);
}

int rsconfig_discover(const struct rsconfig *rc, char **operands, int count)
{
	struct found f = { .port = rc->port ? rc->port : PORT, .addresses = operands, .address_count = count,
			   .time = rc->drill_time > 0 ? rc->drill_time : LISTEN_TIME };
	char *interfaces = rc->interface ? strdup(rc->interface) : NULL;
	struct err e = { 0 };
	int status = 0;

	if (rc->drill_time != 0 && (rc->drill_time < TIME_LEAST || rc->drill_time > TIME_MOST))
		rsconfig_usage("--for is from %g seconds to a minute with --discover", TIME_LEAST);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (look(&f, interfaces, &e)) {
		err_print("rsconfig", &e);
		status = 1;
	} else {
		if (rc->json)
			status = print_json(&f);
		else
			print_text(&f);
		complain_of_addresses(&f);
		complain_of_answers(&f.result);
		if (!f.result.count) {
			say_why_nothing(&f);
			status = 1;
		}
	}
	discover_paths_free(&f.paths);
	discover_result_free(&f.result);
	free(interfaces);
	return status;
}
