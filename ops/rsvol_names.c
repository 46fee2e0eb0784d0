/*
 * rsvol_names.c - what stands on the command line: volumes by name, sizes, and the name that is
 * said again before something is lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "opt.h"
#include "rsvol.h"

#define BLOCK 512u
#define SIZE_MAX_BYTES ((UINT64_C(1) << 63) - BLOCK)

void rsvol_check_name(const char *what, const char *name)
{
	if (!conf_name_valid(name))
		rsvol_usage("'%.60s' is no name of a %s: 1 to %d letters, digits, '.', '_' and '-', "
			    "the first one no '.' and no '-'", name, what, CONF_NAME_MAX);
}

/* A part of text, `length` long, as a name; exits 2 when it is none. */
static void take(char to[CONF_NAME_MAX + 1], const char *text, size_t length, const char *what)
{
	char word[128];

	snprintf(word, sizeof word, "%.*s", (int)(length < 100 ? length : 100), text);
	rsvol_check_name(what, word);
	memcpy(to, word, length + 1);	/* a name is not longer */
}

struct rsvol_name rsvol_name(const char *text)
{
	size_t n = strcspn(text, ":/"), v;
	struct rsvol_name name = { .namespace = "" };

	if (text[n]) {
		take(name.namespace, text, n, "namespace");
		text += n + 1;
	}
	v = strcspn(text, "@");
	take(name.volume, text, v, "volume");
	if (text[v])
		take(name.snapshot, text + v + 1, strlen(text + v + 1), "snapshot");
	snprintf(name.text, sizeof name.text, "%s%s%s", name.volume, text[v] ? "@" : "", name.snapshot);
	return name;
}

struct rsvol_name rsvol_volume(const char *text)
{
	struct rsvol_name name = rsvol_name(text);

	if (name.snapshot[0])
		rsvol_usage("%s is a snapshot: a volume is needed here", text);
	return name;
}

const char *rsvol_full(const struct rsvol_name *n, const char *namespace, char buf[128])
{
	const char *ns = namespace && *namespace ? namespace : n->namespace;

	snprintf(buf, 128, "%s%s%s", ns, *ns ? ":" : "", n->text);
	return buf;
}

uint64_t rsvol_size(const char *text)
{
	unsigned long long bytes;
	int r = opt_parse_size(text, &bytes);

	if (r == -ERANGE || (r == 0 && bytes > SIZE_MAX_BYTES))
		rsvol_usage("a volume of %s is more than 8 EiB", text);
	if (r)
		rsvol_usage("'%s' is no size: such as 20G, 1.5TiB or 4096; K, M, G, T, P and E are powers of 1024", text);
	if (bytes == 0)
		rsvol_usage("a volume has at least one block of %u bytes", BLOCK);
	if (bytes < BLOCK && text[strspn(text, "0123456789")] == 0)
		rsvol_usage("%s is not whole blocks of %u bytes: did you mean %sM or %sG?", text, BLOCK, text, text);
	if (bytes < BLOCK)
		rsvol_usage("%s is not whole blocks of %u bytes: %u would be one", text, BLOCK, BLOCK);
	if (bytes % BLOCK)
		rsvol_usage("%s is not whole blocks of %u bytes: %llu or %llu would be", text, BLOCK,
			    bytes - bytes % BLOCK, bytes - bytes % BLOCK + BLOCK);
	return bytes;
}

const char *rsvol_size_text(uint64_t bytes, char buf[32])
{
	static const char letters[] = "KMGTPE";
	int unit = -1;
	double value = (double)bytes;

	while (value >= 1024 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, 32, "%.0f B", value);
	else
		snprintf(buf, 32, value < 100 && value != (double)(int)value ? "%.1f %ciB" : "%.0f %ciB", value, letters[unit]);
	return buf;
}

const char *rsvol_time_text(double seconds, char buf[32])
{
	long long whole = seconds > 0 && seconds < 1e12 ? (long long)seconds : 0;

	if (!whole || (double)whole != seconds || whole % 60)
		snprintf(buf, 32, "%gs", seconds);
	else if (whole % 3600)
		snprintf(buf, 32, "%lldmin", whole / 60);
	else
		snprintf(buf, 32, "%lldh", whole / 3600);
	return buf;
}

static bool same_name(const char *said, const struct rsvol_name *n)
{
	const char *rest = strpbrk(said, ":/");

	if (rest && *n->namespace && (strlen(n->namespace) != (size_t)(rest - said) ||
				      strncmp(said, n->namespace, (size_t)(rest - said)) != 0))
		return false;
	return strcmp(rest ? rest + 1 : said, n->volume) == 0;
}

bool rsvol_confirmed(const struct rsvol *rv, const struct rsvol_name *n)
{
	if (rv->confirm && !same_name(rv->confirm, n))
		rsvol_usage("--confirm says '%s', and the volume is %s: nothing was done", rv->confirm, n->volume);
	return rv->confirm != NULL;
}

void rsvol_confirm(const struct rsvol *rv, const struct rsvol_name *n, const char *what)
{
	char line[128];

	if (rsvol_confirmed(rv, n))
		return;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr, "rsvol: %s\nrsvol: there is no terminal to ask at: say its name again with --confirm=%s\n",
			what, n->volume);
		exit(RSVOL_USAGE);
	}
	fprintf(stderr, "%s.\nType the volume's name to go on: ", what);
	fflush(stderr);
	if (!fgets(line, sizeof line, stdin))
		line[0] = 0;
	line[strcspn(line, "\n")] = 0;
	if (line[0] && same_name(line, n))
		return;
	fputs("rsvol: that is not its name: nothing was done\n", stderr);
	exit(RSVOL_USAGE);
}
