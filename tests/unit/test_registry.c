/* links: agent
 * test_registry.c - ten thousand volumes that come, go and change places, beside a naive
 * model of what their names, order and numbers have to be.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../agent/status.h"
#include "../seed.h"
#include "agent_parts.h"

#define MANY 10000u
#define SOME 400u

static struct volume *all[MANY];
static bool in[MANY];
static uint32_t expected[MANY];		/* once numbers stay */
static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* No file behind it: the registry does not look there. */
static struct volume *make(unsigned i)
{
	struct volume *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->server = &server;
	v->fd = v->place.fd = -1;
	for (unsigned k = 0; k < WORKERS_PER_VOLUME; k++)
		v->fd_sync[k] = -1;
	atomic_init(&v->refs, 1);
	v->snapshot = i % 5 == 4;
	v->order = (int)(i % 3);
	snprintf(v->name, sizeof(v->name), v->snapshot ? "v%05u@s" : "v%05u", i * 7919 % MANY);
	memcpy(v->uuid, &i, sizeof(i));
	v->path = strdup(v->name);
	return v;
}

static int set_up(void **s)
{
	(void)s;
	parts_start(1);
	state = test_seed(7);
	for (unsigned i = 0; i < MANY; i++)
		all[i] = make(i);
	memset(in, 0, sizeof(in));
	return 0;
}

static int tear_down(void **s)
{
	(void)s;
	for (unsigned i = 0; i < MANY; i++)
		volume_put(all[i]);
	parts_stop();
	return 0;
}

static void add(unsigned i)
{
	struct err e = { 0 };

	assert_int_equal(registry_add(server.registry, all[i], WIRE_EVENT_VOLUME_ADDED, &e), 0);
	in[i] = true;
}

static void drop(unsigned i)
{
	registry_remove(server.registry, all[i], WIRE_E_NO_VOLUME);
	in[i] = false;
}

/* All are found, and stand in their order: snapshots last, then by order and name. */
static size_t check_order(void)
{
	const struct volume *last = NULL, *v;
	size_t count = 0;

	registry_lock(server.registry);
	for (; (v = registry_at(server.registry, count)); last = v, count++)
		assert_true(!last || last->snapshot < v->snapshot ||
			    (last->snapshot == v->snapshot && (last->order < v->order ||
			     (last->order == v->order && strcmp(last->name, v->name) < 0))));
	for (unsigned i = 0; i < MANY; i++)
		assert_ptr_equal(registry_find(server.registry, all[i]->name), in[i] ? all[i] : NULL);
	registry_unlock(server.registry);
	return count;
}

static void numbers_follow_the_order(void **s)
{
	uint32_t disks = 0, snapshots = 0;
	struct volume *v;

	(void)s;
	for (unsigned i = 0; i < MANY; i++)
		add(i);
	for (unsigned i = 0; i < MANY; i += 3)
		drop(i);
	assert_int_equal(check_order(), MANY - (MANY + 2) / 3);
	for (size_t i = 0; (v = registry_at(server.registry, i)); i++)
		assert_int_equal(v->id, v->snapshot ? snapshots++ : disks++);
	assert_int_equal(disks + snapshots, MANY - (MANY + 2) / 3);
}

static uint32_t least_free(bool snapshot)
{
	bool taken[SOME + 1] = { false };
	uint32_t n = 0;

	for (unsigned i = 0; i < SOME; i++)
		if (in[i] && all[i]->snapshot == snapshot)
			taken[expected[i]] = true;
	while (taken[n])
		n++;
	return n;
}

static void numbers_stay_once_seen(void **s)
{
	(void)s;
	for (unsigned i = 0; i < SOME / 2; i++)
		add(i);
	registry_lock(server.registry);
	registry_seen(server.registry);
	registry_unlock(server.registry);
	for (unsigned i = 0; i < SOME / 2; i++)
		expected[i] = all[i]->id;
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = below(SOME);
		struct volume_attributes a = { NULL, false, 0, (int)below(3) };

		if (!in[i]) {
			expected[i] = least_free(all[i]->snapshot);
			add(i);
		} else if (below(2)) {
			drop(i);
		} else {
			registry_update(server.registry, all[i], &a);
			assert_int_equal(all[i]->order, a.order);
		}
		for (unsigned k = 0; k < SOME; k++)
			assert_true(!in[k] || all[k]->id == expected[k]);
	}
	check_order();
}

static void twice_is_refused(void **s)
{
	struct volume *same_name = make(3), *same_uuid = make(3);
	struct err e = { 0 };

	(void)s;
	for (unsigned i = 0; i < 100; i++)
		add(i);
	same_name->uuid[15] = 1;
	strcpy(same_uuid->name, "other");
	assert_int_equal(registry_add(server.registry, same_name, WIRE_EVENT_VOLUME_ADDED, &e), -EEXIST);
	assert_non_null(strstr(e.text, all[3]->name));
	assert_int_equal(registry_add(server.registry, same_uuid, WIRE_EVENT_VOLUME_ADDED, &e), -EEXIST);
	assert_non_null(strstr(e.text, "same UUID"));
	drop(3);
	assert_int_equal(registry_add(server.registry, same_uuid, WIRE_EVENT_VOLUME_ADDED, &e), 0);
	assert_int_equal(registry_add(server.registry, same_name, WIRE_EVENT_VOLUME_ADDED, &e), 0);
	volume_put(same_name);
	volume_put(same_uuid);
}

/*
 * Who opens a volume takes the lock, so nothing is described under it: each so often, when
 * memory for JSON is wanted, somebody else has to get it.
 */
#define PATIENCE 60			/* seconds, and only where it is wrong */

static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static unsigned turn_asked, turn_had, allocations;
static bool turn_denied, no_more_turns;

static void *opener(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&turn_lock);
	while (!no_more_turns) {
		if (turn_had == turn_asked) {
			pthread_cond_wait(&turn_changed, &turn_lock);
			continue;
		}
		pthread_mutex_unlock(&turn_lock);
		registry_lock(server.registry);
		registry_find(server.registry, "v00000");
		registry_unlock(server.registry);
		pthread_mutex_lock(&turn_lock);
		turn_had++;
		pthread_cond_broadcast(&turn_changed);
	}
	pthread_mutex_unlock(&turn_lock);
	return NULL;
}

static void *json_memory(size_t n)
{
	struct timespec until;

	if (++allocations % 997 || turn_denied)
		return malloc(n);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&turn_lock);
	turn_asked++;
	pthread_cond_broadcast(&turn_changed);
	while (turn_had != turn_asked && !turn_denied)
		turn_denied = pthread_cond_timedwait(&turn_changed, &turn_lock, &until) == ETIMEDOUT;
	pthread_mutex_unlock(&turn_lock);
	return malloc(n);
}

static void described_without_the_lock(void **s)
{
	pthread_t thread;
	json_t *list;
	size_t i;
	json_t *v;

	(void)s;
	for (i = 0; i < SOME; i++) {
		all[i]->ops = &volume_file_ops;
		add((unsigned)i);
	}
	assert_int_equal(pthread_create(&thread, NULL, opener, NULL), 0);
	json_set_alloc_funcs(json_memory, free);
	list = status_volumes_json(&server);
	json_set_alloc_funcs(malloc, free);
	pthread_mutex_lock(&turn_lock);
	no_more_turns = true;
	pthread_cond_broadcast(&turn_changed);
	pthread_mutex_unlock(&turn_lock);
	pthread_join(thread, NULL);
	assert_false(turn_denied);
	assert_true(turn_had > 3);
	assert_int_equal(json_array_size(list), SOME);
	json_array_foreach(list, i, v)
		assert_string_equal(json_string_value(json_object_get(v, "name")),
				    registry_at(server.registry, i)->name);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_follow_the_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(numbers_stay_once_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(twice_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(described_without_the_lock, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
