/* links: agent
 * test_pool.c - files that come and go, their identities, and the registry.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../agent/meta.h"
#include "../../agent/pool.h"
#include "../../agent/text.h"
#include "agent_parts.h"

static struct pool *pool;

static int set_up(void **state)
{
	struct conf_pool conf = { .name = "main" };
	struct err e = { 0 };

	(void)state;
	parts_start(1);
	conf.path = dir;
	pool = pool_open(&server, &conf, 0, &e);
	assert_non_null(pool);
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

/* The directory's time has a resolution: a look that comes too early sees nothing. */
static void look(void)
{
	pool->changed.tv_sec = 0;
	for (struct offer *o = pool->offers; o; o = o->next)
		o->retry = 0;
	pool_look(pool);
}

static void files_come_and_go(void **state)
{
	struct volume *v;

	(void)state;
	look();
	assert_null(registry_at(server.registry, 0));
	make_file("b.raw", 4096);
	make_file("a.raw", 5000);
	make_file("a.meta.raw", 512);		/* a name as any other */
	make_file(".hidden.raw", 4096);
	make_file("-dash.raw", 4096);
	make_file("a.txt", 4096);
	look();
	assert_string_equal(registry_at(server.registry, 0)->name, "a");
	assert_string_equal(registry_at(server.registry, 1)->name, "a.meta");
	assert_string_equal(registry_at(server.registry, 2)->name, "b");
	assert_null(registry_at(server.registry, 3));
	assert_int_equal(registry_at(server.registry, 2)->id, 2);
	assert_int_equal(atomic_load(&find("a")->size), 4608);

	v = volume_get(find("a"));
	assert_int_equal(atomic_load(&v->gone), WIRE_OK);
	assert_int_equal(unlink(in_dir("a.raw")), 0);
	look();
	assert_null(find("a"));
	assert_int_equal(atomic_load(&v->gone), WIRE_E_NO_VOLUME);
	assert_int_equal(find("b")->id, 1);
	volume_put(v);
	assert_int_equal(truncate(in_dir("b.raw"), 1 << 20), 0);
	look();
	assert_int_equal(atomic_load(&find("b")->size), 1 << 20);
}

static void identity_stays_with_the_file(void **state)
{
	struct volume *before, *after;

	(void)state;
	make_file("v.raw", 4096);
	look();
	before = volume_get(find("v"));
	assert_int_equal(before->uuid[6] >> 4, 4);
	assert_true(before->generation > 1);

	/* The same file: nothing changes, whatever is written into it. */
	assert_int_equal(truncate(in_dir("v.raw"), 8192), 0);
	look();
	assert_ptr_equal(find("v"), before);

	/* Another file of the same name and size. */
	assert_int_equal(unlink(in_dir("v.raw")), 0);
	make_file("v.raw", 8192);
	look();
	after = find("v");
	assert_ptr_not_equal(after, before);
	assert_memory_equal(after->uuid, before->uuid, 16);
	assert_true(after->generation > before->generation);
	assert_int_equal(atomic_load(&before->gone), WIRE_E_GENERATION);
	volume_put(before);
}

static void two_are_never_merged(void **state)
{
	char command[512];
	struct volume *v;

	(void)state;
	make_file("one.raw", 4096);
	look();
	v = find("one");
	snprintf(command, sizeof(command), "cd '%s' && cp one.meta two.meta", dir);
	assert_int_equal(system(command), 0);
	make_file("two.raw", 4096);
	look();
	assert_null(find("two"));
	assert_ptr_equal(find("one"), v);
	assert_non_null(strstr(pool->offers->complaint, "one"));
	assert_int_equal(unlink(in_dir("two.meta")), 0);
	look();
	assert_non_null(find("two"));
	assert_memory_not_equal(find("two")->uuid, v->uuid, 16);
}

static void a_pool_is_locked(void **state)
{
	struct conf_pool conf = { .name = "again", .path = dir };
	struct err e = { 0 };

	(void)state;
	assert_null(pool_open(&server, &conf, 0, &e));
	assert_int_equal(e.code, EBUSY);
	assert_non_null(strstr(e.text, "in use"));
	conf.path = (char *)"/nosuch";
	assert_null(pool_open(&server, &conf, 0, &e));
	assert_non_null(strstr(e.text, "/nosuch"));
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	fputs(text, f);
	fclose(f);
}

static void identity_files(void **state)
{
	static const char *const bad[] = {
		"", "uuid", "uuid = x", "uuid = 11111111-2222-4333-8444-555555555555",
		"generation = 5", "uuid = 11111111-2222-4333-8444-555555555555\ngeneration = -",
		"uuid = 11111111-2222-4333-8444-55555555555\ngeneration = 5",
		"uuid = 11111111-2222-4333-8444-5555555555555\ngeneration = 5",
		"uuid = 11111111-2222-4333-8444-555555555555\ngeneration = 5\nblock-size = 4096",
	};
	struct meta m, again;
	struct err e = { 0 };
	int d = open(dir, O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(meta_read(d, "none", &m, &e), -ENOENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("m", bad[i]);
		memset(&e, 0, sizeof(e));
		assert_true(meta_read(d, "m", &m, &e) < 0);
		assert_non_null(strstr(e.text, "m"));
		assert_true(e.next[0]);
	}
	put("m", "# comment\n[volume]\n  uuid=11111111-2222-4333-8444-ABCDEFabcdef \nnew-key = 5\n"
		 "generation = 18446744073709551615\ninode = 3\nbirth = 4\ncreated = then\n");
	if (meta_read(d, "m", &m, &e))
		fail_msg("%s", e.text);
	assert_int_equal(m.uuid[15], 0xef);
	assert_true(m.generation == UINT64_MAX);
	assert_int_equal(meta_write(d, "n", &m, &e), 0);
	assert_int_equal(meta_read(d, "n", &again, &e), 0);
	assert_memory_equal(m.uuid, again.uuid, 16);
	assert_true(again.generation == m.generation && again.inode == 3 && again.birth == 4);
	assert_string_equal(again.created, "then");
	assert_true(meta_write(d, "nosuch/dir", &m, &e) < 0);
	close(d);
}

static void uuids_as_text(void **state)
{
	uint8_t a[16], b[16];
	char text[UUID_TEXT];

	(void)state;
	assert_int_equal(uuid_make(a), 0);
	uuid_format(a, text);
	assert_int_equal(strlen(text), 36);
	assert_int_equal(uuid_parse(text, b), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(uuid_make(b), 0);
	assert_memory_not_equal(a, b, 16);
	text[8] = '0';
	assert_int_equal(uuid_parse(text, b), -EINVAL);
}

/* What is opened when it is used is what was offered, or nothing. */
static void opened_when_used(void **state)
{
	struct volume *v;
	char c = 'x';

	(void)state;
	make_file("v.raw", 4096);
	look();
	v = volume_get(find("v"));
	assert_int_equal(v->fd, -1);
	assert_false(volume_is_ready(v));
	assert_int_equal(renameat(pool->dirfd, "v.raw", pool->dirfd, "away"), 0);
	assert_int_equal(volume_need(v), -ENOENT);
	make_file("v.raw", 4096);
	assert_int_equal(volume_need(v), -ESTALE);
	assert_int_equal(v->fd, -1);
	assert_int_equal(unlink(in_dir("v.raw")), 0);
	assert_int_equal(symlink("away", in_dir("v.raw")), 0);
	assert_int_equal(volume_need(v), -ELOOP);
	assert_int_equal(unlink(in_dir("v.raw")), 0);
	assert_int_equal(renameat(pool->dirfd, "away", pool->dirfd, "v.raw"), 0);
	assert_int_equal(volume_need(v), 0);
	assert_int_equal(volume_need(v), 0);
	assert_int_equal(volume_write(v, &c, 1, 0, true), 0);
	look();
	assert_ptr_equal(find("v"), v);
	volume_put(v);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(files_come_and_go),
		WITH(identity_stays_with_the_file),
		WITH(two_are_never_merged),
		WITH(a_pool_is_locked),
		WITH(identity_files),
		WITH(opened_when_used),
		cmocka_unit_test(uuids_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
