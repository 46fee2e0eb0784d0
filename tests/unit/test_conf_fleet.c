/* A fleet's file: what each server and client gets of it, and its mistakes with their lines. */
#include "conf_file.h"

#define OSL "[namespace osl]\nnamespaceid = 7\n"
#define WS1 "[client ws1]\n"
#define ST1 "[server st1]\nserverid = 1\n"
#define IF0 "[interface if0]\naddress = 10.0.0.1\n"

static const char whole[] =
	"# all of it\n"
	"[namespace osl]\n"
	"namespaceid = 7\n"
	"port        = 5001\n"
	"[server st1]\n"
	"host     = root@10.0.0.1:2222\n"
	"serverid = 1\n"
	"  [interface if0]\n"
	"  address = 10.0.0.1\n"
	"  [pool main]\n"
	"  path = /srv/rsio\n"
	"  clients = ws1 ws2:ro\n"
	"  manage = ws1\n"
	"[client ws1]\n"
	"host = local\n"
	"[client ws2]\n"
	"config = /etc/other\n"
	"[server st2]\n"
	"serverid = 2\n"
	"[interface if0]\n"
	"device = eth1\n"
	"port = 6000\n"
	"[namespace lab]\n"
	"namespaceid = 8\n"
	"[server st1]\n"
	"host = st3\n"
	"serverid = 1\n"
	"[interface if0]\n"
	"address = 10.0.0.3\n"
	"[volume disk]\n"
	"path = /dev/sdb\n"
	"[client ws1]\n";

static struct conf_fleet *fleet_of(const char *text, struct conf_report *r)
{
	write_bytes(text, strlen(text), 0644);
	return conf_fleet_read(path, r);
}

static void reads(void **state)
{
	struct conf_report r;
	struct conf_fleet *f = fleet_of(whole, &r);
	struct conf_fleet_namespace *osl, *lab;
	struct conf_server *c;

	(void)state;
	conf_report_print("test", &r);
	assert_non_null(f);
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(f->count, 2);
	osl = &f->namespaces[0];
	lab = &f->namespaces[1];
	assert_string_equal(osl->name, "osl");
	assert_int_equal(osl->id, 7);
	assert_int_equal(osl->server_count, 2);
	assert_int_equal(osl->client_count, 2);
	assert_string_equal(osl->clients[0].host, "local");
	assert_null(osl->clients[1].host);
	assert_string_equal(osl->clients[1].config, "/etc/other");
	assert_string_equal(osl->servers[0].host, "root@10.0.0.1:2222");
	c = osl->servers[0].conf;
	assert_string_equal(c->namespace, "osl");
	assert_int_equal(c->listens[0].port, 5001);
	assert_int_equal(conf_right(c->pools[0].clients, "ws2"), CONF_RIGHT_READ);
	assert_int_equal(osl->servers[1].conf->listens[0].port, 6000);
	assert_int_equal(lab->id, 8);
	assert_string_equal(lab->servers[0].conf->volumes[0].path, "/dev/sdb");
	assert_string_equal(osl->servers[0].text,
			    "[namespace osl]\nnamespaceid = 7\nport = 5001\n\n[server st1]\nserverid = 1\n\n"
			    "[interface if0]\naddress = 10.0.0.1\n\n"
			    "[pool main]\npath = /srv/rsio\nclients = ws1 ws2:ro\nmanage = ws1\n");
	conf_fleet_free(f);
}

/* What a server's text says, rssrv takes once the clients have keys. */
static void texts_are_servers(void **state)
{
	struct conf_report r;
	struct conf_fleet *f = fleet_of(whole, &r);
	struct conf_server *c;
	char *text;

	(void)state;
	conf_report_free(&r);
	assert_non_null(f);
	assert_true(asprintf(&text, "%s\n[clients]\nws1 0x1\nws2 0x2\n", f->namespaces[0].servers[0].text) > 0);
	c = server_of(text, &r);
	assert_non_null(c);
	assert_int_equal(r.count, 0);
	assert_string_equal(c->pools[0].path, "/srv/rsio");
	assert_int_equal(c->client_count, 2);
	conf_server_free(c);
	conf_report_free(&r);
	free(text);
	conf_fleet_free(f);
}

static void mistaken(void **state)
{
	static const struct mistake_case cases[] = {
		{ "", { " there is no [namespace NAME] section" } },
		{ OSL, { "1: [namespace osl] there is no [server NAME] section below it" } },
		{ OSL ST1 IF0, { "1: warning: [namespace osl] there is no [client NAME] section below it, so nobody can log in" } },
		{ ST1 IF0 WS1,
		  { "1: [server st1] belongs below its [namespace]",
		    "5: [client ws1] belongs below its [namespace]", " there is no [namespace NAME] section" } },
		{ OSL IF0 WS1 ST1,
		  { "3: [interface if0] belongs below its [server]",
		    "6: [server st1] there is no [interface NAME] section below it, so no portal" } },
		{ OSL ST1 IF0 WS1 "[pool p]\npath = /p\n", { "8: [pool p] belongs below its [server]" } },
		{ OSL WS1 ST1 IF0 "[pool p]\npath = /p\nclients = ws1 ws2\n",
		  { "10: [pool p] clients: there is no [client ws2] in its namespace" } },
		{ OSL WS1 ST1 IF0 "[pool p]\npth = /p\n[vloume x]\n[client ws1]\n",
		  { "8: [pool p] path: is missing (directory)", "9: [pool p] pth: unknown key (did you mean path?)",
		    "10: [vloume] unknown section (did you mean volume?)", "11: [client ws1] is the same section as in line 3" } },
		{ OSL WS1 ST1 IF0 IF0, { "8: [interface if0] is the same section as in line 6",
					 "9: [interface if0] address: with port 5000 it collides with [interface if0]" } },
		{ OSL WS1 ST1 IF0 "[server st2]\nserverid = 1\nhost = st1\n" IF0,
		  { "9: [server st2] serverid: is that of [server st1] too",
		    "10: [server st2] host: is that of [server st1] in line 4 too: a host has one server" } },
		{ OSL WS1 ST1 IF0 "[server st2]\nserverid = 2\n" IF0 "[namespace x]\nnamespaceid=7\n[server y]\nserverid=1\n" IF0
		  "[client z]\n",
		  { "13: [namespace x] namespaceid: is that of [namespace osl] too" } },
		/* Once, though it is in two servers' files. */
		{ "[namespace osl]\nnamespaceid = 7\nsecurity = none\n" WS1 ST1 IF0 "[server st2]\nserverid = 2\n" IF0,
		  { "3: [namespace osl] security: is not tls or auth" } },
		{ OSL WS1 "nodekey = x\n" ST1 IF0, { "4: [client ws1] nodekey: unknown key" } },
		{ OSL WS1 ST1 "hots = a\n" IF0, { "6: [server st1] hots: unknown key (did you mean host?)" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_report r;
		struct conf_fleet *f = fleet_of(cases[i].text, &r);

		assert_true((f == NULL) == (r.count > r.warnings));
		check_report(&cases[i], &r);
		conf_fleet_free(f);
		conf_report_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads), cmocka_unit_test(texts_are_servers), cmocka_unit_test(mistaken),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
