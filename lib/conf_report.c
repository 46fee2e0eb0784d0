/* conf_report.c - the mistakes of a file, collected; and memory for its parts. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "conf_impl.h"

void *conf_zeroed(struct conf_parse *p, size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		p->no_memory = true;
	return memory;
}

void *conf_more(struct conf_parse *p, void *array, size_t *count, size_t size)
{
	char *grown;

	memcpy(&grown, array, sizeof(grown));
	/* Room for 1, 2, 4, 8 … elements, so the count says when it is used up. */
	if ((*count & (*count - 1)) == 0) {
		grown = reallocarray(grown, *count ? 2 * *count : 1, size);
		if (!grown) {
			p->no_memory = true;
			return NULL;
		}
		memcpy(array, &grown, sizeof(grown));
	}
	memset(grown + *count * size, 0, size);
	return grown + (*count)++ * size;
}

char *conf_dup(struct conf_parse *p, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		p->no_memory = true;
	return copy;
}

/* What came from the file may hold anything; a terminal must not obey it. */
static void printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
}

static void add_mistake(struct conf_parse *p, int line, bool warning, const struct conf_section *s,
			const char *key, const char *fmt, va_list ap)
{
	char text[512], number[16] = "", where[CONF_HEADER_MAX + 4] = "";
	struct conf_mistake *m;
	int length;

	if (p->mistake_count > CONF_MISTAKES_MAX)
		return;
	m = conf_more(p, &p->mistakes, &p->mistake_count, sizeof(*m));
	if (!m)
		return;
	if (p->mistake_count > CONF_MISTAKES_MAX) {
		line = CONF_LINE_END;
		warning = false;
		s = NULL;
		key = NULL;
		snprintf(text, sizeof(text), "there are more mistakes than these %d",
			 CONF_MISTAKES_MAX);
	} else {
		vsnprintf(text, sizeof(text), fmt, ap);
	}
	if (line != CONF_LINE_FILE && line != CONF_LINE_END)
		snprintf(number, sizeof(number), "%d:", line);
	if (s)
		snprintf(where, sizeof(where), "[%s] ", s->header);
	printable(text);
	printable(where);
	length = asprintf(&m->text, "%s:%s %s%s%s%s%s", p->path, number, warning ? "warning: " : "",
			  where, key ? key : "", key ? ": " : "", text);
	if (length < 0) {
		m->text = NULL;
		p->no_memory = true;
	}
	m->line = line;
	m->found = p->mistake_count;
	p->warning_count += warning;
}

void conf_mistake(struct conf_parse *p, int line, const struct conf_section *s, const char *key,
		  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_mistake(p, line, false, s, key, fmt, ap);
	va_end(ap);
}

void conf_warning(struct conf_parse *p, int line, const struct conf_section *s, const char *key,
		  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_mistake(p, line, true, s, key, fmt, ap);
	va_end(ap);
}

/* In file order; mistakes of one line in the order they were found. */
static int compare(const void *a, const void *b)
{
	const struct conf_mistake *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->found < y->found ? -1 : x->found > y->found;
}

bool conf_report_take(struct conf_parse *p, struct conf_report *report)
{
	bool good = p->mistake_count == p->warning_count && !p->no_memory;

	memset(report, 0, sizeof(*report));
	/* One more, to say that memory was short. */
	report->lines = calloc(p->mistake_count + 1, sizeof(*report->lines));
	if (!report->lines)
		good = false;
	if (p->mistake_count)
		qsort(p->mistakes, p->mistake_count, sizeof(*p->mistakes), compare);
	for (size_t i = 0; i < p->mistake_count; i++) {
		if (report->lines && p->mistakes[i].text)
			report->lines[report->count++] = p->mistakes[i].text;
		else
			free(p->mistakes[i].text);
	}
	free(p->mistakes);
	report->warnings = p->warning_count;
	if (p->no_memory && report->lines &&
	    asprintf(&report->lines[report->count], "%s: not enough memory", p->path) >= 0)
		report->count++;
	return good;
}

void conf_report_free(struct conf_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->lines[i]);
	free(r->lines);
	memset(r, 0, sizeof(*r));
}

void conf_report_print(const char *program, const struct conf_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		fprintf(stderr, "%s: %s\n", program, r->lines[i]);
}

void conf_list_free(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}
