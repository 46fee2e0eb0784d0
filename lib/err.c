/* err.c - see err.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "err.h"

/* How many bytes the UTF-8 character at p has; 0 when there is none.  The
 * byte after the text's end is never looked at: the 0 there ends the loop. */
static int character(const unsigned char *p)
{
	int length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	for (int i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, a surrogate, or beyond the last plane. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

void err_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		int n = character(p);

		if (*p < 0x20 || *p == 0x7f || n == 0) {
			*p++ = '?';
		} else if (p[0] == 0xc2 && p[1] < 0xa0) {
			*p++ = '?';
			*p++ = '?';
		} else {
			p += n;
		}
	}
}

/* By way of a buffer: the arguments may be the text itself, said more fully. */
static void put(char *to, size_t size, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = 0;
	/* Cut first: half a character at the end must not stay. */
	text[size - 1] = 0;
	err_clean(text);
	memcpy(to, text, strlen(text) + 1);
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
	err_clean(e->text);
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
