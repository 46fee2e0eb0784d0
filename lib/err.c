/* err.c - see err.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "err.h"

/* Keeps the promise of one line: what came from outside may hold anything. */
static void one_line(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* By way of a buffer: the arguments may be the text itself, said more fully. */
static void put(char *to, size_t size, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = 0;
	one_line(text);
	snprintf(to, size, "%.*s", (int)size - 1, text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -code;
	va_start(ap, fmt);
	put(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->code = code;
	e->next[0] = 0;
	return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	char why[96];
	size_t used, need;

	if (!e)
		return -code;
	va_start(ap, fmt);
	put(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->code = code;
	e->next[0] = 0;

	/* The reason is worth more than the end of a text that is too long. */
	snprintf(why, sizeof(why), ": %s", strerrordesc_np(code) ? strerrordesc_np(code) : "unknown error");
	used = strlen(e->text);
	need = strlen(why);
	if (used + need >= sizeof(e->text))
		used = sizeof(e->text) - 1 - need;
	memcpy(e->text + used, why, need + 1);
	return -code;
}

void err_next(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	put(e->next, sizeof(e->next), fmt, ap);
	va_end(ap);
}

void err_print(const char *program, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", program, e->text);
	if (e->next[0])
		fprintf(stderr, "%s: %s\n", program, e->next);
}
