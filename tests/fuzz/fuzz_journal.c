/*
 * fuzz_journal.c - a pool's journal: damaged ones are refused, and what is understood keeps
 * the rules by which it may be done twice, and is written as it was read.
 *
 * The input is the file without its last line, whose checksum nothing would find; and, if
 * its first byte is 0xff, the whole file behind that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../agent/journal.h"
#include "crc.h"
#include "fuzz.h"

#define LONGEST 4096

static bool lies_in(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (!path[n] || path[n] == '/');
}

static void check_path(const char *path)
{
	char parts[JOURNAL_PATH_MAX + 2];

	snprintf(parts, sizeof(parts), "/%s/", path);
	fuzz_check(strlen(path) < JOURNAL_PATH_MAX);
	fuzz_check(!strstr(parts, "//") && !strstr(parts, "/../") && !strstr(parts, "/./"));
	fuzz_check(!strpbrk(path, " \t\r\n"));
}

static void check_rules(const struct journal *j)
{
	for (size_t i = 0; i < j->count; i++) {
		check_path(j->steps[i].from);
		if (*j->steps[i].to)
			check_path(j->steps[i].to);
		for (size_t k = 0; k < j->count; k++) {
			fuzz_check(i == k || strcmp(j->steps[i].from, j->steps[k].from) != 0);
			fuzz_check(!*j->steps[k].to || !lies_in(j->steps[i].from, j->steps[k].to));
		}
	}
}

static void check_again(const struct journal *j)
{
	struct journal again;
	size_t length;
	char *text = journal_format(j, &length);

	fuzz_check(text && journal_parse(&again, text, length, NULL) == 0);
	fuzz_check(again.count == j->count && strcmp(again.by, j->by) == 0);
	fuzz_check(strcmp(again.on.id, j->on.id) == 0 && strcmp(again.on.pool, j->on.pool) == 0 &&
		   strcmp(again.on.name, j->on.name) == 0);
	for (size_t i = 0; i < j->count; i++)
		fuzz_check(strcmp(j->steps[i].from, again.steps[i].from) == 0 &&
			   strcmp(j->steps[i].to, again.steps[i].to) == 0);
	journal_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { .code = 0 };
	char text[LONGEST + 32];
	struct journal j;

	if (!size || size > LONGEST)
		return 0;
	if (*data == 0xff) {
		memcpy(text, data + 1, --size);
	} else {
		memcpy(text, data, size);
		size += (size_t)sprintf(text + size, "end %08x\n", crc32c(0, text, size));
	}
	if (journal_parse(&j, text, size, &e)) {
		fuzz_check(e.code && fuzz_clean(e.text));
		return 0;
	}
	check_rules(&j);
	check_again(&j);
	journal_free(&j);
	return 0;
}
