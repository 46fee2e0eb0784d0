/* changes.c - see changes.h. */
#include <stdio.h>
#include <string.h>
#include "access.h"
#include "audit.h"
#include "changes.h"
#include "engine.h"
#include "text.h"

#define LIST_TEXT 400

struct author {
	const char *source, *who;
};

static void client_line(const struct author *a, const char *name, const char *what)
{
	audit_change(a->source, clock_now(), LOG_LEVEL_INFO, "client %s: %s, by %s", name, what, a->who);
}

static bool has_key(const struct conf_allowed *a, const struct conf_key *key)
{
	return conf_same_key(&a->key, key) || (a->second.line && conf_same_key(&a->second, key));
}

/* How many keys of a are none of b's. */
static unsigned more_keys(const struct conf_allowed *a, const struct conf_allowed *b)
{
	return !has_key(b, &a->key) + (a->second.line && !has_key(b, &a->second));
}

static void compare_keys(const struct author *a, const struct conf_allowed *before, const struct conf_allowed *after)
{
	unsigned added = more_keys(after, before), removed = more_keys(before, after);

	if (added && removed)
		client_line(a, after->name, "has another key");
	else if (added)
		client_line(a, after->name, "has a second key");
	else if (removed)
		client_line(a, after->name, "has one key less");
}

static void compare_clients(const struct author *a, const struct conf_server *old, const struct conf_server *now)
{
	for (size_t i = 0; i < now->client_count; i++) {
		const struct conf_allowed *before = access_node(old, now->clients[i].name);

		if (before)
			compare_keys(a, before, &now->clients[i]);
		else
			client_line(a, now->clients[i].name, "may log in");
	}
	for (size_t i = 0; i < old->client_count; i++)
		if (!access_node(now, old->clients[i].name))
			client_line(a, old->clients[i].name, "may not log in any more");
}

static const char *list_text(char *const *list, char out[LIST_TEXT])
{
	size_t n = 0;

	snprintf(out, LIST_TEXT, "%s", list ? "" : "every client");
	for (; list && *list && n < LIST_TEXT; list++)
		n += (size_t)snprintf(out + n, LIST_TEXT - n, "%s%s", n ? " " : "", *list);
	return out;
}

static void compare_lists(const struct author *a, const char *what, const char *name, char *const *old, char *const *now)
{
	char before[LIST_TEXT], after[LIST_TEXT];

	if (!strings_equal(old, now))
		audit_change(a->source, clock_now(), LOG_LEVEL_INFO, "%s %s is for %s, was for %s, by %s", what, name,
		      list_text(now, after), list_text(old, before), a->who);
}

static void compare_pools(const struct author *a, const struct conf_pool *old, const struct conf_pool *now)
{
	compare_lists(a, "pool", now->name, old->clients, now->clients);
	compare_lists(a, "managing pool", now->name, old->manage, now->manage);
}

void changes_audit(const struct conf_server *old, const struct conf_server *now, const char *source, const char *who)
{
	const struct author a = { source, who };

	compare_clients(&a, old, now);
	for (size_t i = 0; i < now->volume_count; i++)
		for (size_t k = 0; k < old->volume_count; k++)
			if (strcmp(old->volumes[k].name, now->volumes[i].name) == 0)
				compare_lists(&a, "volume", now->volumes[i].name, old->volumes[k].clients,
					      now->volumes[i].clients);
	for (size_t i = 0; i < now->pool_count; i++)
		for (size_t k = 0; k < old->pool_count; k++)
			if (strcmp(old->pools[k].name, now->pools[i].name) == 0)
				compare_pools(&a, &old->pools[k], &now->pools[i]);
}
