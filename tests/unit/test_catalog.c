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
	assert_false(there(".rsio.journal"));
	assert_false(there(".rsio.journal.new"));
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
	struct volume *v;

	(void)state;
	done(catalog_create(pool, &job, "a", MIB, false, &e));
	v = find("a");
	done(catalog_resize(pool, &job, "a", 3 * MIB, false, &e));
	assert_ptr_equal(find("a"), v);
	assert_int_equal(atomic_load(&v->size), 3 * MIB);
	refused(catalog_resize(pool, &job, "a", MIB, false, &e), EPERM, "3 MiB");
	assert_int_equal(atomic_load(&v->size), 3 * MIB);
	done(catalog_resize(pool, &job, "a", MIB, true, &e));
	assert_int_equal(atomic_load(&v->size), MIB);
	assert_false(v->barred);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
