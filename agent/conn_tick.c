/* conn_tick.c - connections that are silent, too slow or too late: looked for once a second.  See conn.h. */
#include "conn.h"
#include "lease.h"

static void check_silence(struct conn *c, uint64_t now)
{
	if (c->deadline && now >= c->deadline) {
		static const char *const why[] = {
			[CONN_HELLO] = "no login within 5 s",
			[CONN_AUTH] = "no login within 5 s",
			[CONN_JOINING] = "the session that it replaces has not ended",
			[CONN_UP] = "",
			[CONN_LEAVING] = "it does not take its last replies",
			[CONN_DRAINING] = "it does not close",
		};

		conn_close(c, c->state == CONN_DRAINING ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s",
			   why[c->state]);
	} else if (c->state == CONN_UP && now >= c->heard + WIRE_LEASE * SECOND &&
		   (!c->stopped || conn_sends(c))) {
		/* Not if it is us who do not listen, because workers are slow. */
		conn_close(c, LOG_LEVEL_WARNING, "silent for %d s", WIRE_LEASE);
	} else if (c->state == CONN_UP && lease_over(&c->client->lease, now)) {
		/* Its session ends: this is for a connection that could not be told so. */
		conn_close(c, LOG_LEVEL_INFO, "its lease is over");
	}
}

void conn_tick(struct engine *l)
{
	struct conn *c, *next;

	for (c = l->conns; c; c = next) {
		next = c->next;
		if (c->state == CONN_DEAD)
			continue;
		check_silence(c, l->now);
		/* Memory that others gave back is a reason to read again. */
		if (c->stopped)
			conn_touch(c);
	}
	arena_trim(&l->arena);
	conn_settle(l);
}
