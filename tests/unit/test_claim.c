/* links: agent
 * test_claim.c - which bytes claims are, who gets one, and how long a lease lasts.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <cmocka.h>
#include "agent_parts.h"
#include "../../agent/claim.h"
#include "../../agent/fence_command.h"
#include "../../agent/lease.h"
#include "../../agent/others.h"
#include "conf.h"

#define LIFE_MAX ((1ull << 47) - 1)
#define MS 1000000ull

static bool covered(uint64_t life, int64_t byte)
{
	struct claim_range r[2];
	unsigned n = claim_others(life, r);

	for (unsigned i = 0; i < n; i++)
		if (byte >= r[i].from && (!r[i].length || byte < r[i].from + r[i].length))
			return true;
	return false;
}

static void bytes(void **state)
{
	static const uint64_t lives[] = { 0, 1, 2, 0x123456789abc, LIFE_MAX - 1, LIFE_MAX };
	static const uint16_t ids[] = { 0, 1, 255, 65535 };
	struct claim_range r[2];

	(void)state;
	for (size_t a = 0; a < 6; a++)
		for (size_t b = 0; b < 6; b++)
			for (size_t i = 0; i < 4; i++)
				assert_int_equal(covered(lives[a], claim_byte(lives[b], ids[i])), a != b);
	assert_int_equal(claim_others(0, r), 1);
	assert_int_equal(claim_others(LIFE_MAX, r), 1);
	assert_int_equal(claim_byte(LIFE_MAX, 65535), INT64_MAX);
	assert_int_equal(claim_byte(1, 2), 65538);
}

static void a_life_is_47_bits(void **state)
{
	uint8_t a[16] = { 1 }, b[16] = { 1, [15] = 1 };

	(void)state;
	assert_true(claim_life(a) <= LIFE_MAX && claim_life(b) <= LIFE_MAX);
	assert_true(claim_life(a) != claim_life(b));
	assert_int_equal(claim_life(a), claim_life(a));
}

static void leases(void **state)
{
	struct lease l;
	uint64_t t = 100 * SECOND;

	(void)state;
	lease_init(&l, 0);
	assert_int_equal(l.length, 15 * SECOND);
	lease_init(&l, 20000);
	assert_int_equal(l.length, 15 * SECOND);
	lease_init(&l, 1);
	assert_int_equal(l.length, 500 * MS);
	lease_init(&l, 8000);
	assert_false(lease_over(&l, t));		/* it does not run */
	lease_start(&l, t);
	assert_false(lease_over(&l, t + 7 * SECOND - 1));
	assert_true(lease_over(&l, t + 7 * SECOND));
	lease_echo(&l, t + 2 * SECOND, t + SECOND);	/* from the future */
	assert_true(lease_over(&l, t + 7 * SECOND));
	lease_echo(&l, t + 2 * SECOND, t + 6 * SECOND);
	assert_int_equal(lease_end(&l), t + 9 * SECOND);
	lease_echo(&l, t + SECOND, t + 7 * SECOND);	/* an older one comes later */
	lease_echo(&l, 0, t + 7 * SECOND);
	assert_int_equal(lease_end(&l), t + 9 * SECOND);
	lease_start(&l, t + 8 * SECOND);		/* another claim extends nothing */
	assert_int_equal(lease_end(&l), t + 9 * SECOND);
	lease_echo(&l, t + 8 * SECOND, t + 9 * SECOND);	/* over is over */
	assert_true(lease_over(&l, t + 9 * SECOND));
}

static int set_up(void **state)
{
	(void)state;
	parts_start(1);
	make_file("a.raw", 4096);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	parts_stop();
	return 0;
}

static struct volume *shared(void)
{
	struct volume *v = open_volume("a", "a.raw", true);

	assert_true(v->place.fd >= 0);
	assert_string_equal(v->place.path, dir);
	return v;
}

static void claims(void **state)
{
	struct volume *v = shared();
	struct claim *k[5];
	struct claim_owner one, two;
	struct claim_server who;
	struct server other = { .id = 2, .name = "other" };
	struct err e;

	(void)state;
	for (int i = 0; i < 5; i++)
		k[i] = claim_new(&v->place);
	server.id = 1;
	snprintf(server.name, sizeof(server.name), "first");
	claim_owner_set(&one, "node", (const uint8_t *)"the life of one.");
	claim_owner_set(&two, "node", (const uint8_t *)"that of the next");
	assert_int_equal(claim_server_read(&v->place, 1, &who), -ENOENT);
	assert_int_equal(claim_take(k[0], &v->place, &one, &server, &e), 0);
	assert_true(claim_held(k[0]));
	assert_int_equal(claim_take(k[0], &v->place, &one, &server, &e), 0);
	assert_int_equal(claim_server_read(&v->place, 1, &who), 0);
	assert_string_equal(who.name, "first");
	/* The same byte again, by another session; another server's; another life's. */
	assert_int_equal(claim_take(k[1], &v->place, &one, &server, &e), -EBUSY);
	assert_false(claim_held(k[1]));
	assert_int_equal(claim_take(k[2], &v->place, &one, &other, &e), 0);
	assert_int_equal(claim_take(k[3], &v->place, &two, &server, &e), -EBUSY);
	assert_non_null(strstr(e.text, "server first (id 1)"));
	/* Each sees the other's, and not its own. */
	assert_int_equal(claim_elsewhere(k[0], &v->place, &one, 2), 1);
	assert_int_equal(claim_elsewhere(k[2], &v->place, &one, 1), 1);
	assert_int_equal(claim_elsewhere(k[2], &v->place, &one, 3), 0);
	claims_release(k[2]);
	assert_int_equal(claim_elsewhere(k[0], &v->place, &one, 2), 0);
	/* A refused one leaves nothing behind. */
	claims_release(k[0]);
	assert_int_equal(claim_take(k[3], &v->place, &two, &server, &e), 0);
	assert_int_equal(claim_take(k[1], &v->place, &one, &other, &e), -EBUSY);
	/* Without its file nobody can tell. */
	assert_int_equal(unlink(in_dir(CLAIM_DIR "/node")), 0);
	assert_int_equal(claim_elsewhere(k[3], &v->place, &two, 2), -ESTALE);
	claims_release(k[1]);
	claims_release(k[3]);
	claims_release(k[4]);
	volume_put(v);
}

static void links_are_followed(void **state)
{
	struct volume *v;
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s", in_dir("elsewhere"));
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s", in_dir("a.raw"));
	assert_int_equal(symlink(path, in_dir("elsewhere/link.raw")), 0);
	v = open_volume("a", "elsewhere/link.raw", true);
	assert_string_equal(v->place.path, dir);
	volume_put(v);
	v = open_volume("a", "a.raw", false);
	assert_int_equal(v->place.fd, -1);
	volume_put(v);
}

static struct others *others;
static const struct other_claim claims_of[] = {
	{ .node = "ws1", .server = "big-8", .id = 8, .life = 1, .lease = 15000 * MS },
	{ .node = "ws2", .server = "big-8", .id = 8, .life = 2, .lease = 15000 * MS },
};
static pthread_t second;
static _Atomic(void (*)(void)) after_clock;	/* set by the test, called by whichever thread looks next */

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, clock, t);
	void (*fn)(void) = clock == CLOCK_BOOTTIME ? atomic_exchange(&after_clock, NULL) : NULL;

	if (fn)
		fn();
	return (int)r;
}

static void *ask(void *arg)
{
	others_wait(others, &claims_of[1]);
	return arg;
}

/* In another thread, which has time to end if nothing holds it up. */
static void ask_meanwhile(void)
{
	struct timespec until;

	assert_int_equal(pthread_create(&second, NULL, ask, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_timedjoin_np(second, NULL, &until) == 0)
		second = 0;
}

/* One looks at the clock, then another one does and begins to wait: it is not as if that one
 * had been silent for an age. */
static void two_ask_at_once(void **state)
{
	static struct conf_server conf;
	struct err e = { 0 };
	json_t *j;

	(void)state;
	conf.fence_command = (char *)"true";
	server.conf = &conf;
	others = others_new(&server, &e);
	assert_non_null(others);
	after_clock = ask_meanwhile;
	assert_false(others_wait(others, &claims_of[0]));
	if (second)
		pthread_join(second, NULL);
	j = others_json(others);
	assert_int_equal(json_array_size(json_object_get(j, "waits")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "fences")), 0);
	json_decref(j);
	for (int i = 0; i < 2; i++)
		others_free(others, claims_of[i].node, claims_of[i].life, claims_of[i].id);
	free(others);
	server.conf = NULL;
}

/* Of a device's server the client says the name: that another one is off is no word about it. */
static void the_name_is_part_of_the_word(void **state)
{
	static struct conf_server conf;
	static const struct timespec pause = { 0, 20000000 };
	struct other_claim off = { .node = "ws1", .server = "big-9", .id = 8, .life = 1, .device = true };
	struct other_claim on = { .node = "ws2", .server = "big-8", .id = 8, .life = 2, .device = true };
	struct err e = { 0 };

	(void)state;
	conf.fence_command = (char *)"test $RSIO_SERVER = big-9";
	server.conf = &conf;
	others = others_new(&server, &e);
	assert_non_null(others);
	assert_int_equal(fence_command_start(conf.fence_command, &e), 0);
	while (!others_wait(others, &off))
		nanosleep(&pause, NULL);
	assert_false(others_wait(others, &on));
	server.conf = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(a_life_is_47_bits),
		cmocka_unit_test(leases),
		cmocka_unit_test_setup_teardown(claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_are_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_ask_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_name_is_part_of_the_word, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
