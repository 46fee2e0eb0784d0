/*
 * rsagent_server.h - rssrv on a task's host: asked, told, and its configuration changed.
 */
#ifndef OPS_RSAGENT_SERVER_H
#define OPS_RSAGENT_SERVER_H

#include <jansson.h>
#include "conf_write.h"
#include "rsagent_login.h"

#define RSAGENT_RUN_DIR "/run/rsio"
#define RSAGENT_CONFIG "/etc/rssrvcfg"

/* A row of an options' table; type has a member run_dir. */
#define RSAGENT_RUN_DIR_OPTION(type)						\
	{ 0, "server-run-dir", OPT_STRING, "DIR", offsetof(type, run_dir),	\
	  "where rssrv keeps its socket and log there (/run/rsio)", 0, 0 }

/* A script that runs the host's rssrv with these words, which end with NULL; run_dir NULL: the usual one.  The
 * caller frees; NULL: no memory. */
char *rsagent_server_script(const char *run_dir, ...) __attribute__((sentinel));
/* What rssrv there says of itself, a new reference; NULL with e filled. */
json_t *rsagent_server_status(struct remote *r, const char *run_dir, struct err *e);

/* All that follows needs root there. */

/* rssrv reads its configuration again: 0 when it says that it has. */
int rsagent_server_reload(struct remote *r, const char *run_dir, struct err *e);

/* Ends it and starts it as it is started there, by systemd or plainly; 0 when it can be used. */
int rsagent_server_restart(struct remote *r, const char *run_dir, struct err *e);

/* The server's configuration, and what it was known by when it was read. */
struct rsagent_server_conf {
	struct conf_text *text;
	char path[256];
	char sum[160];
};
/* Logs in as root, reads it, and has work done with it: 0 or -errno. */
typedef int rsagent_conf_fn(struct rsagent_task *t, struct remote *r, struct rsagent_server_conf *c, struct err *e);
int rsagent_server_conf(struct rsagent_task *t, rsagent_conf_fn *work, struct err *e);
/* Puts the text in the file's place, with its mode and owner: checked here and there, and refused with -ESTALE when the
 * file is not as it was read.  backup: the old one stays as FILE.bak-1.  Then rssrv, where it runs, reads it. */
int rsagent_server_conf_save(struct remote *r, const char *run_dir, struct rsagent_server_conf *c, bool backup,
			     struct err *e);

#endif
