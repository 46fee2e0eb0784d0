/* rsagent_deploy_users.h - who has volumes of a server open that is to be taken away. */
#ifndef OPS_RSAGENT_DEPLOY_USERS_H
#define OPS_RSAGENT_DEPLOY_USERS_H

#include <stdbool.h>
#include "deploy.h"

struct remote;

/* A finding for each: a refusal where nobody is asked (yes) and it is not forced, else a warning. */
void deploy_find_users(struct remote *r, bool yes, bool force, struct deploy_findings *to);

#endif
