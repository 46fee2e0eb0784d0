/*
 * rsagent_hide.c - what was typed unseen is in nothing that a child tells.
 *
 * Errors and lines of progress carry what the host said, and a host may say the password that
 * sudo was given: one that echoes it, or a shell that takes it for a command.  So each string of
 * each message goes through here.  Of fewer than four characters nothing is looked for: they
 * stand in any text.
 */
#include <stdlib.h>
#include <string.h>
#include "rsagent_many_impl.h"
#include "secure.h"

#define LENGTH_MIN 4
#define KEPT_MAX 8			/* each of up to TASK_ANSWER_MAX bytes; a child asks for few */

static const char instead[] = "(hidden)";

/* A child's; they go with its process. */
static char *kept[KEPT_MAX];
static unsigned count;

void hide_add(const char *secret)
{
	size_t n = strlen(secret);
	unsigned at = count < KEPT_MAX ? count++ : KEPT_MAX - 1;

	if (n < LENGTH_MIN) {
		count = at;
		return;
	}
	secure_free(kept[at]);
	kept[at] = secure_alloc(n + 1);
	if (kept[at])
		memcpy(kept[at], secret, n + 1);
}

/* text without secret, a new one; NULL: it is not in it, or there is no memory. */
static char *without(const char *text, const char *secret)
{
	size_t n = strlen(secret), times = 0;
	const char *at;
	char *out, *to;

	for (at = strstr(text, secret); at; at = strstr(at + n, secret))
		times++;
	out = times ? malloc(strlen(text) + times * sizeof(instead) + 1) : NULL;
	if (!out)
		return NULL;
	for (to = out; (at = strstr(text, secret)) != NULL; text = at + n) {
		memcpy(to, text, (size_t)(at - text));
		to = stpcpy(to + (at - text), instead);
	}
	strcpy(to, text);
	return out;
}

static void hide_string(json_t *string)
{
	for (unsigned i = 0; i < count; i++) {
		char *text = kept[i] ? without(json_string_value(string), kept[i]) : NULL;

		if (text && json_string_set(string, text))
			json_string_set(string, instead);	/* it cut a character in two */
		free(text);
	}
}

void hide_in(json_t *message)
{
	const char *key;
	json_t *value;
	size_t i;

	if (!count)
		return;
	if (json_is_string(message))
		hide_string(message);
	json_array_foreach(message, i, value)
		hide_in(value);
	json_object_foreach(message, key, value)
		hide_in(value);
}
