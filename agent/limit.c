/* limit.c - see limit.h. */
#include "limit.h"

#define SECOND_NS UINT64_C(1000000000)

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

bool limit_set(struct limit *l, const struct limit_rates *r)
{
	double burst = r->burst > 0 ? r->burst : LIMIT_BURST;
	uint64_t bytes = (uint64_t)(r->mbps * 1e6 + 0.5), ns = (uint64_t)(burst * 1e9 + 0.5);

	if (ns < (uint64_t)(LIMIT_BURST_MIN * 1e9))
		ns = (uint64_t)(LIMIT_BURST_MIN * 1e9);
	if (r->mbps > 0 && !bytes)
		bytes = 1;
	if (get(&l->iops) == r->iops && get(&l->bytes_a_second) == bytes && (get(&l->burst) == ns || (!r->iops && !bytes)))
		return false;
	atomic_store(&l->iops, r->iops);
	atomic_store(&l->bytes_a_second, bytes);
	atomic_store(&l->burst, ns);
	/* What was promised at another rate is nothing now. */
	atomic_store(&l->requests.due, 0);
	atomic_store(&l->bytes.due, 0);
	return true;
}

struct limit_rates limit_get(const struct limit *l)
{
	return (struct limit_rates){
		.iops = get(&l->iops),
		.mbps = (double)get(&l->bytes_a_second) / 1e6,
		.burst = (double)get(&l->burst) / 1e9,
	};
}

/* count is at most 2^30: the product fits. */
static uint64_t cost(uint64_t count, uint64_t a_second)
{
	return (count * SECOND_NS + a_second / 2) / a_second;
}

uint64_t limit_wait(const struct limit *l, uint64_t now)
{
	uint64_t burst = get(&l->burst), requests = 0, bytes = 0;

	if (get(&l->iops))
		requests = pace_wait(&l->requests, now, burst);
	if (get(&l->bytes_a_second))
		bytes = pace_wait(&l->bytes, now, burst);
	return requests > bytes ? requests : bytes;
}

uint64_t limit_use(struct limit *l, uint64_t now, uint32_t bytes)
{
	uint64_t iops = get(&l->iops), rate = get(&l->bytes_a_second), burst = get(&l->burst);
	uint64_t from = 0, other;

	if (iops)
		from = pace_use(&l->requests, now, cost(1, iops));
	if (rate && (other = pace_use(&l->bytes, now, cost(bytes, rate))) > from)
		from = other;
	return from > now + burst ? from - burst : now;
}

void limit_return(struct limit *l, uint32_t bytes)
{
	uint64_t iops = get(&l->iops), rate = get(&l->bytes_a_second);

	if (iops)
		pace_return(&l->requests, cost(1, iops));
	if (rate)
		pace_return(&l->bytes, cost(bytes, rate));
}
