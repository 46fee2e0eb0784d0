/* status_numbers.c - see status_numbers.h. */
#include <stdlib.h>
#include "client.h"
#include "handle.h"
#include "latency.h"
#include "numbers.h"
#include "status_numbers.h"

static void put(json_t *j, const char *key, uint64_t n)
{
	json_object_set_new(j, key, json_integer((json_int_t)n));
}

static void put_rates(json_t *j, const struct numbers_sum *n)
{
	put(j, "queue", n->queue);
	json_object_set_new(j, "read_iops", json_real(n->read_iops));
	json_object_set_new(j, "read_rate", json_real(n->read_rate));
	json_object_set_new(j, "read_latency", latency_json(&n->latency[0]));
	json_object_set_new(j, "write_iops", json_real(n->write_iops));
	json_object_set_new(j, "write_rate", json_real(n->write_rate));
	json_object_set_new(j, "write_latency", latency_json(&n->latency[1]));
}

static void put_sum(json_t *j, const struct numbers_sum *n)
{
	put(j, "reads", n->reads);
	put(j, "read_bytes", n->read_bytes);
	put(j, "writes", n->writes);
	put(j, "write_bytes", n->write_bytes);
	put(j, "flushes", n->flushes);
	put(j, "others", n->others);
	put(j, "failed", n->failed);
	put_rates(j, n);
}

struct users {
	json_t *list;
	struct volume *volume;
};

static void add_user(void *arg, const char *node)
{
	struct users *u = arg;
	struct numbers_sum *n = calloc(1, sizeof(*n));
	json_t *j = json_pack("{s:s}", "node", node);

	if (n) {
		numbers_of_node(u->volume, node, n);
		put_sum(j, n);
	}
	json_array_append_new(u->list, j);
	free(n);
}

void status_add_numbers(json_t *volume, struct volume *v)
{
	struct numbers_sum *n = calloc(1, sizeof(*n));
	struct users u = { json_array(), v };

	if (n) {
		numbers_of_volume(v, n);
		put_sum(volume, n);
	}
	free(n);
	numbers_nodes(v, add_user, &u);
	json_object_set_new(volume, "users", u.list);
}

static void add_handle(void *arg, struct handle *h)
{
	numbers_of_handle(h, arg);
}

void status_add_client(json_t *session, struct client *c)
{
	struct numbers_sum *n = calloc(1, sizeof(*n));

	if (!n)
		return;
	handle_each(&c->handles, add_handle, n);
	put_rates(session, n);
	free(n);
}
