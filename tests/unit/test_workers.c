/* links: agent
 * test_workers.c - batches, merged flushes, bounds for a volume and for a disk,
 * taking back what has not begun.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "../../agent/server.h"
#include "../../agent/workers.h"

static struct server server;
static struct engine *loop;
static struct workers *workers;
static atomic_bool never = false;
static atomic_int running, most_running, runs, back, cancelled;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void on_back(struct engine *l, struct message *m)
{
	struct job *j = (struct job *)m;

	assert_ptr_equal(l, loop);
	if (j->result == -ECANCELED)
		atomic_fetch_add(&cancelled, 1);
	free(j);
	atomic_fetch_add(&back, 1);
}

static void run_gated(struct job *j)
{
	int now = atomic_fetch_add(&running, 1) + 1;

	if (now > atomic_load(&most_running))
		atomic_store(&most_running, now);
	atomic_fetch_add(&runs, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	atomic_fetch_sub(&running, 1);
	j->result = 0;
}

static struct job *job(struct work *k, enum job_kind kind, struct conn *c, struct job *next)
{
	struct job *j = calloc(1, sizeof(*j));

	j->message.run = on_back;
	j->next = next;
	j->loop = loop;
	j->conn = c;
	j->dropped = &never;
	j->work = k;
	j->kind = kind;
	j->run = run_gated;
	return j;
}

static bool reaches(atomic_int *n, int value)
{
	struct timespec pause = { 0, 2000000 };

	for (int i = 0; i < 5000 && atomic_load(n) != value; i++)
		nanosleep(&pause, NULL);
	return atomic_load(n) == value;
}

static int set_up(void **state)
{
	struct err e;

	(void)state;
	memory_init(&server.memory);
	loop = engine_new(&server, 0, "test", &e);
	server.loops[0] = loop;
	server.loop_count = 1;
	workers = workers_new(&e);
	assert_int_equal(engine_start(loop, &e), 0);
	atomic_store(&runs, 0);
	atomic_store(&back, 0);
	atomic_store(&cancelled, 0);
	atomic_store(&most_running, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(workers_stop(workers, 10));
	engine_stop(loop);
	pthread_join(loop->thread, NULL);
	engine_free(loop);
	workers_free(workers);
	return 0;
}

static void every_job_comes_back(void **state)
{
	struct work k[3] = { 0 };
	int n = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		work_init(workers, &k[i], (dev_t)i, 32);
	for (int round = 0; round < 200; round++) {
		struct job *list = NULL;

		for (int i = 0; i < 50; i++, n++)
			list = job(&k[i % 3], i % 7 ? JOB_QUICK : JOB_SLOW, NULL, list);
		workers_submit(workers, list);
	}
	assert_true(reaches(&back, n));
	assert_int_equal(atomic_load(&runs), n);
}

static void a_volume_gets_few_workers(void **state)
{
	struct work stuck = { 0 }, other = { 0 };
	struct job *list = NULL;

	(void)state;
	work_init(workers, &stuck, 1, 1);
	work_init(workers, &other, 2, 1);
	for (int i = 0; i < 100; i++)
		list = job(&stuck, JOB_QUICK, NULL, list);
	pthread_mutex_lock(&gate);
	workers_submit(workers, list);
	assert_true(reaches(&running, WORKERS_PER_VOLUME));
	/* Another disk's jobs are taken all the same. */
	workers_submit(workers, job(&other, JOB_SLOW, NULL, NULL));
	assert_true(reaches(&running, WORKERS_PER_VOLUME + 1));
	pthread_mutex_unlock(&gate);
	assert_true(reaches(&back, 101));
	assert_int_equal(atomic_load(&most_running), WORKERS_PER_VOLUME + 1);
}

static void so_does_a_disk(void **state)
{
	struct work k[10] = { 0 }, other = { 0 };
	struct job *list = NULL;

	(void)state;
	for (int i = 0; i < 10; i++) {
		work_init(workers, &k[i], 7, 1);
		for (int n = 0; n < 10; n++)
			list = job(&k[i], JOB_QUICK, NULL, list);
	}
	work_init(workers, &other, 8, 1);
	pthread_mutex_lock(&gate);
	workers_submit(workers, list);
	assert_true(reaches(&running, WORKERS_PER_DEVICE));
	workers_submit(workers, job(&other, JOB_QUICK, NULL, NULL));
	assert_true(reaches(&running, WORKERS_PER_DEVICE + 1));
	pthread_mutex_unlock(&gate);
	assert_true(reaches(&back, 101));
	assert_int_equal(atomic_load(&most_running), WORKERS_PER_DEVICE + 1);
}

static void flushes_are_merged_but_not_into_one_that_began(void **state)
{
	struct work k = { 0 };
	struct job *list = NULL;

	(void)state;
	work_init(workers, &k, 1, 32);
	pthread_mutex_lock(&gate);
	workers_submit(workers, job(&k, JOB_FLUSH, NULL, NULL));
	assert_true(reaches(&running, 1));
	for (int i = 0; i < 50; i++)
		list = job(&k, JOB_FLUSH, NULL, list);
	workers_submit(workers, list);
	/* A worker that took them now would be seen. */
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	pthread_mutex_unlock(&gate);
	assert_true(reaches(&back, 51));
	assert_int_equal(atomic_load(&runs), 2);
	assert_int_equal(atomic_load(&most_running), 1);
}

static void what_has_not_begun_is_taken_back(void **state)
{
	struct conn *mine = (struct conn *)&server, *theirs = (struct conn *)&gate;
	struct work k = { 0 };
	struct job *list = NULL;

	(void)state;
	work_init(workers, &k, 1, 1);
	for (int i = 0; i < 20; i++)
		list = job(&k, JOB_QUICK, i % 2 ? mine : theirs, list);
	list = job(&k, JOB_FLUSH, mine, list);
	for (int i = 0; i < WORKERS_PER_VOLUME; i++)
		list = job(&k, JOB_SLOW, theirs, list);
	pthread_mutex_lock(&gate);
	workers_submit(workers, list);
	assert_true(reaches(&running, WORKERS_PER_VOLUME));
	workers_cancel(workers, mine);
	pthread_mutex_unlock(&gate);
	assert_true(reaches(&back, 21 + WORKERS_PER_VOLUME));
	/* All of mine but the flush, if that was among those that began. */
	assert_in_range(atomic_load(&cancelled), 10, 11);
	assert_int_equal(atomic_load(&runs) + atomic_load(&cancelled), 21 + WORKERS_PER_VOLUME);
}

static sem_t steps;
static atomic_bool quiet_begun;

/* Each ends when a step is given. */
static void run_step(struct job *j)
{
	if (strcmp(j->client, "quiet") == 0)
		atomic_store(&quiet_begun, true);
	atomic_fetch_add(&runs, 1);
	while (sem_wait(&steps) < 0)
		;
	j->result = 0;
}

static struct job *step_job(struct work *k, const char *client, struct job *next)
{
	struct job *j = job(k, JOB_QUICK, NULL, next);

	j->client = client;
	j->run = run_step;
	return j;
}

/* It is next but one when a worker is free. */
static void a_thousand_of_one_client_do_not_keep_out_another(void **state)
{
	struct work k = { 0 };
	struct job *list = NULL;

	(void)state;
	assert_int_equal(sem_init(&steps, 0, 0), 0);
	work_init(workers, &k, 1, 1);
	for (int i = 0; i < 1000; i++)
		list = step_job(&k, "noisy", list);
	workers_submit(workers, list);
	assert_true(reaches(&runs, WORKERS_PER_VOLUME));
	workers_submit(workers, step_job(&k, "quiet", NULL));
	assert_false(atomic_load(&quiet_begun));
	sem_post(&steps);
	assert_true(reaches(&runs, WORKERS_PER_VOLUME + 1));
	sem_post(&steps);
	assert_true(reaches(&runs, WORKERS_PER_VOLUME + 2));
	assert_true(atomic_load(&quiet_begun));
	for (int i = 0; i < 1000; i++)
		sem_post(&steps);
	assert_true(reaches(&back, 1001));
	sem_destroy(&steps);
}

static void what_is_dropped_is_not_begun(void **state)
{
	atomic_bool dropped = true;
	struct work k = { 0 };
	struct job *j;

	(void)state;
	work_init(workers, &k, 1, 1);
	j = job(&k, JOB_QUICK, NULL, NULL);
	j->dropped = &dropped;
	workers_submit(workers, j);
	assert_true(reaches(&cancelled, 1));
	assert_true(reaches(&back, 1));
	assert_int_equal(atomic_load(&runs), 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(every_job_comes_back),
		WITH(a_volume_gets_few_workers),
		WITH(so_does_a_disk),
		WITH(flushes_are_merged_but_not_into_one_that_began),
		WITH(what_has_not_begun_is_taken_back),
		WITH(a_thousand_of_one_client_do_not_keep_out_another),
		WITH(what_is_dropped_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
