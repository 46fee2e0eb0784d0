/* names.c - see names.h. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "names.h"
#include "opt.h"

#define NEAR_MAX 4

static int by_name(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* All volumes as NS:VOLUME, sorted, NULL at the end; free each and the list.  NULL when
 * rsiod gives no list: then nothing can be suggested, and that is no error. */
static char **all_volumes(const char *socket)
{
	struct err ignored;
	json_t *request = json_pack("{s:s}", "do", "status"), *ns, *volume;
	json_t *status = ctl_call(socket, "rsiod", request, NAMES_TIMEOUT, &ignored);
	size_t i, j, count = 0, total = 0;
	char **names;

	json_array_foreach(json_object_get(status, "namespaces"), i, ns)
		total += json_array_size(json_object_get(ns, "volumes"));
	names = status ? calloc(total + 1, sizeof(*names)) : NULL;
	if (!names)
		goto out;
	json_array_foreach(json_object_get(status, "namespaces"), i, ns) {
		const char *name = json_string_value(json_object_get(ns, "name"));

		json_array_foreach(json_object_get(ns, "volumes"), j, volume) {
			const char *v = json_string_value(json_object_get(volume, "name"));

			if (name && v && asprintf(&names[count], "%s:%s", name, v) >= 0)
				count++;
		}
	}
	qsort(names, count, sizeof(*names), by_name);
out:
	json_decref(request);
	json_decref(status);
	return names;
}

static void free_names(char **names)
{
	for (char **n = names; n && *n; n++)
		free(*n);
	free(names);
}

/* Moves the name nearest to word to the list's front; false: none is near.  Whoever left
 * the namespace out is compared without it. */
static bool nearest_first(char **names, const char *word)
{
	bool bare = !strpbrk(word, ":/");
	const char **words, *near;
	size_t count = 0;

	while (names[count])
		count++;
	words = calloc(count + 1, sizeof(*words));
	if (!words)
		return false;
	for (size_t i = 0; i < count; i++)
		words[i] = bare ? strchr(names[i], ':') + 1 : names[i];
	near = opt_nearest(word, words);
	for (size_t i = 0; near && i < count; i++) {
		char *swap = names[0];

		if (words[i] != near)
			continue;
		names[0] = names[i];
		names[i] = swap;
		break;
	}
	free(words);
	return near != NULL;
}

void names_suggest(const char *socket, const char *volume, const char *tool, struct err *e)
{
	char **names = all_volumes(socket), text[ERR_NEXT_MAX] = "";
	size_t found = 0;

	if (!names)
		return;
	/* It is there: the name was not what was wrong. */
	for (char **n = names; *n; n++) {
		if (strcmp(*n, volume) == 0) {
			free_names(names);
			return;
		}
	}
	while (found < NEAR_MAX && names[found] && nearest_first(names + found, volume)) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%s", found ? ", " : "", names[found]);
		found++;
	}
	if (found)
		err_next(e, "did you mean %.200s?", text);
	else if (names[0])
		err_next(e, "%s shows the volumes that there are", tool);
	else
		err_next(e, "no volume is offered to this client now; rsconfig -m status shows why");
	free_names(names);
}
