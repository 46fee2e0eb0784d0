/* play_order.c - see play_order.h. */
#include <string.h>
#include "fuzz.h"
#include "play_order.h"

#define WRITES 128
#define SENDINGS 6
#define CONNECTIONS 64

struct sending {
	unsigned connection;
	uint64_t cookie;
	bool answered;
	bool settled;		/* answered, fenced, or its session is gone */
};

static struct write {
	const void *volume;
	uint64_t offset;
	uint32_t count;
	uint64_t told;		/* how many writes had been submitted by then, itself included */
	bool done;
	struct sending sent[SENDINGS];
	unsigned sendings;
} writes[WRITES];

static struct connection {
	uint8_t session[16];
	uint32_t number;
	unsigned server;
	bool granted;
	enum { OPEN, ENDING, ENDED } state;	/* ENDING: until all is heard */
	uint64_t ended;		/* how many writes had been submitted by then */
} connections[CONNECTIONS];

static uint64_t count;		/* of writes */
static bool judges, unnamed;

void order_begin(void)
{
	memset(connections, 0, sizeof(connections));
	count = 0;
	judges = true;
	unnamed = false;
}

void order_unknown(void)
{
	judges = false;
}

static struct write *write_of(uint64_t number)
{
	return number && number <= count ? &writes[number - 1] : NULL;
}

uint64_t order_submitted(const void *volume, uint64_t offset, uint32_t length)
{
	if (count == WRITES) {
		judges = false;
		return 0;
	}
	writes[count] = (struct write){ .volume = volume, .offset = offset, .count = length };
	return ++count;
}

void order_told(uint64_t number)
{
	struct write *w = write_of(number);

	if (w && !w->told)
		w->told = count;
}

void order_done(uint64_t number)
{
	struct write *w = write_of(number);

	if (w)
		w->done = true;
}

static bool overlap(const struct write *a, const struct write *b)
{
	return a->volume == b->volume && a->offset < b->offset + b->count &&
	       b->offset < a->offset + a->count;
}

/* May that one not be sent before the old one is complete? */
static bool must_wait(const struct write *old, uint64_t number)
{
	if (old->done)
		return false;
	if (old->told && old->told < number)
		return true;
	for (unsigned i = 0; i < old->sendings; i++) {
		const struct connection *c = &connections[old->sent[i].connection];

		if (!old->sent[i].answered && c->state == ENDED && c->ended < number)
			return true;
	}
	return false;
}

static void judge(const struct write *w)
{
	uint64_t number = (uint64_t)(w - writes) + 1;

	for (unsigned i = 0; i < w->sendings; i++)
		fuzz_check(w->sent[i].settled);
	for (const struct write *old = writes; old < w; old++)
		fuzz_check(!overlap(old, w) || !must_wait(old, number));
}

void order_heard(unsigned connection, uint64_t number, uint64_t cookie)
{
	struct write *w = write_of(number);

	if (!judges || !w)
		return;
	judge(w);
	if (connection >= CONNECTIONS || w->sendings == SENDINGS) {
		judges = false;
		return;
	}
	w->sent[w->sendings++] = (struct sending){ .connection = connection, .cookie = cookie };
}

void order_answered(unsigned connection, uint64_t cookie)
{
	for (uint64_t n = 0; n < count; n++)
		for (unsigned i = 0; i < writes[n].sendings; i++) {
			struct sending *s = &writes[n].sent[i];

			if (s->connection == connection && s->cookie == cookie)
				s->answered = s->settled = true;
		}
}

static void settle(unsigned connection)
{
	for (uint64_t n = 0; n < count; n++)
		for (unsigned i = 0; i < writes[n].sendings; i++)
			if (writes[n].sent[i].connection == connection)
				writes[n].sent[i].settled = true;
}

static bool same_session(unsigned a, const uint8_t session[16])
{
	return connections[a].granted && memcmp(connections[a].session, session, 16) == 0;
}

void order_granted(unsigned connection, unsigned server, const uint8_t session[16], uint32_t number)
{
	struct connection *c;

	if (connection >= CONNECTIONS || !number) {
		judges = false;
		return;
	}
	c = &connections[connection];
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		bool same = same_session(i, session);

		/* A server gives out no number twice, and no session while it has another. */
		if (same && connections[i].number == number)
			judges = false;
		if (connections[i].granted && connections[i].server == server && !same)
			settle(i);
	}
	memcpy(c->session, session, sizeof(c->session));
	c->number = number;
	c->server = server;
	c->granted = true;
}

void order_fenced(unsigned by, uint32_t number)
{
	if (by >= CONNECTIONS)
		return;
	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (same_session(i, connections[by].session) && connections[i].number == number)
			settle(i);
}

void order_took_over(unsigned server, unsigned newest)
{
	for (unsigned i = 0; i < CONNECTIONS && i <= newest; i++)
		if (connections[i].granted && connections[i].server == server)
			settle(i);
	if (unnamed)
		judges = false;
}

void order_unnamed(void)
{
	unnamed = true;
}

void order_ended(unsigned connection)
{
	if (connection < CONNECTIONS && connections[connection].state == OPEN)
		connections[connection].state = ENDING;
}

void order_all_heard(void)
{
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (connections[i].state != ENDING)
			continue;
		connections[i].state = ENDED;
		connections[i].ended = count;
	}
}
