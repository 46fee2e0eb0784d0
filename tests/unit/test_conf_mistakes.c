/*
 * test_conf_mistakes.c - the words of every mistake in a configuration.
 *
 * A case is a file's text and the lines of the report, without the path.
 */
#include "conf_file.h"

static const struct mistake_case client_cases[] = {
	/* The form of lines. */
	{ "port=1\n" NS SRV, { "1: a line before the first section" } },
	{ "[defaults\nport=x\n" NS SRV, { "1: a section's header ends with ']'" } },
	{ "[defaults] port=1\n" NS SRV,
	  { "1: nothing but a comment may follow a section's header" } },
	{ "[default]\nport=x\n" NS SRV,
	  { "1: [default] unknown section (did you mean defaults?)" } },
	{ "[]\n" NS SRV, { "1: [?] unknown section" } },
	{ "[defaults x]\n" NS SRV, { "1: [defaults] this section takes no name" } },
	{ "[interface]\naddress=10.0.0.2\n" NS SRV,
	  { "1: [interface] this section needs a name: [interface NAME], with 1..40 of A-Z a-z "
	    "0-9 . _ -, no leading . or -" } },
	{ "[interface .x]\naddress=10.0.0.2\n" NS SRV,
	  { "1: [interface] this section needs a name: [interface NAME], with 1..40 of A-Z a-z "
	    "0-9 . _ -, no leading . or -" } },
	{ NS SRV "[volume oracle]\n",
	  { "7: [volume] this section needs a volume: [volume NAMESPACE:VOLUME]" } },
	{ "[defaults]\nport 5000\n" NS SRV,
	  { "2: [defaults] a line here is KEY = VALUE, and this one has no '='" } },
	{ "[defaults]\nport: 5000\n=3\na b=c\nport ;=3\n" NS SRV,
	  { "2: [defaults] a line here is KEY = VALUE, and this one has no '='",
	    "3: [defaults] what stands before '=' is not a key",
	    "4: [defaults] what stands before '=' is not a key",
	    "5: [defaults] what stands before '=' is not a key" } },
	{ "[defaults]\nport =\n" NS SRV, { "2: [defaults] port: has no value (1..65535)" } },
	{ "[defaults]\nport = ; 5\n" NS SRV, { "2: [defaults] port: has no value (1..65535)" } },
	{ "[defaults]\non-event = a ; b\nmount=/a\t;b\n" NS SRV,
	  { "2: [defaults] on-event: the value would end at the blank and ';' in it; write ';' "
	    "without a blank before it, and comments on lines of their own",
	    "3: [defaults] mount: the value would end at the blank and ';' in it; write ';' "
	    "without a blank before it, and comments on lines of their own" } },
	{ "[defaults]\nport=1\nport=2\n" NS SRV,
	  { "3: [defaults] port: is already set in line 2" } },
	{ "[defaults]\nprot=1\nnodekey=x\nzzz=1\n" NS SRV,
	  { "2: [defaults] prot: unknown key (did you mean port?)",
	    "3: [defaults] nodekey: unknown key here; it belongs in [namespace]",
	    "4: [defaults] zzz: unknown key" } },
	{ "[defaults]\n[defaults]\n" NS SRV, { "2: [defaults] is the same section as in line 1" } },
	{ "[interface a]\naddress=1.1.1.1\n[interface a]\naddress=1.1.1.2\n" NS SRV,
	  { "3: [interface a] is the same section as in line 1" } },
	{ NS SRV SRV,
	  { "7: [server s1] is the same section as in line 5",
	    "8: [server s1] address: is the address and port of [server s1] too" } },
	{ NS SRV "[volume osl:a]\n[volume osl/a]\n",
	  { "8: [volume osl:a] is the same section as in line 7" } },

	/* Values. */
	{ "[defaults]\nport=70000\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=0\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=-1\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=5000 # x\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nport=99999999999999999999\n" NS SRV,
	  { "2: [defaults] port: is not a number from 1 to 65535" } },
	{ "[defaults]\nprotocol=rdma\n" NS SRV,
	  { "2: [defaults] protocol: only tcp is available in this version" } },
	{ "[defaults]\nsecurity=none\n" NS SRV,
	  { "2: [defaults] security: is not tls or auth" } },
	{ "[defaults]\nsecurity=aut\n" NS SRV,
	  { "2: [defaults] security: is not tls or auth (did you mean auth?)" } },
	{ "[defaults]\npolicy=least-blocks\n" NS SRV,
	  { "2: [defaults] policy: least-blocks is a policy of single volumes: it belongs in "
	    "[volume NAMESPACE:VOLUME]" } },
	{ "[defaults]\npolicy=failover\n" NS SRV,
	  { "2: [defaults] policy: is not a policy: adaptive, round-robin, round-robin-subset, "
	    "fail-over, least-queue or weighted (did you mean fail-over?)" } },
	{ NS SRV "[volume osl:a]\npolicy=failover\n",
	  { "8: [volume osl:a] policy: is not a policy: adaptive, round-robin, round-robin-subset, "
	    "fail-over, least-queue, weighted or least-blocks (did you mean fail-over?)" } },
	{ "[defaults]\nweight=if0\nstandby=if0,if0\n" NS SRV,
	  { "2: [defaults] weight: is not INTERFACE=WEIGHT,... with weights from 1 to 100",
	    "3: [defaults] standby: names if0 twice" } },
	{ "[defaults]\nweight=if0=3\n" NS SRV "[volume osl:a]\nstandby=if1,if7\n[interface if1]\ndevice=eth1\n",
	  { "2: [defaults] weight: there is no [interface if0]; there is if1",
	    "10: [volume osl:a] standby: there is no [interface if7]; there is if1" } },
	{ "[defaults]\ndetect=soon\nretry=5\non-loss=die\n" NS SRV,
	  { "2: [defaults] detect: is not a duration, as 500ms, 2s or 5min",
	    "3: [defaults] retry: is not from 0.01s to 1s",
	    "4: [defaults] on-loss: is not fail, read-only or queue" } },
	{ "[defaults]\ndetect=1us\n" NS SRV,
	  { "2: [defaults] detect: is not from 0.01s to 3600s" } },
	{ "[defaults]\npayload-crc=true\npoll=1ms\n" NS SRV,
	  { "2: [defaults] payload-crc: is not yes or no",
	    "3: [defaults] poll: is not auto or a number of microseconds from 0 to 100000" } },
	{ "[defaults]\nmount=rsio\nadmin-group=a\001b\n" NS SRV,
	  { "2: [defaults] mount: is not an absolute path",
	    "3: [defaults] admin-group: has a control character in it" } },
	{ "[interface a]\naddress=10.0.0\n[interface b]\naddress=10.0.0.1:5000\n[interface c]\n"
	  "address=fe80::1\n"
	  "[interface d]\naddress=224.0.0.1\n[interface e]\naddress=::\n[interface f]\ndevice=a/b\n"
	  NS SRV,
	  { "2: [interface a] address: is not an IPv4 or IPv6 address (a port has a key of its "
	    "own)",
	    "4: [interface b] address: is not an IPv4 or IPv6 address (a port has a key of its "
	    "own)",
	    "6: [interface c] address: is a link-local address and needs its device, as "
	    "fe80::1%eth0",
	    "8: [interface d] address: is a multicast or broadcast address",
	    "10: [interface e] address: an interface has an address of its own; without any "
	    "[interface] the kernel chooses",
	    "12: [interface f] device: is not a network device's name (1..15 bytes, no blank, '/' "
	    "or ':')" } },
	{ "[interface a]\ndevice=abcdefghijklmno\n[interface b]\ndevice=abcdefghijklmnop\n" NS SRV,
	  { "4: [interface b] device: is not a network device's name (1..15 bytes, no blank, '/' "
	    "or ':')" } },
	{ NS
	  "[server a]\naddress=10.0.0.1.2\n[server b]\naddress=a b\n[server c]\naddress=0.0.0.0\n"
	  "[server d]\naddress=ff02::1\n",
	  { "6: [server a] address: is not an address or a host name (a port has a key of its own)",
	    "8: [server b] address: is not an address or a host name (a port has a key of its own)",
	    "10: [server c] address: is no server's address",
	    "12: [server d] address: is a multicast address" } },
	{ "[namespace osl]\nnamespaceid=0xkey\nnodename=a b\nnodekey=0xbig 2\n" SRV,
	  { "2: [namespace osl] namespaceid: is not a number from 0 to 65535",
	    "3: [namespace osl] nodename: is not a name (1..40 of A-Z a-z 0-9 . _ -, no leading . "
	    "or -)",
	    "4: [namespace osl] nodekey: a node key has no blanks; a comment stands on a line of "
	    "its own" } },
	{ "[namespace osl]\nnamespaceid=1\nnodename=a\nnodekey==x\nnodekee=y\n" SRV,
	  { "4: [namespace osl] nodekey: a node key does not begin with '=', ';', '#' or '@', but for @credential:NAME and @file:PATH",
	    "5: [namespace osl] nodekee: unknown key (did you mean nodekey?)" } },
	{ "[namespace osl]\nnamespaceid=1\nnodename=a\nnodekey=\n0xkey\n" SRV,
	  { "4: [namespace osl] nodekey: has no value (key)",
	    "5: [namespace osl] a line here is KEY = VALUE, and this one has no '='" } },

	/* What is missing. */
	{ "", { " there is no [namespace NAME] section" } },
	{ "# nothing\n\n", { " there is no [namespace NAME] section" } },
	{ "[namespace osl]\n" SRV,
	  { "1: [namespace osl] namespaceid: is missing (0..65535)",
	    "1: [namespace osl] nodename: is missing (name)",
	    "1: [namespace osl] nodekey: is missing (key)" } },
	{ NS, { "1: [namespace osl] has no [server NAME] section below it" } },
	{ NS "[server a]\nport=1\n",
	  { "5: [server a] address: is missing (address or host name)" } },
	{ "[interface a]\n" NS SRV,
	  { "1: [interface a] address: is missing (address or device)" } },

	/* What contradicts. */
	{ "[interface a]\naddress=1.1.1.1\ndevice=eth0\n" NS SRV,
	  { "3: [interface a] device: address and device exclude each other" } },
	{ "[interface a]\naddress=1.1.1.1\n[interface b]\naddress=1.1.1.1\n" NS SRV,
	  { "4: [interface b] address: is the address of [interface a] too" } },
	{ "[interface a]\naddress=::1\n[interface b]\naddress=0::0:1\n" NS SRV,
	  { "4: [interface b] address: is the address of [interface a] too" } },
	{ "[interface a]\ndevice=eth0\n[interface b]\ndevice=eth0\n" NS SRV,
	  { "4: [interface b] device: is the device of [interface a] too" } },
	{ SRV NS SRV,
	  { "1: [server s1] stands above the first [namespace]; a server belongs to the namespace "
	    "above it" } },
	{ NS SRV "[namespace two]\nnamespaceid=200\nnodename=a\nnodekey=b\n" SRV,
	  { "8: [namespace two] namespaceid: is the id of [namespace osl] too" } },
	{ NS SRV "[namespace osl]\nnamespaceid=201\nnodename=a\nnodekey=b\n" SRV,
	  { "7: [namespace osl] is the same section as in line 1" } },
	{ NS SRV "[server s2]\naddress=10.0.0.1\nport=5000\n",
	  { "8: [server s2] address: is the address and port of [server s1] too" } },
	{ NS SRV "[server s2]\naddress=10.0.0.1\nport=5001\n", { NULL } },
	{ NS SRV "[volume osi:oracle]\n",
	  { "7: [volume osi:oracle] there is no [namespace osi] (did you mean osl?)" } },
	{ NS SRV "[volume osl:a]\nweight=3\n",
	  { "8: [volume osl:a] weight: is not INTERFACE=WEIGHT,... with weights from 1 to 100" } },
	{ "[defaults]\nretry=1\ndetect=0.5\n" NS SRV,
	  { "2: [defaults] retry: retry 1s must not be longer than detect 0.5s" } },
	{ "[defaults]\ndetect=0.2\n" NS SRV,
	  { "2: [defaults] detect: retry 0.5s (not set here) must not be longer than detect "
	    "0.2s" } },
	{ "[defaults]\nprobation=1\n" NS SRV,
	  { "2: [defaults] probation: probation 1s must be 0 or not shorter than detect 2s (not set here)" } },
	{ "[defaults]\nprobation=1\ndetect=1\n" NS SRV, { NULL } },
	{ "[defaults]\nprobation=0\n" NS SRV, { NULL } },
	{ NS "detect=11s\n" SRV,
	  { "5: [namespace osl] detect: probation 10s (not set here) must be 0 or not shorter than detect 11s" } },
	{ "[defaults]\ngive-up=2\n" NS SRV,
	  { "2: [defaults] give-up: give-up 2s must be longer than detect 2s (not set here), "
	    "unless on-loss = queue" } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS SRV, { NULL } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS "on-loss=fail\n" SRV,
	  { "8: [namespace osl] on-loss: give-up 2s (not set here) must be longer than detect 2s "
	    "(not set here), unless on-loss = queue" } },
	{ "[defaults]\ngive-up=2\non-loss=queue\n" NS SRV "[volume osl:a]\non-loss=fail\n",
	  { "11: [volume osl:a] on-loss: needs a give-up in [namespace osl] (2s) that is longer "
	    "than detect (2s)" } },
	{ NS "detect=200s\n" SRV,
	  { "5: [namespace osl] detect: give-up 120s (not set here) must be longer than detect "
	    "200s, unless on-loss = queue",
	    "5: [namespace osl] detect: probation 10s (not set here) must be 0 or not shorter than detect "
	    "200s" } },
	{ NS "mount=/x\n" SRV,
	  { "5: [namespace osl] mount: unknown key here; it belongs in [defaults]" } },
};

#define SECOND \
	"; one rssrv serves one namespace: start another with a file and a --run-dir of its own"

static const struct mistake_case server_cases[] = {
	{ "",
	  { " there is no [namespace NAME] section",
	    " there is no [server NAME] section",
	    " there is no [interface NAME] section, so no portal",
	    " warning: there is no client in [clients], so nobody can log in" } },
	{ HEAD PORTAL, { " warning: there is no client in [clients], so nobody can log in" } },
	{ "[namespace osl]\n[server big-9]\n" PORTAL CLIENTS,
	  { "1: [namespace osl] namespaceid: is missing (0..65535)",
	    "2: [server big-9] serverid: is missing (0..255)" } },
	{ HEAD PORTAL CLIENTS "[namespace two]\nnamespaceid=x\n[server big-8]\nserverid=256\n",
	  { "9: [namespace two] a second [namespace]" SECOND,
	    "10: [namespace two] namespaceid: is not a number from 0 to 65535",
	    "11: [server big-8] a second [server]" SECOND,
	    "12: [server big-8] serverid: is not a number from 0 to 255" } },
	{ PORTAL HEAD CLIENTS, { "1: [interface if1] belongs below its [server]" } },
	{ "[server big-9]\nserverid=1\n[namespace osl]\nnamespaceid=200\n" PORTAL CLIENTS,
	  { "1: [server big-9] belongs below its [namespace]" } },
	{ "[defaults]\nport=1\n" HEAD PORTAL CLIENTS, { "1: [defaults] unknown section" } },
	{ "[namespace osl]\nnamespaceid=1\nsecurity=no\nprotocol=udp\n[server big-9]\n"
	  "serverid=1\nsecurity=ssl\n" PORTAL CLIENTS,
	  { "3: [namespace osl] security: is not tls or auth",
	    "4: [namespace osl] protocol: only tcp is available in this version",
	    "7: [server big-9] security: is not tls or auth" } },
	{ HEAD "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=10.0.0.1\nport=5000\n"
	  CLIENTS,
	  { "8: [interface b] address: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=10.0.0.1\nport=5001\n"
	  CLIENTS,
	  { NULL } },
	{ HEAD
	  "[interface a]\naddress=10.0.0.1\n[interface b]\naddress=0.0.0.0\n[interface c]\n"
	  "address=::\n" CLIENTS,
	  { "8: [interface b] address: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\ndevice=eth0\n[interface b]\ndevice=eth0\n" CLIENTS,
	  { "8: [interface b] device: with port 5000 it collides with [interface a]" } },
	{ HEAD "[interface a]\naddress=host\n" CLIENTS,
	  { "6: [interface a] address: is not an IPv4 or IPv6 address (a port has a key of its "
	    "own)" } },
	/* No line of [clients] is ever shown. */
	{ HEAD PORTAL
	  "[clients]\nbig-2\n-x 0xkey\nbig-3 = 0xkey\nbig-4 0xkey # why\nbig-5 0xkey\n"
	  "big-5 0xother\nbig-6=0xkey\nbig-7 =x\nbig-5 0xthird\nbig-8 0xkey\nbig-8 0xkey\nbig-9 @0xkey\n",
	  { "8: [clients] a line here is a client's name, a blank, and its key",
	    "9: [clients] the first word is not a client's name (1..40 of A-Z a-z 0-9 . _ -)",
	    "10: [clients] a client's name and its key stand here without '='",
	    "11: [clients] a node key has no blanks; a comment stands on a line of its own",
	    "14: [clients] a line here is a client's name, a blank, and its key",
	    "15: [clients] a node key does not begin with '=', ';', '#' or '@', but for @credential:NAME and @file:PATH",
	    "16: [clients] is the same client as in lines 12 and 13, and two keys are the most",
	    "18: [clients] is the same client with the same key as in line 17",
	    "19: [clients] a node key does not begin with '=', ';', '#' or '@', but for @credential:NAME and @file:PATH" } },
	{ HEAD PORTAL CLIENTS "[clients]\nvenus 0xvenus\n",
	  { "9: [clients] is the same section as in line 7" } },
	{ HEAD PORTAL CLIENTS
	  "[pool a]\nmanage=big-2 big-3\n[pool b]\npath=x\nmanage=,\n[pool c]\npath=/p\n[pool d]\n"
	  "path=/p\n",
	  { "9: [pool a] path: is missing (directory)",
	    "10: [pool a] manage: 'big-3' is not in [clients]",
	    "12: [pool b] path: is not an absolute path",
	    "13: [pool b] manage: names no client",
	    "17: [pool d] path: is the path of [pool c] too" } },
	{ HEAD PORTAL CLIENTS
	  "[volume a]\npath=/p\nmode=r\nclients=big-2,.x\nuuid=1\nshared=maybe\nav=4\n[volume a]\n"
	  "path=/p\n",
	  { "11: [volume a] mode: is not rw or ro (did you mean rw?)",
	    "12: [volume a] clients: is not a list of client names, each perhaps with :ro",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_mistakes),
		cmocka_unit_test(test_server_mistakes),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
