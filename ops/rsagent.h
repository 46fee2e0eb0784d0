/*
 * rsagent.h - what the rsagent_*.c share: the table of commands, the options of those that
 * go to other hosts, and one that edits configurations.
 *
 * A command is a file: it defines a struct rsagent_command, which rsagent.c lists.
 */
#ifndef OPS_RSAGENT_H
#define OPS_RSAGENT_H

#include <stdbool.h>
#include "conf.h"
#include "err.h"
#include "opt.h"

#define RSAGENT_USAGE 2		/* exit status of wrong usage */

struct rsagent_command {
	struct opt_program program;	/* its name is "rsagent COMMAND", COMMAND being one word or two */
	const char *summary;		/* a line of rsagent's own help */
	size_t size;			/* of the struct that the options' offsets are of; zeroed before */
	/* Its exit status.  RSAGENT_USAGE with e filled: what is wrong with the command line; what
	 * else is in e is printed as an error. */
	int (*run)(void *options, int count, char **words, struct err *e);
};

extern const struct rsagent_command
	rsagent_deploy, rsagent_upgrade, rsagent_undeploy, rsagent_apply,
	rsagent_status, rsagent_ls, rsagent_log, rsagent_restart,
	rsagent_config, rsagent_client_add, rsagent_client_rm,
	rsagent_key, rsagent_key_rotate, rsagent_hosts;
/* The i-th, in the order of the help; NULL behind the last. */
const struct rsagent_command *rsagent_command(size_t i);

/* What every command with hosts takes. */
struct rsagent_remote {
	const char *identity;		/* a file; NULL: as OpenSSH would look for one */
	const char *fingerprint;	/* of the host key, SHA256:…; NULL: known_hosts, or it is asked for */
	const char *hosts;		/* the file of hosts; NULL: ~/.config/rsio/hosts */
	int parallel;			/* 0: RSAGENT_PARALLEL */
	double timeout;			/* seconds; 0: RSAGENT_TIMEOUT */
	bool json, quiet;
};
#define RSAGENT_PARALLEL 16
#define RSAGENT_TIMEOUT 60.0

/* Rows of an options' table; type's member `remote` is a struct rsagent_remote. */
#define RSAGENT_REMOTE_OPTIONS(type)							\
	{ 'i', "identity", OPT_STRING, "FILE", offsetof(type, remote.identity),		\
	  "log in with this private key", 0, 0 },					\
	{ 0, "fingerprint", OPT_STRING, "SHA256:TEXT", offsetof(type, remote.fingerprint), \
	  "the host's key, where it is not known yet", 0, 0 },				\
	{ 0, "hosts", OPT_STRING, "FILE", offsetof(type, remote.hosts),			\
	  "names of hosts (~/.config/rsio/hosts)", 0, 0 },				\
	{ 0, "parallel", OPT_INT, "N", offsetof(type, remote.parallel),			\
	  "so many hosts at once (16)", 1, 256 },					\
	{ 0, "timeout", OPT_DURATION, "TIME", offsetof(type, remote.timeout),		\
	  "give up a host that says nothing for so long (60s)", 0, 0 },			\
	{ 'q', "quiet", OPT_FLAG, NULL, offsetof(type, remote.quiet),			\
	  "no lines of progress", 0, 0 },						\
	{ 0, "json", OPT_FLAG, NULL, offsetof(type, remote.json),			\
	  "print JSON", 0, 0 }

/* For a program's .complete: the names in the file of hosts. */
#define RSAGENT_COMPLETE_HOSTS "rsagent hosts --names"

/* The longest key that fits into a line beside a name. */
#define RSAGENT_KEY_MAX 150

struct rsagent_key_text {
	char text[2 * RSAGENT_KEY_MAX];
};
/* To be wiped by the caller.  0 or -errno with e filled. */
int rsagent_key_make(struct rsagent_key_text *k, struct err *e);
int rsagent_key_read(const char *path, struct rsagent_key_text *k, struct err *e);	/* a line; "-": standard input */

/* What to do with one key in a file. */
struct rsagent_edit {
	enum conf_file file;
	const char *path;
	const char *name;		/* the client in [clients], or the namespace */
	const char *key;		/* NULL: the first of two is taken away */
	bool replace;			/* the key that is there, or both */
	bool second;			/* beside the one that is there */
};
/* Writes the file anew with its mode and owner, or leaves it as it was: -errno with e filled. */
int rsagent_edit_file(const struct rsagent_edit *edit, struct err *e);

#endif
