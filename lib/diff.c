/*
 * diff.c - see diff.h.
 *
 * The shortest way from one list of lines to the other, as E. W. Myers found it in 1986: with D lines
 * removed or put in, how far can one get on each diagonal, for D = 0, 1, 2 and so on.  What is the
 * same at both ends is taken off before.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"
#include "err.h"

#define CONTEXT 3
#define STEPS_MAX 1000		/* more than this many lines differ: all of them do */

struct line {
	const char *at;
	size_t size;		/* its newline included */
};

struct lines {
	struct line *of, *shown;
	size_t count;
	bool *differs;		/* removed, or put in */
};

static size_t count_lines(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t at = 0; at < size; count++) {
		const char *end = memchr(text + at, '\n', size - at);

		at = end ? (size_t)(end - text) + 1 : size;
	}
	return count;
}

static struct line *split(const char *text, size_t size, size_t count)
{
	struct line *l = calloc(count + 1, sizeof(*l));

	for (size_t at = 0, i = 0; l && at < size && i < count; i++) {
		const char *end = memchr(text + at, '\n', size - at);

		l[i].at = text + at;
		l[i].size = end ? (size_t)(end - l[i].at) + 1 : size - at;
		at += l[i].size;
	}
	return l;
}

static bool take(struct lines *l, const struct diff_side *s)
{
	l->count = count_lines(s->text, s->size);
	l->of = split(s->text, s->size, l->count);
	l->shown = s->shown ? split(s->shown, s->shown_size, l->count) : split(s->text, s->size, l->count);
	l->differs = calloc(l->count + 1, sizeof(*l->differs));
	return l->of && l->shown && l->differs;
}

static void release(struct lines *l)
{
	free(l->of);
	free(l->shown);
	free(l->differs);
}

static bool same(const struct line *a, const struct line *b)
{
	return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* What is compared: so many lines of each. */
struct middle {
	const struct line *a, *b;
	long n, m;
	bool *removed, *put;
};

/* How far in a on diagonal k after d steps, from what there was after d - 1. */
static long reach(const struct middle *s, const long *before, long d, long k)
{
	long x;

	if (d == 0)
		x = 0;
	else if (k == -d || (k != d && before[k - 1] < before[k + 1]))
		x = before[k + 1];
	else
		x = before[k - 1] + 1;
	while (x < s->n && x - k < s->m && same(&s->a[x], &s->b[x - k]))
		x++;
	return x;
}

/* From the end back to the beginning, along what each number of steps had reached. */
static void mark(const struct middle *s, long *const *rows, long d)
{
	long x = s->n, y = s->m;

	for (; d > 0; d--) {
		const long *before = rows[d - 1] + d - 1;
		long k = x - y, from;

		if (k == -d || (k != d && before[k - 1] < before[k + 1])) {
			from = before[k + 1];
			s->put[from - k - 1] = true;
			k++;
		} else {
			from = before[k - 1];
			s->removed[from] = true;
			k--;
		}
		x = from;
		y = from - k;
	}
}

/* A row of places for each number of steps; rows[d] + d is diagonal 0. */
static bool walk(const struct middle *s, long **rows)
{
	for (long d = 0; d <= STEPS_MAX && d <= s->n + s->m; d++) {
		rows[d] = calloc((size_t)(2 * d + 1), sizeof(**rows));
		if (!rows[d])
			return false;
		for (long k = -d; k <= d; k += 2) {
			long x = reach(s, d ? rows[d - 1] + d - 1 : NULL, d, k);

			rows[d][k + d] = x;
			if (x >= s->n && x - k >= s->m) {
				mark(s, rows, d);
				return true;
			}
		}
	}
	memset(s->removed, true, (size_t)s->n);
	memset(s->put, true, (size_t)s->m);
	return true;
}

static bool compare(struct lines *a, struct lines *b)
{
	size_t head = 0, tail = 0, least = a->count < b->count ? a->count : b->count;
	long **rows = calloc(STEPS_MAX + 1, sizeof(*rows));
	struct middle s;
	bool good;

	if (!rows)
		return false;
	while (head < least && same(&a->of[head], &b->of[head]))
		head++;
	while (tail < least - head && same(&a->of[a->count - 1 - tail], &b->of[b->count - 1 - tail]))
		tail++;
	s = (struct middle){
		.a = a->of + head, .b = b->of + head,
		.n = (long)(a->count - head - tail), .m = (long)(b->count - head - tail),
		.removed = a->differs + head, .put = b->differs + head,
	};
	good = walk(&s, rows);
	for (size_t d = 0; d <= STEPS_MAX; d++)
		free(rows[d]);
	free(rows);
	return good;
}

/* Printing. */

static void print_line(FILE *f, char mark_, const struct line *l)
{
	size_t n = l->size;
	char *text;

	while (n && strchr("\r\n", l->at[n - 1]))
		n--;
	text = strndup(l->at, n);
	if (!text)
		return;
	for (char *c = text; (c = strchr(c, '\t'));)
		*c++ = ' ';
	err_clean(text);
	fprintf(f, "%c%s\n%s", mark_, text, l->size && l->at[l->size - 1] == '\n' ? "" : "\\ No newline at end of file\n");
	free(text);
}

/* Lines i of a and k of b on, up to where they are the same for long enough: a hunk. */
static void print_hunk(FILE *f, const struct lines *a, const struct lines *b, size_t *from_a, size_t *from_b)
{
	size_t before = *from_a < CONTEXT ? *from_a : CONTEXT, i, k, quiet = 0;
	size_t start_a = *from_a - before, start_b = *from_b - before, end_a, end_b;

	for (i = *from_a, k = *from_b; quiet <= 2 * CONTEXT && (i < a->count || k < b->count);) {
		bool change = (i < a->count && a->differs[i]) || (k < b->count && b->differs[k]);

		quiet = change ? 0 : quiet + 1;
		if (change && i < a->count && a->differs[i])
			i++;
		else if (change)
			k++;
		else
			i++, k++;
	}
	end_a = i - (quiet > CONTEXT ? quiet - CONTEXT : 0);
	end_b = k - (quiet > CONTEXT ? quiet - CONTEXT : 0);
	*from_a = i;
	*from_b = k;
	fprintf(f, "@@ -%zu,%zu +%zu,%zu @@\n", start_a + (end_a > start_a), end_a - start_a, start_b + (end_b > start_b),
		end_b - start_b);
	for (i = start_a, k = start_b; i < end_a || k < end_b;) {
		if (i < end_a && a->differs[i]) {
			print_line(f, '-', &a->shown[i++]);
		} else if (k < end_b && b->differs[k]) {
			print_line(f, '+', &b->shown[k++]);
		} else {
			print_line(f, ' ', &a->shown[i++]);
			k++;
		}
	}
}

static void print(FILE *f, const struct diff_side *before, const struct diff_side *after, const struct lines *a,
		  const struct lines *b)
{
	size_t i = 0, k = 0;
	bool first = true;

	while (i < a->count || k < b->count) {
		if (!(i < a->count && a->differs[i]) && !(k < b->count && b->differs[k])) {
			i++;
			k++;
			continue;
		}
		if (first)
			fprintf(f, "--- %s\n+++ %s\n", before->name, after->name);
		first = false;
		print_hunk(f, a, b, &i, &k);
	}
}

char *diff_unified(const struct diff_side *before, const struct diff_side *after)
{
	struct lines a = { .count = 0 }, b = { .count = 0 };
	bool good = take(&a, before), taken = take(&b, after);
	char *text = NULL;
	size_t size;
	FILE *f;

	good = good && taken && compare(&a, &b);
	f = good ? open_memstream(&text, &size) : NULL;
	if (f) {
		print(f, before, after, &a, &b);
		good = !ferror(f) && !fclose(f);
	}
	if (f && !good) {
		free(text);
		text = NULL;
	}
	release(&a);
	release(&b);
	return text;
}
