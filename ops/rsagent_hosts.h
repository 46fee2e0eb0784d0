/*
 * rsagent_hosts.h - which hosts a command is for.
 *
 * A word is [user@]host[:port], with an IPv6 address in brackets where a port follows; a name
 * of the file of hosts, which has the rest; @ROLE, all hosts of the file with that role; or
 * @all.  What the word says goes before what the file says.
 */
#ifndef OPS_RSAGENT_HOSTS_H
#define OPS_RSAGENT_HOSTS_H

#include <stddef.h>
#include "rsagent.h"

struct rsagent_host {
	char name[256];			/* as lines and tables call it */
	char address[256];		/* what is connected to: a name that ~/.ssh/config may know, or an address */
	char user[64];			/* "": as ~/.ssh/config has it, else this user's own name */
	int port;			/* 0: as ~/.ssh/config has it, else 22 */
	char *identity;			/* a file; NULL: as OpenSSH would */
	char *fingerprint;		/* SHA256:…; NULL: none is given */
	char namespace[CONF_NAME_MAX + 1];	/* "": the file does not say */
};

struct rsagent_hosts {
	struct rsagent_host *list;
	size_t count;
};

/* Those that the words mean, each once, in the words' order: 0, or -errno with e filled.  remote's
 * identity and fingerprint go before the file's. */
int rsagent_hosts_find(const struct rsagent_remote *remote, int count, char **words, struct rsagent_hosts *hosts,
		       struct err *e);
void rsagent_hosts_free(struct rsagent_hosts *hosts);

#endif
