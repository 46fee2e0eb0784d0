/*
 * deploy_facts.c - what the script said of a host.  It comes from a network and from a host that
 * may be anybody's: each line is looked at as if it were made to do harm.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "secure.h"

#define ITEMS_MAX 4096			/* of a kind; what is beyond is left out */

struct reader {
	struct deploy_facts *f;
	const char *at, *end;		/* the lines between the markers */
	bool no_memory;
};

/* One line's words: taken one by one. */
struct line {
	char *rest;
};

static char *word(struct line *l)
{
	char *start = l->rest;

	l->rest += strcspn(l->rest, " ");
	if (*l->rest)
		*l->rest++ = 0;
	return start;
}

static long long number(const char *text, long long min, long long max, long long otherwise)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	return errno || end == text || *end || n < min || n > max ? otherwise : n;
}

static void copy(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(to, text, n);
	to[n] = 0;
	err_clean(to);
}

static char *keep(struct reader *r, const char *text)
{
	char *s = strdup(text);

	if (s)
		err_clean(s);
	r->no_memory |= !s;
	return s;
}

/* Room for one more item; NULL: no memory, or there are too many. */
static void *more(struct reader *r, void *array, size_t *count, size_t size)
{
	void **list = array;
	char *grown;

	if (*count >= ITEMS_MAX)
		return NULL;
	if (!(*count & (*count - 1))) {		/* full: 0, 1, 2, 4, 8 … */
		grown = realloc(*list, (*count ? 2 * *count : 1) * size);
		if (!grown) {
			r->no_memory = true;
			return NULL;
		}
		*list = grown;
	}
	return memset((char *)*list + (*count)++ * size, 0, size);
}

static void keep_in(struct reader *r, char ***list, size_t *count, const char *text)
{
	char **item = more(r, list, count, sizeof(*item));

	if (item && !(*item = keep(r, text)))
		(*count)--;
}

/* The lines. */

static void take_uid(struct reader *r, struct line *l)
{
	r->f->uid = (int)number(word(l), 0, INT32_MAX, -1);
}

static void take_user(struct reader *r, struct line *l)
{
	copy(r->f->user, sizeof(r->f->user), l->rest);
}

static void take_host(struct reader *r, struct line *l)
{
	copy(r->f->host, sizeof(r->f->host), l->rest);
}

static void take_machine(struct reader *r, struct line *l)
{
	copy(r->f->machine, sizeof(r->f->machine), l->rest);
}

static void take_kernel(struct reader *r, struct line *l)
{
	copy(r->f->kernel, sizeof(r->f->kernel), l->rest);
}

static void take_system(struct reader *r, struct line *l)
{
	copy(r->f->system, sizeof(r->f->system), l->rest);
}

static void take_via(struct reader *r, struct line *l)
{
	struct sock_addr a;

	if (!sock_parse(l->rest, 0, &a))
		sock_format(&a, r->f->via);
}

static void take_time(struct reader *r, struct line *l)
{
	r->f->time = number(word(l), 0, INT64_MAX, 0);
}

static void take_processors(struct reader *r, struct line *l)
{
	r->f->processors = (int)number(word(l), 0, 1 << 20, 0);
}

static void take_account(struct reader *r, struct line *l)
{
	r->f->server_uid = (int)number(word(l), 0, INT32_MAX, -1);
	r->f->server_gid = (int)number(word(l), 0, INT32_MAX, -1);
}

static void take_has(struct reader *r, struct line *l)
{
	struct deploy_facts *f = r->f;
	const struct { const char *name; bool *is; } all[] = {
		{ "useradd", &f->has_useradd }, { "sha256", &f->has_sha256 }, { "ip", &f->has_ip },
		{ "systemd", &f->systemd }, { "active", &f->unit_active }, { "enabled", &f->unit_enabled },
		{ "staging", &f->staging }, { "rsiod", &f->rsiod },
	};
	const char *what = word(l);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*all[i].is |= strcmp(all[i].name, what) == 0;
}

static struct deploy_path *add_path(struct reader *r, enum deploy_kind kind)
{
	struct deploy_path *p = more(r, &r->f->paths, &r->f->path_count, sizeof(*p));

	if (p) {
		p->kind = kind;
		p->mode = -1;
	}
	return p;
}

static void name_path(struct reader *r, struct deploy_path *p, const char *path)
{
	p->path = keep(r, path);
	if (p->path)
		return;
	free(p->to);
	r->f->path_count--;
}

static void take_mode(struct deploy_path *p, struct line *l)
{
	char *end, *text = word(l);
	long mode = strtol(text, &end, 8);

	p->mode = end != text && !*end && mode >= 0 && mode <= 07777 ? (int)mode : -1;
	copy(p->owner, sizeof(p->owner), word(l));
}

static void take_file(struct reader *r, struct line *l)
{
	struct deploy_path *p = add_path(r, DEPLOY_FILE);
	const char *sha;

	if (!p)
		return;
	take_mode(p, l);
	sha = word(l);
	if (strlen(sha) == DEPLOY_SHA && strspn(sha, "0123456789abcdef") == DEPLOY_SHA)
		strcpy(p->sha, sha);
	name_path(r, p, l->rest);
}

static void take_directory(struct reader *r, struct line *l)
{
	struct deploy_path *p = add_path(r, DEPLOY_DIRECTORY);

	if (!p)
		return;
	take_mode(p, l);
	name_path(r, p, l->rest);
}

static void take_link(struct reader *r, struct line *l)
{
	struct deploy_path *p = add_path(r, DEPLOY_LINK);

	if (!p)
		return;
	p->to = keep(r, word(l));
	name_path(r, p, l->rest);
}

static void take_other(struct reader *r, struct line *l)
{
	struct deploy_path *p = add_path(r, DEPLOY_OTHER);

	if (p)
		name_path(r, p, l->rest);
}

static void take_place(struct reader *r, struct line *l)
{
	struct deploy_place *p = more(r, &r->f->places, &r->f->place_count, sizeof(*p));
	const char *may;
	long long free_kib;

	if (!p)
		return;
	may = word(l);
	p->writable = strchr(may, 'w') != NULL;
	p->read_only = strchr(may, 'r') != NULL;
	p->no_exec = strchr(may, 'x') != NULL;
	free_kib = number(word(l), 0, INT64_MAX / 1024, -1);
	p->free = free_kib < 0 ? UINT64_MAX : (uint64_t)free_kib * 1024;
	p->path = keep(r, l->rest);
	if (!p->path)
		r->f->place_count--;
}

static void take_missing(struct reader *r, struct line *l)
{
	for (size_t i = 0; i < r->f->missing_count; i++)
		if (strcmp(r->f->missing[i], l->rest) == 0)
			return;
	if (l->rest[0] == '/')
		keep_in(r, &r->f->missing, &r->f->missing_count, l->rest);
}

static void take_interface(struct reader *r, struct line *l)
{
	struct deploy_interface *i = more(r, &r->f->interfaces, &r->f->interface_count, sizeof(*i));

	if (!i)
		return;
	i->up = strcmp(word(l), "up") == 0;
	i->mtu = (int)number(word(l), 0, INT32_MAX, 0);
	i->speed = (int)number(word(l), 0, INT32_MAX, 0);
	copy(i->name, sizeof(i->name), l->rest);
}

static void take_address(struct reader *r, struct line *l)
{
	char *text = word(l), *slash = strchr(text, '/');
	struct deploy_address *a;
	struct sock_addr parsed;

	if (slash)
		*slash = 0;
	if (sock_parse(text, 0, &parsed) || !sock_is_global(&parsed) || sock_is_loopback(&parsed))
		return;
	a = more(r, &r->f->addresses, &r->f->address_count, sizeof(*a));
	if (!a)
		return;
	a->address = parsed;
	sock_format(&parsed, a->text);
	a->prefix = slash ? (int)number(slash + 1, 0, 128, 128) : 128;
	copy(a->device, sizeof(a->device), l->rest);
}

/* As /proc/net/tcp has it on little-endian machines. */
static void listens_at(struct deploy_listener *k, const char *hex)
{
	unsigned int n = 0;

	k->six = strlen(hex) == 32;
	k->any = strspn(hex, "0") == strlen(hex);
	if (!k->six && sscanf(hex, "%8X", &n) == 1)
		snprintf(k->text, sizeof(k->text), "%u.%u.%u.%u", n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24);
}

static void take_any_listener(struct reader *r, struct line *l, bool udp)
{
	struct deploy_listener *k;
	const char *hex = word(l);

	if ((strlen(hex) != 8 && strlen(hex) != 32) || strspn(hex, "0123456789ABCDEFabcdef") != strlen(hex))
		return;
	k = more(r, &r->f->listeners, &r->f->listener_count, sizeof(*k));
	if (!k)
		return;
	listens_at(k, hex);
	k->udp = udp;
	k->pid = (int)number(word(l), 0, INT32_MAX, 0);
	copy(k->name, sizeof(k->name), l->rest);
}

static void take_listener(struct reader *r, struct line *l)
{
	take_any_listener(r, l, false);
}

static void take_datagrams(struct reader *r, struct line *l)
{
	take_any_listener(r, l, true);
}

static void take_process(struct reader *r, struct line *l)
{
	struct deploy_process *p = more(r, &r->f->processes, &r->f->process_count, sizeof(*p));

	if (!p)
		return;
	p->pid = (int)number(word(l), 0, INT32_MAX, 0);
	copy(p->name, sizeof(p->name), word(l));
	p->program = *l->rest ? keep(r, l->rest) : NULL;
}

static void take_volume(struct reader *r, struct line *l)
{
	int uid = (int)number(word(l), 0, INT32_MAX, -2);

	r->f->pool_uid = r->f->pool_uid == -1 || r->f->pool_uid == uid ? uid : -2;
	keep_in(r, &r->f->volumes, &r->f->volume_count, l->rest);
}

/* A name, or a directory's with '/' behind it. */
static bool is_name(const char *text)
{
	size_t n = strcspn(text, "/");

	return n && (!text[n] || !text[n + 1]) && strcmp(text, "./") != 0 && strcmp(text, "../") != 0 &&
		strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static void take_pooled(struct reader *r, struct line *l)
{
	if (is_name(l->rest))
		keep_in(r, &r->f->pooled, &r->f->pooled_count, l->rest);
}

static void take_state(struct reader *r, struct line *l)
{
	if (is_name(l->rest))
		keep_in(r, &r->f->state, &r->f->state_count, l->rest);
}

static void take_note(struct reader *r, struct line *l)
{
	if (*l->rest && r->f->note_count < sizeof(r->f->notes) / sizeof(r->f->notes[0]) &&
	    (r->f->notes[r->f->note_count] = keep(r, l->rest)))
		r->f->note_count++;
}

/* Reading. */

/* The next line's bounds; false at the end. */
static bool next_line(struct reader *r, const char **start, size_t *size)
{
	const char *newline;

	if (r->at >= r->end)
		return false;
	newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
	*start = r->at;
	*size = (size_t)((newline ? newline : r->end) - r->at);
	r->at = newline ? newline + 1 : r->end;
	return true;
}

/* The lines with '|' in front, up to another that has none and is not empty. */
static struct deploy_secret take_text(struct reader *r)
{
	struct deploy_secret s = { NULL, 0 };
	const char *line;
	size_t n;

	s.text = secure_alloc((size_t)(r->end - r->at) + 1);
	r->no_memory |= !s.text;
	while (s.text && next_line(r, &line, &n) && (!n || line[0] == '|')) {
		if (!n)
			continue;
		memcpy(s.text + s.size, line + 1, n - 1);
		s.size += n - 1;
		s.text[s.size++] = '\n';
	}
	return s;
}

static void take_file_text(struct reader *r, const char *which)
{
	struct deploy_secret s = take_text(r);

	if (s.text && !r->f->config.text && strcmp(which, "config") == 0) {
		r->f->config = s;
		return;
	}
	if (s.text && !r->f->manifest && strcmp(which, "manifest") == 0 && !memchr(s.text, 0, s.size)) {
		r->f->manifest = strdup(s.text);
		r->no_memory |= !r->f->manifest;
	}
	deploy_secret_free(&s);
}

static const struct {
	const char *word;
	void (*take)(struct reader *r, struct line *l);
} words[] = {
	{ "uid", take_uid }, { "user", take_user }, { "host", take_host }, { "machine", take_machine },
	{ "kernel", take_kernel }, { "system", take_system }, { "via", take_via }, { "time", take_time },
	{ "processors", take_processors }, { "account", take_account }, { "has", take_has }, { "file", take_file },
	{ "directory", take_directory }, { "link", take_link }, { "other", take_other }, { "place", take_place },
	{ "missing", take_missing }, { "interface", take_interface }, { "address", take_address },
	{ "listener", take_listener }, { "datagrams", take_datagrams }, { "process", take_process }, { "volume", take_volume },
	{ "pooled", take_pooled }, { "state", take_state }, { "note", take_note },
};

static void take_line(struct reader *r, const char *start, size_t size)
{
	char text[8192];
	struct line l = { text };
	const char *first;

	if (size >= sizeof(text) || memchr(start, 0, size))
		return;
	memcpy(text, start, size);
	text[size] = 0;
	first = word(&l);
	if (strcmp(first, "text") == 0) {
		take_file_text(r, l.rest);
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, first) == 0)
			words[i].take(r, &l);
}

/* "MARKER what" and the line's end, from `from` on: where it begins; NULL: there is none.  What a login prints
 * before may be without an end of line, so it need not stand at a line's beginning. */
static const char *find_mark(const char *from, const char *end, const char *marker, const char *what, const char **behind)
{
	char line[200];
	size_t n = (size_t)snprintf(line, sizeof(line), "%s %s\n", marker, what);

	const char *at = n < sizeof(line) ? memmem(from, (size_t)(end - from), line, n) : NULL;

	if (at)
		*behind = at + n;
	return at;
}

/* What came instead of facts: its last line that says something, for the message. */
static void last_words(const char *said, size_t size, char out[160])
{
	const char *end = said + size, *start;

	while (end > said && isspace((unsigned char)end[-1]))
		end--;
	for (start = end; start > said && start[-1] != '\n' && end - start < 150; start--)
		;
	snprintf(out, 160, "%.*s", (int)(end - start), start);
	err_clean(out);
}

static int find_lines(struct reader *r, const char *said, size_t size, const char *marker, struct err *e)
{
	const char *end = said + size, *behind;
	char words_said[160];

	if (find_mark(said, end, marker, "begin", &r->at)) {
		r->end = find_mark(r->at, end, marker, "end", &behind);
		if (r->end)
			return 0;
		err_set(e, EPROTO, "the host stopped in the middle of telling what it is");
		err_next(e, "try again; if it stays so, see whether 'ssh HOST sh' works and the host is not overloaded");
		return -EPROTO;
	}
	last_words(said, size, words_said);
	err_set(e, EPROTO, *words_said ? "the login runs no sh: the host said: %s" :
		"the login runs no sh: the host said nothing", words_said);
	err_next(e, "log in as a user whose login runs commands ('ssh HOST sh -c true' has to work)");
	return -EPROTO;
}

struct deploy_facts *deploy_facts_parse(const char *said, size_t size, const char *marker, struct err *e)
{
	struct reader r = { .f = NULL };
	const char *line;
	size_t n;

	if (find_lines(&r, said, size, marker, e))
		return NULL;
	r.f = calloc(1, sizeof(*r.f));
	if (!r.f) {
		err_set(e, ENOMEM, "no memory");
		return NULL;
	}
	r.f->uid = r.f->server_uid = r.f->server_gid = r.f->pool_uid = -1;
	while (next_line(&r, &line, &n))
		take_line(&r, line, n);
	if (!r.no_memory && r.f->uid >= 0 && *r.f->machine && *r.f->kernel)
		return r.f;
	if (r.no_memory)
		err_set(e, ENOMEM, "no memory");
	else
		err_set(e, EPROTO, "the host does not say who one is there, or its kernel: id and uname lack or say nothing");
	deploy_facts_free(r.f);
	return NULL;
}

/* Asking and freeing. */

const struct deploy_path *deploy_facts_path(const struct deploy_facts *f, const char *path)
{
	static const struct deploy_path absent = { .kind = DEPLOY_ABSENT, .mode = -1 };

	for (size_t i = 0; i < f->path_count; i++)
		if (strcmp(f->paths[i].path, path) == 0)
			return &f->paths[i];
	return &absent;
}

const struct deploy_place *deploy_facts_place(const struct deploy_facts *f, const char *path)
{
	for (size_t i = 0; i < f->place_count; i++)
		if (strcmp(f->places[i].path, path) == 0)
			return &f->places[i];
	return NULL;
}

void deploy_secret_free(struct deploy_secret *s)
{
	secure_free(s->text);
	*s = (struct deploy_secret){ NULL, 0 };
}

static void free_strings(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void deploy_facts_free(struct deploy_facts *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->path_count; i++) {
		free(f->paths[i].path);
		free(f->paths[i].to);
	}
	for (size_t i = 0; i < f->place_count; i++)
		free(f->places[i].path);
	for (size_t i = 0; i < f->process_count; i++)
		free(f->processes[i].program);
	for (size_t i = 0; i < f->note_count; i++)
		free(f->notes[i]);
	free(f->paths);
	free(f->places);
	free(f->interfaces);
	free(f->addresses);
	free(f->processes);
	free(f->listeners);
	free_strings(f->missing, f->missing_count);
	free_strings(f->volumes, f->volume_count);
	free_strings(f->pooled, f->pooled_count);
	free_strings(f->state, f->state_count);
	deploy_secret_free(&f->config);
	free(f->manifest);
	free(f);
}
