/* The loop: timers in order, what callbacks may take away, and what other threads hand over. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "../seed.h"
#include "list.h"
#include "loop.h"

#define MS UINT64_C(1000000)

static struct loop *loop;

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* A test that hangs ends here. */
static void give_up(struct loop_timer *t)
{
	(void)t;
	fail_msg("nothing happened for 10 s");
}

static void run(void (*after)(void *arg))
{
	struct loop_timer deadline = { .fire = give_up };

	loop_arm(loop, &deadline, loop_clock() + 10000 * MS);
	loop_run(loop, after, NULL);
	loop_disarm(loop, &deadline);
}

/* Timers. */

#define TIMERS 200
static struct loop_timer timers[TIMERS];
static int fired[TIMERS], fired_count, stop_at;

static void note(struct loop_timer *t)
{
	fired[fired_count++] = (int)(t - timers);
	assert_int_equal(t->place, 0);
	if (fired_count == stop_at)
		loop_stop(loop);
}

static void arm_all(uint64_t base)
{
	unsigned seed = (unsigned)test_seed(1);

	fired_count = 0;
	for (int i = 0; i < TIMERS; i++) {
		timers[i] = (struct loop_timer){ .fire = note };
		loop_arm(loop, &timers[i], base + (unsigned)rand_r(&seed) % 1000 * (MS / 50));
	}
}

static void fire_in_order(void **state)
{
	uint64_t base = loop_clock() + 5 * MS;

	(void)state;
	arm_all(base);
	/* Moved, earlier and later; disarmed, also twice. */
	loop_arm(loop, &timers[10], base + 30 * MS);
	loop_arm(loop, &timers[20], base);
	for (int i = 50; i < 60; i++) {
		loop_disarm(loop, &timers[i]);
		loop_disarm(loop, &timers[i]);
	}
	stop_at = TIMERS - 10;
	run(NULL);
	assert_int_equal(fired_count, TIMERS - 10);
	for (int i = 0; i < fired_count; i++) {
		assert_false(fired[i] >= 50 && fired[i] < 60);
		if (i)
			assert_true(timers[fired[i - 1]].when <= timers[fired[i]].when);
	}
	assert_int_equal(fired[fired_count - 1], 10);
	assert_true(loop_clock() >= base + 30 * MS);
}

/* A timer disarms half of the others, and arms itself again, from within its callback. */
static void disarm_others(struct loop_timer *t)
{
	for (int i = 1; i < TIMERS; i += 2)
		loop_disarm(loop, &timers[i]);
	t->fire = note;
	loop_arm(loop, t, loop_now(loop) + 25 * MS);
}

static void disarm_within_callback(void **state)
{
	uint64_t base = loop_clock() + 2 * MS;

	(void)state;
	arm_all(base);
	timers[0].fire = disarm_others;
	loop_arm(loop, &timers[0], base - MS);
	stop_at = TIMERS / 2;
	run(NULL);
	assert_int_equal(fired_count, TIMERS / 2);
	for (int i = 0; i < fired_count; i++)
		assert_int_equal(fired[i] % 2, 0);
	assert_int_equal(fired[fired_count - 1], 0);
}

/* Both are due in the same round: the first takes the second away. */
static void disarm_next(struct loop_timer *t)
{
	assert_ptr_equal(t, &timers[0]);
	loop_disarm(loop, &timers[1]);
	loop_stop(loop);
}

static void disarm_what_is_due(void **state)
{
	uint64_t past = loop_clock() - 5 * MS;

	(void)state;
	timers[0] = (struct loop_timer){ .fire = disarm_next };
	timers[1] = (struct loop_timer){ .fire = note };
	fired_count = 0;
	loop_arm(loop, &timers[0], past);
	loop_arm(loop, &timers[1], past + 1);
	run(NULL);
	assert_int_equal(fired_count, 0);
}

/* Descriptors. */

struct watched {
	struct loop_fd w;
	int calls;
};
static struct watched watched[8];
static int ready_calls;

static void watch(int i, void (*ready)(struct loop_fd *w, uint32_t events))
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);	/* readable at once */

	assert_true(fd >= 0);
	watched[i] = (struct watched){ .w = { .fd = fd, .events = EPOLLIN, .ready = ready } };
	assert_int_equal(loop_add(loop, &watched[i].w), 0);
}

/* Whoever is called first takes all others out, in the batch in which they are ready too. */
static void remove_all_others(struct loop_fd *w, uint32_t events)
{
	ready_calls++;
	assert_true(events & EPOLLIN);
	for (int i = 0; i < 8; i++)
		if (&watched[i].w != w) {
			loop_remove(loop, &watched[i].w);
			close(watched[i].w.fd);
			memset(&watched[i], 0xee, sizeof watched[i]);	/* freed, say */
		}
	loop_remove(loop, w);
	close(w->fd);
	loop_stop(loop);
}

static void remove_within_batch(void **state)
{
	(void)state;
	ready_calls = 0;
	for (int i = 0; i < 8; i++)
		watch(i, remove_all_others);
	run(NULL);
	assert_int_equal(ready_calls, 1);
}

static void change_to_output(struct loop_fd *w, uint32_t events)
{
	struct watched *x = container_of(w, struct watched, w);

	if (x->calls++ == 0) {
		assert_int_equal(events, EPOLLIN);
		loop_change(loop, w, EPOLLOUT);
	} else {
		assert_int_equal(events, EPOLLOUT);
		loop_remove(loop, w);
		close(w->fd);
		loop_stop(loop);
	}
}

static void change_events(void **state)
{
	(void)state;
	watch(0, change_to_output);
	run(NULL);
	assert_int_equal(watched[0].calls, 2);
}

/* What other threads hand over. */

#define THREADS 4
#define POSTS 2000
static int arrived[THREADS], total;
static pthread_t loop_thread;

static void take(void *arg)
{
	uintptr_t v = (uintptr_t)arg;
	unsigned thread = (unsigned)(v / POSTS), sequence = (unsigned)(v % POSTS);

	assert_true(pthread_equal(pthread_self(), loop_thread));
	assert_int_equal(arrived[thread], sequence);	/* in the order of posting */
	arrived[thread]++;
	if (++total == THREADS * POSTS)
		loop_stop(loop);
}

static void *poster(void *arg)
{
	uintptr_t base = (uintptr_t)arg * POSTS;

	for (uintptr_t i = 0; i < POSTS; i++)
		if (loop_post(loop, take, (void *)(base + i)) < 0)
			abort();
	return NULL;
}

static void posts_arrive_in_order(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	memset(arrived, 0, sizeof arrived);
	total = 0;
	loop_thread = pthread_self();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster, (void *)i), 0);
	run(NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(total, THREADS * POSTS);
}

static int plain;		/* without a lock: a call orders its two sides */

static void add_one(void *arg)
{
	plain++;
	*(int *)arg = plain;
}

static void stop_now(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void *caller(void *arg)
{
	int seen = 0;

	(void)arg;
	for (int i = 1; i <= 500; i++)
		if (loop_call(loop, add_one, &seen) < 0 || seen != i || plain != i)
			abort();
	loop_call(loop, stop_now, NULL);
	return NULL;
}

static void calls_wait(void **state)
{
	pthread_t thread;

	(void)state;
	plain = 0;
	assert_int_equal(pthread_create(&thread, NULL, caller, NULL), 0);
	run(NULL);
	pthread_join(thread, NULL);
	assert_int_equal(plain, 500);
}

/* What is posted from within a post runs too, before the loop sleeps for long. */
static void post_again(void *arg)
{
	int *left = arg;

	if (--*left)
		loop_post(loop, post_again, left);
	else
		loop_stop(loop);
}

static void posts_from_posts(void **state)
{
	int left = 100;

	(void)state;
	loop_post(loop, post_again, &left);
	run(NULL);
	assert_int_equal(left, 0);
}

static void post_and_forget(void *arg)
{
	++*(int *)arg;
}

static void what_was_posted_to_the_end_is_run(void **state)
{
	struct loop *l = loop_new();
	int runs = 0;

	(void)state;
	assert_non_null(l);
	loop_post(l, post_and_forget, &runs);
	loop_free(l);
	assert_int_equal(runs, 1);
	loop_free(NULL);
}

/* Rounds. */

static int rounds;

static void count_round(void *arg)
{
	(void)arg;
	rounds++;
}

static void after_each_round(void **state)
{
	int left = 5;

	(void)state;
	rounds = 0;
	loop_post(loop, post_again, &left);
	run(count_round);
	/* One before the first sleep, one after each wake-up. */
	assert_int_equal(rounds, 6);
}

static void *wake_later(void *arg)
{
	struct timespec t = { 0, 20000000 };

	(void)arg;
	nanosleep(&t, NULL);
	loop_post(loop, stop_now, NULL);
	return NULL;
}

static void polls_and_wakes(void **state)
{
	pthread_t thread;

	(void)state;
	loop_set_poll(loop, 5 * MS);	/* both ways of waiting are gone through */
	assert_int_equal(pthread_create(&thread, NULL, wake_later, NULL), 0);
	run(NULL);
	pthread_join(thread, NULL);
}

/* Every way to wait goes through here: which waits asked first, and which slept? */
static unsigned asked, lingers, sleeps;

static struct timespec held;	/* the next one that asks is kept from running for so long */

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	if (timeout == 0 && held.tv_nsec) {
		nanosleep(&held, NULL);
		held.tv_nsec = 0;
	}
	if (timeout == 0) {
		asked++;
	} else {
		lingers += asked > 0;
		sleeps++;
		asked = 0;
	}
	return epoll_pwait(fd, events, most, timeout, NULL);
}

static struct loop_timer beat;
static unsigned beats;

static void next_beat(struct loop_timer *t)
{
	asked = 0;	/* a timer that was due already did not sleep */
	if (--beats)
		loop_arm(loop, t, loop_clock() + MS);
	else
		loop_stop(loop);
}

/* Waits that nothing comes to but a timer, much later than one lingers. */
static void beat_for(unsigned count)
{
	asked = lingers = sleeps = 0;
	beats = count;
	beat = (struct loop_timer){ .fire = next_beat };
	loop_arm(loop, &beat, loop_clock() + MS);
	run(NULL);
	assert_true(sleeps > 0);
}

static void lingers_for_few_answers_only(void **state)
{
	(void)state;
	beat_for(20);
	assert_int_equal(lingers, 0);
	loop_expect(loop, 100);
	beat_for(20);
	assert_int_equal(lingers, 0);
	loop_expect(loop, 1);
	beat_for(20);
	assert_true(lingers > 0);
}

static void lingers_no_more_when_it_is_in_vain(void **state)
{
	(void)state;
	loop_expect(loop, 1);
	beat_for(300);
	assert_in_range(lingers, 2, 20);	/* now and then it tries */
}

static void answer_again(void *arg)
{
	(void)arg;
	if (--beats)
		loop_post(loop, answer_again, NULL);
	else
		loop_stop(loop);
}

static void does_not_sleep_while_answers_come(void **state)
{
	(void)state;
	loop_expect(loop, 1);
	asked = sleeps = 0;
	beats = 300;
	loop_post(loop, answer_again, NULL);
	run(NULL);
	assert_int_equal(sleeps, 0);
	assert_true(asked >= 300);
}

/* A thread that was kept from running says for how long. */
static struct loop_timer hold;

static void stop_fired(struct loop_timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void hold_up(struct loop_timer *t)
{
	struct timespec half = { 0, 500000000 };

	(void)t;
	nanosleep(&half, NULL);
	loop_post(loop, stop_now, NULL);
}

static void absence_is_counted(void **state)
{
	(void)state;
	hold = (struct loop_timer){ .fire = hold_up };
	loop_arm(loop, &hold, loop_clock());
	assert_true(loop_absent(loop) < 100 * MS);
	run(NULL);
	assert_true(loop_absent(loop) >= 400 * MS);
	assert_true(loop_absent(loop) < 5000 * MS);
}

/* Also while it asks for events without sleeping. */
static void absence_is_counted_when_it_polls(void **state)
{
	(void)state;
	loop_set_poll(loop, 10 * MS);
	held.tv_nsec = 500000000;
	hold = (struct loop_timer){ .fire = stop_fired };
	loop_arm(loop, &hold, loop_clock() + MS);
	run(NULL);
	assert_true(loop_absent(loop) >= 400 * MS);
	assert_true(loop_absent(loop) < 5000 * MS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fire_in_order),
		TEST(disarm_within_callback),
		TEST(disarm_what_is_due),
		TEST(remove_within_batch),
		TEST(change_events),
		TEST(posts_arrive_in_order),
		TEST(calls_wait),
		TEST(posts_from_posts),
		TEST(what_was_posted_to_the_end_is_run),
		TEST(after_each_round),
		TEST(polls_and_wakes),
		TEST(lingers_for_few_answers_only),
		TEST(lingers_no_more_when_it_is_in_vain),
		TEST(does_not_sleep_while_answers_come),
		TEST(absence_is_counted),
		TEST(absence_is_counted_when_it_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
