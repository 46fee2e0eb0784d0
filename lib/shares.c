/* shares.c - see shares.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "shares.h"

static struct share *find(struct shares *s, const char *interface)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->of[i].interface, interface) == 0)
			return &s->of[i];
	return NULL;
}

/* The entry of this interface, made if there is none; NULL when there is no room. */
static struct share *entry(struct shares *s, const char *interface)
{
	struct share *e = find(s, interface);

	if (e || s->count == SHARES_MAX)
		return e;
	e = &s->of[s->count++];
	*e = (struct share){ .weight = 0 };
	snprintf(e->interface, sizeof e->interface, "%s", interface);
	return e;
}

static bool parse_weight(const char *text, int *weight)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > SHARES_WEIGHT_MAX)
		return false;
	*weight = (int)n;
	return true;
}

/* Cuts the next item off *text; NULL: there is none left. */
static char *next_item(char **text)
{
	char *item = *text + strspn(*text, " \t"), *end;

	if (!*text || !*item)
		return NULL;
	end = item + strcspn(item, ",");
	*text = *end ? end + 1 : end;
	*end = 0;
	while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	return item;
}

static bool set_item(struct shares *s, char *item, bool weights, char *why)
{
	char *value = weights ? strchr(item, '=') : NULL;
	struct share *e;
	int weight = 0;

	if (value)
		*value++ = 0;
	if (weights && (!value || !parse_weight(value, &weight))) {
		snprintf(why, SHARES_WHY_MAX, "is not INTERFACE=WEIGHT,... with weights from 1 to %d", SHARES_WEIGHT_MAX);
		return false;
	}
	if (!*item || strlen(item) > SHARES_NAME_MAX) {
		snprintf(why, SHARES_WHY_MAX, "has an interface name that is %s", *item ? "too long" : "empty");
		return false;
	}
	e = find(s, item);
	if (e && (weights ? e->weight : e->standby)) {
		snprintf(why, SHARES_WHY_MAX, "names %s twice", item);
		return false;
	}
	e = entry(s, item);
	if (!e) {
		snprintf(why, SHARES_WHY_MAX, "names more than %d interfaces", SHARES_MAX);
		return false;
	}
	if (weights)
		e->weight = weight;
	else
		e->standby = true;
	return true;
}

/* What is left without one kind of saying; entries that then say nothing go. */
static struct shares without(const struct shares *s, bool weights)
{
	struct shares left = { 0 };

	for (size_t i = 0; i < s->count; i++) {
		struct share e = s->of[i];

		if (weights)
			e.weight = 0;
		else
			e.standby = false;
		if (e.weight || e.standby)
			left.of[left.count++] = e;
	}
	return left;
}

static bool set(struct shares *s, const char *text, bool weights, char *why)
{
	struct shares new = without(s, weights);
	char *copy = strdup(text), *at = copy, *item;
	bool ok = copy != NULL;

	if (!copy)
		snprintf(why, SHARES_WHY_MAX, "cannot be read: no memory");
	while (ok && (item = next_item(&at)))
		ok = set_item(&new, item, weights, why);
	free(copy);
	if (ok)
		*s = new;
	return ok;
}

bool shares_set_weights(struct shares *s, const char *text, char why[SHARES_WHY_MAX])
{
	return set(s, text, true, why);
}

bool shares_set_standbys(struct shares *s, const char *text, char why[SHARES_WHY_MAX])
{
	return set(s, text, false, why);
}

struct share shares_of(const struct shares *s, const char *interface)
{
	struct share none = { .weight = 0 };

	for (size_t i = 0; interface && i < s->count; i++)
		if (strcmp(s->of[i].interface, interface) == 0)
			return s->of[i];
	return none;
}

bool shares_equal(const struct shares *a, const struct shares *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		struct share x = a->of[i], y = shares_of(b, x.interface);

		if (x.weight != y.weight || x.standby != y.standby)
			return false;
	}
	return true;
}
