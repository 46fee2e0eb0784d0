/*
 * opt_value.c - texts to values: durations, sizes, the run directory, and the
 * nearest known word.
 *
 * Numbers are read by hand: strtod would take "inf", hexadecimal and whatever
 * the locale calls a decimal point.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "opt.h"

#define FRACTION_DIGITS 9
#define WORD_MAX 63

/* A decimal number: the whole part and the fraction in billionths.  Leaves
 * *rest at the unit, after any spaces. */
static int parse_number(const char *text, uint64_t *whole, uint64_t *billionths, const char **rest)
{
	uint64_t scale = 1000000000;
	const char *p = text;

	*whole = *billionths = 0;
	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			return -ERANGE;
	}
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++) {
			scale /= 10;	/* digits beyond the ninth count nothing */
			*billionths += scale * (uint64_t)(*p - '0');
		}
	}
	while (*p == ' ')
		p++;
	*rest = p;
	return 0;
}

int opt_parse_duration(const char *text, double *seconds)
{
	static const struct {
		const char *unit;
		double factor, divisor;	/* 20/1e3 is nearer to 0.02 than 20*1e-3 */
	} units[] = {
		{ "", 1, 1 }, { "s", 1, 1 }, { "us", 1, 1e6 }, { "ms", 1, 1e3 },
		{ "min", 60, 1 }, { "h", 3600, 1 },
	};
	uint64_t whole, billionths;
	const char *unit;
	int ret;

	ret = parse_number(text, &whole, &billionths, &unit);
	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		*seconds = ((double)whole + (double)billionths / 1e9) * units[i].factor / units[i].divisor;
		return 0;
	}
	return -EINVAL;
}

int opt_parse_size(const char *text, unsigned long long *bytes)
{
	static const char letters[] = "KMGTPE";
	uint64_t whole, billionths;
	const char *unit, *letter;
	unsigned __int128 value;
	int shift = 0, ret;

	ret = parse_number(text, &whole, &billionths, &unit);
	if (ret)
		return ret;
	letter = *unit ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
	if (letter) {
		shift = 10 * (int)(letter - letters + 1);
		unit++;
		if (unit[0] == 'i' && unit[1] == 'B')
			unit++;
	}
	if (*unit && strcmp(unit, "B") != 0)
		return -EINVAL;
	if (!shift && billionths)
		return -EINVAL;
	value = ((unsigned __int128)whole << shift) +
		(((unsigned __int128)billionths << shift) / 1000000000);
	if (value > UINT64_MAX)
		return -ERANGE;
	*bytes = (unsigned long long)value;
	return 0;
}

/* Insertions, deletions, replacements and swaps of neighbours, without regard
 * to case. */
static int edit_distance(const char *a, size_t la, const char *b, size_t lb)
{
	int rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2], *swap;

	for (size_t j = 0; j <= lb; j++)
		last[j] = (int)j;
	for (size_t i = 1; i <= la; i++) {
		int ca = tolower((unsigned char)a[i - 1]);

		now[0] = (int)i;
		for (size_t j = 1; j <= lb; j++) {
			int cb = tolower((unsigned char)b[j - 1]);
			int best = last[j - 1] + (ca != cb);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		swap = before;
		before = last;
		last = now;
		now = swap;
	}
	return last[lb];
}

const char *opt_nearest(const char *word, const char *const *candidates)
{
	const char *nearest = NULL;
	size_t length = strlen(word);
	int best;

	if (length == 0 || length > WORD_MAX)
		return NULL;
	/* One letter in three wrong is a typing mistake; more is another word. */
	best = 1 + (int)(length < 3 ? 1 : (length + 2) / 3);
	for (; *candidates; candidates++) {
		size_t other = strlen(*candidates);
		int distance;

		if (other > WORD_MAX)
			continue;
		distance = edit_distance(word, length, *candidates, other);
		if (distance < best && distance < (int)(length > other ? length : other)) {
			best = distance;
			nearest = *candidates;
		}
	}
	return nearest;
}

static char *join(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

/* Absolute, because a daemon leaves the directory that it was started in. */
static char *absolute(const char *path)
{
	char *here, *whole;

	if (path[0] == '/') {
		whole = strdup(path);
		if (!whole)
			abort();
		return whole;
	}
	here = getcwd(NULL, 0);
	whole = join(here ? here : "", path);
	free(here);
	return whole;
}

char *opt_run_dir(const char *given)
{
	const char *dir = given ? given : getenv("RSIO_RUN_DIR");
	char user[64];

	if (dir && dir[0])
		return absolute(dir);
	if (geteuid() == 0)
		return absolute("/run/rsio");
	dir = getenv("XDG_RUNTIME_DIR");
	if (!dir || dir[0] != '/') {
		snprintf(user, sizeof(user), "/run/user/%u", (unsigned int)geteuid());
		dir = user;
	}
	return join(dir, "rsio");
}

char *opt_run_dir_of(const char *given, const char *file)
{
	const char *named = given ? given : getenv("RSIO_RUN_DIR");
	char *dir = opt_run_dir(given), *own;
	bool found;

	if ((named && named[0]) || geteuid() == 0)
		return dir;
	own = join(dir, file);
	found = access(own, F_OK) == 0;
	free(own);
	if (found)
		return dir;
	own = join("/run/rsio", file);
	if (access(own, F_OK) == 0) {
		free(dir);
		dir = absolute("/run/rsio");
	}
	free(own);
	return dir;
}
