/* remarks.c - see remarks.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "err.h"
#include "remarks.h"

struct remark *remarks_add(struct remarks *r, bool warning, const char *fmt, ...)
{
	struct remark *list = reallocarray(r->list, r->count + 1, sizeof(*list));
	va_list ap;

	if (!list) {
		r->no_memory = true;
		return NULL;
	}
	r->list = list;
	list[r->count] = (struct remark){ .warning = warning };
	va_start(ap, fmt);
	vsnprintf(list[r->count].text, REMARK_TEXT_MAX, fmt, ap);
	va_end(ap);
	err_clean(list[r->count].text);
	r->mistakes += !warning;
	return &list[r->count++];
}

void remarks_free(struct remarks *r)
{
	free(r->list);
	*r = (struct remarks){ .list = NULL };
}

/* What is of no line is of the whole, and stands last. */
static int compare(const void *a, const void *b)
{
	const struct remark *x = a, *y = b;

	if (x->of_answers != y->of_answers)
		return x->of_answers ? -1 : 1;
	if (x->line != y->line && (!x->line || !y->line))
		return x->line ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

void remarks_print(struct remarks *r, const char *config, const char *answers)
{
	if (r->count)
		qsort(r->list, r->count, sizeof(*r->list), compare);
	for (size_t i = 0; i < r->count; i++) {
		const struct remark *m = &r->list[i];

		fprintf(stderr, "crsio: %s:", m->of_answers && answers ? answers : config);
		if (m->line)
			fprintf(stderr, "%d:", m->line);
		fprintf(stderr, " %s", m->warning ? "warning: " : "");
		if (*m->section)
			fprintf(stderr, "[%s] ", m->section);
		if (*m->key)
			fprintf(stderr, "%s: ", m->key);
		fprintf(stderr, "%s\n", m->text);
	}
	if (r->no_memory)
		fprintf(stderr, "crsio: not enough memory\n");
}
