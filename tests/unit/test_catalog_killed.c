/* links: agent
 * test_catalog_killed.c - a server that is killed at any step of a change leaves a pool in
 * which the change was made, or was not.
 *
 * Each change is made by a process of its own, which is killed at the entry of the first
 * system call that changes a file, then of the second, and so on until it gets to the
 * end.  After each the pool is opened by another process.  Then what is in the pool is one of
 * two things, and so it is with what is in several pools, in whichever order they are opened.  Where there is a journal that process, too, is killed at each of its steps
 * (in make check only right after the commit).
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "../../agent/catalog.h"
#include "../../agent/pool.h"
#include "agent_parts.h"

#define MIB (UINT64_C(1) << 20)
#define STEPS_MAX 400

static char base[96], where[128], beside[128];
static struct pool *pool, *other;	/* the other one, beside, only where there are two */
static bool two, other_first;
static struct catalog_job job = { .hold_limit = 10 };	/* a busy machine is none of it */
static struct err e;
static uint64_t *first_generation;	/* of a; shared with the children */

/*
 * What happens in processes of their own.
 */
static void die_of(const char *what)
{
	fprintf(stderr, "# %s: %s\n", what, e.text);
	_exit(3);
}

static struct pool *open_pool(const char *name, char *path)
{
	struct conf_pool conf = { .path = path, .overcommit = true };
	struct pool *p;

	snprintf(conf.name, sizeof(conf.name), "%s", name);
	p = pool_open(&server, &conf, 10, &e);
	if (!p)
		die_of("pool_open");
	return p;
}

/* Of two the first by name decides. */
static void start(void)
{
	parts_start(1);
	if (two && other_first)
		other = open_pool("next", beside);
	pool = open_pool("main", where);
	if (two && !other_first)
		other = open_pool("next", beside);
	if (other && other_first)
		pool_look(other);
	pool_look(pool);
	if (other && !other_first)
		pool_look(other);
}

static struct volume *find(const char *name)
{
	struct volume *v;

	registry_lock(server.registry);
	v = registry_find(server.registry, name);
	registry_unlock(server.registry);
	return v;
}

static void put(const char *name, uint64_t value)
{
	if (volume_need(find(name)) || pwrite(find(name)->fd, &value, sizeof(value), MIB / 2) != sizeof(value))
		die_of("pwrite");
}

static void must(int r, const char *what)
{
	if (r)
		die_of(what);
}

static const char *const both[] = { "a", "b" };

static void set_up_pool(void)
{
	start();
	must(catalog_create(pool, &job, "a", MIB, false, &e), "create a");
	must(catalog_create(pool, &job, "b", MIB, false, &e), "create b");
	put("a", 1);
	put("b", 2);
	must(catalog_snapshot(pool, &job, both, 2, "s", &e), "snapshot");
	put("a", 3);
	*first_generation = find("a")->generation;
}

static void set_up_two(void)
{
	start();
	must(catalog_create(pool, &job, "a", MIB, false, &e), "create a");
	must(catalog_create(other, &job, "b", MIB, false, &e), "create b");
	put("a", 1);
	put("b", 2);
}

static int snapshot_of_two(void)
{
	struct pool *pools[] = { other, pool };
	static const char *const names[] = { "b", "a" };

	return catalog_snapshot_pools(pools, &job, names, 2, "t", &e);
}

static int create(void)
{
	return catalog_create(pool, &job, "c", 2 * MIB, true, &e);
}

static int grow(void)
{
	return catalog_resize(pool, &job, "a", 3 * MIB, false, &e);
}

static int cut(void)
{
	return catalog_resize(pool, &job, "a", MIB - 512, true, &e);
}

static int change_name(void)
{
	return catalog_rename(pool, &job, "a", "z", &e);
}

static int take_away(void)
{
	return catalog_remove(pool, &job, "a", true, &e);
}

static int snapshot(void)
{
	return catalog_snapshot(pool, &job, both, 2, "t", &e);
}

static int snapshot_remove(void)
{
	return catalog_snapshot_remove(pool, &job, "a", "s", &e);
}

static int rollback(void)
{
	return catalog_rollback(pool, &job, "a", "s", &e);
}

static int make_clones(void)
{
	static const char *const to[] = { "c1", "c2", "c3" };

	return catalog_clone(pool, &job, "a", to, 3, &e);
}

static int label(void)
{
	struct catalog_key key = { "label", "golden" };

	return catalog_set(pool, &job, "a", &key, 1, &e);
}

/* What the pool offers: name, MiB, and the value that was written; and a mark where a volume has less than it
 * had, and the same generation. */
static void describe(char *out, size_t size)
{
	size_t n = 0;
	struct volume *v;

	*out = 0;
	registry_lock(server.registry);
	for (size_t i = 0; (v = registry_at(server.registry, i)) && n < size; i++) {
		uint64_t value = 0;

		if (volume_need(v) || pread(v->fd, &value, sizeof(value), MIB / 2) < 0)
			die_of("pread");
		n += (size_t)snprintf(out + n, size - n, "%s%s:%llu:%llu%s", n ? " " : "", v->name,
				      (unsigned long long)(atomic_load(&v->size) / MIB), (unsigned long long)value,
				      atomic_load(&v->size) < MIB && v->generation == *first_generation ? "!" : "");
	}
	registry_unlock(server.registry);
}

/* An identity is had by a pool that was to decide something, and is no leftover. */
static unsigned count_files(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	while (d && (entry = readdir(d)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		     strcmp(entry->d_name, ".rsio.id") != 0;
	if (d)
		closedir(d);
	return n;
}

/* Nothing is there but two files for each volume, the snapshots' directories, an empty one to
 * work in, the journal and the spare one, and the lock. */
static void check_files_of(const struct pool *p, const char *in)
{
	unsigned volumes = 0, snapshots = 0, files, in_directories = 0;
	char path[450];
	struct volume *v;
	struct dirent *entry;
	DIR *d;

	for (size_t i = 0; (v = registry_at(server.registry, i)); i++) {
		if (strcmp(v->pool, p->name) != 0)
			continue;
		volumes += !v->snapshot;
		snapshots += v->snapshot;
	}
	snprintf(path, sizeof(path), "%s/.rsio.snap", in);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/.rsio.snap/%s", in, entry->d_name);
		files = count_files(path);
		if (!files)
			die_of("an empty directory of snapshots");
		in_directories += files;
	}
	if (d)
		closedir(d);
	files = count_files(in);
	snprintf(path, sizeof(path), "%s/.rsio.work", in);
	if (count_files(path) || files != 2 * volumes + 4 + (d != NULL) || in_directories != 2 * snapshots) {
		fprintf(stderr, "# %s: %u files for %u volumes, %u for %u snapshots\n", in, files, volumes,
			in_directories, snapshots);
		die_of("check_files");
	}
}

static void check_files(void)
{
	check_files_of(pool, where);
	if (other)
		check_files_of(other, beside);
}

/* The process's word to the one that counts. */
static void mark(void)
{
	kill(getpid(), 0);
}

/*
 * The process that counts.
 */
static bool changes_files(const struct __ptrace_syscall_info *s)
{
	switch (s->entry.nr) {
	case SYS_openat:
		return s->entry.args[2] & (O_CREAT | O_TRUNC);
	case SYS_mkdirat:
	case SYS_unlinkat:
	case SYS_renameat2:
#ifdef SYS_renameat
	case SYS_renameat:
#endif
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_ioctl:
	case SYS_write:
	case SYS_pwrite64:
	case SYS_copy_file_range:
		return true;
	}
	return false;
}

static pid_t traced(void (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		run(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	return pid;
}

static bool commits(const struct __ptrace_syscall_info *s)
{
	return s->entry.nr == SYS_renameat2 && s->entry.args[4] & RENAME_EXCHANGE;
}

/* Kills it before its k-th step between the two marks, counted from the commit on where that is
 * asked for.  True: it had that many. */
static bool kill_at(pid_t pid, unsigned k, bool from_commit)
{
	struct __ptrace_syscall_info s;
	unsigned steps = 0, marks = 0;
	bool counts = !from_commit;
	int status, signal = 0;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		if (signal || ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(s), &s) <= 0 ||
		    s.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		marks += s.entry.nr == SYS_kill;
		steps += marks == 1 && counts && changes_files(&s);
		counts |= commits(&s);
		if (marks != 1 || steps < k)
			continue;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return true;
	}
}

static void in_child(void (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		run(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_set_up(void *arg)
{
	(void)arg;
	if (two)
		set_up_two();
	else
		set_up_pool();
}

static void run_change(void *arg)
{
	int (*const *change)(void) = arg;

	start();
	mark();
	must((*change)(), "the change");
	mark();
}

static void run_start(void *arg)
{
	(void)arg;
	mark();
	start();
	mark();
}

static void run_look(void *arg)
{
	start();
	describe(arg, 1000);
	check_files();
}

static char *seen;	/* shared with the children */

static const char *look(void)
{
	in_child(run_look, seen);
	return seen;
}

static void anew(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir '%s'", base, base);
	assert_int_equal(system(command), 0);
	assert_int_equal(mkdir(where, 0755), 0);
	assert_int_equal(mkdir(beside, 0755), 0);
	in_child(run_set_up, NULL);
}

/* What is decided about another pool is noted by an empty file until it is done there. */
static bool has_mark(void)
{
	DIR *d = opendir(where);
	struct dirent *entry;
	bool has = false;

	while (d && (entry = readdir(d)))
		has |= strncmp(entry->d_name, ".rsio.decided.", 14) == 0;
	if (d)
		closedir(d);
	return has;
}

static bool has_journal(void)
{
	char text[4096] = "";
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/.rsio.journal", where);
	f = fopen(path, "r");
	if (f && !fread(text, 1, sizeof(text) - 1, f))
		*text = 0;
	if (f)
		fclose(f);
	return strstr(text, "\nmove ") || strstr(text, "\nremove ") || has_mark();
}

/* A process under the thread sanitizer takes a second to start, and has one thread here. */
#ifdef __SANITIZE_THREAD__
#define EVERY 9
#else
#define EVERY 1
#endif

/* Killed at the k-th step after the commit, and then again at each step of the next start.
 * False: the journal is gone by then. */
static bool killed_twice(int (*change)(void), unsigned k, const char *after)
{
	for (unsigned j = 1; j < STEPS_MAX; j += EVERY) {
		bool more;

		anew();
		if (!kill_at(traced(run_change, &change), k, true) || !has_journal())
			return false;
		more = kill_at(traced(run_start, NULL), j, false);
		assert_string_equal(look(), after);
		if (!more)
			return true;
	}
	fail_msg("no end");
	return false;
}

/* How many steps a copy takes is not always the same; all after the commit are. */
static void kill_everywhere(int (*change)(void), const char *after)
{
	unsigned k, most = getenv("RSIO_LONG") ? STEPS_MAX : 1;
	char before[1000];
	bool more = true;

	for (k = 1; more; k += EVERY) {
		bool journal;

		assert_true(k < STEPS_MAX);
		anew();
		if (k == 1)
			snprintf(before, sizeof(before), "%s", look());
		more = kill_at(traced(run_change, &change), k, false);
		journal = has_journal();
		look();
		if (journal || !more)
			assert_string_equal(seen, after);
		else if (strcmp(seen, after) != 0)
			assert_string_equal(seen, before);
	}
	print_message("# %u steps\n", k - 1 - EVERY);
	for (k = 1; k <= most && killed_twice(change, k, after); k += EVERY)
		;
}

#define BEFORE "a:1:3 b:1:2 a@s:1:1 b@s:1:2"
#define TEST(name, change, after) \
	static void name(void **state) { (void)state; kill_everywhere(change, after); }

TEST(at_create, create, "a:1:3 b:1:2 c:2:0 a@s:1:1 b@s:1:2")
TEST(at_resize, grow, "a:3:3 b:1:2 a@s:1:1 b@s:1:2")
TEST(at_cut, cut, "a:0:3 b:1:2 a@s:1:1 b@s:1:2")
TEST(at_rename, change_name, "b:1:2 z:1:3 b@s:1:2 z@s:1:1")
TEST(at_remove, take_away, "b:1:2 b@s:1:2")
TEST(at_snapshot, snapshot, "a:1:3 b:1:2 a@s:1:1 a@t:1:3 b@s:1:2 b@t:1:2")
TEST(at_snapshot_remove, snapshot_remove, "a:1:3 b:1:2 b@s:1:2")
TEST(at_rollback, rollback, "a:1:1 b:1:2 a@s:1:1 b@s:1:2")
TEST(at_clone, make_clones, "a:1:3 b:1:2 c1:1:3 c2:1:3 c3:1:3 a@s:1:1 b@s:1:2")
TEST(at_label, label, BEFORE)

static void at_snapshot_of_two_pools(void **state)
{
	static const char after[] = "a:1:1 b:1:2 a@t:1:1 b@t:1:2";

	(void)state;
	two = true;
	other_first = false;
	kill_everywhere(snapshot_of_two, after);
	other_first = true;
	kill_everywhere(snapshot_of_two, after);
	two = other_first = false;
}

/*
 * One whose deciding pool is not there.
 */
static const char pending[] = ".rsio.pending";

static bool has_pending(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", beside, pending);
	return access(path, F_OK) == 0;
}

static void stop_with_pending(bool decided)
{
	int (*change)(void) = snapshot_of_two;
	unsigned k = 1;

	do {
		anew();
		assert_true(kill_at(traced(run_change, &change), k++, decided));
	} while (!has_pending());
	assert_int_equal(has_journal(), decided);
}

/* It is offered, and refuses to be changed. */
static void wait_alone(void)
{
	parts_start(1);
	other = open_pool("next", beside);
	pool_look(other);
	if (!find("b") || find("b@t"))
		die_of("what is offered meanwhile");
	if (catalog_create(other, &job, "c", MIB, false, &e) != -EUCLEAN || !strstr(e.text, "pool main") ||
	    catalog_rename(other, &job, "b", "c", &e) != -EUCLEAN || !has_pending())
		die_of("it is changed meanwhile");
}

static void run_until_there(void *arg)
{
	wait_alone();
	pool = open_pool("main", where);
	pool_look(pool);
	must(catalog_create(other, &job, "c", MIB, false, &e), "create, since that pool is there");
	must(catalog_remove(other, &job, "c", false, &e), "remove");
	pool_look(other);
	describe(arg, 1000);
	check_files();
}

static void run_until_removed(void *arg)
{
	char path[200];

	wait_alone();
	snprintf(path, sizeof(path), "%s/%s", beside, pending);
	must(unlink(path), "unlink");
	pool_look(other);
	must(catalog_create(other, &job, "c", MIB, false, &e), "create, since nothing is waited for");
	must(catalog_remove(other, &job, "c", false, &e), "remove");
	describe(arg, 1000);
	if (find("b@t"))
		die_of("nothing of it");
}

static void one_whose_deciding_pool_is_not_there_waits(void **state)
{
	(void)state;
	two = true;
	stop_with_pending(true);
	in_child(run_until_there, seen);
	assert_string_equal(seen, "a:1:1 b:1:2 a@t:1:1 b@t:1:2");
	stop_with_pending(false);
	in_child(run_until_there, seen);
	assert_string_equal(seen, "a:1:1 b:1:2");
	stop_with_pending(false);
	in_child(run_until_removed, seen);
	assert_string_equal(seen, "b:1:2");
	two = false;
}

static int group_set_up(void **state)
{
	const char *tmp = getenv("KILLED_IN");		/* another file system */

	(void)state;
	/* Memory, where there is some: nothing here is about a disk. */
	if (!tmp && access("/dev/shm", W_OK) == 0)
		tmp = "/dev/shm";
	if (!tmp)
		tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(base, sizeof(base), "%s/rsio-killed-XXXXXX", tmp);
	if (!mkdtemp(base))
		return -1;
	snprintf(where, sizeof(where), "%s/pool", base);
	snprintf(beside, sizeof(beside), "%s/beside", base);
	setenv("TMPDIR", base, 1);
	seen = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	first_generation = mmap(NULL, sizeof(*first_generation), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return seen == MAP_FAILED || first_generation == MAP_FAILED ? -1 : 0;
}

static int group_tear_down(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_create),
		cmocka_unit_test(at_resize),
		cmocka_unit_test(at_cut),
		cmocka_unit_test(at_rename),
		cmocka_unit_test(at_remove),
		cmocka_unit_test(at_snapshot),
		cmocka_unit_test(at_snapshot_remove),
		cmocka_unit_test(at_rollback),
		cmocka_unit_test(at_clone),
		cmocka_unit_test(at_label),
		cmocka_unit_test(at_snapshot_of_two_pools),
		cmocka_unit_test(one_whose_deciding_pool_is_not_there_waits),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
