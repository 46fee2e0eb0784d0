/* rsagent_mask.c - see rsagent_mask.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rsagent_mask.h"
#include "secure.h"

#define HIDDEN "(hidden)"	/* as conf_text_hidden() has it */
#define MARK "(key-"
#define WORD_MAX 24		/* of "(key-N)" */

struct key {
	const char *text;	/* in the configuration */
	size_t size;
};

struct rsagent_mask {
	char *text;
	struct key *keys;
	size_t count;
};

/* One line of both: what is hidden in it becomes a number. */
static void mask_line(struct rsagent_mask *m, FILE *out, const char *line, size_t size, const char *shown, size_t shown_size)
{
	const char *at = size == shown_size && memcmp(line, shown, size) == 0 ? NULL :
			 memmem(shown, shown_size, HIDDEN, sizeof(HIDDEN) - 1);
	size_t before = at ? (size_t)(at - shown) : 0, behind = at ? shown_size - before - (sizeof(HIDDEN) - 1) : 0;

	if (!at || before + behind > size) {
		fwrite(shown, 1, shown_size, out);
		return;
	}
	m->keys[m->count++] = (struct key){ line + before, size - before - behind };
	fwrite(shown, 1, before, out);
	fprintf(out, MARK "%zu)", m->count);
	fwrite(at + sizeof(HIDDEN) - 1, 1, behind, out);
}

static size_t line_size(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);
}

struct rsagent_mask *rsagent_mask(const struct conf_text *t)
{
	struct rsagent_mask *m = calloc(1, sizeof(*m));
	size_t size, shown_size, masked_size, n, k;
	const char *bytes = conf_text_bytes(t, &size), *at = bytes;
	char *shown = conf_text_hidden(CONF_FILE_SERVER, bytes, size, &shown_size), *s = shown;
	FILE *out = m ? open_memstream(&m->text, &masked_size) : NULL;

	if (m)
		m->keys = calloc(size + 1, sizeof(*m->keys));
	if (!out || !shown || !m->keys) {
		if (out)
			fclose(out);
		free(shown);
		rsagent_mask_free(m);
		return NULL;
	}
	for (; at < bytes + size && s < shown + shown_size; at += n, s += k) {
		n = line_size(at, bytes + size);
		k = line_size(s, shown + shown_size);
		mask_line(m, out, at, n, s, k);
	}
	fclose(out);
	free(shown);
	return m;
}

const char *rsagent_masked(const struct rsagent_mask *m)
{
	return m->text;
}

/* The key that a mark means; its own length into *taken. */
static const struct key *key_at(const struct rsagent_mask *m, const char *mark, size_t *taken)
{
	char *end;
	unsigned long n = strtoul(mark + sizeof(MARK) - 1, &end, 10);

	*taken = (size_t)(end + 1 - mark);
	return *end == ')' && *taken < WORD_MAX && n >= 1 && n <= m->count ? &m->keys[n - 1] : NULL;
}

char *rsagent_unmask(const struct rsagent_mask *m, const char *edited, size_t *size, struct err *e)
{
	size_t room = strlen(edited) + 1, taken;
	const struct key *key;
	const char *mark, *at;
	char *out, *to;

	for (at = edited; (mark = strstr(at, MARK)); at = mark + 1) {
		key = key_at(m, mark, &taken);
		if (!key) {
			err_set(e, EINVAL, "the text has a (key-N) that is none of its %zu keys", m->count);
			return NULL;
		}
		room += key->size;
	}
	out = to = secure_alloc(room);
	if (!out) {
		err_set(e, ENOMEM, "no memory");
		return NULL;
	}
	for (at = edited; (mark = strstr(at, MARK)); at = mark + taken) {
		key = key_at(m, mark, &taken);
		memcpy(to, at, (size_t)(mark - at));
		to += mark - at;
		memcpy(to, key->text, key->size);
		to += key->size;
	}
	*size = (size_t)(stpcpy(to, at) - out);
	return out;
}

void rsagent_mask_free(struct rsagent_mask *m)
{
	if (!m)
		return;
	free(m->text);
	free(m->keys);
	free(m);
}
