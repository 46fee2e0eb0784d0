/*
 * pairs.c - writes numbers to two volumes, always to the second after the first, and
 * checks what a snapshot of both has.
 *
 *	pairs write A B LOG FIRST JOBS	until SIGTERM; jobs are numbered from FIRST
 *	pairs note LOG				prints what was begun and acknowledged so far
 *	pairs check A B BEFORE AFTER		what note said before the snapshot was asked for,
 *						and when it was there
 *
 * Each job has a place of its own in both.  It writes number 1 to A, waits for the answer,
 * writes 1 to B, waits, then 2 to A and so on.  A write is 128 KiB, not on a boundary of
 * anything, all of it full of its number.  In files of one moment the number in
 * B is that in A or one less; no number is less than what was acknowledged before, or more than
 * what was begun until after; and no write is there in part.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOBS_MAX 64
#define LENGTH (128u << 10)
#define PLACE(job) ((job) * (256ull << 10) + 20480)
#define MAGIC 0x5249415053495352u	/* "RSISPAIR" */

struct counts {				/* of one job, in one volume */
	_Atomic uint64_t begun, acknowledged;
};

struct log {
	uint64_t first, jobs;
	struct counts at[JOBS_MAX][2];
};

static struct log *journal;
static int volumes[2];
static atomic_bool stop;

static int fail(const char *what)
{
	fprintf(stderr, "pairs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill(uint64_t *data, uint64_t job, uint64_t number)
{
	for (size_t i = 0; i < LENGTH / 8; i += 2) {
		data[i] = MAGIC + job;
		data[i + 1] = number;
	}
}

static void *job(void *arg)
{
	uint64_t me = (uintptr_t)arg;
	void *data;

	if (posix_memalign(&data, 4096, LENGTH))
		fail("no memory");
	for (uint64_t n = 1; !atomic_load(&stop); n++) {
		fill(data, me, n);
		for (int i = 0; i < 2; i++) {
			struct counts *k = &journal->at[me][i];

			atomic_store(&k->begun, n);
			if (pwrite(volumes[i], data, LENGTH, (off_t)PLACE(me)) != LENGTH)
				fail("write");
			atomic_store(&k->acknowledged, n);
		}
	}
	free(data);
	return NULL;
}

static void map_log(const char *name, bool make)
{
	int fd = open(name, make ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0644);

	if (fd < 0 || (make && ftruncate(fd, sizeof(*journal)) < 0))
		fail(name);
	journal = mmap(NULL, sizeof(*journal), PROT_READ | (make ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (journal == MAP_FAILED)
		fail(name);
	close(fd);
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static int run_write(char **arg)
{
	uint64_t first = strtoull(arg[3], NULL, 10), jobs = strtoull(arg[4], NULL, 10);
	pthread_t t[JOBS_MAX];

	for (int i = 0; i < 2; i++) {
		volumes[i] = open(arg[i], O_RDWR | O_DIRECT);
		if (volumes[i] < 0)
			fail(arg[i]);
	}
	if (!jobs || first > JOBS_MAX || jobs > JOBS_MAX - first)
		return 2;
	map_log(arg[2], true);
	journal->first = first;
	journal->jobs = jobs;
	signal(SIGTERM, on_signal);
	for (uintptr_t i = 0; i < jobs; i++)
		if (pthread_create(&t[i], NULL, job, (void *)(first + i)))
			fail("thread");
	for (uintptr_t i = 0; i < jobs; i++)
		pthread_join(t[i], NULL);
	return 0;
}

static int run_note(const char *name)
{
	map_log(name, false);
	for (uint64_t i = journal->first; i < journal->first + journal->jobs; i++)
		for (int v = 0; v < 2; v++)
			printf("%llu %llu %llu\n", (unsigned long long)i, (unsigned long long)atomic_load(&journal->at[i][v].acknowledged),
			       (unsigned long long)atomic_load(&journal->at[i][v].begun));
	return 0;
}

/* The number that all of a write has. */
static uint64_t number_in(int fd, const char *name, uint64_t me)
{
	static uint64_t data[LENGTH / 8];

	if (pread(fd, data, LENGTH, (off_t)PLACE(me)) != LENGTH)
		fail(name);
	for (size_t i = 0; i < LENGTH / 8; i += 2) {
		if (data[i] == data[0] && data[i + 1] == data[1] && (!data[0] || data[0] == MAGIC + me))
			continue;
		printf("%s: job %llu: a torn write: %llu at its beginning, %llu at %zu\n", name, (unsigned long long)me,
		       (unsigned long long)data[1], (unsigned long long)data[i + 1], i * 8);
		exit(1);
	}
	return data[1];
}

static bool read_note(FILE *f, uint64_t *me, uint64_t counts[2][2])
{
	for (int v = 0; v < 2; v++) {
		unsigned long long number, acknowledged, begun;

		if (fscanf(f, "%llu %llu %llu", &number, &acknowledged, &begun) != 3)
			return false;
		*me = number;
		counts[v][0] = acknowledged;
		counts[v][1] = begun;
	}
	return true;
}

static int run_check(char **arg)
{
	int fd[2] = { open(arg[0], O_RDONLY), open(arg[1], O_RDONLY) }, bad = 0;
	FILE *before = fopen(arg[2], "r"), *after = fopen(arg[3], "r");
	uint64_t b[2][2], a[2][2], me, jobs = 0, all = 0;

	if (fd[0] < 0 || fd[1] < 0 || !before || !after)
		fail("open");
	for (; read_note(before, &me, b) && read_note(after, &me, a); jobs++) {
		uint64_t n[2] = { number_in(fd[0], arg[0], me), number_in(fd[1], arg[1], me) };
		bool in_order = n[1] == n[0] || n[1] + 1 == n[0];

		for (int v = 0; v < 2; v++)
			in_order = in_order && n[v] >= b[v][0] && n[v] <= a[v][1];
		if (!in_order)
			printf("job %llu: A has %llu, B has %llu; acknowledged before: %llu, %llu; begun after: %llu, %llu\n",
			       (unsigned long long)me, (unsigned long long)n[0], (unsigned long long)n[1],
			       (unsigned long long)b[0][0], (unsigned long long)b[1][0], (unsigned long long)a[0][1],
			       (unsigned long long)a[1][1]);
		bad += !in_order;
		all += n[0] + n[1];
	}
	printf("%llu jobs, %llu writes\n", (unsigned long long)jobs, (unsigned long long)all);
	return bad || !jobs;
}

int main(int argc, char **argv)
{
	if (argc == 7 && strcmp(argv[1], "write") == 0)
		return run_write(argv + 2);
	if (argc == 3 && strcmp(argv[1], "note") == 0)
		return run_note(argv[2]);
	if (argc == 6 && strcmp(argv[1], "check") == 0)
		return run_check(argv + 2);
	fprintf(stderr, "pairs: write A B LOG FIRST JOBS | note LOG | check A B BEFORE AFTER\n");
	return 2;
}
