/* links: wizard.  Answers laid over a file, what is said of them, and answers files. */
#include <errno.h>
#include "../../wizard/answers.h"
#include "conf_file.h"
#include "../../wizard/lint.h"
#include "../../wizard/plan.h"

#define KEY "9f8a3c17d40be265718cfa9034be5d12c6e70b9d8f41a35627d0931eb8c4fa6e"

static const char file[] =
	"# the storage network\n"
	"[defaults]\n"
	"port = 5000\n"
	"colour = red\n"
	"\n"
	"# left\n"
	"[interface if0]\n"
	"address = 10.0.1.1\t; from the left\n"
	"\n"
	"[interface if1]\n"
	"address = 10.0.2.1\n"
	"\n"
	"[namespace osl]\n"
	"namespaceid = 200\n"
	"nodename = n\n"
	"nodekey = " KEY "\n"
	"[server s-1]\n"
	"address = 10.0.1.9\n"
	"[server s-2]\n"
	"address = 10.0.2.9\n"
	"[odd]\n"
	"x = y\n";

static const struct conf_place defaults = { "defaults", NULL, NULL }, if0 = { "interface", "if0", NULL },
			       osl = { "namespace", "osl", NULL }, s1 = { "server", "s-1", "osl" };

static struct plan *opened(const char *text)
{
	struct err e = { 0 };
	struct plan *p;

	unlink(path);
	if (text)
		write_bytes(text, strlen(text), 0600);
	p = plan_open(path, &e);
	if (!p)
		fail_msg("%s", e.text);
	return p;
}

static void is_diff(struct plan *p, const char *expected)
{
	char *diff = plan_diff(p), *lines = calloc(1, strlen(diff) + 1);

	/* What changes, without what is around it. */
	for (char *at = diff, *end; *at; at = end) {
		end = strchr(at, '\n') + 1;
		if ((*at == '+' || *at == '-') && at[1] != *at)
			strncat(lines, at, (size_t)(end - at));
	}
	if (strcmp(lines, expected) != 0)
		fail_msg("the difference is\n%s\nand not\n%s", lines, expected);
	free(diff);
	free(lines);
}

static void test_nothing(void **state)
{
	struct plan *p = opened(file);
	struct remarks r = { .list = NULL };
	struct conf_client *c;

	(void)state;
	assert_false(plan_changed(p));
	assert_int_equal(plan_set(p, &defaults, "port", "5000", 0), 0);
	assert_false(plan_changed(p));
	c = plan_check(p, NULL, &r);
	assert_non_null(c);
	assert_int_equal(r.count, 2);		/* colour, [odd] */
	assert_int_equal(r.list[0].line, 4);
	assert_string_equal(r.list[0].key, "colour");
	conf_client_free(c);
	remarks_free(&r);
	plan_free(p);
}

/* An answer that is taken back, one way or another, leaves no trace. */
static void test_come_and_go(void **state)
{
	static const struct conf_place if2 = { "interface", "if2", NULL };
	struct plan *p = opened(file);

	(void)state;
	plan_set(p, &defaults, "port", "7", 0);
	is_diff(p, "-port = 5000\n+port = 7\n");
	plan_set(p, &defaults, "port", "8", 0);
	is_diff(p, "-port = 5000\n+port = 8\n");
	plan_unset(p, &defaults, "port", 0);
	is_diff(p, "-port = 5000\n");
	plan_set(p, &defaults, "port", "5000", 0);
	is_diff(p, "");
	plan_remove(p, &if0, 0);
	assert_true(plan_changed(p));
	plan_set(p, &if0, "address", "10.0.1.2", 0);
	is_diff(p, "-address = 10.0.1.1 ; from the left\n+address = 10.0.1.2 ; from the left\n");
	plan_remove(p, &if0, 0);
	plan_add(p, &if0, 0);
	is_diff(p, "");
	plan_set(p, &if2, "address", "10.0.3.1", 0);
	plan_set(p, &if2, "port", "6000", 0);
	is_diff(p, "+[interface if2]\n+address = 10.0.3.1\n+port    = 6000\n+\n");
	plan_remove(p, &if2, 0);
	is_diff(p, "");
	plan_free(p);
}

/* With a namespace goes what was said of its servers and volumes. */
static void test_namespace_gone(void **state)
{
	static const struct conf_place rule = { "volume", "osl:v", NULL }, s3 = { "server", "s-3", "osl" };
	struct plan *p = opened(file);

	(void)state;
	plan_set(p, &rule, "attach", "yes", 0);
	plan_set(p, &s3, "address", "10.0.1.8", 0);
	plan_remove(p, &osl, 0);
	is_diff(p, "-[namespace osl]\n-namespaceid = 200\n-nodename = n\n-nodekey = (hidden)\n-[server s-1]\n"
		   "-address = 10.0.1.9\n-[server s-2]\n-address = 10.0.2.9\n");
	assert_ptr_equal(plan_answer(p, 1), NULL);
	plan_free(p);
}

/* In whatever order it is said, the file has the usual one; what nobody said of the node's name is known. */
static void test_order(void **state)
{
	struct plan *p = opened(NULL);
	char host[CONF_NAME_MAX + 1], name[CONF_NAME_MAX + 1], *text;
	struct remarks r = { .list = NULL };

	(void)state;
	plan_set(p, &s1, "address", "10.0.1.9", 0);
	plan_set(p, &osl, "nodekey", "@file:/nowhere", 0);
	plan_set(p, &osl, "namespaceid", "200", 0);
	plan_set(p, &if0, "device", "lo", 0);
	plan_complete(p);
	conf_host_name(host);
	assert_int_equal(plan_get(p, &osl, "nodename", name, sizeof(name)), (int)strlen(host));
	text = plan_text(p);
	assert_ptr_equal(strstr(text, "[interface if0]\ndevice = lo\n\n[namespace osl]\nnodekey = @file:/nowhere\n"
				      "namespaceid = 200\nnodename    = "), text);
	assert_non_null(strstr(text, "\n\n[server s-1]\naddress     = 10.0.1.9\n"));
	assert_null(plan_check(p, NULL, &r));
	assert_int_equal(r.mistakes, 1);
	assert_non_null(strstr(r.list[0].text, "the key's file cannot be opened"));
	remarks_free(&r);
	free(text);
	plan_free(p);
}

/* Of two servers of one name each has its own remark. */
static void test_same_names(void **state)
{
	static const struct conf_place two = { "namespace", "two", NULL }, there = { "server", "s-1", "two" };
	struct plan *p = opened(file);
	struct remarks r = { .list = NULL };

	(void)state;
	plan_set(p, &two, "namespaceid", "201", 11);
	plan_set(p, &two, "nodename", "n", 12);
	plan_set(p, &two, "nodekey", KEY, 13);
	plan_set(p, &s1, "address", "10.0.1.8", 14);
	plan_set(p, &there, "address", "no address", 15);
	assert_null(plan_check(p, NULL, &r));
	assert_int_equal(r.mistakes, 1);
	for (size_t i = 0; i < r.count; i++)
		if (!r.list[i].warning)
			assert_int_equal(r.list[i].line, 15);
	remarks_free(&r);
	plan_free(p);
}

/* What no line can hold is refused by name, and that its key is missing then is not said as well. */
static void test_refused(void **state)
{
	static const struct conf_place s3 = { "server", "s-3", "osl" };
	struct plan *p = opened(file);
	struct remarks r = { .list = NULL };

	(void)state;
	plan_set(p, &s3, "address", "10.0.0.1\n[defaults]", 3);
	plan_set(p, &s3, "port", "5001", 4);
	assert_null(plan_check(p, NULL, &r));
	assert_int_equal(r.mistakes, 1);
	assert_string_equal(r.list[0].section, "server s-3");
	assert_string_equal(r.list[0].key, "address");
	assert_non_null(strstr(r.list[0].text, "control characters"));
	remarks_free(&r);
	plan_free(p);
}

/* The answers of a session, given again to what it began from, do the same; the keys are not among them. */
static void test_record(void **state)
{
	static const struct conf_place s2 = { "server", "s-2", "osl" }, rule = { "volume", "osl:v", NULL };
	struct plan *p = opened(file), *again;
	struct remarks r = { .list = NULL };
	struct err e = { 0 };
	char *text, *first, *second, *from = NULL;

	(void)state;
	plan_set(p, &rule, "policy", "weighted", 0);
	plan_remove(p, &s2, 0);
	plan_set(p, &s1, "port", "77", 0);
	plan_unset(p, &defaults, "port", 0);
	plan_set(p, &if0, "address", "10.0.1.7", 0);
	plan_set(p, &osl, "namespaceid", "201", 0);
	plan_set(p, &osl, "nodekey", "another", 0);
	text = answers_text(p);
	assert_null(strstr(text, "another"));
	assert_non_null(strstr(text, "\n# nodekey = KEY or @file:PATH: keys are not recorded\n"));
	plan_set(p, &osl, "nodekey", KEY, 0);
	first = plan_text(p);
	again = opened(file);
	assert_true(asprintf(&from, "%s.answers", path) > 0);
	assert_int_equal(answers_record(p, from, &e), 0);
	assert_int_equal(answers_record(p, from, &e), -EEXIST);
	assert_int_equal(answers_read(again, from, &r, &e), 0);
	assert_int_equal(r.count, 0);
	second = plan_text(again);
	assert_string_equal(first, second);
	unlink(from);
	free(from);
	free(text);
	free(first);
	free(second);
	plan_free(p);
	plan_free(again);
}

/* Warnings of a host's network. */

static struct facts_device device(const char *name, const char *address, unsigned prefix)
{
	struct facts_device d = { .up = true, .mtu = 1500, .rp_filter = 2, .arp_ignore = 1, .address_count = 1 };

	snprintf(d.name, sizeof(d.name), "%s", name);
	assert_true(facts_parse(address, &d.addresses[0]));
	d.addresses[0].prefix = prefix;
	return d;
}

/* The remarks of the file on a host with these two devices have exactly these beginnings of texts. */
static void expect(const char *text, struct facts_device *devices, const char *const *lines)
{
	struct facts facts = { devices, 2 };
	struct remarks r = { .list = NULL };
	struct conf_report report;
	struct conf_client *c = client_of(text, &report);
	size_t n = 0;

	assert_non_null(c);
	conf_report_free(&report);
	lint(c, &facts, &r);
	for (size_t i = 0; i < r.count; i++, n++)
		if (!lines[n] || strncmp(r.list[i].text, lines[n], strlen(lines[n])) != 0)
			fail_msg("it says '%s' and not '%s'", r.list[i].text, lines[n] ? lines[n] : "nothing");
	if (lines[n])
		fail_msg("it does not say '%s'", lines[n]);
	assert_int_equal(r.mistakes, 0);
	remarks_free(&r);
	conf_client_free(c);
}
#define EXPECT(text, devices, ...) expect(text, devices, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

#define IFS "[interface if0]\naddress = 10.0.1.1\n[interface if1]\ndevice = eth1\n"
#define SERVERS "[server a]\naddress = 10.0.1.9\n[server b]\naddress = 10.0.2.9\n"

static void test_lint(void **state)
{
	struct facts_device d[2] = { device("eth0", "10.0.1.1", 24), device("eth1", "10.0.2.1", 24) };

	(void)state;
	EXPECT(IFS NS SERVERS, d);
	EXPECT(IFS NS "security = auth\n" SERVERS, d, "auth leaves the data in the clear");
	EXPECT(IFS NS SERVERS "[server c]\naddress = 10.9.9.9\n", d, "10.9.9.9 is in the subnet of no [interface]");
	EXPECT(NS SERVERS "[server c]\naddress = 10.9.9.9\n", d, "10.9.9.9 is in the subnet of no network device");
	EXPECT(IFS NS "[server a]\naddress = 10.0.1.9\n", d, "no portal is in its subnet");
	EXPECT(IFS NS SERVERS "[server c]\naddress = some.name\n[server d]\naddress = fe80::1%eth0\n", d);
	d[1].mtu = 9000;
	EXPECT(IFS NS SERVERS, d, "eth1 has MTU 9000, and eth0 of [interface if0] has 1500");
	d[1].mtu = 1500;
	d[0].up = false;
	EXPECT(IFS NS SERVERS, d, "eth0 is down");
	d[0].up = true;
	snprintf(d[1].name, sizeof(d[1].name), "eth2");
	EXPECT(IFS NS SERVERS, d, "there is no network device eth1");
	EXPECT("[interface x]\naddress = 10.0.7.7\n" NS SERVERS, d, "no network device of this host has 10.0.7.7");
	EXPECT("[interface x]\naddress = 10.0.1.1\n[interface y]\ndevice = eth0\n" NS "[server a]\naddress = 10.0.1.9\n", d,
	       "uses the device of [interface x] too, eth0");
}

static void test_lint_subnets(void **state)
{
	struct facts_device d[2] = { device("eth0", "10.0.1.1", 22), device("eth1", "10.0.2.1", 24) };

	(void)state;
	/* The wider one has the narrower one's address in it. */
	EXPECT(IFS NS SERVERS, d, "is in one subnet with [interface if0]");
	d[0].rp_filter = 1;
	d[1].arp_ignore = 0;
	EXPECT(IFS NS SERVERS, d, "is in one subnet with [interface if0]", "eth0 has rp_filter = 1", "eth1 has arp_ignore = 0");
	/* With a network of its own for each that is nobody's trouble. */
	d[0].addresses[0].prefix = 24;
	EXPECT(IFS NS SERVERS, d);
	d[0] = device("eth0", "fd00::1", 64);
	d[1] = device("eth1", "fd00::2", 64);
	EXPECT("[interface a]\naddress = fd00::1\n[interface b]\naddress = fd00::2\n" NS "[server s]\naddress = fd00::9\n", d,
	       "is in one subnet with [interface a]");
	/* Every link has fe80::/64. */
	d[0] = device("eth0", "fe80::1", 64);
	d[1] = device("eth1", "fe80::2", 64);
	EXPECT("[interface a]\ndevice = eth0\n[interface b]\ndevice = eth1\n" NS "[server s]\naddress = fe80::9%eth0\n", d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_namespace_gone),
		cmocka_unit_test(test_order), cmocka_unit_test(test_same_names), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_record), cmocka_unit_test(test_lint), cmocka_unit_test(test_lint_subnets),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
