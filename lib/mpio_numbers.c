/* mpio_numbers.c - what a volume has done, how long it took, and how much it does of late. */
#include <stdlib.h>
#include "mpio_impl.h"

#define LOOK_EVERY 1000000000	/* ns */

/* Histograms come with the first command of their kind: most volumes are never used. */
static void note_latency(struct mpio *v, const struct command *c)
{
	struct histogram **h = &v->latency[c->type == WIRE_WRITE];

	if (!*h)
		*h = calloc(1, sizeof **h);
	if (*h)
		histogram_add(*h, loop_now(v->loop) - c->submitted, 1);
}

static void look_again(struct mpio *v)
{
	v->looked = v->counts;
	v->looked_at = loop_now(v->loop);
	loop_arm(v->loop, &v->look, v->looked_at + LOOK_EVERY);
}

/* Once a second, as long as it is used. */
void mpio_look(struct loop_timer *t)
{
	struct mpio *v = container_of(t, struct mpio, look);
	const struct mpio_counts *n = &v->counts, *before = &v->looked;
	double seconds = (double)(loop_now(v->loop) - v->looked_at) / 1e9;

	v->rates = (struct mpio_rates){
		.reads = (double)(n->reads - before->reads) / seconds,
		.writes = (double)(n->writes - before->writes) / seconds,
		.read_bytes = (double)(n->read_bytes - before->read_bytes) / seconds,
		.write_bytes = (double)(n->write_bytes - before->write_bytes) / seconds,
	};
	if (n->reads != before->reads || n->writes != before->writes)
		look_again(v);
}

void mpio_count(struct mpio *v, const struct command *c, int error)
{
	struct mpio_counts *n = &v->counts;

	if (!v->look.place)
		look_again(v);
	if (c->resent)
		n->resent++;
	if (error) {
		n->errors++;
		return;
	}
	switch (c->type) {
	case WIRE_READ:
		n->reads++;
		n->read_bytes += c->count;
		note_latency(v, c);
		break;
	case WIRE_WRITE:
		n->writes++;
		n->write_bytes += c->count;
		note_latency(v, c);
		break;
	case WIRE_FLUSH:
		n->flushes++;
		break;
	default:
		n->others++;
		break;
	}
}

const struct mpio_counts *mpio_counts(const struct mpio *v)
{
	return &v->counts;
}

const struct mpio_rates *mpio_rates(const struct mpio *v)
{
	return &v->rates;
}

const struct histogram *mpio_latency(const struct mpio *v, bool write)
{
	return v->latency[write];
}
