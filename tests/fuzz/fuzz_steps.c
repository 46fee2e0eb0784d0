/*
 * fuzz_steps.c - lines for rssrv --steps, the journal that such a run finds, and what a host says while rssrv
 * is brought there.
 *
 * The first byte says what the rest is: a line of --steps; a journal as it is; a journal's entries, a line each,
 * which get their checksums here; a line of the host's.  Nothing of it is done: what a step is allowed to be is looked at, and
 * that an error repeats nothing of a line, which may have keys in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../agent/steps_impl.h"
#include "crc.h"
#include "deploy_boot.h"
#include "fuzz.h"

#define LONGEST 8192
#define REPEATED 20			/* longer than any word that errors have of their own */

static void check_path(const char *path)
{
	char parts[PATH_MAX + 2];

	fuzz_check(*path == '/' && path[1] && strlen(path) < PATH_MAX);
	snprintf(parts, sizeof(parts), "%s/", path);
	fuzz_check(!strstr(parts, "//") && !strstr(parts, "/../") && !strstr(parts, "/./"));
}

static void check_texts(const json_t *list)
{
	fuzz_check(json_array_size(list) > 0 && json_array_size(list) <= 256);
	for (size_t i = 0; i < json_array_size(list); i++)
		fuzz_check(json_string_value(json_array_get(list, i)));
}

static void check_step(const struct step *s)
{
	const char *const paths[] = { s->path, s->home, s->program, s->config, s->run_dir };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (paths[i])
			check_path(paths[i]);
	fuzz_check(s->what < STEP_COUNT && s->mode <= 07777 && s->seconds >= 1 && s->seconds <= STEPS_SECONDS_MAX);
	if (s->what >= STEP_DIRECTORY && s->what <= STEP_REMOVE_TREE)
		fuzz_check(s->path);
	if (s->what == STEP_FILE)
		fuzz_check(s->from_self ? !s->text : s->text && strlen(s->text) == s->text_length);
	if (s->what == STEP_USER || s->what == STEP_REMOVE_USER)
		fuzz_check(*s->name && *s->name != '-' && !strpbrk(s->name, ":/\n ,"));
	if (s->what == STEP_RUN)
		check_texts(s->argv);
	if (s->undo)
		check_texts(s->undo);
	if (s->what == STEP_START && !s->systemd)
		fuzz_check(s->program && s->run_dir);
}

static void try_line(const char *line, size_t size)
{
	struct err e = { .code = 0 };
	struct step s;

	if (step_parse(line, size, &s, &e) == 0) {
		check_step(&s);
		step_free(&s);
		return;
	}
	fuzz_check(e.code == EINVAL && *e.text && fuzz_clean(e.text) && !*e.next);
	for (size_t i = 0; i + REPEATED <= size; i++)
		fuzz_check(!memmem(e.text, strlen(e.text), line + i, REPEATED));
}

static void write_file(const char *path, const char *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* What is noted behind what was found is found after it. */
static void check_adding(struct trail *t, const char *dir)
{
	size_t count = t->count;
	bool committed;
	struct err e;

	fuzz_check(trail_note(t, json_pack("{s:s}", "do", "made"), &e) == 0 && t->count == count + 1);
	for (size_t i = 0; i < t->count; i += 2)
		fuzz_check(trail_mark_undone(t, i, &e) == 0);
	trail_close(t);
	fuzz_check(trail_open(t, dir, 0, &committed, &e) == 0 && !committed && t->count == count + 1);
	for (size_t i = 0; i < t->count; i += 2)
		fuzz_check(t->entries[i].undone);
	fuzz_check(strcmp(entry_text(t->entries[count].what, "do"), "made") == 0);
}

static void try_journal(const char *data, size_t size)
{
	const char *dir = fuzz_dir();
	struct err e = { .code = 0 };
	char path[512];
	struct trail t;
	bool committed;

	chmod(dir, 0700);
	snprintf(path, sizeof(path), "%s/journal", dir);
	write_file(path, data, size);
	if (trail_open(&t, dir, 0, &committed, &e) == 0) {
		fuzz_check(!committed);
		for (size_t i = 0; i < t.count; i++)
			fuzz_check(json_is_object(t.entries[i].what) && t.entries[i].at < t.end);
		check_adding(&t, dir);
		fuzz_check(trail_end(&t, &e) == 0 && access(path, F_OK) < 0);
	} else {
		fuzz_check(e.code == EUCLEAN && fuzz_clean(e.text));
		unlink(path);
	}
	trail_close(&t);
}

static void try_entries(const char *data, size_t size)
{
	char text[4 * LONGEST];
	size_t used = 0;

	while (size && used < sizeof(text) - 2 * LONGEST) {
		const char *nl = memchr(data, '\n', size);
		size_t length = nl ? (size_t)(nl - data) : size;

		used += (size_t)sprintf(text + used, "%c %08x ", length % 2 ? '+' : '-', crc32c(0, data, length));
		memcpy(text + used, data, length);
		used += length;
		text[used++] = '\n';
		length += nl != NULL;
		data += length;
		size -= length;
	}
	try_journal(text, used);
}

static void try_host(char *line)
{
	static const struct deploy_boot b = { "4711", "/usr/local/lib/rsio/.staging", 4096, "00", "x86_64" };
	struct err e = { .code = 0 };
	enum deploy_boot_says says = deploy_boot_line(&b, line, &e);

	if (says == DEPLOY_BOOT_OTHER)
		fuzz_check(strncmp(line, "4711 ", 5) != 0);
	fuzz_check((says == DEPLOY_BOOT_FAILED) == (e.code > 0));
	fuzz_check(!e.code || (fuzz_clean(e.text) && fuzz_clean(e.next)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[LONGEST + 1];

	if (!size || size > LONGEST)
		return 0;
	memcpy(text, data + 1, --size);
	text[size] = 0;
	switch (data[0] % 4) {
	case 0:
		try_line(text, size);
		break;
	case 1:
		try_journal(text, size);
		break;
	case 2:
		try_entries(text, size);
		break;
	default:
		try_host(text);
	}
	return 0;
}
