/* test_conf_write.c - configurations edited in place: what changes, and that nothing else does. */
#include <errno.h>
#include "conf_file.h"
#include "conf_write.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddee00"

static struct conf_text *text_of(enum conf_file file, const char *bytes)
{
	struct err e = { 0 };
	struct conf_text *t = conf_text_of(file, "cfg", bytes, strlen(bytes), &e);

	if (!t)
		fail_msg("%s", e.text);
	return t;
}

static void is_text(const struct conf_text *t, const char *expected)
{
	const char *bytes;
	size_t size;

	bytes = conf_text_bytes(t, &size);
	if (size != strlen(expected) || strcmp(bytes, expected) != 0)
		fail_msg("the text is\n%s\nand not\n%s", bytes, expected);
}

static const char *kind_of(enum conf_file file)
{
	return file == CONF_FILE_CLIENT ? "client" : "server";
}

/* Values. */

struct set_case {
	struct conf_place at;
	const char *key, *value, *before, *after;
};

static const struct set_case sets[] = {
	/* The line's own way, and what is behind the value. */
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\n\t port  =\t5 ; mine\n", "[defaults]\n\t port  =\t7 ; mine\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\r\nport=5\t\r\nmanage=no\r\n", "[defaults]\r\nport=7\t\r\nmanage=no\r\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\nport = 5", "[defaults]\nport = 7" },
	{ { "defaults", NULL, NULL }, "port", "7", "\xef\xbb\xbf[defaults]\nport = 5", "\xef\xbb\xbf[defaults]\nport = 7" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\nport =\n", "[defaults]\nport = 7\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\nport=\n", "[defaults]\nport=7\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\nport = ; none\n", "[defaults]\nport = 7 ; none\n" },
	{ { "defaults", NULL, NULL }, "mount", "/a;b", "[defaults]\nmount = /a;c\n", "[defaults]\nmount = /a;b\n" },
	/* Not what only looks like it. */
	{ { "defaults", NULL, NULL }, "port", "7", "# port = 1\n[defaults]\n#port = 5\nport = 6\n[interface a]\nport = 8\n",
	  "# port = 1\n[defaults]\n#port = 5\nport = 7\n[interface a]\nport = 8\n" },
	{ { "interface", "b", NULL }, "port", "7", "[interface a]\nport = 1\n[ interface\t b ] # x\nport = 2\n",
	  "[interface a]\nport = 1\n[ interface\t b ] # x\nport = 7\n" },
	{ { "server", "s", "two" }, "port", "7", "[namespace one]\n[server s]\nport = 1\n[namespace two]\n[server s]\nport = 2\n",
	  "[namespace one]\n[server s]\nport = 1\n[namespace two]\n[server s]\nport = 7\n" },
	{ { "volume", "osl:a", NULL }, "attach", "yes", "[volume osl/a]\nattach = no\n", "[volume osl/a]\nattach = yes\n" },
	/* A line more, behind the others and like them. */
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\n  protocol   = tcp\n\n# about a\n[interface a]\n",
	  "[defaults]\n  protocol   = tcp\n  port       = 7\n\n# about a\n[interface a]\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\nprotocol=tcp", "[defaults]\nprotocol=tcp\nport=7\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "[defaults]\r\nprotocol = tcp\r\n", "[defaults]\r\nprotocol = tcp\r\nport     = 7\r\n" },
	{ { "defaults", NULL, NULL }, "admin-group", "wheel", "[defaults]\nport = 7\n", "[defaults]\nport = 7\nadmin-group = wheel\n" },
	{ { "interface", "a", NULL }, "port", "7", "[interface b]\n address\t= 1.1.1.1\n[interface a]\n",
	  "[interface b]\n address\t= 1.1.1.1\n[interface a]\n port\t= 7\n" },
	/* A section more. */
	{ { "defaults", NULL, NULL }, "port", "7", "", "[defaults]\nport = 7\n" },
	{ { "defaults", NULL, NULL }, "port", "7", "# mine\n", "# mine\n\n[defaults]\nport = 7\n" },
	{ { "interface", "b", NULL }, "address", "1.1.1.2", "[interface a]\naddress = 1.1.1.1\n# of a\n\n# of osl\n[namespace osl]\n",
	  "[interface a]\naddress = 1.1.1.1\n# of a\n\n[interface b]\naddress = 1.1.1.2\n\n# of osl\n[namespace osl]\n" },
	{ { "server", "t", "one" }, "address", "1.1.1.2", "[namespace one]\n[server s]\naddress=1.1.1.1\n[namespace two]\n[server s]\n",
	  "[namespace one]\n[server s]\naddress=1.1.1.1\n\n[server t]\naddress=1.1.1.2\n\n[namespace two]\n[server s]\n" },
	/* No server below gets another namespace. */
	{ { "namespace", "three", NULL }, "namespaceid", "3", "[namespace one]\n[volume one:v]\n[server s]\n[volume one:w]\n",
	  "[namespace one]\n[volume one:v]\n[server s]\n\n[namespace three]\nnamespaceid = 3\n\n[volume one:w]\n" },
};

static void test_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++) {
		struct conf_text *t = text_of(CONF_FILE_CLIENT, sets[i].before);
		struct err e = { 0 };
		char value[100];

		if (conf_text_set(t, &sets[i].at, sets[i].key, sets[i].value, &e))
			fail_msg("%s\n%s", sets[i].before, e.text);
		is_text(t, sets[i].after);
		assert_true(conf_text_get(t, &sets[i].at, sets[i].key, value, sizeof(value)) > 0);
		assert_string_equal(value, sets[i].value);
		assert_int_equal(conf_text_set(t, &sets[i].at, sets[i].key, sets[i].value, &e), 0);
		is_text(t, sets[i].after);
		conf_text_free(t);
	}
}

static void test_not_set(void **state)
{
	static const struct {
		struct conf_place at;
		const char *key, *value;
	} bad[] = {
		{ { "defaults", NULL, NULL }, "port", "" },
		{ { "defaults", NULL, NULL }, "port", " 7" },
		{ { "defaults", NULL, NULL }, "port", "7 ; x" },
		{ { "defaults", NULL, NULL }, "port", ";7" },
		{ { "defaults", NULL, NULL }, "port", "7\n[server x]" },
		{ { "defaults", NULL, NULL }, "prot", "7" },
		{ { "defaults", "x", NULL }, "port", "7" },
		{ { "interface", NULL, NULL }, "port", "7" },
		{ { "interface", "a b", NULL }, "port", "7" },
		{ { "pool", "a", NULL }, "path", "/" },
		{ { "server", "s", "nowhere" }, "port", "7" },
		{ { "server", "new", NULL }, "port", "7" },
		{ { "volume", "a", NULL }, "attach", "no" },
		{ { "defaults", NULL, NULL }, "mount",
		  "/" FORTY FORTY FORTY FORTY FORTY },
	};
	static const char text[] = "[defaults]\nport = 1\n[namespace osl]\n";

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct conf_text *t = text_of(CONF_FILE_CLIENT, text);
		struct err e = { 0 };

		assert_true(conf_text_set(t, &bad[i].at, bad[i].key, bad[i].value, &e) < 0);
		assert_true(e.code > 0 && *e.text);
		is_text(t, text);
		assert_false(conf_text_changed(t));
		conf_text_free(t);
	}
}

/* A file that somebody wrote with care: one value is one line. */
static void test_by_hand(void **state)
{
	static const char format[] =
		"; The storage net.\r\n\r\n[defaults]\r\n   port=%s   ; as the firewall has it\r\n\tgive-up   =   5min\r\n"
		"mystery = 7\r\n\r\n\r\n   # both cards\r\n[interface if0]   # the first\r\n  device=eth0\r\n\r\n[unheard of]\r\nx\r\n\r\n"
		"[namespace osl]\r\nnamespaceid=1\r\n   #nodename = old\r\nnodename=me\r\nnodekey=k\r\n [server a]\r\n address=1.1.1.1";
	static const struct conf_place defaults = { "defaults", NULL, NULL };
	char before[1000], after[1000];
	struct conf_text *t;
	struct err e = { 0 };

	(void)state;
	snprintf(before, sizeof(before), format, "5000");
	snprintf(after, sizeof(after), format, "15001");
	t = text_of(CONF_FILE_CLIENT, before);
	assert_int_equal(conf_text_set(t, &defaults, "port", "15001", &e), 0);
	is_text(t, after);
	assert_int_equal(conf_text_set(t, &defaults, "port", "5000", &e), 0);
	is_text(t, before);
	assert_false(conf_text_changed(t));
	conf_text_free(t);
}

static void test_unset(void **state)
{
	static const struct conf_place at = { "defaults", NULL, NULL };
	struct conf_text *t = text_of(CONF_FILE_CLIENT, "[defaults]\n# the port\nport = 1\nmanage = no");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(conf_text_unset(t, &at, "port", &e), 0);
	is_text(t, "[defaults]\n# the port\nmanage = no");
	assert_int_equal(conf_text_unset(t, &at, "port", &e), 0);
	assert_int_equal(conf_text_unset(t, &at, "manage", &e), 0);
	is_text(t, "[defaults]\n# the port\n");
	assert_true(conf_text_unset(t, &at, "prot", &e) < 0);
	conf_text_free(t);
}

/* Sections. */

struct remove_case {
	enum conf_file file;
	struct conf_place at;
	const char *before, *after;
};

static const struct remove_case removes[] = {
	{ CONF_FILE_SERVER, { "pool", "a", NULL }, "[pool a]\npath = /a\n\n[pool b]\n", "[pool b]\n" },
	{ CONF_FILE_SERVER, { "pool", "b", NULL }, "[pool a]\npath = /a\n\n[pool b]\npath = /b\n", "[pool a]\npath = /a\n" },
	{ CONF_FILE_SERVER, { "pool", "b", NULL }, "[pool a]\n\n# b\n[pool b]\n# in b\npath = /b\n# of b\n\n# c\n[pool c]\n",
	  "[pool a]\n\n# b\n\n# c\n[pool c]\n" },
	{ CONF_FILE_SERVER, { "pool", "b", NULL }, "[pool a]\n\n[pool b]\npath = /b\n\n[pool c]\n", "[pool a]\n\n[pool c]\n" },
	{ CONF_FILE_SERVER, { "pool", "b", NULL }, "[pool a]\n[pool b]\npath = /b\n# c\n[pool c]\n", "[pool a]\n# c\n[pool c]\n" },
	{ CONF_FILE_SERVER, { "pool", "b", NULL }, "[pool a]\n[pool b]\npath = /b\n# of b\n# and more", "[pool a]\n" },
	{ CONF_FILE_SERVER, { "pool", "x", NULL }, "[pool a]\n", "[pool a]\n" },
	{ CONF_FILE_CLIENT, { "namespace", "a", NULL },
	  "[namespace a]\nnamespaceid = 1\n[interface i]\n[server s]\n[server t]\n\n[volume a:v]\n[volume ab:v]\n\n[namespace ab]\n[server s]\n",
	  "[interface i]\n\n[volume ab:v]\n\n[namespace ab]\n[server s]\n" },
};

static void test_remove(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(removes); i++) {
		struct conf_text *t = text_of(removes[i].file, removes[i].before);
		struct err e = { 0 };

		if (conf_text_remove(t, &removes[i].at, &e))
			fail_msg("%s of a %s: %s", removes[i].at.kind, kind_of(removes[i].file), e.text);
		is_text(t, removes[i].after);
		conf_text_free(t);
	}
}

/* What comes and goes leaves nothing. */
static void test_come_and_go(void **state)
{
	static const char *const names[] = { "rscltcfg", "rssrvcfg" };
	static const struct conf_place ats[][3] = {
		{ { "server", "new", "osl" }, { "interface", "if7", NULL }, { "namespace", "new", NULL } },
		{ { "pool", "new", NULL }, { "interface", "if7", NULL }, { "volume", "new", NULL } },
	};
	static const char *const keys[][3] = { { "address", "address", "nodename" }, { "path", "address", "path" } };

	(void)state;
	for (int file = 0; file < 2; file++) {
		char *text = sample(names[file]);

		for (int i = 0; i < 3; i++) {
			struct conf_text *t = text_of(file ? CONF_FILE_SERVER : CONF_FILE_CLIENT, text);
			struct err e = { 0 };

			assert_int_equal(conf_text_set(t, &ats[file][i], keys[file][i], "1.1.1.1", &e), 0);
			assert_true(conf_text_changed(t) && conf_text_has(t, &ats[file][i]));
			assert_int_equal(conf_text_remove(t, &ats[file][i], &e), 0);
			is_text(t, text);
			conf_text_free(t);
		}
		free(text);
	}
}

/* Clients. */

struct client_case {
	enum conf_client_edit what;
	const char *before, *after;	/* of "venus"; after NULL: refused */
};

static const struct client_case clients[] = {
	{ CONF_CLIENT_ADD, "[clients]\nbig-2 a\n", "[clients]\nbig-2 a\nvenus " KEY "\n" },
	{ CONF_CLIENT_ADD, "[clients]\n  big-2   a\n\n# end", "[clients]\n  big-2   a\n  venus   " KEY "\n\n# end" },
	{ CONF_CLIENT_ADD, "[server s]\nserverid = 1", "[server s]\nserverid = 1\n\n[clients]\nvenus " KEY "\n" },
	{ CONF_CLIENT_ADD, "[clients]\nvenus a\n", NULL },
	{ CONF_CLIENT_SECOND, "[clients]\r\nvenus a\r\nbig-2 b\r\n", "[clients]\r\nvenus a\r\nvenus " KEY "\r\nbig-2 b\r\n" },
	{ CONF_CLIENT_SECOND, "[clients]\n", NULL },
	{ CONF_CLIENT_SECOND, "[clients]\nvenus a\nvenus b\n", NULL },
	{ CONF_CLIENT_REPLACE, "[clients]\n\tvenus\ta\nbig-2 b\n  venus c", "[clients]\n\tvenus\t" KEY "\nbig-2 b\n" },
	{ CONF_CLIENT_REPLACE, "[clients]\nvenus a ;b\n", "[clients]\nvenus " KEY "\n" },
	{ CONF_CLIENT_REPLACE, "[clients]\nvenus2 a\n", "[clients]\nvenus2 a\nvenus " KEY "\n" },
	{ CONF_CLIENT_REPLACE, "[clients]\nvenus a\nvenus a\nvenus a\n", NULL },
	{ CONF_CLIENT_REPLACE, "[clients]\nvenus\n", NULL },
	{ CONF_CLIENT_DROP_FIRST, "[clients]\nvenus a\n# and\nvenus b\n", "[clients]\n# and\nvenus b\n" },
	{ CONF_CLIENT_DROP_FIRST, "[clients]\nvenus a\n", NULL },
	{ CONF_CLIENT_REMOVE, "[clients]\nvenus a\nbig-2 b\nvenus c\nvenus d\n", "[clients]\nbig-2 b\n" },
	{ CONF_CLIENT_REMOVE, "[clients]\nvenus a\n[pool p]\nclients = big-2, venus:ro, a\nmanage = venus a b ; who\n"
			      "[volume v]\nclients = a venus\n",
	  "[clients]\n[pool p]\nclients = big-2, a\nmanage = a b ; who\n[volume v]\nclients = a\n" },
	{ CONF_CLIENT_REMOVE, "[clients]\nvenus a\n[pool p]\nclients = venus:ro\n", NULL },
	{ CONF_CLIENT_REMOVE, "[clients]\nbig-2 a\n", "[clients]\nbig-2 a\n" },
};

static void test_clients(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(clients); i++) {
		const struct client_case *c = &clients[i];
		struct conf_text *t = text_of(CONF_FILE_SERVER, c->before);
		struct err e = { 0 };
		int r = conf_text_client(t, c->what, "venus", c->what < CONF_CLIENT_DROP_FIRST ? KEY : NULL, &e);

		if (!r != (c->after != NULL))
			fail_msg("%zu: %s: %s", i, c->before, e.text);
		is_text(t, c->after ? c->after : c->before);
		assert_null(strstr(e.text, KEY));
		conf_text_free(t);
	}
}

static void test_bad_clients(void **state)
{
	struct conf_text *t = text_of(CONF_FILE_SERVER, "[clients]\n");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(conf_text_client(t, CONF_CLIENT_ADD, "a b", "k", &e), -EINVAL);
	assert_int_equal(conf_text_client(t, CONF_CLIENT_ADD, "a", "two words", &e), -EINVAL);
	assert_int_equal(conf_text_client(t, CONF_CLIENT_ADD, "a", "", &e), -EINVAL);
	assert_int_equal(conf_text_client(t, CONF_CLIENT_ADD, "a", FORTY FORTY FORTY FORTY FORTY, &e), -EINVAL);
	is_text(t, "[clients]\n");
	conf_text_free(t);
	t = text_of(CONF_FILE_CLIENT, "[defaults]\n");
	assert_int_equal(conf_text_client(t, CONF_CLIENT_ADD, "a", "k", &e), -EINVAL);
	conf_text_free(t);
}

/* A client's servers. */

static void test_join(void **state)
{
	char *text = sample("rscltcfg"), expected[4096];
	const struct conf_join_portal portals[] = {
		{ "big-9-1", "192.168.45.10", 5000 },	/* is there */
		{ "big-9-2", "192.168.45.11", 0 },	/* the name is taken */
		{ "big-7", "fe80::1%eth0", 5001 },
	};
	struct conf_join j = { .namespace = "osl", .id = -1, .portals = portals, .portal_count = 3 };
	struct conf_text *t = text_of(CONF_FILE_CLIENT, text);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(conf_text_join(t, &j, &e), 0);
	snprintf(expected, sizeof(expected), "%s\n[server big-9-2-2]\naddress       = 192.168.45.11\n"
		 "\n[server big-7]\naddress       = fe80::1%%eth0\nport          = 5001\n", text);
	is_text(t, expected);
	assert_int_equal(conf_text_check(t, NULL, &e), 0);
	assert_int_equal(conf_text_join(t, &j, &e), 0);
	is_text(t, expected);
	/* A server that moved. */
	j.gone = &portals[1];
	j.gone_count = 2;
	j.portal_count = 2;
	assert_int_equal(conf_text_join(t, &j, &e), 0);
	snprintf(expected, sizeof(expected), "%s\n[server big-9-2-2]\naddress       = 192.168.45.11\n", text);
	is_text(t, expected);
	assert_int_equal(conf_text_leave(t, "osl", &portals[1], 1, &e), 0);
	is_text(t, text);
	assert_int_equal(conf_text_leave(t, "osl", (struct conf_join_portal[]){ { "", "192.168.45.10", 0 },
					 { "", "192.168.46.10", 5000 } }, 2, &e), -ENOTEMPTY);
	is_text(t, text);
	conf_text_free(t);
	free(text);
}

static void test_join_new(void **state)
{
	const struct conf_join_portal portals[] = { { "a", "10.0.0.1", 5000 }, { "b", "host.example", 7 } };
	const struct conf_join_portal interfaces[] = { { "if0", "10.0.0.2", 0 } };
	struct conf_join j = { .namespace = "lab", .id = 7, .node = "me", .key = KEY, .portals = portals, .portal_count = 2,
			       .interfaces = interfaces, .interface_count = 1 };
	struct conf_text *t = text_of(CONF_FILE_CLIENT, "");
	char name[CONF_NAME_MAX + 1] = "";
	struct err e = { 0 };

	(void)state;
	assert_false(conf_text_only_namespace(t, name));
	assert_int_equal(conf_text_join(t, &j, &e), 0);
	is_text(t, "[interface if0]\naddress = 10.0.0.2\n\n[namespace lab]\nnamespaceid = 7\nnodename    = me\nnodekey     = " KEY
		"\n\n[server a]\naddress     = 10.0.0.1\n\n[server b]\naddress     = host.example\nport        = 7\n");
	assert_int_equal(conf_text_check(t, NULL, &e), 0);
	assert_true(conf_text_only_namespace(t, name));
	assert_string_equal(name, "lab");
	/* Numbers. */
	j.id = 8;
	assert_int_equal(conf_text_join(t, &j, &e), -EEXIST);
	j.namespace = "other";
	j.id = 7;
	assert_int_equal(conf_text_join(t, &j, &e), -EEXIST);
	j.id = -1;
	j.key = NULL;
	assert_int_equal(conf_text_join(t, &j, &e), -EINVAL);
	assert_int_equal(conf_text_free_id(t, "lab"), conf_text_free_id(t, "lab"));
	assert_int_not_equal(conf_text_free_id(t, "lab"), conf_text_free_id(t, "lab2"));
	conf_text_free(t);
}

/* A port is written where something else would be taken for it. */
static void test_join_port(void **state)
{
	static const struct {
		const char *before;
		bool written;
	} cases[] = {
		{ "[namespace osl]\nport = 6000\n", false },
		{ "[defaults]\nport = 6000\n[namespace osl]\n", false },
		{ "[namespace osl]\n", true },
		{ "[defaults]\nport = 6000\n[namespace osl]\nport = 5000\n", true },
		{ "[interface if0]\nport = 6000\n[namespace osl]\nport = 6000\n", true },
	};
	const struct conf_join_portal portal = { "a", "10.0.0.1", 6000 };
	struct conf_join j = { .namespace = "osl", .id = 1, .node = "me", .key = KEY, .portals = &portal, .portal_count = 1 };
	const struct conf_place at = { "server", "a", "osl" };
	char port[10];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_text *t = text_of(CONF_FILE_CLIENT, cases[i].before);
		struct err e = { 0 };

		assert_int_equal(conf_text_join(t, &j, &e), 0);
		assert_int_equal(conf_text_get(t, &at, "port", port, sizeof(port)) > 0, cases[i].written);
		/* And it is found again. */
		assert_false(conf_text_join(t, &j, &e));
		assert_int_equal(conf_text_leave(t, "osl", &portal, 1, &e), -ENOTEMPTY);
		conf_text_free(t);
	}
}

/* The number is the name's, unless another has it. */
static void test_free_id(void **state)
{
	struct conf_text *t = text_of(CONF_FILE_CLIENT, "");
	int id = conf_text_free_id(t, "lab"), next;
	char text[100];

	(void)state;
	conf_text_free(t);
	assert_in_range(id, 1, 65535);
	snprintf(text, sizeof(text), "[namespace other]\nnamespaceid = %d\n", id);
	t = text_of(CONF_FILE_CLIENT, text);
	next = conf_text_free_id(t, "lab");
	assert_int_equal(next, id == 65535 ? 1 : id + 1);
	conf_text_free(t);
}

static void test_addresses(void **state)
{
	(void)state;
	assert_true(conf_same_address("10.0.0.1", "10.0.0.1"));
	assert_true(conf_same_address("2001:db8::1", "[2001:DB8:0:0::1]"));
	assert_true(conf_same_address("fe80::1%eth0", "fe80:0::1%eth0"));
	assert_true(conf_same_address("Host.example", "host.EXAMPLE"));
	assert_false(conf_same_address("10.0.0.1", "10.0.0.2"));
	assert_false(conf_same_address("fe80::1%eth0", "fe80::1%eth1"));
	assert_false(conf_same_address("fe80::1", "fe80::1%eth0"));
	assert_false(conf_same_address("::ffff:10.0.0.1", "10.0.0.1"));
	assert_false(conf_same_address("host", "10.0.0.1"));
}

/* What is shown. */

static void hidden(enum conf_file file, const char *text, const char *expected)
{
	size_t size;
	char *shown = conf_text_hidden(file, text, strlen(text), &size);

	assert_non_null(shown);
	assert_string_equal(shown, expected);
	assert_int_equal(size, strlen(expected));
	free(shown);
}

static void test_hidden(void **state)
{
	(void)state;
	hidden(CONF_FILE_CLIENT, "[namespace osl]\nnamespaceid = 1\nnodename = me\n  nodekey  = secret ; x\r\n",
	       "[namespace osl]\nnamespaceid = 1\nnodename = me\n  nodekey  = (hidden)\r\n");
	hidden(CONF_FILE_CLIENT, "[namespace osl]\nnodkey = secret\nsecret\n#nodekey = old secret\n",
	       "[namespace osl]\nnodkey = (hidden)\n(hidden)\n#nodekey = (hidden)\n");
	hidden(CONF_FILE_CLIENT, "[namespace osl]\nnodekey = @file:/k\n[defaults]\nnodekey = s\nport = 1\n",
	       "[namespace osl]\nnodekey = @file:/k\n[defaults]\nnodekey = (hidden)\nport = 1\n");
	hidden(CONF_FILE_CLIENT, "# note " KEY "\n[nonsense]\nx = y\nnodekey = z", "# note (hidden)\n[nonsense]\nx = (hidden)\nnodekey = (hidden)");
	hidden(CONF_FILE_SERVER, "[clients]\nbig-2 secret\n#venus old\n# two words here\nsecret\n[pool p]\npath = /x\n",
	       "[clients]\nbig-2 (hidden)\n#venus (hidden)\n# two words here\n(hidden)\n[pool p]\npath = /x\n");
	hidden(CONF_FILE_SERVER, "[clents]\nbig-2 secret\nvenus @credential:k\n", "[clents]\nbig-2 (hidden)\nvenus @credential:k\n");
	hidden(CONF_FILE_SERVER, "", "");
}

static void test_diff(void **state)
{
	static const struct conf_place at = { "namespace", "osl", NULL };
	struct conf_text *t = text_of(CONF_FILE_CLIENT, "[namespace osl]\nnodekey = secret\n");
	struct err e = { 0 };
	char *diff = conf_text_diff(t);

	(void)state;
	assert_string_equal(diff, "");
	free(diff);
	assert_int_equal(conf_text_set(t, &at, "nodekey", KEY, &e), 0);
	diff = conf_text_diff(t);
	assert_string_equal(diff, "--- cfg\n+++ cfg\n@@ -1,2 +1,2 @@\n [namespace osl]\n-nodekey = (hidden)\n+nodekey = (hidden)\n");
	free(diff);
	conf_text_free(t);
}

/* Another host's file names files that are not here. */
static void test_of_another_host(void **state)
{
	static const char text[] = HEAD PORTAL "[clients]\na @file:/not/here\na @credential:b\nb @file:/not/here/either\n";
	static const char bad[] = HEAD PORTAL "[clients]\na @file:relative\n";
	struct conf_text *t = text_of(CONF_FILE_SERVER, text);
	struct conf_report r;
	struct conf_server *s;
	struct err e = { 0 };

	(void)state;
	if (conf_text_check(t, NULL, &e))
		fail_msg("%s", e.text);
	conf_text_free(t);
	s = conf_server_parse("cfg", text, strlen(text), &r);
	assert_non_null(s);
	assert_null(s->key_files);
	conf_report_free(&r);
	conf_server_check_keys(s, &r);
	assert_int_equal(r.count, 1);	/* that there are two, but not that they are weak or somebody else's */
	conf_report_free(&r);
	conf_server_free(s);
	t = text_of(CONF_FILE_SERVER, bad);
	assert_int_equal(conf_text_check(t, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "absolute path"));
	conf_text_free(t);
}

/* What nobody knows: a mistake, but to who keeps it; and an edit that is thought better of. */
static void test_kept(void **state)
{
	static const char bytes[] = "[namespace osl]\nnamespaceid = 1\nnodename = n\nnodekey = " KEY "\n[server s]\n"
				    "address = 1.2.3.4\ncolour = red\n[odd thing]\nx = y\n";
	static const struct conf_place server = { "server", "s", "osl" };
	struct conf_text *t = text_of(CONF_FILE_CLIENT, bytes);
	struct conf_report report;
	struct conf_client *c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(conf_text_check(t, &report, &e), -EINVAL);
	assert_int_equal(report.count - report.warnings, 2);
	conf_report_free(&report);
	conf_text_keep_unknown(t);
	assert_int_equal(conf_text_check(t, &report, &e), 0);
	assert_int_equal(report.count, 2);
	assert_int_equal(report.warnings, 2);
	assert_non_null(strstr(report.lines[0], "cfg:7: warning: [server s] colour: unknown key: it stays"));
	assert_non_null(strstr(report.lines[1], "cfg:8: warning: [odd] unknown section: it stays"));
	conf_report_free(&report);
	c = conf_text_read_client(t, &report);
	assert_non_null(c);
	assert_string_equal(c->namespaces[0].portals[0].address, "1.2.3.4");
	conf_client_free(c);
	conf_report_free(&report);

	assert_int_equal(conf_text_set(t, &server, "address", "1.2.3.5", &e), 0);
	assert_true(conf_text_changed(t));
	assert_int_equal(conf_text_begin_anew(t, &e), 0);
	is_text(t, bytes);
	conf_text_free(t);
}

static void test_no_text(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(conf_text_of(CONF_FILE_CLIENT, "cfg", "a\0b", 3, &e));
	assert_int_equal(e.code, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set), cmocka_unit_test(test_not_set), cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_unset), cmocka_unit_test(test_remove), cmocka_unit_test(test_come_and_go),
		cmocka_unit_test(test_clients), cmocka_unit_test(test_bad_clients), cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_new), cmocka_unit_test(test_join_port), cmocka_unit_test(test_free_id), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hidden), cmocka_unit_test(test_diff), cmocka_unit_test(test_no_text),
		cmocka_unit_test(test_of_another_host), cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
