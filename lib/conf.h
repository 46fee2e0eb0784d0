/*
 * conf.h - the two configuration files, and rsagent's of hosts, read into structs.
 *
 * /etc/rscltcfg (client) and /etc/rssrvcfg (server) are INI, read with inih
 * behind a reader of our own that strips indentation, reads section headers
 * itself, counts lines and refuses what is too long for inih (conf.c says why).
 * One table (conf_keys.c) has a row per key: section, name, type, range,
 * default, offset, one help sentence; parser, --check, man page test and later
 * the wizard use it.
 *
 * Every mistake in a file is found in one run: each is a line of its own in
 * struct conf_report, as "FILE:LINE: [SECTION] key: reason (did you mean …?)".
 *
 * All structs: const after conf_*_read; strings are owned by the struct.
 */
#ifndef RSIO_CONF_H
#define RSIO_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"
#include "policy.h"
#include "shares.h"

#define CONF_NAME_MAX SHARES_NAME_MAX	/* 1..40 of [A-Za-z0-9._-], no leading dot or dash */
#define CONF_VOLUME_MAX (2 * CONF_NAME_MAX + 1)	/* a volume's name, or VOLUME@SNAP of a snapshot */
#define CONF_IFACE_MAX SHARES_MAX
#define CONF_SERVER_MAX 256	/* servers a namespace (sections: 8 portals each) */
#define CONF_KEY_BYTES 32
#define CONF_SERVER_USER "rsio"

enum conf_security { CONF_SECURITY_TLS, CONF_SECURITY_AUTH };
/* What a server tells strangers: with names no more than where to log in. */
enum conf_discovery { CONF_DISCOVERY_ALL, CONF_DISCOVERY_NAMES, CONF_DISCOVERY_NONE };
enum conf_on_loss { CONF_ON_LOSS_FAIL, CONF_ON_LOSS_READ_ONLY, CONF_ON_LOSS_QUEUE };
const char *conf_on_loss_name(enum conf_on_loss o);

/* The node key: 64 hex digits are the 256 bits themselves; any other text is
 * SHA-256("rsio node key" 0x00 text).  Wiped by conf_*_free. */
struct conf_key {
	uint8_t bytes[CONF_KEY_BYTES];
	unsigned bits;		/* that have to be guessed, at most, by the look of its text */
	int line;
};
bool conf_same_key(const struct conf_key *a, const struct conf_key *b);

/* What a list of clients says of one. */
enum conf_right { CONF_RIGHT_NONE, CONF_RIGHT_READ, CONF_RIGHT_WRITE };
enum conf_right conf_right(char *const *clients, const char *name);

#define CONF_POLL_AUTO (-1)	/* poll: a short while, when answers are awaited (loop.h) */

/* What [defaults] gives and [namespace] may override. */
struct conf_behaviour {
	enum conf_security security;
	enum policy policy;
	double detect;		/* seconds, default 2 */
	double retry;		/* seconds, default 0.5 */
	double probation;	/* seconds, default 10; 0: none */
	double give_up;		/* seconds, default 120 */
	enum conf_on_loss on_loss;
	bool learn_portals;	/* those that a server tells of; default yes */
	bool payload_crc;	/* default yes */
	struct shares shares;	/* for the policies that have weights or standbys */
	double poll;		/* seconds (the key is in microseconds), or CONF_POLL_AUTO, the default */
};

struct conf_interface {		/* client [interface NAME] */
	char name[CONF_NAME_MAX + 1];
	char *address;		/* numeric IPv4 or IPv6, or NULL */
	char *device;		/* network device, or NULL; one of the two is set */
	int port;		/* 0: not set here */
	int line;
};

#define CONF_PORTAL_NAME_MAX (CONF_NAME_MAX + 1 + 63)
struct conf_portal {		/* client [server NAME]: one portal of a server */
	char name[CONF_PORTAL_NAME_MAX + 1];	/* of a section at most CONF_NAME_MAX; the rest is for portals that
						 * a server told of: SERVER@ADDRESS */
	char *address;		/* numeric IPv4 or IPv6 (perhaps %scope), or a host name */
	int port;		/* 0: not set here */
	int line;
};

struct conf_own {		/* whose a volume's file in the tree is; what is not said is as it is by default */
	bool has_uid, has_gid, has_mode;
	uid_t uid;
	gid_t gid;
	mode_t mode;		/* 0..0777 */
};

struct conf_volume_rule {	/* client [volume NS:NAME] */
	char namespace[CONF_NAME_MAX + 1];
	char name[CONF_NAME_MAX + 1];
	bool attach, exclusive;
	bool has_policy, has_on_loss;
	enum policy policy;
	enum conf_on_loss on_loss;
	struct conf_own own;
	struct shares shares;	/* they alone give it the namespace's policy as its own */
	int line;
};

struct conf_namespace {		/* client [namespace NAME] */
	char name[CONF_NAME_MAX + 1];
	int id;			/* 0..65535 */
	char nodename[CONF_NAME_MAX + 1];
	struct conf_key key;
	int port;		/* 0: not set here */
	struct conf_behaviour behaviour;
	struct conf_own own;	/* of its volumes */
	bool manage;		/* touch and rm in the tree make and remove volumes */
	struct conf_portal *portals;
	size_t portal_count;
	int line;
};

struct conf_client {
	char *path;
	char *mount;		/* NULL: the default mount point */
	char *admin_group;	/* NULL: none */
	bool allow_other;	/* others than root get into root's tree */
	char *on_event;
	int port;		/* [defaults] port, else 5000 */
	struct conf_interface interfaces[CONF_IFACE_MAX];
	size_t interface_count;	/* 0: let the kernel choose the source (one path a portal) */
	struct conf_namespace *namespaces;
	size_t namespace_count;
	struct conf_volume_rule *volumes;
	size_t volume_count;
	char **key_files;	/* that were read for keys; NULL at the end; NULL: none */
};

/* Whose a volume is: what its own section says, else its namespace's. */
struct conf_own conf_own_of(const struct conf_client *c, const char *namespace, const char *volume);
/* What [namespace] or [defaults] say of manage; false for one that there is not. */
bool conf_client_manages(const struct conf_client *c, const char *namespace);
/* The first interface that s speaks of and the configuration does not have; or NULL. */
const char *conf_unknown_interface(const struct conf_client *c, const struct shares *s);
void conf_interface_names(const struct conf_client *c, char *out, size_t size);	/* "if0, if1" */

struct conf_allowed {		/* server [clients]: NAME KEY, on two lines while the key is changed */
	char name[CONF_NAME_MAX + 1];
	struct conf_key key;
	struct conf_key second;	/* line 0: there is none */
	int line;
};

struct conf_listen {		/* server [interface NAME]: a portal */
	char name[CONF_NAME_MAX + 1];
	char *address;		/* numeric, or NULL when device is set */
	char *device;
	int port;		/* resolved: interface, namespace, 5000 */
	int line;
};

struct conf_pool {
	char name[CONF_NAME_MAX + 1];
	char *path;
	char **clients;		/* as a volume's: who sees what is in it, and may write to it */
	char **manage;		/* NULL-terminated client names; NULL: every client */
	bool shared;		/* with other servers */
	bool overcommit;	/* more may be promised than there is */
	int line;
};

struct conf_volume {		/* server [volume NAME] */
	char name[CONF_NAME_MAX + 1];
	char *path;
	bool read_only;
	char **clients;		/* NULL-terminated: NAME, or NAME:ro of who may only read; NULL: every client */
	bool has_uuid;
	uint8_t uuid[16];
	bool shared;
	int av;			/* 0..3 */
	int line;
};

struct conf_server {
	char *path;
	char namespace[CONF_NAME_MAX + 1];
	int namespace_id;
	int port;		/* of the [namespace], else 5000: resolved in listens */
	char server[CONF_NAME_MAX + 1];
	int server_id;		/* 0..255 */
	enum conf_security security;
	enum conf_discovery discovery;
	char *user;		/* NULL: CONF_SERVER_USER where that user exists */
	char *fence_command, *on_event;
	double poll;		/* seconds */
	char *metrics;		/* the file; NULL: none is written */
	double metrics_interval;	/* seconds */
	struct conf_listen listens[CONF_IFACE_MAX];
	size_t listen_count;
	struct conf_allowed *clients;
	size_t client_count;
	struct conf_pool *pools;
	size_t pool_count;
	struct conf_volume *volumes;
	size_t volume_count;
	char **key_files;	/* that were read for keys; NULL at the end; NULL: none */
};

#define CONF_ROLE_ALL "all"
struct conf_host {		/* hosts [host NAME]: where rsagent finds one */
	char name[CONF_NAME_MAX + 1];
	char *address;		/* NULL: its name is it */
	char *user, *identity, *fingerprint;	/* NULL: not set */
	int port;		/* 0: not set */
	char **roles;		/* NULL-terminated; NULL: none */
	char namespace[CONF_NAME_MAX + 1];	/* "": not set */
	int line;
};

struct conf_hosts {
	struct conf_host *list;
	size_t count;
};

struct conf_fleet_client {	/* fleet [client NAME], of the namespace above it */
	char name[CONF_NAME_MAX + 1];
	char *host;		/* [user@]host[:port], a name of the file of hosts, or "local"; NULL: the client's name */
	char *config;		/* its configuration there; NULL: /etc/rscltcfg */
	int line;
};

struct conf_fleet_server {	/* fleet [server NAME] */
	char *host;		/* NULL: the server's name */
	struct conf_server *conf;	/* as its own file would be read, but for the keys, which are none */
	char *text;		/* its own file, without [clients] */
	int line;
};

struct conf_fleet_namespace {
	char name[CONF_NAME_MAX + 1];
	int id;
	struct conf_fleet_client *clients;
	size_t client_count;
	struct conf_fleet_server *servers;
	size_t server_count;
	int line;
};

struct conf_fleet {
	struct conf_fleet_namespace *namespaces;
	size_t count;
};
#define CONF_FLEET_LOCAL "local"

struct conf_report {
	char **lines;		/* one mistake each, in file order */
	size_t count;
	size_t warnings;	/* of these, how many are "warning: …" and harmless */
};

/* Reads the file; NULL when it has mistakes (all in *report) or cannot be
 * read.  A file with keys that others than its owner and the given group can
 * read is refused.  (gid_t)-1: the daemon's own, which is the process's, or where root
 * reads a server's file, that of the user whom rssrv becomes.
 * report is filled in any case; conf_report_free afterwards. */
struct conf_client *conf_client_read(const char *path, gid_t key_group, struct conf_report *report);
struct conf_server *conf_server_read(const char *path, gid_t key_group, struct conf_report *report);
/* The same of a text in memory, which nobody else can read; path is for messages.  A server's may be another
 * host's: files with keys that it names are not looked for, and such a key is none that anybody else has. */
struct conf_client *conf_client_parse(const char *path, const char *text, size_t size, struct conf_report *report);
struct conf_server *conf_server_parse(const char *path, const char *text, size_t size, struct conf_report *report);
void conf_client_free(struct conf_client *c);	/* NULL is fine; keys are wiped */
void conf_server_free(struct conf_server *c);
/* The file of hosts, which has no keys in it. */
struct conf_hosts *conf_hosts_read(const char *path, struct conf_report *report);
void conf_hosts_free(struct conf_hosts *h);
bool conf_host_has_role(const struct conf_host *h, const char *role);	/* CONF_ROLE_ALL: every host */
/* A fleet, which has no keys in it either. */
struct conf_fleet *conf_fleet_read(const char *path, struct conf_report *report);
void conf_fleet_free(struct conf_fleet *f);
void conf_report_free(struct conf_report *r);
/* Warnings, for --check: keys that are easy to guess, that two have, that wait to be taken away. */
void conf_client_check_keys(const struct conf_client *c, struct conf_report *report);
void conf_server_check_keys(const struct conf_server *c, struct conf_report *report);
void conf_report_print(const char *program, const struct conf_report *r);	/* standard error */

/* Where the file is when -c is not given: root /etc/rscltcfg, a plain user
 * ~/.config/rsio/rscltcfg; /etc/rssrvcfg, else /etc/dvsc/rssrvcfg.
 * The caller frees. */
char *conf_client_default_path(void);
char *conf_server_default_path(void);
char *conf_hosts_default_path(void);	/* ~/.config/rsio/hosts */

/* The port of a path: the nearest of the portal's, the interface's (NULL: none),
 * the namespace's and the defaults' wins. */
int conf_client_port(const struct conf_client *c, const struct conf_namespace *ns,
		     const struct conf_interface *interface, const struct conf_portal *portal);

/* 1..40 of [A-Za-z0-9._-] without a leading dot or dash. */
bool conf_name_valid(const char *name);
/* A name, or VOLUME@SNAP of a snapshot, whose SNAP is a name and no number. */
bool conf_volume_valid(const char *name);
/* NAMESPACE:VOLUME or NAMESPACE/VOLUME, where VOLUME may be one @SNAP, into two buffers of
 * CONF_NAME_MAX + 1 and CONF_VOLUME_MAX + 1. */
int conf_split_volume(const char *text, char *namespace, char *volume, struct err *e);

/* The key table, for tests and the man page check. */
enum conf_file { CONF_FILE_CLIENT, CONF_FILE_SERVER, CONF_FILE_HOSTS, CONF_FILE_FLEET };
enum conf_need {
	CONF_OPTIONAL,
	CONF_REQUIRED,
	CONF_INERT,		/* known and taken, with a warning: no effect in this version */
};
struct conf_key_row {
	enum conf_file file;
	const char *section;	/* "defaults", "interface", … */
	const char *name;
	const char *kind;	/* "duration", "yes|no", "0..65535", … as the user reads it */
	const char *fallback;	/* the default as text; NULL: required or none */
	const char *help;	/* one sentence */
	enum conf_need need;
	/* For the parser (conf_impl.h): what the value is, where it goes in the
	 * section's struct, and the range of numbers; durations in milliseconds. */
	int type;
	size_t offset;
	int min, max;
};
const struct conf_key_row *conf_key_table(size_t *count);

#endif
