/*
 * deploy.h - a server on another host, from here: what is there, what is to be there, the steps
 * between the two, and doing them.  Prints nothing and asks nothing.
 *
 *   facts     deploy_script() is run there by sh, over the one login; deploy_facts_parse() reads
 *             what it says.  Nothing there is changed by it.
 *   checks    deploy_check(): what stands in the way, and what is worth knowing.
 *   plan      deploy_plan_make(): the steps that `rssrv --steps` is to do there, each with a
 *             sentence that says so; none when all is as wanted.
 *   doing     deploy_do(): carries the binary over, has the steps done, has the caller look whether
 *             the server works, and commits.  Whatever fails on the way, here, there or in between,
 *             rssrv --steps undoes all of it: by itself when this end falls silent.
 *
 * Keys are in the texts of configurations only: struct deploy_secret, which no core file has and
 * nothing here puts into a message.
 */
#ifndef RSIO_DEPLOY_H
#define RSIO_DEPLOY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"
#include "sock.h"

/* Where things are there. */
#define DEPLOY_LIB "/usr/local/lib/rsio"
#define DEPLOY_MANIFEST DEPLOY_LIB "/deployed.json"
#define DEPLOY_STAGING DEPLOY_LIB "/.staging"
#define DEPLOY_PROGRAM "/usr/local/sbin/rssrv"
#define DEPLOY_CONFIG "/etc/rssrvcfg"
#define DEPLOY_CONFIG_OLD DEPLOY_CONFIG ".bak-1"	/* of before it was edited */
#define DEPLOY_UNIT_DIR "/etc/systemd/system"
#define DEPLOY_UNIT DEPLOY_UNIT_DIR "/rssrv.service"
#define DEPLOY_STATE "/var/lib/rsio"
#define DEPLOY_RUN "/run/rsio"
#define DEPLOY_POOL DEPLOY_STATE "/pool"
#define DEPLOY_USER CONF_SERVER_USER
#define DEPLOY_PORT 5000

#define DEPLOY_SHA 64			/* hex digits of a SHA-256 */
#define DEPLOY_FACTS_MAX (4u << 20)	/* bytes that a host may say of itself */

/* A text with keys in it. */
struct deploy_secret {
	char *text;			/* NULL: there is none; secure_alloc's, 0-terminated */
	size_t size;
};
void deploy_secret_free(struct deploy_secret *s);

/* Facts. */

enum deploy_kind { DEPLOY_ABSENT, DEPLOY_FILE, DEPLOY_DIRECTORY, DEPLOY_LINK, DEPLOY_OTHER };

struct deploy_path {
	char *path;
	enum deploy_kind kind;
	int mode;			/* < 0: not known */
	char owner[80];			/* "root:root"; "?": not known */
	char sha[DEPLOY_SHA + 1];	/* of a file; "": not known */
	char *to;			/* of a link */
};

struct deploy_place {			/* a directory that something is to be put into */
	char *path;			/* as it was asked for; what of it exists was looked at */
	bool writable;
	bool read_only;			/* the file system is */
	bool no_exec;
	uint64_t free;			/* bytes; UINT64_MAX: not known */
};

struct deploy_interface {
	char name[16];
	int mtu;			/* 0: not known */
	int speed;			/* Mbit/s; 0: not known, as of virtual ones */
	bool up;
};

struct deploy_address {
	char device[16];
	struct sock_addr address;
	char text[SOCK_TEXT_MAX];
	int prefix;
};

struct deploy_process {			/* that has to do with storage, or listens at our port */
	char name[16];
	int pid;			/* 0: not known */
	char *program;			/* its path; NULL: not known */
};

struct deploy_listener {		/* at the port that was asked about */
	bool any;			/* at every address */
	bool six;
	bool udp;			/* for discovery */
	char text[SOCK_TEXT_MAX];	/* "" for an IPv6 one that is not :: */
	int pid;			/* 0: not known */
	char name[16];			/* of the process */
};

struct deploy_facts {
	int uid;
	char user[64];			/* that the script ran as */
	char host[256], machine[32], kernel[128], system[128];	/* uname -n, -m, -r; "Debian GNU/Linux 12 (bookworm)" */
	bool systemd;			/* it runs there */
	bool unit_active, unit_enabled;
	bool has_useradd, has_sha256, has_ip;
	int64_t time;			/* there, seconds since 1970 */
	int processors;
	int server_uid, server_gid;	/* of DEPLOY_USER; < 0: there is none */
	bool staging;			/* an earlier run was cut off */
	bool rsiod;			/* a client runs there */
	char via[SOCK_TEXT_MAX];	/* the address there that the login came to; "": not known */
	struct deploy_path *paths;
	size_t path_count;
	struct deploy_place *places;
	size_t place_count;
	char **missing;			/* directories that would have to be made, outer ones first */
	size_t missing_count;
	struct deploy_interface *interfaces;
	size_t interface_count;
	struct deploy_address *addresses;	/* but loopback's and link-local ones */
	size_t address_count;
	struct deploy_process *processes;
	size_t process_count;
	struct deploy_listener *listeners;
	size_t listener_count;
	char **volumes;			/* in the pool: names, and what is a volume's beside them */
	size_t volume_count;
	/* Names; a directory's has a '/' behind it. */
	char **pooled;			/* in the pool, that are a server's: volumes, and what it keeps beside them */
	size_t pooled_count;
	int pool_uid;			/* whose the volumes are; -1: there are none, -2: of several */
	char **state;			/* what is in DEPLOY_STATE */
	size_t state_count;
	struct deploy_secret config;	/* DEPLOY_CONFIG, where it could be read */
	char *manifest;			/* DEPLOY_MANIFEST, or NULL */
	char *notes[8];			/* other things that were found: "targets of iscsi are configured" */
	size_t note_count;
};

struct deploy_ask {			/* what the script is to look at, beside what it always does */
	const char *pool;		/* NULL: DEPLOY_POOL */
	char *const *more_pools;	/* NULL at the end; or NULL */
	int port;
};
/* The script's text for sh's standard input, a new string; marker: random hex digits. */
char *deploy_script(const struct deploy_ask *ask, const char *marker);
/* What it said, between its two lines with the marker; other output around them counts nothing.
 * NULL with e filled: they are not there, or what is between is not from the script. */
struct deploy_facts *deploy_facts_parse(const char *said, size_t size, const char *marker, struct err *e);
void deploy_facts_free(struct deploy_facts *f);	/* NULL is fine */
/* Never NULL: one that the script did not speak of is absent. */
const struct deploy_path *deploy_facts_path(const struct deploy_facts *f, const char *path);
const struct deploy_place *deploy_facts_place(const struct deploy_facts *f, const char *path);	/* or NULL */

/* What is wanted. */

struct deploy_portal {
	char address[SOCK_TEXT_MAX];
	char device[16];
};

struct deploy_binary {
	const char *path;		/* of build/rssrv-static or what make install put beside it */
	uint64_t size;
	char sha[DEPLOY_SHA + 1];
	char machine[32];		/* it runs on, as uname -m says it */
	char version[32];
};
/* Reads what path is; refuses what is no static program of 64 bits.  0 or -errno with e filled. */
int deploy_binary_read(const char *path, struct deploy_binary *b, struct err *e);

struct deploy_wish {
	const char *pool;		/* an absolute path */
	const char *namespace;
	int namespace_id;
	const char *server;		/* its name */
	int server_id;
	const char *client;		/* the node name that may log in */
	const char *key;		/* its key: 64 hex digits, secure_alloc's; may be NULL where the host's file has the client */
	int port;
	struct deploy_portal portals[CONF_IFACE_MAX];
	size_t portal_count;
	struct deploy_binary binary;
	const char *by;			/* the node that deploys, for the manifest */
	int64_t when;			/* seconds since 1970, for the manifest */
	bool binary_only;		/* upgrade: the configuration stays as it is */
	/* A fleet's: the whole configuration, which the caller has made, and pools beside the first. */
	const struct deploy_secret *config;	/* NULL: the host's own, with what stands above in it */
	char *const *more_pools;	/* NULL at the end; or NULL */
};
/* Portals where the host has addresses that this host reaches without a router, else where the login
 * came to; one of each interface, at most CONF_IFACE_MAX.  How many. */
size_t deploy_choose_portals(const struct deploy_facts *f, struct deploy_wish *w);
/* A server's configuration, made anew. */
int deploy_config(const struct deploy_wish *w, struct deploy_secret *out, struct err *e);

/* What the host's own configuration says of these; "" and -1: it does not. */
struct deploy_is {
	char namespace[CONF_NAME_MAX + 1], server[CONF_NAME_MAX + 1];
	int namespace_id, server_id, port;
	struct deploy_portal portals[CONF_IFACE_MAX];
	size_t portal_count;
	char pool[4096];		/* of the first one */
};
int deploy_has(const struct deploy_facts *f, struct deploy_is *is, struct err *e);

/* Checks. */

enum deploy_level { DEPLOY_NOTE, DEPLOY_WARNING, DEPLOY_REFUSAL };
struct deploy_finding {
	enum deploy_level level;
	const char *what;		/* a word for --json: "kernel", "space", "port", … */
	char text[ERR_TEXT_MAX];
	char next[ERR_NEXT_MAX];	/* may be "" */
};
#define DEPLOY_FINDINGS_MAX 32
struct deploy_findings {
	struct deploy_finding all[DEPLOY_FINDINGS_MAX];
	size_t count;
};
/* now: this host's clock, seconds since 1970, in the middle of the question. */
void deploy_check(const struct deploy_facts *f, const struct deploy_wish *w, int64_t now, struct deploy_findings *out);
/* The first that refuses, as an error; 0 when none does. */
int deploy_refused(const struct deploy_findings *all, struct err *e);

/* The plan. */

enum deploy_change { DEPLOY_MAKES, DEPLOY_CHANGES, DEPLOY_REMOVES, DEPLOY_DOES, DEPLOY_SILENT };
struct deploy_step {
	json_t *request;		/* as rssrv --steps takes it, but for the text of a secret */
	struct deploy_secret text;	/* its "text", if it may have keys */
	enum deploy_change change;
	char *say;			/* "installs rssrv 0.1 in /usr/local/lib/rsio"; NULL with DEPLOY_SILENT */
};
struct deploy_plan {
	struct deploy_step *steps;
	size_t count, room;
	bool restarts;			/* a server that runs is stopped and started */
	bool serves;			/* a server runs at the end: it is to be verified */
	bool no_memory;			/* while it was made; such a plan is not given out */
	char *sweep;			/* a script for sh behind the commit: takes empty directories away; NULL: none */
	char **left;			/* undeploy: what stays, the volumes */
	size_t left_count;
};
/* count 0: all is as wanted.  NULL with e filled. */
struct deploy_plan *deploy_plan_make(const struct deploy_facts *f, const struct deploy_wish *w, struct err *e);
/* All that a deploy made, but the volumes unless with_volumes. */
struct deploy_plan *deploy_plan_remove(const struct deploy_facts *f, bool with_volumes, struct err *e);
void deploy_plan_free(struct deploy_plan *p);	/* NULL is fine; keys are wiped */

/*
 * The manifest: {"version", "sha256", "program", "files": [{"path", "sha256", "mode", "owner"} or {"path", "to"}],
 * "directories": [that were made], "were": [{"path", "mode", "owner"} of those that were there], "user": its name if it was made, else null, "pool", "service": "systemd" or "plain",
 * "namespace", "namespace_id", "server", "server_id", "port", "portals": ["10.0.0.1"], "by": node, "when": seconds since 1970}.
 */
/* The host's, a new reference; NULL: it has none that can be read. */
json_t *deploy_manifest_read(const struct deploy_facts *f);

/* Doing it. */

struct remote;
struct deploy_run;			/* under way */
/* While the caller looks whether the server works, often: the host hears that somebody is there. 0, or -errno: it
 * is lost. */
int deploy_alive(struct deploy_run *run);

struct deploy_calls {
	void (*progress)(void *arg, const char *text);	/* what is being done now */
	/* All steps are done: is it as it should be?  -errno with e filled: no, and all is undone.  May be NULL. */
	int (*verify)(void *arg, struct deploy_run *run, struct err *e);
	void *arg;
};

/* root's login.  0: it is done and stays.  -errno with e filled: nothing of it stays, or e says what does.
 * -ESTALE: what an earlier run had left there is undone now, so facts and plan are to be made anew. */
int deploy_do(struct remote *r, const struct deploy_binary *b, const struct deploy_plan *p,
	      const struct deploy_calls *calls, struct err *e);

#endif
