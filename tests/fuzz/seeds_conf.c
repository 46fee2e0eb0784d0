/* seeds_conf.c - the first inputs of the targets that take configurations. */
#include <stdio.h>
#include <string.h>
#include "seeds.h"

/* fuzz_conf.c: what other inputs do not have. */

static void conf_seeds(void)
{
	static const char client[] =
		"[namespace osl]\nnamespaceid = 200\nnodename = sles1\n"
		"nodekey = @file:/memfile/./good\n[server big-1]\naddress = 10.0.0.1\n";
	static const char server[] =
		"[namespace osl]\nnamespaceid = 1\n[server a]\nserverid = 1\n[clients]\n"
		"sles1 @credential:good\nvenus @credential:key\n";

	static const char fleet[] =
		"[namespace osl]\nnamespaceid = 1\n[client ws1]\nhost = local\nconfig = /etc/c\n[server a]\nserverid = 1\n"
		"host = root@a:22\n[interface if0]\naddress = 10.0.0.1\n[pool main]\npath = /srv\nmanage = ws1\n"
		"[volume v]\npath = /dev/sdb\nclients = ws1:ro\n[namespace lab]\nnamespaceid = 2\n[server a]\nserverid = 1\n"
		"host = b\n[interface if0]\ndevice = eth0\n";

	seed_begin("conf");
	seed_add(fleet, sizeof(fleet) - 1);
	seed_write("fleet");
	seed_add(client, sizeof(client) - 1);
	seed_write("key-file");
	seed_add(server, sizeof(server) - 1);
	seed_write("credentials");
}

/* fuzz_conf_write.c: which file and how many edits, the edits, the text. */

static void conf_write_seed(const char *name, unsigned what, unsigned section, unsigned with, const char *text)
{
	seed_byte(strstr(text, "[clients]") ? 1 : 0);
	seed_byte(what);
	seed_byte(section);
	seed_byte(with);
	seed_add(text, strlen(text));
	seed_write(name);
}

static void conf_write_seeds(void)
{
	static const char client[] =
		"# mine\n[defaults]\n port\t= 5001 ; why\n\n[interface if0]\naddress       = 10.0.0.2\n"
		"[namespace osl]\r\nnamespaceid = 200\r\nnodename = sles1\r\nnodekey = secret-of-sles1\r\n"
		"# the first\n[server big-1]\naddress = 10.0.0.1\n\n; two\n[server big-2]\naddress=[2001:db8::9]\nport = 5000\n"
		"[volume osl/a]\nattach = yes";
	static const char server[] =
		"[namespace osl]\nnamespaceid = 1\n[server a]\nserverid = 1\n[interface if0]\naddress = 10.0.0.1\n"
		"[clients]\n  big-2   one\n# venus two\nvenus two\nvenus three\n[pool main]\npath = /p\nclients = big-2, venus:ro a\n"
		"manage = venus";

	seed_begin("conf_write");
	for (unsigned what = 0; what < 7; what++)
		for (unsigned section = 0; section < 6; section++) {
			char name[40];

			snprintf(name, sizeof(name), "client-%u-%u", what, section);
			conf_write_seed(name, what, section, 16 * section + what, client);
			snprintf(name, sizeof(name), "server-%u-%u", what, section);
			conf_write_seed(name, what + 16 * section, section, 1 + section, server);
		}
}

void seeds_conf(void)
{
	conf_seeds();
	conf_write_seeds();
}
