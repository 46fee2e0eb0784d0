/* audit.c - see audit.h. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "audit.h"
#include "engine.h"
#include "sock.h"
#include "wire.h"

struct bucket {
	uint64_t since;
	unsigned used;
};

struct speaker {
	char name[SOCK_TEXT_MAX];
	uint64_t seen;			/* 0: this place is free */
	struct bucket lines;
	unsigned left_out;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct speaker sources[AUDIT_SOURCES];
static struct bucket all, all_changes;
static unsigned left_out_others;	/* of sources whose place was taken */

static bool take(struct bucket *b, uint64_t now, unsigned most, unsigned a_second)
{
	uint64_t back = now > b->since ? (now - b->since) * a_second / SECOND : 0;

	if (back || !b->used) {
		b->used = back < b->used ? b->used - (unsigned)back : 0;
		b->since = now;
	}
	if (b->used >= most)
		return false;
	b->used++;
	return true;
}

/* Its place, or that of the one that was longest silent. */
static struct speaker *find(const char *name)
{
	struct speaker *oldest = sources;

	for (struct speaker *s = sources; s < sources + AUDIT_SOURCES; s++) {
		if (s->seen && strcmp(s->name, name) == 0)
			return s;
		if (s->seen < oldest->seen)
			oldest = s;
	}
	left_out_others += oldest->left_out;
	memset(oldest, 0, sizeof(*oldest));
	snprintf(oldest->name, sizeof(oldest->name), "%s", name);
	return oldest;
}

static void say_left_out(const char *name, unsigned n)
{
	if (n)
		log_warning("audit", "%u lines about %s were left out", n, name);
}

static bool room(const char *name, struct bucket *of_all, uint64_t now)
{
	unsigned left_out = 0;
	struct speaker *s;
	bool ok;

	pthread_mutex_lock(&lock);
	s = find(name);
	s->seen = now;
	ok = take(&s->lines, now, AUDIT_AT_ONCE, 1) && take(of_all, now, AUDIT_ALL_AT_ONCE, 5);
	if (!ok) {
		s->left_out++;
	} else {
		left_out = s->left_out;
		s->left_out = 0;
	}
	pthread_mutex_unlock(&lock);
	say_left_out(name, left_out);
	return ok;
}

bool audit_room(const char *name, uint64_t now)
{
	return room(name, &all, now);
}

static void say(enum log_level level, const char *fmt, va_list ap)
{
	char text[WIRE_TEXT_MAX + 300];

	vsnprintf(text, sizeof(text), fmt, ap);
	log_line(level, "audit", "%s", text);
}

void audit(const char *source, uint64_t now, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!room(source, &all, now))
		return;
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
}

void audit_change(const char *who, uint64_t now, enum log_level level, const char *fmt, ...)
{
	char name[SOCK_TEXT_MAX];
	va_list ap;

	snprintf(name, sizeof(name), "changes by %s", who);
	if (!room(name, &all_changes, now))
		return;
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
}

void audit_tick(uint64_t now)
{
	struct speaker quiet[AUDIT_SOURCES];
	unsigned count = 0, others;

	pthread_mutex_lock(&lock);
	for (struct speaker *s = sources; s < sources + AUDIT_SOURCES; s++) {
		if (!s->left_out || now < s->seen + AUDIT_QUIET * SECOND)
			continue;
		quiet[count++] = *s;
		s->left_out = 0;
	}
	others = left_out_others;
	left_out_others = 0;
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < count; i++)
		say_left_out(quiet[i].name, quiet[i].left_out);
	say_left_out("other addresses", others);
}
