/* answers_record.c - a plan's answers as a file that makes them again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "answers_impl.h"

bool answers_key_is_elsewhere(const char *value)
{
	return strncmp(value, "@file:", 6) == 0 || strncmp(value, "@credential:", 12) == 0;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_section(const struct plan_answer *a, const struct plan_answer *b)
{
	return same(a->kind, b->kind) && same(a->name, b->name) && same(a->namespace, b->namespace);
}

static void put_answer(FILE *out, const struct plan_answer *a)
{
	switch (a->what) {
	case PLAN_ADD:
		return;
	case PLAN_REMOVE:
		fputs("remove = yes\n", out);
		return;
	case PLAN_UNSET:
		fprintf(out, "%s =\n", a->key);
		return;
	case PLAN_SET:
		break;
	}
	if (strcmp(a->key, "nodekey") == 0 && !answers_key_is_elsewhere(a->value))
		fputs("# nodekey = KEY or @file:PATH: keys are not recorded\n", out);
	else
		fprintf(out, "%s = %s\n", a->key, a->value);
}

/* All that is said of the section of the i-th answer. */
static void put_section(FILE *out, struct plan *p, size_t i)
{
	const struct plan_answer *a = plan_answer(p, i), *b;

	fprintf(out, "\n[%s%s%s]\n", a->kind, a->name ? " " : "", a->name ? a->name : "");
	for (; (b = plan_answer(p, i)); i++)
		if (same_section(a, b))
			put_answer(out, b);
}

/* Of the sections of a kind, which for servers are those of one namespace, each once. */
static void put_sections(FILE *out, struct plan *p, const char *kind, const char *namespace)
{
	const struct plan_answer *a;

	for (size_t i = 0; (a = plan_answer(p, i)); i++) {
		size_t k = 0;

		if (strcmp(a->kind, kind) != 0 || !same(a->namespace, namespace))
			continue;
		while (!same_section(plan_answer(p, k), a))
			k++;
		if (k == i)
			put_section(out, p, i);
	}
}

static const char *namespace_of(const struct plan_answer *a)
{
	return strcmp(a->kind, "namespace") == 0 ? a->name : a->namespace;
}

/* With its servers below it; nothing need be said of itself. */
static void put_namespace(FILE *out, struct plan *p, const char *name)
{
	const struct plan_answer *a;

	fprintf(out, "\n[namespace %s]\n", name);
	for (size_t i = 0; (a = plan_answer(p, i)); i++)
		if (strcmp(a->kind, "namespace") == 0 && same(a->name, name))
			put_answer(out, a);
	put_sections(out, p, "server", name);
}

static void put_all(FILE *out, struct plan *p)
{
	const struct plan_answer *a;

	put_sections(out, p, "defaults", NULL);
	put_sections(out, p, "interface", NULL);
	for (size_t i = 0; (a = plan_answer(p, i)); i++) {
		size_t k = 0;

		if (!namespace_of(a))
			continue;
		while (!same(namespace_of(plan_answer(p, k)), namespace_of(a)))
			k++;
		if (k == i)
			put_namespace(out, p, namespace_of(a));
	}
	put_sections(out, p, "volume", NULL);
}

char *answers_text(struct plan *p)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "# Answers for crsio(8): the sections and keys are those of rscltcfg(5).\n"
		     "# crsio -c %s --answers THIS-FILE\n", plan_path(p));
	put_all(out, p);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left;) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		left -= n > 0 ? (size_t)n : 0;
		text += n > 0 ? n : 0;
	}
	return fsync(fd) && errno != EINVAL && errno != EROFS ? -errno : 0;
}

int answers_record(struct plan *p, const char *path, struct err *e)
{
	char *text = answers_text(p);
	int fd, r;

	if (!text)
		return err_set(e, ENOMEM, "no memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		free(text);
		err_sys(e, errno, "cannot make %s", path);
		if (e->code == EEXIST)
			err_next(e, "take it away first, or record to another file");
		return -e->code;
	}
	r = write_all(fd, text);
	close(fd);
	free(text);
	if (!r)
		return 0;
	unlink(path);
	return err_sys(e, -r, "cannot write %s", path);
}
