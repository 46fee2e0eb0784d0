/* deploy_impl.h - what the files of deploy share. */
#ifndef RSIO_DEPLOY_IMPL_H
#define RSIO_DEPLOY_IMPL_H

#include <stdio.h>
#include "deploy.h"

/* The host's configuration with what is wanted in it; old->text NULL: made anew. */
int deploy_config_from(const struct deploy_secret *old, const struct deploy_wish *w, struct deploy_secret *out,
		       struct err *e);
/* Whether the host's configuration has a pool there. */
bool deploy_has_pool(const struct deploy_facts *f, const char *path);
/* Whether it has one elsewhere, which is not looked after here: the user who owns the volumes there has to stay. */
bool deploy_has_pool_beside(const struct deploy_facts *f, const char *path);
/* Whether a server that has read the one takes the other without a start. */
bool deploy_reloads(const struct deploy_secret *now, const struct deploy_secret *then);
/* What the host will have; old NULL: its first. */
json_t *deploy_manifest(const struct deploy_facts *f, const struct deploy_wish *w, const struct deploy_secret *config,
			const json_t *old);
/* rssrv-0123456789ab in DEPLOY_LIB. */
#define DEPLOY_BINARY_MAX 64
void deploy_binary_path(const char *sha, char out[DEPLOY_BINARY_MAX]);
/* systemctl enable's link. */
#define DEPLOY_WANTS DEPLOY_UNIT_DIR "/multi-user.target.wants"
#define DEPLOY_WANTED DEPLOY_WANTS "/rssrv.service"
/* In single quotes, as a shell takes it. */
void deploy_quote(FILE *out, const char *text);
/* The unit's text (dist/rssrv.service). */
extern const char deploy_unit_text[];
/* SHA-256 of bytes as hex digits; "" when that cannot be computed. */
void deploy_sha(const void *bytes, size_t size, char out[DEPLOY_SHA + 1]);

/* A step more; request is taken, and may be NULL when memory was short; so is the secret.  say: printf's, or NULL. */
struct deploy_step *deploy_add_text(struct deploy_plan *p, enum deploy_change change, json_t *request,
				    struct deploy_secret *text, const char *say, ...)
	__attribute__((format(printf, 5, 6)));

#endif
