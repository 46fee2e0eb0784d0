/*
 * test_conf.c - the configuration: what is read, and every mistake's words.
 *
 * A case is a file's text and the lines of the report, without the path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"
#include "secure.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES_MAX 12

static char dir[] = "/tmp/test_conf.XXXXXX";
static char path[64];

static void write_bytes(const char *text, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), (ssize_t)size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct conf_client *client_of(const char *text, struct conf_report *r)
{
	write_bytes(text, strlen(text), 0600);
	return conf_client_read(path, (gid_t)-1, r);
}

static struct conf_server *server_of(const char *text, struct conf_report *r)
{
	write_bytes(text, strlen(text), 0600);
	return conf_server_read(path, (gid_t)-1, r);
}

/* The sample, found from wherever the test is started. */
static char *sample(const char *name)
{
	const char *top = getenv("SRCDIR");
	char from[512], *text = calloc(1, 4096);
	FILE *f;

	snprintf(from, sizeof(from), "%s/tests/samples/%s", top ? top : ".", name);
	f = fopen(from, "re");
	if (!f)
		fail_msg("%s is not there: start the test from the top of the tree, or set SRCDIR", from);
	assert_true(fread(text, 1, 4095, f) > 0);
	fclose(f);
	return text;
}

/* The samples. */

static void test_client_sample(void **state)
{
	struct conf_report r;
	char *text = sample("rscltcfg");
	struct conf_client *c = client_of(text, &r);
	const struct conf_namespace *ns;
	uint8_t key[SECURE_KEY_SIZE];

	(void)state;
	conf_report_print("test_conf", &r);
	assert_non_null(c);
	assert_int_equal(r.count, 0);
	assert_string_equal(c->path, path);
	assert_null(c->mount);
	assert_int_equal(c->interface_count, 2);
	assert_string_equal(c->interfaces[1].name, "if1");
	assert_string_equal(c->interfaces[1].address, "192.168.46.20");
	assert_null(c->interfaces[1].device);
	assert_int_equal(c->namespace_count, 1);
	ns = c->namespaces;
	assert_string_equal(ns->name, "osl");
	assert_int_equal(ns->id, 200);
	assert_string_equal(ns->nodename, "big-2");
	assert_int_equal(ns->line, 11);
	assert_int_equal(secure_key_from_text("0xbig-2", key), 0);
	assert_memory_equal(ns->key.bytes, key, sizeof(key));
	assert_int_equal(ns->portal_count, 2);
	assert_string_equal(ns->portals[0].name, "big-9-1");
	assert_string_equal(ns->portals[0].address, "192.168.45.10");
	assert_string_equal(ns->portals[1].address, "192.168.46.10");
	assert_int_equal(conf_client_port(c, ns, &c->interfaces[0], &ns->portals[0]), 5000);
	assert_int_equal(ns->behaviour.security, CONF_SECURITY_AUTH);
	assert_int_equal(ns->behaviour.policy, CONF_POLICY_ADAPTIVE);
	assert_true(ns->behaviour.detect == 2 && ns->behaviour.retry == 0.5);
	assert_true(ns->behaviour.give_up == 120 && ns->behaviour.poll == 0);
	assert_int_equal(ns->behaviour.on_loss, CONF_ON_LOSS_FAIL);
	assert_true(ns->behaviour.payload_crc);
	conf_client_free(c);
	conf_report_free(&r);
	free(text);
}

static void test_server_sample(void **state)
{
	struct conf_report r;
	char *text = sample("rssrvcfg");
	struct conf_server *c = server_of(text, &r);
	uint8_t key[SECURE_KEY_SIZE];

	(void)state;
	conf_report_print("test_conf", &r);
	assert_non_null(c);
	assert_int_equal(r.count, 0);
	assert_string_equal(c->namespace, "osl");
	assert_int_equal(c->namespace_id, 200);
	assert_string_equal(c->server, "big-9");
	assert_int_equal(c->server_id, 1);
	assert_null(c->user);
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(c->listens[0].name, "if1");
	assert_string_equal(c->listens[0].address, "192.168.45.10");
	assert_int_equal(c->listens[1].port, 5000);
	assert_int_equal(c->client_count, 3);
	assert_string_equal(c->clients[1].name, "venus");
	assert_int_equal(c->clients[1].line, 17);
	assert_int_equal(secure_key_from_text("0xvenus", key), 0);
	assert_memory_equal(c->clients[1].key.bytes, key, sizeof(key));
	assert_int_equal(c->pool_count + c->volume_count, 0);
	conf_server_free(c);
	conf_report_free(&r);
	free(text);
}

/* Everything set. */

#define NS "[namespace osl]\nnamespaceid=200\nnodename=big-2\nnodekey=k\n"
#define SRV "[server s1]\naddress=10.0.0.1\n"

static void test_client_everything(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# a comment\r\n"
		"  [ defaults ]  ; another\r\n"
		"\tport=5001\r\n"
		"   policy = round-robin ; a third\r\n"
		"detect=300ms\ngive-up = 5min\nretry=0.1\non-loss=queue\npayload-crc=no\npoll=50\n"
		"mount=/mnt/rs\nadmin-group=disk\non-event=/bin/logger \"a;b\" # to the log\n"
		"[volume\tosl/oracle]\npolicy=fail-over\non-loss=read-only\nattach=yes\n"
		"[interface if0]\ndevice=eth0\nport=5003\n"
		"[interface if1]\naddress=[FE80::0:1%eth1]\n"
		"[namespace osl]\nnamespaceid=0\nnodename=a\nnodekey=a=b==\nport=5002\ndetect=1s\npolicy=adaptive\n"
		"[server s1]\naddress=Big-9.example\n"
		"[server s2]\naddress=[2001:DB8::00:1]\nport=5004\n"
		"[namespace two]\nnamespaceid=65535\nnodename=a\n"
		"nodekey=00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"
		"[server s1]\naddress=10.0.0.1";
	static const uint8_t bits[] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77 };
	struct conf_report r;
	struct conf_client *c = client_of(text, &r);
	const struct conf_namespace *ns;
	uint8_t key[SECURE_KEY_SIZE];

	(void)state;
	conf_report_print("test_conf", &r);
	assert_non_null(c);
	assert_int_equal(r.count, 1);	/* on-event has no effect yet */
	assert_int_equal(r.warnings, 1);
	assert_string_equal(c->mount, "/mnt/rs");
	assert_string_equal(c->admin_group, "disk");
	assert_string_equal(c->on_event, "/bin/logger \"a;b\" # to the log");
	assert_string_equal(c->interfaces[0].device, "eth0");
	assert_string_equal(c->interfaces[1].address, "fe80::1%eth1");
	ns = c->namespaces;
	assert_int_equal(ns->id, 0);
	assert_int_equal(secure_key_from_text("a=b==", key), 0);
	assert_memory_equal(ns->key.bytes, key, sizeof(key));
	assert_true(ns->behaviour.detect == 1 && ns->behaviour.retry == 0.1);
	assert_true(ns->behaviour.give_up == 300 && ns->behaviour.poll == 50e-6);
	assert_int_equal(ns->behaviour.policy, CONF_POLICY_ADAPTIVE);
	assert_int_equal(ns->behaviour.on_loss, CONF_ON_LOSS_QUEUE);
	assert_false(ns->behaviour.payload_crc);
	assert_string_equal(ns->portals[0].address, "Big-9.example");
	assert_string_equal(ns->portals[1].address, "2001:db8::1");
	assert_int_equal(conf_client_port(c, ns, NULL, &ns->portals[0]), 5002);
	assert_int_equal(conf_client_port(c, ns, &c->interfaces[0], &ns->portals[0]), 5003);
	assert_int_equal(conf_client_port(c, ns, &c->interfaces[0], &ns->portals[1]), 5004);
	assert_int_equal(c->namespace_count, 2);
	assert_int_equal(c->namespaces[1].id, 65535);
	assert_int_equal(c->namespaces[1].behaviour.policy, CONF_POLICY_ROUND_ROBIN);
	assert_memory_equal(c->namespaces[1].key.bytes, bits, sizeof(bits));
	assert_int_equal(conf_client_port(c, &c->namespaces[1], NULL, c->namespaces[1].portals), 5001);
	assert_int_equal(c->volume_count, 1);
	assert_string_equal(c->volumes[0].namespace, "osl");
	assert_string_equal(c->volumes[0].name, "oracle");
	assert_true(c->volumes[0].attach && c->volumes[0].has_policy && c->volumes[0].has_on_loss);
	assert_int_equal(c->volumes[0].policy, CONF_POLICY_FAIL_OVER);
	assert_int_equal(c->volumes[0].on_loss, CONF_ON_LOSS_READ_ONLY);
	conf_client_free(c);
	conf_report_free(&r);
}

static void test_server_everything(void **state)
{
	static const char text[] =
		"[namespace osl]\nnamespaceid=7\nport=6000\nuser=nobody\npoll=10\nsecurity=auth\n"
		"[server big-9]\nserverid=255\nuser=disk\nfence-command=/bin/fence off\non-event=/bin/true\n"
		"[interface lo]\naddress=0.0.0.0\n"
		"[interface lo6]\naddress=::1\nport=6001\n"
		"[interface dev]\ndevice=eth0\n"
		"[pool fast]\npath=/srv/fast\nmanage=a, b\n"
		"[pool slow]\npath=/srv/slow\n"
		"[volume old]\npath=/dev/sdb\nmode=ro\nclients=b\tc\nshared=yes\nav=3\n"
		"uuid=00112233-4455-6677-8899-AABBCCDDEEFF\n"
		"[volume new]\npath=/srv/x\n"
		"[clients]\n\ta   k=1\nb \t;\nb2 k2\nc k3==\n";
	static const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	char good[sizeof(text)];
	struct conf_report r;
	struct conf_server *c;
	uint8_t key[SECURE_KEY_SIZE];

	(void)state;
	memcpy(good, text, sizeof(text));
	*strstr(good, "\t;") = ' ';
	*strstr(good, ";\nb2") = 'K';
	c = server_of(good, &r);
	conf_report_print("test_conf", &r);
	assert_non_null(c);
	assert_int_equal(r.count, 2);	/* fence-command and on-event have no effect yet */
	assert_int_equal(r.warnings, 2);
	assert_string_equal(c->user, "disk");
	assert_string_equal(c->fence_command, "/bin/fence off");
	assert_true(c->poll == 10e-6);
	assert_int_equal(c->listen_count, 3);
	assert_int_equal(c->listens[0].port, 6000);
	assert_int_equal(c->listens[1].port, 6001);
	assert_string_equal(c->listens[2].device, "eth0");
	assert_string_equal(c->pools[0].manage[0], "a");
	assert_string_equal(c->pools[0].manage[1], "b");
	assert_null(c->pools[0].manage[2]);
	assert_null(c->pools[1].manage);
	assert_true(c->volumes[0].read_only && c->volumes[0].shared && c->volumes[0].has_uuid);
	assert_int_equal(c->volumes[0].av, 3);
	assert_memory_equal(c->volumes[0].uuid, uuid, sizeof(uuid));
	assert_string_equal(c->volumes[0].clients[1], "c");
	assert_false(c->volumes[1].read_only || c->volumes[1].shared || c->volumes[1].has_uuid);
	assert_int_equal(c->volumes[1].av, 0);
	assert_int_equal(c->client_count, 4);
	assert_int_equal(secure_key_from_text("k=1", key), 0);
	assert_memory_equal(c->clients[0].key.bytes, key, sizeof(key));
	conf_server_free(c);
	conf_report_free(&r);
}

/* Mistakes. */

struct mistake_case {
	const char *text;
	const char *lines[LINES_MAX];
};

static void check_report(const struct mistake_case *m, const struct conf_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		const char *line = r->lines[i] + strlen(path) + 1;

		assert_memory_equal(r->lines[i], path, strlen(path));
		if (!m->lines[n] || strcmp(line, m->lines[n]) != 0)
			fail_msg("of\n%s\nreport line %zu is\n  %s\nand not\n  %s", m->text, i, line,
				 m->lines[n] ? m->lines[n] : "(nothing)");
		n++;
	}
	if (m->lines[n])
		fail_msg("of\n%s\nthe report lacks\n  %s", m->text, m->lines[n]);
}

static const struct mistake_case client_cases[] = {
	/* The form of lines. */
	{ "port=1\n" NS SRV, { "1: a line before the first section" } },
	{ "[defaults\nport=x\n" NS SRV, { "1: a section's header ends with ']'" } },
	{ "[defaults] port=1\n" NS SRV, { "1: nothing but a comment may follow a section's header" } },
	{ "[default]\nport=x\n" NS SRV, { "1: [default] unknown section (did you mean defaults?)" } },
	{ "[]\n" NS SRV, { "1: [?] unknown section" } },
	{ "[defaults x]\n" NS SRV, { "1: [defaults] this section takes no name" } },
	{ "[interface]\naddress=10.0.0.2\n" NS SRV,
	  { "1: [interface] this section needs a name: [interface NAME], with 1..40 of A-Z a-z 0-9 . _ -, no leading . or -" } },
	{ "[interface .x]\naddress=10.0.0.2\n" NS SRV,
	  { "1: [interface] this section needs a name: [interface NAME], with 1..40 of A-Z a-z 0-9 . _ -, no leading . or -" } },
	{ NS SRV "[volume oracle]\n", { "7: [volume] this section needs a volume: [volume NAMESPACE:VOLUME]" } },
	{ "[defaults]\nport 5000\n" NS SRV, { "2: [defaults] a line here is KEY = VALUE, and this one has no '='" } },
	{ "[defaults]\nport: 5000\n=3\na b=c\nport ;=3\n" NS SRV,
	  { "2: [defaults] a line here is KEY = VALUE, and this one has no '='",
	    "3: [defaults] what stands before '=' is not a key", "4: [defaults] what stands before '=' is not a key",
	    "5: [defaults] what stands before '=' is not a key" } },
	{ "[defaults]\nport =\n" NS SRV, { "2: [defaults] port: has no value (1..65535)" } },
	{ "[defaults]\nport = ; 5\n" NS SRV, { "2: [defaults] port: has no value (1..65535)" } },
	{ "[defaults]\non-event = a ; b\nmount=/a\t;b\n" NS SRV,
	  { "2: [defaults] on-event: the value would end at the blank and ';' in it; write ';' without a blank before it, and comments on lines of their own",
	    "3: [defaults] mount: the value would end at the blank and ';' in it; write ';' without a blank before it, and comments on lines of their own" } },
	{ "[defaults]\nport=1\nport=2\n" NS SRV, { "3: [defaults] port: is already set in line 2" } },
	{ "[defaults]\nprot=1\nnodekey=x\nzzz=1\n" NS SRV,
	  { "2: [defaults] prot: unknown key (did you mean port?)",
	    "3: [defaults] nodekey: unknown key here; it belongs in [namespace]",
	    "4: [defaults] zzz: unknown key" } },
	{ "[defaults]\n[defaults]\n" NS SRV, { "2: [defaults] is the same section as in line 1" } },
	{ "[interface a]\naddress=1.1.1.1\n[interface a]\naddress=1.1.1.2\n" NS SRV,
	  { "3: [interface a] is the same section as in line 1" } },
	{ NS SRV SRV, { "7: [server s1] is the same section as in line 5",
			"8: [server s1] address: is the address and port of [server s1] too" } },
	{ NS SRV "[volume osl:a]\n[volume osl/a]\n", { "8: [volume osl:a] is the same section as in line 7" } },

	/* Values. */
	{ "[defaults]\nport=70000\n" NS SRV, { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=0\n" NS SRV, { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=-1\n" NS SRV, { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=5000 # x\n" NS SRV, { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=99999999999999999999\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nprotocol=rdma\n" NS SRV, { "2: [defaults] protocol: only tcp is available in this version" } },
	{ "[defaults]\nsecurity=tls\n" NS SRV, { "2: [defaults] security: tls is not available in this version; use auth" } },
	{ "[defaults]\nsecurity=aut\n" NS SRV, { "2: [defaults] security: is not auth or tls (did you mean auth?)" } },
	{ "[defaults]\npolicy=weighted\n" NS SRV,
	  { "2: [defaults] policy: weighted is not available in this version; available: adaptive, round-robin, fail-over" } },
	{ "[defaults]\npolicy=failover\n" NS SRV,
	  { "2: [defaults] policy: is not a policy; available: adaptive, round-robin, fail-over (did you mean fail-over?)" } },
	{ "[defaults]\ndetect=soon\nretry=5\non-loss=die\n" NS SRV,
	  { "2: [defaults] detect: is not a duration, as 500ms, 2s or 5min",
	    	    "3: [defaults] retry: is not from 0.01s to 1s",
	    "4: [defaults] on-loss: is not fail, read-only or queue" } },
	{ "[defaults]\ndetect=1us\n" NS SRV, { "2: [defaults] detect: is not from 0.01s to 3600s" } },
	{ "[defaults]\npayload-crc=true\npoll=1ms\n" NS SRV,
	  { "2: [defaults] payload-crc: is not yes or no",
	    "3: [defaults] poll: is not a number of microseconds from 0 to 100000" } },
	{ "[defaults]\nmount=rsio\nadmin-group=a\001b\n" NS SRV,
	  { "2: [defaults] mount: is not an absolute path",
	    "3: [defaults] admin-group: has a control character in it" } },
	{ "[interface a]\naddress=10.0.0\n[interface b]\naddress=10.0.0.1:5000\n[interface c]\naddress=fe80::1\n"
	  "[interface d]\naddress=224.0.0.1\n[interface e]\naddress=::\n[interface f]\ndevice=a/b\n" NS SRV,
	  { "2: [interface a] address: is not an IPv4 or IPv6 address (a port has a key of its own)",
	    "4: [interface b] address: is not an IPv4 or IPv6 address (a port has a key of its own)",
	    "6: [interface c] address: is a link-local address and needs its device, as fe80::1%eth0",
	    "8: [interface d] address: is a multicast or broadcast address",
	    "10: [interface e] address: an interface has an address of its own; without any [interface] the kernel chooses",
	    "12: [interface f] device: is not a network device's name (1..15 bytes, no blank, '/' or ':')" } },
	{ "[interface a]\ndevice=abcdefghijklmno\n[interface b]\ndevice=abcdefghijklmnop\n" NS SRV,
	  { "4: [interface b] device: is not a network device's name (1..15 bytes, no blank, '/' or ':')" } },
	{ NS "[server a]\naddress=10.0.0.1.2\n[server b]\naddress=a b\n[server c]\naddress=0.0.0.0\n[server d]\naddress=ff02::1\n",
	  { "6: [server a] address: is not an address or a host name (a port has a key of its own)",
	    "8: [server b] address: is not an address or a host name (a port has a key of its own)",
	    "10: [server c] address: is no server's address",
	    "12: [server d] address: is a multicast address" } },

	{ "[namespace osl]\nnamespaceid=0xkey\nnodename=a b\nnodekey=0xbig 2\n" SRV,
	  { "2: [namespace osl] namespaceid: is not a number from 0 to 65535",
	    "3: [namespace osl] nodename: is not a name (1..40 of A-Z a-z 0-9 . _ -, no leading . or -)",
	    "4: [namespace osl] nodekey: a node key has no blanks; a comment stands on a line of its own" } },
	{ "[namespace osl]\nnamespaceid=1\nnodename=a\nnodekey==x\nnodekee=y\n" SRV,
	  { "4: [namespace osl] nodekey: a node key does not begin with '=', ';' or '#'",
	    "5: [namespace osl] nodekee: unknown key (did you mean nodekey?)" } },
	{ "[namespace osl]\nnamespaceid=1\nnodename=a\nnodekey=\n0xkey\n" SRV,
	  { "4: [namespace osl] nodekey: has no value (key)",
	    "5: [namespace osl] a line here is KEY = VALUE, and this one has no '='" } },

	/* What is missing. */
	{ "", { " there is no [namespace NAME] section" } },
	{ "# nothing\n\n", { " there is no [namespace NAME] section" } },
	{ "[namespace osl]\n" SRV,
	  { "1: [namespace osl] namespaceid: is missing (0..65535)", "1: [namespace osl] nodename: is missing (name)",
	    "1: [namespace osl] nodekey: is missing (key)" } },
	{ NS, { "1: [namespace osl] has no [server NAME] section below it" } },
	{ NS "[server a]\nport=1\n", { "5: [server a] address: is missing (address or host name)" } },
	{ "[interface a]\n" NS SRV, { "1: [interface a] address: is missing (address or device)" } },

	/* What contradicts. */
	{ "[interface a]\naddress=1.1.1.1\ndevice=eth0\n" NS SRV,
	  { "3: [interface a] device: address and device exclude each other" } },
	{ "[interface a]\naddress=1.1.1.1\n[interface b]\naddress=1.1.1.1\n" NS SRV,
	  { "4: [interface b] address: is the address of [interface a] too" } },
	{ "[interface a]\naddress=::1\n[interface b]\naddress=0::0:1\n" NS SRV,
	  { "4: [interface b] address: is the address of [interface a] too" } },
	{ "[interface a]\ndevice=eth0\n[interface b]\ndevice=eth0\n" NS SRV,
	  { "4: [interface b] device: is the device of [interface a] too" } },
	{ SRV NS SRV, { "1: [server s1] stands above the first [namespace]; a server belongs to the namespace above it" } },
	{ NS SRV "[namespace two]\nnamespaceid=200\nnodename=a\nnodekey=b\n" SRV,
	  { "8: [namespace two] namespaceid: is the id of [namespace osl] too" } },
	{ NS SRV "[namespace osl]\nnamespaceid=201\nnodename=a\nnodekey=b\n" SRV,
	  { "7: [namespace osl] is the same section as in line 1" } },
	{ NS SRV "[server s2]\naddress=10.0.0.1\nport=5000\n",
	  { "8: [server s2] address: is the address and port of [server s1] too" } },
	{ NS SRV "[server s2]\naddress=10.0.0.1\nport=5001\n", { NULL } },
	{ NS SRV "[volume osi:oracle]\n", { "7: [volume osi:oracle] there is no [namespace osi] (did you mean osl?)" } },
	{ NS SRV "[volume osl:a]\nweight=3\n",
	  { "8: warning: [volume osl:a] weight: has no effect in this version" } },
	{ "[defaults]\nretry=1\ndetect=0.5\n" NS SRV, { "2: [defaults] retry: retry 1s must not be longer than detect 0.5s" } },
	{ "[defaults]\ndetect=0.2\n" NS SRV,
	  { "2: [defaults] detect: retry 0.5s (not set here) must not be longer than detect 0.2s" } },
	{ "[defaults]\ngive-up=2\n" NS SRV,
	  { "2: [defaults] give-up: give-up 2s must be longer than detect 2s (not set here), unless on-loss = queue" } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS SRV, { NULL } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS "on-loss=fail\n" SRV,
	  { "8: [namespace osl] on-loss: give-up 2s (not set here) must be longer than detect 2s (not set here), unless on-loss = queue" } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS SRV "[volume osl:a]\non-loss=fail\n",
	  { "11: [volume osl:a] on-loss: needs a give-up in [namespace osl] (2s) that is longer than detect (2s)" } },
	{ NS "detect=200s\n" SRV,
	  { "5: [namespace osl] detect: give-up 120s (not set here) must be longer than detect 200s, unless on-loss = queue" } },
	{ NS "mount=/x\n" SRV, { "5: [namespace osl] mount: unknown key here; it belongs in [defaults]" } },
};

#define HEAD "[namespace osl]\nnamespaceid=200\n[server big-9]\nserverid=1\n"
#define PORTAL "[interface if1]\naddress=10.0.0.1\n"
#define CLIENTS "[clients]\nbig-2 0xbig2\n"
#define SECOND "; one rssrv serves one namespace: start another with a file and a --run-dir of its own"

static const struct mistake_case server_cases[] = {
	{ "", { " there is no [namespace NAME] section", " there is no [server NAME] section",
		" there is no [interface NAME] section, so no portal",
		" warning: there is no client in [clients], so nobody can log in" } },
	{ HEAD PORTAL, { " warning: there is no client in [clients], so nobody can log in" } },
	{ "[namespace osl]\n[server big-9]\n" PORTAL CLIENTS,
	  { "1: [namespace osl] namespaceid: is missing (0..65535)", "2: [server big-9] serverid: is missing (0..255)" } },
	{ HEAD PORTAL CLIENTS "[namespace two]\nnamespaceid=x\n[server big-8]\nserverid=256\n",
	  { "9: [namespace two] a second [namespace]" SECOND,
	    "10: [namespace two] namespaceid: is not a number from 0 to 65535",
	    "11: [server big-8] a second [server]" SECOND,
	    "12: [server big-8] serverid: is not a number from 0 to 255" } },
	{ PORTAL HEAD CLIENTS, { "1: [interface if1] belongs below its [server]" } },
	{ "[server big-9]\nserverid=1\n[namespace osl]\nnamespaceid=200\n" PORTAL CLIENTS,
	  { "1: [server big-9] belongs below its [namespace]" } },
	{ "[defaults]\nport=1\n" HEAD PORTAL CLIENTS, { "1: [defaults] unknown section" } },
	{ "[namespace osl]\nnamespaceid=1\nsecurity=tls\nprotocol=udp\n[server big-9]\nserverid=1\nsecurity=tls\n" PORTAL CLIENTS,
	  { "3: [namespace osl] security: tls is not available in this version; use auth",
	    "4: [namespace osl] protocol: only tcp is available in this version",
	    "7: [server big-9] security: tls is not available in this version; use auth" } },
	{ HEAD "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=10.0.0.1\nport=5000\n" CLIENTS,
	  { "8: [interface b] address: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=10.0.0.1\nport=5001\n" CLIENTS, { NULL } },
	{ HEAD "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=0.0.0.0\n[interface c]\naddress=::\n" CLIENTS,
	  { "8: [interface b] address: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\ndevice=eth0\n[interface b]\ndevice=eth0\n" CLIENTS,
	  { "8: [interface b] device: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\naddress=host\n" CLIENTS,
	  { "6: [interface a] address: is not an IPv4 or IPv6 address (a port has a key of its own)" } },
	/* No line of [clients] is ever shown. */
	{ HEAD PORTAL "[clients]\nbig-2\n-x 0xkey\nbig-3 = 0xkey\nbig-4 0xkey # why\nbig-5 0xkey\nbig-5 0xother\nbig-6=0xkey\nbig-7 =x\n",
	  { "8: [clients] a line here is a client's name, a blank, and its key",
	    "9: [clients] the first word is not a client's name (1..40 of A-Z a-z 0-9 . _ -)",
	    "10: [clients] a client's name and its key stand here without '='",
	    "11: [clients] a node key has no blanks; a comment stands on a line of its own",
	    "13: [clients] is the same client as in line 12",
	    "14: [clients] a line here is a client's name, a blank, and its key",
	    "15: [clients] a node key does not begin with '=', ';' or '#'" } },
	{ HEAD PORTAL CLIENTS "[clients]\nvenus 0xvenus\n", { "9: [clients] is the same section as in line 7" } },
	{ HEAD PORTAL CLIENTS "[pool a]\nmanage=big-2 big-3\n[pool b]\npath=x\nmanage=,\n[pool c]\npath=/p\n[pool d]\npath=/p\n",
	  { "9: [pool a] path: is missing (directory)", "10: [pool a] manage: 'big-3' is not in [clients]",
	    "12: [pool b] path: is not an absolute path", "13: [pool b] manage: names no client",
	    "17: [pool d] path: is the path of [pool c] too" } },
	{ HEAD PORTAL CLIENTS "[volume a]\npath=/p\nmode=r\nclients=big-2,.x\nuuid=1\nshared=maybe\nav=4\n[volume a]\npath=/p\n",
	  { "11: [volume a] mode: is not rw or ro (did you mean rw?)",
	    "12: [volume a] clients: is not a list of client names",
	    "13: [volume a] uuid: is not a UUID (8-4-4-4-12 hex digits)",
	    "14: [volume a] shared: is not yes or no",
	    "15: [volume a] av: is not a number from 0 to 3",
	    "16: [volume a] is the same section as in line 9",
	    "17: [volume a] path: is the path of [volume a] too" } },
	{ HEAD PORTAL CLIENTS "[volume a]\npath=/a\nuuid=00000000-0000-0000-0000-000000000001\n"
	  "[volume b]\npath=/b\nuuid=00000000-0000-0000-0000-000000000001\n"
	  "[volume c]\npath=/c\nuuid=00000000-0000-0000-0000-000000000000\nclients=nobody\n",
	  { "14: [volume b] uuid: is the UUID of [volume a] too",
	    "17: [volume c] uuid: is not a UUID (8-4-4-4-12 hex digits, not all zero)",
	    "18: [volume c] clients: 'nobody' is not in [clients]" } },
	{ HEAD PORTAL CLIENTS "[volume a]\npath=/p\npoll=3\nmodus=rw\n",
	  { "11: [volume a] poll: unknown key here; it belongs in [namespace]",
	    "12: [volume a] modus: unknown key (did you mean mode?)" } },
};

/* A result exists exactly when the report has nothing but warnings. */
static void test_client_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(client_cases); i++) {
		struct conf_report r;
		struct conf_client *c = client_of(client_cases[i].text, &r);

		check_report(&client_cases[i], &r);
		assert_int_equal(c != NULL, r.count == r.warnings);
		conf_client_free(c);
		conf_report_free(&r);
	}
}

static void test_server_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(server_cases); i++) {
		struct conf_report r;
		struct conf_server *c = server_of(server_cases[i].text, &r);

		check_report(&server_cases[i], &r);
		assert_int_equal(c != NULL, r.count == r.warnings);
		conf_server_free(c);
		conf_report_free(&r);
	}
}

/* The file itself. */

static void expect_client(const char *text, size_t size, mode_t mode, gid_t group, const char *line)
{
	struct mistake_case m = { "(see the test)", { line } };
	struct conf_report r;
	struct conf_client *c;

	write_bytes(text, size, mode);
	c = conf_client_read(path, group, &r);
	check_report(&m, &r);
	assert_int_equal(c != NULL, !line);
	conf_client_free(c);
	conf_report_free(&r);
}

static void test_file_modes(void **state)
{
	static const char text[] = NS SRV, keyless[] = "[namespace a]\nnamespaceid=1\nnodename=b\n" SRV;
	const size_t size = sizeof(text) - 1;
	gid_t mine = getegid();

	(void)state;
	expect_client(text, size, 0600, (gid_t)-1, NULL);
	expect_client(text, size, 0640, (gid_t)-1, NULL);
	expect_client(text, size, 0640, mine, NULL);
	expect_client(text, size, 0622, mine + 1, NULL);
	expect_client(text, size, 0640, mine + 1,
		      " has node keys in it and can be read by a group that is not the daemon's (mode 0640); chmod 600 mends it");
	expect_client(text, size, 0644, mine,
		      " has node keys in it and can be read by everybody (mode 0644); chmod 600 mends it");
	/* Without keys the mode is nobody's business. */
	expect_client(keyless, sizeof(keyless) - 1, 0644, mine,
		      "1: [namespace a] nodekey: is missing (key)");
}

static void test_odd_files(void **state)
{
	struct mistake_case m = { "(see the test)", { " cannot be opened: No such file or directory" } };
	struct conf_report r;
	char long_line[512] = NS SRV "[defaults]\nmount=/";
	size_t length = strlen(long_line), head = length - strlen("mount=/");
	char *large;

	(void)state;
	unlink(path);
	assert_null(conf_client_read(path, (gid_t)-1, &r));
	check_report(&m, &r);
	conf_report_free(&r);

	assert_int_equal(mkdir(path, 0700), 0);
	m.lines[0] = " is a directory, not a file";
	assert_null(conf_server_read(path, (gid_t)-1, &r));
	check_report(&m, &r);
	conf_report_free(&r);
	rmdir(path);

	assert_int_equal(mkfifo(path, 0600), 0);
	m.lines[0] = " is a device or a pipe, not a file";
	assert_null(conf_server_read(path, (gid_t)-1, &r));
	check_report(&m, &r);
	conf_report_free(&r);
	unlink(path);

	expect_client("[defaults]\nport=1\0\n" NS SRV, sizeof("[defaults]\nport=1\0\n" NS SRV) - 1, 0600,
		      (gid_t)-1, "2: a NUL byte; this is not a text file");

	/* 199 bytes are taken whole, 200 are refused; a comment may be of any length. */
	memset(long_line + length, 'x', 300);
	expect_client(long_line, head + 199, 0600, (gid_t)-1, NULL);
	expect_client(long_line, head + 200, 0600, (gid_t)-1, "8: the line is longer than 199 bytes");
	long_line[head] = '#';
	expect_client(long_line, head + 300, 0600, (gid_t)-1, NULL);

	large = malloc((1 << 20) + 1);
	memset(large, '\n', (1 << 20) + 1);
	memcpy(large, NS SRV, strlen(NS SRV));
	expect_client(large, 1 << 20, 0600, (gid_t)-1, NULL);
	expect_client(large, (1 << 20) + 1, 0600, (gid_t)-1, " is larger than 1024 KiB");
	free(large);
}

#define TEN "0123456789"
#define FORTY TEN TEN TEN TEN

static void test_long_names(void **state)
{
	struct conf_report r;
	struct conf_client *c = client_of("[namespace n" TEN TEN TEN "012345678]\nnamespaceid=1\nnodename=" FORTY
					  "\nnodekey=k\n" SRV
					  "[volume n" TEN TEN TEN "012345678:" FORTY "]\nattach=yes\n", &r);

	(void)state;
	conf_report_print("test_conf", &r);
	assert_non_null(c);
	assert_int_equal(strlen(c->namespaces[0].name), 40);
	assert_int_equal(strlen(c->namespaces[0].nodename), 40);
	assert_int_equal(strlen(c->volumes[0].name), 40);
	assert_true(c->volumes[0].attach);
	conf_client_free(c);
	conf_report_free(&r);
	assert_null(client_of("[volume " FORTY FORTY "0]\nx=y\n" NS "x" SRV, &r));
	assert_non_null(strstr(r.lines[0], "1: [volume] this section needs a volume"));
	conf_report_free(&r);
	assert_null(client_of("[volume " FORTY FORTY "01]\nx=y\n" NS SRV, &r));
	assert_int_equal(r.count, 1);
	assert_non_null(strstr(r.lines[0], "1: the section's header is longer than 88 bytes"));
	conf_report_free(&r);
}

/* A file of nothing but mistakes, sections or interfaces stays bounded. */
static void test_bounds(void **state)
{
	const size_t size = 1 << 20;
	char *text = malloc(size + 1), *at = text;
	struct conf_report r;

	(void)state;
	memset(text, 'x', size);
	text[size] = 0;
	for (size_t i = 1; i < size; i += 2)
		text[i] = '\n';
	assert_null(client_of(text, &r));
	assert_int_equal(r.count, 1001);
	assert_non_null(strstr(r.lines[1000], ": there are more mistakes than these 1000"));
	conf_report_free(&r);

	at += sprintf(at, NS SRV);
	for (int i = 0; i < 9000; i++)
		at += sprintf(at, "[volume osl:v%d]\n", i);
	assert_null(client_of(text, &r));
	assert_int_equal(r.count, 1);
	assert_non_null(strstr(r.lines[0], "more than 8192 sections"));
	conf_report_free(&r);

	at = text + sprintf(text, HEAD PORTAL "[clients]\n");
	for (int i = 0; i < 4097; i++)
		at += sprintf(at, "n%d k%d\n", i, i);
	assert_null(server_of(text, &r));
	assert_int_equal(r.count, 1);
	assert_non_null(strstr(r.lines[0], "there are more than 4096 clients"));
	conf_report_free(&r);

	at = text;
	for (int i = 0; i < 9; i++)
		at += sprintf(at, "[interface i%d]\naddress=10.0.0.%d\n", i, i + 1);
	sprintf(at, NS SRV);
	assert_null(client_of(text, &r));
	assert_int_equal(r.count, 1);
	assert_non_null(strstr(r.lines[0], "17: [interface i8] more than 8 interfaces"));
	conf_report_free(&r);
	free(text);
}

/* Names, places and the table. */

static void test_names(void **state)
{
	char ns[CONF_NAME_MAX + 1], volume[CONF_NAME_MAX + 1];
	struct err e;

	(void)state;
	assert_true(conf_name_valid("a") && conf_name_valid("A-b_c.9") && conf_name_valid(FORTY));
	assert_false(conf_name_valid("") || conf_name_valid(".a") || conf_name_valid("-a"));
	assert_false(conf_name_valid("a b") || conf_name_valid("\xc3\xa4") || conf_name_valid(FORTY "x"));
	assert_int_equal(conf_split_volume("osl:oracle", ns, volume, &e), 0);
	assert_string_equal(ns, "osl");
	assert_string_equal(volume, "oracle");
	assert_int_equal(conf_split_volume("osl/oracle", ns, volume, NULL), 0);
	assert_int_equal(conf_split_volume("oracle", ns, volume, &e), -22);
	assert_string_equal(e.text, "'oracle' is not a volume: NAMESPACE:VOLUME");
	assert_int_equal(conf_split_volume("osl:", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume(":oracle", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:b:c", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume(FORTY "x:a", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:" FORTY "x", ns, volume, NULL), -22);
	assert_string_equal(conf_policy_name(CONF_POLICY_LEAST_BLOCKS), "least-blocks");
	assert_string_equal(conf_on_loss_name(CONF_ON_LOSS_READ_ONLY), "read-only");
}

static void test_table(void **state)
{
	size_t count;
	const struct conf_key_row *rows = conf_key_table(&count);
	char range[32];

	(void)state;
	assert_true(count > 40);
	for (size_t i = 0; i < count; i++) {
		const struct conf_key_row *row = &rows[i];

		assert_true(row->section && row->name && row->kind && row->help);
		assert_int_equal(row->help[strlen(row->help) - 1], '.');
		assert_false(row->need != CONF_OPTIONAL && row->fallback);
		if (strstr(row->kind, "..")) {
			snprintf(range, sizeof(range), "%d..%d", row->min, row->max);
			assert_string_equal(row->kind, range);
		}
		for (size_t k = 0; k < i; k++)
			assert_false(rows[k].file == row->file && strcmp(rows[k].section, row->section) == 0 &&
				     strcmp(rows[k].name, row->name) == 0);
	}
}

static void test_default_paths(void **state)
{
	char *p;

	(void)state;
	p = conf_client_default_path();
	if (geteuid() == 0) {
		assert_string_equal(p, "/etc/rscltcfg");
	} else {
		assert_non_null(strstr(p, "/.config/rsio/rscltcfg"));
	}
	free(p);
	p = conf_server_default_path();
	assert_true(strcmp(p, "/etc/rssrvcfg") == 0 || strcmp(p, "/etc/dvsc/rssrvcfg") == 0);
	free(p);
}

/* Where a text of 16 bytes, given as its complement so that looking for it is
 * not what is found, stands in this process's stack, heap and other small
 * anonymous memory; 0: nowhere. */
static unsigned long find_in_memory(const char *complement)
{
	static char window[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to, found = 0;
	char line[512], rights[8], name[256];

	assert_true(maps && mem >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		name[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, rights, name) < 3 ||
		    rights[1] != 'w' || name[0] == '/' || to - from > 64u << 20)
			continue;
		for (unsigned long at = from; at < to && !found; at += sizeof(window) - 16) {
			size_t length = to - at < sizeof(window) ? to - at : sizeof(window);
			ssize_t n = pread(mem, window, length, (off_t)at);

			for (ssize_t i = 0; i + 16 <= n && !found; i++) {
				int k = 0;

				while (k < 16 && (char)~window[i + k] == complement[k])
					k++;
				if (k == 16)
					found = at + (unsigned long)i;
			}
			memset(window, 0, sizeof(window));
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

/* A text that stands nowhere else in memory, in the place of the X…; what is
 * written is wiped here, so what is found was left by the code under test. */
static void write_with_secret(const char *text, const char *complement, bool wipe)
{
	char copy[512], *at;

	snprintf(copy, sizeof(copy), "%s", text);
	at = strchr(copy, 'X');
	for (int k = 0; k < 16; k++)
		at[k] = (char)~complement[k];
	write_bytes(copy, strlen(copy), 0600);
	if (!wipe)
		assert_int_not_equal(find_in_memory(complement), 0);
	explicit_bzero(copy, sizeof(copy));
}

static void test_keys_are_wiped(void **state)
{
	char complement[16];
	struct conf_report r;

	(void)state;
	/* At the end of a long key: what is freed has its first bytes overwritten. */
	for (int k = 0; k < 16; k++)
		complement[k] = (char)~("abcdefgh"[k % 8] + k / 8);
	write_with_secret(NS SRV "[defaults]\n#XXXXXXXXXXXXXXXX\n", complement, false);

	write_with_secret("[namespace osl]\nnamespaceid=200\nnodename=big-2\nnodekey=" FORTY "XXXXXXXXXXXXXXXX\n" SRV,
			  complement, true);
	conf_client_free(conf_client_read(path, (gid_t)-1, &r));
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(find_in_memory(complement), 0);

	write_with_secret(HEAD PORTAL "[clients]\nbig-2 " FORTY "XXXXXXXXXXXXXXXX\n", complement, true);
	conf_server_free(conf_server_read(path, (gid_t)-1, &r));
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(find_in_memory(complement), 0);
}

/* Mutations: the same ones each time, so that what fails once fails again. */

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* One edit of a text in a buffer of twice the size. */
static size_t mutate(char *text, size_t size, size_t room)
{
	static const char *const pieces[] = {
		"[", "]", "=", ";", " ;", "#", "\n", "\r\n", "\\", ":", "::", "%", "/", ",", "\xff", "\x80",
		"[server x]\n", "[namespace osl]\n", "[clients]\n", "[volume a:b]\n", "0", "99999999999999999999",
		"tls", "weighted", "port", "1e9", "nan", "-", ".", "\t", "\xef\xbb\xbf",
	};
	uint32_t at = draw((uint32_t)size + 1), length = 1 + draw(24);
	const char *piece = pieces[draw(COUNT(pieces))];

	switch (draw(5)) {
	case 0:		/* another byte */
		if (at < size)
			text[at] = (char)draw(256);
		return size;
	case 1:		/* some taken out */
		if (at + length > size)
			return size;
		memmove(text + at, text + at + length, size - at - length);
		return size - length;
	case 2:		/* some said twice */
		if (at + length > size || size + length > room)
			return size;
		memmove(text + at + length, text + at, size - at);
		return size + length;
	case 3:		/* a piece put in */
		length = (uint32_t)strlen(piece);
		if (size + length > room)
			return size;
		memmove(text + at + length, text + at, size - at);
		memcpy(text + at, piece, length);
		return size + length;
	default:	/* cut short */
		return draw(8) ? size : at;
	}
}

static void read_mutant(enum conf_file file)
{
	struct conf_report r;
	bool good;

	if (file == CONF_FILE_CLIENT) {
		struct conf_client *c = conf_client_read(path, (gid_t)-1, &r);

		good = c != NULL;
		conf_client_free(c);
	} else {
		struct conf_server *c = conf_server_read(path, (gid_t)-1, &r);

		good = c != NULL;
		conf_server_free(c);
	}
	assert_int_equal(good, r.count == r.warnings);
	for (size_t i = 0; i < r.count; i++) {
		assert_memory_equal(r.lines[i], path, strlen(path));
		assert_null(strpbrk(r.lines[i], "\n\r\033\xff\x80"));
		/* The end of each key, which no message may show, wherever it strayed to. */
		if (strstr(r.lines[i], "Secr3t"))
			fail_msg("a key is shown: %s", r.lines[i]);
	}
	conf_report_free(&r);
}

/* Both samples with more sections in them and with keys that can be found again. */
static char *mutants_origin(enum conf_file file)
{
	static const char client[] =
		"[volume osl:a]\npolicy=fail-over\nattach=yes\n[interface if3]\ndevice=eth1\nport=5001\n";
	static const char server[] =
		"[pool p]\npath=/srv/p\nmanage=big-2,venus\n[volume v]\npath=/dev/x\nmode=ro\n"
		"uuid=00112233-4455-6677-8899-aabbccddeeff\nclients=venus\n";
	bool is_client = file == CONF_FILE_CLIENT;
	char *text = sample(is_client ? "rscltcfg" : "rssrvcfg"), *whole = calloc(1, 8192), *to = whole;

	for (const char *at = text; *at; at++) {
		if (strncmp(at, "0xbig", 5) == 0) {
			to = stpcpy(to, "0xbig/Secr3t");
			at += 4;
		} else {
			*to++ = *at;
		}
	}
	strcpy(to, is_client ? client : server);
	free(text);
	return whole;
}

static void mutants(enum conf_file file, int count)
{
	char *origin = mutants_origin(file), text[4096];

	for (int i = 0; i < count; i++) {
		size_t size = strlen(origin);

		seed = (uint64_t)i * 2654435761u + file;
		memcpy(text, origin, size);
		for (uint32_t edits = 1 + draw(6); edits; edits--)
			size = mutate(text, size, sizeof(text));
		write_bytes(text, size, 0600);
		read_mutant(file);
	}
	free(origin);
}

static void test_client_mutants(void **state)
{
	(void)state;
	mutants(CONF_FILE_CLIENT, 5000);
}

static void test_server_mutants(void **state)
{
	(void)state;
	mutants(CONF_FILE_SERVER, 5000);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/cfg", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_sample),
		cmocka_unit_test(test_server_sample),
		cmocka_unit_test(test_client_everything),
		cmocka_unit_test(test_server_everything),
		cmocka_unit_test(test_client_mistakes),
		cmocka_unit_test(test_server_mistakes),
		cmocka_unit_test(test_file_modes),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_default_paths),
		cmocka_unit_test(test_keys_are_wiped),
		cmocka_unit_test(test_client_mutants),
		cmocka_unit_test(test_server_mutants),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
