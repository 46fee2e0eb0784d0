/* links: agent
 * test_catalog.c - volumes and snapshots are made, changed and thrown away.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../agent/catalog.h"
#include "../../agent/pool.h"
#include "../../agent/text.h"
#include "agent_parts.h"

#define MIB (UINT64_C(1) << 20)

static struct pool *pool;
static struct catalog_job job;
static struct err e;

static void open_pool(void)
{
	struct conf_pool conf = { .name = "main", .path = dir };

	pool = pool_open(&server, &conf, 0, &e);
	if (!pool)
		fail_msg("%s", e.text);
	pool_look(pool);
}

static int set_up(void **state)
{
	(void)state;
	memset(&job, 0, sizeof(job));
	memset(&e, 0, sizeof(e));
	parts_start(1);
	setenv("POOL", dir, 1);
	open_pool();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pool_close(pool);
	parts_stop();
	return 0;
}

static struct volume *find(const char *name)
{
	struct volume *v;

	registry_lock(server.registry);
	v = registry_find(server.registry, name);
	registry_unlock(server.registry);
	return v;
}

static bool there(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

#define done(call) do { int r_ = (call); if (r_) fail_msg("%d: %s", r_, e.text); } while (0)
/* It fails so, and says of what. */
#define refused(call, code_, part) do { \
	e = (struct err){ 0 }; \
	assert_int_equal(call, -(code_)); \
	assert_int_equal(e.code, code_); \
	if (!strstr(e.text, part)) \
		fail_msg("\"%s\" is not in: %s", part, e.text); \
} while (0)

/* Nothing is left of what was prepared. */
static void assert_no_work(void)
{
	assert_true(rmdir(in_dir(".rsio.work")) == 0 || errno == ENOENT);
	assert_true(system("cd / && ! grep -qE '^(move|remove)' \"$POOL\"/.rsio.journal") == 0);
}

static void volumes_are_made_and_removed(void **state)
{
	struct catalog_info info;

	(void)state;
	done(catalog_create(pool, &job, "a", 10 * MIB, false, &e));
	assert_int_equal(atomic_load(&find("a")->size), 10 * MIB);
	assert_true(there("a.raw") && there("a.meta"));
	assert_no_work();
	done(catalog_info(pool, "a", &info, &e));
	assert_int_equal(info.size, 10 * MIB);
	assert_int_equal(info.allocated, 0);
	assert_memory_equal(info.meta.uuid, find("a")->uuid, 16);
	assert_true(info.meta.generation == find("a")->generation);

	done(catalog_create(pool, &job, "b", 4 * MIB, true, &e));
	done(catalog_info(pool, "b", &info, &e));
	assert_true(info.allocated >= 4 * MIB);
	done(catalog_remove(pool, &job, "a", false, &e));
	assert_null(find("a"));
	assert_non_null(find("b"));
	assert_false(there("a.raw") || there("a.meta"));
	assert_no_work();
}

static void sizes_are_changed(void **state)
{
	struct catalog_info before, after;
	struct volume *v;

	(void)state;
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	v = volume_get(find("a"));
	done(catalog_info(pool, "a", &before, &e));
	done(catalog_resize(pool, &job, "a", 3 * MIB, false, &e));
	assert_ptr_equal(find("a"), v);
	assert_int_equal(atomic_load(&v->size), 3 * MIB);
	refused(catalog_resize(pool, &job, "a", MIB, false, &e), EPERM, "3 MiB");
	assert_int_equal(atomic_load(&v->size), 3 * MIB);
	atomic_fetch_or(&v->guard, GUARD_COW);	/* a snapshot still needs what is to be cut off */
	refused(catalog_resize(pool, &job, "a", MIB, true, &e), EBUSY, "copy of a");
	assert_int_equal(atomic_load(&v->size), 3 * MIB);
	atomic_store(&v->guard, 0);
	assert_false(v->barred);
	done(catalog_info(pool, "a", &after, &e));
	assert_int_equal(after.meta.generation, before.meta.generation);
	done(catalog_resize(pool, &job, "a", MIB, true, &e));
	/* Who had the old end has to find another generation, whatever size it has by then. */
	assert_int_equal(atomic_load(&v->gone), WIRE_E_GENERATION);
	volume_put(v);
	v = find("a");
	assert_int_equal(atomic_load(&v->size), MIB);
	assert_false(v->barred);
	done(catalog_info(pool, "a", &after, &e));
	assert_true(after.meta.generation > before.meta.generation);
	assert_int_equal(v->generation, after.meta.generation);
	assert_memory_equal(after.meta.uuid, before.meta.uuid, sizeof(before.meta.uuid));
}

static void names_are_changed(void **state)
{
	uint8_t uuid[16];
	uint64_t generation;

	(void)state;
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	memcpy(uuid, find("a")->uuid, 16);
	generation = find("a")->generation;
	done(catalog_rename(pool, &job, "a", "b", &e));
	assert_null(find("a"));
	assert_memory_equal(find("b")->uuid, uuid, 16);
	assert_true(find("b")->generation == generation);
	assert_false(there("a.raw") || there("a.meta"));
	assert_no_work();
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	assert_memory_not_equal(find("a")->uuid, uuid, 16);
	refused(catalog_rename(pool, &job, "a", "b", &e), EEXIST, "volume b");
	refused(catalog_rename(pool, &job, "c", "d", &e), ENOENT, "volume c");
	assert_no_work();
}

static void bad_input_is_named(void **state)
{
	struct catalog_name n;

	(void)state;
	refused(catalog_create(pool, &job, "", MIB, false, &e), EINVAL, "\"\"");
	refused(catalog_create(pool, &job, "../x", MIB, false, &e), EINVAL, "../x");
	refused(catalog_create(pool, &job, ".x", MIB, false, &e), EINVAL, ".x");
	refused(catalog_create(pool, &job, "a@b", MIB, false, &e), EINVAL, "a@b");
	refused(catalog_create(pool, &job, "12345678901234567890123456789012345678901", MIB, false, &e), EINVAL, "1234");
	refused(catalog_create(pool, &job, "a", 0, false, &e), EINVAL, "0 bytes");
	refused(catalog_create(pool, &job, "a", 513, false, &e), EINVAL, "513 bytes");
	refused(catalog_create(pool, &job, "a", UINT64_MAX - 511, false, &e), EINVAL, "2^63-512");
	refused(catalog_size(-512, &e), EINVAL, "-512 bytes");
	refused(catalog_size(INT64_MAX, &e), EINVAL, "2^63-512");
	assert_int_equal(catalog_size(INT64_MAX - 511, &e), 0);
	refused(catalog_create(pool, &job, "a", INT64_MAX - 511, false, &e), ENOSPC, "pool main");
	atomic_store(&pool->overcommit, true);
	assert_true(catalog_create(pool, &job, "a", INT64_MAX - 511, false, &e) <= 0);
	if (there("a.raw"))
		done(catalog_remove(pool, &job, "a", false, &e));
	refused(catalog_remove(pool, &job, "a", false, &e), ENOENT, "volume a");
	refused(catalog_resize(pool, &job, "a", MIB, false, &e), ENOENT, "volume a");
	refused(catalog_snapshot_remove(pool, &job, "a", "5", &e), EINVAL, "bare number");
	refused(catalog_name("a@12", &n, &e), EINVAL, "\"12\"");
	refused(catalog_name("a@", &n, &e), EINVAL, "\"\"");
	refused(catalog_name("@b", &n, &e), EINVAL, "\"\"");
	refused(catalog_name("a@b@c", &n, &e), EINVAL, "b@c");
	assert_int_equal(catalog_name("a@b", &n, &e), 0);
	assert_string_equal(n.volume, "a");
	assert_string_equal(n.snapshot, "b");
	assert_no_work();
}

static void a_request_is_done_once(void **state)
{
	struct catalog_job other = { .id = "other" };
	uint8_t uuid[16];

	(void)state;
	job.id = "0123456789abcdef0123456789abcdef";
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	memcpy(uuid, find("a")->uuid, 16);
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	assert_memory_equal(find("a")->uuid, uuid, 16);
	refused(catalog_create(pool, &other, "a", MIB, false, &e), EEXIST, "volume a");
	done(catalog_rename(pool, &other, "a", "b", &e));
	done(catalog_rename(pool, &other, "a", "b", &e));
	assert_memory_equal(find("b")->uuid, uuid, 16);

	/* Also of what is gone, when the answer was lost with the server. */
	done(catalog_remove(pool, &job, "b", false, &e));
	pool_close(pool);
	open_pool();
	done(catalog_remove(pool, &job, "b", false, &e));
	refused(catalog_remove(pool, &other, "b", false, &e), ENOENT, "volume b");
}

static void keys_are_kept(void **state)
{
	struct catalog_key keys[] = { { "label", "the golden one" }, { "clients", "node1, node2:ro" } };
	struct catalog_info info;
	char text[64];

	(void)state;
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	done(catalog_set(pool, &job, "a", keys, 2, &e));
	assert_string_equal(find("a")->clients[0], "node1");
	assert_string_equal(find("a")->clients[1], "node2:ro");
	assert_null(find("a")->clients[2]);
	done(catalog_rename(pool, &job, "a", "b", &e));
	assert_string_equal(find("b")->clients[1], "node2:ro");
	done(catalog_info(pool, "b", &info, &e));
	assert_true(meta_get(&info.meta, "label", text, sizeof(text)));
	assert_string_equal(text, "the golden one");
	keys[0].value = "two\nlines";
	refused(catalog_set(pool, &job, "b", keys, 1, &e), EINVAL, "label");
	keys[0].value = keys[1].value = NULL;
	done(catalog_set(pool, &job, "b", keys, 2, &e));
	assert_null(find("b")->clients);
	done(catalog_info(pool, "b", &info, &e));
	assert_false(meta_get(&info.meta, "label", text, sizeof(text)));
}

/* A block that says which one it is, and the same again: does it say so? */
static void put(const char *name, uint64_t offset, uint64_t value)
{
	assert_int_equal(volume_need(find(name)), 0);
	assert_int_equal(pwrite(find(name)->fd, &value, sizeof(value), (off_t)offset), sizeof(value));
}

static uint64_t get(const char *name, uint64_t offset)
{
	uint64_t value = 0;

	if (!find(name))
		fail_msg("%s is not offered", name);
	assert_int_equal(volume_need(find(name)), 0);
	assert_int_equal(pread(find(name)->fd, &value, sizeof(value), (off_t)offset), sizeof(value));
	return value;
}

static void snapshots_keep_the_content(void **state)
{
	const char *both[] = { "a", "b" };
	struct catalog_snapshot *list;
	struct catalog_info info;
	char text[64], uuid[64];
	size_t n;

	(void)state;
	done(catalog_create(pool, &job, "a", 8 * MIB, false, &e));
	done(catalog_create(pool, &job, "b", 8 * MIB, false, &e));
	put("a", 0, 1);
	put("a", 5 * MIB, 2);
	put("b", 4096, 3);
	done(catalog_snapshot(pool, &job, both, 2, "monday", &e));
	assert_no_work();
	put("a", 0, 11);
	put("b", 4096, 13);
	assert_true(find("a@monday")->snapshot && atomic_load(&find("a@monday")->read_only));
	assert_true(find("a@monday")->taken > 1000000000);
	assert_true(get("a@monday", 0) == 1 && get("a@monday", 5 * MIB) == 2 && get("b@monday", 4096) == 3);
	assert_true(get("a", 0) == 11);
	done(catalog_info(pool, "a@monday", &info, &e));
	uuid_format(find("a")->uuid, uuid);
	assert_true(meta_get(&info.meta, "of", text, sizeof(text)));
	assert_string_equal(text, uuid);
	assert_true(info.size == 8 * MIB && info.allocated < MIB);
	done(catalog_snapshot(pool, &job, both, 1, "tuesday", &e));
	done(catalog_snapshots(pool, "a", &list, &n, &e));
	assert_int_equal(n, 2);
	assert_string_equal(list[1].name, "tuesday");
	free(list);
	refused(catalog_snapshot(pool, &job, both, 2, "tuesday", &e), EEXIST, "a has a snapshot tuesday");
	assert_null(find("b@tuesday"));
	refused(catalog_snapshot(pool, &job, both, 2, "7", &e), EINVAL, "bare number");
	both[1] = "a";
	refused(catalog_snapshot(pool, &job, both, 2, "x", &e), EINVAL, "twice");
	both[1] = "c";
	refused(catalog_snapshot(pool, &job, both, 2, "x", &e), ENOENT, "volume c");
	assert_no_work();

	refused(catalog_remove(pool, &job, "a", false, &e), ENOTEMPTY, "2 snapshots");
	done(catalog_rename(pool, &job, "a", "c", &e));
	assert_true(!find("a@monday") && get("c@monday", 0) == 1);
	done(catalog_snapshot_remove(pool, &job, "c", "monday", &e));
	assert_true(!find("c@monday") && find("c@tuesday") && find("b@monday"));
	done(catalog_remove(pool, &job, "c", true, &e));
	assert_true(!find("c") && !find("c@tuesday") && !there(".rsio.snap/c"));
	assert_no_work();
}

static void a_rollback_is_a_new_generation(void **state)
{
	const char *name = "a";
	struct catalog_key label = { "label", "x" };
	struct catalog_info info;
	struct volume *before;
	char text[8];

	(void)state;
	done(catalog_create(pool, &job, name, 8 * MIB, false, &e));
	done(catalog_set(pool, &job, name, &label, 1, &e));
	put(name, MIB, 1);
	done(catalog_snapshot(pool, &job, &name, 1, "s", &e));
	put(name, MIB, 2);
	put(name, 2 * MIB, 3);
	done(catalog_resize(pool, &job, name, 16 * MIB, false, &e));
	before = volume_get(find(name));
	done(catalog_rollback(pool, &job, name, "s", &e));
	assert_ptr_not_equal(find(name), before);
	assert_int_equal(atomic_load(&before->gone), WIRE_E_GENERATION);
	assert_true(find(name)->generation > before->generation);
	assert_memory_equal(find(name)->uuid, before->uuid, 16);
	volume_put(before);
	assert_true(get(name, MIB) == 1 && get(name, 2 * MIB) == 0 && get("a@s", MIB) == 1);
	assert_int_equal(atomic_load(&find(name)->size), 8 * MIB);
	assert_int_equal(find(name)->barred, 0);
	done(catalog_info(pool, name, &info, &e));
	assert_true(meta_get(&info.meta, "label", text, sizeof(text)));
	put(name, MIB, 5);
	assert_true(get("a@s", MIB) == 1);
	refused(catalog_rollback(pool, &job, name, "t", &e), ENOENT, "snapshot a@t");
	assert_int_equal(find(name)->barred, 0);
	assert_no_work();
}

static void clones_are_independent(void **state)
{
	const char *to[] = { "c1", "c2", "c3" }, *a = "a";
	struct catalog_key key = { "clients", "node7" };
	char text[8];
	struct catalog_info info;

	(void)state;
	done(catalog_create(pool, &job, a, 8 * MIB, false, &e));
	done(catalog_set(pool, &job, a, &key, 1, &e));
	put(a, MIB, 1);
	done(catalog_snapshot(pool, &job, &a, 1, "s", &e));
	put(a, MIB, 2);
	done(catalog_clone(pool, &job, "a", to, 3, &e));
	put("c1", MIB, 3);
	assert_true(get("c1", MIB) == 3 && get("c2", MIB) == 2 && get("c3", MIB) == 2 && get(a, MIB) == 2);
	assert_string_equal(find("c2")->clients[0], "node7");
	done(catalog_info(pool, "c2", &info, &e));
	assert_true(meta_get(&info.meta, "shares", text, sizeof(text)) == pool->reflink);
	done(catalog_info(pool, a, &info, &e));
	assert_true(meta_get(&info.meta, "shares", text, sizeof(text)) == pool->reflink);
	to[0] = "d1";
	to[2] = "d3";
	refused(catalog_clone(pool, &job, "a@s", to, 3, &e), EEXIST, "volume c2");
	assert_true(!find("d1") && !find("d3"));
	to[1] = "d2";
	done(catalog_clone(pool, &job, "a@s", to, 3, &e));
	assert_true(get("d1", MIB) == 1 && get("d2", MIB) == 1 && get("d3", MIB) == 1);
	assert_memory_not_equal(find("d1")->uuid, find("d2")->uuid, 16);
	refused(catalog_clone(pool, &job, "nosuch", to, 3, &e), ENOENT, "nosuch");
	done(catalog_remove(pool, &job, a, true, &e));
	assert_true(get("d3", MIB) == 1 && get("c3", MIB) == 2);
	assert_no_work();
}

static void a_copy_goes_to_another_pool(void **state)
{
	struct conf_pool conf = { .name = "other" };
	char path[160];
	struct pool *other;

	(void)state;
	snprintf(path, sizeof(path), "%s/other", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	conf.path = path;
	other = pool_open(&server, &conf, 0, &e);
	assert_non_null(other);
	pool_look(other);
	done(catalog_create(pool, &job, "a", 8 * MIB, false, &e));
	put("a", MIB, 1);
	refused(catalog_copy(pool, &job, "a", other, "a", &e), EEXIST, "volume a");
	done(catalog_copy(pool, &job, "a", other, "b", &e));
	put("a", MIB, 2);
	assert_true(get("b", MIB) == 1);
	assert_string_equal(find("b")->pool, "other");
	assert_true(there("other/b.raw") && !there("other/.rsio.work/0.raw"));
	pool_close(other);
}

static void a_pool_promises_what_it_has(void **state)
{
	uint64_t need, left, size;
	const char *a = "a";

	(void)state;
	assert_int_equal(pool_need(pool, &need, &left), 0);
	assert_int_equal(need, 0);
	size = left / 2 / MIB * MIB;
	done(catalog_create(pool, &job, a, size, false, &e));
	assert_int_equal(pool_need(pool, &need, &left), 0);
	assert_true(need == size);
	refused(catalog_create(pool, &job, "b", left, false, &e), ENOSPC, "not promised");
	refused(catalog_resize(pool, &job, a, left / 512 * 512 + 64 * MIB, false, &e), ENOSPC, "not promised");
	put(a, 0, 1);
	done(catalog_snapshot(pool, &job, &a, 1, "s", &e));
	/* Once it shares its block with the snapshot that has to be had anew. */
	assert_int_equal(pool_need(pool, &need, &left), 0);
	assert_true(pool->reflink ? need == size : need < size);
	atomic_store(&pool->overcommit, true);
	done(catalog_create(pool, &job, "b", left / 512 * 512, false, &e));
	assert_no_work();
}

/* Several jobs, and the watcher, at once. */
#define THREADS 4
#define ROUNDS 5

static atomic_bool watch;
static atomic_int wrong;

static void *looks(void *arg)
{
	(void)arg;
	while (atomic_load(&watch))
		pool_look(pool);
	return NULL;
}

static void expect(int r, const struct err *why)
{
	if (!r)
		return;
	fprintf(stderr, "%d: %s\n", r, why->text);
	atomic_fetch_add(&wrong, 1);
}

static void *changes(void *arg)
{
	char name[16], other[16], clone1[16], clone2[16];
	const char *volume[] = { name, "common" }, *to[] = { clone1, clone2 };
	struct catalog_job mine = { .hold_limit = 10 };
	struct err why;

	snprintf(name, sizeof(name), "v%d", *(int *)arg);
	snprintf(other, sizeof(other), "w%d", *(int *)arg);
	snprintf(clone1, sizeof(clone1), "c%d", *(int *)arg);
	snprintf(clone2, sizeof(clone2), "d%d", *(int *)arg);
	for (int i = 0; i < ROUNDS; i++) {
		expect(catalog_create(pool, &mine, name, MIB, i % 2, &why), &why);
		expect(catalog_resize(pool, &mine, name, 2 * MIB, false, &why), &why);
		/* Another thread's hold, or copy, of the one that is everybody's may be under way. */
		if (catalog_snapshot(pool, &mine, volume, 2, name, &why) < 0)
			expect(catalog_snapshot(pool, &mine, volume, 1, name, &why), &why);
		else
			expect(catalog_snapshot_remove(pool, &mine, "common", name, &why), &why);
		expect(catalog_clone(pool, &mine, name, to, 2, &why), &why);
		expect(catalog_rollback(pool, &mine, name, name, &why), &why);
		expect(catalog_rename(pool, &mine, name, other, &why), &why);
		expect(catalog_remove(pool, &mine, other, true, &why), &why);
		expect(catalog_remove(pool, &mine, clone1, false, &why), &why);
		expect(catalog_remove(pool, &mine, clone2, false, &why), &why);
	}
	return NULL;
}

static void several_change_at_once(void **state)
{
	int number[THREADS];
	pthread_t t[THREADS], watcher;

	(void)state;
	atomic_store(&wrong, 0);
	atomic_store(&watch, true);
	atomic_store(&pool->overcommit, true);
	done(catalog_create(pool, &job, "common", MIB, false, &e));
	assert_int_equal(pthread_create(&watcher, NULL, looks, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		number[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, changes, &number[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&watch, false);
	pthread_join(watcher, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_string_equal(registry_at(server.registry, 0)->name, "common");
	assert_null(registry_at(server.registry, 1));
	assert_no_work();
}

/*
 * Snapshots of volumes in two pools, asked for in either order.
 */
static struct pool *beside;

static void *snapshots(void *arg)
{
	int me = *(int *)arg;
	struct pool *pools[] = { me ? beside : pool, me ? pool : beside };
	const char *volumes[] = { me ? "right1" : "left0", me ? "left1" : "right0" };
	struct catalog_job mine = { .hold_limit = 10 };
	struct err why;

	for (int i = 0; i < ROUNDS; i++) {
		expect(catalog_snapshot_pools(pools, &mine, volumes, 2, "s", &why), &why);
		for (int k = 0; k < 2; k++)
			expect(catalog_snapshot_remove(pools[k], &mine, volumes[k], "s", &why), &why);
	}
	return NULL;
}

static void *looks_at_both(void *arg)
{
	while (atomic_load(&watch)) {
		pool_look(beside);
		pool_look(pool);
	}
	return arg;
}

static void snapshots_of_two_pools_do_not_wait_for_each_other(void **state)
{
	struct conf_pool conf = { .name = "beside", .overcommit = true };
	char path[200];
	static const char *const volumes[] = { "left0", "right0", "left1", "right1" };
	int number[] = { 0, 1 };
	pthread_t t[2], watcher;

	(void)state;
	snprintf(path, sizeof(path), "%s-beside", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	conf.path = path;
	beside = pool_open(&server, &conf, 0, &e);
	assert_non_null(beside);
	for (int i = 0; i < 4; i++)
		done(catalog_create(*volumes[i] == 'l' ? pool : beside, &job, volumes[i], MIB, false, &e));
	refused(catalog_snapshot_pools((struct pool *[]){ pool, beside }, &job, (const char *[]){ "left0", "left1" }, 2,
				       "s", &e), ENOENT, "left1");
	assert_null(find("left0@s"));
	atomic_store(&wrong, 0);
	atomic_store(&watch, true);
	assert_int_equal(pthread_create(&watcher, NULL, looks_at_both, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, snapshots, &number[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	atomic_store(&watch, false);
	pthread_join(watcher, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_no_work();
	pool_close(beside);
	assert_int_equal(system("rm -rf \"$POOL\"-beside"), 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(volumes_are_made_and_removed),
		WITH(sizes_are_changed),
		WITH(names_are_changed),
		WITH(bad_input_is_named),
		WITH(a_request_is_done_once),
		WITH(keys_are_kept),
		WITH(snapshots_keep_the_content),
		WITH(a_rollback_is_a_new_generation),
		WITH(clones_are_independent),
		WITH(a_copy_goes_to_another_pool),
		WITH(a_pool_promises_what_it_has),
		WITH(several_change_at_once),
		WITH(snapshots_of_two_pools_do_not_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
