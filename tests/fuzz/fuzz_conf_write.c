/*
 * fuzz_conf_write.c - a configuration's text, edited: what an edit does not speak of means the same
 * afterwards, and stands there byte for byte; what it speaks of can be read back; a refused one changes
 * nothing; and what is shown has no keys in it.
 *
 * The input: which file and how many edits; for each edit what it is, of which section, and with
 * what; the text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_write.h"
#include "fuzz.h"

#define EDITS_MAX 3
#define NAME_ROOM (2 * CONF_NAME_MAX + 2)
#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddee00"

static const char *const values[] = {
	"7", "5001", "10.0.0.9", "fe80::1%eth0", "yes", "auth", "/a", "a b", "k", "1;2", "@file:/memfile/none", "=", "#x",
	" lead", "a ;b", ";c", "", "two\nlines", KEY, "osl:v",
};
static const char *const names[] = { "new", "big-2", "venus", "osl", "a", "if0", "bad name", "" };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum what { SET, UNSET, ADD, REMOVE, CLIENT, JOIN, LEAVE, WHATS };

struct edit {
	enum what what;
	struct conf_place at;
	const char *key, *value;
	char name[NAME_ROOM], namespace[CONF_NAME_MAX + 1];
	enum conf_client_edit client;
	struct conf_join_portal portal;
};


/* What the text means, a line for each section and value; but what the edit is about. */

static bool in_list(const char *key)
{
	return strcmp(key, "clients") == 0 || strcmp(key, "manage") == 0;
}

static bool goes_with(const struct edit *e, const char *kind, const char *name, const char *namespace)
{
	size_t n = strlen(e->name);

	return (strcmp(kind, "server") == 0 && strcmp(namespace, e->name) == 0) ||
	       (strcmp(kind, "volume") == 0 && e->what != JOIN && strncmp(name, e->name, n) == 0 && name[n] == ':');
}

static bool is_about(const struct edit *e, const char *kind, const char *name, const char *namespace, const char *key)
{
	bool here = strcmp(kind, e->at.kind) == 0 && strcmp(name, e->at.name ? e->at.name : "") == 0 &&
		    (!e->at.namespace || strcmp(namespace, e->at.namespace) == 0);

	switch (e->what) {
	case SET:
	case UNSET:
		return here && (!*key || strcmp(key, e->key) == 0);
	case ADD:
		return here && !*key;
	case REMOVE:
		if (strcmp(e->at.kind, "namespace") != 0)
			return here;
		return here || goes_with(e, kind, name, namespace);
	case CLIENT:
		return strcmp(kind, "clients") == 0 ? !*key || strcmp(key, e->name) == 0 :
						      e->client == CONF_CLIENT_REMOVE && in_list(key);
	case JOIN:
	case LEAVE:
		return (strcmp(kind, "namespace") == 0 && strcmp(name, e->name) == 0) || goes_with(e, kind, name, namespace);
	case WHATS:
		break;
	}
	return false;
}


/* By the public calls alone: sections in order, then each one's values by the key table. */
static void put_section(FILE *f, const struct conf_text *t, const struct edit *e, enum conf_file file, const char *kind,
			const char *name, const char *namespace)
{
	const struct conf_place at = { kind, *name ? name : NULL, *namespace && !strcmp(kind, "server") ? namespace : NULL };
	size_t count;
	const struct conf_key_row *rows = conf_key_table(&count);
	char value[300];

	if (!is_about(e, kind, name, namespace, ""))
		fprintf(f, "[%s %s %s]\n", kind, name, namespace);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].file != file || strcmp(rows[i].section, kind) != 0 || is_about(e, kind, name, namespace, rows[i].name))
			continue;
		if (conf_text_get(t, &at, rows[i].name, value, sizeof(value)) >= 0)
			fprintf(f, "%s=%s\n", rows[i].name, value);
	}
}

static char *meaning_of(const struct conf_text *t, enum conf_file file, const struct edit *e)
{
	static const char *const kinds[] = { "defaults", "interface", "namespace", "server", "volume", "pool", "clients" };
	char *text = NULL, name[NAME_ROOM], namespace[CONF_NAME_MAX + 1];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fuzz_check(f);
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (size_t i = 0; conf_text_section(t, kinds[k], i, name, namespace); i++)
			put_section(f, t, e, file, kinds[k], name, file == CONF_FILE_CLIENT ? namespace : "");
	for (size_t i = 0; i < COUNT(names); i++)
		if (!is_about(e, "clients", "", "", names[i]))
			fprintf(f, "%s has %u keys\n", names[i], conf_text_client_keys(t, names[i]));
	fuzz_check(fclose(f) == 0);
	return text;
}

/* Both readers see the same. */

static void same_client(const struct conf_text *t, const struct conf_client *c)
{
	char name[NAME_ROOM], below[CONF_NAME_MAX + 1], value[300];
	size_t server = 0;

	for (size_t i = 0; i < c->interface_count; i++)
		fuzz_check(conf_text_section(t, "interface", i, name, NULL) && strcmp(name, c->interfaces[i].name) == 0);
	for (size_t i = 0; i < c->namespace_count; i++) {
		const struct conf_namespace *ns = &c->namespaces[i];
		const struct conf_place at = { .kind = "namespace", .name = ns->name };

		fuzz_check(conf_text_section(t, "namespace", i, name, NULL) && strcmp(name, ns->name) == 0);
		fuzz_check(conf_text_get(t, &at, "nodename", value, sizeof(value)) > 0 && strcmp(value, ns->nodename) == 0);
		for (size_t k = 0; k < ns->portal_count; k++) {
			const struct conf_place portal = { "server", ns->portals[k].name, ns->name };

			fuzz_check(conf_text_section(t, "server", server++, name, below));
			fuzz_check(strcmp(name, ns->portals[k].name) == 0 && strcmp(below, ns->name) == 0);
			fuzz_check(conf_text_get(t, &portal, "address", value, sizeof(value)) > 0);
			fuzz_check(conf_same_address(value, ns->portals[k].address));
		}
	}
	fuzz_check(!conf_text_section(t, "server", server, name, below));
}

static void same_server(const struct conf_text *t, const struct conf_server *s)
{
	const struct conf_place ns = { .kind = "namespace", .name = s->namespace };
	char name[NAME_ROOM], value[300];

	fuzz_check(conf_text_get(t, &ns, "namespaceid", value, sizeof(value)) > 0);
	for (size_t i = 0; i < s->client_count; i++)
		fuzz_check(conf_text_client_keys(t, s->clients[i].name) == (s->clients[i].second.line ? 2 : 1));
	for (size_t i = 0; i < s->pool_count; i++) {
		const struct conf_place pool = { .kind = "pool", .name = s->pools[i].name };

		fuzz_check(conf_text_section(t, "pool", i, name, NULL) && strcmp(name, s->pools[i].name) == 0);
		fuzz_check(conf_text_get(t, &pool, "path", value, sizeof(value)) > 0 && strcmp(value, s->pools[i].path) == 0);
	}
}

/* Whether the text is good, by the daemons' reader. */
static bool read_both(const struct conf_text *t, enum conf_file file)
{
	struct conf_report report;
	const char *bytes;
	size_t size;
	bool good;

	bytes = conf_text_bytes(t, &size);
	if (file == CONF_FILE_CLIENT) {
		struct conf_client *c = conf_client_parse("f", bytes, size, &report);

		good = c != NULL;
		if (c)
			same_client(t, c);
		conf_client_free(c);
	} else {
		struct conf_server *s = conf_server_parse("f", bytes, size, &report);

		good = s != NULL;
		if (s)
			same_server(t, s);
		conf_server_free(s);
	}
	conf_report_free(&report);
	return good;
}

/* What is shown. */

static size_t lines_of(const char *bytes, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += bytes[i] == '\n';
	return n;
}

static unsigned times(const char *bytes, size_t size, const char *word)
{
	const char *at = bytes;
	unsigned n = 0;

	for (; (at = memmem(at, size - (size_t)(at - bytes), word, strlen(word))); at++)
		n++;
	return n;
}

static void check_shown(const struct conf_text *t, enum conf_file file)
{
	char name[NAME_ROOM], key[300], *shown, *diff;
	const char *bytes;
	size_t size, shown_size;

	bytes = conf_text_bytes(t, &size);
	shown = conf_text_hidden(file, bytes, size, &shown_size);
	diff = conf_text_diff(t);
	fuzz_check(shown && diff && lines_of(bytes, size) == lines_of(shown, shown_size));
	fuzz_check(times(shown, shown_size, KEY) == 0 && times(diff, strlen(diff), KEY) == 0);
	fuzz_check((*diff != 0) == conf_text_changed(t));
	for (char *line = diff, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		fuzz_check(fuzz_clean(line));
	}
	for (size_t i = 0; file == CONF_FILE_CLIENT && conf_text_section(t, "namespace", i, name, NULL); i++) {
		const struct conf_place at = { .kind = "namespace", .name = name };

		/* One that stands nowhere else. */
		if (conf_text_get(t, &at, "nodekey", key, sizeof(key)) > 8 && *key != '@' && times(bytes, size, key) == 1)
			fuzz_check(times(shown, shown_size, key) == 0);
	}
	free(shown);
	free(diff);
}

/* The edit's bytes: what is the same at both ends, and what is between. */
static void check_bytes(const struct edit *e, const char *before, size_t size, const char *after, size_t now)
{
	size_t head = 0, tail = 0, least = size < now ? size : now;

	while (head < least && before[head] == after[head])
		head++;
	while (tail < least - head && before[size - 1 - tail] == after[now - 1 - tail])
		tail++;
	if (e->what == SET)
		fuzz_check(lines_of(before + head, size - head - tail) == 0);
	if (e->what == ADD)
		fuzz_check(size - head - tail == 0);
	if (e->what == UNSET)
		fuzz_check(now - head - tail == 0 && lines_of(before + head, size - head - tail) <= 1);
}

/* Edits. */

static void take_edit(struct fuzz_in *in, const struct conf_text *t, enum conf_file file, struct edit *e)
{
	static const char *const kinds[][6] = {
		{ "defaults", "interface", "namespace", "server", "volume", "pool" },
		{ "namespace", "server", "interface", "pool", "volume", "clients" },
	};
	uint8_t what = fuzz_u8(in), section = fuzz_u8(in), with = fuzz_u8(in);
	size_t count, rows_of = 0;
	const struct conf_key_row *rows = conf_key_table(&count);

	memset(e, 0, sizeof(*e));
	e->what = what % WHATS;
	e->client = (what >> 4) % (CONF_CLIENT_REMOVE + 1);
	e->at.kind = kinds[file == CONF_FILE_SERVER][section % 6];
	e->value = values[with % COUNT(values)];
	if (!conf_text_section(t, e->at.kind, (section >> 4) & 3, e->name, e->namespace) || section & 64)
		snprintf(e->name, sizeof(e->name), "%s", names[(section >> 3) % COUNT(names)]);
	e->at.name = *e->name ? e->name : NULL;
	e->at.namespace = *e->namespace && !strcmp(e->at.kind, "server") ? e->namespace : NULL;
	for (size_t i = 0; i < count; i++)
		if (rows[i].file == file && strcmp(rows[i].section, e->at.kind) == 0 && rows_of++ <= (size_t)(with >> 3))
			e->key = rows[i].name;
	if (!e->key)
		e->key = "none";
	if (e->what == CLIENT || e->what == JOIN || e->what == LEAVE)
		snprintf(e->name, sizeof(e->name), "%s", names[with % COUNT(names)]);
	snprintf(e->portal.name, sizeof(e->portal.name), "new-1");
	snprintf(e->portal.address, sizeof(e->portal.address), "%s", with & 128 ? "10.0.0.1" : "2001:db8::9");
	e->portal.port = with & 64 ? 0 : 5000 + (with & 8);
}

static int do_edit(struct conf_text *t, const struct edit *e, struct err *why)
{
	struct conf_join j = { .namespace = e->name, .id = -1, .node = "node", .key = KEY, .portals = &e->portal, .portal_count = 1 };
	const char *key = e->client >= CONF_CLIENT_DROP_FIRST ? NULL : KEY;

	switch (e->what) {
	case SET: return conf_text_set(t, &e->at, e->key, e->value, why);
	case UNSET: return conf_text_unset(t, &e->at, e->key, why);
	case ADD: return conf_text_add(t, &e->at, why);
	case REMOVE: return conf_text_remove(t, &e->at, why);
	case CLIENT: return conf_text_client(t, e->client, e->name, key, why);
	case JOIN: return conf_text_join(t, &j, why);
	case LEAVE: return conf_text_leave(t, e->name, &e->portal, 1, why);
	case WHATS: break;
	}
	return 0;
}

static void check_done(const struct conf_text *t, const struct edit *e, bool was_good, enum conf_file file)
{
	bool good = read_both(t, file);
	char value[300];

	if (e->what == SET)
		fuzz_check(conf_text_get(t, &e->at, e->key, value, sizeof(value)) >= 0 && strcmp(value, e->value) == 0);
	if (e->what == ADD)
		fuzz_check(conf_text_has(t, &e->at));
	if (e->what == CLIENT && e->client <= CONF_CLIENT_REPLACE)
		fuzz_check(conf_text_client_keys(t, e->name) == (e->client == CONF_CLIENT_SECOND ? 2 : 1));
	if (e->what == CLIENT && e->client == CONF_CLIENT_REMOVE)
		fuzz_check(conf_text_client_keys(t, e->name) == 0);
	if (was_good && (e->what == JOIN || e->what == LEAVE || (e->what == CLIENT && e->client == CONF_CLIENT_ADD)))
		fuzz_check(good);
}

static void edit(struct fuzz_in *in, struct conf_text *t, enum conf_file file)
{
	struct err why = { 0 };
	char *before, *bytes, *after;
	const char *now;
	struct edit e;
	size_t size, now_size;
	bool good = read_both(t, file);

	take_edit(in, t, file, &e);
	before = meaning_of(t, file, &e);
	now = conf_text_bytes(t, &size);
	bytes = malloc(size + 1);
	fuzz_check(bytes);
	memcpy(bytes, now, size + 1);
	if (do_edit(t, &e, &why)) {
		now = conf_text_bytes(t, &now_size);
		fuzz_check(why.code && *why.text && fuzz_clean(why.text) && now_size == size && memcmp(now, bytes, size) == 0);
		fuzz_check(!strstr(why.text, KEY));
	} else {
		now = conf_text_bytes(t, &now_size);
		fuzz_check(now[now_size] == 0);
		check_bytes(&e, bytes, size, now, now_size);
		check_done(t, &e, good, file);
		after = meaning_of(t, file, &e);
		fuzz_check(strcmp(before, after) == 0);
		free(after);
		/* Once more is no change, but where it is another key. */
		if (e.what != CLIENT && e.what != UNSET && e.what != REMOVE && e.what != LEAVE) {
			fuzz_check(do_edit(t, &e, &why) == 0);
			conf_text_bytes(t, &size);
			fuzz_check(size == now_size);
		}
	}
	check_shown(t, file);
	free(before);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, data + size }, edits;
	uint8_t first = fuzz_u8(&in);
	enum conf_file file = first & 1 ? CONF_FILE_SERVER : CONF_FILE_CLIENT;
	size_t count = 1 + (first >> 1) % EDITS_MAX, got;
	struct conf_text *t;
	struct err e = { 0 };

	edits.at = fuzz_bytes(&in, 3 * count, &got);
	edits.end = edits.at + got;
	t = conf_text_of(file, "f", (const char *)in.at, fuzz_left(&in), &e);
	for (size_t i = 0; t && i < count; i++)
		edit(&edits, t, file);
	conf_text_free(t);
	return 0;
}
