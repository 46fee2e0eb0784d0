/* test_conf.c - the configuration: what is read, and from what files. */
#include <pwd.h>
#include "conf_file.h"
#include "secure.h"

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
	assert_int_equal(ns->behaviour.security, CONF_SECURITY_TLS);
	assert_int_equal(ns->behaviour.policy, POLICY_ADAPTIVE);
	assert_true(ns->behaviour.detect == 2 && ns->behaviour.retry == 0.5 && ns->behaviour.probation == 10);
	assert_true(ns->behaviour.give_up == 120 && ns->behaviour.poll == CONF_POLL_AUTO);
	assert_int_equal(ns->behaviour.on_loss, CONF_ON_LOSS_FAIL);
	assert_true(ns->behaviour.payload_crc && ns->behaviour.learn_portals);
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
	assert_true(c->metrics_interval == 15);	/* or the thread that waits so long never does */
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

static void test_client_everything(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# a comment\r\n"
		"  [ defaults ]  ; another\r\n"
		"\tport=5001\r\n"
		"   policy = round-robin ; a third\r\nstandby = if0\nweight = if0=3, if1=100\n"
		"detect=300ms\ngive-up = 5min\nprobation=0\nretry=0.1\non-loss=queue\npayload-crc=no\nlearn-portals=no\npoll=50\n"
		"mount=/mnt/rs\nadmin-group=disk\non-event=/bin/logger \"a;b\" # to the log\n"
		"[volume\tosl/oracle]\npolicy=least-blocks\nweight=if1=7\non-loss=read-only\nattach=yes\n"
		"[interface if0]\ndevice=eth0\nport=5003\n"
		"[interface if1]\naddress=[FE80::0:1%eth1]\n"
		"[namespace "
		"osl]\nnamespaceid=0\nnodename=a\nnodekey=a=b==\nport=5002\ndetect=1s\npolicy="
		"adaptive\n"
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
	assert_true(ns->behaviour.give_up == 300 && ns->behaviour.probation == 0 && ns->behaviour.poll == 50e-6);
	assert_int_equal(ns->behaviour.policy, POLICY_ADAPTIVE);
	assert_int_equal(ns->behaviour.on_loss, CONF_ON_LOSS_QUEUE);
	assert_false(ns->behaviour.payload_crc || ns->behaviour.learn_portals);
	assert_string_equal(ns->portals[0].address, "Big-9.example");
	assert_string_equal(ns->portals[1].address, "2001:db8::1");
	assert_int_equal(conf_client_port(c, ns, NULL, &ns->portals[0]), 5002);
	assert_int_equal(conf_client_port(c, ns, &c->interfaces[0], &ns->portals[0]), 5003);
	assert_int_equal(conf_client_port(c, ns, &c->interfaces[0], &ns->portals[1]), 5004);
	assert_int_equal(c->namespace_count, 2);
	assert_int_equal(c->namespaces[1].id, 65535);
	assert_int_equal(c->namespaces[1].behaviour.policy, POLICY_ROUND_ROBIN);
	assert_memory_equal(c->namespaces[1].key.bytes, bits, sizeof(bits));
	assert_int_equal(conf_client_port(c, &c->namespaces[1], NULL, c->namespaces[1].portals),
			 5001);
	assert_int_equal(c->volume_count, 1);
	assert_string_equal(c->volumes[0].namespace, "osl");
	assert_string_equal(c->volumes[0].name, "oracle");
	assert_true(c->volumes[0].attach && c->volumes[0].has_policy && c->volumes[0].has_on_loss);
	assert_int_equal(c->volumes[0].policy, POLICY_LEAST_BLOCKS);
	assert_int_equal(shares_of(&c->volumes[0].shares, "if1").weight, 7);
	assert_int_equal(shares_of(&c->namespaces[1].behaviour.shares, "if1").weight, 100);
	assert_true(shares_of(&c->namespaces[1].behaviour.shares, "if0").standby);
	assert_int_equal(c->volumes[0].on_loss, CONF_ON_LOSS_READ_ONLY);
	conf_client_free(c);
	conf_report_free(&r);
}

static void test_server_everything(void **state)
{
	static const char text[] =
		"[namespace osl]\nnamespaceid=7\nport=6000\nuser=nobody\npoll=10\nsecurity=auth\n"
		"[server big-9]\nserverid=255\nuser=disk\nfence-command=/bin/fence "
		"off\non-event=/bin/true\n"
		"[interface lo]\naddress=0.0.0.0\n"
		"[interface lo6]\naddress=::1\nport=6001\n"
		"[interface dev]\ndevice=eth0\n"
		"[pool fast]\npath=/srv/fast\nmanage=a, b\nshared=yes\n"
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
	assert_non_null(c);
	assert_int_equal(r.count, 1);	/* on-event has no effect yet */
	assert_int_equal(r.warnings, 1);
	assert_string_equal(c->user, "disk");
	assert_string_equal(c->fence_command, "/bin/fence off");
	assert_true(c->poll == 10e-6 && !c->metrics && c->metrics_interval == 15);
	assert_int_equal(c->listen_count, 3);
	assert_int_equal(c->listens[0].port, 6000);
	assert_int_equal(c->listens[1].port, 6001);
	assert_string_equal(c->listens[2].device, "eth0");
	assert_string_equal(c->pools[0].manage[0], "a");
	assert_string_equal(c->pools[0].manage[1], "b");
	assert_null(c->pools[0].manage[2]);
	assert_null(c->pools[1].manage);
	assert_true(c->pools[0].shared && !c->pools[1].shared);
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
	static const char text[] = NS SRV,
			  keyless[] = "[namespace a]\nnamespaceid=1\nnodename=b\n" SRV;
	const size_t size = sizeof(text) - 1;
	gid_t mine = getegid();

	(void)state;
	expect_client(text, size, 0600, (gid_t)-1, NULL);
	expect_client(text, size, 0640, (gid_t)-1, NULL);
	expect_client(text, size, 0640, mine, NULL);
	expect_client(text, size, 0622, mine + 1, NULL);
	expect_client(text, size, 0640, mine + 1,
		      " has node keys in it and can be read by a group that is not the daemon's "
		      "(mode 0640); chmod 600 mends it");
	expect_client(text, size, 0644, mine,
		      " has node keys in it and can be read by everybody (mode 0644); chmod 600 "
		      "mends it");
	/* Without keys the mode is nobody's business. */
	expect_client(keyless, sizeof(keyless) - 1, 0644, mine,
		      "1: [namespace a] nodekey: is missing (key)");
}

/* A server's file names who reads it again: the group of that user may. */
static void server_group(const char *user, gid_t group, bool good)
{
	char text[400];
	struct conf_report r;
	struct conf_server *c;

	snprintf(text, sizeof(text), "[namespace a]\nnamespaceid=1\nuser=bin\n[server s]\nserverid=1\n%s%s\n"
		 "[interface lo]\naddress=127.0.0.1\n[clients]\na k1\n", *user ? "user=" : "", user);
	write_bytes(text, strlen(text), 0640);
	assert_int_equal(chown(path, (uid_t)-1, group), 0);
	c = conf_server_read(path, (gid_t)-1, &r);
	if ((c != NULL) != good)
		fail_msg("user=%s, group %d: %s", user, (int)group, r.count ? r.lines[0] : "taken");
	assert_true(good || strstr(r.lines[0], "a group that is not the daemon's"));
	conf_server_free(c);
	conf_report_free(&r);
}

static void test_group_of_the_user(void **state)
{
	struct passwd *pw = getpwnam("nobody");
	gid_t nobody = pw ? pw->pw_gid : 0, bin;

	(void)state;
	pw = getpwnam("bin");
	bin = pw ? pw->pw_gid : 0;
	if (geteuid() || !nobody || !bin || nobody == bin)
		skip();
	server_group("nobody", nobody, true);
	server_group("nobody", bin, false);
	server_group("", bin, true);		/* [namespace]'s */
	server_group("", nobody, false);
	server_group("nobody", 0, false);	/* root's is not that user's */
	server_group("no-such-user", 0, true);
	unlink(path);
}

static void test_odd_files(void **state)
{
	struct mistake_case m = {"(see the test)",
				 {" cannot be opened: No such file or directory"}};
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

	expect_client("[defaults]\nport=1\0\n" NS SRV, sizeof("[defaults]\nport=1\0\n" NS SRV) - 1,
		      0600, (gid_t)-1, "2: a NUL byte; this is not a text file");

	/* 199 bytes are taken whole, 200 are refused; a comment may be of any length. */
	memset(long_line + length, 'x', 300);
	expect_client(long_line, head + 199, 0600, (gid_t)-1, NULL);
	expect_client(long_line, head + 200, 0600, (gid_t)-1,
		      "8: the line is longer than 199 bytes");
	long_line[head] = '#';
	expect_client(long_line, head + 300, 0600, (gid_t)-1, NULL);

	large = malloc((1 << 20) + 1);
	memset(large, '\n', (1 << 20) + 1);
	memcpy(large, NS SRV, strlen(NS SRV));
	expect_client(large, 1 << 20, 0600, (gid_t)-1, NULL);
	expect_client(large, (1 << 20) + 1, 0600, (gid_t)-1, " is larger than 1024 KiB");
	free(large);
}

static void test_long_names(void **state)
{
	struct conf_report r;
	struct conf_client *c = client_of(
		"[namespace n" TEN TEN TEN "012345678]\nnamespaceid=1\nnodename=" FORTY
		"\nnodekey=k\n" SRV "[volume n" TEN TEN TEN "012345678:" FORTY "]\nattach=yes\n",
		&r);

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
	char ns[CONF_NAME_MAX + 1], volume[CONF_VOLUME_MAX + 1];
	struct err e;

	(void)state;
	assert_true(conf_name_valid("a") && conf_name_valid("A-b_c.9") && conf_name_valid(FORTY));
	assert_false(conf_name_valid("") || conf_name_valid(".a") || conf_name_valid("-a"));
	assert_false(conf_name_valid("a b") || conf_name_valid("\xc3\xa4") ||
		     conf_name_valid(FORTY "x"));
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
	assert_int_equal(conf_split_volume("osl:oracle@monday", ns, volume, NULL), 0);
	assert_string_equal(volume, "oracle@monday");
	assert_int_equal(conf_split_volume("a:" FORTY "@snapshot-with-a-name-of-just-forty-signs", ns, volume, NULL), 0);
	assert_int_equal(conf_split_volume("a:" FORTY "x@y", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:x@" FORTY "y", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:x@", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:@y", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:x@y@z", ns, volume, NULL), -22);
	assert_int_equal(conf_split_volume("a:x@17", ns, volume, &e), -22);
	assert_non_null(strstr(e.text, "no number"));
	assert_string_equal(policy_name(POLICY_LEAST_BLOCKS), "least-blocks");
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
			assert_false(rows[k].file == row->file &&
				     strcmp(rows[k].section, row->section) == 0 &&
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

	write_with_secret("[namespace osl]\nnamespaceid=200\nnodename=big-2\nnodekey=" FORTY
			  "XXXXXXXXXXXXXXXX\n" SRV,
			  complement, true);
	conf_client_free(conf_client_read(path, (gid_t)-1, &r));
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(find_in_memory(complement), 0);

	write_with_secret(HEAD PORTAL "[clients]\nbig-2 " FORTY "XXXXXXXXXXXXXXXX\n", complement,
			  true);
	conf_server_free(conf_server_read(path, (gid_t)-1, &r));
	assert_int_equal(r.count, 0);
	conf_report_free(&r);
	assert_int_equal(find_in_memory(complement), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_sample),
		cmocka_unit_test(test_server_sample),
		cmocka_unit_test(test_client_everything),
		cmocka_unit_test(test_server_everything),
		cmocka_unit_test(test_file_modes),
		cmocka_unit_test(test_group_of_the_user),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_default_paths),
		cmocka_unit_test(test_keys_are_wiped),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
