/* test_conf_change.c - which changes of the configuration end a namespace's sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "conf_change.h"

/* Two namespaces, osl with two portals; each test changes a copy. */
struct sample {
	struct conf_client conf;
	struct conf_namespace namespaces[2];
	struct conf_portal portals[2];
	struct conf_volume_rule rules[3];
};

static void make(struct sample *s)
{
	memset(s, 0, sizeof *s);
	s->conf.port = 5000;
	s->conf.namespaces = s->namespaces;
	s->conf.namespace_count = 2;
	s->conf.volumes = s->rules;
	s->conf.interface_count = 1;
	strcpy(s->conf.interfaces[0].name, "if0");
	s->conf.interfaces[0].address = "192.168.10.1";
	strcpy(s->namespaces[0].name, "osl");
	strcpy(s->namespaces[0].nodename, "sles1");
	s->namespaces[0].behaviour.give_up = 120;
	s->namespaces[0].portals = s->portals;
	s->namespaces[0].portal_count = 2;
	strcpy(s->portals[0].name, "big-9-1");
	s->portals[0].address = "192.168.10.9";
	strcpy(s->portals[1].name, "big-9-2");
	s->portals[1].address = "192.168.20.9";
	strcpy(s->namespaces[1].name, "lab");
}

static struct sample a, b;

static int setup(void **state)
{
	(void)state;
	make(&a);
	make(&b);
	return 0;
}

static enum conf_change change(void)
{
	return conf_change(&a.conf, 0, &b.conf, 0);
}

static bool same(void)
{
	return change() == CONF_CHANGE_NOTHING;
}

static struct conf_volume_rule *add_rule(struct sample *s, const char *namespace, const char *name)
{
	struct conf_volume_rule *r = &s->rules[s->conf.volume_count++];

	strcpy(r->namespace, namespace);
	strcpy(r->name, name);
	return r;
}

static void nothing_changed(void **state)
{
	(void)state;
	b.portals[0].line = 17;
	b.namespaces[0].line = 3;
	b.namespaces[0].key.bytes[31] = 1;
	assert_true(same());
}

static void what_ends_sessions(void **state)
{
	char why[SHARES_WHY_MAX];

	(void)state;
#define CHANGES(what) do { make(&b); what; assert_int_equal(change(), CONF_CHANGE_SESSIONS); } while (0)
	CHANGES(b.namespaces[0].id = 7);
	CHANGES(strcpy(b.namespaces[0].nodename, "sles2"));
	CHANGES(b.namespaces[0].behaviour.give_up = 60);
	CHANGES(b.namespaces[0].behaviour.policy = POLICY_FAIL_OVER);
	CHANGES(b.namespaces[0].behaviour.payload_crc = true);
	CHANGES(b.namespaces[0].behaviour.learn_portals = true);
	CHANGES(b.namespaces[0].behaviour.probation = 1);
	CHANGES(add_rule(&b, "osl", "oracle")->has_on_loss = true);
	CHANGES(shares_set_weights(&b.namespaces[0].behaviour.shares, "if0=2", why));
	CHANGES(shares_set_standbys(&b.namespaces[0].behaviour.shares, "if0", why));
	CHANGES(add_rule(&b, "osl", "oracle")->has_policy = true);
	CHANGES(shares_set_weights(&add_rule(&b, "osl", "oracle")->shares, "if0=2", why));
}

static void what_changes_paths(void **state)
{
	(void)state;
#define PATHS(what) do { make(&b); what; assert_int_equal(change(), CONF_CHANGE_PATHS); } while (0)
	PATHS(b.namespaces[0].port = 5001);
	PATHS(b.conf.port = 5001);
	PATHS(b.namespaces[0].portal_count = 1);
	PATHS(b.portals[1].address = "192.168.20.10");
	PATHS(b.portals[1].port = 5001);
	PATHS(b.conf.interface_count = 0);
	PATHS(b.conf.interfaces[0].address = "192.168.10.2");
	PATHS(b.conf.interfaces[0].device = "eth0");
	b.namespaces[0].behaviour.give_up = 60;	/* and what ends sessions */
	assert_int_equal(change(), CONF_CHANGE_SESSIONS);
}

static void what_is_no_concern_of_it(void **state)
{
	(void)state;
	add_rule(&b, "osl", "oracle")->attach = true;
	assert_true(same());
	add_rule(&b, "lab", "scratch")->has_on_loss = true;
	assert_true(same());
	strcpy(b.namespaces[1].nodename, "other");
	b.conf.mount = "/mnt";
	assert_true(same());
	add_rule(&a, "osl", "redo")->has_on_loss = true;
	assert_false(same());
	add_rule(&b, "osl", "redo")->has_on_loss = true;
	assert_true(same());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_changed, setup),
		cmocka_unit_test_setup(what_ends_sessions, setup),
		cmocka_unit_test_setup(what_changes_paths, setup),
		cmocka_unit_test_setup(what_is_no_concern_of_it, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
